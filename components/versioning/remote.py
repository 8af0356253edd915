"""Versions shared between machines: DVC moves the data, one small record each says what they are.

The records lie beside DVC's own objects, under `index/`. They are written after the data, so that
whoever sees a record can have what it names, and never changed, so that two machines may push at
the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import yaml

from components.datasets.own import S3
from components.datasets.sections import OWN_FILE
from components.errors import CorruptDataError, VersioningError
from components.settings import Settings
from components.versioning.command import OnLine
from components.versioning.dvc import DvcWorkspace
from components.versioning.objects import ObjectStore
from components.versioning.versions import VersionRecord

REMOTE = "nightforge"
INDEX = "index"


class RecordStore(Protocol):
    """Small objects by key."""

    def keys(self) -> list[str]:
        """All keys."""

    def read(self, key: str) -> bytes:
        """One object's content."""

    def write(self, key: str, content: bytes) -> None:
        """Store one object."""


class FolderRecords:
    """Records in a local folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keys(self) -> list[str]:
        """All files, relative to the folder."""
        return [path.relative_to(self._root).as_posix() for path in self._root.rglob("*.json")]

    def read(self, key: str) -> bytes:
        """One file's content."""
        return (self._root / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        """Write one file, whole or not at all."""
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(content)
        temporary.replace(path)


class BucketRecords:
    """Records in a bucket."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def keys(self) -> list[str]:
        """All keys below the prefix."""
        return [item.key for item in self._store.list() if item.key.endswith(".json")]

    def read(self, key: str) -> bytes:
        """One object's content."""
        return self._store.get_bytes(key)

    def write(self, key: str, content: bytes) -> None:
        """Store one object."""
        self._store.put_bytes(content, key)


class Remote:
    """The place that NIGHTFORGE_REMOTE names; a folder in the state directory by default."""

    def __init__(self, workspace: DvcWorkspace) -> None:
        self._workspace = workspace
        self.url = remote_url(workspace.settings)

    def push(self, name: str | None, on_line: OnLine = print) -> list[VersionRecord]:
        """Store the data of every version that is not there yet, then their records.

        Args:
            name: One dataset, or None for all.
            on_line: Receives DVC's output.

        Returns:
            The records that are new there.

        Raises:
            DataUnavailableError: If the remote cannot be reached.
            VersioningError: If it refuses, or there is nothing to push.
        """
        workspace = self._workspace
        with workspace.lock():
            workspace.synchronise()
            records = [record for record in workspace.ledger.records(name) if self._here(record)]
            if not records:
                raise VersioningError(
                    f"push of {name or 'all datasets'}",
                    got="no version",
                    wanted="at least one prepared version",
                    remedy="Run the data flow first: nightforge run data --set dataset=NAME",
                )
            self._connect(create=True)
            workspace.dvc.run(["push", "-r", REMOTE, *self._targets(records)], on_line)
            with self._index() as index:
                there = set(index.keys())
                new = [record for record in records if _key(record) not in there]
                for record in new:
                    index.write(_key(record), record.model_dump_json(indent=1).encode())
        return new

    def pull(self, name: str | None, on_line: OnLine = print) -> list[VersionRecord]:
        """Bring the newest version of each dataset, and the records of all, into the workspace.

        Args:
            name: One dataset, or None for all that are there.
            on_line: Receives DVC's output.

        Returns:
            The versions that are in the workspace now and were not before.

        Raises:
            DataUnavailableError: If the remote cannot be reached.
            VersioningError: If it refuses, or has no version.
            CorruptDataError: If a record cannot be read.
        """
        workspace = self._workspace
        with workspace.lock():
            workspace.synchronise()
            self._connect(create=False)
            records = [record for record in self._records() if name in (None, record.name)]
            if not records:
                raise VersioningError(
                    f"pull of {name or 'all datasets'} from {self.url}",
                    got="no version there",
                    wanted="at least one that was pushed",
                    remedy="Push from the machine that has it: nightforge data push",
                )
            newest = _newest([*workspace.ledger.records(), *records])
            wanted = [record for record in _newest(records).values() if self._is_news(record)]
            wanted = [record for record in wanted if newest[record.name] == record]
            self._adopt(wanted)
            if wanted:
                self._pull_data(wanted, on_line)
            workspace.ledger.add(sorted(records, key=lambda record: record.first_seen))
        return wanted

    def bring(self, record: VersionRecord, on_line: OnLine = print) -> None:
        """Bring the data of one version back that were removed here.

        Raises:
            DataUnavailableError: If the remote cannot be reached.
            VersioningError: If it refuses, or lacks the version.
        """
        workspace = self._workspace
        with workspace.lock():
            workspace.synchronise()
            self._connect(create=False)
            pointer = str(workspace.pointer(record).relative_to(workspace.root))
            workspace.dvc.run(["pull", "-r", REMOTE, "--force", pointer], on_line)
            workspace.back(record)

    def versions(self) -> set[tuple[str, str]]:
        """Name and version of all that were pushed.

        Raises:
            DataUnavailableError: If the remote cannot be reached.
            VersioningError: If it refuses.
        """
        with self._index() as index:
            keys = [key.removesuffix(".json").split("/") for key in index.keys()]  # noqa: SIM118
        return {(key[0], key[1]) for key in keys if len(key) == 2}

    def _pull_data(self, records: list[VersionRecord], on_line: OnLine) -> None:
        command = ["pull", "-r", REMOTE, "--force", *self._stages(records)]
        try:
            self._workspace.dvc.run(command, on_line)
        except VersioningError:
            # DVC does not repeat a part of a large object whose connection broke; what has
            # arrived stays, so that the second attempt is short.
            self._workspace.dvc.run(command, on_line)

    def _is_news(self, record: VersionRecord) -> bool:
        known = self._workspace.ledger.records(record.name)
        return all(record.version != one.version for one in known[-1:])

    def _here(self, record: VersionRecord) -> bool:
        cache = self._workspace.root / ".dvc" / "cache" / "files" / "md5"
        return (cache / record.version[:2] / f"{record.version[2:]}.dir").exists()

    def _targets(self, records: Iterable[VersionRecord]) -> list[str]:
        records = list(records)
        root = self._workspace.root
        pointers = [str(self._workspace.pointer(record).relative_to(root)) for record in records]
        return [*self._stages(_newest(records).values()), *pointers]

    def _stages(self, records: Iterable[VersionRecord]) -> list[str]:
        stage = self._workspace.stage
        return [stage(kind, record.name) for record in records for kind in ("fetch", "prepare")]

    def _records(self) -> list[VersionRecord]:
        with self._index() as index:
            contents = {key: index.read(key) for key in sorted(index.keys())}
        return [self._parsed(key, content) for key, content in contents.items()]

    def _parsed(self, key: str, content: bytes) -> VersionRecord:
        try:
            return VersionRecord.model_validate_json(content)
        except ValueError as error:
            raise CorruptDataError(
                f"record {key} of {self.url}",
                got=" ".join(str(error).split())[:200],
                wanted="a record of a dataset version",
                remedy="Remove the object, or push from the machine that wrote it.",
            ) from None

    def _adopt(self, records: Iterable[VersionRecord]) -> None:
        """Write what DVC needs to know of versions that another machine has made."""
        workspace = self._workspace
        records = list(records)
        own_file = workspace.settings.home / OWN_FILE
        missing = {
            r.name: r.section for r in records if r.own and r.name not in workspace.datasets()
        }
        if missing:
            add_sections(own_file, missing)
            workspace.synchronise()
        for record in records:
            path = workspace.root / Path(workspace.pipeline(record.name)).with_name("dvc.lock")
            lock: dict[str, Any] = {"schema": "2.0", "stages": {}}
            if path.exists():
                lock = yaml.safe_load(path.read_text("utf-8"))
            for kind, entry in record.lock.items():
                lock["stages"][f"{kind}@{record.name}"] = entry
            path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")

    def _connect(self, *, create: bool) -> None:
        """Tell DVC where the remote is, and see that it can be used."""
        settings, dvc = self._workspace.settings, self._workspace.dvc
        if self.url.startswith(S3) and create:
            with self._workspace.objects(self.url) as store:
                store.ensure_bucket()
        dvc.run(["remote", "add", "--force", "--quiet", REMOTE, f"{self.url}/dvc"])
        # A damaged object is then refused when it is pulled, not trained on.
        options: dict[str, str | None] = {"verify": "true"}
        if self.url.startswith(S3):
            options |= {"endpointurl": settings.s3_endpoint, "region": settings.s3_region}
        for key, value in options.items():
            if value:
                dvc.run(["remote", "modify", "--quiet", REMOTE, key, value])

    @contextmanager
    def _index(self) -> Iterator[RecordStore]:
        if not self.url.startswith(S3):
            yield FolderRecords(Path(self.url) / INDEX)
            return
        with self._workspace.objects(f"{self.url}/{INDEX}") as store:
            yield BucketRecords(store)


def remote_url(settings: Settings) -> str:
    """Where versions are pushed: an absolute folder or s3://bucket/prefix."""
    url = settings.remote or str(settings.home / "remote")
    return url.rstrip("/") if url.startswith(S3) else str(Path(url).expanduser().resolve())


def add_sections(own_file: Path, sections: Mapping[str, object]) -> None:
    """Write sections of a person's own datasets beside those that are there."""
    present = yaml.safe_load(own_file.read_text("utf-8")) if own_file.exists() else {}
    write_sections(own_file, {**(present or {}), **sections})


def write_sections(own_file: Path, sections: Mapping[str, object]) -> None:
    """Replace the file of a person's own datasets, whole or not at all."""
    temporary = own_file.with_name(own_file.name + ".tmp")
    temporary.write_text(yaml.safe_dump(dict(sections), sort_keys=False), encoding="utf-8")
    temporary.replace(own_file)


def _key(record: VersionRecord) -> str:
    return f"{record.name}/{record.version}.json"


def _newest(records: Iterable[VersionRecord]) -> dict[str, VersionRecord]:
    """The record of each name that was seen last; a version that came back counts once."""
    ordered = sorted(records, key=lambda record: record.first_seen)
    return {record.name: record for record in ordered}
