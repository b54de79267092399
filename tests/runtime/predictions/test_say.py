"""Lines go to stderr at once, above a progress bar, and nothing goes to stdout."""

from __future__ import annotations

import sys

import pytest
from tqdm import tqdm

from mist_bundle.runtime.predictions.say import say


def test_a_line_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("warning: case 7: odd")
    assert capsys.readouterr() == ("", "warning: case 7: odd\n")


def test_without_tqdm_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    say("one line")
    assert capsys.readouterr().err == "one line\n"


def test_a_bar_is_drawn_again_below_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    with tqdm(total=2, file=sys.stderr, ascii=True, mininterval=0) as bar:
        bar.update()
        say("between")
        shown = capsys.readouterr().err
    assert "between\n" in shown
    assert "50%" in shown.split("between\n")[1]
