"""The steps behind the Python API: each takes plain values, raises InputError or CaseFailure, and prints nothing."""

from mist_bundle.bundle.placement import Hardware
from mist_bundle.files import work_dir_of
from mist_bundle.pipeline.absent_channels import measure_absent_channels
from mist_bundle.pipeline.analyze import Analyzed, analyze_dataset
from mist_bundle.pipeline.comparison import comparable_runs
from mist_bundle.pipeline.configure import Configured, autoconfig
from mist_bundle.pipeline.cost_estimate import estimate
from mist_bundle.pipeline.evaluate import evaluate_folds
from mist_bundle.pipeline.finetune import average_weights, finetune
from mist_bundle.pipeline.headings import silent
from mist_bundle.pipeline.import_results import ImportedBundle, import_mist, import_nnunet
from mist_bundle.pipeline.merge import merge_fingerprints
from mist_bundle.pipeline.predict import predict, predict_test_set
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
