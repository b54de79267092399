"""Components: the catalogue's and the generator's pass, chains and functions do not."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest
import torch
from monai.metrics import Metric
from monai.metrics.metric import IterationMetric
from torch.optim.lr_scheduler import LRScheduler

from mist_bundle.bundle.vendor import RUNTIME, runtime_files
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.trust.audit.known_classes import KNOWN_CLASSES
from mist_bundle.trust.audit.targets import (
    FETCHING_ARGUMENTS,
    FULL_NAMES,
    SHORT_NAMES,
    bad_arguments,
    catalogue_targets,
    is_accepted,
    is_dangerous,
    is_script_target,
)


def test_every_row_of_the_catalogue_is_accepted() -> None:
    rows = [row for table in (LOSSES, NETWORKS, OPTIMIZERS, SCHEDULES) for row in table.values()]
    assert {row.target for row in rows} <= catalogue_targets()
    assert all(is_accepted(row.target) for row in rows)


def test_scripts_are_the_public_classes_of_the_runtime_and_the_functions_that_are_called() -> None:
    functions = set()
    for file in runtime_files():
        module = ".".join(["scripts", *file.with_suffix("").parts])
        for node in ast.parse((RUNTIME / file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                assert is_accepted(f"{module}.{node.name}") == (not node.name.startswith("_"))
            if isinstance(node, ast.FunctionDef) and is_script_target(f"{module}.{node.name}"):
                functions.add(f"{module}.{node.name}")
    assert functions == {
        "scripts.folds.weights.ensemble_weights",
        "scripts.folds.weights.fold_weights",
        "scripts.folds.weights.weights_of_fold",
        "scripts.check_settings.check_settings",
        "scripts.loading.datalist.load_items",
        "scripts.loading.select.patch_loader",
        "scripts.networks.heads.with_heads",
        "scripts.networks.parameter_groups.parameter_groups",
        "scripts.networks.vae.with_vae",
    }
    assert not is_accepted("scripts.handlers.checkpoints.save_atomically")
    assert not is_accepted("scripts.handlers.checkpoints.os.system")


@pytest.mark.parametrize("target", ["torch.nn.Conv3d", "torch.optim.SGD", "monai.networks.nets.UNet", "Compose"])
def test_families_admit_classes(target: str) -> None:
    assert is_accepted(target)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "eval",
        "run_cmd",
        "monai.losses.dice.DiceLoss.__init__",
        "monai.losses.dice",
        "monai.losses.",
        "monai.losses._Loss",
        "monai.losses.DiceLoss.forward",
        "torch.nn.functional.relu",
        "torch.nn.ＭoduleList",
        "torch.load",
        "torch.hub.load",
        "builtins.exec",
        "monai.bundle.run",
        "monai.networks.nets.EfficientNetBN",
        "monai.networks.nets.MILModel",
        "monai.networks.nets.HoVerNet",
        "monai.networks.nets.get_pretrained_resnet_medicalnet",
        "monai.losses.PerceptualLoss",
        "monai.inferers.PatchInferer",
        "monai.networks.layers.GaussianMixtureModel",
        "",
    ],
)
def test_all_else_is_refused(target: str) -> None:
    assert not is_accepted(target)


@pytest.mark.parametrize(
    "target", ["os.system", "eval", "a.__class__", "monai.apps.x", "monai.losses.dice.os", "ｏｓ.x"]
)
def test_grave_ones_are_called_so(target: str) -> None:
    assert is_dangerous(target)


@pytest.mark.parametrize("name", sorted(KNOWN_CLASSES))
def test_known_classes_compute_and_do_nothing_else(name: str) -> None:
    module, _, leaf = name.rpartition(".")
    found = getattr(importlib.import_module(module), leaf)
    assert isinstance(found, type)
    assert issubclass(found, (torch.nn.Module, torch.optim.Optimizer, LRScheduler, Metric, IterationMetric))
    for base in found.__mro__:
        constructor = vars(base).get("__init__")
        names = (
            inspect.signature(constructor).parameters.values() if constructor and base.__module__ != "builtins" else ()
        )
        grave = [
            one.name for one in names if FETCHING_ARGUMENTS.fullmatch(one.name) and one.default not in (None, False)
        ]
        assert set(grave) <= {"progress"}, "only of what is fetched when pretrained"


def test_arguments_that_are_imported_or_fetched() -> None:
    assert not list(bad_arguments({"reader": "scripts.transforms.nifti_reader.NiftiReader"}))
    assert not list(bad_arguments({"reader": None, "pretrained": False}))
    named = [name for name, _ in bad_arguments({"reader": "os.system", "writer": ["x.Y"], "pretrained": True})]
    assert named == ["reader", "writer", "pretrained"]
    assert [name for name, _ in bad_arguments({"pretrained_url": "x", "merger_cls": "y"})] == [
        "pretrained_url",
        "merger_cls",
    ]


def test_short_names_are_what_monai_finds_by_them() -> None:
    # a name that MONAI has twice, or outside the package it is meant from, would be another component than was checked
    import monai.engines
    import monai.handlers
    import monai.inferers
    import monai.transforms  # noqa: F401
    from monai.bundle.config_item import ComponentLocator

    locator = ComponentLocator()
    for name in sorted(SHORT_NAMES):
        module = locator.get_component_module_name(name)
        assert isinstance(module, str), (name, module)
        assert module.split(".")[1] in ("transforms", "data", "handlers", "engines", "inferers"), (name, module)
    assert all("." in name for name in FULL_NAMES)
