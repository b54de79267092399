"""metadata.json, after MONAI's schema of 2024-07-25: what the network takes and gives, and what the bundle needs."""

from __future__ import annotations

from mist_bundle.bundle.configs.parts import Config
from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.plan import Plan

SCHEMA = "https://project-monai.github.io/schema/meta_schema_20240725.json"
VERSION = "0.1.0"
# The versions that the generated bundles were tested with
TESTED = {
    "monai": "1.6.1",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "pytorch-ignite": "0.5.5",
    "nibabel": "5.4.2",
    "SimpleITK": "2.5.7",
    "scipy": "1.17.1",
    "fire": "0.7.1",
    "tqdm": "4.70.1",
}
# The same for packages that only some rows of the catalogue need
TESTED_WITH_SOME = {"einops": "0.8.2"}
# what a training that begins from another bundle's weights reads them with
FINE_TUNING = {"safetensors": "0.8.0"}
# all that the metadata of a generated bundle may ask its receivers to install
PACKAGES = frozenset({*TESTED, *TESTED_WITH_SOME, *FINE_TUNING})
MODALITY_NAMES = {"ct": "CT", "mr": "MR", "other": "other"}
MODALITY_FORMATS = {"ct": "hounsfield", "mr": "magnitude", "other": "magnitude"}


def metadata_config(plan: Plan, name: str, description: str, data_source: str, generator_version: str) -> Config:
    """The metadata of a bundle before it is trained.

    Args:
        plan: what was decided.
        name: of the bundle's folder.
        description: one or two sentences for people.
        data_source: where the data come from.
        generator_version: of mist_bundle.
    """
    names = [label.replace("\n", " ") for label in plan.label_names]
    outputs = [output.replace("\n", " ") for output in plan.output_names]
    pred_classes = ", ".join(f"{index} = {output}" for index, output in enumerate(outputs))
    if plan.regions.value:
        pred_classes += " (regions that may overlap, a sigmoid each)"
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "changelog": {VERSION: "generated"},
        "monai_version": TESTED["monai"],
        "pytorch_version": TESTED["torch"],
        "numpy_version": TESTED["numpy"],
        "required_packages_version": {
            package: version
            for package, version in packages(plan).items()
            if package not in ("monai", "torch", "numpy")
        },
        "name": name,
        "task": f"Segmentation of {', '.join(names[1:]) or 'nothing'} ({plan.task})",
        "description": description,
        "authors": "made with mist_bundle; put your own names here",
        "copyright": "the authors of the training data and of the bundle",
        "data_source": data_source,
        "data_type": "nifti",
        "image_classes": f"{len(plan.channel_names)} channel(s), in this order: {', '.join(plan.channel_names)}",
        "label_classes": ", ".join(f"{label} = {text}" for label, text in zip(plan.labels, names, strict=True)),
        "pred_classes": pred_classes,
        "modality": MODALITY_NAMES[plan.modality],
        # the model zoo runs an application's own checks on the bundles that name it: none has been asked for
        "supported_apps": {},
        "eval_metrics": {},
        "intended_use": "Research only. Not a medical device; not for diagnosis or treatment.",
        "references": ["Celaya et al., MIST, arXiv 2407.21343"],
        "mist_bundle_version": generator_version,
        "network_data_format": {
            "inputs": {"image": _image(plan)},
            "outputs": {"pred": _prediction(plan, outputs)},
        },
    }


def packages(plan: Plan) -> dict[str, str]:
    """Package -> version of everything that the bundle of a plan needs."""
    return {**TESTED, **_of_the_network(plan), **_of_the_transfer(plan)}


def _of_the_transfer(plan: Plan) -> dict[str, str]:
    return FINE_TUNING if plan.initial_weights else {}


def _of_the_network(plan: Plan) -> dict[str, str]:
    needs = find_choice(NETWORKS, plan.network.value).needs
    return {package: version for package, version in TESTED_WITH_SOME.items() if package in needs}


def _image(plan: Plan) -> Config:
    return {
        "type": "image",
        "format": MODALITY_FORMATS[plan.modality],
        "modality": MODALITY_NAMES[plan.modality],
        "num_channels": plan.num_channels,
        "spatial_shape": list(plan.patch_size.value),
        "dtype": "float32",
        "value_range": [-10, 10],
        "is_patch_data": True,
        "channel_def": {str(index): channel for index, channel in enumerate(plan.channel_names)},
    }


def _prediction(plan: Plan, names: list[str]) -> Config:
    return {
        "type": "image",
        "format": "segmentation",
        "num_channels": len(names),
        "spatial_shape": list(plan.patch_size.value),
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": True,
        "channel_def": {str(index): label for index, label in enumerate(names)},
    }
