"""What a newcomer meets: each defect of a dataset, through the command line, to one clear report and exit code."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED

NUM_CASES = 6


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "data"
    make_phantom(folder, num_cases=NUM_CASES, num_test=0, shape=(16, 16, 12))
    return folder


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    shutil.copytree(clean, tmp_path / "data")
    return tmp_path / "data"


def _autoconfig(data: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, Path]:
    output = data.parent / "out"
    code = cli.main(["autoconfig", str(data / "dataset.json"), "--output", str(output), "--folds", "2"])
    return code, capsys.readouterr().err, output


def _victim(data: Path) -> Path:
    return sorted((data / "train").iterdir())[3]


def _image(data: Path) -> Path:
    return next(path for path in sorted(_victim(data).glob("*.nii.gz")) if "mask" not in path.name)


def _mask(data: Path) -> Path:
    return next(_victim(data).glob("*mask*"))


def _change(path: Path, change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray | None = None) -> None:
    image = nib.load(path)
    array = change(np.array(image.dataobj))
    nib.save(nib.Nifti1Image(array, image.affine if affine is None else affine), path)


def _shift(path: Path, offset_mm: float) -> None:
    affine = nib.load(path).affine.copy()
    affine[0, 3] += offset_mm
    _change(path, lambda array: array, affine)


def _with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        changed = array.astype(np.float32)
        changed[4:6, 4:6, 4:6] = value
        return changed

    return change


def _voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def _link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _rewrite_header_length(path: Path) -> None:
    """A whole gzip stream whose content ends too early."""
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[: len(content) // 2]))


# what is done to one case, and what the report says about it besides the case's name
def _two_masks(data: Path) -> None:
    # a file of exactly the name would win over one that contains it
    shutil.copy(_mask(data), _victim(data) / "b_mask.nii.gz")
    _mask(data).rename(_victim(data) / "a_mask.nii.gz")


BAD_CASES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "image and label of different shapes": (lambda d: _change(_mask(d), lambda a: a[:, :, :-2]), "shape"),
    "label shifted by 7 mm": (lambda d: _shift(_mask(d), 7.0), "origin"),
    "label value outside the list": (lambda d: _change(_mask(d), _with_value(7)), "7"),
    "label values that are not whole": (lambda d: _change(_mask(d), _with_value(0.5)), "0.5"),
    "a channel is missing": (lambda d: _image(d).unlink(), "no file"),
    "the label is missing": (lambda d: _mask(d).unlink(), "mask"),
    "an empty folder": (lambda d: [path.unlink() for path in _victim(d).iterdir()], "no file"),
    "NaN voxels": (lambda d: _change(_image(d), _with_value(np.nan)), "NaN"),
    "a four-dimensional image": (lambda d: _change(_image(d), lambda a: np.stack([a, a], -1)), "dimension"),
    "a truncated file": (lambda d: _truncate(_image(d)), "cut short"),
    "a truncated label": (lambda d: _truncate(_mask(d)), "cut short"),
    "too few voxels in the file": (lambda d: _rewrite_header_length(_image(d)), "_image_"),
    "an empty file": (lambda d: _image(d).write_bytes(b""), "empty"),
    "a file that is not a NIfTI": (lambda d: _image(d).write_bytes(gzip.compress(b"hello" * 200)), "NIfTI"),
    "two files that match": (_two_masks, "b_mask.nii.gz"),
    "an image that is the mask": (lambda d: _change(_image(d), lambda _: np.array(_voxels(_mask(d)))), "of the mask"),
    "a link to an endless device": (lambda d: _link(_image(d), "/dev/zero"), "not a regular file"),
    "a pipe": (lambda d: (_image(d).unlink(), os.mkfifo(_victim(d) / "t1.nii.gz")), "not a regular file"),
    "a link that leads nowhere": (lambda d: _link(_image(d), "nowhere"), "broken link"),
    "values beyond float32": (lambda d: _change(_image(d), lambda a: a * 1e300), "float32"),
}


@pytest.mark.parametrize("defect", sorted(BAD_CASES))
def test_a_bad_case_is_named_and_left_out(defect: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harm, words = BAD_CASES[defect]
    name = _victim(data).name
    expected = _image(data).name if words == "_image_" else words
    harm(data)
    code, errors, output = _autoconfig(data, capsys)
    assert code == EXIT_SOME_CASES_FAILED, errors
    assert f"1 of {NUM_CASES} cases was left out" in errors
    (line,) = [line for line in errors.splitlines() if name in line and expected.lower() in line.lower()][:1] or [
        errors
    ]
    assert name in line
    assert expected.lower() in line.lower()
    assert "Traceback" not in errors
    datalist = json.loads(next(output.glob("*/configs/datalist.json")).read_text())
    assert name not in {entry["id"] for entry in datalist["training"]}
    assert len(datalist["training"]) == NUM_CASES - 1


@pytest.mark.parametrize("offset_mm", [1e-6, 1e-4])
def test_header_noise_is_no_defect(offset_mm: float, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _shift(_mask(data), offset_mm)
    assert _autoconfig(data, capsys)[0] == EXIT_OK


def test_stray_files_are_not_patients(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "train" / "README.txt").write_text("not a patient")
    (data / "train" / ".DS_Store").write_bytes(b"\0")
    code, errors, output = _autoconfig(data, capsys)
    assert code == EXIT_OK, errors
    datalist = json.loads(next(output.glob("*/configs/datalist.json")).read_text())
    assert len(datalist["training"]) == NUM_CASES


def _edit(**changes: Any) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        path = folder / "dataset.json"
        content = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return harm


def _no_cases(folder: Path) -> None:
    shutil.rmtree(folder / "train")
    (folder / "train").mkdir()


def _one_good(folder: Path) -> None:
    for path in sorted((folder / "train").glob("*/*mask*"))[1:]:
        _truncate(path)


def _pipe_for_json(folder: Path) -> None:
    (folder / "dataset.json").unlink()
    os.mkfifo(folder / "dataset.json")


def _same_scan(folder: Path) -> None:
    """The images of a case under another id: compressed anew, as another type, in another axis order."""
    for source in (folder / "train" / "mr2_001").glob("*.nii.gz"):
        image = nib.load(source)
        copy = nib.Nifti1Image(np.asarray(image.dataobj).astype(np.float32), image.affine)
        turned = copy.as_reoriented(nib.orientations.axcodes2ornt(("A", "R", "S")))
        nib.save(turned, folder / "train" / "mr2_002" / source.name)


def _all_bad(folder: Path) -> None:
    for path in (folder / "train").glob("*/*mask*"):
        _truncate(path)


# what is done to the dataset, and what the report says
BAD_SETS: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "a key is missing": (_edit(modality=None), ("dataset.json", "modality")),
    "two keys are missing": (_edit(modality=None, labels=None), ("modality", "labels")),
    "a misspelt key": (_edit(modality=None, modalty="mr"), ("modalty", "modality")),
    "an unknown modality": (_edit(modality="xray"), ("xray", "ct", "mr", "other")),
    "images is text": (_edit(images="t1"), ("images",)),
    "labels without background": (_edit(labels=[1, 2, 3]), ("labels", "0")),
    "a class of unknown labels": (_edit(final_classes={"tumour": [9]}), ("tumour", "9")),
    "a folder that is not there": (_edit(**{"train-data": "nowhere"}), ("nowhere",)),
    "an empty folder": (_no_cases, ("train",)),
    "broken JSON": (lambda d: (d / "dataset.json").write_text('{"task": '), ("dataset.json", "line 1")),
    "every case is bad": (_all_bad, ("train", "cut short")),
    "all cases but one are bad": (_one_good, ("cut short", "1 usable case")),
    "a task that climbs out of its folder": (_edit(task="../../evil"), ("task", "path")),
    "a class that MONAI would run": (_edit(final_classes={"$x": [1]}), ("final_classes", "$")),
    "a class that is a reference": (_edit(final_classes={"@x": [1]}), ("final_classes", "@")),
    "a class of two lines": (_edit(final_classes={"a\nb": [1]}), ("final_classes", "a\\nb")),
    "a class with the background": (_edit(final_classes={"a": [0, 1]}), ("final_classes.a", "background")),
    "a label that no voxel can hold": (_edit(labels=[0, 1, 2, 3, 10**30]), ("labels", "64 bits")),
    "the test set is the training set": (_edit(**{"test-data": "./train"}), ("test-data", "same folder")),
    "the test set lies within": (_edit(**{"test-data": "train/mr2_001"}), ("test-data", "within")),
    "JSON nested without end": (lambda d: (d / "dataset.json").write_text("[" * 100_000), ("nested",)),
    "a number of 5000 digits": (lambda d: (d / "dataset.json").write_text("[" + "9" * 5000 + "]"), ("too long",)),
    "a key twice": (
        lambda d: (d / "dataset.json").write_text('{"task": "a", "task": "b"}'),
        ("task", "more than once"),
    ),
    "half a character": (_edit(task="a\ud800"), ("half a character",)),
    "a description that is a pipe": (_pipe_for_json, ("not a regular file",)),
}


@pytest.mark.parametrize("defect", sorted(BAD_SETS))
def test_a_bad_data_set_is_refused(defect: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harm, words = BAD_SETS[defect]
    harm(data)
    code, errors, output = _autoconfig(data, capsys)
    assert code == EXIT_INPUT_REFUSED, errors
    missing = [word for word in words if word not in errors]
    assert not missing, errors
    assert "Traceback" not in errors
    assert not output.exists(), "nothing half-written"


def test_a_folder_whose_name_holds_the_search_text_misleads_nobody(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """mist-medical 2.3.0 matches the whole path: here it would take the image for its own label."""
    (data / "train").rename(data / "scans_and_masks")
    _edit(**{"train-data": "scans_and_masks", "mask": ["mask"]})(data)
    code, errors, output = _autoconfig(data, capsys)
    assert code == EXIT_OK, errors
    for entry in json.loads(next(output.glob("*/configs/datalist.json")).read_text())["training"]:
        assert "mask" in Path(entry["label"]).name
        assert not any("mask" in Path(image).name for image in entry["image"])


@pytest.mark.parametrize("name", ["$x", "@x", "%x", "new\nline", 'a"b', "Mean", os.fsdecode(b"caf\xe9")])
def test_names_that_a_bundle_cannot_hold_are_left_out(
    name: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _victim(data).rename(data / "train" / name)
    code, errors, output = _autoconfig(data, capsys)
    assert code == EXIT_SOME_CASES_FAILED, errors
    assert "cannot be the id of a case" in errors
    assert len(json.loads(next(output.glob("*/configs/datalist.json")).read_text())["training"]) == NUM_CASES - 1


@pytest.mark.parametrize("place", ["dataset.json", "dataset.json/out", "train", "train/mr2_001/out"])
def test_an_output_that_cannot_be_is_refused_before_anything_is_read(
    place: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(data.rglob("*"))
    code = cli.main(["autoconfig", str(data / "dataset.json"), "--output", str(data / place), "--folds", "2"])
    assert code == EXIT_INPUT_REFUSED
    assert "Choose" in capsys.readouterr().err
    assert sorted(data.rglob("*")) == before


def test_a_byte_order_mark_is_no_defect(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "dataset.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert _autoconfig(data, capsys)[0] == EXIT_OK


def test_copies_of_a_scan_share_a_fold_and_those_in_the_test_set_are_named(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _same_scan(data)
    ids = sorted(path.name for path in (data / "train").iterdir())
    shutil.copytree(data / "train" / ids[3], data / "test" / "new")
    _edit(**{"test-data": "test"})(data)
    output = data.parent / "out"
    words = ["autoconfig", str(data / "dataset.json"), "--output", str(output), "--folds", "3"]
    assert cli.main(words) == EXIT_OK
    entries = json.loads(next(output.glob("*/configs/datalist.json")).read_text())["training"]
    folds = {entry["id"]: entry["fold"] for entry in entries}
    assert folds[ids[0]] == folds[ids[1]]
    errors = capsys.readouterr().err.splitlines()
    assert any(line.startswith(f"warning: {ids[0]}, {ids[1]}: hold the same scan") for line in errors)
    assert any(line.startswith("warning: test set, new: holds the scan of") for line in errors)
