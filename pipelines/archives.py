"""What is inside an archive, without unpacking it anywhere.

Start at `opened`. An archive is decompressed into an unnamed temporary file at most, its members are listed by path and
read by position, so no member can reach the file system: links and devices are skipped, paths that would leave the
folder are skipped, and an archive that grows past the caps is refused. An archive that is cut short, or whose checksums
are wrong, raises `BrokenArchive`; a listing is complete or it is not given at all. Whatever the bytes are, no more than
a chunk of them is unpacked in memory at a time.
"""

from __future__ import annotations

import bz2
import calendar
import errno
import gzip
import lzma
import math
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

# Caps against archives made to exhaust a machine. The largest source package of Debian 12 that holds one of the seven
# languages unpacks to well under 2 GiB, and source text shrinks some 4 to 12 times (xz).
MAX_UNPACKED_BYTES = 8 << 30
MAX_MEMBERS = 1_000_000
MAX_RATIO = 250
RATIO_FLOOR_BYTES = 256 << 20
# Far above any source file: The Stack v2 drops files above 10 MB.
MAX_FILE_BYTES = 64 << 20
# A zip's list of members is read whole: 46 bytes and a name for each (source: PKWARE, "APPNOTE", 4.3.12).
MAX_DIRECTORY_BYTES = 64 << 20
# Headers of a tar: names and attributes, never contents.
_MAX_HEADER_BYTES = 1 << 20
# `xz -9` needs 65 MiB to unpack (source: xz(1)).
_MAX_XZ_BYTES = 256 << 20

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".crate")
ZIP_ENDINGS = (".zip", ".whl", ".jar", ".nupkg", ".egg")
ENDINGS = (*TAR_ENDINGS, *ZIP_ENDINGS, ".deb")

_CHUNK = 1 << 20
# A block of zstd of 4 bytes may hold 128 KiB, and a piece of input is unpacked in one go: this much of it is 64 MiB.
_ZSTD_PIECE = 2 << 10


class BrokenArchive(ValueError):
    """An archive that cannot be read to its end, or that must not be."""


@dataclass(frozen=True)
class Skipped:
    r"""A file of a source that is not read, and why.

    Args:
        path: As it stands in the source; what of it is no UTF-8 is written `\xNN`.
        length: Bytes, 0 where unknown.
        reason: `symlink`, `hardlink`, `special` (pipe, socket, device, sparse), `unsafe_path` (leaves the folder, or is
            no UTF-8), `too_large`, `encrypted`, `unsupported` (a compression), `duplicate_path`, `submodule`,
            `missing_object`, `unreadable`, `vanished` (while it was listed), `no_content`, `lone_surrogate`.
        repo_name: The repository that a table's row names; empty where it is the source's.
    """

    path: str
    length: int
    reason: str
    repo_name: str = ""


@dataclass(frozen=True)
class Archive:
    """An open archive.

    Args:
        sizes: Bytes of each member by its path, sorted by path.
        skipped: Members that are not read.
        read: Returns a member's bytes by its path.
        newest: The latest time stamped on a member that is read, in seconds since 1970; None where there is none.
    """

    sizes: dict[str, int]
    skipped: tuple[Skipped, ...]
    read: Callable[[str], bytes]
    newest: int | None


def is_archive(path: Path | str) -> bool:
    """Return whether a file name ends like an archive that can be read."""
    return str(path).lower().endswith(ENDINGS)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive and list all of it.

    Args:
        path: A tar (plain, gzip, bzip2, xz, zstd), a zip of any name, or a Debian binary package.

    Raises:
        BrokenArchive: It is cut short, damaged, no archive, or larger than the caps; also from `Archive.read`.
    """
    with path.open("rb") as stream:
        magic = stream.read(8)
    if magic.startswith(b"PK"):
        with broken_if_unreadable():
            _check_directory(path)
            archive = zipfile.ZipFile(path)
        with archive:
            yield _zip(archive, path)
    else:
        with tempfile.TemporaryFile(prefix="polymix-") as spool:
            yield _tar(path, magic, cast(IO[bytes], spool))


@contextmanager
def broken_if_unreadable() -> Iterator[None]:
    """Turn what the libraries raise at damaged bytes into `BrokenArchive`; what the file system raises stays."""
    try:
        yield
    except BrokenArchive:
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # a place in a file that is none
            raise
        raise BrokenArchive(f"a broken archive ({error}); fetch or copy it again") from error
    except (
        *(tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, struct.error),
        *(ValueError, LookupError, OverflowError, RuntimeError, MemoryError),
    ) as error:
        raise BrokenArchive(f"a broken archive ({error}); fetch or copy it again") from error


def safe_path(name: str) -> str | None:
    """Return a member's path as a clean relative one, or None where it would leave the folder or is no path."""
    if not name or name.startswith(("/", "\\")) or "\0" in name or "\\" in name or name[1:3] == ":/":
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        return None
    return "/".join(parts)


