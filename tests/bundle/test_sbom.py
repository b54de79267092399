"""The bill of materials: valid by CycloneDX's own schema, and equal to what metadata.json pins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.bundle.sbom import bill_of_materials
from mist_bundle.files import METADATA_JSON, SBOM_JSON, read_json
from mist_bundle.sharing.version import bump_version
from mist_bundle.trust.audit.run import audit_bundle
from tests.bundle.golden import BUNDLES, TRAINED

SHIPPED = [TRAINED, *sorted(BUNDLES.glob("golden/*_segmentation"))]
METADATA = {
    "name": "liver_segmentation",
    "version": "0.3.1",
    "monai_version": "1.6.1",
    "pytorch_version": "2.13.0",
    "numpy_version": "2.4.6",
    "required_packages_version": {"pytorch-ignite": "0.5.5", "SimpleITK": "2.5.7", "ruamel.yaml_x": "1.0"},
    "mist_bundle_version": "0.2.0",
}


def problems_of(bill: Any) -> str | None:
    """What CycloneDX's schema says against a bill."""
    pytest.importorskip("cyclonedx", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
    return None if found is None else str(found)


def test_it_is_valid_and_lists_what_is_pinned() -> None:
    bill = bill_of_materials(METADATA)
    assert problems_of(bill) is None
    assert problems_of({**bill, "components": [{"name": "torch"}]}) is not None
    listed = {component["name"]: component["purl"] for component in bill["components"]}
    assert listed == {
        "monai": "pkg:pypi/monai@1.6.1",
        "torch": "pkg:pypi/torch@2.13.0",
        "numpy": "pkg:pypi/numpy@2.4.6",
        "pytorch-ignite": "pkg:pypi/pytorch-ignite@0.5.5",
        "SimpleITK": "pkg:pypi/simpleitk@2.5.7",
        "ruamel.yaml_x": "pkg:pypi/ruamel-yaml-x@1.0",
        "mist-bundle": "pkg:pypi/mist-bundle@0.2.0",
    }
    assert bill["metadata"]["component"]["version"] == "0.3.1"


def test_another_program_reads_its_packages() -> None:
    pytest.importorskip("cyclonedx", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.model.bom import Bom

    bom: Any = Bom.from_json(bill_of_materials(METADATA))
    assert {str(component.purl) for component in bom.components} >= {"pkg:pypi/torch@2.13.0", "pkg:pypi/monai@1.6.1"}
    assert bom.metadata.component.name == "liver_segmentation"


def test_the_same_bundle_has_the_same_bill_and_another_has_another() -> None:
    bill = bill_of_materials(METADATA)
    assert bill == bill_of_materials(dict(METADATA))
    assert bill["serialNumber"] != bill_of_materials({**METADATA, "version": "0.3.2"})["serialNumber"]


def test_metadata_of_strangers_may_lack_anything() -> None:
    assert problems_of(bill_of_materials({})) is None


@pytest.mark.parametrize("bundle", SHIPPED, ids=lambda path: path.name)
def test_the_bundles_of_the_repository_have_theirs(bundle: Path) -> None:
    assert read_json(bundle / SBOM_JSON) == bill_of_materials(read_json(bundle / METADATA_JSON))


def test_a_new_version_renews_it_and_the_audit_takes_it(own_bundle: Path) -> None:
    before = read_json(own_bundle / SBOM_JSON)
    version = bump_version(own_bundle, "More cases.")
    after = read_json(own_bundle / SBOM_JSON)
    assert before["metadata"]["component"]["version"] != version == after["metadata"]["component"]["version"]
    report = audit_bundle(own_bundle)
    assert report.passed
    assert not report.findings
