"""What is inside an archive, without unpacking it anywhere.

Start at `opened`. An archive is decompressed into an unnamed temporary file at most, its members are listed by path and
read by position, so no member can reach the file system: links and devices are skipped, paths that would leave the
folder are skipped, and an archive that grows past the caps is refused. An archive that is cut short, or whose checksums
are wrong, raises `BrokenArchive`; a listing is complete or it is not given at all.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

# Caps against archives made to exhaust a machine. The largest source package of Debian 12 that holds one of the seven
# languages unpacks to well under 2 GiB, and source text shrinks some 4 to 12 times (xz).
MAX_UNPACKED_BYTES = 8 << 30
MAX_MEMBERS = 1_000_000
MAX_RATIO = 250
RATIO_FLOOR_BYTES = 256 << 20
# Far above any source file: The Stack v2 drops files above 10 MB.
MAX_FILE_BYTES = 64 << 20

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".crate")
ZIP_ENDINGS = (".zip", ".whl", ".jar", ".nupkg", ".egg")
ENDINGS = (*TAR_ENDINGS, *ZIP_ENDINGS, ".deb")

_CHUNK = 1 << 20


class BrokenArchive(ValueError):
    """An archive that cannot be read to its end, or that must not be."""


@dataclass(frozen=True)
class Skipped:
    """A member that is not read, and why.

    Args:
        path: As it stands in the source.
        length: Bytes, 0 where unknown.
        reason: `symlink`, `special`, `unsafe_path`, `too_large`, `encrypted`, `duplicate_path`, `submodule`.
    """

    path: str
    length: int
    reason: str


@dataclass(frozen=True)
class Archive:
    """An open archive.

    Args:
        sizes: Bytes of each member by its path, sorted by path.
        skipped: Members that are not read.
        read: Returns a member's bytes by its path.
    """

    sizes: dict[str, int]
    skipped: tuple[Skipped, ...]
    read: Callable[[str], bytes]


def is_archive(path: Path | str) -> bool:
    """Return whether a file name ends like an archive that can be read."""
    return str(path).lower().endswith(ENDINGS)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive and list all of it.

    Args:
        path: A tar (plain, gzip, bzip2, xz, zstd), a zip of any name, or a Debian binary package.

    Raises:
        BrokenArchive: It is cut short, damaged, no archive, or larger than the caps.
    """
    try:
        with path.open("rb") as stream:
            magic = stream.read(8)
        if magic.startswith(b"PK"):
            with _zip(path) as archive:
                yield archive
        else:
            with tempfile.TemporaryFile(prefix="polymix-") as spool:
                _decompress(path, magic, cast(IO[bytes], spool))
                with _tar(path, cast(IO[bytes], spool)) as archive:
                    yield archive
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise BrokenArchive(f"a broken archive ({error}); fetch or copy it again") from error


def safe_path(name: str) -> str | None:
    """Return a member's path as a clean relative one, or None where it would leave the folder or is no path."""
    if not name or name.startswith(("/", "\\")) or "\0" in name or "\\" in name or name[1:3] == ":/":
        return None
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    if not parts or ".." in parts:
        return None
    return "/".join(parts)


def _decompress(path: Path, magic: bytes, out: IO[bytes]) -> None:
    packed = path.stat().st_size
    if magic.startswith(b"!<arch>"):
        _fsys_tarfile(path, packed, out)
        return
    with path.open("rb") as raw:
        if magic.startswith(b"\x1f\x8b"):
            with gzip.open(raw) as stream:
                _copy(stream, packed, out)
        elif magic.startswith(b"BZh"):
            with bz2.open(raw) as stream:
                _copy(stream, packed, out)
        elif magic.startswith(b"\xfd7zXZ\0") or path.name.endswith(".lzma"):
            with lzma.open(raw) as stream:
                _copy(stream, packed, out)
        elif magic.startswith(b"\x28\xb5\x2f\xfd"):
            _unzstd(raw, packed, out)
        else:
            _copy(raw, packed, out)
    out.seek(0)


def _unzstd(raw: IO[bytes], packed: int, out: IO[bytes]) -> None:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise BrokenArchive("reading zstd needs `pip install zstandard`") from error
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    total = 0
    try:
        while chunk := raw.read(_CHUNK):
            while chunk:
                part = decompressor.decompress(chunk)
                total = _counted(total, len(part), packed)
                out.write(part)
                chunk = decompressor.unused_data
                if decompressor.eof and chunk:
                    decompressor = zstandard.ZstdDecompressor().decompressobj()
        if not decompressor.eof:
            raise BrokenArchive("a broken archive (the zstd stream ends early); fetch or copy it again")
    except zstandard.ZstdError as error:
        raise BrokenArchive(f"a broken archive ({error}); fetch or copy it again") from error


