"""What a tracker and a registry must do, in memory and over MLflow."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from both_services import Services
from matplotlib.figure import Figure
from torch import nn

from components.errors import TrackingError
from components.tracking.base import CHAMPION, PREVIOUS, RunStatus, Tag

EXAMPLE = np.random.default_rng(0).random((2, 1, 4, 4), dtype=np.float32)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 3)).eval()


@pytest.fixture
def registered(services: Services):
    """Registers a new run's model as the next version."""

    def register(fingerprint: str = "f" * 32, **tags: str):
        run = services.run(fingerprint)
        services.tracker.log_model(run.run_id, network(), EXAMPLE)
        return services.registry.register(services.model, run.run_id, tags)

    return register


# Runs


def test_a_started_run_is_running_and_carries_its_tags(services: Services) -> None:
    run = services.run(**{Tag.SEED: "3", "mine": "yes"})
    assert run.status is RunStatus.RUNNING
    assert run.name == "lenet-ffff"
    assert run.run_id in run.url
    assert run.tags[Tag.FINGERPRINT] == "f" * 32
    assert (run.tags[Tag.SEED], run.tags["mine"]) == ("3", "yes")
    assert services.tracker.get(run.run_id) == run


def test_a_run_is_found_by_its_fingerprint_in_its_experiment(services: Services) -> None:
    assert services.tracker.find(services.experiment, "f" * 32) is None
    run = services.run()
    assert services.tracker.find(services.experiment, "f" * 32) == run
    assert services.tracker.find(services.experiment, "e" * 32) is None
    assert services.tracker.find("another", "f" * 32) is None


def test_a_finished_run_is_found_before_newer_unfinished_ones(services: Services) -> None:
    first = services.run()
    services.tracker.finish(first.run_id, RunStatus.FINISHED)
    services.tracker.finish(services.run().run_id, RunStatus.FAILED)
    services.run()
    found = services.tracker.find(services.experiment, "f" * 32)
    assert found is not None
    assert (found.run_id, found.status) == (first.run_id, RunStatus.FINISHED)


def test_without_a_finished_run_the_newest_is_found(services: Services) -> None:
    for _ in range(3):
        newest = services.run()
        services.tracker.finish(newest.run_id, RunStatus.KILLED)
    found = services.tracker.find(services.experiment, "f" * 32)
    assert found is not None
    assert found.run_id == newest.run_id


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
def test_a_closed_run_has_its_status_and_runs_no_more(services: Services, status) -> None:
    run = services.run()
    assert run.run_id in [r.run_id for r in services.tracker.running()]
    services.tracker.finish(run.run_id, status)
    assert services.tracker.get(run.run_id).status is status
    assert run.run_id not in [r.run_id for r in services.tracker.running()]


def test_a_resumed_run_is_the_same_run_running_with_new_tags(services: Services) -> None:
    run = services.run(**{Tag.GIT_COMMIT: "old", Tag.SEED: "1"})
    services.tracker.log_metrics(run.run_id, {"loss": 1.0}, step=1)
    services.tracker.finish(run.run_id, RunStatus.FAILED)
    resumed = services.tracker.resume(run.run_id, services.spec(**{Tag.GIT_COMMIT: "new"}))
    assert resumed.run_id == run.run_id
    assert resumed.status is RunStatus.RUNNING
    assert (resumed.tags[Tag.GIT_COMMIT], resumed.tags[Tag.SEED]) == ("new", "1")
    assert resumed.tags[Tag.FINGERPRINT] == "f" * 32
    assert resumed.metrics == {"loss": 1.0}
    assert (resumed.params, resumed.datasets) == (run.params, run.datasets)


def test_a_started_run_has_flat_parameters_and_its_dataset(services: Services) -> None:
    run = services.run()
    assert run.params == {"model": "lenet", "training.lr": "0.1", "training.epochs": "3"}
    assert tuple(run.datasets) == ("d" * 32,)


