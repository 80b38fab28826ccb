"""Sources to a corpus: what every file is, whether it is kept and why not, which are duplicates, what is held out.

Start at `build`. The steps take and return DataFrames of the caller's session: `inspected` (one file at a time:
`pipelines.inspection`), `pipelines.decisions.marked_exact`, `pipelines.near.near_edges`, `pipelines.decisions.decide`,
`written`. Files that are no table (rejects, clusters, signals) are sorted by Spark and written in one stream.

What always holds:

- Every file that was seen is a document or a row of `rejects.parquet` with stage, reason and detail.
- A corpus that adds to earlier ones (`against`) holds what they have no duplicate of, and changes nothing of them.
- The result depends on the sources' bytes and the settings: neither on partitions, cores or time, nor on the order of
  the sources (but for a file that two sources give with the same repository and path).
- What is published was read back and holds its contracts.
- Memory is bounded by the settings of Spark, whatever the input: nothing that has a row a file is held by the driver.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipelines.corpus_settings import CorpusSettings
from pipelines.decisions import Decided, decide, marked_exact
from pipelines.dedup import CLUSTER_SCHEMA, DEDUP_VERSION, checkable_clusters, cluster_contract
from pipelines.earlier import INDEX, INDEX_SCHEMA, Earlier, as_new, is_new, read_earlier
from pipelines.inspection import INSPECTED_SCHEMA, Inspection, inspect_batches
from pipelines.near import near_edges
from pipelines.repositories import units_of
from pipelines.sources import Source, SourceRead, read_sources
from pipelines.spark_tables import SparkTable, listed, stage_table, told_apart
from pipelines.staging import Staged, source_table, stage
from quality.artifacts import check_place, creating, fingerprint, make_folder, read_manifest, write_atomically
from quality.contracts import check_streams
from quality.documents import (
    CHECKABLE_SCHEMA,
    DOCUMENT_SCHEMA,
    READ_TO_CHECK,
    REJECT_SCHEMA,
    SIGNAL_FIELDS,
    SIGNAL_SCHEMA,
    STAGES,
    account_contract,
    checkable,
    document_contract,
    folder_contract,
    reject_contract,
)
from quality.mistakes import Mistakes, bad_input
from quality.progress import say
from quality.provenance import PROVENANCE_FIELDS
from quality.redaction import REDACTION_VERSION

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.window import WindowSpec

    from pipelines.streaming import Slurm

CORPUS_VERSION = 3
"""Goes up with any change that may change a corpus built from the same sources and settings; part of the identity."""

_STREAM_ROWS = 1 << 16
"""Rows in a row group of what is written in one stream, and in a table that a contract is checked on."""


def corpus_identity(
    reads: Sequence[SourceRead], tables: Sequence[SparkTable], settings: CorpusSettings, against: Sequence[str] = ()
) -> dict[str, Any]:
    """Return all that a corpus depends on; no paths.

    Args:
        reads: What the sources hold that are read here.
        tables: What those hold that Spark reads.
        settings: The settings.
        against: Fingerprints of the corpora that it adds to.
    """
    known = [(read.record, read.source, read.provenance.stated()) for read in reads]
    known += [(table.record, table.source, {}) for table in tables]
    return {
        "version": [CORPUS_VERSION, DEDUP_VERSION, REDACTION_VERSION],
        "sources": [
            {
                "name": record.name,
                "revision_id": record.revision_id,
                "sha256": record.sha256,
                "include": list(source.include),
                "exclude": list(source.exclude),
                "license": source.license,
                "licenses": list(record.licenses),
                "provenance": provenance,
            }
            for record, source, provenance in known
        ],
        "settings": settings.identity(),
        "against": list(against),
    }


# --- Steps ------------------------------------------------------------------------------------------------------------


def inspected(raw: DataFrame, inspection: Inspection) -> DataFrame:
    """Return a row of `INSPECTED_SCHEMA` for each file: what it is, and whether and why it is rejected.

    Args:
        raw: Rows of `pipelines.staging.RAW_SCHEMA`.
        inspection: What files are judged by.
    """
    return raw.mapInArrow(partial(inspect_batches, inspection=inspection), spark_schema(INSPECTED_SCHEMA))


def spark_schema(schema: pa.Schema) -> Any:
    """Return an Arrow schema as Spark's."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


