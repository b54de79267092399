"""The rules of the audit."""

from __future__ import annotations

import re
from pathlib import Path

from mist_bundle.trust.audit.rules import RULES, SEVERITIES

TRUST = Path(__file__).resolve().parents[3] / "mist_bundle" / "trust"


def test_every_rule_says_why_and_what_to_do() -> None:
    for rule in RULES.values():
        assert rule.severity in SEVERITIES
        assert rule.why.endswith(".")
        assert rule.todo.endswith(".")


def test_every_rule_is_used_and_every_used_rule_is_there() -> None:
    sources = [path.read_text(encoding="utf-8") for path in TRUST.rglob("*.py") if path.name != "rules.py"]
    text = "\n".join(sources)
    unused = [code for code in RULES if f'"{code}"' not in text]
    assert not unused
    assert set(re.findall(r'finding\("([\w-]+)"', text)) <= set(RULES)
