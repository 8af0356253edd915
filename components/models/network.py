"""Options of networks, one section for each model that has any."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from components.models.backbone import BackboneConfig
from components.models.dcgan import DcganConfig
from components.models.mlp import MlpConfig
from components.models.spec import ModelSpec


class NetworkConfig(BaseModel):
    """Sizes and options of networks (params.yaml: network); each model reads its own section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mlp: MlpConfig = Field(MlpConfig(), description="Used by the model mlp")
    backbone: BackboneConfig = Field(BackboneConfig(), description="Used by the model backbone")
    dcgan: DcganConfig = Field(DcganConfig(), description="Used by the model dcgan")

    def of(self, spec: ModelSpec) -> dict[str, Any]:
        """The options that a model reads, by name; empty if it has none."""
        return getattr(self, spec.section).model_dump(mode="json") if spec.section else {}

    def build(self, spec: ModelSpec, *sizes: Any) -> Any:
        """Fresh networks; see `ModelKind` for the sizes and what is returned."""
        options = (getattr(self, spec.section),) if spec.section else ()
        return spec.build(*sizes, *options)
