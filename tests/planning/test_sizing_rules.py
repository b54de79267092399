from __future__ import annotations

import pytest

from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.networks import fit_network_patch
from mist_bundle.planning.sizing_rules import FIXED_STRIDES, SIZING_RULES, full_multigrid_heights, w_cycle_heights
from tests.planning.plans import sized


def test_every_rule_belongs_to_a_network_of_the_menu() -> None:
    assert {row.sizing for row in NETWORKS.values()} == set(SIZING_RULES) - {"user"}
    assert set(FIXED_STRIDES) <= set(SIZING_RULES)


def test_climbs_of_the_multigrid_networks() -> None:
    # at five levels above the bottleneck, as mist-medical 2.3.0 lists them
    assert full_multigrid_heights(5) == [1, 2, 3, 4, 5]
    assert w_cycle_heights(5) == [1, 2, 1, 3, 1, 4, 1, 5, 1, 4, 1, 3, 1, 2, 1]
    assert w_cycle_heights(2) == [1, 2, 1]
    assert w_cycle_heights(1) == [1]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_heads_never_exceed_what_the_depth_allows(name: str) -> None:
    size = sized(NETWORKS[name], fit_network_patch(NETWORKS[name], (8, 8, 8), (1, 1, 1), None)[0], heads=9)
    assert 1 <= size.max_heads <= len(size.strides) - 1
    assert len(size.head_modules) == len(size.head_channels)


def test_pocket_networks_have_one_width() -> None:
    for name, row in NETWORKS.items():
        widths = set(sized(row, (64, 64, 64)).widths)
        assert (len(widths) == 1) == (name.endswith("-pocket") or name in ("fmgnet", "wnet")), name
