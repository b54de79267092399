"""Rows and verdicts."""

from __future__ import annotations

from mist_bundle.verify.report import BY_RULE, FAIL, NOT_APPLICABLE, PASS, RUN, Check, Verification, by_rule


def test_a_rule_passes_without_problems() -> None:
    assert by_rule("x", [], "Fine.") == Check(name="x", verdict=PASS, how=BY_RULE, reason="Fine.")
    failed = by_rule("x", ["A is gone.", "B is gone."], "Fine.")
    assert (failed.verdict, failed.reason) == (FAIL, "A is gone. B is gone.")


def test_checks_decide_and_consumers_do_not() -> None:
    skipped = Check(name="s", verdict=NOT_APPLICABLE, how=RUN, reason="r")
    good, bad = by_rule("good", [], "f"), by_rule("bad", ["p"], "f")
    assert Verification(bundle="b", checks=[good, skipped], consumers=[bad]).passed
    result = Verification(bundle="b", checks=[good, bad], consumers=[])
    assert not result.passed
    assert "NOT PASSED: 1 of 2 checks failed" in str(result)
    assert result.to_json()["passed"] is False
    assert [row["name"] for row in result.to_json()["checks"]] == ["good", "bad"]
