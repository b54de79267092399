"""metadata.json against what MONAI's schema of 2024-07-25 demands: the required fields here, or the schema itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mist_bundle.errors import InputError, Problem

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
    """What is missing or of the wrong type, as sentences."""
    problems = [f"'{field}' is missing." for field in REQUIRED.split() if field not in metadata]
    for fields, kind, words in ((TEXTS, str, "text"), (OBJECTS, Mapping, "an object"), (LISTS, list, "a list")):
        wrong = [field for field in fields.split() if field in metadata and not isinstance(metadata[field], kind)]
        problems += [f"'{field}' is {type(metadata[field]).__name__}; expected {words}." for field in wrong]
    versions = {field: metadata.get(field) for field in ("monai_version", "pytorch_version", "numpy_version")}
    packages = metadata.get("required_packages_version")
    if isinstance(packages, Mapping):
        versions |= {f"required_packages_version#{name}": version for name, version in packages.items()}
    problems += [
        f"'{field}' is {value!r}; expected a version."
        for field, value in versions.items()
        if value is not None and not (isinstance(value, str) and _NUMBER.fullmatch(value))
    ]
    described = metadata.get("network_data_format")
    for direction in ("inputs", "outputs") if isinstance(described, Mapping) else ():
        tensors = described.get(direction) if isinstance(described, Mapping) else None
        if not isinstance(tensors, Mapping) or not tensors:
            problems.append(f"'network_data_format#{direction}' is missing.")
            continue
        for name, tensor in tensors.items():
            problems += _tensor_problems(f"network_data_format#{direction}#{name}", tensor)
    return problems


def _tensor_problems(place: str, tensor: Any) -> list[str]:
    if not isinstance(tensor, Mapping):
        return [f"'{place}' is no object."]
    problems = [f"'{place}#{field}' is missing." for field in TENSOR_REQUIRED.split() if field not in tensor]
    channels = tensor.get("num_channels")
    if "num_channels" in tensor and (not isinstance(channels, int) or isinstance(channels, bool) or channels < 1):
        problems.append(f"'{place}#num_channels' is {channels!r}; expected a whole number above 0.")
    for field, kinds in (("spatial_shape", (int, str)), ("value_range", (int, float))):
        values = tensor.get(field)
        if field in tensor and not (isinstance(values, list) and all(isinstance(value, kinds) for value in values)):
            problems.append(f"'{place}#{field}' is {values!r}; expected a list.")
    names = tensor.get("channel_def")
    if isinstance(names, Mapping) and isinstance(channels, int) and len(names) != channels:
        problems.append(f"'{place}#channel_def' names {len(names)} channels; there are {channels}.")
    return problems


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
    errors = sorted(validator.iter_errors(metadata), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message}." for error in errors]
