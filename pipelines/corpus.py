"""Sources to a corpus: what every file is, whether it is kept and why not, which are duplicates, what is held out.

Start at `build`. The steps take and return DataFrames of the caller's session: `inspected` (classification, licence,
filters, shingles; one row a file), `marked_exact` and `near_edges`. What needs all files at once but no text (who
survives, families, splits) is decided on the driver from one narrow table.

What always holds:

- Every file that was seen is a document or a row of `rejects.parquet` with stage, reason and detail.
- The result depends on the sources' bytes and the settings: neither on partitions, cores or time, nor on the order of
  the sources (but for a file that two sources give with the same repository and path).
- What is published was read back and holds its contract.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipelines.dedup import (
    CLUSTER_SCHEMA,
    DEDUP_VERSION,
    Edge,
    NearDuplicates,
    Shingles,
    buckets,
    candidates,
    jaccard,
    shingles,
    survivors,
)
from pipelines.sources import Source, SourceRead, read_sources
from quality.artifacts import check_place, creating, read_manifest
from quality.classify import classify, decode
from quality.contracts import check
from quality.documents import (
    DOCUMENT_SCHEMA,
    REJECT_SCHEMA,
    checkable,
    document_contract,
    with_cluster_splits,
)
from quality.filters import DEFAULT_LIMITS, Limits, Rejected, judge_syntax, judge_text, measure, normalised_hash
from quality.languages import LANGUAGES
from quality.licences import effective, license_type
from quality.mistakes import bad_input
from quality.progress import progress, say
from quality.splits import Placed, assign, families
from quality.syntax import TooCostly, parse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CORPUS_VERSION = 1
"""Goes up with any change that may change a corpus built from the same sources and settings; part of the identity."""

FILE_BYTES = 64 << 20
"""Source bytes in one file of `documents/`: a reader's unit of work."""

Kind = Literal["source", "test", "declaration", "generated", "minified", "vendored", "data", "text", "binary", "empty"]
LicenseType = Literal["permissive", "non_permissive", "no_license"]


class CorpusSettings(BaseModel):
    """All that defines a corpus, beside its sources.

    Args:
        languages: Languages to keep.
        kinds: Kinds of file to keep (see `quality.classify`).
        licenses: Licence types to keep. A file without a licence may not be used, so `no_license` is not among them.
        limits: Filter limits by language; languages not named have the default ones.
        near_duplicates: How near duplicates are found.
        validation_share: Of each language's bytes, held out.
        seed: Chooses what is held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    languages: tuple[str, ...] = Field(default=tuple(LANGUAGES), min_length=1, strict=False)
    kinds: tuple[Kind, ...] = Field(default=("source", "test"), min_length=1, strict=False)
    licenses: tuple[LicenseType, ...] = Field(default=("permissive",), min_length=1, strict=False)
    limits: Mapping[str, Limits] = Field(default_factory=lambda: dict(DEFAULT_LIMITS))
    near_duplicates: NearDuplicates = NearDuplicates()
    validation_share: float = Field(default=0.05, gt=0, lt=0.5)
    seed: int = Field(default=17, ge=0)

    @field_validator("languages", "limits")
    @classmethod
    def _known(cls, value: Any) -> Any:
        unknown = [name for name in value if name not in LANGUAGES]
        if unknown:
            raise ValueError(f"not in the registry: {', '.join(unknown)}; known: {', '.join(LANGUAGES)}")
        return value

    def limits_of(self, language: str) -> Limits:
        """Return the limits that hold for a language."""
        return self.limits.get(language) or DEFAULT_LIMITS.get(language) or Limits()


def corpus_identity(reads: Sequence[SourceRead], settings: CorpusSettings) -> dict[str, Any]:
    """Return all that a corpus depends on: what the sources hold, and the settings; no paths."""
    return {
        "version": [CORPUS_VERSION, DEDUP_VERSION],
        "sources": [
            {
                "name": read.record.name,
                "revision_id": read.record.revision_id,
                "sha256": read.record.sha256,
                "include": list(read.source.include),
                "exclude": list(read.source.exclude),
                "license": read.source.license,
            }
            for read in reads
        ],
        "settings": settings.model_dump(mode="json"),
    }


# --- Staging: from sources to Parquet -----------------------------------------------------------------------------

RAW_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("blob_id", pa.string()),
        pa.field("repo_name", pa.string()),
        pa.field("revision_id", pa.string()),
        pa.field("path", pa.string()),
        pa.field("data", pa.binary()),
        pa.field("licenses", pa.list_(pa.string())),
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

_STAGED_BYTES = 4 << 20
"""Content of one staged file; below `pipelines.spark.PARTITION_BYTES`, so that each file is one task."""


def git_blob_id(data: bytes) -> str:
    """Return git's object id of a file's bytes (40 hex digits). Source: gitformat-pack, "blob LENGTH NUL DATA"."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def document_id(repo_name: str, path: str, blob_id: str) -> str:
    """Return the id of a document: 32 hex digits of the SHA-256 of its repository, path and content."""
    return hashlib.sha256(f"{repo_name}\0{path}\0{blob_id}".encode()).hexdigest()[:32]


