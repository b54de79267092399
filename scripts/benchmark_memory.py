"""Memory and time of prediction: as a stream against whole volumes, and one very large case by the command itself.

    scripts/benchmark memory                 # table: classes x volume sizes, stream and whole volume
    scripts/benchmark memory --large         # 512 x 512 x 800, 104 classes, 5 folds, 8 flips, by `predict`
    scripts/benchmark memory --labels        # resampling a label map of 3 and of 100 classes

Each figure comes from a process of its own. Its memory is the largest resident set (VmHWM), less what the process held
when network and image were loaded and one batch of windows had been predicted: that is the network's own. Seconds of
the table are those of the processor, of one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLASSES = (3, 24, 104)
SIZES = ((96, 96, 96), (160, 160, 128), (256, 256, 128))
WINDOW = (64, 64, 64)
LARGE = (512, 512, 800)
LARGE_CLASSES = 104
NETWORK = '''
import torch


class TinyNet(torch.nn.Module):
    """One convolution: what is measured is everything around the network."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layer = torch.nn.Conv3d(in_channels, out_channels, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(image)
'''


def resident(field: str, process: int | str = "self") -> int:
    """Bytes of a line (VmRSS, VmHWM) of a process's status; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    return 0


def gigabytes(size: float) -> str:
    """For the table."""
    return f"{size / 1e9:.2f} GB"


# --- one figure of the table --------------------------------------------------------------------------------------


def measure(classes: int, shape: tuple[int, int, int], way: str) -> dict[str, float]:
    """Seconds and bytes of one prediction in this process."""
    import numpy as np
    import torch
    from monai.data import MetaTensor
    from monai.inferers import SlidingWindowInferer

    from mist_bundle.runtime.inferers.ensemble import EnsembleInferer
    from mist_bundle.runtime.inferers.segment import SegmentInferer
    from mist_bundle.runtime.transforms.restore import RestoreSegmentationd

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, classes, 3, padding=1)
    coarse = torch.randn(1, 1, *(length // 8 for length in shape))
    values = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0]
    grid = {"original_affine": np.eye(4), "spatial_shape": np.asarray(shape)}
    image = MetaTensor(values, affine=torch.eye(4, dtype=torch.float64), meta=grid)
    window = SlidingWindowInferer(roi_size=WINDOW, sw_batch_size=1, overlap=0.25, mode="gaussian")
    ensemble = EnsembleInferer(window, flip_axes=[0])
    with torch.no_grad():
        ensemble(values[None, :, : WINDOW[0], : WINDOW[1], : WINDOW[2]], network)
    before = reset_peak()
    started = time.process_time()
    labels = list(range(classes))
    if way == "stream":
        label_map = SegmentInferer(ensemble, labels)(image[None], network)[0]
    else:
        scores = ensemble(image[None], network)[0]
        label_map = RestoreSegmentationd(labels=labels)({"image": image, "pred": scores})["pred"]
    seconds = time.process_time() - started
    return {"seconds": seconds, "bytes": resident("VmHWM") - before, "labels": len(np.unique(label_map.numpy()))}


def reset_peak() -> int:
    """Begin a new VmHWM where the system allows it; returns the bytes that are held now, or were held at most."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return resident("VmHWM")


def measure_label_map(classes: int) -> dict[str, float]:
    """Seconds and bytes of resampling a label map whose classes are balls of one size."""
    import numpy as np

    from mist_bundle.runtime.numerics.resample import resample_label

    shape, radius = (160, 160, 160), 8
    random = np.random.default_rng(0)
    label_map = np.zeros(shape, np.uint8)
    ball = np.linalg.norm(np.indices((2 * radius + 1,) * 3) - radius, axis=0) <= radius
    for index in range(1, classes):
        x, y, z = random.integers(0, 160 - 2 * radius - 1, 3)
        label_map[x : x + 2 * radius + 1, y : y + 2 * radius + 1, z : z + 2 * radius + 1][ball] = index
    before = reset_peak()
    started = time.process_time()
    resample_label(label_map, (1.0, 1.0, 1.0), (0.8, 0.8, 0.8), classes)
    return {"seconds": time.process_time() - started, "bytes": resident("VmHWM") - before}


def in_own_process(*words: object) -> dict[str, float]:
    """The figures that this script prints when it is called with these words."""
    command = [sys.executable, __file__, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(class_counts: Sequence[int], room: float) -> None:
    """Print the table of docs/benchmarks.md."""
    sys.stdout.write("| classes | volume | stream: seconds, peak | whole volume: seconds, peak |\n|---|---|---|---|\n")
    for classes in class_counts:
        for shape in SIZES:
            size = "x".join(map(str, shape))
            stream = in_own_process("--measure", "stream", "--classes", classes, "--shape", size)
            needed = 4.0 * classes * shape[0] * shape[1] * shape[2]
            whole = "not run: the scores alone are " + gigabytes(needed)
            if 2.2 * needed < room:
                figures = in_own_process("--measure", "whole", "--classes", classes, "--shape", size)
                whole = f"{figures['seconds']:.1f} s, {gigabytes(figures['bytes'])}"
            text = f"{stream['seconds']:.1f} s, {gigabytes(stream['bytes'])}"
            sys.stdout.write(f"| {classes} | {size.replace('x', ' x ')} | {text} | {whole} |\n")
            sys.stdout.flush()


# --- one very large case ------------------------------------------------------------------------------------------


def run(*words: object) -> None:
    """A verb of mist_bundle."""
    command = [sys.executable, "-m", "mist_bundle", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def large_bundle(work: Path, spacing: float, window: int, folds: int, classes: int) -> Path:
    """A bundle of a network without training, with a file of weights for each fold."""
    import nibabel
    import numpy as np
    import torch

    data = work / "data"
    random = np.random.default_rng(0)
    labels = np.arange(6**3).reshape(6, 6, 6) % classes
    side = 8
    for number in range(5):
        folder = data / "train" / f"case{number}"
        folder.mkdir(parents=True)
        mask = np.kron(labels, np.ones((side, side, side), np.uint8)).astype(np.uint8)
        image = (mask + 20 * random.standard_normal(mask.shape)).astype(np.int16) + 100
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / "image.nii.gz")
        nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), folder / "mask.nii.gz")
    description = {
        "task": "large",
        "modality": "mr",
        "train-data": "train",
        "mask": ["mask.nii.gz"],
        "images": {"mr": ["image.nii.gz"]},
        "labels": list(range(classes)),
        "final_classes": {f"label{index}": [index] for index in range(1, classes)},
    }
    (data / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    (work / "tiny.py").write_text(NETWORK, encoding="utf-8")
    run(
        *("autoconfig", data / "dataset.json", "--output", work, "--network", f"{work / 'tiny.py'}:TinyNet"),
        *("--patch_divisor", 8, "--patch_size", f"{window},{window},{window}"),
        *("--target_spacing", f"{spacing},{spacing},{spacing}", "--folds", max(2, folds)),
    )
    bundle = work / "large_segmentation"
    for fold in range(folds):
        torch.manual_seed(fold)
        layer = torch.nn.Conv3d(1, classes, 3, padding=1)
        state = {"layer.weight": layer.weight.detach(), "layer.bias": layer.bias.detach()}
        torch.save(state, bundle / "models" / f"fold_{fold}.pt")
    shutil.copy(bundle / "models" / "fold_0.pt", bundle / "models" / "model.pt")
    return bundle


def large_image(path: Path, shape: tuple[int, int, int]) -> None:
    """A smooth volume of int16, written a slab at a time."""
    import nibabel
    import numpy as np
    from scipy.ndimage import zoom

    random = np.random.default_rng(1)
    small = random.standard_normal([-(-length // 32) for length in shape]).astype(np.float32)
    whole = np.empty(shape, np.int16)
    for start in range(0, shape[2], 32):
        part = zoom(small[:, :, start // 32], 32, order=1)[: shape[0], : shape[1]]
        whole[:, :, start : start + 32] = (100 + 40 * part[..., None]).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(whole, np.eye(4)), path)


def watched(command: list[str], every: Callable[[int], None], longest: float | None = None) -> float:
    """Run a command and call `every` with the process id of each of its processes ten times a second; seconds.

    After `longest` seconds it is interrupted.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, start_new_session=longest is not None) as process:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                for one in descendants(process.pid):
                    every(one)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            code = process.wait(longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            code = 0
        done.set()
        watcher.join()
    if code != 0:
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    return time.perf_counter() - started


def descendants(process: int) -> list[int]:
    """A process and all that it started."""
    found = [process]
    for one in found:
        try:
            children = Path(f"/proc/{one}/task/{one}/children").read_text(encoding="ascii").split()
        except OSError:
            continue
        found.extend(int(child) for child in children)
    return found


def large(options: argparse.Namespace) -> None:
    """Predict one very large case by the command and print the peak of its processes."""
    shape = options.shape or LARGE
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        bundle = large_bundle(work, options.spacing, options.window, options.folds, options.classes)
        (work / "cases").mkdir()
        peaks: dict[int, int] = {}

        def note(process: int) -> None:
            peaks[process] = max(peaks.get(process, 0), resident("VmHWM", process))

        def predict(shape: tuple[int, int, int], name: str, longest: float | None = None) -> tuple[float, int]:
            peaks.clear()
            image = work / "cases" / f"{name}.nii.gz"
            large_image(image, shape)
            command = [
                *(sys.executable, "-m", "mist_bundle", "predict", str(bundle), "--input", str(image)),
                *("--output", str(work / name), "--tta" if options.flips else "--notta", "--trust"),
                *("--overlap", str(options.overlap), "--sw_batch_size", "1"),
                *("--precision", options.precision),
                *(("--probabilities",) if options.probabilities else ()),
            ]
            seconds = watched(command, note, longest)
            return seconds, max(peaks.values())

        # one window alone: program, weights and what the network takes for a batch
        own_seconds, own = predict((32 * max(1, int(options.window * options.spacing) // 32),) * 3, "own")
        seconds, peak = predict(shape, "large", options.longest)
        figures = {
            "shape": shape,
            "classes": options.classes,
            "folds": options.folds,
            "flips": 8 if options.flips else 1,
            "spacing": options.spacing,
            "window": options.window,
            "overlap": options.overlap,
            "precision": options.precision,
            "own": {"seconds": round(own_seconds, 1), "peak": gigabytes(own)},
            "large": {"seconds": round(seconds, 1), "peak": gigabytes(peak)},
            "above_own": gigabytes(peak - own),
        }
        sys.stdout.write(json.dumps(figures) + "\n")


def shape_of(text: str) -> tuple[int, int, int]:
    """512x512x800."""
    x, y, z = (int(word) for word in text.split("x"))
    return x, y, z


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--labels", action="store_true")
    parser.add_argument("--measure", choices=("stream", "whole", "labels"), help=argparse.SUPPRESS)
    parser.add_argument("--classes", type=int, default=LARGE_CLASSES)
    parser.add_argument("--only", type=int, nargs="+", default=CLASSES, help="numbers of classes in the table")
    parser.add_argument("--shape", type=shape_of)
    parser.add_argument("--spacing", type=float, default=5.0, help="of the prepared grid in --large; the file has 1 mm")
    parser.add_argument("--window", type=int, default=64, help="voxels of a side in --large")
    parser.add_argument("--overlap", type=float, default=0.1, help="of the windows in --large")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--flips", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--precision", default="fp32", help="of the network in --large: fp32, bf16, auto")
    parser.add_argument("--probabilities", action="store_true")
    parser.add_argument("--longest", type=float, help="seconds after which --large ends the case, for its peak so far")
    parser.add_argument("--work", type=Path, help="folder for what --large writes meanwhile")
    parser.add_argument("--room", type=float, default=10.0, help="gigabytes that whole volumes may take")
    options = parser.parse_args()
    if options.measure == "labels":
        sys.stdout.write(json.dumps(measure_label_map(options.classes)) + "\n")
    elif options.measure:
        sys.stdout.write(json.dumps(measure(options.classes, options.shape, options.measure)) + "\n")
    elif options.large:
        large(options)
    elif options.labels:
        for classes in (3, 100):
            figures = in_own_process("--measure", "labels", "--classes", classes)
            sys.stdout.write(f"{classes} classes: {figures['seconds']:.2f} s, {gigabytes(figures['bytes'])}\n")
    else:
        sys.stdout.write(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
        table(options.only, options.room * 1e9)


if __name__ == "__main__":
    main()
