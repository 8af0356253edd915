"""Types of flow parameters: what the run form in the Prefect UI shows and checks.

Their help texts come from the flows' docstrings.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.datasets import DATASETS
from components.models import MODELS
from components.models.spec import ModelKind
from components.tuning import SCHEDULERS, SEARCHERS

_IMAGES = [name for name in DATASETS if DATASETS.get(name).images]
_CLASSIFIERS = [name for name in MODELS if MODELS.get(name).kind is ModelKind.CLASSIFIER]

# A person's own datasets are added to these choices when the deployments are registered.
DatasetName = Annotated[str, Field(json_schema_extra={"enum": list(DATASETS)})]
ImageDatasetName = Annotated[str, Field(json_schema_extra={"enum": _IMAGES})]
ModelName = Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})]
SearcherName = Annotated[str, Field(json_schema_extra={"enum": list(SEARCHERS)})]
SchedulerName = Annotated[str, Field(json_schema_extra={"enum": list(SCHEDULERS)})]
Workers = Annotated[int, Field(ge=1, le=1024)]
ModeName = Literal["auto", "max", "min"]
ClassifierName = Annotated[str, Field(json_schema_extra={"enum": _CLASSIFIERS})]