def test_a_resumed_run_gets_the_parameters_it_lacks_and_keeps_the_others(
    services: Services,
) -> None:
    short = replace(services.spec(), params={"model": "lenet"})
    run = services.tracker.start(short)
    longer = {"model": "another", "training": {"lr": 0.1}}
    resumed = services.tracker.resume(run.run_id, replace(short, params=longer))
    assert resumed.params == {"model": "lenet", "training.lr": "0.1"}
    assert tuple(resumed.datasets) == ("d" * 32,)


def test_tags_are_added_and_replaced(services: Services) -> None:
    run = services.run(a="1", b="1")
    services.tracker.set_tags(run.run_id, {"b": "2", "c": "3"})
    tags = services.tracker.get(run.run_id).tags
    assert (tags["a"], tags["b"], tags["c"]) == ("1", "2", "3")


# Metrics


def test_metrics_keep_their_last_value_and_their_last_step(services: Services) -> None:
    run = services.run()
    assert services.tracker.last_step(run.run_id, "loss") == 0
    services.tracker.log_metrics(run.run_id, {"loss": 2.0, "accuracy": 0.25}, step=1)
    services.tracker.log_metrics(run.run_id, {"loss": 1.5}, step=2)
    assert services.tracker.last_step(run.run_id, "loss") == 2
    assert services.tracker.last_step(run.run_id, "accuracy") == 1
    assert services.tracker.last_step(run.run_id, "other") == 0
    assert services.tracker.get(run.run_id).metrics == {"loss": 1.5, "accuracy": 0.25}


def test_an_earlier_step_logged_late_is_not_the_latest(services: Services) -> None:
    run = services.run()
    services.tracker.log_metrics(run.run_id, {"loss": 1.0}, step=5)
    services.tracker.log_metrics(run.run_id, {"loss": 9.0}, step=2)
    assert services.tracker.last_step(run.run_id, "loss") == 5
    assert services.tracker.get(run.run_id).metrics == {"loss": 1.0}


def test_names_with_a_slash_and_whole_numbers_are_metrics(services: Services) -> None:
    run = services.run()
    values = {"test_recall/ankle boot": 0.5, "epochs": 3, "size_bytes": 123_456}
    services.tracker.log_metrics(run.run_id, values, step=0)
    assert services.tracker.get(run.run_id).metrics == values


def test_an_earlier_snapshot_of_a_run_does_not_change(services: Services) -> None:
    before = services.run()
    services.tracker.log_metrics(before.run_id, {"loss": 1.0}, step=1)
    services.tracker.set_tags(before.run_id, {"x": "1"})
    assert before.metrics == {}
    assert "x" not in before.tags


def test_the_load_of_the_machine_is_logged_while_the_context_is_open(services: Services) -> None:
    run = services.run()
    with services.tracker.system_metrics(run.run_id):
        services.tracker.log_metrics(run.run_id, {"loss": 1.0}, step=1)
    assert services.tracker.get(run.run_id).metrics["loss"] == 1.0


# Artifacts


@pytest.mark.parametrize("text", ["", "one\ntwo\n", "naïve ☃", json.dumps({"a": [1] * 9000})])
def test_a_text_is_read_back_unchanged(services: Services, text: str) -> None:
    run = services.run()
    services.tracker.log_text(run.run_id, "evaluation/report.json", "an earlier text")
    services.tracker.log_text(run.run_id, "evaluation/report.json", text)
    assert services.tracker.read_text(run.run_id, "evaluation/report.json") == text


def test_a_text_that_was_never_stored_is_an_error(services: Services) -> None:
    run = services.run()
    with pytest.raises(TrackingError):
        services.tracker.read_text(run.run_id, "evaluation/none.json")


def test_a_figure_is_stored(services: Services) -> None:
    run = services.run()
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([1, 2])
    services.tracker.log_figure(run.run_id, "picture.png", figure)
    with pytest.raises(TrackingError):
        services.tracker.read_text(run.run_id, "another.png")


def test_an_artifact_has_an_address_of_its_own(services: Services) -> None:
    run, address = services.run(), services.tracker.artifact_url
    addresses = {address(run.run_id, path) for path in ("a.png", "b.png")}
    addresses.add(address("0" * 32, "a.png"))
    assert len(addresses) == 3


