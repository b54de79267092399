"""From a Plan to the bundle's folder: JSON, vendored scripts, model card, licence and manifest.

The folder appears complete or not at all. It holds no absolute path: paths of the data are relative to it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mist_bundle import __version__
from mist_bundle.bundle.card import model_card
from mist_bundle.bundle.configs.evaluate import evaluate_config
from mist_bundle.bundle.configs.inference import inference_config
from mist_bundle.bundle.configs.metadata import metadata_config
from mist_bundle.bundle.configs.preprocess import preprocess_config
from mist_bundle.bundle.configs.train import multi_gpu_evaluate_config, multi_gpu_train_config, train_config
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.bundle.sbom import bill_of_materials
from mist_bundle.bundle.trial import try_out
from mist_bundle.bundle.user_code import UserCode, copy_user_code
from mist_bundle.bundle.vendor import copy_runtime
from mist_bundle.dataset.cases import Case, channel_files
from mist_bundle.dataset.fold_table import FoldTable
from mist_bundle.dataset.folds import inner_validation
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Problem
from mist_bundle.files import (
    BUNDLE_README,
    CONFIDENCE_JSON,
    DATA_LICENSE,
    DATALIST_JSON,
    LOGGING_CONF,
    METADATA_JSON,
    PLAN_JSON,
    POSTPROCESSING_JSON,
    SBOM_JSON,
    SCRIPTS_FOLDER,
    new_folder,
    write_bytes,
    write_text,
)
from mist_bundle.planning.plan import Plan
from mist_bundle.resources import own_file
from mist_bundle.runtime.folds.files import json_text

LICENSE_TEXT = "bundle/LICENSE.txt"
FORMATS = ("json", "yaml")
NO_CONFIDENCE = {"temperature": None, "because": "not calibrated yet; calibrate does that"}
NO_POSTPROCESSING = {"strategy": [], "because": "nothing was chosen yet; choose_postprocessing does that"}

# MONAI 1.6.1 accepts only classes of the logging module here
LOGGING = """[loggers]
keys=root,ignite

[handlers]
keys=consoleHandler

[formatters]
keys=lineFormatter

[logger_root]
level=INFO
handlers=consoleHandler

[logger_ignite]
level=WARNING
handlers=
qualname=ignite

[handler_consoleHandler]
class=StreamHandler
level=INFO
formatter=lineFormatter
args=(sys.stdout,)

[formatter_lineFormatter]
format=%(asctime)s %(levelname)s %(message)s
datefmt=%H:%M:%S
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleInput:
    """Everything that a bundle is generated from.

    Attributes:
        spec: dataset description.
        plan: all decisions.
        cases: usable training cases.
        test_cases: unlabelled cases, may be empty.
        folds: case id -> fold.
        excluded: excluded cases with their reasons.
        groups: case id -> group that is kept together (patient, site …), or None.
        strata: case id -> properties of which every fold and every inner validation gets its share, or None.
        fold_table: what each fold holds, for people; None if there are no folds to speak of.
        user_code: the user's own network and loss, whose files travel in scripts/user.
        extra_files: path in the bundle -> content, for example initial weights.
        untried: "network" and "loss" if they have to be built and run once before the bundle appears.
    """

    spec: DatasetSpec
    plan: Plan
    cases: Sequence[Case]
    test_cases: Sequence[Case]
    folds: Mapping[str, int]
    excluded: Sequence[Problem]
    groups: Mapping[str, str] | None = None
    strata: Mapping[str, Sequence[str]] | None = None
    fold_table: FoldTable | None = None
    user_code: Sequence[UserCode] = ()
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    untried: Sequence[str] = ()


def bundle_name(spec: DatasetSpec) -> str:
    """Return the name of the bundle's folder, after the task."""
    return f"{spec.slug}_segmentation"


def generate_bundle(
    content: BundleInput,
    output: Path,
    *,
    name: str | None = None,
    config_format: str = "json",
    overwrite: bool = False,
    ready: Callable[[Path], object] | None = None,
) -> Path:
    """Write the bundle into a folder in `output`, by default <task>_segmentation.

    Args:
        content: everything that goes into the bundle.
        output: parent of the bundle's folder.
        name: name of that folder, after the task by default.
        config_format: "json", which every consumer reads, or "yaml".
        overwrite: replace an existing bundle, including its trained weights.
        ready: called with the location of the bundle just before it appears there, to write what belongs beside it.

    Returns:
        The bundle's folder.

    Raises:
        InputError: the folder exists and `overwrite` is False, or an untried network or loss does not work.
    """
    name = name or bundle_name(content.spec)
    bundle = (output / name).absolute()
    with new_folder(bundle, overwrite=overwrite) as folder:
        for path, text in bundle_texts(content, name, bundle, config_format).items():
            write_text(folder / path, text)
        for path, extra in content.extra_files.items():
            write_bytes(folder / path, extra)
        copy_runtime(folder / SCRIPTS_FOLDER)
        copy_user_code(content.user_code, folder / SCRIPTS_FOLDER)
        shutil.copyfile(own_file(LICENSE_TEXT), folder / "LICENSE")
        (folder / "models").mkdir(exist_ok=True)
        try_out(folder, content.untried)
        write_manifest(folder)
        if ready is not None:
            ready(bundle)
    return bundle


