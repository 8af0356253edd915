"""Removing what nothing needs any more.

What refers goes before what it names, and each thing is decided again under the lock of those who
might use it, so that a kill at any moment leaves nothing that stays without what it needs.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from components.errors import ConfigError, ServiceError
from components.jobs.locks import try_lock
from components.jobs.removal import REMOVING, Removal, Services, data_keys
from components.jobs.retention import Kind
from components.versioning.disused import freed_by, last_used, remove

AGE = re.compile(r"(?P<number>\d{1,6})(?P<unit>[hdw])", re.ASCII)
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
DATA_FILES, OTHER_FILES = "files of datasets", "logs, unfinished files"
# A process that was taken for dead, and wakes up after so long, may find its number given again.
FENCES, FENCE_AGE = "checkpoints/*.fence", timedelta(days=30)
SELF_CHECKS = "self_checks/*.json"  # the newest says that this worker passed
LEFT_BEHIND = ("logs/*.log.*", "reports/.*.tmp", "checkpoints/*.tmp")
BUSY_SECONDS = 10.0


@dataclass(frozen=True)
class Line:
    """What was removed of one kind, or would be.

    Attributes:
        kept: How many stay, for which reason.
        freed: Bytes; None where they are in a database.
    """

    kind: str
    removed: int
    kept: dict[str, int] = field(default_factory=dict)
    freed: int | None = None


def parse_age(text: str) -> timedelta:
    """Read 12h, 30d or 2w.

    Raises:
        ConfigError: If it is none of these.
    """
    if found := AGE.fullmatch(text):
        return int(found["number"]) * UNITS[found["unit"]]
    raise ConfigError(
        "--older-than",
        got=repr(text),
        wanted="a whole number of hours, days or weeks, such as 12h, 30d or 2w",
        remedy="For example: nightforge clean --older-than 30d --dry-run",
    )


@dataclass(frozen=True)
class Cleaning:
    """One pass over an installation.

    Attributes:
        services: What to look at, and what to hold off meanwhile.
        limit: What was touched since then stays.
    """

    services: Services
    limit: datetime

    def preview(self) -> Iterator[Line]:
        """What `clean` would remove now; nothing is changed.

        Raises:
            TrackingError: If the tracking server does not answer.
        """
        removal = Removal.begin(self.services, self.limit)
        for kind in Kind:
            keys = removal.plan.removed(kind)
            yield _line(removal, kind, keys, removal.sizes(kind, keys))
        kept = data_keys(removal.plan.kept(Kind.DATA))
        with self.services.context.workspace.lock():
            files = removal.shelf.disused(kept, removal.cutoff)
        yield Line(DATA_FILES, len(files), {}, freed_by(files))
        yield self._left_behind(removal)

    def clean(self) -> Iterator[Line]:
        """Remove, kind by kind, and tell of each when it is done.

        Raises:
            ServiceError: If another process cleans, or promotions cannot be held off.
            TrackingError: If the tracking server does not answer.
        """
        home = self.services.context.settings.ensure_home()
        with try_lock(home / "clean.lock") as mine:
            if not mine:
                raise ServiceError(
                    f"cleaning of {home}",
                    got="another `nightforge clean` at work",
                    wanted="one at a time",
                    remedy="Wait for its end.",
                )
            removal = Removal.begin(self.services, self.limit)
            for kind in Kind:
                keys = removal.plan.removed(kind)
                sizes = removal.sizes(kind, keys)
                yield _line(removal, kind, removal.remove(kind, keys), sizes)
            files, freed = removal.remove_data_files()
            yield Line(DATA_FILES, files, {}, freed)
            left = self._left_behind(removal)
            for path in left_behind(home, removal.cutoff):
                remove(path)
            yield left

    def _left_behind(self, removal: Removal) -> Line:
        paths = left_behind(self.services.context.settings.home, removal.cutoff)
        return Line(OTHER_FILES, len(paths), {}, freed_by(paths))


def _line(removal: Removal, kind: Kind, gone: list[str], sizes: Mapping[str, int] | None) -> Line:
    kept = removal.plan.reasons(kind)
    if more := len(removal.plan.removed(kind)) - len(gone):
        kept["in use since"] = more
    return Line(kind, len(gone), kept, None if sizes is None else sum(sizes[key] for key in gone))


def left_behind(home: Path, cutoff: datetime) -> list[Path]:
    """Files of the state directory that nobody will look at again."""
    found = [path for pattern in LEFT_BEHIND for path in sorted(home.glob(pattern))]
    found += sorted(home.glob(SELF_CHECKS), key=last_used)[:-1]
    found = [path for path in found if last_used(path) < cutoff]
    fences = min(cutoff, datetime.now(UTC) - FENCE_AGE)
    found += [path for path in sorted(home.glob(FENCES)) if last_used(path) < fences]
    killed = sorted((home / REMOVING).glob("*"))  # what another removal was about to finish
    return [*killed, *found]


def compact(database: Path) -> int:
    """Give the disk back what removed records left in an SQLite database; the bytes freed.

    Its server may go on. If that is just writing, or the disk has no room for the new copy,
    nothing happens, and the next time more is freed.
    """
    journal = database.with_name(f"{database.name}-wal")
    before = freed_by(path for path in (database, journal) if path.exists())
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection:
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            return 0
    after = freed_by(path for path in (database, journal) if path.exists())
    return max(0, before - after)
