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
from mist_bundle.runtime.numerics.sharing import sharing_problem

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
        threads: cores that each process uses; None for its share of the machine.
    """

    processes: int = 1
    devices: tuple[str, ...] | None = None
    nodes: int = 1
    node_rank: int = 0
    rendezvous: str = ""
    max_restarts: int = 0
    warning: str = ""
    threads: int | None = None

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
        host, _, port = self.rendezvous.rpartition(":")
        nodes = [f"--nnodes={self.nodes}", f"--node_rank={self.node_rank}"]
        if self.max_restarts == 0:  # ranks follow --node_rank, so the first machine keeps what is trained
            return [*nodes, f"--master_addr={host}", f"--master_port={port}", *words]
        is_host = int(self.node_rank == 0)
        return [
            *nodes,
            "--rdzv_backend=c10d",
            f"--rdzv_endpoint={self.rendezvous}",
            f"--rdzv_id={job}",
            f"--rdzv_conf=is_host={is_host}",
            *words,
        ]

    def environment(self) -> dict[str, str]:
        """What the processes find in their environment beside what is there already."""
        chosen = {} if self.devices is None else {VISIBLE: ",".join(self.devices)}
        if self.processes > 1 or self.threads is not None:
            share = self.threads or max(1, (os.cpu_count() or 1) // self.processes)
            chosen["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(share))
        return chosen


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """What was asked for; `place` turns it into a Placement.

    Attributes:
        devices: numbers of the visible GPUs to use, "0,2" or a sequence; None for every one that the batch can use.
        processes: how many; GPUs, or CPU processes where there is no GPU. None for one a GPU, and one on a CPU.
        nodes: machines that train together, each with as many processes.
        node_rank: number of this one.
        rendezvous: "host:port" of the machine with node_rank 0.
        max_restarts: times that a training goes on from its last state after a process died.
    """

    devices: str | Sequence[int] | None = None
    processes: int | None = None
    nodes: int = 1
    node_rank: int | None = None
    rendezvous: str | None = None
    max_restarts: int = 0

    def place(self, config: Mapping[str, Any]) -> Placement:
        """Choose: every visible GPU by default, one process on a CPU.

        Without `processes` or `devices` no more GPUs are taken than share the batch evenly; a warning says so.

        Args:
            config: of the workflow, with what overrides it: "device", "batch_size", "batch_size_per_process".

        Raises:
            InputError: naming every option that cannot be met.
        """
        device = config.get("device")
        device = device if isinstance(device, str) and not device.startswith("$") else None
        problems = _option_problems(self, device)
        visible = visible_devices() if device in (None, "cuda") else []
        chosen, found = _choose(self.devices, visible)
        problems += found
        available = chosen or visible
        if self.processes is not None and available and self.processes > len(available):
            text = f"is {self.processes}, but {_counted(len(available))} can be used ({VISIBLE} limits them)."
            problems.append(Problem("--processes", text))
        if problems:
            raise InputError(problems)
        count, warning = _count(config, self.processes, chosen, len(available), self.nodes)
        _check_sharing(config, count * self.nodes)
        return Placement(
            processes=count,
            devices=tuple(available[:count]) if available and (chosen or count < len(available)) else None,
            nodes=self.nodes,
            node_rank=self.node_rank or 0,
            rendezvous=self.rendezvous or "",
            max_restarts=self.max_restarts,
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


def _option_problems(asked: Hardware, device: str | None) -> list[Problem]:
    problems = []
    if device not in (None, "cuda") and asked.devices is not None:
        problems.append(Problem("--devices", f"and --device {device} contradict each other; give one of them."))
    if device is not None and device.startswith("cuda:") and asked.processes not in (None, 1):
        text = f"is {asked.processes}, but --device {device} names one GPU; use --devices."
        problems.append(Problem("--processes", text))
    if asked.nodes == 1:
        if asked.node_rank or asked.rendezvous is not None:
            problems.append(Problem("--nodes", "is missing: --node_rank and --rendezvous are for several machines."))
        return problems
    if asked.node_rank is None or not 0 <= asked.node_rank < asked.nodes:
        text = f"is {asked.node_rank}; expected 0 to {asked.nodes - 1}, another on each machine."
        problems.append(Problem("--node_rank", text))
    host, _, port = (asked.rendezvous or "").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        example = f"{socket.gethostname()}:29400"
        text = f"is {asked.rendezvous!r}; expected HOST:PORT of the machine with --node_rank 0, like {example}."
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
