"""The page that describes one version of a dataset, in markdown."""

from __future__ import annotations

from collections.abc import Iterator

from components.datasets.base import Split
from components.datasets.prepared import Card, ImageCard, TensorCard, TextCard

SHOWN_CLASSES = 60
SHOWN_FILES = 20


def markdown(card: Card, version: str, source: str, change: str | None) -> str:
    """Everything a person should know before training on this version.

    Args:
        card: What the prepare stage measured.
        version: DVC's md5.
        source: Where the raw files came from.
        change: Against the version before, if that is known.
    """
    lines = [f"# {card.title}", ""]
    if card.sample:
        lines += ["**This is a small bundled sample.**", ""]
    lines += [
        f"- dataset `{card.name}`, version `{version}`",
        f"- source: {source}",
        f"- licence: {card.licence}",
    ]
    lines += [f"- home page: {card.homepage}"] if card.homepage else []
    lines += [f"- {change}"] if change else []
    if isinstance(card, ImageCard):
        lines += [*_images(card)]
    elif isinstance(card, TextCard):
        lines += [*_texts(card)]
    elif isinstance(card, TensorCard):
        lines += [*_tensors(card)]
    return "\n".join(lines) + "\n"


def _images(card: ImageCard) -> Iterator[str]:
    channels, height, width = card.image_shape
    yield f"- images: {height} x {width} pixels, {channels} channel{'s' if channels > 1 else ''}"
    yield f"- mean {_numbers(card.mean)}, deviation {_numbers(card.std)} (training, 0 to 1)"
    yield f"- images in two splits: 0; left out of training for that: {card.shared_with_test}"
    yield f"- copies within a split, byte for byte: {card.duplicates}"
    yield f"- unreadable files left out: {len(card.unreadable)}"
    for item in card.unreadable[:SHOWN_FILES]:
        yield f"    - `{item.path}`: {item.reason}"
    yield from _classes(card)


def _texts(card: TextCard) -> Iterator[str]:
    what = "pairs of texts" if card.pairs else "texts"
    yield f"- {what} of up to {card.longest:,} characters, for {card.task}"
    for name, value in card.truth.items():
        yield f"- {name}: {str(value)[:200]}"
    yield from _classes(card)


def _classes(card: ImageCard | TextCard) -> Iterator[str]:
    yield ""
    yield "| class | train | validation | test |"
    yield "|---|---:|---:|---:|"
    for index, name in enumerate(card.class_names[:SHOWN_CLASSES]):
        counts = [card.counts_per_class[split][index] for split in Split]
        yield f"| {name} | {counts[0]:,} | {counts[1]:,} | {counts[2]:,} |"
    if len(card.class_names) > SHOWN_CLASSES:
        yield f"| {len(card.class_names) - SHOWN_CLASSES} more classes | | | |"
    yield _total(card)


def _tensors(card: TensorCard) -> Iterator[str]:
    yield f"- {card.feature_width} features, {card.target_width} targets, float32"
    for name, value in card.truth.items():
        yield f"- true {name}: {str(value)[:200]}"
    yield ""
    yield "| | train | validation | test |"
    yield "|---|---:|---:|---:|"
    yield _total(card)


def _total(card: Card) -> str:
    counts = [card.counts[split] for split in Split]
    return f"| **all** | {counts[0]:,} | {counts[1]:,} | {counts[2]:,} |"


def _numbers(values: tuple[float, ...]) -> str:
    return " / ".join(f"{value:.4f}" for value in values)
