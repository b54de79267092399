"""The manifests for Kubernetes, against its published schema."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mist_bundle.errors import InputError
from mist_bundle.pipeline.kubernetes import FOLDS_YAML, GATHER_YAML, KubernetesJob, write_kubernetes
from tests.pipeline.trained import BUNDLES_THAT_CANNOT_RUN

JOB = KubernetesJob(image="registry.example/mist-bundle:1", claim="data")


@pytest.mark.parametrize("gpus", [0, 2])
def test_manifests_are_what_the_schema_of_kubernetes_asks_for(fresh_bundle: Path, tmp_path: Path, gpus: int) -> None:
    validation = pytest.importorskip("kubernetes_validate")
    job = KubernetesJob(image=JOB.image, claim=JOB.claim, gpus=gpus)
    write_kubernetes(fresh_bundle, tmp_path, job)
    for name in (FOLDS_YAML, GATHER_YAML):
        content = yaml.safe_load((tmp_path / name).read_text())
        validation.validate(content, validation.latest_version(), strict=True)
    folds = yaml.safe_load((tmp_path / FOLDS_YAML).read_text())
    assert folds["spec"]["completions"] == 2
    (container,) = folds["spec"]["template"]["spec"]["containers"]
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) is (gpus > 0)


def test_the_command_runs_the_fold_of_its_index_and_hands_the_signal_on(fresh_bundle: Path, tmp_path: Path) -> None:
    write_kubernetes(fresh_bundle, tmp_path, JOB)
    folds = yaml.safe_load((tmp_path / FOLDS_YAML).read_text())
    command = folds["spec"]["template"]["spec"]["containers"][0]["command"]
    program = tmp_path / "mist-bundle"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": "1"}
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    there = f"/workspace/{fresh_bundle.name}"
    expected = [f"preprocess {there}", f"train {there} --fold 1 --resume", f"evaluate {there} --fold 1"]
    assert (tmp_path / "calls").read_text().splitlines() == expected
    program.write_text(f'#!/bin/bash\ntrap "echo kept >> {tmp_path}/calls; exit 143" TERM\nkill -TERM $PPID\nsleep 9\n')
    assert subprocess.run(command, env=environment, check=False).returncode == 143
    assert (tmp_path / "calls").read_text().endswith("kept\n")


def test_shellcheck_finds_nothing(fresh_bundle: Path, tmp_path: Path) -> None:
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("shellcheck is not installed; scripts/setup test does that")
    script = write_kubernetes(fresh_bundle, tmp_path, JOB)
    assert subprocess.run([program, str(script)], check=False).returncode == 0


@pytest.mark.parametrize(("damage", "message"), BUNDLES_THAT_CANNOT_RUN)
def test_a_bundle_that_could_not_be_trained_is_refused(
    own_bundle: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(own_bundle)
    with pytest.raises(InputError, match=message):
        write_kubernetes(own_bundle, tmp_path / "jobs", JOB)
    assert not (tmp_path / "jobs").exists()


def test_names_that_kubernetes_would_not_take_are_refused_together(fresh_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        write_kubernetes(fresh_bundle, tmp_path / "x", KubernetesJob(image="a b", claim="My Claim", mount="here"))
    assert [problem.path for problem in refused.value.problems] == ["--claim", "--image", "--mount"]
    assert not (tmp_path / "x").exists()
