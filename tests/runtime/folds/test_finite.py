"""Weights with NaN or infinite numbers are found, by name, in every kind of tensor that can hold them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mist_bundle.runtime.folds.finite import file_problem, load_failure, not_finite, not_finite_text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_bad_number_is_enough(dtype: torch.dtype, value: float) -> None:
    bad = torch.zeros(4, 5, dtype=dtype)
    bad[3, 4] = value
    assert not_finite({"good": torch.ones(3, dtype=dtype), "bad": bad}) == ["bad"]


def test_whole_numbers_and_empty_tensors_pass() -> None:
    assert not_finite({"count": torch.tensor(3), "none": torch.empty(0), "other": "text"}) == []


def test_at_most_three_are_named() -> None:
    bad = {f"layer{index}": torch.tensor(float("nan")) for index in range(5)}
    text = not_finite_text({**bad, "good": torch.ones(1)})
    assert text == "holds NaN or infinite numbers in 5 of 6 tensors (layer0, layer1, layer2 and 2 more)"


def test_a_file_is_read_without_running_it(tmp_path: Path) -> None:
    torch.save({"weight": torch.tensor([1.0, float("nan")])}, tmp_path / "bad.pt")
    torch.save({"weight": torch.ones(2)}, tmp_path / "good.pt")
    (tmp_path / "damaged.pt").write_bytes(b"PK no archive")
    assert "(weight)" in str(file_problem(tmp_path / "bad.pt"))
    assert file_problem(tmp_path / "good.pt") is None
    assert file_problem(tmp_path / "damaged.pt") is None  # whoever loads it tells what is wrong with it


def test_a_failure_never_advises_to_load_code() -> None:
    """torch's own message says how to switch its check off."""
    import io
    import pickle

    with pytest.raises(pickle.UnpicklingError) as failure:
        torch.load(io.BytesIO(pickle.dumps(print, protocol=2)), weights_only=True)
    assert "weights_only" in str(failure.value)
    assert "weights_only" not in load_failure(failure.value)
    assert load_failure(RuntimeError("size mismatch\n  for a\nfor b")) == "size mismatch for a"
    assert load_failure(KeyError()) == "KeyError"


@pytest.mark.parametrize("is_mapped", [True, False])
def test_an_archive_that_is_cut_short_is_said_to_be(is_mapped: bool, tmp_path: Path) -> None:
    """torch says "Invalid argument"."""
    torch.save({"weight": torch.ones(5000)}, tmp_path / "whole.pt")
    (tmp_path / "part.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:5000])
    with pytest.raises((OSError, RuntimeError)) as failure:
        torch.load(tmp_path / "part.pt", weights_only=True, mmap=is_mapped)
    assert load_failure(failure.value) == "it is cut short or damaged"
