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

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache as memo
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from pipelines import archives, packages
from pipelines.archives import BrokenArchive, Skipped
from quality import licences
from quality.artifacts import file_sha256
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress, say

Kind = Literal["folder", "git", "archive", "jsonl", "parquet", "pypi", "npm", "deb", "deb-src"]


class Source(BaseModel):
    """One `[[sources]]` entry of a study.

    Args:
        spec: Where the code is; see the module's docstring.
        name: What the source is called everywhere else; taken from the spec when empty.
        sha256: The checksum the source must have: of its file, or of the files chosen from it (the digest that
            `SourceRecord` describes for folders). With the latter a Debian package may be one that an update replaced
            by another version, as long as the chosen files are the same. Empty for none.
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

    @property
    def label(self) -> str:
        """The source's name, taken from its spec where none is given."""
        return self.name or parse_spec(self.spec).name


@dataclass(frozen=True)
class Spec:
    """A spec, taken apart.

    Args:
        kind: What it names.
        target: A path, an address or a package name.
        version: A package version or git revision; empty where none is named.
        name: What the source is called unless it has a name of its own.
    """

    kind: Kind
    target: str
    version: str
    name: str


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
class SourceRecord:
    """A row of `sources.parquet`.

    Args:
        name: The source's name.
        spec: Its spec, as given.
        revision_id: Package version or commit; empty where there is none.
        sha256: Of the file. For a folder or a repository, and where a study pins the chosen files themselves: of the
            lines `PATH NUL SHA256 NEWLINE` of the files that `files()` yields.
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
        """Yield the files, sorted by path (rows of a table: in their order).

        Raises:
            BadInput: The source changed after it was checked.
        """
        files = size = 0
        try:
            with _TREES[self.kind](self.origins, self.record.revision_id) as tree:
                for path in _chosen(self.source, tree.sizes):
                    for file in tree.read(path):
                        files += 1
                        size += len(file.data)
                        yield RawFile(
                            file.repo_name or self.record.name,
                            file.revision_id or self.record.revision_id,
                            file.path,
                            file.data,
                            file.licenses or self._licenses_of(file.path),
                        )
        except (OSError, BrokenArchive) as error:
            bad_input(self.record.name, f"changed after it was checked: {error}")
        if (files, size) != (self.record.files, self.record.bytes):
            bad_input(
                self.record.name,
                f"changed after it was checked: {files:,} files of {size:,} bytes, not {self.record.files:,} of"
                f" {self.record.bytes:,}; leave it alone while it is read, and run again",
            )

    def _licenses_of(self, path: str) -> tuple[str, ...]:
        folder = path
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            if folder in self.licenses_by_folder:
                return self.licenses_by_folder[folder]
        return self.record.licenses


# --- Specs ------------------------------------------------------------------------------------------------------------

_PACKAGE = {
    "pypi": (re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)$"), "pypi:NAME==VERSION"),
    "npm": (
        re.compile(r"^((?:@[a-z0-9~_.-]+/)?[A-Za-z0-9~_-][A-Za-z0-9~_.-]*)@([0-9][A-Za-z0-9.+-]*)$"),
        "npm:NAME@VERSION",
    ),
    "deb": (re.compile(r"^([a-z0-9][a-z0-9+.-]+)(?:=([A-Za-z0-9.+:~-]+))?$"), "deb:NAME=VERSION"),
    "deb-src": (re.compile(r"^([a-z0-9][a-z0-9+.-]+)(?:=([A-Za-z0-9.+:~-]+))?$"), "deb-src:NAME=VERSION"),
}
_TABLES: dict[str, Kind] = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_JSONL_ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".json.gz", ".jsonl.zst")


def parse_spec(spec: str) -> Spec:  # noqa: RET503 (`bad_input` does not return)
    """Take a spec apart; whether a path is a folder, a repository or a file is looked up.

    Raises:
        BadInput: It has no known form, or names a path that is not there.
    """
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in _PACKAGE:
        pattern, form = _PACKAGE[prefix]
        found = pattern.match(rest)
        if not found:
            bad_input(spec, f"not of the form {form}; the version must be an exact one")
        return Spec(cast(Kind, prefix), found.group(1), found.group(2) or "", f"{prefix}:{found.group(1)}")
    if spec.startswith("git+"):
        return _git_spec(spec)
    if prefix == "folder" and colon:
        return _folder_spec(rest, spec)
    if "://" in spec and not spec.startswith("file://"):
        bad_input(spec, "an address is read only as git+URL@REVISION; download an archive and name its path")
    path = Path(spec.removeprefix("file://")).expanduser()
    if path.is_dir():
        if (path / ".git").exists() or _is_bare_repository(path):
            return Spec("git", str(path), "", _git_name(str(path.resolve())))
        return _folder_spec(str(path), spec)
    if not path.exists():
        known = ", ".join(f"{name}:" for name in _PACKAGE)
        bad_input(spec, f"no such file or folder (and it starts with none of {known}, git+)")
    if path.suffix.lower() == ".parquet":
        return Spec("parquet", str(path), "", path.stem)
    if path.name.lower().endswith(_JSONL_ENDINGS):
        return Spec("jsonl", str(path), "", path.name.partition(".json")[0].removesuffix(".ndjson"))
    if archives.is_archive(path):
        ending = max((e for e in archives.ENDINGS if path.name.lower().endswith(e)), key=len)
        return Spec("archive", str(path), "", path.name[: -len(ending)] or path.name)
    bad_input(
        spec,
        f"{path.suffix or 'no ending'!r}: not a kind of file that sources come in;"
        f" known: {' '.join(archives.ENDINGS)} .jsonl .ndjson .parquet, or give its folder",
    )


def _folder_spec(target: str, spec: str) -> Spec:
    path = Path(target).expanduser()
    if not path.is_dir():
        bad_input(spec, "no such folder")
    name = path.resolve().name or "root"
    shown = [f for f in path.rglob("*") if f.is_file() and not f.name.startswith((".", "_"))] if _tabular(path) else []
    endings = {f.suffix.lower() for f in shown}
    if len(endings) == 1 and (ending := endings.pop()) in _TABLES:
        return Spec(_TABLES[ending], str(path), "", name)
    return Spec("folder", str(path), "", name)


def _tabular(path: Path) -> bool:
    """Return whether the first file met below a folder is a table (a cheap test before all are listed)."""
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            if not name.startswith((".", "_")):
                return (Path(folder) / name).suffix.lower() in _TABLES
    return False


def _is_bare_repository(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _git_spec(spec: str) -> Spec:
    rest = spec.removeprefix("git+")
    where, at, revision = rest.rpartition("@")
    # An @ before the last / belongs to a login (git@host:...), not to a revision.
    if not at or "/" in revision or ":" in revision:
        where, revision = rest, ""
    if not where or where.startswith("-") or revision.startswith("-"):
        bad_input(spec, "not of the form git+URL@REVISION")
    where = where.removeprefix("file://")
    if "://" not in where and not re.match(r"^[\w.-]+@[\w.-]+:", where):
        path = Path(where).expanduser()
        if not path.is_dir():
            bad_input(spec, "no such git repository")
        return Spec("git", str(path), revision, _git_name(str(path.resolve())))
    return Spec("git", where, revision, _git_name(where))


def _git_name(where: str) -> str:
    local = where.startswith("/")
    parts = [part for part in re.split(r"[/:]", where.removesuffix("/").removesuffix(".git").removesuffix("/")) if part]
    return "git:" + "/".join(parts[-1:] if local else parts[-2:])


# --- Trees: what a source looks like once it is here ------------------------------------------------------------------


@dataclass(frozen=True)
class _Tree:
    """Paths with sizes, and how to read one (a table's path is a file of many rows, so reading gives several)."""

    sizes: Mapping[str, int]
    skipped: tuple[Skipped, ...]
    read: Callable[[str], Iterator[RawFile]]
    digest: str = ""


_Opener = Callable[[Sequence[Path], str], AbstractContextManager[_Tree]]


def _one(path: str, data: bytes) -> Iterator[RawFile]:
    yield RawFile("", "", path, data)


@contextmanager
def _folder_tree(origins: Sequence[Path], _revision: str) -> Iterator[_Tree]:
    root = origins[0]
    sizes: dict[str, int] = {}
    skipped: list[Skipped] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in list(folders):
            if (Path(folder) / name).is_symlink():
                folders.remove(name)
                names.append(name)
        for name in names:
            full = Path(folder) / name
            path = full.relative_to(root).as_posix()
            if full.is_symlink():
                skipped.append(Skipped(path, 0, "symlink"))
            elif not full.is_file():
                skipped.append(Skipped(path, 0, "special"))
            elif not _is_utf8(path):
                skipped.append(Skipped(path.encode("utf-8", "replace").decode(), 0, "unsafe_path"))
            elif (size := full.stat().st_size) > archives.MAX_FILE_BYTES:
                skipped.append(Skipped(path, size, "too_large"))
            else:
                sizes[path] = size
    yield _Tree(
        {path: sizes[path] for path in sorted(sizes)},
        tuple(sorted(skipped, key=lambda s: s.path)),
        lambda path: _one(path, (root / path).read_bytes()),
    )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Where Debian puts the sources of libraries: the folder below which a path means the same as in the project itself.
_DEBIAN_ROOT = re.compile(
    r"^usr/(?:share/gocode/src/|share/cargo/registry/[^/]+/|lib/python3(?:\.\d+)?/(?:dist-packages/)?"
    r"|share/nodejs/|share/javascript/)"
)


@contextmanager
def _archive_tree(origins: Sequence[Path], _revision: str) -> Iterator[_Tree]:
    with archives.opened(origins[0]) as archive:
        inside = _renamed(list(archive.sizes), debian=_is_deb(origins[0]))
        yield _Tree(
            {path: archive.sizes[old] for path, old in sorted(inside.items())},
            archive.skipped,
            lambda path: _one(path, archive.read(inside[path])),
        )


def _is_deb(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(8).startswith(b"!<arch>")


def _renamed(paths: Sequence[str], *, debian: bool) -> dict[str, str]:
    """Return paths as they are in the project itself, with the archive's own: without a top folder that all share."""
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    if debian:
        renamed: dict[str, str] = {}
        for path in paths:
            short = _DEBIAN_ROOT.sub("", path)
            renamed[path if short in renamed else short] = path
        return renamed
    if len(tops) == 1 and all("/" in path for path in paths):
        return {path.partition("/")[2]: path for path in paths}
    return {path: path for path in paths}


@contextmanager
def _package_tree(origins: Sequence[Path], revision: str) -> Iterator[_Tree]:
    if len(origins) == 1:
        with _archive_tree(origins, revision) as tree:
            yield tree
        return
    # A Debian source of several tarballs: each in a folder of its own, so that no path hides another.
    sizes: dict[str, int] = {}
    skipped: list[Skipped] = []
    for number, origin in enumerate(origins):
        with _archive_tree([origin], revision) as tree:
            sizes |= {f"{number}/{path}": size for path, size in tree.sizes.items()}
            skipped += tree.skipped

    def read(path: str) -> Iterator[RawFile]:
        number, _, inner = path.partition("/")
        with _archive_tree([origins[int(number)]], revision) as tree:
            yield from _one(path, next(tree.read(inner)).data)

    yield _Tree(sizes, tuple(skipped), read)


def _git(repository: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(repository), *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"},
    )
    if done.returncode != 0:
        raise OSError(done.stderr.decode(errors="replace").strip()[-400:] or "git failed")
    return done.stdout


@contextmanager
def _git_tree(origins: Sequence[Path], revision: str) -> Iterator[_Tree]:
    repository = origins[0]
    sizes: dict[str, int] = {}
    blobs: dict[str, str] = {}
    skipped: list[Skipped] = []
    for row in _git(repository, "ls-tree", "-r", "-z", "--long", "--full-tree", revision).split(b"\0"):
        if not row:
            continue
        meta, _, raw_path = row.partition(b"\t")
        mode, kind, blob, size = meta.split()
        path = raw_path.decode("utf-8", "surrogateescape")
        length = int(size) if size.isdigit() else 0
        reason = "submodule" if kind == b"commit" else "symlink" if mode == b"120000" else ""
        if not reason and (not _is_utf8(path) or archives.safe_path(path) is None):
            reason = "unsafe_path"
        if not reason and length > archives.MAX_FILE_BYTES:
            reason = "too_large"
        if reason:
            skipped.append(Skipped(path.encode("utf-8", "replace").decode(), length, reason))
        else:
            sizes[path], blobs[path] = length, blob.decode()
    with subprocess.Popen(
        ["git", "-c", "safe.directory=*", "-C", str(repository), "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "GIT_NO_LAZY_FETCH": "1"},
    ) as process:
        given, answer = process.stdin, process.stdout
        assert given is not None
        assert answer is not None

        def read(path: str) -> Iterator[RawFile]:
            given.write(f"{blobs[path]}\n".encode())
            given.flush()
            header = answer.readline().split()
            if len(header) != 3:
                raise OSError(f"{path}: git has no object {blobs[path]}; run `git fsck` there")
            data = answer.read(int(header[2]))
            answer.read(1)
            return _one(path, data)

        try:
            yield _Tree({path: sizes[path] for path in sorted(sizes)}, tuple(skipped), read)
        finally:
            given.close()


# Column names for one thing in The Stack v1 and v2, StarCoder data, and plain tables; the first that is there wins.
_CONTENT = ("content", "text", "code", "source_code")
_PATH = ("path", "max_stars_repo_path", "file_path", "filename", "file")
_REPO = ("repo_name", "max_stars_repo_name", "repo", "repository", "repository_name")
_REVISION = ("revision_id", "max_stars_repo_head_hexsha", "commit_id", "commit", "revision")
_LICENSES = ("detected_licenses", "max_stars_repo_licenses", "licenses", "license")
_LANGUAGE = ("language", "lang", "programming_language")
_TABLE_COLUMNS = (_CONTENT, _PATH, _REPO, _REVISION, _LICENSES, _LANGUAGE)


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _ending_of(language: Any) -> str:
    wanted = str(language or "").lower()
    for row in LANGUAGES.values():
        if wanted in (row.id, row.name.lower()):
            return row.extensions[0]
    return ""


def _row_file(row: Mapping[str, Any], place: str, number: int) -> RawFile:
    content = _first(row, _CONTENT)
    data = content if isinstance(content, bytes) else ("" if content is None else str(content)).encode()
    path = _first(row, _PATH)
    clean = archives.safe_path(str(path).lstrip("/")) if path is not None else None
    stated = _first(row, _LICENSES)
    names = [stated] if isinstance(stated, str) else [str(one) for one in stated or ()]
    return RawFile(
        str(_first(row, _REPO) or ""),
        str(_first(row, _REVISION) or ""),
        clean or f"{Path(place).stem}-{number:09d}{_ending_of(_first(row, _LANGUAGE))}",
        data,
        licences.from_metadata(names),
    )


def _tables(origins: Sequence[Path], endings: Sequence[str]) -> dict[str, Path]:
    root = origins[0]
    if root.is_file():
        return {root.name: root}
    found = (f for f in root.rglob("*") if f.is_file() and f.name.lower().endswith(tuple(endings)))
    return {f.relative_to(root).as_posix(): f for f in sorted(found) if not f.name.startswith((".", "_"))}


@contextmanager
def _jsonl_tree(origins: Sequence[Path], _revision: str) -> Iterator[_Tree]:
    tables = _tables(origins, _JSONL_ENDINGS)

    def read(path: str) -> Iterator[RawFile]:
        for number, line in enumerate(_lines(tables[path]), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BrokenArchive(f"{path}: line {number} is not JSON ({error})") from error
            if not isinstance(row, dict) or _first(cast(dict[str, Any], row), _CONTENT) is None:
                if isinstance(row, dict) and any(name in row for name in _CONTENT):
                    continue
                raise BrokenArchive(f"{path}: line {number} has none of the fields {', '.join(_CONTENT)}")
            yield _row_file(cast(dict[str, Any], row), path, number)

    yield _Tree({path: file.stat().st_size for path, file in tables.items()}, (), read)


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix == ".gz":
        import gzip

        try:
            with gzip.open(path) as stream:
                yield from stream
        except (EOFError, OSError) as error:
            raise BrokenArchive(f"{path.name} is broken ({error}); fetch or copy it again") from error
    elif path.suffix == ".zst":
        import io

        import zstandard

        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
            yield from io.BufferedReader(cast(Any, stream))
    else:
        with path.open("rb") as stream:
            yield from stream


@contextmanager
def _parquet_tree(origins: Sequence[Path], _revision: str) -> Iterator[_Tree]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = _tables(origins, (".parquet",))

    def read(path: str) -> Iterator[RawFile]:
        try:
            with pq.ParquetFile(tables[path]) as file:
                there = set(file.schema_arrow.names)
                if not there & set(_CONTENT):
                    raise BrokenArchive(f"{path} has none of the columns {', '.join(_CONTENT)}; it has {sorted(there)}")
                columns = [name for names in _TABLE_COLUMNS for name in names if name in there]
                number = 0
                for batch in file.iter_batches(batch_size=256, columns=columns):
                    for row in batch.to_pylist():
                        number += 1
                        if _first(row, _CONTENT) is not None:
                            yield _row_file(row, path, number)
        except (pa.ArrowException, OSError) as error:
            raise BrokenArchive(f"{path} is no whole Parquet file ({error}); copy or write it again") from error

    yield _Tree({path: file.stat().st_size for path, file in tables.items()}, (), read)


_TREES: dict[Kind, _Opener] = {
    "folder": _folder_tree,
    "git": _git_tree,
    "archive": _archive_tree,
    "jsonl": _jsonl_tree,
    "parquet": _parquet_tree,
    "pypi": _package_tree,
    "npm": _package_tree,
    "deb": _package_tree,
    "deb-src": _package_tree,
}


# --- Choosing files ---------------------------------------------------------------------------------------------------


@memo
def _glob(pattern: str) -> re.Pattern[str]:
    if "/" not in pattern.rstrip("/"):
        pattern = f"**/{pattern}"
    pattern = pattern.lstrip("/")
    if pattern.endswith("/"):
        pattern += "**"
    out, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            out, at = out + ".*", at + 2
        elif pattern[at] == "*":
            out, at = out + "[^/]*", at + 1
        elif pattern[at] == "?":
            out, at = out + "[^/]", at + 1
        elif pattern[at] == "[" and (close := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : close].replace("\\", "\\\\")
            out, at = out + "[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]", close + 1
        else:
            out, at = out + re.escape(pattern[at]), at + 1
    return re.compile(out + r"\Z", re.DOTALL)


def _chosen(source: Source, paths: Mapping[str, int]) -> list[str]:
    include = [_glob(pattern) for pattern in source.include]
    exclude = [_glob(pattern) for pattern in source.exclude]
    return [
        path
        for path in paths
        if (not include or any(p.match(path) for p in include)) and not any(p.match(path) for p in exclude)
    ]


# --- Checking ---------------------------------------------------------------------------------------------------------


def default_cache() -> Path:
    """Return the folder that fetched packages are kept in: `$POLYMIX_CACHE`, else `~/.cache/polymix`."""
    named = os.environ.get("POLYMIX_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "polymix"


def read_source(source: Source | str, cache: Path | None = None) -> SourceRead:
    """Fetch (or find) one source and check all of it; see `read_sources`."""
    return read_sources([source], cache)[0]


def read_sources(sources: Sequence[Source | str], cache: Path | None = None, *, parallel: int = 4) -> list[SourceRead]:
    """Fetch (or find) sources and check all of each, before any is used.

    Args:
        sources: Entries of a study, or bare specs.
        cache: Where fetched packages are kept; `default_cache()` when None.
        parallel: How many are fetched at a time.

    Returns:
        One `SourceRead` a source, in the order given.

    Raises:
        BadInput: Every mistake in every source: a missing file, an empty folder, one without code, a broken archive, a
            truncated Parquet file, an unknown package, a checksum that differs, two sources of one name.
    """
    entries = [Source(spec=source) if isinstance(source, str) else source for source in sources]
    if not entries:
        bad_input(
            "sources", "none named; give a folder, an archive, a repository or a package, such as pypi:NAME==VERSION"
        )
    folder = cache or default_cache()
    mistakes: list[Mistake] = []
    done: list[SourceRead | None] = []

    def checked(source: Source) -> SourceRead | list[Mistake]:
        try:
            return _check(source, folder)
        except BadInput as error:
            return list(error.mistakes)

    packages.prefetch(_debian(entries), folder)
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        results = pool.map(checked, entries)
        for result in progress(results, total=len(entries), description="sources", unit="source"):
            if isinstance(result, SourceRead):
                done.append(result)
            else:
                mistakes += result
    names = [read.record.name for read in done if read is not None]
    mistakes += [
        Mistake(name, "two sources have this name; give one of them another with `name = ...`")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if mistakes:
        raise BadInput(mistakes)
    return [read for read in done if read is not None]


def _debian(sources: Sequence[Source]) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for source in sources:
        prefix, _, rest = source.spec.partition(":")
        if prefix in ("deb", "deb-src") and (parts := _PACKAGE[prefix][0].match(rest)):
            found.append((prefix, parts.group(1), parts.group(2) or ""))
    return found


def _check(source: Source, cache: Path) -> SourceRead:
    spec = parse_spec(source.spec)
    where = source.spec
    try:
        origins, revision, stated = _fetched(spec, cache, pinned=bool(source.sha256))
        digest = _file_digest(spec, origins)
        with _TREES[spec.kind](origins, revision) as tree:
            return _read(source, spec, origins, revision, stated, digest, tree)
    except packages.FetchError as error:
        bad_input(where, str(error))
    except BrokenArchive as error:
        bad_input(where, str(error))
    except subprocess.TimeoutExpired as error:
        bad_input(where, f"no answer within {error.timeout:.0f} s; check the network and try again")
    except OSError as error:
        bad_input(where, f"cannot be read: {error}")


def _fetched(spec: Spec, cache: Path, *, pinned: bool) -> tuple[tuple[Path, ...], str, tuple[str, ...]]:
    """Return a source's local files, its revision, and the licences its registry states."""
    if spec.kind in _PACKAGE:
        try:
            package = packages.fetch(spec.kind, spec.target, spec.version, cache)
        except packages.FetchError:
            # A Debian archive drops a version when an update comes: the checksum decides whether the update will do.
            if not (pinned and spec.version and spec.kind in ("deb", "deb-src")):
                raise
            package = _replacement(spec, cache)
        return package.files, package.version, package.licenses
    if spec.kind == "git":
        repository = _repository(spec, cache)
        revision = spec.version or "HEAD"
        if repository != Path(spec.target):
            revision = "FETCH_HEAD"
        try:
            commit = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except OSError:
            bad_input(spec.name, f"the repository has no commit {revision!r}; see `git log` there")
        return (repository,), commit.decode().strip(), ()
    return (Path(spec.target),), "", ()


def _replacement(spec: Spec, cache: Path) -> packages.Package:
    try:
        package = packages.fetch(spec.kind, spec.target, "", cache)
    except packages.FetchError:
        return packages.fetch(spec.kind, spec.target, spec.version, cache)
    say(f"{spec.name}: version {spec.version} is gone from the archive; trying {package.version} against its checksum")
    return package


def _repository(spec: Spec, cache: Path) -> Path:
    if shutil.which("git") is None:
        bad_input(spec.name, "reading a repository needs git; install it, or name `folder:PATH`")
    if Path(spec.target).is_dir():
        return Path(spec.target)
    key = hashlib.sha256(f"{spec.target}@{spec.version}".encode()).hexdigest()
    repository = cache / "git" / key
    pinned = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", spec.version)
    if pinned and (repository / "fetched").is_file():
        return repository
    repository.mkdir(parents=True, exist_ok=True)
    _git(repository, "init", "--bare", "--quiet")
    _git(repository, "fetch", "--depth=1", "--no-tags", "--quiet", "--", spec.target, spec.version or "HEAD")
    (repository / "fetched").touch()
    return repository


def _file_digest(spec: Spec, origins: Sequence[Path]) -> str:
    """Return the checksum of a source that is files, or an empty text for a tree."""
    if any(not origin.is_file() for origin in origins):
        return ""
    digests = [file_sha256(origin) for origin in origins]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join([spec.kind, *digests]).encode()).hexdigest()


def _read(
    source: Source,
    spec: Spec,
    origins: tuple[Path, ...],
    revision: str,
    stated: tuple[str, ...],
    digest: str,
    tree: _Tree,
) -> SourceRead:
    where = source.spec
    if not tree.sizes:
        bad_input(where, "is empty: there is no file in it")
    chosen = _chosen(source, tree.sizes)
    if not chosen:
        bad_input(
            where, f"include and exclude leave none of its {len(tree.sizes):,} files, such as {next(iter(tree.sizes))}"
        )
    files = size = 0
    code = False
    contents = hashlib.sha256()
    for path in chosen:
        for file in tree.read(path):
            files += 1
            size += len(file.data)
            code = code or _may_be_code(file.path, file.data)
            contents.update(f"{file.path}\0{hashlib.sha256(file.data).hexdigest()}\n".encode())
    if not files:
        bad_input(where, "has no row with text in it")
    if not code:
        endings = " ".join(ending for row in LANGUAGES.values() for ending in row.extensions)
        bad_input(where, f"none of its {files:,} files is code in a known language ({endings})")
    digest = contents.hexdigest() if source.sha256 == contents.hexdigest() else digest or contents.hexdigest()
    if source.sha256 and digest != source.sha256:
        gone = "" if revision == spec.version else f" (this is version {revision or 'unknown'})"
        bad_input(
            where,
            f"has sha256 {digest} and its chosen files {contents.hexdigest()}, but {source.sha256} is pinned{gone};"
            " it is not what the study was made with: name another version, with its checksum",
        )
    licenses, by_folder = _licenses(source, stated, spec.kind, tree)
    record = SourceRecord(source.name or spec.name, source.spec, revision, digest, licenses, files, size)
    return SourceRead(record, source, origins, spec.kind, tree.skipped, by_folder)


@memo
def _endings() -> frozenset[str]:
    return frozenset(ending for row in LANGUAGES.values() for ending in row.extensions)


def _may_be_code(path: str, data: bytes) -> bool:
    suffix = Path(path).suffix.lower()
    return suffix in _endings() or (not suffix and data.startswith(b"#!"))


# --- Licences ---------------------------------------------------------------------------------------------------------

_METADATA = re.compile(
    r"^(?:package\.json|PKG-INFO|Cargo\.toml|pyproject\.toml|debian/copyright|[^/]+\.dist-info/METADATA"
    r"|usr/share/doc/[^/]+/copyright)$"
)


def _licenses(
    source: Source, stated: tuple[str, ...], kind: Kind, tree: _Tree
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return what holds for the whole source, and for folders with a licence file of their own."""
    by_folder: dict[str, tuple[str, ...]] = {}
    of_metadata: list[str] = []
    if kind not in ("jsonl", "parquet"):
        for path, size in tree.sizes.items():
            if size > licences.MAX_LICENSE_FILE_BYTES:
                continue
            if _METADATA.match(path):
                of_metadata += licences.from_package_file(path, next(tree.read(path)).data)
            elif licences.is_license_file(path):
                found = licences.from_text(next(tree.read(path)).data.decode("utf-8", "replace"))
                folder = path.rpartition("/")[0]
                folder = "" if folder.endswith(".dist-info") or ".dist-info/" in folder else folder
                by_folder[folder] = licences.combined(by_folder.get(folder, ()), found)
    root = by_folder.pop("", ())
    declared = licences.from_metadata([source.license]) if source.license else ()
    general = licences.combined(of_metadata) or licences.from_metadata(stated)
    if root and all(name.startswith("LicenseRef-") for name in general):
        general = root  # `BSD` says less than the text beside it
    return (
        general or declared,
        {folder: found for folder, found in by_folder.items() if found},
    )
