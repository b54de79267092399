"""Raise the version of a bundle and say in its changelog what changed."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from mist_bundle.bundle.publish import files_of_replaced_model, finish_publication, publish_files
from mist_bundle.bundle.sbom import bill_of_materials
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import METADATA_JSON, SBOM_JSON, read_json
from mist_bundle.runtime.folds.files import json_text

PARTS = ("major", "minor", "patch")
_VERSION = re.compile(r"(\d)\.(\d)\.(\d)")
# MONAI and the model zoo compare versions as text, so 0.10.0 would come before 0.9.0: every number stays a digit. The
# zoo's CI strips trailing ".0" characters from the next patch version, which spoils x.y.9 (1.3.9 becomes 1.3.1).
LAST_PATCH, LAST = 8, 9


def next_version(version: str, part: str) -> str:
    """The version after `version`, three digits; a digit at its limit carries over to the digit before it.

    Raises:
        InputError: `version` is not of that form, `part` is unknown, or there is no further version.
    """
    match = _VERSION.fullmatch(version)
    problems = []
    if match is None:
        problems.append(Problem(METADATA_JSON, f"its version is {version!r}; expected three digits such as 0.3.1."))
    if part not in PARTS:
        problems.append(Problem("--part", f"is {part!r}; expected {', '.join(PARTS)}."))
    if match is None or problems:
        raise InputError(problems)
    major, minor, patch = map(int, match.groups())
    if part == "patch" and patch < LAST_PATCH:
        return f"{major}.{minor}.{patch + 1}"
    if part != "major" and minor < LAST:
        return f"{major}.{minor + 1}.0"
    if major < LAST:
        return f"{major + 1}.0.0"
    raise InputError(Problem(METADATA_JSON, f"its version {version} is the last possible version; rename the bundle."))


def bump_version(bundle: Path, message: str, part: str = "patch") -> str:
    """Write the next version and its changelog entry into metadata.json; renew bill of materials and manifest with it.

    Where models/model.pt was replaced, its safetensors copy is renewed too, and results of the former weights are taken
    back.

    Args:
        bundle: its folder.
        message: what changed, for people.
        part: "major", "minor" or "patch".

    Returns:
        The new version.

    Raises:
        InputError: no message, as `next_version`, or the bundle cannot be written to; it is as it was.
    """
    finish_publication(bundle)
    metadata = _readable_configs(bundle)
    if not message.strip():
        raise InputError(Problem("--message", "is empty; say in a sentence what changed."))
    version = next_version(str(metadata.get("version", "")), part)
    metadata["version"] = version
    metadata["changelog"] = {**metadata.get("changelog", {}), version: message.strip()}
    with tempfile.TemporaryDirectory(prefix="mist_bundle_bump_") as scratch:
        files = files_of_replaced_model(bundle, Path(scratch))
        if files:
            metadata["eval_metrics"] = {}
        files[METADATA_JSON] = json_text(metadata).encode("utf-8")
        files[SBOM_JSON] = json_text(bill_of_materials(metadata)).encode("utf-8")
        publish_files(bundle, files, renew=True)
    return version


def _readable_configs(bundle: Path) -> dict[str, Any]:
    """The content of metadata.json, once every configuration was found to be JSON: the new manifest vouches for them.

    Raises:
        InputError: names every file that is not.
    """
    problems: list[Problem] = []
    for path in sorted((bundle / METADATA_JSON).parent.glob("*.json")):
        with Collecting(problems):
            read_json(path)
    if problems:
        raise InputError(problems)
    metadata = read_json(bundle / METADATA_JSON)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("changelog", {}), dict):
        message = 'must hold a JSON object, with an object of versions as its "changelog". Put the former file back.'
        raise InputError(Problem(str(bundle / METADATA_JSON), message))
    return metadata
