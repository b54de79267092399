"""Weight files: averages by hand, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets import DynUNet
from safetensors.torch import save_file, save_model

from mist_bundle import pipeline
from mist_bundle.errors import InputError
from mist_bundle.transfer.tensors import average_weights, read_weights, write_weights


def _file(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_average_is_the_mean_in_float32(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=(3, 4)).astype(np.float32) for _ in range(3)]
    files = [
        _file(tmp_path / f"{index}.pt", {"w": torch.from_numpy(array), "steps": torch.tensor(10 + index)})
        for index, array in enumerate(arrays)
    ]
    mean = average_weights(files)
    assert mean["w"].dtype == torch.float32
    expected = np.mean(np.stack(arrays).astype(np.float64), axis=0).astype(np.float32)
    np.testing.assert_array_equal(mean["w"].numpy(), expected)
    assert mean["steps"] == torch.tensor(11)


def test_large_and_small_values_are_not_lost_on_the_way(tmp_path: Path) -> None:
    # in float32, 1e8 + 1 - 1e8 is 0
    values = [torch.tensor([1e8]), torch.tensor([1.0]), torch.tensor([-1e8])]
    files = [_file(tmp_path / f"{index}.pt", {"w": value}) for index, value in enumerate(values)]
    torch.testing.assert_close(average_weights(files)["w"], torch.tensor([1 / 3]))


def test_differences_are_all_named(tmp_path: Path) -> None:
    first = _file(tmp_path / "a.pt", {"w": torch.zeros(2), "b": torch.zeros(1)})
    shape = _file(tmp_path / "b.pt", {"w": torch.zeros(3), "b": torch.zeros(1)})
    names = _file(tmp_path / "c.pt", {"w": torch.zeros(2), "other": torch.zeros(1)})
    with pytest.raises(InputError) as caught:
        average_weights([first, shape, names])
    assert "w (3,) instead of (2,)" in str(caught.value)
    assert "lacks b" in str(caught.value)
    assert "has besides other" in str(caught.value)


def test_every_name_of_a_shared_tensor_is_read(tmp_path: Path) -> None:
    # DynUNet holds each layer twice, under its own name and in the chain of its skip connections
    network = DynUNet(3, 1, 2, [3] * 3, [1, 2, 2], [2, 2], filters=[4, 4, 4])
    save_model(network, str(tmp_path / "model.safetensors"))
    expected, found = network.state_dict(), read_weights(tmp_path / "model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_one_file_is_no_average(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two files"):
        average_weights([_file(tmp_path / "a.pt", {"w": torch.zeros(2)})])


def test_a_bundles_folds_and_safetensors(tmp_path: Path) -> None:
    models = tmp_path / "bundle" / "models"
    models.mkdir(parents=True)
    for fold in (0, 1):
        _file(models / f"fold_{fold}.pt", {"w": torch.full((2,), float(fold))})
    _file(models / "model.pt", {"w": torch.full((2,), 99.0)})
    output = tmp_path / "mean.safetensors"
    files = pipeline.average_weights([tmp_path / "bundle"], output)
    assert [file.name for file in files] == ["fold_0.pt", "fold_1.pt"]
    assert torch.equal(read_weights(output)["w"], torch.full((2,), 0.5))
    with pytest.raises(InputError, match="--overwrite"):
        pipeline.average_weights([tmp_path / "bundle"], output)
    with pytest.raises(InputError, match=r"expected a file ending in \.pt"):
        pipeline.average_weights([tmp_path / "bundle"], tmp_path / "mean.bin")


def test_weights_are_found_in_larger_checkpoints(tmp_path: Path) -> None:
    content = {"epoch": 3, "model": {"module.w": torch.ones(2)}}
    assert torch.equal(read_weights(_file(tmp_path / "a.pt", content))["w"], torch.ones(2))


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path(_Evil.target),))  # type: ignore[return-value]

    target = ""


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    _Evil.target = str(tmp_path / "executed")
    with pytest.raises(InputError, match="would run code on loading"):
        read_weights(_file(tmp_path / "evil.pt", {"w": _Evil()}))
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(InputError, match="not a torch archive"):
        read_weights(tmp_path / "bare.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"encrypted? " * 40])
def test_unreadable_files_are_one_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_weights(tmp_path / name)
    assert len(caught.value.problems) == 1
    assert name in str(caught.value)


def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="but the entries epoch"):
        read_weights(_file(tmp_path / "a.pt", {"epoch": 1}))


def test_shared_tensors_are_written(tmp_path: Path) -> None:
    shared = torch.ones(3)
    write_weights(tmp_path / "a.safetensors", {"one": shared, "two": shared})
    assert set(read_weights(tmp_path / "a.safetensors")) == {"one", "two"}
    save_file({"w": torch.zeros(1)}, tmp_path / "b.safetensors")
    assert torch.equal(read_weights(tmp_path / "b.safetensors")["w"], torch.zeros(1))


def test_weights_with_nan_are_refused_with_their_file(tmp_path: Path) -> None:
    torch.save({"weight": torch.tensor([1.0, float("nan")])}, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=r"bad\.pt.*holds NaN or infinite numbers in 1 of 1 tensors \(weight\)"):
        read_weights(tmp_path / "bad.pt")