def stage(reads: Sequence[SourceRead], folder: Path) -> tuple[list[dict[str, Any]], int, int]:
    """Write the files of sources as Parquet (`RAW_SCHEMA`) of some 4 MB of content each.

    Args:
        reads: The sources.
        folder: An existing empty folder.

    Returns:
        Rejects (rows of `REJECT_SCHEMA`: what was not read, and repeats), the number of files staged, and their bytes.
    """
    rejects = [
        _reject(None, read.record.name, skipped.path, None, skipped.length, "read", skipped.reason, "not read")
        for read in reads
        for skipped in read.skipped
    ]
    seen: set[bytes] = set()
    held: list[dict[str, Any]] = []
    held_bytes = files = size = number = 0
    with progress(total=sum(read.record.files for read in reads), description="reading", unit="file") as bar:
        for read in reads:
            for file in read.files():
                bar.update()
                blob_id = git_blob_id(file.data)
                identifier = document_id(file.repo_name, file.path, blob_id)
                if bytes.fromhex(identifier) in seen:
                    rejects.append(
                        _reject(None, file.repo_name, file.path, None, len(file.data), "read", "repeated", identifier)
                    )
                    continue
                seen.add(bytes.fromhex(identifier))
                files += 1
                size += len(file.data)
                held.append(
                    {
                        "id": identifier,
                        "blob_id": blob_id,
                        "repo_name": file.repo_name,
                        "revision_id": file.revision_id,
                        "path": file.path,
                        "data": file.data,
                        "licenses": list(file.licenses),
                    }
                )
                held_bytes += len(file.data)
                if held_bytes >= _STAGED_BYTES:
                    _write_raw(held, folder, number)
                    held, held_bytes, number = [], 0, number + 1
    if held:
        _write_raw(held, folder, number)
    return rejects, files, size


def _write_raw(rows: list[dict[str, Any]], folder: Path, number: int) -> None:
    table = pa.Table.from_pylist(rows, RAW_SCHEMA)
    pq.write_table(table, folder / f"raw-{number:06d}.parquet", compression="none", use_dictionary=False)


def _reject(
    identifier: str | None,
    repo_name: str,
    path: str,
    language: str | None,
    length: int,
    stage_name: str,
    reason: str,
    detail: str,
) -> dict[str, Any]:
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


# --- Inspection: one file at a time -------------------------------------------------------------------------------

_FACTS = (
    "id",
    "repo_name",
    "revision_id",
    "path",
    "blob_id",
    "length",
    "language",
    "src_encoding",
    "is_vendor",
    "is_generated",
    "detected_licenses",
    "license_type",
    "error_ratio",
)

