"""Which patches fit, and what is said about those that do not."""

from __future__ import annotations

import pytest

from mist_bundle.runtime.numerics.patch_fit import nearest_patches, patch_problem


def test_nearest_below_and_above() -> None:
    assert nearest_patches((36, 50, 64), (16, 16, 32)) == ((32, 48, 64), (48, 64, 64))
    assert nearest_patches((1, 1, 1), (16, 16, 16)) == ((32, 16, 16), (32, 16, 16)), (
        "never a single voxel at the bottom"
    )


@pytest.mark.parametrize(
    ("patch", "divisor", "message"),
    [
        ((64, 48, 16), (16, 16, 16), ""),
        ((5, 7, 9), (1, 1, 1), ""),
        ((64, 40, 16), (16, 16, 16), "multiples of 16,16,16. The nearest: 64,32,16 or 64,48,16."),
        (
            (16, 16, 16),
            (16, 16, 16),
            "is 16,16,16, but this network takes multiples of 16,16,16. The nearest: 32,16,16.",
        ),
        ((20, 20), (16, 16, 16), "expected three whole numbers"),
        ((20, 0, 20), (4, 4, 4), "expected three whole numbers"),
    ],
)
def test_problem_names_the_nearest_sizes(patch: tuple[int, ...], divisor: tuple[int, ...], message: str) -> None:
    problem = patch_problem(patch, divisor)
    assert message in problem
    assert bool(problem) == bool(message)
