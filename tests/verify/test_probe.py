"""Steps that MONAI runs with a bundle, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mist_bundle.verify import probe
from mist_bundle.verify.run import STEPS


def test_the_verification_takes_every_step() -> None:
    assert set(probe.STEPS) == set(STEPS)
    assert all(step.__doc__ for step in probe.STEPS.values())


def _run(step: str, settings: dict[str, object], folder: Path) -> tuple[int, str, str]:
    file, result = folder / "settings.json", folder / "result.json"
    file.write_text(json.dumps({"working_folder": str(folder), **settings}))
    words = [sys.executable, "-m", "mist_bundle.verify.probe", step, str(file), str(result)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    reason = json.loads(result.read_text())["reason"] if result.is_file() else ""
    return done.returncode, reason, done.stderr


def test_a_target_that_cannot_be_imported(fresh_bundle: Path, tmp_path: Path) -> None:
    good = {"bundle": str(fresh_bundle), "targets": ["torch.nn.Identity", "DynUNet"]}
    assert _run("targets", good, tmp_path)[:2] == (0, "2 targets import.")
    (tmp_path / "result.json").unlink()
    code, reason, errors = _run("targets", {**good, "targets": ["monai.no.such.Thing"]}, tmp_path)
    assert code != 0
    assert not reason, "no result file says that the step failed"
    assert "monai.no.such.Thing cannot be imported" in errors


@pytest.mark.slow
def test_weights_that_differ_from_their_copy_are_named(trained_bundle: Path, own_bundle: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = torch.load(trained_bundle / "models/model.pt", weights_only=True)
    (own_bundle / "models").mkdir(exist_ok=True)
    torch.save(state, own_bundle / "models/model.pt")
    settings: dict[str, object] = {"bundle": str(own_bundle)}
    assert _run("weights", settings, tmp_path)[1] == f"{len(state)} tensors of model.pt load strictly."
    first = next(iter(state))
    changed = {name: value + float(name == first) for name, value in state.items()}
    save_file(changed, own_bundle / "models/model.safetensors")
    (tmp_path / "result.json").unlink()
    assert f"model.safetensors and model.pt differ in {first}" in _run("weights", settings, tmp_path)[2]
