"""A real web server on the loopback, with byte ranges, that can misbehave on request."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it."""

    name: str
    range: str | None


class FileServer(ThreadingHTTPServer):
    """Serves `files` by name.

    Attributes:
        seen: Every request, in order.
        cut: Name to the number of bytes after which the connection is closed, once.
        hold: Name to the number of bytes after which the server falls silent, once.
        statuses: Name to status codes answered instead, one a request.
        ranges: False to ignore byte ranges.
        sent: Bytes of bodies sent, by name.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.seen: list[Seen] = []
        self.cut: dict[str, int] = {}
        self.hold: dict[str, int] = {}
        self.statuses: dict[str, list[int]] = {}
        self.ranges = True
        self.sent: Counter[str] = Counter()
        self.released = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def names(self) -> list[str]:
        return [request.name for request in self.seen]

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        name, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.server.seen.append(Seen(name, wanted))
        body = self.server.files.get(name)
        if codes := self.server.statuses.get(name):
            self.send_error(codes.pop(0))
        elif body is None:
            self.send_error(404)
        else:
            start = int(wanted[len("bytes=") : -1]) if wanted and self.server.ranges else 0
            self._send(name, body, start)

    def _send(self, name: str, body: bytes, start: int) -> None:
        if start and start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self._body(name, body[start:])

    def _body(self, name: str, body: bytes) -> None:
        cut, hold = self.server.cut.pop(name, None), self.server.hold.pop(name, None)
        part = body[: cut or hold or len(body)]
        self.wfile.write(part)
        self.server.sent[name] += len(part)
        if hold:
            self.server.released.wait(60)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""
