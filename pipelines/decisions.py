"""Who survives, which families there are, what is held out, and which output file a document goes into.

Start at `decide`. Everything that has a row a file stays in Spark. The driver sees near duplicates (one row a verified
pair), repositories or folders (one row a cell of `quality.splits`), and nothing else, so that its memory does not grow
with the files of a corpus.

What always holds:

- A file is removed for a near duplicate in its own language only: the same program in two languages is no loss to
  either, but its two texts form one family and are never divided by the split. The very same text stays once, whatever
  language its names say.
- Decisions depend on rows and settings alone: ties are settled by content and identity, never by partition.
- Nothing that an earlier corpus holds changes: what is near to it is removed, or takes its cluster and its side. A
  family that ties both sides of earlier corpora together gets no new document: it would stand on a wrong side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.corpus_settings import CorpusSettings
from pipelines.dedup import Edge, survivors
from pipelines.earlier import Earlier, folder_of
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
        # Only where the family holds documents of an earlier corpus:
        pa.field("old_cluster", pa.string()),  # what the preferred of them has as its cluster
        pa.field("old_split", pa.string()),  # on which side they stand
        pa.field("torn", pa.bool_()),  # whether they stand on both, so that this new file is left out
    ]
)


def id_of(preference: Column) -> Column:
    """Return the document id (32 hex digits) that a preference ends with."""
    from pyspark.sql import functions as f

    return f.lower(f.hex(f.substring(preference, -16, 16)))


def marked_exact(files: DataFrame) -> DataFrame:
    """Add `exact_of` and `copies`: which file survives for an exact duplicate, and how many have the text.

    `exact_of` is a preference, null for what survives. Two files are exact duplicates where their normalised texts
    (`quality.text_hash.normalised_hash`) are the same.

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


def relations(edges: pa.Table, places: pa.Table | None = None) -> pa.Table:
    """Return what near duplicates make of each other (`RELATION_SCHEMA`): a row a file that has any.

    Args:
        edges: Verified near duplicates (`pipelines.near.EDGE_SCHEMA`).
        places: Where those among them stand that earlier corpora hold (`pipelines.earlier.PLACE_SCHEMA`). They are
            preferred to all others, and no edge has one as its worse.
    """
    if not edges.num_rows:
        return RELATION_SCHEMA.empty_table()
    preferences: Any = pc.unique(pa.concat_arrays([c for name in ("better", "worse") for c in edges[name].chunks]))
    preferences = preferences.take(pc.sort_indices(preferences))
    number = len(preferences)
    left, right = (np.asarray(pc.index_in(edges[name], preferences), np.int64) for name in ("better", "worse"))
    own = pc.equal(edges["better_language"], edges["worse_language"]).to_numpy()
    similarity = edges["similarity"].to_numpy()
    links = [Edge(int(left[at]), int(right[at]), float(similarity[at])) for at in np.flatnonzero(own)]
    removed = survivors(range(number), links)
    label = components(left, right, number)
    stays = np.array([at not in removed for at in range(number)], np.bool_)
    # Files are numbered by preference, so the first that stays is the family's head; the best of all always stays.
    head = np.full(number, number, np.int64)
    np.minimum.at(head, label[stays], np.flatnonzero(stays))
    shared = np.bincount(label[stays], minlength=number) > 1
    leads = {survivor for survivor, _ in removed.values()}
    old, cluster, side = _old(preferences, label, places)
    survivor = np.array([removed[at][0] if at in removed else at for at in range(number)], np.int64)
    torn = (side == "both")[label] & ~old[survivor]
    return pa.table(
        [
            preferences,
            pa.array([preferences[removed[at][0]].as_py() if at in removed else None for at in range(number)]),
            pa.array([removed[at][1] if at in removed else None for at in range(number)], pa.float64()),
            pa.array([at in leads for at in range(number)]),
            preferences.take(pa.array(head[label])),
            pa.array(shared[label]),
            pa.array(cluster[label].tolist(), pa.string()),
            pa.array(side[label].tolist(), pa.string()),
            pa.array(torn),
        ],
        schema=RELATION_SCHEMA,
    )


