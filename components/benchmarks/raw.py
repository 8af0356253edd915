"""Raw data for the benchmarks, without DVC."""

from __future__ import annotations

from pathlib import Path

from components.datasets.base import FetchRequest
from components.datasets.fashion_mnist import SPEC
from components.datasets.sections import OWN_FILE, Datasets
from components.settings import Settings


def fetch_raw(settings: Settings, destination: Path) -> None:
    """Bring Fashion-MNIST's raw files into the new folder `destination`.

    Raises:
        DataError: If they cannot be had, or are not the expected ones.
    """
    destination.mkdir()
    datasets = Datasets(settings.params_file, settings.home / OWN_FILE)
    request = FetchRequest(
        name=SPEC.name,
        config=datasets.config(SPEC.name).fetch,
        data_dir=settings.data_dir,
        samples=destination,
        present=settings.workspace / "data" / "raw" / SPEC.name,
        destination=destination,
        partial=destination / "partial",
        quarantine=destination / "quarantine",
    )
    SPEC.fetch(request)