INSPECTED_SCHEMA = pa.schema(
    [
        *(DOCUMENT_SCHEMA.field(name).with_nullable(True) for name in _FACTS),
        pa.field("text", pa.string()),  # null for a reject
        pa.field("text_hash", pa.string()),
        pa.field("preference", pa.string()),  # the smaller, the rather it survives
        pa.field("stage", pa.string()),  # null for what is kept so far
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("shingles", pa.list_(pa.int64())),  # uint64, bit by bit
        pa.field("buckets", pa.list_(pa.int64())),
    ]
)

_NARROW = (*_FACTS, "text_hash", "preference", "stage", "reason", "detail")

_LICENSE_ORDER = ("permissive", "no_license", "non_permissive")
_KIND_ORDER = ("source", "test", "declaration", "generated", "vendored")


def preference(license_kind: str, kind: str, length: int, blob_id: str, identifier: str) -> str:
    """Return a text that sorts first for the file that should survive among duplicates.

    The order: licence (permissive first), hand-written source before tests before the rest, the larger file, then
    content and identity hashes, which favour no repository.

    Args:
        license_kind: `permissive`, `no_license` or `non_permissive`.
        kind: The kind of file.
        length: Raw bytes.
        blob_id: Content hash.
        identifier: The document's id.
    """
    place = _KIND_ORDER.index(kind) if kind in _KIND_ORDER else len(_KIND_ORDER)
    return f"{_LICENSE_ORDER.index(license_kind)}{place}{10**15 - length:016d}{blob_id}{identifier}"


def inspect_file(raw: Mapping[str, Any], settings: CorpusSettings) -> dict[str, Any]:
    """Return everything that can be said of one file alone: a row of `INSPECTED_SCHEMA` without its shingles.

    Args:
        raw: A row of `RAW_SCHEMA`.
        settings: The settings.
    """
    data: bytes = raw["data"]
    row: dict[str, Any] = {
        "id": raw["id"],
        "repo_name": raw["repo_name"],
        "revision_id": raw["revision_id"],
        "path": raw["path"],
        "blob_id": raw["blob_id"],
        "length": len(data),
    }

    def rejected(stage_name: str, reason: str, detail: str) -> dict[str, Any]:
        return row | {"stage": stage_name, "reason": reason, "detail": detail}

    most = max(settings.limits_of(language).max_bytes for language in settings.languages)
    if len(data) > most:
        return rejected("filter", "too_large", f"{len(data)} > {most} bytes")
    verdict = classify(raw["path"], data)
    row["language"] = verdict.language
    if verdict.kind not in settings.kinds:
        return rejected("classify", verdict.kind, verdict.reason)
    if verdict.language is None or verdict.language not in settings.languages:
        return rejected("classify", "other_language", verdict.reason)
    decoded = decode(data)
    if isinstance(decoded, str):
        return rejected("classify", decoded, verdict.reason)
    text = decoded.text
    licenses = effective(text, raw["licenses"])
    row |= {
        "src_encoding": decoded.encoding,
        "is_vendor": verdict.kind == "vendored",
        "is_generated": verdict.kind in ("generated", "minified"),
        "detected_licenses": list(licenses),
        "license_type": license_type(licenses),
    }
    found, error_ratio = _judged(text, raw["path"], len(data), verdict.language, settings)
    if found is not None:
        return rejected("filter", found.reason, found.detail)
    if row["license_type"] not in settings.licenses:
        return rejected("licence", row["license_type"], "; ".join(licenses) or "no licence was found for it")
    return row | {
        "text": text,
        "text_hash": normalised_hash(text),
        "error_ratio": error_ratio,
        "preference": preference(row["license_type"], verdict.kind, len(data), raw["blob_id"], raw["id"]),
    }


def _judged(
    text: str, path: str, length: int, language: str, settings: CorpusSettings
) -> tuple[Rejected | None, float]:
    limits = settings.limits_of(language)
    found = judge_text(length, measure(text), limits)
    if found is not None:
        return found, 0.0
    try:
        syntax = parse(text, language, Path(path).suffix.lower())
    except TooCostly as error:
        return Rejected("parser_limit", str(error)), 0.0
    return judge_syntax(syntax, limits), syntax.error_ratio


