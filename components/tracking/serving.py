"""Models as MLflow's own scoring server takes them, and that server's application."""

from __future__ import annotations

import logging
import os
import tempfile
from typing import Any

import mlflow.pyfunc
import numpy as np
from fastapi import FastAPI
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR
from mlflow.pyfunc import scoring_server
from torch import nn

from components.datasets.base import Float32Array, Int64Array
from components.tracking.base import ModelVersion
from components.tracking.mlflow import translated


class ScoringModel:
    """A loaded pyfunc model with what the scoring server asks of one.

    Attributes:
        metadata: MLflow's; the server reads the signature off it.
    """

    def __init__(self, pyfunc: Any) -> None:
        self._pyfunc = pyfunc
        self.metadata = pyfunc.metadata

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Check `data` against the signature and run the model.

        Raises:
            MlflowException: If the data do not fit, or the model fails; without a trace.
        """
        try:
            return self._pyfunc.predict(data, params=params)
        except MlflowException:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise MlflowException(
                f"the model failed ({type(error).__name__}: {said})", error_code=INTERNAL_ERROR
            ) from error

    @property
    def module(self) -> nn.Module:
        """The model itself."""
        found: nn.Module = self._pyfunc.get_raw_model()
        return found

    def scores(self, inputs: Float32Array | Int64Array) -> Float32Array:
        """Scores (B, classes) for images (B, C, H, W) in [0, 1] or token ids (B, L).

        Raises:
            MlflowException: As `predict`.
        """
        return np.asarray(self.predict(inputs), dtype=np.float32)


@translated
def load_scoring_model(version: ModelVersion) -> ScoringModel:
    """Load a version whole, on the CPU.

    Raises:
        TrackingError: If the server refuses; other errors if the files are not a model.
    """
    logging.getLogger("torch.export").setLevel(logging.ERROR)  # it raises what it also prints
    # A model in the pt2 format cannot leave the device it was exported on.
    os.environ["MLFLOW_DEFAULT_PREDICTION_DEVICE"] = "cpu"
    # MLflow's own temporary copy would stay on disk for each version that was ever served.
    with tempfile.TemporaryDirectory() as folder:
        uri = f"models:/{version.name}/{version.version}"
        return ScoringModel(mlflow.pyfunc.load_model(uri, suppress_warnings=True, dst_path=folder))


def scoring_app(model: ScoringModel) -> FastAPI:
    """MLflow's application around one model: /invocations, /ping, /health and /version."""
    app: FastAPI = scoring_server.init(model)
    return app
