"""Image files of any kind to uint8 arrays of one size: fitted, centred, composited."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from components.datasets.archives import ImageSource, Member
from components.datasets.base import UInt8Array, Unreadable
from components.errors import CorruptDataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 64 << 20  # of one image, read off its header before any pixel is decoded
SMALL_FILE = 16 << 10  # bytes of a file up to which one thread is faster than several
BATCH = 32  # files in flight for each thread
Colour = tuple[int, int, int]


def decode(data: bytes, size: tuple[int, int], channels: int, background: Colour) -> UInt8Array:
    """Decode one image and fit it into a frame.

    It is turned as its EXIF orientation says, composited on the background where it is
    transparent, scaled to fit with an antialiasing triangle filter, its aspect kept, and centred.
    Of an animation the first picture counts.

    Args:
        data: An encoded image in one of FORMATS.
        size: (H, W) of the result.
        channels: 1 for grey, 3 for red, green and blue.
        background: Red, green and blue from 0 to 255 behind transparent and missing parts.

    Returns:
        (channels, H, W) uint8.

    Raises:
        CorruptDataError: If it is no image, is broken, or has more than MAX_PIXELS.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _refuse_bomb(image.size)
            frame = _framed(image, size, background)
    except CorruptDataError:
        raise
    except Exception as error:  # Pillow's readers raise whatever broken bytes lead them to
        raise _unreadable(_reason(error, data)) from None
    if channels == 1:
        return np.asarray(frame.convert("L"))[None]
    return np.asarray(frame).transpose(2, 0, 1)


def _framed(image: Image.Image, size: tuple[int, int], background: Colour) -> Image.Image:
    from PIL import Image, ImageOps

    height, width = size
    if image.format == "JPEG":
        image.draft("RGB", (2 * width, 2 * height))  # decodes at a fraction of the size
    image.load()  # the orientation may stand behind the pixels
    if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    flat = _flattened(image, background)
    scale = min(width / flat.width, height / flat.height)
    fitted = (max(1, round(flat.width * scale)), max(1, round(flat.height * scale)))
    if fitted != flat.size:
        flat = flat.resize(fitted, Image.Resampling.BILINEAR)
    if fitted == (width, height):
        return flat
    frame = Image.new("RGB", (width, height), background)
    frame.paste(flat, ((width - fitted[0]) // 2, (height - fitted[1]) // 2))
    return frame


_ORIENTATION = 0x0112


def _flattened(image: Image.Image, background: Colour) -> Image.Image:
    """Any mode as RGB, transparent parts composited on the background."""
    from PIL import Image

    if image.mode.startswith("I"):
        image = _eight_bits(image)
    elif image.mode == "F":
        raise _unreadable("floating-point pixels, whose range nobody knows")
    if "transparency" not in image.info and image.mode not in ("RGBA", "LA", "PA", "RGBa", "La"):
        return image.convert("RGB")
    layered = image if image.mode == "RGBA" else image.convert("RGBA")
    flat = Image.new("RGB", layered.size, background)
    flat.paste(layered, mask=layered)
    return flat


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey and alpha of 8; one value may stand for transparent."""
    from PIL import Image

    values = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
    grey = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    transparent = values == image.info.get("transparency", -1)
    alpha = Image.fromarray(np.where(transparent, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, alpha))


def _refuse_bomb(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise _unreadable(f"{size[0]} x {size[1]} pixels, more than {MAX_PIXELS} in all")


def _reason(error: Exception, data: bytes) -> str:
    from PIL import UnidentifiedImageError

    if not data:
        return "an empty file"
    if isinstance(error, UnidentifiedImageError):
        return "no image of a known format"
    if isinstance(error, zlib.error | struct.error | SyntaxError | OSError):
        return f"a broken image ({' '.join(str(error).split())})"
    return f"a broken image ({type(error).__name__})"


def _unreadable(reason: str) -> CorruptDataError:
    return CorruptDataError(
        "image",
        got=reason,
        wanted="a whole image as " + ", ".join(FORMATS),
        remedy="Remove or repair the file.",
    )


def decode_many(
    source: ImageSource,
    members: Sequence[Member],
    size: tuple[int, int],
    channels: int,
    background: Colour,
    out: UInt8Array,
    workers: int | None = None,
) -> list[Unreadable]:
    """Decode members into the rows of `out`.

    Files of the same bytes are decoded once. The result does not depend on the number of workers,
    and only the files in flight are in memory.

    Args:
        source: Where the members are read from.
        members: N files.
        size: (H, W).
        channels: 1 or 3.
        background: As for `decode`.
        out: (N, channels, H, W) uint8, in memory or mapped; rows of unreadable files stay as
            they are.
        workers: Threads; as many as there are processors if None.

    Returns:
        The files that are no images, in order.

    Raises:
        DataError: If the source itself breaks off.
    """
    unique: dict[bytes, int] = {}
    copies: list[tuple[int, int]] = []
    reasons: dict[int, str] = {}

    def fresh() -> Iterator[tuple[int, bytes]]:
        for row, member in enumerate(members):
            data = source.read(member)
            first = unique.setdefault(hashlib.blake2b(data, digest_size=16).digest(), row)
            if first == row:
                yield row, data
            else:
                copies.append((row, first))

    def one(item: tuple[int, bytes]) -> None:
        row, data = item
        try:
            out[row] = decode(data, size, channels, background)
        except CorruptDataError as error:
            reasons[row] = error.got

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about odd metadata; not thread-safe further in
        _for_each(one, fresh(), _worker_count(members) if workers is None else workers)
    for row, first in copies:
        if first in reasons:
            reasons[row] = reasons[first]
        else:
            out[row] = out[first]
    return [Unreadable(str(members[row].path), reasons[row]) for row in sorted(reasons)]


def _worker_count(members: Sequence[Member]) -> int:
    """Threads help with photographs; for sprites the interpreter's lock makes them slower."""
    mean = sum(member.size for member in members) / max(1, len(members))
    return 1 if mean < SMALL_FILE else os.cpu_count() or 1


def _for_each(
    one: Callable[[tuple[int, bytes]], None], items: Iterator[tuple[int, bytes]], workers: int
) -> None:
    if workers == 1:
        for item in items:
            one(item)
        return
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(items, BATCH * workers)):
            for _ in pool.map(one, batch):
                pass
