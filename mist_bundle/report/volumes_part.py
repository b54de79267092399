"""The section about volumes: reference against prediction for every class."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mist_bundle.dataset.integrity import count_labels
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import Problem
from mist_bundle.parallel import map_cases
from mist_bundle.planning.plan import Plan
from mist_bundle.report import charts
from mist_bundle.report.charts import Series
from mist_bundle.report.colours import chart_colour, colours_of_plan
from mist_bundle.report.html import Html, section, table
from mist_bundle.report.results_part import not_evaluated
from mist_bundle.report.sources import CaseFiles
from mist_bundle.runtime.numerics.grid import spacing_of

_HEAD = ["class", "reference, ml", "prediction, ml", "difference, ml", "from", "to", "correlation"]
_LIMITS_OF_AGREEMENT = 1.96  # standard deviations, for 95 % of the differences
_DECIMALS = 9  # of millilitres: smaller differences are rounding errors


def volumes_section(
    report: Mapping[str, Any] | None,
    files: Sequence[CaseFiles],
    plan: Plan,
    bundle_name: str,
    workers: int | str | None = None,
) -> tuple[Html, list[Problem]]:
    """Reference against predicted volume of every class, and a Problem for each prediction that cannot be read.

    Args:
        report: the data report with the volumes of the references, if any.
        files: of the cases.
        plan: of the bundle.
        bundle_name: for commands.
        workers: number of predictions read in parallel.
    """
    predicted = [case for case in files if case.prediction is not None]
    if not predicted or report is None:
        return section("volumes", "Volumes", not_evaluated(bundle_name)), []
    measure = functools.partial(predicted_volumes, final_classes=plan.final_classes)
    done = map_cases(measure, predicted, name=lambda case: case.id, workers=workers, description="volumes")
    prediction = pd.DataFrame.from_dict(dict(done.results), orient="index")
    reference = reference_volumes(report, plan.final_classes)
    cases = reference.index.intersection(prediction.index)
    colours = colours_of_plan(plan)
    plots = []
    rows = []
    for name in plan.final_classes if len(cases) else ():
        pairs = pd.DataFrame({"reference": reference.loc[cases, name], "prediction": prediction.loc[cases, name]})
        number = colours[name]
        points = list(pairs.itertuples(index=False, name=None))
        series = [Series(name=name, points=points, colour=chart_colour(number), style=number)]
        plots.append(charts.scatter(name, "reference, ml", "prediction, ml", series, identity=True))
        rows.append([name, *_agreement(pairs)])
    caption = (
        "Means over cases. 95 % of the differences are expected between “from” and “to” (limits of agreement: mean "
        "± 1.96 standard deviations)."
    )
    content = section(
        "volumes",
        "Volumes",
        charts.grid(plots),
        table(_HEAD, rows, caption=caption),
        lead="Every dot is a case. On the dashed line both volumes are equal.",
    )
    return content, done.problems


def reference_volumes(report: Mapping[str, Any], final_classes: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """The volume of each class (columns) in the reference of each case (rows), in ml."""
    structure_of = {}
    for name, stats in report["structures"].items():
        if len(stats["labels"]) == 1:
            structure_of[stats["labels"][0]] = name
    volumes = {}
    for case in report["cases"]:
        row = dict.fromkeys(final_classes, 0.0)
        for name, labels in final_classes.items():
            for label in labels:
                if label != 0:
                    row[name] += case["structures"][structure_of[label]]["volume_ml"]
        volumes[case["id"]] = row
    return pd.DataFrame.from_dict(volumes, orient="index")


def predicted_volumes(case: CaseFiles, final_classes: Mapping[str, Sequence[int]]) -> tuple[str, dict[str, float]]:
    """Id of a case, and the volume of each class in its prediction in ml.

    Raises:
        InputError: the prediction cannot be read.
        ValueError: there is no prediction.
    """
    if case.prediction is None:
        msg = f"{case.id} has no prediction."
        raise ValueError(msg)
    volume = read_volume(case.prediction)
    counts = count_labels(volume.array)
    voxel_ml = math.prod(spacing_of(volume.affine).tolist()) / 1000
    volumes = {}
    for name, labels in final_classes.items():
        voxels = sum(counts.get(label, 0) for label in labels if label != 0)
        volumes[name] = voxels * voxel_ml
    return case.id, volumes


def _agreement(pairs: pd.DataFrame) -> list[float]:
    """Mean reference, prediction and difference, limits of agreement, and correlation."""
    reference = pairs["reference"]
    prediction = pairs["prediction"]
    difference = prediction - reference
    mean = round(float(difference.mean()), _DECIMALS)
    spread = 0.0
    if len(pairs) > 1:
        spread = round(_LIMITS_OF_AGREEMENT * float(difference.std()), _DECIMALS)
    correlation = math.nan
    if len(pairs) > 2 and np.ptp(reference) > 0 and np.ptp(prediction) > 0:
        correlation = float(reference.corr(prediction))
    return [float(reference.mean()), float(prediction.mean()), mean, mean - spread, mean + spread, correlation]
