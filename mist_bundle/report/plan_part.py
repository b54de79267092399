"""The sections about what was decided, and how to do it again."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mist_bundle.artifacts import MANIFEST_JSON, METADATA_JSON, read_json
from mist_bundle.planning.table import value_text
from mist_bundle.report.data_part import facts
from mist_bundle.report.html import Html, details, el, section, table

_OPTIONS = {  # decision -> option of autoconfig
    "network": "network",
    "loss": "loss",
    "epochs": "epochs",
    "steps_per_epoch": "steps_per_epoch",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate",
    "val_fraction": "val_fraction",
    "patch_size": "patch_size",
    "target_spacing_mm": "target_spacing",
}
_PACKAGES = ("mist-bundle", "monai", "torch", "numpy", "scipy", "nibabel", "SimpleITK", "pytorch-ignite")


def plan_section(plan: Mapping[str, Any]) -> Html:
    """Every decision with its reason."""
    decided = plan["decisions"]
    shown = [
        (name.replace("_mm", "").replace("_", " "), value_text(name, decided[name]["value"]))
        for name in ("network", "loss", "patch_size", "target_spacing_mm", "normalization", "epochs", "batch_size")
        if name in decided
    ]
    rows = [
        [name.replace("_", " "), value_text(name, one["value"]), el("span", one["because"], class_="reason")]
        for name, one in decided.items()
    ]
    return section(
        "plan",
        "Plan",
        facts(shown),
        table(["decision", "value", "because"], rows, caption="Every decision and its reason", stacked=True),
        details("Arguments of the network", el("pre", el("code", _plain(plan["network_arguments"])))),
        lead="What was decided before training, from the measurements and the recipe.",
    )


def reproduce_section(bundle: Path, plan: Mapping[str, Any]) -> Html:
    """Versions, identity of the weights, and the commands."""
    metadata = read_json(bundle / METADATA_JSON)
    manifest = bundle / MANIFEST_JSON
    hashes = read_json(manifest)["files"] if manifest.is_file() else {}
    weights = [[name, el("code", value)] for name, value in hashes.items() if name.startswith("models/")]
    made_for = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata.get("required_packages_version", {}),
        "mist-bundle": metadata.get("mist_bundle_version", "–"),
    }
    versions = [[name, made_for.get(name, "–"), _installed(name)] for name in _PACKAGES]
    machine = (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    )
    return section(
        "reproduce",
        "Do it again",
        el("h3", "With this package"),
        el("pre", el("code", _own_commands(bundle.name, plan))),
        el("h3", "With MONAI alone, from any working directory"),
        el("pre", el("code", _monai_commands(bundle.name))),
        el("h3", "Environment"),
        table(["package", "the bundle names", "here"], versions, caption=f"This page was made with {machine}"),
        table(["weights", "SHA-256"], weights, caption=f"Weights of the bundle {plan['bundle_id']}")
        if weights
        else None,
    )


def _own_commands(name: str, plan: Mapping[str, Any]) -> str:
    decided = plan["decisions"]
    words = ["--recipe", decided["recipe"]["value"], "--folds", str(plan["num_folds"]), "--seed", str(plan["seed"])]
    for decision, option in _OPTIONS.items():
        if decision in decided and decided[decision]["because"].startswith("Asked for"):
            value = decided[decision]["value"]
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{option}", shlex.quote(text)]
    return "\n".join(
        [
            f"python -m mist_bundle autoconfig dataset.json --output . {' '.join(words)}",
            f"python -m mist_bundle train {name} --fold all",
            f"python -m mist_bundle evaluate {name}",
            f"python -m mist_bundle finalize {name}",
            f"python -m mist_bundle report {name}",
            f"python -m mist_bundle predict {name} --input new_cases --output predictions",
        ]
    )


def _monai_commands(name: str) -> str:
    return "\n".join(
        [
            f"B={name}",
            "python -m monai.bundle run preprocess --config_file $B/configs/preprocess.json",
            "python -m monai.bundle run training --config_file $B/configs/train.json --fold 0",
            "python -m monai.bundle run evaluating --config_file "
            "\"['$B/configs/train.json','$B/configs/evaluate.json']\" --fold 0",
            "python -m monai.bundle run inference --config_file $B/configs/inference.json "
            "--dataset_dir CASES --datalist LIST.json",
        ]
    )


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "–"


def _plain(arguments: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in arguments.items())
