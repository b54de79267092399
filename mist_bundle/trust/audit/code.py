"""Whatever runs: scripts/ against the released runtime, shadowing modules, programs, compiled files."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache

from mist_bundle import __version__
from mist_bundle.bundle.vendor import RUNTIME, runtime_hashes
from mist_bundle.files import SCRIPTS_FOLDER
from mist_bundle.resources import own_text, require_complete
from mist_bundle.runtime.folds.files import sha256_of_bytes
from mist_bundle.runtime.folds.manifest import SIGNATURES
from mist_bundle.trust.audit.bundle_files import BundleFiles, is_left_by_download
from mist_bundle.trust.audit.finding import Finding, finding, printable, shown

RELEASED = "trust/audit/released_runtimes.json"
MAX_SCRIPT_BYTES = 4 << 20
DIFF_LINES = 12

ROOT_FILES = frozenset({
    "LICENSE", "LICENSE.txt", "README.md", "MANIFEST.json", *SIGNATURES, "CHANGELOG.md",
    "large_files.yml", "large_files.yaml", "large_files.json",
})  # fmt: skip
FOLDERS = frozenset({"configs", "docs", "models", "transfer", SCRIPTS_FOLDER})
_SUFFIX_WORDS = """
    py pyw pyx pyi so pyd dll dylib egg whl pth ipynb sh bash zsh fish bat cmd ps1 exe com scr msi jar class lua pl rb r
    js vbs desktop lnk mk cmake toml cfg app deb rpm apk php
"""
CODE_SUFFIXES = frozenset(map(".{}".format, _SUFFIX_WORDS.split()))
CODE_NAMES = frozenset({"makefile", "dockerfile", "jenkinsfile", "vagrantfile", ".envrc", ".bashrc", ".profile"})
BYTECODE_SUFFIXES = (".pyc", ".pyo")
_MAGIC = {
    b"\x7fELF": "an ELF program",
    b"MZ": "a Windows program",
    b"\xfe\xed\xfa": "a Mach-O program",
    b"\xcf\xfa\xed\xfe": "a Mach-O program",
    b"\xca\xfe\xba\xbe": "a Mach-O or Java program",
    b"#!": "a script with an interpreter line",
    b"\xa7\x0d\x0d\x0a": "compiled Python",
}


def check_code(files: BundleFiles) -> Iterator[Finding]:
    """Findings of every file that some program might run."""
    yield from check_scripts(files)
    bytecode = []
    for name in files.names():
        if name.lower().endswith(BYTECODE_SUFFIXES):
            bytecode.append(name)
        elif not _is_script(name):
            yield from _other(files, name)
    if bytecode:
        yield finding("bytecode", bytecode[0], "", f"{len(bytecode)} compiled Python file(s).")


def _is_script(name: str) -> bool:
    return name.startswith(f"{SCRIPTS_FOLDER}/") and name.endswith(".py")


def _other(files: BundleFiles, name: str) -> Iterator[Finding]:
    top, _, rest = name.partition("/")
    leaf = name.rsplit("/", 1)[-1].lower()
    suffix = "." + leaf.rsplit(".", 1)[-1] if "." in leaf else ""
    is_weights = suffix == ".pth" and top == "models"
    runs = (suffix in CODE_SUFFIXES and not is_weights) or leaf in CODE_NAMES
    importable = suffix in (".py", ".so", ".pyd")
    if importable and top != SCRIPTS_FOLDER:
        module = top.split(".")[0]
        yield finding("shadowing", name, "", f"`import {printable(module)}` would find this file first.")
    elif runs:
        yield finding("code", name, "", f"It is a {shown(suffix or leaf)} file.")
    else:
        kind = _program_kind(files.read(name, 4))
        if kind:
            yield finding("executable", name, "", f"It is {kind}.")
        elif is_left_by_download(name):
            return
        elif (rest and top not in FOLDERS) or (not rest and name not in ROOT_FILES):
            yield finding("unexpected-file", name, "", f"{files.sizes[name]} bytes.")


def _program_kind(head: bytes) -> str:
    """The kind of program that begins with these bytes; "" for none."""
    for magic, words in _MAGIC.items():
        if head.startswith(magic):
            return words
    return ""


def check_scripts(files: BundleFiles) -> Iterator[Finding]:
    """scripts/ against the runtime of this version, byte for byte, or as a whole against those of other releases."""
    prefix = f"{SCRIPTS_FOLDER}/"
    present = list(filter(_is_script, files.names()))
    hashes: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    for name in present:
        contents[name] = files.read(name, MAX_SCRIPT_BYTES)
        hashes[name.removeprefix(prefix)] = sha256_of_bytes(contents[name])
    if tree_digest(hashes) in released_digests():
        return
    require_complete()  # a runtime that lacks files would tell the bundle's own as added
    released = runtime_hashes()
    for name in present:
        path = name.removeprefix(prefix)
        if path not in released:
            yield finding("script-added", name, "", _describe(contents[name]))
        elif released[path] != hashes[path]:
            yield finding("script-changed", name, "", _difference(path, contents[name]))
    if present:
        for path in sorted(set(released) - set(hashes)):
            yield finding("script-missing", prefix + path, "", f"mist_bundle {__version__} has it.")


def tree_digest(hashes: Mapping[str, str]) -> str:
    """A digest of a whole scripts/ folder."""
    digest = hashlib.sha256()
    for path in sorted(hashes):
        digest.update(f"{path} {hashes[path]}\n".encode())
    return digest.hexdigest()


@cache
def released_digests() -> frozenset[str]:
    """Digests of this version's runtime and of those of other releases, whose bundles stay runnable."""
    others = json.loads(own_text(RELEASED))
    return frozenset({tree_digest(runtime_hashes()), *others.values()})


def _describe(content: bytes) -> str:
    """The imports, definitions and calls of an unknown script, for its reader."""
    lines = content.count(b"\n") + 1
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"{lines} lines that are not Python ({shown(str(error))})."
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports.add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            imports.add("." * node.level + (node.module or ""))
    calls: dict[str, None] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            calls[ast.unparse(statement)[:60]] = None
    called = ", ".join(calls) or "nothing"
    imported = ", ".join(sorted(imports)) or "nothing"
    return f"{lines} lines; imports {shown(imported)}; calls when it is imported: {shown(called)}."


def _difference(path: str, content: bytes) -> str:
    ours = (RUNTIME / path).read_text(encoding="utf-8").splitlines()
    theirs = content.decode("utf-8", "backslashreplace").splitlines()
    changed = []
    for line in difflib.unified_diff(ours, theirs, lineterm="", n=0):
        if line[:3] not in ("---", "+++"):
            changed.append(f"        {printable(line[:160])}")
    rows = "\n".join(changed[:DIFF_LINES])
    more = f"\n        … {len(changed) - DIFF_LINES} more" if len(changed) > DIFF_LINES else ""
    return f"It differs from mist_bundle {__version__}'s:\n{rows}{more}"
