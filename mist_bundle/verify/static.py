"""Checks that need neither MONAI nor torch: files, ids, references, metadata, the model zoo's rules, the manifest."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import read_config
from mist_bundle.bundle.manifest import differences
from mist_bundle.bundle.overrides import has_id, load_configs
from mist_bundle.errors import InputError
from mist_bundle.files import BUNDLE_README, LOGGING_CONF, MANIFEST_JSON, MODEL_PT, read_json
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.training_record import RECORD, recorded_folds
from mist_bundle.runtime.folds.weights import fold_weights, is_superseded
from mist_bundle.runtime.settings import CONFIG_SUFFIXES
from mist_bundle.verify.content import WORKFLOWS, Content, config_files, imported_modules, references
from mist_bundle.verify.metadata import metadata_problems, schema_problems
from mist_bundle.verify.report import BY_RULE, FAIL, NOT_APPLICABLE, Check, by_rule, each

REQUIRED_FILES = ("LICENSE", "configs/metadata.json")
REQUIRED_IDS = {
    "train": """
        bundle_root device dataset_dir output_dir network_def val_interval
        train#trainer train#trainer#max_epochs train#dataset train#dataset#data train#inferer train#handlers
        validate#evaluator validate#handlers validate#dataset validate#dataset#data
    """,
    "inference": """
        bundle_root device dataset_dir output_dir network_def dataset dataset#data inferer evaluator handlers
        preprocessing postprocessing
    """,
}
# the names that the model zoo's tests and checks go by
ZOO_IDS = {
    "inference": "bundle_root device network_def inferer output_dir",
    "train": """
        bundle_root device dataset_dir output_dir val_interval train#trainer train#trainer#max_epochs train#dataset
        train#dataset#data train#handlers validate#evaluator validate#handlers validate#dataset
    """,
}
# package of each key by which metadata.json names its version
ZOO_PACKAGES = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
# settings that the command line takes for every plan
OVERRIDES = """
    dataset_dir work_dir fold epochs steps_per_epoch batch_size patch_size learning_rate val_interval seed device resume
    amp