def _old(preferences: Any, label: Any, places: pa.Table | None) -> tuple[Any, Any, Any]:
    """Return which files are old and, by the label of families, their old cluster and side (None, or `both`)."""
    old = np.zeros(len(preferences), np.bool_)
    cluster, side = (np.full(len(preferences), None, np.object_) for _ in range(2))
    rows = [] if places is None else places.to_pylist()
    number = {preference: at for at, preference in enumerate(preferences.to_pylist())} if rows else {}
    for row in sorted(rows, key=lambda row: tuple(row.values())):
        at = number[row["preference"]]
        family = label[at]
        old[at] = True
        cluster[family] = cluster[family] or row["cluster"]
        side[family] = row["split"] if side[family] in (None, row["split"]) else "both"
    return old, cluster, side


@dataclass(frozen=True)
class Decided:
    """What was decided; DataFrames, not computed yet.

    Args:
        documents: The files that stay: `id`, `cluster`, `split`, `part`, and `language`, `length`, `repo_name`.
        clusters: Rows of `CLUSTER_SCHEMA`.
        rejects: Rows of `REJECT_SCHEMA` for what is removed as a duplicate.
        unit: The unit of splits by language.
        numbers: How many documents each language has on each side.
        repositories: In how many repositories each language has documents.
    """

    documents: DataFrame
    clusters: DataFrame
    rejects: DataFrame
    unit: dict[str, str]
    numbers: dict[tuple[str, str], int]
    repositories: dict[str, int]


def decide(
    files: DataFrame,
    edges: pa.Table,
    settings: CorpusSettings,
    scratch: Path,
    *,
    repositories: DataFrame | None = None,
    earlier: Earlier | None = None,
) -> Decided:
    """Decide on the files that no filter rejected.

    Args:
        files: A row a file: `preference`, `language`, `repo_name`, `path`, `length`, and the columns that
            `marked_exact` leaves where files are what is compared.
        edges: Near duplicates among those that are no exact duplicates.
        settings: Languages, share and seed of the split.
        scratch: An existing folder that the driver and the executors can use.
        repositories: What is compared in place of files: a row a repository with the columns that `marked_exact`
            leaves, `preference` and `repo_name`.
        earlier: Corpora that this one adds to; not with `repositories`.
    """
    from pyspark.sql import functions as f

    spark = files.sparkSession
    places = None if earlier is None else earlier.places(spark, edges, scratch)
    related = scratch / "relations.parquet"
    pq.write_table(relations(edges, places), related)
    relation = spark.read.parquet(str(related))
    compared = files if repositories is None else repositories
    stays = (
        compared.where("exact_of is null")
        .join(relation, "preference", "left")
        .where("removed_for is null and not coalesce(torn, false)")
        .withColumn("shared", f.coalesce("shared", f.lit(False)))
        .withColumn("family", f.coalesce("family", "preference"))
    )
    if repositories is not None:
        stays = files.join(stays.select("repo_name", "family", "shared", "old_cluster", "old_split"), "repo_name")
    placed, unit = _placed(stays, settings, scratch, earlier)
    sizes = _sizes(placed)
    rows = cluster_rows(compared, relation)
    return Decided(
        _parts(placed, sizes, scratch),
        rows if repositories is None else _named(rows, repositories),
        _rejects(compared, relation) if repositories is None else _rejected_files(files, repositories, relation),
        unit,
        _summed(sizes),
        dict(Counter(language for language, _ in {(row["language"], row["repo_name"]) for row in sizes})),
    )


# --- Splits -----------------------------------------------------------------------------------------------------------

_KEY = ["key_language", "key_repo", "key_folder", "key_family"]
_SIDES = pa.schema([(name, pa.string()) for name in (*_KEY, "split")])
AS_BEFORE = "as before"
"""The unit of a language whose new documents all go where an earlier corpus has their repository or family."""


def _key(levels: Levels) -> list[Column]:
    """Return the columns of `quality.splits.key_of`, computed by Spark."""
    from pyspark.sql import functions as f

    def at(*which: int) -> Column:
        return f.col("language").isin([language for language, level in levels.items() if level in which])

    folder = f.when(at(*range(BY_REPOSITORY + 1, BY_FAMILY)), folder_of("path")).otherwise("")
    loner = f.concat(f.lit(LONER), f.substring(id_of(f.col("preference")), 1, LONER_DIGITS))
    family = f.when(f.col("shared"), id_of(f.col("family"))).otherwise(f.when(at(BY_FAMILY), loner).otherwise(""))
    columns = (f.col("language"), f.col("repo_name"), folder, family)
    return [column.alias(name) for column, name in zip(columns, _KEY, strict=True)]


