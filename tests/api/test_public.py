"""The public names of the Python API."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle.api.arguments import arguments_of

ROOT = Path(__file__).resolve().parents[2]
# a contract with users' programs: none is renamed or taken away
NAMES = (
    "Bundle CaseFailure CaseLeftOut DataWarning InputError MistBundleError __version__ analyze audit_bundle "
    "average_weights compare configure convert_bids convert_csv convert_dicom convert_labels convert_msd "
    "convert_nnunet ensemble evaluate finetune import_mist import_nnunet make_key merge_datasets merge_fingerprints "
    "phantom postprocess rank run_all study unpack verify_bundle"
)
METHODS = (
    "audit bump_version choose_postprocessing evaluate export finalize finetune pack plan predict preprocess publish "
    "push report scores scores_by_case sign train trained_folds verify"
)
FUNCTIONS = [name for name in NAMES.split() if inspect.isfunction(getattr(mb, name))]
METHODS_OF_BUNDLE = [name for name in METHODS.split() if inspect.isfunction(getattr(mb.Bundle, name))]


def test_public_names_are_frozen_and_each_can_be_imported() -> None:
    assert mb.__all__ == NAMES.split()
    assert set(NAMES.split()) <= set(dir(mb))
    for name in mb.__all__:
        assert getattr(mb, name) is not None
    assert set(METHODS.split()) <= set(dir(mb.Bundle))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mb.nothing  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "mist_bundle" / "__init__.py").read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    imported = [alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(imported) == sorted(set(mb.__all__) - {"__version__"})


@pytest.mark.parametrize("name", [*FUNCTIONS, *(f"Bundle.{name}" for name in METHODS_OF_BUNDLE)])
def test_every_public_function_is_documented_and_typed(name: str) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert (f".{name.removeprefix('Bundle.')}" if "Bundle." in name else f"mb.{name}") in page
    function = getattr(mb.Bundle, name.removeprefix("Bundle.")) if "Bundle." in name else getattr(mb, name)
    assert inspect.getdoc(function)
    for parameter in list(inspect.signature(function).parameters.values()):
        assert parameter.name == "self" or parameter.annotation is not parameter.empty
    assert all(argument.about for argument in arguments_of(function) if not name.startswith("Bundle."))


@pytest.mark.parametrize("name", [name for name in NAMES.split() if name not in FUNCTIONS and name != "__version__"])
def test_every_public_class_is_documented(name: str) -> None:
    assert name in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert inspect.getdoc(getattr(mb, name))


def test_importing_costs_nothing() -> None:
    code = "import sys, mist_bundle\nassert not {'torch', 'monai', 'numpy', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_paths_may_be_text_or_path_objects() -> None:
    for name in ("configure", "finetune", "unpack", "convert_csv"):
        output = typing.get_type_hints(inspect.unwrap(getattr(mb, name)), localns=_Anything())["output"]
        assert str in typing.get_args(output)
        assert any("PathLike" in str(kind) for kind in typing.get_args(output))


class _Anything(dict):  # type: ignore[type-arg]  # names that only type checkers import
    def __missing__(self, name: str) -> object:
        if name in ("Finished", "Analyzed", "Configured"):
            return object
        raise KeyError(name)
