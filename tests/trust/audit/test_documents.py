"""JSON and YAML of a stranger: what is parsed equals what the usual parsers give, and the rest is named."""

from __future__ import annotations

import json

import pytest
import yaml

from mist_bundle.trust.audit import documents
from mist_bundle.trust.audit.documents import parse_document


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, true, "x"]}', "[]", '"}{"', r'{"a": "\"[[[["}'])
def test_json_is_what_json_gives(text: str) -> None:
    assert parse_document("a.json", text.encode()) == (json.loads(text), [])


@pytest.mark.parametrize("text", ["a: [1, 2]\nb: {c: x}\n", "- 1\n- [2, 3]\n", "a: &x [1]\nb: *x\n"])
def test_yaml_is_what_yaml_gives(text: str) -> None:
    assert parse_document("a.yaml", text.encode()) == (yaml.safe_load(text), [])


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("a.json", b"{", "config-unreadable"),
        ("a.json", b"\xff", "config-unreadable"),
        ("a.json", b'\xef\xbb\xbf{"a": 1}', "config-unreadable"),
        ("a.json", b'{"a": ' + b"1" * 5000 + b"}", "config-unreadable"),
        ("a.json", b"[" * 100 + b"]" * 100, "config-size"),
        ("a.json", b"[" * 100_000, "config-size"),
        ("a.yaml", b"a: [", "config-unreadable"),
        ("a.yaml", b"[" * 100 + b"]" * 100, "config-size"),
        ("a.yaml", b"a: !!python/name:os.system ''", "yaml-tag"),
        ("a.yml", b"a: &x {b: *x}", "config-size"),
    ],
)
def test_what_is_not_parsed_is_named(file: str, content: bytes, code: str) -> None:
    parsed, found = parse_document(file, content)
    assert parsed is None
    assert [finding.code for finding in found] == [code]


@pytest.mark.parametrize(("file", "text"), [("a.json", '{"a": 1, "b": {"c": 2, "c": 3}}'), ("a.yaml", "a: 1\na: 2\n")])
def test_a_key_that_stands_twice(file: str, text: str) -> None:
    parsed, found = parse_document(file, text.encode())
    assert parsed is not None
    assert [finding.code for finding in found] == ["duplicate-key"]


def test_limits_of_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 10)
    assert parse_document("a.json", b"[1, 2, 3, 4]")[1][0].code == "config-size"
    # a billion laughs
    monkeypatch.setattr(documents, "MAX_BYTES", 1 << 20)
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert parse_document("a.yaml", "\n".join(lines).encode())[1][0].code == "config-size"
