"""Steps that MONAI runs with a bundle, each by `python -m mist_bundle.verify.probe STEP SETTINGS RESULT`.

A step that succeeds writes a sentence to its result file. Without that file the step has failed, and the error output
of the process says why. The bundle is a copy: training would write into it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.files import write_json

NOT_SCRIPTED = "The network cannot be scripted, so MONAI's ckpt_export cannot take it; `export` traces it."


def targets(bundle: Path, settings: dict[str, Any]) -> str:
    """Import every `_target_` of the bundle."""
    from pydoc import locate

    from monai.bundle.config_item import ComponentLocator

    sys.path.insert(1, str(bundle))
    locator = ComponentLocator()
    for name in settings["targets"]:
        module = locator.get_component_module_name(name)
        full = name if module is None else f"{module[0] if isinstance(module, list) else module}.{name}"
        if locate(full) is None:
            raise ModuleNotFoundError(f"{name} cannot be imported")
    return f"{len(settings['targets'])} targets import."


def forward(bundle: Path, settings: dict[str, Any]) -> str:
    """A forward pass of network_def with the shapes of metadata.json."""
    from monai.bundle import verify_net_in_out

    del settings
    sys.path.insert(1, str(bundle))
    verify_net_in_out(
        "network_def", meta_file=_config(bundle, "metadata"), config_file=_config(bundle, "inference"), device="cpu"
    )
    return "The network gives the channels and type that metadata.json states."


def torchscript(bundle: Path, settings: dict[str, Any]) -> str:
    """Whether network_def can be scripted, as `ckpt_export` does; that it cannot is a remark, not a failure."""
    import torch
    from monai.bundle import ConfigParser

    del settings
    sys.path.insert(1, str(bundle))
    parser = ConfigParser()
    parser.read_config(_config(bundle, "inference"))
    try:
        torch.jit.script(parser.get_parsed_content("network_def").eval())
    except (RuntimeError, torch.jit.frontend.FrontendError):
        return NOT_SCRIPTED
    return "The network can be scripted, as ckpt_export does."


def weights(bundle: Path, settings: dict[str, Any]) -> str:
    """models/model.pt loads into network_def, weights only and strictly; safetensors holds the same."""
    import torch
    from monai.bundle import ConfigParser

    del settings
    sys.path.insert(1, str(bundle))
    parser = ConfigParser()
    parser.read_config(_config(bundle, "inference"))
    network = parser.get_parsed_content("network_def")
    state = torch.load(bundle / "models/model.pt", map_location="cpu", weights_only=True)
    network.load_state_dict(state)
    copy = bundle / "models/model.safetensors"
    if not copy.is_file():
        return f"{len(state)} tensors of model.pt load strictly."
    from safetensors.torch import load_file

    for name, tensor in load_file(copy).items():
        if not torch.equal(tensor, state[name]):
            raise ValueError(f"model.safetensors and model.pt differ in {name}")
    return f"{len(state)} tensors of model.pt load strictly; model.safetensors holds the same."


def properties(bundle: Path, settings: dict[str, Any]) -> str:
    """create_workflow, initialize and check_properties for training and inference."""
    from monai.bundle import create_workflow

    for kind in settings["workflows"]:
        workflow = create_workflow(
            config_file=_config(bundle, kind), workflow_type=kind, bundle_root=str(bundle), **settings["data"]
        )
        workflow.initialize()
        missing = workflow.check_properties()
        workflow.finalize()
        if missing:
            raise KeyError(f"{kind}: {', '.join(missing)}")
    return f"Every required property of {' and '.join(settings['workflows'])} can be built."


def load(bundle: Path, settings: dict[str, Any]) -> str:
    """monai.bundle.load from another working directory."""
    from monai.bundle import load as load_bundle

    # the workflow that MONAI takes by default, where a bundle of another origin has it
    kind = "train" if "data" not in settings and "train" in settings["workflows"] else "inference"
    network: Any = load_bundle(bundle.name, bundle_dir=str(bundle.parent), workflow_type=kind)
    return f"It gives a network of {sum(parameter.numel() for parameter in network.parameters())} parameters."


def inference(bundle: Path, settings: dict[str, Any]) -> str:
    """`monai.bundle run inference` on a tiny volume."""
    import numpy as np
    from monai.bundle import run

    output = settings["output_dir"]
    run(
        "inference",
        config_file=_config(bundle, "inference"),
        output_dir=output,
        **settings["data"],
        **settings["quick"],
    )
    import nibabel as nib

    written: Any = nib.load(Path(output) / "tiny_test.nii.gz")
    image: Any = nib.load(settings["image"])
    values = set(np.unique(np.asarray(written.dataobj)).tolist())
    if written.shape != image.shape or not np.allclose(written.affine, image.affine, atol=1e-4):
        raise ValueError(f"the label map has the shape {written.shape} on another grid than the image's {image.shape}")
    if not values <= set(settings["labels"]):
        raise ValueError(f"the label map holds {sorted(values)}; the plan knows {settings['labels']}")
    return "A synthetic volume was predicted on its own grid."


def federated(bundle: Path, settings: dict[str, Any]) -> str:
    """A round of federated learning: initialize, receive weights, train an epoch, return weights, evaluate."""
    from monai.fl.client import MonaiAlgo
    from monai.fl.utils.constants import ExtraItems
    from monai.fl.utils.exchange_object import ExchangeObject

    algorithm = MonaiAlgo(
        bundle_root=str(bundle),
        local_epochs=1,
        train_kwargs={**settings["data"], **settings["train"]},
        eval_kwargs={**settings["data"], **settings["evaluate"]},
    )
    algorithm.initialize(extra={ExtraItems.CLIENT_NAME: "verify"})
    trainer: Any = algorithm.trainer
    before = ExchangeObject(weights=trainer.network.state_dict())
    algorithm.train(before)
    update = algorithm.get_weights()
    metrics = algorithm.evaluate(ExchangeObject(weights=trainer.network.state_dict())).metrics
    algorithm.finalize()
    return f"One round: {len(update.weights)} tensors were exchanged, {len(metrics or {})} metrics were reported."


STEPS: dict[str, Callable[[Path, dict[str, Any]], str]] = {
    step.__name__: step for step in (targets, weights, forward, torchscript, properties, load, inference, federated)
}


def _config(bundle: Path, stem: str) -> str:
    return str(Bundle(bundle).config_path(stem))


def main(step: str, settings_file: str, result_file: str) -> None:
    """Run a step; the result file appears only if it succeeds."""
    settings = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    os.chdir(settings["working_folder"])
    reason = STEPS[step](Path(settings["bundle"]), settings)
    write_json(Path(result_file), {"reason": reason})


if __name__ == "__main__":
    main(*sys.argv[1:])
