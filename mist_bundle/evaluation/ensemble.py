"""Combine the predictions of several models for the same cases into one label map each.

    majority  each voxel takes the label that most models give it
    staple    each model is weighed by how well it agrees with the consensus (see staple.py)
    mean      the class probabilities are averaged, and each voxel takes the most probable class

Only labels that some model gave a voxel are ever written there. Where votes tie, or STAPLE cannot decide, the voxel
takes the tied label of the model that was named first (`ties="first"`: name the best model first) or background
(`ties="background"`). ITK and MIST 2.3.0 write a label there that none of the models knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.volumes import Volume, read_channels, read_volume
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.evaluation.label_files import read_named, whole_labels, write_label_map
from mist_bundle.evaluation.pairs import label_maps
from mist_bundle.evaluation.staple import staple_labels
from mist_bundle.files import new_folder, write_json
from mist_bundle.parallel import map_cases

MAJORITY, STAPLE, MEAN = "majority", "staple", "mean"
FIRST, BACKGROUND = "first", "background"
ENSEMBLE_JSON = "ensemble.json"
_SUM_TOLERANCE = 0.01  # files hold probabilities of single or half precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Channels:
    """What the channels of probability maps mean.

    Attributes:
        labels: label value of each channel.
        region_order: channels in the order in which they are written, where they are regions that may overlap (a voxel
            is in a region above one half); None for classes that exclude each other.
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
    """What was made: number of label maps written, number of cases, and a Problem for each that failed."""

    num_written: int
    num_cases: int
    problems: tuple[Problem, ...]


def ensemble_folders(
    folders: Sequence[Path],
    output: Path,
    settings: EnsembleSettings,
    workers: int | str = 1,
    *,
    overwrite: bool = False,
) -> Ensembled:
    """Write `output`/<id>.nii.gz for every case, and ensemble.json, which says how they were made.

    Args:
        folders: two or more, each with <id>.nii.gz of the same cases: label maps (X, Y, Z), or for "mean" probability
            maps (X, Y, Z, C).
        output: folder to make.
        settings: how to combine.
        workers: cases at the same time.
        overwrite: replace a folder that is there.

    Raises:
        InputError: the request is wrong, or no case could be combined.
    """
    refused = _findings(folders, settings)
    if refused:
        raise InputError(refused)
    files, problems = _find_cases(folders)
    num_cases = len(files) + len(problems)
    with new_folder(output, overwrite=overwrite) as target:
        combine = partial(_combine_case, settings=settings, folder=target)
        done = map_cases(combine, files, name=lambda item: item[0], workers=workers, description="ensemble")
        problems += done.problems
        if not done.results:
            raise InputError(problems)
        content = {
            "method": settings.method,
            "ties": None if settings.method == MEAN else settings.ties,
            "predictions": [folder.name for folder in folders],
            "num_cases": len(done.results),
            "failed": [{"id": one.path, "message": one.message} for one in problems],
        }
        write_json(target / ENSEMBLE_JSON, content)
    return Ensembled(num_written=len(done.results), num_cases=num_cases, problems=tuple(problems))


def majority_vote(labels: Sequence[NDArray[Any]], ties: str = FIRST) -> NDArray[Any]:
    """The label that most maps give a voxel.

    Args:
        labels: maps (X, Y, Z) of whole numbers, on the same grid.
        ties: "first": of equally many votes the tied label of the earliest map; "background": 0.

    Returns:
        (X, Y, Z).
    """
    kind = np.result_type(*labels)
    result = labels[0].astype(kind)
    # almost everywhere all agree; only the rest is counted
    apart = np.zeros(result.shape, dtype=bool)
    for other in labels[1:]:
        apart |= other != labels[0]
    votes = np.stack([one[apart] for one in labels]).astype(kind)  # (maps, voxels)
    counts = np.stack([(votes == one).sum(axis=0) for one in votes])  # of each map's own label
    winner = votes[np.argmax(counts, axis=0), np.arange(votes.shape[1])]  # the earliest of the largest
    if ties == BACKGROUND:
        tied = ((counts == counts.max(axis=0)) & (votes != winner)).any(axis=0)
        winner = np.where(tied, 0, winner)
    result[apart] = winner
    return result


def staple(labels: Sequence[NDArray[Any]], ties: str = FIRST) -> NDArray[Any]:
    """The consensus in which each map is weighed by how well it agrees with the consensus.

    Args:
        labels: maps (X, Y, Z) of whole numbers, on the same grid.
        ties: a voxel that STAPLE cannot decide, or gives a label that no map has there, takes the majority vote with
            this rule for its ties.

    Returns:
        (X, Y, Z).
    """
    result, decided = staple_labels(labels)
    # models that are often wrong can outweigh what all of them say: a label that none gave is no consensus either
    decided &= np.logical_or.reduce([one == result for one in labels])
    if not decided.all():
        result[~decided] = majority_vote([one[~decided] for one in labels], ties)
    return result


