"""The noun `Document`: one source file with where it came from and what is known of it.

Column names follow The Stack v2 where it has the column (`blob_id`, `repo_name`, `path`, `revision_id`, `length`,
`src_encoding`, `is_vendor`, `is_generated`, `detected_licenses`, `license_type`).

Two documents of different `cluster` are no near duplicates, not even by way of one that was removed; so a cluster lies
in one split. `clusters.parquet` says for each removed file which document stayed for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pyarrow as pa

from quality.contracts import Contract, Expectation
from quality.filters import normalised_hash

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # 32 hex digits of sha256(repo_name NUL path NUL blob_id)
        pa.field("text", pa.string(), nullable=False),  # decoded, as it stood in the file
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
        pa.field("cluster", pa.string(), nullable=False),  # family of near duplicates (see below)
        pa.field("split", pa.string(), nullable=False),  # train or validation
    ]
)

REJECT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("language", pa.string()),  # null outside the registry
        pa.field("length", pa.int64(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),  # read, classify, filter, licence, exact, near
        pa.field("reason", pa.string(), nullable=False),  # one short stable word, such as `minified`
        pa.field("detail", pa.string(), nullable=False),  # the measured value and the threshold, or the survivor's id
    ]
)


def document_contract(languages: Sequence[str], license_types: Sequence[str], documents: int) -> Contract:
    """Return what must hold of a corpus, asked of `checkable(...)` of what was written.

    Args:
        languages: The languages it may hold.
        license_types: The licence types it may hold.
        documents: How many documents there must be.
    """
    return Contract(
        noun="document",
        key=("id", "repo_name", "path"),
        expectations=(
            Expectation("expect_table_row_count_to_equal", {"value": documents}, "documents were lost or doubled"),
            *(
                Expectation("expect_column_values_to_not_be_null", {"column": column}, "a document is incomplete")
                for column in ("id", "blob_id", "text_hash", "repo_name", "path", "cluster")
            ),
            Expectation("expect_column_values_to_be_unique", {"column": "id"}, "two documents have one id"),
            Expectation(
                "expect_column_values_to_match_regex",
                {"column": "id", "regex": "^[0-9a-f]{32}$"},
                "an id is not 32 hexadecimal digits",
            ),
            Expectation("expect_column_values_to_be_unique", {"column": "blob_id"}, "an exact duplicate was kept"),
            Expectation(
                "expect_column_values_to_be_unique",
                {"column": "text_hash"},
                "a duplicate that differs in line ends or trailing white space was kept",
            ),
            Expectation(
                "expect_column_values_to_be_in_set",
                {"column": "language", "value_set": sorted(languages)},
                "a language that was not asked for",
            ),
            Expectation("expect_column_values_to_be_in_set", {"column": "split", "value_set": ["train", "validation"]}),
            Expectation(
                "expect_column_values_to_be_between",
                {"column": "cluster_splits", "max_value": 1},
                "near duplicates stand in train and in validation: validation loss would be too low",
            ),
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


CHECKED_COLUMNS = ("id", "repo_name", "path", "blob_id", "length", "license_type", "error_ratio", "cluster")


def checkable(documents: pa.Table, language: str, split: str) -> pa.Table:
    """Return what a contract asks of documents, without their texts.

    Args:
        documents: Rows of one file of a corpus, as read back.
        language: The language of the folder it lies in.
        split: The split of the folder it lies in.

    Returns:
        `CHECKED_COLUMNS`, `language`, `split`, `characters` and `text_hash`, which is computed from the text.
    """
    texts = cast(list[str], documents["text"].to_pylist())
    table = documents.select(CHECKED_COLUMNS)
    table = table.append_column("language", pa.array([language] * len(texts), pa.string()))
    table = table.append_column("split", pa.array([split] * len(texts), pa.string()))
    table = table.append_column("characters", pa.array([len(text) for text in texts], pa.int64()))
    return table.append_column("text_hash", pa.array([normalised_hash(text) for text in texts], pa.string()))


def with_cluster_splits(table: pa.Table) -> pa.Table:
    """Return `checkable` rows of a whole corpus with `cluster_splits`: in how many splits the row's cluster stands."""
    sides: dict[str, set[str]] = {}
    clusters = cast(list[str], table["cluster"].to_pylist())
    splits = cast(list[str], table["split"].to_pylist())
    for cluster, split in zip(clusters, splits, strict=True):
        sides.setdefault(cluster, set()).add(split)
    return table.append_column("cluster_splits", pa.array([len(sides[c]) for c in clusters], pa.int64()))