def _inspect_batches(batches: Iterable[pa.RecordBatch], settings: CorpusSettings) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = [inspect_file(raw, settings) for raw in batch.to_pylist()]
        texts = [row.get("text") or "" for row in rows]
        sets = shingles(texts, settings.near_duplicates.shingle_size)
        of_text = buckets(sets, settings.near_duplicates)
        for index, row in enumerate(rows):
            if "text" in row:
                row["shingles"] = sets.of(index).view(np.int64)
                row["buckets"] = of_text[index].view(np.int64)
        yield pa.RecordBatch.from_pylist(rows, INSPECTED_SCHEMA)


def inspected(raw: DataFrame, settings: CorpusSettings) -> DataFrame:
    """Return a row of `INSPECTED_SCHEMA` for each file: what it is, and whether and why it is rejected.

    Args:
        raw: Rows of `RAW_SCHEMA`.
        settings: The settings.
    """
    return raw.mapInArrow(partial(_inspect_batches, settings=settings), _spark_schema(INSPECTED_SCHEMA))


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


# --- Duplicates ---------------------------------------------------------------------------------------------------


def marked_exact(files: DataFrame) -> DataFrame:
    """Add `exact_of`: the id of the file that survives for an exact duplicate, null for what survives or is rejected.

    Two files are exact duplicates where their normalised texts (`quality.filters.normalised_hash`) are the same.

    Args:
        files: Rows of `INSPECTED_SCHEMA`.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    same = Window.partitionBy("text_hash").orderBy("preference", "id")
    first = f.first("id").over(same)
    duplicate = f.col("text_hash").isNotNull() & (first != f.col("id"))
    return files.withColumn("exact_of", f.when(duplicate, first))


def near_edges(files: DataFrame, config: NearDuplicates) -> DataFrame:
    """Return the verified near duplicates: `better`, `worse` (ids) and `similarity`, each pair once.

    Args:
        files: Files to compare: `id`, `preference`, `shingles`, `buckets`.
        config: The settings that the shingles and buckets were made with.
    """
    from pyspark.sql import functions as f

    member = f.struct("preference", "id")
    in_bucket = files.select("preference", "id", f.explode("buckets").alias("bucket")).groupBy("bucket")
    members = in_bucket.agg(f.sort_array(f.collect_list(member)).alias("members")).where(f.size("members") > 1)
    pairs = (
        members.select(f.col("members.id").alias("ids"))
        .mapInArrow(partial(_pair_batches, limit=config.bucket_limit), "better string, worse string")
        .distinct()
    )
    sets = files.select("id", "shingles")
    both = pairs.join(sets.toDF("better", "left"), "better").join(sets.toDF("worse", "right"), "worse")
    return both.select("better", "worse", "left", "right").mapInArrow(
        partial(_edge_batches, threshold=config.threshold), "better string, worse string, similarity double"
    )


def _pair_batches(batches: Iterable[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for ids in batch["ids"]:
            pairs = candidates(ids.as_py(), limit)
            yield pa.RecordBatch.from_arrays(
                [pa.array([p[0] for p in pairs], pa.string()), pa.array([p[1] for p in pairs], pa.string())],
                names=["better", "worse"],
            )


def _edge_batches(batches: Iterable[pa.RecordBatch], threshold: float) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        left, right = (_shingle_column(batch[name]) for name in ("left", "right"))
        similarity = np.array([jaccard(left.of(row), right.of(row)) for row in range(batch.num_rows)], np.float64)
        yield pa.RecordBatch.from_arrays(
            [batch["better"], batch["worse"], pa.array(similarity)], names=["better", "worse", "similarity"]
        ).filter(pa.array(similarity >= threshold))


def _shingle_column(column: Any) -> Shingles:
    return Shingles(
        column.values.to_numpy(zero_copy_only=False).view(np.uint64),
        column.offsets.to_numpy().astype(np.int64),
    )


# --- Decisions on all files at once -------------------------------------------------------------------------------

DECISION_SCHEMA = pa.schema(
    [("id", pa.string()), ("cluster", pa.string()), ("split", pa.string()), ("part", pa.int64())]
)


def decide(
    files: list[dict[str, Any]], edges: list[Edge], settings: CorpusSettings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], dict[str, str]]:
    """Decide who survives, which families there are and what is held out.

    A file is removed for a near duplicate in its own language only: the same program in two languages is no loss to
    either, but its two texts form one family and are never divided by the split.

    Args:
        files: Rows as `INSPECTED_SCHEMA` without text and shingles, with `exact_of`.
        edges: Near duplicates among those that are neither rejected nor exact duplicates.
        settings: The settings.

    Returns:
        Documents (rows of `DECISION_SCHEMA`), clusters (`CLUSTER_SCHEMA`), rejects (`REJECT_SCHEMA`), and the unit of
        splits by language.
    """
    accepted = sorted((row for row in files if row["stage"] is None), key=lambda row: row["preference"])
    by_id = {row["id"]: row for row in accepted}
    unique = [row["id"] for row in accepted if row["exact_of"] is None]
    own = [edge for edge in edges if by_id[edge.better]["language"] == by_id[edge.worse]["language"]]
    removed = survivors(unique, own)
    family = families(unique, ((edge.better, edge.worse) for edge in edges))
    kept = [by_id[one] for one in unique if one not in removed]
    # A family is called by its preferred document, which is easier to look up than its smallest id.
    head: dict[str, str] = {}
    for row in kept:
        head.setdefault(family[row["id"]], row["id"])
    placed = [
        Placed(row["id"], row["language"], row["repo_name"], row["path"], head[family[row["id"]]], row["length"])
        for row in kept
    ]
    split = assign(placed, settings.validation_share, settings.seed)
    documents = _parts(placed, split.side)

    rejects = [row for row in files if row["stage"] is not None]
    clusters: list[dict[str, Any]] = []
    leads = {row["exact_of"] for row in accepted} | {survivor for survivor, _ in removed.values()}
    for row in accepted:
        identifier, exact = row["id"], row["exact_of"]
        if exact is not None:
            reason = "same_bytes" if by_id[exact]["blob_id"] == row["blob_id"] else "same_text"
            survivor, similarity = removed.get(exact, (exact, 1.0))
            rejects.append(row | {"stage": "exact", "reason": reason, "detail": exact})
        elif identifier in removed:
            reason = "near"
            survivor, similarity = removed[identifier]
            rejects.append(row | {"stage": "near", "reason": reason, "detail": f"{similarity:.3f} {survivor}"})
        else:
            reason = "survivor" if identifier in leads else "unique"
            survivor, similarity = identifier, 1.0
        clusters.append(
            {
                "id": identifier,
                "cluster": survivor,
                "kept": survivor == identifier,
                "similarity": similarity,
                "reason": reason,
            }
        )
    return (
        documents,
        sorted(clusters, key=lambda row: (row["cluster"], not row["kept"], row["id"])),
        rejects,
        split.unit,
    )


def _parts(placed: Sequence[Placed], side: Mapping[str, str]) -> list[dict[str, Any]]:
    """Number the output file of each document by what lies before it, so that no partitioning moves a boundary."""
    before: Counter[tuple[str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    for one in sorted(placed, key=lambda one: (one.repo_name, one.path, one.id)):
        folder = (one.language, side[one.id])
        part = before[folder] // FILE_BYTES
        before[folder] += one.bytes
        rows.append({"id": one.id, "cluster": one.family, "split": side[one.id], "part": part})
    return rows


# --- Writing ------------------------------------------------------------------------------------------------------


def _write_group(language: str, split: str, part: int, group: pa.Table, root: Path) -> pa.Table:
    folder = root / f"language={language}" / f"split={split}"
    folder.mkdir(parents=True, exist_ok=True)
    table = group.sort_by([("repo_name", "ascending"), ("path", "ascending"), ("id", "ascending")])
    schema = pa.schema([field for field in DOCUMENT_SCHEMA if field.name not in ("language", "split")])
    target = folder / f"part-{part:05d}.parquet"
    unfinished = target.with_name(f".{target.name}.partial")
    pq.write_table(table.select(schema.names).cast(schema), unfinished, compression="zstd", row_group_size=2048)
    unfinished.replace(target)
    return pa.table({"path": [str(target.relative_to(root))], "rows": [table.num_rows]})


def written(files: DataFrame, decisions: DataFrame, root: Path) -> DataFrame:
    """Write the documents as `language=L/split=S/part-N.parquet`, each file sorted and its content fixed by decisions.

    Args:
        files: Rows of `INSPECTED_SCHEMA`.
        decisions: Rows of `DECISION_SCHEMA`; files that are not in it are not written.
        root: The folder to write below.

    Returns:
        `path` and `rows` of each written file.
    """
    documents = files.drop("shingles", "buckets", "preference", "stage", "reason", "detail", "text_hash")
    groups = documents.join(decisions, "id").groupBy("language", "split", "part")

    def write(group: pa.Table) -> pa.Table:
        language, split, part = (group[name][0].as_py() for name in ("language", "split", "part"))
        return _write_group(language, split, part, group, root)

    return groups.applyInArrow(write, "path string, rows long")


def read_back(root: Path) -> pa.Table:
    """Return what a contract asks of all documents below a folder, computed from the files, one after the other."""
    tables: list[pa.Table] = []
    for file in sorted(root.rglob("*.parquet")):
        language, split = (part.partition("=")[2] for part in file.relative_to(root).parts[:2])
        tables.append(checkable(pq.read_table(file, partitioning=None), language, split))
    return with_cluster_splits(pa.concat_tables(tables))


def _build_on(
    spark: SparkSession, scratch: Path, out: Path, settings: CorpusSettings, unread: list[dict[str, Any]]
) -> dict[str, Any]:
    """Run the steps on staged files, write the artifact's files below `out`, and return its counts."""
    from pipelines.spark import watched

    checkpoint = str(scratch / "inspected")
    with watched(spark, "classifying and filtering"):
        inspected(spark.read.parquet(str(scratch / "raw")), settings).write.parquet(checkpoint)
    marked = marked_exact(spark.read.parquet(checkpoint))
    with watched(spark, "exact duplicates"):
        files = marked.select(*_NARROW, "exact_of").toArrow().to_pylist()
    accepted = sum(row["stage"] is None for row in files)
    say(f"kept {accepted:,} of {len(files):,} files after filters and licences")
    if not accepted:
        why = Counter(f"{row['stage']}: {row['reason']}" for row in files)
        bad_input(
            "sources",
            f"no file of {len(files):,} was kept, so there is no corpus; "
            + ", ".join(f"{number:,} {reason}" for reason, number in why.most_common())
            + (f"; languages asked for: {', '.join(settings.languages)}, licences: {', '.join(settings.licenses)}"),
        )
    unique = marked.where("stage is null and exact_of is null").select("id", "preference", "shingles", "buckets")
    with watched(spark, "near duplicates"):
        found = near_edges(unique, settings.near_duplicates).toArrow()
    edges = [Edge(**row) for row in found.to_pylist()]
    documents, clusters, rejects, unit = decide(files, edges, settings)
    rejects = sorted(
        [*unread, *rejects], key=lambda row: (row["repo_name"], row["path"], row["id"] or "", row["reason"])
    )
    pq.write_table(pa.Table.from_pylist(documents, DECISION_SCHEMA), scratch / "decisions.parquet")
    decisions = spark.read.parquet(str(scratch / "decisions.parquet"))
    root = out / "documents"
    with watched(spark, "writing documents"):
        written(spark.read.parquet(checkpoint), decisions, root).toArrow()
    pq.write_table(pa.Table.from_pylist(rejects, REJECT_SCHEMA), out / "rejects.parquet")
    pq.write_table(pa.Table.from_pylist(clusters, CLUSTER_SCHEMA), out / "clusters.parquet")
    facts = read_back(root)
    check(document_contract(settings.languages, settings.licenses, len(documents)), facts, out)
    say(f"wrote {len(documents):,} documents; {len(rejects):,} files were left out, each with its reason")
    return _counts(facts, rejects, unit)


