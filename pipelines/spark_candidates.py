"""The search of `parallel_mining.candidates` for units that one machine does not hold: the same candidates, on Spark.

Start at `spark_candidates`: a table of `SEARCH_SCHEMA` (`search_row` makes a row of a unit) to one of `FOUND_SCHEMA`.

What always holds: the rows are those that the in-process search finds, whatever the partitions are. Weights are whole
numbers made by the same function, so no sum depends on its order. Words in too many units are dropped by the same
rule, so no group of a join is larger than a fortieth of the units; the driver holds the number of units only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from parallel_mining.candidates import kept_words, least_total, score_of, suits, weigh

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FOUND_SCHEMA = pa.schema(
    [
        pa.field("left_id", pa.string(), nullable=False),
        pa.field("right_id", pa.string(), nullable=False),
        pa.field("left_language", pa.string(), nullable=False),
        pa.field("right_language", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
    ]
)

_WEIGHED = pa.schema([("unit_id", pa.string()), ("word", pa.string()), ("weight", pa.int64())])
_IDF = pa.schema([("word", pa.string()), ("idf", pa.float64())])


def spark_candidates(
    units: DataFrame,
    pivot: str,
    *,
    per_unit: int = 20,
    min_score: float = 0.25,
    min_mutual_score: float = 0.1,
    through_pivot: bool = True,
) -> DataFrame:
    """Return the candidates between the pivot language and every other language.

    Args:
        units: Rows of `SEARCH_SCHEMA`; read several times, so a table that was written, or one that is cached.
        pivot: The language id that every pair has on its left.
        per_unit: How many candidates a pivot unit may have in a language, and another unit in the pivot.
        min_score: Cosine below which units are not even tried,
        min_mutual_score: unless each is the most similar one to the other, and this similar.
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
    distinct = units.withColumn("place", f.row_number().over(best)).where("place = 1").drop("place")
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
    vectors = weighed.join(known.select("unit_id", "language"), "unit_id")
    left = vectors.toDF("left_id", "word", "left_weight", "left_language")
    right = vectors.toDF("right_id", "word", "right_weight", "right_language")
    if through_pivot:
        left, right = left.where(f.col("left_language") == pivot), right.where(f.col("right_language") != pivot)
    met = left.join(right, "word")
    if not through_pivot:
        other = f.col("right_language") != pivot
        met = met.where(
            other & ((f.col("left_language") == pivot) | (f.col("left_language") < f.col("right_language")))
        )
    scored = met.groupBy("left_id", "right_id").agg(f.sum(f.col("left_weight") * f.col("right_weight")).alias("total"))
    scored = scored.where(f.col("total") >= least_total(min(min_mutual_score, min_score)))
    named = scored.join(known.toDF("left_id", "left_language", "left_signature"), "left_id")
    named = named.join(known.toDF("right_id", "right_language", "right_signature"), "right_id")
    fits = named.mapInArrow(_suiting, named.schema)
    score = f.desc("total")
    proposed = Window.partitionBy("left_id", "right_language").orderBy(score, "right_id")
    kept = Window.partitionBy("right_id", "left_language").orderBy(score, "left_id")
    for name, window in (("proposed", proposed), ("kept", kept)):
        fits = fits.withColumn(name, f.row_number().over(window)).where(f.col(name) <= per_unit)
    mutual = (f.col("proposed") == 1) & (f.col("kept") == 1)
    fits = fits.where((f.col("total") >= least_total(min_score)) | mutual)
    found = fits.select("left_id", "right_id", "left_language", "right_language", "total")
    return found.mapInArrow(_with_score, spark_schema(FOUND_SCHEMA))


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


__all__ = ["FOUND_SCHEMA", "spark_candidates"]
