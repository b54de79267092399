"""Names of columns: as people expect them, and never two columns of one name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mist_bundle.runtime.metrics.case import score_case
from mist_bundle.runtime.metrics.columns import column_names, split_columns
from mist_bundle.runtime.metrics.menu import METRICS


def test_columns_are_class_and_metric() -> None:
    names = column_names(["WT", "my_class"], ["dice", "hd95"])
    assert list(names.values()) == ["WT_dice", "WT_hd95", "my_class_dice", "my_class_hd95"]


def test_only_columns_that_would_share_a_name_get_another() -> None:
    names = column_names(["tumor", "tumor_lesion"], ["dice", "lesion_dice"])
    assert names == {
        ("tumor", "dice"): "tumor_dice",
        ("tumor", "lesion_dice"): "tumor:lesion_dice",
        ("tumor_lesion", "dice"): "tumor_lesion:dice",
        ("tumor_lesion", "lesion_dice"): "tumor_lesion_lesion_dice",
    }


CLASSES = ["a", "a_lesion", "a_lesion_lesion", "a:lesion", "a_symmetric", "a_average", "a:", "_", "a_normalized"]


@pytest.mark.parametrize("classes", [*itertools.combinations(CLASSES, 2), tuple(CLASSES)])
def test_columns_of_any_classes_are_told_apart_and_read_back(classes: tuple[str, ...]) -> None:
    names = column_names(classes, list(METRICS))
    assert len(set(names.values())) == len(classes) * len(METRICS)
    read = split_columns(list(names.values()), classes)
    plain = {column for column, name in names.items() if name == "_".join(column)}
    assert all(read[names[column]] == column for column in set(names) - plain)


def test_columns_are_read_so_that_every_class_has_every_metric() -> None:
    # read from the longest metric, these would be lesion_dice and lesion_hd95 of the class "bone"
    columns = ["bone_dice", "bone_hd95", "bone_lesion_dice", "bone_lesion_hd95"]
    assert split_columns(columns, ["bone", "bone_lesion"]) == {
        "bone_dice": ("bone", "dice"),
        "bone_hd95": ("bone", "hd95"),
        "bone_lesion_dice": ("bone_lesion", "dice"),
        "bone_lesion_hd95": ("bone_lesion", "hd95"),
    }
    assert split_columns(["x_dice", "bone_lesion_dice"])["bone_lesion_dice"] == ("bone_lesion", "dice")
    assert split_columns(["WT_lesion_surface_dice"])["WT_lesion_surface_dice"] == ("WT", "lesion_surface_dice")


def test_aliases_and_unknown_columns() -> None:
    assert split_columns(["WT_haus95", "age", "_dice"]) == {"WT_haus95": ("WT", "hd95")}
    assert split_columns(["WT_kappa", "age"], ["WT"]) == {"WT_kappa": ("WT", "kappa")}


def test_no_score_replaces_another() -> None:
    reference = np.zeros((30, 30, 12), np.uint8)
    reference[8:20, 8:20, 3:8] = 1
    reference[22:26, 22:26, 3:8] = 2
    prediction = np.roll(reference, 1, axis=2)
    prediction[22:26, 22:26] = 0
    prediction[22:26, 22:25, 3:8] = 2
    alone = [score_case(prediction, reference, (1, 1, 1), {"x": (value,)}, ["dice", "lesion_dice"]) for value in (1, 2)]
    classes = {"tumor": (1,), "tumor_lesion": (2,)}
    scores = score_case(prediction, reference, (1, 1, 1), classes, ["dice", "lesion_dice"])
    assert list(scores.values()) == [value for one in alone for value in one.values()]
