"""Which cases are shown, and what stands above their pictures."""

from __future__ import annotations

from mist_bundle.bundle.folder import Bundle
from mist_bundle.report.cases_part import cases_section, extreme_cases
from mist_bundle.report.results_part import read_bundle_results
from mist_bundle.report.score_table import ScoreTable
from mist_bundle.report.sources import files_of_bundle
from tests.report.conftest import Made
from tests.report.pages import Page


def test_worst_median_and_best_cases() -> None:
    rows = [{"id": f"c{n}", "a_dice": n / 10, "a_hd95": 1.0} for n in (3, 9, 1, 5, 7, 8)]
    rows.append({"id": "none", "a_dice": float("nan"), "a_hd95": 0.0})
    groups = extreme_cases(ScoreTable(rows, ["a"]), 2)
    assert groups == {"Worst": ["c1", "c3"], "Median": ["c5", "c7"], "Best": ["c9", "c8"]}
    assert extreme_cases(ScoreTable(rows[:2], ["a"]), 2) == {"Worst": ["c3"], "Best": ["c9"]}
    distances = ScoreTable([{"id": f"c{n}", "a_hd95": float(n)} for n in range(3)], ["a"])
    assert extreme_cases(distances, 1) == {"Worst": ["c2"], "Median": ["c1"], "Best": ["c0"]}


def test_captions_hold_the_scores_of_the_case(trained: Made) -> None:
    bundle = Bundle(trained.bundle)
    results = read_bundle_results(bundle.work_dir, bundle.plan.final_classes)
    assert results is not None
    page = Page(cases_section(results, files_of_bundle(bundle), bundle.plan, 1, "b"))
    assert len(page.all("figure")) == 3
    for ids in extreme_cases(results.table, 1).values():
        dice = results.table.scores.loc[ids[0], ("kidney", "dice")]
        assert f"kidney: Dice {dice:.3f}" in page.text
    assert "held out in fold" in page.text


def test_a_case_without_files_has_no_picture(trained: Made) -> None:
    bundle = Bundle(trained.bundle)
    results = read_bundle_results(bundle.work_dir, bundle.plan.final_classes)
    page = Page(cases_section(results, [], bundle.plan, 1, "b"))
    assert page.all("figure") == []
    assert "Not evaluated yet. Run: mist-bundle evaluate b" in Page(cases_section(None, [], bundle.plan, 1, "b")).text
