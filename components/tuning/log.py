"""The durable trial log: one line of JSON for each event, flushed before it counts."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.errors import StudyError
from components.tuning.trial import EVENT, Event


class TrialLog:
    """Events of one study in the order in which they happened.

    Args:
        path: The file; None keeps the events in memory alone.
        header: What the study is; the first line of the file.

    Attributes:
        events: All of them, those of earlier attempts included.
        header: As stored; that of the first attempt.

    Raises:
        StudyError: If another process writes the log, or a line is damaged.
    """

    def __init__(self, path: Path | None, header: Mapping[str, Any]) -> None:
        self.events: list[Event] = []
        self.header: Mapping[str, Any] = header
        self._file: int | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock(path)
            lines = _whole_lines(self._file)
            if lines:
                self.header, self.events = parse(lines, path)
            else:
                self._write(json.dumps(header, sort_keys=True))
        except BaseException:
            self.close()
            raise

    def append(self, event: Event) -> None:
        """Add an event; when this returns, it is on the disk.

        Raises:
            StudyError: If the disk is full.
        """
        self._write(event.model_dump_json())
        self.events.append(event)

    def close(self) -> None:
        """Let another process continue the study."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, path: Path) -> None:
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError(
                f"study {path.parent.name}",
                got="another process that runs it",
                wanted="one at a time",
                remedy="Wait for its end, or give this one another name.",
            ) from None

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        whole, size = line.encode() + b"\n", os.fstat(self._file).st_size
        try:
            if os.write(self._file, whole) < len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise StudyError(
                "trial log",
                got=error.strerror or str(error),
                wanted="a writable disk with space left",
                remedy="Free space, then run the study again; it goes on where it stopped.",
            ) from None


def _whole_lines(file: int) -> list[bytes]:
    """The lines of a log; one that a kill cut short is cut off the file."""
    content = b"".join(iter(lambda: os.read(file, 1 << 20), b""))
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.ftruncate(file, whole)
    return content[:whole].splitlines()


def read_log(path: Path) -> tuple[Mapping[str, Any], list[Event]]:
    """Header and events of a log, also while another process writes it.

    Raises:
        StudyError: If it is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyError(
            f"study {path.parent.name}",
            got=error.strerror or str(error),
            wanted=f"a trial log at {path}",
            remedy="`nightforge study list` names the studies there are.",
        ) from None
    return parse(content[: content.rfind(b"\n") + 1].splitlines(), path)


def parse(lines: list[bytes], path: Path) -> tuple[Mapping[str, Any], list[Event]]:
    """Header and events from the lines of a log.

    Raises:
        StudyError: For a line that is not what it should be.
    """
    events: list[Event] = []
    header: Mapping[str, Any] | None = None
    try:
        header = json.loads(lines[0])
        events.extend(map(EVENT.validate_json, lines[1:]))
    except (ValidationError, ValueError, IndexError) as error:
        line = 1 if header is None else len(events) + 2
        raise StudyError(
            f"trial log {path}",
            got=f"line {line} unusable ({' '.join(str(error).split())[:160]})",
            wanted="an event of this version",
            remedy="Restore the file, or run the study under another name.",
        ) from None
    assert header is not None
    return header, events
