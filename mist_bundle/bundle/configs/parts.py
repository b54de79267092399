"""Pieces that several of a bundle's JSON files share: names, paths, the list of deterministic transforms.

Pure functions from a Plan to dictionaries. Every `$` expression is one of bundle/expressions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mist_bundle.bundle import expressions
from mist_bundle.catalog.choice import Choice, find_choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.plan import Plan

Config = dict[str, Any]

MEMORY_GB = 1.0  # of the windows' sums while a case is predicted; what is left of them waits on the disk
RUN_FOLD_CASE_BY_CASE = [
    expressions.BEGIN_FOLD_PREDICTIONS,
    expressions.RUN_FOLD_EVALUATOR,
    expressions.END_PREDICTIONS,
]

# classes that training builds in place of others; their weights have the same names and mean the same
_RESENC = "scripts.networks.residual_encoder"
TRAINING_CLASSES = {
    "monai.networks.nets.DynUNet": "scripts.networks.dynunet.SupervisedDynUNet",
    f"{_RESENC}.ResidualEncoderUNet": f"{_RESENC}.SupervisedResidualEncoderUNet",
}

CHECKED = "@checked_settings"  # the first step of every run list


def script(target: str, **arguments: Any) -> Config:
    """A component out of the bundle's own scripts/, which it first makes importable."""
    return {"_target_": f"scripts.{target}", "_requires_": "@scripts_path", **arguments}


def choice(row: Choice, **arguments: Any) -> Config:
    """A component from a row of the catalogue."""
    own = {"_requires_": "@scripts_path"} if row.target.startswith("scripts.") else {}
    return {"_target_": row.target, **own, **row.kwargs, **arguments}


def header(name: str, bundle_id: str, dataset_dir: str) -> Config:
    """What every file begins with.

    Args:
        name: of the bundle's folder.
        bundle_id: written in plan.json too.
        dataset_dir: from the bundle's folder to the cases, relative.
    """
    return {
        "imports": expressions.IMPORTS,
        "bundle_id": bundle_id,
        "bundle_root": expressions.BUNDLE_ROOT,
        "scripts_path": expressions.SCRIPTS_PATH,
        "dataset_dir": expressions.fill(expressions.DATASET_DIR, dataset_dir),
        "work_dir": expressions.fill(expressions.WORK_DIR, f"{name}_work"),
        "datalist": expressions.DATALIST,
        "checked_settings": script("check_settings.check_settings", bundle_root="@bundle_root"),
    }


def transforms(plan: Plan, *, with_label: bool) -> list[Config]:
    """The deterministic transforms, in MIST's order, from files to what the network sees.

    Offline preprocessing, validation and inference all build this same list; only the keys differ.
    """
    keys = ["image", "label"] if with_label else ["image"]
    reader = "scripts.transforms.nifti_reader.NiftiReader"
    steps: list[Config] = [{"_target_": "LoadImaged", "keys": "image", "reader": reader}]
    if with_label:  # whole numbers as they are: float32 has no others than even ones from 2^24 on
        steps.append({"_target_": "LoadImaged", "keys": "label", "reader": reader, "dtype": None})
    steps.append({"_target_": "EnsureChannelFirstd", "keys": keys})
    if with_label:
        steps.append(_transform("same_grid.ToGridOfd", keys="label", reference_key="image"))
        ignored = [] if plan.ignore_label is None else [plan.ignore_label]
        labels = [*plan.labels, *ignored]
        steps.append(_transform("labels_to_indices.LabelsToIndicesd", keys="label", labels=labels))
    else:
        steps.append(_check_image(plan))
    if plan.skip_preprocessing:
        return steps + _distance_maps(plan, with_label=with_label)
    if plan.crop_to_foreground.value:
        steps.append(_transform("crop_to_foreground.CropToForegroundd", keys=keys, source_key="image"))
    if plan.bias_correction.value:
        steps.append(_transform("bias_correction.BiasCorrectiond", keys="image"))
    if plan.normalize_nonzero.value:
        steps.append(_transform("nonzero_mask.NonzeroMaskd", source_key="image", mask_key="nonzero"))
    oriented = [*keys, "nonzero"] if plan.normalize_nonzero.value else keys
    steps.append(_transform("orientation.ReorientToLPSd", keys=oriented))
    steps.append(
        _transform(
            "resample.ResampleToSpacingd",
            image_key="image",
            label_key="label" if with_label else None,
            mask_key="nonzero",
            target_spacing=list(plan.target_spacing_mm.value),
            num_classes=plan.num_classes + (plan.ignore_index is not None),
        )
    )
    steps.append(
        _transform(
            "normalize.WindowNormalized",
            keys="image",
            mode=plan.normalization.value,
            window=[dict(window) for window in plan.intensity_windows.value] or None,
            mask_key="nonzero" if plan.normalize_nonzero.value else None,
        )
    )
    return steps + _distance_maps(plan, with_label=with_label)


