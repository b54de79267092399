"""The section about confidence: whether probabilities keep what they promise, and which cases a person should see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.files import CALIBRATION_JSON, read_json
from mist_bundle.planning.plan import Plan
from mist_bundle.report import charts
from mist_bundle.report.charts import Series
from mist_bundle.report.colours import chart_colour
from mist_bundle.report.html import Html, facts, hint, section, table

_TITLE = "Confidence"
_MOST_CASES = 10


def confidence_section(work_dir: Path, plan: Plan, bundle_name: str) -> Html:
    """Reliability before and after the calibration, and expected Dice; before the calibration the commands for it."""
    account = work_dir / CALIBRATION_JSON
    if not account.is_file():
        command = f"mist-bundle evaluate {bundle_name} --save_probabilities true && mist-bundle calibrate {bundle_name}"
        return section("confidence", _TITLE, hint("Probabilities have not been calibrated yet.", command))
    content = read_json(account)
    return section(
        "confidence",
        _TITLE,
        facts(
            [
                ("temperature", f"{content['temperature']:.3f}"),
                ("expected calibration error before", f"{content['calibration_error_before']:.4f}"),
                ("after", f"{content['calibration_error_after']:.4f}"),
                ("held-out cases", content["num_cases"]),
            ]
        ),
        charts.grid([_reliability(content["reliability"])]),
        _classes(content, plan.foreground_names),
        _cases(content),
        lead="Of all voxels that the network is 80 % sure of, 80 % should be right. The temperature for that "
        "is fitted on held-out cases; the errors are those of each fold with the temperature of the others. With "
        "calibrated probabilities, a prediction can estimate its own Dice.",
    )


def _reliability(tables: Mapping[str, Sequence[Sequence[float]]]) -> Html:
    lines = [Series(name="perfect", points=[(0.0, 0.0), (1.0, 1.0)], colour=chart_colour(7), style=2)]
    for number, (key, name) in enumerate((("before", "as predicted"), ("after", "calibrated"))):
        points = [(confidence, accuracy) for confidence, accuracy, _ in tables[key]]
        lines.append(Series(name=name, points=points, colour=chart_colour(number), style=number))
    return charts.line_chart("Reliability", "confidence", "share of voxels that are right", lines, from_zero=True)


def _classes(content: Mapping[str, Any], names: Sequence[str]) -> Html:
    rows = []
    for name in names:
        error = content["expected_dice_error"].get(name)
        rows.append([name, error, content["review_below"].get(name)])
    head = ["class", "error of the expected Dice", "look at predictions below"]
    return table(head, rows, caption="Expected Dice against the true Dice of held-out cases")


def _cases(content: Mapping[str, Any]) -> Html:
    """The cases that expect least of themselves, by the mean over their classes."""
    rows: list[tuple[float, list[object]]] = []
    for case in content["cases"]:
        if not case["expected"]:
            continue
        expected = sum(case["expected"].values()) / len(case["expected"])
        true = sum(case["true"].values()) / len(case["true"]) if case["true"] else None
        rows.append((expected, [case["id"], f"fold {case['fold']}", expected, true]))
    rows.sort(key=lambda row: row[0])
    shown = [cells for _, cells in rows[:_MOST_CASES]]
    return table(["case", "fold", "expected Dice", "true Dice"], shown, caption="Cases with the lowest expected Dice")
