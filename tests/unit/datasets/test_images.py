from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.datasets.archives import open_source
from components.datasets.images import FORMATS, decode, decode_many
from components.errors import CorruptDataError, NightforgeError

WHITE, BLACK, TEAL = (255, 255, 255), (0, 0, 0), (10, 120, 130)
SIDE = (8, 8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flat(mode: str, colour: object, size: tuple[int, int] = SIDE) -> Image.Image:
    return Image.new(mode, size, colour)


def palette() -> Image.Image:
    image = flat("P", 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return image


def sixteen(value: int) -> Image.Image:
    return Image.fromarray(np.full(SIDE, value, np.uint16))


MODES: dict[str, tuple[bytes, tuple[int, int, int]]] = {
    "RGB": (encoded(flat("RGB", (200, 100, 50))), (200, 100, 50)),
    "L": (encoded(flat("L", 77)), (77, 77, 77)),
    "1": (encoded(flat("1", 1)), WHITE),
    "P": (encoded(palette()), (200, 100, 50)),
    "P, transparent": (encoded(palette(), transparency=1), TEAL),
    "RGB, one colour transparent": (
        encoded(flat("RGB", (1, 2, 3)), transparency=(1, 2, 3)),
        TEAL,
    ),
    "RGBA, opaque": (encoded(flat("RGBA", (200, 100, 50, 255))), (200, 100, 50)),
    "RGBA, transparent": (encoded(flat("RGBA", (200, 100, 50, 0))), TEAL),
    "RGBA, half": (encoded(flat("RGBA", (200, 100, 50, 128))), (105, 110, 90)),
    "LA, half": (encoded(flat("LA", (0, 128))), (5, 60, 65)),
    "16 bits": (encoded(sixteen(200 * 257)), (200, 200, 200)),
    "16 bits, dark": (encoded(sixteen(200)), (1, 1, 1)),
    "16 bits, transparent": (encoded(sixteen(65535), transparency=65535), TEAL),
    "CMYK": (encoded(flat("CMYK", (0, 0, 0, 0)), "TIFF"), WHITE),
    "GIF": (encoded(palette(), "GIF"), (200, 100, 50)),
    "BMP": (encoded(flat("RGB", (200, 100, 50)), "BMP"), (200, 100, 50)),
    "WEBP": (encoded(flat("RGB", (200, 100, 50)), "WEBP", lossless=True), (200, 100, 50)),
    "PPM": (encoded(flat("RGB", (200, 100, 50)), "PPM"), (200, 100, 50)),
    "JPEG": (encoded(flat("L", 120), "JPEG"), (120, 120, 120)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_red_green_and_blue_on_the_background(mode: str) -> None:
    data, colour = MODES[mode]
    image = decode(data, SIDE, 3, TEAL)
    assert (image.shape, image.dtype) == ((3, 8, 8), np.uint8)
    difference = image.astype(int) - np.array(colour)[:, None, None]
    assert np.abs(difference).max() <= 1


def test_one_channel_is_the_luminance() -> None:
    image = decode(encoded(flat("RGB", (200, 100, 50))), SIDE, 1, BLACK)
    assert image.shape == (1, 8, 8)
    assert abs(int(image[0, 0, 0]) - round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)) <= 1


def test_the_aspect_is_kept_and_the_rest_is_background() -> None:
    wide = decode(encoded(flat("RGB", WHITE, (16, 8))), SIDE, 3, TEAL)
    assert (wide[:, 2:6] == 255).all()
    for rows in (slice(0, 2), slice(6, 8)):
        assert (wide[:, rows] == np.array(TEAL)[:, None, None]).all()
    high = decode(encoded(flat("RGB", WHITE, (8, 16))), SIDE, 3, TEAL)
    assert np.array_equal(high, wide.transpose(0, 2, 1))


def test_scaling_down_averages() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255
    image = decode(encoded(Image.fromarray(board.astype(np.uint8))), SIDE, 1, BLACK)
    assert np.abs(image.astype(int) - 127).max() <= 2


def test_a_photograph_is_turned_as_it_says() -> None:
    left = np.zeros((8, 8), np.uint8)
    left[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    for kind in ("JPEG", "PNG"):
        data = encoded(Image.fromarray(left), kind, exif=exif)
        image = decode(data, SIDE, 1, BLACK)
        assert image[0, :3].mean() > 200, kind
        assert image[0, 5:].mean() < 50, kind


def test_the_first_picture_of_an_animation_counts() -> None:
    frames = [flat("L", 200), flat("L", 10)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, SIDE, 1, BLACK).min() > 190


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 1000) + b"IDAT"


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "text": (b"not an image", "no image of a known format"),
    "bomb": (png_header(9_000, 9_000), "9000 x 9000 pixels"),
    "larger bomb": (png_header(100_000, 100_000), "broken image"),
    "cut off": (encoded(Image.effect_noise((64, 64), 50))[:-500], "broken image"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a known"),
    "floating point": (encoded(Image.new("F", SIDE, 0.5), "TIFF"), "floating-point"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_image_is_refused_with_the_reason(case: str) -> None:
    data, reason = BAD[case]
    with pytest.raises(CorruptDataError) as caught:
        decode(data, SIDE, 3, WHITE)
    assert reason in caught.value.got


@settings(max_examples=200, deadline=None, derandomize=True)
@given(mode=st.sampled_from(sorted(MODES)), changes=st.data())
def test_damaged_images_lead_to_nothing_but_our_own_errors(mode, changes) -> None:
    data = bytearray(MODES[mode][0])
    for _ in range(changes.draw(st.integers(1, 4))):
        data[changes.draw(st.integers(0, len(data) - 1))] = changes.draw(st.integers(0, 255))
    folder_free_decode(bytes(data))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_lead_to_nothing_but_our_own_errors(data: bytes) -> None:
    folder_free_decode(data)


def folder_free_decode(data: bytes) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as decode_many does around a whole run
        try:
            assert decode(data, SIDE, 3, WHITE).shape == (3, 8, 8)
        except NightforgeError:
            return


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty files: thirty pictures, some twice, and ten that are none."""
    rng = random.Random(0)
    for number in range(40):
        colour = rng.randrange(12) * 20
        good = encoded(flat("L", colour, (rng.randrange(5, 20), rng.randrange(5, 20))))
        data = good if number % 4 else b"broken" + bytes([number % 3])
        (tmp_path / f"{number:02d}.png").write_bytes(data)
    return tmp_path


Decoded = tuple[np.ndarray, list[str]]


def decoded(folder: Path, workers: int) -> Decoded:
    with open_source(folder) as source:
        members = source.members()
        out = np.zeros((len(members), 3, 8, 8), np.uint8)
        bad = decode_many(source, members, SIDE, 3, WHITE, out, workers)
    return out, [item.path for item in bad]


def test_the_result_does_not_depend_on_the_number_of_workers(folder: Path) -> None:
    one, many = decoded(folder, 1), decoded(folder, 4)
    assert np.array_equal(one[0], many[0])
    assert one[1] == many[1] == [f"{number:02d}.png" for number in range(0, 40, 4)]


def test_every_file_gets_its_own_row_and_unreadable_rows_stay(folder: Path) -> None:
    images, bad = decoded(folder, 1)
    for number, image in enumerate(images):
        name = f"{number:02d}.png"
        if name in bad:
            assert not image.any()
        else:
            assert np.array_equal(image, decode((folder / name).read_bytes(), SIDE, 3, WHITE))


def test_a_tiff_with_odd_tags_warns_nobody(tmp_path: Path) -> None:
    data = bytearray(encoded(flat("L", 9), "TIFF"))
    offset = struct.unpack("<L", data[4:8])[0]
    count = struct.unpack("<H", data[offset : offset + 2])[0]
    entries = data[offset + 2 : offset + 2 + 12 * count]
    odd = struct.pack("<HHLL", 65000, 2, 1 << 20, 1 << 30)
    data[4:8] = struct.pack("<L", len(data))
    (tmp_path / "x.tif").write_bytes(data + struct.pack("<H", count + 1) + entries + odd + bytes(4))
    images, bad = decoded(tmp_path, 1)
    assert bad == []
    assert (images == 9).all()


def test_the_formats_start_no_other_program() -> None:
    assert set(FORMATS) == {"PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"}
