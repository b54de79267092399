"""Verbs for bundles that come from or go to somebody else: audit, verify, sign, make_key."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName, ReportFormat
from mist_bundle.errors import MistBundleError


@takes(mb.audit_bundle)
def audit(bundle: FileName, format: ReportFormat = "text", details: bool = False, **arguments: Any) -> None:
    """Read a bundle, folder or zip, without running anything in it; exits with 1 if something needs a look.

    Findings in a bundle that was not generated here are summed up in groups: what it would run of MONAI, and the rest.

    Args:
        bundle: the bundle's folder or zip.
        format: text for people, json for programs.
        details: list every finding in a bundle that was not generated here.
    """
    from mist_bundle.trust.audit.overview import overview_of

    report = mb.audit_bundle(bundle, **arguments)
    overview = overview_of(Path(bundle), report)
    if format == "json":
        print(json.dumps(report.to_json(), indent=2))
    elif overview is None or details:
        print(report)
    else:
        for line in overview.sentences():
            print(line)
        print(f"`mist-bundle audit {shlex.quote(str(bundle))} --details` lists all {len(report.findings)} findings.")
    if not report.passed:
        raise MistBundleError(f"{bundle} does not pass the audit.")


@takes(mb.verify_bundle)
def verify(bundle: FileName, format: ReportFormat = "text", **arguments: Any) -> None:
    """Check that a bundle works, and which programs can use it: read it, then run a copy on synthetic data.

    Args:
        bundle: the bundle's folder or zip.
        format: text for people, json for programs.
    """
    result = mb.verify_bundle(bundle, **arguments)
    print(json.dumps(result.to_json(), indent=2) if format == "json" else result)
    if not result.passed:
        raise MistBundleError(f"{bundle} does not pass the verification.")


@takes(mb.Bundle.sign)
def sign(bundle: FileName, **arguments: Any) -> None:
    """Sign every file of a bundle: whoever has your public key can tell that the bundle is yours and unchanged.

    Args:
        bundle: the bundle's folder.
    """
    from mist_bundle.trust.keys import PrivateKey
    from mist_bundle.trust.signature import signature_of

    opened = mb.Bundle(bundle)
    fingerprint = opened.sign(**arguments)
    file = signature_of(PrivateKey.read(Path(arguments["key"])).public)
    print(f"Signed with the key {fingerprint}: {opened.root / file}")


@takes(mb.make_key)
def make_key(**arguments: Any) -> None:
    """Create a key pair to sign bundles with."""
    public_key = mb.make_key(**arguments)
    print(f"Private key: {arguments['path']}\nPublic key, for those who receive your bundles: {public_key}")
