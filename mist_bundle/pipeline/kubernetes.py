"""A bundle's cross-validation as Jobs of Kubernetes: one that trains all folds, one that gathers them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from mist_bundle.errors import InputError, Problem
from mist_bundle.pipeline.job_files import SUBMIT, write_job_files
from mist_bundle.pipeline.workflows import runnable_bundle

FOLDS_YAML, GATHER_YAML = "folds.yaml", "gather.yaml"
GRACE_SECONDS = 120
RETRIES = 6  # of each fold, which continues from its last epoch
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesJob:
    """The resources that a job requests.

    Attributes:
        image: of a container with mist-bundle in it.
        claim: the PersistentVolumeClaim that holds bundle and data.
        mount: where it appears in the container.
        path: of the bundle in the container; by default its name under the mount.
        gpus: of each fold.
        cpus: of each container.
        memory_gb: main memory of each container.
    """

    image: str
    claim: str
    mount: str = "/workspace"
    path: str | None = None
    gpus: int = 1
    cpus: int = 8
    memory_gb: int = 32

    def check(self) -> None:
        """Raise InputError naming everything that Kubernetes would not take."""
        problems = []
        if not _NAME.fullmatch(self.claim):
            text = f"is {self.claim!r}; expected the name of a PersistentVolumeClaim: a to z, 0 to 9, '-' and '.'."
            problems.append(Problem("--claim", text))
        if not self.image or self.image.split() != [self.image]:
            problems.append(Problem("--image", f"is {self.image!r}; expected REGISTRY/NAME:TAG."))
        for name, value in (("mount", self.mount), ("path", self.path)):
            if value is not None and not PurePosixPath(value).is_absolute():
                problems.append(Problem(f"--{name}", f"is {value!r}; expected an absolute path in the container."))
        if problems:
            raise InputError(problems)


def write_kubernetes(
    bundle: Path, output: Path, job: KubernetesJob, *, trust: bool = False, overwrite: bool = False
) -> Path:
    """Write the manifests and the script that applies them, and return that.

    Args:
        bundle: its folder here; in the cluster it is in the claim.
        output: folder of the files.
        job: the resources that it requests.
        trust: run a bundle that does not pass the audit.
        overwrite: replace existing files.

    Raises:
        InputError: the bundle cannot be trained, something that Kubernetes would not take, or a file is there.
    """
    job.check()
    opened = runnable_bundle(bundle, trust=trust)
    name = _resource_name(opened.root.name)
    there = shlex.quote(job.path or str(PurePosixPath(job.mount) / opened.root.name))
    further = " --trust" if trust else ""
    fold = f"$JOB_COMPLETION_INDEX{further}"
    train = [
        # The signal that ends the container reaches the training, which keeps its last epoch. The shell knows
        # its jobs from their first moment.
        "trap 'jobs -p | xargs -r kill -TERM; wait; exit 143' TERM",
        f"mist-bundle preprocess {there}{further} &",
        'wait "$!"',
        f"mist-bundle train {there} --fold {fold} --resume &",
        'wait "$!"',
        f"mist-bundle evaluate {there} --fold {fold} &",
        'wait "$!"',
    ]
    gather = [f"mist-bundle finalize {there}", f"exec mist-bundle report {there} --overwrite"]
    folds = opened.datalist.num_folds
    each_fold = {
        "completionMode": "Indexed",
        "completions": folds,
        "parallelism": folds,
        "backoffLimitPerIndex": RETRIES,
    }
    manifests = {
        FOLDS_YAML: _manifest(f"{name}-folds", train, job, job.gpus, each_fold),
        GATHER_YAML: _manifest(f"{name}-gather", gather, job, 0, {"backoffLimit": 1}),
    }
    files = {file: yaml.safe_dump(content, sort_keys=False) for file, content in manifests.items()}
    files[SUBMIT] = _submit(name)
    return write_job_files(output, files, overwrite=overwrite)


def _manifest(
    name: str, commands: list[str], job: KubernetesJob, gpus: int, completion: dict[str, Any]
) -> dict[str, Any]:
    limits: dict[str, Any] = {"cpu": str(job.cpus), "memory": f"{job.memory_gb}Gi"}
    if gpus:
        limits["nvidia.com/gpu"] = str(gpus)
    container = {
        "name": "mist-bundle",
        "image": job.image,
        "command": ["bash", "-ec", "\n".join(commands)],
        "resources": {"limits": limits, "requests": limits.copy()},
        "volumeMounts": [{"name": "data", "mountPath": job.mount}, {"name": "shared-memory", "mountPath": "/dev/shm"}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [container],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": job.claim}},
            # the processes of a data loader hand patches over in it; the default of 64 MB is too little
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {**completion, "template": {"spec": pod}},
    }


def _resource_name(name: str) -> str:
    """A name that Kubernetes takes: small letters, digits and dashes, at most 50 of them."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-")
    return plain or "mist-bundle"


def _submit(name: str) -> str:
    lines = [
        "#!/usr/bin/env bash",
        "# Train all folds, and gather them when they are done.",
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")"',
        f"kubectl apply -f {FOLDS_YAML}",
        f"kubectl wait --for=condition=complete --timeout=-1s job/{name}-folds",
        f"kubectl apply -f {GATHER_YAML}",
    ]
    return "\n".join(lines) + "\n"
