"""What every entry of the catalog of datasets must keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.datasets import DATASETS
from components.datasets.base import DataConfig, FetchConfig, Split
from components.datasets.prepared import Prepared, PreparedDataset, PreparedTexts, load
from components.datasets.sections import OWN_FILE, Datasets
from components.datasets.sprites import SpritesConfig
from components.settings import PROJECT_ROOT, Settings
from components.versioning.stage import run_fetch, run_prepare

# The others need a download, or Debian's package.
HERE = [name for name in DATASETS if not DATASETS.get(name).optional and name != "fashion_mnist"]
SMALLER: dict[str, FetchConfig] = {"sprites": SpritesConfig(species=5, per_species=30)}


@pytest.mark.parametrize("name", list(DATASETS))
def test_it_says_what_it_is(name: str) -> None:
    spec = DATASETS.get(name)
    assert spec.name == name == DATASETS.module(name).rpartition(".")[2]
    assert spec.title
    assert spec.licence
    assert spec.fallback is None or DATASETS.get(spec.fallback).sample


@pytest.mark.parametrize("name", list(DATASETS))
def test_its_section_of_params_yaml_is_valid_and_complete(name: str) -> None:
    datasets = Datasets(PROJECT_ROOT / "params.yaml", PROJECT_ROOT / OWN_FILE)
    spec, config = datasets.spec(name), datasets.config(name)
    assert type(config.fetch) is spec.fetch_config
    assert type(config.prepare) is spec.prepare_config


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_it_is_prepared_twice_with_the_same_bytes_and_splits_that_share_nothing(
    name: str, tmp_path: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    spec = DATASETS.get(name)
    config = DataConfig(SMALLER.get(name, spec.fetch_config()), spec.prepare_config())
    made = []
    for root in (tmp_path / "one", tmp_path / "two"):
        run_fetch(spec, config, Settings(home=root), root)
        run_prepare(spec, config, root)
        made.append(root / "data" / "prepared" / name)
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in made]
    assert contents[0] == contents[1]
    prepared = load(made[0])
    assert prepared.card.name == name
    assert prepared.card.kind == spec.kind
    rows = {split: _rows(prepared, split) for split in Split}
    for one, other in ((Split.TRAIN, Split.TEST), (Split.TRAIN, Split.VALIDATION)):
        assert not rows[one] & rows[other]
    assert all(len(rows[split]) for split in Split)


def _rows(prepared: Prepared, split: Split) -> set[bytes]:
    if isinstance(prepared, PreparedTexts):
        return {f"{text.text}\n{text.second}".encode() for text in prepared.splits[split]}
    if isinstance(prepared, PreparedDataset):
        return {np.asarray(image).tobytes() for image in prepared.splits[split].images}
    return {row.tobytes() for row in prepared.splits[split].features}
