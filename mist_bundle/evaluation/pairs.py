"""Which prediction belongs to which reference: two folders, a data set and a folder, or a table of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.names import SUMMARY_ROWS, class_name_problem, image_stem, is_image
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import read_table
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json

MASK, PREDICTION = "mask", "prediction"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A predicted label map and its reference."""

    id: str
    reference: Path
    prediction: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundPairs:
    """Pairs sorted by id, and a Problem for each case that has no pair."""

    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]

    @property
    def num_cases(self) -> int:
        """All cases, those without a pair included."""
        return len(self.pairs) + len(self.problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class Classes:
    """What is scored.

    Attributes:
        final_classes: name of each class to its label values.
        labels: all values that may occur, where that is known.
        ignore_label: value in the reference of voxels that do not count.
    """

    final_classes: dict[str, tuple[int, ...]]
    labels: tuple[int, ...] | None = None
    ignore_label: int | None = None


def find_pairs(paths: Path | None, reference: Path | None, prediction: Path | None) -> FoundPairs:
    """Find the pairs.

    Args:
        paths: CSV or JSON with the columns id, mask and prediction; or None.
        reference: folder of `<id>.nii.gz`, or a dataset.json whose label files are taken.
        prediction: folder of `<id>.nii.gz`.

    Raises:
        InputError: the request itself is wrong.
    """
    if paths is not None and (reference is not None or prediction is not None):
        raise InputError(Problem("--paths", "says the same as --reference and --prediction; give one or the other."))
    found = _from_table(paths) if paths is not None else _from_folders(reference, prediction)
    pairs, problems = [], list(found.problems)
    for pair in found.pairs:
        finding = _pair_problem(pair)
        if finding:
            problems.append(Problem(pair.id, finding))
        else:
            pairs.append(pair)
    return FoundPairs(pairs=tuple(pairs), problems=tuple(problems))


def _pair_problem(pair: Pair) -> str:
    """Why a pair cannot be scored, or "" when it can."""
    if pair.id.casefold() in SUMMARY_ROWS:
        return "is the name of a row of statistics in the results. Rename the case."
    files = (pair.reference, pair.prediction)
    if all(path.exists() for path in files) and pair.reference.samefile(pair.prediction):
        return f"{pair.reference} is given as reference and as prediction; a file says nothing about itself."
    return ""


def _from_folders(reference: Path | None, prediction: Path | None) -> FoundPairs:
    if reference is None or prediction is None:
        raise InputError(Problem("evaluate", "needs a bundle, or --paths, or both --reference and --prediction."))
    references, problems = _references(reference)
    predictions, repeated = label_maps(prediction)
    problems += repeated
    named = {problem.path for problem in problems}
    lonely = [Problem(name, f"has no reference in {reference}.") for name in sorted(set(predictions) - set(references))]
    lonely += [
        Problem(name, f"has no prediction in {prediction}.") for name in sorted(set(references) - set(predictions))
    ]
    problems += [problem for problem in lonely if problem.path not in named]
    both = sorted(set(references) & set(predictions))
    pairs = tuple(Pair(id=name, reference=references[name], prediction=predictions[name]) for name in both)
    return FoundPairs(pairs=pairs, problems=tuple(problems))


def label_maps(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """The image files of a folder by id (their name without the ending), and the ids that two files have.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "is not a folder."))
    found: dict[str, Path] = {}
    repeated: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and is_image(path) and not path.name.startswith("."):
            name = image_stem(path)
            if name in found:
                repeated.setdefault(name, [found[name].name]).append(path.name)
            found[name] = path
    for name in repeated:
        del found[name]
    problems = [Problem(name, f"is the id of {' and '.join(files)} in {folder}.") for name, files in repeated.items()]
    return found, problems


def read_classes(path: Path | None, labels: tuple[int, ...] | None = None, ignore_label: int | None = None) -> Classes:
    """What is scored, from a JSON file of class names and labels, a dataset.json, or MIST's config.json.

    Args:
        path: the file.
        labels: all values that may occur; by default those of the dataset.json, where it is one.
        ignore_label: value in the reference of voxels that do not count; by default that of the dataset.json.

    Raises:
        InputError: there is none, or it says something else.
    """
    if path is None:
        raise InputError(
            Problem("--classes", "is missing; give a JSON file of class names and labels, or a dataset.json.")
        )
    content = read_json(path)
    data_set = content if isinstance(content, dict) and "final_classes" in content else {}
    known = data_set.get("labels")
    ignored = data_set.get("ignore_label") if ignore_label is None else ignore_label
    for key in ("final_classes", "evaluation"):
        content = content.get(key, content) if isinstance(content, dict) else content
    if isinstance(content, dict):  # MIST: {"tumor": {"labels": [1, 2], "metrics": {…}}}
        content = {name: one.get("labels") if isinstance(one, dict) else one for name, one in content.items()}
    if not isinstance(content, dict) or not content or not all(_is_label_list(one) for one in content.values()):
        raise InputError(Problem(str(path), 'must hold class names and their labels, like {"tumor": [1, 2]}.'))
    if labels is None and isinstance(known, list) and _is_label_list(known):
        labels = tuple(label for label in known if label != ignored)
    final_classes = {str(name): tuple(members) for name, members in content.items()}
    wrong = [
        Problem(str(path), f"the class name {name!r} {class_name_problem(name)}.")
        for name in final_classes
        if class_name_problem(name)
    ]
    unlisted = [
        Problem(f"{path}: {name}", f"has labels {sorted(set(members) - set(labels))}, which are not in {list(labels)}.")
        for name, members in final_classes.items()
        if labels is not None and set(members) - set(labels)
    ]
    if wrong or unlisted:
        raise InputError([*wrong, *unlisted])
    return Classes(final_classes=final_classes, labels=labels, ignore_label=ignored)


def _is_label_list(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(label, int) and not isinstance(label, bool) for label in value)
    )


def _references(source: Path) -> tuple[dict[str, Path], list[Problem]]:
    if source.is_file() and source.suffix.lower() == ".json":
        found = find_cases(DatasetSpec.from_json(source), "train")
        return {case.id: case.label for case in found.cases if case.label is not None}, list(found.problems)
    return label_maps(source)


def _from_table(paths: Path) -> FoundPairs:
    table = read_table(paths)
    missing = [name for name in (MASK, PREDICTION) if name not in table.columns]
    if missing:
        raise InputError(Problem(str(paths), f"has no column {missing}; found {list(table.columns)}."))
    if not table.rows and not table.problems:
        raise InputError(Problem(str(paths), "holds no cases: there is nothing below its header line."))
    pairs, problems = [], list(table.problems)
    for row in table.rows:
        empty = [name for name in (MASK, PREDICTION) if name not in row.cells]
        if empty:
            problems.append(Problem(row.id, f"{row.place}: {' and '.join(empty)} is empty."))
        else:
            files = [table.resolve(row.cells[name]) for name in (MASK, PREDICTION)]
            pairs.append(Pair(id=row.id, reference=files[0], prediction=files[1]))
    return FoundPairs(pairs=tuple(sorted(pairs, key=lambda pair: pair.id)), problems=tuple(problems))
