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

# Channels first; D, H, W are this project's X, Y, Z.
LAYOUT = "CDHW"
SCALARS = ("zoomed", "noisy", "blur_sigma", "brightness", "contrast")


def patch_batches(
    source: Callable[[], tuple[list[Any], ...]],
    keys: Sequence[str],
    patch_size: Sequence[int],
    *,
    batch_size: int,
    num_threads: int,
    device_id: int | None,
) -> DALIGenericIterator:
    """An iterator over [{"image": tensor, ...}], which ends when `source` raises StopIteration.

    Args:
        source: gives, a call, the arrays of a batch in the order of `keys`, then "noise", then `SCALARS`.
        keys: "image", "label" and what else a patch holds.
        patch_size: X, Y, Z.
        batch_size: patches in a batch.
        num_threads: of DALI.
        device_id: the CUDA device, or None for a pipeline that runs on the CPU alone.
    """
    pipeline = _graph(
        source,
        tuple(keys),
        list(patch_size),
        device_id is not None,
        batch_size=batch_size,
        num_threads=num_threads,
        device_id=device_id,
    )
    return DALIGenericIterator([pipeline], list(keys), auto_reset=False)


@pipeline_def(enable_conditionals=True)
def _graph(
    source: Callable[[], tuple[list[Any], ...]], keys: tuple[str, ...], patch_size: list[int], on_gpu: bool
) -> tuple[DataNode, ...]:
    num_arrays = len(keys) + 1
    inputs: Any = fn.external_source(
        source=source,
        num_outputs=num_arrays + len(SCALARS),
        batch=True,
        layout=[LAYOUT] * num_arrays + [""] * len(SCALARS),
    )
    arrays = dict(zip((*keys, "noise"), inputs[:num_arrays]))  # noqa: B905  DALI rewrites this function and knows zip without keywords only
    zoomed, noisy, sigma, brightness, contrast = inputs[num_arrays:]
    if on_gpu:
        arrays = {key: array.gpu() for key, array in arrays.items()}
    image: Any = arrays["image"]
    label: Any = arrays["label"]
    if zoomed:
        image = fn.resize(image, size=patch_size, interp_type=types.DALIInterpType.INTERP_CUBIC, antialias=False)
        label = fn.resize(label, size=patch_size, interp_type=types.DALIInterpType.INTERP_NN, antialias=False)
    if noisy:
        image = _within(image + arrays["noise"], image)
    if sigma > 0:
        image = fn.gaussian_blur(image, sigma=sigma)
    if brightness != 1:
        image = image * _factor(brightness, on_gpu)
    if contrast != 1:
        image = _within(image * _factor(contrast, on_gpu), image)
    return image, label, *(arrays[key] for key in keys[2:])


def _within(changed: Any, image: Any) -> Any:
    """Clamp to the range that the patch had, over all channels together (MIST's rule)."""
    return math.clamp(changed, fn.reductions.min(image), fn.reductions.max(image))


def _factor(scalar: Any, on_gpu: bool) -> Any:
    return scalar.gpu() if on_gpu else scalar
