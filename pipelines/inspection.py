"""One file at a time: what it is, whether it is kept and why not, and the hashes by which it is compared with others.

Start at `inspect_batches`, an Arrow batch function that knows no engine: Spark runs it by `mapInArrow`, datatrove file
by file (`pipelines.streaming`). `inspect_file` is the same for one file.

What always holds:

- Every row of `RAW_SCHEMA` that goes in comes out as one row of `INSPECTED_SCHEMA`: kept so far (`stage` is null), or
  rejected with stage, reason and detail.
- A row depends on the file and the settings alone: not on its neighbours, the engine, time or place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.corpus_settings import CorpusSettings
from pipelines.dedup import buckets, shingles
from quality.classify import Classification, classify_decoded, decode
from quality.contamination import Benchmarks
from quality.documents import DOCUMENT_SCHEMA, SIGNAL_FIELDS, git_blob_id
from quality.filters import Rejected, judge_syntax, judge_text, measure
from quality.guard import Stopped, guarded
from quality.licences import effective, license_type
from quality.mistakes import BadInput, Mistake
from quality.opt_out import OptOut
from quality.provenance import PROVENANCE_FIELDS
from quality.redaction import checked, redact
from quality.syntax import TooCostly, parse
from quality.text_hash import normalised_hash

DECIDED_LATER = ("cluster", "split")
"""The columns of a document that take all files to decide."""

INSPECTED_SCHEMA = pa.schema(
    [
        *(field.with_nullable(True) for field in DOCUMENT_SCHEMA if field.name not in DECIDED_LATER),
        pa.field("signals", pa.struct(SIGNAL_FIELDS)),  # null for what was rejected before it was measured
        pa.field("preference", pa.binary()),  # the smaller, the rather it survives; its last 16 bytes are the id
        pa.field("stage", pa.string()),  # null for what is kept so far
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("shingles", pa.list_(pa.int32())),  # uint32, bit by bit
        pa.field("buckets", pa.list_(pa.int64())),  # uint64, bit by bit
    ]
)

_LICENSE_ORDER = ("permissive", "no_license", "non_permissive")
_KIND_ORDER = ("source", "test", "declaration", "generated", "vendored")
_MOST = 2**63 - 1


def preference(
    license_kind: str, rank: int | None, kind: str, revision_date: datetime | None, blob_id: str, identifier: str
) -> bytes:
    """Return bytes that sort first for the file that should survive among duplicates.

    The order: licence (permissive first); rank, such as stars, the larger first and unknown last; hand-written source
    before tests before the rest; the newer revision, unknown last; then content and identity hashes, which favour no
    repository. No two files have the same.

    Args:
        license_kind: `permissive`, `no_license` or `non_permissive`.
        rank: A count of 0 or more.
        kind: The kind of file.
        revision_date: When its revision was made.
        blob_id: Content hash, 40 hex digits.
        identifier: The document's id, 32 hex digits.
    """
    ranked = _MOST if rank is None else _MOST - 1 - min(max(rank, 0), _MOST - 1)
    dated = _MOST if revision_date is None else _MOST - 1 - (int(revision_date.timestamp()) + 2**62)
    place = _KIND_ORDER.index(kind) if kind in _KIND_ORDER else len(_KIND_ORDER)
    return struct.pack(
        ">BQBQ20s16s",
        _LICENSE_ORDER.index(license_kind),
        ranked,
        place,
        dated,
        bytes.fromhex(blob_id),
        bytes.fromhex(identifier),
    )


@dataclass(frozen=True)
class Inspection:
    """All that one file is judged by.

    Args:
        settings: The corpus settings.
        benchmarks: Tasks that no document may hold.
        opt_out: What is left out because someone asked for it.
    """

    settings: CorpusSettings
    benchmarks: Benchmarks | None = None
    opt_out: OptOut | None = None

    @classmethod
    def of(cls, settings: CorpusSettings) -> Inspection:
        """Read the files that settings name.

        Raises:
            BadInput: They cannot be read or have mistakes; all are listed.
        """
        trivial = settings.trivial_solutions
        mistakes: list[Mistake] = []
        benchmarks, opt_out = None, None
        try:
            if settings.benchmarks:
                paths = [Path(file.path) for file in settings.benchmarks]
                benchmarks = Benchmarks.read(paths, settings.contamination, Path(trivial.path) if trivial else None)
        except BadInput as error:
            mistakes += error.mistakes
        try:
            opt_out = OptOut.read(Path(settings.opt_out.path)) if settings.opt_out else None
        except BadInput as error:
            mistakes += error.mistakes
        if mistakes:
            raise BadInput(mistakes)
        return cls(settings, benchmarks, opt_out)


def inspect_file(raw: Mapping[str, Any], inspection: Inspection) -> dict[str, Any]:
    """Return everything that can be said of one file alone: a row of `INSPECTED_SCHEMA` without its hashes.

    Args:
        raw: A row of `RAW_SCHEMA`.
        inspection: What it is judged by.
    """
    row = _Row(raw)
    try:
        _inspect(row, raw["data"], raw["licenses"], inspection)
    except _Out as out:
        row.facts |= {"stage": out.stage, "reason": out.reason, "detail": out.detail}
    return row.facts


class _Out(Exception):
    """The file is rejected."""

    def __init__(self, stage: str, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.stage, self.reason, self.detail = stage, reason, detail


class _Row:
    """What is known of a file so far."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        own = ("id", "repo_name", "revision_id", "path", "blob_id", *(field.name for field in PROVENANCE_FIELDS))
        self.facts: dict[str, Any] = {name: raw[name] for name in own} | {"length": len(raw["data"])}

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]