def _placed(
    stays: DataFrame, settings: CorpusSettings, scratch: Path, earlier: Earlier | None
) -> tuple[DataFrame, dict[str, str]]:
    """Add `split` to what stays; return also the unit of splits by language."""
    free = stays
    if earlier is not None:
        stays = _pinned(stays, earlier, scratch)
        free = stays.where("pin is null")
    split, sides = _sides(free, settings)
    table = scratch / "sides.parquet"
    pq.write_table(sides, table)
    placed = free.select("*", *_key(split.levels)).join(stays.sparkSession.read.parquet(str(table)), _KEY)
    if earlier is None:
        return placed, split.unit
    divided = {key.language for key in split.side}
    unit = {language: unit if language in divided else AS_BEFORE for language, unit in split.unit.items()}
    pinned = stays.where("pin is not null").selectExpr("*", "pin as split")
    return placed.drop(*_KEY).unionByName(pinned), unit


def _pinned(stays: DataFrame, earlier: Earlier, scratch: Path) -> DataFrame:
    """Add `pin`, the side where a file must stand: with its family first, then with its repository."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    # Of a family whose repositories stand on both sides, all goes into training.
    of_family = f.min("pin").over(Window.partitionBy("family"))
    pinned = earlier.pinned(stays).withColumn("pin", f.coalesce("old_split", of_family))
    pinned.write.parquet(str(scratch / "pinned"))
    return stays.sparkSession.read.parquet(str(scratch / "pinned"))


def _sides(free: DataFrame, settings: CorpusSettings) -> tuple[Split, pa.Table]:
    from pyspark.sql import functions as f

    def cells_at(levels: Levels) -> Sequence[Cell]:
        sizes = free.select("length", *_key(levels)).groupBy(*_KEY).agg(f.sum("length").alias("bytes"))
        columns = sizes.toArrow().to_pydict()
        keys = zip(*(columns[name] for name in _KEY), strict=True)
        return [Cell(Key(*key), size) for key, size in zip(keys, columns["bytes"], strict=True)]

    split = assign(cells_at, settings.languages, settings.validation_share, settings.seed)
    rows = [
        dict(zip(_SIDES.names, (key.language, key.repo_name, key.folder, key.family, split.side[key]), strict=True))
        for key in sorted(split.side)
    ]
    return split, pa.Table.from_pylist(rows, _SIDES)


_PLACE = ["language", "split", "repo_name"]


def _sizes(placed: DataFrame) -> list[dict[str, Any]]:
    """Return how many documents and bytes each repository has in each language, on each side."""
    from pyspark.sql import functions as f

    sizes = placed.groupBy(*_PLACE).agg(f.sum("length").alias("bytes"), f.count("*").alias("documents"))
    return sizes.toArrow().to_pylist()


def _summed(sizes: Sequence[dict[str, Any]]) -> dict[tuple[str, str], int]:
    numbers: Counter[tuple[str, str]] = Counter()
    for row in sizes:
        numbers[row["language"], row["split"]] += row["documents"]
    return dict(numbers)


def _parts(placed: DataFrame, sizes: Sequence[dict[str, Any]], scratch: Path) -> DataFrame:
    """Number the output file of each document by what lies before it, so that no partitioning moves a boundary."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    before: Counter[tuple[str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    for row in sorted(sizes, key=lambda row: row["repo_name"].encode()):
        place = (row["language"], row["split"])
        rows.append({name: row[name] for name in _PLACE} | {"before": before[place]})
        before[place] += row["bytes"]
    offsets = scratch / "offsets.parquet"
    schema = pa.schema([*((name, pa.string()) for name in _PLACE), ("before", pa.int64())])
    pq.write_table(pa.Table.from_pylist(rows, schema), offsets)
    within = Window.partitionBy(*_PLACE).orderBy("path", "preference").rowsBetween(Window.unboundedPreceding, -1)
    earlier = f.coalesce(f.sum("length").over(within), f.lit(0))
    own = id_of(f.when(f.col("shared"), f.col("family")).otherwise(f.col("preference")))
    return (
        placed.join(placed.sparkSession.read.parquet(str(offsets)), _PLACE)
        .withColumn("part", f.floor((f.col("before") + earlier) / FILE_BYTES))
        .select(
            id_of(f.col("preference")).alias("id"),
            f.coalesce("old_cluster", own).alias("cluster"),
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


CONTENT = (-36, 20)
"""Where the content's hash stands in a preference of `pipelines.inspection`: before the id that it ends with."""


def _same(content: tuple[int, int] = CONTENT) -> Column:
    """Return `same_bytes` or `same_text`."""
    from pyspark.sql import functions as f

    same = f.substring("exact_of", *content) == f.substring("preference", *content)
    return f.when(same, "same_bytes").otherwise("same_text")


def cluster_rows(
    files: DataFrame,
    relation: DataFrame,
    name: Callable[[Column], Column] = id_of,
    content: tuple[int, int] = CONTENT,
) -> DataFrame:
    """Return what became of each file: `id, cluster, kept, similarity, reason`.

    Args:
        files: A row a file with the columns that `marked_exact` leaves.
        relation: Rows of `RELATION_SCHEMA`.
        name: What a preference is called by.
        content: Where a preference holds the content's hash, and its bytes.
    """
    from pyspark.sql import functions as f

    known = _survivor(files, relation).where("not coalesce(torn, false)")
    survivor = f.coalesce("removed_for", "own")
    leads = f.coalesce("leads", f.lit(False)) | (f.col("copies") > 1)
    reason = (
        f.when(f.col("exact_of").isNotNull(), _same(content))
        .when(f.col("removed_for").isNotNull(), "near")
        .when(leads, "survivor")
        .otherwise("unique")
    )
    return known.select(
        name(f.col("preference")).alias("id"),
        name(survivor).alias("cluster"),
        (survivor == f.col("preference")).alias("kept"),
        f.coalesce("similarity", f.lit(1.0)).alias("similarity"),
        reason.alias("reason"),
    )


def _removed(files: DataFrame, relation: DataFrame) -> DataFrame:
    """Return what does not stay, with `stage`, `reason`, `similarity` and `survivor` (an id; null for `torn`)."""
    from pyspark.sql import functions as f

    torn = f.coalesce("torn", f.lit(False))
    exact = f.col("exact_of").isNotNull()
    survivor = f.when(torn, None).otherwise(id_of(f.coalesce("exact_of", "removed_for")))
    return (
        _survivor(files, relation)
        .where(torn | exact | f.col("removed_for").isNotNull())
        .withColumn("stage", f.when(torn, "split").when(exact, "exact").otherwise("near"))
        .withColumn("reason", f.when(torn, "both_sides").when(exact, _same()).otherwise("near"))
        .withColumn("survivor", survivor)
    )


def _detail() -> Column:
    from pyspark.sql import functions as f

    near = f.concat(f.format_string("%.3f ", f.col("similarity")), f.col("survivor"))
    torn = f.concat(f.lit("near to both sides of what is there: "), id_of(f.col("family")), f.lit(" and others"))
    stage = f.col("stage")
    return f.when(stage == "split", torn).when(stage == "exact", f.col("survivor")).otherwise(near).alias("detail")


_REJECTED = ["repo_name", "path", "language", "length", "stage", "reason"]


def _rejects(files: DataFrame, relation: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    return _removed(files, relation).select(id_of(f.col("preference")).alias("id"), *_REJECTED, _detail())


# --- Repositories as data ---------------------------------------------------------------------------------------------


def _names(repositories: DataFrame, number: str, name: str) -> DataFrame:
    from pyspark.sql import functions as f

    return repositories.select(id_of(f.col("preference")).alias(number), f.col("repo_name").alias(name))


def _named(clusters: DataFrame, repositories: DataFrame) -> DataFrame:
    """Return clusters of repositories by name."""
    rows = clusters.join(_names(repositories, "id", "name"), "id")
    rows = rows.join(_names(repositories, "cluster", "survivor"), "cluster")
    return rows.selectExpr("name as id", "survivor as cluster", "kept", "similarity", "reason")


def _rejected_files(files: DataFrame, repositories: DataFrame, relation: DataFrame) -> DataFrame:
    """Return the files of the repositories that do not stay."""
    from pyspark.sql import functions as f

    removed = _removed(repositories, relation).withColumnRenamed("survivor", "number")
    removed = removed.join(_names(repositories, "number", "survivor"), "number")
    verdict = removed.select("repo_name", "stage", "reason", "similarity", "family", "survivor")
    return files.join(verdict, "repo_name").select(id_of(f.col("preference")).alias("id"), *_REJECTED, _detail())
