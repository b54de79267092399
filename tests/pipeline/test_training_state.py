"""Whether a fold may be trained, with an earlier training of it in the way."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.errors import InputError
from mist_bundle.files import read_json, work_dir_of, write_json
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.manifest import file_hashes, write_manifest_content
from tests.bundle.run_monai import run_monai
from tests.pipeline.trained import GO_ON, everything


@pytest.mark.parametrize("folds", [[0], [0, 1]])
def test_a_trained_fold_is_not_started_over_unasked(bundle: Path, folds: list[int]) -> None:
    before = everything(bundle)
    with pytest.raises(InputError) as caught:
        pipeline.train(bundle, folds, {})
    assert [problem.path for problem in caught.value.problems] == [f"fold {fold}" for fold in folds]
    for problem in caught.value.problems:
        assert "was trained to epoch 2 of 2 (best val_mean_dice 0." in problem.message
        assert "has weights in the bundle (models/fold_" in problem.message
        assert "--resume" in problem.message
        assert "--overwrite" in problem.message
    assert everything(bundle) == before


def test_a_started_fold_is_not_started_over_unasked(bundle: Path) -> None:
    for path in (bundle / "models").iterdir():
        path.unlink()
    write_manifest_content(bundle, file_hashes(bundle), None)
    with pytest.raises(InputError, match=r"fold 0: was trained to epoch 2 of 2 .*Pass --resume"):
        pipeline.train(bundle, [0], {})


def test_weights_without_their_training_are_not_replaced_unasked(bundle: Path) -> None:
    shutil.rmtree(work_dir_of(bundle))
    for overrides in ({}, GO_ON):
        with pytest.raises(InputError, match=r"has weights .*Pass .*--overwrite"):
            pipeline.train(bundle, [0], overrides)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("learning_rate", 0.5, "learning_rate was 0.004 and is 0.5 now"),
        ("seed", 7, "seed was 42 and is 7 now"),
        ("batch_size", 1, "batch_size was 2 and is 1 now"),
        ("steps_per_epoch", 3, "steps_per_epoch was 2 and is 3 now"),
        ("patch_size", [32, 32, 16], r"patch_size was \[16, 16, 16\] and is \[32, 32, 16\] now"),
        ("epochs", 1, "epochs was 2 and is 1 now"),
        ("train#dataloader#foreground_probability", 0.1, r"train#dataloader#foreground_probability was .* and is 0\.1"),
    ],
)
def test_going_on_with_other_settings_is_refused(bundle: Path, name: str, value: object, said: str) -> None:
    before = everything(bundle)
    with pytest.raises(InputError, match=rf"fold 0: was begun with other settings: .*{said}"):
        pipeline.train(bundle, [0], {**GO_ON, name: value})
    assert everything(bundle) == before


def test_going_on_with_an_edited_configuration_is_refused(bundle: Path) -> None:
    train = read_json(bundle / "configs/train.json")
    write_json(bundle / "configs/train.json", {**train, "learning_rate": 0.5})
    with pytest.raises(InputError, match=r"learning_rate was 0\.004 and is 0\.5 now"):
        pipeline.train(bundle, [0], GO_ON)
    train["loss"]["loss"]["smooth_nr"] = 0.25
    write_json(bundle / "configs/train.json", train)
    with pytest.raises(InputError, match=r"loss#loss#smooth_nr was .* and is 0\.25 now"):
        pipeline.train(bundle, [0], GO_ON)
    del train["loss"]["loss"]["smooth_nr"]
    write_json(bundle / "configs/train.json", train)
    datalist = read_json(bundle / "configs/datalist.json")
    datalist["training"].pop()
    write_json(bundle / "configs/datalist.json", datalist)
    with pytest.raises(InputError, match="cases was "):
        pipeline.train(bundle, [0], GO_ON)


@pytest.mark.slow
def test_overrides_deep_inside_are_compared_too(bundle: Path) -> None:
    config = bundle / "configs/train.json"
    words = ("--resume", "true", "--val_interval", "1", "--epochs", "3")
    before = file_hashes(bundle), sha256_of(work_dir_of(bundle) / "fold_0/last.pt")
    deep = ("--train#dataloader#foreground_probability", "0.25")
    said = run_monai("training", config, *words, *deep, cwd=bundle.parent, exit_code=1)
    assert re.search(r"train#dataloader#foreground_probability was 0\.\d+ and is 0\.25 now", said)
    assert (file_hashes(bundle), sha256_of(work_dir_of(bundle) / "fold_0/last.pt")) == before
    run_monai("training", config, *words, cwd=bundle.parent)
    assert read_json(work_dir_of(bundle) / "fold_0/status.json")["epoch"] == 3


def test_a_fold_that_another_process_trains_is_refused(bundle: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom mist_bundle.runtime.folds.locks import Lock\n"
        "Lock(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(work_dir_of(bundle) / "fold_0/training.lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for overwrite in (False, True):
            with pytest.raises(InputError, match="fold 0: is being trained by another process"):
                pipeline.train(bundle, [0], {**GO_ON, "resume": not overwrite}, overwrite=overwrite)
        holder.kill()
    pipeline.train(bundle, [0], GO_ON)
