"""A signal while training: finish the step, save, and only then do what the signal asks for."""

from __future__ import annotations

import contextvars
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from components.openmp import release_team

T = TypeVar("T")


class StepDone(BaseException):
    """Raised by the work itself, at the end of a step, once it was asked to stop."""


class _Terminated(BaseException):
    """What a SIGTERM raises where it would otherwise end the process at once."""


class Termination:
    """Runs work in a thread of its own, so that a signal interrupts the waiting and not the work.

    Python runs signal handlers in the main thread. What they raise there (a KeyboardInterrupt,
    Prefect's TerminationSignal) asks the work to stop and goes on once it has. No handler is
    replaced that raises by itself: Prefect cancels a run only while its own is in place.

    Attributes:
        requested: Whether the work is to stop at the end of its step.
    """

    def __init__(self) -> None:
        self.requested = False

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or what it raised.

        A second signal does not wait for the step. Outside the main thread the work runs here.
        """
        if threading.current_thread() is not threading.main_thread():
            return work()
        result: Future[T] = Future()
        context = contextvars.copy_context()
        arguments = context.run, work, result
        thread = threading.Thread(target=_fill, args=arguments, name="training", daemon=True)
        release_team()  # this thread only waits now
        with _raising():
            try:
                thread.start()
                result.exception()  # not join: interrupted, it takes the thread for ended
            except BaseException:
                self.requested = True
                result.exception()
                raise
        return result.result()


def _fill(run: Callable[[Callable[[], T]], T], work: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(run(work))
    except BaseException as error:
        result.set_exception(error)


@contextmanager
def _raising() -> Iterator[None]:
    """Let a SIGTERM raise where nobody has set a handler, and end the process afterwards."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except _Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
