"""What a broken input is, which answers there are, and whether a command gives the expected one.

Commands run in this process, through the same `main` as on the command line. What they and the processes that they
start write to the terminal is read from the file descriptors.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType

from mist_bundle import cli
from tests.reliability.inputs.site import Site

MOST_SECONDS = 120
MOST_LETTERS = 300


class Answer(StrEnum):
    """How a command may answer."""

    REFUSED = "refused"  # exit code 2, nothing written
    CASE_NAMED = "the case named, the others continue"  # exit code 1
    WARNED = "warned"  # exit code 0, a line that begins with `warning:`
    FAILED = "ended with one sentence"  # exit code 1, what was finished before intact
    ACCEPTED = "accepted"  # exit code 0: odd, but all right


EXIT_CODES = {Answer.REFUSED: 2, Answer.CASE_NAMED: 1, Answer.WARNED: 0, Answer.FAILED: 1, Answer.ACCEPTED: 0}


@dataclass(frozen=True, kw_only=True)
class BrokenInput:
    """An input and its answer.

    Attributes:
        kind: the heading that it is counted under.
        name: what is wrong with it.
        command: spoils a site and returns the words of the command that meets it.
        answer: the expected answer.
        says: what the message must contain, all in one line where a case is named or a warning given.
        state: what the site holds before it is spoilt; see `Bench`.
        left: counts what came through, where cases are named; None where that is not counted.
        num_left: how many must come through.
        starts: the command starts processes, which takes seconds.
    """

    kind: str
    name: str
    command: Callable[[Site], Sequence[str]]
    answer: Answer
    says: tuple[str, ...]
    state: str = "data"
    left: Callable[[Site], int] | None = None
    num_left: int = 5
    starts: bool = False


@dataclass(frozen=True, kw_only=True)
class Record:
    """How an input was answered."""

    kind: str
    name: str
    verb: str
    answer: str
    exit_code: int
    message: str
    wrong: str  # what is wrong with the answer; empty where it is as expected


class Hung(BaseException):
    """No answer within the time that a person would wait."""


def judge(broken: BrokenInput, site: Site, run: Callable[[Sequence[str]], tuple[int, str]] | None = None) -> Record:
    """Spoil a site, run the command, and say what is wrong with its answer."""
    words = list(broken.command(site))
    before = listing(site.folder)
    code, said = (run or run_command)(words)
    lines = said.splitlines()
    message = told(lines, broken)
    wrong = fault(broken, site, code, said)
    if not wrong and broken.answer is Answer.REFUSED:
        changed = sorted(set(before.items()) ^ set(listing(site.folder).items()))
        wrong = f"wrote {changed[0][0]}" if changed else ""
    return Record(
        kind=broken.kind,
        name=broken.name,
        verb=words[0],
        answer=broken.answer.value,
        exit_code=code,
        message=site.shortened(message)[:MOST_LETTERS],
        wrong=site.shortened(wrong),
    )


def fault(broken: BrokenInput, site: Site, code: int, said: str) -> str:
    """What is wrong with an answer; empty where it is as expected."""
    if code == -1:
        return f"no answer within {MOST_SECONDS} seconds"
    if "Traceback (most recent call last)" in said:
        return "a traceback"
    if code != EXIT_CODES[broken.answer]:
        return f"exit code {code}"
    lines = said.splitlines()
    if broken.answer is Answer.WARNED:
        lines = [line for line in lines if line.startswith("warning:")]
    in_one_line = broken.answer in (Answer.CASE_NAMED, Answer.WARNED)
    heard = any(_holds(line, broken.says) for line in lines) if in_one_line else _holds(said, broken.says)
    if not heard:
        return f"does not say {', '.join(broken.says)}"
    if broken.left is not None and broken.left(site) != broken.num_left:
        return f"{broken.left(site)} came through"
    return ""


def told(lines: Sequence[str], broken: BrokenInput) -> str:
    """The line of an answer that says what is wrong."""
    for line in lines:
        if broken.says and _holds(line, broken.says):
            return line
    for line in lines:
        if any(word.lower() in line.lower() for word in broken.says):
            return line
    return next((line for line in reversed(lines) if line.strip()), "") if broken.says else ""


def _holds(text: str, words: Sequence[str]) -> bool:
    return all(word.lower() in text.lower() for word in words)


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below a folder, with its size and the time of its last change."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        is_folder = path.is_dir() and not path.is_symlink()
        found[str(path.relative_to(folder))] = (0, 0) if is_folder else (status.st_size, status.st_mtime_ns)
    return found


def run_command(words: Sequence[str]) -> tuple[int, str]:
    """Run a command in this process; its exit code (-1 where it hung) and all that was written to the terminal."""
    with tempfile.TemporaryFile("w+b") as said:
        with _written_to(said.fileno()), _time_limit():
            try:
                code = cli.main(list(words))
            except Hung:
                code = -1
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except Exception as error:  # noqa: BLE001 - an error that nobody foresaw is what is looked for
                sys.stderr.write(f"Traceback (most recent call last): {type(error).__name__}: {error}\n")
                code = 1
        said.seek(0)
        return code, said.read().decode("utf-8", errors="replace")


@contextmanager
def _written_to(target: int) -> Iterator[None]:
    """Send the terminal's output, of this process and of those that it starts, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    former_streams = sys.stdout, sys.stderr
    former_descriptors = os.dup(1), os.dup(2)
    os.dup2(target, 1)
    os.dup2(target, 2)
    sys.stdout = os.fdopen(os.dup(target), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    sys.stderr = os.fdopen(os.dup(target), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    try:
        yield
    finally:
        sys.stdout.close()
        sys.stderr.close()
        sys.stdout, sys.stderr = former_streams
        for number, former in zip((1, 2), former_descriptors, strict=True):
            os.dup2(former, number)
            os.close(former)


@contextmanager
def _time_limit() -> Iterator[None]:
    former = signal.signal(signal.SIGALRM, _hung)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def _hung(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Hung


def remove(site: Site) -> None:
    """Remove a site, whatever its inputs did to the permissions."""
    for path in site.folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(site.folder)
