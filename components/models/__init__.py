"""Models: one file and one line here for each; every entry builds fresh networks."""

from __future__ import annotations

from components.catalog import Catalog
from components.models.spec import ModelKind, ModelSpec

# Where each is, what it learns and which section of NetworkConfig it reads. The latter two stand
# here, too, because an entry itself loads PyTorch, which a night without changes does not need.
_KNOWN: dict[str, tuple[str, ModelKind, str | None]] = {
    "softmax": ("models.softmax:SPEC", ModelKind.CLASSIFIER, None),
    "mlp": ("models.mlp:SPEC", ModelKind.CLASSIFIER, "mlp"),
    "lenet": ("models.lenet:LENET", ModelKind.CLASSIFIER, None),
    "lenet_modern": ("models.lenet:LENET_MODERN", ModelKind.CLASSIFIER, None),
    "resnet18": ("models.resnet:RESNET18", ModelKind.CLASSIFIER, None),
    "resnet50": ("models.resnet:RESNET50", ModelKind.CLASSIFIER, None),
    "backbone": ("models.backbone:SPEC", ModelKind.CLASSIFIER, "backbone"),
    "dcgan": ("models.dcgan:SPEC", ModelKind.IMAGE_GAN, "dcgan"),
    "linear": ("models.linear:SPEC", ModelKind.REGRESSOR, None),
    "gaussian_gan": ("models.gaussian_gan:SPEC", ModelKind.POINT_GAN, None),
    "bag_of_words": ("text.bag_of_words:SPEC", ModelKind.TEXT_CLASSIFIER, None),
    "encoder": ("text.encoder:SPEC", ModelKind.TEXT_CLASSIFIER, "encoder"),
    "token_classifier": ("text.token_classifier:SPEC", ModelKind.TOKEN_CLASSIFIER, "encoder"),
    "span_extractor": ("text.span_extractor:SPEC", ModelKind.SPAN_EXTRACTOR, "encoder"),
    "masked_lm": ("text.masked_lm:SPEC", ModelKind.MASKED_LM, "encoder"),
    "causal_lm": ("text.causal_lm:SPEC", ModelKind.CAUSAL_LM, "causal_lm"),
    "seq2seq": ("text.seq2seq:SPEC", ModelKind.SEQ2SEQ, "seq2seq"),
}

MODELS: Catalog[ModelSpec] = Catalog(
    "model", {name: f"components.{address}" for name, (address, _, _) in _KNOWN.items()}
)


def kind_of_model(name: str) -> ModelKind:
    """What a model learns, without loading PyTorch.

    Raises:
        UnknownKeyError: If the catalog has no such model.
    """
    MODELS.module(name)
    return _KNOWN[name][1]


def section_of_model(name: str) -> str | None:
    """The field of `NetworkConfig` that holds a model's options, without loading PyTorch.

    Raises:
        UnknownKeyError: If the catalog has no such model.
    """
    MODELS.module(name)
    return _KNOWN[name][2]
