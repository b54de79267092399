"""Time per case of scoring Dice, HD95, surface Dice and average surface distance; mist-medical's where it is there.

    .venv/bin/python scripts/benchmark_evaluation.py [--data FOLDER] [--repeats 3]

Label maps of FOLDER (NIfTI files called seg or mask, or in a folder labelsTr) are taken as references; predictions are
made from them by a blurred random field that moves the outline by a voxel or two, and a few
islands. Both programs read the same files, one case after the other in one process; start-up is not counted.
Seconds are given by the wall clock and of the processor: on a busy machine only the latter say much.
MIST_PYTHON names an interpreter that can import mist-medical.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mist_bundle.evaluation.pairs import Pair
from mist_bundle.evaluation.score import ScoreSettings, score_pair

OWN = ("dice", "hd95", "surface_dice", "average_surface_distance")
THEIRS = {"dice": {}, "haus95": {}, "surf_dice": {"tolerance": 1.0}, "avg_surf": {}}

MIST_PROGRAM = """
import json, sys, time
import pandas as pd
from mist.evaluation.evaluator import Evaluator
request = json.load(open(sys.argv[1]))
evaluator = Evaluator(pd.DataFrame(request["pairs"]), request["classes"], request["output"])
evaluator._evaluate_patient_pipeline(request["pairs"][0]["id"])  # imports and tables
seconds, rows = {}, {}
for name in evaluator.filepaths_dataframe.index:
    times = []
    for _ in range(request["repeats"]):
        start = time.perf_counter(), time.process_time()
        row, errors = evaluator._evaluate_patient_pipeline(name)
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        assert errors is None, errors
    seconds[name] = [min(one[clock] for one in times) for clock in (0, 1)]
    rows[name] = {k: float(v) for k, v in row.items() if k != "id"}
json.dump({"seconds": seconds, "rows": rows}, open(request["answer"], "w"))
"""


def perturbed(label: np.ndarray, seed: int) -> np.ndarray:
    """A label map whose outlines lie a voxel or two beside those of the given one, with three islands."""
    generator = np.random.default_rng(seed)
    result = np.zeros_like(label)
    values = [value for value in np.unique(label) if value]
    for value in values:
        used = ndimage.find_objects((label == value).astype(np.uint8))[0]
        part = tuple(slice(max(0, one.start - 4), one.stop + 4) for one in used)
        mask = label[part] == value
        noise = ndimage.gaussian_filter(generator.normal(size=mask.shape), 2)
        depth = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
        result[part][depth + 1.2 * noise / noise.std() > 0] = value
    for _ in range(3):
        start = [int(generator.integers(1, max(2, size - 4))) for size in label.shape]
        result[tuple(slice(one, one + 3) for one in start)] = generator.choice(values)
    return result


def make_pairs(data: Path, folder: Path, limit: int) -> tuple[list[Pair], tuple[int, ...]]:
    """Write the predictions; returns the pairs and all label values."""
    names = [path for path in sorted(data.rglob("*.nii.gz")) if not path.name.startswith(".")]
    chosen = [path for path in names if path.parent.name == "labelsTr" or {"seg", "mask"} & set(path.stem.split("."))]
    pairs, values = [], set()
    for index, path in enumerate(chosen[:limit]):
        image = nib.load(path)
        label = np.asarray(image.dataobj).astype(np.uint8)
        values |= set(np.unique(label).tolist()) - {0}
        name = f"case_{index:03d}"
        files = [folder / f"{name}_{role}.nii.gz" for role in ("reference", "prediction")]
        for file, array in zip(files, (label, perturbed(label, index)), strict=True):
            nib.save(nib.Nifti1Image(array, image.affine), file)
        pairs.append(Pair(id=name, reference=files[0], prediction=files[1]))
    if not pairs:
        raise SystemExit(f"{data} holds no label maps; name another folder with --data.")
    return pairs, tuple(sorted(values))


def own_seconds(pairs: list[Pair], settings: ScoreSettings, repeats: int) -> tuple[dict, dict]:
    """Best wall and processor time, and the scores, of each case."""
    score_pair(pairs[0], settings)  # imports and tables
    seconds, rows = {}, {}
    for pair in pairs:
        times = []
        for _ in range(repeats):
            start = time.perf_counter(), time.process_time()
            scored = score_pair(pair, settings)
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        seconds[pair.id] = [min(one[clock] for one in times) for clock in (0, 1)]
        rows[pair.id] = scored.scores
    return seconds, rows


def mist_seconds(python: str, pairs: list[Pair], classes: dict, repeats: int, folder: Path) -> tuple[dict, dict]:
    """The same by mist-medical, in an interpreter of its own."""
    request = {
        "pairs": [{"id": one.id, "mask": str(one.reference), "prediction": str(one.prediction)} for one in pairs],
        "classes": {name: {"labels": list(labels), "metrics": THEIRS} for name, labels in classes.items()},
        "output": str(folder / "mist.csv"),
        "answer": str(folder / "answer.json"),
        "repeats": repeats,
    }
    (folder / "request.json").write_text(json.dumps(request))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([python, "-c", MIST_PROGRAM, str(folder / "request.json")], check=True, env=environment)
    answer = json.loads((folder / "answer.json").read_text())
    return answer["seconds"], answer["rows"]


def _line(name: str, seconds: dict) -> str:
    wall, processor = (statistics.mean(one[clock] for one in seconds.values()) for clock in (0, 1))
    return f"{name:<13} {wall:.4f} s a case by the wall clock, {processor:.4f} s of the processor"


def main() -> None:
    """Measure and print."""
    default = Path(os.environ.get("MIST_BUNDLE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=default / "brats_sample")
    parser.add_argument("--limit", type=int, default=10, help="cases")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many runs of each case counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs, values = make_pairs(options.data, folder, options.limit)
        classes = {"whole": values, **{f"label_{value}": (value,) for value in values}}
        own, own_rows = own_seconds(pairs, ScoreSettings(final_classes=classes, metrics=OWN), options.repeats)
        print(f"{len(pairs)} cases of {options.data}, {len(classes)} classes, {len(OWN)} metrics")
        print(_line("mist_bundle", own))
        python = os.environ.get("MIST_PYTHON")
        if not python:
            print("mist-medical  not measured; name its interpreter in MIST_PYTHON")
            return
        theirs, their_rows = mist_seconds(python, pairs, classes, options.repeats, folder)
        print(_line("mist-medical", theirs))
        for clock, name in enumerate(("wall", "processor")):
            ratios = [theirs[one][clock] / own[one][clock] for one in own]
            total = sum(one[clock] for one in theirs.values()) / sum(one[clock] for one in own.values())
            print(f"ratio         {total:.1f} {name} (single cases {min(ratios):.1f} to {max(ratios):.1f})")
        names = dict(zip(OWN, THEIRS, strict=True))
        apart = {
            metric: max(
                abs(own_rows[case][f"{one}_{metric}"] - their_rows[case][f"{one}_{names[metric]}"])
                for case in own_rows
                for one in classes
            )
            for metric in OWN
        }
        print("largest difference  " + ", ".join(f"{metric} {value:.1e}" for metric, value in apart.items()))


if __name__ == "__main__":
    main()
