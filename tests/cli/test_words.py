"""How warnings, failures and headings are printed."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle.api.warn import CaseLeftOut, warn
from mist_bundle.cli.words import fail_for, heading, nearby, next_command, print_bundle, printed_warnings
from mist_bundle.errors import CaseFailure, Problem


def test_warnings_are_printed_and_cases_collected(capsys: pytest.CaptureFixture[str]) -> None:
    with printed_warnings() as left_out:
        warn([Problem("case_1", "is odd."), Problem("case_1", "is odd.")])
        warn([Problem("case_2", "is damaged.")], CaseLeftOut)
    assert capsys.readouterr().err == "warning: case_1: is odd.\nwarning: case_1: is odd.\n"
    assert left_out == [Problem("case_2", "is damaged.")]


def test_other_warnings_stay_what_they_are() -> None:
    with pytest.warns(DeprecationWarning, match="old"), printed_warnings():
        warnings.warn("old", DeprecationWarning, stacklevel=1)


def test_failures_end_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    fail_for([], 3, "left out")
    with pytest.raises(CaseFailure, match="case_2: is damaged"):
        fail_for([Problem("case_2", "is damaged.")], 3, "left out")
    assert capsys.readouterr().err == "1 of 3 cases was left out.\n"


def test_a_case_with_several_problems_is_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("case_2", "is damaged."), Problem("case_2", "is too long."), Problem("case_2", "is blue.")]
    with pytest.raises(CaseFailure, match=r"^1 of 2 cases failed:"):
        fail_for(problems, 2, "left out")
    assert capsys.readouterr().err == "1 of 2 cases was left out.\n"


def test_a_new_bundle_and_its_command(fresh_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = mb.Bundle(fresh_bundle)
    print_bundle(bundle)
    printed = capsys.readouterr().out
    assert printed == f"\nBundle of 6 cases (mr2_001, mr2_002 … mr2_006): {fresh_bundle}\n"
    assert next_command(bundle, "train", "--fold", "all") == f"mist-bundle train {fresh_bundle} --fold all"


def test_paths_are_shown_as_seen_from_here(fresh_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fresh_bundle.parent)
    assert next_command(mb.Bundle(fresh_bundle), "evaluate") == f"mist-bundle evaluate {fresh_bundle.name}"
    assert nearby(fresh_bundle / "models") == Path(fresh_bundle.name, "models")
    assert nearby(tmp_path) == tmp_path
    assert nearby(Path("none")) == Path("none")


def test_the_next_command_finds_the_data_and_runs_as_this_one_did(fresh_bundle: Path, tmp_path: Path) -> None:
    like = {"dataset_dir": str(tmp_path / "my cases"), "trust": True, "epochs": 3}
    command = next_command(mb.Bundle(fresh_bundle), "evaluate", like=like)
    assert shlex.split(command)[3:] == ["--dataset_dir", str(tmp_path / "my cases"), "--trust"]


def test_headings_stand_alone_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    heading("Training fold 0 (1 of 2)")
    assert capsys.readouterr().out == "Training fold 0 (1 of 2)\n"
