"""The tiny dataset fits the plan it is made for."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.tiny import NUM_CASES, SHAPE, write_tiny_dataset


def test_every_case_holds_every_label_in_the_plan_s_spacing(fresh_bundle: Path, tmp_path: Path) -> None:
    plan = Bundle(fresh_bundle).plan
    content = json.loads(write_tiny_dataset(tmp_path, plan).read_text())
    assert len(content["training"]) == NUM_CASES
    assert {case["fold"] for case in content["training"]} == {0, 1}
    assert all(case["fold"] not in case["validates"] for case in content["training"])
    for case in content["training"]:
        label = nib.load(tmp_path / case["label"])
        assert set(np.unique(np.asarray(label.dataobj))) == set(plan.labels)
        assert len(case["image"]) == len(plan.channel_names)
        for name in case["image"]:
            image = nib.load(tmp_path / name)
            assert image.shape == label.shape == SHAPE
            np.testing.assert_allclose(image.header.get_zooms(), plan.target_spacing_mm.value, rtol=1e-6)
