"""Walk a parsed configuration: targets, expressions, imports, macros, paths; and what metadata and datalists hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mist_bundle.bundle.configs.metadata import PACKAGES
from mist_bundle.bundle.expressions import MACROS, PATH_PLACES, RUN_LIST, is_file_name, is_relative_path
from mist_bundle.trust.audit import places, syntax, targets
from mist_bundle.trust.audit.finding import Finding, finding, shown

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SHAPE = re.compile(r"[0-9pn*+ ]{1,20}", re.ASCII)
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def check_config(file: str, config: Any, checked: Counter[str], *, paths: bool) -> Iterator[Finding]:
    """Findings of everything that MONAI would evaluate, import or instantiate in a parsed file.

    Args:
        file: its path in the bundle.
        config: its content.
        checked: counts of targets, expressions and macros are added here.
        paths: whether its strings may be paths (descriptions in metadata are not).
    """
    for place, key, value in walk(config):
        if paths and place in PATH_PLACES and not isinstance(value, str):
            yield finding("place", file, place, f"It is {shown(value)}.")
        if isinstance(value, Mapping):
            yield from _component(file, place, value, checked)
            if paths:
                yield from _arguments(file, place, value)
        elif isinstance(value, str):
            yield from _evaluated(file, place, value, checked)
            if paths and key != "_target_":
                yield from _location(file, place, value)


def _evaluated(file: str, place: str, value: str, checked: Counter[str]) -> Iterator[Finding]:
    if value.startswith("$"):
        checked["expressions"] += 1
        yield from _expression(file, place, value[1:])
    elif value.startswith("%"):
        checked["macros"] += 1
        if value not in MACROS:
            yield finding("macro", file, place, f"The macro is {shown(value)}; only '{RUN_LIST}' is known.")


def _location(file: str, place: str, value: str) -> Iterator[Finding]:
    if not places.is_path_in_place(places.place_of(place), value):
        yield finding("place", file, place, f"It is {shown(value)}.")
    if not value.startswith(("$", "%")):
        yield from _path(file, place, value)


def walk(config: Any) -> Iterator[tuple[str, str, Any]]:
    """Every value with its id and its key; shared parts of a YAML file are visited once for each argument they are.

    MONAI takes "a#b" and "a::b" as keys for b in a, and "+a" for more of a: so they are taken here.
    """
    pending: list[tuple[str, str, Any]] = [("", "", config)]
    visited: dict[tuple[int, str], Any] = {}  # parts are kept, so that no later object gets their id
    while pending:
        place, key, value = pending.pop()
        yield place, key, value
        part_of = id(value), places.argument_of(place.split("#"))
        if not isinstance(value, (dict, list)) or part_of in visited:
            continue
        visited[part_of] = value
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            first, *rest = str(name).removeprefix("+").replace("::", "#").split("#")
            nested = part
            for inner in reversed(rest):
                nested = {inner: nested}
            pending.append((f"{place}#{first}" if place else first, first, nested))


def _component(file: str, place: str, config: Mapping[str, Any], checked: Counter[str]) -> Iterator[Finding]:
    for key in config:
        if not isinstance(key, str):
            yield finding("config-unreadable", file, place, f"The key {shown(key)} is not text.")
    if "_debug_" in config:
        yield finding("mode", file, place, f"_debug_ is {shown(config['_debug_'])}.")
    if config.get("_mode_", "default") != "default":
        yield finding("mode", file, place, f"_mode_ is {shown(config['_mode_'])}.")
    if "_target_" not in config:
        return
    checked["targets"] += 1
    target = config["_target_"]
    if not isinstance(target, str) or target.startswith(("$", "@", "%")):
        yield finding("target", file, place, f"_target_ is {shown(target)}; expected a dotted name.")
    elif not targets.is_accepted(target):
        code = "target" if targets.is_dangerous(target) else "unknown-target"
        yield finding(code, file, place, f"_target_ is {shown(target)}.")


def _arguments(file: str, place: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    # whatever the component: a later file may replace the component
    for name, wrong in targets.bad_arguments(config):
        where = f"{place}#{name}" if place else name
        yield finding("target-argument", file, where, f"{name} is {shown(config.get(name))}: {wrong}.")


def _expression(file: str, place: str, expression: str) -> Iterator[Finding]:
    known = syntax.recognise(expression)
    here = places.place_of(place)
    if known is None:
        code = "import" if syntax.is_import(expression) else "expression"
        what = f"${shown(expression)}" + ("." if code == "import" else f": {syntax.summary(expression)}.")
        yield finding(code, file, place, what)
    elif here not in known.places and here not in PATH_PLACES:
        # where a path belongs, the rule about places is broken and says so
        expected = ", ".join(known.places)
        yield finding("expression-place", file, place, f"${shown(expression)} stands at {here}; known at {expected}.")


def _path(file: str, place: str, value: str) -> Iterator[Finding]:
    # cases are read from there and never written to
    read_only = place == places.DATASET_DIR
    if _URL.match(value):
        yield finding("url", file, place, f"The value is {shown(value)}.")
    elif value.startswith(("/", "\\", "~")) or _DRIVE.match(value):
        code = "path-read" if read_only else "path"
        yield finding(code, file, place, f"The value {shown(value)} is an absolute path.")
    elif ".." in value.replace("\\", "/").split("/") and not read_only:
        yield finding("path", file, place, f"The value {shown(value)} climbs out of its folder.")


def check_plan(file: str, plan: Any) -> Iterator[Finding]:
    """The network of plan.json, which finetune builds."""
    decisions = plan.get("decisions") if isinstance(plan, Mapping) else None
    entry = decisions.get("network") if isinstance(decisions, Mapping) else None
    if not isinstance(entry, Mapping):
        yield finding("config-unreadable", file, "decisions#network", "It names no network.")
        return
    network, arguments = entry.get("value"), plan.get("network_arguments")
    if not targets.is_network(network):
        yield finding("unknown-target", file, "decisions#network", f"The network is {shown(network)}.")
    if isinstance(arguments, Mapping):
        yield from _arguments(file, "network_arguments", arguments)


def check_metadata(file: str, metadata: Any) -> Iterator[Finding]:
    """What consumers of metadata.json evaluate or install."""
    if not isinstance(metadata, Mapping):
        yield finding("config-unreadable", file, "", "It is not a JSON object.")
        return
    for place, key, value in walk(metadata.get("network_data_format")):
        parts = place.split("#")
        if "spatial_shape" in parts and isinstance(value, str) and not _is_shape(value):
            yield finding("spatial-shape", file, f"network_data_format#{place}", f"{key or 'it'} is {shown(value)}.")
    for field in ("required_packages_version", "optional_packages_version"):
        listed = metadata.get(field)
        for package, version in listed.items() if isinstance(listed, Mapping) else ():
            plain = isinstance(version, str) and _PACKAGE.fullmatch(version) and _PACKAGE.fullmatch(str(package))
            if not plain or package not in PACKAGES:
                yield finding(
                    "requirement", file, f"{field}#{package}", f"It asks for {shown(f'{package} {version}')}."
                )


def _is_shape(text: str) -> bool:
    """Whether it is a size in n and p as metadata.json writes it (2**p*n), whose evaluation ends."""
    powers = re.findall(r"\*\*\s*(\w*)", text)
    return bool(_SHAPE.fullmatch(text)) and powers in ([], ["p"], ["n"])


def check_datalist(file: str, datalist: Any) -> Iterator[Finding]:
    """Case ids, which become file names, and where cases are read from."""
    if not isinstance(datalist, Mapping):
        yield finding("config-unreadable", file, "", "It is not a JSON object.")
        return
    for split, entries in datalist.items():
        for number, entry in enumerate(entries) if isinstance(entries, list) else ():
            place = f"{split}#{number}"
            if not isinstance(entry, Mapping):
                continue
            identity = entry.get("id", "case")
            if not isinstance(identity, str) or not is_file_name(identity):
                yield finding(
                    "case-id", file, f"{place}#id", f"The id is {shown(identity)}; expected a plain file name."
                )
            named = [entry.get("image"), entry.get("label")]
            for value in _flat(named):
                if isinstance(value, str) and (value.startswith(("/", "~")) or _DRIVE.match(value)):
                    yield finding("path-read", file, place, f"The file {shown(value)} is named by an absolute path.")


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    """The values, with the items of lists in their place."""
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def check_large_files(file: str, content: Any) -> Iterator[Finding]:
    """Where `download_large_files` would write to, and what it would take for genuine."""
    entries = content.get("large_files") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        yield finding("config-unreadable", file, "", "It has no list 'large_files'.")
        return
    for number, entry in enumerate(entries):
        place = f"large_files#{number}"
        if not isinstance(entry, Mapping):
            yield finding("config-unreadable", file, place, "The entry is not an object.")
            continue
        path, url = entry.get("path"), entry.get("url")
        inside = isinstance(path, str) and is_relative_path(path) and ".." not in path.split("/")
        if not inside or str(path).split("/")[0] not in ("models", "docs"):
            yield finding(
                "large-files", file, f"{place}#path", f"It would be written to {shown(path)}; expected models/…."
            )
        if not isinstance(url, str) or not url.startswith("https://"):
            yield finding("url", file, f"{place}#url", f"The address is {shown(url)}; expected https://….")
        digest = entry.get("hash_val")
        known = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest)
        if entry.get("hash_type", "sha256") != "sha256" or not known:
            yield finding("large-files-hash", file, place, f"The hash is {shown(digest)}; expected a sha256.")
