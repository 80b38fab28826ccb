"""A folder as a source: every name in it is a file to read or is skipped with a reason, whoever put it there.

Start at `walk`, which lists, and `read_below`, which reads one. Links are never followed; pipes, sockets and devices
are never read from; no depth is too deep (paths longer than the system takes in one piece are opened in several); a
file that vanishes, grows or cannot be read meanwhile is one skipped file. Folders called `.git` are left out: they are
a repository's store, not its files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.archives import MAX_FILE_BYTES, Skipped
from pipelines.sources.files import RawFile, Tree, is_text, plain, shown

# Linux takes paths of 4,095 bytes (PATH_MAX), and names of 255 (NAME_MAX). Source: limits.h.
_PIECE_BYTES = 3000
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Found:
    """A name in a folder.

    Args:
        path: Below the folder, with forward slashes; bytes that are no UTF-8 as surrogates.
        size: Bytes; 0 where unknown.
        problem: Why it cannot be read; empty for a file that can.
    """

    path: str
    size: int
    problem: str = ""


def walk(root: Path) -> Iterator[Found]:
    """Yield what lies below a folder and is none itself, and folders that cannot be listed; files come first."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = _entries(root, folder)
        except OSError as error:
            yield Found(folder or ".", 0, _reason(error))
            continue
        for path, mode, size, problem in entries:
            if problem:
                yield Found(path, 0, problem)
            elif stat.S_ISREG(mode):
                yield Found(path, size)
            elif not stat.S_ISDIR(mode):
                yield Found(path, 0, "symlink" if stat.S_ISLNK(mode) else "special")
        waiting += [path for path, mode, _, _ in reversed(entries) if stat.S_ISDIR(mode) and _name(path) != ".git"]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _entries(root: Path, folder: str) -> list[tuple[str, int, int, str]]:
    """Return the path, mode, size and problem of each name in a folder, sorted."""
    opened = _open(root, folder, os.O_RDONLY | os.O_DIRECTORY)
    found: list[tuple[str, int, int, str]] = []
    try:
        with os.scandir(opened) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                    found.append((path, status.st_mode, status.st_size, ""))
                except OSError as error:
                    found.append((path, 0, 0, _reason(error)))
    finally:
        os.close(opened)
    return sorted(found)


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
        return "vanished"
    return "symlink" if error.errno == errno.ELOOP else "unreadable"


def _open(root: Path, path: str, flags: int) -> int:
    """Open what lies below a folder, however long its path is; no link as the last name of a piece is followed."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    if not path:
        return os.open(root, flags & ~os.O_NOFOLLOW)
    if len(os.fsencode(path)) <= _PIECE_BYTES and len(os.fsencode(root)) <= 1000:
        return os.open(f"{root}/{path}", flags)
    through = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    at = os.open(root, through)
    try:
        pieces = _pieces(path)
        for piece in pieces[:-1]:
            below = os.open(piece, through | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return os.open(pieces[-1], flags, dir_fd=at)
    finally:
        os.close(at)


def _pieces(path: str) -> list[str]:
    pieces: list[str] = []
    held: list[str] = []
    length = 0
    for name in path.split("/"):
        size = len(os.fsencode(name)) + 1
        if held and length + size > _PIECE_BYTES:
            pieces.append("/".join(held))
            held, length = [], 0
        held.append(name)
        length += size
    return [*pieces, "/".join(held)]


def read_below(root: Path, path: str) -> RawFile | Skipped:
    """Return a file of a folder, or why it cannot be had; at most `MAX_FILE_BYTES` are read, into one copy.

    Args:
        root: The folder.
        path: Below it, as `walk` gives it.
    """
    try:
        opened = _open(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return Skipped(shown(path), 0, _reason(error))
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            return Skipped(shown(path), 0, "special")
        if status.st_size > MAX_FILE_BYTES:
            return Skipped(shown(path), status.st_size, "too_large")
        chunks: list[bytes] = []
        size = 0
        while chunk := os.read(opened, max(status.st_size - size, _CHUNK)):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_FILE_BYTES:
                return Skipped(shown(path), size, "too_large")
    except OSError as error:
        return Skipped(shown(path), 0, _reason(error))
    finally:
        os.close(opened)
    return plain(path, chunks[0] if len(chunks) == 1 else b"".join(chunks))


@contextmanager
def folder_tree(origins: Sequence[Path], _revision: str) -> Iterator[Tree]:
    """List a folder."""
    root = origins[0]
    sizes: dict[str, int] = {}
    skipped: list[Skipped] = []
    for found in walk(root):
        if not found.problem and is_text(found.path) and found.size <= MAX_FILE_BYTES:
            sizes[found.path] = found.size
        else:
            problem = found.problem or ("too_large" if is_text(found.path) else "unsafe_path")
            skipped.append(Skipped(shown(found.path), found.size, problem))

    def read(path: str) -> Iterator[RawFile | Skipped]:
        yield read_below(root, path)

    yield Tree({path: sizes[path] for path in sorted(sizes)}, tuple(sorted(skipped, key=lambda s: s.path)), read)
