"""Choose a post-processing by the out-of-fold predictions of a cross-validation, guarded against fitting it to chance.

Steps are added one by one, each time the one of a small grid that raises the weighted quality most. A step is only
taken when it helps in *every* fold and by at least `min_gain` over all cases. The whole choice is then made again
without each fold in turn and measured on the fold that was left out: where that gain is not positive, nothing is
chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.change import quality
from mist_bundle.evaluation.pairs import Pair
from mist_bundle.evaluation.postprocess import spacing
from mist_bundle.evaluation.score import Scored, ScoreSettings, read_pair, score_arrays
from mist_bundle.parallel import map_cases
from mist_bundle.runtime.postprocessing.strategy import Step, apply_strategy

Steps = tuple[Step, ...]
MAX_STEPS = 4
MIN_GAIN = 0.001  # of a quality between 0 and 1: a tenth of a Dice percent
# thresholds that are tried for small objects, as shares of a label's median volume in the references
_SHARES = (0.01, 0.05, 0.2)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """A case, the fold that held it out, and its files."""

    fold: int
    pair: Pair


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What was chosen, and on what grounds.

    Attributes:
        steps: the strategy; empty where nothing helps.
        gain: what it adds to the quality, over all cases.
        gain_by_fold: the same in each fold.
        held_out_gain: the gain on cases that had no say in the choice.
        candidates: every single step that was tried, with its gain over all cases and in each fold.
        because: one sentence for people.
    """

    steps: Steps
    gain: float
    gain_by_fold: Mapping[int, float]
    held_out_gain: float
    candidates: Sequence[Mapping[str, Any]]
    because: str

    def to_json(self) -> dict[str, Any]:
        """What is written into the bundle."""
        return {
            "strategy": [step.to_json() for step in self.steps],
            "because": self.because,
            "gain": round(self.gain, 6),
            "gain_by_fold": {str(fold): round(gain, 6) for fold, gain in self.gain_by_fold.items()},
            "held_out_gain": round(self.held_out_gain, 6),
        }


@dataclass(slots=True)
class ScoreTable:
    """The scores of every case after every strategy that was asked for; each is computed once.

    Attributes:
        held_out: the cases.
        settings: how they are scored.
        weights: of the metrics.
        workers: cases treated at the same time.
    """

    held_out: Sequence[HeldOut]
    settings: ScoreSettings
    weights: Mapping[str, float]
    workers: int | str = 1
    _scores: dict[str, list[Scored]] = field(default_factory=dict)

    def compute(self, strategies: Sequence[Steps]) -> None:
        """Score all cases after these strategies, reading each case once.

        Raises:
            InputError: a case cannot be read or scored: a choice must not rest on the others alone.
        """
        missing = {_key(steps): steps for steps in strategies if _key(steps) not in self._scores}
        if not missing:
            return
        treat = partial(_score_strategies, strategies=tuple(missing.values()), settings=self.settings)
        pairs = [one.pair for one in self.held_out]
        done = map_cases(treat, pairs, name=lambda pair: pair.id, workers=self.workers, description="postprocess")
        if done.problems:
            raise InputError(done.problems)
        for index, key in enumerate(missing):
            self._scores[key] = [scores[index] for scores in done.results]

    def scores(self, steps: Steps) -> list[Scored]:
        """The scores of all cases after a strategy."""
        self.compute([steps])
        return self._scores[_key(steps)]

    def qualities(self, steps: Steps) -> np.ndarray:
        """The weighted quality of all cases after a strategy."""
        return np.array([quality(scored, self.settings, self.weights) for scored in self.scores(steps)])


