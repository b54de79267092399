"""The scores on the page are those of the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mist_bundle.bundle.folder import Bundle
from mist_bundle.report.results_part import read_bundle_results, results_section
from mist_bundle.runtime.metrics.table import write_results
from tests.report.conftest import Made
from tests.report.pages import Page


def _write(folder: Path, name: str, dice: dict[str, float], failed: dict[str, str] | None = None) -> None:
    rows = [{"id": case, "liver_dice": value, "liver_hd95": 10 * value} for case, value in dice.items()]
    write_results(folder / name, rows, failed)


def test_folds_are_read_until_they_are_gathered(tmp_path: Path) -> None:
    assert read_bundle_results(tmp_path, ["liver"]) is None
    _write(tmp_path, "fold_0/results.csv", {"a": 0.1, "b": 0.2})
    _write(tmp_path, "fold_1/results.csv", {"c": 0.3}, {"d": "is cut short"})
    results = read_bundle_results(tmp_path, ["liver"])
    assert results is not None
    assert not results.complete
    assert results.table.ids == ["a", "b", "c"]
    assert results.failed == [("d", "is cut short")]
    _write(tmp_path, "results.csv", {"a": 0.5}, {"e": "is missing"})
    gathered = read_bundle_results(tmp_path, ["liver"])
    assert gathered is not None
    assert gathered.complete
    assert gathered.table.ids == ["a"]
    assert gathered.failed == [("d", "is cut short"), ("e", "is missing")], "no failure of a fold is hidden"


def test_statistics_are_numpys(tmp_path: Path, trained: Made) -> None:
    dice = {str(case): value for case, value in enumerate(np.random.default_rng(0).random(9))}
    _write(tmp_path, "results.csv", dice)
    page = Page(results_section(read_bundle_results(tmp_path, ["liver"]), Bundle(trained.bundle).plan, {"3": 1}, "b"))
    values = np.array(list(dice.values()))
    low, high = np.percentile(values, (25, 75))
    numbers = (values.mean(), values.std(), np.median(values), low, high, values.min())
    assert f"liver {' '.join(f'{number:.3f}' for number in numbers)} 9" in page.text
    distances = 10 * values
    assert f"{distances.max():,.2f} 9" in page.text, "the worst distance is the largest"
    assert f"mean Dice, liver {values.mean():.3f}" in page.text


def test_a_metric_without_any_value_has_dashes(tmp_path: Path, trained: Made) -> None:
    _write(tmp_path, "results.csv", {"a": float("nan"), "b": float("nan")})
    page = Page(results_section(read_bundle_results(tmp_path, ["liver"]), Bundle(trained.bundle).plan, {}, "b"))
    assert "liver – – – – – – 0" in page.text


def test_a_metric_has_the_same_decimals_for_all_classes(tmp_path: Path, trained: Made) -> None:
    distances = {"a": (2.04, 0.98), "b": (1.96, 1.02), "c": (15.5, 0.95)}
    rows = [
        {"id": case, "liver_hd95": liver, "kidney_hd95": kidney, "liver_dice": 0.5}
        for case, (liver, kidney) in distances.items()
    ]
    write_results(tmp_path / "results.csv", rows)
    results = read_bundle_results(tmp_path, ["liver", "kidney"])
    page = Page(results_section(results, Bundle(trained.bundle).plan, {"a": 0}, "b"))
    assert "a 0 2.04 0.98 0.500" in page.text
    assert "c – 15.50 0.95 0.500" in page.text
