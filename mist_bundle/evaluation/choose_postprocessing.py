"""Choose a post-processing strategy from the out-of-fold predictions of a cross-validation, without overfitting.

Greedy forward selection: each round adds the step of a small grid that raises the weighted quality most. A step must
help in *every* fold and by at least `min_gain` over all cases. The selection is then repeated without each fold in turn
and measured on the fold that was left out; unless that held-out gain is positive, no post-processing is chosen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.change import quality
from mist_bundle.evaluation.pairs import Pair
from mist_bundle.evaluation.score import Scored, ScoreSettings, read_pair, score_arrays
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.numerics.grid import spacing_of
from mist_bundle.runtime.postprocessing.strategy import Step, apply_strategy

Steps = tuple[Step, ...]
MAX_STEPS = 4
MIN_GAIN = 0.001  # of a quality between 0 and 1: a tenth of a Dice percent
# candidate thresholds for small objects, as shares of the label's median volume in the references
_SHARES = (0.01, 0.05, 0.2)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """A case, the fold that held it out, and its files."""

    fold: int
    pair: Pair


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The chosen strategy and the evidence for it.

    Attributes:
        steps: the strategy; empty where no step helps.
        gain: mean gain of quality over all cases.
        gain_by_fold: mean gain in each fold.
        held_out_gain: mean gain on cases that the selection did not see.
        candidates: every candidate step with its gain over all cases and in each fold.
        because: the reason as a sentence.
    """

    steps: Steps
    gain: float
    gain_by_fold: Mapping[int, float]
    held_out_gain: float
    candidates: Sequence[Mapping[str, Any]]
    because: str

    def to_json(self) -> dict[str, Any]:
        """The content of postprocessing.json in the bundle."""
        return {
            "strategy": list(map(Step.to_json, self.steps)),
            "because": self.because,
            "gain": round(self.gain, 6),
            "gain_by_fold": _rounded(self.gain_by_fold),
            "held_out_gain": round(self.held_out_gain, 6),
        }


@dataclass(slots=True)
class ScoreTable:
    """Cache of the scores of every case after every strategy.

    Attributes:
        held_out: the cases.
        settings: how they are scored.
        weights: of the metrics.
        workers: number of cases processed in parallel.
    """

    held_out: Sequence[HeldOut]
    settings: ScoreSettings
    weights: Mapping[str, float]
    workers: int | str | None = None
    _scores: dict[str, list[Scored]] = field(default_factory=dict)

    def compute(self, strategies: Sequence[Steps]) -> None:
        """Score all cases after these strategies, reading each case once.

        Raises:
            InputError: a case cannot be read or scored. The choice must not rest on the other cases alone.
        """
        missing: dict[str, Steps] = {}
        for steps in strategies:
            if _key(steps) not in self._scores:
                missing[_key(steps)] = steps
        if not missing:
            return
        score = partial(_score_strategies, strategies=tuple(missing.values()), settings=self.settings)
        pairs = [case.pair for case in self.held_out]
        done = map_cases(score, pairs, name=lambda pair: pair.id, workers=self.workers, description="postprocess")
        if done.problems:
            raise InputError(done.problems)
        for key, *scores in zip(missing, *done.results, strict=True):
            self._scores[key] = scores

    def scores(self, steps: Steps) -> list[Scored]:
        """The scores of all cases after a strategy."""
        self.compute([steps])
        return self._scores[_key(steps)]

    def qualities(self, steps: Steps) -> np.ndarray:
        """The weighted quality of all cases after a strategy."""
        return np.array([quality(scored, self.settings, self.weights) for scored in self.scores(steps)])


def default_candidates(pairs: Sequence[Pair], labels: Sequence[int], workers: int | str | None = None) -> Steps:
    """The default grid: largest component, small objects and holes, for each label and for all of them together.

    Raises:
        InputError: a reference cannot be read.
    """
    measured = map_cases(partial(_volumes_mm3, labels=labels), pairs, name=lambda pair: pair.id, workers=workers)
    if measured.problems:
        raise InputError(measured.problems)
    steps = []
    for label, *volumes in zip(labels, *measured.results, strict=True):
        steps.append(Step(transform="keep_top_k_components", labels=(label,), options={"k": 1}))
        present = list(filter(None, volumes))
        if present:
            for share in _SHARES:
                size = float(f"{share * median(present):.2g}")
                options = {"min_size": size, "unit": "mm3"}
                steps.append(Step(transform="remove_small_objects", labels=(label,), options=options))
        steps.append(Step(transform="fill_holes_with_label", labels=(label,)))
    if len(labels) > 1:
        steps.append(Step(transform="keep_top_k_components", per_label=False, options={"k": 1}))
        steps.append(Step(transform="fill_holes_with_label", per_label=False))
    return tuple(steps)


