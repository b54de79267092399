"""What carried weights are worth: a bundle of 60 hippocampus cases fine-tuned on 10 others, beside those 10 alone.

    scripts/benchmark finetune [--source_steps 400] [--steps 100] [--learning_rates 0.001 0.0002] [--work FOLDER]

Both trainings take the same number of steps of the same network on the same cases, hence the same time, and are scored
on 40 cases that none of the trainings has seen and on which no setting was chosen. The data are those of
MIST_BUNDLE_DATA (default ../shared/data). Some minutes.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS_PER_EPOCH = 25
SETTINGS = ["--recipe", "quick", "--network", "nnunet-subpixel-pocket", "--steps_per_epoch", str(STEPS_PER_EPOCH)]
NAME = "hippocampus_segmentation"
# first case and number of cases, in sorted order
PARTS = {"source": (0, 60), "new": (60, 10), "unseen": (100, 40)}


def verb(*words: object) -> float:
    """Run a verb of mist_bundle; its wall seconds."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "mist_bundle", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=ROOT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - begin


def train(bundle: Path) -> float:
    """Train fold 0; the wall seconds of the training, without the preprocessing."""
    verb("preprocess", bundle)
    return verb("train", bundle, "--fold", 0)


def scores(bundle: Path, work: Path) -> dict[str, float]:
    """Means over the unseen cases."""
    output = work / f"{bundle.parent.name}_predictions"
    cases = work / "unseen/train"
    verb("predict", bundle, "--input", cases, "--output", output, "--overwrite")
    pairs = work / f"{bundle.parent.name}_pairs.csv"
    rows = [
        [folder.name, next(folder.glob("mask*")), output / f"{folder.name}.nii.gz"]
        for folder in sorted(path for path in cases.iterdir() if path.is_dir())
    ]
    with pairs.open("w", newline="") as stream:
        csv.writer(stream).writerows([["id", "mask", "prediction"], *rows])
    results = work / f"{bundle.parent.name}_results.csv"
    verb(
        *("evaluate", "--paths", pairs, "--classes", work / "unseen/dataset.json"),
        *("--output", results, "--overwrite"),
    )
    with results.open(newline="") as stream:
        mean = next(row for row in csv.DictReader(stream) if row["id"] == "Mean")
    return {name: float(value) for name, value in mean.items() if name != "id"}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source_steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--learning_rates", type=float, nargs="+", default=[1e-3, 2e-4], help="of the fine-tuning")
    parser.add_argument("--work", type=Path, help="folder to keep; a temporary one by default")
    arguments = parser.parse_args()
    data = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared" / "data")) / "Task04_Hippocampus"
    if not data.is_dir():
        raise SystemExit(f"no {data}; set MIST_BUNDLE_DATA to the folder that holds Task04_Hippocampus")
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        for name, (start, count) in PARTS.items():
            verb(*("convert_msd", "--source", data, "--output", work / name, "--start", start, "--limit", count))
        settings = [*SETTINGS, "--epochs", arguments.source_steps // STEPS_PER_EPOCH]
        verb("autoconfig", work / "source/dataset.json", "--output", work / "of_60", *settings)
        train(work / "of_60" / NAME)
        settings = ["--steps_per_epoch", STEPS_PER_EPOCH, "--epochs", arguments.steps // STEPS_PER_EPOCH]
        verb("autoconfig", work / "new/dataset.json", "--output", work / "of_10", *SETTINGS[:4], *settings)
        tuned = {f"tuned at {rate:g}": rate for rate in arguments.learning_rates}
        for name, rate in tuned.items():
            own = [*settings, "--learning_rate", rate]
            verb("finetune", work / "of_60" / NAME, work / "new/dataset.json", "--output", work / name, *own)
        seconds = {name: train(work / name / NAME) for name in ("of_10", *tuned)}
        print(f"{arguments.steps} steps on 10 cases; the source: {arguments.source_steps} steps on 60 others")
        for name in ("of_10", *tuned, "of_60"):
            found = "  ".join(f"{key} {value:.3f}" for key, value in scores(work / name / NAME, work).items())
            print(f"  {name:<15} {seconds.get(name, 0):6.0f} s  {found}")


if __name__ == "__main__":
    main()
