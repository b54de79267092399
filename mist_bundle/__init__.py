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
    from mist_bundle.api import (
        Bundle,
        DataWarning,
        analyze,
        audit_bundle,
        compare,
        configure,
        evaluate,
        finetune,
        rank,
        unpack,
        verify_bundle,
    )
    from mist_bundle.errors import CaseFailure, InputError, MistBundleError

__version__ = "0.2.0"
__all__ = [
    "Bundle",
    "CaseFailure",
    "DataWarning",
    "InputError",
    "MistBundleError",
    "__version__",
    "analyze",
    "audit_bundle",
    "compare",
    "configure",
    "evaluate",
    "finetune",
    "rank",
    "unpack",
    "verify_bundle",
]
_OF_ERRORS = frozenset({"CaseFailure", "InputError", "MistBundleError"})


def __getattr__(name: str) -> Any:
    # public names are imported when they are used, so that `import mist_bundle` costs nothing
    if name not in __all__:
        raise AttributeError(f"module 'mist_bundle' has no attribute {name!r}")
    module = importlib.import_module("mist_bundle.errors" if name in _OF_ERRORS else "mist_bundle.api")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
