"""Import MONAI without the packages that a bundle's workflows do not use, which takes half of the start-up time.

`import monai` imports all its modules, and these import matplotlib, pandas, most of scipy and, through Ignite, large
parts of torch.distributed. With `install`, modules of MONAI are imported when they are first needed, without these
packages if possible. Components that a configuration names by their class alone are still located anywhere in MONAI: if
none of the loaded modules has the class, all modules are imported.

Only what saves about a twentieth of a second or more is listed here. Modules that are executed when they are first used
would save a little more, but outside Python's import locks: two threads that need such a module can block each other.
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

# module -> optional packages that it imports for purposes that no workflow of a bundle has
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
    "monai.apps.tcia.utils": ("pandas", "requests"),
    "monai.data.ultrasound_confidence_map": ("scipy.signal", "scipy.sparse.linalg"),
    "monai.transforms.signal.array": ("scipy.signal",),
}
# module -> modules of which it only calls functions: these look for their module when they are called
_CALLED = {
    "monai.metrics.panoptic_quality": ("scipy.optimize",),
    "monai.metrics.utils": ("scipy.spatial",),
    "monai.networks.nets.dints": ("scipy.sparse.csgraph",),
}
# needs a single class of torch.distributed.optim for an isinstance check; the import brings sympy and more
_SAVING = "ignite.handlers.checkpoint"
_LOADING = "monai.utils.module"  # whose load_submodules imports everything
_LOCATING = "monai.bundle.config_item"  # whose ComponentLocator finds classes among the modules that are there
_CHANGED = {*_LEFT_OUT, *_CALLED, _SAVING, _LOADING, _LOCATING}
_USUAL = ("monai.transforms", "monai.data", "monai.inferers", "monai.engines", "monai.handlers")


def install() -> None:
    """Make imports of MONAI lean from now on; has no effect if MONAI is already imported."""
    if "monai" not in sys.modules:
        sys.meta_path.insert(0, _LeanFinder())


class _LeanFinder(MetaPathFinder):
    """Finds the modules above and changes how they are executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _CHANGED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LeanLoader(spec.loader)
        return spec


class _LeanLoader(Loader):
    """Wraps the loader of a module."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        absent: dict[str, ModuleType | None] = dict.fromkeys(_LEFT_OUT.get(module.__name__, ()))
        for name in _CALLED.get(module.__name__, ()):
            absent[name] = _CalledLater(name)
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


class _CalledLater(ModuleType):
    """Stands for a module of which functions are only called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        module = self.__name__

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(module), name)(*args, **kwargs)

        return call


@contextmanager
def _in_their_place(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Replace modules while the block runs; None makes a module appear not installed."""
    absent = [name for name in modules if name not in sys.modules]
    for name in absent:
        sys.modules[name] = modules[name]  # type: ignore[assignment] # None is how Python marks what is not there
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def _no_sharded_optimizer() -> ModuleType:
    """Return a module with a class of which no optimizer is an instance."""
    module = ModuleType("torch.distributed.optim")
    module.__dict__["ZeroRedundancyOptimizer"] = type("ZeroRedundancyOptimizer", (), {})
    return module


def _load_nothing(*args: Any, **kwargs: Any) -> tuple[list[ModuleType], list[str]]:
    """Replace the function that monai/__init__.py calls to load all modules; they load when they are needed."""
    monai = sys.modules["monai"]
    monai.__dict__.setdefault("__getattr__", _module_of_monai)
    return [], []


def _module_of_monai(name: str) -> ModuleType:
    """Import a module such as `monai.handlers` on first access."""
    try:
        return importlib.import_module(f"monai.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"module 'monai' has no attribute {name!r}") from error


def _thorough(find: Callable[..., Any]) -> Callable[..., Any]:
    """Look for a class in the usual packages of MONAI, then in all of it."""

    def find_anywhere(locator: Any, name: str) -> Any:
        if "." in name:  # a dotted path needs no search
            return None
        for package in _USUAL:
            component = getattr(importlib.import_module(package), name, None)
            if isinstance(component, type) and component.__module__.startswith("monai."):
                return component.__module__
        _load_everything()
        locator._components_table = None  # rebuilt from the loaded modules
        return find(locator, name)

    return find_anywhere


def _load_everything() -> None:
    loading = sys.modules[_LOADING]
    monai = sys.modules["monai"]
    excluded = monai.__dict__.get("excludes", "")
    loading.__dict__["load_everything"](monai, True, exclude_pattern=excluded)
