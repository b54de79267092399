"""mist_bundle: looks at a 3D medical segmentation dataset and writes what training it needs as a MONAI bundle.

    import mist_bundle as mb

    bundle = mb.configure("dataset.json", "out", recipe="quick")
    bundle.train(fold="all")
    bundle.evaluate()
    bundle.predict("new_cases", "out/predictions")

docs/python.md lists everything.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mist_bundle.api.bundle import Bundle
    from mist_bundle.api.configure import analyze, configure, finetune, merge_fingerprints, run_all
    from mist_bundle.api.datasets import (
        convert_bids,
        convert_csv,
        convert_dicom,
        convert_labels,
        convert_msd,
        convert_nnunet,
        merge_datasets,
        phantom,
    )
    from mist_bundle.api.exchange import audit_bundle, make_key, unpack, verify_bundle
    from mist_bundle.api.imports import import_mist, import_nnunet
    from mist_bundle.api.results import compare, ensemble, evaluate, postprocess, rank
    from mist_bundle.api.studies import study
    from mist_bundle.api.warn import CaseLeftOut, DataWarning
    from mist_bundle.api.weights import average_weights
    from mist_bundle.errors import CaseFailure, InputError, MistBundleError

__version__ = "0.2.0"
__all__ = [
    "Bundle",
    "CaseFailure",
    "CaseLeftOut",
    "DataWarning",
    "InputError",
    "MistBundleError",
    "__version__",
    "analyze",
    "audit_bundle",
    "average_weights",
    "compare",
    "configure",
    "convert_bids",
    "convert_csv",
    "convert_dicom",
    "convert_labels",
    "convert_msd",
    "convert_nnunet",
    "ensemble",
    "evaluate",
    "finetune",
    "import_mist",
    "import_nnunet",
    "make_key",
    "merge_datasets",
    "merge_fingerprints",
    "phantom",
    "postprocess",
    "rank",
    "run_all",
    "study",
    "unpack",
    "verify_bundle",
]
_MODULES = (
    "errors",
    "api.warn",
    "api.bundle",
    "api.configure",
    "api.datasets",
    "api.imports",
    "api.results",
    "api.exchange",
    "api.studies",
    "api.weights",
)


def __getattr__(name: str) -> Any:
    # public names are imported when they are used, so that `import mist_bundle` costs nothing
    if name in __all__:
        for module_name in _MODULES:
            module = importlib.import_module(f"mist_bundle.{module_name}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'mist_bundle' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
