"""The rules of the audit: why each kind of finding matters, and what its reader can do."""

from __future__ import annotations

from dataclasses import dataclass

DANGER = "danger"  # would run code, reach outside the bundle, or is designed to deceive
UNPROVEN = "unproven"  # not among what this project generates: a person has to look
NOTE = "note"  # worth knowing; the bundle passes
SEVERITIES = (DANGER, UNPROVEN, NOTE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Why a kind of finding matters, and what its reader can do."""

    severity: str
    why: str
    todo: str


# dangers for which there is a single advice
_DO_NOT_RUN = "Do not run this bundle; ask its author for a clean copy."
_DANGERS = {
    "target": "`_target_` names any callable of any package and calls it.",
    "target-argument": "This argument is itself imported, downloaded or called by the component.",
    "expression": "A `$` expression is Python that is evaluated when the bundle is run or loaded.",
    "import": "`$import` runs a module as soon as anything is resolved.",
    "macro": "A `%` macro may pull in any JSON or YAML file of the machine, `$` expressions included.",
    "mode": "`_mode_` and `_debug_` open a debugger or hand callables around.",
    "spatial-shape": "Strings in `spatial_shape` are evaluated by checks and exports.",
    "archive-member": "No torch archive holds such a member; Python imports modules from archives on its path.",
    "case-id": "Files are named after case ids.",
    "config-size": "Parsing it could exhaust the memory or the stack.",
    "duplicate-key": "Parsers disagree on which of two equal keys counts.",
    "yaml-tag": "YAML tags make objects of any class.",
    "logging": "logging.conf's class and args are evaluated before anything else is read.",
    "shadowing": "The bundle's folder stands on sys.path before the installed packages.",
    "code": "A bundle's only code is scripts/; this would be run by other programs.",
    "executable": "A bundle is data; programs have no place in it.",
    "pickle": "Unpickling it calls what it names.",
    "torchscript": "A TorchScript program reads or writes files, or pretends to be plain weights.",
    "zip-path": "Unpacking would write outside the target folder.",
    "zip-bomb": "Unpacking would fill the disk or the memory.",
    "zip-names": "Programs disagree on which file counts.",
    "link": "A link leads the reader to another file than the audited file.",
    "special-file": "A bundle holds plain files only.",
    "large-files": "download_large_files writes what it fetches to this path.",
    "signature-wrong": "This was not signed with this key, or was changed since.",
    "signature-unlisted": "With --public_key, the signature has to cover every file.",
}
# what only a person can judge
_READ_IT = "Read it; if you trust its author, run with --trust."
_UNKNOWN = {
    "unknown-target": "This component is not among those that generated bundles use.",
    "expression-place": "Generated bundles have this `$` expression at other places only.",
    "url": "Something is fetched from, or sent to, another machine.",
}
# kinds with advice of their own: severity, why they matter, advice
_OTHERS = {
    "path": (
        DANGER,
        "The path leaves the bundle, its work folder and its data.",
        "Give such paths on the command line.",
    ),
    "place": (
        DANGER,
        "It says what is imported, loaded or written, and generated bundles say something else here.",
        "Give other places on the command line.",
    ),
    "path-read": (NOTE, "Cases are read from there; other machines have no such folder.", "Use --dataset_dir."),
    "requirement": (UNPROVEN, "Receivers install what the metadata list.", "Look the package up before installing it."),
    "config-unreadable": (
        UNPROVEN,
        "What cannot be parsed cannot be checked; another parser may read it.",
        "Do not run this bundle; ask its author for a clean copy.",
    ),
    "script-changed": (
        DANGER,
        "scripts/ runs as it is; this file differs from the released file.",
        "Read the difference below; --trust runs it.",
    ),
    "script-added": (UNPROVEN, "scripts/ runs as it is; no release holds this file.", "Read it; --trust runs it."),
    "script-missing": (
        UNPROVEN,
        "A module of that name elsewhere on the path could take its place.",
        "Make the bundle again.",
    ),
    "bytecode": (
        DANGER,
        "Python may run compiled files instead of the sources beside them.",
        "Delete all __pycache__ folders and .pyc files; Python makes them again.",
    ),
    "pickle-unknown": (
        UNPROVEN,
        "It is not a plain state dict; weights_only loading would refuse it.",
        "Ask for safetensors or a plain state dict.",
    ),
    "weights-broken": (UNPROVEN, "The file is truncated or malformed.", "Copy or download it again."),
    "program": (
        NOTE,
        "It holds a program. train, evaluate, predict and finetune never open it.",
        "Open it only if you trust its author; model.pt has the same weights.",
    ),
    "zip-damaged": (UNPROVEN, "The archive is truncated, encrypted or malformed.", "Copy or download it again."),
    "zip-layout": (
        UNPROVEN,
        "A bundle's zip holds a single folder with the bundle's name.",
        "Pack it again with `pack`.",
    ),
    "large-files-hash": (UNPROVEN, "A download cannot be distinguished from a forgery.", "Ask for sha256 hashes."),
    "unexpected-file": (NOTE, "Generated bundles have no such file; nothing here runs it.", "Look at it."),
    "manifest-missing": (
        NOTE,
        "Later changes cannot be seen.",
        "Ask the author for MANIFEST.json, or write it with `finalize`.",
    ),
    "manifest-broken": (UNPROVEN, "The hashes cannot be read.", "Copy or download the bundle again."),
    "manifest-mismatch": (
        UNPROVEN,
        "The file is not the file that the manifest describes.",
        "Copy or download it again, or ask the author. If you replaced it, `mist-bundle bump` lists it as it is now.",
    ),
    "manifest-edited": (
        NOTE,
        "The text was edited after the manifest was written; its content was checked.",
        "Nothing, if you edited it.",
    ),
    "manifest-unlisted": (NOTE, "The file was added after the manifest was written.", "Nothing, if you added it."),
    "file-missing": (UNPROVEN, "The manifest lists it.", "Copy or download the bundle again."),
    "file-elsewhere": (
        NOTE,
        "large_files.yml says where it lies; its sha256 is the manifest's.",
        "Fetch it with `python -m monai.bundle download_large_files`.",
    ),
    "signature-missing": (
        UNPROVEN,
        "--public_key requires a signature, and nothing here is signed.",
        "Ask the author for the signature: model.sig, or MANIFEST.json.sig by an Ed25519 key.",
    ),
    "signature-unchecked": (NOTE, "There is a signature; only a public key shows whose.", "Pass --public_key."),
}


def _rules() -> dict[str, Rule]:
    rules = {}
    for code, why in _DANGERS.items():
        rules[code] = Rule(severity=DANGER, why=why, todo=_DO_NOT_RUN)
    for code, why in _UNKNOWN.items():
        rules[code] = Rule(severity=UNPROVEN, why=why, todo=_READ_IT)
    for code, (severity, why, todo) in _OTHERS.items():
        rules[code] = Rule(severity=severity, why=why, todo=todo)
    return rules


RULES = _rules()
