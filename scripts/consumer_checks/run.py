"""Run each consumer on a bundle and write what was seen to docs/consumers.md; started by scripts/consumers."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from environments import environment

import mist_bundle as mb
from mist_bundle.dataset.dicom_writing import write_dicom_series
from mist_bundle.sharing.segment_codes import code_of_name

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DATA = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared" / "data")) / "Task04_Hippocampus"
PAGE = ROOT / "docs" / "consumers.md"
RECORD = ROOT / "docs" / "consumers.json"
LABEL_CASES = 8
SITE_CASES, ROUNDS, STEPS = 20, 3, 200
MOST_APART = 0.005  # of the foreground: MONAI restores the grid in another order


@dataclass(frozen=True)
class Outcome:
    """What was seen of one consumer.

    Attributes:
        consumer: its name and version.
        was_run: the way that was gone.
        result: what was seen, with figures.
        passed: whether all of it is as it should be.
    """

    consumer: str
    was_run: str
    result: str
    passed: bool


def run(python: Path | str, *words: object, folder: Path | None = None) -> None:
    """Run a command; its output goes to the terminal."""
    subprocess.run([str(python), *(str(word) for word in words)], check=True, cwd=folder)


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def some_cases(work: Path) -> tuple[Path, Path]:
    """Folders of images and of labels."""
    images, labels = work / "images", work / "labels"
    for folder in (images, labels):
        folder.mkdir(parents=True)
    for image in sorted(DATA.glob("imagesTr/hippocampus_*.nii.gz"))[:LABEL_CASES]:
        shutil.copyfile(image, images / image.name)
        shutil.copyfile(DATA / "labelsTr" / image.name, labels / image.name)
    return images, labels


def single_model_prediction(bundle: Path, image: Path, work: Path) -> np.ndarray:
    """The label map of `predict` with model.pt alone, which is what a program with its own network shows."""
    table = work / "one.csv"
    channel = mb.Bundle(bundle).plan.channel_names[0]
    table.write_text(f"id,{channel}\nfirst,{image}\n", encoding="utf-8")
    run(sys.executable, "-m", "mist_bundle", "predict", bundle, "--input", table, "--output", work / "own",
        "--ensemble", "false")  # fmt: skip
    return np.asarray(nib.load(work / "own" / "first.nii.gz").dataobj)


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of every file of a bundle; what Python compiles is not its own."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def differing(first: np.ndarray, second: np.ndarray) -> int:
    """Voxels in which two label maps differ; all of them where the shapes do."""
    return int(np.count_nonzero(first != second)) if first.shape == second.shape else first.size


def label(bundle: Path, work: Path) -> Outcome:
    """MONAI Label: info, infer, another checkpoint, train, infer again."""
    images, labels = some_cases(work)
    kept = work / "label"
    kept.mkdir()
    run(environment("label"), HERE / "label.py", bundle, images, labels, kept, work / "label.json")
    seen = read(work / "label.json")
    first = sorted(images.iterdir())[0]
    own = single_model_prediction(bundle, first, work)
    apart = differing(own, np.asarray(nib.load(kept / "first.nii.gz").dataobj))
    others = [name for name, same in seen["same_as_default"].items() if not same]
    passed = (
        not apart
        and not seen["left_behind"]
        and seen["weights_changed"]
        and seen["voxels_changed_by_training"] > 0
        and len(others) == len(seen["same_as_default"])
    )
    result = (
        f"labels {', '.join(seen['labels'])}; {apart} voxels apart from `predict` with the same weights; "
        f"chosen checkpoints honoured: {', '.join(others) or 'none'}; training changes "
        f"{seen['voxels_changed_by_training']} voxels of the next inference; files left on the disk by an inference: "
        f"{len(seen['left_behind'])}"
    )
    return Outcome(
        f"MONAI Label {seen['version']}", "application monaibundle: info, infer, train, infer", result, passed
    )


def deploy(bundle: Path, work: Path) -> Outcome:
    """MONAI Deploy: its bundle operator on the bundle's folder, which it must leave as it was."""
    images, _ = some_cases(work)
    first = sorted(images.iterdir())[0]
    copy = work / "copy" / bundle.name
    shutil.copytree(bundle, copy)
    before = files_of(copy)
    run(environment("deploy"), HERE / "deploy.py", copy, first, work / "deploy", work / "deploy.json")
    seen = read(work / "deploy.json")
    own = single_model_prediction(bundle, first, work)
    # Deploy's images are indexed [z, y, x]
    apart = differing(own.T, np.load(work / "deploy" / "label_map.npy"))
    result = f"{seen['foreground_voxels']} foreground voxels, {apart} apart from `predict` with the same weights"
    untouched = files_of(copy) == before
    result += "; the folder is as it was" if untouched else "; the folder was CHANGED"
    way = "MonaiBundleInferenceOperator on the folder, NIfTI in"
    return Outcome(f"MONAI Deploy SDK {seen['version']}", way, result, apart == 0 and untouched)


