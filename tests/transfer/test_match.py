"""What is carried over from one network to another, against slices taken by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mist_bundle.errors import InputError
from mist_bundle.planning.finetune import SourceModel, adapt_plan
from mist_bundle.planning.options import TransferOptions
from mist_bundle.transfer.account import ADAPTED, LOADED, NEW, SKIPPED, UNUSED, account_json, account_rows
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.match import match_channels, match_classes, transfer_weights
from mist_bundle.transfer.open_source import SourceBundle
from tests.planning.plans import small_plan

DYNUNET = "monai.networks.nets.DynUNet"
ARGUMENTS: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 2,
    "out_channels": 3,
    "kernel_size": [[3, 3, 3]] * 3,
    "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
    "upsample_kernel_size": [[2, 2, 2], [2, 2, 2]],
    "filters": [6, 8, 12],
    "deep_supervision": True,
    "deep_supr_num": 1,
    "res_block": True,
}
INPUT_KERNEL = "input_block.conv1.conv.weight"
SKIP_KERNEL = "input_block.conv3.conv.weight"
HEAD, HEAD_BIAS = "output_block.conv.conv.weight", "output_block.conv.conv.bias"
SUPERVISED_HEAD = "deep_supervision_heads.0.conv.conv.weight"


def _source(folder: Path, target: str = DYNUNET, arguments: dict[str, Any] = ARGUMENTS, **changed: Any) -> SourceBundle:
    torch.manual_seed(5)
    weights = build_network(arguments, target).state_dict()
    weights = {name: value + 1.0 if value.dtype.is_floating_point else value + 3 for name, value in weights.items()}
    for name, value in changed.pop("weights", {}).items():
        weights.pop(name) if value is None else weights.update({name: value})
    (folder / "models").mkdir(exist_ok=True)
    torch.save(weights, folder / "models/model.pt")
    model = SourceModel(
        name="brain",
        target=target,
        arguments=arguments,
        channel_names=changed.get("channel_names", ("t1", "t2")),
        class_names=changed.get("class_names", ("background", "liver", "kidney")),
        plan=None,
        patch_size=(16, 16, 16),
    )
    return SourceBundle(origin=str(folder), folder=folder, model=model, weights=folder / "models/model.pt")


def _plan(source: SourceBundle, channels: tuple[str, ...] = ("t1", "t2"), classes: tuple[str, ...] = ()) -> Any:
    names = classes or ("background", "liver", "kidney")
    return adapt_plan(small_plan(channels, names), source.model, TransferOptions())


def _given(source: SourceBundle) -> dict[str, torch.Tensor]:
    return torch.load(source.weights, weights_only=True)


def _statuses(made: Any) -> dict[str, str]:
    return {row.name: row.status for row in made.rows}


def test_the_same_network_takes_everything(tmp_path: Path) -> None:
    source = _source(tmp_path)
    made = transfer_weights(source, _plan(source), None)
    given = _given(source)
    assert {row.status for row in made.rows} == {LOADED}
    network = build_network(ARGUMENTS, DYNUNET)
    assert set(made.weights) == {name for name, _ in network.named_parameters()}, "shared ones once"
    assert all(torch.equal(value, given[name]) for name, value in made.weights.items())


def test_a_channel_takes_the_slice_of_its_namesake_whatever_the_order(tmp_path: Path) -> None:
    source = _source(tmp_path)
    made = transfer_weights(source, _plan(source, channels=("T2", "T1")), None)
    for name in (INPUT_KERNEL, SKIP_KERNEL):
        assert torch.equal(made.weights[name], _given(source)[name][:, [1, 0]])
        assert _statuses(made)[name] == ADAPTED
    assert _statuses(made)[HEAD] == LOADED


@pytest.mark.parametrize(
    "channels", [("flair",), ("flair", "pd", "swi"), ("t1", "t2", "flair"), ("t2", "t1", "a", "b")]
)
def test_averaged_channels_keep_the_scale_of_activations(tmp_path: Path, channels: tuple[str, ...]) -> None:
    source = _source(tmp_path)
    made = transfer_weights(source, _plan(source, channels=channels), "average")
    image = torch.randn(1, 1, 9, 9, 9)
    for name in (INPUT_KERNEL, SKIP_KERNEL):
        before = torch.nn.functional.conv3d(image.expand(-1, 2, -1, -1, -1), _given(source)[name])
        after = torch.nn.functional.conv3d(image.expand(-1, len(channels), -1, -1, -1), made.weights[name])
        torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_an_averaged_channel_is_made_of_the_channels_that_nobody_took(tmp_path: Path) -> None:
    source = _source(tmp_path)
    made = transfer_weights(source, _plan(source, channels=("t2", "flair")), "average")
    assert torch.equal(made.weights[INPUT_KERNEL], _given(source)[INPUT_KERNEL][:, [1, 0]])
    made = transfer_weights(source, _plan(source, channels=("t1", "t2", "flair")), "average")
    kernel = _given(source)[INPUT_KERNEL]
    expected = torch.stack([kernel[:, 0], kernel[:, 1], kernel.mean(1)], 1) * (2 / 3)
    torch.testing.assert_close(made.weights[INPUT_KERNEL], expected)


def test_first_and_skip(tmp_path: Path) -> None:
    source = _source(tmp_path)
    kernel = _given(source)[INPUT_KERNEL]
    first = transfer_weights(source, _plan(source, channels=("ct", "t2", "pd")), "first")
    expected = torch.stack([kernel[:, 0], kernel[:, 1], kernel[:, 0]], 1) * (2 / 3)
    torch.testing.assert_close(first.weights[INPUT_KERNEL], expected)
    plan = _plan(source, channels=("ct", "t2", "pd"))
    skip = transfer_weights(source, plan, "skip")
    torch.manual_seed(plan.seed)
    fresh = build_network(plan.network_arguments, DYNUNET).state_dict()[INPUT_KERNEL]
    assert torch.equal(skip.weights[INPUT_KERNEL], torch.stack([fresh[:, 0], kernel[:, 1], fresh[:, 2]], 1))


def test_without_names_in_common_as_many_channels_are_taken_in_order(tmp_path: Path) -> None:
    matches, factor = match_channels(["t1", "t2"], ["a", "b"], None)
    assert [match.source for match in matches] == [(0,), (1,)]
    assert factor == 1
    assert "no name agrees" in matches[0].how
    averaged, _ = match_channels(["t1", "t2"], ["a", "b"], "average")
    assert [match.source for match in averaged] == [(0, 1), (0, 1)]


def test_classes_are_matched_by_name_in_every_head(tmp_path: Path) -> None:
    source = _source(tmp_path)
    plan = _plan(source, classes=("background", "spleen", "Kidney", "liver"))
    made = transfer_weights(source, plan, None)
    given = _given(source)
    torch.manual_seed(plan.seed)
    fresh = build_network(plan.network_arguments, DYNUNET).state_dict()
    for name in (HEAD, HEAD_BIAS, SUPERVISED_HEAD):
        rows = made.weights[name]
        assert torch.equal(rows[[0, 2, 3]], given[name][[0, 2, 1]]), name
        assert torch.equal(rows[1], fresh[name][1]), name
        assert _statuses(made)[name] == ADAPTED
    assert [match.source for match in made.classes] == [(0,), (), (2,), (1,)]


def test_as_many_classes_of_other_names_are_not_taken_for_the_same(tmp_path: Path) -> None:
    source = _source(tmp_path)
    made = transfer_weights(source, _plan(source, classes=("background", "kidney", "spleen")), None)
    assert torch.equal(made.weights[HEAD][:2], _given(source)[HEAD][[0, 2]])
    assert not torch.equal(made.weights[HEAD][2], _given(source)[HEAD][2])


def test_nothing_is_skipped_silently(tmp_path: Path) -> None:
    deep = "bottleneck.conv1.conv.weight"
    changed = {deep: torch.zeros(3, 3), SUPERVISED_HEAD: None, "optimizer.step": torch.zeros(1)}
    source = _source(tmp_path, weights=changed)
    made = transfer_weights(source, _plan(source), None)
    statuses = _statuses(made)
    assert statuses[deep] == SKIPPED
    assert statuses[SUPERVISED_HEAD] == NEW
    assert statuses["optimizer.step"] == UNUSED
    assert sum(status != LOADED for status in statuses.values()) == 3
    content = account_json(made, source, None)
    named = {name for status, name, _ in account_rows(content) if status in (SKIPPED, NEW, UNUSED)}
    assert {deep, SUPERVISED_HEAD, "optimizer.step"} <= named
    assert len(content["tensors"]) == len(made.weights) + 1
    assert content["summary"] == {"loaded": len(made.weights) - 2, "adapted": 0, "new": 1, "skipped": 1, "unused": 1}


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (
            "monai.networks.nets.UNet",
            {
                "spatial_dims": 3,
                "in_channels": 2,
                "out_channels": 3,
                "channels": [4, 8, 8],
                "strides": [2, 2],
                "num_res_units": 2,
                "norm": "batch",
            },
        ),
        (
            "monai.networks.nets.SegResNet",
            {"in_channels": 2, "out_channels": 3, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
        ),
    ],
)
def test_other_networks_of_monai(tmp_path: Path, target: str, arguments: dict[str, Any]) -> None:
    source = _source(tmp_path, target, arguments)
    plan = _plan(source, channels=("t2", "pd", "t1"), classes=("background", "tumour", "kidney"))
    made = transfer_weights(source, plan, "average")
    network = build_network(plan.network_arguments, target)
    missing, unexpected = network.load_state_dict(dict(made.weights), strict=False)
    assert (missing, unexpected) == ([], [])
    statuses = [row.status for row in made.rows]
    assert statuses.count(SKIPPED) == statuses.count(UNUSED) == statuses.count(NEW) == 0
    assert statuses.count(ADAPTED) >= 2
    # an image of one value in all channels, and a class that both know: the same logits up to the new class's part
    if target.endswith("SegResNet"):
        old = build_network(arguments, target)
        old.load_state_dict(_given(source))
        image = torch.randn(1, 1, 8, 8, 8)
        with torch.no_grad():
            before = old.eval()(image.expand(-1, 2, -1, -1, -1))[:, [0, 2]]
            after = network.eval()(image.expand(-1, 3, -1, -1, -1))[:, [0, 2]]
        torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)


def test_a_network_on_blocks_of_voxels(tmp_path: Path) -> None:
    # each channel is eight in its first layer, each class eight in its last: all of them move together
    target, arguments = "scripts.networks.subpixel.SubpixelUNet", {**ARGUMENTS, "fold": [2, 2, 2]}
    arguments = {**arguments, "deep_supervision": False}
    source = _source(tmp_path, target, arguments)
    plan = _plan(source, channels=("t2", "pd", "t1"), classes=("kidney", "spleen", "background", "liver"))
    made = transfer_weights(source, plan, "skip")
    assert [row.status for row in made.rows].count(SKIPPED) == 0
    old, new = build_network(arguments, target).eval(), build_network(plan.network_arguments, target).eval()
    old.load_state_dict(_given(source))
    assert not new.load_state_dict(dict(made.weights), strict=False).unexpected_keys  # shared ones are there once
    image = torch.randn(1, 2, 16, 16, 16)
    with torch.no_grad():
        before = old(image)
        # a new channel that holds nothing adds nothing
        after = new(torch.cat([image[:, 1:], torch.zeros(1, 1, 16, 16, 16), image[:, :1]], 1))
    torch.testing.assert_close(after[:, [2, 3, 0]], before, atol=1e-4, rtol=1e-4)


def test_a_source_of_which_nothing_fits_is_refused(tmp_path: Path) -> None:
    source = _source(tmp_path)
    torch.save({"other.weight": torch.zeros(2)}, source.weights)
    with pytest.raises(InputError, match="none of its 1 tensors fits"):
        transfer_weights(source, _plan(source), None)


def test_background_is_a_class_like_the_others() -> None:
    matches = match_classes(["Tumour core", "Whole tumour"], ["background", "tumour core"])
    assert [match.source for match in matches] == [(), (0,)]
