"""Reading an nnU-Net raw dataset: channels, labels, cases and folds, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mist_bundle.dataset.channels import channel_names, modality_of
from mist_bundle.dataset.foreign import advising
from mist_bundle.dataset.layout import SourceCase
from mist_bundle.dataset.names import IMAGE_SUFFIXES, READABLE, id_problem, slug
from mist_bundle.errors import Collecting, InputError, Problem, count_paths, problems_of
from mist_bundle.files import DATASET_JSON, as_json, read_json
from mist_bundle.runtime.wording import counted, list_names

IGNORE = "ignore"
SPLITS_JSON = "splits_final.json"
_BACKGROUND = "background"
_CHANNEL_DIGITS = 4
_LISTED_CASE = '{"images": [path], "label": path}'
_TEXTS = {"description": ("description",), "licence": ("licence", "license"), "reference": ("reference",)}


@dataclass(frozen=True, kw_only=True, slots=True)
class NnunetLabels:
    """Meaning of the labels of an nnU-Net dataset.

    Attributes:
        values: all label values, the background first, without the ignored value.
        names: value -> name; a value that only occurs in regions is named after its number.
        final_classes: class to be scored -> values.
        ignore: value of unlabelled voxels, or None.
    """

    values: tuple[int, ...]
    names: dict[int, str]
    final_classes: dict[str, tuple[int, ...]]
    ignore: int | None = None


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
    _check_distinct(f"{json_path}: $.labels", labels)
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
        folds, fold_warnings = _folds(json_path, splits, used, {problem.path for problem in found.left_out})
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
        elif key == "channel_names" and set(value) != {str(number) for number in range(len(value))}:
            message = f"numbers the channels {', '.join(value)}; expected 0 to {len(value) - 1}, like {example}."
            problems.append(Problem(f"{json_path}: $.{key}", message))
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


def read_labels(json_path: Path, entries: Mapping[str, Any]) -> NnunetLabels:
    """Meaning of the "labels" of a dataset.json, where a list of values is a region.

    Raises:
        InputError: a value is not a label, or there is no class beside the background.
    """
    members = _label_values(f"{json_path}: $.labels", entries)
    ignored = members.pop(IGNORE, None)
    members.pop(_BACKGROUND, None)
    if not members:
        message = "names no class besides the background; there is nothing to learn."
        raise InputError(Problem(f"{json_path}: $.labels", message))
    names = {0: _BACKGROUND}
    for name, values in members.items():
        if len(values) == 1:
            names[values[0]] = name
    for values in members.values():
        for value in values:
            names.setdefault(value, f"label_{value}")
    return NnunetLabels(
        values=tuple(sorted(names)),
        names=dict(sorted(names.items())),
        final_classes=members,
        ignore=ignored[0] if ignored else None,
    )


def _label_values(place: str, entries: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Class name -> sorted label values.

    Raises:
        InputError: a value is not a label, or the background or ignored label has other values than allowed.
    """
    problems: list[Problem] = []
    members: dict[str, tuple[int, ...]] = {}
    for name, entry in entries.items():
        values = entry if isinstance(entry, list) else [entry]
        if not values or not all(_is_label(value) for value in values):
            message = f"has {name!r}: {as_json(entry)}; expected a whole number, or a list of them for a region."
            problems.append(Problem(place, message))
        else:
            members[name] = tuple(sorted(set(values)))
    if members.get(_BACKGROUND, (0,)) != (0,):
        problems.append(Problem(place, f"has the background at {list(members[_BACKGROUND])}; expected 0."))
    if len(members.get(IGNORE, (0,))) > 1:
        problems.append(Problem(place, f"has {list(members[IGNORE])} for {IGNORE!r}; expected a single value."))
    if problems:
        raise InputError(problems)
    return members


