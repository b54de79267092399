"""Kill commands at chosen and at random moments, let the same command continue, and compare with a run left alone.

`python -m tests.reliability.kills STAGE … --output FILE` runs the kills of the named stages on small phantoms and adds
a record for each to FILE, which `page.py` makes a page of. Every kill is SIGKILL, which nothing can catch.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mist_bundle.bundle.publish import finish_publication
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.files import read_json, work_dir_of
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.trust.audit.run import audit_bundle

OPTIONS = [
    "--folds",
    "2",
    "--recipe",
    "quick",
    "--epochs",
    "2",
    "--steps_per_epoch",
    "2",
    "--batch_size",
    "1",
    "--patch_size",
    "16,16,16",
]
# what is compared: the bundle, the scores and the label maps; not logs, whose seconds differ from run to run
COMPARED = ("models", "configs", "docs", "MANIFEST.json")
KILLER = """
import os, signal
spec = os.environ.get("KILL_AT", "")
if spec:
    name, _, left = spec.rpartition(":")
    left = int(left)
    replace = os.replace
    def killing(source, target, **more):
        global left
        if str(target).endswith(name):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return replace(source, target, **more)
    os.replace = killing
"""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill and what came of it."""

    stage: str
    moment: str
    audited: bool
    exit_code: int
    identical: bool
    differing: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether the next command continued to the same end, and nothing was refused in between."""
        return self.audited and self.exit_code == 0 and self.identical


class Bench:
    """A configured phantom, and copies of it at every stage of a run that was left alone."""

    def __init__(self, folder: Path, options: Sequence[str] = OPTIONS) -> None:
        self.folder = folder
        self.options = options
        self.data = make_phantom(folder / "data", kind="mr2", num_cases=6, num_test=1, seed=1, shape=(28, 26, 20))
        self.site = folder / "site"
        self.site.mkdir()
        (self.site / "sitecustomize.py").write_text(KILLER)
        out = folder / "now"
        self._run(["autoconfig", str(self.data), "--output", str(out), *options])
        (self.bundle,) = [path for path in out.iterdir() if (path / "configs").is_dir()]

    def command(self, stage: str) -> list[str]:
        """The words of a stage's command, which is also what continues after a kill."""
        bundle, predictions = str(self.bundle), str(self.bundle.parent / "predicted")
        words = {
            "preprocess": ["preprocess", bundle],
            "train": ["train", bundle, "--fold", "0", "--resume"],
            "train fold 1": ["train", bundle, "--fold", "1", "--resume"],
            "publish": ["publish", bundle, "--fold", "0"],
            "evaluate": ["evaluate", bundle],
            "finalize": ["finalize", bundle],
            "predict": ["predict", bundle, str(self.data.parent / "test"), predictions, "--overwrite"],
            "run_all": ["run_all", str(self.data), "--output", str(self.bundle.parent), "--resume", *self.options],
            "autoconfig": ["autoconfig", str(self.data), "--output", str(self.bundle.parent), *self.options],
            "export": ["export", bundle, "--format", "onnx", "--overwrite"],
            "bump": ["bump", bundle, "Better weights."],
            "report": ["report", bundle, "--overwrite"],
            "pack": ["pack", bundle, str(self.bundle.parent / "packed.zip"), "--overwrite"],
        }
        return words[stage]

    def _run(self, words: Sequence[str], kill_at: str = "", after: float | None = None) -> int:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.site), "KILL_AT": kill_at}
        command = [sys.executable, "-m", "mist_bundle", *words]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, cwd=self.folder) as process:
            if after is not None:
                try:
                    process.wait(after)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
            code = process.wait()
        wait_for_children(str(self.bundle) if hasattr(self, "bundle") else str(self.folder))
        return code

    def run(self, stage: str, *, kill_at: str = "", after: float | None = None) -> int:
        """Run a stage, killed where that is asked for; returns its exit code."""
        return self._run(self.command(stage), kill_at, after)

    def go_on(self, stage: str) -> int:
        """Run a stage again after a kill; its exit code. What is done already and is not to be done twice is left."""
        if stage == "autoconfig" and self.bundle.is_dir():
            return 0
        if stage == "bump":
            finish_publication(self.bundle)
            if read_json(self.bundle / "configs/metadata.json")["version"] != "0.1.0":
                return 0
        return self.run(stage)

    def save(self, name: str) -> None:
        """Keep the state of now under a name."""
        shutil.copytree(self.bundle.parent, self.folder / "saved" / name, symlinks=True)

    def restore(self, name: str) -> None:
        """Go back to a kept state."""
        shutil.rmtree(self.bundle.parent)
        shutil.copytree(self.folder / "saved" / name, self.bundle.parent, symlinks=True)

    def state(self) -> dict[str, str]:
        """Hashes of everything that is compared."""
        files = [path for name in COMPARED for path in _files(self.bundle / name)]
        work = work_dir_of(self.bundle)
        files += [*work.glob("fold_*/predictions/*"), *work.glob("fold_*/results.csv"), *work.glob("results.*")]
        files += [*work.glob("cache/**/*.npy"), *work.glob("predictions/*"), *work.glob("fold_*/best_*.pt")]
        files += [*work.glob("fingerprint.json"), *self.bundle.parent.glob("packed.zip")]
        files += _files(self.bundle.parent / "predicted")
        return {str(path.relative_to(self.bundle.parent)): sha256_of(path) for path in files if path.is_file()}

    def kill(self, stage: str, before: str, expected: dict[str, str], moment: str, **how: object) -> Kill:
        """Kill a stage, audit what is left, run it again, and compare."""
        self.restore(before)
        self.run(stage, **how)  # type: ignore[arg-type]
        audited = not self.bundle.is_dir() or audit_bundle(self.bundle).passed
        code = self.go_on(stage)
        found = self.state()
        differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        return Kill(
            stage=stage,
            moment=moment,
            audited=audited,
            exit_code=code,
            identical=not differing,
            differing=differing[:5],
        )


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*")) if path.is_dir() else [path]


