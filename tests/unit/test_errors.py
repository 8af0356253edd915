from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator

import pytest

from components import errors
from components.errors import NightforgeError

BRANCH = re.compile(r"^((?:│   |    )*)[├└]── (\w+)")


def family(kind: type[NightforgeError] = NightforgeError) -> Iterator[type[NightforgeError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from family(below)


def drawn_pairs() -> set[tuple[str, str]]:
    """(class, parent) for each branch of the tree in the module's docstring."""
    path, pairs = ["NightforgeError"], set()
    for line in (errors.__doc__ or "").splitlines():
        if match := BRANCH.match(line):
            depth = len(match[1]) // 4 + 1
            path = [*path[:depth], match[2]]
            pairs.add((match[2], path[depth - 1]))
    return pairs


def example(kind: type[NightforgeError]) -> NightforgeError:
    return kind("port 4200", got="a listener", wanted="a free port", remedy="Stop it.")


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {(kind.__name__, kind.__mro__[1].__name__) for kind in family()}
    assert drawn_pairs() == real - {("NightforgeError", "Exception")}


@pytest.mark.parametrize("kind", list(family()))
def test_a_message_says_got_wanted_and_remedy(kind: type[NightforgeError]) -> None:
    text = str(example(kind))
    assert text == "port 4200: got a listener, wanted a free port. Stop it."


@pytest.mark.parametrize("kind", list(family()))
@pytest.mark.parametrize("move", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_the_way_to_another_process(kind, move) -> None:
    error = example(kind)
    moved = move(error)
    assert type(moved) is kind
    assert str(moved) == str(error)
    assert vars(moved) == vars(error)


@pytest.mark.parametrize("kind", list(family()))
def test_every_error_ends_the_command_line_with_a_status_above_zero(kind) -> None:
    assert 0 < kind.exit_code < 126
