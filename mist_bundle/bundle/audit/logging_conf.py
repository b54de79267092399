"""configs/logging.conf: handlers that write to the terminal, and literal arguments.

`logging.config.fileConfig` evaluates `class`, `args` and `kwargs` before anything else of a bundle is read. MONAI 1.6.1
admits every class of the logging module; those that write files, send mail or open connections do not pass here.
"""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator

from mist_bundle.bundle.audit.finding import Finding, finding, shown

CLASSES = frozenset(
    {"StreamHandler", "NullHandler", "Formatter", "logging.StreamHandler", "logging.NullHandler", "logging.Formatter"}
)
STREAMS = frozenset({"sys.stdout", "sys.stderr"})
_LITERALS = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Load)


def check_logging(file: str, content: bytes) -> Iterator[Finding]:
    """Findings of a logging configuration in INI format."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        yield finding("config-unreadable", file, "", f"It is no INI file: {shown(str(error))}.")
        return
    for section in parser.sections():
        if parser.has_option(section, "class"):
            value = parser.get(section, "class").strip()
            if value and value not in CLASSES:
                yield finding("logging", file, f"[{section}] class", f"The class is {shown(value)}.")
        for option in ("args", "kwargs"):
            value = parser.get(section, option).strip() if parser.has_option(section, option) else ""
            if value and not _is_literal(value):
                yield finding("logging", file, f"[{section}] {option}", f"It is {shown(value)}; expected literals.")


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
