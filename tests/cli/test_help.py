"""Texts of --help, from the declarations of a verb."""

from __future__ import annotations

from typing import Any

import pytest

from mist_bundle.api.arguments import takes
from mist_bundle.cli.help import help_text, overview
from mist_bundle.planning.options import OPTIONS


@takes({"epochs": OPTIONS["epochs"]}, any_other=True)
def verb(source: str, *, fast: bool = False, shown: bool = True, **options: Any) -> None:
    """Do something.

    With a second paragraph, which is long enough that it has to be wrapped when the terminal is narrow.

    Args:
        source: where to begin.
        fast: hurry.
        shown: show it.
        **options: any id.
    """


def test_usage_paragraphs_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = help_text(verb).splitlines()
    assert lines[0] == "usage: mist-bundle verb SOURCE [OPTIONS]"
    assert lines[2] == "Do something."
    assert max(map(len, lines)) <= 60
    text = "\n".join(lines)
    assert "  --fast                    hurry." in text
    assert "  --[no]shown               show it. [on]" in text
    assert f"  --epochs NUMBER           {OPTIONS['epochs'].about}" in text
    assert "  --KEY VALUE …             any id." in text
    assert lines[-1] == "Arguments may also be named: --source …"


def several(*sources: str, output: str) -> None:
    """Combine.

    Args:
        *sources: what to combine.
        output: where to write it.
    """


def test_an_argument_that_must_be_named_is_shown_so() -> None:
    text = help_text(several)
    assert text.splitlines()[0] == "usage: mist-bundle several SOURCES … --output OUTPUT"
    assert "may also be named" not in text


def test_the_overview_lists_verbs_by_their_purpose() -> None:
    text = overview({"Things": (verb,), "Other things": (verb, verb)})
    assert "  Things        verb" in text
    assert "  Other things  verb, verb" in text
