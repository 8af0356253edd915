"""What only MLflow does: files, parameters, its own lists."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from both_services import Services
from matplotlib.figure import Figure
from torch import nn

from components.errors import TrackingError, TrackingUnavailableError
from components.tracking.base import Tag

EXAMPLE = np.random.default_rng(0).random((2, 1, 4, 4), dtype=np.float32)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 3)).eval()


@pytest.mark.slow
def test_mlflow_keeps_no_pickle_and_nothing_outside_its_folder(over_mlflow: Services) -> None:
    before = set(over_mlflow.folder.rglob("*"))
    run = over_mlflow.run()
    over_mlflow.tracker.log_model(run.run_id, network(), EXAMPLE)
    files = {path for path in set(over_mlflow.folder.rglob("*")) - before if path.is_file()}
    assert [path.name for path in files if path.suffix in {".pkl", ".pickle", ".pth", ".pt"}] == []
    assert [path.name for path in files if path.suffix == ".pt2"] == ["model.pt2"]
    assert all(zipfile.is_zipfile(path) for path in files if path.suffix == ".pt2")
    described = next(path for path in files if path.name == "MLmodel").read_text("utf-8")
    assert "signature:" in described
    assert "input_example.json" in described


def test_mlflow_shows_parameters_and_dataset(over_mlflow: Services) -> None:
    run = over_mlflow.run()
    stored = over_mlflow.tracker._client.get_run(run.run_id)
    assert stored.data.params == {"model": "lenet", "training.lr": "0.1", "training.epochs": "3"}
    dataset = stored.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("toy", "d" * 32)
    assert json.loads(dataset.profile) == {"train": 10, "test": 5}
    assert "torch==" in stored.data.tags[Tag.PACKAGES]


def test_a_run_killed_right_after_it_was_created_is_completed_when_resumed(
    over_mlflow: Services,
) -> None:
    tracker, spec = over_mlflow.tracker, over_mlflow.spec()
    client = tracker._client
    experiment = client.create_experiment(over_mlflow.experiment)
    left = client.create_run(experiment, tags={str(Tag.FINGERPRINT): spec.fingerprint})
    found = tracker.find(over_mlflow.experiment, spec.fingerprint)
    assert (found.run_id, found.params, found.datasets) == (left.info.run_id, {}, ())
    tracker.resume(found.run_id, spec)
    stored = client.get_run(left.info.run_id)
    assert stored.data.params == {"model": "lenet", "training.lr": "0.1", "training.epochs": "3"}
    assert [given.dataset.digest for given in stored.inputs.dataset_inputs] == ["d" * 32]
    assert stored.info.run_name == spec.name
    assert "torch==" in stored.data.tags[Tag.PACKAGES]


def test_mlflow_stores_a_figure_as_png(over_mlflow: Services) -> None:
    run = over_mlflow.run()
    over_mlflow.tracker.log_figure(run.run_id, "picture.png", Figure(figsize=(1, 1)))
    stored = list(over_mlflow.folder.rglob(f"*{run.run_id}*/**/picture.png"))
    assert len(stored) == 1
    assert stored[0].read_bytes().startswith(b"\x89PNG")


def test_mlflow_lists_only_our_own_runs_as_running(over_mlflow: Services) -> None:
    ours = over_mlflow.run()
    foreign = over_mlflow.tracker._client.create_run(
        over_mlflow.tracker._client.get_experiment_by_name(over_mlflow.experiment).experiment_id
    )
    ids = [run.run_id for run in over_mlflow.tracker.running()]
    assert ours.run_id in ids
    assert foreign.info.run_id not in ids


def test_what_the_server_says_is_not_there_is_no_passing_trouble(over_mlflow: Services) -> None:
    run = over_mlflow.run()
    for call in (over_mlflow.tracker.get, over_mlflow.registry.load_run):
        with pytest.raises(TrackingError) as caught:
            call("0" * 32)
        assert not isinstance(caught.value, TrackingUnavailableError)
    with pytest.raises(TrackingError) as caught:
        over_mlflow.tracker.read_text(run.run_id, "none.json")
    assert not isinstance(caught.value, TrackingUnavailableError)


def test_a_server_that_does_not_answer_is_passing_trouble(
    monkeypatch: pytest.MonkeyPatch, over_mlflow: Services
) -> None:
    import mlflow

    from components.tracking.mlflow import MlflowTracker

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = mlflow.get_tracking_uri()
    try:
        with pytest.raises(TrackingUnavailableError, match="nightforge status"):
            MlflowTracker("http://127.0.0.1:9").find("toy", "f" * 32)
    finally:
        mlflow.set_tracking_uri(before)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["a changed byte", "half of it", "gone"])
def test_a_damaged_model_is_found_without_loading_it(over_mlflow: Services, damage: str) -> None:
    run = over_mlflow.run()
    before = set(over_mlflow.folder.rglob("model.pt2"))
    over_mlflow.tracker.log_model(run.run_id, network(), EXAMPLE)
    version = over_mlflow.registry.register(over_mlflow.model, run.run_id, {})
    over_mlflow.registry.verify(version)
    [stored] = set(over_mlflow.folder.rglob("model.pt2")) - before
    content = bytearray(stored.read_bytes())
    if damage == "a changed byte":
        content[len(content) // 2] ^= 255
        stored.write_bytes(content)
    elif damage == "half of it":
        stored.write_bytes(content[: len(content) // 2])
    else:
        stored.unlink()
    with pytest.raises(TrackingError):
        over_mlflow.registry.verify(version)


def test_loading_leaves_nothing_behind(
    over_mlflow: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = over_mlflow.run()
    over_mlflow.tracker.log_model(run.run_id, network(), EXAMPLE)
    version = over_mlflow.registry.register(over_mlflow.model, run.run_id, {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    over_mlflow.registry.load(version)
    over_mlflow.registry.verify(version)
    assert list(tmp_path.iterdir()) == []
