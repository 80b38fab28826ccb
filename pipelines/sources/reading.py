"""Sources are fetched and checked in full before any is used; then they are read, and checked again on the way.

Start at `read_sources`. What is handed out is what was checked: a source that changed in between ends the reading with
the mistake, because a result is called by the checksum of what it was made from.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pipelines import packages
from pipelines.archives import BrokenArchive, Skipped
from pipelines.sources.files import Opener, RawFile, Tree
from pipelines.sources.folders import folder_tree
from pipelines.sources.packed import archive_tree, package_tree
from pipelines.sources.placed import PlacedLicenses, placed_licenses
from pipelines.sources.repositories import fetched, git_tree, stated_provenance
from pipelines.sources.specs import PACKAGE_FORMS, Kind, Source, Spec, is_remote_table, parse_spec
from pipelines.sources.tables import jsonl_tree, parquet_tree
from quality import licences
from quality.artifacts import file_sha256
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress, say
from quality.provenance import Provenance, address_in, states_address

_OPENERS: dict[Kind, Opener] = {
    "folder": folder_tree,
    "git": git_tree,
    "archive": archive_tree,
    "jsonl": jsonl_tree,
    "parquet": parquet_tree,
    "pypi": package_tree,
    "npm": package_tree,
    "deb": package_tree,
    "deb-src": package_tree,
}


@dataclass(frozen=True)
class SourceRecord:
    """A row of `sources.parquet`.

    Args:
        name: The source's name.
        spec: Its spec as given, without a login.
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
        skipped: What include and exclude leave and `files()` does not give, each once with its reason: the files of a
            source are `files()` and these.
        placed: Licences by place.
        provenance: What is known of every file of the source (a table's rows say it of themselves).
        contents: SHA-256 of the lines `PATH NUL SHA256 NEWLINE` of what `files()` yields.
    """

    record: SourceRecord
    source: Source
    origins: tuple[Path, ...]
    kind: Kind
    skipped: tuple[Skipped, ...] = ()
    placed: PlacedLicenses = field(default_factory=PlacedLicenses)
    provenance: Provenance = field(default_factory=Provenance)
    contents: str = ""

    def files(self) -> Iterator[RawFile]:
        """Yield the files, sorted by path (rows of a table: in their order), one in memory at a time.

        Raises:
            BadInput: The source changed after it was checked.
        """
        name = self.record.name
        digest = hashlib.sha256()
        files = size = 0
        try:
            with _OPENERS[self.kind](self.origins, self.record.revision_id) as tree:
                for file in _files(self.source, tree):
                    if isinstance(file, Skipped):
                        continue
                    files += 1
                    size += len(file.data)
                    digest.update(_line(file))
                    yield RawFile(
                        file.repo_name or name,
                        file.revision_id or self.record.revision_id,
                        file.path,
                        file.data,
                        file.licenses or self.placed.of(file.path),
                        file.provenance if self.kind in ("jsonl", "parquet") else self.provenance,
                    )
        except (OSError, BrokenArchive) as error:
            bad_input(name, f"changed after it was checked: {error}; leave it alone while it is read, and run again")
        if digest.hexdigest() != self.contents:
            bad_input(
                name,
                f"changed after it was checked: {files:,} files of {size:,} bytes, {self.record.files:,} of"
                f" {self.record.bytes:,} were checked; leave it alone while it is read, and run again",
            )


def _files(source: Source, tree: Tree) -> Iterator[RawFile | Skipped]:
    for path in source.chooses(tree.sizes):
        yield from tree.read(path)


def _line(file: RawFile) -> bytes:
    return f"{file.path}\0{hashlib.sha256(file.data).hexdigest()}\n".encode()


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
        if prefix in ("deb", "deb-src") and (parts := PACKAGE_FORMS[prefix][0].match(rest)):
            found.append((prefix, parts.group(1), parts.group(2) or ""))
    return found


@dataclass(frozen=True)
class _Fetched:
    """A source on this machine: its files or folder, its revision, and what is stated of it outside of its files."""

    origins: tuple[Path, ...]
    revision: str = ""
    licenses: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)


def _check(source: Source, cache: Path) -> SourceRead:
    spec = parse_spec(source.spec)
    where = without_login(source.spec)
    if is_remote_table(source.spec):
        bad_input(where, "a table that Spark reads where it lies; here only files of this machine are read")
    try:
        found = _fetch(spec, cache, pinned=bool(source.sha256))
        digest = _file_digest(spec, found.origins)
        with _OPENERS[spec.kind](found.origins, found.revision) as tree:
            return _read(source, spec, found, digest, tree)
    except packages.FetchError as error:
        bad_input(where, str(error))
    except BrokenArchive as error:
        bad_input(where, str(error))
    except subprocess.TimeoutExpired as error:
        bad_input(where, f"no answer within {error.timeout:.0f} s; check the network and try again")
    except OSError as error:
        bad_input(where, f"cannot be read: {without_login(str(error))}")


def without_login(text: str) -> str:
    """Return a spec or message whose addresses carry no user name or password."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _fetch(spec: Spec, cache: Path, *, pinned: bool) -> _Fetched:
    if spec.kind in PACKAGE_FORMS:
        try:
            package = packages.fetch(spec.kind, spec.target, spec.version, cache)
        except packages.FetchError:
            # A Debian archive drops a version when an update comes: the checksum decides whether the update will do.
            if not (pinned and spec.version and spec.kind in ("deb", "deb-src")):
                raise
            package = _replacement(spec, cache)
        return _Fetched(package.files, package.version, package.licenses)
    if spec.kind == "git":
        repository, commit = fetched(spec, cache)
        return _Fetched((repository,), commit, (), stated_provenance(spec, repository, commit))
    return _Fetched((Path(spec.target),))


def _replacement(spec: Spec, cache: Path) -> packages.Package:
    try:
        package = packages.fetch(spec.kind, spec.target, "", cache)
    except packages.FetchError:
        return packages.fetch(spec.kind, spec.target, spec.version, cache)
    say(f"{spec.name}: version {spec.version} is gone from the archive; trying {package.version} against its checksum")
    return package


def _file_digest(spec: Spec, origins: Sequence[Path]) -> str:
    """Return the checksum of a source that is files, or an empty text for a tree."""
    if any(not origin.is_file() for origin in origins):
        return ""
    digests = [file_sha256(origin) for origin in origins]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join([spec.kind, *digests]).encode()).hexdigest()


