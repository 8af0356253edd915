"""Sprites drawn by code from a seed: small symmetric creatures, nothing copied from anywhere.

They come as a zip of RGBA PNGs in one folder per species, the shape in which sprite collections
are passed around, and take the same way from there.
"""

from __future__ import annotations

import colorsys
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from components.datasets.base import (
    DatasetSpec,
    FetchConfig,
    FetchRequest,
    RawImages,
    ReadRequest,
    UInt8Array,
)
from components.datasets.image_pool import PoolConfig, read_pool

TITLE = "Sprites drawn from a seed"
ARCHIVE = "sprites.zip"
GRID = 16  # cells of a creature in each direction
CELL = 4  # pixels of a cell in each direction: drawn at the size they are prepared in, not blurred
EPOCH = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the oldest date a zip can hold, so that equal sprites are equal bytes
EMPTY, BODY, SHADE, LIGHT, OUTLINE, EYE = range(6)


class SpritesConfig(FetchConfig):
    """How many sprites are drawn, and from which seed."""

    species: int = Field(250, ge=2, le=10_000, description="Species, each with its own plan")
    per_species: int = Field(20, ge=1, le=1000, description="Individuals drawn of each species")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of all drawings")


def draw_species(rng: np.random.Generator, individuals: int) -> UInt8Array:
    """Draw the individuals of one species.

    A species is a random half body, grown by a cellular automaton and mirrored, and a palette;
    its individuals differ in a few cells, in the tone of the palette and in place.

    Returns:
        (individuals, 64, 64, 4) uint8, red, green, blue and alpha.
    """
    plan = rng.random((GRID, GRID // 2)) < _density()
    hue, second = rng.random(2)
    sprites = np.zeros((individuals, GRID * CELL, GRID * CELL, 4), np.uint8)
    for sprite in sprites:
        flips = rng.random(plan.shape) < 0.04
        cells = _cells(_grown(plan ^ flips), rng)
        palette = _palette(hue + rng.normal(0, 0.015), hue + 0.15 + 0.7 * second, rng)
        sprite[...] = np.kron(palette[cells], np.ones((CELL, CELL, 1), np.uint8))
    return sprites


def _density() -> np.ndarray:
    rows, columns = np.mgrid[0:GRID, 0 : GRID // 2]
    vertical = (rows - (GRID - 1) / 2) / (GRID / 2)
    horizontal = (GRID // 2 - 1 - columns) / (GRID // 2)
    density: np.ndarray = 0.95 - 0.75 * np.sqrt(vertical**2 + horizontal**2)
    density[[0, -1]] = 0
    density[:, 0] = 0
    return density


def _grown(half: np.ndarray) -> np.ndarray:
    """Two steps of a majority automaton on the mirrored plan, which leaves rounded bodies."""
    body = np.concatenate([half, half[:, ::-1]], axis=1)
    for _ in range(2):
        body = _neighbours(body) + 2 * body >= 4
        body[[0, -1]] = False
        body[:, [0, -1]] = False
    return body


def _neighbours(body: np.ndarray) -> np.ndarray:
    padded = np.pad(body.astype(np.int8), 1)
    around = [padded[1 + r : 1 + r + GRID, 1 + c : 1 + c + GRID] for r, c in _AROUND]
    total: np.ndarray = np.sum(around, axis=0)
    return total


_AROUND = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)]


def _cells(body: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Index into the palette for each cell: shaded below, lit above, outlined, with two eyes."""
    cells = np.where(body, BODY, EMPTY)
    rows = np.arange(GRID)[:, None]
    filled = np.flatnonzero(body.any(1))
    top, bottom = (int(filled[0]), int(filled[-1])) if len(filled) else (0, GRID - 1)
    cells[body & (rows > top + 0.65 * (bottom - top))] = SHADE
    cells[body & (rows < top + 0.2 * (bottom - top))] = LIGHT
    cells[~body & (_neighbours(body) > 0)] = OUTLINE
    row = top + max(1, (bottom - top) // 3)
    distance = int(rng.integers(1, 3))
    for column in (GRID // 2 - 1 - distance, GRID // 2 + distance):
        if body[row, column]:
            cells[row, column] = EYE
    return cells


def _palette(hue: float, second: float, rng: np.random.Generator) -> UInt8Array:
    saturation = 0.55 + 0.3 * rng.random()
    colours = [
        (0.0, 0.0, 0.0),
        colorsys.hsv_to_rgb(hue % 1, saturation, 0.85),
        colorsys.hsv_to_rgb(second % 1, saturation, 0.65),
        colorsys.hsv_to_rgb(hue % 1, saturation * 0.6, 1.0),
        colorsys.hsv_to_rgb(hue % 1, 0.8, 0.25),
        (1.0, 1.0, 1.0),
    ]
    palette = np.full((6, 4), 255, np.uint8)
    palette[:, :3] = np.round(np.array(colours) * 255)
    palette[EMPTY, 3] = 0
    return palette


def draw_all(config: SpritesConfig) -> Iterator[tuple[str, UInt8Array]]:
    """Every sprite as ("species-0007/03.png", (64, 64, 4) uint8); a species has its own seed."""
    for species in range(config.species):
        rng = np.random.default_rng((config.seed, species))
        for index, sprite in enumerate(draw_species(rng, config.per_species)):
            yield f"species-{species:04d}/{index:03d}.png", sprite


def write_zip(config: SpritesConfig, path: Path) -> None:
    """Draw all sprites into a zip of PNGs."""
    from PIL import Image

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, sprite in draw_all(config):
            buffer = io.BytesIO()
            Image.fromarray(sprite, "RGBA").save(buffer, "PNG", compress_level=3)
            archive.writestr(zipfile.ZipInfo(name, EPOCH), buffer.getvalue())


def _fetch(request: FetchRequest[SpritesConfig]) -> str:
    write_zip(request.config, request.destination / ARCHIVE)
    return "drawn by components/datasets/sprites.py"


def _read(request: ReadRequest[PoolConfig]) -> RawImages:
    return read_pool(request.raw / ARCHIVE, request, TITLE)


SPEC = DatasetSpec(
    name="sprites",
    title=TITLE,
    licence="Apache-2.0",
    homepage="",
    fetch=_fetch,
    read=_read,
    fetch_config=SpritesConfig,
    prepare_config=PoolConfig,
)
