"""A server on this machine that answers as much of the Hugging Face Hub's protocol as an upload asks for.

It stands for the Hub in tests, which have no network. It is not the Hub: no accounts, no Xet.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class UploadHub:
    """What the server was asked and what it holds; `files` are those of the last commit."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.tokens: set[str | None] = set()
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.tags: list[str] = []
        self.private: bool | None = None
        self.refuse = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.hub = self  # type: ignore[attr-defined]
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> UploadHub:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """The part of Hugging Face's interface that an upload uses."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> UploadHub:
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
