"""The safetensors copy of published weights: the same bytes from the same weights, and the same tensors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_model

from mist_bundle.bundle.manifest import differences, write_manifest
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.publish_weights import model_files, publish_fold, write_safetensors

WRITE = (
    "import sys\nfrom pathlib import Path\nfrom mist_bundle.runtime.folds.publish_weights import write_safetensors\n"
    "write_safetensors(Path(sys.argv[1]), Path(sys.argv[2]))"
)


class Twice(torch.nn.Module):
    """Layers that go by several names each, as DynUNet's do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(2, 3) for _ in range(12))
        self.again = torch.nn.ModuleList(reversed(self.layers))


def test_the_same_weights_give_the_same_file_in_every_process(tmp_path: Path) -> None:
    network = Twice()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    digests = set()
    for number in range(3):
        words = [sys.executable, "-c", WRITE, str(tmp_path / "model.pt"), str(tmp_path / f"{number}.safetensors")]
        subprocess.run(words, check=True)
        digests.add(sha256_of(tmp_path / f"{number}.safetensors"))
    assert len(digests) == 1


def test_it_is_read_by_its_own_package(tmp_path: Path) -> None:
    network, other = Twice(), Twice()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    written = write_safetensors(tmp_path / "model.pt", tmp_path / "model.safetensors")
    assert written is not None
    load_model(other, str(written))
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def _kept(models: Path) -> list[str]:
    return [path.name for path in models.glob("model_*.pt")]


def test_weights_that_no_fold_has_are_kept(tmp_path: Path) -> None:
    bundle, fold_dir = tmp_path / "toy", tmp_path / "toy_work/fold_0"
    models = bundle / "models"
    for folder in (models, fold_dir):
        folder.mkdir(parents=True)
    torch.save({"a": torch.zeros(2)}, fold_dir / "best.pt")
    best = {"file": "best.pt", "sha256": sha256_of(fold_dir / "best.pt")}
    (fold_dir / "status.json").write_text(json.dumps({"best": best, "best_score": 0.5}))
    write_manifest(bundle)
    publish_fold(fold_dir, models / "fold_0.pt")
    assert not _kept(models)
    torch.save({"a": torch.ones(2)}, models / "model.pt")
    later = sha256_of(models / "model.pt")
    changed = publish_fold(fold_dir, models / "fold_0.pt")
    assert sha256_of(models / f"model_{later[:8]}.pt") == later
    assert f"models/model_{later[:8]}.pt" in changed
    assert sha256_of(models / "model.pt") == best["sha256"]
    publish_fold(fold_dir, models / "fold_0.pt")
    assert _kept(models) == [f"model_{later[:8]}.pt"]
    torch.save({"a": torch.full((2,), 5.0)}, models / "model.pt")
    own = sha256_of(models / "model.pt")
    files = model_files(models, fold_dir / "best.pt", tmp_path, own)
    assert f"models/model_{own[:8]}.pt" not in files, "the caller's own weights"
    assert f"models/model_{own[:8]}.pt" in model_files(models, fold_dir / "best.pt", tmp_path)
    publish_fold(fold_dir, models / "fold_0.pt")
    assert differences(bundle) == []
