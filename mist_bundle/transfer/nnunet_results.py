"""Reading the results folder of an nnU-Net training: plans.json, dataset.json and fold_*/checkpoint_*.pth.

Everything is checked before anything is written. The formats are those of nnunetv2 2.0 to 2.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.nnunet_source import NnunetLabels, read_labels
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import DATASET_JSON, read_json
from mist_bundle.runtime.numerics.schemes import BYTES_TO_ONE, NONE, WINDOW, ZERO_TO_ONE, ZSCORE
from mist_bundle.transfer.foreign import Understanding

PROGRAM = "nnU-Net v2"
CHECKPOINTS = {"final": "checkpoint_final.pth", "best": "checkpoint_best.pth"}
PLANS_JSON = "plans.json"
PLAIN, RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
# reader -> orientation that it turns images to
READERS = {"SimpleITKIO": None, "NibabelIO": None, "SimpleITKIOWithReorient": "RAS", "NibabelIOWithReorient": "RAS"}
SCHEMES = {
    "ZScoreNormalization": ZSCORE,
    "CTNormalization": WINDOW,
    "NoNormalization": NONE,
    "RescaleTo01Normalization": ZERO_TO_ONE,
    "RGBTo01Normalization": BYTES_TO_ONE,
}
_RESAMPLING = "resample_data_or_seg_to_shape"
ALL_FOLDS = "all"  # name of the fold that is trained on all cases
_FOLD = re.compile(r"fold_(\d+|all)")
_FEWEST_LEVELS = 3  # of MONAI's DynUNet
_NEEDED = ("patch_size", "spacing", "batch_size", "normalization_schemes", "use_mask_for_norm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Resampling:
    """How nnU-Net resamples something: order of the interpolation, that across far slices, and when those are singled.

    Attributes:
        order: 0, 1 or 3.
        order_across: the same across slices.
        separate: whether slices are treated singly; None if the spacing decides.
    """

    order: int
    order_across: int
    separate: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NnunetResults:
    """A checked results folder. Axes are those of nnU-Net's arrays, after its transposition.

    Attributes:
        folder: the results folder.
        dataset: content of dataset.json.
        labels: meaning of its labels.
        region_labels: label that each region writes, in the order of the outputs; empty if classes exclude each other.
        plans: content of plans.json.
        configuration: name of the configuration, such as "3d_fullres".
        settings: the configuration itself, with all that it inherits.
        architecture: name of the network's class and its arguments.
        axes: for each axis of a file (x, y, z), the axis of nnU-Net's arrays that runs along it.
        orientation: directions that images are turned to, such as "RAS"; None if they stay as they are stored.
        schemes: normalisation of each channel, as runtime/numerics/schemes.py reads it.
        resampling: "data", "seg" and "probabilities".
        trainer: name of the trainer's class.
        mirror_axes: axes that test-time augmentation may flip.
        checkpoints: fold (a number, or "all") -> file.
    """

    folder: Path
    dataset: Mapping[str, Any]
    labels: NnunetLabels
    region_labels: tuple[int, ...]
    plans: Mapping[str, Any]
    configuration: str
    settings: Mapping[str, Any]
    architecture: tuple[str, Mapping[str, Any]]
    axes: tuple[int, int, int]
    orientation: str | None
    schemes: tuple[Mapping[str, Any], ...]
    resampling: Mapping[str, Resampling]
    trainer: str
    mirror_axes: tuple[int, ...]
    checkpoints: Mapping[str, Path]

    def along_file(self, values: Any) -> list[Any]:
        """Return the entries for nnU-Net's three axes in the order of a file's axes (x, y, z)."""
        return [values[axis] for axis in self.axes]


def read_results(
    folder: Path, checkpoint: str = "final", folds: Sequence[int] | None = None
) -> tuple[NnunetResults, dict[str, dict[str, Any]]]:
    """Read and check a results folder (…/nnUNetTrainer__nnUNetPlans__3d_fullres).

    Args:
        folder: holds plans.json, dataset.json and the folders of the folds.
        checkpoint: "final" or "best".
        folds: that are read; by default every fold that there is, and fold_all only where it is the only one.

    Returns:
        What was understood, and the weights of each fold with nnU-Net's names.

    Raises:
        InputError: everything that is wrong.
    """
    from mist_bundle.transfer.checkpoint import load_checkpoint

    problems: list[Problem] = []
    files = _checkpoint_files(folder, CHECKPOINTS[checkpoint], folds, problems)
    plans = _read_object(folder / PLANS_JSON, problems)
    dataset = _read_object(folder / DATASET_JSON, problems)
    loaded: dict[str, dict[str, Any]] = {}
    for fold, path in files.items():
        with Collecting(problems):
            loaded[fold] = _checked_checkpoint(path, load_checkpoint(path))
    if problems:
        raise InputError(problems)
    first = next(iter(loaded.values()))
    facts = _Facts(folder, plans, dataset, str(first["init_args"]["configuration"]), problems)
    fields = facts.read()
    for fold, content in loaded.items():
        facts.check_same_training(fold, content, first)
    if problems:
        raise InputError(problems)
    results = NnunetResults(
        folder=folder,
        dataset=dataset,
        plans=plans,
        configuration=facts.name,
        trainer=str(first.get("trainer_name", "unknown")),
        mirror_axes=tuple(first.get("inference_allowed_mirroring_axes") or ()),
        checkpoints=files,
        **fields,
    )
    weights = {}
    for fold, content in loaded.items():
        weights[fold] = content["network_weights"]
    return results, weights


def _checkpoint_files(folder: Path, name: str, folds: Sequence[int] | None, problems: list[Problem]) -> dict[str, Path]:
    """Fold -> checkpoint, in the order of the folds; folders without it are named."""
    if not folder.is_dir():
        problems.append(Problem(str(folder), "is no folder. Expected the results of an nnU-Net training."))
        return {}
    chosen = _fold_folders(folder)
    if folds is not None:
        for fold in sorted(set(map(str, folds)) - set(chosen)):
            problems.append(Problem("--folds", f"names fold {fold}; there are {', '.join(chosen) or 'none'}."))
        chosen = {fold: path for fold, path in chosen.items() if fold in map(str, folds)}
    elif not chosen:
        problems.append(Problem(str(folder), _advice_for(folder)))
    files: dict[str, Path] = {}
    for fold, path in chosen.items():
        if (path / name).is_file():
            files[fold] = path / name
            continue
        other = [file for file in CHECKPOINTS.values() if (path / file).is_file()]
        found = f"only {other[0]} is there, for which there is --checkpoint" if other else "its training has not ended"
        problems.append(Problem(str(path), f"holds no {name}: {found}. Or choose others with --folds."))
    return files


def _fold_folders(folder: Path) -> dict[str, Path]:
    """Fold -> its folder; fold_all, which nnU-Net does not combine with others, only where it is alone."""
    found: dict[str, Path] = {}
    for path in folder.glob("fold_*"):
        match = _FOLD.fullmatch(path.name)
        if match and path.is_dir():
            found[match[1]] = path
    numbered = sorted((fold for fold in found if fold != ALL_FOLDS), key=int)
    return {fold: found[fold] for fold in numbered or found}


def _advice_for(folder: Path) -> str:
    """What to pass instead of a folder without folds."""
    below = sorted(path.parent.name for path in folder.glob(f"*/{PLANS_JSON}"))
    message = "holds no fold_0, fold_1 … with the checkpoints of an nnU-Net training."
    return f"{message} Pass one of the folders in it: {', '.join(below)}." if below else message


def _read_object(path: Path, problems: list[Problem]) -> dict[str, Any]:
    with Collecting(problems):
        content = read_json(path)
        if isinstance(content, dict):
            return content
        problems.append(Problem(str(path), f"holds a {type(content).__name__}; expected an object."))
    return {}


def _checked_checkpoint(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    weights, arguments = content.get("network_weights"), content.get("init_args")
    if not isinstance(weights, Mapping) or not isinstance(arguments, Mapping) or "configuration" not in arguments:
        keys = ", ".join(map(str, content))
        message = f"is no checkpoint of nnU-Net v2: expected network_weights and init_args, found {keys or 'nothing'}."
        raise InputError(Problem(str(path), message))
    return content


class _Facts:
    """Reads what the plans and the data set say; adds what is wrong to `problems`."""

    def __init__(
        self,
        folder: Path,
        plans: Mapping[str, Any],
        dataset: Mapping[str, Any],
        configuration: str,
        problems: list[Problem],
    ) -> None:
        self.folder = folder
        self.plans = plans
        self.dataset = dataset
        self.name = configuration
        self.problems = problems
        self.place = f"{folder / PLANS_JSON}: configurations.{configuration}"
        self.settings = self._with_inherited(configuration, [])

    def read(self) -> dict[str, Any]:
        """Return the fields of NnunetResults that plans.json and dataset.json decide; incomplete with problems."""
        supported = False
        with self._understanding():
            supported = not self.problems and self._is_supported()
        if not supported:
            return {}
        fields: dict[str, Any] = {"settings": self.settings}
        with Understanding(str(self.folder / DATASET_JSON), PROGRAM, self.problems):
            fields["labels"] = read_labels(self.folder / DATASET_JSON, dict(self.dataset.get("labels") or {}))
            fields["region_labels"] = self._region_labels(fields["labels"])
        for name, read in (
            ("architecture", self._architecture),
            ("axes", self._axes),
            ("orientation", self._orientation),
            ("schemes", self._schemes),
            ("resampling", self._resampling),
        ):
            with self._understanding(f".{name}"):
                fields[name] = read()
        return fields

    def _understanding(self, key: str = "") -> Understanding:
        return Understanding(f"{self.place}{key}", PROGRAM, self.problems)

    def check_same_training(self, fold: str, content: Mapping[str, Any], first: Mapping[str, Any]) -> None:
        """Refuse folds that were trained differently."""
        for key in ("trainer_name", "inference_allowed_mirroring_axes"):
            if content.get(key) != first.get(key):
                message = f"has {key} {content.get(key)!r}, the first fold {first.get(key)!r}; expected the same."
                self._problem(f"fold_{fold}", message)
        if content["init_args"]["configuration"] != self.name:
            message = f"is of configuration {content['init_args']['configuration']!r}, the first fold of {self.name!r}."
            self._problem(f"fold_{fold}", message)

    def _problem(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))

    def _with_inherited(self, name: str, visited: list[str]) -> dict[str, Any]:
        configurations = self.plans.get("configurations")
        configurations = configurations if isinstance(configurations, Mapping) else {}
        own = configurations.get(name)
        if not isinstance(own, Mapping) or name in visited:
            found = ", ".join(configurations) or "none"
            self._problem(self.place, f"{name!r} is missing, or inherits from itself; there are {found}.")
            return {}
        parent = own.get("inherits_from")
        inherited = {} if parent is None else self._with_inherited(str(parent), [*visited, name])
        return {**inherited, **own}

    def _is_supported(self) -> bool:
        """Whether the configuration is a single 3D stage, with everything that is needed."""
        missing = [name for name in _NEEDED if name not in self.settings]
        if missing:
            self._problem(self.place, f"lacks {', '.join(missing)}.")
            return False
        if len(self.settings["patch_size"]) != 3:
            self._problem(self.place, "is a 2D network, which cannot be imported: bundles are 3D.")
        elif self.settings.get("previous_stage") is not None:
            stage = self.settings["previous_stage"]
            message = f"is the second stage of a cascade and needs the output of {stage}; import 3d_fullres or {stage}."
            self._problem(self.place, message)
        else:
            return True
        return False

    def _region_labels(self, labels: NnunetLabels) -> tuple[int, ...]:
        if all(len(values) == 1 for values in labels.final_classes.values()):
            return ()
        order = self.dataset.get("regions_class_order")
        if isinstance(order, list) and len(order) == len(labels.final_classes):
            return tuple(map(int, order))
        message = f"is {order!r}; expected a label for each of the {len(labels.final_classes)} regions."
        raise InputError(Problem(f"{self.folder / DATASET_JSON}: $.regions_class_order", message))

    def _architecture(self) -> tuple[str, Mapping[str, Any]]:
        if "architecture" in self.settings:
            described = self.settings["architecture"]
            target, arguments = str(described["network_class_name"]), described["arch_kwargs"]
        else:
            target, arguments = self._architecture_of_old_plans()
        name = target.rpartition(".")[2]
        if name not in (PLAIN, RESIDUAL):
            self._problem(self.place, f"has the network {target}; only {PLAIN} and {RESIDUAL} can be imported.")
        for message in unusual(name, arguments):
            self._problem(f"{self.place}.architecture", message)
        return name, arguments

    def _architecture_of_old_plans(self) -> tuple[str, dict[str, Any]]:
        """Architecture from the keys of nnunetv2 before 2.3."""
        settings = self.settings
        name = str(settings.get("UNet_class_name"))
        stages = len(settings.get("n_conv_per_stage_encoder", ()))
        convolutions = "n_conv_per_stage" if name == PLAIN else "n_blocks_per_stage"
        features = []
        for level in range(stages):
            wanted = int(settings.get("UNet_base_num_features", 32)) * 2**level
            features.append(min(wanted, int(settings.get("unet_max_num_features", 320))))
        return name, {
            "n_stages": stages,
            "features_per_stage": features,
            "kernel_sizes": settings.get("conv_kernel_sizes", []),
            "strides": settings.get("pool_op_kernel_sizes", []),
            convolutions: settings.get("n_conv_per_stage_encoder", []),
            "n_conv_per_stage_decoder": settings.get("n_conv_per_stage_decoder", []),
            "conv_bias": True,
        }

    def _axes(self) -> tuple[int, int, int]:
        """nnU-Net reads arrays as (z, y, x) and transposes them; see `NnunetResults.axes`."""
        forward = self.plans.get("transpose_forward", [0, 1, 2])
        if not isinstance(forward, list) or sorted(map(str, forward)) != ["0", "1", "2"]:
            message = f"is {forward!r}; expected the numbers 0, 1, 2 in some order."
            self._problem(f"{self.folder / PLANS_JSON}: transpose_forward", message)
            return (2, 1, 0)
        x, y, z = (forward.index(2 - axis) for axis in range(3))
        return x, y, z

    def _orientation(self) -> str | None:
        reader = str(self.plans.get("image_reader_writer", "SimpleITKIO"))
        if reader not in READERS:
            message = f"is {reader!r}; images are read as by {', '.join(READERS)}."
            self._problem(f"{self.folder / PLANS_JSON}: image_reader_writer", message)
        return READERS.get(reader)

    def _schemes(self) -> tuple[Mapping[str, Any], ...]:
        masks = self.settings["use_mask_for_norm"]
        names = self.settings["normalization_schemes"]
        channels = self.dataset.get("channel_names") or self.dataset.get("modality") or {}
        if not len(channels) == len(names) == len(masks):
            counts = f"{len(names)} schemes and {len(masks)} masks for {len(channels)} channels"
            self._problem(f"{self.place}.normalization_schemes", f"has {counts}; expected one for each channel.")
            return ()
        schemes: list[Mapping[str, Any]] = []
        for channel, (name, mask) in enumerate(zip(names, masks, strict=True)):
            if name not in SCHEMES:
                message = f"is {name!r} for channel {channel}; expected one of {', '.join(SCHEMES)}."
                self._problem(f"{self.place}.normalization_schemes", message)
                continue
            scheme: dict[str, Any] = {"scheme": SCHEMES[name]}
            if scheme["scheme"] == ZSCORE:
                scheme["mask"] = bool(mask)
            elif scheme["scheme"] == WINDOW:
                scheme.update(self._window(channel))
            schemes.append(scheme)
        return tuple(schemes)

    def _window(self, channel: int) -> dict[str, float]:
        key = "foreground_intensity_properties_per_channel"
        properties = self.plans.get(key) or self.plans.get("foreground_intensity_properties_by_modality") or {}
        measured = properties.get(str(channel), {})
        window = {}
        names = {"low": "percentile_00_5", "high": "percentile_99_5", "mean": "mean", "std": "std"}
        for name, written in names.items():
            if not isinstance(measured.get(written), (int, float)):
                self._problem(f"{self.folder / PLANS_JSON}: {key}.{channel}", f"lacks {written}, which CT needs.")
                return {}
            window[name] = float(measured[written])
        return window

    def _resampling(self) -> dict[str, Resampling]:
        read = {}
        for kind, order in (("data", 3), ("seg", 1), ("probabilities", 1)):
            function = self.settings.get(f"resampling_fn_{kind}", _RESAMPLING)
            arguments = self.settings.get(f"resampling_fn_{kind}_kwargs") or {}
            place = f"{self.place}.resampling_fn_{kind}"
            if function != _RESAMPLING:
                self._problem(place, f"is {function!r}; only {_RESAMPLING} can be imported.")
            orders = (arguments.get("order", order), arguments.get("order_z", 0))
            if not set(orders) <= {0, 1, 3} or (kind == "probabilities" and (orders[0] != 1 or orders[1] == 3)):
                self._problem(place, f"has the orders {list(orders)}, which cannot be imported.")
            separate = arguments.get("force_separate_z")
            read[kind] = Resampling(order=orders[0], order_across=orders[1], separate=separate)
        if len({resampling.separate for resampling in read.values()}) > 1:
            self._problem(self.place, "has different force_separate_z for data, seg and probabilities.")
        return read


def unusual(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """List what keeps a network of nnU-Net from being built here, each as the end of a sentence about it."""
    kernels, strides = arguments.get("kernel_sizes") or [], arguments.get("strides") or []
    features, levels = arguments.get("features_per_stage"), arguments.get("n_stages")
    if not isinstance(features, (list, tuple)) or not len(kernels) == len(strides) == len(features) == levels:
        return ["must list kernel_sizes, strides and features_per_stage for each of its n_stages."]
    found = [] if levels >= _FEWEST_LEVELS else [f"has {levels} stages; expected {_FEWEST_LEVELS} or more."]
    for step in strides:
        if not set(step) <= {1, 2}:
            found.append(f"has the stride {list(step)}; expected 1 and 2.")
    for kernel in kernels:
        if any(size % 2 == 0 for size in kernel):
            found.append(f"has the kernel {list(kernel)}; expected odd sizes.")
    found += _other_convolutions(name, arguments)
    for key, usual in _USUAL.items():
        value = arguments.get(key, usual[0])
        if value not in usual:
            found.append(f"has {key} {value!r}; expected {usual[0]!r}.")
    return found


def _other_convolutions(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """Numbers of convolutions in a stage that no network here has."""
    expected = {PLAIN: 2, RESIDUAL: 1}.get(name)
    keys = ["n_conv_per_stage_decoder"] if name == RESIDUAL else ["n_conv_per_stage", "n_conv_per_stage_decoder"]
    found = []
    blocks = arguments.get("n_blocks_per_stage")
    if name == RESIDUAL and (not isinstance(blocks, (list, tuple)) or len(blocks) != arguments["n_stages"]):
        found.append(f"has n_blocks_per_stage {blocks!r}; expected a number for each stage.")
    for key in keys:
        counts = arguments.get(key)
        counts = counts if isinstance(counts, (list, tuple)) else [counts]
        if set(counts) != {expected}:
            found.append(f"has {key} {list(counts)}; expected {expected} at every level.")
    return found


# arguments that change what a network computes, with the values that networks here compute
_USUAL: dict[str, tuple[Any, ...]] = {
    "conv_op": ("torch.nn.modules.conv.Conv3d", "torch.nn.Conv3d"),
    "norm_op": ("torch.nn.modules.instancenorm.InstanceNorm3d", "torch.nn.InstanceNorm3d"),
    "norm_op_kwargs": ({"eps": 1e-05, "affine": True},),
    "dropout_op": (None,),
    "nonlin": ("torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU"),
    "nonlin_kwargs": ({"inplace": True}, {"inplace": True, "negative_slope": 0.01}, None),
    "nonlin_first": (False,),
    "conv_bias": (True,),
    "squeeze_excitation": (False,),
    "stochastic_depth_p": (0.0,),
    "bottleneck_channels": (None,),
}
