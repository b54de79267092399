"""Verbs that write the job files of a cluster: slurm, kubernetes."""

from __future__ import annotations

import shlex
from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName


@takes(mb.Bundle.slurm)
def slurm(bundle: FileName, **arguments: Any) -> None:
    """Write the batch files of a cross-validation on a Slurm cluster, and the script that submits them.

    Args:
        bundle: the bundle's folder, on a disk that all nodes share.
    """
    script = mb.Bundle(bundle).slurm(**arguments)
    print(f"Look at the files in {script.parent}, then submit them: {shlex.quote(str(script))}")


@takes(mb.Bundle.kubernetes)
def kubernetes(bundle: FileName, **arguments: Any) -> None:
    """Write the Job manifests of a cross-validation on a Kubernetes cluster, and the script that applies them.

    Args:
        bundle: the bundle's folder; the cluster finds it in the PersistentVolumeClaim.
    """
    script = mb.Bundle(bundle).kubernetes(**arguments)
    print(f"Look at the files in {script.parent}, then apply them: {shlex.quote(str(script))}")
