"""Near duplicates of a corpus of any size: the functions of `pipelines.dedup`, with Spark between them.

Start at `near_edges`. Documents that share an LSH bucket are proposed, proposals are verified by true Jaccard.

What always holds:

- No step holds more than one group: a bucket is sorted by Spark, which spills; the shingles of a document travel once
  for each group it is compared in, and a group has a bounded number of documents (`GROUP_DOCUMENTS`), however many
  belong to one family. The driver holds some 100 bytes a proposed pair (measured), and later
  the verified pairs.
- The result is a set of rows: which partitions they come from is of no account.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.earlier import Earlier, is_new, key_of
from pipelines.near_duplicates import NearDuplicates
from pipelines.shingles import Shingles, jaccards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EDGE_SCHEMA = pa.schema(
    [
        pa.field("better", pa.binary()),  # preferences, see `pipelines.inspection.preference`
        pa.field("worse", pa.binary()),
        pa.field("better_language", pa.string()),
        pa.field("worse_language", pa.string()),
        pa.field("similarity", pa.float64()),
    ]
)
_EDGE_TYPE = "better binary, worse binary, better_language string, worse_language string, similarity double"

GROUP_DOCUMENTS = 2_000
"""Documents compared in one group: some 10 MB of shingles at an ordinary 500 a document."""

_BLOCK = GROUP_DOCUMENTS // 2
_READ_ROWS = 1 << 17


def proposed_pairs(files: DataFrame, config: NearDuplicates, old: DataFrame | None = None) -> DataFrame:
    """Return the pairs that share a bucket, each once: `better`, `worse` (preferences).

    A bucket's members are compared with its `bucket_limit` preferred ones, as `pipelines.minhash.candidate_pairs` does.

    Args:
        files: Files to compare: `preference`, `buckets`.
        config: The settings that the buckets were made with.
        old: Documents of earlier corpora, with the same columns: they are preferred to all files, and are not compared
            with each other.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    bucket = Window.partitionBy("bucket")
    rows = files.select("preference", f.explode("buckets").alias("bucket"))
    if old is not None:
        there = old.select("preference", f.explode("buckets").alias("bucket"))
        rows = rows.unionByName(there.join(rows.select("bucket").distinct(), "bucket", "left_semi"))
    members = (
        rows.withColumn("members", f.count("*").over(bucket))
        .where("members > 1")
        .withColumn("place", f.row_number().over(bucket.orderBy("preference")))
    )
    better = members.where(f.col("place") <= config.bucket_limit).select(
        "bucket", f.col("place").alias("better_place"), f.col("preference").alias("better")
    )
    worse = members if old is None else members.where(is_new("preference"))
    pairs = better.join(worse, "bucket").where("better_place < place")
    return pairs.select("better", f.col("preference").alias("worse")).distinct()


def near_edges(files: DataFrame, config: NearDuplicates, scratch: Path, earlier: Earlier | None = None) -> DataFrame:
    """Return the verified near duplicates (`EDGE_SCHEMA`), each pair once.

    Args:
        files: Files to compare: `preference`, `language`, `shingles`, `buckets`.
        config: The settings that the shingles and buckets were made with.
        scratch: An existing folder that the driver and the executors can write to.
        earlier: Corpora whose documents are compared with the files too, but not with each other.
    """
    spark = files.sparkSession
    proposed = scratch / "proposed"
    old = None if earlier is None else earlier.index(spark).select("preference", "buckets")
    proposed_pairs(files, config, old).write.parquet(str(proposed))
    grouped, members = _grouped(proposed, scratch)
    if not grouped:
        return spark.createDataFrame([], _EDGE_TYPE)
    pairs = spark.read.parquet(str(scratch / "grouped"))
    groups = spark.read.parquet(str(members))
    sets = files.select("preference", "language", "shingles")
    if earlier is not None:
        sets = sets.unionByName(earlier.sets(spark, groups.select("key").distinct(), config.shingle_size))
    grouped_sets = sets.withColumn("key", key_of("preference")).join(groups, "key").groupBy("group")
    compared = grouped_sets.cogroup(pairs.groupBy("group"))
    return compared.applyInArrow(partial(_verified, threshold=config.threshold), _EDGE_TYPE)


def _keys(preferences: Any) -> NDArray[np.int64]:
    """Return 64 bits of each preference's id; equal ones only make a group larger than it need be."""
    width = len(preferences[0].as_py())
    raw = np.frombuffer(b"".join(preferences.to_pylist()), np.uint8).reshape(-1, width)
    return raw[:, -16:-8].copy().view(">i8").astype(np.int64).ravel()


