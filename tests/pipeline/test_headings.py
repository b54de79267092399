"""Headings of folds: how far a run is, and how long the rest may take."""

from __future__ import annotations

from mist_bundle.pipeline.headings import fold_headings


def test_the_rest_is_judged_by_what_was_done() -> None:
    seconds = iter([0.0, 60.0, 240.0, 30_000.0])
    assert list(fold_headings("Training", [0, 1, 3, 4], clock=lambda: next(seconds))) == [
        "Training fold 0 (1 of 4)",
        "Training fold 1 (2 of 4), about 3 min left for all folds",
        "Training fold 3 (3 of 4), about 4 min left for all folds",
        "Training fold 4 (4 of 4), about 2.8 h left for all folds",
    ]