def _check_image(plan: Plan) -> Config:
    """A look at an image that nobody looked at before: training images were measured when the plan was made."""
    ranges = {name: [list(one) for one in values] for name, values in (plan.training_ranges or {}).items()}
    return _transform(
        "check_image.CheckImaged",
        channel_names=list(plan.channel_names),
        training_ranges=ranges or None,
        same_units=plan.modality == "ct",
    )


def _distance_maps(plan: Plan, *, with_label: bool) -> list[Config]:
    if not (plan.distance_maps.value and with_label):
        return []
    return [
        _transform(
            "distance_maps.DistanceMapsd",
            label_key="label",
            output_key="dtm",
            num_classes=plan.num_classes,
            normalize=plan.normalize_distance_maps,
            use_spacing=plan.distance_maps_in_mm,
            **({} if plan.region_indices is None else {"regions": plan.region_indices}),
        )
    ]


def _transform(target: str, **arguments: Any) -> Config:
    # the Compose around them requires the scripts' path once for all
    return {"_target_": f"scripts.transforms.{target}", **arguments}


def compose(reference: str) -> Config:
    """A MONAI Compose of a list of transforms that may use the bundle's scripts."""
    return {"_target_": "Compose", "_requires_": "@scripts_path", "transforms": reference}


def items(split: str, datalist: str = "@datalist", **further: Any) -> Config:
    """The list of cases of a split: the only source of file names."""
    return script(
        "loading.datalist.load_items",
        datalist_path=datalist,
        dataset_dir="@dataset_dir",
        split=split,
        fold="@fold",
        **further,
    )


def sliding_window(plan: Plan) -> Config:
    """MONAI's sliding window over the patch size, as MIST does it (overlap one half, Gaussian blending)."""
    return {
        "_target_": "SlidingWindowInferer",
        "roi_size": "@patch_size",
        "sw_batch_size": "@sw_batch_size",
        "overlap": "@overlap",
        "mode": "gaussian",
        "sigma_scale": plan.sigma_scale.value,
    }


def network(plan: Plan, *, training: bool) -> Config:
    """The network; outside training without heads and branches, so that it exports and loads everywhere."""
    row = find_choice(NETWORKS, plan.network.value)
    arguments: Mapping[str, Any] = plan.network_arguments
    heads = {} if training or "deep_supervision" not in arguments else {"deep_supervision": False}
    target = row.target
    if training and arguments.get("deep_supervision"):
        target = TRAINING_CLASSES.get(target, target)
    own = {"_requires_": "@scripts_path"} if target.startswith("scripts.") else {}
    bare: Config = {"_target_": target, **own, **arguments, **heads}
    return _with_branches(plan, bare) if training else bare


def _with_branches(plan: Plan, network: Config) -> Config:
    """The network with what only training needs: auxiliary heads (where it has none of its own) and the VAE branch."""
    places = plan.network_branches
    if places["head_modules"]:
        network = script(
            "networks.heads.with_heads",
            network=network,
            modules=places["head_modules"],
            channels=places["head_channels"],
            out_channels=len(plan.output_names),
        )
    if plan.vae.value:
        network = script(
            "networks.vae.with_vae",
            network=network,
            bottleneck=places["bottleneck"],
            in_channels=plan.num_channels,
            patch_size="@patch_size",
            strides=places["strides"],
            widths=places["widths"],
            reconstruction_weight=0.1,
            kl_weight=0.1,
        )
    return network


