"""From a dataset to a bundle with the functions of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mist_bundle as mb
from mist_bundle.api.arguments import arguments_of
from mist_bundle.dataset.phantom import make_phantom

TINY: dict[str, Any] = {
    "recipe": "quick",
    "folds": 2,
    "epochs": 1,
    "steps_per_epoch": 1,
    "patch_size": 16,
    "val_fraction": 0.2,
}


def test_a_wrong_option_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(mb.InputError, match=r"--epoch: is not an option\. Did you mean 'epochs'"):
        mb.configure(tmp_path / "dataset.json", tmp_path, epoch=3)
    data = make_phantom(tmp_path / "data", num_cases=2, shape=(16, 16, 12))
    with pytest.raises(mb.InputError, match="--epochs: is 0"):
        mb.configure(data, tmp_path / "out", epochs=0, folds=2)
    with pytest.raises(mb.InputError, match="--network: is not an option"):
        mb.finetune(tmp_path, data, tmp_path / "out", network="unet")
    assert not (tmp_path / "out").exists()


def test_configure_returns_a_bundle_and_warns_of_cases_left_out(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=5, shape=(16, 16, 12))
    victim = sorted((data.parent / "train").iterdir())[2]
    image = sorted(victim.glob("*.nii.gz"))[-1]
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.warns(mb.CaseLeftOut, match=victim.name):
        bundle = mb.configure(str(data), str(tmp_path / "out"), **TINY)
    assert bundle.plan.patch_size.value == (16, 16, 16)
    assert bundle.plan.num_cases == 4
    assert bundle.audit().passed
    with pytest.raises(mb.InputError, match="--overwrite"):
        mb.configure(data, tmp_path / "out", **TINY)


def test_finetune_and_run_all_take_the_options_of_configure() -> None:
    configured = {argument.name for argument in arguments_of(mb.configure)}
    assert configured <= {argument.name for argument in arguments_of(mb.run_all)}
    finetuned = {argument.name for argument in arguments_of(mb.finetune)}
    assert {"fold_by", "workers", "overwrite_weights", "recipe", "freeze"} <= finetuned
    assert not {"network", "optimizer", "max_patch_size"} & finetuned


@pytest.mark.slow
def test_everything_in_one_call_and_again(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=4, num_test=1, shape=(16, 16, 16))
    headings: list[str] = []
    configured: list[mb.Bundle] = []
    run = mb.run_all(data, tmp_path / "out", announce=headings.append, on_configured=configured.append, **TINY)
    assert run.results.is_file()
    assert Path(run.page).is_file()
    assert run.num_tests == len(list(run.predictions.glob("*.nii.gz"))) == 1
    assert configured[0].root == run.bundle
    assert [heading.partition(" (")[0] for heading in headings] == [
        "Training fold 0",
        "Training fold 1",
        "Evaluating fold 0",
        "Evaluating fold 1",
    ]
    headings.clear()
    again = mb.run_all(data, tmp_path / "out", resume=True, announce=headings.append, **TINY)
    assert again.bundle == run.bundle
    assert not headings, "every fold was trained and scored before"
