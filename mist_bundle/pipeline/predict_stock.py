"""Predict with a bundle of another origin, such as MONAI's model zoo, through its own inference.json."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import Workflow, run_workflow
from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.prediction_inputs import match_prediction_inputs
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import METADATA_JSON, check_can_write, write_json
from mist_bundle.runtime.reading.formats import is_readable_name

# ids that inference.json of every bundle in the zoo has
NEEDED = ("dataset#data", "output_dir", "bundle_root", "evaluator")


def predict_with_stock_bundle(
    bundle: Path, source: Path, output: Path, *, device: str | None, overrides: Mapping[str, Any]
) -> tuple[list[Path], tuple[Problem, ...]]:
    """Run a bundle's inference on the cases of a user; the bundle itself names and writes its files.

    Args:
        bundle: folder of a bundle without plan.json, which the user trusts.
        source: see `match_prediction_inputs`; channels are those of metadata.json, in their order.
        output: an empty or new folder.
        device: where to compute.
        overrides: further ids of inference.json.

    Returns:
        The images that lie in `output` afterwards, and warnings about the input.

    Raises:
        InputError: the bundle's inference has no place for cases, or the input or output cannot be used.
        WorkflowFailed: the inference ended with an error.
    """
    folder = Bundle(bundle)
    _check_ids(folder)
    if is_readable_name(output):
        message = "is the name of a file, but this bundle names its files itself. Name a folder."
        raise InputError(Problem("--output", f"{output} {message}"))
    if output.is_dir() and any(output.iterdir()):
        message = "is not empty, and the bundle's own saver would replace files. Choose a new folder."
        raise InputError(Problem("--output", f"{output} {message}"))
    check_can_write(output)
    matched = match_prediction_inputs(source, channel_names(folder))
    if not matched.cases or matched.problems:
        raise InputError(matched.problems or (Problem(str(source), "holds no case."),))
    changed = {
        "dataset#data": _items(matched.cases),
        "output_dir": str(output.absolute()),
        "bundle_root": str(bundle.absolute()),
    }
    if device is not None:
        changed["device"] = f"$torch.device({device!r})"
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as scratch:
        overlay = Path(scratch) / "cases.json"
        write_json(overlay, changed)
        run_workflow(bundle, Workflow(run_id="run", files=("inference",), overlays=(overlay,)), overrides)
    return list(filter(is_readable_name, sorted(output.rglob("*")))), matched.warnings


def channel_names(folder: Bundle) -> list[str]:
    """Names of the input channels in metadata.json, in their order.

    Raises:
        InputError: metadata.json does not describe the input `image`.
    """
    try:
        image = folder.metadata["network_data_format"]["inputs"]["image"]
        count = int(image["num_channels"])
    except (KeyError, TypeError, ValueError) as error:
        place = f"{folder.root / METADATA_JSON} network_data_format#inputs#image"
        raise InputError(Problem(place, "does not give num_channels, the number of channels of the input.")) from error
    described = image.get("channel_def") or {}
    names = []
    for index in range(count):
        names.append(str(described.get(str(index), f"channel_{index}")))
    return names


def _check_ids(folder: Bundle) -> None:
    config = folder.config("inference")
    missing = []
    for name in NEEDED:
        value: Any = config
        for part in name.split("#"):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            missing.append(name)
    if missing:
        message = f"has no {', '.join(missing)}, so no cases can be passed to it. Run it as its own documentation says."
        raise InputError(Problem(str(folder.config_path("inference")), message))


def _items(cases: Sequence[Case]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for case in cases:
        images = list(dict.fromkeys(absolute_images(case)))  # once where a file holds all channels
        items.append({"image": images[0] if len(images) == 1 else images})
    return items


def absolute_images(case: Case) -> list[str]:
    """The image files of a case, channel by channel."""
    return [str(path.absolute()) for path in case.images.values()]
