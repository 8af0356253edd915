"""Naming a version: MODEL, MODEL@alias, MODEL:3."""

from __future__ import annotations

import pytest
from toy_night import trained

from components.errors import ConfigError, NightforgeError, PromotionError, UnknownKeyError
from components.jobs.context import JobContext
from components.jobs.references import parse, resolve

MODEL = "toy-classifier"


@pytest.fixture
def versions(context: JobContext) -> JobContext:
    """Three versions; the second is the champion, the first the one before."""
    for number in range(1, 4):
        run = trained(context, 0.9, f"run {number}")
        context.registry.register(MODEL, run.run_id, {})
    context.registry.set_alias(MODEL, "champion", 2)
    context.registry.set_alias(MODEL, "previous", 1)
    return context


@pytest.mark.parametrize(
    ("text", "number"),
    [(MODEL, 2), (f"{MODEL}@champion", 2), (f"{MODEL}@previous", 1), (f"{MODEL}:3", 3)],
)
def test_a_version_has_several_names(versions: JobContext, text: str, number: int) -> None:
    assert resolve(versions.registry, text).version == number


@pytest.mark.parametrize(
    ("text", "shown"),
    [("m", "m@champion"), ("m@previous", "m@previous"), ("m:3", "m:3")],
)
def test_a_reference_reads_like_what_was_typed(text: str, shown: str) -> None:
    assert str(parse(text)) == shown


@pytest.mark.parametrize("text", ["", "@champion", ":3", "m@", "m:", "m:three", "m:-1", "m:²"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="wanted MODEL, MODEL@alias or MODEL:version"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("toy-clasifier", UnknownKeyError, "Did you mean 'toy-classifier'"),
        (f"{MODEL}:7", ConfigError, r"got version 7, wanted .*newest are 1, 2, 3"),
        (f"{MODEL}:0", ConfigError, "got version 0"),
        (f"{MODEL}@prevoius", PromotionError, "Its aliases are champion, previous"),
    ],
)
def test_what_is_not_there_is_said(
    versions: JobContext, text: str, kind: type[NightforgeError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        resolve(versions.registry, text)


def test_an_empty_registry_says_what_to_do(context: JobContext) -> None:
    with pytest.raises(PromotionError, match="nightforge run nightly"):
        resolve(context.registry, MODEL)


def test_a_model_without_a_champion_names_its_newest_version(context: JobContext) -> None:
    context.registry.register(MODEL, trained(context, 0.9, "run").run_id, {})
    with pytest.raises(PromotionError, match=f"got no champion yet.*{MODEL}:1"):
        resolve(context.registry, MODEL)


def test_a_model_without_versions_is_no_error_of_ours(context: JobContext) -> None:
    context.registry.tag_model(MODEL, {"a": "b"})
    with pytest.raises(ConfigError, match="no version yet"):
        resolve(context.registry, f"{MODEL}:1")
    with pytest.raises(PromotionError, match="no champion yet"):
        resolve(context.registry, MODEL)
