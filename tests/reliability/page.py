"""docs/reliability.md, made of the records of `kills` and `machine`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
HEAD = """# Reliability

What happens when a command does not end as it should: it is killed, or the machine fails under it.
`scripts/reliability` runs all of this again and writes this page.

A training works in the work folder beside the bundle. The bundle changes in one step at the end of a fold: new files
are written beside their places, the manifest announces them, they are renamed, and the manifest lists them. Whenever
that is interrupted, each file is one that the manifest accepts, so `audit` passes, and the next command finishes it.
Best weights, the last state and the one before belong to each other and to the plan, cases and settings that made them;
a training goes on from them with the same settings and ends with the same weights, bit by bit.

## Commands that were killed

Each command below was killed with SIGKILL, which no program can catch, at moments that were chosen (just before a file
is put in its place) and at random ones. Then the bundle was audited, the same command was run again (a training with
`--resume`), and everything that it leaves was compared byte by byte with a run that was left alone: weights, manifest,
card, prepared arrays, label maps and scores. Six phantoms, two folds, one CPU thread.

"""


KILLS_TABLE = """| command | kills | chosen moments | random moments | went on and ended identical |
|---|---|---|---|---|
"""
DISK = """
## A full disk

Writing fails in the middle of a file (`ulimit -f`). The command ends with one sentence, the bundle passes its audit,
and with room on the disk the same command ends as if nothing had happened.

| command | exit code | what it says | went on to the same end |
|---|---|---|---|
"""


def killed_part(kills: list[dict[str, Any]]) -> str:
    """The table of kills, a row for each command, and every kill that did not pass."""
    by_stage: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kill in kills:
        by_stage[kill["stage"]].append(kill)
    text = KILLS_TABLE
    for stage, some in by_stage.items():
        chosen = sum(kill["moment"].startswith("before") for kill in some)
        passed = sum(kill["passed"] for kill in some)
        text += f"| {stage} | {len(some)} | {chosen} | {len(some) - chosen} | {passed} |\n"
    text += f"| all | {len(kills)} | | | {sum(kill['passed'] for kill in kills)} |\n"
    for kill in kills:
        if not kill["passed"]:
            text += f"\n- Did not pass: {kill['stage']}, {kill['moment']}: {', '.join(kill['differing'])}\n"
    return text


def disk_part(records: list[dict[str, Any]]) -> str:
    """The table of full disks."""
    text = DISK
    for record in records:
        stage, said = record["stage"].partition(",")[0], record["said"].replace("|", " ")
        text += f"| {stage} | {record['exit_code']} | {said} | {'yes' if record['passed'] else 'no'} |\n"
    return text


def main() -> None:
    """Write the page from the files of records that are named."""
    records: list[dict[str, Any]] = []
    for name in sys.argv[1:]:
        records += [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]
    text = HEAD + killed_part([record for record in records if "moment" in record])
    machine = [record for record in records if "said" in record]
    PAGE.write_text(text + (disk_part(machine) if machine else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
