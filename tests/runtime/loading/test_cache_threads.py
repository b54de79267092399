"""Cases of several channels, prepared by several threads at once, keep their own channels."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from mist_bundle.runtime.loading.cache import ArrayCache
from mist_bundle.runtime.transforms.nifti_reader import NiftiReader


def test_threads_do_not_mix_up_channels(tmp_path: Path) -> None:
    items = []
    for case in range(24):
        files = []
        for channel in range(3):
            path = tmp_path / f"{case}_{channel}.nii.gz"
            nib.save(nib.Nifti1Image(np.full((6, 5, 4), 10 * case + channel, np.float32), np.eye(4)), path)
            files.append(str(path))
        items.append({"id": str(case), "image": files})
    transform = Compose([LoadImaged("image", reader=NiftiReader, image_only=True), EnsureChannelFirstd("image")])
    cache = ArrayCache(tmp_path / "cache", transform, keys=["image"], workers=8)
    cache.build(items)
    for case, item in enumerate(items):
        values = np.asarray(cache.get(item).array("image"))[:, 0, 0, 0].tolist()
        assert values == [10 * case, 10 * case + 1, 10 * case + 2]
