"""From a Plan to the bundle's folder: JSON, vendored scripts, model card, licence and manifest.

The folder appears complete or not at all. It holds no absolute path: the data are named relative to it.
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
from mist_bundle.bundle.trial import try_out
from mist_bundle.bundle.user_code import UserCode, copy_user_code
from mist_bundle.bundle.vendor import copy_runtime
from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.folds import inner_validation
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Problem
from mist_bundle.files import (
    BUNDLE_README,
    DATA_LICENSE,
    DATALIST_JSON,
    LOGGING_CONF,
    METADATA_JSON,
    PLAN_JSON,
    POSTPROCESSING_JSON,
    SCRIPTS_FOLDER,
    dump_json,
    new_folder,
    write_bytes,
    write_text,
)
from mist_bundle.planning.plan import Plan
from mist_bundle.resources import own_file

LICENSE_TEXT = "bundle/LICENSE.txt"
FORMATS = ("json", "yaml")
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
format=%(asctime)s %(levelname)s %(name)s: %(message)s
datefmt=%H:%M:%S
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleInput:
    """What a bundle is made of.

    Attributes:
        spec: what the user gave.
        plan: what was decided.
        cases: the training cases that are used.
        test_cases: unlabelled cases, may be empty.
        folds: case id -> fold.
        excluded: cases that were left out, with the reason.
        groups: case id -> group that is kept together (patient, site …), or None.
        user_code: the user's own network and loss, whose files travel in scripts/user.
        extra_files: path in the bundle -> content, for example the weights that training begins from.
        untried: of "network" and "loss", what is built and run once before the bundle appears.
    """

    spec: DatasetSpec
    plan: Plan
    cases: Sequence[Case]
    test_cases: Sequence[Case]
    folds: Mapping[str, int]
    excluded: Sequence[Problem]
    groups: Mapping[str, str] | None = None
    user_code: Sequence[UserCode] = ()
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    untried: Sequence[str] = ()


def bundle_name(spec: DatasetSpec) -> str:
    """Name of the bundle's folder, after the task."""
    return f"{spec.slug}_segmentation"


def generate_bundle(
    given: BundleInput,
    output: Path,
    *,
    config_format: str = "json",
    overwrite: bool = False,
    ready: Callable[[Path], object] | None = None,
) -> Path:
    """Write the bundle into `output`/<task>_segmentation.

    Args:
        given: the material.
        output: folder that the bundle's folder is made in.
        config_format: "json", which every consumer reads, or "yaml".
        overwrite: replace a bundle that is there already, its trained weights included.
        ready: called with the bundle's place just before it appears there; what belongs beside it is written then, so
            that a bundle is never there without it.

    Returns:
        The bundle's folder.

    Raises:
        InputError: there is something already and `overwrite` is False, or what was untried does not work.
    """
    name = bundle_name(given.spec)
    bundle = (output / name).absolute()
    with new_folder(bundle, overwrite=overwrite) as folder:
        for file, content in bundle_texts(given, name, bundle, config_format).items():
            write_text(folder / file, content)
        for file, extra in given.extra_files.items():
            write_bytes(folder / file, extra)
        copy_runtime(folder / SCRIPTS_FOLDER)
        copy_user_code(given.user_code, folder / SCRIPTS_FOLDER)
        shutil.copyfile(own_file(LICENSE_TEXT), folder / "LICENSE")
        (folder / "models").mkdir()
        try_out(folder, given.untried)
        write_manifest(folder)
        if ready is not None:
            ready(bundle)
    return bundle


def bundle_texts(given: BundleInput, name: str, bundle: Path, config_format: str = "json") -> dict[str, str]:
    """Every generated text file of the bundle, by its path in it; pure but for the folders' relative position."""
    plan, spec = given.plan, given.spec
    plan_json = plan.to_json()
    identity = plan_json["bundle_id"]
    dataset_dir = _relative(spec.train_dir, bundle)
    described = spec.description or f"Segments {', '.join(plan.label_names[1:])} in {plan.modality.upper()} images."
    configs: dict[str, Any] = {
        "train": train_config(plan, name, identity, dataset_dir),
        "evaluate": evaluate_config(plan),
        "inference": inference_config(plan, name, identity, dataset_dir),
        "preprocess": preprocess_config(plan, name, identity, dataset_dir),
        "multi_gpu_train": multi_gpu_train_config(plan),
        "multi_gpu_evaluate": multi_gpu_evaluate_config(),
    }
    metadata = metadata_config(plan, name, described, spec.reference or "not stated", __version__)
    return {
        **{f"configs/{stem}.{config_format}": _dump(content, config_format) for stem, content in configs.items()},
        METADATA_JSON: dump_json(metadata),
        PLAN_JSON: dump_json(plan_json),
        DATALIST_JSON: dump_json(datalist(given)),
        POSTPROCESSING_JSON: dump_json(NO_POSTPROCESSING),
        LOGGING_CONF: LOGGING,
        BUNDLE_README: model_card(plan, spec, name, given.excluded),
        DATA_LICENSE: f"{spec.licence or 'The licence of the training data was not stated.'}\n{spec.reference}\n",
    }


def datalist(given: BundleInput) -> dict[str, Any]:
    """The cases in the layout of the Medical Segmentation Decathlon, with folds; paths relative to the training folder.

    `fold` is the fold that tests a case; `validates` lists the folds whose training holds it back to choose the best
    weights, so the test fold never chooses anything.
    """
    plan, spec = given.plan, given.spec
    validates = _inner_validation(given)
    return {
        "name": spec.task,
        "modality": {str(index): channel for index, channel in enumerate(plan.channel_names)},
        "labels": {str(value): text for value, text in zip(plan.labels, plan.label_names, strict=True)},
        "numTraining": len(given.cases),
        "numTest": len(given.test_cases),
        "training": [
            {
                **_entry(case, plan.channel_names, spec.train_dir),
                "label": _relative(case.label, spec.train_dir),
                "fold": given.folds[case.id],
                "validates": validates[case.id],
            }
            for case in given.cases
            if case.label is not None
        ],
        "testing": [_entry(case, plan.channel_names, spec.train_dir) for case in given.test_cases],
    }


def _entry(case: Case, channels: Sequence[str], folder: Path) -> dict[str, Any]:
    return {"id": case.id, "image": [_relative(case.images[channel], folder) for channel in channels]}


def _inner_validation(given: BundleInput) -> dict[str, list[int]]:
    plan = given.plan
    validates: dict[str, list[int]] = {case.id: [] for case in given.cases}
    for fold in range(plan.num_folds):
        training = [case.id for case in given.cases if given.folds[case.id] != fold]
        for identity in inner_validation(training, plan.val_fraction.value, plan.seed + fold, given.groups):
            validates[identity].append(fold)
    return validates


def _relative(path: Path, start: Path) -> str:
    # the links of a converted data set are kept as they are: its folder is what moves together
    return Path(os.path.relpath(path.absolute(), start.absolute())).as_posix()


def _dump(content: dict[str, Any], config_format: str) -> str:
    if config_format == "yaml":
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return dump_json(content)
