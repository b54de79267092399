"""Small cases for the loading tests: NIfTI files where reading matters, plain arrays where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.io.dictionary import LoadImaged
from numpy.typing import NDArray

from mist_bundle.runtime.loading.cache import ArrayCache
from mist_bundle.runtime.loading.patches import PatchSampler
from mist_bundle.runtime.loading.settings import PatchSettings
from mist_bundle.runtime.loading.volumes import CacheEntry

Item = dict[str, Any]


class LoadArrays:
    """A transform that reads the .npy files an item names; picklable, and notes each case that it touches."""

    def __init__(self, keys: Sequence[str] = ("image", "label"), log: Path | None = None, factor: float = 1.0) -> None:
        self.keys = tuple(keys)
        self.log = log
        self.factor = factor

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        if self.log is not None:
            with self.log.open("a") as stream:
                stream.write(f"{item['id']}\n")
        result: dict[str, Any] = dict(item)
        for key in self.keys:
            path = item[key][0] if isinstance(item[key], list) else item[key]
            result[key] = np.load(path)
        result["image"] = result["image"] * np.float32(self.factor)
        if "dtm" in self.keys:
            result["dtm"] = result["dtm"].astype(np.float32)
        return result


def array_items(folder: Path, cases: Mapping[str, Mapping[str, NDArray[Any]]]) -> list[Item]:
    """Write each case's arrays ("image", "label", perhaps "dtm") as .npy files."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for name, arrays in cases.items():
        item: Item = {"id": name}
        for key, array in arrays.items():
            path = folder / f"{name}_{key}.npy"
            np.save(path, array)
            item[key] = [str(path)] if key == "image" else str(path)
        items.append(item)
    return items


def array_cache(folder: Path, keys: Sequence[str] = ("image", "label"), **options: Any) -> ArrayCache:
    """A cache over `array_items`."""
    return ArrayCache(folder, LoadArrays(keys), keys=keys, progress=False, **options)


def random_case(
    seed: int, shape: Sequence[int], channels: int = 1, num_classes: int = 3, dtm: bool = False
) -> dict[str, NDArray[Any]]:
    """Noise with blocks of each class but background."""
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((channels, *shape)).astype(np.float32)
    label = np.zeros((1, *shape), np.uint8)
    for index in range(1, num_classes):
        corner = [int(rng.integers(0, max(1, size - 5))) for size in shape]
        label[(0, *(slice(first, first + 5) for first in corner))] = index
    case: dict[str, NDArray[Any]] = {"image": image, "label": label}
    if dtm:
        case["dtm"] = rng.standard_normal((num_classes, *shape)).astype(np.float32)
    return case


def entries(folder: Path, cases: Mapping[str, Mapping[str, NDArray[Any]]]) -> list[CacheEntry]:
    """The cases, preprocessed (which changes nothing)."""
    keys = tuple(next(iter(cases.values())))
    return array_cache(folder / "cache", keys).build(array_items(folder / "raw", cases))


def coordinate_case(shape: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Three channels that hold each voxel's own X, Y, Z; label and dtm likewise derived from the position."""
    grid = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")).astype(np.float32)
    label = (np.ravel_multi_index(tuple(grid.astype(np.int64)), tuple(shape)) % 251).astype(np.uint8)[None]
    return {"image": grid, "label": label, "dtm": grid * 2 + 1}


def nifti_items(folder: Path, count: int, shape: Sequence[int] = (20, 24, 18), modalities: int = 2) -> list[Item]:
    """Write NIfTI cases with an anisotropic affine, uint8 labels {0, 1, 2}, a file a modality."""
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    affine[:3, 3] = (-4.0, 7.0, 11.0)
    items = []
    for number in range(count):
        case = random_case(number, shape, modalities)
        paths = []
        for modality in range(modalities):
            path = folder / f"case{number}_m{modality}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(case["image"][modality], affine), path)
            paths.append(str(path))
        label = folder / f"case{number}_label.nii.gz"
        nibabel.save(nibabel.Nifti1Image(case["label"][0], affine), label)
        items.append({"id": f"case{number}", "image": paths, "label": str(label)})
    return items


def nifti_transform() -> Compose:
    """Read NIfTI files; nothing else."""
    return Compose([LoadImaged(["image", "label"], ensure_channel_first=True)])


def as_meta(array: NDArray[Any], affine: NDArray[Any]) -> MetaTensor:
    """A MetaTensor of a copy."""
    return MetaTensor(array.copy(), affine=affine)


def patch_sampler(
    cases: Sequence[CacheEntry],
    patch_size: tuple[int, int, int] = (8, 8, 8),
    *,
    patches_per_epoch: int = 20,
    allow_resampling: bool = True,
    **settings: Any,
) -> PatchSampler:
    """A sampler of one process, a patch a step."""
    patches = PatchSettings(patch_size=patch_size, batch_size=1, steps_per_epoch=patches_per_epoch, **settings)
    return PatchSampler(cases, patches, allow_resampling=allow_resampling)