def _counts(facts: pa.Table, rejects: list[dict[str, Any]], unit: Mapping[str, str]) -> dict[str, Any]:
    rows = facts.select(["language", "split", "length", "repo_name"]).to_pylist()
    languages: dict[str, Any] = {}
    for language in sorted({row["language"] for row in rows}):
        own = [row for row in rows if row["language"] == language]
        languages[language] = {
            "documents": len(own),
            "bytes": sum(row["length"] for row in own),
            **{f"{side}_documents": sum(row["split"] == side for row in own) for side in ("train", "validation")},
            **{
                f"{side}_bytes": sum(row["length"] for row in own if row["split"] == side)
                for side in ("train", "validation")
            },
            "repositories": len({row["repo_name"] for row in own}),
            "split_unit": unit[language],
        }
    reasons: dict[str, dict[str, int]] = {}
    for (stage_name, reason), number in sorted(Counter((row["stage"], row["reason"]) for row in rejects).items()):
        reasons.setdefault(stage_name, {})[reason] = number
    return {
        "documents": len(rows),
        "bytes": sum(row["length"] for row in rows),
        "languages": languages,
        "rejects": reasons,
    }


def _source_table(reads: Sequence[SourceRead]) -> pa.Table:
    rows = [
        {
            "name": read.record.name,
            "spec": read.record.spec,
            "revision_id": read.record.revision_id,
            "sha256": read.record.sha256,
            "licenses": list(read.record.licenses),
            "files": read.record.files,
            "bytes": read.record.bytes,
        }
        for read in reads
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["name"], row["sha256"])), SOURCE_SCHEMA)


