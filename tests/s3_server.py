"""A real S3 server over a temporary folder: rclone, which is installed with the tests' packages."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

RCLONE = Path(sys.executable).parent / "rclone"
READY = re.compile(r"Starting s3 server on \[(http://[\d.]+:\d+)/\]")
START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """Where the server listens and who may use it.

    Attributes:
        endpoint: `http://127.0.0.1:port`.
        root: The folder it serves; each bucket is a folder in it.
        log: What it said so far.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    root: Path
    log: list[str] = field(default_factory=list, repr=False)

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    @property
    def environ(self) -> dict[str, str]:
        """Everything a process needs to log in, and nothing of the person who runs the tests."""
        return without_credentials() | {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def fresh_bucket(self) -> str:
        """A name that no other test uses; the bucket does not exist yet."""
        return f"bucket-{secrets.token_hex(6)}"


def without_credentials() -> dict[str, str]:
    """Variables that hide all credentials of this machine from the AWS libraries."""
    return {
        # Not /dev/null, which DVC takes for a file and botocore then does not.
        "AWS_CONFIG_FILE": "/nonexistent/aws/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/aws/credentials",
        # Otherwise they ask an address outside for the machine's role.
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def other_variables() -> dict[str, str]:
    """The environment without what would change how the AWS libraries behave."""
    ours = re.compile(r"AWS_|BOTO|RCLONE_|(http|https|all|no)_proxy$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not ours.match(name)}


@contextmanager
def serving_s3() -> Iterator[S3Server]:
    """Start the server on a free port of the loopback interface; stop it and drop its folder."""
    access, secret = secrets.token_hex(10), secrets.token_hex(20)
    with tempfile.TemporaryDirectory(prefix="nightforge-s3-") as root:
        process = subprocess.Popen(
            [str(RCLONE), "serve", "s3", "--addr", "127.0.0.1:0", root],
            # The key by variable: a command line is visible to everybody on the machine.
            env=other_variables()
            | {"RCLONE_CONFIG": os.devnull, "RCLONE_AUTH_KEY": f'"{access},{secret}"'},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process, _listening(process) as (endpoint, log):
            yield S3Server(endpoint, access, secret, Path(root), log)


@contextmanager
def _listening(process: subprocess.Popen[str]) -> Iterator[tuple[str, list[str]]]:
    log: list[str] = []
    ready, found = threading.Event(), []

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line)
            if match := READY.search(line):
                found.append(match[1])
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(START_SECONDS), "the S3 server said nothing"
        assert found, "".join(log)
        yield found[0], log
    finally:
        process.terminate()
        reader.join()
