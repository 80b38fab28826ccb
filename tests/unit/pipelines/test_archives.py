"""Archives are listed whole or refused, and nothing in one can reach the file system."""

from __future__ import annotations

import contextlib
import io
import lzma
import random
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard

from pipelines import archives
from pipelines.archives import BrokenArchive, opened, safe_path

FILES = {"top/b.py": b"print(2)\n" * 300, "top/a/c.go": b"package c\n", "top/empty.rs": b""}


def tar_of(path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def zip_of(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return path


def read_all(path: Path) -> dict[str, bytes]:
    with opened(path) as archive:
        return {name: archive.read(name) for name in archive.sizes}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_of_any_compression_gives_its_files_sorted(tmp_path: Path, mode: str) -> None:
    path = tar_of(tmp_path / "any.name", mode)
    assert read_all(path) == FILES
    assert list(read_all(path)) == sorted(FILES)


def test_zstd_and_zip(tmp_path: Path) -> None:
    plain = tar_of(tmp_path / "plain.tar")
    packed = tmp_path / "packed.tar.zst"
    packed.write_bytes(zstandard.ZstdCompressor().compress(plain.read_bytes()))
    assert read_all(packed) == FILES
    assert read_all(zip_of(tmp_path / "a.whl")) == FILES
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(BrokenArchive):
        read_all(packed)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_tar_cut_anywhere_is_refused(tmp_path: Path, mode: str, kept: float) -> None:
    whole = tar_of(tmp_path / "whole", mode).read_bytes()
    if mode == "w":
        whole = whole[: -9 * 512]  # the padding after the end mark may go
    cut = tmp_path / "cut"
    cut.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(BrokenArchive):
        read_all(cut)


def test_a_damaged_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar")
    data = bytearray(path.read_bytes())
    second = 512 + -(-len(FILES["top/b.py"]) // 512) * 512
    assert data[second : second + 10] == b"top/a/c.go"
    data[second : second + 100] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises(BrokenArchive):
        read_all(path)


def test_a_zip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.py", b"x = 'untouched'")
    path.write_bytes(path.read_bytes().replace(b"untouched", b"tampered!"))
    with pytest.raises(BrokenArchive):
        read_all(path)


def test_text_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"import os\n" * 100)
    with pytest.raises(BrokenArchive):
        read_all(path)


def test_links_devices_and_paths_that_leave_are_skipped_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in [("ok.py", b"0"), ("../../up.py", b"0"), ("/abs.py", b"0"), ("link.py", b"2"), ("dev", b"3")]:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "/etc/passwd"
            data = b"x = 1\n" if kind == b"0" else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        twice = tarfile.TarInfo("./ok.py")
        twice.size = 6
        tar.addfile(twice, io.BytesIO(b"y = 2\n"))
    with opened(path) as archive:
        assert list(archive.sizes) == ["ok.py"]
        assert archive.read("ok.py") == b"x = 1\n"
        assert {(s.path, s.reason) for s in archive.skipped} == {
            ("../../up.py", "unsafe_path"),
            ("/abs.py", "unsafe_path"),
            ("link.py", "symlink"),
            ("dev", "special"),
            ("./ok.py", "duplicate_path"),
        }


def test_bombs_are_refused_before_they_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_FLOOR_BYTES", 1 << 20)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.py", b"\0" * (4 << 20))
    with pytest.raises(BrokenArchive, match="refused"), opened(bomb):
        pass
    packed = tmp_path / "bomb.tar.xz"
    with tarfile.open(packed, "w:xz") as tar:
        info = tarfile.TarInfo("zeros.py")
        info.size = 4 << 20
        tar.addfile(info, io.BytesIO(b"\0" * (4 << 20)))
    with pytest.raises(BrokenArchive, match="refused"), opened(packed):
        pass


def test_a_file_above_the_cap_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 100)
    with opened(zip_of(tmp_path / "a.zip")) as archive:
        assert [(s.path, s.length, s.reason) for s in archive.skipped] == [("top/b.py", 2700, "too_large")]


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../../b", "a\\b", "C:/x", "a\0b", "."])
def test_unsafe_paths(name: str) -> None:
    assert safe_path(name) is None


def test_safe_paths_are_cleaned() -> None:
    assert safe_path("./a//b/./c.py") == "a/b/c.py"


