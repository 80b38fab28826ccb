"""From sources to Parquet: the files of all sources as rows that any engine can divide.

Start at `stage`. Every file is a row of `RAW_SCHEMA` or a reject with stage `read`; files are some 4 MB of content
each, which is one unit of work for whatever reads them next. Only one file's content, and one part's, is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources import RawFile, SourceRead, SourceRecord
from quality.documents import REJECT_SCHEMA, document_id, git_blob_id
from quality.progress import progress
from quality.provenance import PROVENANCE_FIELDS

RAW_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("blob_id", pa.string()),
        pa.field("repo_name", pa.string()),
        pa.field("revision_id", pa.string()),
        pa.field("path", pa.string()),
        pa.field("data", pa.binary()),
        pa.field("licenses", pa.list_(pa.string())),
        *PROVENANCE_FIELDS,
    ]
)

SOURCE_SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("spec", pa.string(), nullable=False),
        pa.field("revision_id", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("licenses", pa.list_(pa.string()), nullable=False),
        pa.field("files", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
    ]
)

STAGED_BYTES = 4 << 20
"""Content of one staged file; below `pipelines.spark.PARTITION_BYTES`, so that each file is one task."""


def reject(
    identifier: str | None,
    repo_name: str,
    path: str,
    language: str | None,
    length: int,
    stage_name: str,
    reason: str,
    detail: str,
) -> dict[str, Any]:
    """Return a row of `quality.documents.REJECT_SCHEMA`."""
    return {
        "id": identifier,
        "repo_name": repo_name,
        "path": path,
        "language": language,
        "length": length,
        "stage": stage_name,
        "reason": reason,
        "detail": detail,
    }


def raw_row(file: RawFile, repo_name: str, licenses: Sequence[str]) -> dict[str, Any]:
    """Return a file as a row of `RAW_SCHEMA`."""
    blob_id = git_blob_id(file.data)
    return {
        "id": document_id(repo_name, file.path, blob_id),
        "blob_id": blob_id,
        "repo_name": repo_name,
        "revision_id": file.revision_id,
        "path": file.path,
        "data": file.data,
        "licenses": list(licenses),
        **file.provenance.row(),
    }


@dataclass(frozen=True)
class Staged:
    """What was staged.

    Args:
        files: Rows of `RAW_SCHEMA`.
        bytes: Their content.
        skipped: Rows of `REJECT_SCHEMA`: what was not read.
        skipped_bytes: Of what was not read.
    """

    files: int = 0
    bytes: int = 0
    skipped: int = 0
    skipped_bytes: int = 0

    def __add__(self, other: Staged) -> Staged:
        return Staged(*(own + more for own, more in zip(vars(self).values(), vars(other).values(), strict=True)))


def stage(reads: Sequence[SourceRead], raw: Path, skipped: Path) -> Staged:
    """Write the files of sources as Parquet (`RAW_SCHEMA`) of some 4 MB of content each.

    Args:
        reads: The sources.
        raw: An existing folder for the files.
        skipped: An existing folder for what was not read, as rejects.
    """
    held: list[dict[str, Any]] = []
    held_bytes = files = size = number = 0
    with progress(total=sum(read.record.files for read in reads), description="reading", unit="file") as bar:
        for read in reads:
            for file in read.files():
                bar.update()
                held.append(raw_row(file, file.repo_name, file.licenses))
                files, size, held_bytes = files + 1, size + len(file.data), held_bytes + len(file.data)
                if held_bytes >= STAGED_BYTES:
                    _write(held, raw, number)
                    held, held_bytes, number = [], 0, number + 1
    if held:
        _write(held, raw, number)
    lost = [
        reject(None, one.repo_name or read.record.name, one.path, None, one.length, "read", one.reason, "not read")
        for read in reads
        for one in read.skipped
    ]
    pq.write_table(pa.Table.from_pylist(lost, REJECT_SCHEMA), skipped / "here.parquet")
    return Staged(files, size, len(lost), sum(row["length"] for row in lost))


def _write(rows: list[dict[str, Any]], folder: Path, number: int) -> None:
    table = pa.Table.from_pylist(rows, RAW_SCHEMA)
    pq.write_table(table, folder / f"raw-{number:06d}.parquet", compression="none", use_dictionary=False)


def source_table(records: Sequence[SourceRecord]) -> pa.Table:
    """Return the rows of `sources.parquet`."""
    rows = [{**vars(record), "licenses": list(record.licenses)} for record in records]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["name"], row["sha256"])), SOURCE_SCHEMA)
