"""Reports: gravest first, each finding once, and nothing that could forge a line on a terminal."""

from __future__ import annotations

import pytest

from mist_bundle.trust.audit.finding import Report, finding, printable, shown
from mist_bundle.trust.audit.finding import sort_findings as ordered
from mist_bundle.trust.audit.rules import DANGER, NOTE, UNPROVEN


def test_gravest_first_and_each_once() -> None:
    note = finding("manifest-missing", "b", "", "x")
    danger = finding("pickle", "z", "", "x")
    unproven = finding("url", "a", "", "x")
    assert ordered([note, danger, unproven, danger]) == (danger, unproven, note)
    assert [one.severity for one in ordered([note, danger, unproven])] == [DANGER, UNPROVEN, NOTE]


def test_only_notes_pass() -> None:
    note, url = finding("manifest-missing", "b", "", "x"), finding("url", "a", "", "x")
    assert Report(bundle="b", findings=(), checked={}).passed
    assert Report(bundle="b", findings=(note,), checked={}).passed
    report = Report(bundle="b", findings=(note, url), checked={"files": 3})
    assert not report.passed
    assert report.to_json()["count"] == {"danger": 0, "unproven": 1, "note": 1}
    assert "NOT PASSED: b (0 danger, 1 unproven, 1 note; looked at 3 files)" in str(report)


@pytest.mark.parametrize("text", ["a\nPASSED", "\x1b[2J", "\u202etxt.exe", "\x00", "\u2028"])
def test_nothing_moves_the_cursor(text: str) -> None:
    for written in (printable(text), shown(text), str(finding("url", text, text, shown(text)))):
        assert written.isprintable()


def test_long_values_are_cut() -> None:
    assert shown("x" * 500) == f"'{'x' * 119}… (502 characters)"
    assert len(shown(list(range(1000)))) < 160


def test_a_single_thing_is_counted_in_the_singular() -> None:
    checked = {"hashes": 1, "logging files": 1, "macros": 2, "targets": 0}
    text = str(Report(bundle="b", findings=(), checked=checked, signed_by=""))
    assert "1 hash, 1 logging file, 2 macros, 0 targets" in text
