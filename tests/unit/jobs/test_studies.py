"""From a sweep's settings to a study, and from its log to the tracker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError, StudyError, TrackingUnavailableError, UnknownKeyError
from components.jobs.recipe import Recipe
from components.jobs.studies import LOG, SweepConfig, define_study, read_study, study_folder
from components.jobs.sweep import OpenStudy, open_study
from components.jobs.trials import trial_folder, with_config
from components.params import load_params
from components.settings import PROJECT_ROOT, Settings
from components.tracking.base import (
    STUDY_PAGE,
    SWEEPS_EXPERIMENT,
    RunStatus,
    Tag,
    TrackedRun,
)
from components.tracking.memory import MemoryTracker
from components.training.config import TrainConfig
from components.tuning.backend import SimulatedBackend
from components.tuning.trial import TrialStatus
from tests.chaos import killable_sweep
from tests.simulated import error_curve

LENET = Recipe(model="lenet", training=TrainConfig(batch_size=64))
LR: dict[str, Any] = {"lr": {"distribution": "log_uniform", "low": 0.01, "high": 1.0}}
SPACE = LR | {"batch_size": {"distribution": "integer", "low": 32, "high": 256}}


def sweep(**changes: Any) -> SweepConfig:
    values = {"space": SPACE, "metric": "validation_loss", "limits": {"trials": 12}}
    return SweepConfig.model_validate(values | changes)


@pytest.fixture
def context(tmp_path: Path) -> Any:
    return killable_sweep.context(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Any:
    return killable_sweep.data(tmp_path)


def simulate(study: OpenStudy) -> None:
    """Run it on generated curves, as if workers had trained."""
    backend = SimulatedBackend(error_curve, "validation_loss")
    for _ in backend.steps(study.tuner):
        study.changed(study.tuner)


def test_fields_go_where_they_belong() -> None:
    recipe = with_config(LENET, {"lr": 0.5, "network.mlp.dropout": 0.1, "optimizer": "adam"})
    assert (recipe.training.lr, recipe.training.optimizer) == (0.5, "adam")
    assert recipe.training.batch_size == 64
    assert recipe.network.mlp.dropout == 0.1
    gan = with_config(Recipe(model="dcgan"), {"lr_generator": 0.1})
    assert gan.gan.lr_generator == 0.1


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({"learnrate": LR["lr"]}, UnknownKeyError, "space.*learnrate"),
        ({"network.mlp.dropuot": LR["lr"]}, UnknownKeyError, "Did you mean 'dropout'"),
        ({"lr": LR["lr"] | {"high": 1000}}, ConfigError, r"training.lr: got 1000\.0"),
        (
            {"optimizer": {"distribution": "choice", "values": ["sgd", "sdg"]}},
            ConfigError,
            "training.optimizer: got 'sdg'",
        ),
        ({"batch_size": {"distribution": "uniform", "low": 1, "high": 9}}, ConfigError, "integer"),
    ],
)
def test_a_space_that_does_not_fit_the_model_is_refused(
    context: Any, data: Any, space: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        open_study(context, "a", data, LENET, sweep(space=space))
    assert not study_folder(context.settings, "a").exists()


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "x" * 65, ".hidden"])
def test_a_name_that_is_no_folder_is_refused(context: Any, data: Any, name: str) -> None:
    with pytest.raises(ConfigError, match="small letters"):
        open_study(context, name, data, LENET, sweep())


def test_the_metric_must_be_one_that_the_model_reports(context: Any, data: Any) -> None:
    with pytest.raises(ConfigError, match="what lenet reports: validation_accuracy"):
        define_study(context.settings, "a", data, LENET, sweep(metric="kernel_distance"))
    gan = Recipe(model="dcgan")
    space = {"lr_generator": LR["lr"]}
    study = define_study(context.settings, "a", data, gan, sweep(metric="auto", space=space))
    assert (study.metric, study.mode) == ("kernel_distance", "min")
    study = define_study(context.settings, "a", data, LENET, sweep(metric="auto"))
    assert (study.metric, study.mode) == ("validation_accuracy", "max")


def test_a_study_is_shown_once_however_often_it_is_taken_up(context: Any, data: Any) -> None:
    tracker: MemoryTracker = context.tracker
    with open_study(context, "a", data, LENET, sweep(limits={"trials": 5})) as study:
        simulate(study)
        first = study.close(skipped=False)
    with open_study(context, "a", data, LENET, sweep()) as study:
        assert not study.tuner.over
        simulate(study)
        whole = study.close(skipped=False)
    with open_study(context, "a", data, LENET, sweep()) as study:
        assert study.tuner.over
        again = study.close(skipped=True)
    assert again.skipped == "study a was over before"
    assert first.run.run_id == whole.run.run_id == again.run.run_id
    children = tracker.children(whole.run.run_id, SWEEPS_EXPERIMENT)
    assert len(children) == 12
    for child in children:
        trial = whole.trials[int(child.tags[Tag.TRIAL])]
        assert child.status is RunStatus.FINISHED
        assert child.tags[Tag.TRIAL_STATUS] == trial.status
        assert child.metrics["validation_loss"] == trial.curve[-1]
        assert tracker.last_step(child.run_id, "validation_loss") == len(trial.curve)
    assert isinstance(tracker.artifacts[whole.run.run_id, STUDY_PAGE], str)
    assert whole.run.metrics["best_validation_loss"] == min(whole.best.curve)
    assert read_study(context.settings, "a")[1] == list(whole.trials)


def test_a_run_that_a_kill_left_open_is_closed_by_the_next(context: Any, data: Any) -> None:
    tracker: MemoryTracker = context.tracker
    study = open_study(context, "a", data, LENET, sweep())
    backend = SimulatedBackend(error_curve, "validation_loss")
    for _ in backend.steps(study.tuner):
        study.changed(study.tuner)
        resumed = [t for t in study.tuner.trials.values() if t.segments == 2]
        if resumed and resumed[0].status is TrialStatus.RUNNING and len(resumed[0].curve) == 3:
            break
    study.recorder.abandon("killed", RunStatus.KILLED)
    study._log.close()
    with open_study(context, "a", data, LENET, sweep()) as study:
        simulate(study)
        outcome = study.close(skipped=False)
    for child in tracker.children(outcome.run.run_id, SWEEPS_EXPERIMENT):
        assert child.status is RunStatus.FINISHED
        assert child.tags[Tag.TRIAL_STATUS] == outcome.trials[int(child.tags[Tag.TRIAL])].status


def test_a_study_removed_and_begun_anew_is_another_one(context: Any, data: Any) -> None:
    runs = []
    for _ in range(2):
        with open_study(context, "a", data, LENET, sweep()) as study:
            simulate(study)
            runs.append(study.close(skipped=False).run.run_id)
        shutil.rmtree(study_folder(context.settings, "a"))
    assert runs[0] != runs[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": {"batch_size": {"distribution": "choice", "values": [64, 9999]}}}, "batch_size"),
        ({"space": {"processes": {"distribution": "choice", "values": [1, 2]}}}, "workers"),
    ],
)
def test_what_every_trial_would_fail_at_is_refused(
    context: Any, data: Any, change: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        open_study(context, "a", data, LENET, sweep(**change))


class Leaving(MemoryTracker):
    """A server that is away for its first calls."""

    away = 3

    def log_metrics(self, run_id: str, metrics: Any, step: int) -> None:
        if self.away:
            self.away -= 1
            words = {"got": "nothing", "wanted": "an answer", "remedy": "Wait."}
            raise TrackingUnavailableError("MLflow", **words)
        super().log_metrics(run_id, metrics, step)


def test_a_server_that_leaves_for_a_while_misses_nothing(
    context: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.jobs.study_record.RETRY_SECONDS", 0.01)
    tracker = Leaving()
    context = type(context)(context.settings, tracker, context.registry)
    with open_study(context, "a", data, LENET, sweep()) as study:
        simulate(study)
        outcome = study.close(skipped=False)
    for child in tracker.children(outcome.run.run_id, SWEEPS_EXPERIMENT):
        trial = outcome.trials[int(child.tags[Tag.TRIAL])]
        assert tracker.last_step(child.run_id, "validation_loss") == len(trial.curve)


@pytest.mark.parametrize(
    ("error", "status"), [(OSError("gone"), RunStatus.FAILED), (KeyboardInterrupt(), "KILLED")]
)
def test_a_study_that_stops_early_closes_its_runs(
    context: Any, data: Any, error: BaseException, status: str
) -> None:
    def stopped(study: OpenStudy) -> None:
        with study:
            study.tuner.claim()
            study.changed(study.tuner)
            raise error

    study = open_study(context, "a", data, LENET, sweep())
    with pytest.raises(type(error)):
        stopped(study)
    tracker = context.tracker
    assert tracker.running() == []
    assert tracker.get(study.recorder.parent.run_id).status == status
    with open_study(context, "a", data, LENET, sweep()) as study:
        simulate(study)
        outcome: TrackedRun = study.close(skipped=False).run
    assert outcome.status is RunStatus.FINISHED


def test_a_study_without_any_result_says_why(context: Any, data: Any) -> None:
    with open_study(context, "a", data, LENET, sweep(limits={"trials": 2})) as study:
        while segment := study.tuner.claim():
            study.tuner.fail(segment.trial, "an operator was missing")
        with pytest.raises(StudyError, match=r"no result from 2 trials \(an operator was missing"):
            study.close(skipped=False)
        study.recorder.abandon("tested", RunStatus.FAILED)


def test_checkpoints_that_nobody_needs_are_removed(context: Any, data: Any) -> None:
    with open_study(context, "a", data, LENET, sweep()) as study:
        backend = SimulatedBackend(error_curve, "validation_loss")
        folder = study_folder(context.settings, "a")
        for _ in backend.steps(study.tuner):
            for trial in study.tuner.trials.values():
                if trial.status is TrialStatus.RUNNING:
                    trial_folder(folder, trial.number).mkdir(exist_ok=True)
            study.changed(study.tuner)
        study.changed(study.tuner)
        kept = {path.name for path in folder.iterdir() if path.is_dir()}
        assert f"{study.tuner.best.number:04d}" in kept
        needed = study.tuner.trials.keys() - study.tuner.retired
        assert kept == {f"{number:04d}" for number in needed}
        assert len(kept) < 12
        study.close(skipped=False)


def test_a_warm_start_takes_what_fits_from_an_earlier_study(context: Any, data: Any) -> None:
    with open_study(context, "earlier", data, LENET, sweep()) as study:
        simulate(study)
        earlier = study.close(skipped=False)
    narrow = {"lr": LR["lr"] | {"high": 0.5}, "batch_size": SPACE["batch_size"]}
    later = sweep(warm_start="earlier", space=narrow)
    found = define_study(context.settings, "later", data, LENET, later)
    inside = [trial for trial in earlier.trials if float(trial.config["lr"]) <= 0.5]
    assert 0 < len(found.prior) == len(inside) < 12
    best = min(inside, key=lambda trial: min(trial.curve))
    assert found.first_points[0] == best.config
    with pytest.raises(StudyError, match="study list"):
        define_study(context.settings, "later", data, LENET, sweep(warm_start="nothing"))
    other = sweep(warm_start="earlier", metric="validation_accuracy")
    with pytest.raises(StudyError, match="got a study of validation_loss"):
        define_study(context.settings, "later", data, LENET, other)


def test_other_data_need_another_name(context: Any, data: Any) -> None:
    with open_study(context, "a", data, LENET, sweep()) as study:
        simulate(study)
        study.close(skipped=False)
    newer = type(data)(**(data.__dict__ | {"version": "6" * 32}))
    with pytest.raises(StudyError, match="dataset_version"):
        open_study(context, "a", newer, LENET, sweep())


def test_the_profiles_of_params_yaml_are_studies(data: Any, tmp_path: Path) -> None:
    for profile in ("book_sweep", "resnet_sweep"):
        tree = load_params(PROJECT_ROOT / "params.yaml", profile)
        values = {k: v for k, v in tree["sweep"].items() if k in SweepConfig.model_fields}
        training = TrainConfig.model_validate(tree["training"])
        recipe = Recipe(model=tree["nightly"]["model"], training=training)
        config = SweepConfig.model_validate(values)
        study = define_study(Settings(home=tmp_path), profile, data, recipe, config)
        assert json.loads(json.dumps(study.header())) == study.header()
        assert study.name == profile


def test_the_log_is_where_the_readme_says() -> None:
    assert LOG == "trials.jsonl"
