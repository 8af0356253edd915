"""What a candidate must achieve; a policy for each registered model."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
DatasetPrefix = Annotated[str, Field(pattern=r"^[0-9a-f]{4,32}$")]


class PromotionPolicy(BaseModel):
    """The gate's numbers (params.yaml: promotion)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: Literal["better", "cheaper"] = Field(
        "better",
        description="better than the champion; or cheaper: smaller or faster, and not worse than "
        "the last model that was better (classifiers)",
    )
    floor: Share = Field(
        0.85, description="Test accuracy that every promoted classifier must reach"
    )
    floors: dict[DatasetPrefix, Share] = Field(
        default_factory=dict,
        description="Other floors for single versions of the data, by the start of their md5",
    )
    distance_ceiling: float = Field(
        2000, gt=0, description="Kernel distance x 1000 that a promoted generator may have"
    )
    error_ceiling: float = Field(
        1.0,
        gt=0,
        description="Mean test error that a promoted model may have: squared, or of texts the "
        "share of wrong positions",
    )
    minimum_gain: Share = Field(0.001, description="Gain in accuracy over the champion, absolute")
    minimum_reduction: Share = Field(
        0.01, description="Reduction of a generator's distance or a regressor's error, relative"
    )
    margin: float = Field(
        0.01, gt=0, le=1, description="With goal cheaper: how much less accurate it may be"
    )
    minimum_saving: Share = Field(
        0.1, description="With goal cheaper: saving in bytes or in milliseconds, relative"
    )
    alpha_per_year: float = Field(
        0.05, gt=0, lt=1, description="Probability of any false promotion in a year of nights"
    )
    tests_per_year: int = Field(365, ge=1, description="Tests that share that probability")
    recall_margin: Share = Field(
        0.02, description="How far the recall of a class may fall, beyond doubt"
    )
    calibration_ceiling: Share = Field(
        0.2, description="Expected calibration error that a classifier may have"
    )
    latency_budget_ms: float = Field(25.0, gt=0, description="Milliseconds for one example")
    size_budget_mb: float = Field(100.0, gt=0, description="Megabytes of weights")

    @property
    def level(self) -> float:
        """Significance level of each test of a year."""
        return self.alpha_per_year / self.tests_per_year

    def floor_for(self, dataset_version: str) -> float:
        """The floor that holds on a version of the data; the longest prefix that fits decides."""
        fitting = [prefix for prefix in self.floors if dataset_version.startswith(prefix)]
        return self.floors[max(fitting, key=len)] if fitting else self.floor

    def digest(self) -> str:
        """16 hexadecimal digits that change with any of the numbers."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class PromotionParams(BaseModel):
    """The section `promotion` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: PromotionPolicy = PromotionPolicy()
    models: dict[str, PromotionPolicy] = Field(
        default_factory=dict,
        description="Policies of registered models; what they do not state is the default's",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete_with_default(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        default, models = values.get("default") or {}, values.get("models") or {}
        if not isinstance(default, dict) or not isinstance(models, dict):
            return values
        whole = {
            name: default | policy if isinstance(policy, dict) else policy
            for name, policy in models.items()
        }
        return {**values, "models": whole}

    def policy_for(self, registered_model: str) -> PromotionPolicy:
        """The policy of a registered model."""
        return self.models.get(registered_model, self.default)
