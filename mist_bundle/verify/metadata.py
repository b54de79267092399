"""metadata.json against MONAI's schema of 2024-07-25: its required fields, which stand here, or the schema itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import as_json
from mist_bundle.verify.report import each

TEXTS = (
    "schema version monai_version pytorch_version numpy_version task description authors copyright image_classes "
    "label_classes pred_classes data_source data_type intended_use"
)
REQUIRED = (
    "schema version monai_version pytorch_version numpy_version required_packages_version task description authors "
    "copyright network_data_format"
)
LISTS = "references"
OBJECTS = "required_packages_version network_data_format changelog eval_metrics supported_apps"
TENSOR_REQUIRED = "type format num_channels spatial_shape dtype value_range"
_NUMBER = re.compile(r"\d+(\.\d+)*([a-z+.-].*)?")


def metadata_problems(metadata: Mapping[str, Any]) -> list[str]:
    """Fields that are missing or of the wrong type, as sentences."""
    problems = each("'{}' is missing.", _lacking(metadata, REQUIRED))
    for fields, kind, words in ((TEXTS, str, "text"), (OBJECTS, Mapping, "an object"), (LISTS, list, "a list")):
        for field in fields.split():
            if field in metadata and not isinstance(metadata[field], kind):
                problems.append(f"'{field}' is {as_json(metadata[field])}; expected {words}.")
    problems += _version_problems(metadata)
    described = metadata.get("network_data_format")
    if not isinstance(described, Mapping):
        return problems
    for direction in ("inputs", "outputs"):
        tensors = described.get(direction)
        if not isinstance(tensors, Mapping) or not tensors:
            problems.append(f"'network_data_format#{direction}' is missing.")
            continue
        for name, tensor in tensors.items():
            problems += _tensor_problems(f"network_data_format#{direction}#{name}", tensor)
    return problems


def _lacking(entries: Mapping[str, Any], fields: str) -> list[str]:
    return [field for field in fields.split() if field not in entries]


def _version_problems(metadata: Mapping[str, Any]) -> list[str]:
    versions: dict[str, Any] = {}
    for field in ("monai_version", "pytorch_version", "numpy_version"):
        versions[field] = metadata.get(field)
    packages = metadata.get("required_packages_version")
    if isinstance(packages, Mapping):
        for name, version in packages.items():
            versions[f"required_packages_version#{name}"] = version
    problems = []
    for field, version in versions.items():
        if version is not None and not (isinstance(version, str) and _NUMBER.fullmatch(version)):
            problems.append(f"'{field}' is {version!r}; expected a version.")
    return problems


def _tensor_problems(place: str, tensor: Any) -> list[str]:
    if not isinstance(tensor, Mapping):
        return [f"'{place}' is not an object."]
    problems = []
    for field in _lacking(tensor, TENSOR_REQUIRED):
        problems.append(f"'{place}#{field}' is missing.")
    channels = tensor.get("num_channels")
    if "num_channels" in tensor and (not isinstance(channels, int) or isinstance(channels, bool) or channels < 1):
        problems.append(f"'{place}#num_channels' is {channels!r}; expected a whole number above 0.")
    for field, kinds in (("spatial_shape", (int, str)), ("value_range", (int, float))):
        values = tensor.get(field)
        if field in tensor and not _is_list_of(values, kinds):
            problems.append(f"'{place}#{field}' is {values!r}; expected a list.")
    names = tensor.get("channel_def")
    if isinstance(names, Mapping) and isinstance(channels, int) and len(names) != channels:
        problems.append(f"'{place}#channel_def' names {len(names)} channels; there are {channels}.")
    return problems


def _is_list_of(values: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(values, list) and all(isinstance(value, kinds) for value in values)


def schema_problems(metadata: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Violations of a JSON schema.

    Raises:
        InputError: the package jsonschema is not installed.
    """
    try:
        import jsonschema
    except ImportError as error:
        raise InputError(Problem("--schema", "needs the package jsonschema: pip install jsonschema.")) from error
    validator = jsonschema.validators.validator_for(schema)(schema)
    problems = []
    for violation in validator.iter_errors(metadata):
        problems.append((violation.json_path, f"{violation.json_path}: {violation.message}."))
    problems.sort()
    return [sentence for _, sentence in problems]