def _check_distinct(place: str, labels: NnunetLabels) -> None:
    """Refuse names that a new training could not tell apart, which models that nnU-Net has trained may have.

    Raises:
        InputError: several classes have the same values, or a class holds the background.
    """
    classes = dict(labels.final_classes)
    if labels.ignore is not None:
        classes[IGNORE] = (labels.ignore,)
    problems: list[Problem] = []
    names_of: dict[tuple[int, ...], list[str]] = {}
    for name, values in classes.items():
        if 0 in values:
            problems.append(Problem(place, f"gives 0 to {name!r}; 0 is the background."))
        names_of.setdefault(values, []).append(name)
    for values, names in names_of.items():
        if len(names) > 1:
            value = values[0] if len(values) == 1 else list(values)
            message = f"gives {value} to {list_names(names)}, of which only one would be left. Tell them apart."
            problems.append(Problem(place, message))
    if problems:
        raise InputError(problems)


def _is_label(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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


def _folds(
    json_path: Path, splits: Path | None, used: set[str], unused: set[str]
) -> tuple[dict[str, int], list[Problem]]:
    """Case id -> fold in which it is held out, and a warning if folds that nobody named cannot be kept.

    Args:
        json_path: dataset.json, which splits_final.json may lie beside.
        splits: the file that the user named.
        used: ids of the training cases.
        unused: ids of those that were left out.

    Raises:
        InputError: the user named the file, and it is wrong or does not hold out every case.
    """
    path = splits or json_path.parent / SPLITS_JSON
    if splits is None and not path.is_file():
        return {}, []
    try:
        return _read_folds(path, used, unused), []
    except InputError as error:
        if splits is not None:
            advice = "must be right where it is named. Correct it, or name no splits, to divide the cases anew."
            raise InputError([*error.problems, Problem(str(path), advice)]) from error
        first, *others = error.problems
        more = f" It has {counted(len(others), 'more problem')}." if others else ""
        message = f"its folds are not kept: it {first.message}{more} Correct it to keep them."
        return {}, [Problem(str(path), message)]


def _read_folds(path: Path, used: set[str], unused: set[str]) -> dict[str, int]:
    """Case id -> fold in which it is held out, from a list of {"train": [...], "val": [...]}.

    Raises:
        InputError: it is not such a list, names unknown cases or a case twice, has a fold without a usable case, or
            never holds out a case; all problems at once.
    """
    content = read_json(path)
    if not isinstance(content, list) or not all(map(_is_fold, content)):
        message = 'must hold a list of {"train": [ids], "val": [ids]}, as nnU-Net writes it.'
        raise InputError(Problem(str(path), message))
    folds: dict[str, int] = {}
    findings: list[str] = []
    for number, fold in enumerate(content):
        for case_id in sorted({*fold["train"], *fold["val"]} - used - unused):
            findings.append(f"names {case_id!r} in fold {number}, which is not a training case.")
        for case_id in sorted({*fold["train"]} & {*fold["val"]}):
            message = f"has {case_id!r} in both parts of fold {number}; training would see what it is tested on."
            findings.append(message)
        findings += _add_fold(folds, number, fold["val"], used)
    missing = sorted(used - set(folds))
    if missing:
        findings.append(f"never holds out {len(missing)} of the training cases ({list_names(missing)}).")
    if findings:
        raise InputError(problems_of(str(path), findings))
    return folds


def _add_fold(folds: dict[str, int], number: int, held_out: Sequence[str], used: set[str]) -> list[str]:
    """Add the cases that a fold holds out to `folds`; return what is wrong with them."""
    findings = []
    for case_id in held_out:
        if case_id in folds:
            findings.append(f"holds {case_id!r} out in the folds {folds[case_id]} and {number}.")
        elif case_id in used:
            folds[case_id] = number
    if not used & set(held_out):
        findings.append(f"holds out no case in fold {number} that can be used.")
    return findings


def _is_fold(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return False
    for key in ("train", "val"):
        ids = entry.get(key)
        if not isinstance(ids, list) or not all(isinstance(case_id, str) for case_id in ids):
            return False
    return True


def _texts(content: Mapping[str, Any]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, spellings in _TEXTS.items():
        for spelling in spellings:
            if content.get(spelling):
                texts[key] = str(content[spelling])
                break
    return texts
