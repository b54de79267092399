"""Seconds of predicting a folder of cases beside nnU-Net, and of preprocessing beside MIST, start-up included.

    NNUNET_BIN=FOLDER/bin scripts/benchmark prediction [--cases 40] [--flips]
    MIST_BIN=FOLDER/bin   scripts/benchmark prediction --preprocess [--cases 100]

Weights are as initialised: seconds do not depend on them. Programs alternate, each runs `--repeat` times, and the
median of the processor's seconds is what is compared: on a machine that others use too those of the clock vary by half.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = [sys.executable, "-m", "mist_bundle"]
DATASET = "Dataset004_Hippocampus"
MODEL = "nnUNetTrainer__nnUNetPlans__3d_fullres"
RANDOM_WEIGHTS = """
import sys
from pathlib import Path
import torch
from monai.bundle import ConfigParser
bundle = Path(sys.argv[1])
sys.path.insert(0, str(bundle))
parser = ConfigParser()
parser.read_config(bundle / "configs/inference.json")
torch.save(parser.get_parsed_content("network_def").state_dict(), bundle / "models/model.pt")
"""
RANDOM_NNUNET = """
import json, sys
from pathlib import Path
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
prepared, model = Path(sys.argv[1]), Path(sys.argv[2])
plans = json.loads((prepared / "nnUNetPlans.json").read_text())
part = PlansManager(plans).get_configuration("3d_fullres")
network = get_network_from_plans(
    part.network_arch_class_name, part.network_arch_init_kwargs, part.network_arch_init_kwargs_req_import, 1, 3,
    deep_supervision=False,
)
(model / "fold_0").mkdir(parents=True)
for name, source in {"plans.json": "nnUNetPlans.json", "dataset.json": "dataset.json"}.items():
    (model / name).write_text((prepared / source).read_text())
state = {"network_weights": network.state_dict(), "trainer_name": "nnUNetTrainer",
         "init_args": {"configuration": "3d_fullres"}, "inference_allowed_mirroring_axes": (0, 1, 2)}
torch.save(state, model / "fold_0/checkpoint_final.pth")
print("nnU-Net patch", part.patch_size)
"""


@dataclass
class Program:
    """A command and what it took."""

    name: str
    command: list[str]
    output: Path
    environment: dict[str, str] = field(default_factory=dict)
    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    def run(self) -> None:
        """Once, into an empty folder."""
        shutil.rmtree(self.output, ignore_errors=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        call(self.command, self.environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.clock.append(time.perf_counter() - started)
        self.processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def figures(self, peer: Program) -> str:
        """A row of the table."""
        processor, clock = statistics.median(self.processor), statistics.median(self.clock)
        ratio = processor / statistics.median(peer.processor)
        return f"| {self.name} | {processor:.1f} s | {clock:.1f} s | {ratio:.2f} |"


def call(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command; what it printed."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def our_bundle(work: Path, data: Path, recipe: str) -> Path:
    """A bundle of the cases with weights as initialised."""
    output = work / f"bundle_{recipe}"
    call([*OURS, "autoconfig", str(data / "dataset.json"), "--output", str(output), "--recipe", recipe, "--folds", "2"])
    bundle = next(path for path in output.iterdir() if (path / "configs").is_dir())
    call([sys.executable, "-c", RANDOM_WEIGHTS, str(bundle)])
    return bundle


def nnunet_model(work: Path, data: Path, binaries: Path) -> dict[str, str]:
    """Its folders with a planned dataset and weights as initialised; returns the variables that name them."""
    folders = {f"nnUNet_{name}": str(work / name) for name in ("raw", "preprocessed", "results")}
    raw = work / "raw" / DATASET
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    cases = sorted((data / "train").iterdir())
    for case in cases:
        image = next(path for path in case.glob("*.nii.gz") if path.name != "mask.nii.gz")
        (raw / "imagesTr" / f"{case.name}_0000.nii.gz").symlink_to(image)
        (raw / "labelsTr" / f"{case.name}.nii.gz").symlink_to(case / "mask.nii.gz")
    description = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    call([str(binaries / "nnUNetv2_plan_and_preprocess"), "-d", "4", "--no_pp", "-npfp", "1"], folders)
    prepared = work / "preprocessed" / DATASET
    results = work / "results" / DATASET / MODEL
    said = call([str(binaries / "python"), "-c", RANDOM_NNUNET, str(prepared), str(results)], folders)
    sys.stdout.write(said)
    return folders


def prediction(work: Path, data: Path, flips: bool) -> tuple[Program, list[Program]]:
    """nnU-Net's program, and ours."""
    binaries = Path(os.environ["NNUNET_BIN"])
    folders = nnunet_model(work, data, binaries)
    command = [
        *(str(binaries / "nnUNetv2_predict"), "-d", "4", "-c", "3d_fullres", "-f", "0", "-device", "cpu"),
        *("-i", str(work / "raw" / DATASET / "imagesTr"), "-o", str(work / "theirs")),
        *(() if flips else ("--disable_tta",)),
    ]
    peer = Program("nnU-Net, default", command, work / "theirs", folders)
    ours = []
    for recipe in ("paper", "quick"):
        bundle = our_bundle(work, data, recipe)
        output = work / f"ours_{recipe}"
        predict = ["predict", str(bundle), "--input", str(data / "train"), "--output", str(output)]
        ours.append(Program(f"mist_bundle, `{recipe}`", [*OURS, *predict, "--tta" if flips else "--notta"], output))
    return peer, ours