def _decompress(path: Path, magic: bytes, out: IO[bytes]) -> None:
    packed = path.stat().st_size
    if magic.startswith(b"!<arch>"):
        _fsys_tarfile(path, packed, out)
        return
    with path.open("rb") as raw:
        for chunk in unpacked(raw, magic, MAX_UNPACKED_BYTES):
            out.write(chunk)
    out.seek(0)


def unpacked(raw: IO[bytes], magic: bytes, most: float = math.inf) -> Iterator[bytes]:
    """Yield a compressed stream's bytes in chunks; one that is not compressed as it is.

    Args:
        raw: At its start, a file.
        magic: Its first bytes, which tell the compression.
        most: How many bytes it may unpack to.

    Raises:
        BrokenArchive: It is cut short or damaged, or unpacks to more than `most` bytes or `MAX_RATIO` times its size.
    """
    packed = Path(raw.name).stat().st_size
    if magic.startswith(b"\x1f\x8b"):
        chunks = _chunks(gzip.GzipFile(fileobj=raw))
    elif magic.startswith(b"BZh"):
        chunks = _chunks(bz2.BZ2File(raw))
    elif magic.startswith(b"\xfd7zXZ\0") or raw.name.endswith(".lzma"):
        chunks = _unxz(raw)
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        chunks = _unzstd(raw)
    else:
        chunks = _chunks(raw)
    total = 0
    with broken_if_unreadable():
        for chunk in chunks:
            total = _counted(total, len(chunk), packed, most)
            yield chunk


def _chunks(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _unxz(raw: IO[bytes]) -> Iterator[bytes]:
    decompressor = lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)
    chunk = b""
    while True:
        if decompressor.eof:
            # Streams may follow one another, with zeros between.
            chunk = decompressor.unused_data.lstrip(b"\0")
            while not chunk:
                more = raw.read(_CHUNK)
                if not more:
                    return
                chunk = more.lstrip(b"\0")
            decompressor = lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)
        elif decompressor.needs_input and not chunk:
            chunk = raw.read(_CHUNK)
            if not chunk:
                raise EOFError("the xz stream ends early")
        part, chunk = decompressor.decompress(chunk, _CHUNK), b""
        if part:
            yield part


def _unzstd(raw: IO[bytes]) -> Iterator[bytes]:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise BrokenArchive("reading zstd needs `pip install zstandard`") from error
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    try:
        while chunk := raw.read(_ZSTD_PIECE):
            while chunk:
                if decompressor.eof:
                    decompressor = zstandard.ZstdDecompressor().decompressobj()
                yield decompressor.decompress(chunk)
                chunk = decompressor.unused_data
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
        total = 0
        try:
            for chunk in _chunks(process.stdout):
                total = _counted(total, len(chunk), packed, MAX_UNPACKED_BYTES)
                out.write(chunk)
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            errors.seek(0)
            raise BrokenArchive(f"a broken package ({errors.read().decode(errors='replace').strip()}); fetch it again")
    out.seek(0)


def _counted(total: int, more: int, packed: int, most: float) -> int:
    total += more
    if total > most or (total > RATIO_FLOOR_BYTES and total > MAX_RATIO * packed):
        raise BrokenArchive(
            f"unpacks to more than {total:,} bytes from {packed:,}: refused (caps: {most:,} bytes,"
            f" {MAX_RATIO} times its size)"
        )
    return total


class _Listing:
    """Members seen so far; the first of two with the same path wins."""

    def __init__(self) -> None:
        self.members: dict[str, tuple[Any, int]] = {}
        self.skipped: list[Skipped] = []
        self.seen = 0
        self.newest: int | None = None

    def add(self, name: str, size: int, member: Any, time: float, problem: str = "") -> bool:
        """Take a member in, and return whether it will be read."""
        self.seen += 1
        if self.seen > MAX_MEMBERS:
            raise BrokenArchive(f"holds more than {MAX_MEMBERS:,} members: refused")
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        clean = safe_path(name)
        if clean is None or shown != name:
            problem = "unsafe_path"
        elif not problem and size > MAX_FILE_BYTES:
            problem = "too_large"
        elif not problem and clean in self.members:
            problem = "duplicate_path"
        if problem or clean is None:
            self.skipped.append(Skipped(shown, size, problem))
            return False
        self.members[clean] = (member, size)
        if 0 < time < _LATEST:
            self.newest = max(self.newest or 0, int(time))
        return True

    def archive(self, read: Callable[[Any], bytes]) -> Archive:
        sizes = {path: self.members[path][1] for path in sorted(self.members)}
        skipped = tuple(sorted(self.skipped, key=lambda s: (s.path, s.reason)))

        def checked(path: str) -> bytes:
            with broken_if_unreadable():
                return read(self.members[path][0])

        return Archive(sizes, skipped, checked, self.newest)


