"""Rows of JSON Lines and Parquet to files, by the column names of The Stack v1, v2 and v3 and of plain tables.

Start at `table_columns`: which column of a schema is the content, the path, the repository, the licence, the stars.
`files_of_batch` makes files of Arrow rows and `files_of_row` of one JSON row, by the same rules; a Spark job that maps
`files_of_batches` over a DataFrame read from anywhere gets the same files as a table on this machine gives.

What always holds:

- Every row is one file or one `Skipped` with its reason; a row that holds a repository (`files`: a list of its files)
  is one of these for each file.
- A row's own statements hold: repository, revision, licences, provenance. A row without a path is called by its content
  and its language's ending, so that no order or partition of the rows changes it.
- One row's content is copied at a time.

Source: dataset cards of The Stack, The Stack v2 and The Stack v3 (column names).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from pipelines.archives import MAX_FILE_BYTES, BrokenArchive, Skipped, safe_path, unpacked
from pipelines.sources.files import RawFile, Tree, is_text
from pipelines.sources.specs import JSONL_ENDINGS, tables_in
from quality import licences
from quality.languages import LANGUAGES
from quality.provenance import Provenance, count, instant, web_address

# Names for one thing, the best first; the first that holds something counts. A dot goes into a struct.
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "content": ("content", "text", "code", "source_code"),
    "path": ("path", "max_stars_repo_path", "file_path", "filename", "file"),
    "repo_name": ("repo_name", "max_stars_repo_name", "repo_path", "repo", "repository", "repository_name"),
    "revision_id": ("revision_id", "max_stars_repo_head_hexsha", "commit_id", "commit", "revision"),
    "licenses": ("detected_licenses", "max_stars_repo_licenses", "licenses", "license", "gha_license_id"),
    "license_type": ("license_type",),
    "language": ("language", "lang", "programming_language"),
    "repo_url": ("repo_url", "repository_url"),
    "snapshot_id": ("snapshot_id",),
    "branch_name": ("branch_name", "github_metadata.branch"),
    "visit_date": ("visit_date",),
    "revision_date": ("revision_date",),
    "committer_date": ("committer_date",),
    "star_events_count": (
        "star_events_count",
        "max_stars_count",
        "gha_stargazers_count",
        "github_metadata.stars",
        "stars",
    ),
    "fork_events_count": (
        "fork_events_count",
        "max_forks_count",
        "gha_forks_count",
        "github_metadata.forks",
        "forks",
    ),
    "gha_license_id": ("gha_license_id",),
}
_PLACES = {
    meaning: [(name.partition(".")[0], name.partition(".")[2]) for name in names]
    for meaning, names in COLUMN_NAMES.items()
}
NESTED = "files"
"""A column of lists: a row is a repository, and each element of the list is one of its files."""

_CONTENT = COLUMN_NAMES["content"]
# The Stack v1 gives the stars of one repository that has the file and the forks of another.
_V1_REPOSITORIES = ("max_stars_repo_name", "max_forks_repo_name")

# What a row says of its licence where no name in it is known.
STATED_PERMISSIVE = "LicenseRef-permissive"
STATED_RESTRICTED = "LicenseRef-non-permissive"
_NO_LICENSE = ("", "none", "no_license", "no license", "null")


@dataclass(frozen=True)
class TableColumns:
    """What the columns of a table are.

    Args:
        needed: The columns to read; the others say nothing here.
        meanings: The columns for each key of `COLUMN_NAMES`, the best first (of a nested table: of its files and of
            the repository's row together).
        nested: Whether a row is a repository with a list of files.
    """

    needed: tuple[str, ...]
    meanings: Mapping[str, tuple[str, ...]]
    nested: bool


def table_columns(schema: pa.Schema) -> TableColumns:
    """Return which columns are read as what: a pure function of names and types.

    Args:
        schema: The table's (of a DataFrame: `pyspark.sql.pandas.types.to_arrow_schema(frame.schema)`).

    Raises:
        BrokenArchive: No column holds text, neither of rows nor of `files`.
    """
    there = _names(schema)
    inner: dict[str, pa.DataType] = {}
    nested = False
    if not any(_textual(there.get(name)) for name in _CONTENT) and NESTED in schema.names:
        element = _element(schema.field(NESTED).type)
        inner = _names(pa.schema(list(element))) if element is not None else {}
        nested = any(_textual(inner.get(name)) for name in _CONTENT)
    if not nested and not any(_textual(there.get(name)) for name in _CONTENT):
        raise BrokenArchive(
            f"has none of the columns {', '.join(_CONTENT)} with text or bytes; it has {sorted(schema.names)}"
        )
    meanings: dict[str, tuple[str, ...]] = {}
    for meaning, names in COLUMN_NAMES.items():
        found = (*(f"{NESTED}.{name}" for name in names if name in inner), *(name for name in names if name in there))
        if meaning == "content":
            kinds = {f"{NESTED}.{name}": kind for name, kind in inner.items()} | there
            found = tuple(name for name in found if _textual(kinds[name]))
        meanings[meaning] = found
    used = {name.partition(".")[0] for names in meanings.values() for name in names} | set(_V1_REPOSITORIES)
    return TableColumns(tuple(name for name in schema.names if name in used), meanings, nested)


def _names(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Return types by name, with the fields of structs behind a dot."""
    found: dict[str, pa.DataType] = {}
    for one in schema:
        found[one.name] = one.type
        if pa.types.is_struct(one.type):
            found |= {f"{one.name}.{inner.name}": inner.type for inner in one.type}
    return found


def _element(kind: pa.DataType) -> Any:
    """Return the struct type of a list's elements, or None."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return None
    element = cast(Any, kind).value_type
    return element if pa.types.is_struct(element) else None


def _textual(kind: pa.DataType | None) -> bool:
    if kind is not None and pa.types.is_dictionary(kind):
        kind = cast(Any, kind).value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return kind is not None and any(test(kind) for test in tests)


# --- Rows -------------------------------------------------------------------------------------------------------------


def files_of_row(row: Mapping[str, Any], place: str = "") -> Iterator[RawFile | Skipped]:
    """Yield the files of one row of JSON.

    Args:
        row: Values by column.
        place: What the row is called where it has no path and is skipped, such as `rows.jsonl:7`.
    """
    nested = row.get(NESTED)
    if isinstance(nested, list) and not any(name in row for name in _CONTENT):
        around = {name: value for name, value in row.items() if name != NESTED}
        for number, inner in enumerate(cast(list[Any], nested)):
            file = cast(dict[str, Any], inner) if isinstance(inner, dict) else {}
            yield _file(file, around, _content(file), f"{place}#{number}")
    else:
        yield _file(row, {}, _content(row), place)


def _content(row: Mapping[str, Any]) -> bytes | str | None:
    texts = [value for name in _CONTENT if isinstance(value := row.get(name), (bytes, str))]
    return next((text for text in texts if text), texts[0] if texts else None)


def files_of_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[RawFile | Skipped]:
    """Yield the files of Arrow batches: what to map over a Spark DataFrame of `TableColumns.needed`."""
    for batch in batches:
        yield from files_of_batch(batch, table_columns(batch.schema))


def files_of_batch(batch: pa.RecordBatch, columns: TableColumns, place: str = "", number: int = 1) -> Iterator[Any]:
    """Yield the files of Arrow rows, `RawFile` or `Skipped`.

    Args:
        batch: Rows with the columns `columns.needed`.
        columns: What they are.
        place: The table's name, for rows that have no path and are skipped.
        number: Of the first row.
    """
    if columns.nested:
        rows = _python_rows(batch, [name for name in columns.needed if name != NESTED])
        lists = batch.column(batch.schema.get_field_index(NESTED))
        inner = TableColumns(
            (), {k: tuple(n.removeprefix(f"{NESTED}.") for n in v) for k, v in columns.meanings.items()}, nested=False
        )
        for index, around in enumerate(rows):
            elements = cast(Any, lists[index]).values
            if elements is not None and len(elements):
                files = pa.RecordBatch.from_struct_array(elements)
                yield from _of_rows(files, inner.meanings["content"], around, f"{place}:{number + index}#", 0)
    else:
        yield from _of_rows(batch, columns.meanings["content"], {}, f"{place}:", number)


def _of_rows(
    batch: pa.RecordBatch, content: Sequence[str], around: Mapping[str, Any], place: str, first: int
) -> Iterator[RawFile | Skipped]:
    texts: list[Any] = [_plain(batch.column(name)) for name in content if name in batch.schema.names]
    rows = _python_rows(batch, [name for name in batch.schema.names if name not in content])
    for index, row in enumerate(rows):
        # Bytes as they stand in Arrow: a text column may hold what is no UTF-8.
        buffers = [text[index].as_buffer() for text in texts if text[index].is_valid]
        chosen = next((buffer for buffer in buffers if buffer.size), buffers[0] if buffers else None)
        if chosen is not None and chosen.size > MAX_FILE_BYTES:
            name = _path_of(row, around) or f"{place}{first + index}"
            yield Skipped(name, chosen.size, "too_large", _text_of("repo_name", row, around) or "")
        else:
            data = None if chosen is None else chosen.to_pybytes()
            yield _file(row, around, data, f"{place}{first + index}")


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _python_rows(batch: pa.RecordBatch, names: Sequence[str]) -> list[dict[str, Any]]:
    columns = {name: _python(batch.column(batch.schema.get_field_index(name))) for name in names}
    return [{name: column[index] for name, column in columns.items()} for index in range(batch.num_rows)]


def _python(column: Any) -> list[Any]:
    column = _plain(column)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        # Names, of a writer that did not say that its bytes are text.
        return [None if value is None else value.decode("utf-8", "backslashreplace") for value in column.to_pylist()]
    try:
        return column.to_pylist()
    except (UnicodeDecodeError, ValueError, OverflowError):
        return [_python_value(value) for value in column]


def _python_value(value: Any) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.as_buffer().to_pybytes().decode("utf-8", "backslashreplace") if _textual(value.type) else None
    except (ValueError, OverflowError):
        return None  # such as a date beyond what Python counts


def _first(meaning: str, row: Mapping[str, Any], around: Mapping[str, Any]) -> Any:
    """Return the best value for a meaning: of the file's own columns, else of its repository's."""
    for one in (row, around):
        for outer, inner in _PLACES[meaning] if one else ():
            value = one.get(outer)
            if inner:
                value = value.get(inner) if isinstance(value, dict) else None
            if value is not None and value != "" and value != []:
                return value
    return None


def _text_of(meaning: str, row: Mapping[str, Any], around: Mapping[str, Any]) -> str | None:
    value = _first(meaning, row, around)
    if not isinstance(value, (str, int)):
        return None
    return str(value).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _path_of(row: Mapping[str, Any], around: Mapping[str, Any]) -> str | None:
    """Return the path as it stands, written so that it can be shown; None where there is none."""
    value = _first("path", row, around)
    return str(value).encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else None


def _file(
    row: Mapping[str, Any], around: Mapping[str, Any], content: bytes | str | None, place: str
) -> RawFile | Skipped:
    path = _first("path", row, around)
    path = path if isinstance(path, str) else None
    name = _path_of(row, around) or place
    repo_name = _text_of("repo_name", row, around) or ""
    if content is None:
        return Skipped(name, 0, "no_content", repo_name)
    try:
        data = content if isinstance(content, bytes) else content.encode()
    except UnicodeEncodeError:
        return Skipped(name, len(content), "lone_surrogate", repo_name)
    if len(data) > MAX_FILE_BYTES:
        return Skipped(name, len(data), "too_large", repo_name)
    if path is None:
        clean = hashlib.sha256(data).hexdigest()[:32] + _ending_of(_first("language", row, around))
    else:
        clean = safe_path(path.lstrip("/"))
        if clean is None or not is_text(clean):
            return Skipped(name, len(data), "unsafe_path", repo_name)
    return RawFile(
        repo_name,
        _text_of("revision_id", row, around) or "",
        clean,
        data,
        _licenses(row, around),
        _provenance(row, around),
    )


def _ending_of(language: Any) -> str:
    wanted = str(language or "").lower()
    for row in LANGUAGES.values():
        if wanted in (row.id, row.name.lower()):
            return row.extensions[0]
    return ""


def _licenses(row: Mapping[str, Any], around: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the licences that a row states; what it states and nobody knows is no permission.

    A name that is not known is kept as a `LicenseRef-`. `license_type` counts where no licence is named at all, and
    where it is `non_permissive` it holds beside the names.
    """
    stated = _first("licenses", row, around)
    listed = cast(list[Any], stated) if isinstance(stated, list) else [stated]
    names = [one for one in listed if isinstance(one, str) and one.strip().lower() not in _NO_LICENSE]
    found = licences.combined(*map(_known, names))
    kind = _first("license_type", row, around)
    if kind == "permissive" and not found:
        return (STATED_PERMISSIVE,)
    if kind == "non_permissive" and licences.license_type(found) != "non_permissive":
        return licences.combined(found, [STATED_RESTRICTED])
    return found


@lru_cache(maxsize=4096)
def _known(name: str) -> tuple[str, ...]:
    """Return what a name stands for; one that is not known must not pass for none, nor for a permissive one."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name.removeprefix("LicenseRef-")).strip("-")
    return licences.from_metadata([name]) or (f"LicenseRef-{plain[:80] or 'unknown'}",)


def _provenance(row: Mapping[str, Any], around: Mapping[str, Any]) -> Provenance:
    stars_of, forks_of = (row.get(name) or around.get(name) for name in _V1_REPOSITORIES)
    if forks_of != stars_of:
        row = {name: value for name, value in row.items() if name != "max_forks_count"}
    return Provenance(
        web_address(_first("repo_url", row, around)),
        _text_of("snapshot_id", row, around),
        _text_of("branch_name", row, around),
        instant(_first("visit_date", row, around)),
        instant(_first("revision_date", row, around)),
        instant(_first("committer_date", row, around)),
        count(_first("star_events_count", row, around)),
        count(_first("fork_events_count", row, around)),
        _text_of("gha_license_id", row, around),
    )


# --- Tables on this machine -------------------------------------------------------------------------------------------

# How many rows may lack a content field before the table is said to have none.
_ROWS_WITHOUT = 1000
# Of one batch of rows, by what its row group says of itself; the rows are few because a small row group may hold one
# large value many times.
_BATCH_BYTES = 16 << 20
_BATCH_ROWS = 8


@contextmanager
def jsonl_tree(origins: Sequence[Path], _revision: str) -> Iterator[Tree]:
    """Open JSON Lines, plain or compressed; a line longer than `MAX_FILE_BYTES` is skipped and never held."""
    tables = tables_in(origins, JSONL_ENDINGS)

    def read(path: str) -> Iterator[RawFile | Skipped]:
        without = 0
        for number, line in enumerate(_lines(tables[path]), 1):
            place = f"{path}:{number}"
            if isinstance(line, int):
                yield Skipped(place, line, "too_large")
                continue
            if not line.strip():
                continue
            row = _object(line, f"{path}: line {number}")
            if without >= 0:
                without = without + 1 if not any(name in row for name in (*_CONTENT, NESTED)) else -1
            if without > _ROWS_WITHOUT:
                break
            yield from files_of_row(row, place)
        if without > 0:
            raise BrokenArchive(f"{path}: no line has one of the fields {', '.join(_CONTENT)}")

    yield Tree({path: file.stat().st_size for path, file in tables.items()}, (), read)


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BrokenArchive(f"{where} is not JSON ({error})") from error
    except RecursionError as error:
        raise BrokenArchive(f"{where} is not JSON that holds a row (it is nested too deeply)") from error
    if not isinstance(row, dict):
        raise BrokenArchive(f"{where} is not JSON that holds a row (an object with fields)")
    return cast(dict[str, Any], row)


def _lines(path: Path) -> Iterator[bytes | int]:
    """Yield lines without their ends; of one that is too long only its length."""
    held: list[bytes] = []
    length = 0
    with path.open("rb") as raw:
        magic = raw.read(8)
        raw.seek(0)
        for chunk in unpacked(raw, magic):
            start = 0
            while (at := chunk.find(b"\n", start)) >= 0:
                length += at - start
                yield b"".join([*held, chunk[start:at]]) if length <= MAX_FILE_BYTES else length
                held, length, start = [], 0, at + 1
            length += len(chunk) - start
            if length <= MAX_FILE_BYTES:
                held.append(chunk[start:])
            else:
                held.clear()
    if length:
        yield b"".join(held) if length <= MAX_FILE_BYTES else length


@contextmanager
def parquet_tree(origins: Sequence[Path], _revision: str) -> Iterator[Tree]:
    """Open Parquet; of a file one page of each column and a few rows are held at a time."""
    import pyarrow.parquet as pq

    tables = tables_in(origins, (".parquet",))

    def read(path: str) -> Iterator[RawFile | Skipped]:
        try:
            with pq.ParquetFile(tables[path], pre_buffer=False, buffer_size=1 << 20) as file:
                columns = table_columns(file.schema_arrow)
                number = 1
                for group in range(file.num_row_groups):
                    about = file.metadata.row_group(group)
                    fitting = _BATCH_BYTES * about.num_rows // max(about.total_byte_size, 1)
                    for batch in file.iter_batches(
                        max(1, min(_BATCH_ROWS, fitting)), [group], list(columns.needed), use_threads=False
                    ):
                        yield from files_of_batch(batch, columns, path, number)
                        number += batch.num_rows
        except BrokenArchive as error:
            raise BrokenArchive(f"{path} {error}") from error
        except (pa.ArrowException, OSError) as error:
            raise BrokenArchive(f"{path} is no whole Parquet file ({error}); copy or write it again") from error

    yield Tree({path: file.stat().st_size for path, file in tables.items()}, (), read)
