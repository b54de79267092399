"""The commands that create a bundle again."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.api.arguments import arguments_of
from mist_bundle.bundle.folder import Bundle
from mist_bundle.cli.arguments import sort_words
from mist_bundle.files import read_json, write_json
from mist_bundle.planning.decision import Decision
from mist_bundle.report.reproduce_part import reproduce_section, requested_options
from tests.report.conftest import Made
from tests.report.pages import Page


@pytest.fixture
def bundle(trained: Made, tmp_path: Path) -> Bundle:
    shutil.copytree(trained.bundle.parent, tmp_path / "out")
    return Bundle(tmp_path / "out" / trained.bundle.name)


def test_weights_are_listed_with_their_hashes(bundle: Bundle) -> None:
    manifest = read_json(bundle.root / "MANIFEST.json")
    digest = hashlib.sha256(b"weights").hexdigest()
    manifest["files"]["models/model.pt"] = digest
    write_json(bundle.root / "MANIFEST.json", manifest)
    text = Page(reproduce_section(bundle)).text
    assert f"models/model.pt {digest}" in text
    assert f"Weights of the bundle {bundle.identity}" in text


def test_packages_are_those_of_the_metadata(bundle: Bundle) -> None:
    text = Page(reproduce_section(bundle)).text
    for package, key in (("monai", "monai_version"), ("torch", "pytorch_version"), ("numpy", "numpy_version")):
        assert f"{package} {bundle.metadata[key]}" in text


def test_finetuning_starts_from_its_source(bundle: Bundle) -> None:
    plain = Page(reproduce_section(bundle)).text
    assert "mist-bundle autoconfig dataset.json" in plain
    plan = replace(bundle.plan, initial_weights=Decision(value="a b.zip", because="Chosen by the user."))
    bundle.__dict__["plan"] = plan
    assert "mist-bundle finetune 'a b.zip' dataset.json" in Page(reproduce_section(bundle)).text


def test_requested_options_are_typed_as_autoconfig_takes_them(bundle: Bundle) -> None:
    requested = {
        "target_spacing_mm": ((1.0, 1.5, 2.0), "Chosen by the user; the rule gives 1 x 1 x 1 mm."),
        "loss": ("my loss.py:Loss", "Chosen by the user."),
        "residual": (True, "Chosen by the user."),
        "compile": (False, "Chosen by the user."),
        "loss_class_weights": ((0.5, 1, 2), "Chosen by the user."),
        "weight_decay": (0.1, "Default of recipe 'quick'."),
    }
    decisions = {name: Decision(value=value, because=because) for name, (value, because) in requested.items()}
    plan = replace(bundle.plan, **decisions, ignore_label=9, skip_preprocessing=True, normalize_distance_maps=False)
    words = shlex.split(requested_options(plan))
    assert not sort_words(arguments_of(cli.VERBS["autoconfig"]), ["dataset.json", *words])[2]
    typed = " ".join(words)
    assert "--target_spacing 1.0,1.5,2.0" in typed
    assert "--loss my loss.py:Loss" in typed
    assert "--residual" in words
    assert "--nocompile" in words
    assert "--class_weights 0.5,1,2" in typed
    assert "--ignore_label 9" in typed
    assert "--skip_preprocessing" in words
    assert "--nonormalize_distance_maps" in words
    assert "--weight_decay" not in words
