"""From a champion to what it was made from, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_night import MODEL, Fuse, Interrupted, fused, night, toy_context, trained

from components.errors import ConfigError, PromotionError, TrackingError, UnknownKeyError
from components.jobs.context import FlowRunRef
from components.jobs.lineage import history, lineage, trained_on
from components.jobs.references import resolve
from components.tracking.base import DATASETS_EXPERIMENT, DatasetInput, RunSpec, RunStatus


def test_one_can_walk_from_a_champion_to_everything(context, data) -> None:
    card = RunSpec(
        DATASETS_EXPERIMENT,
        "card",
        f"{data.name}-{data.version}",
        {},
        {},
        DatasetInput(data.name, data.version, "nowhere", {}),
    )
    shown = context.tracker.start(card)
    context.tracker.finish(shown.run_id, RunStatus.FINISHED)
    asked = replace(context, flow_run=FlowRunRef("1", "http://prefect/1"))
    run = trained(context, 0.9, "first")
    night(asked, run, data)
    found = lineage(context, resolve(context.registry, MODEL))
    assert (found.run.run_id, found.dataset, found.dataset_version) == (
        run.run_id,
        data.name,
        data.version,
    )
    assert found.decision.promoted
    assert found.links["training run"] == run.url
    assert found.links["data card"] == shown.url
    assert found.links["decision"].endswith("evaluation/decision.json")
    assert found.links["registered by"] == "http://prefect/1"
    card_text = context.registry.descriptions[MODEL, 1]
    for url in (run.url, shown.url, found.links["decision"], "http://prefect/1"):
        assert f"]({url})" in card_text


def test_a_version_whose_run_was_deleted_is_an_error(context, first) -> None:
    version = resolve(context.registry, MODEL)
    with pytest.raises(TrackingError):
        lineage(context, replace(version, run_id="gone"))


def test_a_version_that_no_night_registered_is_one_clear_line(context, first) -> None:
    run = trained(context, 0.9, "by hand")
    version = context.registry.register(MODEL, run.run_id, {})
    with pytest.raises(PromotionError, match="a night registered"):
        lineage(context, version)


def test_a_card_that_a_kill_kept_from_its_version_is_added(context, data) -> None:
    run = trained(context, 0.9, "first")
    with pytest.raises(Interrupted):
        night(fused(context, Fuse(at_register(context, data), after=True)), run, data)
    assert context.registry.descriptions == {}
    night(context, run, data)
    assert context.registry.descriptions[MODEL, 1].startswith(f"# {MODEL}")


def at_register(context, data) -> int:
    """Which write of a night registers the version."""
    other = toy_context(context.settings.home / "other")
    fuse = Fuse(at=0, after=False)
    night(fused(other, fuse), trained(other, 0.9, "first"), data)
    return fuse.names.index("register") + 1


def test_one_can_ask_which_models_came_of_a_version_of_the_data(context, first, data) -> None:
    newer = replace(data, version="b" * 32)
    night(context, trained(context, 0.95, "second"), newer)
    night(context, trained(context, 0.5, "third"), newer)
    assert [version.version for version in trained_on(context, "b" * 8)] == [2, 3]
    assert [version.version for version in trained_on(context, data.version)] == [1]
    with pytest.raises(PromotionError, match="no registered model"):
        trained_on(context, "cccc")
    with pytest.raises(ConfigError, match="at least 4 digits"):
        trained_on(context, "bbb")
    night(context, trained(context, 0.96, "fourth"), replace(data, version="b" * 8 + "c" * 24))
    with pytest.raises(ConfigError, match="Give more digits"):
        trained_on(context, "b" * 8)


def test_the_history_has_versions_and_moves(context, first, data) -> None:
    night(context, trained(context, 0.5, "worse"), data)
    found = history(context, MODEL)
    assert [one.version.version for one in found.versions] == [2, 1]
    assert [str(one.newest.state) for one in found.versions] == ["refused", "applied"]
    assert "floor" in found.versions[0].newest.gist
    assert found.versions[1].newest.gist.startswith("first model")
    assert [move.version for move in found.moves] == [1]


def test_a_misspelt_model_is_named(context, first) -> None:
    with pytest.raises(UnknownKeyError, match="toy-classifier"):
        history(context, "toy-clasifier")
