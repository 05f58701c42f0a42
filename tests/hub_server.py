"""A hub on this machine: the parts of its protocol that a download needs, and its misbehaviour."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "1" * 40


@dataclass
class FakeHub:
    """What the hub holds, how it behaves, and what it was asked.

    Attributes:
        files: Content by path, of the one repository ``owner/name``.
        gated: Whether files need permission.
        cut: Bytes after which the connection breaks, once for each number.
        spoilt: Paths whose content arrives changed.
        license: On the card.
        requests: Method, path and Range header of every request.
        tokens: Authorization headers that came.
    """

    files: dict[str, bytes]
    gated: bool = False
    cut: list[int] = field(default_factory=list)
    spoilt: set[str] = field(default_factory=set)
    license: str = "apache-2.0"
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    url: str = ""

    def info(self) -> dict[str, object]:
        """What the hub's API says of the repository."""
        siblings = []
        for path, content in self.files.items():
            sibling: dict[str, object] = {
                "rfilename": path,
                "size": len(content),
                "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
            }
            if path.endswith((".safetensors", ".bin")):
                sha = hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"sha256": sha, "size": len(content), "pointerSize": 134}
            siblings.append(sibling)
        return {
            "_id": "0",
            "id": "owner/name",
            "modelId": "owner/name",
            "sha": COMMIT,
            "private": False,
            "gated": "manual" if self.gated else False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "cardData": {"license": self.license},
            "siblings": siblings,
        }


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve a hub on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            """Answer as the hub does."""
            wanted = self.headers.get("Range", "")
            hub.requests.append((self.command, self.path, wanted))
            hub.tokens.append(self.headers.get("Authorization", ""))
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/owner/name"):
                revision = path.partition("/revision/")[2] or "main"
                if revision not in ("main", COMMIT):
                    self._fail(404, "RevisionNotFound")
                    return
                self._send(200, json.dumps(hub.info()).encode(), "application/json")
                return
            start, _, name = path.partition(f"/resolve/{COMMIT}/")
            if start != "/owner/name" or name not in hub.files:
                self._fail(404, "EntryNotFound" if start == "/owner/name" else "RepoNotFound")
            elif hub.gated:
                self._fail(403, "GatedRepo")
            else:
                self._file(name, wanted)

        def _file(self, name: str, wanted: str) -> None:
            content = hub.files[name]
            if name in hub.spoilt:
                content = bytes(255 - byte for byte in content)
            first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
            part = content[first:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(part)))
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.end_headers()
            if hub.cut and len(part) > hub.cut[0]:
                part = part[: hub.cut.pop(0)]
                self.close_connection = True
            self.wfile.write(part)

        def _fail(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
