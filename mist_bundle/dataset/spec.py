"""dataset.json as a checked, typed value: all that the later stages know about the user's dataset.

The keys are MIST's, so a dataset description written for MIST is read unchanged. All mistakes are reported at once,
each with its place in the file, because a description with five mistakes should not cost five runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from mist_bundle.dataset.foreign import conversion_advice, foreign_json_advice, own_advice
from mist_bundle.dataset.names import slug
from mist_bundle.dataset.spec_reader import Modality, SpecReader, json_kind
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """A valid dataset description: every path exists, every label and string has been checked.

    Attributes:
        json_path: source file; relative folders in it start at its folder.
        task: name of the task as written; `slug` is its form for file names.
        modality: "ct", "mr" or "other".
        train_dir: folder with a sub-folder for each training case.
        test_dir: the same for unlabelled cases, or None.
        mask: identifying strings of the label file.
        images: channel name -> identifying strings; the order of the channels is the order of the network's inputs.
        labels: label values in the masks, sorted, 0 (background) first; they need not be consecutive. Without
            `ignore_label`, which is not a class.
        final_classes: class to evaluate -> its label values. By default every foreground label is a class.
        label_names: label value -> name, for every label.
        ignore_label: value of unlabelled voxels, which neither train nor count; None if there is no such value.
        optional_images: channels that may be missing in a prediction; training drops them at random.
        annotated_labels: column of cases.csv -> value -> labels that were annotated in the cases with this value;
            empty if every label was annotated in every case, or if cases.csv says it case by case.
        description: free text for the model card.
        licence: licence of the data.
        reference: source of the data.
    """

    json_path: Path
    task: str
    modality: Modality
    train_dir: Path
    test_dir: Path | None
    mask: tuple[str, ...]
    images: dict[str, tuple[str, ...]]
    labels: tuple[int, ...]
    final_classes: dict[str, tuple[int, ...]]
    label_names: dict[int, str]
    ignore_label: int | None = None
    optional_images: tuple[str, ...] = ()
    annotated_labels: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    description: str = ""
    licence: str = ""
    reference: str = ""

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the image channels, in the order of the network's inputs."""
        return tuple(self.images)

    @property
    def num_channels(self) -> int:
        """Number of image channels."""
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """Number of labels, background included."""
        return len(self.labels)

    @property
    def slug(self) -> str:
        """The task's name in lower-case letters, digits and underscores, fit for file names."""
        return slug(self.task)

    def with_ignore_label(self, label: int, place: str = "--ignore_label") -> DatasetSpec:
        """Return the same dataset with the voxels of a label excluded from training and scoring.

        Args:
            label: a value of `labels`.
            place: where the user wrote it, for the message.

        Raises:
            InputError: the value is the background, no label at all, or part of a class to be scored.
        """
        if label == self.ignore_label:
            return self
        problem = self._ignore_label_problem(label)
        if problem:
            raise InputError(Problem(place, problem))
        label_names = dict(self.label_names)
        del label_names[label]
        final_classes: dict[str, tuple[int, ...]] = {}
        for name, members in self.final_classes.items():
            if members != (label,):
                final_classes[name] = members
        return replace(
            self,
            ignore_label=label,
            labels=tuple(label_names),
            label_names=label_names,
            final_classes=final_classes,
        )

    def _ignore_label_problem(self, label: int) -> str:
        if self.ignore_label is not None:
            return (
                f"is {label}, but dataset.json already names {self.ignore_label}; only a single value can be ignored."
            )
        if label == 0:
            return "is 0, the background, which every case needs. Give the unlabelled voxels a value of their own."
        if label not in self.labels:
            return f'is {label}, but "labels" is {list(self.labels)}. Add the value there, so that files may hold it.'
        for name, members in self.final_classes.items():
            if label in members and len(members) > 1:
                return f"is {label}, but $.final_classes counts it in {name}. Remove it there."
        if len(self.labels) < 3:
            return f"is {label}, the only label there is; nothing would be left to learn."
        return ""

    @classmethod
    def from_json(cls, path: str | Path) -> DatasetSpec:
        """Read and check a dataset.json.

        Raises:
            InputError: with a Problem for each mistake in the file, all of them at once.
        """
        json_path = Path(path).absolute()
        if json_path.is_dir() or json_path.suffix.lower() != ".json":
            advice = conversion_advice(json_path) or own_advice(json_path)
            if advice:
                raise InputError(Problem(str(json_path), advice))
        content = read_json(json_path)
        if not isinstance(content, dict):
            message = f'must hold a JSON object like {{"task": …}}, not {json_kind(content)}.'
            raise InputError(Problem(str(json_path), message))
        advice = foreign_json_advice(json_path, content)
        if advice:
            raise InputError(Problem(str(json_path), advice))
        reader = SpecReader(json_path, content)
        fields = reader.read()
        if reader.problems:
            raise InputError(reader.problems)
        spec = cls(json_path=json_path, **fields)
        if reader.ignore_label is None:
            return spec
        return spec.with_ignore_label(reader.ignore_label, f"{json_path}: $.ignore_label")
