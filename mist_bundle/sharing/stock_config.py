"""inference.json of MONAI's own classes alone, for programs that take no Python code of a bundle.

A generated bundle reads, resamples, normalises and restores with its own scripts/. Where MONAI has the same, this
module writes it down; where it does not, the part is named and the export is refused. Two parts differ slightly: at the
edges MONAI extends an image differently before it resamples, and it restores all classes in single precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mist_bundle.bundle.configs.parts import Config
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.numerics.resample import ANISOTROPY_LIMIT
from mist_bundle.runtime.numerics.window import HIGH_PERCENTILE, LOW_PERCENTILE
from mist_bundle.runtime.postprocessing.strategy import Step, read_strategy

_FORMAT = "A bundle of data alone"


def stock_inference(plan: Plan, strategy: Sequence[Step], *, network: Config | None = None) -> Config:
    """The configuration, with the ids of the model zoo.

    Args:
        plan: of the bundle.
        strategy: steps of its configs/postprocessing.json.
        network: network_def; None for a program that brings the network, as an application of MONAI Deploy does.

    Raises:
        InputError: naming every part for which MONAI has no equivalent.
    """
    problems = list(_without_equivalent(plan, strategy))
    if network is not None and str(network.get("_target_", "")).startswith("scripts."):
        message = f"is {network['_target_']} of scripts/; a network of MONAI is needed, such as --network nnunet."
        problems.append(Problem("network", message))
    if problems:
        raise InputError(problems)
    return {
        **_header(),
        **({} if network is None else {"network_def": network, "network": "$@network_def.to(@device)"}),
        "preprocessing": {"_target_": "Compose", "transforms": _preparation(plan)},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': path} for path in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(plan.patch_size.value),
            "sw_batch_size": 1,
            "overlap": 0.5,
            "mode": "gaussian",
            "sigma_scale": 0.125,
        },
        "postprocessing": {"_target_": "Compose", "transforms": _restoration(plan, strategy)},
        **({} if network is None else _evaluator()),
    }


def strategy_of(source: Bundle) -> tuple[Step, ...]:
    """The post-processing of a bundle."""
    path = source.root / "configs" / "postprocessing.json"
    return read_strategy(path) if path.is_file() else ()


def _header() -> Config:
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "output_dir": "$os.path.join(@bundle_root, 'eval')",
        "dataset_dir": "cases",
        "datalist": "$sorted(glob.glob(os.path.join(@dataset_dir, '*.nii.gz')))",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    }


def _preparation(plan: Plan) -> list[Config]:
    steps: list[Config] = [
        {"_target_": "LoadImaged", "keys": "image", "image_only": True},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "LPS", "labels": None},
        {
            "_target_": "Spacingd",
            "keys": "image",
            "pixdim": list(plan.target_spacing_mm.value),
            "mode": 3,  # the order of the spline
            "padding_mode": "nearest",
        },
    ]
    if plan.normalization.value == "per_image":
        # the window becomes 0 to 1; the mean and the deviation that follow are those of the window
        steps.append(
            {
                "_target_": "ScaleIntensityRangePercentilesd",
                "keys": "image",
                "lower": LOW_PERCENTILE,
                "upper": HIGH_PERCENTILE,
                "b_min": 0.0,
                "b_max": 1.0,
                "clip": True,
                "channel_wise": True,
            }
        )
        steps.append({"_target_": "NormalizeIntensityd", "keys": "image", "channel_wise": True})
        return steps
    (window,) = plan.intensity_windows.value
    low, high, mean, std = (float(window[name]) for name in ("low", "high", "mean", "std"))
    steps.append(
        {
            "_target_": "ScaleIntensityRanged",
            "keys": "image",
            "a_min": low,
            "a_max": high,
            "b_min": (low - mean) / std,
            "b_max": (high - mean) / std,
            "clip": True,
        }
    )
    return steps


def _restoration(plan: Plan, strategy: Sequence[Step]) -> list[Config]:
    steps: list[Config] = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        },
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    ]
    indices = list(range(len(plan.labels)))
    if list(plan.labels) != indices:
        steps.append(
            {"_target_": "MapLabelValued", "keys": "pred", "orig_labels": indices, "target_labels": list(plan.labels)}
        )
    for step in strategy:
        steps.append(
            {
                "_target_": "KeepLargestConnectedComponentd",
                "keys": "pred",
                "applied_labels": list(step.labels) or list(plan.labels)[1:],
                "independent": step.per_label,
                "connectivity": 3,
            }
        )
    saver: Config = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"}
    steps.append({**saver, "output_dtype": "$numpy.int16", "output_postfix": "seg"})
    return steps


def _evaluator() -> Config:
    return {
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$os.path.join(@bundle_root, 'models', 'model.pt')",
                "load_dict": {"model": "@network"},
                "map_location": "cpu",
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "initialize": ["$monai.utils.set_determinism(seed=0)"],
        "run": ["$@evaluator.run()"],
        "inference": "%run",
    }


def _without_equivalent(plan: Plan, strategy: Sequence[Step]) -> Iterator[Problem]:
    """What the bundle's scripts do and no class of MONAI does alike."""
    switched_on = {
        "preprocessing": (
            plan.preprocessing is not None,
            "MONAI has no transforms by the rules of the program that trained it.",
        ),
        "skip_preprocessing": (plan.skip_preprocessing, "images are used as they are, which some programs change."),
        "crop_to_foreground": (
            plan.crop_to_foreground.value,
            "MONAI crops by another threshold.",
        ),
        "bias_correction": (plan.bias_correction.value, "MONAI has no N4 bias field correction."),
        "normalize_nonzero": (
            plan.normalize_nonzero.value,
            "MONAI takes the percentiles of the window from all voxels, not from those that are not zero.",
        ),
        "regions": (bool(plan.regions.value), "MONAI has no transform that writes overlapping regions in an order."),
    }
    for key, (is_on, reason) in switched_on.items():
        if is_on:
            yield Problem(key, f"{reason} {_FORMAT} is not possible.")
    if plan.preprocessing is not None:
        return
    if plan.normalization.value != "per_image" and len(plan.intensity_windows.value) != 1:
        yield Problem("intensity_windows", f"MONAI's window is the same for all channels. {_FORMAT} is not possible.")
    if _has_thick_slices(plan):
        message = "MONAI interpolates across thick slices, where the bundle takes the nearest."
        yield Problem("training_ranges", f"{message} {_FORMAT} is not possible.")
    for step in strategy:
        if step.transform != "keep_top_k_components" or dict(step.options) not in ({}, {"k": 1}):
            message = f"MONAI has no {step.transform} with these options; only the largest component can be kept."
            yield Problem("postprocessing.json", message)


def is_resampled(plan: Plan) -> bool:
    """Whether cases like those of the training have to be resampled."""
    ranges = (plan.training_ranges or {}).get("spacing_mm")
    if not ranges:
        return True
    for (low, high), side in zip(ranges, plan.target_spacing_mm.value, strict=True):
        if low != side or high != side:
            return True
    return False


def _has_thick_slices(plan: Plan) -> bool:
    """Whether training cases, which tell of cases to come, are resampled with the nearest slice along an axis."""
    ranges = (plan.training_ranges or {}).get("spacing_mm")
    if not ranges or not is_resampled(plan):
        return False
    thickest = max(high for _, high in ranges)
    thinnest = min(low for low, _ in ranges)
    return thickest > ANISOTROPY_LIMIT * thinnest
