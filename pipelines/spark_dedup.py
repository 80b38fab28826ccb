"""`polymix dedup` for tables whose hashes do not fit in memory: the same steps, the same result, on Spark.

Start at `dedup_by_spark`. Hashes are made by the functions that the in-process way uses (`pipelines.units`), proposals
and true comparisons by `pipelines.near`; who stays is decided by `pipelines.decisions.relations` on the verified pairs.

What always holds: `clusters.parquet` has the rows that the in-process way writes, whatever the partitions are.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.corpus import spark_schema, stream
from pipelines.decisions import RELATION_SCHEMA, cluster_rows, marked_exact, relations
from pipelines.dedup import CLUSTER_SCHEMA, Rank, check_apart, dedup_identity
from pipelines.near import near_edges
from pipelines.near_duplicates import NearDuplicates
from pipelines.shingles import Shingles
from pipelines.text_tables import column_mistakes, files_sha256, text_files
from pipelines.units import Units, measured, measured_column
from quality.artifacts import check_place, creating
from quality.mistakes import BadInput, Mistake
from quality.progress import say

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_HASHED = pa.schema(
    [
        pa.field("preference", pa.binary()),
        pa.field("text_hash", pa.binary()),
        pa.field("language", pa.string()),
        pa.field("shingles", pa.list_(pa.int32())),
        pa.field("buckets", pa.list_(pa.int64())),
    ]
)
_RAW_BYTES = 16
_ORDER_BYTES = 16
"""A preference ends with the hash of the bytes, then with the row's place in the order of ids, filled up."""


def dedup_by_spark(
    table: Path | str,
    out: Path | str,
    config: NearDuplicates | None = None,
    *,
    ranks: Sequence[Rank] = (),
    master: str = "local[*]",
    memory: str = "2g",
    spark: SparkSession | None = None,
    command: str = "",
) -> dict[str, int]:
    """Remove exact and near duplicates from a table of texts of any size.

    Args:
        table: A Parquet or JSON Lines file, or a folder of either, with `id` and `text`.
        out: The artifact's folder: gets `kept.parquet` (a folder of Parquet files: all columns of the rows that stay)
            and `clusters.parquet`.
        config: The settings; the default ones when None.
        ranks: What makes one of two duplicates preferred, as for `pipelines.dedup.dedup`.
        master: Where Spark runs, when it is started here.
        memory: The heap of Spark's driver and of each executor.
        spark: The caller's session; one is started and stopped when None.
        command: The command line that makes it again.

    Returns:
        `documents`, `exact_removed`, `near_removed`, `kept`.

    Raises:
        BadInput: The table cannot be used; all mistakes are listed.
    """
    path = Path(table)
    config = config or NearDuplicates()
    check_place(out, "dedup")
    check_apart(path, Path(out))
    files, kind = text_files(path)
    named = list(dict.fromkeys(rank.column for rank in ranks))
    identity = dedup_identity(files_sha256(path, files), config, ranks)
    with creating(out, "dedup", identity, command=command) as draft, ExitStack() as stack:
        scratch = draft.path / ".scratch"
        scratch.mkdir()
        if spark is None:
            from pipelines.spark import session

            spark = stack.enter_context(session(scratch, master=master, memory=memory))
        reader = spark.read.option("recursiveFileLookup", "true")
        names = [str(file) for file in files]
        rows = reader.parquet(*names) if kind == "parquet" else reader.json(names)
        _check(path, rows, named)
        counts = _deduplicated(spark, rows, config, ranks, draft.path, scratch)
        stack.close()
        shutil.rmtree(scratch)
        draft.counts |= counts
    return dict(draft.counts)


def _check(path: Path, rows: DataFrame, named: Sequence[str]) -> None:
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.types import to_arrow_schema

    mistakes = column_mistakes(path, to_arrow_schema(rows.schema, timezone="UTC"), named)
    if mistakes:
        raise BadInput(mistakes)
    for name in ("id", "text"):
        nulls = rows.where(f.col(name).isNull()).count()
        if nulls:
            mistakes.append(Mistake(f"{path}: {name}", f"null in {nulls:,} rows; fill or drop them"))
    again = rows.where("id is not null").groupBy(f.col("id").cast("string").alias("id")).count().where("count > 1")
    twice = again.sort("id").limit(6).collect()
    if twice:
        shown = ", ".join(f"{row['id']!r} ({row['count']} times)" for row in twice[:5])
        more = " and more" if len(twice) > 5 else ""
        mistakes.append(Mistake(f"{path}: id", f"not unique: {shown}{more}; ids must name one row each"))
    if mistakes:
        raise BadInput(mistakes)


