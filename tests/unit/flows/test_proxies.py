"""Proxies of the shell are for the world outside, not for the servers on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from flows.probes import without_proxies_to


@pytest.mark.parametrize(
    ("given", "direct"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "a.org"}, "a.org,127.0.0.1,localhost"),
        ({"no_proxy": "b.org, c.org"}, "b.org,c.org,127.0.0.1,localhost"),
        ({"NO_PROXY": "a.org,localhost", "no_proxy": "b.org"}, "a.org,localhost,b.org,127.0.0.1"),
    ],
)
def test_both_spellings_are_merged(given: dict[str, str], direct: str) -> None:
    assert without_proxies_to("127.0.0.1", given) == {"NO_PROXY": direct, "no_proxy": direct}


def test_only_proxies_that_nothing_can_use_are_left_out() -> None:
    given = {
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "all_proxy": "SOCKS5h://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "PATH": "socks",
    }
    kept = without_proxies_to("127.0.0.1", given)
    assert {name for name in given if name in kept} == {"HTTPS_PROXY", "PATH"}


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:9"])
def test_the_client_that_prefect_uses_goes_past_the_proxy(
    server: str, variable: str, proxy: str
) -> None:
    """Nothing listens at the proxy's address."""
    done = subprocess.run(
        [sys.executable, "-c", f"import httpx; print(httpx.get('{server}').status_code)"],
        env=without_proxies_to("127.0.0.1", {variable: proxy}),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "204\n", done.stderr
