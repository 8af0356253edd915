from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import components.fingerprint as identity
from components.jobs.recipe import Recipe
from components.jobs.train import training_fingerprint
from components.models.network import BackboneConfig, MlpConfig, NetworkConfig
from components.training.config import GanConfig, TrainConfig

PACKAGE = "toyproject"
SOURCES = {
    "__init__": "",
    "entry": '"""Entry."""\nfrom toyproject.middle import double\n\nRESULT = double(2)\n',
    "middle": "def double(x):\n    from toyproject import leaf\n    return leaf.times(x, 2)\n",
    "leaf": 'def times(x, n):\n    """Multiply."""\n    return x * n\n',
    "other": "VALUE = 1\n",
}
Rewrite = Callable[[str, str], str]


class Config(BaseModel):
    seed: int = 0
    lr: float = 0.1


@pytest.fixture
def rewrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rewrite]:
    """Replaces one module of a toy project and returns the hash of its entry."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    for name, source in SOURCES.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(identity, "SOURCES", tmp_path)
    monkeypatch.setattr(identity, "ROOT_PACKAGE", PACKAGE)

    def rewrite(name: str, source: str) -> str:
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        return identity.source_hash([f"{PACKAGE}.entry"])

    yield rewrite
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("leaf", "return x * n", "return x * n  # by repetition"),
        ("leaf", '"""Multiply."""', '"""Say it differently."""'),
        ("leaf", '    """Multiply."""\n', ""),
        ("leaf", "return x * n", "return   x*n\n\n\n"),
        ("entry", '"""Entry."""', '"""The way in."""'),
        ("other", "VALUE = 1", "VALUE = 2"),
    ],
)
def test_wording_layout_and_unused_modules_do_not_count(rewrite: Rewrite, name, old, new) -> None:
    before = rewrite(name, SOURCES[name])
    changed = SOURCES[name].replace(old, new)
    assert changed != SOURCES[name]
    assert rewrite(name, changed) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("entry", "double(2)", "double(3)"),
        ("middle", "(x, 2)", "(x, 3)"),
        ("leaf", "x * n", "x + n"),
        ("leaf", "def times(x, n)", "def times(x, n=1)"),
    ],
)
def test_code_counts_also_in_modules_imported_by_the_way(rewrite: Rewrite, name, old, new) -> None:
    before = rewrite(name, SOURCES[name])
    changed = SOURCES[name].replace(old, new)
    assert changed != SOURCES[name]
    assert rewrite(name, changed) != before


def test_a_function_that_is_only_a_docstring_keeps_its_place(rewrite: Rewrite) -> None:
    one = rewrite("leaf", 'def times(x, n):\n    """One."""\n')
    assert one == rewrite("leaf", 'def times(x, n):\n    """Other."""\n')
    assert one == rewrite("leaf", "def times(x, n):\n    pass\n")


def digest(**changes: object) -> str:
    values = {"dataset_version": "v1", "config": Config(), "modules": ["components.params"]}
    return identity.fingerprint(**(values | changes))  # type: ignore[arg-type]


def test_a_fingerprint_is_stable() -> None:
    assert digest() == digest()
    assert len(digest()) == 32
    assert int(digest(), 16) >= 0


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset_version": "v2"},
        {"config": Config(seed=1)},
        {"config": Config(lr=0.2)},
        {"modules": ["components.params", "components.settings"]},
        {"model": "lenet"},
    ],
)
def test_everything_that_decides_the_outcome_changes_it(changes: dict) -> None:
    assert digest(**changes) != digest()


def test_a_training_run_is_identified_by_data_model_config_and_force(tmp_path: Path) -> None:
    lenet, seeded = Recipe(model="lenet"), TrainConfig(seed=1)
    wide = NetworkConfig(mlp=MlpConfig(hidden=(512,)))
    others = [
        training_fingerprint("v2", lenet),
        training_fingerprint("v1", Recipe(model="lenet_modern")),
        training_fingerprint("v1", Recipe(model="lenet", training=seeded)),
        training_fingerprint("v1", lenet, "token"),
        training_fingerprint("v1", Recipe(model="mlp")),
        training_fingerprint("v1", Recipe(model="mlp", network=wide)),
        training_fingerprint("v1", Recipe(model="dcgan")),
        training_fingerprint("v1", Recipe(model="dcgan", gan=GanConfig(seed=1))),
    ]
    assert len({training_fingerprint("v1", lenet), *others}) == 9
    unread = Recipe(model="lenet", network=wide, gan=GanConfig(seed=1))
    assert training_fingerprint("v1", unread) == training_fingerprint("v1", lenet)


def test_other_weights_under_the_same_name_are_another_start(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    options = BackboneConfig(weights=str(file))
    recipe = Recipe(model="backbone", network=NetworkConfig(backbone=options))
    found = set()
    for content in (b"one", b"two"):
        file.write_bytes(content)
        found.add(training_fingerprint("v1", recipe))
    assert len(found) == 2


def test_what_training_rests_on_is_part_of_its_source() -> None:
    found = identity._closure(["components.training.classifier", "components.models.lenet"])
    assert {
        "components.training.optim",
        "components.training.checkpoint",
        "components.datasets.device_loader",
        "components.models.lenet",
    } <= set(found)
    assert not {name for name in found if name.startswith("components.jobs")}
    assert "components.errors" not in found
