"""The ensemble against averages computed by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mist_bundle.runtime.inferers.ensemble import EnsembleInferer
from mist_bundle.runtime.inferers.entropy import entropy
from mist_bundle.runtime.inferers.windows import flip_combinations

WINDOW = {"roi_size": (8, 8, 8), "sw_batch_size": 2, "overlap": 0.5, "mode": "gaussian"}


def _network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv3d(1, 3, 3, padding=1)


def test_without_flips_it_is_the_softmax_of_the_window() -> None:
    network, image = _network(0), torch.randn(1, 1, 12, 10, 8)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        torch.testing.assert_close(EnsembleInferer(window)(image, network), torch.softmax(window(image, network), 1))


def test_flips_average_the_unflipped_predictions() -> None:
    network, image = _network(0), torch.randn(1, 1, 8, 7, 8)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        mean = torch.zeros(1, 3, 8, 7, 8)
        for dims in ([], [2], [4], [2, 4]):
            flipped = torch.flip(image, dims) if dims else image
            one = torch.softmax(window(flipped, network), 1)
            mean += (torch.flip(one, dims) if dims else one) / 4
        torch.testing.assert_close(EnsembleInferer(window, flip_axes=[0, 2])(image, network), mean)


def test_regions_are_sigmoids_and_flips_average_them() -> None:
    network, image = _network(0), torch.randn(1, 1, 8, 8, 8)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        flipped = torch.flip(torch.sigmoid(window(torch.flip(image, [3]), network)), [3])
        mean = (torch.sigmoid(window(image, network)) + flipped) / 2
        result = EnsembleInferer(window, flip_axes=[1], activation="sigmoid")(image, network)
    torch.testing.assert_close(result, mean)
    with pytest.raises(ValueError, match="expected softmax or sigmoid"):
        EnsembleInferer(window, activation="relu")


def test_checkpoints_are_averaged(tmp_path: Path) -> None:
    image, paths, mean = torch.randn(1, 1, 8, 8, 8), [], torch.zeros(1, 3, 8, 8, 8)
    window = SlidingWindowInferer(**WINDOW)
    with torch.no_grad():
        for seed in (1, 2, 3):
            torch.save(_network(seed).state_dict(), tmp_path / f"fold_{seed}.pt")
            paths.append(str(tmp_path / f"fold_{seed}.pt"))
            mean += torch.softmax(window(image, _network(seed)), 1) / 3
        result = EnsembleInferer(window, checkpoints=paths)(image, _network(9))
    torch.testing.assert_close(result, mean)
    torch.testing.assert_close(result.sum(1), torch.ones(1, 8, 8, 8))


def test_windows_are_averaged_before_they_are_blended() -> None:
    """What is blended of several members is the logarithm of their mean probabilities."""
    network, image = _network(0), torch.randn(1, 1, 12, 20, 8)

    def mean_of_members(patch: torch.Tensor) -> torch.Tensor:
        flipped = torch.flip(torch.softmax(network(torch.flip(patch, [3])), 1), [3])
        return ((torch.softmax(network(patch), 1) + flipped) / 2).log()

    with torch.no_grad():
        expected = torch.softmax(SlidingWindowInferer(**WINDOW)(image, mean_of_members), 1)
        result = EnsembleInferer(SlidingWindowInferer(**WINDOW), flip_axes=[1])(image, network)
    torch.testing.assert_close(result, expected)


class _WithRoomForOne(nn.Module):
    """Runs out of memory on more than one window at a time, as a network on a small GPU does."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        if len(patches) > 1:
            raise torch.OutOfMemoryError("no room")
        return self.network(patches)


def test_windows_one_by_one_where_memory_is_short(caplog: pytest.LogCaptureFixture) -> None:
    network, image = _network(0), torch.randn(1, 1, 20, 8, 8)
    with torch.no_grad():
        expected = torch.softmax(SlidingWindowInferer(**WINDOW)(image, network), 1)
        ensemble = EnsembleInferer(SlidingWindowInferer(**WINDOW))
        torch.testing.assert_close(ensemble(image, _WithRoomForOne(network)), expected)
    assert "window by window" in caplog.text


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """By scipy, over axis 1, in units of the largest possible."""
    return torch.from_numpy(np.asarray(scipy.stats.entropy(probabilities.numpy(), axis=1))) / np.log(
        probabilities.shape[1]
    )


