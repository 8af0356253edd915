"""Archives and folders that want to do harm, or were harmed: refused, and nothing is written."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.datasets.archives import Limits, open_source
from components.datasets.tars import unpack
from components.errors import CorruptDataError, DataError, DataUnavailableError, NightforgeError

Make = Callable[[Path], Path]
FILES = {"cat/1.png": b"one", "cat/2.png": b"two", "dog/1.png": b"three"}


def as_zip(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Make:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "a.zip", "w", method) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return folder / "a.zip"

    return make


def as_tar(entries: dict[str, bytes], mode: str = "w", **changes: object) -> Make:
    def make(folder: Path) -> Path:
        path = folder / ("a.tar" if mode == "w" else f"a.tar.{mode[2:]}")
        with tarfile.open(path, mode) as archive:
            for name, content in entries.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                for key, value in changes.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(content))
        return path

    return make


def edited(make: Make, edit: Callable[[bytearray], object]) -> Make:
    def made(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        edit(data)
        path.write_bytes(data)
        return path

    return made


def replaced(make: Make, old: bytes, new: bytes) -> Make:
    return edited(make, lambda data: data.__setitem__(slice(None), data.replace(old, new)))


def zip_link(folder: Path) -> Path:
    info = zipfile.ZipInfo("cat/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return folder / "a.zip"


def zip_without_utf8(folder: Path) -> Path:
    return replaced(as_zip({"cat/x.png": b"x"}), b"cat/x.png", b"cat/\xe9.png")(folder)


def zip_method_bz2_that_lies(folder: Path) -> Path:
    path = as_zip({"a.png": bz2.compress(bytes(1 << 20))}, zipfile.ZIP_STORED)(folder)
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\1\2")
    for place in (8, central + 10):
        data[place : place + 2] = struct.pack("<H", zipfile.ZIP_BZIP2)
    path.write_bytes(data)
    return path


def zip_that_overlaps(folder: Path) -> Path:
    path = as_zip({"a.png": bytes(10**6)})(folder)
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry = data[start:end]
    many = b"".join(entry.replace(b"a.png", b"%05d" % number) for number in range(50))
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHL", 50, 50, len(many))
    path.write_bytes(data[:start] + many + tail)
    return path


def tar_with_pax_bomb(folder: Path) -> Path:
    info = tarfile.TarInfo("p")
    info.type, info.size = tarfile.XHDTYPE, 64 << 20
    with gzip.open(folder / "a.tar.gz", "wb", 9) as stream:
        stream.write(info.tobuf(tarfile.USTAR_FORMAT))
        stream.write(bytes(64 << 20))
        stream.write(bytes(1024))
    return folder / "a.tar.gz"


def linked_folder(folder: Path) -> Path:
    (folder / "d" / "cat").mkdir(parents=True)
    (folder / "d" / "cat" / "1.png").symlink_to("/etc/passwd")
    return folder / "d"


def piped_folder(folder: Path) -> Path:
    (folder / "d").mkdir()
    os.mkfifo(folder / "d" / "pipe.png")
    return folder / "d"


def undecodable_folder(folder: Path) -> Path:
    (folder / "d" / "cat").mkdir(parents=True)
    with open(os.fsencode(folder) + b"/d/cat/\xe9.png", "wb") as stream:  # noqa: PTH123
        stream.write(b"x")
    return folder / "d"


def set_flag(data: bytearray) -> None:
    data[data.index(b"PK\1\2") + 8] |= 1


def flip_body(data: bytearray) -> None:
    data[data.index(b"three")] ^= 1


def damage_second_header(data: bytearray) -> None:
    data[1024 + 150] ^= 1


def cut_after_first(data: bytearray) -> None:
    del data[1024:]


HOSTILE: dict[str, tuple[Make, str]] = {
    "zip: climbs out": (as_zip({"../evil.png": b"x"}), "climbs out"),
    "zip: climbs out further in": (as_zip({"cat/../../evil.png": b"x"}), "climbs out"),
    "zip: absolute": (as_zip({"/evil.png": b"x"}), "absolute"),
    "zip: drive letter": (as_zip({"C:evil.png": b"x"}), "absolute or Windows"),
    "zip: backslashes": (
        replaced(as_zip({"cat/evil.png": b"x"}), b"cat/evil", b"cat\\evil"),
        "absolute or Windows",
    ),
    "zip: control characters": (as_zip({"cat/\x1b[2J.png": b"x"}), "control characters"),
    "zip: NUL in a name": (
        replaced(as_zip({"cat/a.png": b"x"}), b"cat/a.png", b"cat/a\0png"),
        "control characters",
    ),
    "zip: symbolic link": (zip_link, "link or device"),
    "zip: not UTF-8": (zip_without_utf8, "not UTF-8"),
    "zip: encrypted": (edited(as_zip(FILES), set_flag), "encrypted"),
    "zip: wrong sum": (edited(as_zip(FILES, zipfile.ZIP_STORED), flip_body), "broken archive"),
    "zip: cut off": (edited(as_zip(FILES), lambda d: d.__delitem__(slice(60, None))), "broken"),
    "zip: names that differ in case": (
        as_zip({"cat/A.png": b"x", "cat/a.png": b"y"}),
        "differ at most in case",
    ),
    "zip: folders that differ in case": (
        as_zip({"Cat/1.png": b"x", "cat/2.png": b"y"}),
        "differ at most in case",
    ),
    "zip: names that differ in composition": (
        as_zip({"caf\u00e9/1.png": b"x", "cafe\u0301/2.png": b"y"}),
        "differ at most in case",
    ),
    "zip: a file that is a folder too": (as_zip({"a": b"x", "a/b": b"y"}), "differ at most"),
    "zip: ratio": (as_zip({"a.png": bytes(15_000)}), "expansion"),
    "zip: one large file": (as_zip({"a.png": bytes(20_001)}, zipfile.ZIP_STORED), "files of at"),
    "zip: large in all": (
        as_zip({f"{n}.png": os.urandom(15_000) for n in range(7)}),
        "expanded bytes",
    ),
    "zip: too many": (as_zip({f"{n}.png": b"" for n in range(101)}), "101 members"),
    "zip: overlapping": (zip_that_overlaps, ""),
    "zip: a method without bound": (zip_method_bz2_that_lies, "packing method"),
    "zip: too long a name": (as_zip({"n" * 300: b"x"}), "too long"),
    "tar: climbs out": (as_tar({"../evil.png": b"x"}), "climbs out"),
    "tar: absolute": (as_tar({"/evil.png": b"x"}), "absolute"),
    "tar: symbolic link": (
        as_tar({"a.png": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "link, device",
    ),
    "tar: hard link": (
        as_tar({"a.png": b""}, type=tarfile.LNKTYPE, linkname="../x"),
        "link, device",
    ),
    "tar: device": (as_tar({"a.png": b""}, type=tarfile.CHRTYPE), "link, device"),
    "tar: pipe": (as_tar({"a.png": b""}, type=tarfile.FIFOTYPE), "link, device"),
    "tar: not UTF-8": (as_tar({"cat/\udce9.png": b"x"}), "not UTF-8"),
    "tar: cut between members": (edited(as_tar(FILES), cut_after_first), "no end mark"),
    "tar: damaged header": (edited(as_tar(FILES), damage_second_header), "damaged header"),
    "tar: cut in a member": (
        edited(as_tar({"a.png": bytes(3000)}), lambda d: d.__delitem__(slice(2000, None))),
        "broken",
    ),
    "tar: a file that is a folder too": (as_tar({"a": b"x", "a/b": b"y"}), "called"),
    "tar: twice": (as_tar({"a/../b": b"x"}), "climbs out"),
    "tar: too many": (as_tar({f"{n}.png": b"" for n in range(101)}), "members"),
    "tar: one large file, ignored": (as_tar({".hidden": bytes(20_001)}, "w:gz"), "files of at"),
    "tar: extension bomb": (tar_with_pax_bomb, ""),
    "tar.gz: cut off": (
        edited(as_tar(FILES, "w:gz"), lambda d: d.__delitem__(slice(len(d) - 12, None))),
        "broken",
    ),
    "tar.gz: wrong sum": (
        edited(as_tar(FILES, "w:gz"), lambda d: d.__setitem__(-6, d[-6] ^ 1)),
        "broken",
    ),
    "folder: link out of it": (linked_folder, "symbolic link"),
    "folder: pipe": (piped_folder, "device or pipe"),
    "folder: not UTF-8": (undecodable_folder, "not UTF-8"),
    "text": (lambda folder: _text(folder / "a.zip"), "no archive"),
}
SMALL = Limits(members=100, expanded_bytes=100_000, member_bytes=20_000, ratio=50, ratio_floor=1000)


def _text(path: Path) -> Path:
    path.write_text("this is no archive at all, whatever it is called")
    return path


@pytest.mark.parametrize("case", HOSTILE)
def test_it_is_refused_with_what_was_found_and_nothing_is_left_outside(
    tmp_path: Path, case: str
) -> None:
    make, found = HOSTILE[case]
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorruptDataError) as caught:
        unpack(source, tmp_path / "out", SMALL)
    assert found in caught.value.got + caught.value.wanted
    assert caught.value.remedy
    outside = [
        path for path in tmp_path.rglob("*") if tmp_path / "out" not in (path, *path.parents)
    ]
    assert sorted(outside) == before


GOOD = {
    "zip": as_zip(FILES),
    "stored zip": as_zip(FILES, zipfile.ZIP_STORED),
    "tar": as_tar(FILES),
    "tar.gz": as_tar(FILES, "w:gz"),
    "tar.bz2": as_tar(FILES, "w:bz2"),
    "tar.xz": as_tar(FILES, "w:xz"),
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("named", [True, False])
def test_a_good_archive_is_unpacked_whatever_it_is_called(
    tmp_path: Path, kind: str, named: bool
) -> None:
    source = GOOD[kind](tmp_path)
    if not named:
        source = source.rename(tmp_path / "data")
    members = unpack(source, tmp_path / "out")
    assert {str(m.path): (tmp_path / "out" / m.path).read_bytes() for m in members} == FILES
    assert [str(member.path) for member in members] == sorted(FILES)


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    litter = {"__MACOSX/cat/1.png": b"", "cat/.DS_Store": b"", "cat/Thumbs.db": b"", ".git/x": b""}
    for make in (as_zip(FILES | litter), as_tar(FILES | litter)):
        source = make(tmp_path)
        out = tmp_path / f"out{source.suffix}"
        assert {str(member.path) for member in unpack(source, out)} == set(FILES)
    hidden = tmp_path / "folder" / ".git"
    hidden.mkdir(parents=True)
    os.mkfifo(hidden / "pipe")
    with open_source(tmp_path / "folder") as opened:
        assert list(opened.members()) == []


def test_a_source_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError):
        unpack(tmp_path / "nothing.zip", tmp_path / "out")


def test_a_folder_that_changes_while_it_is_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        (folder / name).write_bytes(b"first")
    with open_source(folder) as opened:
        first, second = opened.members()
        (folder / "1.png").write_bytes(b"longer than before")
        (folder / "2.png").unlink()
        with pytest.raises(DataError, match=r"1\.png.*18 bytes.*the 5"):
            opened.read(first)
        with pytest.raises(DataUnavailableError, match=r"2\.png"):
            opened.read(second)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(kind=st.sampled_from(sorted(GOOD)), changes=st.data())
def test_damaged_bytes_lead_to_nothing_but_our_own_errors(kind, changes, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    source = GOOD[kind](folder)
    data = bytearray(source.read_bytes())
    for _ in range(changes.draw(st.integers(1, 4))):
        place = changes.draw(st.integers(0, len(data) - 1))
        data[place] = changes.draw(st.integers(0, 255))
    if changes.draw(st.booleans()):
        del data[changes.draw(st.integers(0, len(data) - 1)) :]
    source.write_bytes(data)
    try:
        members = unpack(source, folder / "out", SMALL)
    except NightforgeError:
        return
    assert all((folder / "out" / member.path).is_file() for member in members)
