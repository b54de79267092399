"""Paths as the API receives them, `str` or `Path`, in the forms that the steps behind it take."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.api.kinds import AnyPath


def optional_path(value: AnyPath | None) -> Path | None:
    """A path; None stays None."""
    return None if value is None else Path(value)


def absolute_text(value: AnyPath | None) -> str | None:
    """An absolute path as text, which means the same in a process with another working directory; None stays None."""
    return None if value is None else str(Path(value).absolute())
