"""Datasets that do not agree are not merged, and every difference is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.dataset.merged_datasets import merge_datasets
from mist_bundle.errors import InputError
from tests.dataset.merging import dataset


def test_all_differences_are_named_at_once(sources: list[Path], tmp_path: Path) -> None:
    other = dataset(
        tmp_path / "third",
        {"y": [1]},
        modality="mr",
        images={"t1": ["ct"]},
        labels=[0, 1, 2],
        final_classes={"liver": [1], "tumour": [2]},
    )
    with pytest.raises(InputError) as refusal:
        merge_datasets([*sources, other, sources[0]], tmp_path / "out", names=["a", "b"])
    text = str(refusal.value)
    for words in (
        "--names: are a, b, but there are 4 datasets",
        '$.modality: is "mr", but "ct" in',
        "$.images: has the channels t1, but ct in",
        "$.final_classes.liver: is made of liver here and of liver, tumour elsewhere",
        "first/dataset.json: is named twice",
    ):
        assert words in text
    assert not (tmp_path / "out").exists()


def test_a_data_set_is_named_once_by_whatever_path(tmp_path: Path) -> None:
    paths = [dataset(tmp_path / name, {name: [1]}, label_names={"1": "organ"}) for name in ("a", "b")]
    with pytest.raises(InputError, match="is named twice"):
        merge_datasets([*paths, tmp_path / "a/../b/dataset.json"], tmp_path / "out", names=["x", "y", "z"])
