"""Naming a candidate by version or run, and looking at it beside the champion."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_night import (
    MODEL,
    NAME,
    Fuse,
    Interrupted,
    alias,
    fused,
    night,
    registered,
    state_of,
    toy_context,
    trained,
)

from components.errors import (
    ConfigError,
    DataUnavailableError,
    PromotionError,
    TrackingUnavailableError,
)
from components.jobs.candidates import find_candidate, refuse_hopeless, refuse_other_data
from components.jobs.compare import compare
from components.jobs.evaluate import CANDIDATE_REPORT, CHAMPION_REPORT, read_report
from components.jobs.lineage import lineage
from components.jobs.records import DECISION_ARTIFACT, DecisionState, read_ledger
from components.jobs.references import resolve
from components.promotion.decision import PromotionDecision
from components.tracking.base import CONFUSION_MATRIX, DatasetInput, RunSpec, RunStatus, Tag
from components.tracking.memory import MemoryTracker

NEWER = "b" * 32


def test_a_candidate_has_several_names(context, first, data) -> None:
    second = trained(context, 0.9, "second")
    registered(context, second, data)
    loose = trained(context, 0.95, "loose")
    for text, run in {"": second, "1": first, " 2 ": second, loose.run_id: loose}.items():
        found = find_candidate(context, MODEL, text)
        assert (found.run.run_id, found.fingerprint) == (run.run_id, run.name)


def test_the_first_model_can_be_named_by_its_run(context) -> None:
    run = trained(context, 0.9, "only")
    assert find_candidate(context, MODEL, run.run_id).run == run


def tagged(context, **tags: str):
    run = trained(context, 0.9, "odd")
    context.tracker.set_tags(run.run_id, tags)
    return run.run_id


def unfinished(context) -> str:
    spec = RunSpec(NAME, "killed", "k", {}, dict(trained(context, 0.9, "whole").tags), INPUT)
    run_id = context.tracker.start(spec).run_id
    context.tracker.finish(run_id, RunStatus.KILLED)
    return run_id


def foreign(context) -> str:
    return context.tracker.start(RunSpec(NAME, "by hand", "h", {}, {}, INPUT)).run_id


INPUT = DatasetInput(NAME, "a", "nowhere", {})
UNFIT = {
    "no version": (lambda context: "7", r"got version 7, wanted one that exists"),
    "no run": (lambda context: "f" * 32, r"got the run 'ffff.* wanted a version's number"),
    "digits of a run": (lambda context: "1" * 32, r"got the run '1111"),
    "other dataset": (
        lambda context: tagged(context, **{str(Tag.DATASET): "sprites"}),
        r"got a classifier trained on sprites.* Choose sprites-classifier",
    ),
    "other kind": (
        lambda context: tagged(context, **{str(Tag.KIND): "regressor"}),
        r"got a regressor trained on toy, wanted a run for toy-classifier",
    ),
    "a trial": (lambda context: tagged(context, **{str(Tag.STUDY): "s"}), r"got a study's run"),
    "by hand": (foreign, r"got another run, wanted one in which"),
    "killed": (unfinished, r"got one that is killed, wanted a finished one.* where it stopped"),
}


@pytest.mark.parametrize(("make", "words"), UNFIT.values(), ids=UNFIT.keys())
def test_what_is_no_candidate_is_refused(context, first, make, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        find_candidate(context, MODEL, make(context))


def test_a_version_whose_run_is_gone_is_refused(context, first) -> None:
    del context.tracker._runs[first.run_id]
    with pytest.raises(ConfigError, match=f"{MODEL} version 1: got the run 'run1'"):
        find_candidate(context, MODEL, "1")


def test_without_versions_there_is_no_newest_one(context) -> None:
    with pytest.raises(PromotionError, match="nightforge run train"):
        find_candidate(context, MODEL)


def test_a_server_that_is_away_is_no_wrong_name(context) -> None:
    class Away(MemoryTracker):
        def get(self, run_id: str):
            raise TrackingUnavailableError("MLflow", got="no", wanted="an", remedy="answer")

    with pytest.raises(TrackingUnavailableError):
        find_candidate(replace(context, tracker=Away()), MODEL, "f" * 32)


def test_a_stand_in_is_no_data_for_another_datasets_candidate(context, first, data) -> None:
    refuse_other_data(first, data)
    with pytest.raises(DataUnavailableError, match="got its stand-in toy_sample"):
        refuse_other_data(first, replace(data, name="toy_sample"))


def test_the_gate_spends_no_test_on_the_champion_itself(context, first, data) -> None:
    refuse_hopeless(context, first, data)  # decided on these data: said once more, not tested
    with pytest.raises(PromotionError, match="got version 1, which is champion now"):
        refuse_hopeless(context, first, replace(data, version=NEWER))


def test_an_unregistered_run_on_earlier_data_is_refused(context, first, data) -> None:
    loose, newer = trained(context, 0.9, "loose"), replace(data, version=NEWER)
    refuse_hopeless(context, loose, data)
    with pytest.raises(PromotionError, match=r"version aaaaaaaa.* present version bbbbbbbb"):
        refuse_hopeless(context, loose, newer)
    registered(context, loose, data)
    refuse_hopeless(context, loose, newer)


def everything(context) -> dict[str, object]:
    registry = context.registry
    return {
        "versions": registry.versions(MODEL),
        "tags": registry.model_tags(MODEL),
        "runs": dict(context.tracker._runs),
        "artifacts": {
            key: value
            for key, value in context.tracker.artifacts.items()
            if not key[1].startswith("comparison/")
        },
    }


def test_looking_at_a_candidate_leaves_everything_as_it_is(context, first, data) -> None:
    better = trained(context, 0.95, "better")
    before = everything(context)
    found = compare(context, better, data)
    assert everything(context) == before
    assert found.champion.version == 1
    assert found.metrics["test_accuracy"] == pytest.approx(0.95, abs=0.01)
    assert found.champion_metrics["test_accuracy"] == pytest.approx(0.85, abs=0.01)
    difference = found.difference
    assert difference.value == pytest.approx(0.1, abs=0.01)
    assert 0 < difference.low < difference.value < difference.high
    folder = f"comparison/{data.version}-1"
    assert found.pictures[CONFUSION_MATRIX] == f"{folder}/{CONFUSION_MATRIX}"
    assert (better.run_id, found.pictures[CONFUSION_MATRIX]) in context.tracker.artifacts
    for who, accuracy in (("candidate", 0.95), ("champion", 0.85)):
        report = read_report(context, better.run_id, f"{folder}/{who}.json")
        assert report.accuracy == pytest.approx(accuracy, abs=0.01)


def test_the_first_candidate_and_the_champion_itself_have_no_other_side(
    context, data, tmp_path
) -> None:
    run = trained(context, 0.9, "first")
    found = compare(context, run, data)
    assert (found.champion, found.difference, found.champion_metrics) == (None, None, {})
    night(context, run, data)
    found = compare(context, run, data)
    assert found.is_champion
    assert (found.difference, found.champion_metrics) == (None, {})


def test_a_version_that_is_decided_on_newer_data_keeps_what_was_decided_before(
    context, first, data
) -> None:
    second, newer = trained(context, 0.95, "second"), replace(data, version=NEWER)
    night(context, trained(context, 0.96, "champion"), data)
    night(context, second, data)
    before = everything(context)["artifacts"]
    gated, _ = night(context, second, newer)
    assert not gated.skipped
    after = everything(context)["artifacts"]
    texts = {key: value for key, value in before.items() if isinstance(value, str)}
    assert {key: after[key] for key in texts} == texts
    apart = f"evaluation/{NEWER}"
    text = context.tracker.read_text(second.run_id, f"{apart}/decision.json")
    assert PromotionDecision.model_validate_json(text) == gated.decision
    for name in (CANDIDATE_REPORT, CHAMPION_REPORT):
        path = name.replace("evaluation", apart)
        assert read_report(context, second.run_id, path).dataset_version == NEWER
    links = lineage(context, resolve(context.registry, f"{MODEL}:3")).links
    assert links["decision"].endswith(f"{apart}/decision.json")
    assert not night(context, second, data)[0].decision.promoted
    assert (second.run_id, DECISION_ARTIFACT) in after


def test_a_promotion_that_a_kill_cut_short_is_not_hopeless(context, first, data) -> None:
    """The alias has moved already; the rest the same flow run does when it starts again."""
    counting, whole = Fuse(at=0, after=False), toy_context(context.settings.home / "whole")
    night(whole, trained(whole, 0.85, "first"), data)
    night(fused(whole, counting), trained(whole, 0.95, "second"), data)
    moved = len(counting.names) - counting.names[::-1].index("set_alias")

    run = trained(context, 0.95, "second")
    with pytest.raises(Interrupted):
        night(fused(context, Fuse(moved, after=True)), run, data)
    assert alias(context, "champion") == 2
    assert state_of(context, run, data) is DecisionState.PENDING
    refuse_hopeless(context, run, data)
    night(context, run, data)
    assert state_of(context, run, data) is DecisionState.APPLIED
    assert len(read_ledger(context.registry, MODEL).entries) == 1
