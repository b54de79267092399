"""Signals that ask a command to end: what it says, how soon it ends, and whether it continues to the same end.

`python -m tests.reliability.signals --output FILE` adds a record for each command and signal to FILE. SIGTERM is what
Slurm, Kubernetes and systemd send, SIGINT what Ctrl-C sends to the command itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mist_bundle.bundle.folder import Bundle
from mist_bundle.trust.audit.run import audit_bundle
from tests.reliability.kills import Bench, processes_with

OPTIONS = (
    *("--folds", "2", "--recipe", "quick", "--epochs", "4", "--steps_per_epoch", "12", "--batch_size", "2"),
    *("--patch_size", "16,16,16"),
)
MOST_SECONDS = 300.0
GO_ON = "Continue with: "
Ready = Callable[[Bench], bool]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A command that is interrupted.

    Attributes:
        name: as the page calls it.
        stage: of `Bench.command`; what is compared is the state after it.
        before: the state that it begins in.
        ready: whether the moment has come.
        how: extra words for the command, or "torchrun" for a plain launch of two processes.
    """

    name: str
    stage: str
    before: str
    ready: Ready
    how: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """What came of it."""

    command: str
    signal: str
    seconds: float
    exit_code: int
    lines: int
    said: str
    left_running: int
    audited: bool
    identical: bool

    @property
    def passed(self) -> bool:
        """Whether it ended as promised and continued to the same end."""
        return self.audited and self.identical and not self.left_running


def _one_epoch_ended(bench: Bench) -> bool:
    if not bench.bundle.is_dir():
        return False
    status = Bundle(bench.bundle).fold(0).status
    return bool(status) and int(status["epoch"]) >= 1


def _one_case_is_prepared(bench: Bench) -> bool:
    return any(Bundle(bench.bundle).work_dir.glob("cache/*/entry.json"))


def _one_case_is_predicted(bench: Bench) -> bool:
    return any((bench.bundle.parent / "predicted").glob("*.nii.gz"))


def _one_case_is_evaluated(bench: Bench) -> bool:
    return any(Bundle(bench.bundle).work_dir.glob("fold_*/predictions/*.nii.gz"))


TORCHRUN = ("torchrun",)
TRIALS = (
    Trial(name="preprocess", stage="preprocess", before="configured", ready=_one_case_is_prepared),
    Trial(name="train", stage="train", before="preprocessed", ready=_one_epoch_ended),
    Trial(
        name="train --processes 2",
        stage="train",
        before="preprocessed",
        ready=_one_epoch_ended,
        how=("--processes", "2"),
    ),
    Trial(
        name="torchrun of two processes, without this package",
        stage="train",
        before="preprocessed",
        ready=_one_epoch_ended,
        how=TORCHRUN,
    ),
    Trial(name="evaluate", stage="evaluate", before="trained", ready=_one_case_is_evaluated),
    Trial(name="predict", stage="predict", before="evaluated", ready=_one_case_is_predicted),
    Trial(name="run_all", stage="run_all", before="nothing", ready=_one_epoch_ended),
)


def words_of(bench: Bench, trial: Trial) -> list[str]:
    """The command line of a trial."""
    if trial.how != TORCHRUN:
        return [sys.executable, "-m", "mist_bundle", *bench.command(trial.stage), *trial.how]
    files = [str(bench.bundle / "configs" / name) for name in ("train.json", "multi_gpu_train.json")]
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
        *("-m", "monai.bundle", "run", "training", "--config_file", json.dumps(files), "--fold", "0"),
    ]


def prepare(bench: Bench, trials: Sequence[Trial]) -> dict[str, dict[str, str]]:
    """The states that trials begin in, and those that undisturbed commands end in, by the trial's name."""
    after: dict[str, dict[str, str]] = {}
    bench.save("configured")
    (bench.folder / "saved/nothing").mkdir()
    for stage, name in (("preprocess", "preprocessed"), ("train", "trained"), ("evaluate", "evaluated")):
        code = bench.run(stage)
        if code:
            raise SystemExit(f"{stage} ended with exit code {code} without being interrupted.")
        after[stage] = bench.state()
        bench.save(name)
    for trial in trials:
        if trial.stage in after and not trial.how:
            after[trial.name] = after[trial.stage]
            continue
        bench.restore(trial.before)
        _finish(bench, words_of(bench, trial))
        after[trial.name] = bench.state()
    return after


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _finish(bench: Bench, words: Sequence[str]) -> None:
    done = subprocess.run(words, env=_environment(), capture_output=True, text=True, check=False, cwd=bench.folder)
    if done.returncode:
        raise SystemExit(f"{shlex.join(words)} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")


def interrupt(bench: Bench, trial: Trial, number: signal.Signals, expected: dict[str, str]) -> Interruption:
    """Interrupt a command when its moment has come, run the command that it names, and compare."""
    bench.restore(trial.before)
    with tempfile.TemporaryFile("w+") as stream:
        process = subprocess.Popen(
            words_of(bench, trial), env=_environment(), stdout=stream, stderr=stream, cwd=bench.folder
        )
        until = time.monotonic() + MOST_SECONDS
        while not trial.ready(bench) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        stream.seek(0, os.SEEK_END)
        told_before = stream.tell()
        process.send_signal(number)
        start = time.monotonic()
        code = process.wait(MOST_SECONDS)
        seconds = time.monotonic() - start
        stream.seek(told_before)
        lines = [line.strip() for line in stream.read().splitlines() if line.strip()]
    time.sleep(2.0)
    left = processes_with(str(bench.bundle))
    (line,) = [line for line in lines if GO_ON in line][-1:] or [lines[-1] if lines else ""]
    audited = not bench.bundle.is_dir() or audit_bundle(bench.bundle).passed
    _finish(bench, _next_command(bench, trial, line))
    return Interruption(
        command=trial.name,
        signal=number.name,
        seconds=round(seconds, 1),
        exit_code=code,
        lines=len(lines),
        said=line.replace(f"{bench.folder}/", ""),
        left_running=len(left),
        audited=audited,
        identical=bench.state() == expected,
    )


def _next_command(bench: Bench, trial: Trial, line: str) -> list[str]:
    """The command that was named, with this interpreter; the same command again where none was."""
    named = line.partition(GO_ON)[2]
    if not named:
        return words_of(bench, trial)
    words = shlex.split(named)
    if words[0] == "mist-bundle":
        return [sys.executable, "-m", "mist_bundle", *words[1:]]
    if words[0] == "torchrun":
        return [sys.executable, "-m", "torch.distributed.run", *words[1:]]
    return [sys.executable, *words[1:]] if words[0] == "python" else words


def main() -> None:
    """Interrupt all commands, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--output", type=Path, required=True)
    words = parser.parse_args()
    trials = [trial for trial in TRIALS if not words.names or trial.name in words.names]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell ignore it
    with tempfile.TemporaryDirectory(prefix="reliability_") as folder:
        bench = Bench(Path(folder), OPTIONS)
        expected = prepare(bench, trials)
        for trial in trials:
            for number in (signal.SIGTERM, signal.SIGINT):
                found = interrupt(bench, trial, number, expected[trial.name])
                with words.output.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"signal": {**asdict(found), "passed": found.passed}}) + "\n")
                sys.stdout.write(f"{'ok  ' if found.passed else 'FAIL'} {found}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
