"""The gate before a bundle is run: nothing of a stranger's bundle is executed unless it passes or is trusted."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.bundle.vendor import is_own_runtime, linked_runtime
from mist_bundle.errors import InputError, Problem
from mist_bundle.trust.audit.overview import overview_of
from mist_bundle.trust.audit.rules import NOTE
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.trust.audit.tidy import remove_bytecode

SHOWN = 10


def require_audited(bundle: Path, *, trust: bool = False) -> None:
    """Raise InputError with all findings when a bundle (folder or zip) does not pass the audit.

    Call it before anything in the bundle is imported, evaluated or loaded. Compiled Python files, which Python would
    run instead of the sources that are checked, are deleted from a folder first: Python makes them again.

    Args:
        bundle: its folder or zip file.
        trust: the user vouches for the bundle; nothing is checked.

    Raises:
        InputError: the bundle does not pass.
    """
    if trust:
        return
    if bundle.is_dir():
        remove_bytecode(bundle)
        runtime = linked_runtime(bundle)
        if runtime is not None and not is_own_runtime(runtime):
            remove_bytecode(runtime)
    report = audit_bundle(bundle)
    if report.passed:
        return
    overview = overview_of(bundle, report)
    if overview is not None:
        advice = "Nothing was run. `audit` says more; --trust runs it as it is."
        raise InputError(Problem(str(bundle), "\n".join(["does not pass the audit.", *overview.sentences(), advice])))
    items = [item for item in report.findings if item.severity != NOTE]
    problems = []
    for item in items[:SHOWN]:
        message = f"[{item.code}] {item.what.splitlines()[0]} {item.why} {item.todo}"
        problems.append(Problem(f"{item.file} {item.place}".rstrip(), message))
    hidden = len(items) - len(problems)
    more = f" ({hidden} more findings are not shown here)" if hidden else ""
    hint = f"does not pass the audit and was not run{more}. `audit` explains each point; --trust runs it as it is."
    hint = f"{hint} {report.advice}".rstrip()
    raise InputError([*problems, Problem(str(bundle), hint)])
