"""A user's own code: found without running it, checked for what would fail in a bundle, copied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mist_bundle import pipeline
from mist_bundle.bundle.user_code import copy_user_code, find_user_code
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions

NET = """
import math
from torch import nn

class MyNet(nn.Conv3d):
    patch_divisor = 4
    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 1)

raise SystemExit("this file must never be run to be found")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["own-code/my-net.py:MyNet", "{folder}/own-code/my-net.py:MyNet"])
def test_file_and_name(folder: Path, text: str) -> None:
    (folder / "own-code").mkdir()
    (folder / "own-code/my-net.py").write_text(NET)
    code = find_user_code(text.format(folder=folder), "--network")
    assert code.target == "scripts.user.my_net.MyNet", "a module's name is an identifier"
    assert code.patch_divisor == (4, 4, 4)
    copy_user_code([code], folder / "scripts")
    assert (folder / "scripts/user/my_net.py").read_text() == NET
    assert (folder / "scripts/user/__init__.py").read_text() == ""


def test_dotted_path_of_a_single_module(folder: Path) -> None:
    (folder / "single.py").write_text(NET)
    code = find_user_code("single.MyNet", "--network")
    assert code.target == "scripts.user.single.MyNet"
    assert [name for name, _ in code.files] == ["single.py"]


def test_package_travels_whole(folder: Path) -> None:
    package = folder / "own_package"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "deep/__init__.py").write_text("")
    (package / "deep/nets.py").write_text("from ..blocks import Block\n\nclass Net(Block):\n    pass\n")
    (package / "blocks.py").write_text("class Block:\n    pass\n")
    code = find_user_code("own_package.deep.nets.Net", "--network")
    assert code.target == "scripts.user.own_package.deep.nets.Net"
    copy_user_code([code], folder / "scripts")
    copied = {path.relative_to(folder / "scripts/user").as_posix() for path in (folder / "scripts").rglob("*.py")}
    assert copied == {"__init__.py"} | {
        f"own_package/{name}" for name in ("__init__.py", "blocks.py", "deep/__init__.py", "deep/nets.py")
    }


def test_packages_of_an_environment_below_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment made with --system-site-packages imports from the folder of another one."""
    below = tmp_path / "python3" / "site-packages"
    below.mkdir(parents=True)
    (below / "packaged_below.py").write_text("class Net: ...\n")
    monkeypatch.syspath_prepend(str(below))
    code = find_user_code("packaged_below.Net", "--network")
    assert code.target == "packaged_below.Net"
    assert not code.files


def test_installed_packages_stay_where_they_are() -> None:
    code = find_user_code("monai.networks.nets.VNet", "--network")
    assert (code.target, code.files) == ("monai.networks.nets.VNet", ())


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        (NET, "net.py:MyNett", r"Did you mean 'MyNet'"),
        (NET, "net.py", r"names 'nothing' in .*net.py, which defines MyNet, nn"),
        ("class Broken(:", "net.py:Broken", r"net.py: is not valid Python: .* line 1"),
        (
            "import helpers\nclass Net: ...",
            "net.py:Net",
            r"imports helpers in line 1, which is not an installed package",
        ),
        ("from .helpers import x\nclass Net: ...", "net.py:Net", r"imports its neighbour in line 1"),
        ("import mist_bundle\nclass Net: ...", "net.py:Net", r"where mist_bundle is not installed"),
        ("class Net:\n    patch_divisor = 'x'", "net.py:Net", r"patch_divisor is 'x'; expected a whole number"),
        ("class Net:\n    needs_distance_maps = 'yes'", "net.py:Net", r"needs_distance_maps is 'yes'; expected True"),
        ("", "absent.py:Net", r"names absent.py, which does not exist"),
        ("", "no_such_module_here.Net", r"no Python module 'no_such_module_here'.*On the menu: nnunet"),
    ],
)
def test_what_would_fail_in_a_bundle_is_refused(folder: Path, source: str, text: str, message: str) -> None:
    (folder / "net.py").write_text(source)
    (folder / "helpers.py").write_text("x = 1")
    with pytest.raises(InputError, match=message):
        find_user_code(text, "--network", ["nnunet"])


def test_package_that_names_itself_is_refused(folder: Path) -> None:
    package = folder / "selfish"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from selfish import blocks\nclass Net: ...")
    with pytest.raises(InputError, match="import it relatively"):
        find_user_code("selfish.nets.Net", "--network")


@pytest.mark.parametrize(
    ("line", "needs"), [("", False), ("needs_distance_maps = True", True), ("other = True", False)]
)
def test_loss_says_that_it_needs_distance_maps(folder: Path, line: str, needs: bool) -> None:
    (folder / "own.py").write_text(f"class Loss:\n    {line or 'pass'}\n")
    assert find_user_code("own.py:Loss", "--loss").needs_distance_maps is needs


def test_own_loss_gets_its_maps_and_everything_wrong_is_said_at_once(folder: Path, phantom_json: Path) -> None:
    code = "class Loss:\n    needs_distance_maps = True\n\n    def __call__(self, logits, target):\n"
    (folder / "own.py").write_text(f"{code}        return (logits * target['dtm']).mean()\n")
    options = PlanOptions(recipe="quick", folds=2, regions=False, loss="own.py:Loss", distance_maps_in_mm=True)
    made = pipeline.autoconfig(phantom_json, folder / "out", options)
    assert made.plan.distance_maps.value is True
    config = json.loads((made.bundle / "configs/train.json").read_text())
    assert config["train"]["cache"]["keys"] == ["image", "label", "dtm"]
    assert "prepare_batch" in config["train"]["trainer"]
    assert config["loss"]["loss"]["_target_"] == "scripts.user.own.Loss"
    with pytest.raises(InputError) as refused:
        pipeline.autoconfig(phantom_json, folder / "no", replace(options, loss="own.py:Lost", optimizer="adma"))
    assert "Did you mean 'Loss'?" in str(refused.value)
    assert "Did you mean 'adam'?" in str(refused.value)
