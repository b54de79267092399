"""Who may import whom, read from the source; docs/architecture.md says the same in words."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from mist_bundle.cli import run_verb
from mist_bundle.errors import EXIT_OK

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mist_bundle"
WORDING = "runtime.wording"
BASE = {"errors", "files", "parallel", "resources", WORDING}
VALUES = {"runtime.settings", "runtime.values"}
NUMERIC = {"numpy", "scipy"}
OPTIONAL = {"safetensors", "cryptography", "onnx", "onnxruntime", "huggingface_hub", "jsonschema", "httpx2"}

# part of the package -> parts it may import (itself apart), and packages beyond the standard library
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "files": ({"errors", "runtime.folds"}, set()),
    "resources": ({"errors"}, set()),
    "parallel": ({"errors", "cluster", "runtime.numerics"}, {"tqdm"}),
    "cluster": ({"errors"}, {"distributed"}),
    "catalog": ({"runtime.metrics.menu", "runtime.values"}, set()),
    "dataset": ({*BASE, "runtime.numerics", "runtime.reading", "runtime.values"}, {"numpy", "nibabel", "pydicom"}),
    "analysis": ({*BASE, "dataset", "runtime.numerics"}, {*NUMERIC, "nibabel"}),
    "planning": (
        {"errors", "resources", "dataset", "analysis", "catalog", "runtime.numerics", WORDING, *VALUES},
        {"numpy"},
    ),
    "bundle": (
        {
            *BASE,
            "dataset",
            "planning",
            "catalog",
            "runtime.numerics",
            "runtime.folds",
            "runtime.predictions.say",
            "runtime.settings",
            "runtime.values",
        },
        {"yaml", "numpy", "nibabel", "torch", "monai", "fire", *OPTIONAL},
    ),
    "trust": (
        {*BASE, "bundle", "planning", "catalog", "runtime.folds", "runtime.settings"},
        {"yaml", "torch", "monai", *OPTIONAL},
    ),
    "transfer": (
        {*BASE, "dataset", "bundle", "trust", "sharing", "planning", "catalog", "runtime.folds", "runtime.numerics"},
        {"yaml", "numpy", "torch", "monai", *OPTIONAL},
    ),
    "sharing": (
        {
            *BASE,
            "dataset",
            "bundle",
            "trust",
            "planning",
            "catalog",
            "runtime.folds",
            "runtime.numerics",
            "runtime.postprocessing",
            "runtime.reading",
            "runtime.values",
        },
        {"yaml", "numpy", "torch", "monai", "pydicom", "highdicom", *OPTIONAL},
    ),
    "verify": (
        {*BASE, "bundle", "trust", "sharing", "planning", "catalog", "runtime.folds", "runtime.settings"},
        {"yaml", "numpy", "nibabel", "torch", "monai", *OPTIONAL},
    ),
    "evaluation": (
        {
            *BASE,
            "dataset",
            "catalog",
            "runtime.metrics",
            "runtime.numerics",
            "runtime.postprocessing",
            "runtime.reading",
        },
        {*NUMERIC, "nibabel", "pandas", "SimpleITK"},
    ),
    "report": (
        {
            *(*BASE, "dataset", "analysis", "planning", "catalog", "bundle"),
            *("runtime.folds", "runtime.numerics", "runtime.metrics"),
        },
        {*NUMERIC, "nibabel", "pandas", "matplotlib", "PIL", "markupsafe"},
    ),
}
# the entrances see everything, and nothing sees the command line
ENTRANCES = {"api", "cli", "pipeline", "autoconfig", "__main__", "__init__"}
RUNTIME = {"monai", "torch", "ignite", "numpy", "scipy", "SimpleITK", "nibabel", "nvidia", "tqdm", "tensorboard"}
RUNTIME |= {"safetensors", "openvino"}  # imported where it is used, and done without where it is missing


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """(module, level) of every import; `from . import x` has level 1; names under `if TYPE_CHECKING` count too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "", node.level)


