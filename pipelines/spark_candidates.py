"""The search of `parallel_mining.candidates` on Spark: the same candidates, in all channels.

Start at `spark_candidates`: a table of `SEARCH_SCHEMA` (`search_row` makes a row of a unit) to one of `FOUND_SCHEMA`.
`search_by_spark` does it for the units that `polymix mine --engine spark` has cut.

What always holds: the rows are those that the in-process search finds, whatever the partitions are. Weights are whole
numbers made by the same function, so no sum depends on its order. Words in too many units are dropped by the same
rule, so no group of a join is larger than a fortieth of the units, and keys of the other channels by
`parallel_mining.channels`; in `spark_candidates` the driver holds the number of units only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from parallel_mining.candidates import (
    SEARCH_SCHEMA,
    Candidate,
    in_order,
    kept_words,
    language_pairs,
    least_total,
    score_of,
    search_row,
    suits,
    weigh,
)
from parallel_mining.channels import CHANNELS, INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame, SparkSession

    from parallel_mining.mine import MiningSettings
    from parallel_mining.units import Unit

FOUND_SCHEMA = pa.schema(
    [
        pa.field("left_id", pa.string(), nullable=False),
        pa.field("right_id", pa.string(), nullable=False),
        pa.field("left_language", pa.string(), nullable=False),
        pa.field("right_language", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
    ]
)

_ROWS_OF_A_GROUP = 1000
"""Units in one row group of the table that Spark reads, so that many tasks can share it."""

_WEIGHED = pa.schema([("unit_id", pa.string()), ("word", pa.string()), ("weight", pa.int64())])
_IDF = pa.schema([("word", pa.string()), ("idf", pa.float64())])


def search_by_spark(
    units: Sequence[Unit],
    settings: MiningSettings,
    scratch: Path,
    *,
    master: str = "local[*]",
    memory: str = "2g",
    spark: SparkSession | None = None,
) -> list[Candidate]:
    """Search for candidates on Spark as `parallel_mining.mine.search_here` does in this process.

    Args:
        units: The units of a corpus; cut here, and so held here.
        settings: What is looked for.
        scratch: An existing folder for tables and temporary files, which the workers of a cluster see too.
        master: Where Spark runs, when it is started here.
        memory: The heap of Spark's driver and of each executor.
        spark: The caller's session; one is started and stopped when None.

    Returns:
        The same candidates in the same order.
    """
    from pipelines.spark import session, watched

    table = scratch / "units.parquet"
    rows = pa.Table.from_pylist([search_row(unit) for unit in units], SEARCH_SCHEMA)
    pq.write_table(rows, table, row_group_size=_ROWS_OF_A_GROUP)
    with ExitStack() as stack:
        spark = spark or stack.enter_context(session(scratch, master=master, memory=memory))
        with watched(spark, "candidates"):
            found = spark_candidates(
                spark.read.parquet(str(table)),
                settings.pivot,
                scratch,
                per_unit=settings.candidates_per_unit,
                min_score=settings.min_score,
                min_mutual_score=settings.min_mutual_score,
                per_channel=settings.candidates_per_channel,
                through_pivot=settings.through_pivot,
            ).toArrow()
    by_id = {unit.unit_id: unit for unit in units}
    between: dict[tuple[str, str], list[Candidate]] = {}
    for row in found.to_pylist():
        candidate = Candidate(by_id[row["left_id"]], by_id[row["right_id"]], row["score"], row["channel"])
        between.setdefault((row["left_language"], row["right_language"]), []).append(candidate)
    order = language_pairs({unit.language for unit in units}, settings.pivot, through_pivot=settings.through_pivot)
    return [candidate for pair in order for candidate in in_order(between.get(pair, ()))]


def spark_candidates(
    units: DataFrame,
    pivot: str,
    scratch: Path | str,
    *,
    per_unit: int = 20,
    min_score: float = 0.25,
    min_mutual_score: float = 0.1,
    per_channel: int = 3,
    through_pivot: bool = True,
) -> DataFrame:
    """Return the candidates between the pivot language and every other language.

    Args:
        units: Rows of `SEARCH_SCHEMA`; read several times, so a table that was written, or one that is cached.
        pivot: The language id that every pair has on its left.
        scratch: A folder, or a place that Spark can write to, for tables that are read more than once.
        per_unit: How many candidates a pivot unit may have in a language, and another unit in the pivot.
        min_score: Cosine below which units are not even tried,
        min_mutual_score: unless each is the most similar one to the other, and this similar.
        per_channel: How many candidates each other channel may add to a unit, in each language.
        through_pivot: Compare with the pivot only; else every two languages with each other.

    Returns:
        Rows of `FOUND_SCHEMA`, in no order.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    from pipelines.corpus import spark_schema

    best = Window.partitionBy("language", "same").orderBy(
        "unlicensed", f.length("path"), "repo_name", "path", "unit_id"
    )
    first = units.withColumn("place", f.row_number().over(best)).where("place = 1")
    distinct = _kept(first.select("unit_id", "language", "signature", "words", "answers", "asks"), scratch, "units")
    total = distinct.count()

    def idf(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            kept = kept_words({row["word"]: row["units"] for row in batch.to_pylist()}, total)
            yield pa.RecordBatch.from_pydict({"word": list(kept), "idf": list(kept.values())}, _IDF)

    words = distinct.select("unit_id", f.explode("words").alias("word", "times"))
    rare = words.groupBy("word").agg(f.count("*").alias("units")).mapInArrow(idf, spark_schema(_IDF))
    own = words.join(rare, "word").groupBy("unit_id").agg(f.collect_list(f.struct("word", "times", "idf")).alias("all"))
    weighed = own.mapInArrow(_weighed, spark_schema(_WEIGHED))
    known = distinct.select("unit_id", "language", "signature")
    vectors = _kept(weighed.join(known.select("unit_id", "language"), "unit_id"), scratch, "vectors")
    left = vectors.toDF("left_id", "word", "left_weight", "left_language")
    right = vectors.toDF("right_id", "word", "right_weight", "right_language")
    met = _facing(left, right, "word", pivot, through_pivot)
    product = f.sum(f.col("left_weight") * f.col("right_weight")).alias("total")
    scored = met.groupBy("left_id", "right_id").agg(product)
    scored = scored.where(f.col("total") >= least_total(min(min_mutual_score, min_score)))
    fits = _callable_alike(scored, known)
    score = f.desc("total")
    proposed = Window.partitionBy("left_id", "right_language").orderBy(score, "right_id")
    kept = Window.partitionBy("right_id", "left_language").orderBy(score, "left_id")
    for name, window in (("proposed", proposed), ("kept", kept)):
        fits = fits.withColumn(name, f.row_number().over(window)).where(f.col(name) <= per_unit)
    mutual = (f.col("proposed") == 1) & (f.col("kept") == 1)
    fits = fits.where((f.col("total") >= least_total(min_score)) | mutual)
    ends = ["left_id", "right_id", "left_language", "right_language"]
    found = _kept(fits.select(*ends, "total"), scratch, "index").withColumn("channel", f.lit(INDEX))
    if per_channel:
        meetings = _kept(_callable_alike(_meetings(distinct, pivot, through_pivot), known), scratch, "meetings")
        weights = vectors.select("unit_id", "word", "weight")
        pairs = meetings.select("left_id", "right_id").distinct()
        sums = pairs.join(weights.toDF("left_id", "word", "left_weight"), "left_id")
        sums = sums.join(weights.toDF("right_id", "word", "right_weight"), ["right_id", "word"])
        totals = sums.groupBy("left_id", "right_id").agg(product)
        met_too = meetings.select(*ends, "channel", "keys").join(totals, ["left_id", "right_id"])
        chosen = _added(met_too, found, per_channel)
        tried = found.select("left_id", "right_id").union(chosen)
        labels = met_too.join(tried, ["left_id", "right_id"]).select(*found.columns)
        found = found.union(labels)
    names = f.array_join(f.array_sort(f.collect_set("channel")), "+").alias("channel")
    return found.groupBy(*ends, "total").agg(names).mapInArrow(_with_score, spark_schema(FOUND_SCHEMA))


def _kept(table: DataFrame, scratch: Path | str, name: str) -> DataFrame:
    """Write a table that is read more than once, so that it is not made again each time."""
    place = f"{scratch}/candidates-{name}"
    table.write.mode("overwrite").parquet(place)
    return table.sparkSession.read.parquet(place)


def _facing(left: DataFrame, right: DataFrame, on: str, pivot: str, through_pivot: bool) -> DataFrame:
    """Join units of two languages that are compared, `left_language` and `right_language`."""
    from pyspark.sql import functions as f

    if through_pivot:
        left, right = left.where(f.col("left_language") == pivot), right.where(f.col("right_language") != pivot)
        return left.join(right, on)
    other = f.col("right_language") != pivot
    return left.join(right, on).where(
        other & ((f.col("left_language") == pivot) | (f.col("left_language") < f.col("right_language")))
    )


def _callable_alike(pairs: DataFrame, known: DataFrame) -> DataFrame:
    """Add languages and signatures of `left_id` and `right_id`, and keep those that can be called alike."""
    named = pairs.join(known.toDF("left_id", "left_language", "left_signature"), "left_id")
    named = named.join(known.toDF("right_id", "right_language", "right_signature"), "right_id")
    return named.mapInArrow(_suiting, named.schema)


def _meetings(distinct: DataFrame, pivot: str, through_pivot: bool) -> DataFrame:
    """Return which units meet in which channel, and over how many keys; see `parallel_mining.channels.meetings`."""
    from pyspark.sql import functions as f

    def limit(name: str) -> Column:
        return f.create_map(*(f.lit(x) for own, c in CHANNELS.items() for x in (own, getattr(c, name))))[channel]

    channel = f.substring_index("key", ":", 1)

    def holders(column: str, side: str) -> DataFrame:
        keys = distinct.select("unit_id", "language", f.explode(column).alias("key"))
        few = keys.groupBy("language", "key").count().where(f.col("count") <= limit("most_units"))
        return keys.join(few.drop("count"), ["language", "key"]).toDF(f"{side}_language", "key", f"{side}_id")

    asked = _facing(holders("asks", "left"), holders("answers", "right"), "key", pivot, through_pivot)
    answered = _facing(holders("answers", "left"), holders("asks", "right"), "key", pivot, through_pivot)
    met = asked.select("left_id", "right_id", "key").union(answered.select("left_id", "right_id", "key")).distinct()
    counted = met.groupBy("left_id", "right_id", channel.alias("channel")).agg(f.count("*").alias("keys"))
    return counted.withColumn("key", f.col("channel")).where(f.col("keys") >= limit("least_keys")).drop("key")


def _added(met: DataFrame, given: DataFrame, per_channel: int) -> DataFrame:
    """Return `left_id` and `right_id` of the pairs that channels add; see `parallel_mining.channels.added`."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    by_index = met.join(given.select("left_id", "right_id"), ["left_id", "right_id"], "left_semi")
    sides = (["left_id", "right_language", "channel"], ["right_id", "left_language", "channel"])
    for side in sides:
        met = met.join(by_index.select(*side).distinct(), side, "left_anti")
    for number, side in enumerate(sides):
        order = (f.desc("keys"), f.desc("total"), sides[1 - number][0])
        place = f.row_number().over(Window.partitionBy(*side).orderBy(*order))
        met = met.withColumn("place", place).where(f.col("place") <= per_channel).drop("place")
    return met.select("left_id", "right_id").distinct()


def _weighed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows: list[tuple[str, str, int]] = []
        for row in batch.to_pylist():
            times = {one["word"]: one["times"] for one in row["all"]}
            idf = {one["word"]: one["idf"] for one in row["all"]}
            rows += [(row["unit_id"], word, weight) for word, weight in weigh(times, idf).items()]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
        yield pa.RecordBatch.from_pydict(dict(zip(_WEIGHED.names, columns, strict=True)), _WEIGHED)


def _suiting(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    known = cache(suits)
    for batch in batches:
        pairs = zip(batch["left_signature"].to_pylist(), batch["right_signature"].to_pylist(), strict=True)
        yield batch.filter(pa.array([known(one, other) for one, other in pairs], pa.bool_()))


def _with_score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        scores = pa.array([score_of(row["total"]) for row in batch.select(["total"]).to_pylist()], pa.float64())
        columns = [batch[name] for name in FOUND_SCHEMA.names[:-1]]
        yield pa.RecordBatch.from_arrays([*columns, scores], schema=FOUND_SCHEMA)


__all__ = ["FOUND_SCHEMA", "search_by_spark", "spark_candidates"]
