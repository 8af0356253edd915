"""Lookup tables from a name to an implementation that is imported only when asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar, cast

from components.errors import UnknownKeyError

T = TypeVar("T")


def unknown_key(subject: str, got: str, known: Iterable[str]) -> UnknownKeyError:
    """An error for `got` that names the nearest of the `known` keys."""
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=1, cutoff=0.5)
    remedy = f"Did you mean {near[0]!r}?" if near else "Use one of the names listed."
    return UnknownKeyError(
        subject, got=repr(got), wanted="one of " + ", ".join(names), remedy=remedy
    )


class Catalog(Generic[T]):
    """One kind of thing by name; adding an entry is one file and one line.

    Args:
        kind: What the entries are, for error messages ("dataset").
        entries: Name to "module:attribute".
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def module(self, name: str) -> str:
        """The dotted module that defines `name`.

        Raises:
            UnknownKeyError: If the catalog has no such entry.
        """
        if name not in self._entries:
            raise unknown_key(self.kind, name, self._entries)
        return self._entries[name].partition(":")[0]

    def get(self, name: str) -> T:
        """Import and return the entry called `name`.

        Raises:
            UnknownKeyError: If the catalog has no such entry.
        """
        module = importlib.import_module(self.module(name))
        return cast(T, getattr(module, self._entries[name].partition(":")[2]))
