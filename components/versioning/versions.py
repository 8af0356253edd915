"""Versions of datasets: what each was, in a ledger that only grows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from components.datasets.base import Split
from components.datasets.prepared import AnyCard
from components.errors import CorruptDataError, UnknownKeyError

VERSION_LEDGER = "versions.jsonl"
SHOWN = 3
MINIMUM_PREFIX = 4


@dataclass(frozen=True)
class DatasetChange:
    """How the raw files of a version differ from those of the version before."""

    before: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        parts = []
        for word in ("added", "removed", "changed"):
            paths = getattr(self, word)
            names = ", ".join(paths[:SHOWN]) + (", ..." if len(paths) > SHOWN else "")
            parts.append(f"{len(paths)} {word}" + (f" ({names})" if paths else ""))
        return f"{', '.join(parts)} since version {self.before[:8]}"


@dataclass(frozen=True)
class DatasetVersion:
    """A prepared dataset as a job uses it.

    Attributes:
        name: Key in the catalog, or the name of a person's own dataset.
        version: DVC's md5 of the prepared folder.
        source: Where the raw files came from.
        sample: True for a bundled stand-in.
        counts: Examples per split.
        directory: A folder that holds this version and will not become another one.
        ran: Stages that had to run to get here; empty when nothing changed.
        change: Against the version before, where the raw files are known one by one.
    """

    name: str
    version: str
    source: str
    sample: bool
    counts: Mapping[Split, int]
    directory: Path
    ran: tuple[str, ...] = ()
    change: DatasetChange | None = None


class VersionRecord(BaseModel):
    """One line of the ledger, and one object of a remote.

    Attributes:
        version: DVC's md5 of the prepared folder.
        raw: DVC's md5 of the raw folder.
        section: The dataset's parameters, as params.yaml would hold them.
        lock: The entries of dvc.lock for its two stages.
        own: True for a person's own dataset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str = Field(pattern=r"^[0-9a-f]{32}$")
    raw: str = Field(pattern=r"^[0-9a-f]{32}$")
    first_seen: str
    source: str
    own: bool
    card: AnyCard
    section: dict[str, Any]
    lock: dict[str, Any]


class Dropped(BaseModel):
    """A line of the ledger: the data of a version were removed here, or came back.

    Attributes:
        dropped: When; None if they came back.
        remote: Where they can still be had; None for nowhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    dropped: str | None
    remote: str | None


_LINE: TypeAdapter[VersionRecord | Dropped] = TypeAdapter(VersionRecord | Dropped)


class VersionLedger:
    """Every version this installation has prepared or pulled, oldest first."""

    def __init__(self, home: Path) -> None:
        self._path = home / VERSION_LEDGER

    def records(self, name: str | None = None) -> list[VersionRecord]:
        """All records, or those of one dataset.

        Raises:
            CorruptDataError: If a line is not a record.
        """
        records = [line for line in self._lines() if isinstance(line, VersionRecord)]
        return [record for record in records if name in (None, record.name)]

    def dropped(self, name: str, version: str) -> Dropped | None:
        """What the ledger says of a version whose data were removed; None if they were not."""
        said = [line for line in self._lines() if isinstance(line, Dropped)]
        of_it = [line for line in said if (line.name, line.version) == (name, version)]
        return of_it[-1] if of_it and of_it[-1].dropped else None

    def note(self, lines: Iterable[Dropped]) -> None:
        """Append that data are removed, which must come before their removal, or are back."""
        self._append(line.model_dump_json() for line in lines)

    def _lines(self) -> list[VersionRecord | Dropped]:
        if not self._path.exists():
            return []
        lines = []
        for number, line in enumerate(self._path.read_text("utf-8").splitlines(), start=1):
            try:
                lines.append(_LINE.validate_json(line))
            except ValueError as error:
                raise CorruptDataError(
                    f"{self._path} line {number}",
                    got=" ".join(str(error).split())[:200],
                    wanted="a record of a dataset version",
                    remedy="Remove the line; the data themselves are not touched by it.",
                ) from None
        return lines

    def find(self, name: str, version: str) -> VersionRecord:
        """The record of a version given by its first characters, at least four.

        Raises:
            UnknownKeyError: If there is none, or more than one.
        """
        records = self.records(name)
        found = [record for record in records if record.version.startswith(version)]
        if len(version) < MINIMUM_PREFIX or len(found) != 1:
            known = ", ".join(record.version[:8] for record in records) or "none yet"
            raise UnknownKeyError(
                f"version of dataset {name}",
                got=repr(version),
                wanted=f"the first characters of exactly one of {known}",
                remedy="`nightforge data versions` lists them.",
            )
        return found[0]

    def add(self, records: Iterable[VersionRecord]) -> list[VersionRecord]:
        """Append those that are not there yet, and return them."""
        known = {(record.name, record.version) for record in self.records()}
        new = [record for record in records if (record.name, record.version) not in known]
        self._append(record.model_dump_json() for record in new)
        return new

    def _append(self, lines: Iterable[str]) -> None:
        text = "".join(line + "\n" for line in lines)
        if not text:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())


def compare_listings(before: str, old: Mapping[str, str], new: Mapping[str, str]) -> DatasetChange:
    """The difference of two listings from path to content hash."""
    return DatasetChange(
        before=before,
        added=tuple(sorted(set(new) - set(old))),
        removed=tuple(sorted(set(old) - set(new))),
        changed=tuple(sorted(path for path in set(old) & set(new) if old[path] != new[path])),
    )


def read_listing(cache: Path, md5: str) -> dict[str, str] | None:
    """DVC's own listing of a folder it has cached: path to md5; None if it is not there."""
    path = cache / "files" / "md5" / md5[:2] / f"{md5[2:]}.dir"
    if not path.exists():
        return None
    return {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_text("utf-8"))}
