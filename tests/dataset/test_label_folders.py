"""Folders with a mask file for each structure, as TotalSegmentator has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.conversion import ConversionOptions
from mist_bundle.dataset.label_folders import convert_labels, read_label_folders
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from tests.dataset.samples import BOXES, save_volume, write_masks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three cases; the second has no spleen."""
    for number in range(3):
        write_masks(tmp_path / "TS" / f"s{number:04d}", without=("spleen",) if number == 1 else ())
    return tmp_path / "TS"


def _label(dataset_json: Path, number: int) -> np.ndarray:
    label = find_cases(DatasetSpec.from_json(dataset_json)).cases[number].label
    assert label is not None
    return read_volume(label).array


def test_the_masks_become_a_label_map(root: Path) -> None:
    outcome = convert_labels(root, root.parent / "out")
    spec = DatasetSpec.from_json(outcome.dataset_json)
    assert spec.modality == "ct"
    assert spec.label_names == {0: "background", 1: "liver", 2: "spleen", 3: "tumor"}
    label = _label(outcome.dataset_json, 0)
    assert (label[BOXES["tumor"]] == 3).all()
    assert int((label == 1).sum()) == 8 * 8 * 6 - 2 * 2 * 2
    assert [str(warning).split(";")[0] for warning in outcome.warnings[:3]] == [
        f"s{number:04d}: liver and tumor share 8 voxels" for number in range(3)
    ]


def test_overlapping_structures_stay_trainable_as_regions(root: Path) -> None:
    outcome = convert_labels(root, root.parent / "out", options=ConversionOptions(overlaps="regions"))
    spec = DatasetSpec.from_json(outcome.dataset_json)
    assert spec.final_classes == {"liver": (1, 3), "spleen": (2,), "tumor": (3,)}
    label = _label(outcome.dataset_json, 2)
    liver = np.zeros(label.shape, bool)
    liver[BOXES["liver"]] = True
    np.testing.assert_array_equal(np.isin(label, spec.final_classes["liver"]), liver)
    table = (root.parent / "out" / "overlaps.csv").read_text().splitlines()
    assert table[:2] == ["id,first,second,voxels", "s0000,liver,tumor,8"]


def test_combinations_have_the_same_labels_in_all_cases(tmp_path: Path) -> None:
    # in the order of appearance the first case would number them otherwise than the second
    pairs = {"a": ("liver", "tumor"), "b": ("liver", "spleen")}
    for case, structures in pairs.items():
        for name in ("liver", "spleen", "tumor"):
            array = np.zeros((6, 5, 4), np.uint8)
            array[1:3, 0 if name in structures else 3 + len(name) % 2] = 1
            save_volume(tmp_path / "in" / case / "segmentations" / f"{name}.nii.gz", array)
        save_volume(tmp_path / "in" / case / "ct.nii.gz", np.zeros((6, 5, 4), np.int16))
    outcome = convert_labels(tmp_path / "in", tmp_path / "out", options=ConversionOptions(overlaps="regions"))
    names = DatasetSpec.from_json(outcome.dataset_json).label_names
    assert names[int(_label(outcome.dataset_json, 0)[1, 0, 0])] == "liver + tumor"
    assert names[int(_label(outcome.dataset_json, 1)[1, 0, 0])] == "liver + spleen"


def test_the_order_of_labels_is_the_users(root: Path) -> None:
    outcome = convert_labels(root, root.parent / "out", ("tumor", "liver"))
    assert DatasetSpec.from_json(outcome.dataset_json).label_names == {0: "background", 1: "tumor", 2: "liver"}
    assert (_label(outcome.dataset_json, 0)[BOXES["tumor"]] == 2).all()


def test_a_missing_mask_is_absent_or_refused(root: Path) -> None:
    absent = convert_labels(root, root.parent / "absent")
    assert "spleen: 1 case has no mask file of it (s0001)" in "\n".join(map(str, absent.warnings))
    refused = convert_labels(root, root.parent / "refused", options=ConversionOptions(missing="refuse"))
    assert [str(problem) for problem in refused.problems] == ["s0001: masks: has no mask file for spleen."]
    assert len(find_cases(DatasetSpec.from_json(refused.dataset_json)).cases) == 2