def bundle_texts(content: BundleInput, name: str, bundle: Path, config_format: str = "json") -> dict[str, str]:
    """Generate the text files of the bundle.

    Args:
        content: everything that goes into the bundle.
        name: name of the bundle's folder.
        bundle: future location of the folder; only its position relative to the data matters.
        config_format: "json" or "yaml".

    Returns:
        Path in the bundle -> text.
    """
    plan, spec = content.plan, content.spec
    description = spec.description or f"Segments {', '.join(plan.label_names[1:])} in {plan.modality.upper()} images."
    metadata = metadata_config(plan, name, description, spec.reference or "not stated", __version__)
    texts: dict[str, str] = {}
    for stem, config in _configs(plan, name, _relative(spec.train_dir, bundle)).items():
        texts[f"configs/{stem}.{config_format}"] = _dump(config, config_format)
    texts[METADATA_JSON] = json_text(metadata)
    texts[SBOM_JSON] = json_text(bill_of_materials(metadata))
    texts[PLAN_JSON] = json_text(plan.to_json())
    texts[DATALIST_JSON] = json_text(datalist(content))
    texts[POSTPROCESSING_JSON] = json_text(NO_POSTPROCESSING)
    texts[CONFIDENCE_JSON] = json_text(NO_CONFIDENCE)
    texts[LOGGING_CONF] = LOGGING
    texts[BUNDLE_README] = model_card(plan, spec, name, content.excluded, content.fold_table)
    licence = spec.licence or "The licence of the training data was not stated."
    texts[DATA_LICENSE] = f"{licence}\n{spec.reference}\n"
    return texts


def _configs(plan: Plan, name: str, dataset_dir: str) -> dict[str, Any]:
    """File stem -> configuration of every workflow."""
    identity = plan.to_json()["bundle_id"]
    return {
        "train": train_config(plan, name, identity, dataset_dir),
        "evaluate": evaluate_config(plan),
        "inference": inference_config(plan, name, identity, dataset_dir),
        "preprocess": preprocess_config(plan, name, identity, dataset_dir),
        "multi_gpu_train": multi_gpu_train_config(plan),
        "multi_gpu_evaluate": multi_gpu_evaluate_config(),
    }


def datalist(content: BundleInput) -> dict[str, Any]:
    """List the cases in the layout of the Medical Segmentation Decathlon, with folds and paths relative to `train_dir`.

    `fold` is the fold that tests a case. `validates` lists the folds whose training holds the case back to choose the
    best weights, so the test fold never chooses anything.
    """
    plan, folder = content.plan, content.spec.train_dir
    validates = _inner_validation(content)
    training = []
    for case in content.cases:
        if case.label is not None:
            entry = _entry(case, plan.channel_names, folder)
            entry["label"] = _relative(case.label, folder)
            entry["fold"] = content.folds[case.id]
            entry["validates"] = validates[case.id]
            if case.unlabelled:
                entry["unlabelled"] = list(case.unlabelled)
            if content.groups is not None:
                entry["group"] = content.groups[case.id]
            training.append(entry)
    testing = []
    for case in content.test_cases:
        entry = _entry(case, plan.channel_names, folder)
        if case.label is not None:
            entry["label"] = _relative(case.label, folder)
        testing.append(entry)
    table = {} if content.fold_table is None else {"fold_table": content.fold_table.to_json()}
    return {
        "name": content.spec.task,
        "modality": {str(index): channel for index, channel in enumerate(plan.channel_names)},
        "labels": {str(value): name for value, name in zip(plan.labels, plan.label_names, strict=True)},
        "numTraining": len(content.cases),
        "numTest": len(content.test_cases),
        "training": training,
        "testing": testing,
        **table,
    }


def _entry(case: Case, channels: Sequence[str], folder: Path) -> dict[str, Any]:
    files, missing = channel_files(case, channels)
    entry: dict[str, Any] = {"id": case.id, "image": [_relative(file, folder) for file in files]}
    if missing:
        entry["missing"] = missing
    return entry


def _inner_validation(content: BundleInput) -> dict[str, list[int]]:
    """Case id -> folds whose training holds the case back for validation."""
    plan = content.plan
    validates: dict[str, list[int]] = {case.id: [] for case in content.cases}
    for fold in range(plan.num_folds):
        training = [case.id for case in content.cases if content.folds[case.id] != fold]
        chosen = inner_validation(training, plan.val_fraction.value, plan.seed + fold, content.groups, content.strata)
        for case_id in chosen:
            validates[case_id].append(fold)
    return validates


def _relative(path: Path, start: Path) -> str:
    # links of a converted dataset are not resolved: its folder moves as a whole
    return Path(os.path.relpath(path.absolute(), start.absolute())).as_posix()


def _dump(content: dict[str, Any], config_format: str) -> str:
    if config_format == "yaml":
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return json_text(content)
