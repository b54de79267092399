"""Versions whose order as text is their order as numbers, whatever is bumped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mist_bundle.bundle.manifest import differences, file_hashes
from mist_bundle.bundle.publish import REPLACED
from mist_bundle.errors import InputError
from mist_bundle.sharing.version import bump_version, next_version
from mist_bundle.trust.audit import require_audited


@pytest.mark.parametrize(
    ("version", "part", "expected"),
    [
        ("0.1.0", "patch", "0.1.1"),
        ("0.1.8", "patch", "0.2.0"),
        ("0.9.8", "patch", "1.0.0"),
        ("0.1.3", "minor", "0.2.0"),
        ("0.9.3", "minor", "1.0.0"),
        ("0.1.3", "major", "1.0.0"),
        ("0.1.9", "patch", "0.2.0"),
    ],
)
def test_next_version(version: str, part: str, expected: str) -> None:
    assert next_version(version, part) == expected


def test_all_versions_in_order_as_text_and_as_numbers() -> None:
    versions = ["0.0.1"]
    for _ in range(9 * 100 - 2):  # each of 100 minor versions has the patches 0 to 8
        versions.append(next_version(versions[-1], "patch"))
    assert versions[-1] == "9.9.8"
    with pytest.raises(InputError, match="is the last possible version"):
        next_version(versions[-1], "patch")
    assert versions == sorted(versions) == sorted(versions, key=lambda text: [int(part) for part in text.split(".")])
    assert all(int(b.replace(".", "")) - int(a.replace(".", "")) in (1, 2) for a, b in pairwise(versions))


@pytest.mark.parametrize("version", ["0.10.0", "1.0", "v1.0.0", "", "1.2.3.4"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(InputError, match="three digits"):
        next_version(version, "patch")


def test_bump_writes_changelog_and_manifest(own_bundle: Path) -> None:
    assert bump_version(own_bundle, "Trained on ten more cases.", "minor") == "0.2.0"
    metadata = json.loads((own_bundle / "configs/metadata.json").read_text())
    assert metadata["version"] == "0.2.0"
    assert metadata["changelog"]["0.2.0"] == "Trained on ten more cases."
    assert "0.1.0" in metadata["changelog"]
    assert json.loads((own_bundle / "MANIFEST.json").read_text())["files"] == file_hashes(own_bundle)


@pytest.mark.parametrize("name", ["plan.json", "datalist.json", "inference.json"])
def test_a_configuration_that_is_damaged_gets_no_new_manifest(own_bundle: Path, name: str) -> None:
    """The manifest would vouch for it."""
    path = own_bundle / "configs" / name
    path.write_bytes(path.read_bytes()[:100])
    before = file_hashes(own_bundle)
    with pytest.raises(InputError, match=f"{name}: is not valid JSON"):
        bump_version(own_bundle, "changed")
    assert file_hashes(own_bundle) == before


@pytest.mark.parametrize("content", ["[]", '{"version": "0.1.0", "changelog": ["0.1.0"]}'])
def test_metadata_of_another_form_are_refused(own_bundle: Path, content: str) -> None:
    (own_bundle / "configs/metadata.json").write_text(content)
    with pytest.raises(InputError, match="must hold a JSON object"):
        bump_version(own_bundle, "changed")


def test_without_message_or_part_nothing_is_written(own_bundle: Path) -> None:
    before = file_hashes(own_bundle)
    with pytest.raises(InputError, match="--message"):
        bump_version(own_bundle, "  ")
    with pytest.raises(InputError, match="--part"):
        bump_version(own_bundle, "x", "build")
    assert file_hashes(own_bundle) == before


def test_bump_adopts_weights_of_a_later_training(trained_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(trained_bundle, tmp_path / trained_bundle.name))
    postprocessing = {"strategy": [{"operation": "fill_holes"}], "derived_from": {"0": "a hash"}}
    (bundle / "configs/postprocessing.json").write_text(json.dumps(postprocessing))
    model = bundle / "models/model.pt"
    weights = {name: value.clone() + 1 for name, value in torch.load(model, weights_only=True).items()}
    torch.save(weights, model)
    with pytest.raises(InputError, match="mist-bundle bump"):
        require_audited(bundle)
    bump_version(bundle, "Trained further by MONAI Label.")
    require_audited(bundle)
    assert differences(bundle) == []
    copied = load_file(bundle / "models/model.safetensors")
    assert copied
    assert all(torch.equal(value, weights[name]) for name, value in copied.items())
    assert json.loads((bundle / "configs/metadata.json").read_text())["eval_metrics"] == {}
    assert json.loads((bundle / "configs/postprocessing.json").read_text())["strategy"] == []
    assert REPLACED in (bundle / "docs/README.md").read_text()


@pytest.mark.parametrize("content", ["text", "nan"])
def test_bump_refuses_weights_that_cannot_be_used(own_bundle: Path, content: str) -> None:
    model = own_bundle / "models/model.pt"
    model.write_bytes(b"former")
    bump_version(own_bundle, "It has weights.")
    if content == "nan":
        torch.save({"a": torch.full((2,), torch.nan)}, model)
    else:
        model.write_text("no weights")
    before = file_hashes(own_bundle)
    with pytest.raises(InputError, match=r"models/model\.pt"):
        bump_version(own_bundle, "Other weights.")
    assert file_hashes(own_bundle) == before


KILLED = """
import os, sys
from pathlib import Path
from mist_bundle.sharing.version import bump_version
steps = int(sys.argv[2])
def counted(function):
    def call(*arguments, **more):
        global steps
        if steps == 0:
            os.kill(os.getpid(), 9)
        steps -= 1
        return function(*arguments, **more)
    return call
for name in ('replace', 'unlink', 'fsync'):
    setattr(os, name, counted(getattr(os, name)))
bump_version(Path(sys.argv[1]), 'Other weights.')
"""


def test_killed_at_any_step_the_bundle_passes_its_audit(own_bundle: Path, tmp_path: Path) -> None:
    killed = 0
    for steps in range(50):
        copy = tmp_path / f"killed_{steps}" / own_bundle.name
        shutil.copytree(own_bundle, copy)
        words = [sys.executable, "-c", KILLED, str(copy), str(steps)]
        survived = subprocess.run(words, check=False).returncode == 0
        assert differences(copy) == [], f"killed at step {steps}"
        require_audited(copy)
        assert bump_version(copy, "Other weights.") in ("0.1.1", "0.1.2")
        assert json.loads((copy / "MANIFEST.json").read_text())["files"] == file_hashes(copy)
        if survived:
            break
        killed += 1
    assert killed >= 4