def test_a_missing_mask_may_be_not_annotated(root: Path) -> None:
    options = ConversionOptions(missing="unannotated")
    outcome = convert_labels(root, root.parent / "out", options=options)
    assert "(s0001): it is taken to be not annotated there" in "\n".join(map(str, outcome.warnings))
    cases = find_cases(DatasetSpec.from_json(outcome.dataset_json)).cases
    assert [case.unlabelled for case in cases] == [(), (2,), ()]  # 2 is the spleen
    with pytest.raises(InputError, match="cannot be combined with --overlaps regions"):
        convert_labels(root, root.parent / "x", options=ConversionOptions(missing="unannotated", overlaps="regions"))


def test_damaged_cases_are_named_with_all_that_is_wrong(root: Path) -> None:
    save_volume(root / "s0001" / "segmentations" / "liver.nii.gz", np.ones((3, 3, 3), np.uint8))
    (root / "s0001" / "segmentations" / "tumor.nii.gz").write_bytes(b"no image")
    (root / "s0009").mkdir()
    (root / "meta.csv").write_text("image_id;age\n")
    outcome = convert_labels(root, root.parent / "out")
    problems = {problem.path: problem.message for problem in outcome.problems}
    assert set(problems) == {"s0001", "s0009"}
    assert "liver.nii.gz does not lie on the grid of ct.nii.gz" in problems["s0001"]
    assert "tumor.nii.gz" in problems["s0001"]
    assert 'has no folder "segmentations" of masks' in problems["s0009"]
    assert "has no image" in problems["s0009"]


def test_unknown_names_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match='Did you mean "spleen"'):
        read_label_folders(root, ("splen",))
    with pytest.raises(InputError, match="holds no case folder"):
        read_label_folders(root, mask_folder="masks")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mist_bundle", *words], capture_output=True, text=True, check=False)


def test_the_command(root: Path) -> None:
    output = root.parent / "out"
    words = ["convert_labels", "--source", str(root), "--output", str(output), "--labels", "liver,spleen"]
    before = sorted(path.stat().st_mtime_ns for path in root.rglob("*"))
    dry = _run(*words, "--dry_run")
    assert dry.returncode == EXIT_OK, dry.stderr
    assert "labels          0 background, 1 liver, 2 spleen" in dry.stdout
    assert "missing masks   in 1 cases" in dry.stdout
    assert "Nothing was written" in dry.stdout
    assert not output.exists()
    assert _run(*words, "--missing", "refuse").returncode == EXIT_SOME_CASES_FAILED
    assert _run(*words).returncode == EXIT_INPUT_REFUSED  # the folder is there
    assert before == sorted(path.stat().st_mtime_ns for path in root.rglob("*"))


def test_an_image_that_few_cases_have_costs_the_others_nothing(root: Path) -> None:
    save_volume(root / "s0001" / "ct_old.nii.gz", read_volume(root / "s0001" / "ct.nii.gz").array)
    source = read_label_folders(root)
    assert source.columns == ("ct",)
    (warning,) = source.warnings
    assert str(warning).startswith("ct_old: only 1 of 3 labelled cases have it; left out")
    for number in range(3):
        (root / f"s{number:04d}" / "ct.nii.gz").rename(root / f"s{number:04d}" / f"ct{number}.nii.gz")
    (root / "s0001" / "ct_old.nii.gz").unlink()
    with pytest.raises(InputError, match="no image is common to half of the 3 cases"):
        read_label_folders(root)


@pytest.mark.parametrize("folder", ["../s0000/segmentations", "/segmentations"])
def test_masks_of_another_case_are_not_taken(root: Path, folder: str) -> None:
    with pytest.raises(InputError, match="expected the name of a folder in each case folder"):
        read_label_folders(root, mask_folder=folder)