def deploy_package(bundle: Path, work: Path) -> Outcome:
    """MONAI Deploy with the exported model.ts alone, which carries its configuration and has no scripts/ beside it."""
    images, _ = some_cases(work)
    first = sorted(images.iterdir())[0]
    run(sys.executable, "-m", "mist_bundle", "export", bundle, "--format", "torchscript", "--output", work / "package")
    model = work / "package" / "model.ts"
    run(environment("deploy"), HERE / "deploy.py", model, first, work / "deploy", work / "deploy.json")
    seen = read(work / "deploy.json")
    own = single_model_prediction(bundle, first, work)
    apart = differing(own.T, np.load(work / "deploy" / "label_map.npy"))
    result = f"{seen['foreground_voxels']} foreground voxels, {apart} apart from `predict` with the same weights"
    passed = apart <= MOST_APART * seen["foreground_voxels"]
    way = "MonaiBundleInferenceOperator on the exported model.ts, NIfTI in"
    return Outcome(f"MONAI Deploy SDK {seen['version']}, package", way, result, passed)


def deploy_dicom(bundle: Path, work: Path) -> Outcome:
    """MONAI Deploy from a DICOM series to DICOM-SEG, against `predict --output_format dicom_seg`."""
    image = nib.load(sorted(DATA.glob("imagesTr/hippocampus_*.nii.gz"))[0])
    series = work / "studies" / "first"
    write_dicom_series(series, np.asarray(image.dataobj), image.affine, modality="MR")
    plan, metadata = mb.Bundle(bundle).plan, mb.Bundle(bundle).metadata
    segments = []
    for name in plan.label_names[1:]:
        code = code_of_name(name)
        known = {"name": name, "category": code.category, "type": code.type}
        segments.append({**known, "algorithm": metadata["name"], "version": metadata["version"]})
    (work / "segments.json").write_text(json.dumps(segments), encoding="utf-8")
    words = (bundle, series, work / "segments.json", work / "deploy", work / "deploy.json")
    run(environment("deploy"), HERE / "deploy_dicom.py", *words)
    seen = read(work / "deploy.json")
    words = ("--input", series.parent, "--output", work / "own", "--output_format", "dicom_seg", "--ensemble", "false")
    run(sys.executable, "-m", "mist_bundle", "predict", bundle, *words)
    own, theirs = _pixels_by_source(work / "own" / "first.dcm", series), _pixels_by_source(Path(seen["file"]), series)
    apart = differing(own, theirs)
    result = (
        f"{np.count_nonzero(theirs)} segment pixels on {len(theirs)} source slices, read by highdicom; {apart} apart "
        "from `predict --output_format dicom_seg` with the same weights"
    )
    way = "loader, selector, series to volume, bundle inference and SEG writer; a DICOM series in, DICOM-SEG out"
    return Outcome(f"MONAI Deploy SDK {seen['version']}, DICOM", way, result, apart == 0 and bool(theirs.any()))


def _pixels_by_source(segmentation: Path, series: Path) -> np.ndarray:
    """(slices, rows, columns, segments) of a segmentation, in the order of the source's file names."""
    import highdicom as hd
    import pydicom

    instances = [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in sorted(series.iterdir())]
    read = hd.seg.segread(segmentation)
    return read.get_pixels_by_source_instance(instances, assert_missing_frames_are_empty=True)


