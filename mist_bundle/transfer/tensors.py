"""Read and write weights as what they are, tensors by name: nothing in a file is ever executed.

Files are state dicts of torch, loaded with `weights_only=True`, or safetensors. `average_weights` combines several
models into a single model, for example the folds of a cross-validation.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import refuse_existing, write_bytes
from mist_bundle.runtime.folds.finite import load_failure, not_finite_text
from mist_bundle.runtime.wording import list_names

if TYPE_CHECKING:
    import torch

SAFETENSORS = ".safetensors"
# Where trainers put the weights in a larger checkpoint: MONAI, nnU-Net and Lightning
_EXPECTED = (
    "Expected tensors by name, as torch.save(network.state_dict(), file) writes them, or safetensors; what is "
    "encrypted, cut off, or would run code on loading is not read."
)
NESTED_KEYS = ("model", "state_dict", "network_weights", "network")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a file by name.

    Raises:
        InputError: it is not a state dict, it is encrypted or cut off, loading it would execute code, or it holds NaN.
    """
    weights = _read_safetensors(path) if path.suffix == SAFETENSORS else _read_torch(path)
    problem = not_finite_text(weights)
    if problem:
        message = f"{problem}; nothing can be done with such weights. Use others, or train again."
        raise InputError(Problem(str(path), message))
    return weights


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        if not zipfile.is_zipfile(path):  # what torch.save writes since 1.6
            raise InputError(Problem(str(path), f"is not a torch archive. {_EXPECTED}"))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise InputError(
            Problem(str(path), f"is not a plain state dict ({load_failure(error)}). {_EXPECTED}")
        ) from error
    weights = _find_tensors(content)
    if not weights:
        raise InputError(Problem(str(path), f"holds no weights but {_kind(content)}; expected tensors by name."))
    return weights


def write_weights(path: Path, weights: Mapping[str, torch.Tensor], *, overwrite: bool = False) -> None:
    """Write a state dict atomically, as safetensors or with torch.save, by the suffix of `path`."""
    refuse_existing(path, overwrite=overwrite)
    write_bytes(path, safetensors_bytes(weights) if path.suffix == SAFETENSORS else torch_bytes(weights))


def safetensors_bytes(weights: Mapping[str, torch.Tensor]) -> bytes:
    """The content of a safetensors file; tensors that share memory are written once each."""
    from safetensors.torch import save

    plain = {}
    for name, value in weights.items():
        plain[name] = value.detach().cpu().clone().contiguous()
    return bytes(save(plain, metadata={"format": "pt"}))


def average_weights(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean of several state dicts, summed in float64 and rounded once to the type of the first.

    Whole numbers (counters of batch normalisation, say) take their rounded mean. Files are read in turn, so
    that a single file is in memory.

    Raises:
        InputError: fewer than two files, or names or shapes that differ: every difference is named.
    """
    import torch

    if len(files) < 2:
        listed = ", ".join(map(str, files)) or "none"
        raise InputError(Problem("weights", f"an average needs at least two files; there is {listed}."))
    first = read_weights(files[0])
    totals = {}
    for name, value in first.items():
        totals[name] = value.to(torch.float64)
    problems: list[Problem] = []
    for file in files[1:]:
        other = read_weights(file)
        differing = _differences(first, other, file, files[0])
        problems += differing
        if not differing:
            for name, value in other.items():
                totals[name] += value.to(torch.float64)
    if problems:
        raise InputError(problems)
    averages = {}
    for name, value in first.items():
        averages[name] = _rounded(totals[name] / len(files), value.dtype)
    return averages


def _rounded(mean: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return mean.to(dtype) if dtype.is_floating_point else mean.round().to(dtype)


def _differences(
    first: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor], file: Path, first_file: Path
) -> list[Problem]:
    shapes = []
    for name, value in first.items():
        if name in other and other[name].shape != value.shape:
            shapes.append(f"{name} {tuple(other[name].shape)} instead of {tuple(value.shape)}")
    differences = []
    for what, names in (
        ("lacks", sorted(set(first) - set(other))),
        ("has besides", sorted(set(other) - set(first))),
        ("has", shapes),
    ):
        if names:
            differences.append(f"{what} {list_names(names)}")
    if not differences:
        return []
    return [Problem(str(file), f"is not of the same network as {first_file}: it {'; it '.join(differences)}.")]


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            other_names = opened.metadata() or {}
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except SafetensorError as error:
        raise InputError(Problem(str(path), f"is not a safetensors file ({error}).")) from error
    # a tensor with several names is stored under its first; the others are in the metadata
    for name, stored in other_names.items():
        if stored in weights and name not in weights:
            weights[name] = weights[stored]
    return weights


def torch_bytes(weights: Mapping[str, torch.Tensor]) -> bytes:
    """The content of a file of torch.save; tensors that share memory are written once each."""
    import io

    import torch

    plain = {}
    for name, value in weights.items():
        plain[name] = value.detach().cpu().contiguous()
    stream = io.BytesIO()
    torch.save(plain, stream)
    return stream.getvalue()


def _find_tensors(content: Any) -> dict[str, Any]:
    import torch

    if not isinstance(content, Mapping):
        return {}
    if content and all(isinstance(value, torch.Tensor) for value in content.values()):
        return {str(name).removeprefix("module."): value for name, value in content.items()}
    for key in NESTED_KEYS:
        if key in content:
            return _find_tensors(content[key])
    return {}


def _kind(content: Any) -> str:
    if isinstance(content, Mapping):
        names = list_names(list(map(str, content)))
        return f"the entries {names}" if names else "nothing"
    return f"a {type(content).__name__}"
