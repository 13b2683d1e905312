"""Folders, zips and tars behind one interface, and what hostile ones try."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from burnish.errors import BurnishError
from burnish.images.archives import rules as archive_rules
from burnish.images.archives import tar as archive_tar
from burnish.images.archives import zip as archive_zip
from burnish.images.archives.archive import open_source
from burnish.images.reader import read_image_bytes

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
FILES = {
    "set/good/a.png": b"first",
    "set/good/b.png": bytes(5000),
    "set/bad/Kratzer tief.png": np.random.default_rng(0).bytes(70_000),
    "readme.txt": b"",
}
DROPPINGS = {"__MACOSX/set/._a.png": b"x", ".DS_Store": b"x", "set/._a.png": b"x", ".git/x": b"x"}


def make_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w", **options: int) -> Path:
    with tarfile.open(path, mode, **options) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "folder": lambda p: make_folder(p / "x", FILES | DROPPINGS),
    "zip": lambda p: make_zip(p / "x.zip", FILES | DROPPINGS),
    "stored zip": lambda p: make_zip(p / "x.zip", FILES | DROPPINGS, zipfile.ZIP_STORED),
    "bzip2 zip": lambda p: make_zip(p / "x.zip", FILES | DROPPINGS, zipfile.ZIP_BZIP2),
    "ustar": lambda p: make_tar(p / "x.tar", FILES | DROPPINGS, format=tarfile.USTAR_FORMAT),
    "gnu": lambda p: make_tar(p / "x.tar", FILES | DROPPINGS, format=tarfile.GNU_FORMAT),
    "pax": lambda p: make_tar(p / "x.tar", FILES | DROPPINGS, format=tarfile.PAX_FORMAT),
    "gz": lambda p: make_tar(p / "x.tar.gz", FILES | DROPPINGS, "w:gz"),
    "bz2": lambda p: make_tar(p / "x.tar.bz2", FILES | DROPPINGS, "w:bz2"),
    "xz": lambda p: make_tar(p / "x.tar.xz", FILES | DROPPINGS, "w:xz"),
}


@pytest.fixture(params=MAKERS)
def source_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return MAKERS[request.param](tmp_path)


def contents(path: Path) -> dict[str, bytes]:
    with open_source(path) as source:
        return {name: source.read(name) for name in source.names()}


def refused(path: Path, match: str) -> None:
    with pytest.raises(BurnishError, match=match) as caught, open_source(path):
        pass
    assert str(path) in str(caught.value)


# --- what is read ---------------------------------------------------------------------------------


def test_every_kind_gives_the_same(source_path: Path) -> None:
    with open_source(str(source_path)) as source:
        assert source.path == source_path
        assert source.names() == sorted(FILES)
        assert {name: source.read(name) for name in source.names()} == FILES
        assert {name: source.size(name) for name in FILES} == {n: len(d) for n, d in FILES.items()}


def test_an_unknown_name(source_path: Path) -> None:
    with open_source(source_path) as source:
        for name in ("nothing.png", "../x", "/etc/passwd", "set", "set/._a.png", ""):
            with pytest.raises(BurnishError, match="holds no file"):
                source.read(name)
            with pytest.raises(BurnishError, match="holds no file"):
                source.size(name)


def test_content_decides_what_it_is(tmp_path: Path) -> None:
    make_zip(tmp_path / "zip.tar", FILES)
    make_tar(tmp_path / "tar.zip", FILES)
    make_tar(tmp_path / "gz", FILES, "w:gz")
    for name in ("zip.tar", "tar.zip", "gz"):
        assert contents(tmp_path / name) == FILES


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"no.png": b"no"}).read_bytes()
    path = make_tar(tmp_path / "x.tar", {"inner.zip": inner})
    path.write_bytes(path.read_bytes().rstrip(b"\0") + bytes(1024))
    assert zipfile.is_zipfile(path)
    path.write_bytes(path.read_bytes() + bytes(-path.stat().st_size % 512))
    assert list(contents(path)) == ["inner.zip"]


def test_a_zip_behind_a_program(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", FILES)
    path.write_bytes(b"#!/bin/sh\n" * 100 + path.read_bytes())
    assert contents(path) == FILES


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar here")
@pytest.mark.parametrize("flag", ["", "z", "j", "J"])
def test_what_the_system_packs(flag: str, tmp_path: Path) -> None:
    make_folder(tmp_path / "x", FILES | {"set/" + "deep/" * 40 + "Prüfling.png": b"name"})
    subprocess.run(["tar", f"c{flag}f", "x.tar", "-C", "x", "."], cwd=tmp_path, check=True)
    assert contents(tmp_path / "x.tar") == contents(tmp_path / "x")


def test_streams_one_after_the_other(tmp_path: Path) -> None:
    """pigz, pbzip2 and pxz write several streams; xz pads them."""
    data = make_tar(tmp_path / "x.tar", FILES).read_bytes()
    half = len(data) // 2
    for pack, padding in ((gzip.compress, b""), (bz2.compress, b""), (lzma.compress, bytes(8))):
        path = tmp_path / "two"
        path.write_bytes(pack(data[:half]) + padding + pack(data[half:]) + padding)
        assert contents(path) == FILES


def test_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert contents(tmp_path / "folder") == {}
    assert contents(make_zip(tmp_path / "x.zip", {})) == {}
    assert contents(make_tar(tmp_path / "x.tar", {})) == {}


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / os.fsdecode(b"Pr\xfcfling.png")).write_bytes(b"1")
    assert contents(folder) == {"Prüfling.png": b"1"}
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("Prüfling.png"))
    assert contents(path) == {"Prüfling.png": b""}


def test_from_several_threads(source_path: Path) -> None:
    names = list(FILES) * 50
    with open_source(source_path) as source, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.read, names)) == [FILES[name] for name in names]


def test_nothing_is_left_behind(source_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = source_path.parent / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    before = len(os.listdir("/proc/self/fd"))
    with open_source(source_path):
        assert list(spool.iterdir()) == []  # even now: the file has no name
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["KolektorSDD", "MagneticTile", "RailHead", "screw"])
def test_the_real_archives(name: str) -> None:
    path = DATA / f"{name}.zip"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with zipfile.ZipFile(path) as archive, open_source(path) as source:
        expected = sorted(i.filename for i in archive.infolist() if not i.is_dir())
        assert source.names() == expected
        for member in expected[::200]:
            data = source.read(member)
            assert hashlib.sha256(data).digest() == hashlib.sha256(archive.read(member)).digest()
            assert read_image_bytes(data, member).size > 0


# --- what is not there, or nothing we read --------------------------------------------------------


def test_missing_and_strange(tmp_path: Path) -> None:
    refused(tmp_path / "none.zip", "no such file or folder")
    (tmp_path / "empty.zip").touch()
    refused(tmp_path / "empty.zip", "is empty")
    (tmp_path / "text.zip").write_text("I am a text.\n" * 100)
    refused(tmp_path / "text.zip", "neither a zip nor a tar")
    refused(tmp_path / "text.zip" / "below", "cannot be read")
    refused(tmp_path / ("long" * 100), "cannot be read")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is a device or a pipe")
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"I am a text.\n" * 100))
    refused(tmp_path / "text.gz", "neither a zip nor a tar")


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.85])
def test_cut_off(source_path: Path, kept: float) -> None:
    if source_path.is_dir():
        pytest.skip("a folder cannot be cut")
    data = source_path.read_bytes()
    source_path.write_bytes(data[: int(kept * len(data))])
    refused(source_path, "cut off|neither a zip nor a tar|cannot be read as a zip")


def test_a_tar_cut_between_two_members(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", {"a": b"1", "b": b"2"})
    path.write_bytes(path.read_bytes()[:1024])  # the whole of "a", no end
    refused(path, "cut off or damaged at byte 1,024")


def test_a_damaged_header_does_not_end_the_list_silently(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", {"a": b"1", "b": b"2", "c": b"3"})
    data = bytearray(path.read_bytes())
    data[1024 + 3] ^= 1
    path.write_bytes(data)
    refused(path, "cut off or damaged at byte 1,024")


def test_a_flipped_bit_in_a_zip_member(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.png": b"pixels" * 9, "b.png": b"fine"}, 0)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"pixels", b"pixelz", 1))
    with open_source(path) as source:
        assert source.read("b.png") == b"fine"
        with pytest.raises(BurnishError, match=r"x\.zip: 'a\.png' is damaged: Bad CRC"):
            source.read("a.png")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_flipped_bit_in_a_compressed_tar(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    refused(path, "cut off or damaged")


# --- hostile names --------------------------------------------------------------------------------

NAMES = [
    ("../up.png", "leads out"), ("a/../../up.png", "leads out"), ("a/../b.png", "leads out"),
    ("..", "leads out"), ("/etc/x.png", "absolute"), ("//host/x.png", "absolute"),
    ("C:/x.png", "absolute"), ("c:x.png", "absolute"), ("a\\..\\x.png", "backslash"),
    ("..\\x.png", "backslash"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "why"), NAMES)
def test_hostile_names(name: str, why: str, tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "x.zip", {"good.png": b"1", name: b"2"}), why)
    refused(make_tar(tmp_path / "x.tar", {"good.png": b"1", name: b"2"}), why)
    refused(make_tar(tmp_path / "x.tgz", {"good.png": b"1", name: b"2"}, "w:gz"), why)


@pytest.mark.parametrize("name", ["../up/", "/up/"])
def test_hostile_folders(name: str, tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "x.zip", {name: b""}), "'" + name)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    refused(tmp_path / "x.tar", "leads out|absolute")


def test_a_nul_in_a_name(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.png_.exe": b"1"})
    path.write_bytes(path.read_bytes().replace(b"a.png_", b"a.png\0"))
    refused(path, "has a NUL")
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"path": "a.png\0.exe"}
        tar.addfile(info)
    refused(path, "has a NUL|neither a zip nor a tar")


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", {"../\x1b[2Jx.png": b""})
    with pytest.raises(BurnishError) as caught, open_source(path):
        pass
    assert "\x1b" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b.png", b"1")
        archive.writestr("a/./b.png", b"2")
    refused(path, "occurs twice")
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("b.png"))
    refused(path, "occurs twice")


def test_a_file_without_a_name(tmp_path: Path) -> None:
    """Found by the fuzzer: the empty name became "."."""
    refused(make_tar(tmp_path / "x.tar", {"": b"1"}), "is no file name")
    refused(make_zip(tmp_path / "x.zip", {"./.": b"1"}), "is no file name")
    path = make_zip(tmp_path / "x.zip", {"named": b"1"})
    data = bytearray(path.read_bytes().replace(b"named", b""))  # zipfile's is_dir() fails on ""
    entry, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    struct.pack_into("<H", data, 26, 0)
    struct.pack_into("<H", data, entry + 28, 0)
    struct.pack_into("<II", data, end + 12, end - entry, entry)
    path.write_bytes(data)
    refused(path, "is no file name")


# --- links, devices, encryption -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "is a link"), (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "device or a pipe"), (tarfile.CHRTYPE, "device or a pipe"),
        (tarfile.BLKTYPE, "device or a pipe"), (b"M", "no plain file"), (b"Z", "no plain file"),
    ],
)  # fmt: skip
def test_tar_members_that_are_no_files(kind: bytes, why: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("x.png")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    refused(tmp_path / "x.tar", why)


def test_sparse_tar_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("x.png")
        info.type = tarfile.GNUTYPE_SPARSE
        tar.addfile(info)
    refused(tmp_path / "x.tar", "no plain file|neither a zip nor a tar")


@pytest.mark.parametrize(
    ("kind", "why"), [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "pipe"), (stat.S_IFCHR, "pipe")]
)
def test_zip_members_that_are_no_files(kind: int, why: str, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x.png")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "x.zip", why)


def test_encrypted_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.png": b"1"})
    data = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(sign) + offset] |= 1
    path.write_bytes(data)
    refused(path, r"'a\.png' is encrypted")


def test_a_zip_packed_by_lzma(tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "x.zip", {"a.png": b"1"}, zipfile.ZIP_LZMA), "method 14")


def test_links_in_a_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "x", {"a/b.png": b"1"})
    (tmp_path / "outside.png").write_bytes(b"secret")
    (folder / "same.png").symlink_to("a/b.png")
    (folder / "again").symlink_to("a")
    (folder / "a" / "loop").symlink_to("..")
    (folder / ".hidden").symlink_to("/etc/passwd")
    assert contents(folder) == {"a/b.png": b"1", "same.png": b"1"}
    (tmp_path / "link").symlink_to("x")  # the folder itself may be one
    assert contents(tmp_path / "link") == {"a/b.png": b"1", "same.png": b"1"}
    for target in ("../outside.png", str(tmp_path / "outside.png"), "..", "/etc", "../missing"):
        (folder / "out").symlink_to(target)
        refused(folder, "'out' is a link that leads out of the folder")
        (folder / "out").unlink()
    (folder / "dangling").symlink_to("nothing")
    refused(folder, "dangling cannot be read")


def test_a_pipe_and_a_file_that_goes_away(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "x", {"a.png": b"1"})
    with open_source(folder) as source:
        (folder / "a.png").unlink()
        with pytest.raises(BurnishError, match=r"a\.png cannot be read"):
            source.read("a.png")
    os.mkfifo(folder / "pipe.png")
    refused(folder, r"'pipe\.png' is a device or a pipe")


# --- bombs ----------------------------------------------------------------------------------------


@pytest.fixture
def small_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_rules, "MAX_MEMBER", 1000)
    monkeypatch.setattr(archive_rules, "MAX_MEMBERS", 4)
    monkeypatch.setattr(archive_rules, "MAX_TOTAL", 2500)


@pytest.mark.usefixtures("small_caps")
def test_caps(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, bytes], str | None]] = [
        ({str(i): bytes(600) for i in range(4)}, None),
        ({"fits": bytes(1000)}, None),
        ({"big": bytes(1001)}, "'big' has 1,001 bytes; at most 1,000"),
        ({str(i): b"" for i in range(5)}, "more than 4 files"),
        ({str(i): bytes(900) for i in range(3)}, "more than 2,500 bytes"),
    ]
    for number, (files, why) in enumerate(cases):
        for path in (
            make_folder(tmp_path / f"{number}", files),
            make_zip(tmp_path / f"{number}.zip", files),
            make_tar(tmp_path / f"{number}.tar", files),
        ):
            if why is None:
                assert contents(path) == files
            else:
                refused(path, why)


def test_members_over_the_compression_ratio_are_refused(tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "x.zip", {"zeros": bytes(3 << 20)}), "more than 1000 times")
    assert (
        len(contents(make_zip(tmp_path / "y.zip", {"zeros": bytes(1 << 20)}))["zeros"]) == 1 << 20
    )


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_a_compressed_tar_that_never_ends(pack: Callable, tmp_path: Path) -> None:
    make_tar(tmp_path / "x.tar", {"zeros": bytes(30 << 20)})
    path = tmp_path / "x.tar.packed"
    path.write_bytes(pack((tmp_path / "x.tar").read_bytes()))
    refused(path, "unpacks to more than [0-9,]+ bytes")


def test_xz_that_asks_for_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = MAKERS["xz"](tmp_path)
    monkeypatch.setattr(archive_tar, "MAX_XZ_MEMORY", 1 << 20)
    refused(path, "Memory usage limit")


def forged(path: Path, real: bytes, declared: int) -> Path:
    """A zip with one deflated member that declares another size than it has, everywhere."""
    make_zip(path, {"a.png": real})
    data = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(sign) + offset, declared)
    path.write_bytes(data)
    return path


def test_a_member_that_holds_more_or_less_than_it_declares(tmp_path: Path) -> None:
    for declared in (0, 10, 999, 1001, 500_000):
        path = forged(tmp_path / "x.zip", bytes(1000), declared)
        with open_source(path) as source:
            assert source.size("a.png") == declared
            with pytest.raises(BurnishError, match=r"x\.zip: 'a\.png' is damaged"):
                source.read("a.png")


def test_a_forged_checksum_does_not_hide_it(tmp_path: Path) -> None:
    """The checksum of the bytes up to one more than declared is right, and more follow."""
    path = forged(tmp_path / "x.zip", bytes(1000), 10)
    data = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        struct.pack_into("<I", data, data.index(sign) + offset, zipfile.crc32(bytes(11)))
    path.write_bytes(data)
    with (
        open_source(path) as source,
        pytest.raises(BurnishError, match="holds more than the 10 bytes it declares"),
    ):
        source.read("a.png")


def test_members_that_overlap(tmp_path: Path) -> None:
    """One compressed block that many directory entries share (Fifield's zip bomb)."""
    path = make_zip(tmp_path / "x.zip", {f"{i}.png": bytes(900_000) for i in range(10)})
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    with zipfile.ZipFile(path) as archive:
        one = archive.infolist()[0]
        block = 30 + len(one.filename) + one.compress_size
    body, directory = data[:block], data[first:]
    at = 0
    for _ in range(10):  # every entry points to the first member
        struct.pack_into("<I", directory, at + 42, 0)
        at += 46 + struct.unpack_from("<H", directory, at + 28)[0]
    end = directory.index(b"PK\x05\x06")
    struct.pack_into("<I", directory, end + 16, block)
    path.write_bytes(body + directory)
    refused(path, "overlap")


def test_a_directory_larger_than_any_zip_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_zip(tmp_path / "x.zip", {f"{i}.png": b"" for i in range(100)})
    monkeypatch.setattr(archive_zip, "MAX_DIRECTORY", 5000)
    refused(path, "a header of more than 5,000 bytes")


# --- hostile tar headers --------------------------------------------------------------------------


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """One tar header by hand, with the right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124 : 124 + len(size)] = size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar  \0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_a_negative_size_does_not_go_round_in_circles(tmp_path: Path) -> None:
    """CVE-2025-8194: a member that leads back to itself."""
    path = tmp_path / "x.tar"
    back = header(b"b", (-512 & (1 << 96) - 1).to_bytes(12, "big"))
    path.write_bytes(header(b"a", b"00000000001\0") + bytes(512) + back + bytes(1024))
    start = time.perf_counter()
    refused(path, "negative size")
    assert time.perf_counter() - start < 5


def test_long_runs_of_digits_take_no_time(tmp_path: Path) -> None:
    """CVE-2024-6232: tarfile's patterns are quadratic in them."""
    path = tmp_path / "x.tar"
    digits = b"1" * 500_000
    padded = digits + bytes(-len(digits) % 512)
    path.write_bytes(
        header(b"pax", b"%011o\0" % len(digits), b"x") + padded
        + header(b"a", b"00000000000\0") + bytes(1024)
    )  # fmt: skip
    start = time.perf_counter()
    refused(path, "more than 200 digits")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_that_claims_gigabytes(kind: bytes, tmp_path: Path) -> None:
    """tarfile reads such headers into memory whole; this file has a hole of 4 GiB."""
    path = tmp_path / "x.tar"
    with path.open("wb") as file:
        file.write(header(b"long", b"%011o\0" % ((4 << 30) - 1), kind))
        file.truncate((4 << 30) + 2048)
    code = (
        "import resource, sys\n"
        "from burnish.errors import BurnishError\n"
        "from burnish.images.archives.archive import open_source\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    with open_source(sys.argv[1]): pass\n"
        "except BurnishError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    message, kib = done.stdout.splitlines()
    assert "a header of more than 1,048,576 bytes" in message
    assert int(kib) < 16 << 10


def test_the_headers_of_all_members_are_not_kept(tmp_path: Path) -> None:
    """Packed they take a few kilobytes: 3 MB of them took 600 MB of memory."""
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(40):
            info = tarfile.TarInfo(f"{number}.png")
            info.pax_headers = {"comment": "x" * 900_000}
            tar.addfile(info)
    tracemalloc.start()
    with open_source(tmp_path / "x.tar") as source:
        assert len(source.names()) == 40
        assert tracemalloc.get_traced_memory()[1] < 12e6
    tracemalloc.stop()


def test_headers_for_all_members_are_bounded(tmp_path: Path) -> None:
    def of_all(number: int, entries: dict[str, str]) -> bytes:
        info = tarfile.TarInfo(f"{number}.png")
        common = tarfile.TarInfo.create_pax_global_header(entries)
        return common + info.tobuf(tarfile.PAX_FORMAT)

    end = bytes(2 * tarfile.BLOCKSIZE)
    path = tmp_path / "x.tar"
    path.write_bytes(b"".join(of_all(n, {"comment": "git's"}) for n in range(2000)) + end)
    with open_source(path) as source:
        assert len(source.names()) == 2000
    for common in (
        [{f"large{n}": "x" * 400_000} for n in range(3)],
        [{f"{n}-{number}": "" for number in range(500)} for n in range(3)],
    ):
        path.write_bytes(b"".join(of_all(n, each) for n, each in enumerate(common)) + end)
        refused(path, "follows too many headers for all files")


def test_headers_within_headers_without_end(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes((header(b"long", b"00000000002\0", b"L") + b"a" + bytes(511)) * 5000)
    refused(path, "neither a zip nor a tar")


# --- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    )
    if not done or done.returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_no_room_to_unpack(
    tiny_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tiny_disk))
    noise = np.random.default_rng(0).bytes(3 << 20)
    for files in ({"noise": noise}, {"zeros": bytes(40 << 20)}):  # too large packed; unpacked
        path = make_tar(tmp_path / "x.tgz", files, "w:gz")
        refused(path, f"{tiny_disk} has no room for it: set TMPDIR")
    assert shutil.disk_usage(tiny_disk).used == 0
    small = make_tar(tmp_path / "y.tgz", FILES, "w:gz")
    assert contents(small) == FILES


def test_a_killed_process_leaves_no_spool(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tgz", {"a": np.random.default_rng(0).bytes(3 << 20)}, "w:gz")
    spool = tmp_path / "spool"
    spool.mkdir()
    code = (
        "import sys, time\nfrom burnish.images.archives.archive import open_source\n"
        "with open_source(sys.argv[1]) as s:\n    print(s.names(), flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, path], env=os.environ | {"TMPDIR": str(spool)},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "['a']\n"
    child.kill()
    child.wait()
    child.stdout.close()
    assert list(spool.iterdir()) == []
