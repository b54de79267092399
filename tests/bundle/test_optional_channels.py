"""A channel that may be missing: dropped in training, absent at prediction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_OK, InputError


@pytest.fixture(scope="module")
def dataset_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optional") / "data"
    path = make_phantom(folder, kind="mr2", num_cases=4, num_test=2, seed=3, shape=(20, 18, 16), mixed_headers=False)
    content = json.loads(path.read_text())
    content["optional_images"] = ["t2"]
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def bundle(dataset_json: Path) -> mb.Bundle:
    made = mb.configure(
        dataset_json,
        dataset_json.parents[1] / "out",
        recipe="quick",
        network="unet-pocket",
        folds=2,
        epochs=1,
        steps_per_epoch=2,
        patch_size=(16, 16, 16),
    )
    made.train(fold=0, device="cpu")
    return made


def test_the_channel_is_declared_in_plan_and_training(bundle: mb.Bundle) -> None:
    assert bundle.plan.optional_channels == (1,)
    settings = json.loads((bundle.root / "configs" / "train.json").read_text())["train"]["augmentation"]
    assert settings["optional_channels"] == [1]
    assert settings["channel_drop_probability"] == 0.25


def _map(folder: Path, name: str) -> np.ndarray:
    return np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj)


def test_a_case_without_the_file_is_predicted_as_with_a_channel_of_zeros(
    bundle: mb.Bundle, dataset_json: Path, tmp_path: Path
) -> None:
    cases = tmp_path / "cases"
    shutil.copytree(dataset_json.parent / "test", cases)
    names = sorted(path.name for path in cases.iterdir())
    bundle.predict(cases, tmp_path / "complete", device="cpu")
    bundle.predict(cases, tmp_path / "absent", device="cpu", absent_channels=["t2"])
    for name in names:
        next((cases / name).glob("t2*")).unlink()
    bundle.predict(cases, tmp_path / "missing", device="cpu")
    differs = False
    for name in names:
        missing = _map(tmp_path / "missing", name)
        np.testing.assert_array_equal(missing, _map(tmp_path / "absent", name))
        differs |= bool((missing != _map(tmp_path / "complete", name)).any())
    assert differs, "the channel counts for something"
    table = tmp_path / "cases.csv"
    table.write_text(f"id,t1,t2\n{names[0]},{next((cases / names[0]).glob('t1*'))},\n")
    bundle.predict(table, tmp_path / "table", device="cpu")
    np.testing.assert_array_equal(_map(tmp_path / "table", names[0]), _map(tmp_path / "missing", names[0]))
    next((cases / names[0]).glob("t1*")).unlink()
    with pytest.raises(mb.CaseFailure, match=f"{names[0]}.*t1"):
        bundle.predict(cases, tmp_path / "none", device="cpu")


def test_the_report_shows_what_each_channel_is_worth(bundle: mb.Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(bundle.root), "--fold", "0", "--device", "cpu", "--each_absent"]
    assert cli.main(words) == EXIT_OK
    printed = capsys.readouterr().out
    content = json.loads((bundle.work_dir / "absent_channels.json").read_text())["channels"]
    assert list(content) == ["t2"]
    with_all = bundle.scores([0])
    for column, row in content["t2"].items():
        assert row["with"] == pytest.approx(with_all[column]["Mean"])
        assert row["change"] == pytest.approx(row["without"] - row["with"])
        assert f"{row['with']:.4f} -> {row['without']:.4f}" in printed
    page = bundle.report(pictures=0, viewer=False).page.read_text(encoding="utf-8")
    assert "Without t2" in page


@pytest.mark.parametrize(
    ("names", "words"), [(["t3"], "names t3, but the channels"), (["t1", "t2"], "names every channel")]
)
def test_wrong_declarations(dataset_json: Path, tmp_path: Path, names: list[str], words: str) -> None:
    content = json.loads(dataset_json.read_text())
    content["optional_images"] = names
    content["train-data"] = str(dataset_json.parent / "train")
    content.pop("test-data")
    wrong = tmp_path / "dataset.json"
    wrong.write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        mb.configure(wrong, tmp_path / "out")
