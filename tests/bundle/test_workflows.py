"""The bundle as its receiver runs it: moved, from another folder, by monai.bundle alone, mist_bundle not importable."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

# None in sys.modules makes `import mist_bundle` raise, installed or not
WITHOUT_MIST_BUNDLE = (
    "import sys, runpy; sys.modules['mist_bundle'] = None; sys.argv[0] = 'monai.bundle'; "
    "runpy.run_module('monai.bundle', run_name='__main__')"
)


def _monai(run_id: str, config: str, *overrides: str, cwd: Path, processes: int = 1) -> str:
    words = ["run", run_id, "--config_file", config, *overrides]
    command = [sys.executable, "-c", WITHOUT_MIST_BUNDLE, *words]
    if processes > 1:
        starter = cwd / "start.py"
        starter.write_text(WITHOUT_MIST_BUNDLE)
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        command = [sys.executable, *torchrun, str(starter), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture
def moved(own_bundle: Path, phantom_json: Path) -> tuple[Path, list[str]]:
    """A bundle in another place, and what its receiver has to say: where the data are."""
    return own_bundle, ["--dataset_dir", str(phantom_json.parent / "train")]


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def test_preprocess_train_evaluate_infer(moved: tuple[Path, list[str]], tmp_path: Path, phantom_json: Path) -> None:
    bundle, data = moved
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    work = bundle.parent / f"{bundle.name}_work"
    configs = bundle / "configs"
    _monai("preprocess", str(configs / "preprocess.json"), *data, cwd=elsewhere)
    arrays = {path: path.stat().st_mtime_ns for path in (work / "cache").rglob("*.npy")}
    assert len(arrays) >= 12, "an image and a label of six cases"

    log = _monai("training", str(configs / "train.json"), *data, "--epochs", "1", "--fold", "1", cwd=elsewhere)
    assert "epoch 1/1" in log
    assert {path: path.stat().st_mtime_ns for path in (work / "cache").rglob("*.npy")} == arrays, "nothing made twice"
    models = sorted(path.name for path in (bundle / "models").iterdir())
    assert models == ["fold_1.pt", "model.pt", "model.safetensors"]
    assert not any("super" in name for name in _weights(bundle / "models/model.pt"))
    history = [json.loads(line) for line in (work / "fold_1/history.jsonl").read_text().splitlines()]
    assert history[0]["epoch"] == 1
    assert set(history[0]["dice"]) == set(json.loads((configs / "plan.json").read_text())["label_names"][1:])

    both = f"['{configs / 'train.json'}','{configs / 'evaluate.json'}']"
    _monai("evaluating", both, *data, "--fold", "1", cwd=elsewhere)
    table = (work / "fold_1/results.csv").read_text().splitlines()
    tested = [e["id"] for e in json.loads((configs / "datalist.json").read_text())["training"] if e["fold"] == 1]
    assert [line.split(",")[0] for line in table[1 : 1 + len(tested)]] == sorted(tested)
    assert len(table) == 1 + len(tested) + 5

    _monai("inference", str(configs / "inference.json"), *data, "--output_dir", str(elsewhere / "out"), cwd=elsewhere)
    labels = set(json.loads((configs / "plan.json").read_text())["labels"])
    for folder in sorted((phantom_json.parent / "test").iterdir()):
        image = nib.load(sorted(path for path in folder.glob("*.nii.gz") if "mask" not in path.name)[0])
        prediction = nib.load(elsewhere / "out" / f"{folder.name}.nii.gz")
        assert prediction.shape == image.shape[:3]  # some phantoms have a fourth axis of length 1
        np.testing.assert_allclose(prediction.affine, image.affine, atol=1e-5)
        assert set(np.unique(np.asarray(prediction.dataobj))) <= labels
    assert sorted(path.name for path in bundle.iterdir()) == [
        *("LICENSE", "MANIFEST.json", "configs", "docs", "models", "scripts")
    ], "nothing but weights was added to the bundle"


def test_resumed_run_ends_with_the_same_weights(moved: tuple[Path, list[str]], tmp_path: Path) -> None:
    bundle, data = moved
    config = str(bundle / "configs/train.json")
    # a constant rate, since a schedule that ends with the run differs between runs of one and of two epochs
    common = [*data, "--schedule", "constant", "--val_interval", "1", "--warmup_steps", "1", "--l1_penalty", "1e-4"]
    common += ["--accumulation_steps", "2", "--early_stopping", "5", "--ema_decay", "0.9"]
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    _monai("training", config, *common, "--work_dir", str(straight), cwd=tmp_path)
    first = _weights(bundle / "models/fold_0.pt")
    _monai("training", config, *common, "--work_dir", str(stopped), "--epochs", "1", cwd=tmp_path)
    _monai("training", config, *common, "--work_dir", str(stopped), "--resume", "true", cwd=tmp_path)
    one, two = _weights(straight / "fold_0/last.pt"), _weights(stopped / "fold_0/last.pt")
    assert one["epoch"] == two["epoch"] == 2
    for part in ("best_score", "best_epoch", "validations_since_best", "lr_scheduler"):
        assert one[part] == two[part], part
    for part in ("network", "averaged"):
        for name, value in one[part].items():
            assert torch.equal(value, two[part][name]), (part, name)
    second = _weights(bundle / "models/fold_0.pt")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    epochs = [json.loads(line)["epoch"] for line in (stopped / "fold_0/history.jsonl").read_text().splitlines()]
    assert epochs == [1, 2]


def test_last_epoch_is_validated_whatever_the_interval(moved: tuple[Path, list[str]], tmp_path: Path) -> None:
    bundle, data = moved
    config, work = str(bundle / "configs/train.json"), tmp_path / "work"
    words = [*data, "--work_dir", str(work), "--steps_per_epoch", "1", "--epochs", "3", "--val_interval", "2"]
    _monai("training", config, *words, cwd=tmp_path)
    history = [json.loads(line) for line in (work / "fold_0/history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in history if "dice" in record] == [2, 3]
    assert json.loads((work / "fold_0/status.json").read_text())["best_score"] is not None


def test_two_processes_train_together_and_evaluate_uneven_shards(moved: tuple[Path, list[str]], tmp_path: Path) -> None:
    bundle, data = moved
    configs = bundle / "configs"
    files = f"['{configs / 'train.json'}','{configs / 'multi_gpu_train.json'}']"
    log = _monai("training", files, *data, "--val_interval", "1", cwd=tmp_path, processes=2)
    assert log.count("epoch 2/2") == 1, "one process reports"
    assert "module." not in next(iter(_weights(bundle / "models/model.pt")))
    names = ("train", "evaluate", "multi_gpu_evaluate")
    files = str([str(configs / f"{name}.json") for name in names])
    _monai("evaluating", files, *data, cwd=tmp_path, processes=2)
    table = (bundle.parent / f"{bundle.name}_work/fold_0/results.csv").read_text().splitlines()
    assert len(table) == 1 + 3 + 5, "three cases over two processes, each once"


def test_untrained_bundle_refuses_to_predict(moved: tuple[Path, list[str]], tmp_path: Path) -> None:
    bundle, data = moved
    with pytest.raises(AssertionError, match="Train the bundle first"):
        _monai("inference", str(bundle / "configs/inference.json"), *data, cwd=tmp_path)


CHECK = """
import os, sys
sys.modules['mist_bundle'] = None
from monai.bundle import create_workflow, load
bundle, data, folder = sys.argv[1:]
os.chdir(folder)
for kind, name in (('train', 'train.json'), ('inference', 'inference.json')):
    workflow = create_workflow(
        config_file=os.path.join(bundle, 'configs', name), workflow_type=kind, bundle_root=bundle, dataset_dir=data
    )
    workflow.initialize()
    assert workflow.check_properties() == [], kind
    workflow.finalize()
