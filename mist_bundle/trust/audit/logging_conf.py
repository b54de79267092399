"""configs/logging.conf: handlers that write to the terminal, literal arguments, and nothing else.

`logging.config.fileConfig` evaluates `class`, `args` and `kwargs` before anything else of a bundle is read, after other
values of the section took the place of `%(name)s`. MONAI 1.6.1 admits every class of the logging module; those that
write files, send mail or open connections do not pass here.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator

from mist_bundle.trust.audit.finding import Finding, finding, shown

CLASSES = frozenset(
    {"StreamHandler", "NullHandler", "Formatter", "logging.StreamHandler", "logging.NullHandler", "logging.Formatter"}
)
STREAMS = frozenset({"sys.stdout", "sys.stderr"})
# section -> the keys that fileConfig reads there
_KEYS = (
    (re.compile(r"loggers|handlers|formatters"), frozenset({"keys"})),
    (re.compile(r"logger_\w+"), frozenset({"level", "handlers", "qualname", "propagate"})),
    (re.compile(r"handler_\w+"), frozenset({"class", "level", "formatter", "args", "kwargs"})),
    (re.compile(r"formatter_\w+"), frozenset({"format", "datefmt", "style", "validate", "class"})),
)
_RAW = frozenset({"format", "datefmt"})  # these alone are read without putting other values in
_LITERALS = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Load)


def _known_keys(section: str) -> frozenset[str]:
    for pattern, keys in _KEYS:
        if pattern.fullmatch(section):
            return keys
    return frozenset()


def check_logging(file: str, content: bytes) -> Iterator[Finding]:
    """Findings of a logging configuration in INI format."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        yield finding("config-unreadable", file, "", f"It is not an INI file: {shown(str(error))}.")
        return
    for section in parser.sections():
        known = _known_keys(section)
        for option, text in parser.items(section):
            reason = _wrong(option, text.strip(), known)
            if reason:
                yield finding("logging", file, f"[{section}] {option}", f"It is {shown(text)}; {reason}.")


def _wrong(option: str, value: str, known: frozenset[str]) -> str:
    if option not in known:
        return "no logging configuration needs that key here"
    if "%" in value and option not in _RAW:
        return "another value would be put in before it is read"
    if option == "class" and value and value not in CLASSES:
        return "expected a class that writes to the terminal"
    if option in ("args", "kwargs") and value and not _is_literal(value):
        return "expected literals"
    return ""


def _is_literal(value: str) -> bool:
    try:
        tree = ast.parse(value, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Attribute) and ast.unparse(node) in STREAMS:
            continue
        if not isinstance(node, _LITERALS):
            return False
        pending += ast.iter_child_nodes(node)
    return True
