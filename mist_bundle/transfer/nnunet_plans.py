"""What a configuration of nnU-Net's plans.json says, as far as a bundle can do the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.channels import numbering_problem
from mist_bundle.dataset.nnunet_labels import NnunetLabels, read_labels
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON
from mist_bundle.runtime.numerics.schemes import BYTES_TO_ONE, NONE, WINDOW, ZERO_TO_ONE, ZSCORE
from mist_bundle.transfer.foreign import Understanding
from mist_bundle.transfer.nnunet_network import PLAIN, RESIDUAL, unusual

PROGRAM = "nnU-Net v2"
PLANS_JSON = "plans.json"
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


class NnunetPlans:
    """Reads a configuration of plans.json, and what dataset.json says about it.

    Args:
        folder: the results folder, for messages.
        plans: content of plans.json.
        dataset: content of dataset.json.
        configuration: name of the configuration.
        problems: what is wrong is added here.
    """

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
            width = int(settings.get("UNet_base_num_features", 32)) * 2**level
            features.append(min(width, int(settings.get("unet_max_num_features", 320))))
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
        if channels and numbering_problem(channels):
            self._problem(f"{self.folder / DATASET_JSON}: channel_names", numbering_problem(channels))
            return ()
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
