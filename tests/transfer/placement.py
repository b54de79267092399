"""On which devices, in how many processes and on how many machines a workflow runs.

Nothing here imports torch: what is asked for is checked before anything is started.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.loading.sharing import sharing_problem

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a workflow runs.

    Attributes:
        processes: on this machine.
        devices: what CUDA_VISIBLE_DEVICES shall be; None leaves it as it is.
        nodes: machines that train together.
        node_rank: of this machine, from 0.
        rendezvous: "host:port" where the machines meet; the host is the machine with node_rank 0.
        max_restarts: times that a training whose process died goes on from its last state.
        warning: what a person should know of the choice; "" for nothing.
    """

    processes: int = 1
    devices: tuple[str, ...] | None = None
    nodes: int = 1
    node_rank: int = 0
    rendezvous: str = ""
    max_restarts: int = 0
    warning: str = ""

    @property
    def distributed(self) -> bool:
        """Whether torchrun starts it."""
        return self.processes > 1 or self.nodes > 1 or self.max_restarts > 0

    def torchrun(self, job: str) -> list[str]:
        """The arguments of torchrun.

        Args:
            job: a name that all machines of this run use and no other run does.
        """
        words = [f"--nproc_per_node={self.processes}", f"--max_restarts={self.max_restarts}"]
        if self.nodes == 1:
            return ["--standalone", *words]
        is_host = int(self.node_rank == 0)
        return [
            f"--nnodes={self.nodes}",
            f"--node_rank={self.node_rank}",
            "--rdzv_backend=c10d",
            f"--rdzv_endpoint={self.rendezvous}",
            f"--rdzv_id={job}",
            f"--rdzv_conf=is_host={is_host}",
            *words,
        ]

    def environment(self) -> dict[str, str]:
        """What the processes find in their environment beside what is there already."""
        chosen = {} if self.devices is None else {VISIBLE: ",".join(self.devices)}
        if self.processes > 1:
            chosen["OMP_NUM_THREADS"] = os.environ.get(
                "OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.processes))
            )
        return chosen

    def each_device(self) -> list[Placement]:
        """One placement of a single process for each device, for work that is shared out in advance."""
        if self.devices is None:
            return [Placement() for _ in range(self.processes)]
        return [Placement(devices=(device,)) for device in self.devices]


def place(
    config: Mapping[str, Any],
    *,
    device: str | None = None,
    devices: str | Sequence[int] | None = None,
    processes: int | None = None,
    nodes: int = 1,
    node_rank: int | None = None,
    rendezvous: str | None = None,
    max_restarts: int = 0,
) -> Placement:
    """Choose: every visible GPU by default, one process on a CPU.

    Without `processes` or `devices` no more GPUs are taken than share the batch evenly, and a warning says so.

    Args:
        config: of the workflow with what overrides it: "batch_size", "batch_size_per_process".
        device: "cpu", "cuda" or "cuda:1", as in the configuration; one process then.
        devices: numbers of the visible GPUs to use, "0,2".
        processes: how many; GPUs, or CPU processes where there is no GPU.
        nodes: machines that train together, each with as many processes.
        node_rank: number of this one.
        rendezvous: "host:port" of the machine with node_rank 0.
        max_restarts: times that a training goes on after a process died.

    Raises:
        InputError: naming every option that cannot be met.
    """
    problems = _option_problems(device, devices, processes, nodes, node_rank, rendezvous)
    visible = [] if device == "cpu" else visible_devices()
    chosen, problem = _choose(devices, visible)
    problems += problem
    if problems:
        raise InputError(problems)
    if device is not None and device != "cuda":
        count, warning = processes or 1, ""
    else:
        available = chosen if chosen is not None else visible
        if processes is not None and available and processes > len(available):
            found = f"is {processes}, but {_counted(len(available))} can be seen ({VISIBLE} limits them)."
            raise InputError(Problem("--processes", found))
        count, warning = _count(config, processes, chosen, len(available), nodes)
        chosen = tuple(available[:count]) if available and (chosen is not None or count < len(available)) else None
    _check_sharing(config, count * nodes)
    return Placement(
        processes=count,
        devices=chosen,
        nodes=nodes,
        node_rank=node_rank or 0,
        rendezvous=rendezvous or "",
        max_restarts=max_restarts,
        warning=warning,
    )


