"""How a person names a version of a registered model: MODEL, MODEL@alias or MODEL:3."""

from __future__ import annotations

from dataclasses import dataclass

from components.catalog import unknown_key
from components.errors import ConfigError, NightforgeError, PromotionError
from components.tracking.base import CHAMPION, ModelRegistry, ModelVersion

SHOWN = 5  # versions that an error names


@dataclass(frozen=True)
class Reference:
    """What was named; either `alias` or `version` is None."""

    name: str
    alias: str | None = CHAMPION
    version: int | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}" if self.alias else f"{self.name}:{self.version}"


def parse(text: str) -> Reference:
    """Read MODEL (its champion), MODEL@alias or MODEL:3.

    Raises:
        ConfigError: If it is none of these.
    """
    name, at, alias = text.partition("@")
    name, colon, number = (name, "", "") if at else text.partition(":")
    if name and colon and number.isascii() and number.isdigit():
        return Reference(name, None, int(number))
    if name and not colon and (alias or not at):
        return Reference(name, alias or CHAMPION)
    raise ConfigError(
        "model",
        got=repr(text),
        wanted="MODEL, MODEL@alias or MODEL:version",
        remedy="Name it like fashion_mnist-classifier, fashion_mnist-classifier@previous or "
        "fashion_mnist-classifier:3.",
    )


def resolve(registry: ModelRegistry, text: str) -> ModelVersion:
    """The version that MODEL (its champion), MODEL@alias or MODEL:3 stands for.

    Raises:
        ConfigError: If the text cannot be read, or there is no such model or version.
        PromotionError: If the alias points to nothing, or nothing is registered yet.
        TrackingError: If the registry does not answer.
    """
    return find(registry, parse(text))


def find(registry: ModelRegistry, reference: Reference) -> ModelVersion:
    """As `resolve`, for what was read before."""
    if reference.alias:
        found = registry.by_alias(reference.name, reference.alias)
    else:
        every = registry.versions(reference.name)
        found = next((one for one in every if one.version == reference.version), None)
    if found is None:
        raise _missing(registry, reference)
    return found


def _missing(registry: ModelRegistry, reference: Reference) -> NightforgeError:
    names, subject = registry.names(), f"model {reference.name}"
    if not names:
        return PromotionError(
            subject,
            got="a registry without models",
            wanted="a registered model",
            remedy="Train one with `nightforge run nightly`.",
        )
    if reference.name not in names:
        return unknown_key("model", reference.name, names)
    versions = registry.versions(reference.name)
    if reference.version is not None:
        known = ", ".join(str(version.version) for version in versions[-SHOWN:])
        return ConfigError(
            subject,
            got=f"version {reference.version}",
            wanted=f"one that exists (the newest are {known})" if known else "any version",
            remedy="Name one of them." if known else "It has no version yet; run a night.",
        )
    return _no_such_alias(reference, versions)


def _no_such_alias(reference: Reference, versions: list[ModelVersion]) -> PromotionError:
    known = sorted({alias for version in versions for alias in version.aliases})
    yet = " yet" if reference.alias == CHAMPION else ""
    remedy = "Run a night: the gate makes the first model that is good enough the champion."
    if known:
        remedy = f"Its aliases are {', '.join(known)}."
    if versions:
        remedy += f" A version can be named too: {reference.name}:{versions[-1].version}"
    return PromotionError(
        f"model {reference.name}",
        got=f"no {reference.alias}{yet}",
        wanted="an alias that points to a version",
        remedy=remedy,
    )