def preprocessing(work: Path, data: Path) -> tuple[Program, list[Program]]:
    """MIST's program, and ours."""
    binaries = Path(os.environ["MIST_BIN"])
    analyze = [str(binaries / "mist_analyze"), "--data", str(data / "dataset.json"), "--results", str(work / "results")]
    call([*analyze, "--nfolds", "2"])
    command = [
        *(str(binaries / "mist_preprocess"), "--results", str(work / "results"), "--numpy", str(work / "theirs")),
        *("--num-workers-preprocess", "2"),
    ]
    bundle = our_bundle(work, data, "paper")
    output = work / "ours"
    ours = [*OURS, "preprocess", str(bundle), "--workers", "2", "--work_dir", str(output)]
    return Program("MIST", command, work / "theirs"), [Program("mist_bundle", ours, output)]


def describe_brats(source: Path, cases: Path) -> None:
    """The four cases with a dataset.json."""
    (cases / "train").mkdir(parents=True)
    for case in source.iterdir():
        if case.is_dir():
            (cases / "train" / case.name).symlink_to(case)
    description = {
        "task": "brats",
        "modality": "mr",
        "train-data": str(cases / "train"),
        "mask": ["seg.nii.gz"],
        "images": {"flair": ["flair.nii.gz"], "t1c": ["t1c.nii.gz"]},
        "labels": [0, 1, 2, 3, 4],
        "final_classes": {"tumour": [1, 2, 3, 4]},
    }
    (cases / "dataset.json").write_text(json.dumps(description), encoding="utf-8")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--preprocess", action="store_true")
    parser.add_argument("--brats", action="store_true", help="brats_sample instead of hippocampus")
    options = parser.parse_args()
    data = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared/data"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        cases = work / "cases"
        if options.brats:
            describe_brats(data / "brats_sample", cases)
        else:
            source = str(data / "Task04_Hippocampus")
            call([*OURS, "convert_msd", "--source", source, "--output", str(cases), "--limit", str(options.cases)])
        make = preprocessing(work, cases) if options.preprocess else prediction(work, cases, options.flips)
        peer, ours = make
        for _ in range(options.repeat):
            for program in (peer, *ours):
                program.run()
        sys.stdout.write("| | processor | clock | ratio |\n|---|---|---|---|\n")
        for program in (peer, *ours):
            sys.stdout.write(program.figures(peer) + "\n")


if __name__ == "__main__":
    main()
