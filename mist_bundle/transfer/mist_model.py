"""From the results of a MIST training to a plan, a description of its data, and weights with our names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.names import default_label_name, slug
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.imported import MIST_RULES, TRAINING_DATA, ImportedModel
from mist_bundle.planning.network_size import NetworkSize, SizeRequest
from mist_bundle.planning.networks import size_network
from mist_bundle.planning.options import PlanOptions
from mist_bundle.runtime.numerics.triples import spacing, triple
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.mist_names import renamed_weights
from mist_bundle.transfer.mist_results import CONFIG_JSON, PROGRAM, MistResults
from mist_bundle.transfer.renamed import Tensors, convert_folds, misfits

_FILTERS = (32, 64, 128, 256, 320)
_HEADS = 2
# what MIST's networks do otherwise than the rows of the catalogue, by sizing rule
_ARGUMENTS = {
    "fmgnet": {"summits_as_skips": True},
    "wnet": {"summits_as_skips": True},
    "mednext": {"padded_upsampling": False},
}


def describe_data(results: MistResults, location: Path) -> DatasetSpec:
    """Return the description of the data that the model was trained on; the cases themselves are elsewhere."""
    data = results.config["dataset_info"]
    classes: dict[str, tuple[int, ...]] = {}
    for name, entry in (results.config.get("evaluation") or {}).items():
        classes[str(name)] = tuple(sorted(map(int, entry["labels"])))
    names = {}
    for label in results.labels:
        named = [name for name, members in classes.items() if members == (label,)]
        names[label] = named[0] if named else default_label_name(label)
    if not classes:
        for label in results.labels[1:]:
            classes[names[label]] = (label,)
    modality: Any = str(data["modality"]).lower()
    images: dict[str, tuple[str, ...]] = {}
    for channel in results.channels:
        images[channel] = (f"{channel}.",)
    return DatasetSpec(
        json_path=results.folder / CONFIG_JSON,
        task=slug(str(data.get("task") or "")) or "imported",
        modality=modality,
        train_dir=location,
        test_dir=None,
        mask=("mask.",),
        images=images,
        labels=results.labels,
        final_classes=classes,
        label_names=names,
    )


def describe_model(results: MistResults) -> ImportedModel:
    """Return everything about the model that a plan keeps."""
    config, because = results.config, f"As {PROGRAM} trained it."
    preparation, spatial = config["preprocessing"], config["spatial_config"]
    patch, size = triple(spatial["patch_size"]), _size(results)
    median = preparation.get("median_resampled_image_size") or patch
    windows = () if results.window is None else (dict(results.window),) * len(results.channels)
    augmentation = config["inference"].get("tta") or {}
    flips = bool(augmentation.get("enabled", True)) and augmentation.get("strategy", "all_flips") == "all_flips"
    params = (config["inference"].get("inferer") or {}).get("params") or {}
    return ImportedModel(
        program=PROGRAM,
        origin=_origin(results),
        network=results.architecture,
        network_arguments=size.arguments,
        strides=size.strides,
        widths=size.widths,
        bottleneck=size.bottleneck,
        residual=True,
        heads=int(size.arguments["deep_supr_num"]) if size.arguments.get("deep_supervision") else 0,
        spacing_mm=spacing(spatial["target_spacing"]),
        patch_size=patch,
        median_shape=triple(map(round, map(float, median))),
        fields={
            "skip_preprocessing": bool(preparation.get("skip")),
            "crop_to_foreground": Decision(bool(preparation.get("crop_to_foreground")), because),
            "bias_correction": Decision(False, because),
            "normalization": Decision("per_image" if results.window is None else "dataset", because),
            "intensity_windows": Decision(windows, because),
            "normalize_nonzero": Decision(bool(preparation.get("normalize_with_nonzero_mask")), because),
            "vae": Decision(False, because),
        },
        preprocessing={"rules": MIST_RULES},
        inference={"tiling": "monai", "average": "joined", "restore": "probabilities"},
        overlap=float(params.get("patch_overlap", 0.5)),
        test_time_flip_axes=(0, 1, 2) if flips else (),
        options=PlanOptions(recipe="mist2", precision="fp32"),
        regions=False,
        region_labels=(),
        num_cases=len(results.held_out()),
        num_folds=max(
            2, int((config.get("training") or {}).get("nfolds") or 0), 1 + max(map(int, results.checkpoints))
        ),
        warnings=_warnings(),
    )


def convert_weights(
    results: MistResults, weights: Mapping[str, Mapping[str, torch.Tensor]]
) -> tuple[dict[str, dict[str, torch.Tensor]], list[str]]:
    """Return fold -> state dict with our names, and the names of tensors that only training needs.

    Raises:
        InputError: tensors that have no place, or are missing, in any fold.
    """
    size = _size(results)
    arguments = dict(size.arguments)
    if "deep_supervision" in arguments:
        arguments["deep_supervision"] = False
    network = build_network(arguments, NETWORKS[results.architecture].target_for(arguments))

    def rename(fold: str, tensors: Tensors, expected: Tensors) -> tuple[Tensors, list[str]]:
        renamed, left_out = renamed_weights(tensors, size.arguments)
        problems = misfits(renamed, expected, str(results.checkpoints[fold]), "the network")
        if problems:
            raise InputError(problems)
        return renamed, left_out

    return convert_folds(network, weights, rename)


def _size(results: MistResults) -> NetworkSize:
    row = NETWORKS[results.architecture]
    params = results.config["model"].get("params") or {}
    own_heads = row.sizing in ("dynamic_unet", "pocket_unet")
    request = SizeRequest(
        patch_size=triple(results.config["spatial_config"]["patch_size"]),
        spacing_mm=spacing(results.config["spatial_config"]["target_spacing"]),
        in_channels=len(results.channels),
        out_channels=len(results.labels),
        filters=_FILTERS,
        residual=True,
        kernel_size=int(params.get("kernel_size") or 3),
        heads=_HEADS if own_heads else 0,
    )
    size = size_network(row, request)
    return replace(size, arguments={**size.arguments, **_ARGUMENTS.get(row.sizing, {})})


def _origin(results: MistResults) -> dict[str, Any]:
    return {
        "program": PROGRAM,
        "results": results.folder.absolute().name,
        "trainer": f"mist-medical {results.config.get('mist_version', 'of an unknown version')}",
        "configuration": results.architecture,
        "folds": list(results.checkpoints),
    }


def _warnings() -> tuple[tuple[str, str], ...]:
    return (
        (
            TRAINING_DATA,
            "are known by config.json alone: no ranges of spacing and intensity, so a prediction cannot say that an "
            "image is unlike those of the training.",
        ),
    )
