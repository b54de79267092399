"""Pieces that several of a bundle's JSON files share: paths, network, inferers, loaders of cases.

Pure functions from a Plan to dictionaries. Every `$` expression is a constant of bundle/expressions.py.
"""

from __future__ import annotations

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

# classes that training uses instead of others; their weights have the same names and meanings
_RESENC = "scripts.networks.residual_encoder"
TRAINING_CLASSES = {
    "monai.networks.nets.DynUNet": "scripts.networks.dynunet.SupervisedDynUNet",
    "scripts.networks.dynunet.MatchedDynUNet": "scripts.networks.dynunet.SupervisedMatchedDynUNet",
    f"{_RESENC}.ResidualEncoderUNet": f"{_RESENC}.SupervisedResidualEncoderUNet",
}

CHECKED = "@checked_settings"  # the first step of every run list


def script(target: str, **arguments: Any) -> Config:
    """Return a component of the bundle's own scripts/, which it first makes importable."""
    return component(f"scripts.{target}", **arguments)


def choice(row: Choice, **arguments: Any) -> Config:
    """Return the component of a row of the catalogue."""
    return component(row.target, **{**row.kwargs, **arguments})


def component(target: str, /, **arguments: Any) -> Config:
    """Return a component by the dotted path of its class or function, in scripts/ or installed."""
    if target.startswith("scripts."):
        return {"_target_": target, "_requires_": "@scripts_path", **arguments}
    return {"_target_": target, **arguments}


def header(name: str, bundle_id: str, dataset_dir: str) -> Config:
    """Return the first entries of every file.

    Args:
        name: name of the bundle's folder.
        bundle_id: identifier, also written in plan.json.
        dataset_dir: relative path from the bundle's folder to the cases.
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


def compose(transforms: str | list[Config]) -> Config:
    """Return a MONAI Compose of transforms, a list or a reference to it, that may use the bundle's scripts."""
    return {"_target_": "Compose", "_requires_": "@scripts_path", "transforms": transforms}


def dataset(data: Config, transform: str) -> Config:
    """Return a MONAI Dataset of cases."""
    return {"_target_": "Dataset", "data": data, "transform": transform}


def items(split: str, datalist: str = "@datalist", **further: Any) -> Config:
    """Return the list of cases of a split, the only source of file names."""
    return script(
        "loading.datalist.load_items",
        datalist_path=datalist,
        dataset_dir="@dataset_dir",
        split=split,
        fold="@fold",
        **further,
    )


def absent_channels(plan: Plan) -> Config:
    """Return the setting that predicts without some channels, for models that can do without any."""
    return {"absent_channels": []} if plan.optional_channels else {}


def absent_reference(plan: Plan) -> Config:
    """Return what of `absent_channels` predictions depend on."""
    return {"absent_channels": "@absent_channels"} if plan.optional_channels else {}


def sliding_window(plan: Plan) -> Config:
    """Return MONAI's sliding window over the patch size, as in MIST (overlap 0.5, Gaussian blending)."""
    return {
        "_target_": "SlidingWindowInferer",
        "roi_size": "@patch_size",
        "sw_batch_size": "@sw_batch_size",
        "overlap": "@overlap",
        "mode": "gaussian",
        "sigma_scale": plan.sigma_scale.value,
    }


def network(plan: Plan, *, training: bool) -> Config:
    """Return the network, outside training without heads and branches, so that it exports and loads everywhere."""
    arguments = dict(plan.network_arguments)
    target = find_choice(NETWORKS, plan.network.value).target_for(arguments)
    if training:
        if arguments.get("deep_supervision"):
            target = TRAINING_CLASSES.get(target, target)
        return _with_branches(plan, component(target, **arguments))
    if "deep_supervision" in arguments:
        arguments["deep_supervision"] = False
    return component(target, **arguments)


def _with_branches(plan: Plan, network: Config) -> Config:
    """The network with what only training needs: auxiliary heads (unless it has its own) and the VAE branch."""
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
    """Return the loss, with the penalty of the VAE branch if the network has it."""
    if not plan.vae.value:
        return loss
    return script("losses.regularized.RegularizedLoss", loss=loss)


def predictions(*, settings: Config | None = None, **arguments: Any) -> Config:
    """Return the label maps of a folder with a record of the weights and settings that produced them.

    Args:
        settings: further settings for the record.
        arguments: files of weights and settings for the record.
    """
    recorded = {
        "bundle_id": "@bundle_id",
        "patch_size": "@patch_size",
        "overlap": "@overlap",
        "precision": "@amp",
        "test_time_flip_axes": "@test_time_flip_axes",
        **(settings or {}),
    }
    return script(
        "predictions.records.Predictions",
        folder="@output_dir",
        settings=recorded,
        probabilities="@save_probabilities",
        uncertainty="@save_uncertainty",
        overwrite="@overwrite",
        **arguments,
    )


def autocast(inferer: Config) -> Config:
    """Return an inferer that computes in the precision of the run."""
    return script("inferers.autocast.AutocastInferer", inferer=inferer, enabled="@amp")


def checkpoint_loader(**others: str) -> Config:
    """Return the handler that loads the weights of an evaluator, and stops it if they are missing."""
    return script(
        "handlers.weights.RequiredCheckpointLoader",
        load_path="@ckpt_path",
        load_dict={"model": "@network"},
        map_location="cpu",
        **others,
    )


def maps() -> Config:
    """Return the maps of probabilities and uncertainty beside the label maps of a folder."""
    return script(
        "predictions.maps.ScoreMaps",
        folder="@output_dir",
        probabilities="@save_probabilities",
        uncertainty="@save_uncertainty",
    )


def case_by_case() -> Config:
    """Return the iteration of an evaluator over cases of which some may fail."""
    return script("predictions.case_by_case.CaseByCase", predictions="@predictions")


def ensemble(plan: Plan, **arguments: Any) -> Config:
    """Return the mean of sliding windows over flips and checkpoints."""
    if plan.regions.value:
        arguments["activation"] = "sigmoid"
    if plan.inference is not None:
        arguments.update(tiling=plan.inference["tiling"], average=plan.inference["average"])
    return script(
        "inferers.ensemble.EnsembleInferer",
        inferer=sliding_window(plan),
        patch_divisor="@patch_divisor",
        cells_gb="@memory",
        **arguments,
    )


def restored_labels(plan: Plan) -> Config:
    """Return the arguments that map outputs of the network to label values."""
    if plan.regions.value:
        return {"labels": list(plan.region_labels), "region_order": list(plan.region_order)}
    return {"labels": list(plan.labels)}


def segment(plan: Plan, **arguments: Any) -> Config:
    """Return the inferer of label maps on the grid of each file; `arguments` are those of `ensemble`."""
    inferer = script(
        "inferers.segment.SegmentInferer",
        ensemble=ensemble(plan, **arguments),
        **restored_labels(plan),
        maps="@maps",
    )
    if plan.inference is not None:
        inferer["restore"] = plan.inference["restore"]
    return inferer
