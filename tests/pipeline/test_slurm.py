"""The batch files for Slurm: checked by shellcheck, and run under a stand-in for sbatch (there is no Slurm here)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError
from mist_bundle.pipeline.slurm import SlurmJob, write_slurm
from tests.pipeline.trained import BUNDLES_THAT_CANNOT_RUN

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("slurm_stand_in.py")
# notes what it is called with; the first training goes on until it is told to end, the second one ends by itself
RECORDER = """#!/usr/bin/env bash
echo "$*" >> "$STAND_IN_STATE/calls"
if [[ "$1" == train && ! -e "$STAND_IN_STATE/signalled" ]]; then
    trap 'echo "kept $*" >> "$STAND_IN_STATE/calls"; exit 143' TERM
    touch "$STAND_IN_STATE/started"
    while true; do sleep 0.02; done
fi
"""


def _program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def _submit(script: Path, tmp_path: Path, program: str) -> Path:
    state, programs = tmp_path / "state", tmp_path / "programs"
    state.mkdir()
    for name in ("sbatch", "scontrol"):
        _program(programs, name, f'#!/bin/sh\nexec {sys.executable} {STAND_IN} {name} "$@"\n')
    _program(programs, "mist-bundle", program)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "STAND_IN_STATE": str(state),
        "STAND_IN_SIGNAL": "folds",
    }
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Submitted: preprocess 1, folds 2, gather 3, report 4\n"
    return state


def test_shellcheck_finds_nothing(fresh_bundle: Path, tmp_path: Path) -> None:
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("shellcheck is not installed; scripts/setup test does that")
    bundle = tmp_path / "a name; (and) & signs" / fresh_bundle.name
    shutil.copytree(fresh_bundle, bundle)
    write_slurm(bundle, tmp_path / "jobs", SlurmJob(partition="gpu", account="lab", setup="source venv/bin/activate"))
    files = sorted((tmp_path / "jobs").iterdir())
    assert len(files) == 5
    done = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_steps_follow_each_other_and_an_ended_fold_is_requeued(fresh_bundle: Path, tmp_path: Path) -> None:
    script = write_slurm(fresh_bundle, tmp_path / "jobs", SlurmJob(tasks=2))
    state = _submit(script, tmp_path, RECORDER)
    calls = (state / "calls").read_text().splitlines()
    name = str(fresh_bundle)
    train = f"train {name} --fold {{}} --resume"
    assert calls == [
        *[f"preprocess {name} --workers 1"] * 2,
        train.format(0),
        f"kept {train.format(0)}",
        train.format(0),
        f"evaluate {name} --fold 0",
        train.format(1),
        f"evaluate {name} --fold 1",
        f"finalize {name}",
        f"report {name} --overwrite",
    ]


def test_a_step_that_fails_stops_what_depends_on_it(fresh_bundle: Path, tmp_path: Path) -> None:
    script = write_slurm(fresh_bundle, tmp_path / "jobs", SlurmJob())
    with pytest.raises(AssertionError):
        _submit(script, tmp_path, '#!/bin/sh\necho "$1" >> "$STAND_IN_STATE/calls"\nexit 1\n')
    assert set((tmp_path / "state" / "calls").read_text().split()) == {"preprocess"}


@pytest.mark.slow
def test_a_bundle_is_trained_evaluated_and_reported(own_bundle: Path, tmp_path: Path) -> None:
    script = write_slurm(own_bundle, tmp_path / "jobs", SlurmJob(tasks=2))
    touch = 'if [ "$1" = train ]; then touch "$STAND_IN_STATE/started"; fi'
    real = f'#!/bin/sh\n{touch}\nPYTHONPATH={ROOT} exec {sys.executable} -m mist_bundle "$@"\n'
    state = _submit(script, tmp_path, real)
    assert (state / "signalled").exists()
    bundle = Bundle(own_bundle)
    assert all(fold.results.is_file() for fold in bundle.folds())
    assert (bundle.work_dir / "report.html").is_file()


def test_what_slurm_would_not_take_is_refused_at_once(fresh_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        write_slurm(fresh_bundle, tmp_path / "jobs", SlurmJob(partition="gpu; rm -rf", time="tomorrow"))
    assert "--partition" in str(refused.value)
    assert "--time" in str(refused.value)
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize(("damage", "message"), BUNDLES_THAT_CANNOT_RUN)
def test_a_bundle_that_could_not_be_trained_is_refused(
    own_bundle: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(own_bundle)
    with pytest.raises(InputError, match=message):
        write_slurm(own_bundle, tmp_path / "jobs", SlurmJob())
    assert not (tmp_path / "jobs").exists()


def test_files_that_are_there_stay(fresh_bundle: Path, tmp_path: Path) -> None:
    write_slurm(fresh_bundle, tmp_path, SlurmJob())
    with pytest.raises(InputError, match="overwrite"):
        write_slurm(fresh_bundle, tmp_path, SlurmJob(gpus=2))
    assert "gpu:1" in (tmp_path / "folds.sbatch").read_text()


def test_a_line_of_shell_that_is_not_whole_is_refused() -> None:
    """Bash would take the rest of the file for the text that it begins."""
    for setup in ("echo 'a", "module load \\"):
        with pytest.raises(InputError, match=r"--setup: is .* no whole line of shell"):
            SlurmJob(setup=setup).check()
    SlurmJob(setup="source venv/bin/activate  # don't forget").check()
