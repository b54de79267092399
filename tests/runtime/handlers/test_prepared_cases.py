"""A training continues without the cases that cannot be prepared, and names them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ignite.engine import Engine
from torch.utils.data import DataLoader

from mist_bundle.runtime.handlers.prepared_cases import PreparedCases
from mist_bundle.runtime.loading.cache import CacheBuildError
from mist_bundle.runtime.loading.dataset import CachedDataset
from mist_bundle.runtime.loading.select import patch_loader
from mist_bundle.runtime.loading.shards import ShardSampler
from tests.runtime.loading.synthetic import array_cache, array_items, random_case


def _handler(folder: Path, *, broken: tuple[str, ...], rank: int = 0) -> tuple[PreparedCases, CachedDataset]:
    names = ("a", "b", "c", "d", "e", "f")
    items = array_items(folder / "raw", {name: random_case(number, (9, 9, 9)) for number, name in enumerate(names)})
    for item in items:
        if item["id"] in broken:
            Path(item["label"]).write_bytes(b"broken")
    cache = array_cache(folder / "cache")
    training, validation = items[:3], items[3:]
    dataset = CachedDataset(validation, cache)
    loader = DataLoader(dataset, sampler=ShardSampler(dataset), batch_size=1)
    evaluator = SimpleNamespace(data_loader=loader, state=SimpleNamespace(epoch_length=len(loader)))
    patches = patch_loader(training, cache, patch_size=(4, 4, 4), loader="torch", num_threads=0)
    return PreparedCases(patches, dataset, evaluator, rank), dataset


def _start(handler: PreparedCases) -> None:
    engine = Engine(lambda engine, batch: None)
    handler.attach(engine)
    engine.run([0])


def test_training_and_validation_go_on_without_what_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handler, dataset = _handler(tmp_path, broken=("b", "e"))
    _start(handler)
    assert [item["id"] for item in dataset.data] == ["d", "f"]
    assert handler.evaluator.state.epoch_length == len(handler.evaluator.data_loader) == 2
    assert {case.id for case in handler.loader.sampler().cases} == {"a", "c"}
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(": ")[1] for text in said] == ["b", "training", "e", "validation"]
    assert said[-1] == "warning: validation: 1 of 3 cases are left out."


def test_other_processes_leave_the_same_out_silently(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    handler, dataset = _handler(tmp_path, broken=("e",), rank=1)
    _start(handler)
    assert len(dataset) == 2
    assert not caplog.records


def test_nothing_left_to_validate_with_is_an_error(tmp_path: Path) -> None:
    handler, _ = _handler(tmp_path, broken=("d", "e", "f"))
    with pytest.raises(CacheBuildError, match="3 of 3 cases could not be preprocessed"):
        _start(handler)
