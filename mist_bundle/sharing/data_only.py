"""Export a bundle without any Python file: MONAI's own classes, a network of MONAI and weights.

Some programs and hospitals allow no code in a bundle. The exported folder holds a single model (model.pt) and
predicts without averaging over flips. Before it appears, both bundles predict a synthetic case of the plan's kind, and
the label maps are compared.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import INFERENCE, Workflow, run_workflow
from mist_bundle.bundle.sbom import bill_of_materials
from mist_bundle.bundle.tiny import write_tiny_dataset
from mist_bundle.errors import InputError, MistBundleError, Problem
from mist_bundle.files import LOGGING_CONF, METADATA_JSON, MODEL_PT, SBOM_JSON, write_json
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.reading.formats import read_volume
from mist_bundle.sharing.stock_config import is_resampled, stock_inference, strategy_of
from mist_bundle.trust.intact import pass_audit

# Splines of two libraries differ at edges, and restored probabilities before or after the largest class is taken.
MIN_EQUAL_VOXELS = 0.98
_COPIED = (
    *("LICENSE", MODEL_PT, "models/model.safetensors", LOGGING_CONF),
    *("docs/data_license.txt", "docs/source_license.txt"),
)
_PACKAGES = ("nibabel", "pytorch-ignite", "scipy")
_CARD = """# {name}

{description}

This bundle holds data only: configurations of MONAI's classes and the weights of a single model. It was exported from a
bundle of mist-bundle, whose evaluation may have used several models and flips.

    python -m monai.bundle run inference --config_file configs/inference.json --dataset_dir CASES --output_dir OUTPUT

CASES holds NIfTI images of these channels: {channels}.
"""


@dataclass(frozen=True, slots=True)
class DataOnly:
    """The exported bundle, and the share of voxels in which its prediction equals the original's."""

    folder: Path
    equal_voxels: float


def export_data_only(bundle: Path, output: Path, *, trust: bool = False) -> DataOnly:
    """Write the bundle without code.

    Args:
        bundle: a trained bundle.
        output: the new bundle's folder, which must not exist.
        trust: continue with a bundle that does not pass the audit.

    Raises:
        InputError: there are no weights, `output` exists, or parts of the bundle have no equivalent in MONAI; each of
            these is named.
        MistBundleError: the predictions differ in more voxels than is allowed.
    """
    source = Bundle(bundle)
    _check(source, output)
    pass_audit(bundle, trust=trust)
    plan = source.plan
    network = parts.network(plan, training=False)
    config = stock_inference(plan, strategy_of(source), network=network)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
        exported = Path(scratch) / output.name
        _write(source, plan, config, exported)
        equal = _compare(source, plan, exported, Path(scratch))
        if equal < MIN_EQUAL_VOXELS:
            message = f"predicts {equal:.1%} of all voxels as the bundle does; at least {MIN_EQUAL_VOXELS:.0%} must be."
            raise MistBundleError(f"{bundle}: the export with MONAI's classes {message} Nothing was written.")
        exported.rename(output)
    return DataOnly(output, equal)


def _check(source: Bundle, output: Path) -> None:
    problems = []
    if not (source.root / MODEL_PT).is_file():
        problems.append(Problem(str(source.root / MODEL_PT), "is not there. Train the bundle first."))
    if output.exists():
        problems.append(Problem("--output", f"{output} exists already. Give a new folder."))
    if problems:
        raise InputError(problems)


def _write(source: Bundle, plan: Plan, config: dict[str, Any], folder: Path) -> None:
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True)
    for name in _COPIED:
        if (source.root / name).is_file():
            shutil.copyfile(source.root / name, folder / name)
    metadata = dict(source.metadata)
    required = metadata.get("required_packages_version", {})
    metadata["required_packages_version"] = {name: required[name] for name in _PACKAGES if name in required}
    write_json(folder / METADATA_JSON, metadata)
    write_json(folder / SBOM_JSON, bill_of_materials(metadata))
    write_json(folder / "configs" / "inference.json", config)
    card = _CARD.format(
        name=folder.name, description=metadata.get("description", ""), channels=", ".join(plan.channel_names)
    )
    (folder / "docs" / "README.md").write_text(card, encoding="utf-8")


def _compare(source: Bundle, plan: Plan, exported: Path, scratch: Path) -> float:
    """The share of equal voxels in predictions of a synthetic case by the bundle and by its export."""
    data = scratch / "data"
    data.mkdir()
    datalist = write_tiny_dataset(data, plan, scale=1.25 if is_resampled(plan) else 1.0)
    ours, theirs = scratch / "ours", scratch / "theirs"
    single: dict[str, Any] = {"ensemble": False, "test_time_flip_axes": [], "device": "cpu", "precision": "fp32"}
    places = {"dataset_dir": str(data), "datalist": str(datalist), "output_dir": str(ours)}
    run_workflow(source.root, INFERENCE, {**single, **places})
    images = [str(data / f"tiny_0_{channel}.nii.gz") for channel in range(plan.num_channels)]
    overlay = scratch / "case.json"
    changed = {
        "dataset#data": [{"image": images[0] if len(images) == 1 else images}],
        "bundle_root": str(exported),
        "output_dir": str(theirs),
        "device": "$torch.device('cpu')",
    }
    write_json(overlay, changed)
    run_workflow(exported, Workflow(run_id="run", files=("inference",), overlays=(overlay,)), {})
    (their_file,) = theirs.rglob("*.nii.gz")
    first, second = read_volume(ours / "tiny_test.nii.gz").array, read_volume(their_file).array
    if first.shape != second.shape:
        return 0.0
    return float(np.mean(first == second))
