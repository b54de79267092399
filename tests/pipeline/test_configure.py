"""From a description of data to a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mist_bundle import pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError
from mist_bundle.files import FINGERPRINT_JSON, read_json, work_dir_of
from mist_bundle.pipeline.fold_choice import FoldRules
from mist_bundle.planning.options import PlanOptions

OPTIONS = PlanOptions(recipe="quick", folds=2, epochs=1, patch_size=(16, 16, 16))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_phantom(tmp_path / "data", num_cases=4, num_test=1, seed=3, shape=(16, 16, 12))


def test_the_plan_the_folds_and_the_fingerprint_are_written(data: Path, tmp_path: Path) -> None:
    configured = pipeline.autoconfig(data, tmp_path / "out", OPTIONS)
    assert configured.plan.num_cases == len(configured.case_ids) == 4
    assert not configured.excluded
    assert read_json(configured.bundle / "configs" / "plan.json")["num_cases"] == 4
    datalist = read_json(configured.bundle / "configs" / "datalist.json")
    assert sorted(entry["fold"] for entry in datalist["training"]) == [0, 0, 1, 1]
    assert len(datalist["testing"]) == 1
    measured = read_json(work_dir_of(configured.bundle) / FINGERPRINT_JSON)
    assert len(measured["cases"]) == 4


def test_a_test_case_that_cannot_be_read_is_left_out_by_name(data: Path, tmp_path: Path) -> None:
    (test_case,) = (data.parent / "test").iterdir()
    for image in test_case.glob("*.nii.gz"):
        image.write_bytes(b"no image")
    configured = pipeline.autoconfig(data, tmp_path / "out", OPTIONS)
    assert [problem.path for problem in configured.excluded] == [test_case.name]
    assert read_json(configured.bundle / "configs" / "datalist.json")["testing"] == []


def test_a_scan_in_two_folds_of_the_user_is_refused(data: Path, tmp_path: Path) -> None:
    first, second, *_ = sorted((data.parent / "train").iterdir())
    for image in first.glob("*.nii.gz"):
        shutil.copyfile(image, second / image.name)
    table = tmp_path / "folds.csv"
    names = sorted(path.name for path in (data.parent / "train").iterdir())
    table.write_text("id,fold\n" + "".join(f"{name},{number % 2}\n" for number, name in enumerate(names)))
    with pytest.raises(InputError, match=first.name):
        pipeline.autoconfig(data, tmp_path / "out", OPTIONS, fold_rules=FoldRules(fold_file=table))
    assert not (tmp_path / "out").exists()


def test_warnings_about_the_data_are_kept_in_the_plan(data: Path, tmp_path: Path) -> None:
    case = sorted((data.parent / "train").iterdir())[0]
    mask = next(case.glob("*mask*"))
    image = nibabel.load(mask)
    empty = np.zeros(image.shape, dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(empty, image.affine), mask)
    configured = pipeline.autoconfig(data, tmp_path / "out", OPTIONS)
    warnings = [str(warning) for warning in pipeline.data_warnings(configured.bundle)]
    assert [str(warning) for warning in configured.warnings if str(warning) in warnings] == warnings
    assert any(case.name in warning for warning in warnings) or any(
        case.name in str(problem) for problem in configured.excluded
    )


def test_a_folder_that_is_no_bundle_is_never_replaced(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "phantom_mr2_segmentation"
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("my own")
    with pytest.raises(InputError, match="is not a bundle"):
        pipeline.autoconfig(data, tmp_path / "out", OPTIONS, overwrite=True)
    assert (target / "notes.txt").read_text() == "my own"
