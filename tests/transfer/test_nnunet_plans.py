"""What a configuration of plans.json says, and what of it no bundle can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline import import_nnunet
from mist_bundle.transfer.nnunet_results import read_results
from tests.transfer.nnunet_made import (
    FILTERS,
    KERNELS,
    STRIDES,
    change_configuration,
    messages,
    stored,
    write_checkpoint,
    write_results,
)


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

    change_configuration(folder, older)
    results, _ = read_results(folder)
    name, arguments = results.architecture
    assert name == "PlainConvUNet"
    assert arguments["features_per_stage"] == [4, 8, 8] != FILTERS
    assert arguments["strides"] == STRIDES


def test_a_cascade_and_2d_are_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "cascade")
    change_configuration(folder, lambda settings: settings.update(previous_stage="3d_lowres"))
    (message,) = messages(folder)
    assert "is the second stage of a cascade and needs the output of 3d_lowres" in message
    folder = write_results(tmp_path / "flat")
    change_configuration(folder, lambda settings: settings.update(patch_size=[16, 16]))
    (message,) = messages(folder)
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

    change_configuration(folder, spoil)
    (folder / "dataset.json").write_text('{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 1}}')
    weights = stored({})
    write_checkpoint(folder / "fold_1", weights, (0,), trainer_name="nnUNetTrainerNoMirroring")
    text = "\n".join(messages(folder))
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


def test_regions_need_their_order(tmp_path: Path) -> None:
    regions = {"background": 0, "whole": [1, 2], "core": 2}
    folder = write_results(tmp_path / "results", labels=regions, regions_class_order=[1, 2])
    results, _ = read_results(folder)
    assert results.region_labels == (1, 2)
    assert results.labels.final_classes == {"whole": (1, 2), "core": (2,)}
    content = json.loads((folder / "dataset.json").read_text())
    del content["regions_class_order"]
    (folder / "dataset.json").write_text(json.dumps(content))
    (message,) = messages(folder)
    assert "regions_class_order: is None; expected a label for each of the 2 regions" in message


def test_a_model_whose_regions_are_the_same_can_be_imported(tmp_path: Path) -> None:
    """Nobody can change the labels of a model that is trained; a new dataset with them is refused."""
    regions = {"background": 0, "whole": [1, 2], "all": [2, 1], "core": 2}
    folder = write_results(tmp_path / "results", labels=regions, regions_class_order=[1, 2, 2])
    results, _ = read_results(folder)
    assert results.labels.final_classes == {"whole": (1, 2), "all": (1, 2), "core": (2,)}
    import_nnunet(folder, tmp_path / "model")
    assert (tmp_path / "model" / "configs" / "inference.json").is_file()


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
    change_configuration(folder, lambda settings: settings.update({key: value}))
    with pytest.raises(InputError, match="results"):
        import_nnunet(folder, tmp_path / "model")
    assert not (tmp_path / "model").exists()
