"""Transforms of a bundle's JSON files: from image files to the network's input, and back to files.

Pure functions from a Plan to dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs.parts import Config
from mist_bundle.planning.imported import NNUNET_RULES
from mist_bundle.planning.plan import Plan

_READER = "scripts.transforms.nifti_reader.NiftiReader"


def deterministic_transforms(plan: Plan, *, with_label: bool) -> list[Config]:
    """List the transforms from files to the input of the network, in MIST's order.

    Offline preprocessing, validation and inference all use this list; only the keys differ.
    """
    keys = ["image", "label"] if with_label else ["image"]
    steps = _load(plan, keys)
    if plan.preprocessing is not None and plan.preprocessing["rules"] == NNUNET_RULES:
        steps += _prepare_as_nnunet(plan, plan.preprocessing, keys)
    elif not plan.skip_preprocessing:
        steps += _prepare(plan, keys)
    if plan.optional_channels:
        missing = _transform("missing_channels.MissingChannelsd", keys="image", channel_names=list(plan.channel_names))
        if not with_label:  # training drops channels patch by patch
            missing["absent"] = "@absent_channels"
        steps.append(missing)
    if with_label and plan.distance_maps.value:
        steps.append(_distance_maps(plan))
    return steps


def _load(plan: Plan, keys: list[str]) -> list[Config]:
    steps: list[Config] = [{"_target_": "LoadImaged", "keys": "image", "reader": _READER, "as_float32": True}]
    if "label" not in keys:
        steps.append({"_target_": "EnsureChannelFirstd", "keys": keys})
        steps.append(_check_image(plan))
        return steps
    # dtype None keeps whole numbers as they are: from 2^24 on, float32 holds even numbers only
    steps.append({"_target_": "LoadImaged", "keys": "label", "reader": _READER, "dtype": None})
    steps.append({"_target_": "EnsureChannelFirstd", "keys": keys})
    steps.append(_transform("same_grid.ToGridOfd", keys="label", reference_key="image"))
    labels = list(plan.labels)
    if plan.ignore_label is not None:
        labels.append(plan.ignore_label)
    to_indices = _transform("labels_to_indices.LabelsToIndicesd", keys="label", labels=labels)
    if plan.unlabelled:
        to_indices["mixed"] = plan.mixed_indices
    steps.append(to_indices)
    return steps


def _check_image(plan: Plan) -> Config:
    """A check of new images; those of the training set were measured for the plan."""
    ranges: dict[str, list[list[float]]] = {}
    for name, values in (plan.training_ranges or {}).items():
        ranges[name] = list(map(list, values))
    return _transform(
        "check_image.CheckImaged",
        channel_names=list(plan.channel_names),
        training_ranges=ranges or None,
        same_units=plan.modality == "ct",
    )


def _prepare(plan: Plan, keys: list[str]) -> list[Config]:
    """Crop, bias field correction, orientation, resampling and normalisation.

    A model that MIST 2.3 trained takes the mask after resampling, and is neither clipped nor measured as in the paper.
    """
    as_mist = plan.preprocessing is not None
    steps: list[Config] = []
    if plan.crop_to_foreground.value:
        steps.append(_transform("crop_to_foreground.CropToForegroundd", keys=keys, source_key="image"))
    if plan.bias_correction.value:
        steps.append(_transform("bias_correction.BiasCorrectiond", keys="image"))
    oriented = list(keys)
    mask = []
    if plan.normalize_nonzero.value:
        mask.append(_transform("nonzero_mask.NonzeroMaskd", source_key="image", mask_key="nonzero"))
        if not as_mist:
            oriented.append("nonzero")
    if not as_mist:
        steps += mask
    steps.append(_transform("orientation.ReorientToLPSd", keys=oriented))
    resample = _transform(
        "resample.ResampleToSpacingd",
        image_key="image",
        label_key="label" if "label" in keys else None,
        mask_key="nonzero",
        target_spacing=list(plan.target_spacing_mm.value),
        num_classes=plan.num_classes + (plan.ignore_index is not None) + len(plan.mixed_indices),
    )
    normalize = _transform(
        "normalize.WindowNormalized",
        keys="image",
        mode=plan.normalization.value,
        window=list(map(dict, plan.intensity_windows.value)) or None,
        mask_key="nonzero" if plan.normalize_nonzero.value else None,
    )
    if not as_mist:
        return [*steps, resample, normalize]
    return [*steps, {**resample, "clip": False}, *mask, {**normalize, "clip_first": False}]


def _prepare_as_nnunet(plan: Plan, preprocessing: Mapping[str, Any], keys: list[str]) -> list[Config]:
    """Crop, orientation, normalisation and resampling, in nnU-Net's order and by its rules."""
    steps = [_transform("crop_to_nonzero.CropToNonzerod", keys=keys, source_key="image", mask_key="nonzero")]
    if preprocessing["orientation"] is not None:
        oriented = [*keys, "nonzero"]
        steps.append(_transform("orientation.Reorientd", keys=oriented, axcodes=preprocessing["orientation"]))
    schemes = [dict(scheme) for scheme in preprocessing["schemes"]]
    steps.append(_transform("normalize_by_scheme.NormalizeBySchemed", keys="image", schemes=schemes))
    resize = _transform(
        "resize_to_spacing.ResizeToSpacingd",
        image_key="image",
        label_key="label" if "label" in keys else None,
        target_spacing=list(plan.target_spacing_mm.value),
        num_classes=plan.num_classes + (plan.ignore_index is not None),
        image_orders=list(preprocessing["image_orders"]),
        label_orders=list(preprocessing["label_orders"]),
        score_order_across=preprocessing["score_order_across"],
        separate=preprocessing["separate"],
    )
    return [*steps, resize]


def _distance_maps(plan: Plan) -> Config:
    maps = _transform(
        "distance_maps.DistanceMapsd",
        label_key="label",
        output_key="dtm",
        num_classes=plan.num_classes,
        normalize=plan.normalize_distance_maps,
        use_spacing=plan.distance_maps_in_mm,
    )
    if plan.region_indices is not None:
        maps["regions"] = plan.region_indices
    return maps


def restore_and_save(plan: Plan, *, postprocess: bool = False) -> list[Config]:
    """List the transforms from the output of the inferer to the files of a prediction.

    The inferer returns a label map in the user's grid; its scores wait on the disk if their maps are to be saved.

    Args:
        plan: all decisions.
        postprocess: whether to apply the steps of the bundle's postprocessing.json, and to record how sure a
            prediction is. Evaluation keeps the raw label
            maps, by which the steps are chosen.
    """
    steps: list[Config] = []
    if postprocess:
        apply = _transform(
            "postprocess.ApplyPostprocessingd",
            keys="pred",
            strategy_path="@postprocessing_path",
            _disabled_=expressions.NO_POSTPROCESSING,
        )
        steps.append(apply)
        steps.append(
            _transform("record_confidence.RecordConfidenced", confidence="@confidence", predictions="@predictions")
        )
    maps = _transform(
        "save_maps.SaveMapsd",
        maps="@maps",
        num_classes=len(plan.output_names),
        exclusive=not plan.regions.value,
        reference_key="image",
        predictions="@predictions",
        _disabled_=expressions.NO_MAPS,
    )
    # the label map comes last: a case with a label map is complete
    label_map = _transform(
        "save.SaveImaged", keys="pred", output_dir="@output_dir", reference_key="image", predictions="@predictions"
    )
    return [*steps, maps, label_map]


def _transform(target: str, **arguments: Any) -> Config:
    # the Compose around all transforms requires the scripts' path
    return {"_target_": f"scripts.transforms.{target}", **arguments}
