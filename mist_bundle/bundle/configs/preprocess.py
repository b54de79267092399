"""preprocess.json: fill the cache ahead of training, with the same transforms."""

from __future__ import annotations

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.parts import Config
from mist_bundle.bundle.configs.train import cache
from mist_bundle.bundle.configs.transforms import deterministic_transforms
from mist_bundle.planning.plan import Plan


def preprocess_config(plan: Plan, name: str, bundle_id: str, dataset_dir: str) -> Config:
    """Return the complete preprocess.json of a plan; arguments as for `parts.header`."""
    return {
        **parts.header(name, bundle_id, dataset_dir),
        "workers": None,  # as many as there are cores
        "fold": 0,
        "train": {
            "deterministic_transforms": deterministic_transforms(plan, with_label=True),
            "preprocessing": parts.compose("@train#deterministic_transforms"),
            "data": parts.items("all"),
            "cache": cache(plan),
        },
        "run": [parts.CHECKED, expressions.BUILD_CACHE],
        "preprocess": expressions.RUN_LIST,
    }