def with_penalty(plan: Plan, loss: Config) -> Config:
    """The loss; where the network brings a penalty along, with it."""
    return script("losses.regularized.RegularizedLoss", loss=loss) if plan.vae.value else loss


def predictions(**arguments: Any) -> Config:
    """The label maps of a folder with what they were made from; `arguments` name the weights and settings."""
    common = {"bundle_id": "@bundle_id", "patch_size": "@patch_size", "overlap": "@overlap", "precision": "@amp"}
    settings = {**common, "test_time_flip_axes": "@test_time_flip_axes", **arguments.pop("settings", {})}
    return script(
        "predictions.records.Predictions",
        folder="@output_dir",
        settings=settings,
        probabilities="@save_probabilities",
        uncertainty="@save_uncertainty",
        overwrite="@overwrite",
        **arguments,
    )


def checkpoint_loader(**others: str) -> Config:
    """What loads the weights that an evaluator predicts with, and stops it where there are none."""
    return script(
        "handlers.weights.RequiredCheckpointLoader",
        load_path="@ckpt_path",
        load_dict={"model": "@network"},
        map_location="cpu",
        **others,
    )


def maps() -> Config:
    """The maps beside the label maps of a folder."""
    return script(
        "predictions.maps.ScoreMaps",
        folder="@output_dir",
        probabilities="@save_probabilities",
        uncertainty="@save_uncertainty",
    )


def case_by_case() -> Config:
    """What runs an evaluator over cases of which some may fail."""
    return script("predictions.case_by_case.CaseByCase", predictions="@predictions")


def ensemble(plan: Plan, **arguments: Any) -> Config:
    """The mean of sliding windows over flips, and over checkpoints where they are given."""
    activation = {"activation": "sigmoid"} if plan.regions.value else {}
    return script(
        "inferers.ensemble.EnsembleInferer",
        inferer=sliding_window(plan),
        patch_divisor="@patch_divisor",
        cells_gb="@memory",
        **arguments,
        **activation,
    )


def segment(plan: Plan, **arguments: Any) -> Config:
    """The inferer of label maps in the grid of each file: an ensemble (its arguments), restored as it comes."""
    return script(
        "inferers.segment.SegmentInferer",
        ensemble=ensemble(plan, **arguments),
        **_restored_labels(plan),
        maps="@maps",
    )


def _restored_labels(plan: Plan) -> Config:
    if plan.regions.value:
        return {"labels": list(plan.region_labels), "region_order": list(plan.region_order)}
    return {"labels": list(plan.labels)}


def restore_and_save(plan: Plan, *, postprocess: bool = False) -> list[Config]:
    """From what the inferer gives to a label map in the file of the user's own grid.

    That is the label map already; the scores that it was made from wait on the disk where maps of them are wanted.

    Args:
        plan: what was decided.
        postprocess: apply the steps of the bundle's postprocessing.json in between; evaluation keeps the raw label
            maps, which the steps are chosen by.
    """
    steps = {
        **_transform("postprocess.ApplyPostprocessingd", keys="pred", strategy_path="@postprocessing_path"),
        "_disabled_": expressions.NO_POSTPROCESSING,
    }
    return [
        *([steps] if postprocess else []),
        {
            **_transform(
                "save_maps.SaveMapsd",
                maps="@maps",
                num_classes=len(plan.output_names),
                exclusive=not plan.regions.value,
                reference_key="image",
                predictions="@predictions",
            ),
            "_disabled_": expressions.NO_MAPS,
        },
        # last: a case with a label map is complete
        _transform(
            "save.SaveImaged", keys="pred", output_dir="@output_dir", reference_key="image", predictions="@predictions"
        ),
    ]
