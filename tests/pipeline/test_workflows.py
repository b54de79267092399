"""What may be trained, published, evaluated and finalized, as what is there allows; and how trainings end."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle import cli, pipeline
from mist_bundle.errors import InputError
from mist_bundle.files import read_json, work_dir_of, write_json
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.manifest import file_hashes, read_manifest, write_manifest_content
from mist_bundle.trust.audit import require_audited
from tests.bundle.run_monai import run_monai
from tests.conftest import TINY

# as the folds of the trained bundle were begun
GO_ON = {"resume": True, "val_interval": 1}


@pytest.fixture
def bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A trained, evaluated and finalized bundle, with its work folder, which a test may change."""
    target = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, target)
    shutil.copytree(work_dir_of(trained_bundle), work_dir_of(target))
    return target


def _everything(bundle: Path) -> dict[str, str]:
    work = work_dir_of(bundle)
    files = [path for folder in (bundle, work) for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(bundle.parent)): sha256_of(path) for path in files}


def _replace_weights(bundle: Path, fold: int = 0) -> None:
    """As if the fold had been trained again: other best weights, published."""
    import torch

    folder = work_dir_of(bundle) / f"fold_{fold}"
    status = read_json(folder / "status.json")
    best = folder / status["best"]["file"]
    weights = {name: value + 0.5 for name, value in torch.load(best, weights_only=True).items()}
    torch.save(weights, best)
    status["best"]["sha256"] = sha256_of(best)
    write_json(folder / "status.json", status)
    assert pipeline.publish(bundle, [fold])[fold]


@pytest.mark.parametrize("folds", [[0], [0, 1]])
def test_a_trained_fold_is_not_started_over_unasked(bundle: Path, folds: list[int]) -> None:
    before = _everything(bundle)
    with pytest.raises(InputError) as caught:
        pipeline.train(bundle, folds, {})
    assert [problem.path for problem in caught.value.problems] == [f"fold {fold}" for fold in folds]
    for problem in caught.value.problems:
        assert "was trained to epoch 2 of 2 (best val_mean_dice 0." in problem.message
        assert "has weights in the bundle (models/fold_" in problem.message
        assert "--resume" in problem.message
        assert "--overwrite" in problem.message
    assert _everything(bundle) == before


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
    before = _everything(bundle)
    with pytest.raises(InputError, match=rf"fold 0: was begun with other settings: .*{said}"):
        pipeline.train(bundle, [0], {**GO_ON, name: value})
    assert _everything(bundle) == before


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
def test_what_monai_bundle_is_told_deep_inside_is_compared_too(bundle: Path) -> None:
    config = bundle / "configs/train.json"
    words = ("--resume", "true", "--val_interval", "1", "--epochs", "3")
    before = file_hashes(bundle), sha256_of(work_dir_of(bundle) / "fold_0/last.pt")
    deep = ("--train#dataloader#foreground_probability", "0.25")
    said = run_monai("training", config, *words, *deep, cwd=bundle.parent, exit_code=1)
    assert re.search(r"train#dataloader#foreground_probability was 0\.\d+ and is 0\.25 now", said)
    assert (file_hashes(bundle), sha256_of(work_dir_of(bundle) / "fold_0/last.pt")) == before
    run_monai("training", config, *words, cwd=bundle.parent)
    assert read_json(work_dir_of(bundle) / "fold_0/status.json")["epoch"] == 3


def test_a_complete_fold_is_passed_over_and_published_where_it_was_not(bundle: Path) -> None:
    before = file_hashes(bundle)
    pipeline.train(bundle, [0, 1], GO_ON)
    assert file_hashes(bundle) == before
    (bundle / "models/fold_1.pt").unlink()
    manifest = read_manifest(bundle)
    assert manifest is not None
    del manifest["files"]["models/fold_1.pt"]
    write_manifest_content(bundle, manifest["files"], None)
    pipeline.train(bundle, [0, 1], GO_ON)
    assert file_hashes(bundle)["models/fold_1.pt"] == before["models/fold_1.pt"]
    require_audited(bundle, trust=False)


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


def test_scores_of_weights_that_were_replaced_are_not_gathered(bundle: Path) -> None:
    pipeline.finalize(bundle)
    _replace_weights(bundle, fold=1)
    card = (bundle / "docs/README.md").read_text()
    assert "Not evaluated yet" in card
    assert "| mean | std |" not in card
    assert read_json(bundle / "configs/metadata.json")["eval_metrics"] == {}
    require_audited(bundle, trust=False)
    results = (work_dir_of(bundle) / "results.csv").read_bytes()
    with pytest.raises(InputError) as caught:
        pipeline.finalize(bundle)
    (problem,) = caught.value.problems
    assert problem.path.endswith("fold_1/results.csv")
    assert "other weights than models/fold_1.pt" in problem.message
    assert f"mist-bundle evaluate {bundle} --fold 1" in problem.message
    assert (work_dir_of(bundle) / "results.csv").read_bytes() == results
    assert pipeline.evaluated_folds(bundle) == [0]


