"""Verbs that give a bundle away: export, pack, unpack, bump, push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mist_bundle.cli.kinds import FileName, Words
from mist_bundle.cli.words import bundle_folder, optional_path
from mist_bundle.errors import CaseFailure
from mist_bundle.runtime.values import Number, Word

# Heavy imports stand inside the verbs, so that --help answers at once.


def export(
    bundle: FileName,
    format: Words = ("all",),
    output: FileName | None = None,
    trust: bool = False,
    overwrite: bool = False,
) -> None:
    """Write the network in the formats of other programs, each compared with the original on two inputs.

    Args:
        bundle: a trained bundle.
        format: torchscript, torch_export, onnx, state_dict, safetensors, several of them (a,b), or all.
        output: folder for the files; the bundle's models/ by default.
        trust: go on with a bundle that does not pass the audit; its configuration is evaluated.
        overwrite: replace files that are there already.
    """
    from mist_bundle.sharing.export import export_bundle, report_table

    report = export_bundle(bundle_folder(bundle), list(format), optional_path(output), trust=trust, overwrite=overwrite)
    print(report_table(report))
    print(f"Files: {report.folder}\nReport: {report.report}")
    if report.problems():
        raise CaseFailure(report.problems(), len(report.formats), "formats")


def pack(
    bundle: FileName,
    output: FileName,
    large_files_url: str | None = None,
    large_files_limit_mb: Annotated[float, Number(low=0, open_low=True)] = 25.0,
    overwrite: bool = False,
) -> None:
    """Make one zip file of a bundle; the same files always give the same bytes.

    Args:
        bundle: the bundle's folder.
        output: the zip file.
        large_files_url: leave files above the limit out, and list them in large_files.yml as lying below this address.
        large_files_limit_mb: megabytes above which a file is large.
        overwrite: replace a file that is there already.
    """
    from mist_bundle.sharing.pack import pack_bundle

    packed = pack_bundle(
        bundle_folder(bundle),
        Path(output),
        large_files_url=large_files_url,
        large_files_limit_mb=large_files_limit_mb,
        overwrite=overwrite,
    )
    print(f"{packed.num_files} files: {packed.file}\nsha256: {packed.sha256}")
    for name, url in packed.large_files.items():
        print(f"Not in it; put {name} at {url}")


def unpack(archive: FileName, output: FileName = ".", trust: bool = False, overwrite: bool = False) -> None:
    """Check a zip file with a bundle in it, and write the bundle's folder; nothing of it is executed.

    Args:
        archive: the zip file.
        output: folder that the bundle's folder is made in.
        trust: accept a bundle that does not pass the audit or has no MANIFEST.json.
        overwrite: replace a bundle that is there already.
    """
    from mist_bundle.sharing.unpack import large_file_paths, unpack_bundle

    bundle = unpack_bundle(Path(archive), Path(output), trust=trust, overwrite=overwrite)
    print(f"Bundle: {bundle}")
    missing = [name for name in large_file_paths(bundle) if not (bundle / name).is_file()]
    if missing:
        print(f"Still to download: {', '.join(missing)}")
        print(f"python -m monai.bundle download_large_files --bundle_path {bundle}")


def bump(
    bundle: FileName,
    message: str,
    part: Annotated[str, Word(choices=("major", "minor", "patch"), what="part")] = "patch",
) -> None:
    """Raise the bundle's version and say in its changelog what changed.

    Args:
        bundle: the bundle's folder.
        message: what changed, in a sentence.
        part: major, minor or patch.
    """
    from mist_bundle.sharing.version import bump_version

    print(f"Version {bump_version(bundle_folder(bundle), message, part)}")


def push(bundle: FileName, repo: str, public: bool = False) -> None:
    """Upload a bundle to Hugging Face and tag it with its version (log in with `hf auth login`, or set HF_TOKEN).

    Args:
        bundle: the bundle's folder.
        repo: organisation/name; made where it does not exist.
        public: a repository that is made can be seen by all.
    """
    from mist_bundle.sharing.push import push_bundle

    print(f"Uploaded: {push_bundle(bundle_folder(bundle), repo, private=not public)}")
