"""The verification of a bundle: audited first, then read, then run on a tiny synthetic volume, in a copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.tiny import write_tiny_dataset
from mist_bundle.files import write_json
from mist_bundle.sharing.unpack import unpack_bundle
from mist_bundle.trust.audit import require_audited
from mist_bundle.verify.consumers import consumer_matrix, copy_target
from mist_bundle.verify.content import Content, components
from mist_bundle.verify.report import FAIL, NOT_APPLICABLE, PASS, RUN, Check, Verification
from mist_bundle.verify.static import static_checks

STEPS = ("targets", "weights", "forward", "torchscript", "properties", "load", "inference", "federated")
NEED_WEIGHTS = ("weights", "load", "inference")
NEED_PLAN = ("properties", "inference", "federated")
NAMES = {
    "targets": "targets import",
    "weights": "weights load",
    "forward": "forward pass",
    "torchscript": "TorchScript",
    "properties": "properties",
    "load": "monai.bundle.load",
    "inference": "inference",
    "federated": "federated learning",
}


def verify_bundle(
    bundle: Path, *, quick: bool = False, schema: Path | None = None, trust: bool = False
) -> Verification:
    """Verify a bundle without a network.

    Args:
        bundle: its folder or zip.
        quick: only read; run nothing.
        schema: MONAI's JSON schema of metadata.json.
        trust: run a bundle that does not pass the audit.

    Raises:
        InputError: there is no bundle, it is to be run and does not pass the audit, or a file of it cannot be parsed.
    """
    if bundle.is_file():
        with tempfile.TemporaryDirectory(prefix="verify.") as folder:
            unpacked = unpack_bundle(bundle, Path(folder), trust=trust)
            return _verify(unpacked, str(bundle), quick=quick, schema=schema)
    Bundle(bundle)  # refuses a folder that is not a bundle
    if not quick:
        require_audited(bundle, trust=trust)
    return _verify(bundle, str(bundle), quick=quick, schema=schema)


def _verify(bundle: Path, name: str, *, quick: bool, schema: Path | None) -> Verification:
    content = Content.read(bundle)
    result = Verification(bundle=name, checks=static_checks(content, schema))
    steps = {} if quick else _run_steps(content)
    result.checks += steps.values()
    result.consumers = consumer_matrix(content, steps)
    return result


def _run_steps(content: Content) -> dict[str, Check]:
    """The steps that MONAI takes with a copy of the bundle."""
    skipped = {}
    for step in STEPS:
        reason = _not_applicable(content, step)
        if reason:
            skipped[step] = reason
    with tempfile.TemporaryDirectory(prefix="verify.") as name:
        folder = Path(name)
        copy = copy_target(content.bundle, folder)
        shutil.copytree(content.bundle, copy, ignore=shutil.ignore_patterns("__pycache__"))
        settings = _settings(content, copy, folder)
        outcomes = _probe(settings, [step for step in STEPS if step not in skipped], folder)
    checks = {}
    for step in STEPS:
        verdict, reason = outcomes.get(step, (NOT_APPLICABLE, skipped.get(step, "")))
        checks[step] = Check(name=NAMES[step], verdict=verdict, how=RUN, reason=reason)
    return checks


def _not_applicable(content: Content, step: str) -> str:
    if step in NEED_WEIGHTS and not (content.bundle / "models/model.pt").is_file():
        return "There are no weights yet."
    if step in NEED_PLAN and content.plan is None:
        return "Without a plan.json of mist_bundle nothing is known about its data."
    if step == "federated" and "evaluate" not in content.workflows:
        return "There is no evaluate.json."
    if step != "federated" and "inference" not in content.workflows and step != "targets":
        return "There is no inference.json."
    return ""


def _settings(content: Content, copy: Path, folder: Path) -> dict[str, Any]:
    """The settings of the probe; the dataset is written beside them."""
    settings: dict[str, Any] = {
        "bundle": str(copy),
        "working_folder": str(folder),
        "targets": _targets(content),
        "workflows": [name for name in ("train", "inference") if name in content.workflows],
    }
    if content.plan is None:
        return settings
    data = folder / "data"
    data.mkdir()
    datalist = write_tiny_dataset(data, content.plan)
    small = {"batch_size": 1, "workers": 1, "device": "cpu", "amp": False}
    known = content.workflows.get("inference", {})
    quick = {"device": "cpu", "test_time_flip_axes": [], "ensemble": False, "sw_batch_size": 1}
    first = json.loads(datalist.read_text(encoding="utf-8"))["testing"][0]["image"][0]
    settings |= {
        "data": {"dataset_dir": str(data), "datalist": str(datalist), "work_dir": str(folder / "work")},
        "quick": {name: value for name, value in quick.items() if name in known},
        "train": {**small, "epochs": 1, "steps_per_epoch": 1},
        "evaluate": {**small, "test_time_flip_axes": []},
        "output_dir": str(folder / "predictions"),
        "image": str(data / first),
        "labels": list(content.plan.labels),
    }
    return settings


def _targets(content: Content) -> list[str]:
    targets = set()
    for config in content.workflows.values():
        for component in components(config):
            if isinstance(component["_target_"], str):
                targets.add(component["_target_"])
    return sorted(targets)


def _probe(settings: dict[str, Any], steps: list[str], folder: Path) -> dict[str, tuple[str, str]]:
    """Run each step in a fresh process, because a step leaves the bundle on sys.path and its modules imported."""
    settings_file = folder / "settings.json"
    write_json(settings_file, settings)
    outcomes: dict[str, tuple[str, str]] = {}
    for step in steps:
        outcomes[step] = _probe_step(step, settings_file, folder / f"{step}.json")
    return outcomes


def _probe_step(step: str, settings_file: Path, result_file: Path) -> tuple[str, str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "mist_bundle.verify.probe", step, str(settings_file), str(result_file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if not result_file.is_file():
        return FAIL, _last_words(done.stderr)
    result = json.loads(result_file.read_text(encoding="utf-8"))
    return PASS, str(result["reason"])


def _last_words(errors: str) -> str:
    """The exception's own line, which a traceback ends with; MONAI wraps it, so the first cause is reported too."""
    lines, raised = [], []
    for line in errors.splitlines():
        if not line or line.startswith((" ", "\t")):
            continue
        lines.append(line[:300])
        name, colon, _ = line.partition(": ")
        if colon and name.replace(".", "").isidentifier():
            raised.append(line[:300])
    first_and_last = list(dict.fromkeys([*raised[:1], *raised[-1:]]))
    return " … ".join(first_and_last or lines[-1:] or ["It ended without a message."])
