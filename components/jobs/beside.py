"""Calls beside the caller, such as telling servers of an epoch while the next one trains."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec

P = ParamSpec("P")
MOST = 4  # that wait; then the caller does, too


class Beside:
    """Makes calls in a thread of its own, in their order; a context that ends when all are made."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._open: deque[Future[object]] = deque()

    def call(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Make a call after those before it, without waiting for it.

        Raises:
            Exception: What an earlier call raised; it is told once.
        """
        while self._open and (self._open[0].done() or len(self._open) >= MOST):
            self._open.popleft().result()
        made = self._pool.submit(copy_context().run, partial(work, *args, **kwargs))
        self._open.append(made)

    def wait(self) -> None:
        """Wait until all calls are made.

        Raises:
            Exception: What one of them raised.
        """
        while self._open:
            self._open.popleft().result()

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown()
