"""The noun `Document`: one source file with where it came from and what is known of it.

Column names follow The Stack v2 where it has the column (`blob_id`, `repo_name`, `path`, `revision_id`, `length`,
`src_encoding`, `is_vendor`, `is_generated`, `detected_licenses`, `license_type`).

Two documents of different `cluster` are no near duplicates, not even by way of one that was removed; so a cluster lies
in one split. `clusters.parquet` says for each removed file which document stayed for it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, Literal, cast

import pyarrow as pa

from quality.contracts import Contract, Expectation
from quality.filters import Measures
from quality.licences import license_type
from quality.provenance import PROVENANCE_FIELDS
from quality.redaction import SPAN_TYPE
from quality.syntax import Syntax
from quality.text_hash import normalised_hash

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # 32 hex digits of sha256(repo_name NUL path NUL blob_id)
        pa.field("text", pa.string(), nullable=False),  # decoded, as it stood in the file but for `redactions`
        pa.field("language", pa.string(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),  # the unit of splits: `pypi:pydash`, `git:owner/name`, ...
        pa.field("revision_id", pa.string(), nullable=False),  # package version or commit; "" where there is none
        pa.field("path", pa.string(), nullable=False),  # below the repository's root, with forward slashes
        pa.field("blob_id", pa.string(), nullable=False),  # git's blob SHA-1 of the raw bytes
        pa.field("length", pa.int64(), nullable=False),  # raw bytes
        pa.field("src_encoding", pa.string(), nullable=False),
        pa.field("is_vendor", pa.bool_(), nullable=False),
        pa.field("is_generated", pa.bool_(), nullable=False),
        pa.field("detected_licenses", pa.list_(pa.string()), nullable=False),  # SPDX ids
        pa.field("license_type", pa.string(), nullable=False),  # permissive, non_permissive, no_license
        pa.field("error_ratio", pa.float64(), nullable=False),  # bytes under tree-sitter ERROR nodes / all bytes
        pa.field("kind", pa.string(), nullable=False),  # source, test, ... (see quality.classify)
        pa.field("dialect", pa.string(), nullable=False),  # "" or a dialect of the language, such as python2
        pa.field("content_id", pa.string(), nullable=False),  # git's blob SHA-1 of the text in UTF-8
        pa.field("text_hash", pa.string(), nullable=False),  # quality.text_hash.normalised_hash of the text
        pa.field("redactions", SPAN_TYPE, nullable=False),  # what was taken out of the text (quality.redaction)
        *PROVENANCE_FIELDS,
        pa.field("cluster", pa.string(), nullable=False),  # family of near duplicates (see below)
        pa.field("split", pa.string(), nullable=False),  # train or validation
    ]
)

_ARROW = {"int": pa.int64(), "float": pa.float64()}
SIGNAL_FIELDS = [
    pa.field(field.name, _ARROW[str(field.type)]) for kind in (Measures, Syntax) for field in dataclasses.fields(kind)
]
"""Everything that is measured of a text, whatever the limits are: the fields of `Measures` and `Syntax`."""

SIGNAL_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), *SIGNAL_FIELDS])

REJECT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("language", pa.string()),  # null outside the registry
        pa.field("length", pa.int64(), nullable=False),
        # read, opt_out, quarantine, classify, filter, licence, redaction, contamination, exact, near, split
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # one short stable word, such as `minified`
        pa.field("detail", pa.string(), nullable=False),  # the measured value and the threshold, or the survivor's id
    ]
)


_FILE_ONCE = (
    ("blob_id_times", "an exact duplicate was kept"),
    ("text_hash_times", "a duplicate that differs in line ends or trailing white space was kept"),
)
_REPOSITORY_ONCE = (("repository_times", "two repositories with the same files were kept"),)


STAGES = (
    "read",
    "opt_out",
    "quarantine",
    "classify",
    "filter",
    "licence",
    "redaction",
    "contamination",
    "exact",
    "near",
    "split",
)
"""Where a file can be rejected, in order."""


def reject_contract() -> Contract:
    """Return what must hold of rejects."""
    return Contract(
        noun="reject",
        key=("repo_name", "path", "reason"),
        expectations=(
            Expectation("expect_column_values_to_be_in_set", {"column": "stage", "value_set": list(STAGES)}),
            *(
                Expectation(
                    "expect_column_values_to_not_be_null",
                    {"column": column},
                    "a file was left out, and nobody knows why",
                )
                for column in ("path", "stage", "reason", "detail")
            ),
            Expectation("expect_column_value_lengths_to_be_between", {"column": "reason", "min_value": 1}),
            Expectation("expect_column_values_to_be_between", {"column": "length", "min_value": 0}),
        ),
    )


def document_contract(
    languages: Sequence[str],
    license_types: Sequence[str],
    kinds: Sequence[str],
    level: Literal["file", "repository"] = "file",
) -> Contract:
    """Return what must hold of each document of a corpus, asked of any part of its rows (see `checkable`).

    Beside those columns it asks for what takes all rows to know: `id_times` (in how many documents the value stands),
    `cluster_splits` (in how many splits the document's cluster stands), and, where files were compared, `blob_id_times`
    and `text_hash_times`; where repositories were, `repository_times` (how many have the texts of the document's).

    Args:
        languages: The languages it may hold.
        license_types: The licence types it may hold.
        kinds: The kinds of file it may hold.
        level: What stays or goes as a whole.
    """
    return Contract(
        noun="document",
        key=("id", "repo_name", "path"),
        expectations=(
            *(
                Expectation("expect_column_values_to_not_be_null", {"column": column}, "a document is incomplete")
                for column in ("id", "blob_id", "text_hash", "repo_name", "path", "cluster")
            ),
            Expectation(
                "expect_column_values_to_match_regex",
                {"column": "id", "regex": "^[0-9a-f]{32}$"},
                "an id is not 32 hexadecimal digits",
            ),
            _once("id_times", "two documents have one id"),
            *(_once(column, why) for column, why in (_FILE_ONCE if level == "file" else _REPOSITORY_ONCE)),
            _once("cluster_splits", "near duplicates stand in train and in validation: validation loss is too low"),
            *(
                Expectation("expect_column_pair_values_to_be_equal", {"column_A": left, "column_B": right}, why)
                for left, right, why in (
                    ("text_hash", "stated_hash", "a text is not the one that was compared with the others"),
                    ("content_id", "own_content", "a text is not the one that was written down"),
                    ("id", "own_id", "a document is not called by its repository, path and content"),
                    ("license_type", "own_license", "a licence type is not that of the licences beside it"),
                )
            ),
            Expectation(
                "expect_column_pair_values_a_to_be_greater_than_b",
                {"column_A": "characters", "column_B": "redacted_to", "or_equal": True},
                "a redaction lies outside its text",
            ),
            Expectation(
                "expect_column_values_to_be_in_set",
                {"column": "kind", "value_set": sorted(kinds)},
                "a kind of file that was not asked for",
            ),
            Expectation(
                "expect_column_values_to_be_in_set",
                {"column": "language", "value_set": sorted(languages)},
                "a language that was not asked for",
            ),
            Expectation("expect_column_values_to_be_in_set", {"column": "split", "value_set": ["train", "validation"]}),
            Expectation(
                "expect_column_values_to_be_in_set",
                {"column": "license_type", "value_set": sorted(license_types)},
                "a licence that the policy does not allow",
            ),
            Expectation("expect_column_values_to_be_between", {"column": "length", "min_value": 1}, "an empty file"),
            Expectation("expect_column_values_to_be_between", {"column": "characters", "min_value": 1}, "no text"),
            Expectation(
                "expect_column_values_to_be_between", {"column": "error_ratio", "min_value": 0, "max_value": 1}
            ),
        ),
    )


def _once(column: str, why: str) -> Expectation:
    return Expectation("expect_column_values_to_be_between", {"column": column, "min_value": 1, "max_value": 1}, why)


def folder_contract() -> Contract:
    """Return what must hold of a corpus's folders, one row each: `language`, `split`, `decided`, `written`."""
    return Contract(
        noun="folder",
        key=("language", "split"),
        expectations=(
            Expectation("expect_table_row_count_to_be_between", {"min_value": 1}, "there is no document"),
            Expectation(
                "expect_column_pair_values_to_be_equal",
                {"column_A": "decided", "column_B": "written"},
                "documents were lost or doubled",
            ),
        ),
    )


_CHECKED = (
    "id",
    "repo_name",
    "path",
    "blob_id",
    "length",
    "license_type",
    "error_ratio",
    "cluster",
    "kind",
    "content_id",
)
_WORKED_OUT = ("text", "text_hash", "detected_licenses", "redactions")
READ_TO_CHECK = (*_CHECKED, "language", "split", *_WORKED_OUT)
"""The columns of a document that `checkable` needs."""

CHECKABLE_SCHEMA = pa.schema(
    [
        *(DOCUMENT_SCHEMA.field(name).with_nullable(True) for name in (*_CHECKED, "language", "split")),
        pa.field("stated_hash", pa.string()),
        pa.field("characters", pa.int64()),
        pa.field("text_hash", pa.string()),
        pa.field("own_id", pa.string()),
        pa.field("own_content", pa.string()),
        pa.field("own_license", pa.string()),
        pa.field("redacted_to", pa.int64()),
    ]
)


def git_blob_id(data: bytes) -> str:
    """Return git's object id of a file's bytes (40 hex digits). Source: gitformat-pack, "blob LENGTH NUL DATA"."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def document_id(repo_name: str, path: str, blob_id: str) -> str:
    """Return the id of a document: 32 hex digits of the SHA-256 of its repository, path and content."""
    return hashlib.sha256(f"{repo_name}\0{path}\0{blob_id}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def checkable(documents: pa.Table) -> pa.Table:
    """Return what a contract asks of documents (`CHECKABLE_SCHEMA`), without their texts.

    Args:
        documents: Rows of a corpus, as read back: `READ_TO_CHECK`.

    Returns:
        The columns, and beside them what they must be: `text_hash` (the document's own is `stated_hash`),
        `own_content`, `own_id` and `own_license` are worked out anew; `redacted_to` is where the last redaction ends.
    """
    columns: dict[str, list[Any]] = {name: documents[name].to_pylist() for name in READ_TO_CHECK}
    texts = cast(list[str], columns["text"])
    named = zip(*(columns[name] for name in ("repo_name", "path", "blob_id")), strict=True)
    values = [
        *(documents[name] for name in (*_CHECKED, "language", "split", "text_hash")),
        pa.array([len(text) for text in texts], pa.int64()),
        pa.array([normalised_hash(text) for text in texts], pa.string()),
        pa.array([document_id(*parts) for parts in named], pa.string()),
        pa.array([git_blob_id(text.encode("utf-8", "surrogatepass")) for text in texts], pa.string()),
        pa.array([license_type(licenses) for licenses in columns["detected_licenses"]], pa.string()),
        pa.array([max((span["end"] for span in spans), default=0) for spans in columns["redactions"]], pa.int64()),
    ]
    return pa.table(values, names=CHECKABLE_SCHEMA.names).cast(CHECKABLE_SCHEMA)


def account_contract() -> Contract:
    """Return what must hold of a corpus as a whole, one row: every file ends as exactly one row, and so do its facts.

    Columns: `files_seen` and `accounted` (documents and rejects together), `compared` and `clustered` (files that came
    to deduplication, rows of clusters), `measured` and `signals` (files that were measured, rows of signals).
    """
    pairs = {
        ("files_seen", "accounted"): "a file was lost, or counted twice",
        ("compared", "clustered"): "nobody knows what became of a file among its duplicates",
        ("measured", "signals"): "what was measured of a file was lost",
    }
    return Contract(
        noun="corpus",
        key=("files_seen", "accounted"),
        expectations=tuple(
            Expectation("expect_column_pair_values_to_be_equal", {"column_A": left, "column_B": right}, why)
            for (left, right), why in pairs.items()
        ),
    )
