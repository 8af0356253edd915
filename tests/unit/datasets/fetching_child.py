"""A process that fetches and can be killed: `fetching_child.py URL ROOT NAME SHA256...`."""

from __future__ import annotations

import sys
from pathlib import Path

from components.datasets.base import DownloadConfig, FetchRequest, RawFile
from components.datasets.fetch import fetch_files


def request_below(root: Path, config: DownloadConfig, data_dir: Path | None = None) -> FetchRequest:
    """A request with all its folders below `root` and a fresh destination."""
    destination = root / "staging"
    destination.mkdir(parents=True, exist_ok=True)
    for file in destination.iterdir():
        file.unlink()
    return FetchRequest(
        name="toy",
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
    files = [RawFile(*pair, payload=True) for pair in zip(pairs[::2], pairs[1::2], strict=True)]
    print(fetch_files(request_below(Path(folder), DownloadConfig(urls=(url,))), files, "Toy"))