# --- Made to exhaust --------------------------------------------------------------------------------------------------


def test_a_header_that_claims_a_long_name_is_refused_and_never_held(tmp_path: Path) -> None:
    for kind in (b"x", b"g", b"L", b"K"):
        header = tarfile.TarInfo("long")
        header.type, header.size = kind, 200 << 20
        path = tmp_path / "long.tar"
        with path.open("wb") as out:
            out.write(header.tobuf())
            out.truncate(1 << 20)
        with pytest.raises(BrokenArchive, match="a header of"), opened(path):
            pass


def test_members_of_negative_and_of_endless_length_are_refused(tmp_path: Path) -> None:
    for size in (-512, -1, 1 << 60):
        header = bytearray(tarfile.TarInfo("a.py").tobuf())
        header[124:136] = size.to_bytes(12, "big", signed=True)
        header[124] |= 0x80
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path = tmp_path / "a.tar"
        path.write_bytes(bytes(header) + b"\0" * 10240)
        with pytest.raises(BrokenArchive), opened(path):
            pass


def test_a_chain_of_long_names_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = b"L", 0
    path = tmp_path / "chain.tar"
    path.write_bytes(header.tobuf() * 5000 + b"\0" * 10240)
    with pytest.raises(BrokenArchive), opened(path):
        pass


def test_a_zip_with_a_list_of_members_beyond_the_cap_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_of(tmp_path / "a.zip")
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 100)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(BrokenArchive, match="lists its members in"), opened(path):
        pass


def test_a_64_bit_zip_is_read_and_its_list_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = zip_of(tmp_path / "a.zip")
    assert b"PK\6\6" in path.read_bytes()
    assert read_all(path) == FILES
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(BrokenArchive, match="lists its members in"), opened(path):
        pass


def test_xz_that_wants_much_memory_to_unpack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.xz"
    path.write_bytes(lzma.compress(tar_of(tmp_path / "plain").read_bytes()))
    assert read_all(path) == FILES
    path.write_bytes(path.read_bytes() + b"\0" * 8 + lzma.compress(b"\0" * 512))
    assert read_all(path) == FILES, "streams may follow one another, with zeros between"
    packer = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    data = bytearray(packer.compress(b"x" * 5000) + packer.flush())
    # Byte 14 of the block's header is the size of the dictionary: 36 stands for 1 GiB; its checksum follows.
    assert data[14:16] == bytes([0x21, 0x01])
    data[16] = 36
    length = (data[12] + 1) * 4
    data[12 + length - 4 : 12 + length] = zlib.crc32(bytes(data[12 : 12 + length - 4])).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BrokenArchive, match=r"[Mm]emory"), opened(path):
        pass


def test_the_newest_plausible_time_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, time in (("a.py", 0), ("b.py", 1_600_000_000), ("c.py", 1_500_000_000), ("d.py", 1 << 40)):
            info = tarfile.TarInfo(name)
            info.mtime = time
            tar.addfile(info)
    with opened(path) as archive:
        assert archive.newest == 1_600_000_000
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as packed:
        packed.writestr(zipfile.ZipInfo("a.py", (2020, 9, 13, 12, 26, 40)), "x = 1\n")
        packed.writestr(zipfile.ZipInfo("b.py", (1980, 0, 0, 0, 0, 0)), "x = 2\n")
    with opened(zipped) as archive:
        assert archive.newest == 1_600_000_000


@pytest.mark.parametrize("name", ["tar", "gz", "bz2", "xz", "zst", "zip"])
def test_archives_damaged_anywhere_are_read_or_refused_and_raise_nothing_else(tmp_path: Path, name: str) -> None:
    if name == "zip":
        whole = zip_of(tmp_path / "whole").read_bytes()
    elif name == "zst":
        whole = zstandard.ZstdCompressor().compress(tar_of(tmp_path / "whole").read_bytes())
    else:
        whole = tar_of(tmp_path / "whole", "w" if name == "tar" else f"w:{name}").read_bytes()
    chance = random.Random(7)
    path = tmp_path / "damaged"
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            data[chance.randrange(4, len(data))] = chance.choice((0, 0xFF, chance.randrange(256)))
        path.write_bytes(data)
        with contextlib.suppress(BrokenArchive):
            read_all(path)
