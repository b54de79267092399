"""FMG-Net and W-Net: the path, the wiring, and what may not be built."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.networks.multigrid import MultigridNet, multigrid_path

KERNELS = [[3, 3, 3]] * 3
STRIDES = [[1, 1, 1], [2, 2, 2], [2, 2, 1]]


def test_path_by_hand() -> None:
    assert multigrid_path(2, []) == [0, 1, 2, 1, 0], "a U-Net"
    assert multigrid_path(2, [1, 2]) == [0, 1, 2, 1, 2, 1, 0, 1, 2, 1, 0]
    assert multigrid_path(2, [1, 2, 1]) == [0, 1, 2, 1, 2, 1, 0, 1, 2, 1, 2, 1, 0]


def test_summit_of_an_earlier_climb_is_a_third_input() -> None:
    net = MultigridNet(1, 2, KERNELS, STRIDES, heights=[1, 2], filters=4, res_block=False)
    widths = [block.conv1.conv.in_channels for block in net.blocks]
    # 0 1 2 | 1 (2 inputs, summit) 2 | 1 (3: the summit) 0 (2, summit) 1 2 | 1 (2: passed on the way down) 0 (3)
    assert widths == [1, 4, 4, 8, 4, 12, 8, 4, 4, 8, 12]


def test_a_summit_that_takes_the_place_of_the_skip_is_taken_twice() -> None:
    torch.manual_seed(0)
    net = MultigridNet(1, 2, KERNELS, STRIDES, heights=[1, 2], filters=4, summits_as_skips=True).eval()
    inputs: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []
    for block in net.blocks:
        block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        block.register_forward_hook(lambda _, given, output: outputs.append(output))
    net(torch.randn(1, 1, 8, 8, 8))
    # 0 1 2 | 1 2 | 1 0 1 2 | 1 0: the summit of step 3 is met in step 5, that of step 6 in step 10
    for step, summit in ((5, 3), (10, 6)):
        torch.testing.assert_close(inputs[step][:, 4:8], outputs[summit])
        torch.testing.assert_close(inputs[step][:, 8:], outputs[summit])
    torch.testing.assert_close(inputs[9][:, 4:], outputs[7])  # passed on the way down since


def test_every_block_matters_and_strides_are_undone() -> None:
    torch.manual_seed(0)
    net = MultigridNet(2, 3, KERNELS, STRIDES, heights=[1, 2, 1], filters=4)
    output = net(torch.randn(1, 2, 8, 12, 6))
    assert output.shape == (1, 3, 8, 12, 6)
    output.square().sum().backward()
    without = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert without == []
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())


@pytest.mark.parametrize("heights", [[0], [3]])
def test_climbs_that_do_not_exist_are_refused(heights: list[int]) -> None:
    with pytest.raises(ValueError, match="expected 1 to 2"):
        MultigridNet(1, 2, KERNELS, STRIDES, heights=heights)
