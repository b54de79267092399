"""Whether a bundle is whole and fit to be opened: before it is shared, and after it was received."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from mist_bundle.bundle.manifest import differences
from mist_bundle.errors import InputError, Problem


def check_manifest(bundle: Path, absent: Iterable[str] = ()) -> None:
    """Compare the files of a bundle with its manifest.

    Args:
        bundle: its folder.
        absent: files that may be missing, because they are downloaded.

    Raises:
        InputError: naming every file that is not listed, is missing, or has another hash.
    """
    expected = set(absent)
    problems = []
    for difference in differences(bundle):
        if difference.kind != "missing" or difference.name not in expected:
            problems.append(Problem(difference.name, str(difference)))
    if problems:
        raise InputError(problems)


def pass_audit(bundle: Path, *, trust: bool) -> None:
    """Raise InputError when a bundle does not pass the audit and the user does not vouch for it."""
    if find_spec("mist_bundle.trust.audit") is not None:
        from mist_bundle.trust.audit import require_audited

        require_audited(bundle, trust=trust)
