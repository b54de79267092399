"""Recognise the `$` expressions of bundle/expressions.py however they are spelt, by comparing syntax trees."""

from __future__ import annotations

import ast
import re
from functools import cache

from mist_bundle.bundle.expressions import EXPRESSIONS, SLOTS, Expression

MAX_LENGTH = 2000
# how MONAI finds references in the text of an expression (any `#` is `::` by then)
_REFERENCE = re.compile(r"@\w*(?:::\w*)*")


def is_import(expression: str) -> bool:
    """Whether MONAI would take it for an import statement: a look at its first statement only."""
    tree = parse(expression, mode="exec")
    return isinstance(tree, ast.Module) and bool(tree.body) and isinstance(tree.body[0], (ast.Import, ast.ImportFrom))


def recognise(expression: str) -> Expression | None:
    """The known expression that a text (without its `$`) is, whatever its spacing and quotes; None for any other."""
    tree = parse(expression)
    for known, known_tree in _known_trees():
        # statements, which only the imports are, have no tree: they are compared letter by letter
        is_same = expression == known.text[1:] if known_tree is None else tree is not None and _same(tree, known_tree)
        if is_same:
            return known
    return None


def parse(expression: str, mode: str = "eval") -> ast.AST | None:
    """The syntax tree with references replaced by names, or None when it is not an expression of sane size."""
    if len(expression) > MAX_LENGTH or "__reference" in expression:
        return None
    text = _REFERENCE.sub(lambda match: _name(match.group()), expression.replace("#", "::"))
    try:
        return ast.parse(text, mode=mode)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _name(reference: str) -> str:
    # letters outside ASCII would be folded by Python's parser into others
    codes = [f"_{ord(letter):x}" for letter in reference]
    return "__reference_" + "".join(codes)


@cache
def _known_trees() -> tuple[tuple[Expression, ast.AST | None], ...]:
    return tuple((known, parse(known.text[1:])) for known in EXPRESSIONS)


def _same(actual: object, known: object) -> bool:
    """Structural equality, where a placeholder stands for every string that its slot accepts."""
    if isinstance(known, ast.Constant) and isinstance(known.value, str) and known.value in SLOTS:
        accepts = SLOTS[known.value]
        return isinstance(actual, ast.Constant) and isinstance(actual.value, str) and accepts(actual.value)
    if isinstance(known, ast.AST):
        if type(actual) is not type(known):
            return False
        for name in known._fields:
            if name != "kind" and not _same(getattr(actual, name, None), getattr(known, name, None)):
                return False
        return True
    if isinstance(known, list):
        return isinstance(actual, list) and len(actual) == len(known) and all(map(_same, actual, known))
    return type(actual) is type(known) and actual == known


def summary(expression: str) -> str:
    """What an expression calls and looks up, for its reader."""
    tree = parse(expression)
    if tree is None:
        return "it is not an expression that Python parses, or is longer than any that is needed"
    words = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            words.append(f"calls {plain_text(node.func)[:80]}")
        elif isinstance(node, ast.Lambda):
            words.append("makes a function")
        elif isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            words.append(f"reaches for {node.attr}")
    return "it " + ", ".join(dict.fromkeys(words)) if words else "it is not a known expression"


def plain_text(node: ast.AST) -> str:
    """A part of a parsed expression as it was written, with its references."""
    return re.sub(r"__reference_(\w+)", lambda match: _reference(match.group(1)), ast.unparse(node))


def _reference(codes: str) -> str:
    return "".join(chr(int(code, 16)) for code in codes.split("_") if code)
