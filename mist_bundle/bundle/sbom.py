"""docs/sbom.cdx.json: the packages that a bundle pins, as a bill of materials in the format CycloneDX 1.6.

Scanners of vulnerabilities read it; the source is https://cyclonedx.org/docs/1.6/json/. It says the same as
metadata.json, and nothing of the time or the machine: the same bundle has the same bill.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

SPECIFICATION = "1.6"
GENERATOR = "mist-bundle"
# keys of metadata.json -> package
_OWN_KEYS = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}


def bill_of_materials(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of the bill.

    Args:
        metadata: content of metadata.json.

    Returns:
        A component for each pinned package, and mist-bundle for the scripts that travel with the bundle. What these
        packages need themselves is not listed, and the bill says so.
    """
    name, version = str(metadata.get("name", "bundle")), str(metadata.get("version", ""))
    bundle = {"type": "machine-learning-model", "bom-ref": f"bundle:{name}@{version}", "name": name, "version": version}
    components = []
    pinned = pinned_packages(metadata)
    for package in sorted(pinned, key=str.lower):
        components.append(_component(package, pinned[package]))
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": bundle},
        "components": components,
        "dependencies": [{"ref": bundle["bom-ref"], "dependsOn": [entry["bom-ref"] for entry in components]}],
        "compositions": [{"aggregate": "incomplete", "dependencies": [bundle["bom-ref"]]}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return {"bomFormat": content.pop("bomFormat"), "serialNumber": f"urn:uuid:{serial}", **content}


def pinned_packages(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Package -> version, as metadata.json pins them; with mist-bundle itself, where it generated the bundle."""
    pinned = {}
    for key, package in _OWN_KEYS.items():
        if metadata.get(key):
            pinned[package] = str(metadata[key])
    for package, version in metadata.get("required_packages_version", {}).items():
        pinned[str(package)] = str(version)
    if metadata.get("mist_bundle_version"):
        pinned[GENERATOR] = str(metadata["mist_bundle_version"])
    return pinned


def _component(package: str, version: str) -> dict[str, Any]:
    address = f"pkg:pypi/{_normalized(package)}@{version}"
    component = {"type": "library", "bom-ref": address, "name": package, "version": version, "purl": address}
    if package == GENERATOR:
        component["description"] = "Generated the bundle; its runtime travels in scripts/."
    return component


def _normalized(package: str) -> str:
    """The name of a package as addresses write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()
