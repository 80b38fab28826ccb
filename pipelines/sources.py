"""Where code comes from: a source is named in one line, pinned by a checksum, and read file by file.

Start at `read_sources`: it checks every source (and lists every mistake) before the first file is handed out.
`read_source` does the same for one. What comes back is a `SourceRead`: its `record` is the row of `sources.parquet`,
its `files()` yields `RawFile`s sorted by path, always the same ones for the same bytes. Nothing that is read is run:
archives are listed and unpacked in memory, git repositories are read from their objects, packages are downloaded and
never installed.

A spec is one of:

    src/                     a folder (only Parquet or only JSON Lines inside: a dataset)
    repo/  git+URL@REV       a git repository at a commit (a folder with .git: its HEAD; `folder:repo/` reads the disk)
    a.tar.gz  a.zip  a.whl   an archive (tar, tar.gz, tar.bz2, tar.xz, tar.zst, zip, whl, jar, nupkg, crate, tgz, deb)
    a.jsonl  a.parquet       rows with `content` or `text`, and `path`, `repo_name`, ... as in The Stack
    pypi:NAME==VERSION       npm:NAME@VERSION       deb:NAME=VERSION       deb-src:NAME=VERSION
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["folder", "git", "archive", "jsonl", "parquet", "pypi", "npm", "deb", "deb-src"]


class Source(BaseModel):
    """One `[[sources]]` entry of a study.

    Args:
        spec: Where the code is; see the module's docstring.
        name: What the source is called everywhere else; taken from the spec when empty.
        sha256: The checksum the source must have (as `sources.parquet` reports it); empty for none.
        include: Globs of paths to read; all when empty. `*` stays within a folder, `**` does not, a pattern without
            `/` matches file names in any folder.
        exclude: Globs of paths to leave out.
        license: SPDX expression used where the source states no licence that can be recognised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    spec: str = Field(min_length=1)
    name: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    include: tuple[str, ...] = Field(default=(), strict=False)
    exclude: tuple[str, ...] = Field(default=(), strict=False)
    license: str = ""


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
    """

    repo_name: str
    revision_id: str
    path: str
    data: bytes
    licenses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A member that was not read, and why.

    Args:
        path: As it stands in the source.
        length: Bytes, 0 where unknown.
        reason: `symlink`, `special`, `unsafe_path`, `too_large`, `encrypted`, `duplicate_path`, `submodule`.
    """

    path: str
    length: int
    reason: str


@dataclass(frozen=True)
class SourceRecord:
    """A row of `sources.parquet`.

    Args:
        name: The source's name.
        spec: Its spec, as given.
        revision_id: Package version or commit; empty where there is none.
        sha256: Of the file; of the list of (path, sha256) for a folder, a repository or a package of several files.
        licenses: SPDX expressions, all of which apply.
        files: How many files `files()` yields.
        bytes: Their size together.
    """

    name: str
    spec: str
    revision_id: str
    sha256: str
    licenses: tuple[str, ...]
    files: int
    bytes: int


@dataclass(frozen=True)
class SourceRead:
    """A source that was checked and can be read, any number of times, in any process (it can be pickled).

    Args:
        record: The row of `sources.parquet`.
        source: The entry it was read from.
        origins: The local files or folder it is read from.
        kind: How they are read.
        skipped: What `files()` leaves out beyond include and exclude.
        licenses_by_folder: SPDX expressions by folder that has a licence file (`""` is the root).
    """

    record: SourceRecord
    source: Source
    origins: tuple[Path, ...]
    kind: Kind
    skipped: tuple[Skipped, ...] = ()
    licenses_by_folder: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def files(self) -> Iterator[RawFile]:
        """Yield the files, sorted by path."""
        raise NotImplementedError


def default_cache() -> Path:
    """Return the folder that fetched packages are kept in: `$POLYMIX_CACHE`, else `~/.cache/polymix`."""
    raise NotImplementedError


def read_source(source: Source, cache: Path | None = None) -> SourceRead:
    """Fetch (or find) one source and check all of it; see `read_sources`."""
    return read_sources([source], cache)[0]


def read_sources(sources: Sequence[Source | str], cache: Path | None = None) -> list[SourceRead]:
    """Fetch (or find) sources and check all of each, before any is used."""
    raise NotImplementedError


_ = re
