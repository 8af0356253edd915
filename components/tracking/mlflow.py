"""The tracker over an MLflow server.

Runs are always named by id (MLflow's active run is per thread), metrics go in one batch an
epoch, and every failure of the server becomes a TrackingError.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlencode

import mlflow
import numpy as np
import numpy.typing as npt
from mlflow.entities import Dataset, InputTag, Metric, Param, Run, RunTag
from mlflow.entities import DatasetInput as MlflowDatasetInput
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking import MlflowClient

from components.datasets.base import UInt8Array
from components.errors import TrackingError, TrackingUnavailableError
from components.tracking.base import (
    MODEL_ARTIFACT,
    DatasetInput,
    RunSpec,
    RunStatus,
    Tag,
    TrackedRun,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

PACKAGES = ("torch", "numpy", "mlflow", "prefect", "dvc")
SYSTEM_METRICS_SECONDS = 5.0
FIGURE_DPI = 110
PARENT = "mlflow.parentRunId"

# MLflow says so of a server that is out of reach or in trouble; every other code is an answer.
PASSING_TROUBLE = frozenset(
    {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED"}
)

P = ParamSpec("P")
R = TypeVar("R")


def translated(call: Callable[P, R]) -> Callable[P, R]:
    """Turn MLflow's errors into ours, in one line."""

    @wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except MlflowException as error:
            passing = error.error_code in PASSING_TROUBLE
            kind = TrackingUnavailableError if passing else TrackingError
            raise kind(
                f"MLflow, {call.__name__.replace('_', ' ')}",
                got=" ".join(str(error).split())[:300],
                wanted="an answer from the server",
                remedy="Look at `nightforge status` and at the MLflow log.",
            ) from error

    return wrapper


def package_versions() -> str:
    """Python and the packages that decide a result, as "name==version" words."""
    words = [f"python=={platform.python_version()}"]
    return " ".join(words + [f"{name}=={package_version(name)}" for name in PACKAGES])


def connect(uri: str) -> MlflowClient:
    """A client for the server at `uri`, quiet and without telemetry."""
    # MLflow's own default is to retry for minutes; a night should learn of a dead server sooner.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # A server before an object store offers addresses within it, which workers do not reach.
    for way in ("UPLOAD", "DOWNLOAD"):
        os.environ.setdefault(f"MLFLOW_ENABLE_PROXY_MULTIPART_{way}", "false")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    return MlflowClient(uri)


def page(ui: str, path: str) -> str:
    """A page of MLflow's UI, in its view for model training rather than for language models."""
    return f"{ui}/#/{path}?workflowType=machine_learning"


