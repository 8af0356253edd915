"""Which process works on a flow run: a small file each, so that its death is noticed at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError


class Life(BaseModel):
    """The process of a flow run.

    Attributes:
        created: When the process began, in seconds since 1970; a pid alone may be another's by now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    pid: int
    created: float

    @classmethod
    def of_this_process(cls) -> Life:
        """That of the caller."""
        return cls(
            host=socket.gethostname(), pid=os.getpid(), created=psutil.Process().create_time()
        )

    @property
    def over(self) -> bool | None:
        """Whether the process is gone; None on another machine, where nobody here can know."""
        if self.host != socket.gethostname():
            return None
        process = self.process
        return process is None or process.status() == psutil.STATUS_ZOMBIE

    @property
    def process(self) -> psutil.Process | None:
        """The process, if it runs on this machine."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if process.create_time() == self.created:
                return process
        return None


@contextmanager
def living(folder: Path, flow_run: str) -> Iterator[None]:
    """Say that this process works on a flow run, until it leaves the context or dies."""
    folder.mkdir(parents=True, exist_ok=True)
    path, own = folder / f"{flow_run}.json", Life.of_this_process()
    temporary = path.with_suffix(f".{own.pid}.tmp")
    temporary.write_text(own.model_dump_json(), encoding="utf-8")
    os.replace(temporary, path)
    try:
        yield
    finally:
        if life_of(folder, flow_run) == own:  # else a newer attempt is at work
            forget(folder, flow_run)


def life_of(folder: Path, flow_run: str) -> Life | None:
    """The process that said last that it works on a flow run; None if none did."""
    try:
        return Life.model_validate_json((folder / f"{flow_run}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):  # written in one step; a torn one says nothing
        return None


def forget(folder: Path, flow_run: str) -> None:
    """The process that worked on a flow run counts no more; another one will."""
    (folder / f"{flow_run}.json").unlink(missing_ok=True)
