"""Tables that Spark reads itself: at any address that its file systems know, in parallel, whatever their size.

Start at `told_apart`, which finds the sources that are such tables: those with an address (`s3a://`, `hdfs://`, ...),
and any path given as `spark:PATH`. `listed` says what a table is (its files), `stage_table` writes its rows as the rows
of `pipelines.staging.RAW_SCHEMA` that a table read on this machine gives, by the same rules. (In JSON Lines Spark takes
a number for text where other rows have text.)

A table is known by the names, sizes and times of its files, since reading it all for a checksum would take as long as
the work itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.archives import Skipped
from pipelines.sources import (
    RawFile,
    Source,
    SourceRecord,
    files_of_batches,
    is_remote_table,
    table_columns,
    table_kind,
)
from pipelines.staging import RAW_SCHEMA, Staged, raw_row
from quality.mistakes import BadInput, Mistake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_PREFIX = "spark:"
_ROWS = 32
_STAGED = pa.schema([*RAW_SCHEMA, pa.field("skipped", pa.string()), pa.field("size", pa.int64())])


@dataclass(frozen=True)
class SparkTable:
    """A table that Spark reads.

    Args:
        source: The entry it is named by.
        address: Where it is.
        record: What it is called by.
    """

    source: Source
    address: str
    record: SourceRecord


def told_apart(sources: Sequence[Source | str]) -> tuple[list[Source], list[Source]]:
    """Return the sources that are read on this machine, and those that Spark reads.

    Raises:
        BadInput: A table that Spark reads is given globs or a checksum, which it cannot have.
    """
    entries = _named_apart([Source(spec=source) if isinstance(source, str) else source for source in sources])
    tables = [entry for entry in entries if entry.spec.startswith(_PREFIX) or is_remote_table(entry.spec)]
    mistakes = [
        Mistake(entry.spec, "is read by Spark row by row; `include`, `exclude` and `sha256` are for sources read here")
        for entry in tables
        if entry.include or entry.exclude or entry.sha256
    ]
    if mistakes:
        raise BadInput(mistakes)
    return [entry for entry in entries if entry not in tables], tables


def _named_apart(entries: Sequence[Source]) -> list[Source]:
    """Name paths that end alike by their last two parts (`p1/src`, `p2/src`), where they have no name of their own."""
    labels: list[str] = []
    for entry in entries:
        try:
            labels.append(entry.label)
        except BadInput:
            labels.append("")
    return [
        entry.model_copy(update={"name": "/".join(Path(entry.spec).absolute().parts[-2:])})
        if labels.count(label) > 1 and not entry.name and Path(entry.spec).exists()
        else entry
        for entry, label in zip(entries, labels, strict=True)
    ]


def listed(spark: SparkSession, sources: Sequence[Source]) -> list[SparkTable]:
    """Return tables with what they are known by.

    Raises:
        BadInput: A table cannot be listed, has no files, or no column with code; all mistakes are told.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import to_arrow_schema

    found: list[SparkTable] = []
    mistakes: list[Mistake] = []
    for source in sources:
        address = source.spec.removeprefix(_PREFIX)
        name = source.name or address.rstrip("/*").rpartition("/")[2]
        try:
            files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(address)
            rows = files.select("path", "length", "modificationTime").sort("path").collect()
            rows = [row for row in rows if not row["path"].rpartition("/")[2].startswith(("_", "."))]
            table_columns(to_arrow_schema(_read(spark, address).schema, timezone="UTC"))
        except (PySparkException, ValueError) as error:
            mistakes.append(Mistake(source.spec, f"cannot be read by Spark: {str(error).strip().splitlines()[0]}"))
            continue
        # The folders above differ from place to place, those below hold partition values.
        above = len(os.path.commonpath([row["path"] for row in rows])) if len(rows) > 1 else 0
        lines = (f"{row['path'][above:]}\0{row['length']}\0{row['modificationTime']}\n" for row in rows)
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        size = sum(row["length"] for row in rows)
        licenses = (source.license,) if source.license else ()
        record = SourceRecord(name, source.spec, "", digest, licenses, len(rows), size)
        found.append(SparkTable(source, address, record))
    if mistakes:
        raise BadInput(mistakes)
    return found


def _read(spark: SparkSession, address: str) -> DataFrame:
    if table_kind(address) == "parquet":
        return spark.read.parquet(address)
    # A line that is no JSON ends the job, as it does for a table that is read here.
    return spark.read.option("mode", "FAILFAST").json(address)


def stage_table(spark: SparkSession, table: SparkTable, raw: Path, skipped: Path) -> Staged:
    """Write the rows of a table as staged files, and those that cannot be used as rejects.

    Args:
        spark: The session.
        table: The table.
        raw: A folder for rows of `RAW_SCHEMA`; more may lie in it.
        skipped: A folder for rows of `REJECT_SCHEMA`; more may lie in it.
    """
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

    rows = _read(spark, table.address)
    columns = table_columns(to_arrow_schema(rows.schema, timezone="UTC"))
    step = partial(_staged, name=table.record.name, licenses=table.record.licenses)
    held = raw.parent / "tables" / hashlib.sha256(table.record.name.encode()).hexdigest()[:16]
    needed = (f.col(f"`{name}`") for name in columns.needed)
    rows.select(*needed).mapInArrow(step, from_arrow_schema(_STAGED)).write.mode("overwrite").parquet(str(held))
    staged = spark.read.parquet(str(held))
    staged.where("skipped is null").select(*RAW_SCHEMA.names).write.mode("append").parquet(str(raw))
    none = f.lit(None).cast("string")
    staged.where("skipped is not null").select(
        none.alias("id"),
        "repo_name",
        "path",
        none.alias("language"),
        f.col("size").alias("length"),
        f.lit("read").alias("stage"),
        f.col("skipped").alias("reason"),
        f.lit("not read").alias("detail"),
    ).write.mode("append").parquet(str(skipped))
    sums = staged.groupBy(f.col("skipped").isNull()).agg(f.count("*"), f.sum("size")).collect()
    of = {good: (number, size) for good, number, size in sums}
    shutil.rmtree(held)
    return Staged(*of.get(True, (0, 0)), *of.get(False, (0, 0)))


def _staged(batches: Iterable[pa.RecordBatch], name: str, licenses: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        # The contents of a row are copied twice on their way: a few rows at a time.
        for start in range(0, batch.num_rows, _ROWS):
            files = files_of_batches([batch.slice(start, _ROWS)])
            yield pa.RecordBatch.from_pylist([_row(file, name, licenses) for file in files], _STAGED)


def _row(file: RawFile | Skipped, name: str, licenses: tuple[str, ...]) -> dict[str, Any]:
    repo_name = file.repo_name or name
    if isinstance(file, Skipped):
        return {"repo_name": repo_name, "path": file.path, "skipped": file.reason, "size": file.length}
    row = raw_row(file, repo_name, file.licenses or licenses)
    return row | {"size": len(file.data)}
