"""What the command line says about itself."""

from __future__ import annotations

import inspect

import pytest

from mist_bundle import cli
from mist_bundle.cli.arguments import arguments_of, sort_words
from mist_bundle.cli.help import EXAMPLES
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK


def test_the_overview_has_every_verb_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == EXIT_INPUT_REFUSED
    text = capsys.readouterr().out
    assert cli.main(["--help"]) == EXIT_OK
    assert capsys.readouterr().out == text
    # verbs are indented by two spaces; what goes on is indented further, and the two first commands begin with python
    named = [line.split()[0] for line in text.splitlines() if line[:2] == "  " and line[2:3].isalpha()]
    assert sorted(name for name in named if name != "python") == sorted(cli.VERBS)


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_help_of_every_verb(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == EXIT_OK
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m mist_bundle {name}")
    verb = cli.VERBS[name]
    summary = (inspect.getdoc(verb) or "").split("\n\n", 1)[0]
    assert " ".join(summary.split()) in " ".join(text.split())
    rows = [line.split()[0] for line in text.splitlines() if line[:2] == "  " and line[2:3] not in ("", " ")]
    arguments = arguments_of(verb)
    shown = ["KEY" if one.passing is inspect.Parameter.VAR_KEYWORD else one.name.upper() for one in arguments]
    assert sorted(row.removeprefix("--").removeprefix("[no]").upper() for row in rows) == sorted(shown)
    assert max(map(len, text.splitlines())) <= 110 or name in EXAMPLES


def test_switches_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["report", "--help"])
    text = capsys.readouterr().out
    assert "--[no]viewer" in text
    assert "--viewer_cases NUMBER     how many cases the viewer holds. [3]" in text
    assert "--overwrite               replace a page that is there already.\n" in text


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_have_options_that_there_are(name: str) -> None:
    words = EXAMPLES[name].split()
    verb = cli.VERBS[name]
    options, positional, problems = sort_words(arguments_of(verb), words)
    assert not problems
    unnamed = [one for one in arguments_of(verb) if one.required and one.name not in options]
    assert len(positional) == len(unnamed), "the example gives what must be given"
