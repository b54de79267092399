"""The DALI graph of the training loader. Importing this module imports DALI; the loader does so when it first runs.

Every patch passes only the operators that were drawn for it (conditional execution). The graph itself draws nothing:
it is a function of what the source feeds, and so needs no state to be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nvidia.dali import fn, math, types
from nvidia.dali.data_node import DataNode
from nvidia.dali.pipeline import pipeline_def
from nvidia.dali.plugin.pytorch import DALIGenericIterator

from .dali_inputs import SCALARS, VECTORS

# Channels first; D, H, W are this project's X, Y, Z.
LAYOUT = "CDHW"
SPACE = [1, 2, 3]
EPSILON = 1e-7


def patch_batches(
    source: Callable[[], tuple[list[Any], ...]],
    keys: Sequence[str],
    patch_size: Sequence[int],
    *,
    about_mean: bool,
    batch_size: int,
    num_threads: int,
    device_id: int | None,
) -> DALIGenericIterator:
    """An iterator over [{"image": tensor, ...}], which ends when `source` raises StopIteration.

    Args:
        source: gives, a call, the arrays of a batch in the order of `keys`, then "noise", `SCALARS`, `VECTORS`.
        keys: "image", "label" and what else a patch holds.
        patch_size: X, Y, Z.
        about_mean: contrast stretches each channel about its mean.
        batch_size: patches in a batch.
        num_threads: of DALI.
        device_id: the CUDA device, or None for a pipeline that runs on the CPU alone.
    """
    pipeline = _graph(
        source,
        tuple(keys),
        list(patch_size),
        device_id is not None,
        about_mean,
        batch_size=batch_size,
        num_threads=num_threads,
        device_id=device_id,
    )
    return DALIGenericIterator([pipeline], list(keys), auto_reset=False)


@pipeline_def(enable_conditionals=True)
def _graph(
    source: Callable[[], tuple[list[Any], ...]],
    keys: tuple[str, ...],
    patch_size: list[int],
    on_gpu: bool,
    about_mean: bool,
) -> tuple[DataNode, ...]:
    names = (*keys, "noise", *SCALARS, *VECTORS)
    num_arrays = len(keys) + 1
    inputs: Any = fn.external_source(
        source=source,
        num_outputs=len(names),
        batch=True,
        layout=[LAYOUT] * num_arrays + [""] * (len(names) - num_arrays),
    )
    given: Any = dict(zip(names, inputs))  # noqa: B905  DALI rewrites this function and knows zip without keywords only
    if on_gpu:
        given = {name: node.gpu() if name in (*keys, "noise") else node for name, node in given.items()}
    image, label = _move(given, patch_size)
    image = _change_intensities(image, given, patch_size, on_gpu, about_mean)
    return image, label, *(given[key] for key in keys[2:])


def _move(given: Any, patch_size: list[int]) -> tuple[Any, Any]:
    image, label = given["image"], given["label"]
    if given["warped"]:
        image = _warp(image, given["matrix"], patch_size, types.DALIInterpType.INTERP_LINEAR)
        label = _warp(label, given["matrix"], patch_size, types.DALIInterpType.INTERP_NN)
    if given["zoomed"]:
        image = fn.resize(image, size=patch_size, interp_type=types.DALIInterpType.INTERP_CUBIC, antialias=False)
        label = fn.resize(label, size=patch_size, interp_type=types.DALIInterpType.INTERP_NN, antialias=False)
    return image, label


def _change_intensities(image: Any, given: Any, patch_size: list[int], on_gpu: bool, about_mean: bool) -> Any:
    if given["noisy"]:
        image = _within(image + given["noise"], image)
    if given["blur_sigma"] > 0:
        image = fn.gaussian_blur(image, sigma=given["blur_sigma"])
    if given["brightness"] != 1:
        image = image * _factor(given["brightness"], on_gpu)
    if given["contrast"] != 1:
        image = _contrast(image, _factor(given["contrast"], on_gpu), about_mean)
    if given["reduced"]:
        image = _reduce(image, given["low_resolution"], patch_size)
    if given["inverted_gamma"] != 1:
        image = -_gamma(-image, _factor(given["inverted_gamma"], on_gpu))
    if given["gamma"] != 1:
        image = _gamma(image, _factor(given["gamma"], on_gpu))
    return image


def _warp(array: Any, matrix: Any, patch_size: list[int], interpolation: Any) -> Any:
    # DALI warps volumes whose channels come last; ours become the frames of a sequence of volumes
    frames = fn.expand_dims(fn.reinterpret(array, layout="FDHW"), axes=[4], new_axis_names="C")
    size = [float(length) for length in patch_size]
    warped = fn.warp_affine(frames, matrix=matrix, size=size, interp_type=interpolation, fill_value=0.0)
    return fn.reinterpret(fn.squeeze(warped, axes=[4]), layout=LAYOUT)


def _reduce(image: Any, size: Any, patch_size: list[int]) -> Any:
    small: Any = fn.resize(image, size=size, interp_type=types.DALIInterpType.INTERP_NN, antialias=False)
    return fn.resize(small, size=patch_size, interp_type=types.DALIInterpType.INTERP_CUBIC, antialias=False)


def _contrast(image: Any, factor: Any, about_mean: bool) -> Any:
    if not about_mean:
        return _within(image * factor, image)
    mean = fn.reductions.mean(image, axes=SPACE, keep_dims=True)
    low = fn.reductions.min(image, axes=SPACE, keep_dims=True)
    high = fn.reductions.max(image, axes=SPACE, keep_dims=True)
    return math.clamp((image - mean) * factor + mean, low, high)


def _gamma(image: Any, exponent: Any) -> Any:
    low = fn.reductions.min(image, axes=SPACE, keep_dims=True)
    span = fn.reductions.max(image, axes=SPACE, keep_dims=True) - low
    mean, spread = _moments(image)
    changed = math.pow((image - low) / (span + EPSILON), exponent)
    own_mean, own_spread = _moments(changed)
    return (changed - own_mean) / (own_spread + EPSILON) * spread + mean


def _moments(image: Any) -> tuple[Any, Any]:
    mean = fn.reductions.mean(image, axes=SPACE, keep_dims=True)
    return mean, fn.reductions.std_dev(image, mean, axes=SPACE, keep_dims=True)


def _within(changed: Any, image: Any) -> Any:
    """Clamp to the range that the patch had, over all channels together (MIST's rule)."""
    return math.clamp(changed, fn.reductions.min(image), fn.reductions.max(image))


def _factor(scalar: Any, on_gpu: bool) -> Any:
    return scalar.gpu() if on_gpu else scalar
