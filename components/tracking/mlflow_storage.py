"""Removing MLflow's runs for good, which its server does not offer.

Files go through the server, so that they may lie anywhere; records are removed from its database
by the calls behind `mlflow gc`. The command itself would also remove, whatever their age, all
experiments that a person has put into the trash.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from components.errors import TrackingError
from components.tracking.base import StoredRun, Tag
from components.tracking.mlflow import PARENT, MlflowTracker, translated

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

PAGE = 1000
ABSENT = "RESOURCE_DOES_NOT_EXIST"


class MlflowStorage(MlflowTracker):
    """A `RunStorage` over the server at `uri`, whose records are in the database `store`."""

    def __init__(self, uri: str, store: str) -> None:
        super().__init__(uri)
        self._store_uri = store

    @translated
    def runs(self) -> list[StoredRun]:
        """See `RunStorage`."""
        found = []
        for experiment in self._client.search_experiments(view_type=ViewType.ALL):
            found += [self._stored(run, experiment) for run in self._search(experiment)]
        return found

    def _search(self, experiment: Experiment) -> list[Run]:
        runs, token = list[Run](), None
        while token != "":
            page = self._client.search_runs(
                [experiment.experiment_id],
                run_view_type=ViewType.ALL,
                max_results=PAGE,
                page_token=token,
            )
            runs += page
            token = page.token or ""
        return [run for run in runs if Tag.FINGERPRINT in run.data.tags]

    def _stored(self, run: Run, experiment: Experiment) -> StoredRun:
        milliseconds = run.info.end_time or run.info.start_time
        return StoredRun(
            run=self._tracked(run),
            experiment=experiment.name,
            parent=run.data.tags.get(PARENT),
            touched=datetime.fromtimestamp(milliseconds / 1000, UTC),
            trashed=run.info.lifecycle_stage == "deleted",
        )

    @translated
    def size(self, run_id: str) -> int:
        """See `RunStorage`."""
        run = self._client.get_run(run_id)
        return sum(map(_size, [*self._models(run), _folder(run.info.artifact_uri)]))

    @translated
    def trash(self, run_id: str) -> None:
        """See `RunStorage`."""
        self._client.delete_run(run_id)

    @translated
    def restore(self, run_id: str) -> None:
        """See `RunStorage`."""
        self._client.restore_run(run_id)

    @translated
    def erase(self, run_id: str) -> None:
        """See `RunStorage`; the run's own record, which names the others, goes last."""
        run = self._client.get_run(run_id)
        if run.info.lifecycle_stage != "deleted":
            raise TrackingError(
                f"run {run_id}", got="no trashed run", wanted="one", remedy="Trash it first."
            )
        for place, model in self._models(run).items():
            _remove(place)
            self._store._hard_delete_logged_model(model)
        _remove(_folder(run.info.artifact_uri))
        self._store._hard_delete_run(run_id)

    @cached_property
    def _store(self) -> SqlAlchemyStore:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # takes a second

        return SqlAlchemyStore(self._store_uri, "mlflow-artifacts:/")

    def _models(self, run: Run) -> dict[str, str]:
        """The models of a run: folder to id."""
        outputs = run.outputs.model_outputs if run.outputs else []
        ids = {output.model_id for output in outputs}
        of_run = f"source_run_id = '{run.info.run_id}'"
        logged = self._client.search_logged_models([run.info.experiment_id], of_run)
        found = {}
        for id_ in sorted(ids | {model.model_id for model in logged}):
            try:
                model = self._client.get_logged_model(id_)
            except MlflowException as error:  # a kill came after this model
                if error.error_code != ABSENT:
                    raise
                continue
            found[_folder(model.artifact_location)] = id_
        return found


def _folder(artifacts: str) -> str:
    """The folder of a run or model, in which MLflow puts one named artifacts."""
    return artifacts.rstrip("/").removesuffix("/artifacts")


def _size(place: str) -> int:
    repository, total, folders = get_artifact_repository(place), 0, [""]
    while folders:
        for file in repository.list_artifacts(folders.pop() or None):
            if file.is_dir:
                folders.append(file.path)
            else:
                total += file.file_size or 0
    return total


def _remove(place: str) -> None:
    get_artifact_repository(place).delete_artifacts()
