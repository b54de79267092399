"""Every phase beside the peers: seconds of the processor, with start-up, and the ratio within one run.

    scripts/peer_environment PEERS                  # PEERS/mist and PEERS/nnunet, some gigabytes
    scripts/benchmark peers --peers PEERS           # all phases; rewrites the table and the picture in docs/
    scripts/benchmark peers --peers PEERS --only prediction loader
    scripts/benchmark peers --draw                  # table and picture from the figures that were kept
    OPENVINO_PYTHON=openvino/bin/python scripts/benchmark peers --only prediction   # predicts with that engine too

Figures are kept in docs/benchmarks.json: a phase that is measured again replaces its own. Programs alternate within a
phase and medians are compared. Processor time is compared since other users of a machine change the clock's by half;
the clock's seconds stand beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import benchmark_evaluation
import benchmark_loader
import nibabel
import numpy as np
import peer_programs as programs
from benchmark_prediction import DATASET, OURS, ROOT, Program, call, describe_brats, nnunet_model, our_bundle
from peer_figures import PICTURE, Figure, draw, keep, kept_figures, table, write_page

from mist_bundle.bundle.launch import KEEP_FREED_MEMORY
from mist_bundle.evaluation.score import ScoreSettings

LOADER_SHAPE = (160, 192, 144)


@dataclass
class Setting:
    """Where things are."""

    work: Path
    data: Path
    peers: Path
    cases: int
    repeat: int

    def mist(self, program: str) -> str:
        """A program of mist-medical's environment."""
        return str(self.peers / "mist/bin" / program)

    def nnunet(self, program: str) -> str:
        """A program of nnU-Net's environment."""
        return str(self.peers / "nnunet/bin" / program)

    def hippocampus(self, number: int) -> Path:
        """A folder with the first so many cases and their dataset.json."""
        folder = self.work / f"hippocampus{number}"
        if not folder.is_dir():
            source = str(self.data / "Task04_Hippocampus")
            call([*OURS, "convert_msd", "--source", source, "--output", str(folder), "--limit", str(number)])
        return folder

    def brats(self) -> Path:
        """The same of the BraTS cases."""
        folder = self.work / "brats"
        if not folder.is_dir():
            describe_brats(self.data / "brats_sample", folder)
        return folder

    def coarse_brats(self) -> Path:
        """BraTS cases at 0.9 x 0.9 x 3.2 mm in mixed orientations, which have to be resampled."""
        folder = self.work / "coarse"
        if not folder.is_dir():
            coarsen(self.brats(), folder)
        return folder


def coarsen(source: Path, target: Path) -> None:
    """Write cases on another grid, each with its axes in another order."""
    from nibabel.processing import resample_to_output

    description = json.loads((source / "dataset.json").read_text())
    description["train-data"] = str(target / "train")
    orientations = ("LPS", "RAS", "SRA", "PIR")
    for number, case in enumerate(sorted((source / "train").iterdir())):
        folder = target / "train" / case.name
        folder.mkdir(parents=True)
        for path in sorted(case.glob("*.nii.gz")):
            is_mask = path.name == "seg.nii.gz"
            image = nibabel.load(path)
            coarse = resample_to_output(image, (0.9, 0.9, 3.2), order=0 if is_mask else 1)
            codes = nibabel.orientations.axcodes2ornt(orientations[number % len(orientations)])
            turned = coarse.as_reoriented(
                nibabel.orientations.ornt_transform(nibabel.io_orientation(coarse.affine), codes)
            )
            values = np.asarray(turned.dataobj).astype(np.uint8 if is_mask else np.float32)
            nibabel.save(nibabel.Nifti1Image(values, turned.affine), folder / path.name)
    (target / "dataset.json").write_text(json.dumps(description), encoding="utf-8")


def beside(
    phase: str, ours: dict[str, Program], peers: dict[str, tuple[Program, float | None]], repeat: int
) -> list[Figure]:
    """Run all programs in turn; a figure for each of ours (by what it does) and each peer (with its goal)."""
    programs_in_turn = [*ours.values(), *(program for program, _ in peers.values())]
    for _ in range(repeat):
        for program in programs_in_turn:
            program.run()
    figures = []
    for what, own in ours.items():
        for name, (program, goal) in peers.items():
            figure = Figure(phase, what, name, median(own.processor), median(program.processor), goal)
            figure.our_clock, figure.their_clock = median(own.clock), median(program.clock)
            figures.append(figure)
    return figures


