"""Where a workflow runs; GPUs are stood in for by an nvidia-smi that lists some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mist_bundle.bundle import placement
from mist_bundle.bundle.placement import Hardware, Placement, visible_devices
from mist_bundle.errors import InputError


@pytest.fixture
def four_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n2\\n3\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(placement, "_torch_version", lambda: "2.13.0+cu126")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("named", "visible"),
    [
        (None, ["0", "1", "2", "3"]),
        ("2,0", ["2", "0"]),
        ("1,9,2", ["1"]),
        ("", []),
        ("-1", []),
        ("GPU-5,GPU-6", ["GPU-5", "GPU-6"]),
    ],
)
def test_devices_are_those_that_cuda_sees(
    named: str | None, visible: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_devices() == visible


def test_a_torch_for_cpus_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_torch_version", lambda: "2.13.0+cpu")
    assert visible_devices() == []


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("hardware", "config", "processes", "devices"),
    [
        ({}, {"batch_size": 8}, 4, None),
        ({}, {"batch_size": 2}, 2, ("0", "1")),
        ({}, {"batch_size": 3}, 3, ("0", "1", "2")),
        ({}, {"batch_size": 2, "batch_size_per_process": 2}, 4, None),
        ({"devices": "0,2"}, {"batch_size": 2}, 2, ("0", "2")),
        ({"devices": [3]}, {"batch_size": 2}, 1, ("3",)),
        ({"processes": 2}, {"batch_size": 4}, 2, ("0", "1")),
        ({}, {"batch_size": 2, "device": "cpu"}, 1, None),
        ({}, {"batch_size": 2, "device": "cuda:1"}, 1, None),
    ],
)
def test_every_gpu_that_shares_the_batch_evenly_is_used(
    hardware: dict[str, Any], config: dict[str, Any], processes: int, devices: tuple[str, ...] | None
) -> None:
    placed = Hardware(**hardware).place(config)
    assert (placed.processes, placed.devices) == (processes, devices)
    assert bool(placed.warning) == (not hardware and devices is not None)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("hardware", "config", "message"),
    [
        ({"processes": 5}, {"batch_size": 5}, "--processes: is 5, but 4 GPUs can be used"),
        ({"processes": 3}, {"batch_size": 4}, "3 processes cannot share a batch of 4 patches evenly"),
        ({"devices": "0,4"}, {}, "--devices: is 0,4; expected numbers of visible GPUs, each once (0 to 3)."),
        ({"devices": "1,1"}, {}, "each once"),
        ({"devices": "0"}, {"device": "cpu"}, "--devices: and --device cpu contradict each other"),
        ({"node_rank": 1}, {}, "--nodes: is missing"),
        ({"nodes": 2, "rendezvous": "a:1"}, {}, "--node_rank: is None; expected 0 to 1"),
        ({"nodes": 2, "node_rank": 0, "rendezvous": "host"}, {}, "--rendezvous: is 'host'; expected HOST:PORT"),
    ],
)
def test_what_cannot_be_is_refused(hardware: dict[str, Any], config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Hardware(**hardware).place(config)
    assert message in str(error.value)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("hardware", "parallel", "config", "devices"),
    [
        ({}, 2, {"batch_size": 2}, [("0", "1"), ("2", "3")]),
        ({}, 2, {"batch_size": 1}, [("0",), ("2",)]),
        ({}, 3, {"batch_size": 2}, [("0",), ("1",), ("2",)]),
        ({"devices": "3,1"}, 2, {"batch_size": 2}, [("3",), ("1",)]),
        ({"processes": 2}, 2, {"batch_size": 2}, [("0", "1"), ("2", "3")]),
        ({"processes": 2}, 4, {"batch_size": 2}, [("0", "1"), ("2", "3")]),
        ({}, 9, {"batch_size": 2}, [("0",), ("1",), ("2",), ("3",)]),
        ({}, 2, {"batch_size": 2, "device": "cuda:1"}, [None, None]),
        ({}, 2, {"batch_size": 2, "device": "cpu"}, [None, None]),
    ],
)
def test_runs_at_a_time_have_gpus_of_their_own(
    hardware: dict[str, Any], parallel: int, config: dict[str, Any], devices: list[tuple[str, ...] | None]
) -> None:
    placed = Hardware(**hardware).place_side_by_side(config, parallel)
    assert [placement.devices for placement in placed] == devices
    assert ("folds at a time" in placed[0].warning) == (len(devices) < parallel)
    for place in placed:
        assert place.processes == len(place.devices or "1")


def test_runs_at_a_time_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_torch_version", lambda: "2.13.0+cpu")
    monkeypatch.setattr(placement, "available_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    placed = Hardware(processes=2).place_side_by_side({"batch_size": 2}, 2)
    assert [place.environment()["OMP_NUM_THREADS"] for place in placed] == ["2", "2"]


def test_folds_side_by_side_are_not_spread_over_machines() -> None:
    hardware = Hardware(nodes=2, node_rank=0, rendezvous="host:29400")
    with pytest.raises(InputError, match="--parallel: is 2, and --nodes 2"):
        hardware.place_side_by_side({"batch_size": 2, "device": "cpu"}, 2)


def test_a_cpu_runs_one_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_torch_version", lambda: "2.13.0+cpu")
    assert Hardware().place({"batch_size": 2}) == Placement()
    assert Hardware(processes=2).place({"batch_size": 2}) == Placement(processes=2)
    with pytest.raises(InputError, match="expected numbers of visible GPUs, each once \\(none\\)"):
        Hardware(devices="0").place({"batch_size": 2})


def test_processes_that_are_restarted_do_not_find_the_addresses_of_their_predecessors() -> None:
    assert Placement(processes=2, max_restarts=1).environment()["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"
    assert "TORCH_DISABLE_SHARE_RDZV_TCP_STORE" not in Placement(processes=2).environment()


def test_torchrun_of_several_machines() -> None:
    words = Placement(processes=4, nodes=2, node_rank=1, rendezvous="host:29400", max_restarts=3).torchrun("job")
    assert words == [
        *("--nnodes=2", "--node_rank=1", "--rdzv_backend=c10d", "--rdzv_endpoint=host:29400", "--rdzv_id=job"),
        *("--rdzv_conf=is_host=0", "--nproc_per_node=4", "--max_restarts=3"),
    ]
    plain = Placement(processes=4, nodes=2, node_rank=1, rendezvous="host:29400").torchrun("job")
    assert plain[:4] == ["--nnodes=2", "--node_rank=1", "--master_addr=host", "--master_port=29400"]
    assert Placement(processes=2).torchrun("job")[0] == "--standalone"
