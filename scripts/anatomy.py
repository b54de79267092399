"""The pictures and the table of docs/anatomy.md: one case on its way from file to patch to label map.

A small bundle is trained on synthetic CT scans. Then its own workflows, as `monai.bundle` builds them, are asked for
their parts one by one, and what each of them gives out is drawn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from mist_bundle.report.colours import structure_rgb
from mist_bundle.runtime.numerics.grid import reorient, spacing_of
from mist_bundle.runtime.reading.formats import read_volume

matplotlib.use("Agg")

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/anatomy.md"
PICTURES = ROOT / "docs/images"
BEGIN, END = "<!-- begin table -->", "<!-- end table -->"
BUNDLE = "phantom_ct_segmentation"
FOLD = 0
TRAINING = ("--epochs", "6", "--steps_per_epoch", "40", "--folds", "2", "--recipe", "quick")
SOFT_TISSUE = (-160.0, 240.0)  # HU
NORMALIZED = (-1.6, 2.8)
COLOURS_OF_PNG = 96
LABEL_STRENGTH = 0.45


@dataclass(frozen=True, kw_only=True)
class Step:
    """A case after a transform.

    Attributes:
        name: class of the transform.
        image: (X, Y, Z).
        label: (X, Y, Z), or None before it is read.
        affine: 4x4, RAS+ millimetres.
    """

    name: str
    image: NDArray[Any]
    label: NDArray[Any] | None
    affine: NDArray[Any]

    @property
    def row(self) -> str:
        """Row of the page's table."""
        spacing = " × ".join(f"{length:.2f}" for length in spacing_of(self.affine))
        size = " × ".join(map(str, self.image.shape))
        low, high = self.image.min(), self.image.max()
        return f"| `{self.name}` | {size} | {spacing} | {_axes(self.affine)} | {low:.4g} to {high:.4g} |"


def main() -> None:
    """Make the bundle, follow a case, write pictures and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="use the data and the bundle that an earlier run left here")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="anatomy."))
    bundle = folder / BUNDLE
    if not (bundle / "models/fold_0.pt").is_file():
        make_bundle(folder)
    steps, item = prepare(bundle)
    draw_file(steps[0], PICTURES / "anatomy_1_file.png")
    draw_prepared(steps, PICTURES / "anatomy_2_prepared.png")
    draw_intensities(steps, PICTURES / "anatomy_3_intensities.png")
    draw_patches(bundle, PICTURES / "anatomy_4_patches.png")
    draw_windows(bundle, steps[-1], PICTURES / "anatomy_5_windows.png")
    draw_label_map(bundle, item, PICTURES / "anatomy_6_label_map.png")
    write_table(steps)


def make_bundle(folder: Path) -> None:
    """Synthetic CT scans, a bundle, the training of a fold and its predictions."""
    command = [sys.executable, "-m", "mist_bundle"]
    data = folder / "data"
    for arguments in (
        ["phantom", str(data), "--kind", "ct"],
        ["autoconfig", str(data / "dataset.json"), "--output", str(folder), *TRAINING],
        ["train", str(folder / BUNDLE), "--fold", str(FOLD)],
        ["evaluate", str(folder / BUNDLE), "--fold", str(FOLD)],
    ):
        subprocess.run([*command, *arguments], check=True)


def workflow_parser(bundle: Path, *configs: str) -> Any:
    """The parser of a workflow of the bundle, as `python -m monai.bundle run` makes it."""
    from monai.bundle import create_workflow

    files = [str(bundle / f"configs/{config}.json") for config in configs]
    workflow = create_workflow(workflow_type="train", config_file=files, bundle_root=str(bundle), fold=FOLD)
    return workflow.parser


def prepare(bundle: Path) -> tuple[list[Step], Mapping[str, Any]]:
    """A held-out case after every transform, and where its files are."""
    parser = workflow_parser(bundle, "train")
    transforms = parser.get_parsed_content("train#preprocessing").transforms
    held_out = workflow_parser(bundle, "train", "evaluate").get_parsed_content("validate#dataset").data
    files = next(filter(_is_turned, held_out), held_out[0])
    item = dict(files)
    steps = []
    for transform in transforms:
        item = transform(item)
        image = item["image"]
        label = item.get("label")
        steps.append(
            Step(
                name=type(transform).__name__,
                image=_volume(image),
                label=None if not hasattr(label, "shape") else _volume(label),
                affine=np.asarray(image.affine, dtype=float),
            )
        )
    return steps, files


def _is_turned(item: Mapping[str, Any]) -> bool:
    """Whether the axes of a case's file point elsewhere than to left, posterior and superior."""
    return _axes(read_volume(_first_file(item)).affine) != "L, P, S"