def choose(table: ScoreTable, candidates: Steps, min_gain: float = MIN_GAIN, max_steps: int = MAX_STEPS) -> Choice:
    """Choose a strategy.

    Args:
        table: scores of the out-of-fold predictions.
        candidates: steps to select from.
        min_gain: smallest gain of quality that a step must add.
        max_steps: largest number of steps.

    Raises:
        InputError: there are fewer than two folds, or a case cannot be scored.
    """
    folds = np.array([case.fold for case in table.held_out])
    numbers = np.unique(folds).tolist()
    if len(numbers) < 2:
        raise InputError(Problem("folds", f"{numbers} alone cannot tell chance from effect; train at least two folds."))
    select = partial(_select, table, candidates, folds, min_gain=min_gain, max_steps=max_steps)
    best_steps = select(np.ones(len(folds), dtype=bool))
    best_gain = float(_gains(table, best_steps).mean())
    held_out_gain = 0.0
    if best_steps:
        held_out_gain = _held_out_gain(table, folds, select)
    steps = best_steps if held_out_gain > 0 else ()
    gains = _gains(table, steps)
    described = []
    for step in candidates:
        described.append(_describe_candidate(table, folds, step))
    return Choice(
        steps=steps,
        gain=float(gains.mean()),
        gain_by_fold=_fold_means(gains, folds),
        held_out_gain=held_out_gain,
        candidates=described,
        because=_because(best_steps, best_gain, held_out_gain, num_folds=len(numbers)),
    )


def _gains(table: ScoreTable, steps: Steps) -> np.ndarray:
    """(cases,) gain of quality by a strategy over no post-processing."""
    gains: np.ndarray = table.qualities(steps) - table.qualities(())
    return gains


def _held_out_gain(table: ScoreTable, folds: np.ndarray, select: Callable[[np.ndarray], Steps]) -> float:
    """Mean gain of every case by the strategy that was selected without its fold."""
    gains = np.zeros(len(folds))
    for fold in np.unique(folds):
        inside = folds == fold
        gains[inside] = _gains(table, select(~inside))[inside]
    return float(gains.mean())


def _select(
    table: ScoreTable, candidates: Steps, folds: np.ndarray, used: np.ndarray, *, min_gain: float, max_steps: int
) -> Steps:
    """Greedy forward selection on a part of the cases.

    Args:
        table: scores.
        candidates: steps to select from.
        folds: (cases,) fold of each case.
        used: (cases,) whether a case takes part.
        min_gain: smallest gain of a step.
        max_steps: largest number of steps.
    """
    steps: Steps = ()
    while len(steps) < max_steps:
        longer = []
        for step in candidates:
            if step not in steps:
                longer.append((*steps, step))
        table.compute(longer)
        current = table.qualities(steps)
        best = steps
        best_gain = 0.0
        for tried in longer:
            gains = (table.qualities(tried) - current)[used]
            gain = float(gains.mean())
            helps_everywhere = min(_fold_means(gains, folds[used]).values()) > 0
            if helps_everywhere and gain >= min_gain and gain > best_gain:
                best, best_gain = tried, gain
        if best is steps:
            break
        steps = best
    return steps


def _fold_means(gains: np.ndarray, folds: np.ndarray) -> dict[int, float]:
    means = {}
    for fold in np.unique(folds).tolist():
        means[fold] = float(gains[folds == fold].mean())
    return means


def _rounded(gains_by_fold: Mapping[int, float]) -> dict[str, float]:
    """For JSON, whose keys are text."""
    return {str(fold): round(gain, 6) for fold, gain in gains_by_fold.items()}


def _describe_candidate(table: ScoreTable, folds: np.ndarray, step: Step) -> dict[str, Any]:
    gains = _gains(table, (step,))
    by_fold = _rounded(_fold_means(gains, folds))
    return {**step.to_json(), "gain": round(float(gains.mean()), 6), "gain_by_fold": by_fold}


def _because(steps: Steps, gain: float, held_out_gain: float, num_folds: int) -> str:
    if not steps:
        return "No step of the grid helps in every fold."
    if held_out_gain <= 0:
        return f"Not chosen: the best steps gain {gain:.4f}, but {held_out_gain:.4f} on held-out folds."
    return (
        f"Gains {gain:.4f} of quality over {num_folds} folds, positive in each of them, and {held_out_gain:.4f} on "
        "held-out folds."
    )


def _key(steps: Steps) -> str:
    return json.dumps(list(map(Step.to_json, steps)))


def _score_strategies(pair: Pair, strategies: Sequence[Steps], settings: ScoreSettings) -> list[Scored]:
    """The scores of a case after each strategy. Equal label maps are computed and scored once."""
    reference, prediction = read_pair(pair)
    spacing_mm = spacing_of(prediction.affine).tolist()
    arrays: dict[str, np.ndarray] = {_key(()): prediction.array}
    different: list[tuple[np.ndarray, Scored]] = []
    results = []
    for steps in strategies:
        for length in range(1, len(steps) + 1):  # strategies share their first steps
            key = _key(steps[:length])
            if key not in arrays:
                previous = arrays[_key(steps[: length - 1])]
                arrays[key] = apply_strategy(previous, spacing_mm, steps[length - 1 : length])
        array = arrays[_key(steps)]
        scored = _known_score(array, different)
        if scored is None:
            scored = score_arrays(pair.id, array, reference, settings, pair.unlabelled)
            different.append((array, scored))
        results.append(scored)
    return results


def _known_score(array: np.ndarray, known: Sequence[tuple[np.ndarray, Scored]]) -> Scored | None:
    for other, scored in known:
        if other is array or np.array_equal(other, array):
            return scored
    return None


def _volumes_mm3(pair: Pair, labels: Sequence[int]) -> list[float]:
    reference, _ = read_pair(pair)
    voxel_mm3 = math.prod(spacing_of(reference.affine).tolist())
    volumes = []
    for label in labels:
        volumes.append(np.count_nonzero(reference.array == label) * voxel_mm3)
    return volumes
