"""From nnU-Net's raw data (imagesTr/<case>_0000.nii.gz, labelsTr, dataset.json of version 2) to a folder for each case.

Files are linked, not copied. Class names, regions and the ignore label are kept; splits_final.json becomes a table of
folds beside dataset.json. Rules of the source: nnU-Net's documentation/dataset_format.md and region_based_training.md.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.layout import MASK_NAME, identifying_strings, place_file, raise_failures
from mist_bundle.dataset.msd_layout import channel_names, modality_of
from mist_bundle.dataset.names import IMAGE_SUFFIXES, READABLE, id_problem
from mist_bundle.dataset.spec import slug
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATASET_JSON, new_folder, read_json, write_json, write_text
from mist_bundle.parallel import map_cases

FOLDS_CSV = "folds.csv"
_IGNORE = "ignore"
_BACKGROUND = "background"
_CHANNEL_DIGITS = 4
_TEXTS = {"description": ("description",), "licence": ("licence", "license"), "reference": ("reference",)}


@dataclass(frozen=True, kw_only=True, slots=True)
class NnunetLabels:
    """What the labels of an nnU-Net data set mean.

    Attributes:
        values: all label values, the background first, without the ignored one.
        names: value -> name; a value that only regions hold is called after its number.
        final_classes: class to be scored -> values.
        ignore: value of voxels that nobody labelled, or None.
    """

    values: tuple[int, ...]
    names: dict[int, str]
    final_classes: dict[str, tuple[int, ...]]
    ignore: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NnunetDataset:
    """An nnU-Net raw data set as understood: nothing has been written yet.

    Attributes:
        folder: of the dataset.json.
        name: of the task.
        channels: names, in nnU-Net's order.
        modality: "ct", "mr" or "other".
        labels: what the labels mean.
        training: case -> image files in the order of the channels, and the label file.
        testing: case -> image files.
        folds: case -> fold in which it is held out; empty without splits_final.json.
        texts: description, licence and reference, where they are there.
    """

    folder: Path
    name: str
    channels: tuple[str, ...]
    modality: str
    labels: NnunetLabels
    training: dict[str, tuple[tuple[Path, ...], Path]]
    testing: dict[str, tuple[Path, ...]]
    folds: dict[str, int]
    texts: dict[str, str]

    def table(self) -> list[tuple[str, str]]:
        """What was understood, as rows of a table: the thing and its value."""
        regions = {name: values for name, values in self.labels.final_classes.items() if len(values) > 1}
        return [
            ("task", self.name),
            ("modality", self.modality),
            ("channels", ", ".join(self.channels)),
            ("labels", ", ".join(f"{value} {name}" for value, name in self.labels.names.items())),
            ("regions", ", ".join(f"{name} {list(values)}" for name, values in regions.items()) or "none"),
            ("ignored label", "none" if self.labels.ignore is None else str(self.labels.ignore)),
            ("training cases", str(len(self.training))),
            ("test cases", str(len(self.testing))),
            ("folds", str(1 + max(self.folds.values())) if self.folds else "none in the source"),
        ]


def is_nnunet_description(content: Any) -> bool:
    """Whether the content of a dataset.json is that of nnU-Net's version 2."""
    return isinstance(content, Mapping) and "channel_names" in content and isinstance(content.get("labels"), Mapping)


def read_nnunet(source: Path, splits: Path | None = None) -> NnunetDataset:
    """Read and check an nnU-Net raw data set.

    Args:
        source: its folder, or the dataset.json in it.
        splits: splits_final.json; the one beside dataset.json where not given, if there is one.

    Raises:
        InputError: with one Problem for each mistake, all at once.
    """
    json_path = source / DATASET_JSON if source.is_dir() else source
    content = read_json(json_path)
    problems = _key_problems(json_path, content)
    if problems:
        raise InputError(problems)
    channels = channel_names(content["channel_names"])
    labels = _labels(json_path, content)
    suffix = str(content["file_ending"]).lower()
    training, testing, problems = _cases(json_path, content, suffix, len(channels))
    folds, fold_problems = _folds(splits or json_path.parent / "splits_final.json", set(training), named=splits)
    if problems or fold_problems or not training:
        none = [] if training or problems else [Problem(str(json_path), "has no training case.")]
        raise InputError([*problems, *fold_problems, *none])
    texts = {}
    for key, spellings in _TEXTS.items():
        text = next((str(content[spelling]) for spelling in spellings if content.get(spelling)), "")
        if text:
            texts[key] = text
    folder_name = re.sub(r"^Dataset\d+_", "", json_path.absolute().parent.name)
    return NnunetDataset(
        folder=json_path.parent,
        name=slug(str(content.get("name") or folder_name)) or "dataset",
        channels=channels,
        modality=modality_of(content["channel_names"].values()),
        labels=labels,
        training=training,
        testing=testing,
        folds=folds,
        texts=texts,
    )


