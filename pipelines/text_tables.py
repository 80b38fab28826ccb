"""What is in a table of texts, batch by batch: a Parquet or JSON Lines file, or a folder of either.

Start at `open_texts`. What always holds: all mistakes of a table are listed at once, batches come in the order of the
rows, and a Parquet table is never in memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.json as pj
from numpy.typing import NDArray

from quality.artifacts import file_sha256
from quality.mistakes import BadInput, Mistake, bad_input

I64 = NDArray[np.int64]

BATCH_ROWS = 2048
_JSON_ROW_BYTES = 64 << 20
_FORMATS = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_SHOWN = 5


@dataclass(frozen=True)
class TextTable:
    """A table on disk.

    Args:
        path: The file or folder.
        files: Its files, sorted.
        rows: How many rows it has.
        data: The rows: on disk (Parquet), or in memory (JSON Lines, whose columns only show when all of it is read).
    """

    path: Path
    files: tuple[Path, ...]
    rows: int
    data: ds.Dataset

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self.data.schema

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield its rows in order.

        Args:
            columns: Columns to read; all when None.

        Raises:
            BadInput: A file is damaged.
        """
        try:
            yield from self.data.to_batches(
                columns=None if columns is None else list(columns),
                batch_size=BATCH_ROWS,
                batch_readahead=2,
                fragment_readahead=1,
                # Others give memory back to the system between batches, and pay for it again with page faults.
                memory_pool=pa.system_memory_pool(),
            )
        except (pa.ArrowInvalid, OSError) as error:
            bad_input(self.path, f"cannot be read: {error}")

    @property
    def size(self) -> int:
        """Its bytes on disk."""
        return sum(file.stat().st_size for file in self.files)

    def split(self, number: int) -> list[TextTable]:
        """Return parts of it with about as many rows each, in order; fewer where it has fewer row groups."""
        if not isinstance(self.data, ds.FileSystemDataset):
            return [self]
        groups = [part for file in self.data.get_fragments() for part in file.split_by_row_group()]
        ends = np.cumsum([part.row_groups[0].num_rows for part in groups])
        owner = np.minimum((ends - 1) * number // max(self.rows, 1), number - 1)
        parts: list[TextTable] = []
        for chosen in (np.flatnonzero(owner == one) for one in range(number)):
            if len(chosen):
                own = [groups[at] for at in chosen]
                data = ds.FileSystemDataset(own, self.schema, self.data.format, self.data.filesystem)
                parts.append(TextTable(self.path, self.files, sum(p.row_groups[0].num_rows for p in own), data))
        return parts

    def sha256(self) -> str:
        """Return a hash of the files' content and of their names below the folder."""
        return files_sha256(self.path, self.files)


def open_texts(path: Path, columns: Sequence[str] = (), *, needs_id: bool = True) -> TextTable:
    """Open a table of texts and check its columns.

    Args:
        path: A Parquet or JSON Lines file, or a folder of either.
        columns: Columns it must have besides `id` (a string or an integer) and `text` (a string).
        needs_id: Whether it must have an `id`; where it has one, that must name one row each all the same.

    Raises:
        BadInput: It is missing, damaged or empty, or lacks a column; all mistakes are listed.
    """
    files, kind = text_files(path)
    try:
        if kind == "parquet":
            root = str(path) if path.is_dir() else None
            names = [str(file) for file in files]
            # What is read ahead of its decoding is for stores far away: on a disk it is memory, and page faults.
            nearby = ds.ParquetFileFormat(default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False))
            data = ds.dataset(names, format=nearby, partitioning="hive", partition_base_dir=root)
            rows = data.count_rows()
        else:
            read = pj.ReadOptions(block_size=_JSON_ROW_BYTES)
            parts = [pj.read_json(file, read_options=read) for file in files]
            table = pa.concat_tables(parts, promote_options="permissive")
            data, rows = ds.dataset(table), table.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        bad_input(path, f"cannot be read: {error}")
    mistakes = column_mistakes(path, data.schema, columns)
    if not needs_id and "id" not in data.schema.names:
        mistakes = [one for one in mistakes if one.where != f"{path}: id"]
    elif mistakes and not any(one.where.endswith(": id") for one in mistakes):
        mistakes.extend(repeated_mistakes(path, data.to_table(["id"])["id"].combine_chunks().drop_null()))
    if not mistakes and not rows:
        mistakes.append(Mistake(str(path), "holds no rows"))
    if mistakes:
        raise BadInput(sorted(mistakes, key=str))
    return TextTable(path, files, rows, data)


