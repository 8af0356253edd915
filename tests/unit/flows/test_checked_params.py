"""A bad value in params.yaml is one clear line, before any run or server is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components.datasets.own import own_dataset
from components.errors import ConfigError, NightforgeError, UnknownKeyError
from components.params import load_params, merge
from components.settings import PROJECT_ROOT, Settings
from flows.deployments import DEPLOYMENTS, checked_params, register_all
from flows.parameters import checked_parameters
from flows.trigger import trigger

Write = Callable[[dict], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The project's own params.yaml with something laid over it."""

    def write(overlay: dict) -> Path:
        tree = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text("utf-8"))
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(merge(tree, overlay)), encoding="utf-8")
        return path

    return write


BAD = {
    "range": ({"training": {"epochs": 0}}, "params.yaml: training.epochs"),
    "key": ({"training": {"epochz": 1}}, "key in params.yaml: training"),
    "dataset": ({"nightly": {"dataset": "fashion"}}, "params.yaml: nightly.dataset"),
    "own key": ({"nightly": {"modell": "lenet"}}, "key in params.yaml: nightly"),
    "section as own key": ({"nightly": {"training": {}}}, "key in params.yaml: nightly"),
    "policy": ({"promotion": {"default": {"floor": 2}}}, "params.yaml: promotion.default.floor"),
    "cron": ({"schedule": {"cron": "at night"}}, "params.yaml: schedule.cron"),
    "time zone": ({"schedule": {"timezone": "Mars/Base"}}, "params.yaml: schedule.timezone"),
    "profile": (
        {"profiles": {"demo": {"training": {"lr": -1}}}},
        "params.yaml with profile demo: training.lr",
    ),
    "event": (
        {"notifications": {"slack-webhook/team": ["sucess"]}},
        "params.yaml: notifications.slack-webhook/team.0",
    ),
    "no event": ({"notifications": {"slack-webhook/team": []}}, "params.yaml: notifications"),
    "block": ({"notifications": {"slack": ["failure"]}}, "params.yaml: notifications"),
    "section": ({"promotoin": {}}, "section in"),
}


@pytest.mark.parametrize(("overlay", "subject"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_says_where_it_stands(write: Write, overlay: dict, subject: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_params(Settings(params_file=write(overlay)))
    assert caught.value.subject.startswith(subject)
    assert "\n" not in str(caught.value)


def test_the_nearest_name_is_proposed(write: Write) -> None:
    with pytest.raises(UnknownKeyError, match="Did you mean 'model'"):
        checked_params(Settings(params_file=write({"nightly": {"modell": "lenet"}})))


def test_a_bad_file_registers_and_starts_nothing(write: Write, tmp_path: Path) -> None:
    """There is no server: any request would be another error than this one."""
    settings = Settings(home=tmp_path, params_file=write({"training": {"epochs": 0}}))
    with pytest.raises(NightforgeError, match=r"training\.epochs"):
        register_all(settings)
    with pytest.raises(NightforgeError, match=r"training\.epochs"):
        trigger(object(), settings, "nightly", None, [])  # type: ignore[arg-type]


def test_a_good_file_is_returned_as_it_is(write: Write) -> None:
    path = write({})
    assert checked_params(Settings(params_file=path)) == load_params(path)


def test_empty_sections_mean_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("nightly:\ntraining:\npromotion:\nschedule:\n", encoding="utf-8")
    tree = checked_params(Settings(params_file=path))
    assert DEPLOYMENTS["nightly"].parameters(tree) == {"training": {}}


def test_a_version_may_be_named_by_its_number() -> None:
    given = {"registered_model": "linear-regressor", "candidate": 3}
    for name in ("compare", "promote"):
        checked = checked_parameters(DEPLOYMENTS[name].flow, given)
        assert checked == given | {"candidate": "3"}
        with pytest.raises(UnknownKeyError, match="linear-regressor"):
            checked_parameters(DEPLOYMENTS[name].flow, {"registered_model": "linear-regresor"})


def test_models_of_a_persons_own_datasets_may_be_named() -> None:
    given, own = {"registered_model": "mine-classifier"}, [own_dataset("mine", {})]
    for name in ("compare", "promote", "rollback"):
        assert checked_parameters(DEPLOYMENTS[name].flow, given, own_datasets=own) == given
