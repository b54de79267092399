"""The environments that the programs run in: what is installed, with the versions that were seen to work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# what a bundle's metadata.json asks for, DALI apart: its training falls back to MONAI's loader
BUNDLE_NEEDS = ("monai==1.6.1", "pytorch-ignite==0.5.5", "nibabel==5.4.2", "SimpleITK==2.5.7", "scipy==1.17.1")
TORCH = "torch==2.13.0"
# A torchvision that is imported beside a CPU build of torch: later ones need the operators of their own CUDA build
TORCHVISION = "torchvision==0.15.2"
PACKAGES: dict[str, tuple[str, ...]] = {
    "label": (
        "monailabel==0.8.5",
        "pydicom==2.4.4",
        "pynetdicom<3",
        "dicomweb-client==0.59.3",
    ),
    "deploy": ("monai-deploy-app-sdk==4.0.0", "highdicom", "pydicom", "requests"),
    "nvflare": ("nvflare==2.9.0",),
    "zoo": ("jsonschema", "gdown", "pyyaml", "parameterized", "fire"),  # as the zoo's ci/run_premerge_cpu.sh
    "triton": ("tritonclient[grpc]==2.73.0", "onnxruntime==1.32.0", "protobuf==6.33.6"),
}
NEEDS_TORCHVISION = ("label", "deploy")


def environment(name: str) -> Path:
    """The Python of an environment, which is made where it is not there."""
    folder = Path(os.environ.get("CONSUMER_ENVIRONMENTS", "build/consumers")).absolute() / name
    python = folder / "bin" / "python"
    if python.is_file():
        return python
    print(f"Making the environment {folder} …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # torch alone and first: a CPU build of this version then satisfies whatever asks for torch later on
    _install(python, TORCH)
    _install(python, *PACKAGES[name], *BUNDLE_NEEDS)
    if name in NEEDS_TORCHVISION:
        _install(python, "--no-deps", TORCHVISION)
    return python


def _install(python: Path, *words: str) -> None:
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *words], check=True)
