"""What the machine does to commands: a full disk, too little memory.

`python -m tests.reliability.machine --output FILE` adds a record for each command to FILE. The disk is "full" by a
limit on the size of files (`ulimit -f`), which writing meets in the middle of a file; memory is short by a limit on the
address space (`ulimit -v`). Afterwards the same command runs without it and must end as if nothing had happened.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.trust.audit.run import audit_bundle
from tests.reliability.kills import Bench, prepare

DISK, MEMORY = "a full disk", "too little memory"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A command and what it meets.

    Attributes:
        what: the trouble.
        stage: the command, of `Bench.command`.
        before: the state that it begins in.
        limit: kilobytes of a file, or of the address space.
    """

    what: str
    stage: str
    before: str
    limit: int = 0


TROUBLES = (
    Trouble(what=DISK, stage="autoconfig", before="nothing", limit=8),
    Trouble(what=DISK, stage="preprocess", before="configured", limit=8),
    Trouble(what=DISK, stage="train", before="preprocessed", limit=2000),
    Trouble(what=DISK, stage="publish", before="unpublished", limit=1000),
    Trouble(what=DISK, stage="evaluate", before="both folds", limit=1),
    Trouble(what=DISK, stage="finalize", before="evaluated", limit=1),
    Trouble(what=DISK, stage="predict", before="finalized", limit=1),
    Trouble(what=DISK, stage="report", before="predicted", limit=20),
    Trouble(what=DISK, stage="export", before="reported", limit=500),
    Trouble(what=DISK, stage="bump", before="exported", limit=1),
    Trouble(what=DISK, stage="pack", before="bumped", limit=500),
    Trouble(what=MEMORY, stage="preprocess", before="configured", limit=750_000),
    Trouble(what=MEMORY, stage="train", before="preprocessed", limit=750_000),
    Trouble(what=MEMORY, stage="predict", before="finalized", limit=750_000),
)


def limited(bench: Bench, trouble: Trouble) -> tuple[int, str]:
    """Run a command with a limit; its exit code and the last line that it said."""
    words = [sys.executable, "-m", "mist_bundle", *bench.command(trouble.stage)]
    option = "-v" if trouble.what == MEMORY else "-f"
    command = ["bash", "-c", f'ulimit {option} {trouble.limit}; exec "$@"', "bash", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    traceback = " [traceback]" if "Traceback (most recent call last)" in done.stderr else ""
    return done.returncode, f"{said[-1][:300] if said else ''}{traceback}"


def met(bench: Bench, trouble: Trouble, expected: dict[str, str]) -> dict[str, object]:
    """How a command meets its trouble, and how it continues without."""
    bench.restore(trouble.before)
    code, said = limited(bench, trouble)
    audited = not bench.bundle.is_dir() or audit_bundle(bench.bundle).passed
    bench.go_on(trouble.stage)
    same = bench.state() == expected
    for place in (f"{bench.bundle.parent}/", f"{bench.folder}/", f"{tempfile.gettempdir()}/"):
        said = said.replace(place, "")
    passed = code in (1, 2) and audited and same and "[traceback]" not in said
    return {"trouble": trouble.what, "stage": trouble.stage, "exit_code": code, "said": said, "passed": passed}


def wanted(words: Sequence[str]) -> list[Trouble]:
    """The troubles of the commands that are named; all of them where none is."""
    return [one for one in TROUBLES if not words or one.stage in words or one.what in words]


def main() -> None:
    """Run all of it, or the commands and troubles that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--output", type=Path, required=True)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reliability_") as folder:
        bench = Bench(Path(folder))
        expected = prepare(bench)
        for trouble in wanted(words.names):
            record = met(bench, trouble, expected[trouble.stage])
            with words.output.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
            sys.stdout.write(f"{'ok  ' if record['passed'] else 'FAIL'} {json.dumps(record)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