def default_candidates(pairs: Sequence[Pair], labels: Sequence[int], workers: int | str = 1) -> Steps:
    """The grid: for each label its largest component, small objects by share of its volume, holes; the same for all.

    Raises:
        InputError: a reference cannot be read.
    """
    measured = map_cases(partial(_volumes_mm3, labels=labels), pairs, name=lambda pair: pair.id, workers=workers)
    if measured.problems:
        raise InputError(measured.problems)
    steps = []
    for index, label in enumerate(labels):
        present = [volumes[index] for volumes in measured.results if volumes[index] > 0]
        steps.append(Step(transform="keep_top_k_components", labels=(label,), options={"k": 1}))
        for share in _SHARES if present else ():
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

    Raises:
        InputError: there are fewer than two folds, or a case cannot be scored.
    """
    folds = np.array([one.fold for one in table.held_out])
    numbers = sorted(set(folds.tolist()))
    if len(numbers) < 2:
        raise InputError(Problem("folds", f"{numbers} alone cannot tell chance from effect; train at least two folds."))
    select = partial(_select, table, candidates, min_gain=min_gain, max_steps=max_steps)
    steps = select(folds, np.ones(len(folds), dtype=bool))
    base = table.qualities(())
    held_out = np.zeros(len(folds))
    for fold in numbers if steps else ():
        others = select(folds, folds != fold)
        held_out[folds == fold] = (table.qualities(others) - base)[folds == fold]
    gains = table.qualities(steps) - base
    honest = float(held_out.mean())
    kept = bool(steps) and honest > 0
    return Choice(
        steps=steps if kept else (),
        gain=float(gains.mean()) if kept else 0.0,
        gain_by_fold={fold: float(gains[folds == fold].mean()) if kept else 0.0 for fold in numbers},
        held_out_gain=honest,
        candidates=[_candidate(table.qualities((step,)) - base, folds, step) for step in candidates],
        because=_because(steps, kept=kept, gain=float(gains.mean()), honest=honest, num_folds=len(numbers)),
    )


def _select(
    table: ScoreTable, candidates: Steps, folds: np.ndarray, used: np.ndarray, *, min_gain: float, max_steps: int
) -> Steps:
    """Forward selection on the cases that are used."""
    numbers = sorted(set(folds[used].tolist()))
    steps: Steps = ()
    while len(steps) < max_steps:
        longer = [(*steps, step) for step in candidates if step not in steps]
        table.compute(longer)
        current = table.qualities(steps)
        best, best_gain = steps, 0.0
        for tried in longer:
            gains = table.qualities(tried) - current
            gain = float(gains[used].mean())
            helps = all(gains[used & (folds == fold)].mean() > 0 for fold in numbers)
            if helps and gain >= min_gain and gain > best_gain:
                best, best_gain = tried, gain
        if best is steps:
            break
        steps = best
    return steps


def _candidate(gains: np.ndarray, folds: np.ndarray, step: Step) -> dict[str, Any]:
    by_fold = {str(fold): round(float(gains[folds == fold].mean()), 6) for fold in sorted(set(folds.tolist()))}
    return {**step.to_json(), "gain": round(float(gains.mean()), 6), "gain_by_fold": by_fold}


def _because(steps: Steps, *, kept: bool, gain: float, honest: float, num_folds: int) -> str:
    if not steps:
        return "No step of the grid helps in every fold."
    if not kept:
        return f"The best steps gain {gain:.4f}, but {honest:.4f} on folds that had no say: not chosen."
    return (
        f"Gains {gain:.4f} of quality in {num_folds} folds, each of them positive, and {honest:.4f} on held-out folds."
    )


def _key(steps: Steps) -> str:
    return json.dumps([step.to_json() for step in steps])


def _score_strategies(pair: Pair, strategies: Sequence[Steps], settings: ScoreSettings) -> list[Scored]:
    reference, prediction = read_pair(pair)
    spacing_mm = spacing(prediction)
    made: dict[str, np.ndarray] = {_key(()): prediction.array}
    scored: list[tuple[np.ndarray, Scored]] = []
    results = []
    for steps in strategies:
        for length in range(1, len(steps) + 1):  # strategies share their beginnings
            key = _key(steps[:length])
            if key not in made:
                made[key] = apply_strategy(made[_key(steps[: length - 1])], spacing_mm, steps[length - 1 : length])
        array = made[_key(steps)]
        known = next((value for other, value in scored if other is array or np.array_equal(other, array)), None)
        if known is None:
            known = score_arrays(pair.id, array, reference, settings)
            scored.append((array, known))
        results.append(known)
    return results


def _volumes_mm3(pair: Pair, labels: Sequence[int]) -> list[float]:
    reference, _ = read_pair(pair)
    voxel_mm3 = float(np.prod(spacing(reference)))
    return [float(np.count_nonzero(reference.array == label)) * voxel_mm3 for label in labels]
