"""Folds that the user decides, from the file to the bundle's datalist; nothing is written when they are wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError
from mist_bundle.pipeline.fold_choice import FoldRequest, FoldRules, choose_folds
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
    made = pipeline.autoconfig(data, tmp_path / "out", OPTIONS, fold_rules=FoldRules(fold_file=table))
    entries = json.loads((made.bundle / "configs" / "datalist.json").read_text())["training"]
    assert {entry["id"]: entry["fold"] for entry in entries} == wanted
    assert pipeline.num_folds(made.bundle) == made.plan.num_folds == 3


def test_every_wrong_line_of_a_fold_file_is_named_and_nothing_is_written(data: Path, tmp_path: Path) -> None:
    ids = _ids(data)
    table = tmp_path / "folds.csv"
    table.write_text(f"id,fold\n{ids[0]},one\n{ids[1]},0\n{ids[2]},-1\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        pipeline.autoconfig(data, tmp_path / "out", OPTIONS, fold_rules=FoldRules(fold_file=table))
    text = str(caught.value)
    assert "'one'" in text
    assert "'-1'" in text
    assert not (tmp_path / "out").exists()


def test_folds_by_a_column_that_no_case_has(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="that can be read"):
        pipeline.autoconfig(data, tmp_path / "out", OPTIONS, fold_rules=FoldRules(fold_by="site"))
    assert not (tmp_path / "out").exists()


def _add_table(data: Path, **columns: list[str]) -> None:
    names = _ids(data)
    rows = zip(names, *columns.values(), strict=True)
    lines = [",".join(["id", *columns]), *map(",".join, rows)]
    (data.parent / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _configure(data: Path, output: Path, rules: FoldRules, **options: int) -> dict[str, object]:
    made = pipeline.autoconfig(data, output, replace(OPTIONS, **options), fold_rules=rules)
    return json.loads((made.bundle / "configs" / "datalist.json").read_text())


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_phantom(tmp_path / "study", kind="mr2", num_cases=6, num_test=0, seed=3, shape=(20, 18, 16))


def test_a_pattern_in_the_ids_keeps_patients_together(study: Path, tmp_path: Path) -> None:
    for number, name in enumerate(_ids(study)):
        folder = study.parent / "train" / name
        folder.rename(folder.with_name(f"p{number // 2}_visit{number % 2}"))
    content = _configure(study, tmp_path / "out", FoldRules(group_pattern="(.*)_visit"), folds=3)
    folds: dict[str, set[int]] = {}
    for entry in content["training"]:
        assert entry["group"] == entry["id"].split("_")[0]
        folds.setdefault(entry["group"], set()).add(entry["fold"])
    assert sorted(map(len, folds.values())) == [1, 1, 1]
    assert ["groups", "1", "1", "1", "3"] in content["fold_table"]["rows"]


def test_one_site_is_left_out_at_a_time(study: Path, tmp_path: Path) -> None:
    sites = ["b", "a", "b", "c", "c", "c"]
    _add_table(study, site=sites)
    content = _configure(study, tmp_path / "out", FoldRules(leave_out="site"), folds=5)
    assert [entry["fold"] for entry in content["training"]] == [1, 0, 1, 2, 2, 2]
    assert ["site a", "1", "0", "0", "1"] in content["fold_table"]["rows"]
    with pytest.raises(InputError, match="Leave --folds out"):
        _configure(study, tmp_path / "no", FoldRules(leave_out="site"), folds=2)


def test_sites_and_volumes_are_balanced(study: Path, tmp_path: Path) -> None:
    _add_table(study, site=["a", "a", "a", "b", "b", "b"])
    for seed in range(4):
        rules = FoldRules(stratify=("classes", "volume", "site"))
        content = _configure(study, tmp_path / f"out{seed}", rules, folds=3, seed=seed)
        rows = {row[0]: row[1:4] for row in content["fold_table"]["rows"]}
        assert rows["site a"] == rows["site b"] == ["1", "1", "1"]


@pytest.mark.parametrize("way", ["column", "file"])
def test_a_fixed_test_set_is_in_no_fold(study: Path, tmp_path: Path, way: str) -> None:
    names = _ids(study)
    _add_table(study, split=["test", "train", "train", "train", "test", "train"])
    rules = FoldRules(test_set="split=test")
    if way == "file":
        table = tmp_path / "folds.csv"
        folds = ("test", "0", "0", "1", "test", "1")
        table.write_text("id,fold\n" + "".join(f"{name},{fold}\n" for name, fold in zip(names, folds, strict=True)))
        rules = FoldRules(fold_file=table)
    content = _configure(study, tmp_path / "out", rules, folds=2)
    assert [entry["id"] for entry in content["testing"]] == [names[0], names[4]]
    assert all("mask" in entry["label"] for entry in content["testing"])
    assert {entry["id"] for entry in content["training"]} == set(names) - {names[0], names[4]}
    assert content["fold_table"]["head"][-1] == "test set"
    assert content["fold_table"]["rows"][0][-1] == "2"


def test_a_patient_or_a_scan_in_both_training_and_test_set_is_refused(study: Path, tmp_path: Path) -> None:
    names = _ids(study)
    _add_table(study, split=["test", "x", "x", "x", "x", "x"], subject=["p", "p", "q", "r", "s", "t"])
    with pytest.raises(InputError, match=f"{names[0]}, {names[1]}: belong to the group 'p'"):
        _configure(study, tmp_path / "out", FoldRules(test_set="split=test", fold_by="subject"))
    for image in (study.parent / "train" / names[0]).glob("*.nii.gz"):
        copy = study.parent / "train" / names[2] / image.name.replace(names[0], names[2])
        copy.unlink()
        shutil.copyfile(image, copy)
    with pytest.raises(InputError, match=f"holds the scan of {names[2]}"):
        _configure(study, tmp_path / "out", FoldRules(test_set="split=test"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (FoldRules(group_pattern="(.*)_visit"), "has no group: --group_pattern"),
        (FoldRules(leave_out="sex"), "there is nothing to leave out"),
        (FoldRules(leave_out="sit"), "Did you mean"),
        (FoldRules(stratify=("volumes",)), "is not a column of cases.csv"),
        (FoldRules(stratify=("site",), leave_out="site"), "has no effect with --leave_out"),
        (FoldRules(test_set="split"), "expected COLUMN=VALUE"),
        (FoldRules(test_set="sex=m"), "but sex holds f only"),
        (FoldRules(test_set="sex=f"), "none is left to train on"),
        (FoldRules(fold_by="pair"), "only 1 groups"),
    ],
)
def test_rules_that_cannot_be_followed(study: Path, tmp_path: Path, rules: FoldRules, words: str) -> None:
    _add_table(study, site=list("abcabc"), sex=list("ffffff"), pair=list("pppppp"))
    with pytest.raises(InputError, match=words):
        _configure(study, tmp_path / "out", rules, folds=2)
    assert not (tmp_path / "out").exists()


def test_a_page_about_the_data_shows_the_folds(study: Path, tmp_path: Path) -> None:
    _add_table(study, site=list("aabbcc"))
    request = FoldRequest(count=5, seed=1, rules=FoldRules(leave_out="site"))
    analyzed = pipeline.analyze_dataset(study, tmp_path / "page", folds=request, pictures=0)
    made = _configure(study, tmp_path / "out", FoldRules(leave_out="site"), folds=5, seed=1)
    assert analyzed.report["fold_table"] == made["fold_table"]
    assert "site a" in analyzed.page.read_text(encoding="utf-8")
    card = next((tmp_path / "out").glob("*/docs/README.md")).read_text(encoding="utf-8")
    assert "| site a | 2 | 0 | 0 | 2 |" in card
    assert "| site a | 2 | 0 | 0 | 2 |" in analyzed.page.with_name("data_report.md").read_text(encoding="utf-8")


def test_the_column_patient_keeps_cases_together_unasked() -> None:
    cases = []
    for number in range(8):
        cases.append(Case(id=f"c{number}", images={}, extra={"patient": f"p{number // 2}"} if number < 6 else {}))
    for seed in range(5):
        chosen = choose_folds(cases, FoldRequest(count=3, seed=seed, rules=FoldRules()))
        for first in (0, 2, 4):
            assert chosen.folds[f"c{first}"] == chosen.folds[f"c{first + 1}"]
    alone = [replace(case, extra={"patient": case.id}) for case in cases]
    assert choose_folds(alone, FoldRequest(count=3, seed=0, rules=FoldRules())).groups is None