def _first_file(item: Mapping[str, Any]) -> Path:
    image = item["image"]
    return Path(image[0] if isinstance(image, (list, tuple)) else image)


def _volume(array: Any) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(torch.as_tensor(array))
    return values[0] if values.ndim == 4 else values


def _axes(affine: NDArray[Any]) -> str:
    """Where the axes point, such as "L, P, S", by the largest part of each."""
    letters = (("L", "R"), ("P", "A"), ("I", "S"))
    names = []
    for column in affine[:3, :3].T:
        axis = int(np.abs(column).argmax())
        names.append(letters[axis][int(column[axis] > 0)])
    return ", ".join(names)


def draw_file(step: Step, path: Path) -> None:
    """The array as it lies in the file: three planes through its middle, whatever they show."""
    figure, axes = pyplot.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
    spacing = spacing_of(step.affine)
    for axis, plane in enumerate(axes):
        middle = step.image.shape[axis] // 2
        across, down = (other for other in range(3) if other != axis)
        aspect = spacing[down] / spacing[across]
        plane.imshow(
            np.take(step.image, middle, axis).T, cmap="gray", vmin=SOFT_TISSUE[0], vmax=SOFT_TISSUE[1], aspect=aspect
        )
        plane.set_title(f"index {middle} of axis {axis}", fontsize=9)
        plane.set_axis_off()
    figure.suptitle(f"as stored: axes point to {_axes(step.affine)}", fontsize=10)
    _save(figure, path)


def draw_prepared(steps: Sequence[Step], path: Path) -> None:
    """An axial slice before the crop, after it, and on the grid of the training, with labels."""
    named = {step.name: step for step in steps}
    shown = (
        ("file, with labels", _in_lps(named["LabelsToIndicesd"])),
        ("cropped", _in_lps(named["CropToForegroundd"])),
        ("resampled", named["ResampleToSpacingd"]),
    )
    figure, axes = pyplot.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    for plane, (title, step) in zip(axes, shown, strict=True):
        _draw_axial(plane, step.image, step.label, spacing_of(step.affine), SOFT_TISSUE)
        size = " × ".join(map(str, step.image.shape))
        spacing = " × ".join(f"{length:.2f}" for length in spacing_of(step.affine))
        plane.set_title(f"{title}\n{size} voxels of {spacing} mm", fontsize=8)
    _save(figure, path)


def _in_lps(step: Step) -> Step:
    image, affine = reorient(step.image[None], step.affine, "LPS")
    label = None
    if step.label is not None:
        turned, _ = reorient(step.label[None], step.affine, "LPS")
        label = turned[0]
    return Step(name=step.name, image=image[0], label=label, affine=affine)


def draw_intensities(steps: Sequence[Step], path: Path) -> None:
    """Histograms before and after the normalisation, of the whole image and of what is labelled."""
    before, after = steps[-2], steps[-1]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    for plane, step, unit in zip(axes, (before, after), ("HU", "normalised"), strict=True):
        labelled = step.image[step.label > 0] if step.label is not None else step.image
        bins = np.linspace(float(step.image.min()), float(step.image.max()), 80)
        plane.hist(step.image.ravel(), bins=bins, color="0.7", label="whole image", density=True)
        plane.hist(labelled.ravel(), bins=bins, color="tab:blue", alpha=0.7, label="labelled voxels", density=True)
        plane.set_xlabel(unit, fontsize=9)
        plane.set_yticks([])
    axes[0].legend(fontsize=8, frameon=False)
    _save(figure, path)


def draw_patches(bundle: Path, path: Path) -> None:
    """Patches as the network gets them: the first batches of the loader, augmented, with labels."""
    loader = workflow_parser(bundle, "train").get_parsed_content("train#dataloader")
    patches = []
    for batch in loader:
        for image, label in zip(batch["image"], batch["label"], strict=True):
            patches.append((_volume(image.cpu()), _volume(label.cpu())))
        if len(patches) >= 4:
            break
    figure, axes = pyplot.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
    for plane, (image, label) in zip(axes, patches, strict=False):
        _draw_axial(plane, image, label, np.ones(3), NORMALIZED)
        plane.set_title(" × ".join(map(str, image.shape)), fontsize=8)
    _save(figure, path)


