"""Plans fit into the memory of a GPU, or say that they do not."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from mist_bundle.bundle.accounting import account_network, meta_network
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.memory import DEFAULT_GB, USABLE, fits, memory_warnings, plan_memory
from mist_bundle.planning.network_size import NetworkSize
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.wording import GB
from tests.planning.plans import small_plan

CT: dict[str, Any] = {"shape": (512, 512, 200), "modality": "ct", "classes": ("background", "organ", "tumour")}


def _saved_bytes(plan: Plan, value_bytes: int) -> float:
    """What autograd keeps of a step, counted on the network that the plan describes."""
    row = NETWORKS[plan.network.value]
    arguments: Any = plan.network_arguments
    size = NetworkSize(arguments=dict(arguments), strides=(), widths=(), bottleneck="")
    network = meta_network(row, size)
    found = account_network(network, plan.num_channels, plan.patch_size.value, plan.patches_per_pass)
    return value_bytes * found.saved_values


def test_the_papers_patch_for_a_large_ct_is_reduced_and_the_reason_says_so() -> None:
    plan = small_plan(**CT, recipe="paper")
    assert prod(plan.patch_size.value) < 256 * 256 * 128
    assert plan.batch_size.value == 2
    assert "Reduced from 256 x 256 x 128" in plan.patch_size.because
    assert "24 GB" in plan.patch_size.because
    assert fits(plan, DEFAULT_GB)
    assert _saved_bytes(plan, 2) < USABLE * DEFAULT_GB * GB
    # no more is taken away than a step of one axis would bring back
    larger = small_plan(**CT, recipe="paper", patch_size=_one_step_more(plan))
    assert not fits(larger, DEFAULT_GB)


def _one_step_more(plan: Plan) -> tuple[int, ...]:
    return tuple(size + step for size, step in zip(plan.patch_size.value, plan.patch_divisor, strict=True))


def test_what_fits_stays_as_the_recipe_has_it() -> None:
    plan = small_plan(**CT, recipe="paper", memory=80)
    assert plan.patch_size.value == (256, 256, 128)
    assert "Reduced" not in plan.patch_size.because
    assert memory_warnings(plan, 80) == []


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("resenc-xl", "swinunetr-large")])
@pytest.mark.parametrize("memory", [12.0, 24.0])
def test_every_network_fits(name: str, memory: float) -> None:
    plan = small_plan(**CT, recipe="paper", network=name, memory=memory)
    assert fits(plan, memory)
    assert all(size % step == 0 for size, step in zip(plan.patch_size.value, plan.patch_divisor, strict=True))


def test_full_precision_takes_a_smaller_patch() -> None:
    full = small_plan(**CT, recipe="paper", precision="fp32")
    assert prod(full.patch_size.value) < prod(small_plan(**CT, recipe="paper").patch_size.value)
    assert _saved_bytes(full, 4) < USABLE * DEFAULT_GB * GB


def test_a_large_batch_is_computed_in_more_passes_before_the_patch_pays() -> None:
    plan = small_plan(**CT, recipe="paper", batch_size=16, max_patch_size=(128, 128, 128), memory=24)
    assert plan.batch_size.value == 16
    assert plan.accumulation_steps.value > 1
    assert plan.patch_size.value == (128, 128, 128)
    assert "--memory is 24 GB" in plan.accumulation_steps.because


def test_the_users_own_patch_is_kept_and_warned_of() -> None:
    plan = small_plan(**CT, recipe="paper", patch_size=(256, 256, 128))
    assert plan.patch_size.value == (256, 256, 128)
    (warning,) = memory_warnings(plan, DEFAULT_GB)
    assert warning.path == "patch_size"
    assert "more than fits into 24 GB" in warning.message


def test_the_presets_of_nnunet_fit_into_the_memory_they_are_named_for() -> None:
    """nnU-Net's own ResEnc presets for 8, 24 and 40 GB keep their patches."""
    for name, memory in (("resenc-m", 11.0), ("resenc-l", 24.0), ("resenc-xl", 40.0)):
        plan = small_plan(**CT, recipe="paper", network=name, memory=memory)
        assert "Reduced" not in plan.patch_size.because, name
        use = plan_memory(plan)
        assert use is not None
        assert use.total > 0.5 * memory * GB, "and they need it"


def test_the_closed_form_is_what_the_plans_network_keeps() -> None:
    plan = small_plan(**CT, recipe="paper", network="nnunet-pocket")
    use = plan_memory(plan, half=False)
    assert use is not None
    assert use.activations == pytest.approx(_saved_bytes(plan, 4), rel=0.02)
