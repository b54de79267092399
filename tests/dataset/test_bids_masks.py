"""Masks of single structures in a BIDS dataset."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.dataset.bids_layout import convert_bids, read_bids
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.conversion import ConversionOptions
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import EXIT_OK, InputError
from tests.dataset.samples import save_volume

SHAPE = (8, 7, 6)
# slices along the first axis
SLICES = {"liver": (1, 5), "spleen": (5, 7), "tumour": (3, 6)}


def _dataset(root: Path, key: str, masks: dict[str, list[str]]) -> Path:
    """Subjects with an image and a mask for each of their structures."""
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "Masks", "BIDSVersion": "1.9.0"}')
    for subject, structures in masks.items():
        image = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32)
        save_volume(root / subject / "anat" / f"{subject}_T1w.nii.gz", image)
        for structure in structures:
            mask = np.zeros(SHAPE, np.uint8)
            start, stop = SLICES[structure]
            mask[start:stop] = 1
            folder = root / "derivatives" / "labels" / subject / "anat"
            save_volume(folder / f"{subject}_{key}-{structure}_mask.nii.gz", mask)
    return root


def _label_of(dataset_json: Path, number: int) -> list[int]:
    case = find_cases(DatasetSpec.from_json(dataset_json)).cases[number]
    assert case.label is not None
    return [int(value) for value in read_volume(case.label).array[:, 0, 0]]


def test_masks_are_merged_in_the_order_of_the_labels(tmp_path: Path) -> None:
    root = _dataset(
        tmp_path / "ds", "label", {"sub-01": ["liver", "spleen", "tumour"], "sub-02": ["liver"], "sub-03": []}
    )
    options = ConversionOptions(missing="unannotated")
    outcome = convert_bids(
        root, tmp_path / "out", suffix="mask", structures=["spleen", "liver", "tumour"], options=options
    )
    spec = DatasetSpec.from_json(outcome.dataset_json)
    assert spec.label_names == {0: "background", 1: "spleen", 2: "liver", 3: "tumour"}
    assert _label_of(outcome.dataset_json, 0) == [0, 2, 2, 3, 3, 3, 1, 0]
    cases = find_cases(spec).cases
    assert [(case.id, case.unlabelled) for case in cases] == [("sub-01", ()), ("sub-02", (1, 3))]
    assert [case.id for case in find_cases(spec, "test").cases] == ["sub-03"]
    assert {case.extra["patient"] for case in cases} == {"sub-01", "sub-02"}
    assert any("liver and tumour share 84 voxels" in warning.message for warning in outcome.warnings)


def test_the_command_takes_all_structures_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _dataset(tmp_path / "ds", "label", {"sub-01": ["liver", "spleen"], "sub-02": ["liver", "spleen"]})
    words = ["convert_bids", "--source", str(root), "--output", str(tmp_path / "out"), "--suffix", "mask"]
    assert cli.main(words) == EXIT_OK
    assert "labels          0 background, 1 liver, 2 spleen" in capsys.readouterr().out
    assert _label_of(tmp_path / "out" / "dataset.json", 1) == [0, 1, 1, 1, 1, 2, 2, 0]
    assert cli.main(words[:-2]) != EXIT_OK
    assert "pass --suffix mask" in capsys.readouterr().err


def test_descriptions_name_structures_that_are_asked_for(tmp_path: Path) -> None:
    root = _dataset(tmp_path / "ds", "desc", {"sub-01": ["liver", "spleen"]})
    source = read_bids(root, suffix="mask", structures=["spleen"])
    assert source.structures == ("spleen",)
    assert [list(case.masks) for case in source.training] == [["spleen"]]
    with pytest.raises(InputError, match=r"names 'spleenn', of which there is no mask\. Did you mean \"spleen\""):
        read_bids(root, suffix="mask", structures=["spleenn"])
    with pytest.raises(InputError, match="has 2 label maps"):
        read_bids(root, suffix="mask")


def test_hemispheres_are_structures_of_their_own_and_doubles_are_named(tmp_path: Path) -> None:
    root = _dataset(tmp_path / "ds", "label", {"sub-01": ["liver"], "sub-02": ["liver"]})
    folder = root / "derivatives" / "labels" / "sub-01" / "anat"
    mask = nib.load(folder / "sub-01_label-liver_mask.nii.gz")
    for side in "LR":
        nib.save(mask, folder / f"sub-01_hemi-{side}_label-hippocampus_mask.nii.gz")
    nib.save(mask, root / "derivatives/labels/sub-02/anat/sub-02_label-liver_desc-second_mask.nii.gz")
    with pytest.raises(InputError):
        read_bids(root, suffix="mask", entities=["desc-third"])
    source = read_bids(root, suffix="mask")
    assert source.structures == ("hippocampus_L", "hippocampus_R", "liver")
    (problem,) = source.problems
    assert problem.path == "sub-02"
    assert "has 2 masks of liver" in problem.message


def test_structures_of_label_maps_are_refused_with_the_suffix_of_masks(tmp_path: Path) -> None:
    root = _dataset(tmp_path / "ds", "label", {"sub-01": ["liver"], "sub-02": ["liver"]})
    for subject in ("sub-01", "sub-02"):
        save_volume(root / "derivatives/labels" / subject / "anat" / f"{subject}_dseg.nii.gz", np.ones(SHAPE, np.uint8))
    with pytest.raises(InputError, match=r"--labels: chooses masks .* \*_dseg\. Pass --suffix mask"):
        read_bids(root, structures=["liver"])
    assert read_bids(root, structures=["liver"], suffix="mask").structures == ("liver",), "the advice works"


def test_descriptions_that_may_be_structures_are_offered(tmp_path: Path) -> None:
    root = _dataset(tmp_path / "ds", "desc", {"sub-01": ["liver", "spleen"], "sub-02": ["liver", "spleen"]})
    with pytest.raises(InputError, match=r"sub-01: has 2 label maps: .* pass --labels liver,spleen"):
        read_bids(root, suffix="mask")
    assert read_bids(root, suffix="mask", structures=["liver", "spleen"]).structures == ("liver", "spleen")
    root = _dataset(tmp_path / "mixed", "desc", {"sub-01": ["liver"], "sub-02": ["spleen"]})
    (warning,) = read_bids(root, suffix="mask").warnings
    assert "of liver, spleen become the same label. If they are of different structures, pass" in warning.message
    assert read_bids(root, suffix="mask", entities=["desc-liver"]).warnings == ()


def test_a_mask_without_a_structure_beside_others_is_said(tmp_path: Path) -> None:
    root = _dataset(tmp_path / "ds", "label", {"sub-01": ["liver"], "sub-02": ["liver"]})
    assert read_bids(root, suffix="mask").warnings == ()
    save_volume(root / "derivatives/labels/sub-02/anat/sub-02_mask.nii.gz", np.ones(SHAPE, np.uint8))
    source = read_bids(root, suffix="mask")
    (warning,) = source.warnings
    assert "no structure is named by label- in sub-02_mask.nii.gz; left out" in warning.message
    assert [list(case.masks) for case in source.training] == [["liver"], ["liver"]]
