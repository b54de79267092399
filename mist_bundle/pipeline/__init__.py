"""The steps behind the Python API: each takes plain values, raises InputError or CaseFailure, and prints nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mist_bundle.bundle.placement import Hardware
    from mist_bundle.files import work_dir_of
    from mist_bundle.pipeline.absent_channels import measure_absent_channels
    from mist_bundle.pipeline.analyze import Analyzed, analyze_dataset
    from mist_bundle.pipeline.comparison import comparable_runs
    from mist_bundle.pipeline.configure import Configured, autoconfig
    from mist_bundle.pipeline.cost_estimate import estimate
    from mist_bundle.pipeline.evaluate import evaluate_folds
    from mist_bundle.pipeline.finetune_bundle import average_weights, finetune
    from mist_bundle.pipeline.headings import silent
    from mist_bundle.pipeline.import_results import ImportedBundle, import_mist, import_nnunet
    from mist_bundle.pipeline.merge import merge_fingerprints
    from mist_bundle.pipeline.predict_cases import predict, predict_test_set
    from mist_bundle.pipeline.results import (
        calibrate,
        choose_postprocessing,
        evaluated_folds,
        finalize,
        probability_channels,
        report,
        scored_classes,
    )
    from mist_bundle.pipeline.run_all import Finished, train_to_the_end
    from mist_bundle.pipeline.same_options import refuse_other_options
    from mist_bundle.pipeline.workflows import data_warnings, num_folds, preprocess, publish, train

__all__ = [
    "Analyzed",
    "Configured",
    "Finished",
    "Hardware",
    "ImportedBundle",
    "analyze_dataset",
    "autoconfig",
    "average_weights",
    "calibrate",
    "choose_postprocessing",
    "comparable_runs",
    "data_warnings",
    "estimate",
    "evaluate_folds",
    "evaluated_folds",
    "finalize",
    "finetune",
    "import_mist",
    "import_nnunet",
    "measure_absent_channels",
    "merge_fingerprints",
    "num_folds",
    "predict",
    "predict_test_set",
    "preprocess",
    "probability_channels",
    "publish",
    "refuse_other_options",
    "report",
    "scored_classes",
    "silent",
    "train",
    "train_to_the_end",
    "work_dir_of",
]
# module -> what it gives: a command imports only what it uses, most of all not nibabel and scipy where nothing is read
_NAMES = {
    "bundle.placement": ("Hardware",),
    "files": ("work_dir_of",),
    "pipeline.absent_channels": ("measure_absent_channels",),
    "pipeline.analyze": ("Analyzed", "analyze_dataset"),
    "pipeline.comparison": ("comparable_runs",),
    "pipeline.configure": ("Configured", "autoconfig"),
    "pipeline.cost_estimate": ("estimate",),
    "pipeline.evaluate": ("evaluate_folds",),
    "pipeline.finetune_bundle": ("average_weights", "finetune"),
    "pipeline.headings": ("silent",),
    "pipeline.import_results": ("ImportedBundle", "import_mist", "import_nnunet"),
    "pipeline.merge": ("merge_fingerprints",),
    "pipeline.predict_cases": ("predict", "predict_test_set"),
    "pipeline.results": (
        "calibrate",
        "choose_postprocessing",
        "evaluated_folds",
        "finalize",
        "probability_channels",
        "report",
        "scored_classes",
    ),
    "pipeline.run_all": ("Finished", "train_to_the_end"),
    "pipeline.same_options": ("refuse_other_options",),
    "pipeline.workflows": ("data_warnings", "num_folds", "preprocess", "publish", "train"),
}


def __getattr__(name: str) -> Any:
    for module_name, names in _NAMES.items():
        if name in names:
            return getattr(importlib.import_module(f"mist_bundle.{module_name}"), name)
    raise AttributeError(f"module 'mist_bundle.pipeline' has no attribute {name!r}")
