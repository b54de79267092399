"""Import MONAI without what a bundle's workflows do not use: half of the start-up time.

`import monai` imports every module of it, and these import matplotlib, pandas, scipy.signal and, through Ignite, large
parts of torch.distributed. With `install`, a module of MONAI is imported when it is first needed, and the four are left
out of the modules that can do without. A component that is named by its class alone is still found anywhere in MONAI:
where it is not among the modules that are there, they are all imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# module -> packages that it imports where they are there, for things that no workflow of a bundle does
_LEFT_OUT = {
    "monai.utils.jupyter_utils": ("matplotlib", "matplotlib.pyplot"),
    "monai.visualize.utils": ("matplotlib", "matplotlib.pyplot"),
    "monai.optimizers.lr_finder": ("matplotlib", "matplotlib.pyplot"),
    "monai.transforms.utils_create_transform_ims": ("matplotlib", "matplotlib.pyplot"),
    "monai.utils.profiling": ("pandas",),
    "monai.data.utils": ("pandas",),
    "monai.data.dataset": ("pandas",),
    "monai.data.iterable_dataset": ("pandas",),
    "monai.handlers.mlflow_handler": ("pandas", "mlflow"),
    "monai.apps.tcia.utils": ("pandas",),
    "monai.data.ultrasound_confidence_map": ("scipy.signal",),
    "monai.transforms.signal.array": ("scipy.signal",),
}
# which needs of torch.distributed.optim a single class, to ask whether an optimizer is one; it brings sympy and more
_SAVING = "ignite.handlers.checkpoint"
_LOADING = "monai.utils.module"  # whose load_submodules imports everything
_LOCATING = "monai.bundle.config_item"  # whose ComponentLocator finds classes among the modules that are there
_USUAL = ("monai.transforms", "monai.data", "monai.inferers", "monai.engines", "monai.handlers")


def install() -> None:
    """Let imports of MONAI be lean from now on; no effect where it is imported already."""
    if "monai" not in sys.modules:
        sys.meta_path.insert(0, _LeanFinder())


class _LeanFinder(MetaPathFinder):
    """Finds the modules above and changes how they are run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _LEFT_OUT and fullname not in (_SAVING, _LOADING, _LOCATING):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LeanLoader(spec.loader)
        return spec


class _LeanLoader(Loader):
    """Another loader, with something done around it."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        absent: dict[str, ModuleType | None] = dict.fromkeys(_LEFT_OUT.get(module.__name__, ()))
        if module.__name__ == _SAVING and "WORLD_SIZE" not in os.environ:  # a process by itself shards no optimizer
            absent["torch.distributed.optim"] = _no_sharded_optimizer()
        with _in_their_place(absent):
            self._loader.exec_module(module)
        if module.__name__ == _LOADING:
            module.__dict__["load_everything"] = module.__dict__["load_submodules"]
            module.__dict__["load_submodules"] = _load_nothing
        if module.__name__ == _LOCATING:
            locator = module.__dict__["ComponentLocator"]
            locator.get_component_module_name = _thorough(locator.get_component_module_name)


@contextmanager
def _in_their_place(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """While the block runs, other modules stand in the place of these; None: as if they were not installed."""
    absent = [name for name in modules if name not in sys.modules]
    for name in absent:
        sys.modules[name] = modules[name]  # type: ignore[assignment] # None is how Python marks what is not there
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def _no_sharded_optimizer() -> ModuleType:
    """A module with a class that no optimizer is an instance of."""
    module = ModuleType("torch.distributed.optim")
    module.__dict__["ZeroRedundancyOptimizer"] = type("ZeroRedundancyOptimizer", (), {})
    return module


def _load_nothing(*args: Any, **kwargs: Any) -> tuple[list[ModuleType], list[str]]:
    """What monai/__init__.py calls; modules come later, when they are needed."""
    monai = sys.modules["monai"]
    monai.__dict__.setdefault("__getattr__", _module_of_monai)
    return [], []


def _module_of_monai(name: str) -> ModuleType:
    """`monai.handlers` where nobody has imported it yet."""
    try:
        return importlib.import_module(f"monai.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"module 'monai' has no attribute {name!r}") from error


def _thorough(find: Callable[..., Any]) -> Callable[..., Any]:
    """Look for a class in the usual packages of MONAI, then in all of it."""

    def find_anywhere(locator: Any, name: str) -> Any:
        if "." in name:  # it says by itself where it is
            return None
        for package in _USUAL:
            component = getattr(importlib.import_module(package), name, None)
            if isinstance(component, type) and component.__module__.startswith("monai."):
                return component.__module__
        _load_everything()
        locator._components_table = None  # it is made of the modules that are there
        return find(locator, name)

    return find_anywhere


def _load_everything() -> None:
    loading = sys.modules[_LOADING]
    monai = sys.modules["monai"]
    excluded = monai.__dict__.get("excludes", "")
    loading.__dict__["load_everything"](monai, True, exclude_pattern=excluded)
