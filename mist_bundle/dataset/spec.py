"""dataset.json as a checked, typed value: the only thing that the later stages know about what the user wrote.

The keys are MIST's, so a dataset description made for MIST is read unchanged. All mistakes are reported in one go,
each with its place in the file, because a description with five mistakes should not cost five runs.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mist_bundle.dataset.names import (
    RESERVED_COLUMNS,
    class_name_problem,
    id_problem,
    is_text,
    nearest_hint,
    user_path,
)
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json

Modality = Literal["ct", "mr", "other"]
MODALITIES: tuple[Modality, ...] = ("ct", "mr", "other")

REQUIRED_KEYS = ("task", "modality", "train-data", "mask", "images", "labels")
OPTIONAL_KEYS = ("test-data", "final_classes", "label_names", "ignore_label", "description", "licence", "reference")

LARGEST_LABEL = 2**63 - 1  # that a voxel can hold
_MAX_LABELS = 32_767  # that the class indices of prepared arrays can tell apart
_MAX_TASK = 100  # characters of the bundle's folder
_MANY, _LONG = 8, 60  # values and characters that a message shows

# what people write for the three modalities; only used to suggest the right word
_MODALITY_WORDS = {"mri": "mr", "magnetic resonance": "mr", "t1": "mr", "t2": "mr", "flair": "mr", "cbct": "ct"}


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """A dataset description without mistakes: every path exists, every label and string has been checked.

    Attributes:
        json_path: the file it was read from; relative folders in it start at its folder.
        task: name of the task as written; `slug` is its file-name-safe form.
        modality: "ct", "mr" or "other".
        train_dir: folder with one sub-folder for each training case.
        test_dir: the same for unlabelled cases, or None.
        mask: identifying strings of the label file.
        images: channel name -> identifying strings; the order of the channels is the order of the network's inputs.
        labels: label values in the masks, sorted, 0 (background) first; they need not be consecutive. Without
            `ignore_label`, which is no class.
        final_classes: class to evaluate -> label values it is made of; every foreground label alone where not given.
        label_names: label value -> name, complete for all labels.
        ignore_label: label value of voxels that nobody has labelled: they neither train nor count; None for none.
        description: free text for the model card.
        licence: licence of the data.
        reference: where the data come from.
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
        """The same dataset, with the voxels of one label taken out of everything.

        Args:
            label: a value of `labels`.
            place: where the user wrote it, for the message.

        Raises:
            InputError: it is the background, no label at all, or part of a class that is to be scored.
        """
        if label == self.ignore_label:
            return self
        problem = self._ignore_label_problem(label)
        if problem:
            raise InputError(Problem(place, problem))
        return replace(
            self,
            ignore_label=label,
            labels=tuple(value for value in self.labels if value != label),
            label_names={value: name for value, name in self.label_names.items() if value != label},
            final_classes={name: members for name, members in self.final_classes.items() if members != (label,)},
        )

    def _ignore_label_problem(self, label: int) -> str:
        if self.ignore_label is not None:
            return f"is {label}, but dataset.json names {self.ignore_label} already; there can be one only."
        if label == 0:
            return "is 0, the background, which every case needs. Give the unlabelled voxels a value of their own."
        if label not in self.labels:
            return f'is {label}, but "labels" is {list(self.labels)}. Add the value there, so that files may hold it.'
        within = [name for name, members in self.final_classes.items() if label in members and len(members) > 1]
        if within:
            return f"is {label}, but $.final_classes counts it in {', '.join(within)}. Take it out there."
        if len(self.labels) < 3:
            return f"is {label}, the only label there is; nothing would be left to learn."
        return ""

    @classmethod
    def from_json(cls, path: str | Path) -> DatasetSpec:
        """Read and check a dataset.json.

        Raises:
            InputError: with one Problem for each mistake in the file, all of them at once.
        """
        json_path = Path(path).absolute()
        content = read_json(json_path)
        if not isinstance(content, dict):
            message = f'must hold a JSON object like {{"task": …}}, not {_kind(content)}.'
            raise InputError(Problem(str(json_path), message))
        other = _other_layout(json_path, content)
        if other:
            raise InputError(Problem(str(json_path), other))
        reader = _Reader(json_path, content)
        fields = reader.read()
        ignored = content.get("ignore_label")
        if ignored is not None and not _is_int(ignored):
            reader.problem("ignore_label", f"is {ignored!r}; expected one label value.")
        if reader.problems:
            raise InputError(reader.problems)
        spec = cls(json_path=json_path, **fields)
        return spec if ignored is None else spec.with_ignore_label(ignored, f"{json_path}: $.ignore_label")


