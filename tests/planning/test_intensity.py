from __future__ import annotations

from tests.planning.plans import small_plan


def test_mr_images_are_normalised_by_themselves() -> None:
    plan = small_plan()
    assert plan.normalization.value == "per_image"
    assert plan.intensity_windows.value == ()
    assert not plan.bias_correction.value


def test_ct_images_share_a_window_for_each_channel() -> None:
    plan = small_plan(["ct", "contrast"], modality="ct")
    assert plan.normalization.value == "dataset"
    assert [window["high"] for window in plan.intensity_windows.value] == [10.0, 11.0]
    assert not plan.normalize_nonzero.value


def test_nothing_is_normalised_without_preprocessing() -> None:
    plan = small_plan(modality="ct", skip_preprocessing=True)
    assert plan.normalization.value == "none"
    assert plan.intensity_windows.value == ()


def test_bias_correction_is_the_users_choice() -> None:
    decision = small_plan(bias_correction=True).bias_correction
    assert decision.value
    assert decision.because == "Chosen by the user."
