"""Types of flow parameters: what the run form in the Prefect UI shows and checks.

Their help texts come from the flows' docstrings.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.datasets import DATASETS
from components.jobs.context import registered_models
from components.models import MODELS
from components.tuning import SCHEDULERS, SEARCHERS

_REGISTERED = sorted(
    model
    for name in DATASETS
    for model in registered_models(name, images=DATASETS.get(name).images)
)

# A person's own datasets are added to these choices when the deployments are registered.
DatasetName = Annotated[str, Field(json_schema_extra={"enum": list(DATASETS)})]
RegisteredModelName = Annotated[str, Field(json_schema_extra={"enum": _REGISTERED})]
ModelName = Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})]
SearcherName = Annotated[str, Field(json_schema_extra={"enum": list(SEARCHERS)})]
SchedulerName = Annotated[str, Field(json_schema_extra={"enum": list(SCHEDULERS)})]
# A version's number may come as one, from the command line.
Candidate = Annotated[str, Field(coerce_numbers_to_str=True)]
Workers = Annotated[int, Field(ge=1, le=1024)]
ModeName = Literal["auto", "max", "min"]