def convert_nnunet(
    source: Path,
    output: Path,
    *,
    splits: Path | None = None,
    copy: bool = False,
    overwrite: bool = False,
    workers: int | str = 1,
) -> Path:
    """Lay out an nnU-Net raw data set as `DatasetSpec.from_json` reads it.

    Args:
        source: folder with dataset.json, imagesTr and labelsTr, or the dataset.json itself.
        output: folder to make.
        splits: splits_final.json of nnU-Net's preprocessed folder; it becomes folds.csv.
        copy: copy the files instead of linking to them.
        overwrite: replace what lies at `output`.
        workers: local processes, or the address of a Dask scheduler.

    Returns:
        Path of the new dataset.json.

    Raises:
        InputError: the source is no such data set, or `output` exists. Nothing is written.
        CaseFailure: some cases have missing files; the others have been laid out.
    """
    dataset = read_nnunet(Path(source), splits)
    output = Path(output)
    problems: list[Problem] = []
    with new_folder(output, overwrite=overwrite) as folder:
        training = [(case, images, label) for case, (images, label) in dataset.training.items()]
        testing = [(case, images, None) for case, images in dataset.testing.items()]
        for split, cases in (("train", training), ("test", testing)):
            lay_out = functools.partial(_lay_out, folder=folder / split, channels=dataset.channels, copy=copy)
            outcome = map_cases(lay_out, cases, name=_case_name, workers=workers, description=f"convert {split}")
            problems += outcome.problems
            if split == "train" and not outcome.results:
                raise InputError(problems)
        has_test = (folder / "test").is_dir()
        write_json(folder / DATASET_JSON, _description(dataset, has_test=has_test))
        if dataset.folds:
            rows = [f"{case},{fold}" for case, fold in sorted(dataset.folds.items())]
            write_text(folder / FOLDS_CSV, "\n".join(["id,fold", *rows]) + "\n")
    raise_failures(problems, len(training) + len(testing))
    return output / DATASET_JSON


def _key_problems(json_path: Path, content: Any) -> list[Problem]:
    if not isinstance(content, Mapping):
        return [Problem(str(json_path), "must hold a JSON object, as nnU-Net's dataset.json does.")]
    if "channel_names" not in content and "modality" in content:
        message = "is of the Decathlon's or nnU-Net's first version. Use convert_msd for it."
        return [Problem(str(json_path), message)]
    problems = []
    for key, example in {"channel_names": '{"0": "CT"}', "labels": '{"background": 0, "tumor": 1}'}.items():
        value = content.get(key)
        if not isinstance(value, Mapping) or not value:
            problems.append(Problem(f"{json_path}: $.{key}", f"is {value!r}; expected an object like {example}."))
    ending = content.get("file_ending")
    if not isinstance(ending, str) or ending.lower() not in IMAGE_SUFFIXES:
        message = f"is {ending!r}; expected one of the kinds of files that can be read: {READABLE}."
        problems.append(Problem(f"{json_path}: $.file_ending", message))
    return problems


def _labels(json_path: Path, content: Mapping[str, Any]) -> NnunetLabels:
    """The meaning of `labels`, where a region is a list of values."""
    place = f"{json_path}: $.labels"
    problems: list[Problem] = []
    members: dict[str, tuple[int, ...]] = {}
    for name, value in content["labels"].items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in values):
            message = f"has {name!r}: {value!r}; expected a whole number, or a list of them for a region."
            problems.append(Problem(place, message))
        else:
            members[name] = tuple(sorted(set(values)))
    if members.get(_BACKGROUND, (0,)) != (0,):
        problems.append(Problem(place, f"has the background at {list(members[_BACKGROUND])}; expected 0."))
    if len(members.get(_IGNORE, (0,))) > 1:
        problems.append(Problem(place, f"has {list(members[_IGNORE])} for {_IGNORE!r}; expected one value."))
    if problems:
        raise InputError(problems)
    ignored = members.pop(_IGNORE, None)
    members.pop(_BACKGROUND, None)
    if not members:
        raise InputError(Problem(place, "names no class beside the background; there is nothing to learn."))
    names = {0: _BACKGROUND}
    names.update({values[0]: name for name, values in members.items() if len(values) == 1})
    for value in sorted({value for values in members.values() for value in values}):
        names.setdefault(value, f"label_{value}")
    all_values = tuple(sorted(names))
    return NnunetLabels(
        values=all_values,
        names={value: names[value] for value in all_values},
        final_classes=members,
        ignore=ignored[0] if ignored else None,
    )


