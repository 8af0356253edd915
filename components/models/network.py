"""Options of networks, one section for each model that has any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.models import section_of_model
from components.models.encoder import EncoderConfig
from components.models.spec import ModelSpec, Pair, Tokeniser
from components.models.transformer import TransformerConfig

Architecture = Literal[
    "resnet18",
    "resnet50",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "convnext_tiny",
    "regnet_y_400mf",
    "vgg11_bn",
]
SCRATCH, DOWNLOAD = "none", "download"
Width = Annotated[int, Field(ge=1, le=16384)]


class MlpConfig(BaseModel):
    """Layers of a perceptron (params.yaml: network.mlp)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: Annotated[
        tuple[Width, ...], Field(max_length=16, description="Units of each hidden layer")
    ] = (256, 256)
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="Share of hidden units left out at each step")
    ] = 0.2


class BackboneConfig(BaseModel):
    """Which of torchvision's networks, and what it starts from (params.yaml: network.backbone)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Annotated[Architecture, Field(description="Torchvision's name")] = "resnet18"
    weights: Annotated[
        str,
        Field(
            description="none: from scratch; download: torchvision's for ImageNet; else the path "
            "of a state dict"
        ),
    ] = SCRATCH
    train: Annotated[
        Literal["all", "head"], Field(description="Layers that learn; the others stay as they are")
    ] = "all"


class DcganConfig(BaseModel):
    """Size of a DCGAN (params.yaml: network.dcgan)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latent_dim: Annotated[int, Field(ge=1, le=4096, description="Length of a latent vector")] = 100
    width: Annotated[
        int, Field(ge=4, le=512, description="Channels of the largest feature map; the book has 64")
    ] = 64


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

    def of(self, model: str) -> dict[str, Any]:
        """The options that a model of the catalog reads, by name; empty if it has none."""
        section = section_of_model(model)
        return getattr(self, section).model_dump(mode="json") if section else {}

    def build(self, spec: ModelSpec, *sizes: Any) -> Any:
        """Fresh networks; see `ModelKind` for the sizes and what is returned."""
        return spec.build(*sizes, *self._options(spec))

    def tokeniser(self, spec: ModelSpec, texts: Sequence[Pair]) -> Tokeniser:
        """The tokeniser of a text model; `texts` are those it is trained on."""
        assert spec.tokeniser
        return spec.tokeniser(texts, *self._options(spec))

    def _options(self, spec: ModelSpec) -> tuple[Any, ...]:
        return (getattr(self, spec.section),) if spec.section else ()
