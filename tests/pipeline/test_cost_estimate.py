"""What a bundle will take: modelled for named devices, tried on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError
from mist_bundle.pipeline import cost_estimate as module
from mist_bundle.planning.estimates import MEASURED, MODELLED


def test_a_faster_card_is_faster(fresh_bundle: Path) -> None:
    found = {name: pipeline.estimate(fresh_bundle, name) for name in ("t4", "a100-80", "h100")}
    assert found["t4"].step_seconds > found["a100-80"].step_seconds > found["h100"].step_seconds
    assert found["t4"].how == MODELLED


def test_an_unknown_device_is_refused_with_the_known_ones(fresh_bundle: Path) -> None:
    with pytest.raises(InputError, match=r"known: .*a100-80"):
        pipeline.estimate(fresh_bundle, "abacus")


@pytest.mark.slow
def test_this_machine_is_tried(fresh_bundle: Path) -> None:
    found = pipeline.estimate(fresh_bundle, steps=1)
    assert found.how == MEASURED
    assert found.step_seconds > 0


@pytest.mark.slow
def test_what_would_take_too_long_is_tried_on_a_smaller_patch(
    fresh_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    real = module.time_steps

    def noted(bundle: Path, overrides: dict[str, object], device: str, steps: int) -> dict[str, object]:
        tried.append(overrides)
        return real(bundle, overrides, device, steps)

    monkeypatch.setattr(module, "time_steps", noted)
    monkeypatch.setattr(module, "LONG_STEP_SECONDS", 1e-9)
    found = pipeline.estimate(fresh_bundle, steps=1)
    plan = Bundle(fresh_bundle).plan
    (overrides,) = tried
    assert overrides["batch_size"] == 1
    assert list(overrides["patch_size"]) < list(plan.patch_size.value)  # type: ignore[call-overload]
    assert found.step_seconds > 0
