"""A bundle in the manner of MONAI's model zoo: stock classes, paths relative to the working folder, list overrides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import UNet

NETWORK = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 0,
}
HEADER: dict[str, Any] = {
    "imports": ["$import glob", "$import os"],
    "bundle_root": ".",
    "output_dir": "$os.path.join(@bundle_root, 'eval')",
    "dataset_dir": "/data/spleen",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "network_def": {"_target_": "UNet", **NETWORK},
    "network": "$@network_def.to(@device)",
}
PREPROCESSING = {
    "_target_": "Compose",
    "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "NormalizeIntensityd", "keys": "image"},
    ],
}
INFERENCE: dict[str, Any] = {
    **HEADER,
    "datalist": "$sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz'))",
    "preprocessing": PREPROCESSING,
    "dataset": {
        "_target_": "Dataset",
        "data": "$[{'image': path} for path in @datalist]",
        "transform": "@preprocessing",
    },
    "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 4},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image"},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
    },
    "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
    "evaluator": {
        "_target_": "SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": "@dataloader",
        "network": "@network",
        "inferer": "@inferer",
        "postprocessing": "@postprocessing",
        "val_handlers": "@handlers",
    },
    "load_weights": {
        "_target_": "CheckpointLoader",
        "load_path": "$os.path.join(@bundle_root, 'models/model.pt')",
        "load_dict": {"model": "@network"},
    },
    "initialize": ["$monai.utils.set_determinism(seed=1)", "$@load_weights(@evaluator)"],
    "run": ["$@evaluator.run()"],
}
TRAIN: dict[str, Any] = {
    **HEADER,
    "val_interval": 1,
    "train": {
        "dataset": {"_target_": "CacheDataset", "data": [], "transform": PREPROCESSING},
        "inferer": {"_target_": "SimpleInferer"},
        "handlers": [{"_target_": "StatsHandler"}],
        "trainer": {"_target_": "SupervisedTrainer", "max_epochs": 2},
    },
    "validate": {
        "dataset": {"_target_": "CacheDataset", "data": [], "transform": PREPROCESSING},
        "handlers": [{"_target_": "StatsHandler"}, {"_target_": "CheckpointSaver", "save_dir": "models"}],
        "evaluator": {"_target_": "SupervisedEvaluator"},
    },
    "run": ["$@train#trainer.run()"],
}
EVALUATE = {
    "validate#handlers": [{"_target_": "StatsHandler", "iteration_log": True}],
    "validate#handlers#0#iteration_log": False,
    "run": ["$@validate#evaluator.run()"],
}


def _tensor(channels: int, names: list[str]) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "magnitude",
        "num_channels": channels,
        "spatial_shape": [16, 16, 16],
        "dtype": "float32",
        "value_range": [0, 1],
        "channel_def": {str(index): name for index, name in enumerate(names)},
    }


METADATA = {
    "schema": "https://project-monai.github.io/schema/meta_schema_20240725.json",
    "required_packages_version": {"nibabel": "5.2.1"},
    "description": "a tiny network for tests",
    "authors": "nobody",
    "copyright": "nobody",
    "version": "0.5.9",
    "changelog": {"0.5.9": "as it is"},
    "monai_version": "1.4.0",
    "pytorch_version": "2.4.0",
    "numpy_version": "1.24.4",
    "task": "spleen",
    "network_data_format": {
        "inputs": {"image": _tensor(1, ["ct"])},
        "outputs": {"pred": _tensor(2, ["background", "spleen"])},
    },
}


def write_stock_bundle(folder: Path, **inference: Any) -> Path:
    """Write the bundle `spleen_ct_segmentation` with weights of a tiny network; `inference` replaces ids of it."""
    bundle = folder / "spleen_ct_segmentation"
    for name in ("configs", "models", "docs"):
        (bundle / name).mkdir(parents=True)
    configs = {"inference": {**INFERENCE, **inference}, "train": TRAIN, "evaluate": EVALUATE, "metadata": METADATA}
    for name, content in configs.items():
        (bundle / "configs" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (bundle / "LICENSE").write_text("Apache License 2.0", encoding="utf-8")
    (bundle / "docs/README.md").write_text("# Spleen\n", encoding="utf-8")
    torch.manual_seed(0)
    torch.save(UNet(**NETWORK).state_dict(), bundle / "models/model.pt")
    return bundle