_IN_FILE = pa.schema([field for field in DOCUMENT_SCHEMA if field.name not in ("language", "split")])


def _write_group(language: str, split: str, part: int, group: pa.Table, root: Path, index: Path) -> pa.Table:
    folder = root / f"language={language}" / f"split={split}"
    folder.mkdir(parents=True, exist_ok=True)
    table = group.sort_by([("repo_name", "ascending"), ("path", "ascending"), ("id", "ascending")])
    target = folder / f"part-{part:05d}.parquet"
    _write_whole(table.select(_IN_FILE.names).cast(_IN_FILE), target, row_group_size=2048)
    _write_whole(table.select(INDEX_SCHEMA.names).cast(INDEX_SCHEMA), index / f"{language}-{split}-{part:05d}.parquet")
    return pa.table({"path": [str(target.relative_to(root))], "rows": [table.num_rows]})


def _write_whole(table: pa.Table, target: Path, **more: Any) -> None:
    unfinished = target.with_name(f".{target.name}.partial")
    pq.write_table(table, unfinished, compression="zstd", **more)
    unfinished.replace(target)


def written(files: DataFrame, documents: DataFrame, root: Path, index: Path) -> DataFrame:
    """Write the documents as `language=L/split=S/part-N.parquet`, each file sorted and its content fixed by decisions.

    Args:
        files: Rows of `INSPECTED_SCHEMA`.
        documents: What `pipelines.decisions.decide` says of those that stay: `id`, `cluster`, `split`, `part`.
        root: The folder to write below; on a cluster, one that all machines see.
        index: An existing folder for the rows of the index, in as many files.

    Returns:
        `path` and `rows` of each written file.
    """
    names = [field.name for field in DOCUMENT_SCHEMA if field.name not in ("cluster", "split")]
    names += ["preference", "buckets"]
    decided = documents.select("id", "cluster", "split", "part")
    groups = files.select(names).join(decided, "id").groupBy("language", "split", "part")

    def write(group: pa.Table) -> pa.Table:
        language, split, part = (group[name][0].as_py() for name in ("language", "split", "part"))
        return _write_group(language, split, part, group, root, index)

    return groups.applyInArrow(write, "path string, rows long")


def stream(rows: DataFrame, order: Sequence[str], schema: pa.Schema, target: Path, scratch: Path) -> int:
    """Write rows as one Parquet file, sorted by Spark; the same bytes however many partitions there are.

    Args:
        rows: Columns of `schema`.
        order: Columns to sort by; together they name a row. Nulls come first.
        schema: Of the file.
        target: The file.
        scratch: A folder that does not exist yet.

    Returns:
        The number of rows.
    """
    rows.sort(*order).select(schema.names).write.parquet(str(scratch))
    parts = sorted(scratch.glob("part-*.parquet"))
    done = 0
    with pq.ParquetWriter(target, schema) as writer:
        for table in _tables(parts):
            writer.write_table(table.cast(schema))
            done += table.num_rows
        if not done:
            writer.write_table(schema.empty_table())
    shutil.rmtree(scratch)
    return done


