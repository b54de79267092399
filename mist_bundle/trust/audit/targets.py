"""Which `_target_` a bundle may name: what the catalogue and the generator name, and classes that only compute.

A short name without a dot is looked up by MONAI among all its functions, `run_cmd` and `download_url` included, and
then among Python's builtins; hence only the short names listed here pass. A dotted name is walked attribute by
attribute, so a family admits exactly a single class name after its prefix: not `torch.nn.modules.os.system`.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from mist_bundle import catalog
from mist_bundle.bundle.vendor import RUNTIME, runtime_files
from mist_bundle.catalog.choice import Choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.trust.audit.known_classes import KNOWN_CLASSES

# MONAI's components by their short names; none opens a file or a connection by itself
SHORT_NAMES = frozenset({
    "Activationsd",
    "AsDiscreted",
    "CacheDataset",
    "CheckpointLoader",
    "Compose",
    "DataLoader",
    "Dataset",
    "EnsureChannelFirstd",
    "EnsureTyped",
    "IgniteMetricHandler",
    "LoadImaged",
    "LrScheduleHandler",
    "MeanDice",
    "SimpleInferer",
    "SlidingWindowInferer",
    "StatsHandler",
    "SupervisedEvaluator",
    "SupervisedTrainer",
    "ThreadDataLoader",
    "ValidationHandler",
})  # fmt: skip
FULL_NAMES = frozenset({"ignite.handlers.EMAHandler", "torch.nn.parallel.DistributedDataParallel"})
# the only functions of scripts/ that a configuration calls; its public classes may all be built
SCRIPT_FUNCTIONS = frozenset({
    "scripts.check_settings.check_settings",
    "scripts.folds.weights.ensemble_weights",
    "scripts.folds.weights.fold_weights",
    "scripts.folds.weights.weights_of_fold",
    "scripts.loading.datalist.load_items",
    "scripts.loading.select.patch_loader",
    "scripts.networks.heads.with_heads",
    "scripts.networks.parameter_groups.parameter_groups",
    "scripts.networks.vae.with_vae",
})  # fmt: skip

# pure families: a single class name may follow. MONAI's own classes are in known_classes.py
FAMILIES = ("torch.nn.", "torch.optim.", "torch.optim.lr_scheduler.")
MONAI_NETWORKS = "monai.networks.nets."
# roots that never have a place in a bundle, for a graver word in the report
_ROOT_WORDS = """
    builtins ctypes cffi code codecs commands distutils ensurepip eval exec getattr glob http importlib io imp marshal
    monai.apps monai.bundle monai.fl monai.utils.module monai.utils.misc multiprocessing nt numpy.load open os pathlib
    pickle pip platform posix pty pydoc runpy setattr shelve shutil signal site smtplib socket subprocess sys tempfile
    threading timeit torch.hub torch.jit torch.load torch.package torch.utils torch.ops torch.classes torch.save
    urllib webbrowser zipfile
"""
DANGEROUS_ROOTS = frozenset(_ROOT_WORDS.split())
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
# arguments that MONAI imports, or that make a component download something
IMPORTED_ARGUMENTS = ("reader", "writer")
# components that read files in ways of their own where an argument does not say how
DEMANDED_ARGUMENTS = {"LoadImaged": "reader"}
FETCHING_ARGUMENTS = re.compile(
    r"pretrained\w*|\w*_?url|download\w*|checkpoint|checkpoint_path|cache_dir|merger_cls|compile_kwargs|repo\w*|hub_\w+"
    r"|trust_repo|allow_pickle|weights_path|model_path|model_file|progress"
)


def is_accepted(target: str) -> bool:
    """Whether `_target_` may be this."""
    if target in SHORT_NAMES or target in FULL_NAMES or target in KNOWN_CLASSES or target in catalogue_targets():
        return True
    if target.startswith("scripts."):
        return is_script_target(target)
    prefix, _, leaf = target.rpartition(".")
    return f"{prefix}." in FAMILIES and bool(_CLASS.fullmatch(leaf))


def is_network(name: Any) -> bool:
    """Whether a plan's network is a row of the menu, or a network of MONAI that only computes."""
    return isinstance(name, str) and (name in NETWORKS or (name.startswith(MONAI_NETWORKS) and is_accepted(name)))


def is_dangerous(target: str) -> bool:
    """Whether it is known to do what no component of a bundle should."""
    parts = target.split(".")
    starts = set(accumulate(parts, "{}.{}".format))
    hidden = any(part.startswith("_") or part in DANGEROUS_ROOTS for part in parts)
    plain = all(part.isascii() and part.isidentifier() for part in parts)
    return bool(starts & DANGEROUS_ROOTS) or hidden or not plain or "." not in target


def bad_arguments(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Arguments of a component that are imported, or fetched, each with what is wrong."""
    for name in IMPORTED_ARGUMENTS:
        value = config.get(name)
        values = value if isinstance(value, list) else [value]
        if any(entry is not None and not (isinstance(entry, str) and is_script_target(entry)) for entry in values):
            yield name, "it is imported by name; only the readers of scripts/ are known"
    demanded = DEMANDED_ARGUMENTS.get(str(config.get("_target_")))
    if demanded is not None and config.get(demanded) is None:
        yield demanded, "without it files of any kind are opened, pickles too"
    for name, value in config.items():
        if FETCHING_ARGUMENTS.fullmatch(str(name)) and value not in (None, False):
            yield name, "it makes the component fetch, import or start something"


@cache
def catalogue_targets() -> frozenset[str]:
    """Every dotted path that a row of the catalogue names."""
    names: set[str] = set()
    for module in pkgutil.iter_modules(catalog.__path__):
        content = vars(importlib.import_module(f"{catalog.__name__}.{module.name}"))
        for value in content.values():
            rows = value.values() if isinstance(value, Mapping) else [value]
            for row in rows:
                if isinstance(row, Choice):
                    names |= {row.target, *row.variants.values(), *_nested(row.kwargs)}
    return frozenset(names)


def _nested(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        for part in value.values():
            yield from _nested(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _nested(part)


def is_script_target(target: str) -> bool:
    """Whether it is a public class of the released scripts/, or a function there that configurations call."""
    module, _, name = target.rpartition(".")
    file = _script_modules().get(module)
    return target in SCRIPT_FUNCTIONS or (file is not None and name in _public_classes(file))


@cache
def _script_modules() -> Mapping[str, Path]:
    """Module of scripts/ -> its file in the runtime."""
    return {".".join(["scripts", *file.with_suffix("").parts]): RUNTIME / file for file in runtime_files()}


@cache
def _public_classes(file: Path) -> frozenset[str]:
    """The classes of a script; it is read, not imported. Only scripts that a bundle names are read."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            names.add(node.name)
    return frozenset(names)
