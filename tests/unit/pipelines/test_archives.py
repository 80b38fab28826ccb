"""Archives are listed whole or refused, and nothing in one can reach the file system."""

from __future__ import annotations

import io
import tarfile
import zipfile
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
