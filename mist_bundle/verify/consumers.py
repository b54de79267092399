"""Who can use a bundle: for each program what it needs, compared by rule, or what MONAI did when it was run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mist_bundle.files import BUNDLE_README, LOGGING_CONF, MODEL_PT
from mist_bundle.verify.content import Content, components
from mist_bundle.verify.probe import NOT_SCRIPTED
from mist_bundle.verify.report import BY_RULE, FAIL, NOT_APPLICABLE, PASS, Check, by_rule
from mist_bundle.verify.static import big_files, zoo_problems

MONAI_CLI = "monai.bundle (command line)"
MONAI_LOAD = "monai.bundle.load"
MONAI_FL = "Federated learning (MonaiAlgo)"
# the step of the probe that shows a consumer at work
RUN_BY = {MONAI_CLI: "inference", MONAI_LOAD: "load", MONAI_FL: "federated"}


def consumer_matrix(content: Content, steps: Mapping[str, Check]) -> list[Check]:
    """A row for each consumer; `steps` holds what was run, by step."""
    rows = [_run(name, steps.get(step), content) for name, step in RUN_BY.items()]
    return [*rows, _label(content), _deploy(content), _hugging_face(content), _zoo(content, steps), _slicer()]


def _run(name: str, step: Check | None, content: Content) -> Check:
    if step is not None:
        return Check(name=name, verdict=step.verdict, how=step.how, reason=step.reason)
    if name == MONAI_FL:
        identities = "train#trainer validate#evaluator train#dataset#data dataset_dir bundle_root"
        missing = [f"'{identity}' is missing." for identity in content.missing("train", identities)]
        missing += [] if "evaluate" in content.workflows else ["configs/evaluate.json is missing."]
        return by_rule(name, missing, "The ids that it uses are there; not run.")
    missing = [] if content.folder.config_file("inference") else ["configs/inference.json is missing."]
    missing += [] if (content.bundle / MODEL_PT).is_file() else ["models/model.pt is missing."]
    return by_rule(name, missing, "Its files are there; not run.")


def _label(content: Content) -> Check:
    problems = [
        f"inference: '{name}' is missing." for name in content.missing("inference", "network_def inferer dataset")
    ]
    for part in ("preprocessing", "postprocessing"):
        config = content.workflows.get("inference", {}).get(part)
        if not isinstance(config, dict) or str(config.get("_target_", "")).rsplit(".", 1)[-1] != "Compose":
            problems.append(f"inference: '{part}' is no Compose.")
    identities = "train#trainer#max_epochs train#dataset#data validate#dataset#data device bundle_root"
    problems += [f"train: '{name}' is missing." for name in content.missing("train", identities)]
    handlers = content.workflows.get("train", {}).get("train", {}).get("handlers")
    if not isinstance(handlers, list) or not all(isinstance(handler, dict) for handler in handlers):
        problems.append("train: 'train#handlers' is no list of components.")
    if not (content.bundle / LOGGING_CONF).is_file():
        problems.append("configs/logging.conf is missing.")
    outputs = _tensors(content, "outputs")
    if not outputs or not isinstance(next(iter(outputs.values())).get("channel_def"), dict):
        problems.append("metadata: the first output has no channel_def, so there are no label names.")
    if not any((content.bundle / "models" / name).is_file() for name in ("model.pt", "model.ts")):
        problems.append("models/model.pt is missing.")
    fine = "Files, ids and label names are as it reads them; no server was started."
    channels = [tensor.get("num_channels") for tensor in _tensors(content, "inputs").values()]
    if channels and channels[0] != 1:
        fine += f" Its viewers give one volume at a time; this bundle takes {channels[0]} channels."
    return by_rule("MONAI Label", problems, fine)


def _deploy(content: Content) -> Check:
    name = "MONAI Deploy"
    problems = []
    identities = "device inferer preprocessing postprocessing"
    problems += [f"inference: '{identity}' is missing." for identity in content.missing("inference", identities)]
    if not (content.bundle / "models/model.ts").is_file():
        problems.append("models/model.ts is missing: it packages TorchScript only; see `export`.")
    if any(str(part["_target_"]).startswith("scripts.") for part in components(content.workflows.get("inference"))):
        problems.append(
            "inference.json uses scripts/, which a packaged application does not carry: add it to the image."
        )
    return by_rule(
        name, problems, "TorchScript and the ids that its operator reads are there; no application was built."
    )


def _tensors(content: Content, direction: str) -> dict[str, Any]:
    described = content.metadata.get("network_data_format")
    tensors = described.get(direction) if isinstance(described, dict) else None
    return (
        {key: value for key, value in tensors.items() if isinstance(value, dict)} if isinstance(tensors, dict) else {}
    )


def _hugging_face(content: Content) -> Check:
    problems = []
    card = next((file for name in ("README.md", BUNDLE_README) if (file := content.bundle / name).is_file()), None)
    if card is None:
        problems.append("docs/README.md is missing.")
    elif not card.read_text(encoding="utf-8", errors="replace").startswith("---\n"):
        problems.append(f"{card.name} has no YAML header, so the hub shows neither licence nor tags.")
    if not (content.bundle / "LICENSE").is_file():
        problems.append("LICENSE is missing.")
    if not (content.bundle / MODEL_PT).is_file():
        problems.append("models/model.pt is missing.")
    return by_rule(
        "Hugging Face", problems, "Model card with its header, licence and weights are there; nothing was uploaded."
    )


def _zoo(content: Content, steps: Mapping[str, Check]) -> Check:
    problems = zoo_problems(content)
    forward = steps.get("forward")
    if forward is not None and forward.verdict == FAIL:
        problems.append(f"verify_net_in_out fails: {forward.reason}")
    fine = "Its rules of acceptance are met."
    large = big_files(content.bundle)
    if large:
        fine += f" Above 25 MB, to be named in large_files.yml: {', '.join(large)}."
    if forward is not None and forward.verdict == PASS:
        fine += " verify_net_in_out was run."
    scripted = steps.get("torchscript")
    if scripted is not None and scripted.reason == NOT_SCRIPTED:
        fine += " ckpt_export cannot take its network: name it in the zoo's list of exceptions."
    return by_rule("MONAI model zoo", problems, fine)


def _slicer() -> Check:
    reason = "It runs no bundle: MONAIAuto3DSeg has a format of its own. Through MONAI Label it can do what that can."
    return Check(name="3D Slicer", verdict=NOT_APPLICABLE, how=BY_RULE, reason=reason)


def copy_target(bundle: Path, folder: Path) -> Path:
    """Where a copy of the bundle goes, with its own name: consumers find it by that."""
    return folder / "copy" / bundle.absolute().name
