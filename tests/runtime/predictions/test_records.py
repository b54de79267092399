"""A label map is left alone only while everything that it was made from is as it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.runtime.folds.files import write_bytes, write_whole
from mist_bundle.runtime.predictions.records import (
    FRESH,
    MISSING,
    STALE,
    UNKNOWN,
    Predictions,
    read_failure,
    record_path,
)

CASE = "p0"


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    write_bytes(tmp_path / "in/t1.nii.gz", b"image")
    return {"id": CASE, "image": [str(tmp_path / "in/t1.nii.gz")]}


def _predictions(tmp_path: Path, **changes: Any) -> Predictions:
    for name in ("weights.pt", "postprocessing.json"):
        if not (tmp_path / name).exists():
            write_bytes(tmp_path / name, name.encode())
    arguments: dict[str, Any] = {
        "weight_files": [str(tmp_path / "weights.pt"), str(tmp_path / "absent.pt")],
        "settings": {"overlap": 0.5},
        "setting_files": [str(tmp_path / "postprocessing.json")],
    }
    return Predictions(tmp_path / "out", **{**arguments, **changes})


def _save(predictions: Predictions, content: bytes = b"labels") -> None:
    """As the saver does it."""
    write_whole(
        predictions.path(CASE), lambda stream: stream.write(content), lambda path: predictions.commit(CASE, path)
    )


def _predict(predictions: Predictions, item: dict[str, Any]) -> None:
    assert predictions.status_of(item).state != FRESH
    _save(predictions)


def test_what_was_predicted_is_fresh(tmp_path: Path, item: dict[str, Any]) -> None:
    assert _predictions(tmp_path).status_of(item).state == MISSING
    _predict(_predictions(tmp_path), item)
    assert _predictions(tmp_path).status_of(item).state == FRESH
    assert _predictions(tmp_path).problems([item]) == []


def test_a_moved_dataset_and_output_are_the_same(tmp_path: Path, item: dict[str, Any]) -> None:
    _predict(_predictions(tmp_path), item)
    shutil.copytree(tmp_path / "in", tmp_path / "elsewhere")
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    copied = Predictions(
        tmp_path / "copy", [str(tmp_path / "weights.pt")], {"overlap": 0.5}, [str(tmp_path / "postprocessing.json")]
    )
    assert copied.status_of({"id": CASE, "image": [str(tmp_path / "elsewhere/t1.nii.gz")]}).state == FRESH


@pytest.mark.parametrize(
    ("changed", "words"),
    [("weights.pt", "weights"), ("postprocessing.json", "settings"), ("in/t1.nii.gz", "images"), ("", "settings")],
)
def test_another_origin_is_reported(tmp_path: Path, item: dict[str, Any], changed: str, words: str) -> None:
    _predict(_predictions(tmp_path), item)
    if changed:
        write_bytes(tmp_path / changed, b"other")
    later = _predictions(tmp_path) if changed else _predictions(tmp_path, settings={"overlap": 0.25})
    found = later.status_of(item)
    assert (found.state, found.why) == (STALE, f"was predicted with other {words}.")
    with pytest.raises(SystemExit) as ended:
        later.begin([item])
    assert ended.value.code == 2
    _predictions(tmp_path, overwrite="True").begin([item])


def test_what_somebody_else_wrote_is_not_replaced(
    tmp_path: Path, item: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_bytes(tmp_path / "out/p0.nii.gz", b"by hand")
    assert _predictions(tmp_path).status_of(item).state == UNKNOWN
    with pytest.raises(SystemExit):
        _predictions(tmp_path).begin([item])
    assert "p0.nii.gz: exists already and was not written by this command." in capsys.readouterr().err
    _predict(_predictions(tmp_path), item)
    write_bytes(tmp_path / "out/p0.nii.gz", b"corrected by hand")
    assert _predictions(tmp_path).status_of(item).state == UNKNOWN


@pytest.mark.parametrize("old", [False, True])
def test_killed_between_record_and_label_map(tmp_path: Path, item: dict[str, Any], old: bool) -> None:
    if old:
        _predict(_predictions(tmp_path), item)
    write_bytes(tmp_path / "weights.pt", b"retrained")
    predictions = _predictions(tmp_path, overwrite=True)
    predictions.status_of(item)
    write_bytes(tmp_path / "temporary", b"new labels")
    predictions.commit(CASE, tmp_path / "temporary")
    assert _predictions(tmp_path).status_of(item).state == MISSING


def test_a_requested_map_that_is_not_there_is_missing(tmp_path: Path, item: dict[str, Any]) -> None:
    _predict(_predictions(tmp_path), item)
    assert _predictions(tmp_path, probabilities=True).status_of(item).state == MISSING
    write_bytes(tmp_path / "out/probabilities/p0.nii.gz", b"map")
    assert _predictions(tmp_path, probabilities=True).status_of(item).state == FRESH
    assert _predictions(tmp_path, uncertainty=True).status_of(item).state == MISSING


def test_failures_are_kept_until_the_next_run(tmp_path: Path, item: dict[str, Any]) -> None:
    predictions = _predictions(tmp_path)
    predictions.failed(CASE, "is cut short.")
    assert read_failure(tmp_path / "out", CASE) == "is cut short."
    predictions.begin([item])
    assert read_failure(tmp_path / "out", CASE) == ""
    _predict(predictions, item)
    predictions.failed(CASE, "cannot be scored.")
    assert _predictions(tmp_path).status_of(item).state == FRESH


def test_a_damaged_record_is_no_record(tmp_path: Path, item: dict[str, Any]) -> None:
    _predict(_predictions(tmp_path), item)
    record_path(tmp_path / "out", CASE).write_text("{")
    assert _predictions(tmp_path).status_of(item).state == UNKNOWN


@pytest.mark.parametrize("name", ["../p0", "a/b", "", "."])
def test_ids_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must not contain a path separator"):
        _predictions(tmp_path).path(name)


def test_no_cases_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _predictions(tmp_path).begin([])
    assert "Nothing to predict" in capsys.readouterr().err


def test_an_image_that_holds_all_channels_counts_by_its_content(tmp_path: Path, item: dict[str, Any]) -> None:
    joint = tmp_path / "in/joint.nii.gz"
    write_bytes(joint, b"all channels")
    item["image"] = [str(joint), str(joint)]
    _predict(_predictions(tmp_path), item)
    assert _predictions(tmp_path).status_of(item).state == FRESH
    write_bytes(joint, b"others")
    assert _predictions(tmp_path).status_of(item).state == STALE
