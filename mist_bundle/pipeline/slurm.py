"""A bundle's cross-validation as batch jobs of Slurm: prepare, train every fold, gather, report."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mist_bundle.errors import InputError, Problem
from mist_bundle.pipeline.job_files import SUBMIT, write_job_files
from mist_bundle.pipeline.workflows import runnable_bundle

SECONDS_BEFORE_THE_END = 120  # that a training has to keep its state; it does so after every epoch
_WORD = re.compile(r"[\w.,@+-]+")
_TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SlurmJob:
    """The resources that a job requests.

    Attributes:
        partition: of the jobs; "" for the cluster's default.
        account: that is billed; "" for the user's default.
        time: limit of a job, as Slurm writes it; a training that needs more is requeued and continues.
        gpus: of each fold.
        cpus: of each job.
        memory_gb: main memory of each job.
        tasks: jobs that share the preparation of the cases.
        setup: a line of shell before anything runs, such as `module load python; source venv/bin/activate`.
    """

    partition: str = ""
    account: str = ""
    time: str = "24:00:00"
    gpus: int = 1
    cpus: int = 8
    memory_gb: int = 32
    tasks: int = 4
    setup: str = ""

    def check(self) -> None:
        """Raise InputError naming every word that Slurm would not take."""
        problems = []
        for name, word in (("partition", self.partition), ("account", self.account)):
            if word and not _WORD.fullmatch(word):
                problems.append(
                    Problem(f"--{name}", f"is {word!r}; expected a name without spaces, as sinfo shows it.")
                )
        if not _TIME.fullmatch(self.time):
            problems.append(Problem("--time", f"is {self.time!r}; expected hours:minutes:seconds, or days-hours."))
        try:
            shlex.split(self.setup, comments=True)
        except ValueError as error:  # the batch files would end in the middle of a text
            problems.append(Problem("--setup", f"is {self.setup!r}, no whole line of shell ({error})."))
        if problems:
            raise InputError(problems)


def write_slurm(bundle: Path, output: Path, job: SlurmJob, *, trust: bool = False, overwrite: bool = False) -> Path:
    """Write the batch files and the script that submits them, and return that.

    Args:
        bundle: its folder, on a disk that all nodes share.
        output: folder of the files; logs go there too.
        job: the resources that it requests.
        trust: run a bundle that does not pass the audit.
        overwrite: replace existing files.

    Raises:
        InputError: the bundle cannot be trained, something that Slurm would not take, or a file exists already.
    """
    job.check()
    opened = runnable_bundle(bundle, trust=trust)
    files = slurm_files(opened.root.absolute(), opened.datalist.num_folds, job, trust=trust)
    return write_job_files(output, files, overwrite=overwrite)


def slurm_files(bundle: Path, folds: int, job: SlurmJob, *, trust: bool) -> Mapping[str, str]:
    """File name -> text; nothing is written."""
    further = " --trust" if trust else ""
    name = f"mist-bundle {{}} {shlex.quote(str(bundle))}"
    preprocess = [name.format("preprocess") + f' --workers "${{SLURM_CPUS_PER_TASK:-1}}"{further}']
    gather = [name.format("finalize")]
    report = [name.format("report") + " --overwrite"]
    return {
        "preprocess.sbatch": _header("preprocess", job, array=job.tasks) + _lines(preprocess),
        "folds.sbatch": _header("folds", job, array=folds, gpus=job.gpus, requeued=True) + _fold(name, further),
        "gather.sbatch": _header("gather", job) + _lines(gather),
        "report.sbatch": _header("report", job) + _lines(report),
        SUBMIT: _submit(bundle.name),
    }


def _header(step: str, job: SlurmJob, *, array: int = 0, gpus: int = 0, requeued: bool = False) -> str:
    directives = {
        "job-name": f"mist-{step}",
        "output": "%x_%A_%a.log" if array else "%x_%j.log",
        "time": job.time,
        "cpus-per-task": job.cpus,
        "mem": f"{job.memory_gb}G",
        "partition": job.partition,
        "account": job.account,
        "array": f"0-{array - 1}" if array else "",
        "gres": f"gpu:{gpus}" if gpus else "",
        "signal": f"B:TERM@{SECONDS_BEFORE_THE_END}" if requeued else "",
        "open-mode": "append" if requeued else "",
    }
    lines = ["#!/usr/bin/env bash"]
    for option, value in directives.items():
        if value:
            lines.append(f"#SBATCH --{option}={value}")
    if requeued:
        lines.append("#SBATCH --requeue")
    if job.setup:  # before -u: modules and environments read variables that may be unset
        lines += ["# shellcheck disable=SC1091", job.setup]
    lines.append("set -euo pipefail")
    return _lines(lines)


def _fold(name: str, further: str) -> str:
    """Train and evaluate a fold; when the time is up, or the node is needed elsewhere, the job is requeued."""
    train = name.format("train") + f' --fold "$SLURM_ARRAY_TASK_ID" --resume{further}'
    evaluate = name.format("evaluate") + f' --fold "$SLURM_ARRAY_TASK_ID"{further}'
    return _lines(
        [
            "# Slurm tells this shell before the time is up. What was trained is kept after every epoch, and --resume",
            "# continues there.",
            "requeue() {",
            "    trap '' TERM",
            "    jobs -p | xargs -r kill -TERM || true",
            "    wait || true",
            '    scontrol requeue "$SLURM_JOB_ID"',
            "    exit 0",
            "}",
            "trap requeue TERM",
            f"{train} &",
            'wait "$!"',
            f"{evaluate} &",
            'wait "$!"',
        ]
    )


def _submit(name: str) -> str:
    steps = ("preprocess", "folds", "gather", "report")
    lines = [
        "#!/usr/bin/env bash",
        f"# Submit the cross-validation of {name}: each step begins when the one before it has succeeded.",
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")"',
    ]
    before = ""
    for step in steps:
        after = f'--dependency="afterok:${{{before}%%;*}}" ' if before else ""
        lines.append(f"{step}=$(sbatch --parsable {after}{step}.sbatch)")
        before = step
    lines.append('echo "Submitted: preprocess $preprocess, folds $folds, gather $gather, report $report"')
    return _lines(lines)


def _lines(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