# --- phases -------------------------------------------------------------------------------------------------------


def analysis(setting: Setting) -> list[Figure]:
    """Measuring the cases and planning."""
    data = setting.hippocampus(100)
    output = setting.work / "analysis"
    ours = Program(
        "ours", [*OURS, "autoconfig", str(data / "dataset.json"), "--output", str(output / "ours")], output / "ours"
    )
    mist = [setting.mist("mist_analyze"), "--data", str(data / "dataset.json"), "--results", str(output / "mist")]
    folders = nnunet_model(setting.work / "planned", data, setting.peers / "nnunet/bin")
    nnunet = [setting.nnunet("nnUNetv2_plan_and_preprocess"), "-d", "4", "--no_pp", "-npfp", "1", "--clean"]
    planned = setting.work / "planned/preprocessed" / DATASET
    peers = {
        "mist-medical 2.3.0": (Program("mist", mist, output / "mist"), None),
        "nnU-Net 2.8.1": (Program("nnunet", nnunet, planned, folders), None),
    }
    return beside("analysis and plan", {"100 hippocampus cases": ours}, peers, setting.repeat)


def preprocess(setting: Setting) -> list[Figure]:
    """Preparing the arrays with two workers."""
    kinds = {
        "100 hippocampus cases": (setting.hippocampus(100), 0.7),
        "4 BraTS cases": (setting.brats(), 0.7),
        "4 BraTS cases, resampled": (setting.coarse_brats(), 0.25),
    }
    figures = []
    for what, (data, goal) in kinds.items():
        output = setting.work / "preprocess" / data.name
        results = str(output / "results")
        call(
            [setting.mist("mist_analyze"), "--data", str(data / "dataset.json"), "--results", results, "--nfolds", "2"]
        )
        mist = [setting.mist("mist_preprocess"), "--results", results, "--numpy", str(output / "mist")]
        mist += ["--num-workers-preprocess", "2"]
        bundle = our_bundle(output, data, "paper")
        ours = [*OURS, "preprocess", str(bundle), "--workers", "2", "--work_dir", str(output / "ours")]
        peers = {"mist-medical 2.3.0": (Program("mist", mist, output / "mist"), goal)}
        own = {what: Program("ours", ours, output / "ours")}
        figures += beside("preprocess", own, peers, setting.repeat)
    return figures


def loader(setting: Setting) -> list[Figure]:
    """Augmented patches of two channels, from one thread."""
    cases = setting.work / "loader"
    benchmark_loader.make_cases(cases, 2, LOADER_SHAPE)
    ours = cases / "ours.json"
    seconds = "8"
    prepared = nnunet_arrays(setting, cases)
    for_mist = mist_arrays(cases)
    figures = []
    nnunet, mist = "nnU-Net 2.8.1", "mist-medical 2.3.0"
    defaults = "each tool's own default augmentation, ours: `mist`"
    for side, peer, augmentation, told in (
        (96, nnunet, "nnunet", "augmentation `nnunet`"),
        (96, nnunet, "mist", defaults),
        (128, mist, "mist", "augmentation `mist`"),
    ):
        command = [sys.executable, str(ROOT / "scripts/benchmark_loader.py"), "--only", str(side), "--threads", "1"]
        call([*command, "--augmentation", augmentation, "--seconds", seconds, "--output", str(ours)])
        own = next(iter(json.loads(ours.read_text())["figures"].values()))["processor_ms_per_patch"]
        if side == 96:
            command = [setting.nnunet("python"), "-c", programs.NNUNET_LOADER, str(prepared), str(side), seconds]
            folders = {f"nnUNet_{name}": str(cases / name) for name in ("raw", "preprocessed", "results")}
            answer = call(command, folders)
        else:
            answer = call([setting.mist("python"), "-c", programs.MIST_LOADER, str(for_mist), str(side), seconds])
        theirs = json.loads(answer.splitlines()[-1])["ms"]
        goal = 0.25 if side == 96 else 0.125
        what = f"a patch of {side} x {side} x {side}, 2 channels, {told}"
        figures.append(Figure("loader", what, peer, own, theirs, goal, "ms"))
    return figures