# Models


def test_a_logged_model_gives_the_same_scores_for_any_batch(services: Services) -> None:
    run, model = services.run(), network()
    services.tracker.log_model(run.run_id, model, EXAMPLE)
    loaded = services.registry.load_run(run.run_id)
    for n in (1, 2, 7):
        images = torch.rand(n, 1, 4, 4)
        assert torch.allclose(loaded(images), model(images), atol=1e-6)


def test_a_stored_model_does_not_change_with_the_one_that_was_logged(services: Services) -> None:
    run, model = services.run(), network()
    services.tracker.log_model(run.run_id, model, EXAMPLE)
    images = torch.rand(2, 1, 4, 4)
    expected = model(images).detach()
    with torch.no_grad():
        model[2].weight.zero_()
        next(services.registry.load_run(run.run_id).parameters()).zero_()
    assert torch.allclose(services.registry.load_run(run.run_id)(images), expected, atol=1e-6)


def test_versions_are_numbered_and_belong_to_their_runs(services: Services, registered) -> None:
    one, two = registered("1" * 32, a="x"), registered("2" * 32)
    assert (one.name, one.version, two.version) == (services.model, 1, 2)
    assert one.tags == {"a": "x"}
    found = services.registry.version_of_run(services.model, two.run_id)
    assert found is not None
    assert (found.version, found.run_id) == (2, two.run_id)
    assert services.registry.version_of_run(services.model, "0" * 32) is None
    assert services.registry.version_of_run("none", one.run_id) is None


def test_the_newest_version_of_a_run_counts(services: Services, registered) -> None:
    run_id = registered().run_id
    services.registry.register(services.model, run_id, {})
    found = services.registry.version_of_run(services.model, run_id)
    assert found is not None
    assert found.version == 2


def test_a_version_is_loaded(services: Services, registered) -> None:
    version, images = registered(), torch.rand(3, 1, 4, 4)
    loaded = services.registry.load(version)(images)
    assert torch.allclose(loaded, network()(images), atol=1e-6)


def test_an_alias_points_at_one_version_and_moves(services: Services, registered) -> None:
    one, two = registered("1" * 32), registered("2" * 32)
    registry, name = services.registry, services.model
    assert registry.by_alias(name, CHAMPION) is None
    registry.set_alias(name, CHAMPION, one.version)
    registry.set_alias(name, PREVIOUS, one.version)
    registry.set_alias(name, CHAMPION, two.version)
    champion, previous = registry.by_alias(name, CHAMPION), registry.by_alias(name, PREVIOUS)
    assert champion is not None
    assert previous is not None
    assert (champion.version, list(champion.aliases)) == (2, [CHAMPION])
    assert (previous.version, list(previous.aliases)) == (1, [PREVIOUS])
    found = registry.version_of_run(name, one.run_id)
    assert found is not None
    assert list(found.aliases) == [PREVIOUS]


def test_an_alias_can_be_removed_once(services: Services, registered) -> None:
    version = registered()
    services.registry.set_alias(services.model, PREVIOUS, version.version)
    services.registry.remove_alias(services.model, PREVIOUS)
    assert services.registry.by_alias(services.model, PREVIOUS) is None
    with pytest.raises(TrackingError):
        services.registry.remove_alias(services.model, PREVIOUS)
    services.registry.verify(version)


def test_models_and_their_versions_are_listed_with_aliases(services: Services, registered) -> None:
    registry, name = services.registry, services.model
    assert registry.versions(name) == []
    one, two = registered("1" * 32), registered("2" * 32)
    registry.set_alias(name, CHAMPION, two.version)
    registry.set_alias(name, PREVIOUS, one.version)
    assert name in registry.names()
    listed = registry.versions(name)
    assert [(version.version, list(version.aliases)) for version in listed] == [
        (1, [PREVIOUS]),
        (2, [CHAMPION]),
    ]
    assert [version.run_id for version in listed] == [one.run_id, two.run_id]
    assert listed[1].tags == two.tags


