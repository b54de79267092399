"""Small lesions: how many does a short training find, as it is, with instances balanced, and with the blob loss too?

    scripts/benchmark lesions [--steps 400] [--cases 40] [--output lesions.json]

Trains the recipe `quick` on synthetic metastases with each of the settings for the same number of steps, predicts other
cases without flips, and counts the lesions that the prediction touches, by size, and predicted components that touch
none. Seconds are processor seconds of the training.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from scipy.ndimage import label as components

ROOT = Path(__file__).resolve().parents[1]
TEST_CASES = 30
SMALL_VOXELS = 60
NEIGHBOURS = np.ones((3, 3, 3))
SETTINGS = {
    "default": [],
    "instances balanced": ["--patch_sampling", "instance"],
    "instances balanced, blob loss": ["--patch_sampling", "instance", "--loss", "blob"],
}


def run(*words: object) -> None:
    """A verb of mist_bundle."""
    command = [sys.executable, "-m", "mist_bundle", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def detection(references: Path, predictions: Path) -> dict[str, Any]:
    """Lesions found and missed, small and all, false components, and mean Dice over the cases."""
    found = missed = small_found = small = false = 0
    dice = []
    for path in sorted(predictions.glob("*.nii.gz")):
        predicted = np.asarray(nibabel.load(path).dataobj) > 0
        truth = np.asarray(nibabel.load(references / path.name.removesuffix(".nii.gz") / "mask.nii.gz").dataobj)
        truth = truth.reshape(predicted.shape) > 0
        lesions, count = components(truth, NEIGHBOURS)
        for number in range(1, count + 1):
            lesion = lesions == number
            is_found = bool(predicted[lesion].any())
            found += is_found
            missed += not is_found
            if lesion.sum() <= SMALL_VOXELS:
                small += 1
                small_found += is_found
        parts, count = components(predicted, NEIGHBOURS)
        touching = len(set(np.unique(parts[truth])) - {0})
        false += count - touching
        dice.append(2 * float((predicted & truth).sum()) / max(1, int(predicted.sum() + truth.sum())))
    return {
        "found": found,
        "of": found + missed,
        "small_found": small_found,
        "small": small,
        "false": false,
        "f1": round(2 * found / (2 * found + missed + false), 3),
        "dice": round(float(np.mean(dice)), 3),
    }


def main() -> None:
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run("phantom", work / "data", "--kind", "metastases", "--cases", options.cases, "--test_cases", TEST_CASES)
        for number, (name, words) in enumerate(SETTINGS.items()):
            out = work / f"out{number}"
            planned = ["--recipe", "quick", "--patch_size", 32, "--epochs", 4, "--steps_per_epoch", options.steps // 4]
            run("autoconfig", work / "data/dataset.json", "--output", out, *planned, *words)
            bundle = next(path for path in out.iterdir() if (path / "configs").is_dir())
            before = _processor_seconds()
            run("train", bundle, "--fold", 0)
            seconds = round(_processor_seconds() - before)
            run("predict", bundle, "--input", work / "data/test", "--output", out / "predictions", "--notta")
            figures[name] = {**detection(work / "data/test", out / "predictions"), "seconds": seconds}
            sys.stdout.write(f"{name}: {json.dumps(figures[name])}\n")
            sys.stdout.flush()
    if options.output is not None:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
