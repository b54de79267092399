"""Folders whose names hold MONAI's own syntax: from the data to predictions, everything lands where it was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_OK

TINY = ["--recipe", "quick", "--folds", "2", "--epochs", "1", "--steps_per_epoch", "1", "--patch_size", "16"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run #2", "a@b", "100% @epochs", "x::y 'z'"])
def test_from_data_to_predictions(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    data = make_phantom(root / "data", num_cases=3, shape=(16, 16, 16), num_test=0)
    out, predictions = root / "out", root / "predictions"
    assert cli.main(["autoconfig", str(data), "--output", str(out), *TINY]) == EXIT_OK
    bundle = next(out.glob("*_segmentation"))
    assert cli.main(["train", str(bundle), "--dataset_dir", str(data.parent / "train"), "--device", "cpu"]) == EXIT_OK
    assert cli.main(["predict", str(bundle), str(data.parent / "train"), str(predictions)]) == EXIT_OK
    assert len(list(predictions.glob("*.nii.gz"))) == 3
    assert sorted(path.name for path in root.iterdir()) == ["data", "out", "predictions"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
