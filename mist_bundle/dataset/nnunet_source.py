"""Reading an nnU-Net raw dataset: its description and its cases, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mist_bundle.dataset.channels import channel_names, modality_of, numbering_problem
from mist_bundle.dataset.foreign import advising
from mist_bundle.dataset.layout import SourceCase
from mist_bundle.dataset.names import IMAGE_SUFFIXES, READABLE, id_problem, slug
from mist_bundle.dataset.nnunet_labels import NnunetLabels, check_distinct, read_labels
from mist_bundle.dataset.nnunet_splits import read_splits
from mist_bundle.errors import Collecting, InputError, Problem, count_paths
from mist_bundle.files import DATASET_JSON, as_json, read_json

_CHANNEL_DIGITS = 4
_LISTED_CASE = '{"images": [path], "label": path}'
_TEXTS = {"description": ("description",), "licence": ("licence", "license"), "reference": ("reference",)}


@dataclass(frozen=True, kw_only=True, slots=True)
class NnunetDataset:
    """A checked nnU-Net raw dataset.

    Attributes:
        folder: folder of the dataset.json.
        name: name of the task.
        channels: channel names, in nnU-Net's order.
        modality: "ct", "mr" or "other".
        labels: meaning of the labels.
        training: labelled cases, sorted by id.
        testing: test cases, sorted by id.
        folds: case id -> fold in which the case is held out; empty without splits_final.json.
        texts: description, licence and reference, as far as the source states them.
        problems: a Problem for each case that cannot be used.
        warnings: oddities that leave out no case, such as files that belong to none.
    """

    folder: Path
    name: str
    channels: tuple[str, ...]
    modality: str
    labels: NnunetLabels
    training: tuple[SourceCase, ...]
    testing: tuple[SourceCase, ...]
    folds: dict[str, int]
    texts: dict[str, str]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def num_cases(self) -> int:
        """Number of cases, with those that cannot be used."""
        return len(self.training) + len(self.testing) + count_paths(self.problems)

    def table(self) -> list[tuple[str, str]]:
        """Return a summary as rows of property and value."""
        regions = []
        for name, values in self.labels.final_classes.items():
            if len(values) > 1:
                regions.append(f"{name} {list(values)}")
        return [
            ("task", self.name),
            ("modality", self.modality),
            ("channels", ", ".join(self.channels)),
            ("labels", ", ".join(f"{value} {name}" for value, name in self.labels.names.items())),
            ("regions", ", ".join(regions) or "none"),
            ("ignored label", "none" if self.labels.ignore is None else str(self.labels.ignore)),
            ("training cases", str(len(self.training))),
            ("test cases", str(len(self.testing))),
            ("folds", str(1 + max(self.folds.values())) if self.folds else "none"),
        ]


def read_nnunet(source: Path, splits: Path | None = None) -> NnunetDataset:
    """Read and check an nnU-Net raw dataset.

    Args:
        source: its folder, or the dataset.json in it.
        splits: splits_final.json; by default the file beside dataset.json, if it exists.

    Raises:
        InputError: with a Problem for each mistake, all at once.
    """
    json_path = source / DATASET_JSON if source.is_dir() else source
    with advising(source, "convert_nnunet"):
        content = read_json(json_path)
        problems = _key_problems(json_path, content)
        if problems:
            raise InputError(problems)
    channels = channel_names(content["channel_names"])
    labels = read_labels(json_path, content["labels"])
    check_distinct(f"{json_path}: $.labels", labels)
    folders = _ImageFolders(json_path.parent, str(content["file_ending"]).lower(), len(channels))
    found = _Findings()
    training, testing = _read_cases(content, folders, found)
    if not training:
        nothing = Problem(str(json_path), "has no training case that can be used.")
        raise InputError([*found.problems, *found.left_out, *found.warnings, nothing])
    used = {case.id for case in training}
    folds: dict[str, int] = {}
    warnings = [*found.warnings, *_count_warnings(json_path, content, training, found.left_out)]
    with Collecting(found.problems):
        folds, fold_warnings = read_splits(json_path, splits, used, {problem.path for problem in found.left_out})
        warnings += fold_warnings
    if found.problems:
        raise InputError([*found.problems, *found.left_out])
    folder_name = re.sub(r"^Dataset\d+_", "", json_path.absolute().parent.name)
    return NnunetDataset(
        folder=json_path.parent,
        name=slug(str(content.get("name") or folder_name)) or "dataset",
        channels=channels,
        modality=modality_of(content["channel_names"].values()),
        labels=labels,
        training=tuple(training),
        testing=tuple(testing),
        folds=folds,
        texts=_texts(content),
        problems=tuple(found.left_out),
        warnings=tuple(warnings),
    )


def _count_warnings(
    json_path: Path, content: Mapping[str, Any], training: Sequence[SourceCase], left_out: Sequence[Problem]
) -> list[Problem]:
    """A warning if there are not as many training cases as the description says."""
    number = content.get("numTraining")
    if number is None or left_out or number == len(training):
        return []
    message = f"is {number!r}, but there are {len(training)} training cases. See that none is missing, and correct it."
    return [Problem(f"{json_path}: $.numTraining", message)]


def _key_problems(json_path: Path, content: Any) -> list[Problem]:
    if not isinstance(content, Mapping):
        return [Problem(str(json_path), "must hold a JSON object, as nnU-Net's dataset.json does.")]
    if "channel_names" not in content and "modality" in content:
        message = "is in the layout of the Decathlon or of nnU-Net's first version. Use convert_msd for it."
        return [Problem(str(json_path), message)]
    problems = []
    for key, example in {"channel_names": '{"0": "CT"}', "labels": '{"background": 0, "tumor": 1}'}.items():
        value = content.get(key)
        if not isinstance(value, Mapping) or not value:
            problems.append(Problem(f"{json_path}: $.{key}", _expected(value, f"an object like {example}")))
        elif key == "channel_names" and numbering_problem(value):
            problems.append(Problem(f"{json_path}: $.{key}", numbering_problem(value)))
    listed = content.get("dataset")
    if listed is not None and not isinstance(listed, Mapping):
        message = _expected(listed, f'an object like {{"case": {_LISTED_CASE}}}')
        problems.append(Problem(f"{json_path}: $.dataset", message))
    ending = content.get("file_ending")
    if not isinstance(ending, str) or ending.lower() not in IMAGE_SUFFIXES:
        message = _expected(ending, f"a readable file type: {READABLE}")
        problems.append(Problem(f"{json_path}: $.file_ending", message))
    return problems


def _expected(value: Any, expected: str) -> str:
    """What is wrong with the value of a key; null is what JSON has for none."""
    return f"is missing; expected {expected}." if value is None else f"is {as_json(value)}; expected {expected}."


@dataclass(frozen=True, slots=True)
class _ImageFolders:
    """The folders of a dataset, its file suffix, and how many channels each case has."""

    root: Path
    suffix: str
    num_channels: int

    def label_of(self, case_id: str) -> Path:
        return self.root / "labelsTr" / f"{case_id}{self.suffix}"


@dataclass(frozen=True, slots=True)
class _Findings:
    """What is wrong with the cases.

    Attributes:
        left_out: a Problem for each case that cannot be used; the others can.
        problems: what concerns all cases.
        warnings: what concerns none.
    """

    left_out: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def _read_cases(
    content: Mapping[str, Any], folders: _ImageFolders, found: _Findings
) -> tuple[list[SourceCase], list[SourceCase]]:
    """Training and test cases, from the "dataset" list if present, otherwise from the folders."""
    listed = content.get("dataset")
    if listed:
        training = _listed_cases(listed, folders, found)
    else:
        training = []
        with Collecting(found.problems):
            for case_id, images in _images_by_case(folders, "imagesTr", found).items():
                training.append(SourceCase(id=case_id, images=images, label=folders.label_of(case_id)))
    testing = []
    if (folders.root / "imagesTs").is_dir():
        for case_id, images in _images_by_case(folders, "imagesTs", found).items():
            testing.append(SourceCase(id=case_id, images=images, label=None))
    return _with_usable_ids(training, found.left_out), _with_usable_ids(testing, found.left_out)


def _with_usable_ids(cases: Sequence[SourceCase], left_out: list[Problem]) -> list[SourceCase]:
    usable = []
    for case in cases:
        wrong = id_problem(case.id)
        if wrong:
            left_out.append(Problem(case.id, f"cannot be the id of a case: it {wrong}. Rename its files."))
        else:
            usable.append(case)
    return usable


def _listed_cases(listed: Mapping[str, Any], folders: _ImageFolders, found: _Findings) -> list[SourceCase]:
    cases = []
    for case_id, entry in sorted(listed.items()):
        if not _is_listed_case(entry, folders.num_channels):
            expected = f'{{"images": [{folders.num_channels} paths], "label": path}}'
            message = f"is {as_json(entry)} in {DATASET_JSON}: $.dataset.{case_id}; expected {expected}."
            found.left_out.append(Problem(case_id, message))
            continue
        images = tuple(folders.root / image for image in entry["images"])
        cases.append(SourceCase(id=case_id, images=images, label=folders.root / entry["label"]))
    return cases


def _is_listed_case(entry: Any, num_channels: int) -> bool:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("label"), str):
        return False
    images = entry.get("images")
    if not isinstance(images, list) or len(images) != num_channels:
        return False
    return all(isinstance(image, str) for image in images)


def _images_by_case(folders: _ImageFolders, name: str, found: _Findings) -> dict[str, tuple[Path, ...]]:
    """Case id -> files in the order of their channel numbers; cases that do not fit are left out.

    Raises:
        InputError: there is no such folder.
    """
    folder = folders.root / name
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "does not exist; expected the images, <case>_0000 and so on."))
    pattern = re.compile(rf"(.+)_(\d{{{_CHANNEL_DIGITS}}}){re.escape(folders.suffix)}", re.IGNORECASE)
    files: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        match = pattern.fullmatch(path.name)
        if match:
            case_id, channel = match[1], int(match[2])
            files.setdefault(case_id, {})[channel] = path
        elif path.name.lower().endswith(folders.suffix):
            message = f"has no channel number; expected a name like case_0000{folders.suffix}. Rename or remove it."
            case_id = path.name[: -len(folders.suffix)]
            if name == "imagesTr" and folders.label_of(case_id).is_file():
                found.left_out.append(Problem(case_id, f"its image {path} {message}"))
            else:
                found.warnings.append(Problem(str(path), f"is ignored: it {message}"))
    cases: dict[str, tuple[Path, ...]] = {}
    expected = list(range(folders.num_channels))
    for case_id, channels in files.items():
        if sorted(channels) == expected:
            cases[case_id] = tuple(channels[number] for number in expected)
        else:
            numbers = ", ".join(map(str, sorted(channels)))
            message = f"has the channels {numbers} in {name}; expected {', '.join(map(str, expected))}."
            found.left_out.append(Problem(case_id, message))
    return cases


def _texts(content: Mapping[str, Any]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, spellings in _TEXTS.items():
        for spelling in spellings:
            if content.get(spelling):
                texts[key] = str(content[spelling])
                break
    return texts
