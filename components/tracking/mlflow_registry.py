"""The model registry over an MLflow server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

import mlflow
from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion
from mlflow.exceptions import MlflowException

from components.errors import TrackingError
from components.tracking.base import MODEL_ARTIFACT, ModelVersion
from components.tracking.mlflow import connect, page, translated

if TYPE_CHECKING:
    from torch import nn

MODEL_FILE = "data/model.pt2"


class MlflowRegistry:
    """A `ModelRegistry` over the server at `uri`, whose pages browsers find at `ui`."""

    def __init__(self, uri: str, ui: str | None = None) -> None:
        self._ui = (ui or uri).rstrip("/")
        self._client = connect(uri.rstrip("/"))

    @translated
    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """See `ModelRegistry`."""
        self.tag_model(name, {})
        tags = {str(k): v for k, v in tags.items()}
        version = mlflow.register_model(f"runs:/{run_id}/{MODEL_ARTIFACT}", name, tags=tags)
        return self._version(version)

    @translated
    def version_of_run(self, name: str, run_id: str) -> ModelVersion | None:
        """See `ModelRegistry`."""
        found = self._client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        newest = max(found, key=lambda version: int(version.version), default=None)
        if newest is None:
            return None
        # The search does not fill in aliases.
        return self._version(self._client.get_model_version(name, newest.version))

    @translated
    def by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """See `ModelRegistry`."""
        # Not asked for directly: with accounts, MLflow calls a model that does not exist forbidden.
        model = self._absent_is_none(self._client.get_registered_model, name)
        number = dict(model.aliases).get(alias) if model else None
        if number is None:
            return None
        return self._version(self._client.get_model_version(name, number))

    @translated
    def names(self) -> list[str]:
        """See `ModelRegistry`."""
        return sorted(m.name for m in _pages(self._client.search_registered_models))

    @translated
    def versions(self, name: str) -> list[ModelVersion]:
        """See `ModelRegistry`."""
        model = self._absent_is_none(self._client.get_registered_model, name)
        if model is None:
            return []
        chosen = partial(self._client.search_model_versions, f"name = '{name}'")
        found = [self._version(version) for version in _pages(chosen)]
        aliases = dict(model.aliases)  # the search does not fill them in
        named = [
            replace(one, aliases=sorted(a for a, n in aliases.items() if int(n) == one.version))
            for one in found
        ]
        return sorted(named, key=lambda version: version.version)

    @translated
    def set_alias(self, name: str, alias: str, version: int) -> None:
        """See `ModelRegistry`."""
        self._client.set_registered_model_alias(name, alias, str(version))

    @translated
    def remove_alias(self, name: str, alias: str) -> None:
        """See `ModelRegistry`."""
        self._client.get_model_version_by_alias(name, alias)  # the server removes in silence
        self._client.delete_registered_model_alias(name, alias)

    @translated
    def tag_version(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry`."""
        for key, value in tags.items():
            self._client.set_model_version_tag(name, str(version), str(key), value)

    @translated
    def describe_version(self, name: str, version: int, text: str) -> None:
        """See `ModelRegistry`."""
        self._client.update_model_version(name, str(version), text)

    @translated
    def remove_version(self, name: str, version: int) -> None:
        """See `ModelRegistry`."""
        found = self._client.get_model_version(name, str(version))
        if found.aliases:  # the server would remove them as well, in silence
            raise TrackingError(
                f"{name} version {version}",
                got=f"the alias {', '.join(found.aliases)}",
                wanted="a version that nobody points to",
                remedy="Move the alias first.",
            )
        self._client.delete_model_version(name, str(version))

    @translated
    def model_tags(self, name: str) -> Mapping[str, str]:
        """See `ModelRegistry`."""
        found = self._absent_is_none(self._client.get_registered_model, name)
        return dict(found.tags) if found else {}

    @translated
    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """See `ModelRegistry`."""
        if self._absent_is_none(self._client.get_registered_model, name) is None:
            try:
                self._client.create_registered_model(name)
            except MlflowException as error:  # another process was faster
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        for key, value in tags.items():
            self._client.set_registered_model_tag(name, str(key), value)

    @translated
    def verify(self, version: ModelVersion) -> None:
        """See `ModelRegistry`; every part of the model's archive has a checksum."""
        uri = f"models:/{version.name}/{version.version}"
        with tempfile.TemporaryDirectory() as folder:
            place = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
            try:
                with ZipFile(place / MODEL_FILE) as archive:
                    damaged = archive.testzip()
            except (OSError, BadZipFile) as error:
                damaged = " ".join(str(error).split())
        if damaged:
            raise TrackingError(
                f"{version.name} version {version.version}",
                got=f"a damaged or missing model ({damaged})",
                wanted="all files as they were stored",
                remedy="Choose another version.",
            )

    @translated
    def load(self, version: ModelVersion) -> nn.Module:
        """See `ModelRegistry`."""
        return _load(f"models:/{version.name}/{version.version}")

    @translated
    def load_run(self, run_id: str) -> nn.Module:
        """See `ModelRegistry`."""
        # Not as runs:/ID/model: MLflow looks for a file of that name first, and with a proxy before
        # an object store takes the answer that there is none for a fault that may pass.
        experiment = self._client.get_run(run_id).info.experiment_id
        chosen = f"name = '{MODEL_ARTIFACT}' AND source_run_id = '{run_id}'"
        newest = self._client.search_logged_models([experiment], chosen, max_results=1)
        if not newest:
            raise TrackingError(
                f"model of run {run_id}",
                got="nothing",
                wanted="a logged model",
                remedy="Train it again with --set force=true.",
            )
        return _load(f"models:/{newest[0].model_id}")

    def _absent_is_none(self, call: Callable[..., Any], *args: str) -> Any:
        try:
            return call(*args)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _version(self, version: MlflowModelVersion) -> ModelVersion:
        return ModelVersion(
            name=version.name,
            version=int(version.version),
            run_id=version.run_id or "",
            url=page(self._ui, f"models/{version.name}/versions/{version.version}"),
            tags=dict(version.tags),
            aliases=tuple(version.aliases),
            described=bool(version.description),
        )


def _pages(search: Callable[..., Any]) -> Iterator[Any]:
    """Everything a search of MLflow's finds, page by page."""
    token = None
    while token != "":
        page_ = search(page_token=token)
        yield from page_
        token = page_.token or ""


def _load(uri: str) -> nn.Module:
    import mlflow.pytorch

    with tempfile.TemporaryDirectory() as folder:  # MLflow leaves its own copy behind
        model: nn.Module = mlflow.pytorch.load_model(uri, dst_path=folder, map_location="cpu")
        return model