def nnunet_arrays(setting: Setting, cases: Path) -> Path:
    """The loader's cases as nnU-Net prepares them; returns its folder."""
    folders = {f"nnUNet_{name}": str(cases / name) for name in ("raw", "preprocessed", "results")}
    raw = cases / "raw" / "Dataset005_Loader"
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    numbers = sorted(path.name.split("_")[0] for path in cases.glob("*_image.npy"))
    for number in numbers:
        image, label = np.load(cases / f"{number}_image.npy"), np.load(cases / f"{number}_label.npy")[0]
        for channel, values in enumerate(image):
            path = raw / "imagesTr" / f"case{number}_000{channel}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
        nibabel.save(nibabel.Nifti1Image(label, np.eye(4)), raw / "labelsTr" / f"case{number}.nii.gz")
    description = {
        "channel_names": {"0": "MRI", "1": "MRI"},
        "labels": {"background": 0, "one": 1, "two": 2},
        "numTraining": len(numbers),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    command = [setting.nnunet("nnUNetv2_plan_and_preprocess"), "-d", "5", "-c", "3d_fullres", "-np", "1", "-npfp", "1"]
    call(command, folders)
    return cases / "preprocessed" / "Dataset005_Loader"


def mist_arrays(cases: Path) -> Path:
    """The loader's cases as mist-medical stores them, channels last; returns a file that names them."""
    named: dict[str, list[str]] = {"images": [], "labels": []}
    for path in sorted(cases.glob("*_image.npy")):
        image = cases / f"mist_{path.name}"
        label = cases / f"mist_{path.name.replace('image', 'label')}"
        np.save(image, np.moveaxis(np.load(path), 0, -1))
        np.save(label, np.moveaxis(np.load(path.with_name(path.name.replace("image", "label"))), 0, -1))
        named["images"].append(str(image))
        named["labels"].append(str(label))
    listing = cases / "mist.json"
    listing.write_text(json.dumps(named), encoding="utf-8")
    return listing


def step(setting: Setting) -> list[Figure]:
    """Forward, loss, backward, clipping and update of the same network."""
    data = setting.hippocampus(setting.cases)
    output = setting.work / "step"
    command = ["autoconfig", str(data / "dataset.json"), "--output", str(output), "--recipe", "mist2", "--folds", "2"]
    call([*OURS, *command, "--patch_size", "32,32,32", "--network", "nnunet"])
    bundle = next(path for path in output.iterdir() if (path / "configs").is_dir())
    figures = []
    bfloat16 = "bfloat16 where the processor has it"
    for precision, compiled, words in (
        ("fp32", "plain", "float32"),
        ("auto", "plain", bfloat16),
        ("auto", "compiled", f"{bfloat16}, setting `compile`"),
    ):
        # as `train` starts its processes
        program = [sys.executable, "-c", programs.OUR_STEP, str(bundle), "15", precision, compiled]
        told = call(program, KEEP_FREED_MEMORY)
        own = json.loads(told.splitlines()[-1])["ms"]
        theirs = json.loads(call([setting.mist("python"), "-c", programs.MIST_STEP, "15"]).splitlines()[-1])["ms"]
        what = f"nnunet, 2 patches of 32 x 32 x 32, {words}"
        figures.append(Figure("optimizer step", what, "mist-medical 2.3.0", own, theirs, 0.5, "ms"))
    return figures


def prediction(setting: Setting) -> list[Figure]:
    """A folder of cases and a single case, without flips, each tool's default network; OpenVINO where it is named."""
    data = setting.hippocampus(setting.cases)
    work = setting.work / "prediction"
    folders = nnunet_model(work, data, setting.peers / "nnunet/bin")
    images = work / "raw" / DATASET / "imagesTr"
    single = work / "single"
    single.mkdir()
    first = sorted(images.iterdir())[0]
    (single / first.name).symlink_to(first.resolve())
    bundles = {recipe: our_bundle(work, data, recipe) for recipe in ("paper", "quick")}
    openvino = os.environ.get("OPENVINO_PYTHON", "")  # an interpreter that has it, and this package
    figures = []
    for source, theirs_from, number in (
        (data / "train", images, f"{setting.cases} hippocampus cases"),
        (first.resolve(), single, "a single case"),
    ):
        command = [setting.nnunet("nnUNetv2_predict"), "-d", "4", "-c", "3d_fullres", "-f", "0", "-device", "cpu"]
        command += ["-i", str(theirs_from), "-o", str(work / "theirs"), "--disable_tta", "-npp", "1", "-nps", "1"]
        own = {}
        for recipe, bundle in bundles.items():
            output = work / f"ours_{recipe}"
            predict = [*OURS, "predict", str(bundle), "--input", str(source), "--output", str(output), "--notta"]
            own[f"{number}, `{recipe}`"] = Program("ours", predict, output)
            if openvino and recipe == "paper":
                predict = [openvino, *predict[1:], "--engine", "openvino"]
                own[f"{number}, `{recipe}`, engine `openvino`"] = Program("ours", predict, output)
        peers = {"nnU-Net 2.8.1": (Program("nnunet", command, work / "theirs", folders), 0.5)}
        figures += beside("prediction", own, peers, setting.repeat)
    return figures


def evaluation(setting: Setting) -> list[Figure]:
    """Dice, HD95, surface Dice and average surface distance of pairs of files; start-up is left out."""
    kinds = {"a BraTS case, 5 classes": "brats_sample", "a hippocampus case, 3 classes": "Task04_Hippocampus"}
    goals = {"mist-medical": 0.1, "surface-distance": 1.0, "MONAI": 1.0}
    figures = []
    for what, name in kinds.items():
        folder = setting.work / f"evaluation_{name}"
        folder.mkdir()
        pairs, values = benchmark_evaluation.make_pairs(setting.data / name, folder, 6)
        classes = {"whole": values, **{f"label_{value}": (value,) for value in values}}
        settings = ScoreSettings(final_classes=classes, metrics=benchmark_evaluation.OWN)
        own, _ = benchmark_evaluation.own_seconds(pairs, settings, 3)
        request = benchmark_evaluation.request_for(pairs, classes, 2)
        for peer, goal in goals.items():
            answer = benchmark_evaluation.peer_seconds(setting.mist("python"), peer, request, folder)
            if answer is None:
                continue
            ours_ms = 1000 * benchmark_evaluation.mean_processor(own)
            theirs_ms = 1000 * benchmark_evaluation.mean_processor(answer[0])
            figures.append(Figure("evaluation", what, peer, ours_ms, theirs_ms, goal, "ms"))
    return figures


PHASES: dict[str, Callable[[Setting], list[Figure]]] = {
    "analysis": analysis,
    "preprocess": preprocess,
    "loader": loader,
    "step": step,
    "prediction": prediction,
    "evaluation": evaluation,
}


def main() -> None:
    """Measure, keep, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=ROOT / "peers", help="folder that peer_environment made")
    parser.add_argument("--only", nargs="+", choices=sorted(PHASES), default=list(PHASES))
    parser.add_argument("--cases", type=int, default=40, help="hippocampus cases to predict")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--draw", action="store_true", help="measure nothing: table and picture from what was kept")
    options = parser.parse_args()
    if not options.draw:
        for name in ("mist", "nnunet"):
            if not (options.peers / name / "bin/python").exists():
                raise SystemExit(f"no {options.peers / name}: make it with scripts/peer_environment {options.peers}")
        data = Path(os.environ.get("MIST_BUNDLE_DATA", ROOT.parent / "shared/data"))
        for phase in options.only:
            with tempfile.TemporaryDirectory() as folder:
                setting = Setting(Path(folder), data, options.peers.absolute(), options.cases, options.repeat)
                figures = PHASES[phase](setting)
            keep(phase, figures, list(PHASES))
            sys.stdout.write(table(figures) + "\n")
            sys.stdout.flush()
    write_page(kept_figures())
    draw(kept_figures(), PICTURE)


if __name__ == "__main__":
    main()