def build(
    sources: Sequence[Source | str],
    out: Path | str,
    settings: CorpusSettings | None = None,
    *,
    cache: Path | None = None,
    master: str = "local[*]",
    spark: SparkSession | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Build a corpus.

    Args:
        sources: Where the code is; see `pipelines.sources`.
        out: The artifact's folder.
        settings: The settings; the default ones when None.
        cache: Where fetched packages are kept; the default cache when None.
        master: Where Spark runs, when it is started here.
        spark: The caller's session; one is started and stopped when None.
        command: The command line that makes this corpus again.

    Returns:
        The manifest.

    Raises:
        BadInput: A source cannot be read (all mistakes), nothing in them is kept, or Java is missing.
        ContractFailed: What was written breaks the document contract; nothing is published.
    """
    settings = settings or CorpusSettings()
    if not sources:
        bad_input("sources", "none given; name a folder, an archive, a table or a package")
    check_place(out, "corpus")
    if spark is None:
        from pipelines.spark import find_java

        find_java()
    reads = read_sources(sources, cache)
    identity = corpus_identity(reads, settings)
    with creating(out, "corpus", identity, command=command) as draft, ExitStack() as stack:
        scratch = draft.path / ".scratch"
        raw = scratch / "raw"
        raw.mkdir(parents=True)
        rejects, files, size = stage(reads, raw)
        say(f"read {files:,} files, {size / 1e6:,.1f} MB, from {len(reads)} sources")
        if not files:
            bad_input("sources", "hold no file that can be read")
        if spark is None:
            from pipelines.spark import session

            spark = stack.enter_context(session(scratch, master=master))
        draft.counts |= {
            "files_seen": files + len(rejects),
            "bytes_seen": size + sum(row["length"] for row in rejects),
            **_build_on(spark, scratch, draft.path, settings, rejects),
        }
        pq.write_table(_source_table(reads), draft.path / "sources.parquet")
        stack.close()
        shutil.rmtree(scratch)
    return read_manifest(out, "corpus")
