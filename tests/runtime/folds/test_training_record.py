"""docs/training.json and its part of the model card."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.bundle.manifest import Manifest
from mist_bundle.runtime.folds.training_record import (
    NO_RECORD,
    RECORD,
    TRAINING_END,
    TRAINING_START,
    recorded_folds,
    renewed_record,
    with_training,
)
from mist_bundle.sharing.pack import files_to_publish
from mist_bundle.trust.audit.run import audit_bundle

CARD = f"# A\n\n{TRAINING_START}\nbefore\n{TRAINING_END}\n\nend\n"
RUN: dict[str, Any] = {
    "from_epoch": 0,
    "device": "NVIDIA H100",
    "processes": 2,
    "python": "3.11.9",
    "packages": {"torch": "2.13.0", "monai": "1.6.1", "numpy": "2.4.6"},
}
TRAINING = {"data": {"training": {"a": {}, "b": {}}, "validation": {"c": {}}}, "settings": {}, "runs": [RUN]}
STATUS = {"epoch": 10, "best_epoch": 7}


def _bundle(folder: Path, folds: tuple[int, ...]) -> dict[str, Any]:
    """A bundle with records of folds; the last record."""
    (folder / "docs").mkdir()
    record: dict[str, Any] = {}
    for fold in folds:
        weights = folder / f"fold_{fold}.pt"
        weights.write_bytes(str(fold).encode())
        record = renewed_record(folder, fold, weights, STATUS, TRAINING)
        (folder / RECORD).write_text(json.dumps(record))
    return record


def test_folds_are_in_order_and_each_names_its_weights(tmp_path: Path) -> None:
    record = _bundle(tmp_path, (10, 2, 0))
    assert list(record["folds"]) == ["0", "2", "10"]
    for fold, content in record["folds"].items():
        assert content["sha256"] == hashlib.sha256(fold.encode()).hexdigest()
        assert (content["epoch"], content["epochs"]) == (7, 10)


@pytest.mark.parametrize(
    "foreign",
    [
        [],
        None,
        "x",
        {"0": "x", "1": None},
        {"first": {"sha256": "0"}},
        {"0": {}},
        {"0": {"sha256": "0", "runs": ["x"]}},
    ],
)
def test_what_others_wrote_there_is_left_out(foreign: object, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / RECORD).write_text(json.dumps({"folds": foreign}))
    assert recorded_folds(tmp_path) == {}
    (tmp_path / "fold_3.pt").write_bytes(b"3")
    record = renewed_record(tmp_path, 3, tmp_path / "fold_3.pt", STATUS, TRAINING)
    assert list(record["folds"]) == ["3"]
    assert "| 3 |" in with_training(CARD, record)


def test_a_training_without_a_record_takes_the_former_away(tmp_path: Path) -> None:
    _bundle(tmp_path, (0, 1))
    assert list(renewed_record(tmp_path, 0, tmp_path / "fold_0.pt", STATUS, None)["folds"]) == ["1"]


def test_the_card_shows_folds_cases_devices_and_packages(tmp_path: Path) -> None:
    record = _bundle(tmp_path, (0, 1))
    record["folds"]["1"]["runs"] = [RUN, {**RUN, "from_epoch": 3, "device": "cpu (x86_64)", "processes": 1}]
    text = with_training(CARD, record)
    assert text.startswith("# A\n")
    assert text.endswith("\n\nend\n")
    assert "before" not in text
    digest = hashlib.sha256(b"0").hexdigest()[:12]
    row = f"| 0 | `{digest}` | 7 of 10 | 2 + 1 | 2 × NVIDIA H100 | torch 2.13.0, monai 1.6.1, Python 3.11.9 |"
    assert row in text
    assert "| 2 × NVIDIA H100, then cpu (x86_64) | torch 2.13.0, monai 1.6.1, Python 3.11.9 |" in text
    assert with_training(text, record) == text
    assert NO_RECORD in with_training(text, {"folds": {}})


def test_a_card_of_an_earlier_version_stays_as_it_is(tmp_path: Path) -> None:
    assert with_training("# A\n", _bundle(tmp_path, (0,))) == "# A\n"


def test_a_trained_bundle_says_what_made_its_weights(trained_bundle: Path, phantom_json: Path) -> None:
    record = json.loads((trained_bundle / RECORD).read_text())
    listed = Manifest.read(trained_bundle).files
    assert RECORD in listed
    plan = json.loads((trained_bundle / "configs/plan.json").read_text())
    known = set()
    for path in phantom_json.parent.rglob("*.nii.gz"):
        known.add(hashlib.sha256(path.read_bytes()).hexdigest())
    cases = {
        entry["id"]: entry for entry in json.loads((trained_bundle / "configs/datalist.json").read_text())["training"]
    }
    for fold in ("0", "1"):
        content = record["folds"][fold]
        assert content["sha256"] == listed[f"models/fold_{fold}.pt"]
        assert content["settings"]["seed"] == plan["seed"]
        trained = content["data"]["training"]
        for case in trained:
            assert cases[case]["fold"] != int(fold)
            assert int(fold) not in cases[case]["validates"]
        for case in content["data"]["validation"]:
            assert int(fold) in cases[case]["validates"]
        digests = {digest for files in trained.values() for key in files for digest in files[key]}
        assert len(digests) == 3 * len(trained), "two channels and a mask"
        assert digests <= known
    assert RECORD in files_to_publish(trained_bundle), "what pack and push hand on"
    card = (trained_bundle / "docs/README.md").read_text()
    assert f"| 1 | `{listed['models/fold_1.pt'][:12]}` | " in card
    assert audit_bundle(trained_bundle).passed


def test_nothing_in_a_trained_bundle_names_the_machine(trained_bundle: Path) -> None:
    host = re.compile(rf"\b{re.escape(socket.gethostname())}\b")
    for path in (trained_bundle / "docs").iterdir():
        text = path.read_text()
        assert str(trained_bundle.parent) not in text
        assert str(Path.home()) + "/" not in text
        assert not host.search(text)
