from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import ConfigError, StateDirectoryError, UnknownKeyError
from components.settings import PREFIX, PROJECT_ROOT, Settings


def test_nothing_set_gives_the_defaults_beside_the_project() -> None:
    settings = Settings.from_environment({})
    assert settings.home == PROJECT_ROOT / ".nightforge"
    assert settings.params_file == PROJECT_ROOT / "params.yaml"
    assert settings.mlflow_uri is None


def test_every_field_can_be_set(tmp_path: Path) -> None:
    values = {
        "home": str(tmp_path / "state"),
        "host": "127.0.0.2",
        "prefect_port": "4201",
        "mlflow_port": "5001",
        "params_file": str(tmp_path / "params.yaml"),
        "data_dir": str(tmp_path / "data"),
        "remote": "s3://bucket/prefix",
        "sweep_runner": "dask",
        "s3_endpoint": "http://127.0.0.1:9000",
        "s3_region": "eu-central-1",
        "prefect_uri": "http://prefect:4200",
        "mlflow_uri": "http://127.0.0.1:2",
        "mlflow_ui": "https://models.example.org",
    }
    assert set(values) == set(Settings.model_fields)
    settings = Settings.from_environment({PREFIX + k.upper(): v for k, v in values.items()})
    assert {k: str(v) for k, v in settings.model_dump().items()} == values


def test_an_mlflow_server_of_the_shell_is_not_meant() -> None:
    assert Settings.from_environment({"MLFLOW_TRACKING_URI": "http://theirs"}).mlflow_uri is None
    with pytest.raises(UnknownKeyError, match="NIGHTFORGE_SUPERVISD") as caught:
        Settings.from_environment({"NIGHTFORGE_SUPERVISD": "yes"})
    assert "NIGHTFORGE_SUPERVISED" not in str(caught.value)  # what is not for people


@pytest.mark.parametrize("name", ["PREFECT_URI", "MLFLOW_URI", "MLFLOW_UI"])
@pytest.mark.parametrize("address", ["http://me:secret@host:1", "host:4200", "ftp://secret"])
def test_an_address_that_may_hold_a_password_is_refused_and_not_shown(
    name: str, address: str
) -> None:
    with pytest.raises(ConfigError, match=f"NIGHTFORGE_{name}") as caught:
        Settings.from_environment({f"NIGHTFORGE_{name}": address})
    assert "secret" not in str(caught.value)


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"NIGHTFORGE_DATA_DIR": ""}).data_dir is None


def test_the_home_is_absolute_and_may_name_the_users_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({"NIGHTFORGE_HOME": "~/x"}).home == tmp_path / "x"
    assert Settings.from_environment({"NIGHTFORGE_HOME": "y"}).home == tmp_path / "y"


@pytest.mark.parametrize("port", ["http", "-1", "65536", "4200.5"])
def test_an_unusable_value_names_the_variable_and_what_was_got(port: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_environment({"NIGHTFORGE_MLFLOW_PORT": port})
    assert "NIGHTFORGE_MLFLOW_PORT" in str(caught.value)
    assert repr(port) in str(caught.value)
    assert "env.example" in caught.value.remedy


def test_an_unknown_variable_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(UnknownKeyError) as caught:
        Settings.from_environment({"NIGHTFORGE_DATADIR": "/data"})
    assert "NIGHTFORGE_DATADIR" in str(caught.value)
    assert "NIGHTFORGE_DATA_DIR" in caught.value.remedy


def test_everything_written_lies_in_the_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "a" / "b")
    for folder in (settings.workspace, settings.checkpoints, settings.reports, settings.logs):
        assert folder.is_relative_to(settings.home)


def test_the_home_is_made_and_left_empty(tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "a" / "b").ensure_home()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("below", ["", "state", "deep/state"])
def test_a_home_that_cannot_be_written_is_one_clear_error(tmp_path: Path, below: str) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way", encoding="utf-8")
    with pytest.raises(StateDirectoryError) as caught:
        Settings(home=blocker / below).ensure_home()
    assert str(blocker) in caught.value.subject
    assert "NIGHTFORGE_HOME" in caught.value.remedy
    assert blocker.read_text(encoding="utf-8") == "in the way"
