"""Several bundles in one process: each runs its own scripts, though `scripts` is one module name a process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

TWO = """
import json, os, sys
sys.modules['mist_bundle'] = None
from monai.bundle import create_workflow
data, *runs = sys.argv[1:]
workflows = {}
for run in runs:
    bundle, output = run.split('::')
    if bundle not in workflows:
        workflows[bundle] = create_workflow(
            config_file=os.path.join(bundle, 'configs', 'inference.json'), workflow_type='inference',
            dataset_dir=data, output_dir=output, logging_file=False,
        )
    workflow = workflows[bundle]
    workflow.output_dir = output
    workflow.parser['output_dir'] = output
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    print('SCRIPTS', sys.modules['scripts.transforms.save'].__file__)
"""


def _run(data: Path, runs: list[tuple[Path, Path]], cwd: Path) -> list[Path]:
    """Predict with each bundle in turn, in one process; returns whose scripts each run used."""
    words = [f"{bundle}::{output}" for bundle, output in runs]
    command = [sys.executable, "-c", TWO, str(data), *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    files = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("SCRIPTS")]
    return [Path(file).parents[2] for file in files]


def _same_files(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.glob("*.nii.gz"))
    assert names
    assert names == sorted(path.name for path in other.glob("*.nii.gz"))
    return all(
        np.array_equal(np.asarray(nib.load(one / name).dataobj), np.asarray(nib.load(other / name).dataobj))
        for name in names
    )


@pytest.fixture
def other_bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A bundle of another plan, whose scripts are of another version: its label maps are marked with a label 7."""
    bundle = tmp_path / "other" / "other_segmentation"
    shutil.copytree(trained_bundle, bundle)
    for file in (bundle / "configs").glob("*.json"):
        text = file.read_text(encoding="utf-8")
        identity = json.loads((trained_bundle / "configs/plan.json").read_text())["bundle_id"]
        file.write_text(text.replace(identity, "another-identity"), encoding="utf-8")
    script = bundle / "scripts/transforms/save.py"
    text = script.read_text(encoding="utf-8")
    saved = "_file_array(as_volume(volume, key))"
    changed = text.replace(saved, f"{saved} * 0 + 7")
    assert changed != text
    script.write_text(changed, encoding="utf-8")
    return bundle


def test_each_bundle_runs_its_own_scripts(
    trained_bundle: Path, other_bundle: Path, phantom_json: Path, tmp_path: Path
) -> None:
    data = phantom_json.parent / "train"
    runs = [
        (trained_bundle, tmp_path / "first"),
        (other_bundle, tmp_path / "second"),
        (trained_bundle, tmp_path / "third"),
    ]
    used = _run(data, runs, tmp_path)
    assert used == [trained_bundle, other_bundle, trained_bundle]
    marked = [nib.load(path) for path in (tmp_path / "second").glob("*.nii.gz")]
    assert marked
    assert all(set(np.unique(np.asarray(image.dataobj))) == {7} for image in marked)
    assert _same_files(tmp_path / "first", tmp_path / "third")
    assert not any(7 in np.asarray(nib.load(path).dataobj) for path in (tmp_path / "first").glob("*.nii.gz"))


def test_bundles_of_the_same_scripts(trained_bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    copied = tmp_path / "moved" / trained_bundle.name
    shutil.copytree(trained_bundle, copied)
    data = phantom_json.parent / "train"
    used = _run(data, [(trained_bundle, tmp_path / "one"), (copied, tmp_path / "two")], tmp_path)
    assert used == [trained_bundle, copied]
    assert _same_files(tmp_path / "one", tmp_path / "two")
