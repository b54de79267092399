"""Lean imports find what plain MONAI finds, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from mist_bundle.trust.audit.targets import SHORT_NAMES

_LEAN = """
from mist_bundle.bundle.lean_imports import install
install()
import sys
import monai.bundle
"""
_FIND = """
from monai.bundle.config_item import ComponentLocator
import json
import monai
table = {{}}
for name in {names!r}:
    found = ComponentLocator().get_component_module_name(name)
    table[name] = found if isinstance(found, str) or found is None else sorted(found)
print(json.dumps(table))
"""


def _output(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_components_are_found_where_monai_finds_them() -> None:
    names = [
        *sorted(SHORT_NAMES),
        "SegResNet",
        "DiceLoss",
        "Novograd",
        "LoadImageD",
        "scripts.of.a.Bundle",
        "NoSuchThing",
    ]
    plain = "import monai.bundle, monai.engines, monai.handlers\n"
    assert _output(_LEAN + _FIND.format(names=names)) == _output(plain + _FIND.format(names=names))


def test_what_no_workflow_uses_is_not_imported_and_can_be_imported_later() -> None:
    program = """
heavy = [name for name in ("matplotlib", "pandas", "scipy.signal", "sympy", "monai.losses") if name in sys.modules]
assert not heavy, heavy
import ignite.handlers, monai.engines, monai.handlers, pandas, scipy.signal, torch.distributed.optim
assert issubclass(torch.distributed.optim.ZeroRedundancyOptimizer, torch.optim.Optimizer)
assert monai.losses.DiceLoss and monai.visualize and pandas.DataFrame and scipy.signal.hilbert
try:
    monai.no_such_module
except AttributeError as error:
    print(error)
"""
    assert _output(_LEAN + program) == "module 'monai' has no attribute 'no_such_module'"


def test_nothing_changes_where_monai_is_there_already() -> None:
    program = """
import sys
import monai
before = list(sys.meta_path)
from mist_bundle.bundle.lean_imports import install
install()
print(sys.meta_path == before)
"""
    assert _output(program) == "True"