def _inspect(row: _Row, data: bytes, licenses: list[str], inspection: Inspection) -> None:
    settings = inspection.settings
    if inspection.opt_out is not None:
        # A source may have been given another name than its repository's.
        for name in (row["repo_name"], row["repo_url"]):
            asked = inspection.opt_out.reason(name, row["path"]) if name else None
            if asked:
                raise _Out("opt_out", "opted_out", asked)
    most = max(settings.limits_of(language).max_bytes for language in settings.languages)
    if len(data) > most:
        raise _Out("filter", "too_large", f"{len(data)} > {most} bytes")
    verdict, text = _classified(row, data, settings)
    found = effective(text, licenses)
    row.facts |= {"detected_licenses": list(found), "license_type": license_type(found)}
    _measured(row, text, verdict, settings)
    if row["license_type"] not in settings.licenses:
        raise _Out("licence", row["license_type"], "; ".join(found) or "no licence was found for it")
    text, spans = _redacted(row, text, verdict, settings)
    task = inspection.benchmarks and inspection.benchmarks.check(text)
    if task:
        raise _Out("contamination", f"{task.part}_of_benchmark", str(task))
    row.facts |= {
        "text": text,
        "content_id": git_blob_id(text.encode("utf-8", "surrogatepass")),
        "text_hash": normalised_hash(text),
        "redactions": spans,
        "preference": preference(
            row["license_type"], row[settings.rank], verdict.kind, row["revision_date"], row["blob_id"], row["id"]
        ),
    }


def _classified(row: _Row, data: bytes, settings: CorpusSettings) -> tuple[Classification, str]:
    decoded = decode(data)
    verdict = classify_decoded(row["path"], data, decoded)
    row.facts |= {"language": verdict.language, "kind": verdict.kind}
    if isinstance(decoded, str) and verdict.kind == decoded == "undecodable":
        raise _Out("quarantine", decoded, verdict.reason)
    if isinstance(decoded, str) or verdict.kind not in settings.kinds:
        raise _Out("classify", verdict.kind, verdict.reason)
    if verdict.language is None or verdict.language not in settings.languages:
        raise _Out("classify", "other_language", verdict.reason)
    if verdict.dialect and verdict.dialect not in settings.dialects:
        raise _Out("classify", verdict.dialect, verdict.reason)
    row.facts |= {
        "src_encoding": decoded.encoding,
        "is_vendor": verdict.kind == "vendored",
        "is_generated": verdict.kind in ("generated", "minified"),
        "dialect": verdict.dialect,
    }
    return verdict, decoded.text


def _measured(row: _Row, text: str, verdict: Classification, settings: CorpusSettings) -> None:
    """Measure a text and compare it with the limits; signals are kept whatever the limits say."""
    language = str(verdict.language)
    limits = settings.limits_of(language)
    measures = measure(text)
    row.facts["signals"] = dict(vars(measures))
    _refuse(judge_text(row["length"], measures, limits))
    try:
        syntax = parse(text, language, PurePosixPath(row["path"]).suffix.lower())
    except TooCostly as error:
        raise _Out("filter", "parser_limit", str(error)) from error
    row.facts["signals"] |= vars(syntax)
    row.facts["error_ratio"] = syntax.error_ratio
    _refuse(judge_syntax(syntax, limits))


def _redacted(
    row: _Row, text: str, verdict: Classification, settings: CorpusSettings
) -> tuple[str, list[dict[str, Any]]]:
    """Return a text without credentials and personal data, and where they stood; refuse what parses no more."""
    redacted = redact(text, settings.redaction, row["path"])
    if redacted is None:
        return text, []
    extension = PurePosixPath(row["path"]).suffix.lower()
    _refuse(checked(text, redacted, str(verdict.language), extension, row["error_ratio"]), "redaction")
    return redacted.text, [dict(vars(span)) for span in redacted.spans]


def _refuse(found: Rejected | None, stage: str = "filter") -> None:
    if found is not None:
        raise _Out(stage, found.reason, found.detail)


_CPU_SECONDS = 60.0
_MEMORY_BYTES = 2 << 30
"""What one file may take: the largest ordinary ones take 0.5 s and 0.2 GB, far below."""


def _guarded(files: list[dict[str, Any]], inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Inspect files, and give up the one that hangs, explodes or crashes a parser."""
    found = guarded(
        partial(inspect_file, inspection=inspection), files, cpu_seconds=_CPU_SECONDS, memory_bytes=_MEMORY_BYTES
    )
    for raw, row in zip(files, found, strict=True):
        if isinstance(row, Stopped):
            yield _Row(raw).facts | {"stage": "quarantine", "reason": row.reason, "detail": row.detail}
        else:
            yield row


def inspect_batches(batches: Iterable[pa.RecordBatch], inspection: Inspection) -> Iterator[pa.RecordBatch]:
    """Yield rows of `INSPECTED_SCHEMA` for batches of `RAW_SCHEMA`, in their order.

    Args:
        batches: Files; a batch is held in memory at once.
        inspection: What they are judged by.
    """
    near = inspection.settings.near_duplicates
    for batch in batches:
        rows = list(_guarded(batch.to_pylist(), inspection))
        sets = shingles([row.get("text") or "" for row in rows], near.shingle_size)
        of_text = buckets(sets, near.signing)
        for index, row in enumerate(rows):
            if "text" in row:
                row["shingles"] = sets.of(index).view(np.int32)
                row["buckets"] = of_text[index].view(np.int64)
        yield pa.RecordBatch.from_pylist(rows, INSPECTED_SCHEMA)
