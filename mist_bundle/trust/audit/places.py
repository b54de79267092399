"""Whether a text of a configuration may stand where it stands: see bundle/expressions.py for what belongs where."""

from __future__ import annotations

from collections.abc import Sequence

from mist_bundle.bundle.expressions import ARGUMENT, PATH_PLACES, REFERENCES
from mist_bundle.trust.audit.syntax import recognise

# the folder of the cases is only read; a bundle may name any
DATASET_DIR = "dataset_dir"


def argument_of(identity: Sequence[str]) -> str:
    """The argument that a value belongs to; the entries of a list stand for what the list is."""
    for part in reversed(identity):
        if not part.isdigit():
            return part
    return ""


def place_of(identity: str) -> str:
    """The place of an id as MONAI writes it, "train#cache#folder" or "run#0"."""
    parts = [part for part in identity.split("#") if not part.isdigit()]
    return parts[0] if len(parts) == 1 else f"{ARGUMENT}{parts[-1] if parts else ''}"


def is_path_in_place(place: str, value: str) -> bool:
    """Whether a text may stand at a place, as far as the place says where something is read or written.

    Args:
        place: as `place_of` gives it.
        value: the text.
    """
    is_evaluated = value.startswith(("$", "@", "%"))
    if place == DATASET_DIR:
        return is_expression_in_place(place, value) if is_evaluated else True
    if place not in PATH_PLACES:
        return True
    return value in REFERENCES.get(place, ()) or is_expression_in_place(place, value)


def is_expression_in_place(place: str, value: str) -> bool:
    """Whether a text is a known expression that may stand at a place."""
    known = recognise(value[1:]) if value.startswith("$") else None
    return known is not None and place in known.places
