"""Types of flow parameters: what the run form in the Prefect UI shows and checks.

Their help texts come from the flows' docstrings.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.datasets import DATASETS
from components.models import MODELS

DatasetName = Annotated[str, Field(json_schema_extra={"enum": list(DATASETS)})]
ModelName = Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})]
