"""Who survives, which families there are, what is held out, and which output file a document goes into.

Start at `decide`. Everything that has a row a file stays in Spark. The driver sees near duplicates (one row a verified
pair), repositories or folders (one row a cell of `quality.splits`), and nothing else, so that its memory does not grow
with the files of a corpus.

What always holds:

- A file is removed for a near duplicate in its own language only: the same program in two languages is no loss to
  either, but its two texts form one family and are never divided by the split.
- Decisions depend on rows and settings alone: ties are settled by content and identity, never by partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.dedup import Edge, survivors
from pipelines.near import components
from quality.splits import BY_FAMILY, BY_REPOSITORY, LONER, LONER_DIGITS, Cell, Key, Levels, Split, assign

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

FILE_BYTES = 64 << 20
"""Source bytes in one file of `documents/`: a reader's unit of work."""

RELATION_SCHEMA = pa.schema(
    [
        pa.field("preference", pa.binary()),
        pa.field("removed_for", pa.binary()),  # null for what stays
        pa.field("similarity", pa.float64()),  # to what it is removed for
        pa.field("leads", pa.bool_()),  # whether something is removed for it
        pa.field("family", pa.binary()),  # the preferred document that stays in its family
        pa.field("shared", pa.bool_()),  # whether other documents of the family stay
    ]
)


def id_of(preference: Column) -> Column:
    """Return the document id (32 hex digits) that a preference ends with."""
    from pyspark.sql import functions as f

    return f.lower(f.hex(f.substring(preference, -16, 16)))


