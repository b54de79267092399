from __future__ import annotations

from mist_bundle.planning.network_size import NetworkSize


def test_the_divisor_is_the_product_of_the_strides() -> None:
    size = NetworkSize(arguments={}, strides=((1, 1, 1), (2, 2, 1), (2, 2, 2)), widths=(4, 8, 8), bottleneck="")
    assert size.divisor == (4, 4, 2)
