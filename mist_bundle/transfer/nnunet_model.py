"""From the results of an nnU-Net training to a plan, a description of its data, and weights with our names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mist_bundle.dataset.channels import channel_names, modality_of
from mist_bundle.dataset.names import slug
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.files import DATASET_JSON
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.imported import NNUNET_RULES, TRAINING_DATA, ImportedModel
from mist_bundle.planning.options import PlanOptions
from mist_bundle.runtime.numerics.triples import Triple, spacing, triple
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.nnunet_network import PLAIN
from mist_bundle.transfer.nnunet_plans import PROGRAM
from mist_bundle.transfer.nnunet_results import ALL_FOLDS, NnunetResults
from mist_bundle.transfer.nnunet_weights import own_weights
from mist_bundle.transfer.renamed import Tensors, convert_folds

_HEADS = 2  # auxiliary outputs of a training that continues


def describe_data(results: NnunetResults, location: Path) -> DatasetSpec:
    """Return the description of the data that the model was trained on; the cases themselves are elsewhere.

    Args:
        results: a checked results folder.
        location: folder in which the bundle expects cases by default.
    """
    dataset, labels = results.dataset, results.labels
    channels: dict[str, Any] = dataset.get("channel_names") or dataset.get("modality") or {}
    modality: Any = modality_of(channels.values())
    name = str(dataset.get("name") or re.sub(r"^Dataset\d+_", "", str(results.plans.get("dataset_name", ""))))
    images: dict[str, tuple[str, ...]] = {}
    for channel in channel_names(channels):
        images[channel] = (f"{channel}.",)
    return DatasetSpec(
        json_path=results.folder / DATASET_JSON,
        task=slug(name) or "imported",
        modality=modality,
        train_dir=location,
        test_dir=None,
        mask=("mask.",),
        images=images,
        labels=labels.values,
        final_classes=labels.final_classes,
        label_names=labels.names,
        ignore_label=labels.ignore,
        description=str(dataset.get("description") or ""),
        licence=str(dataset.get("licence") or dataset.get("license") or ""),
        reference=str(dataset.get("reference") or ""),
    )


def describe_model(results: NnunetResults) -> ImportedModel:
    """Return everything about the model that a plan keeps."""
    settings = results.settings
    _, arguments = results.architecture
    strides = [triple(results.along_file(stride)) for stride in arguments["strides"]]
    network, own_arguments = _network(results, strides)
    shape = []
    for length in settings.get("median_image_size_in_voxels", settings["patch_size"]):
        shape.append(max(1, round(float(length))))
    folds = [fold for fold in results.checkpoints if fold != ALL_FOLDS]
    because = f"As {PROGRAM} trained it."
    return ImportedModel(
        program=PROGRAM,
        origin=_origin(results),
        network=network,
        network_arguments=own_arguments,
        strides=tuple(strides),
        widths=tuple(arguments["features_per_stage"]),
        bottleneck="bottleneck" if results.architecture[0] == PLAIN else f"encoder.{len(strides) - 1}",
        residual=results.architecture[0] != PLAIN,
        heads=own_arguments["deep_supr_num"],
        spacing_mm=spacing(results.along_file(settings["spacing"])),
        patch_size=triple(results.along_file(settings["patch_size"])),
        median_shape=triple(results.along_file(shape)),
        fields={
            "crop_to_foreground": Decision(False, f"{PROGRAM} crops to the voxels that are not zero."),
            "bias_correction": Decision(False, because),
            "normalization": Decision("schemes", f"{because} A scheme for each channel, before resampling."),
            "intensity_windows": Decision((), "Where a scheme has a window, it is under preprocessing."),
            "normalize_nonzero": Decision(False, "Each scheme says whether it counts zeros."),
            "vae": Decision(False, because),
        },
        preprocessing=_preprocessing(results),
        inference={"tiling": "nnunet", "average": "logits", "restore": "logits"},
        overlap=0.5,
        test_time_flip_axes=_file_axes(results, results.mirror_axes),
        options=_options(results),
        regions=bool(results.region_labels),
        region_labels=results.region_labels,
        num_cases=int(results.dataset.get("numTraining") or 0),
        num_folds=max(2, 1 + max(map(int, folds), default=0)),
        warnings=_warnings(results),
    )


def convert_weights(
    results: NnunetResults, weights: Mapping[str, Mapping[str, torch.Tensor]]
) -> tuple[dict[str, dict[str, torch.Tensor]], list[str]]:
    """Return fold -> state dict with our names, and the names of tensors that only training needs.

    Raises:
        InputError: tensors that have no place, or are missing, in any fold.
    """
    from mist_bundle.catalog.networks import NETWORKS

    model = describe_model(results)
    arguments = {**model.network_arguments, "deep_supervision": False}
    network = build_network(arguments, NETWORKS[model.network].target)

    def rename(fold: str, tensors: Tensors, expected: Tensors) -> tuple[Tensors, list[str]]:
        place = str(results.checkpoints[fold])
        return own_weights(tensors, results.architecture[0], len(model.strides), results.axes, expected, place)

    return convert_folds(network, weights, rename)


def best_fold(results: NnunetResults) -> str:
    """Return the fold with the best Dice on its held-out cases, by nnU-Net's validation; without it, the first."""
    scores: dict[str, float] = {}
    for fold, path in results.checkpoints.items():
        summary = path.parent / "validation" / "summary.json"
        try:
            scores[fold] = float(json.loads(summary.read_text(encoding="utf-8"))["foreground_mean"]["Dice"])
        except (OSError, ValueError, KeyError, TypeError):
            return next(iter(results.checkpoints))
    return max(scores, key=lambda fold: scores[fold])


