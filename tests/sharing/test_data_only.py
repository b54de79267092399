"""A bundle without code predicts as the bundle it was exported from."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle import pipeline
from mist_bundle.cli import main
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.errors import InputError
from mist_bundle.pipeline.predict_cases import predict
from mist_bundle.planning.options import PlanOptions
from mist_bundle.sharing.data_only import MIN_EQUAL_VOXELS, export_data_only
from mist_bundle.trust.audit.overview import overview_of
from mist_bundle.trust.audit.run import audit_bundle

SHIPPED = Path(__file__).parents[2] / "bundles" / "hippocampus_segmentation"


def test_a_network_of_scripts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"network: is scripts\.networks\.subpixel"):
        export_data_only(SHIPPED, tmp_path / "plain")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_must_be_new(tmp_path: Path) -> None:
    assert main(["export", str(SHIPPED), "--format", "data_only", "--output", str(tmp_path)]) == 2
    assert main(["export", str(SHIPPED), "--format", "data_only"]) == 2


@pytest.mark.slow
def test_it_predicts_real_images_as_its_source(hippocampus_dir: Path, tmp_path: Path) -> None:
    data = convert_msd(hippocampus_dir, tmp_path / "data", limit=6)
    options = PlanOptions(recipe="quick", folds=2, network="nnunet", epochs=1, steps_per_epoch=20)
    bundle = pipeline.autoconfig(data, tmp_path / "out", options).bundle
    pipeline.train(bundle, [0], {"val_interval": 1})
    done = export_data_only(bundle, tmp_path / "plain")
    assert done.equal_voxels >= MIN_EQUAL_VOXELS
    assert not list(done.folder.rglob("*.py"))
    overview = overview_of(done.folder, audit_bundle(done.folder))
    assert overview is not None
    assert (overview.other, overview.others, overview.code) == ([], [], [])
    images = sorted((hippocampus_dir / "imagesTr").glob("hippocampus_*.nii.gz"))[6:8]
    cases = tmp_path / "cases"
    cases.mkdir()
    for image in images:
        shutil.copyfile(image, cases / image.name)
    ours, _ = predict(bundle, cases, tmp_path / "ours", tta=False, device="cpu", overrides={"ensemble": False})
    theirs, _ = predict(done.folder, cases, tmp_path / "theirs", trust=True, device="cpu")
    for first, second in zip(ours, theirs, strict=True):
        equal = np.mean(np.asarray(nib.load(first).dataobj) == np.asarray(nib.load(second).dataobj))
        assert equal > 0.999
