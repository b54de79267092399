"""What each channel that may be missing is worth: the scores of the held-out cases without it, beside those with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import ABSENT_CHANNELS_JSON, RESULTS_CSV, write_json
from mist_bundle.pipeline.evaluate import evaluate_folds
from mist_bundle.pipeline.headings import Announce, silent
from mist_bundle.runtime.metrics.table import ID, summarize

_FOLDER = "absent"  # in the work folder


def measure_absent_channels(
    bundle: Path,
    folds: Sequence[int],
    overrides: Mapping[str, Any],
    *,
    trust: bool = False,
    announce: Announce = silent,
) -> dict[str, dict[str, dict[str, float]]]:
    """Evaluate folds once more for each optional channel, without it, and write the differences for the report.

    Args:
        bundle: its folds were evaluated with all channels.
        folds: which.
        overrides: ids of evaluate.json.
        trust: run a bundle that does not pass the audit.
        announce: called with a heading before each channel.

    Returns:
        Channel -> column ("liver_dice") -> "with", "without" and "change", means over the cases that have the channel.

    Raises:
        InputError: the bundle has no optional channel.
    """
    from mist_bundle.evaluation.gather import gather_folds

    opened = Bundle(bundle)
    names = opened.plan.optional_names
    if not names:
        message = 'needs channels that may be missing; name them as "optional_images" in dataset.json and train again.'
        raise InputError(Problem("--each_absent", message))
    complete = gather_folds([opened.fold(number).results for number in folds])
    changes: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        announce(f"Without {name}")
        tables = []
        for number in folds:
            place = opened.work_dir.absolute() / _FOLDER / name / f"fold_{number}"
            settings = {**overrides, "fold_dir": str(place), "absent_channels": [name]}
            evaluate_folds(bundle, [number], settings, trust=trust)
            tables.append(place / RESULTS_CSV)
        lacking = {case.id for case in opened.datalist.training if name in case.missing}
        with_channel = summarize([row for row in complete if row[ID] not in lacking])
        without = summarize([row for row in gather_folds(tables) if row[ID] not in lacking])
        changes[name] = {}
        for column, values in with_channel.items():
            before, after = values["Mean"], without[column]["Mean"]
            changes[name][column] = {"with": before, "without": after, "change": after - before}
    write_json(opened.work_dir / ABSENT_CHANNELS_JSON, {"folds": list(folds), "channels": changes})
    return changes
