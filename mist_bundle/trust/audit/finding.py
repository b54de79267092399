"""Findings of an audit with their place, and the report of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mist_bundle import __version__
from mist_bundle.runtime.wording import counted
from mist_bundle.trust.audit.rules import NOTE, RULES, SEVERITIES


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A single observation of the audit.

    Attributes:
        code: the rule, a key of RULES.
        severity: of that rule.
        file: path in the bundle; the name of the archive for the archive itself.
        place: key, line or member in the file; may be empty.
        what: the observation, shortened.
        why: why that matters.
        todo: what the reader can do.
    """

    code: str
    severity: str
    file: str
    place: str
    what: str
    why: str
    todo: str

    def __str__(self) -> str:
        where = f"{self.file} {self.place}".strip()
        return f"{self.severity} [{self.code}] {where}: {self.what} {self.why} {self.todo}"


def finding(code: str, file: str, place: str, what: str) -> Finding:
    """A finding of the rule `code`."""
    rule = RULES[code]
    return Finding(
        code=code,
        severity=rule.severity,
        file=printable(file),
        place=printable(place),
        what=what,
        why=rule.why,
        todo=rule.todo,
    )


def shown(value: Any, limit: int = 120) -> str:
    """A value as a printable line of at most `limit` characters, without control characters and bidirectional marks."""
    text = ascii(value) if not isinstance(value, str) else repr(printable(value))
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def printable(text: str) -> str:
    """Text that a terminal shows as it is: what is not printable is escaped, so a report cannot be forged."""
    characters = []
    for character in text:
        characters.append(character if character.isprintable() else character.encode("unicode_escape").decode())
    return "".join(characters)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of an audit.

    Attributes:
        bundle: folder or zip that was audited.
        findings: gravest first.
        checked: number of checked files, targets, expressions …
        signed_by: fingerprint of the key whose signature was checked, or empty.
        earlier_version: the version of mist_bundle that says it wrote the bundle, where that is before this one; empty
            otherwise.
    """

    bundle: str
    findings: tuple[Finding, ...]
    checked: dict[str, int]
    signed_by: str = ""
    earlier_version: str = ""

    @property
    def advice(self) -> str:
        """What can be done with a bundle that does not pass because an earlier version wrote it; "" for others."""
        if self.passed or not self.earlier_version:
            return ""
        return (
            f"It says that mist_bundle {self.earlier_version} wrote it; this is {__version__}, which knows only what "
            "it writes itself. If you know where it comes from: --trust runs it as it is, and `mist-bundle finetune "
            f"{self.bundle} dataset.json --trust` writes a bundle of this version that begins from its weights."
        )

    @property
    def passed(self) -> bool:
        """Whether all findings are notes."""
        return all(item.severity == NOTE for item in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return {
            "bundle": self.bundle,
            "passed": self.passed,
            "signed_by": self.signed_by,
            "checked": self.checked,
            "count": self._counts(),
            "findings": list(map(asdict, self.findings)),
        }

    def __str__(self) -> str:
        blocks = []
        for item in self.findings:
            place = f" at {item.place}" if item.place else ""
            head = f"{item.severity.upper()} [{item.code}] {item.file}{place}"
            blocks.append(f"{head}\n    what: {item.what}\n    why:  {item.why}\n    do:   {item.todo}")
        verdict = "PASSED" if self.passed else "NOT PASSED"
        tail = _counted_each(self._counts())
        looked = _counted_each(self.checked)
        signed = f"\nsigned with the key {self.signed_by}" if self.signed_by else ""
        advice = f"\n{self.advice}" if self.advice else ""
        return "\n".join([*blocks, f"{verdict}: {self.bundle} ({tail}; looked at {looked}){signed}{advice}"])

    def _counts(self) -> dict[str, int]:
        severities = [item.severity for item in self.findings]
        return dict(zip(SEVERITIES, map(severities.count, SEVERITIES), strict=True))


_SINGULAR = {"hashes": "hash"}


def _counted_each(counts: Mapping[str, int]) -> str:
    words = []
    for name, count in counts.items():
        words.append(counted(count, _SINGULAR.get(name, name.removesuffix("s")), name))
    return ", ".join(words)


def sort_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Gravest first, then by file and place; the same finding twice counts once."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda item: (SEVERITIES.index(item.severity), item.file, item.place)))
