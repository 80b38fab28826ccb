"""What do corpora that are there already say to the build of one that adds to them?

Start at `read_earlier`. A build that adds to earlier corpora compares its files with their indexes (`INDEX_SCHEMA`, a
row a document) instead of their texts; only the few documents that share a bucket with something new are read.

What always holds:

- An earlier document is preferred to every new one: in such a build each preference starts with one byte more.
- Earlier corpora are only used where they were deduplicated with the same settings; what differs is named.
- Nothing of an earlier corpus is held by the driver but what new files turn out to be near to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.dedup import DEDUP_VERSION
from pipelines.near_duplicates import NearDuplicates
from pipelines.shingles import shingles
from quality.artifacts import read_manifest
from quality.mistakes import BadInput, Mistake

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

INDEX = "index.parquet"
INDEX_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("text_hash", pa.string(), nullable=False),
        pa.field("preference", pa.binary(), nullable=False),
        pa.field("buckets", pa.list_(pa.int64()), nullable=False),  # uint64, bit by bit
    ]
)
"""What a corpus remembers of each document, so that a later one can add to it."""

PLACE_SCHEMA = pa.schema([(name, INDEX_SCHEMA.field(name).type) for name in ("preference", "cluster", "split")])

_SETS = "preference binary, language string, shingles array<int>"


@dataclass(frozen=True)
class Earlier:
    """Corpora that a new one adds to.

    Args:
        folders: Where they are; where Spark runs on a cluster, all machines see them there.
        fingerprints: Theirs, in that order.
    """

    folders: tuple[Path, ...]
    fingerprints: tuple[str, ...]

    def index(self, spark: SparkSession) -> DataFrame:
        """Return all rows of `INDEX_SCHEMA`; preferences start with the byte of what is there already."""
        return _union([_index(spark, folder) for folder in self.folders])

    def sets(self, spark: SparkSession, keys: DataFrame, size: int) -> DataFrame:
        """Return `preference`, `language` and `shingles` of some documents, from their texts.

        Args:
            spark: The session.
            keys: Which: `key`, see `key_of`.
            size: Tokens in a shingle.
        """

        def of(folder: Path) -> DataFrame:
            named = _index(spark, folder).select("id", "preference", "language", key_of("preference"))
            wanted = named.join(keys, "key", "left_semi").drop("key")
            texts = spark.read.parquet(str(folder / "documents")).select("id", "text").join(wanted, "id")
            return texts.mapInArrow(partial(_shingled, size=size), _SETS)

        return _union([of(folder) for folder in self.folders])

    def places(self, spark: SparkSession, edges: pa.Table, scratch: Path) -> pa.Table:
        """Return what near duplicates need to know of the earlier documents among them (`PLACE_SCHEMA`).

        Args:
            spark: The session.
            edges: Verified near duplicates (`pipelines.near.EDGE_SCHEMA`).
            scratch: An existing folder that the driver and the executors can use.
        """
        named = scratch / "better.parquet"
        pq.write_table(edges.select(["better"]).rename_columns(["preference"]), named)
        related = (
            self.index(spark).select(PLACE_SCHEMA.names).join(spark.read.parquet(str(named)), "preference", "semi")
        )
        return related.distinct().toArrow().cast(PLACE_SCHEMA)

    def pinned(self, files: DataFrame) -> DataFrame:
        """Add `pin`: the side on which a file must stand since others of its repository do; null where none do.

        A repository that has documents on one side keeps it. One that is divided keeps it by folder, where the folder
        has one side; whatever else it gets is for training.

        Args:
            files: Rows with `repo_name` and `path`.
        """
        from pyspark.sql import functions as f

        spark = files.sparkSession
        stood = _union(
            [spark.read.parquet(str(one / "documents")).select("repo_name", "path", "split") for one in self.folders]
        ).select("repo_name", folder_of("path"), "split")

        def sides(*by: str) -> DataFrame:
            first, last = f.min("split"), f.max("split")
            return stood.groupBy(*by).agg(f.when(first == last, first).alias("side"), f.lit(True).alias("known"))

        repositories = sides("repo_name")
        folders = sides("repo_name", "folder").select("repo_name", "folder", f.col("side").alias("own_side"))
        pin = f.when(f.col("known"), f.coalesce("side", "own_side", f.lit("train")))
        return (
            files.withColumn("folder", folder_of("path"))
            .join(repositories, "repo_name", "left")
            .join(folders, ["repo_name", "folder"], "left")
            .withColumn("pin", pin)
            .drop("folder", "side", "known", "own_side")
        )


def read_earlier(folders: Sequence[Path | str], near: NearDuplicates) -> Earlier:
    """Check earlier corpora, without reading more than their manifests.

    Args:
        folders: The corpora; one that is named twice counts once.
        near: The settings of the build that adds to them.

    Raises:
        BadInput: One is no corpus, has no index, or was deduplicated otherwise; all that differs is listed.
    """
    found: dict[str, Path] = {}
    mistakes: list[Mistake] = []
    for folder in map(Path, folders):
        try:
            manifest = read_manifest(folder, "corpus")
        except BadInput as error:
            mistakes += error.mistakes
            continue
        mistakes += _differences(folder, manifest.get("identity"), near)
        if not (folder / INDEX).is_file():
            mistakes.append(Mistake(str(folder), f"has no {INDEX}; build it again"))
        found.setdefault(manifest["fingerprint"], folder.absolute())
    if mistakes:
        raise BadInput(mistakes)
    return Earlier(tuple(found.values()), tuple(found))


def _differences(folder: Path, identity: Any, near: NearDuplicates) -> Iterator[Mistake]:
    try:
        version, settings = identity["version"][1], cast(Mapping[str, Any], identity["settings"]["near_duplicates"])
    except (KeyError, IndexError, TypeError):
        yield Mistake(str(folder), "does not say how it was deduplicated; build it again")
        return
    there, here = {"version": version, **settings}, {"version": DEDUP_VERSION, **near.model_dump(mode="json")}
    for name in sorted({*there, *here}):
        if there.get(name) != here.get(name):
            yield Mistake(
                f"{folder}: near_duplicates: {name}",
                f"was built with {there.get(name)!r}, not {here.get(name)!r}; use the same, or build it again",
            )


# --- Columns ----------------------------------------------------------------------------------------------------------


def as_new(preference: str) -> Column:
    """Return the preference of a new file in a build that adds to earlier corpora."""
    return _prefixed(b"\x01", preference)


def is_new(preference: str) -> Column:
    """Return whether a preference, in a build that adds to earlier corpora, is that of a new file."""
    from pyspark.sql import functions as f

    return f.hex(f.substring(preference, 1, 1)) == "01"


def key_of(preference: str) -> Column:
    """Return `key`, 64 bits of the id that a preference ends with."""
    from pyspark.sql import functions as f

    return f.expr(f"cast(conv(hex(substring({preference}, -16, 8)), 16, -10) as bigint)").alias("key")


def folder_of(path: str) -> Column:
    """Return `folder`, where a file lies below its repository: with a slash at its end, empty at the root."""
    from pyspark.sql import functions as f

    return f.expr(f"left({path}, length({path}) - length(substring_index({path}, '/', -1)))").alias("folder")


def _prefixed(byte: bytes, preference: str) -> Column:
    from pyspark.sql import functions as f

    return f.concat(f.lit(byte), preference).alias("preference")


def _index(spark: SparkSession, folder: Path) -> DataFrame:
    rows = spark.read.parquet(str(folder / INDEX))
    return rows.withColumn("preference", _prefixed(b"\x00", "preference"))


def _union(tables: Sequence[DataFrame]) -> DataFrame:
    return reduce(lambda left, right: left.unionByName(right), tables)


def _shingled(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sets = shingles(cast(list[str], batch["text"].to_pylist()), size)
        offsets, values = pa.array(sets.offsets, pa.int32()), pa.array(sets.values.view(np.int32))
        column = pa.ListArray.from_arrays(offsets, values)
        yield pa.record_batch(
            [batch["preference"], batch["language"], column], names=["preference", "language", "shingles"]
        )
