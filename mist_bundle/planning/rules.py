"""A function for each decision: measurements in, a Decision (value and reason) out. Pure: no files, no torch.

Axes are (X, Y, Z) in LPS, spacings in millimetres. Every rule names its source; `MIST` is arXiv 2407.21343, `2.3.0` the
code of mist-medical.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, log2, prod

import numpy as np

from mist_bundle.planning.decision import Decision
from mist_bundle.runtime.numerics.triples import Spacing, Triple, spacing, triple

CROP_MIN_REDUCTION = 0.20  # MIST 2.2: crop if that saves at least a fifth of the volume on average
ANISOTROPY_RATIO = 3.0  # MIST 2.2
COARSE_AXIS_PERCENTILE = 10.0  # MIST 2.2
MAX_IMAGE_BYTES = 2 * 10**9  # MIST 2.2, read as 2.3.0 does: 2e9 bytes of float32
SPACING_GROWTH = 1.25  # MIST 2.2
PASSES_OF_A_STEP = 3  # a backward pass costs about two forward
VALIDATION_SHARE = 0.1  # of the training time, at most
SPARSE_FRACTION_2_3_0 = 0.8  # what 2.3.0 tests instead of the paper's ratio


def decide_crop(volume_reductions: Sequence[float]) -> Decision[bool]:
    """Crop to the foreground if that removes at least 20 % of the volume on average (MIST 2.2)."""
    mean = float(np.mean(volume_reductions))
    relation = "at least" if mean >= CROP_MIN_REDUCTION else "less than"
    because = f"The foreground box saves {mean:.1%} of the volume on average, {relation} {CROP_MIN_REDUCTION:.0%}."
    return Decision(mean >= CROP_MIN_REDUCTION, because)


def decide_target_spacing(
    spacings_mm: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]], num_channels: int
) -> Decision[Spacing]:
    """Choose the median spacing, or the 10th percentile on a coarse axis, enlarged while images exceed 2 GB.

    The rule is that of MIST 2.2: the spacing grows by 25 % until the largest resampled image takes less than 2 GB.

    Args:
        spacings_mm: spacing of each case.
        shapes: shape of each case, after cropping if cases are cropped.
        num_channels: images of a case that are resampled together.
    """
    spacings = np.asarray(spacings_mm, dtype=np.float64)
    target = np.median(spacings, axis=0)
    reasons = ["Median spacing of the cases"]
    if target.max() / target.min() > ANISOTROPY_RATIO:
        axis = int(np.argmax(target))
        target[axis] = np.percentile(spacings[:, axis], COARSE_AXIS_PERCENTILE)
        reasons.append(f"{COARSE_AXIS_PERCENTILE:.0f}th percentile on the coarse axis {'XYZ'[axis]} (ratio above 3)")
    steps = 0
    largest = _largest_image_bytes(spacings, shapes, target, num_channels)
    while largest > MAX_IMAGE_BYTES:
        target = target * SPACING_GROWTH
        largest = _largest_image_bytes(spacings, shapes, target, num_channels)
        steps += 1
    if steps:
        reasons.append(f"enlarged {steps} times by 25 % until the largest image took {largest / 1e9:.2f} GB (limit 2)")
    return Decision(_spacing(target), "; ".join(reasons) + ".")


def enlarge_to_voxels(
    target: Decision[Spacing], spacings_mm: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]], max_voxels: int
) -> Decision[Spacing]:
    """Enlarge the finest axes of a target spacing alike until an image of median extent has no more voxels than that.

    Axes that are coarser already stay: they lose nothing, and gain nothing either.

    Args:
        target: the spacing so far.
        spacings_mm: spacing of each case.
        shapes: shape of each case, after cropping if cases are cropped.
        max_voxels: of the resampled image.
    """
    extent = np.median(np.asarray(shapes, dtype=np.float64) * np.asarray(spacings_mm, dtype=np.float64), axis=0)
    own = np.asarray(target.value, dtype=np.float64)
    if prod((extent / own).tolist()) <= max_voxels:
        return target
    finest_first = np.argsort(own, kind="stable")
    least = 0.0
    for count in (1, 2, 3):
        enlarged, kept = finest_first[:count], finest_first[count:]
        volume = prod(extent[enlarged].tolist()) * prod((extent[kept] / own[kept]).tolist())
        least = (volume / max_voxels) ** (1 / count)
        if not kept.size or least <= own[kept].min():
            break
    voxels = f"so that the median image has about {max_voxels} voxels, which a CPU predicts in seconds"
    because = f"{target.because.rstrip('.')}; at least {least:.3g} mm, {voxels}."
    return Decision(_spacing(np.maximum(own, least)), because)


def _largest_image_bytes(
    spacings: np.ndarray, shapes: Sequence[Sequence[int]], target: np.ndarray, num_channels: int
) -> int:
    largest = 0
    for shape, own in zip(shapes, spacings, strict=True):
        largest = max(largest, 4 * num_channels * prod(resampled_shape(shape, own, target)))
    return largest


def resampled_shape(shape: Sequence[int], spacing_mm: Iterable[float], target_mm: Iterable[float]) -> Triple:
    """Return the shape after resampling: extent over target spacing, rounded half up, at least 1 voxel."""
    sizes = []
    for size, own, target in zip(shape, spacing_mm, target_mm, strict=True):
        sizes.append(max(1, floor(size * own / target + 0.5)))
    return triple(sizes)


def median_shape(shapes: Sequence[Triple]) -> Triple:
    """Return the median per axis, as a whole number of voxels."""
    return triple(np.median(np.asarray(shapes), axis=0))


def decide_patch_power_of_two(median: Triple, max_patch_size: Triple) -> Decision[Triple]:
    """Choose the largest power of two within the median image and the maximum, per axis (MIST 2.2)."""
    patch = []
    for size, limit in zip(median, max_patch_size, strict=True):
        patch.append(2 ** floor(log2(max(1, min(size, limit)))))
    because = f"Largest power of two within the median image {joined(median)} and the maximum {joined(max_patch_size)}."
    return Decision(triple(patch), because)


def decide_patch_cover(median: Triple, max_patch_size: Triple, max_voxels: int) -> Decision[Triple]:
    """Choose the median image if it fits the voxel budget, otherwise shrink all axes alike until it does."""
    patch = list(map(min, median, max_patch_size))
    while prod(patch) > max_voxels and max(patch) > 1:
        patch[_least_shrunk_axis(patch, median)] -= 1
    if tuple(patch) == tuple(median):
        return Decision(triple(patch), f"Median image {joined(median)}, whole.")
    return Decision(triple(patch), f"Median image {joined(median)} shrunk to {max_voxels} voxels.")


def _least_shrunk_axis(patch: Sequence[int], median: Triple) -> int:
    shares = []
    for size, whole in zip(patch, median, strict=True):
        shares.append(size / whole if size > 1 else 0.0)  # an axis of a single voxel cannot shrink
    return int(np.argmax(shares))


def decide_nonzero(nonzero_fractions: Sequence[float], nonzero_ratio: float | None) -> Decision[bool]:
    """Decide whether per-image statistics use only non-zero voxels.

    The paper: if the mean ratio of non-zero to zero voxels is below 0.2. mist-medical 2.3.0 (`nonzero_ratio` None):
    if the mean non-zero fraction is at most 0.8, which is a different test.
    """
    fractions = np.asarray(nonzero_fractions, dtype=np.float64)
    if nonzero_ratio is None:
        mean = float(fractions.mean())
        verdict = mean <= SPARSE_FRACTION_2_3_0
        measured = f"(non-zero fraction {mean:.2f} on average; 2.3.0's limit is {SPARSE_FRACTION_2_3_0})"
        return Decision(verdict, _normalised_voxels(verdict, measured))
    zero_fractions = 1.0 - fractions
    ratios = np.divide(fractions, zero_fractions, out=np.full_like(fractions, np.inf), where=zero_fractions > 0)
    mean_ratio = float(ratios.mean())
    verdict = mean_ratio < nonzero_ratio
    if np.isinf(mean_ratio):
        whole = "No image has" if np.isinf(ratios).all() else "Some images have no"
        return Decision(False, f"{whole} voxels of zero, so whole images are normalised.")
    measured = f"(ratio of non-zero to zero voxels {mean_ratio:.2f} on average; the limit is {nonzero_ratio})"
    return Decision(verdict, _normalised_voxels(verdict, measured))


def _normalised_voxels(only_nonzero: bool, measured: str) -> str:
    if only_nonzero:
        return f"The background is mostly zero {measured}, so only voxels that are not zero are normalised."
    return f"The background is not mostly zero {measured}, so whole images are normalised."


def decide_class_weights(voxels_per_class: Sequence[int]) -> Decision[tuple[float, ...]]:
    """Balance the classes: total / (classes * voxels of the class), or 0 for an absent class."""
    counts = np.asarray(voxels_per_class, dtype=np.float64)
    present = counts > 0
    weights = np.zeros_like(counts)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    because = "Inverse share of the voxels of each class over all cases; the loss uses them with --class_weights auto."
    return Decision(tuple(weights.round(6).tolist()), because)


def sliding_windows(shape: Triple, patch_size: Triple, overlap: float) -> int:
    """Count the windows of sliding-window inference over an image, as MONAI does."""
    count = 1
    for length, size in zip(shape, patch_size, strict=True):
        step = max(1, int(size * (1 - overlap)))
        count *= max(1, ceil((length - size) / step) + 1)
    return count


def decide_val_interval(of_recipe: Decision[int], *, windows: int, patches: int, epochs: int) -> Decision[int]:
    """Use the recipe's validation interval, or a longer interval if validation took over a tenth of the training.

    A window costs a forward pass; a patch costs a forward and a backward pass, about three times as much.

    Args:
        of_recipe: the recipe's interval, in epochs.
        windows: windows of all validation cases together.
        patches: patches of an epoch.
        epochs: length of the training, which the interval does not exceed.
    """
    cheap = ceil(windows / (PASSES_OF_A_STEP * patches * VALIDATION_SHARE))
    if cheap <= of_recipe.value:
        return Decision(min(of_recipe.value, epochs), of_recipe.because)
    because = (
        f"A validation is {windows} forward passes, an epoch {patches} forward and backward passes: at this interval "
        "validation takes at most a tenth of the training."
    )
    return Decision(min(cheap, epochs), because)


def decide_steps_per_epoch(num_training: int, batch_size: int, minimum: int) -> Decision[int]:
    """Visit every training case once, with at least `minimum` steps (MIST 2.3.0)."""
    once = -(-num_training // batch_size)
    because = f"{num_training} training cases of the largest fold / batch {batch_size} = {once}; at least {minimum}."
    return Decision(max(minimum, once), because)


def _spacing(values: np.ndarray) -> Spacing:
    # six digits: nanometres; what a float32 header adds beyond that is noise
    return spacing(values.round(6))


def joined(values: Sequence[float]) -> str:
    """Write sizes as "a x b x c"."""
    return " x ".join(map(str, values))
