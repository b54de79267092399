"""The account of a transfer, for people and programs."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load

from mist_bundle.files import DATA_LICENSE, SOURCE_LICENSE, parse_json
from mist_bundle.planning.finetune import SourceModel
from mist_bundle.transfer.account import (
    INITIAL_WEIGHTS,
    TRANSFER_JSON,
    Match,
    Row,
    Transfer,
    account_json,
    account_rows,
    initial_files,
)
from mist_bundle.transfer.open_source import SourceBundle

TRANSFER = Transfer(
    weights={"a.weight": torch.ones(2, 2)},
    rows=(
        Row(name="a.weight", status="loaded", shape=(2, 2), detail=""),
        Row(name="b.weight", status="skipped", shape=(3,), detail="the source's shape is (4,); (3,) would fit"),
        Row(name="c.weight", status="unused", shape=(1,), detail="the new network has no such tensor"),
    ),
    channels=(Match(name="t1", source=(0,), how="its namesake t1"),),
    classes=(Match(name="liver", source=(), how="newly initialised"),),
    channel_factor=1.0,
    source_sha256="0" * 64,
)


def _source(folder: Path) -> SourceBundle:
    (folder / "models").mkdir()
    model = SourceModel(
        name="brain",
        target="monai.networks.nets.UNet",
        arguments={},
        channel_names=("t1",),
        class_names=("liver",),
        plan=None,
    )
    return SourceBundle(origin="brain.zip", folder=folder, model=model, weights=folder / "models" / "model.pt")


def test_every_tensor_is_in_the_file(tmp_path: Path) -> None:
    content = account_json(TRANSFER, _source(tmp_path), None)
    assert content["source_weights"] == "models/model.pt"
    assert content["summary"] == {"loaded": 1, "adapted": 0, "new": 0, "skipped": 1, "unused": 1}
    assert [tensor["name"] for tensor in content["tensors"]] == ["a.weight", "b.weight", "c.weight"]
    assert content["channels"] == [{"name": "t1", "from": "its namesake t1"}]


def test_people_read_all_but_the_tensors_that_were_simply_loaded(tmp_path: Path) -> None:
    rows = account_rows(account_json(TRANSFER, _source(tmp_path), "skip"))
    assert [row[:2] for row in rows[:5]] == [
        *(("loaded", "1"), ("adapted", "0"), ("new", "0"), ("skipped", "1"), ("unused", "1"))
    ]
    assert [row[:2] for row in rows[5:]] == [
        *(("channel", "t1"), ("class", "liver"), ("skipped", "b.weight"), ("unused", "c.weight"))
    ]


def test_the_new_bundle_carries_weights_account_and_licence(tmp_path: Path) -> None:
    source = _source(tmp_path)
    (tmp_path / DATA_LICENSE).parent.mkdir()
    (tmp_path / DATA_LICENSE).write_text("CC-BY-SA 4.0\n")
    files = initial_files(TRANSFER, source, None)
    assert torch.equal(load(files[INITIAL_WEIGHTS])["a.weight"], torch.ones(2, 2))
    assert parse_json(files[TRANSFER_JSON].decode(), "")["source"] == "brain"
    assert files[SOURCE_LICENSE].decode().endswith("What that bundle says about its data:\n\nCC-BY-SA 4.0\n")