def _part(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _is_within(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def test_the_whole_package_is_looked_at() -> None:
    parts = {_part(path) for path in _modules(PACKAGE)}
    assert parts == {*ALLOWED, *ENTRANCES, "runtime"}
    assert len(_modules(PACKAGE)) > 100


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_a_part_imports_only_what_it_may(part: str) -> None:
    own, packages = ALLOWED[part]
    wrong = []
    for path in _modules(PACKAGE):
        if _part(path) != part:
            continue
        for module, level in _imports(path):
            top = module.split(".")[0]
            inside = module.removeprefix("mist_bundle").removeprefix(".")
            is_own = level > 0 or (top == "mist_bundle" and any(_is_within(inside, name) for name in {part, *own}))
            version_only = module == "mist_bundle"
            if not (is_own or version_only or top in sys.stdlib_module_names or top in packages):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_runtime_stands_alone() -> None:
    wrong = []
    for path in _modules(PACKAGE / "runtime"):
        for module, level in _imports(path):
            top = module.split(".")[0]
            if not (level > 0 or top in sys.stdlib_module_names or top in RUNTIME):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_runtime_numerics_needs_only_numpy_and_scipy() -> None:
    for path in _modules(PACKAGE / "runtime" / "numerics"):
        for module, level in _imports(path):
            assert level in (0, 1), f"{path.name} reaches out of numerics"
            top = module.split(".")[0]
            assert level == 1 or top in sys.stdlib_module_names or top in NUMERIC, f"{path.name} imports {module}"


def test_nothing_imports_the_command_line() -> None:
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in _modules(PACKAGE)
        if any(_is_within(module, "mist_bundle.cli") for module, _ in _imports(path))
    ]
    assert [user for user in users if not user.startswith("cli/")] == ["__main__.py", "autoconfig.py"]


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for path in _modules(PACKAGE):
        text = path.read_text(encoding="utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(path.relative_to(ROOT).as_posix())
    assert not silent


def test_each_module_has_its_named_test() -> None:
    """`tests/<part>/test_<module>.py` is where a reader looks for the test of a module."""
    missing = set()
    for path in _modules(PACKAGE):
        inside = path.relative_to(PACKAGE)
        test = ROOT / "tests" / inside.parent / f"test_{inside.stem}.py"
        if not (inside.stem.startswith("__") or test.is_file()):
            missing.add(inside.with_suffix("").as_posix())
    assert not missing, "write tests/<part>/test_<module>.py"


def test_the_walk_in_the_docs_is_the_order_of_the_calls(phantom_json: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## A walk")[1]
    steps = re.findall(r"^\d+\. `([\w/]+\.py)`, `(\w+)`", text, re.MULTILINE)
    assert 8 < len(steps) <= 12
    calls: list[tuple[str, str]] = []

    def record(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            file = Path(frame.f_code.co_filename)
            step = (
                (file.relative_to(PACKAGE).as_posix(), frame.f_code.co_name) if file.is_relative_to(PACKAGE) else None
            )
            if step in steps and step not in calls:
                calls.append(step)

    words = [str(phantom_json), "--output", str(tmp_path), "--recipe", "quick", "--folds", "2"]
    sys.setprofile(record)
    try:
        code = run_verb("autoconfig", words)
    finally:
        sys.setprofile(None)
    assert code == EXIT_OK
    assert calls == steps[1:]  # the first step is the module that calls run_verb


def test_scripts_is_not_a_package() -> None:
    assert not (ROOT / "scripts" / "__init__.py").exists(), "it would shadow the scripts of every bundle"


def test_tests_mirror_the_package() -> None:
    """A folder of the package has a folder of tests, or a single file of its name where that is enough."""
    folders = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_dir() and list(path.glob("*.py"))]
    assert len(folders) > 15
    tests = ROOT / "tests"
    missing = [
        folder.as_posix()
        for folder in folders
        if not (tests / folder).is_dir() and not (tests / folder.parent / f"test_{folder.name}.py").is_file()
    ]
    assert not missing
