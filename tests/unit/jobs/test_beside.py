"""Calls beside the caller: in order, bounded, and none of their errors lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from components.jobs.beside import MOST, Beside

SECONDS = 30.0
who: ContextVar[str] = ContextVar("who", default="nobody")


def test_calls_are_made_in_order_while_the_caller_goes_on() -> None:
    go, made = threading.Event(), list[int]()

    def first() -> None:
        assert go.wait(SECONDS)
        made.append(1)

    with Beside() as beside:
        beside.call(first)
        beside.call(made.append, 2)
        assert made == []
        go.set()
    assert made == [1, 2]


def test_the_caller_waits_once_too_many_calls_are_open() -> None:
    go, made = threading.Event(), list[int]()

    def slow(number: int) -> None:
        assert go.wait(SECONDS)
        made.append(number)

    def let_go() -> None:
        go.set()

    with Beside() as beside:
        for number in range(MOST):
            beside.call(slow, number)
        assert made == []
        threading.Timer(0.05, let_go).start()
        beside.call(slow, MOST)
        assert made[0] == 0


def _fails() -> None:
    raise ConnectionError("away")


def _waits(beside: Beside) -> None:
    with beside:
        beside.call(_fails)
        beside.wait()


def _ends(beside: Beside) -> None:
    with beside:
        beside.call(_fails)


def _calls_again(beside: Beside) -> None:
    with beside:
        beside.call(_fails)
        while True:  # until the first call counts as made
            beside.call(list)


@pytest.mark.parametrize("told", [_waits, _ends, _calls_again])
def test_an_error_is_told_to_whoever_comes_next(told: Callable[[Beside], None]) -> None:
    with pytest.raises(ConnectionError, match="away"):
        told(Beside())


def _ended() -> None:
    with Beside() as beside:
        beside.call(_fails)
        raise KeyboardInterrupt


def test_what_ends_the_block_comes_before_what_a_call_raised() -> None:
    with pytest.raises(KeyboardInterrupt):
        _ended()


def test_a_call_sees_the_callers_context() -> None:
    seen: list[str] = []
    token = who.set("the flow")
    with Beside() as beside:
        beside.call(lambda: seen.append(who.get()))
    who.reset(token)
    assert seen == ["the flow"]