def draw_windows(bundle: Path, step: Step, path: Path) -> None:
    """Where the windows lie, the weight of one, and the probability of a class after blending."""
    parser = workflow_parser(bundle, "inference")
    network = parser.get_parsed_content("network")
    state = torch.load(bundle / f"models/fold_{FOLD}.pt", weights_only=True)
    network.load_state_dict(state.get("model", state))
    ensemble = parser.get_parsed_content("inferer").inferer.ensemble
    image = torch.from_numpy(step.image[None].astype(np.float32))
    probabilities = ensemble(image[None], network.eval())[0]
    windows = ensemble.windows(image.shape[1:])
    size = parser.get_parsed_content("patch_size")
    figure, axes = pyplot.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    slice_index = _slice_with_labels(step.label, step.image.shape)
    axes[0].imshow(step.image[:, :, slice_index].T, cmap="gray", vmin=NORMALIZED[0], vmax=NORMALIZED[1])
    corners = sorted({tuple(windows.start(window))[:2] for window in windows})
    for number, (left, top) in enumerate(corners):
        width, height = size[:2]
        colour = f"C{number % 10}"
        axes[0].add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, lw=1.2))
    axes[0].set_xlim(-4, step.image.shape[0] + 3)
    axes[0].set_ylim(step.image.shape[1] + 3, -4)
    axes[0].set_title(f"{len(corners)} windows on this slice", fontsize=9)
    from monai.data.utils import compute_importance_map

    weight = compute_importance_map(tuple(size), mode="gaussian", sigma_scale=0.125)
    axes[1].imshow(weight[:, :, size[2] // 2].T.numpy(), cmap="magma")
    axes[1].set_title("weight of a window", fontsize=9)
    shown = axes[2].imshow(probabilities[1, :, :, slice_index].T.numpy(), cmap="viridis", vmin=0, vmax=1)
    axes[2].set_title("probability of the liver", fontsize=9)
    figure.colorbar(shown, ax=axes[2], shrink=0.7)
    for plane in axes:
        plane.set_axis_off()
    _save(figure, path)


def draw_label_map(bundle: Path, item: Mapping[str, Any], path: Path) -> None:
    """Reference and prediction on the grid of the file."""
    folder = bundle.parent / f"{BUNDLE}_work/fold_{FOLD}/predictions"
    files = {
        "image": _first_file(item),
        "reference": Path(item["label"]),
        "prediction": next(folder.glob(f"{item['id']}.*nii.gz")),
    }
    volumes = {}
    for name, file in files.items():
        volume = read_volume(file)
        array, affine = reorient(volume.array[None], volume.affine, "LPS")
        volumes[name] = array[0]
    spacing = spacing_of(affine)
    figure, axes = pyplot.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    index = _slice_with_labels(volumes["reference"], volumes["image"].shape)
    for plane, title in zip(axes, files, strict=True):
        label = None if title == "image" else volumes[title]
        _draw_axial(plane, volumes["image"], label, spacing, SOFT_TISSUE, index)
        plane.set_title(title, fontsize=9)
    _save(figure, path)


def _draw_axial(
    plane: Any,
    image: NDArray[Any],
    label: NDArray[Any] | None,
    spacing: NDArray[Any],
    window: tuple[float, float],
    index: int | None = None,
) -> None:
    chosen = _slice_with_labels(label, image.shape) if index is None else index
    aspect = float(spacing[1] / spacing[0])
    plane.imshow(image[:, :, chosen].T, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect)
    if label is not None:
        flat = label[:, :, chosen].T
        colours = np.zeros((*flat.shape, 4))
        for number in range(1, int(label.max()) + 1):
            colours[flat == number] = (*np.divide(structure_rgb(number - 1), 255), LABEL_STRENGTH)
        plane.imshow(colours, aspect=aspect, interpolation="nearest")
    plane.set_axis_off()


def _slice_with_labels(label: NDArray[Any] | None, shape: Sequence[int]) -> int:
    """The axial slice with the most labelled voxels; the middle where there are none."""
    if label is None or not (label > 0).any():
        return int(shape[2]) // 2
    return int((label > 0).sum(axis=(0, 1)).argmax())


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=100, bbox_inches="tight")
    pyplot.close(figure)
    with Image.open(path) as drawn:
        reduced = drawn.convert("RGB").quantize(COLOURS_OF_PNG)
    reduced.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def write_table(steps: Sequence[Step]) -> None:
    """Replace the table between the marks of the page."""
    lines = ["| transform | voxels | spacing, mm | axes point to | intensities |", "|---|---|---|---|---|"]
    for step in steps:
        lines.append(step.row)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
