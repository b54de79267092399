from __future__ import annotations

from mist_bundle.bundle.configs.preprocess import preprocess_config
from mist_bundle.bundle.configs.train import train_config
from tests.planning.plans import small_plan


def test_the_cache_is_the_one_that_training_reads() -> None:
    """The key of the cache covers transforms and arguments: any difference would prepare every case twice."""
    plan = small_plan(loss="boundary")
    preprocess = preprocess_config(plan, "name", "id", "..")
    train = train_config(plan, "name", "id", "..")
    for key in ("deterministic_transforms", "preprocessing", "cache"):
        assert preprocess["train"][key] == train["train"][key], key
    for key in ("work_dir", "dataset_dir", "datalist"):
        assert preprocess[key] == train[key], key


def test_all_cases_are_prepared() -> None:
    assert preprocess_config(small_plan(), "name", "id", "..")["train"]["data"]["split"] == "all"