def label_of_mean(maps: Sequence[NDArray[Any]], channels: Channels) -> NDArray[Any]:
    """The label map of averaged probabilities.

    Args:
        maps: (X, Y, Z, C), on the same grid.
        channels: what the channels mean.

    Returns:
        (X, Y, Z). Equally probable classes: the first channel.
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


def _findings(folders: Sequence[Path], settings: EnsembleSettings) -> list[Problem]:
    problems = []
    if len(folders) < 2:
        problems.append(Problem("predictions", f"{len(folders)} folders were given; expected at least two."))
    if settings.method not in (MAJORITY, STAPLE, MEAN):
        problems.append(Problem("--method", f"is {settings.method!r}; expected {MAJORITY}, {STAPLE} or {MEAN}."))
    if settings.ties not in (FIRST, BACKGROUND):
        problems.append(Problem("--ties", f"is {settings.ties!r}; expected {FIRST} or {BACKGROUND}."))
    if settings.method == MEAN and settings.channels is None:
        message = "is missing: give the label of each channel of the probability maps, like 0,1,2, or a --bundle."
        problems.append(Problem("--labels", message))
    repeated = {str(folder) for folder in folders if [one.absolute() for one in folders].count(folder.absolute()) > 1}
    problems += [Problem(name, "is given more than once; its vote would count twice.") for name in sorted(repeated)]
    return problems


def _find_cases(folders: Sequence[Path]) -> tuple[list[tuple[str, tuple[Path, ...]]], list[Problem]]:
    """Each case and its file in every folder; one Problem for each case that a folder lacks or holds twice.

    Raises:
        InputError: a folder is missing or holds no image file.
    """
    found: list[dict[str, Path]] = []
    doubled: dict[str, Problem] = {}
    refused: list[Problem] = []
    for folder in folders:
        with Collecting(refused):
            files, repeated = label_maps(folder)
            found.append(files)
            doubled.update((problem.path, problem) for problem in repeated)
            if not files and not repeated:
                refused.append(Problem(str(folder), "holds no image file."))
    if refused:
        raise InputError(refused)
    cases, problems = [], list(doubled.values())
    for name in sorted(set().union(*found) - set(doubled)):
        lacking = [str(folder) for folder, files in zip(folders, found, strict=True) if name not in files]
        if lacking:
            problems.append(Problem(name, f"has no prediction in {' and '.join(lacking)}."))
        else:
            cases.append((name, tuple(files[name] for files in found)))
    return cases, problems


def _combine_case(item: tuple[str, tuple[Path, ...]], settings: EnsembleSettings, folder: Path) -> str:
    name, paths = item
    read = read_channels if settings.method == MEAN else read_volume
    volumes: list[Volume] = []
    damaged: list[Problem] = []
    for path in paths:
        with Collecting(damaged):
            volumes.append(read_named(read, path))
    if damaged:
        raise InputError(damaged)
    volumes = [volumes[0], *(other.on_grid_of(volumes[0]) for other in volumes[1:])]
    findings = [
        Problem(str(other.path), finding) for other in volumes[1:] for finding in check_headers(volumes[0], other)
    ]
    if findings:
        raise InputError(findings)
    write_label_map(folder / f"{name}.nii.gz", _combine(volumes, settings), paths[0])
    return name


def _combine(volumes: Sequence[Volume], settings: EnsembleSettings) -> NDArray[Any]:
    if settings.channels is not None and settings.method == MEAN:
        findings = [finding for one in volumes for finding in _check_probabilities(one, settings.channels)]
        if findings:
            raise InputError(findings)
        return label_of_mean([one.array for one in volumes], settings.channels)
    labels = [whole_labels(one) for one in volumes]
    vote = staple if settings.method == STAPLE else majority_vote
    return vote(labels, settings.ties)


def _check_probabilities(volume: Volume, channels: Channels) -> list[Problem]:
    count, expected = volume.array.shape[3], len(channels.labels)
    if count != expected:
        message = f"has {count} channels, but there are {expected} labels {list(channels.labels)}."
        return [Problem(str(volume.path), message)]
    low, high = float(volume.array.min()), float(volume.array.max())
    if not (low >= -_SUM_TOLERANCE and high <= 1 + _SUM_TOLERANCE):
        return [Problem(str(volume.path), f"holds values from {low:g} to {high:g}; expected probabilities.")]
    if channels.region_order is None:
        sums = volume.array.sum(axis=3, dtype=np.float64)
        off = float(np.abs(sums - 1).max())
        if off > _SUM_TOLERANCE:
            return [Problem(str(volume.path), f"holds probabilities that miss a sum of 1 by up to {off:.3g}.")]
    return []
