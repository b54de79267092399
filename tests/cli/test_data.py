"""Verbs that create or convert datasets."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED


def test_phantom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["phantom", str(tmp_path / "data"), "--kind", "ct", "--cases", "2", "--test_cases", "0"]
    assert cli.main(words) == EXIT_OK
    assert capsys.readouterr().out == f"Dataset: {tmp_path / 'data' / 'dataset.json'}\n"
    assert len(list((tmp_path / "data" / "train").iterdir())) == 2
    assert cli.main(words) == EXIT_INPUT_REFUSED
    assert "--overwrite" in capsys.readouterr().err
    assert cli.main([*words, "--overwrite", "--kind=pet"]) == EXIT_INPUT_REFUSED


def _image(path: Path, labels: bool) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(512).reshape(8, 8, 8)
    array = (values > 256).astype(np.uint8) if labels else values.astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return str(path)


def test_a_guessed_modality_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["id,mask,t1"]
    for name in ("a", "b"):
        mask, image = _image(tmp_path / name / "mask.nii.gz", True), _image(tmp_path / name / "t1.nii.gz", False)
        rows.append(f"{name},{mask},{image}")
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(rows))
    words = ["convert_csv", "--source", str(table), "--output", str(tmp_path / "out")]
    assert cli.main(words) == EXIT_OK
    assert "$.modality: is " in capsys.readouterr().err
    assert cli.main([*words, "--modality", "mr", "--overwrite"]) == EXIT_OK
    assert not capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["modality"] == "mr"


def _nnunet(folder: Path) -> Path:
    for name in ("c_1", "c_2"):
        _image(folder / "imagesTr" / f"{name}_0000.nii.gz", False)
        _image(folder / "labelsTr" / f"{name}.nii.gz", True)
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1}, "numTraining": 2}
    (folder / "dataset.json").write_text(json.dumps({**content, "file_ending": ".nii.gz"}))
    return folder


def test_nnunet_is_shown_and_the_next_command_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _nnunet(tmp_path / "Dataset001_Organ")
    words = ["convert_nnunet", str(source), str(tmp_path / "out")]
    assert cli.main([*words, "--dry_run"]) == EXIT_OK
    assert "Nothing was written (--dry_run)." in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert cli.main(words) == EXIT_OK
    dataset_json = tmp_path / "out" / "dataset.json"
    assert f"Next:    mist-bundle autoconfig {dataset_json}\n" in capsys.readouterr().out
    assert dataset_json.is_file()


def test_a_decathlon_folder_is_taken_in_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "Task01_Organ"
    training = []
    for number in range(3):
        _image(source / "imagesTr" / f"o_{number}.nii.gz", False)
        _image(source / "labelsTr" / f"o_{number}.nii.gz", True)
        training.append({"image": f"./imagesTr/o_{number}.nii.gz", "label": f"./labelsTr/o_{number}.nii.gz"})
    content = {"name": "Organ", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "organ"}}
    (source / "dataset.json").write_text(json.dumps({**content, "training": training, "test": [], "numTraining": 3}))
    words = ["convert_msd", str(source), str(tmp_path / "out"), "--start", "1", "--limit", "1"]
    assert cli.main(words) == EXIT_OK
    assert [path.name for path in (tmp_path / "out" / "train").iterdir()] == ["o_1"]


def test_a_dry_run_says_which_series_would_be_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pydicom")
    studies = make_phantom(tmp_path / "p", kind="ct", num_cases=2, shape=(8, 8, 8), dicom=True)
    (studies / "ct_001" / "003.dcm").write_bytes(b"")
    words = ["convert_dicom", "--source", str(studies), "--output", str(tmp_path / "out"), "--dry_run"]
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == ["ct_001", "ct_002", "Nothing"]
    assert "003.dcm: is not a DICOM file (0 bytes). Remove it if it is not a slice" in told.err
    assert not (tmp_path / "out").exists()
    assert cli.main(words[:-1]) == EXIT_SOME_CASES_FAILED, "converting refuses the same"
    assert "003.dcm: is not a DICOM file" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ct_002.nii.gz", "series.csv"]
