"""What a source hands out: files as bytes, and what it could not give with the reason.

Start at `RawFile`. `Tree` is what each kind of source looks like once it is here: paths with sizes, and a way to read
one. Whatever is listed is read or skipped with a reason, once; reading holds one file at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.archives import Skipped
from quality.provenance import Provenance


@dataclass(frozen=True)
class RawFile:
    """One file of a source, as bytes.

    Args:
        repo_name: The unit of splits, such as `pypi:pydash`; the row's own for JSON Lines and Parquet that have it.
        revision_id: Package version or commit; empty where there is none.
        path: Below the repository's root, with forward slashes.
        data: The bytes.
        licenses: SPDX expressions that hold for the file by its place (all apply): of the nearest folder with a
            licence file, else of the package. A header inside the file overrides them; that is not looked at here.
        provenance: What else is known of where it was found.
    """

    repo_name: str
    revision_id: str
    path: str
    data: bytes
    licenses: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class Tree:
    """A source that is open: its paths, and how to read one.

    Args:
        sizes: Bytes by path, in the order in which they are read. A table's path stands for all of its rows.
        skipped: What is not read.
        read: Yields what is at a path: one file, many of a table, or what of it is skipped.
        provenance: What holds for every file (a table's rows have their own).
    """

    sizes: Mapping[str, int]
    skipped: tuple[Skipped, ...]
    read: Callable[[str], Iterator[RawFile | Skipped]]
    provenance: Provenance = field(default_factory=Provenance)


Opener = Callable[[Sequence[Path], str], AbstractContextManager[Tree]]
"""Opens the local files or folder of a source at a revision."""


def plain(path: str, data: bytes) -> RawFile:
    """Return a file that knows no more than its path and bytes; the source it is of fills in the rest."""
    return RawFile("", "", path, data)


def shown(path: str) -> str:
    r"""Return a name as text that can be written anywhere: bytes that are no UTF-8 become `\xNN`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_text(name: str) -> bool:
    """Return whether a name can be written as UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
