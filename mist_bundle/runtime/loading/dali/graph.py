"""The DALI graph of the training loader. Importing this module imports DALI; the loader does so when it first runs.

Every patch passes only the operators that were drawn for it (conditional execution). The graph itself draws nothing:
it is a function of what the source feeds, and so needs no state to be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from nvidia.dali import fn, math, types
from nvidia.dali.data_node import DataNode
from nvidia.dali.pipeline import pipeline_def
from nvidia.dali.plugin.pytorch import DALIGenericIterator

from .inputs import SCALARS, VECTORS

# Channels first; D, H, W are this project's X, Y, Z.
LAYOUT = "CDHW"
SPACE = [1, 2, 3]
EPSILON = 1e-7
NOISE = "noise_table"
PREFETCHED = 2  # batches that DALI computes ahead


def patch_batches(
    feed: Callable[[], tuple[list[Any], ...]],
    keys: Sequence[str],
    channels: int,
    patch_size: Sequence[int],
    noise_table: Any,
    *,
    about_mean: bool,
    batch_size: int,
    num_threads: int,
    device_id: int | None,
) -> DALIGenericIterator:
    """An endless iterator over [{"image": tensor, ...}].

    Args:
        feed: each call returns the arrays of a batch in the order of `keys`, then `SCALARS`, `VECTORS`. DALI does not
            copy what lies in host memory: the arrays have to live until their batch was handed out.
        keys: "image", "label" and what else a patch holds.
        channels: of the image.
        patch_size: X, Y, Z.
        noise_table: numbers that the noise is taken from, on the device of the pipeline.
        about_mean: contrast stretches each channel about its mean.
        batch_size: patches in a batch.
        num_threads: of DALI.
        device_id: the CUDA device, or None for a pipeline that runs on the CPU alone.
    """
    pipeline = _graph(
        feed,
        tuple(keys),
        channels,
        list(patch_size),
        device_id is not None,
        about_mean,
        batch_size=batch_size,
        num_threads=num_threads,
        device_id=device_id,
        prefetch_queue_depth=PREFETCHED,
    )
    pipeline.build()
    pipeline.feed_input(NOISE, [noise_table] * batch_size)  # once: it stays, and no sample copies it
    return DALIGenericIterator([pipeline], list(keys), auto_reset=False)


@pipeline_def(enable_conditionals=True)
def _graph(
    feed: Callable[[], tuple[list[Any], ...]],
    keys: tuple[str, ...],
    channels: int,
    patch_size: list[int],
    on_gpu: bool,
    about_mean: bool,
) -> tuple[DataNode, ...]:
    names = (*keys, *SCALARS, *VECTORS)
    inputs: Any = fn.external_source(
        source=feed,
        num_outputs=len(names),
        batch=True,
        no_copy=True,
        layout=[LAYOUT] * len(keys) + [""] * (len(names) - len(keys)),
    )
    nodes: Any = dict(zip(names, inputs))  # noqa: B905  DALI rewrites this function and knows zip without keywords only
    if on_gpu:
        nodes = {name: node.gpu() if name in keys else node for name, node in nodes.items()}
    device = "gpu" if on_gpu else "cpu"
    nodes["noise_table"] = fn.external_source(name=NOISE, device=device, repeat_last=True, no_copy=True)
    image, label = _move(nodes, patch_size)
    image = _change_intensities(image, nodes, [channels, *patch_size], on_gpu, about_mean)
    return image, label, *(nodes[key] for key in keys[2:])


def _move(nodes: Any, patch_size: list[int]) -> tuple[Any, Any]:
    image, label = nodes["image"], nodes["label"]
    if nodes["warped"]:
        image = _warp(image, nodes["matrix"], patch_size, types.DALIInterpType.INTERP_LINEAR)
        label = _warp(label, nodes["matrix"], patch_size, types.DALIInterpType.INTERP_NN)
    if nodes["zoomed"]:
        image = fn.resize(image, size=patch_size, interp_type=types.DALIInterpType.INTERP_CUBIC, antialias=False)
        label = fn.resize(label, size=patch_size, interp_type=types.DALIInterpType.INTERP_NN, antialias=False)
    return image, label


def _change_intensities(image: Any, nodes: Any, shape: list[int], on_gpu: bool, about_mean: bool) -> Any:
    if nodes["noise_sd"] > 0:
        noise = _noise(nodes["noise_table"], nodes["noise_offset"], shape) * _factor(nodes["noise_sd"], on_gpu)
        image = _within(image + noise, image)
    if nodes["blur_sigma"] > 0:
        image = fn.gaussian_blur(image, sigma=nodes["blur_sigma"])
    if nodes["brightness"] != 1:
        image = image * _factor(nodes["brightness"], on_gpu)
    if nodes["contrast"] != 1:
        image = _contrast(image, _factor(nodes["contrast"], on_gpu), about_mean)
    if nodes["reduced"]:
        image = _reduce(image, nodes["low_resolution"], shape[1:])
    if nodes["inverted_gamma"] != 1:
        image = -_gamma(-image, _factor(nodes["inverted_gamma"], on_gpu))
    if nodes["gamma"] != 1:
        image = _gamma(image, _factor(nodes["gamma"], on_gpu))
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


def _noise(table: Any, offset: Any, shape: list[int]) -> Any:
    piece: Any = fn.slice(table, offset, [prod(shape)], axes=[0])
    return fn.reshape(piece, shape=shape, layout=LAYOUT)


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