class MlflowTracker:
    """A `Tracker` over the server at `uri`, whose pages browsers find at `ui`."""

    def __init__(self, uri: str, ui: str | None = None) -> None:
        self._uri = uri.rstrip("/")
        self._ui = (ui or uri).rstrip("/")
        self._client = connect(self._uri)

    @translated
    def find(self, experiment: str, fingerprint: str) -> TrackedRun | None:
        """See `Tracker`."""
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            return None
        runs = self._client.search_runs(
            [found.experiment_id],
            filter_string=f"tags.`{Tag.FINGERPRINT}` = '{fingerprint}'",
            order_by=["attributes.start_time DESC"],
        )
        finished = [run for run in runs if run.info.status == RunStatus.FINISHED]
        best = finished or list(runs)
        return self._tracked(best[0]) if best else None

    @translated
    def start(self, spec: RunSpec) -> TrackedRun:
        """See `Tracker`."""
        experiment = self._experiment(spec.experiment)
        run = self._client.create_run(experiment, tags=_tags(spec))
        return self._complete(run.info.run_id, spec)

    def _complete(self, run_id: str, spec: RunSpec) -> TrackedRun:
        known = self.get(run_id)
        missing = {k: v for k, v in spec.flat_params().items() if k not in known.params}
        if missing:
            self._client.log_batch(run_id, params=[Param(k, v) for k, v in missing.items()])
        if not known.datasets:
            self._client.log_inputs(run_id, [_dataset_input(spec.dataset)])
        return self.get(run_id)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process was faster
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    @translated
    def resume(self, run_id: str, spec: RunSpec) -> TrackedRun:
        """See `Tracker`."""
        self._client.update_run(run_id, status=RunStatus.RUNNING)
        self.set_tags(run_id, _tags(spec))
        return self._complete(run_id, spec)

    @translated
    def last_step(self, run_id: str, metric: str) -> int:
        """See `Tracker`."""
        return max((m.step for m in self._client.get_metric_history(run_id, metric)), default=0)

    @translated
    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        now = int(time.time() * 1000)
        batch = [Metric(name, float(value), now, step) for name, value in metrics.items()]
        self._client.log_batch(run_id, metrics=batch)

    @translated
    def log_figure(self, run_id: str, path: str, figure: Figure) -> None:
        """See `Tracker`."""
        self._client.log_figure(run_id, figure, path, save_kwargs={"dpi": FIGURE_DPI})

    @translated
    def log_image(self, run_id: str, name: str, image: UInt8Array, step: int) -> None:
        """See `Tracker`."""
        self._client.log_image(run_id, image, key=name, step=step)

    @translated
    def log_text(self, run_id: str, path: str, text: str) -> None:
        """See `Tracker`."""
        self._client.log_text(run_id, text, path)

    @translated
    def read_text(self, run_id: str, path: str) -> str:
        """See `Tracker`."""
        uri = f"runs:/{run_id}/{path}"
        return str(mlflow.artifacts.load_text(uri))

    @translated
    def log_table(self, run_id: str, path: str, rows: Sequence[Mapping[str, str]]) -> None:
        """See `Tracker`."""
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        self._client.log_table(run_id, columns, path)

    @translated
    def log_folder(self, run_id: str, path: str, folder: Path) -> None:
        """See `Tracker`."""
        self._client.log_artifacts(run_id, str(folder), path)

    @translated
    def fetch_folder(self, run_id: str, path: str, destination: Path) -> Path:
        """See `Tracker`."""
        destination.mkdir(parents=True, exist_ok=True)
        return Path(self._client.download_artifacts(run_id, path, str(destination)))

    def artifact_url(self, run_id: str, path: str) -> str:
        """See `Tracker`."""
        return f"{self._ui}/get-artifact?{urlencode({'path': path, 'run_uuid': run_id})}"

    def artifact_page(self, run: TrackedRun, path: str) -> str:
        """See `Tracker`."""
        place, question, view = run.url.partition("?")
        return f"{place}/artifacts/{path}{question}{view}"

    @translated
    def log_model(self, run_id: str, model: nn.Module, example: npt.NDArray[Any]) -> None:
        """See `Tracker`."""
        import mlflow.pytorch
        import torch

        with torch.inference_mode():
            output = model(torch.from_numpy(example)).numpy()
        requirements = [f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"]
        # Leaving the context marks the run FINISHED; the model is the last thing a run logs.
        with mlflow.start_run(run_id=run_id):
            mlflow.pytorch.log_model(
                model,
                name=MODEL_ARTIFACT,
                signature=infer_signature(example, output),
                input_example=example,
                pip_requirements=requirements,
                serialization_format="pt2",
            )

    @translated
    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """See `Tracker`."""
        self._client.log_batch(run_id, tags=[RunTag(str(k), v) for k, v in tags.items()])

    @translated
    def finish(self, run_id: str, status: RunStatus) -> None:
        """See `Tracker`."""
        self._client.set_terminated(run_id, status=status)

    @translated
    def get(self, run_id: str) -> TrackedRun:
        """See `Tracker`."""
        return self._tracked(self._client.get_run(run_id))

    @translated
    def children(self, run_id: str, experiment: str) -> list[TrackedRun]:
        """See `Tracker`."""
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            return []
        chosen, token, runs = f"tags.`{PARENT}` = '{run_id}'", None, list[Run]()
        while token != "":
            page_ = self._client.search_runs(
                [found.experiment_id], chosen, max_results=1000, page_token=token
            )
            runs += page_
            token = page_.token or ""
        return [self._tracked(run) for run in runs]

    @translated
    def running(self) -> list[TrackedRun]:
        """See `Tracker`."""
        experiments = [e.experiment_id for e in self._client.search_experiments()]
        runs = self._client.search_runs(experiments, "attributes.status = 'RUNNING'")
        return [self._tracked(run) for run in runs if Tag.FINGERPRINT in run.data.tags]

    @contextmanager
    def system_metrics(self, run_id: str) -> Iterator[None]:
        """See `Tracker`."""
        monitor = SystemMetricsMonitor(
            run_id,
            sampling_interval=SYSTEM_METRICS_SECONDS,
            resume_logging=True,
            tracking_uri=self._uri,
        )
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()

    def _tracked(self, run: Run) -> TrackedRun:
        info = run.info
        return TrackedRun(
            run_id=info.run_id,
            name=info.run_name or "",
            status=RunStatus(info.status),
            url=page(self._ui, f"experiments/{info.experiment_id}/runs/{info.run_id}"),
            tags=run.data.tags,
            params=run.data.params,
            metrics=run.data.metrics,
            datasets=tuple(given.dataset.digest for given in run.inputs.dataset_inputs),
        )


def _tags(spec: RunSpec) -> dict[str, str]:
    tags = {
        **spec.tags,
        Tag.FINGERPRINT: spec.fingerprint,
        Tag.PACKAGES: package_versions(),
        # Seen by the server before anything else, so that a run killed at once has its name.
        "mlflow.runName": spec.name,
    }
    if spec.parent:
        tags[PARENT] = spec.parent
    return {str(name): value for name, value in tags.items()}


def _dataset_input(dataset: DatasetInput) -> MlflowDatasetInput:
    entity = Dataset(
        name=dataset.name,
        digest=dataset.version,
        source_type="dvc",
        source=json.dumps({"source": dataset.source}),
        profile=json.dumps(dict(dataset.counts)),
    )
    return MlflowDatasetInput(entity, [InputTag("mlflow.data.context", "training")])
