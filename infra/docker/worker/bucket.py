"""The bucket as one tar archive: bucket.py save > FILE, bucket.py load < FILE, bucket.py count.

Any S3 service answers to it, so that a backup of one can be restored into another.
"""

import os
import sys
import tarfile
import tempfile
from pathlib import Path

from components.settings import Settings
from components.versioning.objects import open_store, s3_settings

STORE = open_store(
    f"s3://{os.environ['S3_BUCKET']}", s3_settings(Settings.from_environment(os.environ))
)


def save() -> None:
    """All objects, by their keys, on standard output."""
    with (
        tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        for number, item in enumerate(STORE.list()):
            path = Path(folder) / str(number)
            STORE.get_file(item.key, path)
            archive.add(path, arcname=item.key)
            path.unlink()


def load() -> None:
    """Store what an archive on standard input holds."""
    STORE.ensure_bucket()
    with (
        tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "object"
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            with path.open("wb") as out:
                while piece := content.read(1 << 20):
                    out.write(piece)
            STORE.put_file(path, member.name)


def count() -> None:
    """How many objects there are; 0 without a bucket."""
    STORE.ensure_bucket()
    print(sum(1 for _ in STORE.list()))


if __name__ == "__main__":
    with STORE:
        {"save": save, "load": load, "count": count}[sys.argv[1]]()
