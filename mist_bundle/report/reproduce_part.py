"""The section about reproducing a bundle: commands, versions and hashes of the weights."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import shlex
from collections.abc import Iterator
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.catalog.choice import is_user_code
from mist_bundle.files import MANIFEST_JSON, read_json
from mist_bundle.planning.networks import DEFAULT_KERNEL_SIZE
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.recipes import is_chosen
from mist_bundle.report.html import Html, commands, el, section, table
from mist_bundle.runtime.wording import option_text

_OPTIONS = {"target_spacing_mm": "target_spacing", "loss_class_weights": "class_weights"}  # decision -> option
_KNOWN = frozenset(field.name for field in dataclasses.fields(PlanOptions))
_PACKAGES = ("mist-bundle", "monai", "torch", "numpy", "scipy", "nibabel", "SimpleITK", "pytorch-ignite")


def reproduce_section(bundle: Bundle) -> Html:
    """The commands, versions and hashes."""
    name = bundle.root.name
    return section(
        "reproduce",
        "Reproduce",
        el("h3", "With mist-bundle"),
        commands(_own_commands(name, bundle.plan)),
        el("h3", "With MONAI alone, from any working directory"),
        commands(_monai_commands(name)),
        el("h3", "Environment"),
        _versions(bundle),
        _weights(bundle),
        lead="Commands that create the same bundle from the same data, and apply it. Using the bundle requires the "
        "listed packages in these or newer versions.",
    )


def _versions(bundle: Bundle) -> Html:
    metadata = bundle.metadata
    required = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata.get("required_packages_version", {}),
        "mist-bundle": metadata.get("mist_bundle_version", "–"),
    }
    rows = []
    for package in _PACKAGES:
        rows.append([package, required.get(package, "–"), _installed(package)])
    python = f"Python {platform.python_version()}"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    head = ["package", "in the bundle", "when this page was written"]
    return table(head, rows, caption=f"This page was written with {python} on {machine}")


def _weights(bundle: Bundle) -> Html | None:
    manifest = bundle.root / MANIFEST_JSON
    if not manifest.is_file():
        return None
    rows = []
    for name, digest in read_json(manifest)["files"].items():
        if name.startswith("models/"):
            rows.append([name, el("code", digest)])
    if not rows:
        return None
    return table(["weights", "SHA-256"], rows, caption=f"Weights of the bundle {bundle.identity}")


def requested_options(plan: Plan) -> str:
    """The options of autoconfig that the user set, as they are typed."""
    words = ["--recipe", plan.recipe.value, "--folds", str(plan.num_folds), "--seed", str(plan.seed)]
    for name, decision in plan.decisions():
        option = _OPTIONS.get(name, name)
        if option in _KNOWN and is_chosen(decision.because):
            words += _typed(option, decision.value)
    return " ".join([*words, *_facts(plan)])


def _typed(option: str, value: Any) -> list[str]:
    if value is True:
        return [f"--{option}"]
    if value is False:
        return [f"--no{option}"]
    return [f"--{option}", shlex.quote(option_text(value))]


def _facts(plan: Plan) -> Iterator[str]:
    """Options that are not decisions."""
    if plan.skip_preprocessing:
        yield "--skip_preprocessing"
    if not plan.normalize_distance_maps:
        yield "--nonormalize_distance_maps"
    if plan.distance_maps_in_mm:
        yield "--distance_maps_in_mm"
    network_arguments = plan.asked_network_arguments or {}
    if network_arguments:
        yield f"--network_arguments {shlex.quote(json.dumps(network_arguments))}"
    if plan.loss_arguments:
        yield f"--loss_arguments {shlex.quote(json.dumps(plan.loss_arguments))}"
    if is_user_code(plan.network.value):
        yield f"--patch_divisor {','.join(map(str, plan.patch_divisor))}"
    kernel_size = plan.network_arguments.get("kernel_size")
    if isinstance(kernel_size, int) and kernel_size != DEFAULT_KERNEL_SIZE and "kernel_size" not in network_arguments:
        yield f"--kernel_size {kernel_size}"
    if plan.ignore_label is not None:
        yield f"--ignore_label {plan.ignore_label}"


def _own_commands(name: str, plan: Plan) -> str:
    options = requested_options(plan)
    first = f"autoconfig dataset.json --output . {options}"
    if plan.initial_weights is not None:
        source = shlex.quote(plan.initial_weights.value)
        first = f"finetune {source} dataset.json --output . {options}"
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