def _site_settings(work: Path) -> tuple[dict[str, Any], Path]:
    """Two sites and a test set of the shared data, and a bundle configured at the first site."""
    for number, name in enumerate(("site-1", "site-2", "test")):
        words = ("convert_msd", "--source", DATA, "--output", work / name, "--start", number * SITE_CASES)
        run(sys.executable, "-m", "mist_bundle", *words, "--limit", SITE_CASES)
    sites = {}
    for name in ("site-1", "site-2"):
        made = mb.configure(work / name / "dataset.json", work / f"out_{name}", recipe="quick", folds=2)
        sites[name] = {
            "datalist": str(made.root / "configs" / "datalist.json"),
            "dataset_dir": str(work / name / "train"),
            "work_dir": str(work / f"work_{name}"),
        }
    bundle = next((work / "out_site-1").glob("*_segmentation"))
    settings = {
        "bundle": str(bundle),
        "work": str(work),
        "rounds": ROUNDS,
        "local_epochs": 1,
        "train": {"epochs": 1, "steps_per_epoch": STEPS, "fold": 0, "workers": 1},
        "sites": sites,
    }
    (work / "settings.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return settings, bundle


def fl(bundle: Path, work: Path) -> Outcome:
    """MONAI's federated client for three rounds: every round begins at the full rate and moves the weights."""
    del bundle  # two sites of real data, whose bundle is configured at the first
    _site_settings(work)
    run(environment("nvflare"), HERE / "federated_site.py", work / "settings.json", "site-1")
    seen = read(work / "site-1.json")
    rates = [round(rate, 6) for rate in seen["first_rate_of_round"]]
    moved = [round(distance, 1) for distance in seen["weights_moved_in_round"]]
    passed = min(rates[1:]) > rates[0] and min(moved) > 0.1 * max(moved)
    result = f"first rate of each round {rates}; distance that the weights moved {moved}"
    return Outcome("MONAI 1.6.1 MonaiAlgo", f"{ROUNDS} rounds of {STEPS} steps", result, passed)


def nvflare(bundle: Path, work: Path) -> Outcome:
    """NVFlare's simulator: two sites together against each alone, on cases of neither."""
    del bundle
    settings, site_bundle = _site_settings(work)
    python = environment("nvflare")
    for site in settings["sites"]:
        run(python, HERE / "federated_site.py", work / "settings.json", site)
    run(python, HERE / "nvflare_rounds.py", work / "settings.json")
    scores = {name: _mean_dice(site_bundle, work, name) for name in ("global", *settings["sites"])}
    alone = max(scores[site] for site in settings["sites"])
    result = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
    way = f"simulator, FedAvg, {ROUNDS} rounds, 2 sites of {SITE_CASES} cases; mean Dice on {SITE_CASES} other cases"
    return Outcome(f"NVFlare {read(work / 'nvflare.json')['version']}", way, result, scores["global"] > alone)


def _mean_dice(bundle: Path, work: Path, name: str) -> float:
    output, table = work / f"predictions_{name}", work / f"{name}.csv"
    words = ("--input", work / "test" / "train", "--output", output, "--ckpt_path", work / f"{name}.pt")
    run(sys.executable, "-m", "mist_bundle", "predict", bundle, *words)
    reference = work / "test" / "dataset.json"
    words = ("--reference", reference, "--prediction", output, "--output", table, "--metrics", "dice")
    run(sys.executable, "-m", "mist_bundle", "evaluate", *words)
    import pandas as pd

    rows = pd.read_csv(table)
    rows = rows[rows["id"].str.startswith("hippocampus")]
    return float(rows[[column for column in rows.columns if column.endswith("_dice")]].mean().mean())


CHECKS: dict[str, Callable[[Path, Path], Outcome]] = {
    check.__name__: check for check in (label, deploy, deploy_package, deploy_dicom, fl, nvflare)
}


def write_page(outcomes: dict[str, Outcome]) -> None:
    """docs/consumers.md from all outcomes that are on record."""
    record = read(RECORD) if RECORD.is_file() else {}
    record.update({name: asdict(outcome) for name, outcome in outcomes.items()})
    RECORD.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    rows = [
        f"| {entry['consumer']} | {entry['was_run']} | {'pass' if entry['passed'] else 'FAIL'} | {entry['result']} |"
        for entry in record.values()
    ]
    text = [
        "# Programs that use bundles",
        "",
        "Each program ran in an environment of its own; `scripts/consumer_checks/environments.py` has the versions.",
        "Label and Deploy ran the shipped hippocampus bundle; for the federated programs a bundle was configured.",
        "",
        "`scripts/consumers` repeats it; `scripts/consumers label` runs one of them.",
        "",
        "| program | what was run | | what was seen |",
        "|---|---|---|---|",
        *rows,
        "",
        "Programs that bring a network with its weights (Label, Deploy) predict with these weights alone. The ensemble",
        "of the folds is what `python -m monai.bundle run inference` and `mist-bundle predict` compute.",
    ]
    PAGE.write_text("\n".join(text) + "\n", encoding="utf-8")


def main() -> int:
    """Read the words, run the checks, write the page; 1 where one did not pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", nargs="?", default="all", choices=[*CHECKS, "all"])
    parser.add_argument("--bundle", type=Path, default=ROOT / "bundles" / "hippocampus_segmentation")
    words = parser.parse_args()
    if not DATA.is_dir():
        print(f"No real data at {DATA}; set MIST_BUNDLE_DATA to their folder.", file=sys.stderr)
        return 2
    outcomes = {}
    for name in CHECKS if words.check == "all" else (words.check,):
        with tempfile.TemporaryDirectory() as folder:
            outcomes[name] = CHECKS[name](words.bundle.absolute(), Path(folder))
        print(f"{name}: {'pass' if outcomes[name].passed else 'FAIL'}: {outcomes[name].result}", flush=True)
    write_page(outcomes)
    return 0 if all(outcome.passed for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
