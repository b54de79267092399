"""The programs that can use a bundle, by rule and after a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mist_bundle.verify.consumers import MONAI_CLI, MONAI_FL, consumer_matrix, copy_target
from mist_bundle.verify.content import Content
from mist_bundle.verify.probe import NOT_SCRIPTED
from mist_bundle.verify.report import BY_RULE, FAIL, NOT_APPLICABLE, PASS, RUN, Check

ROOT = Path(__file__).parents[2]


def _rows(bundle: Path, steps: dict[str, Check] | None = None) -> dict[str, Check]:
    return {row.name: row for row in consumer_matrix(Content.read(bundle), steps or {})}


def test_files_that_a_consumer_needs_are_named(own_bundle: Path) -> None:
    rows = _rows(own_bundle)
    assert "models/model.pt is missing." in rows[MONAI_CLI].reason, "it is not trained"
    assert rows["MONAI Deploy"].reason == "models/model.pt is missing."
    assert rows[MONAI_FL].verdict == PASS
    for name in ("configs/evaluate.json", "LICENSE", "configs/logging.conf"):
        (own_bundle / name).unlink()
    rows = _rows(own_bundle)
    assert rows[MONAI_FL].reason == "configs/evaluate.json is missing."
    assert "LICENSE is missing." in rows["Hugging Face"].reason
    assert "configs/logging.conf is missing." in rows["MONAI Label"].reason
    assert rows["3D Slicer"].verdict == NOT_APPLICABLE


def test_a_card_without_header_is_named(own_bundle: Path) -> None:
    (own_bundle / "docs/README.md").write_text("# A model\n")
    assert "README.md has no YAML header" in _rows(own_bundle)["Hugging Face"].reason
    shutil.rmtree(own_bundle / "docs")
    assert "docs/README.md is missing." in _rows(own_bundle)["Hugging Face"].reason


@pytest.mark.parametrize(
    ("verdict", "reason"), [(PASS, "A volume was predicted."), (FAIL, "It ended without a message.")]
)
def test_a_run_decides_where_there_is_one(fresh_bundle: Path, verdict: str, reason: str) -> None:
    steps = {"inference": Check(name="inference", verdict=verdict, how=RUN, reason=reason)}
    row = _rows(fresh_bundle, steps)[MONAI_CLI]
    assert (row.verdict, row.how, row.reason) == (verdict, RUN, reason)


def test_the_zoo_hears_of_the_forward_pass_and_of_scripting(fresh_bundle: Path) -> None:
    steps = {
        "forward": Check(name="forward pass", verdict=FAIL, how=RUN, reason="wrong channels"),
        "torchscript": Check(name="TorchScript", verdict=PASS, how=RUN, reason=NOT_SCRIPTED),
    }
    zoo = _rows(fresh_bundle, steps)["MONAI model zoo"]
    assert zoo.verdict == FAIL
    assert "verify_net_in_out fails: wrong channels" in zoo.reason


def test_a_copy_keeps_the_name(fresh_bundle: Path, tmp_path: Path) -> None:
    assert copy_target(fresh_bundle, tmp_path).name == fresh_bundle.name


def test_what_was_not_run_says_by_rule_and_where_it_was_run(trained_bundle: Path) -> None:
    rows = _rows(trained_bundle)
    for name in ("MONAI Label", "MONAI Deploy"):
        assert (rows[name].verdict, rows[name].how) == (PASS, BY_RULE)
        assert "docs/consumers.md" in rows[name].reason
    assert "`export --format torchscript`" in rows["MONAI Deploy"].reason
    assert {row.how for row in rows.values()} == {BY_RULE}, "nothing was run here"


def test_the_page_has_what_the_matrix_points_to() -> None:
    record = json.loads((ROOT / "docs/consumers.json").read_text())
    page = (ROOT / "docs/consumers.md").read_text()
    for kind, checks in record.items():
        assert kind in ("shipped", "fresh")
        for name, outcome in checks.items():
            assert outcome["passed"] or kind == "fresh", f"{name} on the shipped bundle"
            assert f"{'pass' if outcome['passed'] else 'FAIL'}: {outcome['result']}" in page, "the page tells failures"
    for name in ("label", "deploy", "deploy_package", "fl", "nvflare", "zoo", "hf", "signing", "triton"):
        assert name in record["shipped"], f"scripts/consumers {name} was never run"
