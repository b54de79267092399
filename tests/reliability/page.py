"""docs/reliability.md, from the records of `inputs`, `kills`, `signals`, `machine` and `memory`."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
Records = Sequence[dict[str, Any]]

HEAD = """# Reliability

What happens when something is wrong with the data, the options or the machine, and when a command does not end as it
should. `scripts/reliability` runs all of this again and writes this page; the tables below are what it saw, on two CPU
cores without a GPU.

Exit codes are the same for every command: 0 success, 1 some cases failed (each is named, the others continued), 2
the input was refused and nothing was written, 128 + the signal's number after a signal.

"""
INPUTS = """## Broken inputs

Each row counts inputs of one kind: datasets, options, tables, weights and places that were spoilt on purpose, one
thing at a time. An input counts as answered when the exit code is the right one, the message names the file, case or
option and what is wrong with it, there is no traceback, and the answer comes within two minutes. *Refused* (exit code
2) also means that nothing in the folder changed. *Case named* (1) means that the other cases came through. *Warned* (0)
means a line that begins with `warning:` and names the case or key. *Accepted* (0) inputs are odd, but all right.

| kind | inputs | refused | case named | warned | accepted | answered so |
|---|---|---|---|---|---|---|
"""
EXAMPLES = """
An example of each kind:

| kind | what is wrong | command | exit code | what it says |
|---|---|---|---|---|
"""
ALL_INPUTS = """
## Every broken input

| kind | what is wrong | command | answer | exit code |
|---|---|---|---|---|
"""
KILLS = """
## Commands that were killed

A training works in the work folder beside the bundle. The bundle changes in one step at the end of a fold: new files
are written beside their places, the manifest announces them, they are renamed, and the manifest lists them. Whenever
that is interrupted, each file is one that the manifest accepts, so `audit` passes, and the next command finishes it.
Best weights, the last state and the one before belong to each other and to the plan, cases and settings that made them;
a training continues from them with the same settings and ends with the same weights, bit by bit.

Each command below was killed with SIGKILL, which no program can catch, at chosen moments (just before a file is put in
its place) and at random ones. Then the bundle was audited, the same command was run again (a training with `--resume`),
and everything that it leaves was compared byte by byte with a run that was left alone: weights, manifest, card,
prepared arrays, label maps and scores. Six phantoms, two folds.

| command | kills | chosen moments | random moments | continued and ended identical |
|---|---|---|---|---|
"""
SIGNALS = """
## Commands that are asked to end

SIGTERM is what Slurm, Kubernetes and systemd send; SIGINT is Ctrl-C. The command and all processes that it started end,
the state is kept, and the last line names the command that continues. That command was run, and what it leaves was
compared with a run that was left alone.

| command | signal | ends after | exit code | processes left | says | same end |
|---|---|---|---|---|---|---|
"""
AFTER_SIGNALS = """
A training continues after the last epoch that ended: the steps since then are done again, with the same random numbers,
so the end is the same. Where an epoch takes long, more and shorter ones lose less: half the `--steps_per_epoch` and
twice the `--epochs` are the same number of steps. `torchrun` itself ends with its own report and exit code.
"""
MACHINE = """
## A full disk and too little memory

Writing fails in the middle of a file (`ulimit -f`), or the address space is limited (`ulimit -v`). The command ends
with one sentence, the bundle passes its audit, and without the limit the same command ends as if nothing had happened.

| trouble | command | exit code | what it says | continued to the same end |
|---|---|---|---|---|
"""
MEMORY = """
## Memory and time for many cases

Memory is the largest sum over the command and all processes that it starts, pages that processes share counted once
(PSS, sampled ten times a second). The cases are phantoms of about 32 × 32 × 24 voxels, all different, one thread.

| command | cases | seconds | MB |
|---|---|---|---|
"""
COLUMNS = (
    "refused",
    "the case named, the others continue",
    "warned",
    "accepted",
)


def cell(text: object) -> str:
    """Text that can stand in a cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def row(*cells: object) -> str:
    """A row of a table."""
    return f"| {' | '.join(cell(one) for one in cells)} |\n"