def test_uncertainty_is_entropy_and_mutual_information(tmp_path: Path) -> None:
    image, window, members, paths = torch.randn(1, 1, 8, 8, 8), SlidingWindowInferer(**WINDOW), [], []
    with torch.no_grad():
        for seed in (1, 2):
            network = _network(seed)
            torch.save(network.state_dict(), tmp_path / f"fold_{seed}.pt")
            paths.append(str(tmp_path / f"fold_{seed}.pt"))
            members.append(torch.softmax(3 * window(image, network), 1))
            members.append(torch.softmax(3 * window(image.flip(3), network), 1).flip(3))

        network = _network(9)
        network.register_forward_hook(lambda module, inputs, output: 3 * output)
        inferer = EnsembleInferer(window, flip_axes=[1], checkpoints=paths, uncertainty=True)
        result = inferer(image, network)
    mean = torch.stack(members).mean(0)
    assert result.shape == (1, 5, 8, 8, 8)
    torch.testing.assert_close(result[:, :3], mean)
    torch.testing.assert_close(result[:, 3], _entropy(mean))
    information = _entropy(mean) - torch.stack([_entropy(one) for one in members]).mean(0)
    torch.testing.assert_close(result[:, 4], information, atol=1e-6, rtol=1e-4)
    assert result[:, 3:].min() >= 0
    assert result[:, 3:].max() <= 1
    assert result[:, 4].max() > 0.01, "the members differ"


def test_one_member_does_not_disagree_and_certainty_has_no_entropy() -> None:
    def certain(patches: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(patches), 3, 8, 8, 8)
        logits[:, 0, :4] = 200  # the other half: all classes alike
        return logits

    result = EnsembleInferer(SlidingWindowInferer(**WINDOW), uncertainty=True)(torch.zeros(1, 1, 4, 4, 4), certain)
    torch.testing.assert_close(result[:, 3, :2], torch.zeros(1, 2, 4, 4))
    torch.testing.assert_close(result[:, 3, 2:], torch.ones(1, 2, 4, 4))
    torch.testing.assert_close(result[:, 4], torch.zeros(1, 4, 4, 4), atol=1e-6, rtol=0)


class _LiveMemory(TorchDispatchMode):
    """The largest number of bytes that tensors made meanwhile held at once, small ones left out."""

    def __init__(self, at_least: int) -> None:
        super().__init__()
        self.at_least = at_least
        self.sizes: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                if size >= self.at_least and key not in self.sizes:
                    self.sizes[key] = size
                    weakref.finalize(storage, self.sizes.pop, key, None)
        self.peak = max(self.peak, sum(self.sizes.values()))
        return result


@pytest.mark.parametrize("uncertainty", [False, True])
def test_memory_does_not_grow_with_folds_and_flips(tmp_path: Path, uncertainty: bool) -> None:
    classes, side = 12, 24
    volume = 4 * classes * side**3
    networks = [nn.Conv3d(1, classes, 1) for _ in range(4)]
    for index, network in enumerate(networks):
        torch.save(network.state_dict(), tmp_path / f"fold_{index}.pt")
    paths = [str(tmp_path / f"fold_{index}.pt") for index in range(4)]
    window = SlidingWindowInferer(roi_size=(12, 12, 12), sw_batch_size=1, overlap=0.0, mode="constant")
    peaks = []
    for flips, members in (((), 0), ((0,), 2), ((0, 1, 2), 4)):
        inferer = EnsembleInferer(window, flips, paths[:members], uncertainty=uncertainty)
        memory = _LiveMemory(at_least=side**3)
        with memory, torch.no_grad():
            result = inferer(torch.zeros(1, 1, side, side, side), networks[0])
        assert len(result) == 1
        peaks.append(memory.peak / volume)
    assert peaks[1] == pytest.approx(peaks[2]), "not with the number of folds and flips"
    # the sum, one prediction, and some single channels: image, its flip, counts, entropies, one window; a third
    # volume would make it 3
    assert 1.9 < peaks[2] <= 2 + 8 / classes