def test_an_alias_of_an_unknown_model_is_none(services: Services) -> None:
    assert services.registry.by_alias("none", CHAMPION) is None


def test_tags_of_a_version_are_added_and_replaced(services: Services, registered) -> None:
    version = registered(a="1")
    services.registry.tag_version(services.model, version.version, {"a": "2", Tag.DECISION: "{}"})
    found = services.registry.version_of_run(services.model, version.run_id)
    assert found is not None
    assert found.tags == {"a": "2", str(Tag.DECISION): "{}"}


def test_a_long_decision_fits_a_tag(services: Services, registered) -> None:
    version, text = registered(), "x" * 5000
    services.registry.tag_version(services.model, version.version, {Tag.DECISION: text})
    found = services.registry.version_of_run(services.model, version.run_id)
    assert found is not None
    assert found.tags[Tag.DECISION] == text


def test_tags_of_a_model_make_it_and_are_kept_apart_from_its_versions(
    services: Services, registered
) -> None:
    registry, name = services.registry, services.model
    assert registry.model_tags(name) == {}
    registry.tag_model(name, {"a": "1"})
    registry.tag_model(name, {f"{Tag.LEDGER}.x": "{}", "a": "2"})
    assert registry.model_tags(name) == {"a": "2", f"{Tag.LEDGER}.x": "{}"}
    version = registered()
    assert (version.version, version.tags) == (1, {})
    assert registry.model_tags(name) == {"a": "2", f"{Tag.LEDGER}.x": "{}"}


def test_the_description_of_a_version_is_kept(services: Services, registered) -> None:
    version = registered()
    services.registry.describe_version(services.model, version.version, "# A *card*")
    assert services.description(version.version) == "# A *card*"


# What is missing

GONE = "0" * 32
PICTURE = np.zeros((4, 4, 3), dtype=np.uint8)
MISSING = {
    "get": lambda s: s.tracker.get(GONE),
    "resume": lambda s: s.tracker.resume(GONE, s.spec()),
    "finish": lambda s: s.tracker.finish(GONE, RunStatus.FAILED),
    "set tags": lambda s: s.tracker.set_tags(GONE, {"a": "b"}),
    "log metrics": lambda s: s.tracker.log_metrics(GONE, {"loss": 1.0}, 1),
    "log text": lambda s: s.tracker.log_text(GONE, "a.txt", "text"),
    "read text": lambda s: s.tracker.read_text(GONE, "a.txt"),
    "log model": lambda s: s.tracker.log_model(GONE, network(), EXAMPLE),
    "load run": lambda s: s.registry.load_run(GONE),
    "register": lambda s: s.registry.register(s.model, GONE, {}),
    "set alias": lambda s: s.registry.set_alias("none", CHAMPION, 1),
    "log image": lambda s: s.tracker.log_image(GONE, "samples", PICTURE, 1),
    "describe version": lambda s: s.registry.describe_version("none", 1, "text"),
    "tag version": lambda s: s.registry.tag_version("none", 1, {"a": "b"}),
}


@pytest.mark.parametrize("call", MISSING.values(), ids=MISSING.keys())
def test_what_is_not_there_is_a_tracking_error(services: Services, call) -> None:
    with pytest.raises(TrackingError) as caught:
        call(services)
    assert "\n" not in str(caught.value)


def test_a_run_without_a_model_cannot_be_registered_or_loaded(services: Services) -> None:
    run = services.run()
    with pytest.raises(TrackingError):
        services.registry.register(services.model, run.run_id, {})
    with pytest.raises(TrackingError):
        services.registry.load_run(run.run_id)


def test_a_version_that_is_not_there_gets_no_alias_and_no_tags(
    services: Services, registered
) -> None:
    registered()
    with pytest.raises(TrackingError):
        services.registry.set_alias(services.model, CHAMPION, 2)
    with pytest.raises(TrackingError):
        services.registry.tag_version(services.model, 2, {"a": "b"})
    assert services.registry.by_alias(services.model, CHAMPION) is None
