"""Every command in README and docs runs, page by page, in a folder that holds what the page speaks of.

Trainings are cut to two steps and words in capitals (BUNDLE, CASES …) stand for what `PLACEHOLDERS` says; nothing else
of a command is changed, and one that is not run is listed in `NOT_RUN` with the reason.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.planning.options import PlanOptions
from tests.dataset.bids_samples import make_bids
from tests.dataset.samples import write_masks
from tests.transfer import mist_made, nnunet_made

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")), "CONTRIBUTING.md"]

NOT_RUN = {
    r"(\w+=\S+ )?(\.venv|source|scripts/)": "uses the checkout's own .venv; CI runs these scripts",
    r"(pip |python -m venv|python3\.11 -m venv)": "installs packages",
    r".*\bpush\b": "uploads; tested against a local server in tests/sharing/test_push.py",
    r"python -m monai\.bundle download": "downloads",
    r"(docker|tritonserver|monailabel) ": "needs a program of others",
    r".*--format data_only": "needs a network of MONAI; tests/sharing/test_data_only.py runs it",
    r"tensorboard ": "is a server, which does not end",
}
PLACEHOLDERS = {
    "BUNDLE.zip": "hippocampus_segmentation.zip",
    "BUNDLE": "out/hippocampus_segmentation",
    "SOURCE": "bundles/hippocampus_segmentation",
    "CASES": "new_cases",
    "DATASET.json": "new/dataset.json",
    "TASK_segmentation": "hippocampus_segmentation",
    "DIR": "received",
    "OUT": "uncertain",
}
PLANNING = ("autoconfig", "run_all")
SMALL = {"--recipe": "quick", "--folds": "2", "--patch_size": "16", "--epochs": "1", "--steps_per_epoch": "2"}
SHORT = {"--epochs": "1", "--steps_per_epoch": "2"}
# pages that begin without a trained bundle, because their first commands make one
FRESH = ("README.md", "docs/benchmarks.md", "docs/index.md", "docs/first_run.md", "docs/recipes.md", "docs/networks.md",
         "docs/losses.md", "docs/optimisation.md")  # fmt: skip
OPTIONS = PlanOptions(recipe="quick", folds=2, epochs=1, steps_per_epoch=2, patch_size=(16, 16, 16))


def _blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _commands(page: str) -> list[str]:
    """One a line: continuation lines joined, comments left out."""
    lines = "\n".join(_blocks(page, "bash")).replace("\\\n", " ").splitlines()
    commands = [re.sub(r"\s+#\s.*$", "", line).strip() for line in lines]
    return [command for command in commands if command]


def _is_run(command: str) -> bool:
    return not any(re.match(pattern, command) for pattern in NOT_RUN)


def _as_run(command: str) -> str:
    """The command with its placeholders filled in and its training cut short."""
    for word, value in PLACEHOLDERS.items():
        command = re.sub(rf"(?<![\w.$]){re.escape(word)}(?![\w.])", value, command)
    words = command.split()
    if words[0] == "mist-bundle":
        verb = words[1]
    elif words[:2] == ["python", "-m"] or words[0] == "torchrun":
        verb = words[2].removeprefix("mist_bundle.")
    else:
        return command
    if verb in PLANNING and "--fold_file" in words:  # which says how many folds there are
        return _with(command, {name: value for name, value in SMALL.items() if name != "--folds"})
    if verb in PLANNING:
        return _with(command, SMALL)
    if verb == "train" and not {"--resume", "--overwrite"} & set(words):
        return f"{command} --overwrite"  # the bundle that the pages speak of is trained already
    if verb == "finetune" or ("monai.bundle" in words and "training" in words):
        return _with(command, SHORT)
    return command


def _with(command: str, options: dict[str, str]) -> str:
    for name, value in options.items():
        without = re.sub(rf"{name} \S+", "", command)
        command = f"{without} {name} {value}"
    return command


def test_placeholders_and_options_are_put_in() -> None:
    assert _as_run("mist-bundle pack BUNDLE --output BUNDLE.zip") == (
        "mist-bundle pack out/hippocampus_segmentation --output hippocampus_segmentation.zip"
    )
    assert _as_run("mist-bundle train B --fold all") == "mist-bundle train B --fold all --overwrite"
    for command in ("python -m mist_bundle.autoconfig", "mist-bundle autoconfig"):
        words = shlex.split(_as_run(f"{command} d.json --epochs 300 --recipe paper"))
        assert words[words.index("--epochs") + 1] == "1"
        assert words.count("--recipe") == 1


def test_pages_use_a_single_name_for_the_command() -> None:
    for page in PAGES:
        others = [
            command for command in _commands(page) if re.search(r"python -m mist_bundle(?!\.autoconfig)", command)
        ]
        assert not others, f"{page}: write mist-bundle"


def test_there_are_commands_and_most_are_run() -> None:
    commands = [command for page in PAGES for command in _commands(page)]
    assert len(commands) > 80
    assert sum(map(_is_run, commands)) > 0.75 * len(commands)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages speak of, and a trained, evaluated and finalized bundle."""
    folder = tmp_path_factory.mktemp("world")
    make_phantom(folder / "cases", kind="hippocampus", num_cases=6, num_test=1, shape=(24, 22, 20))
    description = json.loads((folder / "cases/dataset.json").read_text(encoding="utf-8"))
    description |= {"task": "hippocampus", "train-data": "cases/train", "test-data": "cases/test"}
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    shutil.copytree(folder / "cases", folder / "new")
    (folder / "new/dataset.json").write_text(
        json.dumps({**description, "train-data": "train", "test-data": "test"}), encoding="utf-8"
    )
    shutil.copytree(folder / "cases/test", folder / "new_cases")
    (folder / "bundles").symlink_to(ROOT / "bundles")
    (folder / "docs").symlink_to(ROOT / "docs")
    (case,) = (folder / "new_cases").iterdir()
    testing = [{"id": case.name, "image": [f"{case.name}/mri.nii.gz"]}]
    (folder / "LIST.json").write_text(json.dumps({"testing": testing}), encoding="utf-8")
    _own_code(folder)
    _other_layouts(folder)
    _other_programs(folder)
    bundle = pipeline.autoconfig(folder / "dataset.json", folder / "out", OPTIONS).bundle
    pipeline.train(bundle, [0, 1], {})
    pipeline.evaluate_folds(bundle, [0, 1], {})
    pipeline.finalize(bundle)
    _for_evaluation(folder, bundle)
    return folder


