"""What a plan becomes where only classes of MONAI are allowed, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, ScaleIntensityRanged

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.numerics.window import normalize_channel, window_and_normalize
from mist_bundle.runtime.postprocessing.strategy import Step
from mist_bundle.sharing.stock_config import is_resampled, stock_inference

GOLDEN = Path(__file__).parents[2] / "bundles"


def _changed(plan: Plan, **values: Any) -> Plan:
    """A plan with other values of decisions, or of plain fields."""
    changes = {}
    for name, value in values.items():
        old = getattr(plan, name)
        changes[name] = dataclasses.replace(old, value=value) if hasattr(old, "value") else value
    return dataclasses.replace(plan, **changes)


@pytest.fixture
def plan() -> Plan:
    """Of MR images at 1 mm, all of them on that grid."""
    return Bundle(GOLDEN / "hippocampus_segmentation").plan


@pytest.fixture
def image() -> MetaTensor:
    generator = torch.Generator().manual_seed(0)
    return MetaTensor(torch.randn(1, 12, 10, 8, generator=generator) * 300 + 100, affine=torch.eye(4))


def _intensity_steps(config: dict[str, Any]) -> Compose:
    from monai.bundle import ConfigParser

    steps = config["preprocessing"]["transforms"][4:]
    return ConfigParser({"c": {"_target_": "Compose", "transforms": steps}}).get_parsed_content("c")


def test_per_image_normalisation_is_the_same(plan: Plan, image: MetaTensor) -> None:
    steps = _intensity_steps(stock_inference(plan, ()))
    result = np.asarray(steps({"image": image})["image"])[0]
    assert np.allclose(result, normalize_channel(np.asarray(image)[0], None), atol=1e-5)


def test_the_window_of_a_dataset_is_the_same(plan: Plan, image: MetaTensor) -> None:
    window = {"low": -50.0, "high": 400.0, "mean": 120.0, "std": 80.0}
    ct = _changed(plan, normalization="dataset", intensity_windows=[window])
    steps = _intensity_steps(stock_inference(ct, ()))
    assert isinstance(steps.transforms[0], ScaleIntensityRanged)
    expected = window_and_normalize(np.asarray(image), **window)
    assert np.allclose(np.asarray(steps({"image": image})["image"]), expected, atol=1e-5)


def test_no_class_of_scripts_is_named(plan: Plan) -> None:
    network = {"_target_": "monai.networks.nets.DynUNet"}
    config = stock_inference(plan, (Step(transform="keep_top_k_components"),), network=network)
    assert "scripts." not in str(config)
    names = [step["_target_"] for step in config["postprocessing"]["transforms"]]
    assert names[-2:] == ["KeepLargestConnectedComponentd", "SaveImaged"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("normalize_nonzero", True, "normalize_nonzero: MONAI takes the percentiles"),
        ("bias_correction", True, "bias_correction: MONAI has no N4"),
        ("crop_to_foreground", True, "crop_to_foreground"),
        ("skip_preprocessing", True, "skip_preprocessing"),
    ],
)
def test_what_has_no_equivalent_is_named(plan: Plan, name: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        stock_inference(_changed(plan, **{name: value}), ())


def test_all_of_it_at_once(plan: Plan) -> None:
    changed = _changed(plan, normalize_nonzero=True, bias_correction=True)
    steps = (Step(transform="fill_holes_with_label"),)
    with pytest.raises(InputError) as refusal:
        stock_inference(changed, steps, network={"_target_": "scripts.networks.subpixel.SubpixelUNet"})
    places = [problem.path for problem in refusal.value.problems]
    assert places == ["bias_correction", "normalize_nonzero", "postprocessing.json", "network"]


def test_thick_slices_are_refused_where_they_are_resampled(plan: Plan) -> None:
    assert not is_resampled(plan)
    thick = {"spacing_mm": [[0.5, 0.9], [0.5, 0.9], [3.0, 5.0]]}
    with pytest.raises(InputError, match="nearest"):
        stock_inference(_changed(plan, training_ranges=thick), ())
