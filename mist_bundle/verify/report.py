"""The report of `verify`: checks that passed, failed or did not apply, and how each was done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

PASS = "pass"
FAIL = "fail"
NOT_APPLICABLE = "not applicable"
RUN = "run"  # MONAI really did it
BY_RULE = "by rule"  # files and settings were compared with known requirements


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A row of the report.

    Attributes:
        name: what was checked, or which consumer.
        verdict: PASS, FAIL or NOT_APPLICABLE.
        how: RUN or BY_RULE.
        reason: the observation, or the fault and its remedy.
    """

    name: str
    verdict: str
    how: str
    reason: str


@dataclass(kw_only=True, slots=True)
class Verification:
    """All checks of a bundle, and the matrix of the programs that may receive it."""

    bundle: str
    checks: list[Check] = field(default_factory=list)
    consumers: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no check failed; the matrix says which consumers can use the bundle."""
        return self.num_failed == 0

    @property
    def num_failed(self) -> int:
        """The number of checks that failed."""
        return [check.verdict for check in self.checks].count(FAIL)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return {
            "bundle": self.bundle,
            "passed": self.passed,
            "checks": list(map(asdict, self.checks)),
            "consumers": list(map(asdict, self.consumers)),
        }

    def __str__(self) -> str:
        verdict = "PASSED" if self.passed else f"NOT PASSED: {self.num_failed} of {len(self.checks)} checks failed"
        return "\n".join(["Checks", *_table(self.checks), "", "Who can use it", *_table(self.consumers), "", verdict])


def _table(checks: Sequence[Check]) -> list[str]:
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"  {check.verdict:<14} {check.name:<{width}}  ({check.how}) {check.reason}")
    return lines


def by_rule(name: str, problems: Sequence[str], fine: str) -> Check:
    """A check that passes when there are no problems."""
    verdict, reason = (FAIL, " ".join(problems)) if problems else (PASS, fine)
    return Check(name=name, verdict=verdict, how=BY_RULE, reason=reason)


def each(sentence: str, names: Iterable[str]) -> list[str]:
    """The sentence for each name, which takes the place of its braces."""
    return list(map(sentence.format, names))
