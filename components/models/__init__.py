"""Models: one file and one line here for each; every entry builds fresh networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.catalog import Catalog

if TYPE_CHECKING:
    from components.models.spec import ModelSpec

MODELS: Catalog[ModelSpec] = Catalog(
    "model",
    {
        "softmax": "components.models.softmax:SPEC",
        "mlp": "components.models.mlp:SPEC",
        "lenet": "components.models.lenet:LENET",
        "lenet_modern": "components.models.lenet:LENET_MODERN",
        "resnet18": "components.models.resnet:RESNET18",
        "resnet50": "components.models.resnet:RESNET50",
        "backbone": "components.models.backbone:SPEC",
        "dcgan": "components.models.dcgan:SPEC",
        "linear": "components.models.linear:SPEC",
        "gaussian_gan": "components.models.gaussian_gan:SPEC",
        "bag_of_words": "components.text.bag_of_words:SPEC",
        "encoder": "components.text.encoder:SPEC",
        "token_classifier": "components.text.token_classifier:SPEC",
        "span_extractor": "components.text.span_extractor:SPEC",
        "masked_lm": "components.text.masked_lm:SPEC",
        "causal_lm": "components.text.causal_lm:SPEC",
        "seq2seq": "components.text.seq2seq:SPEC",
    },
)