_IN_LITTLE_MEMORY = """
import resource, sys
import torch
from monai.inferers import SlidingWindowInferer
from mist_bundle.runtime.inferers.classify import ClassifyInferer
from mist_bundle.runtime.inferers.ensemble import EnsembleInferer, is_out_of_memory

torch.set_num_threads(1)
torch.manual_seed(0)
network = torch.nn.Conv3d(1, 128, 1)
image = torch.randn(1, 1, 64, 64, 96)
window = SlidingWindowInferer(roi_size=(16, 16, 16), sw_batch_size=1, overlap=0.5)
expected = ClassifyInferer(EnsembleInferer(window))(image, network)  # the sums of a layer take 50 MB and more
status = open("/proc/self/status").read()
held = 1024 * int(status.split("VmData:")[1].split()[0])
limit = held + int(float(sys.argv[1]) * 1e6)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    result = ClassifyInferer(EnsembleInferer(window))(image, network)
    print("same" if torch.equal(result, expected) else "differs")
except BaseException as error:
    print("out of memory" if is_out_of_memory(error) else repr(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the data segment as Linux counts it")
@pytest.mark.parametrize(("megabytes", "outcome"), [(20, "same"), (0.5, "out of memory")])
def test_sums_wait_on_the_disk_where_memory_is_short(megabytes: float, outcome: str) -> None:
    at_once = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}
    environment = {**os.environ, **at_once}  # what is freed goes back to the system
    command = [sys.executable, "-c", _IN_LITTLE_MEMORY, str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == outcome, done.stderr
    if outcome == "same":
        assert "wait on the disk" in done.stderr


def test_logits_can_be_averaged(tmp_path: Path) -> None:
    image, window = torch.randn(1, 1, 6, 6, 6), SlidingWindowInferer(**{**WINDOW, "roi_size": (6, 6, 6)})
    paths = [str(tmp_path / "fold_0.pt"), str(tmp_path / "fold_1.pt")]
    for seed, path in enumerate(paths):
        torch.save(_network(seed).state_dict(), path)
    inferer = EnsembleInferer(window, flip_axes=[1], checkpoints=paths, average="logits", uncertainty=True)
    network = _network(0)
    ((_, _, blended),) = list(inferer.cells(image[0], network, activate=False))
    total = torch.zeros(())
    entropies = torch.zeros(())
    for path in paths:
        network.load_state_dict(torch.load(path, weights_only=True))
        for axes in ((), (3,)):
            logits = torch.flip(network(torch.flip(image, axes)), axes).detach()
            total = total + logits / 4
            entropies = entropies + entropy(torch.softmax(logits, 1)) / 4
    torch.testing.assert_close(blended[:-1], total[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(blended[-1:], entropies[0], rtol=1e-4, atol=1e-5)
    finished = inferer.activated(blended.clone())
    probabilities = torch.softmax(total, 1)[0]
    torch.testing.assert_close(finished[: len(probabilities)], probabilities, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="average is 'votes'; expected probabilities or logits or joined"):
        EnsembleInferer(window, average="votes")


def test_windows_of_each_member_can_be_joined_first(tmp_path: Path) -> None:
    image, window = torch.randn(1, 1, 13, 9, 8), SlidingWindowInferer(**WINDOW)
    paths = [str(tmp_path / "fold_0.pt"), str(tmp_path / "fold_1.pt")]
    network, members = _network(0), []
    for seed, path in enumerate(paths):
        torch.save(_network(seed).state_dict(), path)
        with torch.no_grad():
            members.append(torch.softmax(window(image, _network(seed)), 1))
    inferer = EnsembleInferer(window, checkpoints=paths, average="joined", uncertainty=True)
    result = inferer(image, network)
    mean = torch.stack(members).mean(0)
    torch.testing.assert_close(result[:, :3], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(result[:, 3:4], entropy(mean), rtol=1e-4, atol=1e-5)
    apart = entropy(mean) - torch.stack([entropy(member) for member in members]).mean(0)
    torch.testing.assert_close(result[:, 4:], apart.clamp(min=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("roi_size", [(8, 8, 8), (8, 6, 12)])
def test_joined_windows_are_laid_anew_on_each_flipped_image(tmp_path: Path, roi_size: tuple[int, ...]) -> None:
    """As MIST does it: the whole image is flipped, MONAI's sliding window runs, and the probabilities are flipped back.

    Along the axes windows are moved back to the end of the image, fit exactly, or are larger than the image.
    """
    image = torch.randn(1, 1, 21, 14, 9)
    window = SlidingWindowInferer(**{**WINDOW, "roi_size": roi_size})
    paths, members = [str(tmp_path / "fold_0.pt"), str(tmp_path / "fold_1.pt")], []
    for seed, path in enumerate(paths):
        network = nn.Sequential(_network(seed), nn.InstanceNorm3d(3))  # what a window shows changes all its voxels
        torch.save(network.state_dict(), path)
        for axes in flip_combinations([0, 1, 2]):
            dims = [2 + axis for axis in axes]
            with torch.no_grad():
                members.append(torch.softmax(window(image.flip(dims), network), 1).flip(dims))
    mean = torch.stack(members).mean(0)
    network = nn.Sequential(_network(9), nn.InstanceNorm3d(3))
    results = []
    for gigabytes in (1.0, 0.0):
        inferer = EnsembleInferer(window, [0, 1, 2], paths, average="joined", uncertainty=True, cells_gb=gigabytes)
        results.append(inferer(image, network))
    # on the disk as in memory, apart from rounding: one window at a time instead of two
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(results[0][:, :3], mean, rtol=1e-4, atol=1e-5)
    apart = entropy(mean) - torch.stack([entropy(member) for member in members]).mean(0)
    torch.testing.assert_close(results[0][:, 4:], apart.clamp(min=0), rtol=1e-4, atol=1e-5)
    of_windows = EnsembleInferer(window, [0, 1, 2], paths)(image, network)
    assert (of_windows - mean).abs().max() > 0.01, "windows of the unflipped image give something else"
