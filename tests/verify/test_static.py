"""Checks by rule: each names what is wrong, and where."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.verify.content import Content
from mist_bundle.verify.report import FAIL, NOT_APPLICABLE, PASS
from mist_bundle.verify.static import big_files, static_checks, zoo_problems
from tests.trust.audit.hostile import edit


def _failed(bundle: Path) -> dict[str, str]:
    checks = static_checks(Content.read(bundle), None)
    return {check.name: check.reason for check in checks if check.verdict == FAIL}


def _rename_id(bundle: Path) -> None:
    edit(bundle, "configs/inference.json", inferer=None)
    text = (bundle / "configs/inference.json").read_text()
    (bundle / "configs/inference.json").write_text(text.replace('"inferer": null', '"other": null'))


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (lambda bundle: (bundle / "LICENSE").unlink(), "files", "LICENSE"),
        (_rename_id, "ids of inference", "'inferer'"),
        (lambda bundle: edit(bundle, "configs/train.json", device="@nowhere"), "references", "@nowhere"),
        (lambda bundle: edit(bundle, "configs/metadata.json", version="1.2"), "version", "three numbers"),
        (lambda bundle: edit(bundle, "configs/metadata.json", task=3), "metadata", "'task'"),
        (lambda bundle: (bundle / "scripts/x.py").write_text("import pandas\n"), "packages", "imports pandas"),
        (lambda bundle: (bundle / "docs/README.md").write_text("x"), "manifest", "docs/README.md was changed"),
    ],
)
def test_damage_is_named(change: Callable[[Path], object], check: str, words: str, own_bundle: Path) -> None:
    (own_bundle / "models/model.pt").write_bytes(b"weights")
    before = _failed(own_bundle)
    change(own_bundle)
    after = _failed(own_bundle)
    assert check not in before or words not in before[check]
    assert words in after[check]


def test_links_do_not_end_the_verification(own_bundle: Path) -> None:
    (own_bundle / "models/model.pt").symlink_to("../LICENSE")
    assert "is a link" in _failed(own_bundle)["manifest"]


def test_big_files_are_listed(own_bundle: Path) -> None:
    assert big_files(own_bundle) == []
    with (own_bundle / "models/model.pt").open("wb") as stream:
        stream.truncate(30_000_000)
    assert big_files(own_bundle) == ["models/model.pt"]


def _ensemble(bundle: Path) -> list[str]:
    return [check.reason for check in static_checks(Content.read(bundle), None) if check.name == "ensemble"]


def test_which_weights_predict_is_reported(own_bundle: Path) -> None:
    models = own_bundle / "models"
    assert _ensemble(own_bundle) == []
    for name, content in {"fold_0.pt": b"a", "fold_1.pt": b"b", "model.pt": b"b"}.items():
        (models / name).write_bytes(content)
    assert _ensemble(own_bundle) == ["fold_0.pt, fold_1.pt predict together."]
    (models / "model.pt").write_bytes(b"c")
    (said,) = _ensemble(own_bundle)
    assert said.endswith("predicts by itself.")


def _record(bundle: Path) -> list[tuple[str, str]]:
    checks = static_checks(Content.read(bundle), None)
    return [(check.verdict, check.reason) for check in checks if check.name == "training record"]


def test_weights_without_a_record_of_their_training_are_reported(own_bundle: Path) -> None:
    assert _record(own_bundle) == []
    for name in ("fold_0.pt", "model.pt"):
        (own_bundle / "models" / name).write_bytes(b"weights")
    ((verdict, reason),) = _record(own_bundle)
    assert verdict == NOT_APPLICABLE
    assert reason.endswith("made fold_0.pt, model.pt: docs/training.json is not there.")
    folds = {"0": {"sha256": hashlib.sha256(b"weights").hexdigest()}}
    (own_bundle / "docs/training.json").write_text(json.dumps({"folds": folds}))
    assert _record(own_bundle) == [(PASS, "docs/training.json says what made fold_0.pt, model.pt.")]
    (own_bundle / "models/model.pt").write_bytes(b"trained further")
    ((verdict, reason),) = _record(own_bundle)
    assert verdict == NOT_APPLICABLE
    assert reason.endswith("made model.pt: docs/training.json has other weights.")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pytorch_version": "2.13.0+cpu"}, "asks for torch 2.13.0+cpu"),
        ({"required_packages_version": {"scipy": "1.17+local"}}, "asks for scipy 1.17+local"),
        ({"schema": "schema.json"}, "no address of a schema"),
        ({"schema": None}, "no address of a schema"),
        ({"changelog": {}}, "does not name the version"),
    ],
)
def test_what_the_model_zoo_would_refuse(changed: dict[str, Any], words: str, own_bundle: Path) -> None:
    (own_bundle / "models/model.pt").write_bytes(b"weights")
    assert zoo_problems(Content.read(own_bundle)) == []
    edit(own_bundle, "configs/metadata.json", **changed)
    (problem,) = zoo_problems(Content.read(own_bundle))
    assert words in problem