_LATEST = 4_102_444_800
"""The year 2100 in seconds since 1970: a time stamp beyond is a mistake."""


class _Headers:
    """A tar as its library reads it: headers in order, never much at a time (a header may claim any length)."""

    def __init__(self, spool: IO[bytes]) -> None:
        self.spool = spool

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise BrokenArchive(f"a broken archive (a header of {size:,} bytes): refused")
        return self.spool.read(size)

    def seek(self, position: int) -> int:
        return self.spool.seek(position)

    def tell(self) -> int:
        return self.spool.tell()


def _tar(path: Path, magic: bytes, spool: IO[bytes]) -> Archive:
    with broken_if_unreadable():
        _decompress(path, magic, spool)
        spool.seek(0)
        listing = _Listing()
        end, sparse = 0, False
        tar = tarfile.TarFile(fileobj=cast(Any, _Headers(spool)), mode="r", errors="surrogateescape")
        while (member := tar.next()) is not None:
            tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue] (it would keep every member)
            if member.size < 0 or member.offset_data + member.size > MAX_UNPACKED_BYTES:
                raise BrokenArchive(f"a broken archive (a member of {member.size:,} bytes): refused")
            sparse = sparse or member.issparse()
            end = max(end, member.offset_data + (member.size if member.isreg() and not member.issparse() else 0))
            if member.isdir():
                continue
            problem = "" if member.isreg() else "symlink" if member.issym() else "special"
            if member.islnk():
                problem = "hardlink"
            if member.issparse():
                problem = "special"
            listing.add(member.name, member.size, (member.offset_data, member.size), float(member.mtime), problem)
        if not sparse:
            _check_end(path, end, spool)

    def read(place: tuple[int, int]) -> bytes:
        spool.seek(place[0])
        return spool.read(place[1])

    return listing.archive(read)


def _check_end(path: Path, end: int, spool: IO[bytes]) -> None:
    # tarfile stops without a word at a damaged header or a missing end: only zero blocks may follow the last member.
    if end > spool.seek(0, 2):
        raise BrokenArchive(f"a broken archive ({path.name} ends inside a member); fetch or copy it again")
    spool.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
    rest = spool.read(tarfile.BLOCKSIZE)
    if len(rest) < tarfile.BLOCKSIZE or rest.count(0) != len(rest):
        raise BrokenArchive(f"a broken archive ({path.name} has no end mark where its members end); fetch it again")


_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def _check_directory(path: Path) -> None:
    """Refuse a zip whose list of members would fill the memory: its library reads all of it at once.

    Source: PKWARE, "APPNOTE": 4.3.16 (end record), 4.3.14 and 4.3.15 (its 64-bit form, 76 bytes before it).
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - (1 << 16) - 22 - 76))
        tail = stream.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return  # no zip, as its library will say
    (directory,) = struct.unpack_from("<L", tail, at + 12)
    if at >= 76 and tail[at - 76 : at - 72] == b"PK\6\6":
        (directory,) = struct.unpack_from("<Q", tail, at - 76 + 40)
    if directory > MAX_DIRECTORY_BYTES:
        raise BrokenArchive(f"lists its members in {directory:,} bytes: refused (cap: {MAX_DIRECTORY_BYTES:,})")


def _zip(archive: zipfile.ZipFile, path: Path) -> Archive:
    packed = path.stat().st_size
    listing = _Listing()
    total = 0
    with broken_if_unreadable():
        for info in archive.infolist():
            if info.is_dir():
                continue
            kind = (info.external_attr >> 16) & 0o170000
            problem = ""
            if kind == 0o120000:
                problem = "symlink"
            elif info.create_system == 3 and kind not in (0, 0o100000):
                problem = "special"
            elif info.flag_bits & 1:
                problem = "encrypted"
            elif info.compress_type not in _ZIP_METHODS:
                problem = "unsupported"
            if listing.add(info.filename, info.file_size, info, _zip_time(info), problem):
                total = _counted(total, info.file_size, packed, MAX_UNPACKED_BYTES)

    def read(info: zipfile.ZipInfo) -> bytes:
        with archive.open(info) as stream:
            data = stream.read(info.file_size + 1)
        if len(data) != info.file_size:
            raise BrokenArchive(f"{info.filename} is not as long as the archive says")
        return data

    return listing.archive(read)


def _zip_time(info: zipfile.ZipInfo) -> float:
    """Return a member's time in seconds since 1970, its zone (which a zip does not tell) taken as UTC; 0 for none."""
    try:
        return float(calendar.timegm((*info.date_time, 0, 0, 0)))
    except (ValueError, OverflowError):
        return 0.0