network = load(os.path.basename(bundle), bundle_dir=os.path.dirname(bundle), workflow_type='inference')
print('parameters', sum(parameter.numel() for parameter in network.parameters()))
"""


@pytest.mark.parametrize("inside", [True, False])
def test_properties_and_load(trained_bundle: Path, phantom_json: Path, tmp_path: Path, inside: bool) -> None:
    folder = trained_bundle if inside else tmp_path
    data = str(phantom_json.parent / "train")
    command = [sys.executable, "-c", CHECK, str(trained_bundle), data, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = sum(value.numel() for value in _unique(_weights(trained_bundle / "models/model.pt")))
    assert f"parameters {expected}" in done.stdout


def _unique(weights: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    # DynUNet registers each block twice, by role and in its chain of skips
    return [value for name, value in weights.items() if "skip_layers." not in name]


EXPORTED = """
import sys
import torch
from monai.bundle import ConfigParser
exported, weights = sys.argv[1:]
parser = ConfigParser()
parser.read_config('configs/inference.json')
network = parser.get_parsed_content('network_def')
network.load_state_dict(torch.load(weights, weights_only=True))
shape = parser.get('patch_size') or parser.get('inferer')['roi_size']
image = torch.randn(1, 2, *shape)
with torch.no_grad():
    torch.testing.assert_close(torch.jit.load(exported)(image), network.eval()(image))
