"""Folds that the user decides, from the file to the bundle's datalist; nothing is written when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions

OPTIONS = PlanOptions(recipe="quick", epochs=1, steps_per_epoch=1, patch_size=(16, 16, 16))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "data"
    return make_phantom(folder, kind="mr2", num_cases=5, num_test=0, seed=3, shape=(20, 18, 16))


def _ids(data: Path) -> list[str]:
    return sorted(path.name for path in (data.parent / json.loads(data.read_text())["train-data"]).iterdir())


def test_a_fold_file_decides_the_folds(data: Path, tmp_path: Path) -> None:
    ids = _ids(data)
    wanted = dict(zip(ids, (2, 0, 1, 1, 0), strict=True))
    table = tmp_path / "folds.csv"
    table.write_text("id,fold\n" + "".join(f"{name},{fold}\n" for name, fold in wanted.items()), encoding="utf-8")
    made = pipeline.autoconfig(data, tmp_path / "out", OPTIONS, fold_file=table)
    entries = json.loads((made.bundle / "configs" / "datalist.json").read_text())["training"]
    assert {entry["id"]: entry["fold"] for entry in entries} == wanted
    assert pipeline.num_folds(made.bundle) == made.plan.num_folds == 3


def test_every_wrong_line_of_a_fold_file_is_named_and_nothing_is_written(data: Path, tmp_path: Path) -> None:
    ids = _ids(data)
    table = tmp_path / "folds.csv"
    table.write_text(f"id,fold\n{ids[0]},one\n{ids[1]},0\n{ids[2]},-1\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        pipeline.autoconfig(data, tmp_path / "out", OPTIONS, fold_file=table)
    text = str(caught.value)
    assert "'one'" in text
    assert "'-1'" in text
    assert not (tmp_path / "out").exists()


def test_folds_by_a_column_that_no_case_has(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="that can be read"):
        pipeline.autoconfig(data, tmp_path / "out", OPTIONS, fold_by="site")
    assert not (tmp_path / "out").exists()