def visible_devices() -> list[str]:
    """The NVIDIA GPUs that processes started here can use, by the names that CUDA_VISIBLE_DEVICES takes."""
    if "+cpu" in _torch_version():
        return []
    present = _present_devices()
    named = os.environ.get(VISIBLE)
    if named is None:
        return present
    visible: list[str] = []
    for name in (part.strip() for part in named.split(",")):
        if name.isdigit() and name not in present:
            break  # CUDA stops at the first that is not there, too
        if not name or name.startswith("-"):
            break
        visible.append(name)
    return visible if present else []


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "+cpu"


def _present_devices() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.split() if answer.returncode == 0 else []


def _option_problems(
    device: str | None,
    devices: str | Sequence[int] | None,
    processes: int | None,
    nodes: int,
    node_rank: int | None,
    rendezvous: str | None,
) -> list[Problem]:
    problems = []
    if device is not None and device != "cuda" and devices is not None:
        problems.append(Problem("--devices", f"and --device {device} contradict each other; give one of them."))
    if device is not None and device.startswith("cuda:") and processes not in (None, 1):
        problems.append(Problem("--processes", f"is {processes}, but --device {device} names one GPU; use --devices."))
    if nodes == 1:
        if node_rank or rendezvous is not None:
            problems.append(Problem("--nodes", "is missing: --node_rank and --rendezvous are for several machines."))
        return problems
    if node_rank is None or not 0 <= node_rank < nodes:
        problems.append(Problem("--node_rank", f"is {node_rank}; expected 0 to {nodes - 1}, another on each machine."))
    host, _, port = (rendezvous or "").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        example = f"{socket.gethostname()}:29400"
        text = f"is {rendezvous!r}; expected HOST:PORT of the machine with --node_rank 0, like {example}."
        problems.append(Problem("--rendezvous", text))
    return problems


def _choose(
    devices: str | Sequence[int] | None, visible: Sequence[str]
) -> tuple[tuple[str, ...] | None, list[Problem]]:
    if devices is None:
        return None, []
    words = devices.split(",") if isinstance(devices, str) else [str(number) for number in devices]
    numbers = [word.strip() for word in words]
    fitting = all(number.isdigit() and int(number) < len(visible) for number in numbers)
    if not numbers or not fitting or len(set(numbers)) < len(numbers):
        known = f"0 to {len(visible) - 1}" if visible else "none"
        text = f"is {','.join(numbers)}; expected numbers of visible GPUs, each once ({known})."
        return None, [Problem("--devices", text)]
    return tuple(visible[int(number)] for number in numbers), []


def _count(
    config: Mapping[str, Any], processes: int | None, chosen: Sequence[str] | None, available: int, nodes: int
) -> tuple[int, str]:
    if processes is not None:
        return processes, ""
    if chosen is not None:
        return len(chosen), ""
    batch = config.get("batch_size")
    grows = config.get("batch_size_per_process") is not None
    if available <= 1 or grows or not isinstance(batch, int):
        return max(1, available), ""
    count = next(count for count in range(available, 0, -1) if batch % (count * nodes) == 0 or count == 1)
    if count == available:
        return count, ""
    larger = -(-batch // (available * nodes)) * available * nodes
    text = (
        f"a batch of {batch} patches is shared by {count} of {available} GPUs; --batch_size {larger} would use all, "
        "--parallel other GPUs for other folds."
    )
    return count, text


def _check_sharing(config: Mapping[str, Any], processes: int) -> None:
    batch = config.get("batch_size")
    if config.get("batch_size_per_process") is not None or not isinstance(batch, int):
        return
    problem = sharing_problem(batch, processes)
    if problem:
        raise InputError(Problem("--processes", problem))


def _counted(count: int) -> str:
    return f"{count} GPU" if count == 1 else f"{count} GPUs"