def _grouped(proposed: Path, scratch: Path) -> tuple[int, Path]:
    """Divide proposed pairs into groups: write pairs with their group, and which documents each group needs."""
    data = ds.dataset(proposed, format="parquet")
    columns = [
        (_keys(batch["better"]), _keys(batch["worse"]))
        for batch in data.to_batches(batch_size=_READ_ROWS)
        if batch.num_rows
    ]
    members = scratch / "members.parquet"
    if not columns:
        return 0, members
    left, right = (np.concatenate([pair[side] for pair in columns]) for side in (0, 1))
    group = groups_of(left, right)
    ends = (pa.array(np.concatenate(both)) for both in ((left, right), (group, group)))
    needed = pa.table(list(ends), names=["key", "group"])
    pq.write_table(needed.group_by(["key", "group"]).aggregate([]), members)
    folder = scratch / "grouped"
    folder.mkdir()
    schema = pa.schema([("better", pa.binary()), ("worse", pa.binary()), ("group", pa.int64())])
    done = 0
    with pq.ParquetWriter(folder / "pairs.parquet", schema) as writer:
        for batch in data.to_batches(batch_size=_READ_ROWS):
            own = pa.array(group[done : done + batch.num_rows])
            done += batch.num_rows
            writer.write_batch(pa.record_batch([batch["better"], batch["worse"], own], schema=schema))
    return len(group), members


def groups_of(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a group for each pair, so that few documents stand in several groups and no group has too many.

    Pairs that are connected share a group; where more than `GROUP_DOCUMENTS` documents are connected, they are cut into
    blocks, and a pair's group is that of its two blocks.

    Args:
        left: A key of each pair's first document.
        right: A key of its second.
    """
    keys, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    first, second = places[: len(left)], places[len(left) :]
    label = components(first, second, len(keys))
    sizes = np.bincount(label, minlength=len(keys))
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    within = np.empty(len(keys), np.int64)
    within[order] = np.arange(len(keys)) - starts[label[order]]
    block = np.where(sizes[label] > GROUP_DOCUMENTS, within // _BLOCK, 0)
    low, high = np.minimum(block[first], block[second]), np.maximum(block[first], block[second])
    blocks = int(block.max(initial=0)) + 1
    # Labels are below the number of documents and blocks below a thousandth of it, so the product fits.
    _, group = np.unique((label[first] * blocks + low) * blocks + high, return_inverse=True)
    return group.astype(np.int64)


def components(left: NDArray[np.int64], right: NDArray[np.int64], nodes: int) -> NDArray[np.int64]:
    """Return the smallest node connected to each node.

    Labels are lowered along links and then followed to their end, until nothing changes; the number of rounds grows
    with the logarithm of the longest chain.

    Args:
        left: One end of each link, 0 <= node < nodes.
        right: The other.
        nodes: How many nodes there are.
    """
    label = np.arange(nodes, dtype=np.int64)
    while True:
        lower = np.minimum(label[left], label[right])
        before = label.copy()
        # The roots are lowered too, or a long chain would take as many rounds as it has links.
        np.minimum.at(label, label[left], lower)
        np.minimum.at(label, label[right], lower)
        np.minimum.at(label, left, lower)
        np.minimum.at(label, right, lower)
        while True:
            further = label[label]
            if np.array_equal(further, label):
                break
            label = further
        if np.array_equal(before, label):
            return label


def _verified(members: pa.Table, pairs: pa.Table, threshold: float) -> pa.Table:
    members = members.combine_chunks()
    if not members.num_rows or not pairs.num_rows:
        return EDGE_SCHEMA.empty_table()
    column = cast(Any, members["shingles"].chunk(0))
    sets = Shingles(
        column.values.to_numpy(zero_copy_only=False).view(np.uint32), column.offsets.to_numpy().astype(np.int64)
    )
    preferences = cast(Any, members["preference"].combine_chunks())
    left, right = (np.asarray(pc.index_in(pairs[name], preferences), np.int64) for name in ("better", "worse"))
    similarity = jaccards(sets, left, right)
    near: Any = np.flatnonzero(similarity >= threshold)
    return pa.table(
        [
            pairs["better"].take(near),
            pairs["worse"].take(near),
            members["language"].take(left[near]),
            members["language"].take(right[near]),
            pa.array(similarity[near]),
        ],
        schema=EDGE_SCHEMA,
    )