def _read(source: Source, spec: Spec, found: _Fetched, digest: str, tree: Tree) -> SourceRead:
    where = without_login(source.spec)
    if not tree.sizes:
        left = f": {tree.skipped[0].path} is {tree.skipped[0].reason}" if tree.skipped else ""
        bad_input(where, f"is empty: there is no file in it that can be read{left}")
    chosen = source.chooses(tree.sizes)
    if not chosen:
        bad_input(
            where, f"include and exclude leave none of its {len(tree.sizes):,} files, such as {next(iter(tree.sizes))}"
        )
    wanted = set(source.chooses([one.path for one in tree.skipped]))
    skipped = [one for one in tree.skipped if one.path in wanted]
    files = size = 0
    code = False
    contents = hashlib.sha256()
    for file in _files(source, tree):
        if isinstance(file, Skipped):
            skipped.append(file)
            continue
        files += 1
        size += len(file.data)
        # Rows without a path are told by their content alone.
        nameless = spec.kind in ("jsonl", "parquet") and "." not in file.path
        code = code or nameless or _may_be_code(file.path, file.data)
        contents.update(_line(file))
    if not files and not skipped:
        bad_input(where, "holds no rows")
    if not files:
        bad_input(where, f"has no file that can be read: {skipped[0].path} is {skipped[0].reason}")
    if not code:
        endings = " ".join(ending for row in LANGUAGES.values() for ending in row.extensions)
        bad_input(where, f"none of its {files:,} files is code in a known language ({endings})")
    digest = contents.hexdigest() if source.sha256 == contents.hexdigest() else digest or contents.hexdigest()
    if source.sha256 and digest != source.sha256:
        gone = "" if found.revision == spec.version else f" (this is version {found.revision or 'unknown'})"
        bad_input(
            where,
            f"has sha256 {digest} and its chosen files {contents.hexdigest()}, but {source.sha256} is pinned{gone};"
            " it is not what the study was made with: name another version, with its checksum",
        )
    placed, provenance = PlacedLicenses(), found.provenance
    if spec.kind in ("jsonl", "parquet"):
        placed = placed_licenses({}, _none, source.license, ())
    else:
        placed = placed_licenses(tree.sizes, _reader(tree), source.license, found.licenses)
        if spec.kind != "git":
            provenance = replace(tree.provenance, repo_url=_stated_address(tree))
    record = SourceRecord(source.name or spec.name, where, found.revision, digest, placed.general, files, size)
    return SourceRead(
        record, source, found.origins, spec.kind, tuple(skipped), placed, provenance, contents.hexdigest()
    )


def _stated_address(tree: Tree) -> str | None:
    read = _reader(tree)
    for path, size in tree.sizes.items():
        data = read(path) if states_address(path) and size <= licences.MAX_LICENSE_FILE_BYTES else None
        address = None if data is None else address_in(path, data)
        if address is not None:
            return address
    return None


def _none(_path: str) -> bytes | None:
    return None


def _reader(tree: Tree) -> Callable[[str], bytes | None]:
    def read(path: str) -> bytes | None:
        file = next(tree.read(path))
        return None if isinstance(file, Skipped) else file.data

    return read


def _may_be_code(path: str, data: bytes) -> bool:
    suffix = Path(path).suffix.lower()
    return suffix in _endings() or (not suffix and data.startswith(b"#!"))


@cache
def _endings() -> frozenset[str]:
    return frozenset(ending for row in LANGUAGES.values() for ending in row.extensions)