def _tables(parts: Iterable[Path]) -> Iterator[pa.Table]:
    """Yield the rows of files as tables of `_STREAM_ROWS` rows, the last one of fewer."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=_STREAM_ROWS):
            held.append(batch)
            rows += batch.num_rows
            while rows >= _STREAM_ROWS:
                table = pa.Table.from_batches(held).combine_chunks()
                yield table.slice(0, _STREAM_ROWS)
                rest = table.slice(_STREAM_ROWS)
                held, rows = rest.to_batches(), rest.num_rows
    if rows:
        yield pa.Table.from_batches(held).combine_chunks()


# --- Checks on what was written ---------------------------------------------------------------------------------------


def _facts_of(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from checkable(pa.Table.from_batches([batch])).to_batches()


def facts(
    spark: SparkSession, root: Path, level: Literal["file", "repository"] = "file", earlier: Earlier | None = None
) -> DataFrame:
    """Return what the document contract asks of every document below a folder, computed from the files.

    What takes all documents (how many have an id, a content, a text; in how many splits a cluster stands) is counted
    here and written beside each row, so that a contract can be checked on any part of the rows.

    Args:
        spark: The session.
        root: The folder.
        level: What stays or goes as a whole.
        earlier: Corpora that the documents are added to; theirs are counted too.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    rows = spark.read.parquet(str(root)).select(*READ_TO_CHECK)
    found = rows.mapInArrow(_facts_of, spark_schema(CHECKABLE_SCHEMA)).withColumn("added", f.lit(True))
    if earlier is not None:
        there = earlier.index(spark).select("id", "text_hash", "cluster", "split")
        found = found.unionByName(there, allowMissingColumns=True)

    def over(column: str) -> WindowSpec:
        return Window.partitionBy(column)

    # One pass over the rows, in which each column is shuffled once.
    for column in ("id", "blob_id", "text_hash") if level == "file" else ("id",):
        found = found.withColumn(f"{column}_times", f.count("*").over(over(column)))
    if level == "repository":
        texts = f.array_sort(f.collect_set("text_hash").over(over("repo_name")))
        found = found.withColumn("texts", f.sha2(f.concat_ws("", texts), 256))
        found = found.withColumn("repository_times", f.size(f.collect_set("repo_name").over(over("texts")))).drop(
            "texts"
        )
    found = found.withColumn("cluster_splits", f.size(f.collect_set("split").over(over("cluster"))))
    return found.where("added").drop("added")


