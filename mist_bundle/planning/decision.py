"""A decided value together with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Decision(Generic[Value]):
    """A decided value and the sentence that says why."""

    value: Value
    because: str
