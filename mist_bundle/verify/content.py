"""The parsed configurations of a bundle, read once: each workflow's files merged as MONAI merges them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.overrides import has_id, load_configs
from mist_bundle.files import METADATA_JSON
from mist_bundle.planning.plan import Plan

# the files of each workflow, and the run ids that it has to know
WORKFLOWS = {
    "train": (("train",), ("run", "training")),
    "evaluate": (("train", "evaluate"), ("run", "evaluating")),
    "inference": (("inference",), ("run", "inference")),
    "preprocess": (("preprocess",), ("run", "preprocess")),
    "multi_gpu_train": (("train", "multi_gpu_train"), ("run", "training")),
    "multi_gpu_evaluate": (("train", "evaluate", "multi_gpu_evaluate"), ("run", "evaluating")),
}
_REFERENCE = re.compile(r"@(\w+(?:(?:#|::)\w+)*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The contents of a bundle's configuration files.

    Attributes:
        bundle: its folder.
        metadata: of metadata.json; empty without that file.
        plan: every decision; None for bundles of other generators.
        workflows: name of a workflow -> its merged configuration; those without files are left out.
    """

    bundle: Path
    metadata: dict[str, Any]
    plan: Plan | None
    workflows: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, bundle: Path) -> Content:
        """Parse all of it.

        Raises:
            InputError: a file cannot be parsed.
        """
        folder = Bundle(bundle)
        workflows = {}
        for name, (stems, _) in WORKFLOWS.items():
            files = config_files(folder, stems)
            if len(files) == len(stems):
                workflows[name] = load_configs(files)
        return cls(
            bundle=bundle,
            metadata=folder.metadata if (bundle / METADATA_JSON).is_file() else {},
            plan=folder.plan if folder.has_plan else None,
            workflows=workflows,
        )

    @property
    def folder(self) -> Bundle:
        """The bundle as its folder."""
        return Bundle(self.bundle)

    def has(self, workflow: str, identity: str) -> bool:
        """Whether a workflow's configuration has that id."""
        return has_id(self.workflows.get(workflow, {}), identity)

    def missing(self, workflow: str, identities: str) -> list[str]:
        """Those of the ids (separated by blanks) that the workflow lacks."""
        return [identity for identity in identities.split() if not self.has(workflow, identity)]

    def absent(self, *names: str) -> list[str]:
        """Those of the files that the bundle lacks."""
        return [name for name in names if not (self.bundle / name).is_file()]


def config_files(folder: Bundle, stems: Iterable[str]) -> list[Path]:
    """Those of the configuration files that a bundle has."""
    files = []
    for stem in stems:
        file = folder.config_file(stem)
        if file is not None:
            files.append(file)
    return files


def imported_modules(file: Path) -> set[str]:
    """Top-level names of the modules that a Python file imports, its own package aside."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.add(alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names


def strings(config: Any) -> Iterator[str]:
    """All text values of a configuration."""
    if isinstance(config, dict):
        for value in config.values():
            yield from strings(value)
    elif isinstance(config, list):
        for value in config:
            yield from strings(value)
    elif isinstance(config, str):
        yield config


def references(config: Any) -> set[str]:
    """Ids that a configuration refers to, by MONAI's rule: anywhere in an expression, or as a whole value."""
    names: set[str] = set()
    for text in strings(config):
        if text.startswith("$"):
            names |= set(_REFERENCE.findall(text))
        elif (match := _REFERENCE.fullmatch(text)) is not None:
            names.add(match.group(1))
        elif text.startswith("%") and "." not in text:
            names.add(text[1:])
    return names


def components(config: Any) -> Iterator[dict[str, Any]]:
    """All components (dictionaries with `_target_`) of a configuration."""
    if isinstance(config, dict):
        if "_target_" in config:
            yield config
        for value in config.values():
            yield from components(value)
    elif isinstance(config, list):
        for value in config:
            yield from components(value)
