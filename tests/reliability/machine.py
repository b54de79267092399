"""A full disk at each stage, and a training whose last state is damaged: one sentence, nothing lost, and on it goes.

The disk is "full" by a limit on the size of files (`ulimit -f`), which writing meets in the middle of a file.
`python -m tests.reliability.machine --output FILE` adds a record for each stage to FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mist_bundle.files import work_dir_of
from mist_bundle.trust.audit.run import audit_bundle
from tests.reliability.kills import Bench, prepare

# stage -> the state that it begins in, kilobytes that a file may have
LIMITS = {
    "preprocess": ("configured", 8),
    "train": ("preprocessed", 2000),
    "publish": ("unpublished", 1000),
    "evaluate": ("both folds", 1),
    "finalize": ("evaluated", 1),
}


def limited(bench: Bench, stage: str, kilobytes: int) -> tuple[int, str]:
    """Run a stage with a limit on the size of files; its exit code and the last line that it said."""
    words = [sys.executable, "-m", "mist_bundle", *bench.command(stage)]
    command = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return done.returncode, f"{said[-1][:300] if said else ''}{' [traceback]' if 'Traceback' in done.stderr else ''}"


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reliability_") as folder:
        bench = Bench(Path(folder))
        expected = prepare(bench)
        for stage, (before, kilobytes) in LIMITS.items():
            bench.restore(before)
            code, said = limited(bench, stage, kilobytes)
            audited = audit_bundle(bench.bundle).passed
            again = bench.run(stage)
            record = {
                "stage": f"{stage}, disk full",
                "exit_code": code,
                "said": said.replace(str(work_dir_of(bench.bundle)), "WORK").replace(str(bench.bundle), "BUNDLE"),
                "passed": code in (1, 2) and audited and again == 0 and bench.state() == expected[stage],
            }
            with words.output.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
            sys.stdout.write(f"{'ok  ' if record['passed'] else 'FAIL'} {json.dumps(record)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
