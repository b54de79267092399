"""A server on this machine that answers as much of the Hugging Face Hub's protocol as a download asks for.

It stands for the Hub in tests, which have no network. It is not the Hub: no accounts, no Xet, no large-file storage.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """Serve folders as repositories while the block runs; `asked` lists the paths that were asked for."""

    def __init__(self, repositories: Mapping[str, Path]) -> None:
        self.repositories = dict(repositories)
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub._answer(self, body=False)

            def do_GET(self) -> None:
                hub._answer(self, body=True)

            def log_message(self, *arguments: Any) -> None:
                del arguments

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.template = self.url + "/{repo_id}/resolve/{revision}/{filename}"

    def __enter__(self) -> FakeHub:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = unquote(urlsplit(request.path).path)
        self.asked.append(path)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and "/".join(parts[2:4]) in self.repositories:
            name = "/".join(parts[2:4])
            files = self._files(name)
            if len(parts) > 4 and parts[4] == "tree":
                content: Any = [
                    {"type": "file", "path": file, "size": size, "oid": COMMIT} for file, size in files.items()
                ]
            elif parts[4:] == ["refs"]:
                main = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
                content = {"branches": [main], "tags": [], "converts": []}
            else:
                content = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
            self._send(request, 200, json.dumps(content).encode(), {"Content-Type": "application/json"}, body=body)
            return
        file = self.repositories.get("/".join(parts[:2]), Path()) / "/".join(parts[4:])
        if len(parts) > 4 and parts[2] == "resolve" and file.is_file():
            content = file.read_bytes()
            headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            self._send(request, 200, content, headers, body=body)
            return
        self._send(request, 404, b"", {"X-Error-Code": "RepoNotFound"}, body=body)

    def _files(self, name: str) -> dict[str, int]:
        folder = self.repositories[name]
        return {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, content: bytes, headers: Mapping[str, str], *, body: bool
    ) -> None:
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            request.wfile.write(content)
