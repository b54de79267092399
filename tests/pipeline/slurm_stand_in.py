"""A stand-in for Slurm's sbatch and scontrol: jobs run at once, one after the other, in the process that submits them.

It knows only what the batch files of this project use: array, dependency afterok, a signal to the batch shell, and
requeue. STAND_IN_STATE is a folder of its notes. The first task of a job whose name is in STAND_IN_SIGNAL gets SIGTERM
as soon as the file `started` is there.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path(os.environ["STAND_IN_STATE"])
PATIENCE_SECONDS = 120


def sbatch(words: list[str]) -> int:
    """Run the file that is submitted, and print the job's number."""
    script = Path(words[-1])
    for word in words[:-1]:
        name, _, value = word.partition("=")
        if name == "--dependency" and not (STATE / f"{value.removeprefix('afterok:')}.ok").is_file():
            return 1
    directives = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", script.read_text(), re.MULTILINE))
    number = len(list(STATE.glob("*.job"))) + 1
    (STATE / f"{number}.job").write_text(script.name)
    last = int(directives.get("array", "0-0").partition("-")[2])
    codes = [_task(script, directives, number, index) for index in range(last + 1)]
    if not any(codes):
        (STATE / f"{number}.ok").touch()
    sys.stdout.write(f"{number}\n")
    return 0


def _task(script: Path, directives: dict[str, str], number: int, index: int) -> int:
    identity = f"{number}_{index}"
    environment = {
        **os.environ,
        "SLURM_JOB_ID": identity,
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_CPUS_PER_TASK": "1",
    }
    requeued = STATE / f"requeue_{identity}"
    while True:
        with (STATE / f"{script.stem}_{index}.log").open("ab") as log:
            shell = subprocess.Popen(["bash", str(script)], env=environment, stdout=log, stderr=log)
            if index == 0 and script.stem == os.environ.get("STAND_IN_SIGNAL") and not (STATE / "signalled").exists():
                assert directives["signal"].startswith("B:TERM@")
                _signal(shell)
            code = shell.wait()
        if not requeued.exists():
            return code
        assert "requeue" in directives
        requeued.unlink()


def _signal(shell: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not (STATE / "started").exists() and time.monotonic() < end:
        time.sleep(0.02)
    (STATE / "signalled").touch()
    shell.send_signal(signal.SIGTERM)


def scontrol(words: list[str]) -> int:
    """Note that a task is to run again."""
    assert words[0] == "requeue"
    (STATE / f"requeue_{words[1]}").touch()
    return 0


if __name__ == "__main__":
    sys.exit({"sbatch": sbatch, "scontrol": scontrol}[sys.argv[1]](sys.argv[2:]))
