"""What the command line says about itself."""

from __future__ import annotations

import inspect
import re

import pytest

import mist_bundle
from mist_bundle import cli
from mist_bundle.api.arguments import arguments_of
from mist_bundle.cli.arguments import sort_words
from mist_bundle.cli.help import EXAMPLES
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK


def test_the_overview_has_every_verb_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == EXIT_INPUT_REFUSED
    text = capsys.readouterr().out
    assert cli.main(["--help"]) == EXIT_OK
    assert capsys.readouterr().out == text
    groups = text.partition("Commands:\n")[2]
    named = re.findall(r"[a-z_]+(?=,|$)", groups, flags=re.MULTILINE)
    assert sorted(named) == sorted(cli.VERBS)
    assert len(text.splitlines()) < 24, "one screen"


def test_a_screen_of_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cli.main(["--help"])
    overview = capsys.readouterr().out.partition("Commands:")[2]
    assert max(map(len, overview.splitlines())) <= 80
    assert len(overview.splitlines()) <= 16


def test_version_and_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == EXIT_OK
    assert capsys.readouterr().out == f"mist-bundle {mist_bundle.__version__}\n"
    assert cli.main(["help", "train"]) == EXIT_OK
    text = capsys.readouterr().out
    cli.main(["train", "--help"])
    assert capsys.readouterr().out == text


def test_what_is_missing_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train"]) == EXIT_INPUT_REFUSED
    errors = capsys.readouterr().err
    assert "BUNDLE: is missing; expected the bundle's folder." in errors
    assert "`mist-bundle help train`" in errors


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_help_of_every_verb(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == EXIT_OK
    text = capsys.readouterr().out
    assert text.startswith(f"usage: mist-bundle {name}")
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
    assert "--overwrite               replace an existing page.\n" in text


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_have_options_that_there_are(name: str) -> None:
    words = EXAMPLES[name].split()
    verb = cli.VERBS[name]
    options, positional, problems = sort_words(arguments_of(verb), words)
    assert not problems
    unnamed = [one for one in arguments_of(verb) if one.required and one.name not in options]
    assert len(positional) == len(unnamed), "the example gives what must be given"
