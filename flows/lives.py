"""Which process works on a flow run: a small file each, so that its death is noticed at once."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

LEAVE_SECONDS = 10.0
# What a paused process was sent may go to any of its threads, and Python's main one, which acts on
# it, then sleeps on. A process that runs again gets the next one where it belongs.
ASK_TIMES = 20


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
    """Say that this process works on a flow run, until it leaves the context or dies.

    A process that was taken for dead, and still works on the same flow run, is ended first: it
    holds locks and reports states.
    """
    outlive_reader()
    folder.mkdir(parents=True, exist_ok=True)
    path, own = folder / f"{flow_run}.json", Life.of_this_process()
    _end(life_of(folder, flow_run), own)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, _leave)
    temporary = path.with_suffix(f".{own.pid}.tmp")
    temporary.write_text(own.model_dump_json(), encoding="utf-8")
    forget(folder, flow_run)
    os.replace(temporary, path)
    try:
        yield
    finally:
        if life_of(folder, flow_run) == own:  # else a newer attempt is at work
            forget(folder, flow_run)


@cache  # once in a process is enough
def outlive_reader() -> None:
    """Let what this process prints go nowhere once nobody reads it any more.

    A worker reads what its flow runs print. When it is killed they could go on, but the next line
    would end them: a pipe without a reader makes `print` raise, and Rich leave the program.
    """
    threading.Thread(target=_watch_readers, name="readers", daemon=True).start()


def _watch_readers() -> None:
    poll, watched = select.poll(), {1, 2}
    for descriptor in watched:
        poll.register(descriptor, 0)  # that nobody reads is reported whatever one asks for
    while watched:
        for descriptor, _ in poll.poll():
            poll.unregister(descriptor)
            watched.remove(descriptor)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def life_of(folder: Path, flow_run: str) -> Life | None:
    """The process that said last that it works on a flow run; None if none did."""
    try:
        return Life.model_validate_json((folder / f"{flow_run}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):  # written in one step; a torn one says nothing
        return None


def forget(folder: Path, flow_run: str) -> None:
    """The process that worked on a flow run counts no more; another one will."""
    (folder / f"{flow_run}.json").unlink(missing_ok=True)
    (folder / f"{flow_run}.gone").unlink(missing_ok=True)


def gone_for(folder: Path, flow_run: str) -> float:
    """Seconds since somebody saw first that the process of a flow run is gone."""
    seen = folder / f"{flow_run}.gone"
    if not seen.exists():
        seen.touch()
    return time.time() - seen.stat().st_mtime


def is_over(folder: Path, flow_run: str, life: Life) -> bool | None:
    """Whether its process is gone, as seen from here or noted on its own machine; None: unknown."""
    if life.over is None and (folder / f"{flow_run}.gone").exists():
        return True
    return life.over


def note_gone(folder: Path) -> None:
    """Say which processes of this machine are gone, for those who cannot see it from theirs."""
    for path in folder.glob("*.json"):
        life = life_of(folder, path.stem)
        if life and life.over:
            gone_for(folder, path.stem)


def _end(earlier: Life | None, own: Life) -> None:
    if earlier is None or earlier == own or earlier.over is not False:
        return
    with suppress(psutil.NoSuchProcess):
        if process := earlier.process:
            for _ in range(ASK_TIMES):
                process.send_signal(signal.SIGUSR1)
                process.resume()  # it may have been paused for so long that it was taken for dead
                if psutil.wait_procs([process], LEAVE_SECONDS / ASK_TIMES)[0] or earlier.over:
                    return
            process.kill()


def _leave(number: int, frame: object) -> None:
    """End without a word: a worker takes any other end for that of the newer attempt."""
    os._exit(0)
