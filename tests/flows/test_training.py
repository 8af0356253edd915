"""Training from the terminal and from the form: GANs, generated problems, the self-check."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from components.tracking.base import Tag
from tests.installation import Installation
from tests.prefect_api import finished, get, post

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
SMALL = {"epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def mlflow_client(servers: Installation) -> MlflowClient:
    return MlflowClient(servers.addresses()["mlflow"])


def newest(client: MlflowClient, experiment: str) -> Any:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client.search_runs([found.experiment_id])[0]


def test_a_gan_trains_from_the_terminal_and_its_pictures_can_be_scrubbed(
    servers: Installation, mlflow_client: MlflowClient
) -> None:
    printed = servers.ok(
        *("run", "train", "--set", "model=dcgan"),  # its recipe names the sprites
        *("--set", "gan.epochs=2", "--set", "gan.batch_size=16"),
        *("--set", "network.dcgan.width=4"),
    )
    assert "kernel distance" in printed
    run = newest(mlflow_client, "sprites")
    assert run.info.status == "FINISHED"
    assert run.data.tags[Tag.KIND] == "image GAN"
    assert run.data.params["gan.lr_generator"] == "0.002"
    stored = [file.path for file in mlflow_client.list_artifacts(run.info.run_id, "images")]
    steps = {re.findall(r"samples.step.(\d+)", path)[0] for path in stored}
    assert steps == {"1", "2"}
    history = mlflow_client.get_metric_history(run.info.run_id, "kernel_distance")
    assert [metric.step for metric in history] == [1, 2]


def test_a_gan_trains_as_the_form_sends_it(
    servers: Installation, mlflow_client: MlflowClient
) -> None:
    deployment = get(servers, "/deployments/name/train/train")
    form = deployment["parameters"]
    form |= {"model": "dcgan", "dataset": "sprites", "gan": form["gan"] | SMALL | {"seed": 1}}
    form["network"]["dcgan"]["width"] = 4
    path = f"/deployments/{deployment['id']}/create_flow_run"
    started = post(servers, path, {"parameters": form})
    assert finished(servers, started["id"]) == "COMPLETED"
    run = newest(mlflow_client, "sprites")
    assert run.data.tags[Tag.SEED] == "1"
    assert run.data.tags[Tag.FLOW_RUN] == started["id"]


def test_the_self_check_prints_what_it_found(servers: Installation) -> None:
    printed = servers.ok("run", "self_check")
    assert "gaussian 2d: error of the mean (at most 0.2)" in printed


@pytest.mark.parametrize(("origin", "status"), [("own", 200), ("http://elsewhere:5000", 403)])
def test_mlflows_pages_work_at_the_address_that_was_chosen(
    servers: Installation, origin: str, status: int
) -> None:
    """A page asks with its origin; one from elsewhere is refused."""
    mlflow = servers.addresses()["mlflow"]
    assert "127.0.0.1" not in mlflow
    request = urllib.request.Request(
        f"{mlflow}/ajax-api/2.0/mlflow/runs/search",
        b'{"experiment_ids": ["0"]}',
        {"Content-Type": "application/json", "Origin": mlflow if origin == "own" else origin},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == status
    except urllib.error.HTTPError as error:
        error.close()
        assert error.code == status
