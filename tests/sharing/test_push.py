"""Uploading, against a server that this test starts and that answers like Hugging Face; the real one is not asked."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("huggingface_hub")

from mist_bundle.bundle.contents import plain_files
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.bundle.vendor import RUNTIME
from mist_bundle.errors import InputError
from mist_bundle.sharing.push import PushError, push_bundle

# huggingface_hub 2.4 calls its HTTP library in a way that that one deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

TOKEN = "hf_made_up_for_this_test"


class FakeHub:
    """What the server was asked and what it holds; `files` are those of the last commit."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.tokens: set[str | None] = set()
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.tags: list[str] = []
        self.private: bool | None = None
        self.refuse = False
        self.address = ""


class Handler(http.server.BaseHTTPRequestHandler):
    """The part of Hugging Face's interface that an upload uses."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> FakeHub:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        pass

    def do_PUT(self) -> None:
        self.hub.uploads[self.path.rsplit("/", 1)[1]] = self._body()
        self._answer({})

    def do_GET(self) -> None:
        self.hub.requests.append(f"GET {self.path}")
        self._answer({"id": "org/name", "sha": "0" * 40, "siblings": [], "tags": [], "private": True})

    def do_POST(self) -> None:
        body = self._body()
        self.hub.requests.append(f"POST {self.path}")
        self.hub.tokens.add(self.headers.get("Authorization"))
        if self.hub.refuse:
            self._answer({"error": "You do not have the rights to do this."}, 403)
            return
        answers = {"/repos/create": self._create, "/preupload/": self._preupload, "/objects/batch": self._batch}
        answers |= {"/commit/": self._commit, "/tag/": self._tag}
        answer = next((found for part, found in answers.items() if part in self.path), None)
        self._answer(answer(body) if answer else {})

    def _create(self, body: bytes) -> Any:
        asked = json.loads(body)
        self.hub.private = asked.get("private", asked.get("visibility") == "private")
        return {"url": f"{self.hub.address}/org/name", "name": "org/name", "id": "1"}

    def _preupload(self, body: bytes) -> Any:
        files = [entry["path"] for entry in json.loads(body)["files"]]
        modes = [("lfs" if path.endswith((".pt", ".safetensors")) else "regular") for path in files]
        pairs = zip(files, modes, strict=True)
        return {
            "files": [{"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": None} for path, mode in pairs]
        }

    def _batch(self, body: bytes) -> Any:
        wanted = json.loads(body)["objects"]
        actions = [{"upload": {"href": f"{self.hub.address}/lfs/{one['oid']}"}} for one in wanted]
        objects = [{**one, "actions": action} for one, action in zip(wanted, actions, strict=True)]
        return {"transfer": "basic", "objects": objects}

    def _commit(self, body: bytes) -> Any:
        for entry in map(json.loads, body.splitlines()):
            value = entry["value"]
            if entry["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.uploads[value["oid"]]
        return {"commitUrl": f"{self.hub.address}/org/name/commit/{'0' * 40}", "commitOid": "0" * 40}

    def _tag(self, body: bytes) -> Any:
        self.hub.tags.append(json.loads(body)["tag"])
        return {}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    import huggingface_hub.constants

    hub = FakeHub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = hub  # type: ignore[attr-defined]
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


def test_exactly_the_bundle_arrives_and_is_tagged(own_bundle: Path, hub: FakeHub) -> None:
    (own_bundle / "models/model.pt").write_bytes(bytes(range(256)) * 40)
    write_manifest(own_bundle)
    for extra in ("scripts/__pycache__/x.pyc", ".env", "eval/schema.json"):
        (own_bundle / extra).parent.mkdir(parents=True, exist_ok=True)
        (own_bundle / extra).write_bytes(b"must not leave this machine")
    push_bundle(own_bundle, "org/name", token=TOKEN)
    expected = {name: (own_bundle / name).read_bytes() for name in plain_files(own_bundle)}
    expected["README.md"] = (own_bundle / "docs/README.md").read_bytes()
    assert hub.files == expected
    assert hub.tags == ["0.1.0"]
    assert hub.private is True
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert not (own_bundle / "README.md").exists(), "the bundle itself is left alone"


def test_linked_scripts_and_weights_stored_once_arrive_as_plain_files(linked_bundle: Path, hub: FakeHub) -> None:
    for name in ("model.pt", "fold_0.pt"):
        (linked_bundle / "models" / name).write_bytes(b"weights")
    write_manifest(linked_bundle)
    (linked_bundle / "models/fold_0.pt").unlink()
    push_bundle(linked_bundle, "org/name", token=TOKEN)
    assert hub.files["scripts/losses/dice.py"] == (RUNTIME / "losses/dice.py").read_bytes()
    assert hub.files["models/fold_0.pt"] == b"weights"
    listed = json.loads(hub.files["MANIFEST.json"])
    assert listed.keys() == {"algorithm", "files"}
    assert listed["files"].keys() == hub.files.keys() - {"README.md", "MANIFEST.json"}


def test_refusal_of_the_server_is_told(own_bundle: Path, hub: FakeHub) -> None:
    hub.refuse = True
    with pytest.raises(PushError, match="rights"):
        push_bundle(own_bundle, "org/name", token=TOKEN)
    assert hub.files == {}


def test_server_that_is_not_there(own_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PushError, match="org/name"):
        push_bundle(own_bundle, "org/name", token=TOKEN)


def test_nothing_is_sent_when_files_do_not_fit_the_manifest(own_bundle: Path, hub: FakeHub) -> None:
    (own_bundle / "configs/train.json").write_text("{}")
    with pytest.raises(InputError, match="was changed"):
        push_bundle(own_bundle, "org/name", token=TOKEN)
    with pytest.raises(InputError, match="organisation/name"):
        push_bundle(own_bundle, "just-a-name", token=TOKEN)
    assert hub.requests == []
