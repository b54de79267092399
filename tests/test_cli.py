"""The command line: what is refused, how it says so, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.api.arguments import arguments_of
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED
from mist_bundle.planning import options as planner

# The options are a contract with users' scripts: none is renamed or taken away. An option of the planner is added by
# its declaration in planning/options.py alone; what was released stands here.
PLANNED = (
    "network network_arguments patch_divisor deep_supervision_heads deep_supervision_weights residual vae kernel_size "
    "loss loss_arguments recipe folds val_fraction epochs steps_per_epoch batch_size patch_size max_patch_size "
    "memory target_spacing optimizer learning_rate schedule warmup_steps weight_decay l1_penalty grad_clip_norm "
    "accumulation_steps ema_decay early_stopping precision compile augmentation patch_sampling "
    "composite_weighting class_weights "
    "ignore_label regions region_labels normalize_distance_maps distance_maps_in_mm flip_axes bias_correction "
    "skip_preprocessing seed"
)
FOLDING = "fold_by group_pattern leave_out stratify fold_file test_set"
OPTIONS = {
    "merge_fingerprints": "sources output overwrite",
    "autoconfig": f"dataset_json output {FOLDING} fingerprint workers format overwrite overwrite_weights {PLANNED}",
    "run_all": f"dataset_json output device predict_test resume processes parallel {FOLDING} fingerprint "
    f"workers format overwrite overwrite_weights {PLANNED}",
    "analyze": f"dataset_json output workers pictures folds seed {FOLDING} overwrite",
    "estimate": "bundle device steps trust",
    "slurm": "bundle output partition account time gpus cpus memory_gb tasks setup trust overwrite",
    "kubernetes": "bundle output image claim mount path gpus cpus memory_gb trust overwrite",
    "preprocess": "bundle dataset_dir workers trust overrides",
    "train": "bundle fold resume device devices processes parallel nodes node_rank rendezvous max_restarts "
    "dataset_dir overwrite trust overrides",
    "publish": "bundle fold work_dir trust",
    "evaluate": "bundle fold paths reference prediction classes labels ignore_label metrics metric_options both_empty "
    "one_empty empty_distance_mm output workers device devices overwrite dataset_dir each_absent trust overrides",
    "finalize": "bundle",
    "predict": "bundle input output tta probabilities uncertainty device devices workers output_format segment_codes "
    "resample overwrite trust overrides",
    "study": "bundle output seeds fold device dataset_dir trust",
    "finetune": f"source dataset_json output trust {FOLDING} workers format overwrite overwrite_weights replan "
    "channels freeze unfreeze_epoch layer_decay recipe loss folds val_fraction epochs steps_per_epoch batch_size "
    "patch_size target_spacing learning_rate flip_axes seed",
    "average_weights": "sources output overwrite",
    "calibrate": "bundle workers dataset_dir",
    "choose_postprocessing": "bundle candidates metrics metric_options weights min_gain workers dataset_dir",
    "postprocess": "predictions strategy output reference classes labels ignore_label metrics metric_options weights "
    "workers overwrite",
    "rank": "results output names metrics directions resamples seed overwrite",
    "compare": "results output names metrics directions resamples seed overwrite",
    "ensemble": "predictions output method ties labels bundle workers overwrite",
    "report": "bundle output dataset_dir pictures viewer viewer_cases workers overwrite",
    "audit": "bundle format public_key details",
    "verify": "bundle quick schema trust format",
    "sign": "bundle key",
    "make_key": "path",
    "export": "bundle format output trust overwrite",
    "pack": "bundle output large_files_url large_files_limit_mb overwrite",
    "unpack": "archive output trust overwrite",
    "bump": "bundle message part",
    "push": "bundle repo public",
    "convert_msd": "source output copy limit start overwrite dry_run",
    "convert_dicom": "source output resample overwrite dry_run",
    "convert_nnunet": "source output splits copy dry_run overwrite",
    "convert_csv": "source output test labels optional overlaps missing channels modality copy overwrite dry_run",
    "convert_bids": "source output derivatives suffix labels entities images overlaps missing channels modality copy "
    "overwrite dry_run",
    "convert_labels": "source output labels images masks overlaps missing channels modality copy overwrite dry_run",
    "merge_datasets": "sources output names copy overwrite dry_run",
    "phantom": "output kind cases test_cases seed format overwrite",
    "import_mist": "results output folds dataset fold_file workers overwrite dry_run",
    "import_nnunet": "results output checkpoint folds dataset fold_file workers overwrite dry_run",
    "networks": "",
    "losses": "",
    "optimizers": "",
    "schedules": "",
    "augmentations": "",
    "metrics": "",
    "postprocessing": "",
    "recipes": "",
}


def test_options_are_frozen() -> None:
    assert set(cli.VERBS) == set(OPTIONS)
    for name, verb in cli.VERBS.items():
        known = [argument.name for argument in arguments_of(verb)]
        assert set(OPTIONS[name].split()) <= set(known), f"{name}: an option is gone"
        added = set(known) - set(OPTIONS[name].split()) - set(planner.OPTIONS)
        assert not added, f"{name}: write what is added into the contract"


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_option_is_explained(name: str) -> None:
    unexplained = [argument.name for argument in arguments_of(cli.VERBS[name]) if not argument.about]
    assert not unexplained


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_misspelt_command_and_option_name_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, errors = _run(capsys, "autoconfg")
    assert code == EXIT_INPUT_REFUSED
    assert errors == "Unknown command 'autoconfg'. Did you mean 'autoconfig'?\n"
    code, _, errors = _run(capsys, "autoconfig", str(tmp_path / "dataset.json"), "--epoch", "3")
    assert code == EXIT_INPUT_REFUSED
    assert "--epoch: is not an option. Did you mean 'epochs'?" in errors


def test_bad_options_are_all_named_and_nothing_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", num_cases=3, shape=(16, 16, 12))
    code, _, errors = _run(
        capsys,
        *("autoconfig", str(data), "--output", str(tmp_path / "out"), "--network", "nnnet", "--loss", "dise"),
        *("--folds", "1", "--epochs", "0", "--target_spacing", "1,0,1", "--val_fraction", "1.5"),
    )
    assert code == EXIT_INPUT_REFUSED
    for option in ("network", "loss", "folds", "epochs", "target_spacing", "val_fraction"):
        assert f"--{option}:" in errors
    assert "Did you mean 'nnunet'" in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["a,b,c", "1.5,2,3"])
def test_sizes_must_be_whole_numbers(capsys: pytest.CaptureFixture[str], tmp_path: Path, value: str) -> None:
    code, _, errors = _run(capsys, "autoconfig", str(tmp_path / "x.json"), "--patch_size", value)
    assert code == EXIT_INPUT_REFUSED
    assert "--patch_size" in errors


def test_missing_data_set_is_one_clear_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, errors = _run(capsys, "autoconfig", str(tmp_path / "nothing.json"))
    assert code == EXIT_INPUT_REFUSED
    assert "nothing.json" in errors
    assert "Traceback" not in errors


def test_bad_case_is_left_out_by_name_and_the_exit_code_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = make_phantom(tmp_path / "data", num_cases=5, shape=(16, 16, 12))
    victim = sorted((data.parent / "train").iterdir())[2]
    image = sorted(victim.glob("*.nii.gz"))[-1]
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    code, output, errors = _run(
        capsys, "autoconfig", str(data), "--output", str(tmp_path / "out"), "--folds", "2", "--recipe", "quick"
    )
    assert code == EXIT_SOME_CASES_FAILED
    assert "1 of 5 cases was left out" in errors
    assert victim.name in errors
    assert "Bundle of 4 cases" in output
    datalist = json.loads(next((tmp_path / "out").glob("*_segmentation/configs/datalist.json")).read_text())
    assert victim.name not in {entry["id"] for entry in datalist["training"]}
    assert len(datalist["training"]) == 4


def test_menus_list_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    from mist_bundle.catalog.losses import LOSSES
    from mist_bundle.catalog.metrics import METRICS
    from mist_bundle.catalog.networks import NETWORKS
    from mist_bundle.catalog.postprocessing import POSTPROCESSING
    from mist_bundle.planning.recipes import RECIPES

    for verb, rows in (
        ("networks", NETWORKS),
        ("losses", LOSSES),
        ("metrics", METRICS),
        ("postprocessing", POSTPROCESSING),
        ("recipes", RECIPES),
    ):
        code, output, _ = _run(capsys, verb)
        assert code == EXIT_OK
        assert [line.split()[0] for line in output.splitlines()] == list(rows)


def test_start_up_reads_no_images_before_a_command_does() -> None:
    code = """
import sys
import mist_bundle.cli
assert not {'numpy', 'scipy', 'nibabel', 'yaml'} & set(sys.modules)
from mist_bundle import pipeline
pipeline.preprocess, pipeline.train
assert not {'scipy', 'nibabel', 'pydicom', 'pandas'} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "command",
    [
        "import mist_bundle.cli, mist_bundle.pipeline as p; [getattr(p, name) for name in p.__all__]",
        "from mist_bundle.autoconfig import main; import sys; sys.argv = ['autoconfig', '--help']; main()",
    ],
)
def test_start_up_imports_neither_torch_nor_monai(command: str) -> None:
    code = f"{command}\nimport sys\nassert not {{'torch', 'monai', 'ignite', 'pandas'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
