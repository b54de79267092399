"""Verbs that give a bundle away: export, pack, unpack, bump, push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName, Words
from mist_bundle.errors import CaseFailure, InputError, Problem

DATA_ONLY = "data_only"


@takes(mb.Bundle.export, besides=("formats",))
def export(bundle: FileName, format: Words = ("all",), **arguments: Any) -> None:
    """Write the network in the formats of other programs, each compared with the original on two inputs.

    Args:
        bundle: a trained bundle.
        format: torchscript, torch_export, onnx, state_dict, safetensors, several of them (a,b), or all; data_only for a
            bundle of MONAI's classes without any Python file, which needs --output.
    """
    from mist_bundle.sharing.export import report_table

    if DATA_ONLY in format:
        _export_data_only(bundle, format, arguments)
        return
    report = mb.Bundle(bundle).export(format, **arguments)
    print(report_table(report))
    print(f"Files: {report.folder}\nReport: {report.report}")
    if report.problems():
        raise CaseFailure(report.problems(), len(report.formats), "formats")


def _export_data_only(bundle: FileName, formats: Sequence[str], arguments: Mapping[str, Any]) -> None:
    output = arguments.get("output")
    problems = []
    if list(formats) != [DATA_ONLY]:
        problems.append(Problem("--format", f"{DATA_ONLY} makes a folder of its own. Export the other formats apart."))
    if output is None:
        problems.append(Problem("--output", f"is missing: {DATA_ONLY} writes a new bundle there."))
    if arguments.get("overwrite"):
        problems.append(Problem("--overwrite", f"is not for {DATA_ONLY}: give a new folder."))
    if output is None or problems:
        raise InputError(problems)
    done = mb.Bundle(bundle).export_data_only(output, trust=bool(arguments.get("trust")))
    print(f"{done.equal_voxels:.2%} of the voxels of a synthetic case are predicted as by {bundle}.")
    print(f"Bundle without code: {done.folder}")


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
