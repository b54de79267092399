"""The datasets that are merged: whether they agree, and the values of their labels in the merged dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.dataset.foreign import own_advice
from mist_bundle.dataset.names import default_label_name, id_problem
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import DATASET_JSON, real_path
from mist_bundle.runtime.wording import list_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A dataset that is merged.

    Attributes:
        name: what the column `source` calls it.
        spec: its description.
        labels: its label value -> label value of the merged dataset, with the ignored label.
    """

    name: str
    spec: DatasetSpec
    labels: Mapping[int, int]

    @property
    def annotated(self) -> list[int]:
        """The labels that it annotates, as values of the merged dataset."""
        return sorted(self.labels[label] for label in self.spec.labels if label != 0)


def read_sources(json_paths: Sequence[Path], names: Sequence[str] = ()) -> list[Source]:
    """Read the descriptions and renumber their labels.

    Raises:
        InputError: a description is wrong, or they do not agree; all problems at once.
    """
    problems: list[Problem] = []
    specs: list[DatasetSpec] = []
    if len(json_paths) < 2:
        problems.append(Problem("sources", "are fewer than two. Name the dataset.json of each dataset."))
    for path in json_paths:
        if path.is_dir() and own_advice(path):
            problems.append(Problem(str(path), f"is a folder; name the file {DATASET_JSON} in it."))
            continue
        with Collecting(problems):
            specs.append(DatasetSpec.from_json(path))
    if problems:
        raise InputError(problems)
    named = _source_names(specs, names, problems)
    problems += _differences(specs)
    if problems:
        raise InputError(problems)
    values = _label_values(specs)
    ignored = 1 + max(values.values())
    sources = []
    for name, spec in zip(named, specs, strict=True):
        labels = {label: values[label_name] for label, label_name in spec.label_names.items() if label != 0}
        labels[0] = 0
        if spec.ignore_label is not None:
            labels[spec.ignore_label] = ignored
        sources.append(Source(name=name, spec=spec, labels=labels))
    return sources


def _source_names(specs: Sequence[DatasetSpec], names: Sequence[str], problems: list[Problem]) -> list[str]:
    chosen = list(names) or [spec.slug for spec in specs]
    if len(set(chosen)) < len(chosen) and not names:
        chosen = [spec.json_path.parent.name for spec in specs]
    if len(chosen) != len(specs):
        problems.append(Problem("--names", f"are {', '.join(chosen)}, but there are {len(specs)} datasets."))
    if len(set(chosen)) < len(chosen):
        problems.append(Problem("--names", f"are {', '.join(chosen)}; give each dataset a name of its own."))
    for name in chosen:
        wrong = id_problem(name)
        if wrong:
            problems.append(Problem("--names", f"holds {name!r}, which {wrong}. Choose another name."))
    return chosen


def _differences(specs: Sequence[DatasetSpec]) -> list[Problem]:
    """Everything in which the datasets disagree with the first."""
    first = specs[0]
    members = _class_members(first)
    files = {real_path(first.json_path)}
    problems = []
    for spec in specs[1:]:
        place = f"{spec.json_path}: $"
        if real_path(spec.json_path) in files:
            problems.append(Problem(str(spec.json_path), "is named twice."))
        files.add(real_path(spec.json_path))
        if spec.modality != first.modality:
            message = f'is "{spec.modality}", but "{first.modality}" in {first.json_path}.'
            problems.append(Problem(f"{place}.modality", message))
        if set(spec.channel_names) != set(first.channel_names):
            message = (
                f"has the channels {', '.join(spec.channel_names)}, but {', '.join(first.channel_names)} in "
                f"{first.json_path}. Call the same channels by the same names; list those that cases may lack in "
                '"optional_images" and in "images" of both.'
            )
            problems.append(Problem(f"{place}.images", message))
        for name, labels in _class_members(spec).items():
            if members.setdefault(name, labels) != labels:
                others, own = sorted(members[name]), sorted(labels)
                message = (
                    f"is made of {list_names(own)} here and of {list_names(others)} elsewhere. Rename one of them."
                )
                problems.append(Problem(f"{place}.final_classes.{name}", message))
    return problems


def _class_members(spec: DatasetSpec) -> dict[str, frozenset[str]]:
    """Class -> names of its labels."""
    members = {}
    for name, labels in spec.final_classes.items():
        members[name] = frozenset(spec.label_names[label] for label in labels)
    return members


def _label_values(specs: Sequence[DatasetSpec]) -> dict[str, int]:
    """Name of a label -> its value in the merged dataset: that of the first source, or a new one."""
    values: dict[str, int] = {}
    for label, name in specs[0].label_names.items():
        if label != 0:
            values[name] = label
    for spec in specs[1:]:
        for label, name in spec.label_names.items():
            if label != 0 and name not in values:
                values[name] = 1 + max(values.values(), default=0)
    return values


def unnamed_labels(sources: Sequence[Source]) -> list[Problem]:
    """Warnings about labels that several sources share, but none of them names."""
    warnings = []
    counts: Counter[int] = Counter()
    for source in sources:
        for label, name in source.spec.label_names.items():
            if label != 0 and name == default_label_name(label):
                counts[label] += 1
    for label, count in sorted(counts.items()):
        if count > 1:
            message = "has no name in several datasets and is taken for the same structure in all of them."
            warnings.append(Problem(f"label {label}", f"{message} Name it in label_names or final_classes."))
    return warnings


def similar_label_names(sources: Sequence[Source]) -> list[Problem]:
    """Warnings about labels or classes whose names differ in upper and lower case alone."""
    spellings: dict[str, dict[str, list[str]]] = {}  # without case -> spelling -> sources
    for source in sources:
        for name in dict.fromkeys([*source.spec.label_names.values(), *source.spec.final_classes]):
            spellings.setdefault(name.casefold(), {}).setdefault(name, []).append(source.name)
    warnings = []
    for by_spelling in spellings.values():
        if len(by_spelling) > 1:
            found = [f"{name} in {list_names(users)}" for name, users in by_spelling.items()]
            message = f"{list_names(found)} are kept apart. If they are the same structure, spell them the same."
            warnings.append(Problem("label_names", message))
    return warnings


def annotate_differently(sources: Sequence[Source]) -> bool:
    """Whether some label is annotated by some of the sources only."""
    return any(source.annotated != sources[0].annotated for source in sources)
