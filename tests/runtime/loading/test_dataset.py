"""Whole preprocessed volumes out of the cache, through MONAI's DataLoader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data.dataloader import DataLoader
from monai.data.meta_tensor import MetaTensor

from mist_bundle.runtime.loading.cache import ArrayCache
from mist_bundle.runtime.loading.dataset import CachedDataset

from .synthetic import array_cache, nifti_items, nifti_transform


@pytest.mark.parametrize("num_workers", [0, 1])
def test_whole_volumes_come_through_monais_loader(tmp_path: Path, num_workers: int) -> None:
    items = nifti_items(tmp_path / "raw", 3)
    transform = nifti_transform()
    dataset = CachedDataset(items, ArrayCache(tmp_path / "cache", transform, progress=False))
    batches = list(DataLoader(dataset, batch_size=1, num_workers=num_workers))
    assert [batch["id"] for batch in batches] == [["case0"], ["case1"], ["case2"]]
    for item, batch in zip(items, batches, strict=True):
        expected = transform(item)
        for key in ("image", "label"):
            assert isinstance(batch[key], MetaTensor)
            np.testing.assert_array_equal(batch[key][0].numpy(), expected[key].numpy())
            torch.testing.assert_close(batch[key].affine[0], expected[key].affine, check_dtype=False)
    assert batches[0]["image"].dtype == torch.float32
    assert batches[0]["label"].dtype == torch.uint8


def test_making_one_touches_nothing_and_a_case_has_its_own_name(tmp_path: Path) -> None:
    absent = {"image": ["/absent/scan.nii.gz"], "label": "/absent/label.nii.gz"}
    dataset = CachedDataset([absent], array_cache(tmp_path / "cache"))
    assert len(dataset) == 1
    assert dataset.data == [absent]
    assert not (tmp_path / "cache").exists()
    with pytest.raises(RuntimeError, match=r"scan: FileNotFoundError: 'image' names /absent/scan.nii.gz"):
        dataset[0]


def test_the_same_files_under_two_names(tmp_path: Path) -> None:
    (item,) = nifti_items(tmp_path / "raw", 1)
    dataset = CachedDataset(
        [item, {**item, "id": "twin"}], ArrayCache(tmp_path / "cache", nifti_transform(), progress=False)
    )
    assert [dataset[number]["id"] for number in range(2)] == ["case0", "twin"]


def test_what_the_cache_does_not_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds \['image', 'label'\], but not \['dtm'\]"):
        CachedDataset([], array_cache(tmp_path), keys=("image", "dtm"))


def test_of_mapped_arrays_the_file_is_given(tmp_path: Path) -> None:
    (item,) = nifti_items(tmp_path / "raw", 1)
    cache = ArrayCache(tmp_path / "cache", nifti_transform(), progress=False)
    given = CachedDataset([item], cache, keys=("image",), mapped=("label",))[0]
    assert set(given) == {"id", "image", "label_path"}
    np.testing.assert_array_equal(np.load(given["label_path"]), cache.get(item).array("label"))
    with pytest.raises(ValueError, match=r"but not \['dtm'\]"):
        CachedDataset([item], cache, mapped=("dtm",))


def test_arrays_may_be_written_to_without_harm_to_the_cache(tmp_path: Path) -> None:
    (item,) = nifti_items(tmp_path / "raw", 1)
    dataset = CachedDataset([item], ArrayCache(tmp_path / "cache", nifti_transform(), progress=False))
    dataset[0]["image"].zero_()
    assert dataset[0]["image"].abs().sum() > 0
