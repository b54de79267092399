"""Settings of the augmentation, by hand for an isotropic and an anisotropic grid."""

from __future__ import annotations

from mist_bundle.catalog.augmentations import AUGMENTATIONS, augmentation
from mist_bundle.runtime.loading.augmentation import Augmentation


def test_isotropic_grids_turn_about_every_axis() -> None:
    settings = augmentation("nnunet", (0, 1), (1.0, 1.0, 1.5))
    assert settings["flip_axes"] == [0, 1]
    assert settings["rotation_axes"] == settings["low_resolution_axes"] == [0, 1, 2]
    assert settings["rotation_range"] == [-30.0, 30.0]


def test_slices_far_apart_turn_in_their_plane_only() -> None:
    settings = augmentation("nnunet", (0, 1, 2), (4.0, 1.0, 1.0))
    assert settings["rotation_axes"] == [0]
    assert settings["low_resolution_axes"] == [1, 2]
    assert settings["rotation_range"] == [-180.0, 180.0]
    # three times is not more than three times
    assert augmentation("nnunet", (), (3.0, 1.0, 1.0))["rotation_axes"] == [0, 1, 2]


def test_every_row_is_read_by_the_runtime_and_none_is_shared() -> None:
    for name in AUGMENTATIONS:
        settings = augmentation(name, (0,), (4.0, 1.0, 1.0))
        assert Augmentation.from_config(settings).enabled is (name != "none")
        settings["flip_axes"].append(9)
        assert augmentation(name, (0,), (4.0, 1.0, 1.0))["flip_axes"] == [0]
