"""SIGTERM while training: finish the step, save, and only then do what the signal asks for."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any


class Termination:
    """Holds SIGTERM back while the context is open; outside the main thread it does nothing.

    Attributes:
        requested: Whether the signal has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None
        self._held = False

    def __enter__(self) -> Termination:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGTERM)
            if before is not signal.SIG_IGN:
                self._before, self._held = before, True
                signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pending = self._held and self.requested
        self._release()
        if pending and error is None:
            self._act()

    def carry_out(self) -> None:
        """Do now what the signal asks for: the earlier handler's work, or the process's end."""
        if self._held:
            self._release()
            self._act()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:  # somebody is in a hurry
            self.carry_out()
        self.requested = True

    def _release(self) -> None:
        if self._held:
            self._held = False
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)

    def _act(self) -> None:
        if callable(self._before):
            self._before(signal.SIGTERM, None)
        else:
            os.kill(os.getpid(), signal.SIGTERM)