def _deduplicated(
    spark: SparkSession, rows: DataFrame, config: NearDuplicates, ranks: Sequence[Rank], out: Path, scratch: Path
) -> dict[str, int]:
    from pyspark.sql import functions as f

    from pipelines.spark import watched

    texts = rows.withColumn("id", f.col("id").cast("string"))
    with watched(spark, "hashing"):
        ordered = texts.select("id").sort("id").withColumn("place", f.monotonically_increasing_id())
        ordered.write.parquet(str(scratch / "ids"))
        ids = spark.read.parquet(str(scratch / "ids"))
        placed = _ranked(texts, ranks, scratch).join(ids, "id")
        places = [f"rank{number}" for number in range(len(ranks))]
        step = partial(_hashed, config=config, places=places)
        hashed = placed.select("text", "place", *places).mapInArrow(step, spark_schema(_HASHED))
        hashed.write.parquet(str(scratch / "hashed"))
    files = spark.read.parquet(str(scratch / "hashed"))
    with watched(spark, "near duplicates"):
        marked_exact(files.select("preference", "text_hash")).drop("text_hash").write.parquet(str(scratch / "marked"))
        marked = spark.read.parquet(str(scratch / "marked"))
        unique = files.drop("text_hash").join(marked.where("exact_of is null").select("preference"), "preference")
        edges = near_edges(unique, config, scratch).toArrow()
        relation = scratch / "relations.parquet"
        pq.write_table(relations(edges) if edges.num_rows else RELATION_SCHEMA.empty_table(), relation)
        content = (-_RAW_BYTES - _ORDER_BYTES, _RAW_BYTES)
        placed = cluster_rows(marked, spark.read.parquet(str(relation)), _place, content)
        by_place, by_survivor = ids.toDF("name", "id"), ids.toDF("survivor", "cluster")
        named = placed.join(by_place, "id").join(by_survivor, "cluster").drop("id", "cluster")
        named = named.withColumnsRenamed({"name": "id", "survivor": "cluster"}).select(*CLUSTER_SCHEMA.names)
        named.write.parquet(str(scratch / "clusters"))
    found = spark.read.parquet(str(scratch / "clusters"))
    with watched(spark, "writing"):
        ordered = found.selectExpr("*", "not kept as removed")
        total = stream(ordered, ["cluster", "removed", "id"], CLUSTER_SCHEMA, out / "clusters.parquet", scratch / "c")
        stays = found.where("kept").select("id")
        rows.join(
            stays.withColumn("id", f.col("id").cast(rows.schema["id"].dataType)), "id", "left_semi"
        ).write.parquet(str(out / "kept.parquet"))
    reasons = Counter(ds.dataset(out / "clusters.parquet").to_table(["reason"])["reason"].to_pylist())
    exact = reasons["same_bytes"] + reasons["same_text"]
    say(f"kept {total - exact - reasons['near']:,} of {total:,} texts")
    return {
        "documents": total,
        "exact_removed": exact,
        "near_removed": reasons["near"],
        "kept": total - exact - reasons["near"],
    }


def _ranked(texts: DataFrame, ranks: Sequence[Rank], scratch: Path) -> DataFrame:
    """Add `rank0`, `rank1`, ...: the place of each row's value among all values, the smaller the preferred."""
    from pyspark.sql import functions as f

    for number, rank in enumerate(ranks):
        values = texts.select(f.col(rank.column).alias("value")).distinct().toArrow()
        column = values["value"].combine_chunks()
        path = scratch / f"rank{number}.parquet"
        pq.write_table(pa.table([column, pa.array(rank.places(column))], names=["value", f"rank{number}"]), path)
        places = f.broadcast(texts.sparkSession.read.parquet(str(path)))
        texts = texts.join(places, texts[rank.column].eqNullSafe(places["value"])).drop("value")
    return texts


def _hashed(
    batches: Iterable[pa.RecordBatch], config: NearDuplicates, places: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    # Spark runs a worker a core.
    with ThreadPoolExecutor(1) as pool:
        for batch in batches:
            done = 0
            for units, sets in measured_column(batch["text"], pool, partial(measured, signing=config.signing)):
                own = batch.slice(done, len(units))
                done += len(units)
                yield _rows(own, units, sets, places)


def _rows(batch: pa.RecordBatch, units: Units, sets: Shingles, places: Sequence[str]) -> pa.RecordBatch:
    most = np.int64(2**63 - 1)
    columns: list[Any] = [np.asarray(batch[name], np.int64) for name in places]
    columns += [most - units.lengths, units.raw[:, 0], units.raw[:, 1], np.asarray(batch["place"], np.int64)]
    columns.append(np.zeros(len(units), np.int64))
    filled = np.where(units.sizes > 0, units.buckets.shape[1], 0)
    buckets = np.ascontiguousarray(units.buckets[units.sizes > 0], np.uint64).view(np.int64).ravel()
    return pa.RecordBatch.from_arrays(
        [
            _binary(np.stack([column.astype(np.uint64) for column in columns], axis=1)),
            _binary(units.normalised),
            pa.array([""] * len(units)),
            _lists(sets.sizes, pa.array(sets.values.view(np.int32))),
            _lists(filled, pa.array(buckets)),
        ],
        schema=_HASHED,
    )


def _binary(rows: NDArray[np.uint64]) -> Any:
    """Return each row of numbers as bytes that sort as the numbers do."""
    kind = pa.binary(8 * rows.shape[1])
    content = pa.py_buffer(rows.astype(">u8").tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, content]).cast(pa.binary())


def _lists(sizes: NDArray[np.int64], values: Any) -> Any:
    offsets: Any = pa.array(np.concatenate(([0], np.cumsum(sizes))), pa.int32())
    return pa.ListArray.from_arrays(offsets, values)


def _place(preference: Column) -> Column:
    from pyspark.sql import functions as f

    return f.conv(f.hex(f.substring(preference, -_ORDER_BYTES, 8)), 16, -10).cast("bigint")
