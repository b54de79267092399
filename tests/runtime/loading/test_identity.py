"""What names a cache entry: files, settings of the transforms and their source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import NormalizeIntensityd
from monai.transforms.io.dictionary import LoadImaged
from monai.transforms.spatial.dictionary import Spacingd

from mist_bundle.runtime.loading.identity import cache_key, describe, input_files, own_code
from mist_bundle.runtime.transforms.crop_to_foreground import CropToForegroundd
from mist_bundle.runtime.transforms.distance_maps import DistanceMapsd
from mist_bundle.runtime.transforms.labels_to_indices import LabelsToIndicesd
from mist_bundle.runtime.transforms.nifti_reader import NiftiReader
from mist_bundle.runtime.transforms.nonzero_mask import NonzeroMaskd
from mist_bundle.runtime.transforms.normalize import WindowNormalized
from mist_bundle.runtime.transforms.orientation import ReorientToLPSd
from mist_bundle.runtime.transforms.resample import ResampleToSpacingd

from .synthetic import Item, nifti_items


def chain(pixdim: float = 1.0, keys: tuple[str, ...] = ("image", "label")) -> Compose:
    return Compose([LoadImaged(keys), Spacingd("image", pixdim=(pixdim, 1.0, 1.0)), NormalizeIntensityd("image")])


def bundle_chain(**options: Any) -> Compose:
    """The transforms of a generated bundle, all of them."""
    keys = ["image", "label"]
    return Compose(
        [
            LoadImaged(keys, ensure_channel_first=True, reader=NiftiReader()),
            LabelsToIndicesd("label", labels=[0, 1, 2]),
            CropToForegroundd(),
            NonzeroMaskd(),
            ReorientToLPSd([*keys, "nonzero"]),
            ResampleToSpacingd(target_spacing=options.get("spacing", [1.5, 1.5, 1.5]), num_classes=3),
            WindowNormalized("image", mode="per_image", mask_key=options.get("mask_key", "nonzero")),
            DistanceMapsd(num_classes=3, normalize=options.get("normalize", True)),
        ]
    )


@pytest.mark.parametrize("options", [{"spacing": [1.5, 1.5, 1.6]}, {"mask_key": None}, {"normalize": False}])
def test_the_bundles_own_settings_are_part_of_the_description(options: dict[str, Any]) -> None:
    assert describe(bundle_chain()) == describe(bundle_chain())
    assert describe(bundle_chain(**options)) != describe(bundle_chain())


def test_transforms_constructed_alike_are_described_alike() -> None:
    text = json.dumps(describe(chain()))
    assert text == json.dumps(describe(chain()))
    assert "0x" not in text  # no address: it would differ in every process


@pytest.mark.parametrize(
    "other",
    [
        chain(pixdim=1.0001),
        chain(keys=("image",)),
        Compose([NormalizeIntensityd("image")]),
        Compose([NormalizeIntensityd("image", nonzero=True)]),
        Compose([NormalizeIntensityd("label")]),
    ],
)
def test_another_setting_is_another_description(other: Compose) -> None:
    assert describe(other) != describe(chain())


def test_use_does_not_change_the_description(tmp_path: Path) -> None:
    transform = bundle_chain()
    before = describe(transform)
    transform(nifti_items(tmp_path, 1)[0])
    assert describe(transform) == before


def test_values_of_every_kind() -> None:
    class Colour(Enum):
        RED = 1

    distinct = [
        None,
        True,
        2,
        2.5,
        "2",
        [1, 2],
        [2, 1],
        {"a": 1},
        {"a": 2},
        {3, 1},
        Colour.RED,
        torch.float32,
        torch.float16,
        torch.device("cpu"),
        np.arange(3),
        np.arange(3.0),
        torch.arange(4),
        np.sum,
        np.max,
        partial(np.sum, axis=0),
        partial(np.sum, axis=1),
        float("nan"),
        str,
    ]
    texts = [json.dumps(describe(value)) for value in distinct]
    assert len(set(texts)) == len(distinct)
    assert describe((1, 2)) == describe([1, 2])  # JSON gives lists where code gives tuples
    assert describe(np.float64(2.5)) == describe(2.5)
    assert describe({"b": 1, "a": 2}) == describe({"a": 2, "b": 1})


def test_sets_are_described_alike_in_every_process() -> None:
    code = (
        "import json; from mist_bundle.runtime.loading.identity import describe, own_code;"
        "print(json.dumps(describe({'a', 'b', 'c', 'd', 'e'})), own_code())"
    )
    root = Path(__file__).resolve().parents[3]
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert own_code() in texts.pop()


def test_a_cycle_ends() -> None:
    class Node:
        def __init__(self) -> None:
            self.me = self

    assert json.dumps(describe(Node()))


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def item(tmp_path: Path) -> Item:
    for name in ("t1.nii", "t2.nii", "seg.nii"):
        (tmp_path / name).write_bytes(b"abc")
    return {
        "id": "a",
        "image": [str(tmp_path / "t1.nii"), str(tmp_path / "t2.nii")],
        "label": str(tmp_path / "seg.nii"),
    }


def key(item: Item, recipe: object = "r", version: int = 1, keys: tuple[str, ...] = ("image",)) -> str:
    return cache_key(version, recipe, keys, item)


def test_equal_inputs_have_one_key(item: Item) -> None:
    assert key(item) == key(dict(reversed(item.items())))
    assert key(item) == key({**item, "id": "another name"})
    assert len(key(item)) == 32


def test_whatever_changes_the_result_changes_the_key(item: Item, tmp_path: Path) -> None:
    first = tmp_path / "t1.nii"
    keys = {
        key(item),
        key(item, recipe="s"),
        key(item, version=2),
        key(item, keys=("image", "label")),
        key({**item, "image": list(reversed(item["image"]))}),
        key({"id": "a", "image": item["image"]}),
        key({**item, "site": "A"}),
    }
    status = first.stat()
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    keys.add(key(item))
    first.write_bytes(b"abcd")
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns))
    keys.add(key(item))
    assert len(keys) == 9


def test_a_link_stands_for_the_file_that_it_points_to(item: Item, tmp_path: Path) -> None:
    link = tmp_path / "link.nii"
    link.symlink_to(tmp_path / "t1.nii")
    one = key({"image": str(link)})
    assert one == key({"image": [str(tmp_path / "t1.nii")]})
    link.unlink()
    link.symlink_to(tmp_path / "t2.nii")
    assert key({"image": str(link)}) != one


def test_what_is_wrong_with_an_item_is_said(item: Item, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'label' names .*absent.nii, which cannot be read \(No such file"):
        input_files({**item, "label": str(tmp_path / "absent.nii")})
    with pytest.raises(ValueError, match=r"the case has no 'image'; its entries are \['id', 'label'\]"):
        input_files({"id": "a", "label": item["label"]})
    with pytest.raises(ValueError, match="'image' must name files, but holds ndarray"):
        input_files({"image": [np.zeros(3)]})
