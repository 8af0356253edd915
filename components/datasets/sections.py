"""Which datasets there are, and each one's section.

The catalog's sections stand in params.yaml, those of a person's own datasets in datasets.yaml in
the state directory, which has the same shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.catalog import unknown_key
from components.datasets import DATASETS
from components.datasets.base import DataConfig, DatasetSpec
from components.datasets.own import own_dataset
from components.errors import ConfigError
from components.params import check, load_mapping, load_params

OWN_FILE = "datasets.yaml"
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Datasets:
    """The datasets of the catalog and those a person has added.

    Args:
        params_file: Its `data` section holds the catalog's parameters.
        own_file: Holds the sections of a person's own datasets; need not exist.

    Raises:
        UnknownKeyError: If the `data` section names a dataset that does not exist.
    """

    def __init__(self, params_file: Path, own_file: Path) -> None:
        self._params_file, self._own_file = params_file, own_file
        self._sections: Mapping[str, Any] = load_params(params_file).get("data") or {}
        self.own: Mapping[str, Any] = load_mapping(own_file) if own_file.exists() else {}
        for name in self._sections:
            if name not in DATASETS:
                raise unknown_key(f"dataset in {params_file.name}: data", name, DATASETS)

    def __iter__(self) -> Iterator[str]:
        yield from DATASETS
        yield from self.own

    def spec(self, name: str) -> DatasetSpec:
        """What is fixed about `name`.

        Raises:
            UnknownKeyError: If there is no such dataset.
        """
        if name in DATASETS:
            return DATASETS.get(name)
        if name in self.own:
            return own_dataset(name, self.own[name])
        raise unknown_key("dataset", name, self)

    def own_specs(self) -> list[DatasetSpec]:
        """What is fixed about a person's own datasets."""
        return [self.spec(name) for name in self.own]

    def config(self, name: str) -> DataConfig:
        """The checked section of `name`; what it leaves out has its default.

        Raises:
            UnknownKeyError: For a key the section does not have.
            ConfigError: For a value of the wrong type or out of range.
        """
        spec = self.spec(name)
        if name in self.own:
            return read_section(spec, self.own[name], f"{self._own_file.name}: {name}")
        section = self._sections.get(name)
        return read_section(spec, section, f"{self._params_file.name}: data.{name}")


def read_section(spec: DatasetSpec, section: object, where: str) -> DataConfig:
    """Check one dataset's section.

    Args:
        spec: Names the classes of its two halves.
        section: A mapping with the keys `fetch` and `prepare`, each of which may be absent.
        where: How a person finds it.

    Raises:
        ConfigError: If a key or value is not one of the section's.
    """
    halves = _mapping(section, where)
    known = ("fetch", "prepare")
    for key in halves:
        if key not in known:
            raise unknown_key(f"key in {where}", str(key), known)
    fetch = _mapping(halves.get("fetch"), f"{where}.fetch")
    prepare = _mapping(halves.get("prepare"), f"{where}.prepare")
    return DataConfig(
        fetch=check(spec.fetch_config, fetch, f"{where}.fetch"),
        prepare=check(spec.prepare_config, prepare, f"{where}.prepare"),
    )


def _mapping(value: object, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise ConfigError(
        where, got=repr(value), wanted="a mapping of names to values", remedy="Correct the file."
    )


def check_new_name(name: str, datasets: Datasets) -> None:
    """See that `name` can become a dataset of a person's own.

    Raises:
        ConfigError: If it is taken by the catalog or is no plain name.
    """
    if name in DATASETS or not NAME.fullmatch(name):
        taken = name in DATASETS
        raise ConfigError(
            f"dataset name {name!r}",
            got="the name of a dataset of the catalog" if taken else "an unusable name",
            wanted="lower-case letters, digits and underscores, a letter first, at most 63",
            remedy="Choose another name.",
        )
