"""What a candidate must achieve; a policy for each registered model."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class PromotionPolicy(BaseModel):
    """The gate's numbers (params.yaml: promotion)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    floor: Share = Field(0.85, description="Test accuracy that every promoted model must reach")
    minimum_gain: Share = Field(0.001, description="Gain in accuracy over the champion, absolute")
    alpha_per_year: float = Field(
        0.05, gt=0, lt=1, description="Probability of any false promotion in a year of nights"
    )
    tests_per_year: int = Field(365, ge=1, description="Tests that share that probability")
    recall_margin: Share = Field(0.03, description="How far the recall of a class may fall")
    latency_budget_ms: float = Field(25.0, gt=0, description="Milliseconds for one image")
    size_budget_mb: float = Field(100.0, gt=0, description="Megabytes of weights")

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
