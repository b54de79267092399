"""What is chosen from out-of-fold predictions, and what the guard against chance refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mist_bundle.errors import InputError
from mist_bundle.evaluation.choose_postprocessing import HeldOut, ScoreTable, choose, default_candidates
from mist_bundle.evaluation.pairs import Pair
from mist_bundle.evaluation.score import ScoreSettings
from mist_bundle.runtime.postprocessing.strategy import Step

from .samples import save_label

SETTINGS = ScoreSettings(final_classes={"a": (1,), "b": (2,)}, metrics=("dice", "hd95"))
WEIGHTS = {"dice": 1.0, "hd95": 1.0}
REMOVE_A = Step(transform="remove_small_objects", labels=(1,), options={"min_size": 20})
REMOVE_B = Step(transform="remove_small_objects", labels=(2,), options={"min_size": 20})


def _organs() -> np.ndarray:
    label = np.zeros((30, 24, 20))
    label[3:12, 3:12, 3:12] = 1
    label[16:24, 3:11, 3:11] = 2
    return label


def _island(label: np.ndarray, value: int, size: int = 2, place: int = 15) -> np.ndarray:
    made = label.copy()
    made[26 : 26 + size, place : place + size, 15 : 15 + size] = value
    return made


def _table(folder: Path, cases: list[tuple[int, np.ndarray, np.ndarray]]) -> ScoreTable:
    held_out = []
    for index, (fold, reference, prediction) in enumerate(cases):
        files = [
            save_label(folder / role / f"{index:03d}.nii.gz", label)
            for role, label in (("reference", reference), ("prediction", prediction))
        ]
        held_out.append(HeldOut(fold=fold, pair=Pair(id=f"{index:03d}", reference=files[0], prediction=files[1])))
    return ScoreTable(held_out=held_out, settings=SETTINGS, weights=WEIGHTS)


def test_step_that_helps_in_every_fold_is_chosen(tmp_path: Path) -> None:
    organs = _organs()
    table = _table(tmp_path, [(fold, organs, _island(organs, 1)) for fold in (0, 0, 1, 1, 2)])
    choice = choose(table, (REMOVE_B, REMOVE_A))
    assert choice.steps == (REMOVE_A,)
    assert choice.gain == pytest.approx(choice.held_out_gain)
    assert set(choice.gain_by_fold) == {0, 1, 2}
    assert all(gain > 0 for gain in choice.gain_by_fold.values())
    # the gain is that of the change's rule: both metrics of both classes, of which one is mended
    dice = 2 * 729 / (2 * 729 + 8)
    hd95 = table.scores(())[0].scores["a_hd95"] / np.linalg.norm([30, 24, 20])
    assert choice.gain == pytest.approx(((1 - dice) / 2 + hd95 / 2) / 2)
    by_step = {one["apply_to_labels"][0]: one["gain"] for one in choice.candidates}
    assert by_step[2] == 0
    assert by_step[1] > 0


def test_steps_are_combined_while_they_help(tmp_path: Path) -> None:
    organs = _organs()
    predicted = _island(_island(organs, 1), 2, place=20)
    table = _table(tmp_path, [(fold, organs, predicted) for fold in (0, 1, 2)])
    steps = choose(table, (REMOVE_A, REMOVE_B)).steps
    assert sorted(step.labels for step in steps) == [(1,), (2,)]
    assert len(choose(table, (REMOVE_A, REMOVE_B), max_steps=1).steps) == 1


def test_step_that_harms_one_fold_is_not_chosen_however_much_it_helps_on_average(tmp_path: Path) -> None:
    organs, with_island = _organs(), _island(_organs(), 1)
    # in fold 2 the small object is real
    cases = [(0, organs, with_island)] * 4 + [(1, organs, with_island)] * 4 + [(2, with_island, with_island)]
    table = _table(tmp_path, cases)
    choice = choose(table, (REMOVE_A,))
    assert choice.candidates[0]["gain"] > 0.001
    assert choice.steps == ()
    assert choice.because == "No step of the grid helps in every fold."
    assert choice.gain == 0


def test_choice_that_does_not_hold_on_the_fold_left_out_is_not_made(tmp_path: Path) -> None:
    # Removing small parts of label 2 helps a little everywhere. Of label 1 it helps much in folds 1 and 2, and harms
    # fold 0 even more: whoever had not seen fold 0 would have taken it.
    organs = _organs()
    small = _island(organs, 2, size=1, place=20)
    real = _island(organs, 1)
    both = _island(small, 1)
    cases = [(0, real, _island(small, 1))] + [(fold, organs, both) for fold in (1, 2)]
    choice = choose(_table(tmp_path, cases), (REMOVE_A, REMOVE_B), min_gain=1e-4)
    assert choice.steps == ()
    assert choice.held_out_gain < 0
    assert "Not chosen: the best steps gain" in choice.because


def test_gain_below_the_threshold_is_not_chosen(tmp_path: Path) -> None:
    organs = _organs()
    table = _table(tmp_path, [(fold, organs, _island(organs, 1)) for fold in (0, 1)])
    gain = choose(table, (REMOVE_A,)).gain
    assert choose(table, (REMOVE_A,), min_gain=gain - 1e-9).steps == (REMOVE_A,)
    assert choose(table, (REMOVE_A,), min_gain=gain + 1e-9).steps == ()


def test_one_fold_alone_is_refused(tmp_path: Path) -> None:
    organs = _organs()
    with pytest.raises(InputError, match="cannot tell chance from effect"):
        choose(_table(tmp_path, [(0, organs, organs)] * 2), (REMOVE_A,))


def test_case_that_cannot_be_scored_stops_the_choice(tmp_path: Path) -> None:
    organs = _organs()
    table = _table(tmp_path, [(fold, organs, organs) for fold in (0, 1)])
    table.held_out[1].pair.prediction.write_bytes(b"")
    with pytest.raises(InputError, match="001: "):
        choose(table, (REMOVE_A,))


def test_default_grid_is_made_from_the_references(tmp_path: Path) -> None:
    organs = _organs()
    table = _table(tmp_path, [(0, organs, organs), (1, np.where(organs == 2, 0, organs), organs)])
    pairs = [one.pair for one in table.held_out]
    grid = default_candidates(pairs, (1, 2, 3))
    small = {(step.labels[0], step.options["min_size"]) for step in grid if step.transform == "remove_small_objects"}
    # shares of the median volume of the cases that have the label: 729 and 512 mm³; label 3 is nowhere
    assert small == {(1, 7.3), (1, 36.0), (1, 150.0), (2, 5.1), (2, 26.0), (2, 100.0)}
    assert {step.labels for step in grid if step.transform == "keep_top_k_components"} == {(1,), (2,), (3,), ()}
    assert {step.per_label for step in grid if not step.labels} == {False}
    assert len(set(map(repr, grid))) == len(grid)
