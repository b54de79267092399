"""logging.conf: the generated one and plain ones pass; whatever logging would evaluate is named with its key."""

from __future__ import annotations

import pytest

from mist_bundle.bundle.generate import LOGGING
from mist_bundle.trust.audit.logging_conf import check_logging

HANDLER = "[handlers]\nkeys=h\n[handler_h]\n{}\n"


def _places(text: str) -> list[tuple[str, str]]:
    return [(found.code, found.place) for found in check_logging("configs/logging.conf", text.encode())]


@pytest.mark.parametrize(
    "text",
    [
        LOGGING,
        HANDLER.format("class=StreamHandler\nargs=(sys.stderr,)"),
        HANDLER.format("class=logging.NullHandler\nargs=()\nkwargs={'a': [1, 'x']}"),
        "[formatters]\nkeys=f\n[formatter_f]\nformat=%(message)s\ndatefmt=%H:%M\n",
    ],
)
def test_plain_ones_pass(text: str) -> None:
    assert _places(text) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("class", "FileHandler"),
        ("class", "handlers.SocketHandler"),
        ("class", "__import__('os').system('true')"),
        ("args", "(open('x', 'w'),)"),
        ("args", "(sys.exit,)"),
        ("args", "("),
        ("kwargs", "{'stream': lambda: 1}"),
        ("level", "%(args)s"),
        ("filters", "x"),
    ],
)
def test_whatever_is_evaluated_is_named(option: str, value: str) -> None:
    assert _places(HANDLER.format(f"{option}={value}")) == [("logging", f"[handler_h] {option}")]


@pytest.mark.parametrize("content", [b"no section", b"\xff[a]", b"[a]\nb\n"])
def test_other_files(content: bytes) -> None:
    assert [found.code for found in check_logging("x.ini", content)] == ["config-unreadable"]