def text_files(path: Path) -> tuple[tuple[Path, ...], str]:
    """Return the files of a table, sorted, and whether they are `parquet` or `jsonl`.

    Raises:
        BadInput: There is none, or there are some of both.
    """
    if not path.exists():
        bad_input(path, "no such file or folder")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.suffix in _FORMATS)
    files = [file for file in files if not file.name.startswith(("_", "."))]
    endings = {file.suffix for file in files}
    if not files or not endings <= set(_FORMATS):
        bad_input(path, f"a Parquet or JSON Lines file, or a folder of either, is needed ({', '.join(_FORMATS)})")
    kinds = {_FORMATS[ending] for ending in endings}
    if len(kinds) > 1:
        bad_input(path, "holds both Parquet and JSON Lines; name one of the files, or a folder of one kind")
    return tuple(files), kinds.pop()


def files_sha256(path: Path, files: Sequence[Path]) -> str:
    """Return a hash of the content of a table's files and of their names below its folder."""
    if path.is_file():
        return file_sha256(path)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        hashes = list(pool.map(file_sha256, files))
    lines = (f"{one}  {file.relative_to(path).as_posix()}" for one, file in zip(hashes, files, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def column_mistakes(path: Path, schema: pa.Schema, columns: Sequence[str]) -> list[Mistake]:
    """Return what is wrong with a table's columns: `id` and `text`, and others that it must have."""
    return list(_column_mistakes(path, schema, columns))


def _column_mistakes(path: Path, schema: pa.Schema, columns: Sequence[str]) -> Iterator[Mistake]:
    for name in dict.fromkeys(("id", "text", *columns)):
        if name not in schema.names:
            yield Mistake(f"{path}: {name}", f"no such column; there are {', '.join(schema.names)}")
            continue
        kind = schema.field(name).type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if name == "text" and not text:
            yield Mistake(f"{path}: text", f"is {kind}, not text")
        if name == "id" and not text and not pa.types.is_integer(kind):
            yield Mistake(f"{path}: id", f"is {kind}, neither text nor a whole number")


def null_rows(column: Any, before: int) -> I64:
    """Return the numbers of the rows that are null.

    Args:
        column: A batch's column.
        before: How many rows came before the batch.
    """
    if not column.null_count:
        return np.zeros(0, np.int64)
    return np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)) + before


def null_mistake(path: Path, name: str, rows: I64) -> Mistake:
    """Return what is wrong with a column that has nulls."""
    shown = ", ".join(map(str, (rows[:_SHOWN] + 1).tolist()))
    more = f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    return Mistake(
        f"{path}: {name}", f"null in row{'s'[: len(rows) > 1]} {shown}{more} (the first is 1); fill or drop them"
    )


def repeated_mistakes(path: Path, ids: Any) -> list[Mistake]:
    """Return what is wrong with ids that are not unique; nothing when they are."""
    if pc.count_distinct(ids).as_py() == len(ids):
        return []
    counts: Any = pc.value_counts(ids)
    counts = counts.filter(pc.greater(counts.field("counts"), pa.scalar(1)))
    twice = [f"{one['values']!r} ({one['counts']} times)" for one in counts.slice(0, _SHOWN).to_pylist()]
    more = f" and {len(counts) - _SHOWN:,} more" if len(counts) > _SHOWN else ""
    return [Mistake(f"{path}: id", f"not unique: {', '.join(twice)}{more}; ids must name one row each")]
