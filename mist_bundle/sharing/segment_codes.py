"""What a segment of a DICOM segmentation is, in codes of SNOMED CT: by the name of its class, or as the user says.

The table segment_codes.json has common anatomy and lesions; its codes are those of DICOM PS3.16 (CID 7150 to 7192). A
name that is not in it is "Tissue", category and type, which says nothing wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from mist_bundle.errors import InputError, Problem
from mist_bundle.resources import own_text
from mist_bundle.runtime.wording import did_you_mean

_TABLE = "sharing/segment_codes.json"
_KEYS = ("category", "type", "modifier")
_EXPECTED = 'expected ["CODE", "SCHEME", "MEANING"], such as ["10200004", "SCT", "Liver"]'
_LONGEST = (16, 16, 64)  # characters of a code, a scheme and a meaning in DICOM


class Concept(NamedTuple):
    """A code, the scheme that defines it, and what it means."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class SegmentCode:
    """What a segment is.

    Attributes:
        category: Anatomical Structure, Tissue …
        type: Liver, Neoplasm …
        modifier: Left or Right, or None.
        known: whether the table or the user has it, rather than the fallback.
    """

    category: Concept
    type: Concept
    modifier: Concept | None = None
    known: bool = True


def code_of_name(name: str) -> SegmentCode:
    """The code of a class by its name: letter case, punctuation and a plural do not matter, a side is its modifier."""
    words, table = _words(name), _table()
    whole = table.types.get(_key(words))
    if whole is not None:  # "left ventricle" of the heart is not a ventricle on the left
        return whole
    sides = [word for word in words if word in table.sides]
    of_both_sides = table.types.get(_key([word for word in words if word not in table.sides]))
    if of_both_sides is not None and len(sides) == 1:
        return replace(of_both_sides, modifier=table.sides[sides[0]])
    last = table.types.get(_key(words[-1:]))
    if last is not None and last.category == table.categories["lesion"]:
        return last  # "liver tumour" is a tumour
    tissue = table.categories["tissue"]
    return SegmentCode(tissue, tissue, known=False)


def read_codes(content: Mapping[str, Any], names: Sequence[str]) -> dict[str, SegmentCode]:
    """Codes that a user gives by the name of a class: {"liver": {"category": […], "type": […], "modifier": […]}}.

    The category is "Anatomical Structure" and the modifier none where they are left out.

    Raises:
        InputError: a name is not a class, or a code is not complete; all problems at once.
    """
    codes: dict[str, SegmentCode] = {}
    problems = []
    for name, entry in content.items():
        where = f"--segment_codes: {name}"
        if name not in names:
            hint = did_you_mean(name, names)
            problems.append(Problem(where, f"is not a class of this bundle ({', '.join(names)}).{hint}"))
            continue
        findings = _findings(entry)
        if findings:
            problems += [Problem(where, finding) for finding in findings]
            continue
        concepts = {key: Concept(*value) for key, value in entry.items()}
        category = concepts.get("category", _table().categories["anatomy"])
        codes[name] = SegmentCode(category, concepts["type"], concepts.get("modifier"))
    if problems:
        raise InputError(problems)
    return codes


def _findings(entry: Any) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f'is {entry!r}; expected an object with "type", and perhaps "category" and "modifier".']
    findings = [f'has a key "{key}"; expected {", ".join(_KEYS)}.' for key in entry if key not in _KEYS]
    if "type" not in entry:
        findings.append(f'has no "type"; {_EXPECTED}.')
    for key, value in entry.items():
        if key in _KEYS and not _is_concept(value):
            findings.append(f'"{key}" is {json.dumps(value)}; {_EXPECTED}, of at most 16, 16 and 64 characters.')
    return findings


def _is_concept(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != len(_LONGEST):
        return False
    for text, longest in zip(value, _LONGEST, strict=True):
        if not isinstance(text, str) or not 0 < len(text) <= longest:
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Table:
    categories: Mapping[str, Concept]
    sides: Mapping[str, Concept]
    types: Mapping[str, SegmentCode]  # by the key of a name


@lru_cache(maxsize=1)
def _table() -> _Table:
    content = json.loads(own_text(_TABLE))
    scheme = content["scheme"]
    categories = {name: Concept(code, scheme, meaning) for name, (code, meaning) in content["categories"].items()}
    sides, types = {}, {}
    for row in content["sides"]:
        for name in row["names"]:
            sides[name] = Concept(row["code"], scheme, row["meaning"])
    for row in content["types"]:
        code = SegmentCode(categories[row["category"]], Concept(row["code"], scheme, row["meaning"]))
        for name in row["names"]:
            types[_key(_words(name))] = code
    return _Table(categories, sides, types)


def _words(name: str) -> list[str]:
    """Words of a name in lower case: "kidneyLeft" and "kidney_left" are two words each, and "T12" is "t" and "12"."""
    return re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def _key(words: Sequence[str]) -> str:
    """Words in any order, without the s of a plural."""
    return " ".join(sorted(word.removesuffix("s") if len(word) > 3 else word for word in words))
