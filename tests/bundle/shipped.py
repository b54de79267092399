"""Put a trained and finalized bundle into bundles/, as scripts/train_shipped_bundle does at its end.

Optimizer states, arrays and predictions stay behind; what is added are the cases' scores and who made it. Nothing is
stored twice: scripts/ is a link to mist_bundle/runtime, and the fold whose weights are model.pt has no file of its own.
`--renew NEW` gives the bundle that is there the configurations of NEW, a bundle freshly configured from the same data
with the same options, and keeps weights and figures: for changes of the generator that leave the network alone.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from mist_bundle import pipeline
from mist_bundle.bundle.card import RESULTS_END, RESULTS_START
from mist_bundle.bundle.manifest import Manifest, write_manifest
from mist_bundle.bundle.sbom import bill_of_materials
from mist_bundle.bundle.vendor import link_runtime
from mist_bundle.files import (
    BUNDLE_README,
    METADATA_JSON,
    MODEL_PT,
    PLAN_JSON,
    RESULTS_CSV,
    SBOM_JSON,
    read_json,
    write_json,
    write_text,
)
from mist_bundle.sharing.version import bump_version
from tests.bundle.golden import TRAINED

SCORES = f"docs/{RESULTS_CSV}"
# of autoconfig: a network of less than a megabyte, so that all three folds can be shipped
OPTIONS = (
    *("--recipe", "quick", "--network", "nnunet-subpixel-pocket", "--folds", "3"),
    *("--epochs", "10", "--steps_per_epoch", "50", "--val_fraction", "0.05", "--augmentation", "mist"),
)
AUTHORS = "the mist_bundle developers"


def ship(bundle: Path) -> None:
    """Copy a finalized bundle to bundles/, with the scores of its cross-validation."""
    shutil.rmtree(TRAINED, ignore_errors=True)
    shutil.copytree(bundle, TRAINED, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(pipeline.work_dir_of(bundle) / RESULTS_CSV, TRAINED / SCORES)
    metadata = read_json(TRAINED / METADATA_JSON)
    metadata["authors"] = AUTHORS
    metadata["copyright"] = f"{AUTHORS}; the data belong to their authors (docs/data_license.txt)"
    write_json(TRAINED / METADATA_JSON, metadata)
    link_runtime(TRAINED)
    bump_version(TRAINED, f"Trained: cross-validation over {metadata['data_source']}.", "patch")
    store_weights_once(TRAINED)


def store_weights_once(bundle: Path) -> None:
    """Delete the weights of the fold that model.pt is a copy of; the manifest, which lists both, says so."""
    listed = Manifest.read(bundle).files
    for path in (bundle / "models").glob("fold_*.pt"):
        if listed[f"models/{path.name}"] == listed[MODEL_PT]:
            path.unlink()


def renew(fresh: Path, bundle: Path = TRAINED) -> None:
    """Give a shipped bundle the configurations of a freshly configured one; it keeps weights, scores and version."""
    old, new = read_json(bundle / PLAN_JSON), read_json(fresh / PLAN_JSON)
    same = ("network_arguments", "channel_names", "labels", "num_folds")
    differ = [key for key in same if old[key] != new[key]]
    # what was decided is how it was trained: a plan that says something else would be untrue
    differ += [
        name
        for name, decision in old["decisions"].items()
        if decision["value"] != new["decisions"].get(name, decision)["value"]
    ]
    if differ:
        sys.exit(f"{', '.join(differ)} would not be those that the bundle was trained with: train it again.")
    metadata, card = read_json(bundle / METADATA_JSON), (bundle / BUNDLE_README).read_text(encoding="utf-8")
    scores = (bundle / SCORES).read_bytes()
    for folder in ("configs", "docs"):
        shutil.rmtree(bundle / folder)
        shutil.copytree(fresh / folder, bundle / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (bundle / SCORES).write_bytes(scores)
    own = ("version", "changelog", "authors", "copyright", "eval_metrics")
    metadata = {**read_json(fresh / METADATA_JSON), **{key: metadata[key] for key in own}}
    write_json(bundle / METADATA_JSON, metadata)
    write_json(bundle / SBOM_JSON, bill_of_materials(metadata))
    section = re.compile(f"{re.escape(RESULTS_START)}.*?{re.escape(RESULTS_END)}", re.DOTALL)
    (figures,) = section.findall(card)
    renewed = section.sub(lambda _: figures, (bundle / BUNDLE_README).read_text(encoding="utf-8"))
    write_text(bundle / BUNDLE_README, renewed)
    link_runtime(bundle)
    write_manifest(bundle)
    store_weights_once(bundle)


if __name__ == "__main__":
    if sys.argv[1] == "--options":
        print(" ".join(OPTIONS))  # noqa: T201
    elif sys.argv[1] == "--renew":
        renew(Path(sys.argv[2]))
    else:
        ship(Path(sys.argv[1]))
