"""Parse JSON and YAML of a stranger: bounded in size and depth, no tags, no key twice."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

import yaml

from mist_bundle.trust.audit.finding import Finding, finding, shown

MAX_BYTES = 64 << 20  # a datalist of a hundred thousand cases
MAX_DEPTH = 60
MAX_NODES = 5_000_000  # after YAML's aliases are written out


def parse_document(file: str, content: bytes) -> tuple[Any, list[Finding]]:
    """The content of a JSON or YAML file, or None with the reason."""
    if len(content) > MAX_BYTES:
        return None, [finding("config-size", file, "", f"It is larger than {MAX_BYTES >> 20} MiB.")]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [finding("config-unreadable", file, f"byte {error.start}", "It is not UTF-8 text.")]
    if text.startswith("\ufeff"):
        return None, [finding("config-unreadable", file, "", "It begins with a byte-order mark.")]
    return _json(file, text) if file.endswith(".json") else _yaml(file, text)


def _json(file: str, text: str) -> tuple[Any, list[Finding]]:
    depth = _json_depth(text)
    if depth > MAX_DEPTH:
        return None, [finding("config-size", file, "", f"It is nested {depth} levels deep; {MAX_DEPTH} are enough.")]
    twice: list[Finding] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key, value in items:
            if key in content:
                twice.append(finding("duplicate-key", file, key, f"The key {shown(key)} occurs twice."))
            content[key] = value
        return content

    try:
        return json.loads(text, object_pairs_hook=pairs), twice
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return None, [finding("config-unreadable", file, place, f"It is not JSON: {error.msg}.")]
    except ValueError as error:  # whole numbers of thousands of digits
        return None, [finding("config-unreadable", file, "", f"It is not usable JSON: {error}.")]


def _json_depth(text: str) -> int:
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that notes keys which stand twice."""

    file = ""
    twice: list[Finding]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen:
                place = f"line {key_node.start_mark.line + 1}"
                self.twice.append(finding("duplicate-key", self.file, place, f"The key {shown(key)} occurs twice."))
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _yaml(file: str, text: str) -> tuple[Any, list[Finding]]:
    try:
        findings = _yaml_events(file, text)
        if findings:
            return None, findings
        loader = _StrictLoader(text)
        loader.file, loader.twice = file, []
        content = loader.get_single_data()
    except (yaml.YAMLError, ValueError, TypeError) as error:
        return None, [finding("config-unreadable", file, "", f"It is not YAML: {shown(str(error))}.")]
    except RecursionError:
        return None, [finding("config-size", file, "", "It is nested too deep.")]
    if _nodes(content) > MAX_NODES:
        return None, [finding("config-size", file, "", "Its aliases unfold to millions of values.")]
    return content, loader.twice


def _yaml_events(file: str, text: str) -> list[Finding]:
    """Tags and depth, seen before any value is constructed."""
    findings = []
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        tag = getattr(event, "tag", None)
        if tag is not None:
            place = f"line {event.start_mark.line + 1}" if event.start_mark else ""
            findings.append(finding("yaml-tag", file, place, f"The value bears the tag {shown(tag)}."))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return [finding("config-size", file, "", f"It is nested deeper than {MAX_DEPTH} levels.")]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return findings


def _nodes(content: Any) -> int:
    """Number of values once aliases are written out; a cycle counts as too many."""
    sizes: dict[int, int] = {}
    open_ids: set[int] = set()

    def size(value: Any) -> int:
        if not isinstance(value, (dict, list)):
            return 1
        identity = id(value)
        if identity in open_ids:
            return MAX_NODES + 1
        if identity not in sizes:
            open_ids.add(identity)
            children = list(value.values()) if isinstance(value, dict) else value
            sizes[identity] = 1 + sum(map(size, children))
            open_ids.discard(identity)
        return sizes[identity]

    return size(content)
