"""What the settings of a bundle may be: a kind for each top-level id that a user may override.

`mist-bundle train BUNDLE --epochs 5` and `python -m monai.bundle run training … --epochs 5` are checked by this table,
and the planner's options of the same names by the same rows. Standard library only: this file travels in every bundle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from .values import JsonObject, Kind, Number, PathText, Several, Switch, Text, Whole, Word, read_value

CONFIG_SUFFIXES = (".json", ".yaml", ".yml")  # of configuration files, as MONAI reads them
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
ENGINES = ("torch", "auto", "openvino")  # what runs the network in a prediction
TRACKERS = ("tensorboard", "mlflow", "wandb", "none")  # where the curves of a training go
MAX_SEED = 2**32 - 1  # numpy's limit
MAX_PATCH_VOXELS = 2**28  # the features of a single level would fill the memory of any machine
_DEVICE = re.compile(r"cpu|cuda(:\d{1,3})?|mps")


@dataclass(frozen=True, kw_only=True)
class Device(Text):
    """Where to compute. Whether there is such a device is another question."""

    def holds(self, value: Any) -> bool:
        return _DEVICE.fullmatch(str(value)) is not None

    @property
    def expected(self) -> str:
        return "cpu, cuda or cuda:1"


@dataclass(frozen=True, kw_only=True)
class Amp(Word):
    """A precision by its name; true stands for bf16 and false for fp32."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, bool) or super().holds(value)


@dataclass(frozen=True, kw_only=True)
class PatchSize(Several):
    """Voxels for each axis, and not too many in all."""

    def holds(self, value: Any) -> bool:
        return super().holds(value) and prod(value) <= MAX_PATCH_VOXELS

    @property
    def expected(self) -> str:
        return f"{super().expected}, at most {MAX_PATCH_VOXELS} voxels in all"


COUNT = Whole(low=1, high=1_000_000)
VOXELS_PER_AXIS = Whole(low=1, high=4096)
OR_NONE = " (0 for none)"
PATCH_SIZE = PatchSize(of=VOXELS_PER_AXIS, length=3, repeat=True)
FLIP_AXES = Several(of=Whole(low=0, high=2, why=" for X, Y, Z"), distinct=True)
EMPTY_WORDS = {"both_empty": ("best", "nan"), "one_empty": ("worst", "nan")}

# top-level id of a configuration -> what it may be
SETTINGS: Mapping[str, Kind] = {
    "dataset_dir": PathText(),
    "work_dir": PathText(),
    "datalist": PathText(),
    "fold_dir": PathText(),
    "output_dir": PathText(),
    "models_dir": PathText(),
    "ckpt_path": PathText(),
    "postprocessing_path": PathText(),
    "confidence_path": PathText(),
    "fold_paths": Several(of=PathText()),
    "fold": Whole(low=0, high=9999),
    "epochs": COUNT,
    "steps_per_epoch": COUNT,
    "batch_size": Whole(low=1, high=10_000),
    "batch_size_per_process": Whole(low=1, high=10_000),
    "sw_batch_size": Whole(low=1, high=10_000),
    "patch_size": PATCH_SIZE,
    "patch_divisor": Several(of=VOXELS_PER_AXIS, length=3, repeat=True),
    "learning_rate": Number(low=0, open_low=True, high=10),
    "schedule": Word(choices=("constant", "cosine", "polynomial"), what="schedule"),
    "warmup_fraction": Number(low=0, high=1),
    "warmup_steps": Whole(low=0, high=10**9, why=OR_NONE),
    "weight_decay": Number(low=0, high=10, why=OR_NONE),
    "l1_penalty": Number(low=0, high=10, why=OR_NONE),
    "grad_clip_norm": Number(low=0, why=" (0 for no clipping)"),
    "accumulation_steps": Whole(low=1, high=10_000),
    "ema_decay": Number(low=0, high=1, open_high=True, why=OR_NONE),
    "early_stopping": Whole(low=0, high=10**6, why=" validations without a better score (0 for never)"),
    "val_interval": COUNT,
    "frozen_epochs": Whole(low=0, high=10**6),
    "precision": Word(choices=PRECISIONS, what="precision"),
    "amp": Amp(choices=(*PRECISIONS, "true", "false"), what="precision"),
    "compile": Switch(),
    "engine": Word(choices=ENGINES, what="engine"),
    "seed": Whole(low=0, high=MAX_SEED),
    "device": Device(),
    "resume": Switch(),
    "loader": Word(choices=("auto", "dali", "torch"), what="loader"),
    "tracker": Word(choices=TRACKERS, what="tracker"),
    "workers": Whole(low=1, high=1024),
    "memory": Number(low=0, open_low=True, why=" (gigabytes)"),
    "overlap": Number(low=0, high=1, open_high=True),
    "test_time_flip_axes": FLIP_AXES,
    "save_probabilities": Switch(),
    "save_uncertainty": Switch(),
    "ensemble": Switch(),
    "overwrite": Switch(),
    "split": Word(choices=("training", "validation", "test", "all", "testing"), what="split"),
    "postprocess": Switch(),
    "absent_channels": Several(of=Text()),
    "metrics": Several(of=Text(), least=1),
    "metric_options": JsonObject(),
    "final_classes": JsonObject(),
    **{name: Word(choices=words, what="rule") for name, words in EMPTY_WORDS.items()},
    "empty_distance_mm": Number(low=0, open_low=True),
}
# those that may be left empty
OPTIONAL = frozenset({"empty_distance_mm", "metric_options", "batch_size_per_process", "workers"})


def is_expression(value: Any) -> bool:
    """Whether a value is a piece of MONAI's configuration language, which only the bundle itself can evaluate."""
    return isinstance(value, str) and value[:1] in ("$", "@", "%")


def setting_problem(name: str, value: Any) -> str | None:
    """What is wrong with the value of a top-level id, or None; ids without a row, expressions and components pass."""
    kind = SETTINGS.get(name)
    is_component = isinstance(value, Mapping) and "_target_" in value
    if kind is None or is_component or is_expression(value) or (value is None and name in OPTIONAL):
        return None
    if isinstance(value, str) and not isinstance(kind, Text):
        return read_value(kind, value)[1]
    if isinstance(value, Sequence) and not isinstance(value, str) and any(map(is_expression, value)):
        return None
    return kind.problem(kind.clean(value))