def _check(
    spark: SparkSession,
    out: Path,
    scratch: Path,
    settings: CorpusSettings,
    decided: Decided,
    earlier: Earlier | None,
    account: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Check what was written, and return its counts by language and split."""
    checked = scratch / "facts"
    facts(spark, out / "documents", settings.level, earlier).write.parquet(str(checked))
    parts = sorted(checked.glob("part-*.parquet"))
    documents: Counter[tuple[str, str]] = Counter()
    size: Counter[tuple[str, str]] = Counter()
    for table in _tables(parts):
        sums = table.group_by(["language", "split"]).aggregate([("length", "count"), ("length", "sum")])
        for row in sums.to_pylist():
            documents[row["language"], row["split"]] += row["length_count"]
            size[row["language"], row["split"]] += row["length_sum"]
    folders = [
        {"language": language, "split": split, "decided": decided.numbers.get(place, 0), "written": documents[place]}
        for place in sorted({*documents, *decided.numbers})
        for language, split in [place]
    ]
    clusters = checkable_clusters(_tables([out / "clusters.parquet"]))
    rejects = out / "rejects.parquet"
    check_streams(
        [
            (account_contract(), [pa.Table.from_pylist([dict(account)])]),
            (document_contract(settings.languages, settings.licenses, settings.kinds, settings.level), _tables(parts)),
            (folder_contract(), [pa.Table.from_pylist(folders)]),
            (cluster_contract(settings.near_duplicates.threshold, alone=earlier is None), clusters),
            *([(reject_contract(), _tables([rejects]))] if pq.read_metadata(rejects).num_rows else []),
        ],
        out,
    )
    return [
        {"language": place[0], "split": place[1], "documents": documents[place], "bytes": size[place]}
        for place in sorted(documents)
    ]


# --- The whole --------------------------------------------------------------------------------------------------------


def _tell_unmatched(spark: SparkSession, scratch: Path, inspection: Inspection) -> None:
    """Say which entries of an opt-out list name nothing that was read: a misspelt one leaves data in."""
    if inspection.opt_out is None:
        return
    files = spark.read.parquet(str(scratch / "inspected"))
    names = [row[0] for name in ("repo_name", "repo_url") for row in files.select(name).distinct().collect()]
    unmatched = inspection.opt_out.unmatched(name for name in names if name)
    if unmatched:
        more = f" and {len(unmatched) - 5:,} more" if len(unmatched) > 5 else ""
        say(f"note: {len(unmatched):,} opt-out entries name nothing that was read: {', '.join(unmatched[:5])}{more}")


_DONE = "_SUCCESS"
"""The mark that Spark leaves in a folder that it has written whole."""


def _inspect_by_spark(spark: SparkSession, scratch: Path, inspection: Inspection) -> None:
    from pipelines.spark import watched

    with watched(spark, "classifying and filtering"):
        rows = inspected(spark.read.parquet(str(scratch / "raw")), inspection)
        rows.write.mode("overwrite").parquet(str(scratch / "inspected"))


_STREAMING_TASKS = 256
"""datatrove sends all of a step to each task; and a Slurm array has 1,001 tasks at most by default."""


def _inspect_by_datatrove(
    scratch: Path, inspection: Inspection, streaming: Streaming, identity: Mapping[str, Any]
) -> None:
    from pipelines.streaming import EachPart, run_streaming

    out = scratch / "inspected"
    out.mkdir(exist_ok=True)
    parts = sorted((scratch / "raw").glob("*.parquet"))
    step = EachPart(parts, out, partial(inspect_batches, inspection=inspection), INSPECTED_SCHEMA)
    run_streaming(
        [step],
        min(len(parts), _STREAMING_TASKS),
        scratch / "streaming",
        identity,
        workers=streaming.workers,
        slurm=streaming.slurm,
        description="classifying and filtering",
    )
    (out / _DONE).touch()


def once_each(files: DataFrame, scratch: Path) -> tuple[DataFrame, DataFrame | None]:
    """Return files of which each id stands once, and the others as rejects (None where there is none).

    Files of one id have the same repository, path and content; which of them stays is settled by what else is known.

    Args:
        files: Rows of `INSPECTED_SCHEMA`.
        scratch: An existing folder.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    if not files.groupBy("id").agg(f.count("*").alias("times")).where("times > 1").take(1):
        return files, None
    known = ["stage", "license_type", "detected_licenses", "revision_id", *(one.name for one in PROVENANCE_FIELDS)]
    numbered = files.withColumn("time", f.row_number().over(Window.partitionBy("id").orderBy(*known)))
    first = scratch / "once"
    numbered.where("time = 1").drop("time").write.parquet(str(first))
    repeated = numbered.where("time > 1").select(
        f.lit(None).cast("string").alias("id"),
        "repo_name",
        "path",
        "language",
        "length",
        f.lit("read").alias("stage"),
        f.lit("repeated").alias("reason"),
        f.col("id").alias("detail"),
    )
    return files.sparkSession.read.parquet(str(first)), repeated


def _build_on(
    spark: SparkSession, scratch: Path, out: Path, settings: CorpusSettings, earlier: Earlier | None, staged: Staged
) -> dict[str, Any]:
    """Run the steps on inspected files, write the artifact's files below `out`, and return its counts."""
    from pipelines.spark import watched

    files = spark.read.parquet(str(scratch / "inspected"))
    skipped = spark.read.parquet(str(scratch / "skipped"))
    scratch = scratch / "later"
    _refuse_nothing(files, settings)
    files, repeated = once_each(files, scratch)
    with watched(spark, "near duplicates"):
        decided = _decided(files, settings, scratch, earlier)
        if not decided.numbers:
            bad_input(
                "sources", "hold nothing new: each file that could be kept is a duplicate of what is there already"
            )
        decided.documents.write.parquet(str(scratch / "decided"))
    documents = spark.read.parquet(str(scratch / "decided"))
    with watched(spark, "writing documents"):
        (scratch / "index").mkdir()
        written(files, documents, out / "documents", scratch / "index").toArrow()
    with watched(spark, "writing index, rejects, clusters and signals"):
        rows = spark.read.parquet(str(scratch / "index"))
        stream(rows, ["id"], INDEX_SCHEMA, out / INDEX, scratch / "i")
        rejected = _rejects(files, decided, [skipped] if repeated is None else [skipped, repeated])
        stream(
            rejected,
            ["repo_name", "path", "id", "reason", "detail"],
            REJECT_SCHEMA,
            out / "rejects.parquet",
            scratch / "r",
        )
        order = ["cluster", "removed", "id"]
        clusters = decided.clusters.selectExpr("*", "not kept as removed")
        stream(clusters, order, CLUSTER_SCHEMA, out / "clusters.parquet", scratch / "c")
        signals = files.where("signals is not null").select("id", *(f"signals.{one.name}" for one in SIGNAL_FIELDS))
        stream(signals, ["id"], SIGNAL_SCHEMA, out / "signals.parquet", scratch / "s")
    with watched(spark, "checking what was written"):
        reasons = _reasons(out / "rejects.parquet")
        left_out = sum(number for stage_reasons in reasons.values() for number in stage_reasons.values())
        account = {
            **_account(files, settings),
            "files_seen": staged.files + staged.skipped,
            "accounted": left_out + sum(decided.numbers.values()),
            "clustered": pq.read_metadata(out / "clusters.parquet").num_rows + sum(reasons.get("split", {}).values()),
            "signals": pq.read_metadata(out / "signals.parquet").num_rows,
        }
        found = _check(spark, out, scratch, settings, decided, earlier, account)
    counts = _counts(found, reasons, decided.repositories, decided.unit)
    why = ", ".join(f"{name} {sum(reasons[name].values()):,}" for name in STAGES if name in reasons)
    say(f"wrote {counts['documents']:,} documents; {left_out:,} files were left out, each with its reason ({why})")
    return counts


_LICENSE_HINT = (
    "; no licence was found for some: with --license permissive --license no_license files without one are kept"
)


def _account(files: DataFrame, settings: CorpusSettings) -> dict[str, int]:
    """Return how many files were `measured`, and how many files or repositories were `compared`."""
    from pyspark.sql import functions as f

    good = f.col("stage").isNull()
    compared = (
        f.count_distinct(f.when(good, f.col("repo_name"))) if settings.level == "repository" else f.count_if(good)
    )
    row = files.agg(f.count("signals").alias("measured"), compared.alias("compared")).collect()[0]
    return row.asDict()


def _refuse_nothing(files: DataFrame, settings: CorpusSettings) -> None:
    why = _counted(files, "stage", "reason")
    total = sum(row["n"] for row in why)
    accepted = sum(row["n"] for row in why if row["stage"] is None)
    say(f"kept {accepted:,} of {total:,} files after filters and licences")
    if not accepted:
        most = sorted(why, key=lambda row: (-row["n"], row["stage"], row["reason"]))
        bad_input(
            "sources",
            f"no file of {total:,} was kept, so there is no corpus; "
            + ", ".join(f"{row['n']:,} {row['stage']}: {row['reason']}" for row in most)
            + (f"; languages asked for: {', '.join(settings.languages)}, licences: {', '.join(settings.licenses)}")
            + (_LICENSE_HINT if any(row["reason"] == "no_license" for row in why) else ""),
        )


def _decided(files: DataFrame, settings: CorpusSettings, scratch: Path, earlier: Earlier | None) -> Decided:
    spark = files.sparkSession
    kept = files.where("stage is null").drop("text")
    near = settings.near_duplicates
    if settings.level == "repository":
        return _decided_by_repository(kept, settings, scratch)
    if earlier is not None:
        kept = kept.withColumn("preference", as_new("preference"))
    hashed = kept.select("language", "repo_name", "path", "length", "preference", "text_hash")
    if earlier is not None:
        there = earlier.index(spark).select("preference", "text_hash")
        marked = marked_exact(hashed.unionByName(there, allowMissingColumns=True)).where(is_new("preference"))
    else:
        marked = marked_exact(hashed)
    marked.drop("text_hash").write.parquet(str(scratch / "marked"))
    marked = spark.read.parquet(str(scratch / "marked"))
    edges = near_edges(_unique(kept, marked), near, scratch, earlier).toArrow()
    return decide(marked, edges, settings, scratch, earlier=earlier)


def _decided_by_repository(kept: DataFrame, settings: CorpusSettings, scratch: Path) -> Decided:
    spark = kept.sparkSession
    units_of(kept, settings.near_duplicates).write.parquet(str(scratch / "units"))
    units = spark.read.parquet(str(scratch / "units"))
    marked_exact(units.select("repo_name", "preference", "text_hash")).write.parquet(str(scratch / "marked"))
    marked = spark.read.parquet(str(scratch / "marked"))
    edges = near_edges(_unique(units, marked), settings.near_duplicates, scratch).toArrow()
    files = kept.select("language", "repo_name", "path", "length", "preference")
    return decide(files, edges, settings, scratch, repositories=marked)


def _unique(compared: DataFrame, marked: DataFrame) -> DataFrame:
    first = marked.where("exact_of is null").select("preference")
    return compared.select("preference", "language", "shingles", "buckets").join(first, "preference")


def _rejects(files: DataFrame, decided: Decided, unread: Sequence[DataFrame]) -> DataFrame:
    names = REJECT_SCHEMA.names
    rows = files.where("stage is not null").select(names).unionByName(decided.rejects.select(names))
    for more in unread:
        rows = rows.unionByName(more.select(names))
    return rows


def _counted(rows: DataFrame, *by: str) -> list[dict[str, Any]]:
    from pyspark.sql import functions as f

    return rows.groupBy(*by).agg(f.count("*").alias("n")).sort(*by).toArrow().to_pylist()


def _reasons(rejects: Path) -> dict[str, dict[str, int]]:
    found: Counter[Any] = Counter()
    for batch in ds.dataset(rejects).to_batches(columns=["stage", "reason"]):
        found.update(zip(batch["stage"].to_pylist(), batch["reason"].to_pylist(), strict=True))
    reasons: dict[str, dict[str, int]] = {}
    for (stage_name, reason), number in sorted(found.items()):
        reasons.setdefault(stage_name, {})[reason] = number
    return reasons


def _counts(
    found: list[dict[str, Any]],
    reasons: dict[str, dict[str, int]],
    repositories: Mapping[str, int],
    unit: Mapping[str, str],
) -> dict[str, Any]:
    languages: dict[str, Any] = {}
    for language in sorted({row["language"] for row in found}):
        own = {row["split"]: row for row in found if row["language"] == language}
        empty = {"documents": 0, "bytes": 0}
        languages[language] = {
            "documents": sum(row["documents"] for row in own.values()),
            "bytes": sum(row["bytes"] for row in own.values()),
            **{f"{side}_documents": own.get(side, empty)["documents"] for side in ("train", "validation")},
            **{f"{side}_bytes": own.get(side, empty)["bytes"] for side in ("train", "validation")},
            "repositories": repositories[language],
            "split_unit": unit[language],
        }
    return {
        "documents": sum(row["documents"] for row in found),
        "bytes": sum(row["bytes"] for row in found),
        "languages": languages,
        "rejects": reasons,
    }


@dataclass(frozen=True)
class Streaming:
    """How datatrove runs the per-file step; no part of what is made.

    Args:
        workers: Tasks at a time; None for one a core here, and for no limit on Slurm.
        slurm: Run as a Slurm job array; None for this machine.
    """

    workers: int | None = None
    slurm: Slurm | None = None


def build(
    sources: Sequence[Source | str],
    out: Path | str,
    settings: CorpusSettings | None = None,
    *,
    against: Sequence[Path | str] = (),
    cache: Path | None = None,
    master: str = "local[*]",
    memory: str = "2g",
    spark: SparkSession | None = None,
    streaming: Streaming | None = None,
    work: Path | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Build a corpus.

    Args:
        sources: Where the code is; see `pipelines.sources`.
        out: The artifact's folder.
        settings: The settings; the default ones when None.
        against: Corpora that this one adds to: it gets only documents that those hold no duplicate of, each where its
            family or its repository stands in them; what is left of a family that stands on both sides is rejected.
            Nothing there changes, and no text there is hashed again unless a new one may be near to it.
        cache: Where fetched packages are kept; the default cache when None.
        master: Where Spark runs, when it is started here.
        memory: The heap of Spark's driver and of each executor, as Java writes it.
        spark: The caller's session; one is started and stopped when None.
        streaming: Let datatrove run the per-file step, and Spark the rest; None for Spark throughout. The corpus is the
            same, byte for byte.
        work: Keep what was read and inspected here until the corpus is done, so that a build that was ended goes on
            from there; None to keep it beside `out`, from where it goes with the build.
        command: The command line that makes this corpus again.

    Returns:
        The manifest.

    Raises:
        BadInput: A source or another given file cannot be read (all mistakes), nothing in them is kept or new, a corpus
            to add to was deduplicated otherwise, or Java is missing.
        ContractFailed: What was written breaks the document contract; nothing is published.
    """
    settings = settings or CorpusSettings()
    # A cluster's workers have another working folder.
    out, work = Path(out).absolute(), work and work.absolute()
    if not sources:
        bad_input("sources", "none given; name a folder, an archive, a table or a package")
    if against and settings.level == "repository":
        bad_input("against", "an index is of files, so that repositories cannot be compared with it; take level file")

    def check_spark() -> None:
        from pipelines.spark import check_place_of_work, find_java

        check_place_of_work(master, memory)
        find_java()

    # What is quick to check is checked before the sources are read, all of it.
    mistakes = Mistakes()
    with mistakes.noted():
        check_place(out, "corpus")
    if work is not None:
        with mistakes.noted():
            make_folder(work)
    if spark is None:
        with mistakes.noted():
            check_spark()
    earlier, inspection, here, elsewhere = None, Inspection(settings), list[Source](), list[Source]()
    with mistakes.noted():
        earlier = read_earlier(against, settings.near_duplicates) if against else None
    with mistakes.noted():
        inspection = Inspection.of(settings)
        settings.identity()
    with mistakes.noted():
        here, elsewhere = told_apart(sources)
    mistakes.tell()
    reads = read_sources(here, cache) if here else []
    tables = _listed(elsewhere, spark, master, memory) if elsewhere else []
    identity = corpus_identity(reads, tables, settings, earlier.fingerprints if earlier else ())
    with creating(out, "corpus", identity, command=command) as draft, ExitStack() as stack:
        scratch = draft.path / ".scratch" if work is None else work / fingerprint(identity)[:16]
        scratch.mkdir(parents=True, exist_ok=True)

        def session_of() -> SparkSession:
            nonlocal spark
            if spark is None:
                from pipelines.spark import session

                spark = stack.enter_context(session(scratch, master=master, memory=memory))
            return spark

        staged = _staged(reads, tables, scratch, session_of)
        if not (scratch / "inspected" / _DONE).is_file():
            if streaming is not None:
                _inspect_by_datatrove(scratch, inspection, streaming, identity)
            else:
                _inspect_by_spark(session_of(), scratch, inspection)
        _tell_unmatched(session_of(), scratch, inspection)
        later = scratch / "later"
        shutil.rmtree(later, ignore_errors=True)
        later.mkdir()
        draft.counts |= {
            "files_seen": staged.files + staged.skipped,
            "bytes_seen": staged.bytes + staged.skipped_bytes,
            **_build_on(session_of(), scratch, draft.path, settings, earlier, staged),
        }
        records = [*(read.record for read in reads), *(table.record for table in tables)]
        pq.write_table(source_table(records), draft.path / "sources.parquet")
        stack.close()
        shutil.rmtree(scratch)
        if work is not None and not any(work.iterdir()):
            work.rmdir()
    return read_manifest(out, "corpus")


def _listed(sources: Sequence[Source], spark: SparkSession | None, master: str, memory: str) -> list[SparkTable]:
    if spark is not None:
        return listed(spark, sources)
    from pipelines.spark import session

    with tempfile.TemporaryDirectory() as scratch, session(Path(scratch), master=master, memory=memory) as own:
        return listed(own, sources)


def _staged(
    reads: Sequence[SourceRead],
    tables: Sequence[SparkTable],
    scratch: Path,
    session_of: Callable[[], SparkSession],
) -> Staged:
    """Stage the sources, unless an earlier try did."""
    raw, skipped, told = scratch / "raw", scratch / "skipped", scratch / "staged.json"
    if told.is_file():
        staged = Staged(**json.loads(told.read_text()))
        say(f"going on: {staged.files:,} files were read before")
        return staged
    for folder in (raw, skipped):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    staged = stage(reads, raw, skipped)
    for table in tables:
        from pipelines.spark import watched

        with watched(session_of(), f"reading {table.record.name}"):
            staged += stage_table(session_of(), table, raw, skipped)
    say(f"read {staged.files:,} files, {staged.bytes / 1e6:,.1f} MB, from {len(reads) + len(tables)} sources")
    if not staged.files:
        bad_input("sources", "hold no file that can be read")
    write_atomically(told, json.dumps(vars(staged)))
    return staged
