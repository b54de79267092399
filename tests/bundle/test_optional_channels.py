"""A channel that may be missing: dropped in training, absent at prediction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pandas
import pytest

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.analysis.fingerprint import Fingerprint, analyze
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import EXIT_OK, InputError
from mist_bundle.runtime.metrics.table import STATISTICS

FOLDS = "id,fold\nmr2_001,0\nmr2_002,0\nmr2_003,1\nmr2_004,1\n"
LACKING = ["mr2_002", "mr2_004"]  # training cases without t2, one in each fold


@pytest.fixture(scope="module")
def dataset_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optional") / "data"
    path = make_phantom(folder, kind="mr2", num_cases=4, num_test=2, seed=3, shape=(20, 18, 16), mixed_headers=False)
    content = json.loads(path.read_text())
    content["optional_images"] = ["t2"]
    path.write_text(json.dumps(content))
    for name in LACKING:
        next((folder / "train" / name).glob("t2*")).unlink()
    (folder / "folds.csv").write_text(FOLDS)
    return path


@pytest.fixture(scope="module")
def bundle(dataset_json: Path) -> mb.Bundle:
    with pytest.warns(mb.DataWarning, match="t2: 2 of 4 cases lack this optional channel"):  # noqa: PT031 -- each warns
        made = mb.configure(
            dataset_json,
            dataset_json.parents[1] / "out",
            recipe="quick",
            network="unet-pocket",
            folds=2,
            fold_file=dataset_json.parent / "folds.csv",
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


def test_a_training_case_without_the_channel_trains_with_zeros(bundle: mb.Bundle, dataset_json: Path) -> None:
    assert {case.id: case.missing for case in bundle.datalist.training if case.missing} == dict.fromkeys(
        LACKING, ("t2",)
    )
    arrays = list(map(np.load, bundle.work_dir.rglob("image.npy")))
    assert all(array[0].any() for array in arrays)
    assert sorted(bool(array[1].any()) for array in arrays) == [False, True], "the two cases of fold 1"


def test_intensities_are_measured_where_the_channel_is(bundle: mb.Bundle, dataset_json: Path) -> None:
    spec = DatasetSpec.from_json(dataset_json)
    fingerprint = analyze(spec, find_cases(spec).cases, workers=1)
    assert [len(fingerprint.images_of(channel)) for channel in (0, 1)] == [4, 2]
    lows = [image.low for image in fingerprint.images_of(1)]
    assert bundle.plan.training_ranges["low"][1] == pytest.approx((min(lows), max(lows)))
    (warning,) = [found for found in fingerprint.findings(spec.channel_names, "mr") if found.path == "t2"]
    assert "2 of 4 cases lack this optional channel" in warning.message
    assert Fingerprint.from_json(json.loads(json.dumps(fingerprint.to_json()))) == fingerprint


def test_a_channel_that_is_not_optional_or_nowhere_is_named(dataset_json: Path, tmp_path: Path) -> None:
    content = {**json.loads(dataset_json.read_text()), "optional_images": []}
    del content["optional_images"], content["test-data"]
    content["train-data"] = str(dataset_json.parent / "train")
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    problem, _ = find_cases(DatasetSpec.from_json(tmp_path / "dataset.json")).problems
    assert problem.path == LACKING[0]
    assert 'If a case may lack t2, add t2 to "optional_images" in dataset.json.' in problem.message
    shutil.copytree(dataset_json.parent, tmp_path / "nowhere")
    for path in (tmp_path / "nowhere").rglob("t2*"):
        path.unlink()
    spec = DatasetSpec.from_json(tmp_path / "nowhere" / "dataset.json")
    with pytest.raises(InputError, match=r"images\.t2: no usable case has this channel"):
        analyze(spec, find_cases(spec).cases, workers=1)


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
    rows = pandas.read_csv(bundle.fold(0).results, index_col="id").drop(index=list(STATISTICS))
    for column, row in content["t2"].items():
        assert row["with"] == pytest.approx(rows.loc["mr2_001", column])
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