def _other_layouts(folder: Path) -> None:
    """The examples of docs/your_data.md that come from elsewhere."""
    rows = ["id,ct,liver,spleen"]
    for number in range(3):
        case = folder / "Totalsegmentator_dataset" / f"s{number:04d}"
        write_masks(case)
        masks = f"{case}/segmentations/liver.nii.gz,{case}/segmentations/spleen.nii.gz"
        rows.append(f"{case.name},{case}/ct.nii.gz,{masks}")
    make_bids(folder / "ds000001")
    for seed, name in enumerate(("liver", "kidneys")):
        make_phantom(folder / name, kind="ct", num_cases=2, num_test=1, seed=seed, shape=(12, 11, 10))
    (folder / "masks.csv").write_text("\n".join(rows), encoding="utf-8")


def _other_programs(folder: Path) -> None:
    """Data and results of nnU-Net and MIST, as docs/coming_from_*.md name them."""
    name = "Dataset004_Hippocampus"
    raw = folder / "nnUNet_raw" / name
    (raw / "imagesTr").mkdir(parents=True)
    (raw / "labelsTr").mkdir()
    cases = sorted((folder / "cases/train").iterdir())
    for case in cases:
        shutil.copy(case / "mri.nii.gz", raw / f"imagesTr/{case.name}_0000.nii.gz")
        shutil.copy(case / "mask.nii.gz", raw / f"labelsTr/{case.name}.nii.gz")
    labels = {"background": 0, "anterior": 1, "posterior": 2}
    description = {"channel_names": {"0": "mri"}, "labels": labels, "numTraining": len(cases), "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    ids = [case.name for case in cases]
    splits = [{"train": ids[1::2], "val": ids[::2]}, {"train": ids[::2], "val": ids[1::2]}]
    prepared = folder / "nnUNet_preprocessed" / name
    prepared.mkdir(parents=True)
    (prepared / "splits_final.json").write_text(json.dumps(splits), encoding="utf-8")
    results = folder / "nnUNet_results" / name / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    nnunet_made.write_results(results, folds=("0", "1"), labels=labels, channels=1)
    mist_made.write_results(
        folder / "mist_results",
        channels=1,
        dataset_info={"images": ["mri"], "labels": [0, 1, 2]},
        evaluation={"anterior": {"labels": [1]}, "posterior": {"labels": [2]}},
    )
    rows = [f"{case},{number % 2}" for number, case in enumerate(ids)]
    (folder / "mist_results/train_paths.csv").write_text("\n".join(["id,fold", *rows]), encoding="utf-8")


def _own_code(folder: Path) -> None:
    network, loss = _blocks("docs/networks.md", "python")[0], _blocks("docs/losses.md", "python")[0]
    (folder / "my_package").mkdir()
    (folder / "my_package/__init__.py").touch()
    for name in ("my_net.py", "my_package/nets.py"):
        (folder / name).write_text(network, encoding="utf-8")
    for name in ("my_losses.py", "my_package/losses.py"):
        (folder / name).write_text(loss + "\n\nMyLoss = Tversky\n", encoding="utf-8")


def _for_evaluation(folder: Path, bundle: Path) -> None:
    """Label maps, tables and weights under the names that the pages give them."""
    work = folder / "out" / f"{bundle.name}_work"
    (folder / "labels").mkdir()
    for case in sorted((folder / "cases/train").iterdir()):
        shutil.copy(case / "mask.nii.gz", folder / "labels" / f"{case.name}.nii.gz")
    for name in ("predictions", "predictions_a", "predictions_b", "predictions_c"):
        shutil.copytree(folder / "labels", folder / "given" / name)
    (folder / "codes.json").write_text(_blocks("docs/dicom.md", "json")[0], encoding="utf-8")
    (folder / "classes.json").write_text(json.dumps({"whole": [1, 2]}), encoding="utf-8")
    (folder / "strategy.json").write_text(_blocks("docs/evaluation.md", "json")[0], encoding="utf-8")
    for place in ("out/a", "out/b", "other/a"):
        shutil.copytree(bundle, folder / f"{place}_segmentation")
        shutil.copytree(work, folder / f"{place}_segmentation_work")
    for name in "abc":
        (folder / name).mkdir()
        shutil.copy(work / "results.csv", folder / name)
        shutil.copy(bundle / "models/model.pt", folder / f"{name}.pt")
    with (folder / "cases.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "mask", "mri"])
        for case in sorted((folder / "cases/train").iterdir()):
            table.writerow([case.name, case / "mask.nii.gz", case / "mri.nii.gz"])


def _place(page: str, world: Path, target: Path) -> Path:
    """A copy of the world as a page finds it."""
    shutil.copytree(world, target, symlinks=True)
    if page in FRESH:
        shutil.rmtree(target / "out")
        shutil.rmtree(target / "a")
    if page == "docs/studies.md":
        _with_sites(target)
    if page == "docs/evaluation.md":
        for folder in (target / "given").iterdir():
            folder.rename(target / folder.name)
    return target


def _with_sites(folder: Path) -> None:
    """A table of the cases with two sites and a test case."""
    names = sorted(case.name for case in (folder / "cases/train").iterdir())
    lines = ["id,site,split"]
    for number, name in enumerate(names):
        lines.append(f"{name},{'ab'[number % 2]},{'test' if number == 0 else 'train'}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", [page for page in PAGES if any(map(_is_run, _commands(page)))])
def test_every_command_of_a_page_runs(page: str, world: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    commands = [command for command in _commands(page) if _is_run(command)]
    place = _place(page, world, tmp_path / "place")
    if any("Task04_Hippocampus" in command or "schema" in command for command in commands):
        shared = request.getfixturevalue("shared_data")
        (place / "Task04_Hippocampus").symlink_to(shared / "Task04_Hippocampus")
        shutil.copy(shared / "monai_meta_schema_20240725.json", place / "meta_schema_20240725.json")
    programs = place / "programs"
    programs.mkdir()
    # not a link, which would leave the virtual environment behind
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (programs / "mist-bundle").write_text(f'#!/bin/sh\nexec {sys.executable} -m mist_bundle "$@"\n', encoding="utf-8")
    (programs / "torchrun").write_text(f'#!/bin/sh\nexec {sys.executable} -m torch.distributed.run "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    script = "\n".join(["set -euo pipefail", *(f"echo {shlex.quote('$ ' + c)}\n{c}" for c in map(_as_run, commands))])
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(place)]),
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/api.md", "docs/predicting.md"])
def test_python_examples_run(page: str, world: Path, tmp_path: Path) -> None:
    place = _place(page, world, tmp_path / "place")
    if page == "docs/api.md":
        shutil.rmtree(place / "out")
    for number, block in enumerate(_blocks(page, "python")):
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"block {number}\n{done.stderr[-3000:]}"