def _other_layout(json_path: Path, content: dict[str, Any]) -> str:
    """What to do with the dataset.json of another program, or "" where this is none."""
    if not isinstance(content.get("labels"), dict):
        return ""
    program, verb = "", ""
    if "channel_names" in content or "file_ending" in content:
        program, verb = "nnU-Net", "convert_nnunet"
    elif "modality" in content and "training" in content:
        program, verb = "the Medical Segmentation Decathlon", "convert_msd"
    if not program:
        return ""
    folder = json_path.parent
    command = (
        f"mist-bundle {verb} --source {shlex.quote(str(folder))} --output {shlex.quote(folder.name + '_converted')}"
    )
    return f"is in the layout of {program}. Convert it first: {command}"


def slug(text: str) -> str:
    """Lower-case letters, digits and single underscores of `text`; "" when it has none."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


class _Reader:
    """Reads one dataset.json key by key and collects what is wrong instead of stopping."""

    def __init__(self, json_path: Path, content: dict[str, Any]) -> None:
        self.json_path = json_path
        self.content = content
        self.problems: list[Problem] = []

    def read(self) -> dict[str, Any]:
        self._check_keys()
        labels = self._labels()
        final_classes = self._final_classes(labels)
        images = self._images()
        train_dir, test_dir = self._folder("train-data"), self._folder("test-data")
        self._check_folders(train_dir, test_dir)
        mask = self._strings("mask", self.content.get("mask"), wanted="mask" in self.content)
        self._check_shared_strings(images, mask)
        return {
            "task": self._task(),
            "modality": self._modality(),
            "train_dir": train_dir,
            "test_dir": test_dir,
            "mask": mask,
            "images": images,
            "labels": labels,
            "label_names": self._label_names(labels, final_classes),
            "final_classes": final_classes or self._single_classes(labels),
            "description": self._text("description"),
            "licence": self._text("licence"),
            "reference": self._text("reference"),
        }

    def problem(self, key: str, message: str) -> None:
        self.problems.append(Problem(f"{self.json_path}: $.{key}", message))

    def _check_keys(self) -> None:
        known = REQUIRED_KEYS + OPTIONAL_KEYS
        for key in REQUIRED_KEYS:
            if self.content.get(key) is None:
                self.problem(key, "is missing. It is required; " + _EXPECTED[key])
        for key in self.content:
            if key not in known:
                hint = nearest_hint(key, known) or f"Known keys: {', '.join(known)}."
                self.problem(key, f"is not a known key. {hint}")

    def _task(self) -> str:
        task = self._text("task")
        if "task" in self.content and isinstance(self.content["task"], str) and not slug(task):
            self.problem("task", f"is {task!r}, which has no letter or digit in it. " + _EXPECTED["task"])
        elif task and class_name_problem(task):
            self.problem("task", f"is {task!r}, which {class_name_problem(task)}. " + _EXPECTED["task"])
        elif len(slug(task)) > _MAX_TASK:
            message = f"has {len(task)} characters; it names the bundle's folder, so expected at most {_MAX_TASK}."
            self.problem("task", message)
        return task

    def _modality(self) -> Modality:
        value = self.content.get("modality")
        if value is None:
            return "other"
        word = value.strip().lower() if isinstance(value, str) else ""
        for modality in MODALITIES:
            if word == modality:
                return modality
        suggestion = _MODALITY_WORDS.get(word)
        hint = f' Did you mean "{suggestion}"?' if suggestion else ""
        self.problem("modality", f'is {value!r}; expected "ct", "mr" or "other".{hint}')
        return "other"

    def _text(self, key: str) -> str:
        value = self.content.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.problem(key, f"is {_kind(value)} ({value!r}); expected text in quotes.")
            return ""
        return value

    def _folder(self, key: str) -> Path | None:
        value = self.content.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.problem(key, f"is {value!r}; {_EXPECTED['train-data']}")
            return None
        folder = self.json_path.parent / user_path(value)
        try:
            if not folder.is_dir():
                found = "is a file" if folder.is_file() else "does not exist"
                self.problem(key, f"names {folder}, which {found}; {_EXPECTED['train-data']} Correct the path.")
            elif not any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir()):
                self.problem(key, f"names {folder}, which holds no case folder; {_EXPECTED['train-data']}")
        except OSError as error:
            self.problem(key, f"names {folder}, which cannot be read ({error.strerror or error}).")
        return folder

    def _check_folders(self, train: Path | None, test: Path | None) -> None:
        if not is_text(str(self.json_path)):
            message = "the path of this file is not UTF-8, so a bundle cannot name it. Rename its folders."
            self.problems.append(Problem(ascii(str(self.json_path)), message))
        if train is None or test is None or not train.is_dir() or not test.is_dir():
            return
        train, test = train.resolve(), test.resolve()
        if train == test:
            message = f"is {test}, the same folder as $.train-data. Name another one or leave it out."
            self.problem("test-data", message)
        elif train in test.parents or test in train.parents:
            message = f"is {test} and $.train-data is {train}: one lies within the other. Keep them apart."
            self.problem("test-data", message)

    def _strings(self, key: str, value: object, *, wanted: bool = True) -> tuple[str, ...]:
        """A non-empty list of non-empty strings."""
        if not wanted or value is None:
            return ()
        if isinstance(value, str):
            self.problem(key, f'is the text "{value}"; expected a list of texts. Write ["{value}"].')
            return ()
        if not isinstance(value, list) or not value:
            self.problem(key, f"is {value!r}; expected a list with at least one identifying string.")
            return ()
        bad = [item for item in value if not isinstance(item, str) or not item.strip()]
        if bad:
            self.problem(key, f"holds {bad[0]!r}; every identifying string must be non-empty text.")
        return tuple(item for item in value if isinstance(item, str) and item.strip())

    def _images(self) -> dict[str, tuple[str, ...]]:
        value = self.content.get("images")
        if value is None:
            return {}
        if not isinstance(value, dict) or not value:
            self.problem("images", f"is {value!r}; {_EXPECTED['images']}")
            return {}
        images: dict[str, tuple[str, ...]] = {}
        for name, strings in value.items():
            wrong = id_problem(name)
            if name in RESERVED_COLUMNS:
                wrong = f"is a reserved word ({', '.join(RESERVED_COLUMNS)})"
            if wrong:
                self.problem("images", f"has the channel name {name!r}, which {wrong}. Choose another name.")
            if strings is None:
                self.problem(f"images.{name}", "is null; expected a list with at least one identifying string.")
            images[name] = self._strings(f"images.{name}", strings)
        return images

    def _check_shared_strings(self, images: dict[str, tuple[str, ...]], mask: tuple[str, ...]) -> None:
        # a string given for two roles matches the same files for both, in every case: said once, here
        owner: dict[str, str] = {}
        for key, strings in [*((f"images.{name}", found) for name, found in images.items()), ("mask", mask)]:
            for string in dict.fromkeys(strings):
                if string in owner:
                    message = f'lists "{string}", which $.{owner[string]} lists too. Each file can have one role only.'
                    self.problem(key, message)
                else:
                    owner[string] = key

    def _labels(self) -> tuple[int, ...]:
        value = self.content.get("labels")
        if value is None:
            return ()
        if not isinstance(value, list) or not value:
            self.problem("labels", f"is {value!r}; {_EXPECTED['labels']}")
            return ()
        good = [item for item in value if _is_int(item) and 0 <= item <= LARGEST_LABEL]
        bad = [item for item in value if not (_is_int(item) and 0 <= item <= LARGEST_LABEL)]
        if bad:
            shown = f"[{', '.join(map(_shown, bad[:_MANY]))}{' …' if len(bad) > _MANY else ''}]"
            message = f"holds {shown}; every label must be a whole number, 0 or larger, that 64 bits can hold."
            self.problem("labels", message)
        repeated = sorted(item for item, count in Counter(good).items() if count > 1)
        if repeated:
            self.problem("labels", f"lists {repeated[:_MANY]} more than once.")
        if len(set(good)) > _MAX_LABELS:
            self.problem("labels", f"lists {len(set(good))} labels; expected at most {_MAX_LABELS}.")
        if 0 not in good:
            self.problem("labels", f"is {value!r} without 0, the background. Add 0.")
        elif not bad and len(set(good)) < 2:
            self.problem("labels", f"is {value!r}; there must be at least one label besides the background 0.")
        return tuple(sorted(set(good)))

    def _final_classes(self, labels: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        value = self.content.get("final_classes")
        if value is None:
            return {}
        if not isinstance(value, dict) or not value:
            self.problem("final_classes", f'is {value!r}; expected class names with labels, like {{"tumor": [1, 3]}}.')
            return {}
        classes: dict[str, tuple[int, ...]] = {}
        for name, members in value.items():
            key = f"final_classes.{name}"
            wrong = class_name_problem(name)
            if wrong:
                self.problem("final_classes", f"has a class called {name!r}, which {wrong}. Choose another name.")
            if not isinstance(members, list) or not members or not all(_is_int(item) for item in members):
                hint = f" Write [{members}]." if _is_int(members) else ""
                self.problem(key, f"is {members!r}; expected a list of labels.{hint}")
                continue
            unknown = [item for item in members if item not in labels]
            if unknown and labels:
                self.problem(key, f'holds {unknown}, but "labels" is {list(labels)}. Correct one of the two.')
            if 0 in members:
                self.problem(key, f"is {members!r} with 0, the background, which is no part of a class. Take it out.")
            if len(set(members)) < len(members):
                self.problem(key, f"is {members!r}; a label is listed twice.")
            classes[name] = tuple(sorted(set(members)))
        return classes

    def _label_names(self, labels: tuple[int, ...], final_classes: dict[str, tuple[int, ...]]) -> dict[int, str]:
        value = self.content.get("label_names")
        given: dict[int, str] = {}
        if value is not None and not isinstance(value, dict):
            self.problem("label_names", f'is {value!r}; expected names by label, like {{"1": "liver"}}.')
        for label, name in value.items() if isinstance(value, dict) else ():
            if not label.strip().isdecimal() or int(label) not in labels:
                self.problem("label_names", f'names the label {label!r}, but "labels" is {list(labels)}.')
            elif not isinstance(name, str) or not name.strip():
                self.problem(f"label_names.{label}", f"is {name!r}; expected a name in quotes.")
            elif wrong := class_name_problem(name):
                self.problem(f"label_names.{label}", f"is {name!r}, which {wrong}. Choose another name.")
            else:
                given[int(label)] = name
        alone = {members[0]: name for name, members in final_classes.items() if len(members) == 1}
        names = {label: given.get(label) or alone.get(label) or _default_name(label) for label in labels}
        if value is not None and len(set(names.values())) < len(names):
            self.problem("label_names", f"gives one name to several labels: {names}.")
        return names

    def _single_classes(self, labels: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        names = self._label_names(labels, {}) if not self.problems else {}
        return {names.get(label, _default_name(label)): (label,) for label in labels if label != 0}


_EXPECTED = {
    "task": 'expected a short name, like "liver".',
    "modality": 'expected "ct", "mr" or "other".',
    "train-data": "expected a folder with one sub-folder for each case.",
    "mask": 'expected a list of strings that identify the label file, like ["seg.nii.gz"].',
    "images": 'expected channels with identifying strings, like {"t1": ["t1.nii.gz"], "t2": ["t2.nii.gz"]}.',
    "labels": "expected the label values of the masks, like [0, 1, 2].",
}


def _default_name(label: int) -> str:
    return "background" if label == 0 else f"label_{label}"


def _shown(value: object) -> str:
    """A value as it can stand in a message: the beginning of a long one."""
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
