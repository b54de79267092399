"""nnU-Net's raw datasets are read by nnU-Net's own rules, and nothing is written that was not understood."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.nnunet_layout import FOLDS_CSV, convert_nnunet
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, CaseFailure
from tests.dataset.samples import make_nnunet, write_nnunet_image


def _converted(source: Path, output: Path) -> tuple[DatasetSpec, list[str]]:
    spec = DatasetSpec.from_json(convert_nnunet(source, output).dataset_json)
    return spec, [case.id for case in find_cases(spec).cases]


def test_a_plain_data_set(tmp_path: Path) -> None:
    spec, cases = _converted(make_nnunet(tmp_path / "Dataset004_Liver"), tmp_path / "out")
    assert (spec.task, spec.modality, spec.channel_names) == ("liver", "mr", ("t1", "flair"))
    assert spec.labels == (0, 1, 2)
    assert spec.final_classes == {"liver": (1,), "tumor": (2,)}
    assert cases == [f"case_{number:03d}" for number in range(4)]
    assert [case.id for case in find_cases(spec, "test").cases] == ["new"]
    first = find_cases(spec).cases[0]
    assert first.images["flair"].resolve() == (tmp_path / "Dataset004_Liver/imagesTr/case_000_0001.nii.gz").resolve()


def test_regions_become_classes_and_the_ignore_label_is_kept(tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing": 3, "ignore": 4}
    source = make_nnunet(tmp_path / "Dataset001_Brats", labels=labels, regions_class_order=[1, 2, 3])
    spec, _ = _converted(source, tmp_path / "out")
    assert spec.final_classes == {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing": (3,)}
    assert spec.ignore_label == 4
    assert spec.labels == (0, 1, 2, 3)
    assert spec.label_names == {0: "background", 1: "label_1", 2: "label_2", 3: "enhancing"}


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_other_endings(ending: str, tmp_path: Path) -> None:
    spec, cases = _converted(make_nnunet(tmp_path / "Dataset002_Other", ending=ending), tmp_path / "out")
    assert len(cases) == 4
    assert find_cases(spec).cases[0].label is not None


def test_the_dataset_list_names_files_anywhere(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset003_Listed", channels=1)
    write_nnunet_image(tmp_path / "elsewhere" / "scan.nii.gz", 1)
    write_nnunet_image(tmp_path / "elsewhere" / "label.nii.gz", 2)
    listed = {"a": {"images": ["../elsewhere/scan.nii.gz"], "label": "../elsewhere/label.nii.gz"}}
    content = json.loads((source / "dataset.json").read_text())
    (source / "dataset.json").write_text(json.dumps({**content, "dataset": listed}))
    _, cases = _converted(source, tmp_path / "out")
    assert cases == ["a"]


def test_splits_become_folds(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset005_Folds")
    names = [f"case_{number:03d}" for number in range(4)]
    splits = [{"train": names[2:], "val": names[:2]}, {"train": names[:2], "val": names[2:]}]
    (source / "splits_final.json").write_text(json.dumps(splits))
    convert_nnunet(source, tmp_path / "out")
    assert (tmp_path / "out" / FOLDS_CSV).read_text().splitlines() == [
        "id,fold",
        "case_000,0",
        "case_001,0",
        "case_002,1",
        "case_003,1",
    ]


def test_a_case_without_label_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset008_Missing")
    (source / "labelsTr" / "case_002.nii.gz").unlink()
    with pytest.raises(CaseFailure, match="case_002"):
        mb.convert_nnunet(source, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(CaseFailure, match="case_002"):
        mb.convert_nnunet(source, tmp_path / "out")
    assert len(find_cases(DatasetSpec.from_json(tmp_path / "out" / "dataset.json")).cases) == 3


def test_folds_and_table_hold_what_was_written(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset010_Kept")
    names = [f"case_{number:03d}" for number in range(4)]
    splits = [{"train": names[2:], "val": names[:2]}, {"train": names[:2], "val": names[2:]}]
    (source / "splits_final.json").write_text(json.dumps(splits))
    (source / "labelsTr" / "case_002.nii.gz").unlink()
    for dry_run in (True, False):
        converted = convert_nnunet(source, tmp_path / "out", dry_run=dry_run)
        table = dict(converted.table)
        assert (table["training cases"], table["test cases"], table["folds"]) == ("3", "1", "2")
        assert [problem.path for problem in converted.problems] == ["case_002"]
        assert converted.total == 5
    assert (tmp_path / "out" / FOLDS_CSV).read_text().split() == ["id,fold", "case_000,0", "case_001,0", "case_003,1"]


def test_folds_that_lose_all_cases_of_one_are_dropped(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset011_Empty", cases=3)
    names = [f"case_{number:03d}" for number in range(3)]
    splits = [{"train": names[1:], "val": names[:1]}, {"train": names[:1], "val": names[1:]}]
    (source / "splits_final.json").write_text(json.dumps(splits))
    (source / "imagesTr" / "case_000_0001.nii.gz").unlink()
    (source / "imagesTr" / "case_000_0001.nii.gz").symlink_to("nowhere.nii.gz")
    converted = convert_nnunet(source, tmp_path / "out")
    assert "every case of fold 0 was left out" in str(converted.warnings[0])
    assert not (tmp_path / "out" / FOLDS_CSV).exists()
    assert dict(converted.table)["folds"] == "none"


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mist_bundle", *words], capture_output=True, text=True, check=False)


def test_autoconfig_names_the_command_and_the_command_works(tmp_path: Path) -> None:
    source = make_nnunet(tmp_path / "Dataset009_Way in")
    refused = _run("autoconfig", str(source / "dataset.json"))
    assert refused.returncode == EXIT_INPUT_REFUSED
    assert f"mist-bundle convert_nnunet --source '{source}'" in refused.stderr
    dry = _run("convert_nnunet", "--source", str(source), "--output", str(tmp_path / "out"), "--dry_run")
    assert dry.returncode == EXIT_OK
    assert "channels        t1, flair" in dry.stdout
    assert not (tmp_path / "out").exists()
    done = _run("convert_nnunet", "--source", str(source), "--output", str(tmp_path / "out"))
    assert done.returncode == EXIT_OK
    assert DatasetSpec.from_json(tmp_path / "out" / "dataset.json").task == "way_in"
