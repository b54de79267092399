"""What a plan will cost, where it can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mist_bundle.planning.decision import Decision
from mist_bundle.planning.estimates import (
    CPU_PASS_SECONDS,
    GPU_PASS_SECONDS,
    Speed,
    cache_bytes,
    estimate_warnings,
    model_estimate,
    with_step,
)
from mist_bundle.planning.memory import plan_cost
from tests.planning.plans import small_plan

CPU = Speed(device="this CPU (2 cores)", is_gpu=False, half=False, flops_per_second=1e11, memory_gb=16)
GPU = Speed(device="a100-80", is_gpu=True, half=True, flops_per_second=78e12, memory_gb=80)


def test_a_step_is_three_passes_over_its_patches() -> None:
    plan = small_plan(recipe="paper", batch_size=4, shape=(64, 64, 64))
    cost, found = plan_cost(plan), model_estimate(plan, CPU)
    assert cost is not None
    assert found is not None
    assert found.step_seconds - CPU_PASS_SECONDS == pytest.approx(3 * cost.flops * 4 * 64**3 / 1e11)
    assert found.device_bytes is None
    assert found.total_seconds == pytest.approx(plan.num_folds * plan.epochs.value * found.epoch_seconds)


def test_nvidias_published_images_a_second_come_out() -> None:
    """27.5 images of 128 x 128 x 128 a second, by their plain U-Net in a batch of two on an A100."""
    plan = small_plan(recipe="paper", network="unet", shape=(128, 128, 128), channels=("a", "b", "c", "d"))
    found = model_estimate(plan, GPU)
    assert found is not None
    assert 2 / (found.step_seconds - GPU_PASS_SECONDS) == pytest.approx(27.5, rel=0.1)


def test_the_cache_holds_images_and_labels() -> None:
    plan = small_plan(channels=("a", "b"), shape=(10, 20, 30))
    assert cache_bytes(plan) == 2 * 6000 * (2 * 4 + 1)


def test_a_month_on_a_cpu_is_said_and_minutes_are_not() -> None:
    long = small_plan(recipe="paper", shape=(128, 128, 128))
    found = model_estimate(long, CPU)
    assert found is not None
    (warning,) = estimate_warnings(long, found)
    assert "--recipe quick takes minutes" in warning.message
    assert "on this CPU" in warning.message
    quick = small_plan(recipe="quick")
    short = model_estimate(quick, CPU)
    assert short is not None
    assert estimate_warnings(quick, short) == []
    on_gpu = model_estimate(long, GPU)
    assert on_gpu is not None
    assert estimate_warnings(long, on_gpu) == []


def test_too_little_main_memory_is_said() -> None:
    plan = small_plan(recipe="quick")
    found = with_step(plan, replace(CPU, memory_gb=4.0), 1.0, 30e9, "measured")
    (warning,) = [one for one in estimate_warnings(plan, found) if one.path == "memory"]
    assert "28 GB of main memory" in warning.message


def test_accumulation_costs_time_and_saves_memory() -> None:
    plan = small_plan(recipe="paper", batch_size=8, shape=(64, 64, 64))
    split = replace(plan, accumulation_steps=Decision(4, ""))
    whole, parts = model_estimate(plan, GPU), model_estimate(split, GPU)
    assert whole is not None
    assert parts is not None
    assert whole.device_bytes is not None
    assert parts.device_bytes is not None
    assert parts.device_bytes < whole.device_bytes
    assert parts.step_seconds > whole.step_seconds


def test_another_network_has_no_model() -> None:
    plan = replace(small_plan(), network=Decision("my_package.nets.Mine", ""))
    assert model_estimate(plan, CPU) is None
