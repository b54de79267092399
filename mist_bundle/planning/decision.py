"""A decided value with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Decision(Generic[Value]):
    """A decided value and a sentence that explains it."""

    value: Value
    because: str
