"""The programs that can use a bundle: their requirements compared by rule, or the outcome of a run with MONAI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mist_bundle.files import BUNDLE_README, LOGGING_CONF, MODEL_PT
from mist_bundle.verify.content import Content, components
from mist_bundle.verify.probe import NOT_SCRIPTED
from mist_bundle.verify.report import BY_RULE, FAIL, NOT_APPLICABLE, PASS, Check, by_rule, each
from mist_bundle.verify.static import big_files, zoo_problems

MODEL_TS = "models/model.ts"
MONAI_CLI = "monai.bundle (command line)"
MONAI_LOAD = "monai.bundle.load"
MONAI_FL = "Federated learning (MonaiAlgo)"
SEEN = "What was run with generated bundles is in docs/consumers.md of mist-bundle."
# the step of the probe that shows a consumer at work
RUN_BY = {MONAI_CLI: "inference", MONAI_LOAD: "load", MONAI_FL: "federated"}


def consumer_matrix(content: Content, steps: Mapping[str, Check]) -> list[Check]:
    """A row for each consumer; `steps` holds the checks that were run, by step."""
    rows = []
    for name, step in RUN_BY.items():
        rows.append(_run(name, steps.get(step), content))
    return [*rows, _label(content), _deploy(content), _hugging_face(content), _zoo(content, steps), _slicer()]


def _run(name: str, step: Check | None, content: Content) -> Check:
    if step is not None:
        return Check(name=name, verdict=step.verdict, how=step.how, reason=step.reason)
    if name == MONAI_FL:
        identities = "train#trainer validate#evaluator train#dataset#data dataset_dir bundle_root"
        missing = each("'{}' is missing.", content.missing("train", identities))
        if "evaluate" not in content.workflows:
            missing.append("configs/evaluate.json is missing.")
        return by_rule(name, missing, "The ids that it uses are there; not run.")
    missing = []
    if content.folder.config_file("inference") is None:
        missing.append("configs/inference.json is missing.")
    missing += each("{} is missing.", content.absent(MODEL_PT))
    return by_rule(name, missing, "Its files are there; not run.")


def _label(content: Content) -> Check:
    problems = each("inference: '{}' is missing.", content.missing("inference", "network_def inferer dataset"))
    for part in ("preprocessing", "postprocessing"):
        config = content.workflows.get("inference", {}).get(part)
        if not isinstance(config, dict) or str(config.get("_target_", "")).rsplit(".", 1)[-1] != "Compose":
            problems.append(f"inference: '{part}' is not a Compose.")
    identities = "train#trainer#max_epochs train#dataset#data validate#dataset#data device bundle_root"
    problems += each("train: '{}' is missing.", content.missing("train", identities))
    handlers = content.workflows.get("train", {}).get("train", {}).get("handlers")
    if not isinstance(handlers, list) or set(map(type, handlers)) - {dict}:
        problems.append("train: 'train#handlers' is not a list of components.")
    problems += each("{} is missing.", content.absent(LOGGING_CONF))
    outputs = _tensors(content, "outputs")
    if not outputs or not isinstance(next(iter(outputs.values())).get("channel_def"), dict):
        problems.append("metadata: the first output has no channel_def, so there are no label names.")
    if len(content.absent(MODEL_PT, MODEL_TS)) == 2:
        problems.append("models/model.pt is missing.")
    fine = f"Files, ids and label names are as it reads them; no server was started. {SEEN}"
    for tensor in list(_tensors(content, "inputs").values())[:1]:
        channels = tensor.get("num_channels")
        if channels != 1:
            fine += f" Its viewers load a single volume at a time; this bundle takes {channels} channels."
    return by_rule("MONAI Label", problems, fine)


def _deploy(content: Content) -> Check:
    name = "MONAI Deploy"
    identities = "device inferer preprocessing postprocessing"
    problems = each("inference: '{}' is missing.", content.missing("inference", identities))
    if len(content.absent(MODEL_PT, MODEL_TS)) == 2:
        problems.append("models/model.pt is missing.")
    if content.plan is None and _uses_scripts(content.workflows.get("inference")):
        problems.append("inference.json uses scripts/, which its operator may not find.")
    fine = f"The ids that its operator reads are there; no application was built. {SEEN}"
    if content.absent(MODEL_TS):
        fine += " For a package of a single file, `export --format torchscript`."
    return by_rule(name, problems, fine)


def _uses_scripts(config: Any) -> bool:
    return any(str(part["_target_"]).startswith("scripts.") for part in components(config))


def _tensors(content: Content, direction: str) -> dict[str, Any]:
    described = content.metadata.get("network_data_format")
    tensors = described.get(direction) if isinstance(described, dict) else None
    if not isinstance(tensors, dict):
        return {}
    return {key: value for key, value in tensors.items() if isinstance(value, dict)}


def _hugging_face(content: Content) -> Check:
    problems = []
    card = content.bundle / "README.md"
    if not card.is_file():
        card = content.bundle / BUNDLE_README
    if not card.is_file():
        problems.append("docs/README.md is missing.")
    elif not card.read_text(encoding="utf-8", errors="replace").startswith("---\n"):
        problems.append(f"{card.name} has no YAML header, so the hub shows neither licence nor tags.")
    problems += each("{} is missing.", content.absent("LICENSE", MODEL_PT))
    fine = "Model card with its header, licence and weights are there; nothing was uploaded."
    return by_rule("Hugging Face", problems, fine)


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
    reason = "It runs no bundle: MONAIAuto3DSeg has a format of its own. It can use bundles through MONAI Label."
    return Check(name="3D Slicer", verdict=NOT_APPLICABLE, how=BY_RULE, reason=reason)


def copy_target(bundle: Path, folder: Path) -> Path:
    """The place of a copy of the bundle, with the bundle's own name: consumers find it by that name."""
    return folder / "copy" / bundle.absolute().name
