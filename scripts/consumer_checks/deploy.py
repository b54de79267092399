"""MONAI Deploy with a bundle: its own operator predicts a NIfTI file. Run by Deploy's Python.

    deploy.py BUNDLE IMAGE WORK RESULT_JSON

BUNDLE is a folder or an exported package (model.ts); IMAGE is a NIfTI file.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application, Fragment, Image, IOType, Operator, OperatorSpec
from monai.deploy.operators import NiftiDataLoader
from monai.deploy.operators.monai_bundle_inference_operator import (
    BundleConfigNames,
    IOMapping,
    MonaiBundleInferenceOperator,
)


class KeepLabelMap(Operator):
    """Writes the label map that the inference operator hands over as an array."""

    def __init__(self, fragment: Fragment, *args: Any, target: Path, **kwargs: Any) -> None:
        self.target = target
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One input: the label map."""
        spec.input("pred")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Save the array; Deploy's images are indexed [z, y, x]."""
        image: Image = op_input.receive("pred")
        np.save(self.target, np.asarray(image.asnumpy()))


class NiftiApplication(Application):
    """A NIfTI file in, a label map out."""

    def __init__(self, *args: Any, bundle: Path, image: Path, target: Path, **kwargs: Any) -> None:
        self.bundle = bundle
        self.image = image
        self.target = target
        super().__init__(*args, **kwargs)

    def compose(self) -> None:
        """The operators and how they are joined."""
        context = AppContext({})
        loader = NiftiDataLoader(self, CountCondition(self, 1), input_path=self.image, name="load")
        inference = MonaiBundleInferenceOperator(
            self,
            input_mapping=[IOMapping("image", Image, IOType.IN_MEMORY)],
            output_mapping=[IOMapping("pred", Image, IOType.IN_MEMORY)],
            app_context=context,
            bundle_config_names=BundleConfigNames(config_names=["inference"]),
            bundle_path=str(self.bundle),
            name="infer",
        )
        keep = KeepLabelMap(self, target=self.target, name="keep")
        self.add_flow(loader, inference, {("image", "image")})
        self.add_flow(inference, keep, {("pred", "pred")})


def main() -> None:
    """Run the application and say what came out."""
    bundle, image, work, result = (Path(word).resolve() for word in sys.argv[1:5])
    sys.argv = sys.argv[:1]  # the application reads the command line too
    work.mkdir(parents=True, exist_ok=True)
    target = work / "label_map.npy"
    NiftiApplication(bundle=bundle, image=image, target=target).run()
    label_map = np.load(target)
    seen = {
        "version": version("monai-deploy-app-sdk"),
        "shape": list(label_map.shape),
        "values": np.unique(label_map).tolist(),
        "foreground_voxels": int(np.count_nonzero(label_map)),
    }
    result.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