def _fsys_tarfile(path: Path, packed: int, out: IO[bytes]) -> None:
    if shutil.which("dpkg-deb") is None:
        raise BrokenArchive("reading a .deb needs dpkg-deb (Debian package `dpkg`)")
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        try:
            _copy(process.stdout, packed, out)
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            errors.seek(0)
            raise BrokenArchive(f"a broken package ({errors.read().decode(errors='replace').strip()}); fetch it again")
    out.seek(0)


def _counted(total: int, more: int, packed: int) -> int:
    total += more
    if total > MAX_UNPACKED_BYTES or (total > RATIO_FLOOR_BYTES and total > MAX_RATIO * packed):
        raise BrokenArchive(
            f"unpacks to more than {total:,} bytes from {packed:,}: refused"
            f" (caps: {MAX_UNPACKED_BYTES:,} bytes, {MAX_RATIO} times its size)"
        )
    return total


def _copy(stream: Any, packed: int, out: IO[bytes]) -> None:
    total = 0
    while chunk := stream.read(_CHUNK):
        total = _counted(total, len(chunk), packed)
        out.write(chunk)


class _Listing:
    """Members seen so far; the first of two with the same path wins."""

    def __init__(self) -> None:
        self.members: dict[str, tuple[Any, int]] = {}
        self.skipped: list[Skipped] = []
        self.seen = 0

    def add(self, name: str, size: int, member: Any, problem: str = "") -> None:
        self.seen += 1
        if self.seen > MAX_MEMBERS:
            raise BrokenArchive(f"holds more than {MAX_MEMBERS:,} members: refused")
        clean = safe_path(name)
        if clean is None:
            problem = "unsafe_path"
        elif not problem and size > MAX_FILE_BYTES:
            problem = "too_large"
        elif not problem and clean in self.members:
            problem = "duplicate_path"
        if problem or clean is None:
            self.skipped.append(Skipped(name, size, problem))
        else:
            self.members[clean] = (member, size)

    def archive(self, read: Callable[[Any], bytes]) -> Archive:
        sizes = {path: self.members[path][1] for path in sorted(self.members)}
        skipped = tuple(sorted(self.skipped, key=lambda s: (s.path, s.reason)))
        return Archive(sizes, skipped, lambda path: read(self.members[path][0]))


@contextmanager
def _tar(path: Path, spool: IO[bytes]) -> Iterator[Archive]:
    spool.seek(0)
    listing = _Listing()
    with tarfile.open(fileobj=spool, mode="r:") as tar:
        for member in tar:
            if member.isdir():
                continue
            problem = "" if member.isreg() else "symlink" if member.issym() or member.islnk() else "special"
            if member.issparse():
                problem = "special"
            listing.add(member.name, member.size, member, problem)
        _check_end(path, tar, spool)

        def read(member: tarfile.TarInfo) -> bytes:
            stream = tar.extractfile(member)
            data = b"" if stream is None else stream.read()
            if len(data) != member.size:
                raise BrokenArchive(f"{member.name} is cut short")
            return data

        yield listing.archive(read)


def _check_end(path: Path, tar: tarfile.TarFile, spool: IO[bytes]) -> None:
    # tarfile stops without a word at a damaged header or a missing end: only zero blocks may follow the last member.
    size = spool.seek(0, 2)
    end = max((m.offset_data + (m.size if m.isreg() and not m.issparse() else 0) for m in tar.getmembers()), default=0)
    if end > size:
        raise BrokenArchive(f"a broken archive ({path.name} ends inside a member); fetch or copy it again")
    start = -(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    spool.seek(start)
    rest = spool.read(tarfile.BLOCKSIZE)
    if any(m.issparse() for m in tar.getmembers()):
        return
    if len(rest) < tarfile.BLOCKSIZE or rest.count(0) != len(rest):
        raise BrokenArchive(f"a broken archive ({path.name} has no end mark where its members end); fetch it again")


@contextmanager
def _zip(path: Path) -> Iterator[Archive]:
    packed = path.stat().st_size
    listing = _Listing()
    with zipfile.ZipFile(path) as archive:
        total = 0
        for info in archive.infolist():
            if info.is_dir():
                continue
            total = _counted(total, info.file_size, packed)
            mode = info.external_attr >> 16
            problem = "symlink" if mode & 0o170000 == 0o120000 else "encrypted" if info.flag_bits & 1 else ""
            listing.add(info.filename, info.file_size, info, problem)

        def read(info: zipfile.ZipInfo) -> bytes:
            try:
                with archive.open(info) as stream:
                    data = stream.read(info.file_size + 1)
            except (NotImplementedError, RuntimeError) as error:
                raise BrokenArchive(f"{info.filename}: {error}") from error
            if len(data) != info.file_size:
                raise BrokenArchive(f"{info.filename} is not as long as the archive says")
            return data

        yield listing.archive(read)
