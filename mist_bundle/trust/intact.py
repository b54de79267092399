"""Whether a bundle is whole and fit to be opened: before it is given away, and after it arrived."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mist_bundle.artifacts import MANIFEST_JSON, SIGNATURE, read_json
from mist_bundle.bundle.manifest import accepted_hashes, file_hashes
from mist_bundle.errors import InputError, Problem


def check_manifest(bundle: Path, files: Iterable[str], absent: Iterable[str] = ()) -> None:
    """Compare files of a bundle with its manifest.

    Args:
        bundle: its folder.
        files: paths in it of all files that count.
        absent: files that may be missing, because they are downloaded.

    Raises:
        InputError: naming every file that is not listed, is missing, or has another hash.
    """
    listed: Any = read_json(bundle / MANIFEST_JSON)
    hashes = listed.get("files") if isinstance(listed, dict) else None
    if not isinstance(hashes, dict) or listed.get("algorithm") != "sha256":
        raise InputError(Problem(MANIFEST_JSON, "is not a manifest: expected 'algorithm': 'sha256' and 'files'."))
    there = sorted(set(files) - {MANIFEST_JSON, SIGNATURE})
    found, accepted = file_hashes(bundle), accepted_hashes(listed)
    problems = [Problem(name, f"is not in {MANIFEST_JSON}.") for name in there if name not in accepted]
    missing = {name for name, one in accepted.items() if None not in one} - set(there) - set(absent)
    problems += [Problem(name, f"is missing; {MANIFEST_JSON} lists it.") for name in sorted(missing)]
    for name in there:
        if name in accepted and found.get(name) not in accepted[name]:
            message = f"was changed: its sha256 is {found.get(name)}, {MANIFEST_JSON} says {hashes.get(name)}."
            problems.append(Problem(name, message))
    if problems:
        raise InputError(problems)


def pass_audit(bundle: Path, *, trust: bool) -> None:
    """Raise InputError when a bundle does not pass the audit and the user does not vouch for it."""
    if find_spec("mist_bundle.trust.audit") is not None:
        from mist_bundle.trust.audit import require_audited

        require_audited(bundle, trust=trust)