"""


def test_monai_verifies_metadata_network_and_export(trained_bundle: Path, shared_data: Path, tmp_path: Path) -> None:
    from monai.bundle import verify_metadata

    metadata = trained_bundle / "configs/metadata.json"
    schema = tmp_path / "schema.json"
    shutil.copyfile(shared_data / "monai_meta_schema_20240725.json", schema)
    checksum = hashlib.sha256(schema.read_bytes()).hexdigest()
    verify_metadata(str(metadata), str(schema), hash_val=checksum, hash_type="sha256")
    # as the model zoo's instructions have it, from the bundle's folder
    named = ["network_def", "--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json"]
    exported = str(tmp_path / "model.ts")
    for command in (
        ["-m", "monai.bundle", "verify_net_in_out", *named, "--device", "cpu"],
        ["-m", "monai.bundle", "ckpt_export", *named, "--filepath", exported, "--ckpt_file", "models/model.pt"],
        ["-c", EXPORTED, exported, "models/model.pt"],
    ):
        words = [sys.executable, "-B", *command]
        done = subprocess.run(words, cwd=trained_bundle, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]


def test_stopped_early_and_resumed_after_the_stop(moved: tuple[Path, list[str]], tmp_path: Path) -> None:
    bundle, data = moved
    config, work = str(bundle / "configs/train.json"), tmp_path / "work"
    # a rate of nothing: the second validation cannot be better than the first
    still = ["--learning_rate", "1e-30", "--weight_decay", "0", "--ema_decay", "0", "--val_interval", "1"]
    common = [*data, *still, "--steps_per_epoch", "1", "--epochs", "9", "--work_dir", str(work)]
    log = _monai("training", config, *common, "--early_stopping", "2", cwd=tmp_path)
    assert "Stopped early: no better val_mean_dice in 2 validations since epoch 1." in log
    status = json.loads((work / "fold_0/status.json").read_text())
    assert (status["epoch"], status["best_epoch"], status["stopped_early"]) == (3, 1, True)
    with pytest.raises(AssertionError, match="stopped early after epoch 3"):
        _monai("training", config, *common, "--early_stopping", "2", "--resume", "true", cwd=tmp_path)
    _monai("training", config, *common, "--early_stopping", "3", "--resume", "true", cwd=tmp_path)
    assert json.loads((work / "fold_0/status.json").read_text())["epoch"] == 4, "the count continues where it stood"


@pytest.mark.slow
def test_any_number_of_processes_and_passes_learns_what_one_large_batch_does(
    moved: tuple[Path, list[str]], tmp_path: Path
) -> None:
    bundle, data = moved
    configs = bundle / "configs"
    single = str(configs / "train.json")
    several = f"['{configs / 'train.json'}','{configs / 'multi_gpu_train.json'}']"
    common = [*data, "--precision", "fp32", "--epochs", "2", "--steps_per_epoch", "10", "--val_interval", "1"]
    common += ["--batch_size", "4", "--l1_penalty", "1e-3", "--grad_clip_norm", "0.5"]
    common += ["--ema_decay", "0.5", "--early_stopping", "1"]
    common += ["--optimizer#_target_", "torch.optim.SGD", "--learning_rate", "0.05", "--warmup_steps", "1"]
    # a smooth activation: at the kink of LeakyReLU, weights that differ by 1e-8 have gradients that differ by 1e-4
    common += ["--network_def#act_name", "mish"]
    runs = {
        "large": (single, 1, []),
        "accumulated": (single, 1, ["--accumulation_steps", "4"]),
        "two": (several, 2, []),
        "two, accumulated": (several, 2, ["--accumulation_steps", "4"]),
        "four": (several, 4, []),
    }
    states = {}
    for name, (files, processes, words) in runs.items():
        work = tmp_path / name
        _monai("training", files, *common, *words, "--work_dir", str(work), cwd=tmp_path, processes=processes)
        states[name] = _weights(work / "fold_0/last.pt")
    for name in list(runs)[1:]:
        for part in ("network", "averaged"):
            for key, value in states["large"][part].items():
                torch.testing.assert_close(states[name][part][key], value, rtol=1e-3, atol=2e-5, msg=f"{name} {key}")
        for key in ("epoch", "best_epoch", "validations_since_best"):
            assert states[name][key] == states["large"][key]
        assert states[name]["best_score"] == pytest.approx(states["large"]["best_score"], abs=1e-3)


@pytest.mark.slow
def test_two_processes_take_the_same_first_steps_with_the_activation_of_the_bundle(
    moved: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """Three steps of LeakyReLU, too few for gradients at its kink to drive the trainings apart."""
    bundle, data = moved
    configs = bundle / "configs"
    several = f"['{configs / 'train.json'}','{configs / 'multi_gpu_train.json'}']"
    common = [*data, "--precision", "fp32", "--epochs", "1", "--steps_per_epoch", "3", "--batch_size", "4"]
    common += ["--optimizer#_target_", "torch.optim.SGD", "--learning_rate", "0.05", "--warmup_steps", "1"]
    networks = {}
    for processes, files in ((1, str(configs / "train.json")), (2, several)):
        work = tmp_path / str(processes)
        _monai("training", files, *common, "--work_dir", str(work), cwd=tmp_path, processes=processes)
        networks[processes] = _weights(work / "fold_0/last.pt")["network"]
    for key, value in networks[1].items():
        torch.testing.assert_close(networks[2][key], value, rtol=1e-3, atol=2e-5, msg=key)


@pytest.mark.slow
def test_compiled_network_learns_the_same_under_the_same_names(moved: tuple[Path, list[str]], tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler on the CPU")
    bundle, data = moved
    # plain gradient steps: Adam makes a step of full length out of the rounding noise of a gradient that is nearly zero
    overlay = tmp_path / "sgd.json"
    optimizer = {"_target_": "torch.optim.SGD", "params": "$@network.parameters()", "lr": 0.05}
    overlay.write_text(json.dumps({"optimizer": optimizer}), encoding="utf-8")
    config = str([str(bundle / "configs/train.json"), str(overlay)])
    common = [*data, "--precision", "fp32", "--epochs", "1", "--steps_per_epoch", "2"]
    for name in ("true", "false"):
        _monai("training", config, *common, "--compile", name, "--work_dir", str(tmp_path / name), cwd=tmp_path)
    compiled, plain = (_weights(tmp_path / name / "fold_0/last.pt") for name in ("true", "false"))
    assert list(compiled["network"]) == list(plain["network"])
    ours, theirs = (
        torch.cat([value.flatten().double() for value in one.values()])
        for one in (compiled["network"], plain["network"])
    )
    assert torch.linalg.vector_norm(ours - theirs) < 1e-6 * torch.linalg.vector_norm(theirs)
