"""What a results folder says, and everything that is wrong with it, at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline import import_nnunet
from mist_bundle.transfer.nnunet_results import Resampling, read_results
from tests.transfer.nnunet_made import FILTERS, KERNELS, RESIDUAL, STRIDES, stored, write_checkpoint, write_results


def _plans(folder: Path, change: Callable[[dict[str, Any]], None], configuration: str = "3d_fullres") -> None:
    content = json.loads((folder / "plans.json").read_text())
    change(content["configurations"][configuration])
    (folder / "plans.json").write_text(json.dumps(content))


def _messages(folder: Path) -> list[str]:
    with pytest.raises(InputError) as refused:
        read_results(folder)
    return list(map(str, refused.value.problems))


def test_everything_is_understood(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", folds=("0", "2"), mirror_axes=(0, 2))
    results, weights = read_results(folder)
    assert list(weights) == list(results.checkpoints) == ["0", "2"]
    assert results.axes == (0, 2, 1)  # arrays (z, y, x) transposed by [2, 0, 1] are (x, z, y)
    assert results.along_file(results.settings["spacing"]) == [3.0, 1.5, 1.0]
    assert results.labels.names == {0: "background", 1: "organ", 2: "tumour"}
    assert results.schemes == ({"scheme": "zscore", "mask": True}, {"scheme": "zscore", "mask": False})
    assert results.resampling["data"] == Resampling(order=3, order_across=0, separate=None)
    assert results.mirror_axes == (0, 2)
    assert results.trainer == "nnUNetTrainer"


def test_settings_are_inherited_and_ct_has_its_window(tmp_path: Path) -> None:
    measured = {"percentile_00_5": -50, "percentile_99_5": 200.5, "mean": 70, "std": 20}
    parent = {"normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False]}
    properties = {"foreground_intensity_properties_per_channel": {"0": measured}}
    folder = write_results(tmp_path / "results", channels=1, settings=parent, plans=properties)
    content = json.loads((folder / "plans.json").read_text())
    content["configurations"]["3d_parent"] = content["configurations"]["3d_fullres"]
    content["configurations"]["3d_fullres"] = {"inherits_from": "3d_parent", "batch_size": 7}
    (folder / "plans.json").write_text(json.dumps(content))
    results, _ = read_results(folder)
    assert results.settings["batch_size"] == 7
    assert results.schemes == ({"scheme": "window", "low": -50, "high": 200.5, "mean": 70, "std": 20},)


def test_plans_of_older_versions(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results")

    def older(settings: dict[str, Any]) -> None:
        del settings["architecture"]
        settings.update(UNet_class_name="PlainConvUNet", UNet_base_num_features=4, unet_max_num_features=8)
        settings.update(n_conv_per_stage_encoder=[2, 2, 2], n_conv_per_stage_decoder=[2, 2])
        settings.update(conv_kernel_sizes=KERNELS, pool_op_kernel_sizes=STRIDES)

    _plans(folder, older)
    results, _ = read_results(folder)
    name, arguments = results.architecture
    assert name == "PlainConvUNet"
    assert arguments["features_per_stage"] == [4, 8, 8] != FILTERS
    assert arguments["strides"] == STRIDES


def test_a_cascade_and_2d_are_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "cascade")
    _plans(folder, lambda settings: settings.update(previous_stage="3d_lowres"))
    (message,) = _messages(folder)
    assert "is the second stage of a cascade and needs the output of 3d_lowres" in message
    folder = write_results(tmp_path / "flat")
    _plans(folder, lambda settings: settings.update(patch_size=[16, 16]))
    (message,) = _messages(folder)
    assert "is a 2D network, which cannot be imported" in message


def test_all_problems_at_once(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", folds=("0", "1"), plans={"image_reader_writer": "Tiff3DIO"})

    def spoil(settings: dict[str, Any]) -> None:
        settings["normalization_schemes"] = ["MyNormalization", "ZScoreNormalization"]
        settings["resampling_fn_data"] = "resample_torch_fornnunet"
        arguments = settings["architecture"]["arch_kwargs"]
        arguments["dropout_op"] = "torch.nn.Dropout3d"
        arguments["n_conv_per_stage"] = [2, 3, 2]
        arguments["strides"] = [[1, 1, 1], [1, 4, 4], [2, 2, 2]]

    _plans(folder, spoil)
    (folder / "dataset.json").write_text('{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 1}}')
    weights = stored({})
    write_checkpoint(folder / "fold_1", weights, (0,), trainer_name="nnUNetTrainerNoMirroring")
    text = "\n".join(_messages(folder))
    for words in (
        "has the background at [1]; expected 0",
        "is 'Tiff3DIO'; images are read as by SimpleITKIO",
        "is 'MyNormalization' for channel 0",
        "is 'resample_torch_fornnunet'; only resample_data_or_seg_to_shape",
        "has dropout_op 'torch.nn.Dropout3d'; expected None",
        "has n_conv_per_stage [2, 3, 2]; expected 2 at every level",
        "has the stride [1, 4, 4]; expected 1 and 2",
        "fold_1: has trainer_name 'nnUNetTrainerNoMirroring', the first fold 'nnUNetTrainer'",
        "inference_allowed_mirroring_axes (0,), the first fold (0, 1, 2)",
    ):
        assert words in text


def test_missing_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "dataset/nnUNetTrainer__nnUNetPlans__3d_fullres", architecture=RESIDUAL)
    (message,) = [text for text in _messages(tmp_path / "dataset") if "holds no fold_0" in text]
    assert "Pass one of the folders in it: nnUNetTrainer__nnUNetPlans__3d_fullres." in message
    (folder / "fold_0/checkpoint_final.pth").rename(folder / "fold_0/checkpoint_best.pth")
    (message,) = _messages(folder)
    assert (
        "holds no checkpoint_final.pth: only checkpoint_best.pth is there, for which there is --checkpoint" in message
    )
    assert read_results(folder, "best")[0].configuration == "3d_fullres"
    assert any("is no folder" in text for text in _messages(tmp_path / "nowhere"))


def test_folds_can_be_chosen(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", folds=("0", "1", "10", "all"))
    assert list(read_results(folder)[1]) == ["0", "1", "10"]  # nnU-Net does not combine fold_all with others
    (folder / "fold_1/checkpoint_final.pth").unlink()
    (message,) = _messages(folder)
    assert "fold_1: holds no checkpoint_final.pth: its training has not ended. Or choose others with --folds" in message
    assert list(read_results(folder, folds=[0, 10])[1]) == ["0", "10"]
    with pytest.raises(InputError, match="--folds: names fold 7; there are 0, 1, 10"):
        read_results(folder, folds=[0, 7])


def test_regions_need_their_order(tmp_path: Path) -> None:
    regions = {"background": 0, "whole": [1, 2], "core": 2}
    folder = write_results(tmp_path / "results", labels=regions, regions_class_order=[1, 2])
    results, _ = read_results(folder)
    assert results.region_labels == (1, 2)
    assert results.labels.final_classes == {"whole": (1, 2), "core": (2,)}
    content = json.loads((folder / "dataset.json").read_text())
    del content["regions_class_order"]
    (folder / "dataset.json").write_text(json.dumps(content))
    (message,) = _messages(folder)
    assert "regions_class_order: is None; expected a label for each of the 2 regions" in message


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    import torch

    folder = write_results(tmp_path / "results")
    torch.save({"state_dict": {}}, folder / "fold_0/checkpoint_final.pth")
    (message,) = _messages(folder)
    assert "is no checkpoint of nnU-Net v2: expected network_weights and init_args, found state_dict." in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patch_size", None),
        ("architecture", {}),
        ("architecture", {"network_class_name": "PlainConvUNet", "arch_kwargs": {"n_stages": "three"}}),
        ("normalization_schemes", 5),
        ("use_mask_for_norm", None),
        ("resampling_fn_data_kwargs", [3, 0]),
        ("inherits_from", "3d_fullres"),
        ("spacing", None),
    ],
)
def test_values_of_another_kind_are_refused_with_their_place(key: str, value: Any, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results")
    _plans(folder, lambda settings: settings.update({key: value}))
    with pytest.raises(InputError, match="results"):
        import_nnunet(folder, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("content", ["[]", '{"labels": [0, 1]}', '{"labels": {"a": "b"}, "channel_names": 3}', "{"])
def test_a_dataset_json_of_another_kind_is_refused(content: str, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results")
    (folder / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json"):
        import_nnunet(folder, tmp_path / "model")