"""
MAX_GIT_FILE_BYTES = 25_000_000
# names of modules that are not those of their packages; DALI, OpenVINO and safetensors may be absent, and the code
# says so
PACKAGE_OF = {"ignite": "pytorch-ignite"}
OPTIONAL_MODULES = frozenset({"nvidia", "openvino", "safetensors"})
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def static_checks(content: Content, schema: Path | None) -> list[Check]:
    """All checks that only read."""
    return [
        _files(content),
        *_ids(content),
        _references(content),
        _overlays(content),
        _imports(content),
        _overrides(content),
        _metadata(content),
        *_schema(content, schema),
        _version(content),
        _manifest(content.bundle),
        *_ensemble(content.bundle),
        *_training_record(content.bundle),
    ]


def _files(content: Content) -> Check:
    absent = each("{} is not there.", content.absent(*REQUIRED_FILES))
    if content.folder.config_file("inference") is None and content.folder.config_file("train") is None:
        absent.append("There is neither configs/inference.json nor configs/train.json.")
    if not (content.bundle / MODEL_PT).is_file() and not _large_files(content.bundle):
        return Check(
            name="files",
            verdict=FAIL,
            how=BY_RULE,
            reason=" ".join([*absent, "models/model.pt is not there: train and finalize the bundle first."]),
        )
    return by_rule("files", absent, "LICENSE, metadata, configurations and weights are there.")


def _large_files(bundle: Path) -> bool:
    """Whether large_files names the weights, which are then downloaded."""
    for suffix in CONFIG_SUFFIXES:
        file = bundle / f"large_files{suffix}"
        if not file.is_file():
            continue
        for entry in read_config(file).get("large_files") or ():
            if isinstance(entry, dict) and entry.get("path") == MODEL_PT:
                return True
    return False


def _ids(content: Content) -> list[Check]:
    checks = []
    for workflow, (_, run_ids) in WORKFLOWS.items():
        if workflow in content.workflows:
            # of the ids that start a workflow, other generators have `run` alone
            starts = run_ids if content.plan is not None else run_ids[:1]
            identities = f"{REQUIRED_IDS.get(workflow, '')} {' '.join(starts)}"
            problems = each("'{}' is not there.", content.missing(workflow, identities))
            checks.append(by_rule(f"ids of {workflow}", problems, f"{len(identities.split())} ids are there."))
        elif workflow in REQUIRED_IDS:
            missing = f"configs/{workflow}.json is not there."
            checks.append(Check(name=f"ids of {workflow}", verdict=NOT_APPLICABLE, how=BY_RULE, reason=missing))
    return checks


def _references(content: Content) -> Check:
    problems, count = [], 0
    for workflow, config in content.workflows.items():
        targets = references(config)
        count += len(targets)
        for name in sorted(targets):
            if not content.has(workflow, name):
                problems.append(f"{workflow}: '@{name}' leads nowhere.")
    return by_rule("references", problems, f"{count} references resolve.")


def _overlays(content: Content) -> Check:
    """MONAI stops at a key "a#b" of a later file where the files before it have no a."""
    problems, count = [], 0
    for stems, _ in WORKFLOWS.values():
        files = config_files(content.folder, stems)
        if len(stems) == 1 or len(files) != len(stems):
            continue
        before, overlay = load_configs(files[:-1]), read_config(files[-1])
        for key in overlay:
            count += 1
            parent = key.replace("::", "#").rpartition("#")[0]
            if parent and not has_id(before, parent):
                problems.append(f"{files[-1].name}: '{key}' belongs in '{parent}', which is not there.")
    return by_rule("overlays", problems, f"{count} keys of overlays fit the files below them.")


def _imports(content: Content) -> Check:
    """Packages that scripts/ imports, against those that the metadata list."""
    listed = {"monai", "torch", "numpy"}
    for field in ("required_packages_version", "optional_packages_version"):
        packages = content.metadata.get(field)
        listed |= set(packages) if isinstance(packages, dict) else set()
    problems = []
    for file in sorted((content.bundle / "scripts").rglob("*.py")):
        for module in sorted(imported_modules(file) - sys.stdlib_module_names - {"scripts"}):
            package = PACKAGE_OF.get(module, module)
            if package not in listed and module not in OPTIONAL_MODULES:
                problems.append(f"{file.relative_to(content.bundle).as_posix()} imports {module}, not in the metadata.")
    return by_rule("packages", problems, "Every package that scripts/ imports is in the metadata.")


def _overrides(content: Content) -> Check:
    if content.plan is None:
        reason = "Not generated by mist_bundle; its ids are its own."
        return Check(name="overrides", verdict=NOT_APPLICABLE, how=BY_RULE, reason=reason)
    problems = each("--{} is not known to train.json.", content.missing("train", OVERRIDES))
    return by_rule("overrides", problems, f"{len(OVERRIDES.split())} settings of the command line are known.")


def _metadata(content: Content) -> Check:
    problems = metadata_problems(content.metadata)
    return by_rule("metadata", problems, "Required fields are there and of the right type.")


def _schema(content: Content, schema: Path | None) -> list[Check]:
    if schema is None:
        reason = "Pass --schema FILE for MONAI's JSON schema; required fields were checked without it."
        return [Check(name="metadata schema", verdict=NOT_APPLICABLE, how=BY_RULE, reason=reason)]
    problems = schema_problems(content.metadata, read_json(schema))
    how = f"Valid by {schema.name}."
    return [by_rule("metadata schema", problems, how)]


def _version(content: Content) -> Check:
    version = str(content.metadata.get("version", ""))
    problems = []
    if not _VERSION.fullmatch(version):
        problems.append(f"The version is {version!r}; expected three numbers like 0.1.0.")
    elif len(version) > len("0.0.0"):  # a part of two digits
        problems.append(f"The version is {version}; tools compare it as text: keep each part below 10.")
    changelog = content.metadata.get("changelog")
    if not isinstance(changelog, dict) or version not in changelog:
        problems.append(f"The changelog says nothing about version {version}.")
    return by_rule("version", problems, f"{version}, with its entry in the changelog.")


def _manifest(bundle: Path) -> Check:
    if not (bundle / MANIFEST_JSON).is_file():
        return Check(name="manifest", verdict=NOT_APPLICABLE, how=BY_RULE, reason="There is no MANIFEST.json.")
    try:
        problems = []
        for difference in differences(bundle):
            problems.append(f"{difference.name} {difference}")
    except InputError as error:
        problems = list(map(str, error.problems))
    return by_rule("manifest", problems, "Every file has the hash that MANIFEST.json lists.")


def _ensemble(bundle: Path) -> list[Check]:
    """Which weights predict, where the bundle has those of several folds; nothing for other bundles."""
    models = str(bundle / "models")
    folds = [Path(path).name for path in fold_weights(models)]
    if len(folds) < 2:
        return []
    together = f"{', '.join(folds)} predict together."
    alone = f"model.pt was replaced after {', '.join(folds)} were trained, and predicts by itself."
    return [by_rule("ensemble", [], alone if is_superseded(models) else together)]


def _training_record(bundle: Path) -> list[Check]:
    """Which weights have a record of their training; nothing for a bundle without weights."""
    recorded = {record["sha256"] for record in recorded_folds(bundle).values()}
    known: list[str] = []
    unknown: list[str] = []
    for path in dict.fromkeys([*fold_weights(str(bundle / "models")), str(bundle / MODEL_PT)]):
        if Path(path).is_file():
            (known if sha256_of(Path(path)) in recorded else unknown).append(Path(path).name)
    name = "training record"
    if known and not unknown:
        return [by_rule(name, [], f"{RECORD} says what made {', '.join(known)}.")]
    if not unknown:
        return []
    reason = f"There is no record of the data, code and device that made {', '.join(unknown)}: {RECORD} "
    reason += "has other weights." if recorded else "is not there."
    return [Check(name=name, verdict=NOT_APPLICABLE, how=BY_RULE, reason=reason)]


def zoo_problems(content: Content) -> list[str]:
    """The reasons why the model zoo would refuse a contributed bundle, by its rules of acceptance."""
    bundle, metadata = content.bundle, content.metadata
    problems = each("{} is not there.", content.absent(*REQUIRED_FILES))
    if content.folder.config_file("inference") is None:
        problems.append("configs/inference.json is not there.")
    problems += each("{} is not there.", content.absent(LOGGING_CONF))
    if not (bundle / MODEL_PT).is_file() and not _large_files(bundle):
        problems.append("models/model.pt is neither there nor in large_files.yml.")
    version = str(metadata.get("version", ""))
    if not isinstance(metadata.get("changelog"), dict) or version not in metadata["changelog"]:
        problems.append("The changelog does not name the version.")
    for workflow, identities in ZOO_IDS.items():
        if workflow in content.workflows:
            for name in content.missing(workflow, identities):
                problems.append(f"{workflow}: '{name}' is missing.")
    problems += each("{} is not there.", content.absent(BUNDLE_README))
    if not str(metadata.get("schema", "")).startswith(("https://", "http://")):
        problems.append("metadata.json names no address of a schema, from which the zoo downloads it.")
    return [*problems, *_not_installable(metadata)]


def _not_installable(metadata: Mapping[str, Any]) -> list[str]:
    """Packages that the zoo's CI could not install, which asks PyPI for exactly the versions of metadata.json."""
    pinned = {name: metadata.get(key) for key, name in ZOO_PACKAGES.items()}
    for key in ("optional_packages_version", "required_packages_version"):
        packages = metadata.get(key)
        if isinstance(packages, Mapping):
            pinned.update(packages)
    problems = []
    for package, release in pinned.items():
        if "+" in str(release):
            problems.append(f"metadata.json asks for {package} {release}, a build that PyPI does not have.")
    return problems


def big_files(bundle: Path) -> list[str]:
    """Files that the zoo's repository does not take and large_files.yml has to name."""
    names = []
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and path.stat().st_size > MAX_GIT_FILE_BYTES:
            names.append(path.relative_to(bundle).as_posix())
    return names
