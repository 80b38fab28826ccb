"""Repositories as what is compared: each stays with all its files, or goes with all of them.

Start at `units_of`, which makes a row a repository that `pipelines.decisions.marked_exact` and
`pipelines.near.near_edges` take in place of files. The definition is that of `pipelines.units.grouped`: a repository's
shingles are those of its files together, and two are exact duplicates where the sets of their files' texts are equal.

What always holds: a repository is held whole, and nothing else, while its row is made; languages are of no account.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from pipelines.dedup import buckets
from pipelines.near_duplicates import NearDuplicates
from pipelines.shingles import one_set

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_UNIT = (
    "repo_name string, preference binary, language string, text_hash string, shingles array<int>, buckets array<bigint>"
)
_HASHED = 36
"""Bytes that a preference ends with: the content's hash (20) and the id (16)."""


def units_of(files: DataFrame, config: NearDuplicates) -> DataFrame:
    """Return a row a repository, with the columns by which files are compared.

    Its preference is the best of its files', but for the hashes at its end, which are of all its files' bytes and of
    its name.

    Args:
        files: Files that are kept so far: `repo_name`, `preference`, `blob_id`, `text_hash`, `shingles`.
        config: The settings.
    """
    names = ("repo_name", "preference", "blob_id", "text_hash", "shingles")

    def unit(group: pa.Table) -> pa.Table:
        return _unit(group, config)

    return files.select(*names).groupBy("repo_name").applyInArrow(unit, _UNIT)


def _unit(files: pa.Table, config: NearDuplicates) -> pa.Table:
    repository = str(files["repo_name"][0].as_py())
    best = min(cast(list[bytes], files["preference"].to_pylist()))
    values = cast(Any, files["shingles"].combine_chunks()).flatten()
    union = one_set(np.asarray(values, np.int32).view(np.uint32))
    blobs = "".join(sorted(cast(list[str], files["blob_id"].to_pylist())))
    content = hashlib.sha1(blobs.encode(), usedforsecurity=False).digest()
    texts = "".join(sorted(set(cast(list[str], files["text_hash"].to_pylist()))))
    return pa.table(
        {
            "repo_name": [repository],
            "preference": [best[:-_HASHED] + content + hashlib.sha256(repository.encode()).digest()[:16]],
            "language": [""],
            "text_hash": [hashlib.sha256(texts.encode()).hexdigest()],
            "shingles": pa.array([union.values.view(np.int32)], pa.list_(pa.int32())),
            "buckets": pa.array([buckets(union, config.signing)[0].view(np.int64)], pa.list_(pa.int64())),
        }
    )
