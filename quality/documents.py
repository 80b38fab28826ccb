"""The noun `Document`: one source file with where it came from and what is known of it.

Column names follow The Stack v2 where it has the column (`blob_id`, `repo_name`, `path`, `revision_id`, `length`,
`src_encoding`, `is_vendor`, `is_generated`, `detected_licenses`, `license_type`).
"""

from __future__ import annotations

import pyarrow as pa

from quality.contracts import Contract, Expectation

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
        pa.field("cluster", pa.string(), nullable=False),  # near-duplicate cluster: id of its survivor
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

DOCUMENT_CONTRACT = Contract(
    noun="document",
    expectations=(
        Expectation("expect_column_values_to_be_unique", {"column": "id"}, "a document must be addressable"),
        Expectation("expect_column_values_to_be_unique", {"column": "blob_id"}, "an exact duplicate was kept"),
        Expectation("expect_column_values_to_be_in_set", {"column": "split", "value_set": ["train", "validation"]}, ""),
    ),
)
