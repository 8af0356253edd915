"""What infra/kubernetes holds, as Prefect's worker renders it and by Kubernetes' schemas."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.testing.utilities import prefect_test_harness
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from components.settings import Settings
from flows.deployments import DEPLOYMENTS, register_all
from flows.probes import POOL
from tests.installation import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

FOLDER = ROOT / "infra" / "kubernetes"
SCHEMAS = "kubernetes-validate==1.37.0"  # of all versions up to this; 100 MB, so not in the lock
VERSIONS = ("1.30.0", "1.37.0")


@pytest.fixture(scope="module")
def api() -> Iterator[None]:
    """A Prefect server of its own, which tells nobody about itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        patch.setenv("DO_NOT_TRACK", "1")
        with prefect_test_harness(server_startup_timeout=120):
            yield


def template() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "work-pool.json").read_text("utf-8"))
    return found


def check_schemas(*files: Path) -> None:
    tool = [str(ROOT / ".venv/bin/uv"), "tool", "run", "--from", SCHEMAS, "kubernetes-validate"]
    for version in VERSIONS:
        command = [*tool, "--strict", "--kubernetes-version", version, *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True)
        told = done.stdout + done.stderr
        if done.returncode and "kubernetes-validate" in told and not os.environ.get("CI"):
            pytest.skip(f"Kubernetes' schemas cannot be fetched: {told[-200:]}")
        assert done.returncode == 0, told


def rendered(variables: dict[str, Any]) -> dict[str, Any]:
    """The job that Prefect's worker would send to a cluster."""
    made = KubernetesWorkerJobConfiguration.from_template_and_values(template(), variables)
    configuration = asyncio.run(made)
    configuration.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="clever-fox"))
    found: dict[str, Any] = configuration.job_manifest
    found["metadata"]["name"] = found["metadata"].pop("generateName") + "x"  # as a cluster does
    return found


def test_jobs_and_worker_are_what_kubernetes_accepts(tmp_path: Path) -> None:
    plain, other = tmp_path / "plain.json", tmp_path / "other.json"
    plain.write_text(json.dumps(rendered({})), "utf-8")
    wanted = {"gpus": 0, "cpu": "500m", "image": "registry.example/worker:1", "env": {"A": "b"}}
    other.write_text(json.dumps(rendered(wanted)), "utf-8")
    check_schemas(plain, other, FOLDER / "worker.yaml")


def test_a_job_runs_the_flow_in_the_workers_image_without_root() -> None:
    pod = (rendered({}))["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == "nightforge/worker:latest"
    assert container["args"] == ["prefect", "flow-run", "execute"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["shareProcessNamespace"] is True  # else DVC takes zombies for holders of its lock
    known = {one["name"] for one in container["env"]}
    assert "PREFECT__FLOW_RUN_ID" in known
    assert (rendered({"gpus": 0}))["spec"]["template"]["spec"]["containers"][0]["resources"][
        "limits"
    ]["nvidia.com/gpu"] == 0


def test_what_the_job_refers_to_is_in_the_manifest() -> None:
    objects = list(yaml.safe_load_all((FOLDER / "worker.yaml").read_text("utf-8")))
    named = {(one["kind"], one["metadata"]["name"]) for one in objects}
    defaults = {
        name: variable.get("default")
        for name, variable in template()["variables"]["properties"].items()
    }
    assert ("ConfigMap", defaults["settings"]) in named
    assert ("PersistentVolumeClaim", defaults["state"]) in named
    assert ("Namespace", defaults["namespace"]) in named
    [worker] = [one for one in objects if one["kind"] == "Deployment"]
    command = worker["spec"]["template"]["spec"]["containers"][0]["command"]
    assert f"--pool={POOL}" in command
    [settings] = [one for one in objects if one["kind"] == "ConfigMap"]
    own = {name: v for name, v in settings["data"].items() if name.startswith("NIGHTFORGE_")}
    assert Settings.from_environment(own).mlflow_uri == "https://stack.example:5443"


def test_a_pool_that_is_there_keeps_its_kind_and_gets_the_deployments(tmp_path: Path) -> None:
    with get_client(sync_client=True) as client:
        pool = WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=template())
        client.create_work_pool(pool)
        register_all(Settings(home=tmp_path))
        kept = client.read_work_pool(POOL)
        assert (kept.type, kept.base_job_template) == ("kubernetes", template())
        for name in DEPLOYMENTS:
            found = client.read_deployment_by_name(f"{name}/{name}")
            assert found.work_pool_name == POOL