def test_finalized_results_name_the_weights(bundle: Path) -> None:
    pipeline.finalize(bundle)
    weights = {str(fold): sha256_of(bundle / f"models/fold_{fold}.pt") for fold in (0, 1)}
    assert read_json(work_dir_of(bundle) / "results.json")["derived_from"] == {"weights": weights}
    card = (bundle / "docs/README.md").read_text()
    assert all(f"fold {fold} `{digest[:12]}`" in card for fold, digest in weights.items())


def test_an_interrupted_publication_is_finished_by_the_next_command(bundle: Path) -> None:
    _replace_weights(bundle, fold=0)
    after = file_hashes(bundle)
    # as a kill between the announcement and the renaming leaves it
    (bundle / "models/fold_0.pt").rename(bundle / "models/.fold_0.pt.staged.partial")
    shutil.copyfile(bundle / "models/fold_1.pt", bundle / "models/fold_0.pt")
    before = {**after, "models/fold_0.pt": sha256_of(bundle / "models/fold_0.pt")}
    write_manifest_content(bundle, before, {"models/fold_0.pt": after["models/fold_0.pt"]})
    require_audited(bundle, trust=False)
    with pytest.raises(InputError, match="other weights than"):
        pipeline.finalize(bundle)
    assert file_hashes(bundle) == after
    manifest = read_manifest(bundle)
    assert manifest is not None
    assert manifest["files"] == after
    assert "pending" not in manifest


def test_weights_of_an_unfinished_training_are_published_by_command(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(work_dir_of(bundle) / "fold_1")
    (bundle / "models/fold_0.pt").unlink()
    write_manifest_content(bundle, file_hashes(bundle), None)
    assert cli.main(["publish", str(bundle), "--fold", "0,1"]) == 2
    assert "fold 1: has no weights to publish" in capsys.readouterr().err
    assert not (bundle / "models/fold_0.pt").exists()
    assert cli.main(["publish", str(bundle)]) == 0
    assert "Fold 0: " in capsys.readouterr().out
    assert (
        sha256_of(bundle / "models/fold_0.pt")
        == read_json(work_dir_of(bundle) / "fold_0/status.json")["best"]["sha256"]
    )
    require_audited(bundle, trust=False)
    assert cli.main(["publish", str(bundle)]) == 0
    assert "Fold 0: its best weights were there already" in capsys.readouterr().out


def test_untrained_folds_are_not_evaluated(bundle: Path) -> None:
    (bundle / "models/fold_1.pt").unlink()
    write_manifest_content(bundle, file_hashes(bundle), None)
    with pytest.raises(InputError, match=r"fold 1: has no weights yet: .*fold_1\.pt is not there\. Train it first"):
        pipeline.evaluate_folds(bundle, [0, 1], {})
    for path in (bundle / "models").iterdir():
        path.unlink()
    write_manifest_content(bundle, file_hashes(bundle), None)
    with pytest.raises(InputError, match="has no trained fold"):
        pipeline.evaluate_folds(bundle, None, {})


def test_configuring_anew_never_loses_trained_work_unasked(phantom_json: Path, bundle: Path) -> None:
    output, before = bundle.parent, _everything(bundle)
    with pytest.raises(InputError) as caught:
        pipeline.autoconfig(phantom_json, output, TINY, overwrite=True)
    said = str(caught.value)
    assert "models/fold_0.pt, fold_1.pt, model.pt" in said
    assert "fold_1, trained to epoch 2 of 2" in said
    assert "--overwrite_weights" in said
    assert f"train {bundle} --fold all --resume" in said
    assert _everything(bundle) == before
    made = pipeline.autoconfig(phantom_json, output, TINY, overwrite=True, overwrite_weights=True).bundle
    assert made == bundle
    assert not list((bundle / "models").iterdir())
    assert not list(work_dir_of(bundle).glob("fold_*"))
    assert not (work_dir_of(bundle) / "results.csv").exists()


def test_states_of_a_bundle_that_was_removed_are_not_taken_for_those_of_a_new_one(
    phantom_json: Path, bundle: Path
) -> None:
    shutil.rmtree(bundle)
    with pytest.raises(InputError, match="holds trained work that a new configuration would lose: fold_0, trained"):
        pipeline.autoconfig(phantom_json, bundle.parent, TINY)


def test_run_all_goes_on_only_with_the_options_of_the_bundle(
    phantom_json: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run_all", str(phantom_json), "--output", str(bundle.parent), "--resume", "--folds", "2", "--seed", "42"]
    before = _everything(bundle)
    assert cli.main([*words, "--epochs", "5", "--patch_size", "32,32,16"]) == 2
    said = capsys.readouterr().err
    assert "--epochs: is 5, but the bundle that is there was configured with 2." in said
    assert "--patch_size: is 32,32,16, but" in said
    assert "--seed" not in said
    assert _everything(bundle) == before
    assert cli.main(["run_all", str(phantom_json), "--output", str(bundle.parent), "--overwrite"]) == 2
    assert "holds trained work" in capsys.readouterr().err


def test_a_wrong_setting_loses_nothing(bundle: Path) -> None:
    before = _everything(bundle)
    with pytest.raises(InputError, match="epoch"):
        pipeline.train(bundle, [0], {"epoch": 3}, overwrite=True)
    assert _everything(bundle) == before
