"""Weights and arrays by their content."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mist_bundle.trust.audit.bundle_files import open_bundle
from mist_bundle.trust.audit.weight_files import check_weights


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in ("configs", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    return tmp_path


def _codes(bundle: Path, name: str) -> list[str]:
    return [finding.code for finding in check_weights(open_bundle(bundle), f"models/{name}")]


def test_plain_weights_pass(bundle: Path) -> None:
    weights = {"weight": torch.zeros(3), "bias": torch.ones(2, dtype=torch.int64)}
    torch.save(weights, bundle / "models/model.pt")
    save_file(weights, bundle / "models/model.safetensors")
    np.save(bundle / "models/array.npy", np.zeros(3))
    for name in ("model.pt", "model.safetensors", "array.npy"):
        assert _codes(bundle, name) == []


class _Call:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("called",)


@pytest.mark.parametrize("name", ["model.pt", "weights.pkl", "no_suffix"])
def test_a_bare_pickle_that_calls_something(bundle: Path, name: str) -> None:
    (bundle / "models" / name).write_bytes(pickle.dumps(_Call()))
    assert "pickle" in _codes(bundle, name)


def test_a_torch_archive_that_calls_something(bundle: Path) -> None:
    torch.save({"weight": torch.zeros(3), "extra": _Call()}, bundle / "models/model.pt")
    assert "pickle" in _codes(bundle, "model.pt")


def test_objects_in_an_array(bundle: Path) -> None:
    np.save(bundle / "models/array.npy", np.array([_Call()], dtype=object), allow_pickle=True)
    assert _codes(bundle, "array.npy")


def test_an_archive_with_a_foreign_member(bundle: Path) -> None:
    path = bundle / "models/model.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("os.py", "")
    assert "archive-member" in _codes(bundle, "model.pt")


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.safetensors", b"\xff" * 20), ("model.ts", b"no zip"), ("model.pt", b"PK\x03\x04 cut")],
)
def test_broken_files(bundle: Path, name: str, content: bytes) -> None:
    (bundle / "models" / name).write_bytes(content)
    assert _codes(bundle, name) == ["weights-broken"]


def _torchscript(code: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model/code/__torch__.py", code)
        archive.writestr("model/constants.pkl", pickle.dumps(()))
        archive.writestr("model/version", "3")
    return stream.getvalue()


def test_a_program_is_noted_and_its_file_operations_are_named(bundle: Path) -> None:
    path = bundle / "models/model.ts"
    path.write_bytes(_torchscript("def forward(self, x):\n    return torch.relu(x)\n"))
    assert _codes(bundle, "model.ts") == ["program"]
    path.write_bytes(_torchscript("def forward(self, x):\n    return torch.from_file('/etc/passwd')\n"))
    assert "torchscript" in _codes(bundle, "model.ts")
    path.write_bytes(_torchscript("def forward(self, x) -> %%:\n    return open('/etc/passwd')\n"))
    assert "torchscript" in _codes(bundle, "model.ts"), "words are searched where the text is not Python's"
