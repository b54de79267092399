"""Run each consumer on a bundle and write what was seen to docs/consumers.md; started by scripts/consumers."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from common import (
    DATA,
    HERE,
    ROOT,
    Outcome,
    differing,
    files_of,
    first_image,
    mist_bundle,
    read,
    run,
    single_model_prediction,
    some_cases,
)
from environments import environment
from exchange import hf, signing, triton, zoo

import mist_bundle as mb
from mist_bundle.dataset.dicom_writing import write_dicom_series
from mist_bundle.sharing.segment_codes import code_of_name

PAGE = ROOT / "docs" / "consumers.md"
RECORD = ROOT / "docs" / "consumers.json"
SITE_CASES, ROUNDS, STEPS = 20, 3, 200
MOST_APART = 0.005  # of the foreground: MONAI restores the grid in another order
SHIPPED, FRESH = "shipped", "fresh"
# of autoconfig, for the bundle that is trained here: the default network, and a short training
FRESH_CASES = 12
FRESH_OPTIONS = ("--folds", "2", "--epochs", "2", "--steps_per_epoch", "10")


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
    # a checkpoint that is a copy of model.pt predicts as it does, and every other one otherwise
    model = (bundle / "models" / "model.pt").read_bytes()
    honoured = []
    for name, same in seen["same_as_default"].items():
        if same == ((bundle / "models" / name).read_bytes() == model):
            honoured.append(f"{name} (as model.pt)" if same else name)
    passed = (
        not apart
        and not seen["left_behind"]
        and seen["weights_changed"]
        and seen["voxels_changed_by_training"] > 0
        and len(honoured) == len(seen["same_as_default"])
    )
    result = (
        f"labels {', '.join(seen['labels'])}; {apart} voxels apart from `predict` with the same weights; "
        f"chosen checkpoints honoured: {', '.join(honoured) or 'none'}; training changes "
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
    mist_bundle("export", bundle, "--format", "torchscript", "--output", work / "package")
    model = work / "package" / "model.ts"
    run(environment("deploy"), HERE / "deploy.py", model, first, work / "deploy", work / "deploy.json")
    seen = read(work / "deploy.json")
    own = single_model_prediction(bundle, first, work, precision="fp32", tta=False)
    apart = differing(own.T, np.load(work / "deploy" / "label_map.npy"))
    how = "`predict` with the same weights, in fp32 and without flips"
    result = f"{seen['foreground_voxels']} foreground voxels, {apart} apart from {how}"
    passed = apart <= MOST_APART * seen["foreground_voxels"]
    way = "MonaiBundleInferenceOperator on the exported model.ts, NIfTI in"
    return Outcome(f"MONAI Deploy SDK {seen['version']}, package", way, result, passed)


def deploy_dicom(bundle: Path, work: Path) -> Outcome:
    """MONAI Deploy from a DICOM series to DICOM-SEG, against `predict --output_format dicom_seg`."""
    image = nib.load(first_image())
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
    mist_bundle("predict", bundle, *words)
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
        mist_bundle(*words, "--limit", SITE_CASES)
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
    equal, received = seen["equal_to_the_last"], seen["tensors_received"]
    given = equal["fl_final_model"] and min(received.values()) > 0
    passed = min(rates[1:]) > rates[0] and min(moved) > 0.1 * max(moved) and given
    final = "equal to" if equal["fl_final_model"] else "OTHERS than"
    result = (
        f"first rate of each round {rates}; distance that the weights moved {moved}; FINAL_MODEL gives "
        f"{received['fl_final_model']} tensors, {final} those of the last round; BEST_MODEL gives "
        f"{received['fl_best_model']}"
    )
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
    mist_bundle("predict", bundle, *words)
    reference = work / "test" / "dataset.json"
    words = ("--reference", reference, "--prediction", output, "--output", table, "--metrics", "dice")
    mist_bundle("evaluate", *words)
    import pandas as pd

    rows = pd.read_csv(table)
    rows = rows[rows["id"].str.startswith("hippocampus")]
    return float(rows[[column for column in rows.columns if column.endswith("_dice")]].mean().mean())


CHECKS: dict[str, Callable[[Path, Path], Outcome]] = {
    check.__name__: check
    for check in (label, deploy, deploy_package, deploy_dicom, fl, nvflare, zoo, hf, signing, triton)
}
# these configure a bundle at a site of their own, so that there is nothing to run twice
OWN_BUNDLE = ("fl", "nvflare")


def fresh_bundle(work: Path) -> Path:
    """A bundle of the default network, trained here for a few steps."""
    mist_bundle("convert_msd", "--source", DATA, "--output", work / "data", "--limit", FRESH_CASES)
    mist_bundle("autoconfig", work / "data" / "dataset.json", "--output", work / "bundles", *FRESH_OPTIONS)
    (bundle,) = (work / "bundles").glob("*_segmentation")
    mist_bundle("train", bundle, "--fold", "all")
    mist_bundle("evaluate", bundle, "--fold", "all")
    mist_bundle("finalize", bundle)
    return bundle


def write_page(outcomes: dict[str, dict[str, Outcome]]) -> None:
    """docs/consumers.md from all outcomes that are on record: kind of bundle -> check -> outcome."""
    record = read(RECORD) if RECORD.is_file() else {}
    for kind, seen in outcomes.items():
        record.setdefault(kind, {}).update({name: asdict(outcome) for name, outcome in seen.items()})
    RECORD.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    text = [
        "# Programs that use bundles",
        "",
        "Each program ran in an environment of its own; `scripts/consumer_checks/environments.py` has the versions.",
        "",
        "- *Shipped*: the hippocampus bundle of this repository. For the federated programs a bundle was configured at",
        "  the first site.",
        f"- *Fresh*: the default network, trained there and then on {FRESH_CASES} hippocampi, with",
        f"  `{' '.join(FRESH_OPTIONS)}`.",
        "",
        "`scripts/consumers` repeats it; `scripts/consumers label --trained fresh` runs one of them on a fresh bundle.",
        "",
        "| program | what was run | shipped | fresh |",
        "|---|---|---|---|",
        *_rows(record),
        "",
        "Programs that bring a network with its weights (Label, Deploy, Triton) predict with these weights alone. The",
        "ensemble of the folds is what `python -m monai.bundle run inference` and `mist-bundle predict` compute, until",
        "such a program has trained `model.pt` further: that file then [predicts by itself](predicting.md).",
    ]
    PAGE.write_text("\n".join(text) + "\n", encoding="utf-8")


def _rows(record: dict[str, Any]) -> list[str]:
    """A line for each check that is on record, in the order of CHECKS."""
    rows = []
    for name in CHECKS:
        found = [record.get(kind, {}).get(name) for kind in (SHIPPED, FRESH)]
        first = found[0] or found[1]
        if first is not None:
            seen = [_seen(name, entry) for entry in found]
            rows.append(f"| {first['consumer']} | {first['was_run']} | {' | '.join(seen)} |")
    return rows


def _seen(name: str, entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "" if name in OWN_BUNDLE else "not run"
    return f"{'pass' if entry['passed'] else 'FAIL'}: {entry['result']}"


def run_checks(kind: str, names: list[str], bundle: Path) -> int:
    """Run some checks on a bundle and put each outcome on the page; how many did not pass."""
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            outcome = CHECKS[name](bundle, Path(folder))
        failed += not outcome.passed
        write_page({kind: {name: outcome}})
        print(f"{name}: {'pass' if outcome.passed else 'FAIL'}: {outcome.result}", flush=True)
    return failed


def main() -> int:
    """Read the words, run the checks, write the page; 1 where one did not pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", nargs="*", default=["all"], help=f"{', '.join(CHECKS)}, or all")
    parser.add_argument("--bundle", type=Path, default=ROOT / "bundles" / "hippocampus_segmentation")
    parser.add_argument("--trained", choices=[SHIPPED, FRESH, "both"], default="both")
    words = parser.parse_args()
    unknown = [name for name in words.check if name not in (*CHECKS, "all")]
    if unknown:
        parser.error(f"there is no check called {', '.join(unknown)}; expected {', '.join(CHECKS)}, or all")
    if not DATA.is_dir():
        print(f"No real data at {DATA}; set MIST_BUNDLE_DATA to their folder.", file=sys.stderr)
        return 2
    names = list(CHECKS) if "all" in words.check else words.check
    failed = 0
    if words.trained != FRESH:
        failed += run_checks(SHIPPED, names, words.bundle.absolute())
    again = [name for name in names if name not in OWN_BUNDLE]
    if words.trained != SHIPPED and again:
        with tempfile.TemporaryDirectory() as folder:
            failed += run_checks(FRESH, again, fresh_bundle(Path(folder)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
