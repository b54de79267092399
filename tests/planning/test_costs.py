"""The closed forms of what networks cost, against what autograd keeps of each network of the menu."""

from __future__ import annotations

import pytest

from mist_bundle.bundle.accounting import account_network, meta_network, per_voxel
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.costs import blocks_per_level, network_cost
from mist_bundle.planning.network_size import SizeRequest
from mist_bundle.planning.networks import fit_network_patch, size_network
from mist_bundle.runtime.numerics.triples import Triple

# none of them is a size that the coefficients were fitted to
PATCHES: dict[str, Triple] = {"cube": (80, 80, 80), "flat": (96, 64, 32)}
SPACING = {"cube": (1.0, 1.0, 1.0), "flat": (1.0, 1.0, 2.5)}
# its windows are padded to a fixed size
TOLERANCE = {"swin_unetr": 0.2}


@pytest.mark.parametrize("shape", sorted(PATCHES))
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * ("large" in name or name == "wnet")) for name in NETWORKS]
)
def test_closed_form_is_what_autograd_keeps(name: str, shape: str) -> None:
    row = NETWORKS[name]
    residual = bool(row.defaults.get("residual", True))
    patch, _ = fit_network_patch(row, PATCHES[shape], SPACING[shape], None)
    request = SizeRequest(
        patch_size=patch,
        spacing_mm=SPACING[shape],
        in_channels=3,
        out_channels=5,
        filters=(32, 64, 128, 256, 320),
        residual=residual,
        kernel_size=3,
        heads=0,
    )
    size = size_network(row, request)
    cost = network_cost(name, row, size, (3, 5), residual=residual)
    assert cost is not None
    network = meta_network(row, size)
    saved, flops = per_voxel(account_network(network, 3, patch), patch)
    assert cost.saved_values == pytest.approx(saved, rel=TOLERANCE.get(row.sizing, 0.02))
    assert cost.flops == pytest.approx(flops, rel=0.25)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert cost.parameters == pytest.approx(parameters, rel=0.1)


def test_visits_of_a_multigrid_network_are_its_blocks() -> None:
    row = NETWORKS["fmgnet"]
    request = SizeRequest(
        patch_size=(64, 64, 64),
        spacing_mm=(1, 1, 1),
        in_channels=1,
        out_channels=2,
        filters=(32,),
        residual=True,
        kernel_size=3,
        heads=0,
    )
    size = size_network(row, request)
    network = meta_network(row, size)
    blocks = network.blocks
    assert sum(blocks_per_level(row, size)) == len(blocks)  # type: ignore[arg-type]
