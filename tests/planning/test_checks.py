"""What was asked for and cannot be: options that mean nothing to others, contradict them or do not fit the data."""

from __future__ import annotations

from typing import Any

import pytest

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError
from mist_bundle.planning.checks import check_options, region_label_problems
from mist_bundle.planning.options import OPTIONS, PlanOptions

BRATS = {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}


def _problem(**asked: Any) -> tuple[str, str]:
    with pytest.raises(InputError) as refused:
        check_options(PlanOptions(**asked))
    (problem,) = refused.value.problems
    return problem.path, problem.message


@pytest.mark.parametrize(
    ("asked", "path", "message"),
    [
        ({"network": "swinunetr-base", "residual": False}, "--residual", "It applies to: nnunet, nnunet-pocket, unet"),
        ({"kernel_size": 5}, "--kernel_size", "mednext-small, mednext-base"),
        ({"network": "mednext-base", "kernel_size": 4}, "--kernel_size", "is 4; expected 3, 5 or 7."),
        ({"deep_supervision_heads": -1}, "--deep_supervision_heads", "is -1; expected a whole number, 0 or more"),
        ({"deep_supervision_heads": "two"}, "--deep_supervision_heads", "is 'two'"),
        ({"network": "own.module.Net", "vae": True}, "--vae", "does not apply to the network own.module.Net"),
        ({"vae": "yes"}, "--vae", "expected true or false"),
        (
            {"loss": "dice", "composite_weighting": "linear"},
            "--composite_weighting",
            "Composite losses: cldice, blob, boundary",
        ),
        ({"loss": "cldice", "composite_weighting": "liner"}, "--composite_weighting", "Did you mean 'linear'?"),
        ({"distance_maps_in_mm": True}, "--distance_maps_in_mm", "Those that do: boundary, hausdorff_one_sided"),
        ({"normalize_distance_maps": False}, "--normalize_distance_maps", "has no effect with the loss dice_ce"),
        ({"early_stopping": 3, "val_fraction": 0}, "--early_stopping", "--val_fraction is 0"),
        ({"skip_preprocessing": True, "bias_correction": True}, "--bias_correction", "--skip_preprocessing"),
        ({"skip_preprocessing": True, "target_spacing": (1, 1, 1)}, "--target_spacing", "--skip_preprocessing"),
        ({"patch_size": (32,) * 3, "max_patch_size": (16,) * 3}, "--patch_size", "larger than --max_patch_size"),
        ({"regions": False, "region_labels": (1, 2)}, "--region_labels", "contradicts --noregions"),
        ({"network_arguments": {"a b": 1}}, "--network_arguments", "expected names of arguments"),
        ({"network_arguments": {"in_channels": 1}}, "--network_arguments", "follows from the data"),
        ({"loss_arguments": {"regions": 1}}, "--loss_arguments", "follows from --regions"),
        ({"loss_arguments": [1]}, "--loss_arguments", "expected a JSON object"),
    ],
)
def test_what_does_not_go_together(asked: dict[str, Any], path: str, message: str) -> None:
    named, said = _problem(**asked)
    assert named == path
    assert message in said


def test_early_stopping_with_a_validation_split_is_fine() -> None:
    check_options(PlanOptions(early_stopping=3))


def test_more_passes_than_patches_are_refused_with_what_was_perhaps_meant() -> None:
    path, message = _problem(batch_size=4, accumulation_steps=8)
    assert path == "--accumulation_steps"
    assert message.startswith("is 8 passes for a batch of 4 patches.")
    assert message.endswith("perhaps you want --batch_size 32.")
    check_options(PlanOptions(recipe="brats2024", accumulation_steps=16))


def test_all_bad_names_are_refused_together_with_the_nearest() -> None:
    options = PlanOptions(
        recipe="papper", optimizer="adma", schedule="cosinus", precision="fp8", augmentation="mits", flip_axes=(0, 3)
    )
    with pytest.raises(InputError) as refused:
        check_options(options)
    text = str(refused.value)
    for words in ("'paper'", "'adam'", "'cosine'", "auto, fp32, bf16, fp16", "'mist'", "--flip_axes: is [0, 3]"):
        assert words in text


def test_every_option_that_a_network_takes_is_accepted() -> None:
    values = {"deep_supervision_heads": 2, "residual": True, "vae": True, "kernel_size": 5}
    of_networks = {name for name, option in OPTIONS.items() if option.of_network}
    for name, row in NETWORKS.items():
        check_options(PlanOptions(network=name, **{option: values[option] for option in row.takes}))  # type: ignore[arg-type]
        assert row.takes <= of_networks
        assert set(row.defaults) <= row.takes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((4, 3, 4), "writes 4 for WT and ET; a label map could not tell them apart."),
        ((2, 3), "holds 2 labels for 3 regions"),
        ((2, 3, 1), "writes 1 for ET, which consists of [4]"),
    ],
)
def test_labels_of_regions(given: tuple[int, ...], message: str) -> None:
    (problem,) = region_label_problems(given, BRATS, regions=True)
    assert message in problem.message
    assert not region_label_problems((2, 1, 4), BRATS, regions=True)
