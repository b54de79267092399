"""Lean imports find what plain MONAI finds, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mist_bundle.bundle.vendor import RUNTIME
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
from monai.transforms import LoadImaged
LoadImaged(keys="image", reader="NibabelReader")
import monai.handlers, monai.inferers
from monai.networks.nets import DynUNet
heavy = ("matplotlib", "pandas", "scipy.signal", "scipy.sparse.linalg", "scipy.optimize", "scipy.sparse.csgraph",
         "scipy.spatial", "sympy", "monai.losses", "torch._inductor")
loaded = [name for name in heavy if name in sys.modules]
assert not loaded, loaded
import ignite.handlers, monai.engines, pandas, scipy.signal, torch.distributed.optim
assert issubclass(torch.distributed.optim.ZeroRedundancyOptimizer, torch.optim.Optimizer)
assert monai.losses.DiceLoss and monai.visualize and pandas.DataFrame and scipy.signal.hilbert
try:
    monai.no_such_module
except AttributeError as error:
    print(error)
"""
    assert _output(_LEAN + program) == "module 'monai' has no attribute 'no_such_module'"


USES = """
seen = []
from monai.networks.nets import UNet, dynunet
seen += [UNet.__module__, dynunet.DynUNet.__module__]
from monai.data import PydicomReader
from pydicom.data import get_testdata_file
reader = PydicomReader()
array, _ = reader.get_data(reader.read(get_testdata_file("CT_small.dcm")))
seen += [array.shape, float(array.sum())]
import torch
from monai.metrics import compute_panoptic_quality
masks = torch.tensor([[[1, 0], [2, 2]], [[1, 1], [1, 0]]])
seen.append(compute_panoptic_quality(pred=masks, gt=masks.clone(), output_confusion_matrix=True).tolist())
from monai.metrics import compute_average_surface_distance
masks = torch.zeros(2, 1, 2, 8, 8, 8)
masks[0, :, 1, 2:5, 2:6, 2:7] = masks[1, :, 1, 3:7, 2:6, 2:7] = 1
seen.append(compute_average_surface_distance(*masks).tolist())
from monai.inferers import SaliencyInferer
layers = torch.nn.Conv2d(1, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(2, 2)
seen.append(SaliencyInferer("GradCAM", "0")(torch.ones(1, 1, 8, 8), torch.nn.Sequential(*layers)).shape)
import tempfile
from monai.handlers import TensorBoardStatsHandler
with tempfile.TemporaryDirectory() as folder:
    handler = TensorBoardStatsHandler(log_dir=folder)
    seen.append(type(handler._writer).__module__)
    handler.close()
print(seen)
"""


def test_what_is_used_later_is_what_it_would_have_been() -> None:
    assert _output(_LEAN + USES) == _output(USES)


FIRST = """
import importlib, os
import monai.transforms, monai.networks
for name in {names!r}:
    child = os.fork()
    if not child:
        importlib.import_module(name)
        from monai.networks import blocks, nets
        assert blocks.Convolution is nets.unet.Convolution, name
        os._exit(0)
    assert not os.waitpid(child, 0)[1], name
print(len({names!r}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not copy processes")
def test_every_network_of_a_bundle_may_be_what_first_needs_monais() -> None:
    names = ["monai.networks.blocks", "monai.networks.blocks.dynunet_block", "monai.networks.nets.dynunet"]
    for file in sorted((RUNTIME / "networks").glob("*.py")):
        names.append(f"mist_bundle.runtime.networks.{file.stem}")
    assert _output(_LEAN + FIRST.format(names=names)) == str(len(names))


def test_threads_may_import_parts_of_a_package_while_others_use_it() -> None:
    program = """
import faulthandler, sys, threading, time
faulthandler.dump_traceback_later(60, exit=True)  # a deadlock fails
import pydicom
sys.setswitchinterval(1e-5)
reading = threading.Thread(target=lambda: pydicom.dcmread)
reading.start()
while "pydicom.config" not in sys.modules:  # pydicom is being executed, if it was not before
    time.sleep(1e-4)
import pydicom.dataset
reading.join()
print("done")
"""
    assert _output(_LEAN + program) == "done"


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
