"""The user's options: each is declared here and nowhere else.

A field of `PlanOptions` declares the kind of its values (type and bounds), its text in --help, and whether recipes set
it. The command line, its help, the checks and the recipes all read these fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from mist_bundle.catalog.augmentations import AUGMENTATIONS, PATCH_SAMPLINGS
from mist_bundle.catalog.losses import COMPOSITE_WEIGHTINGS, LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.precisions import PRECISIONS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.runtime.numerics.triples import Spacing, Triple
from mist_bundle.runtime.settings import FLIP_AXES, OR_NONE, SETTINGS
from mist_bundle.runtime.values import JsonObject, Kind, Number, Several, Switch, Text, Whole, Word

AUTO = "auto"


class ClassWeights(Several):
    """`auto`, or a number for each output of the network."""

    def read(self, text: str) -> Any:
        return text.strip() if text.strip() == AUTO else super().read(text)

    def clean(self, value: Any) -> Any:
        return value if isinstance(value, str) else super().clean(value)

    def holds(self, value: Any) -> bool:
        return value == AUTO or (super().holds(value) and any(weight > 0 for weight in value))

    @property
    def expected(self) -> str:
        return "auto, or numbers of 0 or more, not all 0, like 0.5,1,2"


class HeadWeights(Several):
    """Weights of the outputs in the loss; the output itself counts."""

    def holds(self, value: Any) -> bool:
        return super().holds(value) and value[0] > 0

    @property
    def expected(self) -> str:
        return "numbers of 0 or more, the first above 0"


class KernelSize(Whole):
    """An odd size of a depthwise convolution."""

    sizes = (3, 5, 7)

    def holds(self, value: Any) -> bool:
        return super().holds(value) and value in self.sizes

    @property
    def expected(self) -> str:
        return "3, 5 or 7"


class Memory(Number):
    """Gigabytes, as cards are sold by them: 24GB, 24 GB, 24 or 16384MB."""

    units: ClassVar[Mapping[str, float]] = {"gib": 1.0, "gb": 1.0, "g": 1.0, "mib": 1 / 1024, "mb": 1 / 1024}

    def read(self, text: str) -> float:
        word = text.strip().lower()
        for unit, factor in self.units.items():
            if word.endswith(unit):
                return float(word.removesuffix(unit)) * factor
        return float(word)

    def clean(self, value: Any) -> Any:
        """The text "24GB" from Python too; what is not a size is returned as it is, to be refused."""
        if not isinstance(value, str):
            return super().clean(value)
        try:
            return self.read(value)
        except ValueError:
            return value

    @property
    def expected(self) -> str:
        return "gigabytes like 24GB or 11.5, at least 1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """A declared option.

    Attributes:
        name: name on the command line, without the dashes.
        kind: kind of its values.
        about: text in --help.
        default: default value; None leaves the decision to the recipe or the data.
        by_recipe: whether every recipe has a value for it.
        of_network: whether only some networks have it (`takes` in the catalogue).
        public: whether users can set it; the package itself sets the others.
    """

    name: str
    kind: Kind
    about: str
    default: Any
    by_recipe: bool
    of_network: bool
    public: bool


def _option(
    kind: Kind,
    about: str,
    *,
    default: Any = None,
    by_recipe: bool = False,
    of_network: bool = False,
    public: bool = True,
) -> Any:
    facts = {"kind": kind, "about": about, "by_recipe": by_recipe, "of_network": of_network, "public": public}
    return field(default=default, metadata=facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """Options of a plan; None leaves the decision to the recipe or the data."""

    network: str | None = _option(
        Word(choices=NETWORKS, what="network", own=True),
        "a name from `mist-bundle networks`, or your own: my_package.my_module.MyNet or path/to/file.py:MyNet.",
        by_recipe=True,
    )
    network_arguments: Mapping[str, Any] | None = _option(
        JsonObject(), "further arguments of the network as a JSON object, for example '{\"width\": 16}'."
    )
    patch_divisor: Triple | None = _option(
        SETTINGS["patch_divisor"],
        "what the patch must be a multiple of, for a network that is not on the menu: 16, or 16,16,8.",
        of_network=True,
    )
    deep_supervision_heads: int | None = _option(
        Whole(low=0, high=16, why=OR_NONE),
        "number of auxiliary outputs in training; 0 for none.",
        by_recipe=True,
        of_network=True,
    )
    deep_supervision_weights: tuple[float, ...] | None = _option(
        HeadWeights(of=Number(low=0), least=1),
        "weights of the output and its auxiliary heads in the loss; 1,0.5,0.25 by default.",
        of_network=True,
    )
    residual: bool | None = _option(
        Switch(),
        "blocks with a shortcut (--residual) or without (--noresidual).",
        by_recipe=True,
        of_network=True,
    )
    vae: bool | None = _option(
        Switch(),
        "regularise by a variational autoencoder that reconstructs the image from the bottleneck (training only).",
        of_network=True,
    )
    kernel_size: int | None = _option(
        KernelSize(), "size of MedNeXt's depthwise convolutions: 3, 5 or 7.", of_network=True
    )
    loss: str | None = _option(
        Word(choices=LOSSES, what="loss", own=True),
        "a name from `mist-bundle losses`, or your own, as for the network; by default that of the recipe.",
        by_recipe=True,
    )
    loss_arguments: Mapping[str, Any] | None = _option(
        JsonObject(), "further arguments of the loss as a JSON object, for example '{\"alpha\": 0.7}'."
    )
    recipe: str = _option(Text(), "a name from `mist-bundle recipes`.", default="paper")
    folds: int = _option(
        Whole(low=2, high=10_000, why=", since each fold is tested once"),
        "number of cross-validation folds.",
        default=5,
    )
    val_fraction: float | None = _option(
        Number(low=0, high=1, open_high=True),
        "share of each training set held back to choose the best weights.",
        by_recipe=True,
    )
    epochs: int | None = _option(SETTINGS["epochs"], "epochs of each training.", by_recipe=True)
    steps_per_epoch: int | None = _option(SETTINGS["steps_per_epoch"], "optimizer steps of an epoch.")
    batch_size: int | None = _option(
        SETTINGS["batch_size"], "patches of an optimizer step, over all GPUs together.", by_recipe=True
    )
    patch_size: Triple | None = _option(
        SETTINGS["patch_size"], "patch size in voxels, for example 64,64,32; changed to a size that the network takes."
    )
    max_patch_size: Triple | None = _option(
        SETTINGS["patch_size"], "the largest patch that the rule may choose.", by_recipe=True
    )
    memory: float | None = _option(
        Memory(low=1, high=100_000),
        "GPU memory that a training step has to fit into, like 11GB; by default that of the GPU here, or 24GB.",
    )
    target_spacing: Spacing | None = _option(
        Several(of=Number(low=0, open_low=True, high=1000), length=3, repeat=True),
        "voxel spacing in millimetres, for example 1,1,3.",
    )
    optimizer: str | None = _option(
        Word(choices=OPTIMIZERS, what="optimizer"), "a name from `mist-bundle optimizers`.", by_recipe=True
    )
    learning_rate: float | None = _option(
        SETTINGS["learning_rate"], "initial learning rate, after the warm-up.", by_recipe=True
    )
    schedule: str | None = _option(
        Word(choices=SCHEDULES, what="schedule"),
        "schedule of the learning rate, a name from `mist-bundle schedules`.",
        by_recipe=True,
    )
    warmup_steps: int | None = _option(
        SETTINGS["warmup_steps"], "optimizer steps during which the learning rate rises; fewer if the run is too short."
    )
    weight_decay: float | None = _option(
        SETTINGS["weight_decay"], "L2 penalty (decoupled with adamw); 0 for none.", by_recipe=True
    )
    l1_penalty: float | None = _option(SETTINGS["l1_penalty"], "L1 penalty; 0 for none.", by_recipe=True)
    grad_clip_norm: float | None = _option(
        SETTINGS["grad_clip_norm"], "largest norm of the gradients; 0 for no clipping.", by_recipe=True
    )
    accumulation_steps: int | None = _option(
        SETTINGS["accumulation_steps"],
        "number of passes in which a GPU computes the patches of a step, if its memory cannot hold all at once.",
        by_recipe=True,
    )
    ema_decay: float | None = _option(
        SETTINGS["ema_decay"],
        "validate and keep an exponential moving average of the weights with this decay; 0 for none.",
        by_recipe=True,
    )
    early_stopping: int | None = _option(
        SETTINGS["early_stopping"],
        "stop after this many validations without a better score; 0 for never.",
        by_recipe=True,
    )
    precision: str | None = _option(
        Word(choices=PRECISIONS, what="precision"),
        "auto, fp32, bf16 or fp16 (with a gradient scaler, on CUDA).",
        by_recipe=True,
    )
    compile: bool | None = _option(Switch(), "torch.compile the network for training.", by_recipe=True)
    augmentation: str | None = _option(
        Word(choices=AUGMENTATIONS, what="augmentation"), "a name from `mist-bundle augmentations`.", by_recipe=True
    )
    patch_sampling: str | None = _option(
        Word(choices=PATCH_SAMPLINGS, what="patch sampling"),
        "how patches are placed: around any voxel of a class (class, the default), or around any lesion of it with the "
        "same probability, however small (instance).",
    )
    composite_weighting: str | None = _option(
        Word(choices=COMPOSITE_WEIGHTINGS, what="composite weighting"),
        "share of Dice + CE in a composite loss: constant (0.5), linear or cosine (from 1 to 0 at the last epoch).",
    )
    class_weights: tuple[float, ...] | str | None = _option(
        ClassWeights(of=Number(low=0), least=1),
        "auto, or a weight for each output of the network, the background first.",
    )
    ignore_label: int | None = _option(Whole(), "value of unlabelled voxels, which are neither trained on nor scored.")
    regions: bool | None = _option(
        Switch(),
        "train the final classes themselves, which may overlap, each with a sigmoid; --noregions trains the labels. By "
        "default, regions are trained if the final classes overlap and some label is not a class by itself.",
        by_recipe=True,
    )
    region_labels: tuple[int, ...] | None = _option(
        Several(of=Whole(), least=1, distinct=True),
        "label that each region writes into the label map; by default the most frequent label that only it has.",
    )
    normalize_distance_maps: bool = _option(
        Switch(),
        "scale distance maps to -1 inside and 1 outside; --nonormalize_distance_maps keeps the distances.",
        default=True,
    )
    distance_maps_in_mm: bool = _option(Switch(), "measure distances in millimetres instead of voxels.", default=False)
    flip_axes: tuple[int, ...] | None = _option(
        FLIP_AXES,
        "axes that may be flipped in training and testing: 1,2 if left and right differ, [] for none.",
        by_recipe=True,
    )
    bias_correction: bool = _option(Switch(), "N4 bias field correction (MR only).", default=False)
    skip_preprocessing: bool = _option(
        Switch(), "the files are preprocessed already; read them as they are.", default=False
    )
    seed: int = _option(SETTINGS["seed"], "seed of the folds and of the training.", default=42)
    distance_maps: bool = _option(
        Switch(), "the user's own loss declares that it needs distance maps.", default=False, public=False
    )


CHANNEL_STRATEGIES = ("average", "first", "skip")
FREEZABLE = ("none", "encoder")


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferOptions:
    """Options of a training that starts from another bundle's weights."""

    replan: bool = _option(
        Switch(), "plan spacing and patch for the new data; by default the source's are kept.", default=False
    )
    channels: str | None = _option(
        Word(choices=CHANNEL_STRATEGIES),
        "initial weights of image channels whose names the source does not have: average, first or skip.",
    )
    freeze: str = _option(
        Word(choices=FREEZABLE), "encoder, to keep the source's encoder as it is, or none.", default="none"
    )
    unfreeze_epoch: int | None = _option(
        Whole(low=2, high=10**6, why=", since epochs count from 1"),
        "first epoch in which the frozen encoder is trained, too.",
    )
    layer_decay: float = _option(
        Number(low=0, open_low=True, high=1),
        "factor by which the learning rate falls from stage to stage, from the output to the input, such as 0.8.",
        default=1.0,
    )


def _declared(kind: type[PlanOptions] | type[TransferOptions]) -> dict[str, Option]:
    """The options of a class, in the order in which --help lists them."""
    options = {}
    for declared in fields(kind):
        options[declared.name] = Option(name=declared.name, default=declared.default, **declared.metadata)
    return options


OPTIONS = _declared(PlanOptions)
TRANSFER_OPTIONS = _declared(TransferOptions)
