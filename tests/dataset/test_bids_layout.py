"""BIDS datasets are read by the rules of the specification, and all that does not fit is named at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.dataset.bids_layout import convert_bids, read_bids
from mist_bundle.dataset.cases import case_column, find_cases
from mist_bundle.dataset.folds import assign_folds
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import EXIT_OK, InputError
from tests.dataset.bids_samples import make_bids, write_image, write_label


def test_sessions_channels_names_and_patients(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds")
    outcome = convert_bids(root, tmp_path / "out")
    assert outcome.problems == []
    spec = DatasetSpec.from_json(outcome.dataset_json)
    assert spec.channel_names == ("FLAIR", "T1w")
    assert spec.modality == "mr"
    assert spec.label_names == {0: "background", 1: "hippocampus", 2: "amygdala"}
    assert (spec.description, spec.licence, spec.reference) == ("Memory study", "CC0", "doi:10.1/x")
    cases = find_cases(spec).cases
    assert [case.id for case in cases] == [
        "sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1", "sub-02_ses-2", "sub-03_ses-1"
    ]  # fmt: skip
    assert [case.id for case in find_cases(spec, "test").cases] == ["sub-03_ses-2"]
    assert cases[0].images["T1w"].resolve() == root / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    patients = case_column(cases, "patient")
    folds = assign_folds(list(patients), 3, seed=0, groups=patients)
    assert folds["sub-01_ses-1"] == folds["sub-01_ses-2"]
    assert folds["sub-02_ses-1"] == folds["sub-02_ses-2"]


def test_without_sessions_and_with_entities_that_tell_images_apart(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds", sessions=("",))
    for number in (1, 2, 3):
        write_image(root / f"sub-{number:02d}" / "anat", f"sub-{number:02d}_ce-gd_T1w")
    source = read_bids(root)
    assert source.columns == ("FLAIR", "T1w", "ce-gd_T1w")
    assert [case.id for case in source.training] == ["sub-01", "sub-02"]
    assert source.extra_columns == ("patient",)
    chosen = read_bids(root, images=("T1w", "FLAIR"))
    assert chosen.columns == ("T1w", "FLAIR")
    with pytest.raises(InputError, match='Did you mean "FLAIR"'):
        read_bids(root, images=("FLAIRE",))


def test_rare_channels_are_left_out_with_a_warning(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds")
    write_image(root / "sub-01" / "ses-1" / "anat", "sub-01_ses-1_T2w")
    source = read_bids(root)
    assert source.columns == ("FLAIR", "T1w")
    (warning,) = source.warnings
    assert str(warning).startswith("T2w: only 1 of 5 labelled cases have it; left out.")


def test_runs_are_cases_of_their_own(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds", subjects=2, sessions=("",))
    anat, labels = root / "sub-01" / "anat", root / "derivatives" / "labels" / "sub-01" / "anat"
    (anat / "sub-01_T1w.nii.gz").unlink()
    (labels / "sub-01_dseg.nii.gz").unlink()
    for run in ("1", "2"):
        write_image(anat, f"sub-01_run-{run}_T1w")
        write_label(labels, f"sub-01_run-{run}_dseg")
    source = read_bids(root)
    assert [case.id for case in source.training] == ["sub-01_run-1", "sub-01_run-2"]
    for case in source.training:
        assert case.images["FLAIR"].name == "sub-01_FLAIR.nii.gz"  # has no run, so it belongs to both
    assert {case.extra["patient"] for case in source.training} == {"sub-01"}


def test_several_label_maps_are_chosen_from_by_entities(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds", subjects=1, sessions=("",))
    labels = root / "derivatives" / "labels" / "sub-01" / "anat"
    write_label(labels, "sub-01_desc-manual_dseg")
    with pytest.raises(InputError, match=r"sub-01: has 2 label maps: .* Choose with --entities"):
        read_bids(root)
    (case,) = read_bids(root, entities=("desc-manual",)).training
    assert case.label is not None
    assert case.label.name == "sub-01_desc-manual_dseg.nii.gz"


def test_several_derivatives_are_chosen_from(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds", subjects=1, sessions=("",))
    write_label(root / "derivatives" / "fastsurfer" / "sub-01" / "anat", "sub-01_dseg")
    with pytest.raises(InputError, match="holds label maps in fastsurfer, labels"):
        read_bids(root)
    assert len(read_bids(root, derivatives="labels").training) == 1
    with pytest.raises(InputError, match="--derivatives"):
        read_bids(root, derivatives="lables")


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds")
    write_image(root / "sub-01" / "ses-1" / "anat", "sub-01_ses-1_acq_T1w")
    write_image(root / "sub-01" / "ses-1" / "anat", "sub-02_ses-1_T2w")
    (root / "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz").unlink()
    (root / "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz").unlink()
    (root / "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz").symlink_to("../../.git/annex/objects/x")
    problems = {problem.path: problem.message for problem in read_bids(root).problems}
    assert "not a key-value pair" in problems["sub-01/ses-1/anat/sub-01_ses-1_acq_T1w.nii.gz"]
    assert "unlike its folder" in problems["sub-01/ses-1/anat/sub-02_ses-1_T2w.nii.gz"]
    assert "datalad get" in problems["sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"]
    assert problems["sub-01_ses-2"] == "has no image FLAIR."
    assert problems["sub-02_ses-1"] == "has no image T1w."


@pytest.mark.parametrize("what", ["nothing", "no labels"])
def test_what_is_no_bids_is_refused(what: str, tmp_path: Path) -> None:
    root = tmp_path / "ds"
    root.mkdir()
    if what == "no labels":
        make_bids(root)
        (root / "derivatives").rename(root / "other")
    with pytest.raises(InputError, match="Give its root" if what == "nothing" else "holds no folder with label maps"):
        convert_bids(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path: Path) -> None:
    root = make_bids(tmp_path / "ds")
    places = ["--source", str(root), "--output", str(tmp_path / "out")]
    words = [sys.executable, "-m", "mist_bundle", "convert_bids", *places]
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    dry = subprocess.run([*words, "--dry_run"], capture_output=True, text=True, check=False)
    assert dry.returncode == EXIT_OK, dry.stderr
    assert "sub-01_ses-1    sub-01_ses-1_FLAIR.nii.gz, sub-01_ses-1_T1w.nii.gz, label sub-01_ses-1_dseg" in dry.stdout
    assert not (tmp_path / "out").exists()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_OK, done.stderr
    assert f"autoconfig {tmp_path / 'out' / 'dataset.json'}" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}
