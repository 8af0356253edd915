"""Options of networks, one section for each model that has any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from components.models.backbone import BackboneConfig
from components.models.dcgan import DcganConfig
from components.models.encoder import EncoderConfig
from components.models.mlp import MlpConfig
from components.models.spec import ModelSpec, Pair, Tokeniser
from components.models.transformer import TransformerConfig


class NetworkConfig(BaseModel):
    """Sizes and options of networks (params.yaml: network); each model reads its own section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mlp: MlpConfig = Field(MlpConfig(), description="Used by the model mlp")
    backbone: BackboneConfig = Field(BackboneConfig(), description="Used by the model backbone")
    dcgan: DcganConfig = Field(DcganConfig(), description="Used by the model dcgan")
    encoder: EncoderConfig = Field(
        EncoderConfig(), description="Used by encoder, token_classifier, span_extractor, masked_lm"
    )
    causal_lm: TransformerConfig = Field(
        TransformerConfig(), description="Used by the model causal_lm"
    )
    seq2seq: TransformerConfig = Field(TransformerConfig(), description="Used by the model seq2seq")

    def of(self, spec: ModelSpec) -> dict[str, Any]:
        """The options that a model reads, by name; empty if it has none."""
        return getattr(self, spec.section).model_dump(mode="json") if spec.section else {}

    def build(self, spec: ModelSpec, *sizes: Any) -> Any:
        """Fresh networks; see `ModelKind` for the sizes and what is returned."""
        return spec.build(*sizes, *self._options(spec))

    def tokeniser(self, spec: ModelSpec, texts: Sequence[Pair]) -> Tokeniser:
        """The tokeniser of a text model; `texts` are those it is trained on."""
        assert spec.tokeniser
        return spec.tokeniser(texts, *self._options(spec))

    def _options(self, spec: ModelSpec) -> tuple[Any, ...]:
        return (getattr(self, spec.section),) if spec.section else ()
