"""Verbs that give a bundle away: export, pack, unpack, bump, push."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName, Words
from mist_bundle.bundle.manifest import Manifest
from mist_bundle.errors import CaseFailure, InputError, Problem


@takes(mb.Bundle.export, besides=("formats",))
def export(bundle: FileName, format: Words = ("all",), **arguments: Any) -> None:
    """Write the network in the formats of other programs, each compared with the original on two inputs.

    Args:
        bundle: a trained bundle.
        format: torchscript, torch_export, onnx, state_dict, safetensors, several of them (a,b), or all. Alone and with
            --output: data_only for a bundle of MONAI's classes without any Python file, triton for a model repository
            of Triton Inference Server, container for the recipe of a container.
    """
    from mist_bundle.sharing.export import report_table

    for name, write in _FOLDERS.items():
        if name in format:
            write(bundle, _folder(name, format, arguments), bool(arguments.get("trust")))
            return
    report = mb.Bundle(bundle).export(format, **arguments)
    print(report_table(report))
    print(f"Files: {report.folder}\nReport: {report.report}")
    if report.problems():
        raise CaseFailure(report.problems(), len(report.formats), "formats")


def _folder(name: str, format: Sequence[str], arguments: Mapping[str, Any]) -> FileName:
    """The --output of a format that writes a folder."""
    output = arguments.get("output")
    problems = []
    if list(format) != [name]:
        problems.append(Problem("--format", f"{name} makes a folder of its own. Export the other formats apart."))
    if output is None:
        problems.append(Problem("--output", f"is missing: {name} writes a new folder there."))
    if arguments.get("overwrite"):
        problems.append(Problem("--overwrite", f"is not for {name}: give a new folder."))
    if output is None or problems:
        raise InputError(problems)
    folder: FileName = output
    return folder


def _data_only(bundle: FileName, output: FileName, trust: bool) -> None:
    done = mb.Bundle(bundle).export_data_only(output, trust=trust)
    print(f"{done.equal_voxels:.2%} of the voxels of a synthetic case are predicted as by {bundle}.")
    print(f"Bundle without code: {done.folder}")


def _triton(bundle: FileName, output: FileName, trust: bool) -> None:
    done = mb.Bundle(bundle).export_triton(output, trust=trust)
    differences = ", ".join(map("{:.2e}".format, done.exported.max_abs_difference))
    print(f"Largest differences of the logits from the network's: {differences}")
    print(f"Model: {done.folder}\ntritonserver --model-repository={done.folder.parent}")


def _container(bundle: FileName, output: FileName, trust: bool) -> None:
    done = mb.Bundle(bundle).export_container(output, trust=trust)
    print(f"docker build --tag {done.tag} {done.folder}")


_FOLDERS: dict[str, Callable[[FileName, FileName, bool], None]] = {
    "data_only": _data_only,
    "triton": _triton,
    "container": _container,
}


@takes(mb.Bundle.pack)
def pack(bundle: FileName, **arguments: Any) -> None:
    """Write a bundle as a single zip file; the same files always give the same bytes.

    Args:
        bundle: the bundle's folder.
    """
    packed = mb.Bundle(bundle).pack(**arguments)
    print(f"{packed.num_files} files: {packed.file}\nsha256: {packed.sha256}")
    for name, url in packed.large_files.items():
        print(f"Not in it; put {name} at {url}")
    _say_kept(packed.kept_weights)


@takes(mb.unpack)
def unpack(**arguments: Any) -> None:
    """Check a zip file with a bundle in it, and write the bundle's folder; nothing of it is executed."""
    from mist_bundle.sharing.unpack import large_file_paths

    bundle = mb.unpack(**arguments).root
    print(f"Bundle: {bundle}")
    missing = [name for name in large_file_paths(bundle) if not (bundle / name).is_file()]
    if missing:
        print(f"Still to download: {', '.join(missing)}")
        print(f"python -m monai.bundle download_large_files --bundle_path {bundle}")


@takes(mb.Bundle.bump_version)
def bump(bundle: FileName, **arguments: Any) -> None:
    """Raise the bundle's version and add an entry to its changelog.

    Args:
        bundle: the bundle's folder.
    """
    print(f"Version {mb.Bundle(bundle).bump_version(**arguments)}")


@takes(mb.Bundle.push)
def push(bundle: FileName, **arguments: Any) -> None:
    """Upload a bundle to Hugging Face and tag it with its version (log in with `hf auth login`, or set HF_TOKEN).

    Args:
        bundle: the bundle's folder.
    """
    print(f"Uploaded: {mb.Bundle(bundle).push(**arguments)}")
    _say_kept(Manifest.read(Path(bundle)).kept_weights)


def _say_kept(names: Sequence[str]) -> None:
    if names:
        print(f"Earlier weights were left out: {', '.join(names)}")
