"""Combine the predictions of several models into a consensus label map for each case.

    majority  each voxel gets the label that most models predict
    staple    each model is weighted by how well it agrees with the consensus (see staple.py)
    mean      the class probabilities are averaged, and each voxel gets the most probable class

A voxel only ever gets a label that some model predicts there. Where votes tie, or STAPLE cannot decide, it gets the
tied label of the earliest model (`ties="first"`: list the best model first) or background (`ties="background"`). ITK
and MIST 2.3.0 write a label there that no model knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.volumes import Volume, memory_of_a_case, read_channels, read_volume
from mist_bundle.errors import Collecting, InputError, Problem, count_paths, problems_of
from mist_bundle.evaluation.label_files import read_all, whole_labels, write_label_map
from mist_bundle.evaluation.pairs import label_maps
from mist_bundle.evaluation.remarks import Remarks, gathered_remarks
from mist_bundle.evaluation.staple import staple_labels
from mist_bundle.files import new_folder, real_path, write_json
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.wording import join_with_and

MAJORITY, STAPLE, MEAN = "majority", "staple", "mean"
FIRST, BACKGROUND = "first", "background"
ENSEMBLE_JSON = "ensemble.json"
_SUM_TOLERANCE = 0.01  # files hold probabilities of single or half precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Channels:
    """The meaning of the channels of probability maps.

    Attributes:
        labels: label value of each channel.
        region_order: for regions that may overlap (a voxel is in a region above 0.5), the order in which the channels
            are written over each other; None for classes that exclude each other.
    """

    labels: tuple[int, ...]
    region_order: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleSettings:
    """How predictions are combined.

    Attributes:
        method: "majority", "staple" or "mean".
        ties: "first" or "background".
        channels: for "mean".
    """

    method: str = MAJORITY
    ties: str = FIRST
    channels: Channels | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ensembled:
    """The result of combining predictions.

    Attributes:
        num_written: number of label maps written.
        num_cases: number of cases, including those that failed.
        problems: a Problem for each case that failed.
        warnings: irregularities of files that do not prevent their use.
    """

    num_written: int
    num_cases: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def ensemble_folders(
    folders: Sequence[Path],
    output: Path,
    settings: EnsembleSettings,
    workers: int | str | None = None,
    *,
    overwrite: bool = False,
) -> Ensembled:
    """Write `output`/<id>.nii.gz for every case, and ensemble.json, which records the method.

    Args:
        folders: two or more, each with <id>.nii.gz of the same cases: label maps (X, Y, Z), or for "mean" probability
            maps (X, Y, Z, C).
        output: folder to create.
        settings: how to combine.
        workers: number of cases combined in parallel.
        overwrite: replace an existing folder.

    Raises:
        InputError: an argument is wrong, or no case could be combined.
    """
    _check_arguments(folders, settings)
    files, problems = _find_cases(folders)
    num_cases = len(files) + count_paths(problems)
    with new_folder(output, overwrite=overwrite, inputs=folders, mark=ENSEMBLE_JSON) as target:
        combine = partial(_combine_case, settings=settings, folder=target)
        done = map_cases(
            combine,
            files,
            name=lambda item: item[0],
            workers=workers,
            description="ensemble",
            case_bytes=memory_of_a_case([paths for _, paths in files]),
        )
        problems += done.problems
        if not done.results:
            raise InputError(problems)
        failed = []
        for problem in problems:
            failed.append({"id": problem.path, "message": problem.message})
        content = {
            "method": settings.method,
            "ties": None if settings.method == MEAN else settings.ties,
            "predictions": [folder.name for folder in folders],
            "num_cases": len(done.results),
            "failed": failed,
        }
        write_json(target / ENSEMBLE_JSON, content)
    return Ensembled(
        num_written=len(done.results),
        num_cases=num_cases,
        problems=tuple(problems),
        warnings=gathered_remarks(done.results),
    )


def majority_vote(labels: Sequence[NDArray[Any]], ties: str = FIRST) -> NDArray[Any]:
    """The label that most maps have at each voxel.

    Args:
        labels: maps (X, Y, Z) of whole numbers, on the same grid.
        ties: "first" takes the tied label of the earliest map; "background" takes 0.

    Returns:
        (X, Y, Z).
    """
    kind = np.result_type(*labels)
    result = labels[0].astype(kind)
    # the maps agree at almost all voxels; votes are only counted at the others
    disputed = np.zeros(result.shape, dtype=bool)
    for other in labels[1:]:
        disputed |= other != labels[0]
    votes = np.stack([label[disputed] for label in labels]).astype(kind)  # (maps, voxels)
    counts = np.zeros(votes.shape, dtype=np.int64)  # votes for each map's own label
    for index, vote in enumerate(votes):
        counts[index] = (votes == vote).sum(axis=0)
    winner = votes[np.argmax(counts, axis=0), np.arange(votes.shape[1])]  # argmax takes the earliest map
    if ties == BACKGROUND:
        tied = ((counts == counts.max(axis=0)) & (votes != winner)).any(axis=0)
        winner = np.where(tied, 0, winner)
    result[disputed] = winner
    return result


def staple(labels: Sequence[NDArray[Any]], ties: str = FIRST) -> NDArray[Any]:
    """The STAPLE consensus, in which each map is weighted by how well it agrees with the consensus.

    Args:
        labels: maps (X, Y, Z) of whole numbers, on the same grid.
        ties: rule for ties of the majority vote, which decides voxels where STAPLE is undecided or chooses a label that
            no map has there.

    Returns:
        (X, Y, Z).
    """
    result, decided = staple_labels(labels)
    # when models are often wrong, the most probable label can be a label that no map has at the voxel
    is_known = np.zeros(result.shape, dtype=bool)
    for label in labels:
        is_known |= label == result
    decided &= is_known
    if not decided.all():
        result[~decided] = majority_vote([label[~decided] for label in labels], ties)
    return result


def label_of_mean(maps: Sequence[NDArray[Any]], channels: Channels) -> NDArray[Any]:
    """The label map of averaged probabilities.

    Args:
        maps: (X, Y, Z, C), on the same grid.
        channels: meaning of the channels.

    Returns:
        (X, Y, Z); of equally probable classes the first.
    """
    mean = maps[0].astype(np.float64)
    for other in maps[1:]:
        mean += other
    mean /= len(maps)
    labels = np.array(channels.labels)
    if channels.region_order is None:
        return np.asarray(labels[np.argmax(mean, axis=-1)])
    result = np.zeros(mean.shape[:3], dtype=labels.dtype)
    for index in channels.region_order:
        result[mean[..., index] > 0.5] = labels[index]
    return result


def _check_arguments(folders: Sequence[Path], settings: EnsembleSettings) -> None:
    """Check the arguments before anything is read.

    Raises:
        InputError: listing all problems.
    """
    problems = []
    if len(folders) < 2:
        number = "no folder" if not folders else "1 folder"
        problems.append(Problem("predictions", f"names {number}; expected at least two."))
    if settings.method not in (MAJORITY, STAPLE, MEAN):
        problems.append(Problem("--method", f"is {settings.method!r}; expected {MAJORITY}, {STAPLE} or {MEAN}."))
    if settings.ties not in (FIRST, BACKGROUND):
        problems.append(Problem("--ties", f"is {settings.ties!r}; expected {FIRST} or {BACKGROUND}."))
    if settings.method == MEAN and settings.channels is None:
        message = "is missing: pass the label of each channel of the probability maps, like 0,1,2, or a --bundle."
        problems.append(Problem("--labels", message))
    for folder, count in Counter(map(real_path, folders)).items():
        if count > 1:
            problems.append(Problem(str(folder), f"is listed {count} times; its vote would count {count} times."))
    if problems:
        raise InputError(problems)


def _find_cases(folders: Sequence[Path]) -> tuple[list[tuple[str, tuple[Path, ...]]], list[Problem]]:
    """Each case with its file in every folder, and a Problem for each case that a folder lacks or holds twice.

    Raises:
        InputError: a folder is missing or holds no image file.
    """
    files_by_folder: dict[Path, dict[str, Path]] = {}
    ambiguous: dict[str, Problem] = {}
    refused: list[Problem] = []
    for folder in folders:
        with Collecting(refused):
            files, repeated = label_maps(folder)
            files_by_folder[folder] = files
            for problem in repeated:
                ambiguous[problem.path] = problem
            if not files and not repeated:
                refused.append(Problem(str(folder), "holds no image file."))
    if refused:
        raise InputError(refused)
    cases = []
    problems = list(ambiguous.values())
    for case in sorted(set().union(*files_by_folder.values()) - set(ambiguous)):
        paths = []
        lacking = []
        for folder, files in files_by_folder.items():
            if case in files:
                paths.append(files[case])
            else:
                lacking.append(str(folder))
        if lacking:
            problems.append(Problem(case, f"has no prediction in {join_with_and(lacking)}."))
        else:
            cases.append((case, tuple(paths)))
    return cases, problems


def _combine_case(item: tuple[str, tuple[Path, ...]], settings: EnsembleSettings, folder: Path) -> Remarks:
    name, paths = item
    read = read_channels if settings.method == MEAN else read_volume
    first, *others = read_all(read, paths)
    volumes = [first]
    problems: list[Problem] = []
    for other in others:
        aligned = other.on_grid_of(first)
        volumes.append(aligned)
        problems += problems_of(str(other.path), check_headers(first, aligned))
    if problems:
        raise InputError(problems)
    write_label_map(folder / f"{name}.nii.gz", _combine(volumes, settings), paths[0])
    remarks: list[str] = []
    for volume in volumes:
        remarks += volume.warnings
    return name, tuple(dict.fromkeys(remarks))


def _combine(volumes: Sequence[Volume], settings: EnsembleSettings) -> NDArray[Any]:
    if settings.channels is not None and settings.method == MEAN:
        problems: list[Problem] = []
        for volume in volumes:
            problems += _check_probabilities(volume, settings.channels)
        if problems:
            raise InputError(problems)
        return label_of_mean([volume.array for volume in volumes], settings.channels)
    labels = list(map(whole_labels, volumes))
    vote = staple if settings.method == STAPLE else majority_vote
    return vote(labels, settings.ties)


def _check_probabilities(volume: Volume, channels: Channels) -> list[Problem]:
    count = volume.array.shape[3]
    expected = len(channels.labels)
    if count != expected:
        message = f"has {count} channels, but there are {expected} labels {list(channels.labels)}."
        return [Problem(str(volume.path), message)]
    low = float(volume.array.min())
    high = float(volume.array.max())
    if not (low >= -_SUM_TOLERANCE and high <= 1 + _SUM_TOLERANCE):
        return [Problem(str(volume.path), f"holds values from {low:g} to {high:g}; expected probabilities.")]
    if channels.region_order is None:
        sums = volume.array.sum(axis=3, dtype=np.float64)
        off = float(np.abs(sums - 1).max())
        if off > _SUM_TOLERANCE:
            return [Problem(str(volume.path), f"holds probabilities whose sum differs from 1 by up to {off:.3g}.")]
    return []
