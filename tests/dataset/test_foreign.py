"""Data in another layout are recognised, whichever verb they are handed to, and the command that is named works."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.dataset.foreign import conversion_advice, own_advice
from mist_bundle.dataset.prediction_inputs import match_prediction_inputs
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, InputError
from tests.dataset.bids_samples import make_bids
from tests.dataset.samples import make_nnunet, write_dataset, write_masks
from tests.dataset.test_msd_layout import make_task


def _total_segmentator(folder: Path) -> Path:
    for number in range(2):
        write_masks(folder / f"s{number:04d}")
    return folder


def _table(folder: Path) -> Path:
    write_dataset(folder)
    rows = ["id;mask;t1"]
    for case in sorted((folder / "train").iterdir()):
        rows.append(f"{case.name};{case / 'seg.nii.gz'};{case / 't1.nii.gz'}")
    (folder / "cases.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "cases.csv"


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "convert_nnunet": make_nnunet,
    "convert_msd": lambda folder: make_task(folder, ["CT"]),
    "convert_bids": make_bids,
    "convert_labels": _total_segmentator,
    "convert_csv": _table,
}


@pytest.mark.parametrize("verb", LAYOUTS)
def test_autoconfig_names_a_command_that_works(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = LAYOUTS[verb](tmp_path / "my data")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["autoconfig", str(source), "--output", "out"]) == EXIT_INPUT_REFUSED
    said = capsys.readouterr().err
    assert f"Convert it first: mist-bundle {verb} --source" in said
    command = shlex.split(said.split("Convert it first: mist-bundle ")[1].splitlines()[0])
    assert cli.main(command) == EXIT_OK
    assert DatasetSpec.from_json(tmp_path / command[-1] / "dataset.json").train_dir.is_dir()


@pytest.mark.parametrize("verb", ["convert_nnunet", "convert_msd", "convert_bids", "convert_labels"])
def test_other_verbs_name_the_converter(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(LAYOUTS[verb](tmp_path / "data"))
    out = ["--output", str(tmp_path / "out")]
    (tmp_path / "classes.json").write_text('{"organ": [1]}')
    (tmp_path / "none").mkdir()
    folders = ["--reference", source, "--prediction", str(tmp_path / "none")]
    calls = [
        ["evaluate", *folders, "--classes", str(tmp_path / "classes.json"), "--output", str(tmp_path / "out.csv")],
        *([other, "--source", source, *out] for other in LAYOUTS if other != verb),
    ]
    for words in calls:
        assert cli.main(words) == EXIT_INPUT_REFUSED, words
        assert f"mist-bundle {verb} --source" in capsys.readouterr().err, words
    with pytest.raises(InputError, match=f"mist-bundle {verb} --source"):
        match_prediction_inputs(Path(source), ["t9"])
    assert not (tmp_path / "out").exists()


def test_own_data_need_no_conversion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = write_dataset(tmp_path / "data")
    assert conversion_advice(description) == conversion_advice(description.parent) == ""
    assert own_advice(description.parent) == f"needs no conversion: mist-bundle autoconfig {description}"
    assert own_advice(tmp_path) == ""
    for source in (description, description.parent):
        assert cli.main(["convert_labels", str(source), str(tmp_path / "out")]) == EXIT_INPUT_REFUSED
        assert "needs no conversion" in capsys.readouterr().err
    with pytest.raises(InputError, match="needs no conversion: mist-bundle autoconfig"):
        DatasetSpec.from_json(description.parent)


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"labels": 3}', "{"])
def test_what_is_not_known_gives_no_advice(content: str, tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(content, encoding="utf-8")
    assert conversion_advice(path) == conversion_advice(tmp_path) == own_advice(path) == ""
    assert conversion_advice(tmp_path / "not_there") == ""
