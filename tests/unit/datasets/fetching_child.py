"""A process that fetches and can be killed: `fetching_child.py URL ROOT NAME SHA256...`."""

from __future__ import annotations

import sys
from pathlib import Path

from components.datasets.base import DataConfig, FetchRequest, RawFile
from components.datasets.fetch import fetch_gzip_files


def request_below(root: Path, config: DataConfig, data_dir: Path | None = None) -> FetchRequest:
    """A request with all its folders below `root` and a fresh destination."""
    destination = root / "staging"
    destination.mkdir(parents=True, exist_ok=True)
    for file in destination.iterdir():
        file.unlink()
    return FetchRequest(
        config=config,
        data_dir=data_dir,
        samples=root / "samples",
        present=root / "present",
        destination=destination,
        partial=root / "partial",
        quarantine=root / "quarantine",
    )


if __name__ == "__main__":
    url, folder, *pairs = sys.argv[1:]
    files = [RawFile(*pair) for pair in zip(pairs[::2], pairs[1::2], strict=True)]
    print(fetch_gzip_files(request_below(Path(folder), DataConfig(urls=(url,))), files, "Toy"))
