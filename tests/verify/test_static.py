"""Checks by rule: each names what is wrong, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mist_bundle.verify.content import Content
from mist_bundle.verify.report import FAIL
from mist_bundle.verify.static import big_files, static_checks
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


def test_which_weights_predict_is_told(own_bundle: Path) -> None:
    models = own_bundle / "models"
    assert _ensemble(own_bundle) == []
    for name, content in {"fold_0.pt": b"a", "fold_1.pt": b"b", "model.pt": b"b"}.items():
        (models / name).write_bytes(content)
    assert _ensemble(own_bundle) == ["fold_0.pt, fold_1.pt predict together."]
    (models / "model.pt").write_bytes(b"c")
    (said,) = _ensemble(own_bundle)
    assert said.endswith("predicts by itself.")
