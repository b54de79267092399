"""Dots along a block lattice in short trainings of `nnunet-subpixel`: components of each label, with and without ICNR.

    scripts/benchmark lattice [--epochs 2] [--steps 100] [--output lattice.json]

Trains the recipe `quick` on hippocampus cases 1 to 60 (Task04 of MIST_BUNDLE_DATA, default ../shared/data) twice, once
as it is and once without equal starting weights, predicts cases 161 to 180 without flips, and counts the connected
components of each label: a hippocampus has one anterior and one posterior part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import generate_binary_structure, label

ROOT = Path(__file__).resolve().parents[1]
LABELS = {1: "anterior", 2: "posterior"}
STARTS = {"equal weights in a block": {}, "as initialised": {"equal_start": False}}


def run(*words: object) -> None:
    """A verb of mist_bundle."""
    command = [sys.executable, "-m", "mist_bundle", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def components(folder: Path) -> dict[str, list[int]]:
    """Connected components (26 neighbours) of each label in each label map."""
    counts: dict[str, list[int]] = {name: [] for name in LABELS.values()}
    for path in sorted(folder.glob("*.nii.gz")):
        volume = np.asarray(nibabel.load(path).dataobj)
        for index, name in LABELS.items():
            counts[name].append(int(label(volume == index, generate_binary_structure(3, 3))[1]))
    return counts


def dice(reference: Path, predictions: Path) -> dict[str, float]:
    """Mean Dice of each label over the cases."""
    scores: dict[str, list[float]] = {name: [] for name in LABELS.values()}
    for path in sorted(predictions.glob("*.nii.gz")):
        predicted = np.asarray(nibabel.load(path).dataobj)
        truth = np.asarray(nibabel.load(reference / path.name.removesuffix(".nii.gz") / "mask.nii.gz").dataobj)
        for index, name in LABELS.items():
            both = np.sum((predicted == index) & (truth == index))
            scores[name].append(2 * float(both) / float(np.sum(predicted == index) + np.sum(truth == index)))
    return {name: round(statistics.fmean(values), 4) for name, values in scores.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--start", choices=list(STARTS), help="one of the two alone")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    data = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared/data")) / "Task04_Hippocampus"
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run("convert_msd", "--source", data, "--output", work / "learn", "--limit", 60)
        run("convert_msd", "--source", data, "--output", work / "test", "--start", 160, "--limit", 20)
        for number, (start, arguments) in enumerate(STARTS.items()):
            if options.start not in (None, start):
                continue
            asked = ["--network_arguments", json.dumps(arguments)] if arguments else []
            out = work / f"out{number}"
            run("autoconfig", work / "learn/dataset.json", "--output", out, "--recipe", "quick", *asked)
            bundle = next(path for path in out.iterdir() if (path / "configs").is_dir())
            run("train", bundle, "--fold", 0, "--epochs", options.epochs, "--steps_per_epoch", options.steps)
            run("predict", bundle, "--input", work / "test/train", "--output", out / "predictions", "--notta")
            found = components(out / "predictions")
            figures[start] = {
                "components": {name: round(statistics.fmean(counts), 1) for name, counts in found.items()},
                "most": {name: max(counts) for name, counts in found.items()},
                "dice": dice(work / "test/train", out / "predictions"),
            }
            sys.stdout.write(f"{start}: {json.dumps(figures[start])}\n")
            sys.stdout.flush()
    if options.output is not None:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
