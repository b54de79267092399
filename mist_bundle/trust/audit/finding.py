"""What an audit reports: findings with their place, and a table that says why each matters and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mist_bundle import __version__

DANGER = "danger"  # would run code, reach outside the bundle, or is designed to deceive
UNPROVEN = "unproven"  # not among what this project generates: a person has to look
NOTE = "note"  # worth knowing; the bundle passes
SEVERITIES = (DANGER, UNPROVEN, NOTE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Why a kind of finding matters, and what its reader can do."""

    severity: str
    why: str
    todo: str


_LOOK = "Read it; if you trust its author, run with --trust."
_LEAVE = "Do not run this bundle; ask its author for a clean copy."

RULES: dict[str, Rule] = {
    # configurations
    "target": Rule(severity=DANGER, why="`_target_` names any callable of any package and calls it.", todo=_LEAVE),
    "unknown-target": Rule(
        severity=UNPROVEN, why="This component is not among those that generated bundles use.", todo=_LOOK
    ),
    "target-argument": Rule(
        severity=DANGER, why="This argument is itself imported, downloaded or called by the component.", todo=_LEAVE
    ),
    "expression": Rule(
        severity=DANGER,
        why="A `$` expression is Python that is evaluated when the bundle is run or loaded.",
        todo=_LEAVE,
    ),
    "expression-place": Rule(
        severity=UNPROVEN, why="Generated bundles have this `$` expression at other places only.", todo=_LOOK
    ),
    "import": Rule(severity=DANGER, why="`$import` runs a module as soon as anything is resolved.", todo=_LEAVE),
    "macro": Rule(
        severity=DANGER,
        why="A `%` macro may pull in any JSON or YAML file of the machine, `$` expressions included.",
        todo=_LEAVE,
    ),
    "mode": Rule(severity=DANGER, why="`_mode_` and `_debug_` open a debugger or hand callables around.", todo=_LEAVE),
    "spatial-shape": Rule(
        severity=DANGER, why="Strings in `spatial_shape` are evaluated by checks and exports.", todo=_LEAVE
    ),
    "path": Rule(
        severity=DANGER,
        why="The path leaves the bundle, its work folder and its data.",
        todo="Give such paths on the command line.",
    ),
    "place": Rule(
        severity=DANGER,
        why="It says what is imported, loaded or written, and generated bundles say something else here.",
        todo="Give other places on the command line.",
    ),
    "archive-member": Rule(
        severity=DANGER,
        why="No torch archive holds such a member; Python imports modules from archives on its path.",
        todo=_LEAVE,
    ),
    "path-read": Rule(
        severity=NOTE, why="Cases are read from there; other machines have no such folder.", todo="Use --dataset_dir."
    ),
    "case-id": Rule(severity=DANGER, why="Files are named after case ids.", todo=_LEAVE),
    "url": Rule(severity=UNPROVEN, why="Something is fetched from, or sent to, another machine.", todo=_LOOK),
    "requirement": Rule(
        severity=UNPROVEN,
        why="Receivers install what the metadata list.",
        todo="Look the package up before installing it.",
    ),
    "config-unreadable": Rule(
        severity=UNPROVEN, why="What cannot be parsed cannot be checked; another parser may read it.", todo=_LEAVE
    ),
    "config-size": Rule(severity=DANGER, why="Parsing it could exhaust the memory or the stack.", todo=_LEAVE),
    "duplicate-key": Rule(severity=DANGER, why="Parsers disagree on which of two equal keys counts.", todo=_LEAVE),
    "yaml-tag": Rule(severity=DANGER, why="YAML tags make objects of any class.", todo=_LEAVE),
    "logging": Rule(
        severity=DANGER, why="logging.conf's class and args are evaluated before anything else is read.", todo=_LEAVE
    ),
    # code
    "script-changed": Rule(
        severity=DANGER,
        why="scripts/ runs as it is; this file differs from the released file.",
        todo="Read the difference below; --trust runs it.",
    ),
    "script-added": Rule(
        severity=UNPROVEN, why="scripts/ runs as it is; no release holds this file.", todo="Read it; --trust runs it."
    ),
    "script-missing": Rule(
        severity=UNPROVEN,
        why="A module of that name elsewhere on the path could take its place.",
        todo="Make the bundle again.",
    ),
    "shadowing": Rule(
        severity=DANGER, why="The bundle's folder stands on sys.path before the installed packages.", todo=_LEAVE
    ),
    "code": Rule(
        severity=DANGER, why="A bundle's only code is scripts/; this would be run by other programs.", todo=_LEAVE
    ),
    "executable": Rule(severity=DANGER, why="A bundle is data; programs have no place in it.", todo=_LEAVE),
    "bytecode": Rule(
        severity=DANGER,
        why="Python may run compiled files instead of the sources beside them.",
        todo="Delete all __pycache__ folders and .pyc files; Python makes them again.",
    ),
    # weights and arrays
    "pickle": Rule(severity=DANGER, why="Unpickling it calls what it names.", todo=_LEAVE),
    "pickle-unknown": Rule(
        severity=UNPROVEN,
        why="It is no plain state dict; weights_only loading would refuse it.",
        todo="Ask for safetensors or a plain state dict.",
    ),
    "weights-broken": Rule(
        severity=UNPROVEN, why="The file is truncated or malformed.", todo="Copy or download it again."
    ),
    "torchscript": Rule(
        severity=DANGER,
        why="A TorchScript program reads or writes files, or pretends to be plain weights.",
        todo=_LEAVE,
    ),
    "program": Rule(
        severity=NOTE,
        why="It holds a program. train, evaluate, predict and finetune never open it.",
        todo="Open it only if you trust its author; model.pt has the same weights.",
    ),
    # files
    "zip-path": Rule(severity=DANGER, why="Unpacking would write outside the target folder.", todo=_LEAVE),
    "zip-bomb": Rule(severity=DANGER, why="Unpacking would fill the disk or the memory.", todo=_LEAVE),
    "zip-names": Rule(severity=DANGER, why="Programs disagree on which file counts.", todo=_LEAVE),
    "zip-damaged": Rule(
        severity=UNPROVEN, why="The archive is truncated, encrypted or malformed.", todo="Copy or download it again."
    ),
    "zip-layout": Rule(
        severity=UNPROVEN,
        why="A bundle's zip holds a single folder with the bundle's name.",
        todo="Pack it again with `pack`.",
    ),
    "link": Rule(severity=DANGER, why="A link leads the reader to another file than the audited file.", todo=_LEAVE),
    "special-file": Rule(severity=DANGER, why="A bundle holds plain files only.", todo=_LEAVE),
    "large-files": Rule(severity=DANGER, why="download_large_files writes what it fetches to this path.", todo=_LEAVE),
    "large-files-hash": Rule(
        severity=UNPROVEN, why="A download cannot be distinguished from a forgery.", todo="Ask for sha256 hashes."
    ),
    "unexpected-file": Rule(
        severity=NOTE, why="Generated bundles have no such file; nothing here runs it.", todo="Look at it."
    ),
    # manifest
    "manifest-missing": Rule(
        severity=NOTE,
        why="Later changes cannot be seen.",
        todo="Ask the author for MANIFEST.json, or write it with `finalize`.",
    ),
    "manifest-broken": Rule(
        severity=UNPROVEN, why="The hashes cannot be read.", todo="Copy or download the bundle again."
    ),
    "manifest-mismatch": Rule(
        severity=UNPROVEN,
        why="The file is not the file that the manifest describes.",
        todo="Copy or download it again, or ask the author.",
    ),
    "manifest-edited": Rule(
        severity=NOTE,
        why="The text was edited after the manifest was written; its content was checked.",
        todo="Nothing, if you edited it.",
    ),
    "manifest-unlisted": Rule(
        severity=NOTE, why="The file was added after the manifest was written.", todo="Nothing, if you added it."
    ),
    "file-missing": Rule(severity=UNPROVEN, why="The manifest lists it.", todo="Copy or download the bundle again."),
    "file-elsewhere": Rule(
        severity=NOTE,
        why="large_files.yml says where it lies; its sha256 is the manifest's.",
        todo="Fetch it with `python -m monai.bundle download_large_files`.",
    ),
    "signature-missing": Rule(
        severity=UNPROVEN,
        why="--public_key requires a signature, and nothing here is signed.",
        todo="Ask the author for MANIFEST.json.sig.",
    ),
    "signature-wrong": Rule(
        severity=DANGER, why="The manifest was not signed with this key, or was changed since.", todo=_LEAVE
    ),
    "signature-unlisted": Rule(
        severity=DANGER, why="With --public_key, the signature has to cover every file.", todo=_LEAVE
    ),
    "signature-unchecked": Rule(
        severity=NOTE, why="There is a signature; whose, only a public key tells.", todo="Pass --public_key."
    ),
}


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
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of an audit.

    Attributes:
        bundle: what was audited.
        findings: gravest first.
        checked: how many files, targets, expressions … were looked at.
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
            f"{self.bundle} dataset.json --trust` makes a bundle of this version that begins from its weights."
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
            "count": {severity: self._count()[severity] for severity in SEVERITIES},
            "findings": [asdict(item) for item in self.findings],
        }

    def __str__(self) -> str:
        blocks = [
            f"{item.severity.upper()} [{item.code}] {item.file}{' at ' + item.place if item.place else ''}\n"
            f"    what: {item.what}\n    why:  {item.why}\n    do:   {item.todo}"
            for item in self.findings
        ]
        counts = self._count()
        verdict = "PASSED" if self.passed else "NOT PASSED"
        tail = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES)
        looked = ", ".join(f"{number} {name}" for name, number in self.checked.items())
        signed = f"\nsigned with the key {self.signed_by}" if self.signed_by else ""
        advice = f"\n{self.advice}" if self.advice else ""
        return "\n".join([*blocks, f"{verdict}: {self.bundle} ({tail}; looked at {looked}){signed}{advice}"])

    def _count(self) -> Counter[str]:
        return Counter(item.severity for item in self.findings)


def sort_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Gravest first, then by file and place; the same finding twice counts once."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda item: (SEVERITIES.index(item.severity), item.file, item.place)))
