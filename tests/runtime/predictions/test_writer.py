"""Files are written in the background, one case at a time."""

from __future__ import annotations

import threading

from mist_bundle.runtime.predictions.writer import CaseWriter


def test_the_next_case_waits_until_the_one_before_is_written() -> None:
    writer, written, gate = CaseWriter(), [], threading.Event()

    def slow() -> None:
        gate.wait(10)
        written.append("a")

    writer.put("a", slow)
    writer.put("a", lambda: written.append("a, its label map"))
    assert written == [], "whoever hands in a file does not wait for it"
    threading.Timer(0.05, gate.set).start()
    writer.put("b", lambda: written.append("b"))
    assert written[:2] == ["a", "a, its label map"]
    writer.settle()
    assert written == ["a", "a, its label map", "b"]
    writer.stop()


def test_after_a_failure_the_rest_of_the_case_is_left_out() -> None:
    writer, written = CaseWriter(), []

    def fail() -> None:
        raise ValueError("no")

    writer.put("a", fail)
    writer.put("a", lambda: written.append("a"))
    writer.put("b", lambda: written.append("b"))
    writer.settle()
    assert written == ["b"]
    assert {case: str(error) for case, error in writer.take_errors().items()} == {"a": "no"}
    assert writer.take_errors() == {}
    writer.put("a", lambda: written.append("a again"))
    writer.stop()


def test_stopping_finishes_the_file_in_hand() -> None:
    writer, written, begun = CaseWriter(), [], threading.Event()

    def slow() -> None:
        begun.set()
        threading.Event().wait(0.05)
        written.append("in hand")

    writer.put("a", slow)
    writer.put("a", lambda: written.append("waiting"))
    begun.wait(10)
    writer.stop()
    assert written == ["in hand"]
