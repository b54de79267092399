"""Time per case of scoring Dice, HD95, surface Dice and average surface distance, beside mist-medical, surface-distance
and MONAI's own metrics in the same run.

    scripts/peer_environment FOLDER
    PEER_PYTHON=FOLDER/bin/python .venv/bin/python scripts/benchmark_evaluation.py [--data FOLDER] [--repeats 3]

Label maps of FOLDER (NIfTI files called seg or mask, or in a folder labelsTr) are taken as references; predictions are
made from them by a blurred random field that moves the outline by a voxel or two, and a few islands. All programs read
the same files, one case after the other in one process, on one thread; start-up is not counted. Seconds are given by
the wall clock and of the processor: on a busy machine only the latter say much. PEER_PYTHON names an interpreter that
can import the peers; those that it lacks are left out.
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

# each peer: a program that is given a request and times `score(reference, prediction)` of each pair
PEER_PROGRAM = """
import json, sys, time
import nibabel as nib
import numpy as np
request = json.load(open(sys.argv[1]))
classes = request["classes"]

def masks(path):
    label = np.asarray(nib.load(path).dataobj)
    return [np.isin(label, labels) for labels in classes.values()], nib.load(path).header.get_zooms()[:3]

{score}

seconds, rows = {{}}, {{}}
for pair in [request["pairs"][0], *request["pairs"]]:  # the first twice: imports and tables
    times = []
    for _ in range(request["repeats"]):
        start = time.perf_counter(), time.process_time()
        row = score(pair)
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    seconds[pair["id"]] = [min(one[clock] for one in times) for clock in (0, 1)]
    rows[pair["id"]] = row
json.dump({{"seconds": seconds, "rows": rows}}, open(request["answer"], "w"))
"""

MIST_SCORE = """
import pandas as pd
from mist.evaluation.evaluator import Evaluator
NAMES = {"dice": "dice", "haus95": "hd95", "surf_dice": "surface_dice", "avg_surf": "average_surface_distance"}
METRICS = {"dice": {}, "haus95": {}, "surf_dice": {"tolerance": 1.0}, "avg_surf": {}}
evaluator = Evaluator(
    pd.DataFrame(request["pairs"]),
    {name: {"labels": labels, "metrics": METRICS} for name, labels in classes.items()},
    request["answer"] + ".csv",
)
def score(pair):
    row, errors = evaluator._evaluate_patient_pipeline(pair["id"])
    assert errors is None, errors
    return {f"{one}_{own}": float(row[f"{one}_{name}"]) for one in classes for name, own in NAMES.items()}
"""

SURFACE_DISTANCE_SCORE = """
from surface_distance import metrics
def score(pair):
    (references, spacing), (predictions, _) = masks(pair["mask"]), masks(pair["prediction"])
    row = {}
    for name, reference, prediction in zip(classes, references, predictions):
        distances = metrics.compute_surface_distances(reference, prediction, spacing)
        one, other = metrics.compute_average_surface_distance(distances)
        row[f"{name}_dice"] = float(metrics.compute_dice_coefficient(reference, prediction))
        row[f"{name}_hd95"] = float(metrics.compute_robust_hausdorff(distances, 95))
        row[f"{name}_surface_dice"] = float(metrics.compute_surface_dice_at_tolerance(distances, 1.0))
        row[f"{name}_average_surface_distance"] = float((one + other) / 2)
    return row
"""

MONAI_SCORE = """
import torch
from monai import metrics
def score(pair):
    (references, spacing), (predictions, _) = masks(pair["mask"]), masks(pair["prediction"])
    y, p = (torch.from_numpy(np.stack(one))[None].float() for one in (references, predictions))
    spacing = [float(size) for size in spacing]
    told = {
        "dice": metrics.DiceMetric(include_background=True)(p, y),
        "hd95": metrics.compute_hausdorff_distance(p, y, include_background=True, percentile=95, spacing=spacing),
        "surface_dice": metrics.compute_surface_dice(
            p, y, [1.0] * len(classes), include_background=True, spacing=spacing
        ),
        "average_surface_distance": metrics.compute_average_surface_distance(
            p, y, include_background=True, symmetric=True, spacing=spacing
        ),
    }
    row = {}
    for metric, values in told.items():
        row.update({f"{name}_{metric}": float(value) for name, value in zip(classes, values[0])})
    return row
"""
PEERS = {"mist-medical": MIST_SCORE, "surface-distance": SURFACE_DISTANCE_SCORE, "MONAI": MONAI_SCORE}


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


def peer_seconds(python: str, name: str, request: dict, folder: Path) -> tuple[dict, dict] | None:
    """The same by a peer in an interpreter of its own; None where it cannot be imported, and says why."""
    request_file, answer = folder / f"{name}.json", folder / f"{name}_answer.json"
    request_file.write_text(json.dumps({**request, "answer": str(answer)}))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program = PEER_PROGRAM.format(score=PEERS[name])
    done = subprocess.run([python, "-c", program, str(request_file)], env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{name:<17} not measured: {done.stderr.strip().splitlines()[-1]}")
        return None
    content = json.loads(answer.read_text())
    return content["seconds"], content["rows"]


def request_for(pairs: list[Pair], classes: dict, repeats: int) -> dict:
    """What a peer's program is told."""
    return {
        "pairs": [{"id": one.id, "mask": str(one.reference), "prediction": str(one.prediction)} for one in pairs],
        "classes": {one: list(labels) for one, labels in classes.items()},
        "repeats": repeats,
    }


def mean_processor(seconds: dict) -> float:
    """Mean over the cases of the processor's seconds."""
    return statistics.mean(processor for _, processor in seconds.values())


def _line(name: str, seconds: dict) -> str:
    wall, processor = (statistics.mean(one[clock] for one in seconds.values()) for clock in (0, 1))
    return f"{name:<17} {wall:.4f} s a case by the wall clock, {processor:.4f} s of the processor"


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
        python = os.environ.get("PEER_PYTHON", sys.executable)
        request = request_for(pairs, classes, options.repeats)
        for peer in PEERS:
            measured = peer_seconds(python, peer, request, folder)
            if measured is not None:
                _compare(peer, own, own_rows, *measured, list(classes))


def _compare(peer: str, own: dict, own_rows: dict, theirs: dict, their_rows: dict, classes: list) -> None:
    """Print the times of a peer, how many times as long it took, and how far its scores lie from ours."""
    print(_line(peer, theirs))
    for clock, name in enumerate(("wall", "processor")):
        total = sum(one[clock] for one in own.values()) / sum(one[clock] for one in theirs.values())
        print(f"{'':<17} ours / theirs {total:.3f} {name}")
    apart = {}
    for metric in OWN:
        columns = [f"{one}_{metric}" for one in classes]
        gaps = [abs(own_rows[case][one] - their_rows[case][one]) for case in own_rows for one in columns]
        apart[metric] = max(gap for gap in gaps if gap == gap)
    print(f"{'':<17} largest difference " + ", ".join(f"{metric} {value:.1e}" for metric, value in apart.items()))


if __name__ == "__main__":
    main()
