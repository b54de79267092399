"""Verbs that set several models side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK
from mist_bundle.runtime.metrics.table import write_results


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    """Two tables of three cases; the second is better everywhere."""
    paths = []
    for name, offset in (("low", 0.0), ("high", 0.1)):
        rows = [{"id": f"case_{number}", "organ_dice": 0.5 + offset + 0.1 * number} for number in range(3)]
        write_results(tmp_path / f"{name}.csv", rows)
        paths.append(str(tmp_path / f"{name}.csv"))
    return paths


def test_compare_prints_a_line_for_each_column(
    tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", *tables, "--output", str(tmp_path / "out"), "--resamples", "100"]
    assert cli.main(words) == EXIT_OK
    printed = capsys.readouterr()
    assert "high - low, 3 cases:" in printed.out
    assert "organ_dice  0.6000 -> 0.7000  +0.1000 [+0.1000, +0.1000]  3 better, 0 worse" in printed.out
    assert "warning: folds: were not compared" in printed.err
    assert cli.main(words) == EXIT_INPUT_REFUSED, "the folder is there"


def test_rank_prints_the_standings(tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["rank", *tables, "--output", str(tmp_path / "out"), "--resamples", "100", "--names", "a,b"]
    assert cli.main(words) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["1.", "b", "1.0000"]
    assert lines[2].split()[:3] == ["2.", "a", "2.0000"]
    assert lines[3].startswith("b before a: by 1.0000, better in 3 and worse in 0 of 3 cases")
