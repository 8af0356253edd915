"""Real receivers of notifications on this machine: a web server, a mail server, a silent one."""

from __future__ import annotations

import base64
import email
import email.policy
import http.server
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any, TypeVar

S = TypeVar("S", bound=socketserver.BaseServer)


class WebhookReceiver(http.server.ThreadingHTTPServer):
    """Keeps the JSON of each request; below /410/ it answers that nobody lives there."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Webhook)
        self.got: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Webhook(http.server.BaseHTTPRequestHandler):
    server: WebhookReceiver

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(410 if self.path.startswith("/410/") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Be quiet."""


class MailReceiver(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as a client needs; takes everything but recipients at `nowhere`.

    With a context it asks for encryption: by STARTTLS, or from the first byte if `from_start`.
    """

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None, *, from_start: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.context, self.from_start = context, from_start
        self.got: list[EmailMessage] = []
        self.logins: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us goes away; that is its right."""


class _Mail(socketserver.StreamRequestHandler):
    server: MailReceiver

    def handle(self) -> None:
        if self.server.from_start:
            self._encrypt()
        self._say("220 ready")
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            answer = getattr(self, f"_on_{verb.lower()}", self._on_other)(rest)
            self._say(answer)
            if verb.upper() == "STARTTLS":
                self._encrypt()

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _on_ehlo(self, rest: str) -> str:
        encrypts = self.server.context and not self.server.from_start
        return "\r\n".join(["250-local", *(["250-STARTTLS"] if encrypts else []), "250 AUTH PLAIN"])

    def _on_starttls(self, rest: str) -> str:
        return "220 go on"

    def _on_auth(self, rest: str) -> str:
        encrypted = isinstance(self.connection, ssl.SSLSocket)
        words = base64.b64decode(rest.split()[1]).decode().split("\0")
        self.server.logins.append(":".join([*words[1:], str(encrypted)]))
        return "235 ok"

    def _on_rcpt(self, rest: str) -> str:
        return "550 unknown here" if "@nowhere" in rest else "250 ok"

    def _on_data(self, rest: str) -> str:
        self._say("354 go on")
        text = b"".join(iter(self.rfile.readline, b".\r\n"))
        parsed = email.message_from_bytes(text, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.server.got.append(parsed)
        return "250 ok"

    def _on_quit(self, rest: str) -> str:
        return "221 bye"

    def _on_other(self, rest: str) -> str:
        return "250 ok"

    def _encrypt(self) -> None:
        assert self.server.context
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Run a server in a thread."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """The URL of something that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
