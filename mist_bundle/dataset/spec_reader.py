"""Reading dataset.json key by key, collecting every mistake with its place instead of stopping at the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mist_bundle.dataset.label_reader import (
    EXPECTED_LABELS,
    is_whole,
    read_annotated_labels,
    read_final_classes,
    read_label_names,
    read_labels,
)
from mist_bundle.dataset.names import (
    RESERVED_COLUMNS,
    channel_name_problem,
    class_name_problem,
    is_text,
    slug,
    user_path,
)
from mist_bundle.errors import Problem
from mist_bundle.files import real_path
from mist_bundle.runtime.wording import nearest_hint

Modality = Literal["ct", "mr", "other"]
MODALITIES: tuple[Modality, ...] = ("ct", "mr", "other")

REQUIRED_KEYS = ("task", "modality", "train-data", "mask", "images", "labels")
OPTIONAL_KEYS = (
    *("test-data", "final_classes", "label_names", "ignore_label", "annotated_labels", "description", "licence"),
    *("reference", "optional_images"),
)

_MAX_TASK = 100  # characters of the bundle's folder

# common words for the three modalities; only used to suggest the right word
_MODALITY_WORDS = {"mri": "mr", "magnetic resonance": "mr", "t1": "mr", "t2": "mr", "flair": "mr", "cbct": "ct"}

_EXPECTED = {
    "task": 'expected a short name, like "liver".',
    "modality": 'expected "ct", "mr" or "other".',
    "train-data": "expected a folder with a sub-folder for each case.",
    "mask": 'expected a list of strings that identify the label file, like ["seg.nii.gz"].',
    "images": 'expected channels with identifying strings, like {"t1": ["t1.nii.gz"], "t2": ["t2.nii.gz"]}.',
    "labels": EXPECTED_LABELS,
}


class SpecReader:
    """Reads the fields of a `DatasetSpec` from the content of a dataset.json.

    Attributes:
        problems: everything that is wrong, filled by `read`.
        ignore_label: value of "ignore_label", or None.
    """

    def __init__(self, json_path: Path, content: dict[str, Any]) -> None:
        self.json_path = json_path
        self.content = content
        self.problems: list[Problem] = []
        self.ignore_label: int | None = None

    def read(self) -> dict[str, Any]:
        """Return all fields except `json_path`; they are only valid if `problems` is empty."""
        self._check_keys()
        labels = read_labels(self.content, self.report)
        final_classes = read_final_classes(self.content, labels, self.report)
        label_names = read_label_names(self.content, labels, final_classes, self.report)
        if not final_classes:
            final_classes = {name: (label,) for label, name in label_names.items() if label != 0}
        images = self._images()
        mask = self._strings("mask", self.content.get("mask"))
        self._check_shared_strings(images, mask)
        optional = self._optional_images(images)
        train_dir, test_dir = self._folder("train-data"), self._folder("test-data")
        self._check_folders(train_dir, test_dir)
        self._read_ignore_label()
        return {
            "task": self._task(),
            "modality": self._modality(),
            "train_dir": train_dir,
            "test_dir": test_dir,
            "mask": mask,
            "images": images,
            "optional_images": optional,
            "labels": labels,
            "label_names": label_names,
            "final_classes": final_classes,
            "annotated_labels": read_annotated_labels(self.content, labels, self.report),
            "description": self._text("description"),
            "licence": self._text("licence"),
            "reference": self._text("reference"),
        }

    def report(self, key: str, message: str) -> None:
        """Add a problem of a key."""
        self.problems.append(Problem(f"{self.json_path}: $.{key}", message))

    def _check_keys(self) -> None:
        known = REQUIRED_KEYS + OPTIONAL_KEYS
        for key in REQUIRED_KEYS:
            if self.content.get(key) is None:
                self.report(key, "is missing. It is required; " + _EXPECTED[key])
        for key in self.content:
            if key not in known:
                hint = nearest_hint(key, known) or f"Known keys: {', '.join(known)}."
                self.report(key, f"is not a known key. {hint}")

    def _task(self) -> str:
        task = self._text("task")
        wrong = class_name_problem(task)
        if isinstance(self.content.get("task"), str) and not slug(task):
            self.report("task", f"is {task!r}, which has no letter or digit in it. " + _EXPECTED["task"])
        elif task and wrong:
            self.report("task", f"is {task!r}, which {wrong}. " + _EXPECTED["task"])
        elif len(slug(task)) > _MAX_TASK:
            message = f"has {len(task)} characters; it names the bundle's folder, so expected at most {_MAX_TASK}."
            self.report("task", message)
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
        self.report("modality", f'is {value!r}; expected "ct", "mr" or "other".{hint}')
        return "other"

    def _read_ignore_label(self) -> None:
        value = self.content.get("ignore_label")
        if value is not None and not is_whole(value):
            self.report("ignore_label", f"is {value!r}; expected a label value.")
        else:
            self.ignore_label = value

    def _text(self, key: str) -> str:
        value = self.content.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.report(key, f"is {json_kind(value)} ({value!r}); expected text in quotes.")
            return ""
        return value

    def _folder(self, key: str) -> Path | None:
        value = self.content.get(key)
        if value is None:
            return None
        expected = _EXPECTED["train-data"]
        if not isinstance(value, str) or not value:
            self.report(key, f"is {value!r}; {expected}")
            return None
        folder = self.json_path.parent / user_path(value)
        try:
            if folder.is_file():
                self.report(key, f"names {folder}, which is a file; {expected} Correct the path.")
            elif not folder.is_dir():
                self.report(key, f"names {folder}, which does not exist; {expected} Correct the path.")
            elif not _holds_folders(folder):
                self.report(key, f"names {folder}, which holds no case folder; {expected}")
        except OSError as error:
            self.report(key, f"names {folder}, which cannot be read ({error.strerror or error}).")
        return folder

    def _check_folders(self, train: Path | None, test: Path | None) -> None:
        if not is_text(str(self.json_path)):
            message = "the path of this file is not UTF-8, so a bundle cannot name it. Rename its folders."
            self.problems.append(Problem(ascii(str(self.json_path)), message))
        if train is None or test is None or not train.is_dir() or not test.is_dir():
            return
        train, test = real_path(train), real_path(test)
        if train == test:
            message = f"is {test}, the same folder as $.train-data. Name another folder or leave the key out."
            self.report("test-data", message)
        elif train in test.parents or test in train.parents:
            message = f"is {test} and $.train-data is {train}; neither may lie within the other. Keep them apart."
            self.report("test-data", message)

    def _strings(self, key: str, value: object) -> tuple[str, ...]:
        """A non-empty list of non-empty strings."""
        if value is None:
            return ()
        if isinstance(value, str):
            self.report(key, f'is the text "{value}"; expected a list of texts. Write ["{value}"].')
            return ()
        if not isinstance(value, list) or not value:
            self.report(key, f"is {value!r}; expected a list with at least one identifying string.")
            return ()
        strings: list[str] = []
        bad: list[object] = []
        for item in value:
            if isinstance(item, str) and item.strip():
                strings.append(item)
            else:
                bad.append(item)
        if bad:
            self.report(key, f"holds {bad[0]!r}; every identifying string must be non-empty text.")
        return tuple(strings)

    def _images(self) -> dict[str, tuple[str, ...]]:
        value = self.content.get("images")
        if value is None:
            return {}
        if not isinstance(value, dict) or not value:
            self.report("images", f"is {value!r}; {_EXPECTED['images']}")
            return {}
        images: dict[str, tuple[str, ...]] = {}
        for name, strings in value.items():
            wrong = channel_name_problem(name)
            if name in RESERVED_COLUMNS:
                wrong = f"is a reserved word ({', '.join(RESERVED_COLUMNS)})"
            if wrong:
                self.report("images", f"has the channel name {name!r}, which {wrong}. Choose another name.")
            if strings is None:
                self.report(f"images.{name}", "is null; expected a list with at least one identifying string.")
            images[name] = self._strings(f"images.{name}", strings)
        return images

    def _optional_images(self, images: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        """The channels that may be missing in a prediction, in the order of the channels."""
        names = self._strings("optional_images", self.content.get("optional_images"))
        unknown = [name for name in names if name not in images]
        if unknown and images:
            message = f'names {", ".join(unknown)}, but the channels of "images" are {", ".join(images)}.'
            self.report("optional_images", message)
        elif images and set(names) == set(images):
            self.report("optional_images", "names every channel; leave out those that a case always has.")
        return tuple(name for name in images if name in names)

    def _check_shared_strings(self, images: dict[str, tuple[str, ...]], mask: tuple[str, ...]) -> None:
        """Refuse a string that two roles share: it would match the same files for both, in every case."""
        owner: dict[str, str] = {}
        for role, strings in {**images, "mask": mask}.items():
            key = role if role == "mask" else f"images.{role}"
            for string in dict.fromkeys(strings):
                if string in owner:
                    message = f'lists "{string}", which $.{owner[string]} lists too. Each file can have one role only.'
                    self.report(key, message)
                else:
                    owner[string] = key


def _holds_folders(folder: Path) -> bool:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.name.startswith("."):
            return True
    return False


def json_kind(value: object) -> str:
    """Return what a JSON value is, for messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
