"""Which files of the workspace belong to no version that is kept, and removing them.

Everything here is decided from what is kept, never from a list of what was dropped, so that a
removal that was broken off is completed by the next one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import yaml

from components.versioning.dvc import DvcWorkspace
from components.versioning.mirror import MAIN, OPTIONAL, OWN
from components.versioning.versions import Dropped, VersionRecord

Key = tuple[str, str]
HALF_MADE = ("staging/*", "partial/*", "quarantine/*", "prepared/scratch-*", "versions/*/*.new")


def last_used(path: Path) -> datetime:
    """When a file, or the newest thing in a folder, was written; the beginning if it is gone."""
    times = [0.0]
    for one in (path, *path.rglob("*")):
        try:
            times.append(one.lstat().st_mtime)
        except FileNotFoundError:  # its owner has just removed it
            continue
    return datetime.fromtimestamp(max(times), UTC)


def freed_by(paths: Iterable[Path]) -> int:
    """Bytes that removing files and folders gives back: those with no name left elsewhere."""
    names: dict[tuple[int, int], int] = {}
    total = 0
    for path in paths:
        for one in (path, *path.rglob("*")):
            stat = one.lstat()
            if one.is_dir():
                continue
            node = stat.st_dev, stat.st_ino
            names[node] = names.get(node, 0) + 1
            if names[node] == stat.st_nlink:
                total += stat.st_size
    return total


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it; nothing if it is gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Shelf:
    """The versions in a workspace and the files that hold them; use it under the lock."""

    def __init__(self, workspace: DvcWorkspace) -> None:
        self._workspace = workspace
        self._data = workspace.root / "data"
        self._cache = workspace.root / ".dvc" / "cache" / "files" / "md5"

    def current(self) -> set[Key]:
        """The versions that the next night begins with."""
        newest = {one.name: one.version for one in self._workspace.ledger.records()}
        stages = [(stage.split("@"), md5) for stage, md5 in self._outputs()]
        return {*newest.items(), *((at[-1], md5) for at, md5 in stages if at[0] == "prepare")}

    def here(self) -> list[VersionRecord]:
        """Records of the versions that were not removed before."""
        ledger = self._workspace.ledger
        return [one for one in ledger.records() if not ledger.dropped(one.name, one.version)]

    def touched(self, record: VersionRecord) -> datetime:
        """When a version was first seen, or its folder last worked with."""
        folder = self._workspace.version_folder(record.name, record.version)
        seen = datetime.fromisoformat(record.first_seen)
        if not folder.exists():
            return seen
        return max(seen, datetime.fromtimestamp(folder.stat().st_mtime, UTC))

    def drop(self, dropped: Iterable[Key], pushed: Collection[Key], remote: str) -> None:
        """Note in the ledger that versions go, before their files do."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._workspace.ledger.note(
            Dropped(name=n, version=v, dropped=now, remote=remote if (n, v) in pushed else None)
            for n, v in dropped
        )

    def disused(self, kept: set[Key], cutoff: datetime) -> list[Path]:
        """Files and folders that no kept version needs, none of them touched since `cutoff`."""
        found = [*self._folders(kept), *self._objects(kept), *self._half_made()]
        return [path for path in found if last_used(path) < cutoff]

    def _half_made(self) -> Iterator[Path]:
        for pattern in HALF_MADE:
            yield from self._data.glob(pattern)

    def _folders(self, kept: set[Key]) -> Iterator[Path]:
        """Folders of versions that come back from the cache when asked for; pointers of none."""
        current = self.current()
        for path in (self._data / "versions").glob("*/*"):
            key = path.parent.name, path.name.removesuffix(".dvc")
            if path.suffix == ".dvc":
                unneeded = key not in kept
            else:
                unneeded = path.suffix == "" and key not in current
                unneeded = unneeded and (key not in kept or self._whole(key[1]))
            if unneeded:
                yield path

    def _whole(self, md5: str) -> bool:
        """Whether the cache has all files of a folder."""
        objects = self._objects_of(md5)
        return bool(objects) and all(path.exists() for path in objects)

    def _objects(self, kept: set[Key]) -> Iterator[Path]:
        needed = {path for md5 in self._needed(kept) for path in self._objects_of(md5)}
        for path in self._cache.glob("*/*"):
            if path not in needed:
                yield path

    def _needed(self, kept: set[Key]) -> Iterator[str]:
        current = self.current()
        for record in self._workspace.ledger.records():
            key = record.name, record.version
            if key in kept or key in current:
                yield record.version
            # A person's own images are stored once each, whatever versions have them.
            if record.own or key in current:
                yield record.raw
        yield from (md5 for _, md5 in self._outputs())

    def _outputs(self) -> Iterator[tuple[str, str]]:
        """What DVC's stages made last: a stage's name and the md5 of its folder."""
        for pipeline in (MAIN, OPTIONAL, OWN):
            path = self._workspace.root / Path(pipeline).with_name("dvc.lock")
            if not path.exists():
                continue
            content = yaml.safe_load(path.read_text("utf-8")) or {}
            for stage, entry in (content.get("stages") or {}).items():
                for out in entry.get("outs") or ():
                    yield stage, out["md5"].removesuffix(".dir")

    def _objects_of(self, md5: str) -> list[Path]:
        listing = self._object(f"{md5}.dir")
        if not listing.exists():
            return []
        return [
            listing,
            *(self._object(one["md5"]) for one in json.loads(listing.read_text("utf-8"))),
        ]

    def _object(self, md5: str) -> Path:
        return self._cache / md5[:2] / md5[2:]
