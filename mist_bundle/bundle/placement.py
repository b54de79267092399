"""On which devices, in how many processes and on how many machines a workflow runs.

Nothing here imports torch: the options are checked before anything is started.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.numerics.cores import available_cores
from mist_bundle.runtime.numerics.sharing import sharing_problem
from mist_bundle.runtime.wording import counted

VISIBLE = "CUDA_VISIBLE_DEVICES"
# torchrun (2.13) keeps its store when it restarts processes. A process could then read from it the address that another
# had before the restart, and wait there until the timeout; with this variable, each start has a store of its own.
OWN_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a workflow runs.

    Attributes:
        processes: number of processes on this machine.
        devices: value of CUDA_VISIBLE_DEVICES; None leaves it unchanged.
        nodes: number of machines that train together.
        node_rank: number of this machine, from 0.
        rendezvous: "host:port" where the machines meet; the host is the machine with node_rank 0.
        max_restarts: how often a training resumes from its last state after a process died.
        warning: a warning about the choice; "" for none.
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
        """Return the arguments of torchrun.

        Args:
            job: name of this run, equal on all its machines and different from that of other runs.
        """
        words = [f"--nproc_per_node={self.processes}", f"--max_restarts={self.max_restarts}"]
        if self.nodes == 1:
            return ["--standalone", *words]
        host, _, port = self.rendezvous.rpartition(":")
        nodes = [f"--nnodes={self.nodes}", f"--node_rank={self.node_rank}"]
        if self.max_restarts == 0:  # ranks follow --node_rank, so the first machine keeps the weights
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
        """Return the variables that the environment of the processes has in addition to the present variables."""
        variables: dict[str, str] = {}
        if self.devices is not None:
            variables[VISIBLE] = ",".join(self.devices)
        if self.processes > 1 or self.threads is not None:
            share = self.threads or max(1, available_cores() // self.processes)
            variables["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(share))
        if self.max_restarts > 0:
            variables[OWN_STORE] = "1"
        return variables


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """The user's options about hardware; `place` turns them into a Placement.

    Attributes:
        devices: numbers of the visible GPUs to use, "0,2" or a sequence; None for all GPUs that the batch can use.
        processes: number of GPUs, or of CPU processes on machines without GPU. None for all GPUs, or 1 process on a
            CPU.
        nodes: number of machines that train together, each with as many processes.
        node_rank: number of this machine.
        rendezvous: "host:port" of the machine with node_rank 0.
        max_restarts: how often a training resumes from its last state after a process died.
    """

    devices: str | Sequence[int] | None = None
    processes: int | None = None
    nodes: int = 1
    node_rank: int | None = None
    rendezvous: str | None = None
    max_restarts: int = 0

    def place(self, config: Mapping[str, Any]) -> Placement:
        """Choose processes and devices: every visible GPU by default, or a single process on a CPU.

        Without `processes` or `devices`, only as many GPUs are used as share the batch evenly; a warning says so.

        Args:
            config: configuration of the workflow with its overrides: "device", "batch_size", "batch_size_per_process".

        Raises:
            InputError: options cannot be met; names all of them.
        """
        (placement,) = self.place_side_by_side(config, 1)
        return placement

    def place_side_by_side(self, config: Mapping[str, Any], parallel: int) -> list[Placement]:
        """Choose where each of several runs at a time takes place: on GPUs of its own, or its part of the CPU's cores.

        Args:
            config: as for `place`.
            parallel: runs at a time.

        Returns:
            A placement for each run at a time; fewer than `parallel` if there are fewer GPUs, and a warning says so. A
            device that `config` names ("cuda:1") is shared by all.

        Raises:
            InputError: options cannot be met; names all of them.
        """
        device = config.get("device")
        if not isinstance(device, str) or device.startswith("$"):
            device = None
        problems = _option_problems(self, device)
        if parallel > 1 and self.nodes > 1:
            text = f"is {parallel}, and --nodes {self.nodes}: train the folds on machines of their own, or together."
            problems.append(Problem("--parallel", text))
        visible = visible_devices() if device in (None, "cuda") else []
        chosen, device_problems = _choose(self.devices, visible)
        problems += device_problems
        available = chosen or visible
        if self.processes is not None and available and self.processes > len(available):
            text = f"is {self.processes}, but {counted(len(available), 'GPU')} can be used ({VISIBLE} limits them)."
            problems.append(Problem("--processes", text))
        if problems:
            raise InputError(problems)
        parts = parallel
        if available:
            parts = min(parallel, len(available) // (self.processes or 1))
        share = len(available) // parts
        placements = []
        for number in range(parts):
            own = available[number * share : (number + 1) * share]
            placement = self._placement(config, own, all_visible=not available or (parts == 1 and not chosen))
            if parts > 1:
                placement = replace(placement, threads=max(1, available_cores() // (parts * placement.processes)))
            placements.append(placement)
        if parts < parallel:
            text = f"{counted(len(available), 'GPU')} for {parallel} folds at a time: {parts} at a time are trained."
            if self.processes is None:
                text += " --device cuda:0 would let all of them share a GPU."
            placements[0] = replace(placements[0], warning=text)
        return placements

    def _placement(self, config: Mapping[str, Any], own: Sequence[str], *, all_visible: bool) -> Placement:
        """The placement of a run whose GPUs are `own`, or on the CPU."""
        count, warning = _count(config, self.processes, len(own), self.nodes, chosen=self.devices is not None)
        _check_sharing(config, count * self.nodes)
        return Placement(
            processes=count,
            devices=None if all_visible and count >= len(own) else tuple(own[:count]),
            nodes=self.nodes,
            node_rank=self.node_rank or 0,
            rendezvous=self.rendezvous or "",
            max_restarts=self.max_restarts,
            warning=warning,
        )


def visible_devices() -> list[str]:
    """List the NVIDIA GPUs that new processes can use, by their names in CUDA_VISIBLE_DEVICES."""
    if "+cpu" in _torch_version():
        return []
    present = _present_devices()
    listed = os.environ.get(VISIBLE)
    if listed is None:
        return present
    visible: list[str] = []
    for part in listed.split(","):
        name = part.strip()
        if name.isdigit() and name not in present:
            break  # CUDA ignores all devices after a missing device, too
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


def _option_problems(options: Hardware, device: str | None) -> list[Problem]:
    problems = []
    if device not in (None, "cuda") and options.devices is not None:
        problems.append(Problem("--devices", f"and --device {device} contradict each other; use one of them."))
    if device is not None and device.startswith("cuda:") and options.processes not in (None, 1):
        text = f"is {options.processes}, but --device {device} names a single GPU; use --devices."
        problems.append(Problem("--processes", text))
    if options.nodes > 1:
        problems += _node_problems(options)
    elif options.node_rank or options.rendezvous is not None:
        problems.append(Problem("--nodes", "is missing: --node_rank and --rendezvous are for several machines."))
    return problems


def _node_problems(options: Hardware) -> list[Problem]:
    problems = []
    if options.node_rank is None or not 0 <= options.node_rank < options.nodes:
        text = f"is {options.node_rank}; expected 0 to {options.nodes - 1}, another on each machine."
        problems.append(Problem("--node_rank", text))
    host, _, port = (options.rendezvous or "").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        example = f"{socket.gethostname()}:29400"
        text = f"is {options.rendezvous!r}; expected HOST:PORT of the machine with --node_rank 0, like {example}."
        problems.append(Problem("--rendezvous", text))
    return problems


def _choose(
    devices: str | Sequence[int] | None, visible: Sequence[str]
) -> tuple[tuple[str, ...] | None, list[Problem]]:
    if devices is None:
        return None, []
    words = devices.split(",") if isinstance(devices, str) else list(map(str, devices))
    chosen: dict[str, str] = {}  # number -> name
    for word in words:
        number = word.strip()
        if number.isdigit() and int(number) < len(visible):
            chosen[number] = visible[int(number)]
    if not words or len(chosen) < len(words):  # a number is missing, no number, or listed twice
        known = f"0 to {len(visible) - 1}" if visible else "none"
        text = f"is {','.join(words)}; expected numbers of visible GPUs, each once ({known})."
        return None, [Problem("--devices", text)]
    return tuple(chosen.values()), []


def _count(
    config: Mapping[str, Any], processes: int | None, available: int, nodes: int, *, chosen: bool
) -> tuple[int, str]:
    """How many processes a run gets, and a warning about it; GPUs that the user chose are all used."""
    if processes is not None:
        return processes, ""
    if chosen:
        return max(1, available), ""
    batch = config.get("batch_size")
    grows = config.get("batch_size_per_process") is not None
    if available <= 1 or grows or not isinstance(batch, int):
        return max(1, available), ""
    count = available
    while count > 1 and batch % (count * nodes) != 0:
        count -= 1
    if count == available:
        return count, ""
    larger = ceil(batch / (available * nodes)) * available * nodes
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
