"""Verbs for bundles that come from somebody else, or go to somebody: audit, verify, sign, make_key."""

from __future__ import annotations

import json
from pathlib import Path

from mist_bundle.cli.kinds import FileName, ReportFormat
from mist_bundle.cli.words import optional_path
from mist_bundle.errors import MistBundleError


def audit(
    bundle: FileName, format: ReportFormat = "text", public_key: FileName | None = None, details: bool = False
) -> None:
    """Read a bundle, folder or zip, without running anything in it; ends with 1 when there is something to look at.

    A bundle that was not generated here is told in groups: what it would run of MONAI itself, and what else.

    Args:
        bundle: the bundle's folder or zip.
        format: text for people, json for programs.
        public_key: file of the public key that must have signed the bundle.
        details: every finding of a bundle that was not generated here.
    """
    from mist_bundle.trust.audit.overview import overview_of, ungrouped
    from mist_bundle.trust.audit.run import audit_bundle

    report = audit_bundle(Path(bundle), optional_path(public_key))
    overview = overview_of(Path(bundle))
    if format == "json":
        print(json.dumps(report.to_json(), indent=2))
    elif overview is None or details:
        print(report)
    else:
        for line in (*overview.sentences(), *ungrouped(report)):
            print(line)
        print(f"`mist-bundle audit {bundle} --details` lists all {len(report.findings)} findings.")
    if not report.passed:
        raise MistBundleError(f"{bundle} does not pass the audit.")


def verify(
    bundle: FileName,
    quick: bool = False,
    schema: FileName | None = None,
    trust: bool = False,
    format: ReportFormat = "text",
) -> None:
    """Check that a bundle works, and which programs can use it: read it, then run a copy on synthetic data.

    Args:
        bundle: the bundle's folder or zip.
        quick: only read, run nothing.
        schema: MONAI's JSON schema of metadata.json, where you have it; nothing is downloaded.
        trust: run a bundle that does not pass `audit`.
        format: text for people, json for programs.
    """
    from mist_bundle.verify.run import verify_bundle

    result = verify_bundle(Path(bundle), quick=quick, schema=optional_path(schema), trust=trust)
    print(json.dumps(result.to_json(), indent=2) if format == "json" else result)
    if not result.passed:
        raise MistBundleError(f"{bundle} does not pass the verification.")


def sign(bundle: FileName, key: FileName) -> None:
    """Sign a bundle's manifest, so that receivers who have your public key know the bundle is yours and unchanged.

    Args:
        bundle: the bundle's folder.
        key: your private key, as made by make_key.
    """
    from mist_bundle.files import SIGNATURE
    from mist_bundle.trust.signature import sign_bundle

    fingerprint = sign_bundle(Path(bundle), Path(key))
    print(f"Signed with the key {fingerprint}: {Path(bundle) / SIGNATURE}")


def make_key(path: FileName) -> None:
    """Make a key pair to sign bundles with.

    Args:
        path: file for the private key, which stays with you; the public key goes to the same name with .pub.
    """
    from mist_bundle.trust.signature import make_key as make

    print(f"Private key: {path}\nPublic key, for those who receive your bundles: {make(Path(path))}")
