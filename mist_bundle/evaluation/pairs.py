"""Pairs of prediction and reference, from two folders, a dataset.json and a folder, or a table of pairs."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.foreign import advising, conversion_advice
from mist_bundle.dataset.names import SUMMARY_ROWS, class_name_problem, is_image
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import read_table
from mist_bundle.dataset.volumes import memory_of_a_case
from mist_bundle.errors import InputError, Problem, count_paths
from mist_bundle.files import read_json
from mist_bundle.runtime.reading.formats import image_stem
from mist_bundle.runtime.wording import inflected, join_with_and

MASK, PREDICTION = "mask", "prediction"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A predicted label map and its reference, and the labels that were not annotated in it."""

    id: str
    reference: Path
    prediction: Path
    unlabelled: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """Pairs sorted by id, and a Problem for each case without a pair."""

    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]

    @property
    def case_bytes(self) -> float:
        """Memory that work on a pair may take."""
        return memory_of_a_case([(pair.reference, pair.prediction) for pair in self.pairs])

    @property
    def num_cases(self) -> int:
        """All cases, including those without a pair."""
        return len(self.pairs) + count_paths(self.problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class Classes:
    """The classes that are scored.

    Attributes:
        final_classes: name of each class -> its label values.
        labels: all values that may occur; None where unknown.
        ignore_label: value in the reference of voxels that do not count.
    """

    final_classes: dict[str, tuple[int, ...]]
    labels: tuple[int, ...] | None = None
    ignore_label: int | None = None


def find_pairs(paths: Path | None, reference: Path | None, prediction: Path | None) -> Pairing:
    """Find the prediction of every reference.

    Args:
        paths: CSV or JSON with the columns id, mask and prediction; or None.
        reference: folder of `<id>.nii.gz`, or a dataset.json with references.
        prediction: folder of `<id>.nii.gz`.

    Raises:
        InputError: the combination of arguments is wrong, or a table or folder cannot be read.
    """
    if paths is None:
        with advising(reference or Path()):
            pairing = _from_folders(reference, prediction)
            if not pairing.pairs and conversion_advice(reference or Path()):
                raise InputError(pairing.problems)
    elif reference is None and prediction is None:
        with advising(paths):
            pairing = _from_table(paths)
    else:
        message = "says the same as --reference and --prediction; pass either --paths or both of these."
        raise InputError(Problem("--paths", message))
    pairs = []
    problems = list(pairing.problems)
    for pair in pairing.pairs:
        finding = _pair_problem(pair)
        if finding:
            problems.append(Problem(pair.id, finding))
        else:
            pairs.append(pair)
    return Pairing(pairs=tuple(pairs), problems=tuple(problems))


def _pair_problem(pair: Pair) -> str:
    """Why a pair cannot be scored, or "" when it can."""
    if pair.id.casefold() in SUMMARY_ROWS:
        return "is the name of a row of statistics in the results. Rename the case."
    both_exist = pair.reference.exists() and pair.prediction.exists()
    if both_exist and pair.reference.samefile(pair.prediction):
        return f"{pair.reference} is both reference and prediction; comparing a file with itself says nothing."
    return ""


def _from_folders(reference: Path | None, prediction: Path | None) -> Pairing:
    if reference is None or prediction is None:
        raise InputError(Problem("evaluate", "needs a bundle, or --paths, or both --reference and --prediction."))
    references, unlabelled, problems = _references(reference)
    predictions, repeated = label_maps(prediction)
    problems += repeated
    failed = {problem.path for problem in problems}
    for case in sorted(set(predictions) - set(references) - failed):
        problems.append(Problem(case, f"has no reference in {reference}."))
    for case in sorted(set(references) - set(predictions) - failed):
        problems.append(Problem(case, f"has no prediction in {prediction}."))
    pairs = []
    for case in sorted(set(references) & set(predictions)):
        pair = Pair(id=case, reference=references[case], prediction=predictions[case])
        pairs.append(replace(pair, unlabelled=unlabelled.get(case, ())))
    return Pairing(pairs=tuple(pairs), problems=tuple(problems))


def label_maps(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """The image files of a folder by id (file name without suffix), and a Problem for each id that several files share.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "is not a folder."))
    paths: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if is_image(path) and not path.is_dir() and not path.name.startswith("."):
            paths.setdefault(image_stem(path), []).append(path)
    files = {}
    problems = []
    for case, candidates in paths.items():
        if len(candidates) == 1:
            files[case] = candidates[0]
        else:
            names = join_with_and(path.name for path in candidates)
            problems.append(Problem(case, f"is the id of {names} in {folder}."))
    return files, problems


def read_classes(path: Path | None, labels: tuple[int, ...] | None = None, ignore_label: int | None = None) -> Classes:
    """The classes of a JSON file of class names and labels, a dataset.json, or MIST's config.json.

    Args:
        path: the file.
        labels: all values that may occur; by default those of the dataset.json.
        ignore_label: value in the reference of voxels that do not count; by default that of the dataset.json.

    Raises:
        InputError: the file is missing or does not hold classes and labels.
    """
    if path is None:
        message = "is missing; pass a JSON file of class names and labels, or a dataset.json."
        raise InputError(Problem("--classes", message))
    with advising(path):
        content = read_json(path)
        final_classes = _final_classes(content, path)
    if "final_classes" in content:
        listed = content.get("labels")
        if ignore_label is None:
            ignore_label = content.get("ignore_label")
        if labels is None and _is_label_list(listed):
            labels = tuple(label for label in listed if label != ignore_label)
    problems = []
    for name, members in final_classes.items():
        if ignore_label in members:
            message = f"holds the label {ignore_label}, which is ignored. Correct the class, or --ignore_label."
            problems.append(Problem(f"{path}: {name}", message))
        finding = class_name_problem(name)
        if finding:
            problems.append(Problem(str(path), f"the class name {name!r} {finding}."))
        if labels is not None and not set(members) <= set(labels):
            unlisted = sorted(set(members) - set(labels))
            message = f"has labels {unlisted}, which are not in {list(labels)}."
            problems.append(Problem(f"{path}: {name}", message))
    if problems:
        raise InputError(problems)
    return Classes(final_classes=final_classes, labels=labels, ignore_label=ignore_label)


def _final_classes(content: Any, path: Path) -> dict[str, tuple[int, ...]]:
    """Class name -> labels, which dataset.json holds under "final_classes", MIST's config.json under "evaluation".

    Raises:
        InputError: the content is something else.
    """
    for key in ("final_classes", "evaluation"):
        if isinstance(content, dict):
            content = content.get(key, content)
    wrong = Problem(str(path), 'must hold class names and their labels, like {"tumor": [1, 2]}.')
    if not isinstance(content, dict) or not content:
        raise InputError(wrong)
    classes: dict[str, tuple[int, ...]] = {}
    problems: list[Problem] = []
    for name, members in content.items():
        if isinstance(members, dict):  # MIST: {"tumor": {"labels": [1, 2], "metrics": {…}}}
            members = members.get("labels")
        if _is_label_list(members):
            classes[str(name)] = tuple(members)
        else:
            message = f"is {members!r}; expected a list of whole numbers, like [1, 2]."
            problems.append(Problem(f"{path}: {name}", message))
    if not classes:
        raise InputError(wrong)
    if problems:
        raise InputError(problems)
    return classes


def _is_label_list(value: object) -> bool:
    """Whether a JSON value is a list of whole numbers with at least one entry."""
    return isinstance(value, list) and bool(value) and all(type(label) is int for label in value)


def _references(source: Path) -> tuple[dict[str, Path], dict[str, tuple[int, ...]], list[Problem]]:
    """The reference of each case, in a folder or of a dataset.json, and the labels that were not annotated in it."""
    if not (source.is_file() and source.suffix.lower() == ".json"):
        files, problems = label_maps(source)
        return files, {}, problems
    cases = find_cases(DatasetSpec.from_json(source), "train")
    references = {}
    unlabelled = {}
    for case in cases.cases:
        if case.label is not None:
            references[case.id] = case.label
            unlabelled[case.id] = case.unlabelled
    return references, unlabelled, list(cases.problems)


def _missing(names: Container[str]) -> list[str]:
    return [name for name in (MASK, PREDICTION) if name not in names]


def _from_table(paths: Path) -> Pairing:
    table = read_table(paths)
    missing = _missing(table.columns)
    if missing:
        raise InputError(Problem(str(paths), f"has no column {missing}; it has {list(table.columns)}."))
    if not table.rows and not table.problems:
        raise InputError(Problem(str(paths), "holds no cases: nothing follows its header line."))
    pairs = []
    problems = list(table.problems)
    for row in table.rows:
        empty = _missing(row.cells)
        if empty:
            problems.append(
                Problem(row.id, f"{row.place}: {join_with_and(empty)} {inflected(len(empty), 'is', 'are')} empty.")
            )
            continue
        reference = table.resolve(row.cells[MASK])
        prediction = table.resolve(row.cells[PREDICTION])
        pairs.append(Pair(id=row.id, reference=reference, prediction=prediction))
    return Pairing(pairs=tuple(sorted(pairs, key=lambda pair: pair.id)), problems=tuple(problems))
