"""A proxy on the loopback interface that breaks a connection in the middle, on purpose."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

CHUNK = 1 << 16
REQUEST = re.compile(rb"(?:GET|PUT|POST|HEAD|DELETE) /[^\s]* HTTP/1\.1\r\n")
LONGEST_REQUEST = 2048


class CuttingProxy:
    """Passes bytes on to `port` until a limit, where it acts once; use it in a `with`.

    Args:
        port: The real server's port on the loopback interface.
        up: Bytes from the clients, of all connections together, after which it acts.
        down: The same for bytes from the server.
        action: What happens at the limit: "cut" breaks that connection in the middle of a packet
            stream, "leave" also refuses every later connection, "hold" passes nothing on any more.

    Attributes:
        endpoint: `http://127.0.0.1:port` of the proxy.
        acted: Set once the limit was reached.
        requests: First lines of the HTTP requests seen, in order.
    """

    def __init__(
        self, port: int, *, up: int | None = None, down: int | None = None, action: str = "cut"
    ) -> None:
        self._target, self._action = ("127.0.0.1", port), action
        self._left = {"up": up, "down": down}
        self._lock, self._over = threading.Lock(), threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.acted = threading.Event()
        self.requests: list[str] = []

    def __enter__(self) -> CuttingProxy:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._stop_listening()
        with self._lock:
            for one in self._sockets:
                _shut(one)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def count(self, text: str) -> int:
        """Requests whose first line has `text`."""
        return sum(text in request for request in self.requests)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                self._connect(self._listener.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        with self._lock:
            self._sockets += [client, server]
        self._run(self._pump, client, server, "up")
        self._run(self._pump, server, client, "down")

    def _pump(self, source: socket.socket, target: socket.socket, direction: str) -> None:
        tail = b""
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                if direction == "up":
                    tail = self._note(tail + chunk)
                allowed = self._allowed(len(chunk), direction)
                target.sendall(chunk[:allowed])
                if allowed < len(chunk):
                    self._act(source, target)
        _shut(target)
        _shut(source)

    def _note(self, text: bytes) -> bytes:
        """Remember the requests in `text`; the rest may be the start of another."""
        end = 0
        for match in REQUEST.finditer(text):
            self.requests.append(match[0].decode("latin-1").strip())
            end = match.end()
        return text[max(end, len(text) - LONGEST_REQUEST) :]

    def _allowed(self, size: int, direction: str) -> int:
        with self._lock:
            left = self._left[direction]
            if left is None:
                return size
            self._left[direction] = None if left < size and self._action == "cut" else left - size
            return max(0, min(size, left))

    def _act(self, source: socket.socket, target: socket.socket) -> None:
        self.acted.set()
        if self._action == "hold":
            self._over.wait()
        if self._action == "leave":
            self._stop_listening()
        for one in (source, target):
            # Lingering for zero seconds turns the end into a reset. A mere shutdown would leave
            # a peer that only writes waiting for ever.
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            _shut(one)
            one.close()

    def _stop_listening(self) -> None:
        _shut(self._listener)  # wakes accept()
        self._listener.close()


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