def _cases(
    json_path: Path, content: Mapping[str, Any], suffix: str, num_channels: int
) -> tuple[dict[str, tuple[tuple[Path, ...], Path]], dict[str, tuple[Path, ...]], list[Problem]]:
    """Training and test cases, from the `dataset` list where there is one, else from the folders."""
    folder = json_path.parent
    problems: list[Problem] = []
    training: dict[str, tuple[tuple[Path, ...], Path]] = {}
    listed = content.get("dataset")
    if isinstance(listed, Mapping) and listed:
        for case, entry in sorted(listed.items()):
            files = _listed_files(folder, entry, num_channels)
            if files is None:
                message = f'is {entry!r}; expected {{"images": [{num_channels} paths], "label": path}}.'
                problems.append(Problem(f"{json_path}: $.dataset.{case}", message))
            else:
                training[case] = files
    else:
        for case, images in _grouped(folder / "imagesTr", suffix, num_channels, problems).items():
            training[case] = (images, folder / "labelsTr" / f"{case}{suffix}")
    testing = _grouped(folder / "imagesTs", suffix, num_channels, problems) if (folder / "imagesTs").is_dir() else {}
    for case in (*training, *testing):
        wrong = id_problem(case)
        if wrong:
            problems.append(Problem(case, f"{wrong}. Rename its files."))
    return training, testing, problems


def _listed_files(folder: Path, entry: Any, num_channels: int) -> tuple[tuple[Path, ...], Path] | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("label"), str):
        return None
    images = entry.get("images")
    if not isinstance(images, list) or len(images) != num_channels:
        return None
    if not all(isinstance(image, str) for image in images):
        return None
    return tuple(folder / image for image in images), folder / entry["label"]


def _grouped(folder: Path, suffix: str, num_channels: int, problems: list[Problem]) -> dict[str, tuple[Path, ...]]:
    """Case -> its files in the order of their channel numbers; what does not fit is added to `problems`."""
    if not folder.is_dir():
        problems.append(Problem(str(folder), "is not there; expected the images, <case>_0000 and so on."))
        return {}
    pattern = re.compile(rf"(.+)_(\d{{{_CHANNEL_DIGITS}}}){re.escape(suffix)}", re.IGNORECASE)
    by_case: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        match = pattern.fullmatch(path.name)
        if match:
            by_case.setdefault(match[1], {})[int(match[2])] = path
        elif path.name.lower().endswith(suffix):
            problems.append(Problem(str(path), f"has no channel number; expected a name like case_0000{suffix}."))
    cases: dict[str, tuple[Path, ...]] = {}
    for case, channels in by_case.items():
        if sorted(channels) == list(range(num_channels)):
            cases[case] = tuple(channels[number] for number in range(num_channels))
        else:
            message = f"has the channels {sorted(channels)} in {folder.name}; expected 0 to {num_channels - 1}."
            problems.append(Problem(case, message))
    return cases


def _folds(path: Path, cases: set[str], named: Path | None) -> tuple[dict[str, int], list[Problem]]:
    """Case -> fold in which it is held out, from a list of {"train": [...], "val": [...]}."""
    if named is None and not path.is_file():
        return {}, []
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(fold, Mapping) and "val" in fold for fold in content):
        return {}, [Problem(str(path), 'must hold a list of {"train": [ids], "val": [ids]}, as nnU-Net writes it.')]
    folds: dict[str, int] = {}
    problems: list[Problem] = []
    for number, fold in enumerate(content):
        for case in fold["val"]:
            if case in folds:
                problems.append(Problem(str(path), f"holds {case!r} out in the folds {folds[case]} and {number}."))
            elif case in cases:
                folds[case] = number
            else:
                problems.append(Problem(str(path), f"names {case!r} in fold {number}, which is no training case."))
    missing = sorted(cases - set(folds))
    if missing and not problems:
        shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        problems.append(Problem(str(path), f"never holds out {len(missing)} of the training cases: {shown}."))
    return folds, problems


def _case_name(case: tuple[str, tuple[Path, ...], Path | None]) -> str:
    return case[0]


def _lay_out(
    case: tuple[str, tuple[Path, ...], Path | None], folder: Path, channels: Sequence[str], copy: bool
) -> None:
    name, images, label = case
    files = images if label is None else (*images, label)
    missing = [Problem(str(path), "does not exist.") for path in files if not path.is_file()]
    if missing:
        raise InputError(missing)
    for channel, image in zip(channels, images, strict=True):
        place_file(image, folder / name, channel, copy=copy)
    if label is not None:
        place_file(label, folder / name, MASK_NAME, copy=copy)


def _description(dataset: NnunetDataset, *, has_test: bool) -> dict[str, Any]:
    """The content of dataset.json."""
    labels = dataset.labels
    names = dict(labels.names)
    values = list(labels.values)
    ignored: dict[str, Any] = {}
    if labels.ignore is not None:
        values.append(labels.ignore)
        names[labels.ignore] = _IGNORE
        ignored["ignore_label"] = labels.ignore
    return {
        "task": dataset.name,
        "modality": dataset.modality,
        "train-data": "train",
        **({"test-data": "test"} if has_test else {}),
        "mask": identifying_strings([MASK_NAME])[MASK_NAME],
        "images": identifying_strings(dataset.channels),
        "labels": sorted(values),
        "final_classes": {name: list(members) for name, members in labels.final_classes.items()},
        "label_names": {str(value): names[value] for value in sorted(names)},
        **ignored,
        **dataset.texts,
    }
