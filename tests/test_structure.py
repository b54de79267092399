"""scripts/structure counts what it says."""

from __future__ import annotations

import ast
import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "structure"

MODULE = '''"""A docstring
of two lines."""

def read(bundle, *, names=None, **more):
    """What it does."""
    # why
    plan = read_json(bundle / PLAN_JSON)
    text = """several
    lines"""
    return [name for name in plan]


class Reader:
    SUFFIXES = (".json", ".yaml", ".yml")

    def read(self, path):
        return path
'''


@pytest.fixture(scope="module")
def structure() -> ModuleType:
    loader = SourceFileLoader("structure", str(SCRIPT))
    spec = importlib.util.spec_from_loader("structure", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_functions(structure: ModuleType) -> None:
    functions = [node for node in ast.walk(ast.parse(MODULE)) if isinstance(node, ast.FunctionDef)]
    assert [structure.body_lines(function) for function in functions] == [4, 1]
    assert [structure.parameters(function) for function in functions] == [3, 1]


def test_lines_of_code(structure: ModuleType) -> None:
    assert list(structure.code_lines(MODULE)) == [
        "def read(bundle, *, names=None, **more):",
        "plan = read_json(bundle / PLAN_JSON)",
        'text = """several',
        'lines"""',
        "return [name for name in plan]",
        "class Reader:",
        'SUFFIXES = (".json", ".yaml", ".yml")',
        "def read(self, path):",
        "return path",
    ]


def test_places_that_know_a_fact(structure: ModuleType) -> None:
    tree = ast.parse(MODULE)
    assert structure.reads_plan(tree)
    assert structure.looks_up_config(tree)
    other = ast.parse("read_json(path)\nSUFFIXES = ('.json', '.csv')")
    assert not structure.reads_plan(other)
    assert not structure.looks_up_config(other)


def test_the_working_tree(structure: ModuleType) -> None:
    figures = structure.measure(structure.ROOT)
    assert figures["function bodies over 60 lines"] == "0"
    assert int(figures["modules"]) > 200