def marked_exact(files: DataFrame) -> DataFrame:
    """Add `exact_of` and `copies`: which file survives for an exact duplicate, and how many have the text.

    `exact_of` is a preference, null for what survives. Two files are exact duplicates where their normalised texts
    (`quality.filters.normalised_hash`) are the same.

    Args:
        files: Files that are kept so far: `text_hash`, `preference`.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    same = Window.partitionBy("text_hash")
    first = f.min("preference").over(same)
    return files.withColumn("copies", f.count("*").over(same)).withColumn(
        "exact_of", f.when(first != f.col("preference"), first)
    )


def relations(edges: pa.Table) -> pa.Table:
    """Return what near duplicates make of each other (`RELATION_SCHEMA`): a row a file that has any.

    Args:
        edges: Verified near duplicates (`pipelines.near.EDGE_SCHEMA`).
    """
    preferences: Any = pc.unique(pa.concat_arrays([c for name in ("better", "worse") for c in edges[name].chunks]))
    preferences = preferences.take(pc.sort_indices(preferences))
    left, right = (np.asarray(pc.index_in(edges[name], preferences), np.int64) for name in ("better", "worse"))
    own = pc.equal(edges["better_language"], edges["worse_language"]).to_numpy()
    similarity = edges["similarity"].to_numpy()
    links = [Edge(int(left[at]), int(right[at]), float(similarity[at])) for at in np.flatnonzero(own)]
    removed = survivors(range(len(preferences)), links)
    label = components(left, right, len(preferences))
    stays = np.array([at not in removed for at in range(len(preferences))], np.bool_)
    # Files are numbered by preference, so the first that stays is the family's head; the best of all always stays.
    head = np.full(len(preferences), len(preferences), np.int64)
    np.minimum.at(head, label[stays], np.flatnonzero(stays))
    shared = np.bincount(label[stays], minlength=len(preferences)) > 1
    leads = {survivor for survivor, _ in removed.values()}
    return pa.table(
        [
            preferences,
            pa.array([preferences[removed[at][0]].as_py() if at in removed else None for at in range(len(stays))]),
            pa.array([removed[at][1] if at in removed else None for at in range(len(stays))], pa.float64()),
            pa.array([at in leads for at in range(len(stays))]),
            preferences.take(pa.array(head[label])),
            pa.array(shared[label]),
        ],
        schema=RELATION_SCHEMA,
    )


@dataclass(frozen=True)
class Decided:
    """What was decided; DataFrames, not computed yet.

    Args:
        documents: The files that stay: `id`, `cluster`, `split`, `part`, and `language`, `length`, `repo_name`.
        clusters: Rows of `CLUSTER_SCHEMA`.
        rejects: Rows of `REJECT_SCHEMA` for what is removed as a duplicate.
        unit: The unit of splits by language.
    """

    documents: DataFrame
    clusters: DataFrame
    rejects: DataFrame
    unit: dict[str, str]


def decide(files: DataFrame, edges: pa.Table, share: float, seed: int, scratch: Path) -> Decided:
    """Decide on the files that no filter rejected.

    Args:
        files: A row a file with the columns that `marked_exact` leaves and `language`, `repo_name`, `path`, `length`.
        edges: Near duplicates among those that are no exact duplicates.
        share: Of each language's bytes, held out.
        seed: Chooses what is held out.
        scratch: An existing folder that the driver and the executors can use.
    """
    from pyspark.sql import functions as f

    spark = files.sparkSession
    related = scratch / "relations.parquet"
    pq.write_table(relations(edges) if edges.num_rows else RELATION_SCHEMA.empty_table(), related)
    relation = spark.read.parquet(str(related))
    unique = files.where("exact_of is null").join(relation, "preference", "left")
    kept = (
        unique.where("removed_for is null")
        .withColumn("shared", f.coalesce("shared", f.lit(False)))
        .withColumn("family", f.coalesce("family", "preference"))
    )
    split, sides = _sides(kept, share, seed)
    sides_table = scratch / "sides.parquet"
    pq.write_table(sides, sides_table)
    placed = kept.select("*", *_key(split.levels)).join(spark.read.parquet(str(sides_table)), _KEY)
    return Decided(
        _parts(placed, scratch),
        _clusters(files, relation),
        _rejects(files, relation),
        split.unit,
    )


# --- Splits -----------------------------------------------------------------------------------------------------------

_KEY = ["key_language", "key_repo", "key_folder", "key_family"]


def _key(levels: Levels) -> list[Column]:
    """Return the columns of `quality.splits.key_of`, computed by Spark."""
    from pyspark.sql import functions as f

    def at(*which: int) -> Column:
        return f.col("language").isin([language for language, level in levels.items() if level in which])

    deep = at(*range(BY_REPOSITORY + 1, BY_FAMILY))
    folder = f.when(deep, f.expr("left(path, length(path) - length(substring_index(path, '/', -1)))")).otherwise("")
    loner = f.concat(f.lit(LONER), f.substring(id_of(f.col("preference")), 1, LONER_DIGITS))
    family = f.when(f.col("shared"), id_of(f.col("family"))).otherwise(f.when(at(BY_FAMILY), loner).otherwise(""))
    columns = (f.col("language"), f.col("repo_name"), folder, family)
    return [column.alias(name) for column, name in zip(columns, _KEY, strict=True)]


def _sides(kept: DataFrame, share: float, seed: int) -> tuple[Split, pa.Table]:
    from pyspark.sql import functions as f

    languages = [row["language"] for row in kept.select("language").distinct().collect()]

    def cells_at(levels: Levels) -> Sequence[Cell]:
        sizes = kept.select("length", *_key(levels)).groupBy(*_KEY).agg(f.sum("length").alias("bytes"))
        columns = sizes.toArrow().to_pydict()
        keys = zip(*(columns[name] for name in _KEY), strict=True)
        return [Cell(Key(*key), size) for key, size in zip(keys, columns["bytes"], strict=True)]

    split = assign(cells_at, languages, share, seed)
    keys = sorted(split.side)
    parts = zip(*((key.language, key.repo_name, key.folder, key.family) for key in keys), strict=True)
    columns = [pa.array(part, pa.string()) for part in parts]
    return split, pa.table([*columns, pa.array([split.side[key] for key in keys])], names=[*_KEY, "split"])


def _parts(placed: DataFrame, scratch: Path) -> DataFrame:
    """Number the output file of each document by what lies before it, so that no partitioning moves a boundary."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    folder = ["language", "split", "repo_name"]
    before: Counter[tuple[str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    sizes = placed.groupBy(*folder).agg(f.sum("length").alias("bytes")).toArrow().to_pylist()
    for row in sorted(sizes, key=lambda row: row["repo_name"].encode()):
        place = (row["language"], row["split"])
        rows.append({name: row[name] for name in folder} | {"before": before[place]})
        before[place] += row["bytes"]
    offsets = scratch / "offsets.parquet"
    schema = pa.schema([*((name, pa.string()) for name in folder), ("before", pa.int64())])
    pq.write_table(pa.Table.from_pylist(rows, schema), offsets)
    within = Window.partitionBy(*folder).orderBy("path", "preference").rowsBetween(Window.unboundedPreceding, -1)
    earlier = f.coalesce(f.sum("length").over(within), f.lit(0))
    return (
        placed.join(placed.sparkSession.read.parquet(str(offsets)), folder)
        .withColumn("part", f.floor((f.col("before") + earlier) / FILE_BYTES))
        .select(
            id_of(f.col("preference")).alias("id"),
            id_of(f.col("family")).alias("cluster"),
            "split",
            "part",
            "language",
            "repo_name",
            "length",
        )
    )


# --- Duplicates as data -----------------------------------------------------------------------------------------------


def _survivor(files: DataFrame, relation: DataFrame) -> DataFrame:
    """Add what became of each file, or of the file that it is an exact copy of."""
    from pyspark.sql import functions as f

    return files.withColumn("own", f.coalesce("exact_of", "preference")).join(
        relation.withColumnRenamed("preference", "own"), "own", "left"
    )


def _same() -> Column:
    """Return `same_bytes` or `same_text`: bytes 18 to 38 of a preference are the content's hash."""
    from pyspark.sql import functions as f

    same = f.substring("exact_of", 19, 20) == f.substring("preference", 19, 20)
    return f.when(same, "same_bytes").otherwise("same_text")


def _clusters(files: DataFrame, relation: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    known = _survivor(files, relation)
    survivor = f.coalesce("removed_for", "own")
    leads = f.coalesce("leads", f.lit(False)) | (f.col("copies") > 1)
    reason = (
        f.when(f.col("exact_of").isNotNull(), _same())
        .when(f.col("removed_for").isNotNull(), "near")
        .when(leads, "survivor")
        .otherwise("unique")
    )
    return known.select(
        id_of(f.col("preference")).alias("id"),
        id_of(survivor).alias("cluster"),
        (survivor == f.col("preference")).alias("kept"),
        f.coalesce("similarity", f.lit(1.0)).alias("similarity"),
        reason.alias("reason"),
    )


def _rejects(files: DataFrame, relation: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    known = _survivor(files, relation).where("exact_of is not null or removed_for is not null")
    exact = f.col("exact_of").isNotNull()
    near = f.concat(f.format_string("%.3f ", f.col("similarity")), id_of(f.col("removed_for")))
    return known.select(
        id_of(f.col("preference")).alias("id"),
        "repo_name",
        "path",
        "language",
        "length",
        f.when(exact, "exact").otherwise("near").alias("stage"),
        f.when(exact, _same()).otherwise("near").alias("reason"),
        f.when(exact, id_of(f.col("exact_of"))).otherwise(near).alias("detail"),
    )
