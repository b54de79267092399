"""Ensembles, flips, averaged and fine-tuned weights in every precision, against members run singly.

Each member of the comparison is a network of its own in an autocast context of its own, so nothing that one of them
leaves behind (a cached cast of a weight, say) can reach the next. bfloat16 is computed by emulation where the
processor has no instructions for it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from ignite.handlers import EMAHandler
from monai.inferers import SimpleInferer, SlidingWindowInferer
from monai.networks.nets import DynUNet
from torch import nn

from mist_bundle.runtime.inferers.autocast import AutocastInferer
from mist_bundle.runtime.inferers.ensemble import EnsembleInferer

PRECISIONS = ("fp32", "bf16", "auto", "fp16")  # fp16 becomes auto on a CPU
# one window: where windows overlap, members are averaged before the windows are blended
WINDOW = {"roi_size": (12, 8, 12), "sw_batch_size": 2, "overlap": 0.5}


def _network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return DynUNet(3, 1, 3, [3, 3, 3], [1, 2, 2], [2, 2], filters=[4, 8, 8]).eval()


def _image() -> torch.Tensor:
    return torch.randn(1, 1, 12, 8, 10, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def _one_by_one(networks: list[nn.Module], precision: str, flip_axes: tuple[int, ...]) -> torch.Tensor:
    """The mean of the members' probabilities: one network and one call of everything for each."""
    members = []
    for network, count in itertools.product(networks, range(len(flip_axes) + 1)):
        for axes in itertools.combinations(flip_axes, count):
            dims = [axis + 2 for axis in axes]
            inferer = AutocastInferer(SlidingWindowInferer(**WINDOW), enabled=precision)
            logits = inferer(torch.flip(_image(), dims), copy.deepcopy(network))
            members.append(torch.flip(torch.softmax(logits, 1), dims))
    return torch.stack(members).mean(0)


def _checkpoints(networks: list[nn.Module], folder: Path) -> list[str]:
    for fold, network in enumerate(networks):
        torch.save(network.state_dict(), folder / f"fold_{fold}.pt")
    return [str(folder / f"fold_{fold}.pt") for fold in range(len(networks))]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def _as_it_is(network: nn.Module) -> nn.Module:
    return network


def _compiled(network: nn.Module) -> nn.Module:
    return torch.compile(network, backend="aot_eager")  # type: ignore[return-value]


@pytest.mark.parametrize("prepare", [_as_it_is, _compiled])
@pytest.mark.parametrize("flip_axes", [(), (0, 2)])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_folds_and_flips(
    tmp_path: Path, precision: str, flip_axes: tuple[int, ...], prepare: Callable[[nn.Module], nn.Module]
) -> None:
    folds = [_network(seed) for seed in (1, 2, 3)]
    expected = _one_by_one(folds, precision, flip_axes)
    ensemble = EnsembleInferer(SlidingWindowInferer(**WINDOW), flip_axes, _checkpoints(folds, tmp_path))
    result = AutocastInferer(ensemble, enabled=precision)(_image(), prepare(_network(9)))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)
    first = _one_by_one(folds[:1], precision, flip_axes)
    assert (result - first).abs().max() > 0.01, "the folds differ"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_folds_compiled_to_machine_code(tmp_path: Path, precision: str) -> None:
    folds = [_network(seed) for seed in (1, 2)]
    ensemble = EnsembleInferer(SlidingWindowInferer(**WINDOW), (), _checkpoints(folds, tmp_path))
    result = AutocastInferer(ensemble, enabled=precision)(_image(), torch.compile(_network(9)))
    # fused operations round less often than the single ones of the comparison
    torch.testing.assert_close(
        result, _one_by_one(folds, precision, ()), rtol=0, atol=1e-4 if precision == "fp32" else 0.02
    )
    assert (result - _one_by_one(folds[:1], precision, ())).abs().max() > 0.05, "the folds differ"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inside_a_context_of_the_caller(tmp_path: Path, precision: str) -> None:
    folds = [_network(seed) for seed in (1, 2)]
    ensemble = EnsembleInferer(SlidingWindowInferer(**WINDOW), (), _checkpoints(folds, tmp_path))
    network = _network(9)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        network(_image()[..., :8, :8, :8])  # fills the caller's cache with weights that are about to change
        result = AutocastInferer(ensemble, enabled=precision)(_image(), network)
    torch.testing.assert_close(result, _one_by_one(folds, precision, ()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_averaged_weights_between_steps_of_one_context(precision: str) -> None:
    network = _network(1)
    average = EMAHandler(network, momentum=0.5)
    inferer = AutocastInferer(SimpleInferer(), enabled=precision)
    image = _image()[..., :8, :8, :8]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for step in range(2):
            with torch.no_grad():
                for weight in network.parameters():
                    weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(step)))
                _follow(average, network)
                trained, averaged = inferer(image, network), inferer(image, average.ema_model)
            for result, weights in ((trained, network), (averaged, average.ema_model)):
                torch.testing.assert_close(result, _fresh(weights, image, precision), rtol=0, atol=1e-5)


def _follow(average: EMAHandler, network: nn.Module) -> None:
    for mean, weight in zip(average.ema_model.parameters(), network.parameters(), strict=True):
        mean.mul_(0.5).add_(weight, alpha=0.5)


@torch.no_grad()
def _fresh(network: nn.Module, image: torch.Tensor, precision: str) -> torch.Tensor:
    """What a copy of the network gives outside of every context that is open now."""
    with torch.autocast("cpu", enabled=False):
        torch.clear_autocast_cache()
        return AutocastInferer(SimpleInferer(), enabled=precision)(image, copy.deepcopy(network))


@pytest.mark.parametrize("prepare", [_as_it_is, _compiled])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fine_tuning_learns_and_is_evaluated_with_what_it_learned(
    precision: str, prepare: Callable[[nn.Module], nn.Module]
) -> None:
    """Frozen and trained parts, validated between steps; the gradients are those of a context without validation."""
    plain, validated = _network(1), _network(1)
    for network in (plain, validated):
        for name, weight in network.named_parameters():
            weight.requires_grad_("output_block" in name)
    image = _image()[..., :8, :8, :8]
    inferer = AutocastInferer(SimpleInferer(), enabled=precision)
    called = prepare(validated)
    for _ in range(2):
        _step(plain, plain, inferer, image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                before = inferer(image, called)
            _step(called, validated, inferer, image)
            with torch.no_grad():
                after = inferer(image, called)
        assert (after - before).abs().max() > 1e-3
    for one, other in zip(plain.parameters(), validated.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    torch.testing.assert_close(after, _fresh(plain, image, precision), rtol=0, atol=1e-4)


def _step(called: nn.Module, network: nn.Module, inferer: AutocastInferer, image: torch.Tensor) -> None:
    network.zero_grad()
    inferer(image, called).square().mean().backward()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.grad is not None:
                weight.sub_(weight.grad, alpha=0.1)