def wait_for_children(word: str) -> None:
    """Wait until no process of a killed command is left; fails where one lives on."""
    for _ in range(300):
        if not processes_with(word):
            return
        time.sleep(0.1)
    raise AssertionError(f"a process of a killed command lives on: {processes_with(word)}")


def processes_with(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in words and "mist_bundle" in words and "tests.reliability" not in words:
            found.append(words)
    return found


# stage -> state that it begins in; files whose renaming is a moment, and the how many-th; number of random kills
CHOSEN: dict[str, tuple[str, dict[str, Sequence[int]], int]] = {
    "preprocess": ("configured", {}, 6),
    "train": (
        "preprocessed",
        {
            "best_2.pt": (1,),
            "last.pt": (1, 2),
            "previous.pt": (1,),
            "status.json": (1, 2),
            "MANIFEST.json": (1, 2),
            "models/fold_0.pt": (1,),
            "models/model.pt": (1,),
            "models/model.safetensors": (1,),
            "docs/README.md": (1,),
        },
        4,
    ),
    "train fold 1": ("fold 0", {"MANIFEST.json": (1, 2), "models/fold_1.pt": (1,), "status.json": (2,)}, 1),
    "publish": (
        "unpublished",
        {
            ".fold_0.pt.staged.partial": (1,),
            "MANIFEST.json": (1, 2),
            "models/fold_0.pt": (1,),
            "models/model.pt": (1,),
            "models/model.safetensors": (1,),
            "docs/README.md": (1,),
        },
        1,
    ),
    "evaluate": ("both folds", {"results.csv": (1, 2), "results.json": (1,)}, 3),
    "finalize": (
        "evaluated",
        {
            "results.csv": (1,),
            "results.json": (1,),
            ".README.md.staged.partial": (1,),
            "MANIFEST.json": (1, 2),
            "docs/README.md": (1,),
            "configs/metadata.json": (1,),
        },
        2,
    ),
    "predict": ("finalized", {}, 4),
    "export": (
        "reported",
        {".model.onnx.staged.partial": (1,), "MANIFEST.json": (1, 2), "models/model.onnx": (1,)},
        1,
    ),
    "bump": ("exported", {"MANIFEST.json": (1, 2), "configs/metadata.json": (1,)}, 0),
    "pack": ("bumped", {"packed.zip": (1,)}, 1),
    "autoconfig": ("nothing", {"fingerprint.json": (1,), "phantom_mr2_segmentation": (1,)}, 2),
    "run_all": ("nothing", {"models/fold_0.pt": (1,), "MANIFEST.json": (3, 5)}, 5),
}


def prepare(bench: Bench) -> dict[str, dict[str, str]]:
    """Run every stage once, left alone; returns the state after each."""
    after: dict[str, dict[str, str]] = {"autoconfig": bench.state()}
    bench.save("configured")
    (bench.folder / "saved/nothing").mkdir()
    steps = (
        ("preprocess", "preprocessed"),
        ("train", "fold 0"),
        ("train fold 1", "both folds"),
        ("evaluate", "evaluated"),
        ("finalize", "finalized"),
        ("predict", "predicted"),
        ("report", "reported"),
        ("export", "exported"),
        ("bump", "bumped"),
        ("pack", "packed"),
    )
    for stage, name in steps:
        code = bench.run(stage)
        if code != 0:
            raise SystemExit(f"{stage} ended with exit code {code} without being killed.")
        after[stage] = bench.state()
        bench.save(name)
    bench.restore("fold 0")
    for path in (bench.bundle / "models").iterdir():
        path.unlink()
    source = bench.folder / "saved/configured" / bench.bundle.name
    for name in ("MANIFEST.json", "docs/README.md"):
        shutil.copyfile(source / name, bench.bundle / name)
    bench.save("unpublished")
    after["publish"] = after["train"]
    return after


def kills(bench: Bench, stage: str, expected: dict[str, str], draw: random.Random) -> Iterator[Kill]:
    """All kills of a stage."""
    before, chosen, num_random = CHOSEN[stage]
    for name, counts in chosen.items():
        for count in counts:
            moment = f"before {name} is put in place{f', time {count}' if count > 1 else ''}"
            yield bench.kill(stage, before, expected, moment, kill_at=f"{name}:{count}")
    bench.restore(before)
    start = time.monotonic()
    bench.run(stage)
    seconds = time.monotonic() - start
    for _ in range(num_random):
        moment = draw.uniform(0.15, 0.98) * seconds
        share = f"at {moment / seconds:.0%} of its time"
        yield bench.kill(stage, before, expected, share, after=moment)


def main() -> None:
    """Run the kills of the stages that are named and add their records to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="+", choices=[*CHOSEN])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reliability_") as folder:
        bench = Bench(Path(folder))
        expected = prepare(bench)
        if "run_all" in words.stages:
            bench.restore("nothing")
            bench.run("run_all")
            expected["run_all"] = bench.state()
        for stage in words.stages:
            for kill in kills(bench, stage, expected[stage], random.Random(f"{words.seed} {stage}")):
                with words.output.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({**asdict(kill), "passed": kill.passed}) + "\n")
                sys.stdout.write(f"{'ok  ' if kill.passed else 'FAIL'} {stage}: {kill.moment} {kill.differing or ''}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
