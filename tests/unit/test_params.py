from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from components.errors import ConfigError, UnknownKeyError
from components.params import (
    check,
    load_params,
    load_profile,
    merge,
    parse_assignments,
    profile_names,
)
from components.promotion.policy import PromotionParams
from components.settings import PROJECT_ROOT
from components.training.config import TrainConfig

TREES = st.recursive(
    st.integers() | st.none(),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict))


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: Annotated[int, Field(ge=1)] = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Inner()
    width: float = 1.0


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_profile_is_laid_over_the_sections(write) -> None:
    path = write("training: {x: 1, y: 2}\ndata: {b: 3}\nprofiles: {fast: {training: {x: 9}}}\n")
    assert load_params(path) == {"training": {"x": 1, "y": 2}, "data": {"b": 3}}
    assert load_params(path, "fast") == {"training": {"x": 9, "y": 2}, "data": {"b": 3}}
    assert load_profile(path, "fast") == {"training": {"x": 9}}
    assert profile_names(path) == ["fast"]


def test_an_unknown_profile_names_the_nearest(write) -> None:
    with pytest.raises(UnknownKeyError, match="Did you mean 'demo'"):
        load_params(write("profiles: {demo: {training: {}}, full: {}}"), "dmo")


def test_an_empty_profile_changes_nothing(write) -> None:
    path = write("training: {a: 1}\nprofiles:\n  plain:\n")
    assert load_params(path, "plain") == {"training": {"a": 1}}
    assert load_profile(path, "plain") == {}


@pytest.mark.parametrize("name", ["data", "nightly", "training", "promotion", "schedule"])
def test_every_section_may_be_there_or_empty(write, name: str) -> None:
    assert load_params(write(f"{name}: {{a: 1}}")) == {name: {"a": 1}}
    assert load_params(write(f"{name}:")) == {name: {}}


@pytest.mark.parametrize(
    ("text", "remedy", "where"),
    [
        ("trainig: {epochs: 3}", "Did you mean 'training'?", "params.yaml"),
        ("profiles: {demo: {trainin: {epochs: 3}}}", "Did you mean 'training'?", "profile demo"),
        ("profiles: {demo: {promotion: {}}}", "Use one of the names listed.", "profile demo"),
        ("1: {}", "Use one of the names listed.", "params.yaml"),
    ],
)
def test_a_section_that_nobody_reads_is_refused(write, text: str, remedy: str, where: str) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        load_params(write(text))
    assert caught.value.remedy == remedy
    assert where in caught.value.subject


@pytest.mark.parametrize("text", ["a: [", "just words", "- 1\n- 2", "\x00", "training: 3"])
def test_a_file_that_is_no_mapping_is_refused(write, text: str) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        load_params(write(text))


@pytest.mark.parametrize("text", ["profiles: 3", "profiles: {demo: 3}", "profiles: [demo]"])
def test_profiles_that_are_no_mappings_are_refused(write, text: str) -> None:
    with pytest.raises(ConfigError):
        load_params(write(text), "demo")


def test_a_missing_or_undecodable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        load_params(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match=r"latin\.yaml"):
        load_params(tmp_path / "latin.yaml")


@given(TREES, TREES)
def test_merging_keeps_both_sides_and_lets_the_overlay_win(base: dict, overlay: dict) -> None:
    merged = merge(base, overlay)
    assert set(merged) == set(base) | set(overlay)
    for key, value in merged.items():
        if key in overlay and not isinstance(overlay[key], dict):
            assert value == overlay[key]
        if key not in overlay:
            assert value == base[key]
    assert merge(merged, overlay) == merged


def test_merging_leaves_its_arguments_alone() -> None:
    base = {"a": {"x": 1}}
    merge(base, {"a": {"y": 2}})
    assert base == {"a": {"x": 1}}


def test_assignments_become_a_tree_of_yaml_values() -> None:
    words = ["training.epochs=3", "training.lr=0.5", "force=true", "names=[a, b]", "x.y=a=b"]
    assert parse_assignments(words) == {
        "training": {"epochs": 3, "lr": 0.5},
        "force": True,
        "names": ["a", "b"],
        "x": {"y": "a=b"},
    }


def test_a_rate_in_scientific_notation_reaches_the_config_as_a_number() -> None:
    tree = parse_assignments(["training.lr=1e-3"])
    assert check(TrainConfig, tree["training"], "training").lr == 1e-3


@pytest.mark.parametrize("word", ["epochs", "=3", "a..b=1", ".a=1", "a.=1", "a=[", ""])
def test_an_assignment_that_cannot_be_read_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_assignments([word])


def test_an_unknown_key_names_the_nearest_and_where_it_stands() -> None:
    with pytest.raises(UnknownKeyError) as caught:
        check(TrainConfig, {"epoch": 3}, "params.yaml: training")
    assert caught.value.remedy == "Did you mean 'epochs'?"
    assert "params.yaml: training" in caught.value.subject


def test_an_unknown_key_of_a_nested_section_is_compared_with_that_section() -> None:
    with pytest.raises(UnknownKeyError, match="Did you mean 'depth'") as caught:
        check(Outer, {"inner": {"dept": 2}}, "outer")
    assert caught.value.subject.endswith("outer.inner")


def test_an_unknown_key_below_a_free_name_is_compared_with_its_section() -> None:
    values = {"models": {"shoes-classifier": {"flor": 0.5}}}
    with pytest.raises(UnknownKeyError, match="Did you mean 'floor'"):
        check(PromotionParams, values, "params.yaml: promotion")


@pytest.mark.parametrize(
    ("values", "where"),
    [({"inner": {"depth": 0}}, "outer.inner.depth"), ({"width": "wide"}, "outer.width")],
)
def test_a_bad_value_says_where_and_what(values: dict, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(Outer, values, "outer")
    assert caught.value.subject == where
    assert caught.value.got in {"0", "'wide'"}


def test_a_section_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match="outer"):
        check(Outer, [1, 2], "outer")  # type: ignore[arg-type]


def test_the_projects_own_params_fit_their_owners() -> None:
    tree = load_params(PROJECT_ROOT / "params.yaml", "demo")
    assert check(TrainConfig, tree["training"], "training").epochs == 8
    check(PromotionParams, tree["promotion"], "promotion")
