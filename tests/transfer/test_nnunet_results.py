"""What a results folder says, and everything that is wrong with it, at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline import import_nnunet
from mist_bundle.transfer.nnunet_plans import Resampling
from mist_bundle.transfer.nnunet_results import read_results
from tests.transfer.nnunet_made import (
    RESIDUAL,
    messages,
    write_results,
)


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


def test_missing_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "dataset/nnUNetTrainer__nnUNetPlans__3d_fullres", architecture=RESIDUAL)
    (message,) = [text for text in messages(tmp_path / "dataset") if "holds no fold_0" in text]
    assert "Pass one of the folders in it: nnUNetTrainer__nnUNetPlans__3d_fullres." in message
    (folder / "fold_0/checkpoint_final.pth").rename(folder / "fold_0/checkpoint_best.pth")
    (message,) = messages(folder)
    assert (
        "holds no checkpoint_final.pth: only checkpoint_best.pth is there, for which there is --checkpoint" in message
    )
    assert read_results(folder, "best")[0].configuration == "3d_fullres"
    assert any("is not a folder" in text for text in messages(tmp_path / "nowhere"))


def test_folds_can_be_chosen(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", folds=("0", "1", "10", "all"))
    assert list(read_results(folder)[1]) == ["0", "1", "10"]  # nnU-Net does not combine fold_all with others
    (folder / "fold_1/checkpoint_final.pth").unlink()
    (message,) = messages(folder)
    assert "fold_1: holds no checkpoint_final.pth: its training has not ended. Or choose others with --folds" in message
    assert list(read_results(folder, folds=[0, 10])[1]) == ["0", "10"]
    with pytest.raises(InputError, match="--folds: names fold 7; there are 0, 1, 10"):
        read_results(folder, folds=[0, 7])


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    import torch

    folder = write_results(tmp_path / "results")
    torch.save({"state_dict": {}}, folder / "fold_0/checkpoint_final.pth")
    (message,) = messages(folder)
    assert "is not a checkpoint of nnU-Net v2: expected network_weights and init_args, found state_dict." in message


@pytest.mark.parametrize("content", ["[]", '{"labels": [0, 1]}', '{"labels": {"a": "b"}, "channel_names": 3}', "{"])
def test_a_dataset_json_of_another_kind_is_refused(content: str, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results")
    (folder / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json"):
        import_nnunet(folder, tmp_path / "model")
