"""Bundles of another origin predict through their own inference.json."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError
from mist_bundle.pipeline.predict_cases import predict
from mist_bundle.pipeline.predict_stock import channel_names
from tests.bundle.stock import write_stock_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_stock_bundle(tmp_path)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in ("first", "second"):
        image = nib.Nifti1Image(generator.normal(size=(20, 18, 16)).astype(np.float32), np.diag([1.0, 2.0, 3.0, 1.0]))
        nib.save(image, folder / f"{name}.nii.gz")
    return folder


def test_label_maps_in_the_grid_of_the_images(bundle: Path, scans: Path, tmp_path: Path) -> None:
    written, _ = predict(bundle, scans, tmp_path / "out", trust=True, device="cpu")
    assert [path.parent.name for path in written] == ["first", "second"]
    result = nib.load(written[0])
    assert result.shape == (20, 18, 16)
    assert np.allclose(result.affine, nib.load(scans / "first.nii.gz").affine)


def test_only_with_trust(bundle: Path, scans: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--trust"):
        predict(bundle, scans, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_options_of_generated_bundles_are_refused(bundle: Path, scans: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--uncertainty.*cannot do that"):
        predict(bundle, scans, tmp_path / "out", uncertainty=True, trust=True)


def test_nothing_is_replaced(bundle: Path, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(InputError, match="not empty"):
        predict(bundle, scans, tmp_path / "out", trust=True)


def test_an_inference_without_the_usual_ids(tmp_path: Path, scans: Path) -> None:
    bundle = write_stock_bundle(tmp_path / "other", dataset=None)
    with pytest.raises(InputError, match="has no dataset#data"):
        predict(bundle, scans, tmp_path / "out", trust=True)


def test_names_of_channels(bundle: Path) -> None:
    assert channel_names(Bundle(bundle)) == ["ct"]
