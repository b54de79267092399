"""metadata.json: MONAI's schema, the model zoo's rules, and versions that can be installed."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from mist_bundle.bundle.configs.metadata import TESTED
from mist_bundle.bundle.vendor import RUNTIME, runtime_files

ROOT = Path(__file__).resolve().parents[3]
# the name that is imported, where it is not the one that is installed
INSTALLED_AS = {"ignite": "pytorch-ignite", "nvidia": "nvidia-dali-cuda120"}
# used where they are installed: faster loading, curves, weights without pickle
OPTIONAL = {"nvidia-dali-cuda120", "openvino", "tensorboard", "safetensors"}


@pytest.fixture(scope="module")
def metadata(fresh_bundle: Path) -> dict:
    return json.loads((fresh_bundle / "configs/metadata.json").read_text())


def test_schema(metadata: dict, shared_data: Path) -> None:
    import jsonschema

    schema = json.loads((shared_data / "monai_meta_schema_20240725.json").read_text())
    jsonschema.validate(metadata, schema)
    assert metadata["schema"].endswith("meta_schema_20240725.json")


def test_what_the_model_zoo_asks_for(metadata: dict, fresh_bundle: Path) -> None:
    assert metadata["version"] in metadata["changelog"]
    assert re.fullmatch(r"\d\.\d\.\d", metadata["version"]), "numbers of one digit, since they are compared as text"
    assert metadata["name"] == fresh_bundle.name
    assert isinstance(metadata["supported_apps"], dict)
    assert isinstance(metadata["eval_metrics"], dict)
    assert all(isinstance(text, str) for text in metadata["references"])
    for key in (
        "intended_use",
        "data_source",
        "data_type",
        "image_classes",
        "label_classes",
        "pred_classes",
        "modality",
    ):
        assert isinstance(metadata[key], str), key
        assert metadata[key], key
    (image,) = metadata["network_data_format"]["inputs"].items()
    (pred,) = metadata["network_data_format"]["outputs"].items()
    assert (image[0], pred[0]) == ("image", "pred"), "the keys that verify_net_in_out looks for"
    assert all(isinstance(size, int) for size in image[1]["spatial_shape"]), "expressions would be evaluated"
    assert set(pred[1]["channel_def"]) == {str(index) for index in range(pred[1]["num_channels"])}


def test_versions_are_those_the_tests_run_with(metadata: dict) -> None:
    pinned = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert {name: pinned[name] for name in TESTED} == TESTED
    stated = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    assert stated == TESTED


def test_every_package_that_the_scripts_import_is_listed() -> None:
    imported: set[str] = set()
    for file in runtime_files():
        for node in ast.walk(ast.parse((RUNTIME / file).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                imported.add(node.module.split(".")[0])
    import sys

    packages = {INSTALLED_AS.get(name, name) for name in imported - set(sys.stdlib_module_names)}
    assert packages <= set(TESTED) | OPTIONAL
    assert len(packages) > 6
