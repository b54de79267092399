"""The audit of a whole bundle: every file is looked at, none is run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from mist_bundle import __version__
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import DATALIST_JSON, LOGGING_CONF, METADATA_JSON, PLAN_JSON
from mist_bundle.runtime.folds.files import UNFINISHED
from mist_bundle.runtime.folds.publication import published_name, written_name
from mist_bundle.runtime.settings import CONFIG_SUFFIXES
from mist_bundle.trust.audit.bundle_files import BundleFiles, UnreadableFile, open_bundle
from mist_bundle.trust.audit.code import check_code
from mist_bundle.trust.audit.configs import check_config, check_datalist, check_large_files, check_metadata, check_plan
from mist_bundle.trust.audit.documents import MAX_BYTES, parse_document
from mist_bundle.trust.audit.finding import Finding, Report, finding, shown, sort_findings
from mist_bundle.trust.audit.integrity import check_manifest
from mist_bundle.trust.audit.logging_conf import check_logging
from mist_bundle.trust.audit.weight_files import check_weights
from mist_bundle.trust.keys import PublicKey

WRITTEN_BY = "mist_bundle_version"  # in metadata.json
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}", re.ASCII)
# descriptions and reasons in these are text for people, not paths
PROSE = (METADATA_JSON, PLAN_JSON, DATALIST_JSON, "MANIFEST.json")


def audit_bundle(bundle: Path, public_key: Path | None = None) -> Report:
    """Audit a folder or zip.

    Args:
        bundle: its folder or zip file.
        public_key: a file with the public key (PEM) that must have signed the bundle.

    Returns:
        All findings, gravest first.

    Raises:
        InputError: there is no bundle, or no key, to look at; a file of a folder cannot be read.
        InstallationError: a file of mist_bundle itself that the audit needs is missing.
    """
    key = None if public_key is None else PublicKey.read(public_key)
    files = open_bundle(bundle)
    checked: Counter[str] = Counter(files=len(files.sizes))
    findings = list(files.findings)
    try:
        findings += _check(files, checked, key)
    except UnreadableFile as error:
        if not files.is_zip:
            raise InputError(Problem(str(bundle / error.path), f"cannot be read ({error.why}).")) from error
        # its bytes are not what the archive's directory says
        findings.append(finding("zip-damaged", files.name, error.path, f"It cannot be read ({shown(error.why)})."))
    signed = key is not None and not any(item.code.startswith("signature") for item in findings)
    return Report(
        bundle=str(bundle),
        findings=sort_findings(findings),
        checked=dict(checked),
        signed_by=key.fingerprint if key is not None and signed else "",
        earlier_version=_earlier_version(files),
    )


def _earlier_version(files: BundleFiles) -> str:
    """The version of mist_bundle in a bundle's metadata, if it is older than this version."""
    if METADATA_JSON not in files.sizes:
        return ""
    try:
        content, _ = parse_document(METADATA_JSON, files.read(METADATA_JSON, MAX_BYTES + 1))
    except UnreadableFile:
        return ""
    written_by = content.get(WRITTEN_BY) if isinstance(content, Mapping) else None
    if not isinstance(written_by, str) or not _VERSION.fullmatch(written_by):
        return ""
    return written_by if _numbers(written_by) < _numbers(__version__) else ""


def _numbers(version: str) -> list[int]:
    return list(map(int, version.split(".")[:3]))


def _check(files: BundleFiles, checked: Counter[str], key: PublicKey | None) -> Iterator[Finding]:
    for name in files.names():
        final = published_name(name)  # what a publication under way will bring is looked at as what it will be
        lower = final.lower()
        if lower.startswith("configs/") and final != lower:
            yield finding("zip-names", name, "", f"Where case does not count, it is {shown(lower)}.")
        if lower.endswith(CONFIG_SUFFIXES):
            yield from _document(final, files.read(name, MAX_BYTES + 1), checked)
        elif lower.endswith((".conf", ".ini")):
            yield from check_logging(name, files.read(name, MAX_BYTES))
        else:
            yield from _weights(files, name)
    if LOGGING_CONF in files.sizes:
        checked["logging files"] += 1
    yield from check_code(files)
    yield from check_manifest(files, checked, key)


def _weights(files: BundleFiles, name: str) -> Iterator[Finding]:
    """Findings of a file of weights; a file that a killed command left half-written is broken, and nobody opens it."""
    for item in check_weights(files, name, written_name(name)):
        if not (item.code == "weights-broken" and name.endswith(UNFINISHED)):
            yield item


def _document(name: str, text: bytes, checked: Counter[str]) -> Iterator[Finding]:
    content, item = parse_document(name, text)
    yield from item
    if content is None:
        return
    checked["documents"] += 1
    if name.rsplit(".", 1)[0] == "large_files":
        yield from check_large_files(name, content)
        return
    paths = name.startswith("configs/") and name not in PROSE
    yield from check_config(name, content, checked, paths=paths)
    if name.rsplit(".", 1)[0] == METADATA_JSON.removesuffix(".json"):
        yield from check_metadata(name, content)
    if name == PLAN_JSON:
        yield from check_plan(name, content)
    if name == DATALIST_JSON:
        yield from check_datalist(name, content)
