"""Types of flow parameters: what the run form in the Prefect UI shows and checks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.datasets import DATASETS
from components.models import MODELS

DatasetName = Annotated[
    str,
    Field(description="Which dataset to use", json_schema_extra={"enum": list(DATASETS)}),
]
ModelName = Annotated[
    str, Field(description="Which network to train", json_schema_extra={"enum": list(MODELS)})
]
Force = Annotated[bool, Field(description="Train even if nothing changed")]
