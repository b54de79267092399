"""The section about reproducing a bundle: commands, versions, identity of the weights."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mist_bundle.catalog.choice import is_user_code
from mist_bundle.files import MANIFEST_JSON, METADATA_JSON, read_json
from mist_bundle.planning.networks import DEFAULT_KERNEL_SIZE
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.recipes import is_chosen
from mist_bundle.report.html import Html, commands, el, section, table

_OPTIONS = {"target_spacing_mm": "target_spacing", "loss_class_weights": "class_weights"}  # decision -> option
_KNOWN = frozenset(field.name for field in dataclasses.fields(PlanOptions))
_PACKAGES = ("mist-bundle", "monai", "torch", "numpy", "scipy", "nibabel", "SimpleITK", "pytorch-ignite")


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
        "Reproduce",
        el("h3", "With this package"),
        commands(_own_commands(bundle.name, plan)),
        el("h3", "With MONAI alone, from any working directory"),
        commands(_monai_commands(bundle.name)),
        el("h3", "Environment"),
        table(
            ["package", "named in the bundle", "where this page was made"],
            versions,
            caption=f"This page was made with {machine}",
        ),
        table(["weights", "SHA-256"], weights, caption=f"Weights of the bundle {plan['bundle_id']}")
        if weights
        else None,
        lead="Commands that make the same bundle from the same data, and use it. Those who use the bundle need the "
        "packages that it names, or newer ones.",
    )


def asked_options(plan: Mapping[str, Any]) -> str:
    """The options of autoconfig that somebody asked for, as they are typed."""
    decided = plan["decisions"]
    words = ["--recipe", decided["recipe"]["value"], "--folds", str(plan["num_folds"]), "--seed", str(plan["seed"])]
    for name, one in decided.items():
        option = _OPTIONS.get(name, name)
        if option in _KNOWN and is_chosen(one["because"]):
            words += _typed(option, one["value"])
    return " ".join([*words, *_facts(plan)])


def _typed(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no{option}"]
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return [f"--{option}", shlex.quote(text)]


def _facts(plan: Mapping[str, Any]) -> Iterator[str]:
    """Options that are no decisions."""
    if plan.get("skip_preprocessing"):
        yield "--skip_preprocessing"
    if not plan.get("normalize_distance_maps", True):
        yield "--nonormalize_distance_maps"
    if plan.get("distance_maps_in_mm"):
        yield "--distance_maps_in_mm"
    for option, name in (("network_arguments", "asked_network_arguments"), ("loss_arguments", "loss_arguments")):
        if plan.get(name):
            yield f"--{option} {shlex.quote(json.dumps(plan[name]))}"
    if is_user_code(plan["decisions"]["network"]["value"]):
        yield f"--patch_divisor {','.join(map(str, plan['patch_divisor']))}"
    kernel_size = plan.get("network_arguments", {}).get("kernel_size")
    asked = plan.get("asked_network_arguments") or {}
    if isinstance(kernel_size, int) and kernel_size != DEFAULT_KERNEL_SIZE and "kernel_size" not in asked:
        yield f"--kernel_size {kernel_size}"
    if plan.get("ignore_label") is not None:
        yield f"--ignore_label {plan['ignore_label']}"


def _own_commands(name: str, plan: Mapping[str, Any]) -> str:
    options = asked_options(plan)
    source = plan["decisions"].get("initial_weights")
    first = f"autoconfig dataset.json --output . {options}"
    if source:
        first = f"finetune {shlex.quote(str(source['value']))} dataset.json --output . {options}"
    return "\n".join(
        [
            f"mist-bundle {first}",
            f"mist-bundle train {name} --fold all",
            f"mist-bundle evaluate {name}",
            f"mist-bundle finalize {name}",
            f"mist-bundle report {name}",
            f"mist-bundle predict {name} --input new_cases --output predictions",
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
