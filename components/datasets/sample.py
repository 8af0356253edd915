"""Makes the bundled Fashion-MNIST sample: `python -m components.datasets.sample FOLDER OUT`.

From each class the images with the lowest content rank, 600 for training and 100 for testing.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

from components.datasets.base import Arrays, HoldOutConfig, ReadRequest
from components.datasets.fashion_mnist import FILES, read_raw
from components.datasets.idx import write_idx
from components.datasets.prepare import choose_by_rank, content_rank

SHARE = 0.1


def main(source: Path, out: Path) -> None:
    """Write the four files and print the sums that fashion_mnist_sample.py states."""
    out.mkdir(parents=True, exist_ok=True)
    whole = read_raw(ReadRequest(source, HoldOutConfig(), source), FILES)
    assert whole.test
    for part, names in zip((whole.train, whole.test), (FILES[:2], FILES[2:]), strict=True):
        chosen = choose_by_rank(content_rank(part.images, seed=0), part.labels, SHARE)
        small = Arrays(part.images[chosen], part.labels[chosen])
        images = write_idx(small.images[:, 0])
        labels = write_idx(small.labels.astype("uint8"))
        for file, payload in zip(names, (images, labels), strict=True):
            (out / file.name).write_bytes(gzip.compress(payload, 9, mtime=0))
            print(file.name, hashlib.sha256(payload).hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