def held_out(results: NnunetResults) -> dict[str, int]:
    """Return case id -> fold that held it out, as the folds' validation folders tell by their label maps."""
    ending = str(results.dataset.get("file_ending", ".nii.gz"))
    folds: dict[str, int] = {}
    for fold, path in results.checkpoints.items():
        if fold == ALL_FOLDS:
            continue
        for label_map in (path.parent / "validation").glob(f"*{ending}"):
            folds[label_map.name.removesuffix(ending)] = int(fold)
    return folds


def _network(results: NnunetResults, strides: list[Triple]) -> tuple[str, dict[str, Any]]:
    """Row of the catalogue and arguments of the network."""
    name, arguments = results.architecture
    kernels = [results.along_file(kernel) for kernel in arguments["kernel_sizes"]]
    outputs = len(results.region_labels) or len(results.labels.values)
    common: dict[str, Any] = {
        "in_channels": len(results.schemes),
        "out_channels": outputs,
        "kernel_size": kernels,
        "strides": list(map(list, strides)),
        "filters": list(arguments["features_per_stage"]),
        "deep_supervision": True,
        "deep_supr_num": min(_HEADS, len(strides) - 2),
    }
    if name != PLAIN:
        return "resenc-m", {**common, "blocks": list(arguments["n_blocks_per_stage"]), "res_block": True}
    upsampling = list(map(list, strides[1:]))
    plain = {"trans_bias": True, "spatial_dims": 3, "res_block": False, "upsample_kernel_size": upsampling}
    same_kernels = all(kernel == kernels[0] for kernel in kernels)
    return "unet" if same_kernels else "nnunet-v2", {**common, **plain}


def _preprocessing(results: NnunetResults) -> dict[str, Any]:
    image, label = results.resampling["data"], results.resampling["seg"]
    scores = results.resampling["probabilities"]
    return {
        "rules": NNUNET_RULES,
        "orientation": results.orientation,
        "schemes": [dict(scheme) for scheme in results.schemes],
        "image_orders": [image.order, image.order_across],
        "label_orders": [label.order, label.order_across],
        "score_order_across": scores.order_across,
        "separate": image.separate,
    }


def _file_axes(results: NnunetResults, axes: tuple[int, ...]) -> tuple[int, ...]:
    """nnU-Net's axes as axes of files."""
    return tuple(sorted(results.axes.index(axis) for axis in axes))


def _options(results: NnunetResults) -> PlanOptions:
    """A training that continues, as nnU-Net trains."""
    return PlanOptions(
        recipe="paper",
        loss="dice_ce",
        optimizer="sgd-nnunet",
        learning_rate=0.01,
        schedule="polynomial",
        weight_decay=3e-5,
        grad_clip_norm=12.0,
        augmentation="nnunet",
        precision="fp32",  # bfloat16, which some processors compute in, changes labels
        batch_size=int(results.settings["batch_size"]),
        steps_per_epoch=250,
        flip_axes=_file_axes(results, results.mirror_axes),
    )


def _origin(results: NnunetResults) -> dict[str, Any]:
    return {
        "program": PROGRAM,
        "results": results.folder.absolute().name,
        "dataset": str(results.plans.get("dataset_name", "")),
        "plans": str(results.plans.get("plans_name", "")),
        "configuration": results.configuration,
        "trainer": results.trainer,
        "folds": list(results.checkpoints),
    }


def _warnings(results: NnunetResults) -> tuple[tuple[str, str], ...]:
    warnings = [
        (
            TRAINING_DATA,
            "are known by the plans alone: no ranges of spacing and intensity, so a prediction cannot say that an "
            "image is unlike those of the training.",
        )
    ]
    if results.orientation is None:
        warnings.append(
            (
                "orientation",
                "nnU-Net's reader does not turn images: axes are taken as they are stored. Use images stored as those "
                "of the training were.",
            )
        )
    return tuple(warnings)