def code(text: object) -> str:
    """Text as it is typed, in a cell."""
    return f"`{str(text).replace('`', '')}`" if str(text).strip() else ""


def inputs_part(records: Records) -> str:
    """How broken inputs were answered: a row for each kind, and an example of each."""
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        by_kind[record["kind"]].append(record)
    text = INPUTS
    for kind, some in by_kind.items():
        text += row(kind, len(some), *_counts(some))
    text += row("all", len(records), *_counts(records))
    text += EXAMPLES
    for kind, some in by_kind.items():
        example = max(some, key=_tells)
        said = code(example["message"][:220])
        text += row(kind, example["name"], code(example["verb"]), example["exit_code"], said)
    wrong = [record for record in records if record["wrong"]]
    for record in wrong:
        text += f"\nNot answered so: {record['kind']}, {cell(record['name'])} ({cell(record['wrong'])}).\n"
    return text


def list_part(records: Records) -> str:
    """Every input with its answer, for whoever looks for one."""
    text = ALL_INPUTS
    for record in records:
        text += row(record["kind"], record["name"], code(record["verb"]), record["answer"], record["exit_code"])
    return text


def _counts(records: Records) -> list[int]:
    counts = Counter(record["answer"] for record in records)
    answered = sum(not record["wrong"] for record in records)
    return [*(counts[name] for name in COLUMNS), answered]


def _tells(record: dict[str, Any]) -> tuple[bool, int]:
    """Which message makes a good example: one that is complete and neither short nor long."""
    length = len(record["message"])
    return not record["wrong"], -abs(length - 150) if length else -1000


def kills_part(kills: Records) -> str:
    """The table of kills, a row for each command, and every kill that did not pass."""
    by_stage: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kill in kills:
        by_stage[kill["stage"]].append(kill)
    text = KILLS
    for stage, some in by_stage.items():
        chosen = sum(kill["moment"].startswith("before") for kill in some)
        passed = sum(kill["passed"] for kill in some)
        text += row(stage, len(some), chosen, len(some) - chosen, passed)
    text += row("all", len(kills), "", "", sum(kill["passed"] for kill in kills))
    for kill in kills:
        if not kill["passed"]:
            text += f"\n- Did not pass: {kill['stage']}, {kill['moment']}: {', '.join(kill['differing'])}\n"
    return text


def signals_part(records: Records) -> str:
    """The table of signals."""
    text = SIGNALS
    for record in records:
        same = "yes" if record["identical"] and record["audited"] else "no"
        seconds = f"{record['seconds']} s"
        text += row(
            record["command"],
            record["signal"],
            seconds,
            record["exit_code"],
            record["left_running"],
            code(record["said"]),
            same,
        )
    return text + AFTER_SIGNALS


def machine_part(records: Records) -> str:
    """The table of troubles with the machine."""
    text = MACHINE
    for record in records:
        same = "yes" if record["passed"] else "no"
        text += row(record["trouble"], record["stage"], record["exit_code"], code(record["said"]), same)
    return text


def memory_part(records: Records) -> str:
    """The table of memory and time."""
    text = MEMORY
    for record in sorted(records, key=lambda one: str(one["memory"])):
        text += row(record["memory"], record["cases"], record["seconds"], record["mb"])
    return text


def main() -> None:
    """Write the page from the files of records that are named."""
    records: list[dict[str, Any]] = []
    for name in sys.argv[1:]:
        records += [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]
    parts = (
        (inputs_part, [record["input"] for record in records if "input" in record]),
        (kills_part, [record for record in records if "moment" in record]),
        (signals_part, [record["signal"] for record in records if isinstance(record.get("signal"), dict)]),
        (machine_part, [record for record in records if "trouble" in record]),
        (memory_part, [record for record in records if "memory" in record]),
        (list_part, [record["input"] for record in records if "input" in record]),
    )
    text = HEAD + "".join(write(some) for write, some in parts if some)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
