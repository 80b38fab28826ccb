"""What an earlier result remembers, so that a new batch is compared with it without hashing it again.

Start at `write_index` and `read_index`. An index has a row for each unit that stayed; what verification needs
beyond it, the shingles of the few that share a bucket with something new, is made from the kept texts (`old_sets`).

What always holds: an index is only used with the settings that it was made with; what differs is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.shingles import I64, U64, Shingles, joined, one_set, shingles
from pipelines.units import Units
from quality.artifacts import read_manifest
from quality.mistakes import BadInput, Mistake

INDEX = "index.parquet"
KEPT = "kept.parquet"
_ROWS = 1 << 16


def index_schema(bands: int) -> pa.Schema:
    """Return the columns of an index; its rows are in the order of preference."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("raw", pa.list_(pa.uint64(), 2), nullable=False),  # hash of the bytes
            pa.field("normalised", pa.list_(pa.uint64(), 2), nullable=False),  # hash of what counts as the same
            pa.field("length", pa.int64(), nullable=False),  # bytes
            pa.field("shingles", pa.int64(), nullable=False),  # how many
            pa.field("buckets", pa.list_(pa.uint64(), bands), nullable=False),
        ]
    )


@dataclass(frozen=True)
class Index:
    """What an earlier result remembers; rows in its order of preference.

    Args:
        folder: The `dedup` artifact.
        fingerprint: Its fingerprint.
        ids: Ids of what stayed, an Arrow array of strings.
        units: What is known of it.
    """

    folder: Path
    fingerprint: str
    ids: Any
    units: Units


def write_index(path: Path, ids: Any, units: Units, rows: I64) -> None:
    """Write an index: a row for each unit that stayed.

    Args:
        path: The file.
        ids: All units' ids, an Arrow array of strings.
        units: What is known of all units.
        rows: The numbers of those that stayed, in the order of preference.
    """
    schema = index_schema(units.buckets.shape[1])
    # Hashes do not compress.
    with pq.ParquetWriter(path, schema, use_dictionary=False, compression="none") as writer:
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            part = units.take(some)
            raw, normalised, buckets = (
                pa.FixedSizeListArray.from_arrays(pa.array(wide.ravel()), wide.shape[1])
                for wide in (part.raw, part.normalised, part.buckets)
            )
            columns = [ids.take(some), raw, normalised, pa.array(part.lengths), pa.array(part.sizes), buckets]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def read_index(folder: Path, identity: Mapping[str, Any]) -> Index:
    """Read the index of an earlier result.

    Args:
        folder: The `dedup` artifact.
        identity: The identity of what is being made: version, level and settings must be the same.

    Raises:
        BadInput: There is no such artifact, or it was made with other settings; each that differs is named.
    """
    manifest = read_manifest(folder, "dedup")
    there, here = _settings(manifest["identity"]), _settings(identity)
    mistakes = [
        Mistake(
            f"{folder}: {name}",
            f"was made with {there.get(name)!r}, not {here.get(name)!r}; use the same, or make it again",
        )
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
    if not mistakes and not (folder / INDEX).is_file():
        mistakes.append(Mistake(str(folder), f"has no {INDEX}; make it again"))
    if mistakes:
        raise BadInput(mistakes)
    table = pq.read_table(folder / INDEX)
    raw, normalised, buckets = (_wide(table[name]) for name in ("raw", "normalised", "buckets"))
    units = Units(raw, normalised, table["length"].to_numpy(), table["shingles"].to_numpy(), buckets)
    return Index(folder, manifest["fingerprint"], table["id"].combine_chunks(), units)


def _settings(identity: Mapping[str, Any]) -> dict[str, Any]:
    own = ("version", "level", "repository_column")
    return {**{name: identity[name] for name in own if name in identity}, **identity["near_duplicates"]}


def _wide(column: Any) -> U64:
    width = column.type.list_size
    flat = column.combine_chunks().flatten() if len(column) else pa.array([], pa.uint64())
    return np.asarray(flat.to_numpy(zero_copy_only=False), np.uint64).reshape(-1, width)


def old_sets(folder: Path, column: str, wanted: Any, size: int) -> Shingles:
    """Return the shingle sets of some units that stayed, from their texts; only their row groups are read.

    Args:
        folder: The `dedup` artifact.
        column: Which column names the unit: `id`, or that of repositories.
        wanted: Units, an Arrow array of strings, all different.
        size: Tokens in a shingle.

    Returns:
        Their sets, in the order asked for.
    """
    found: list[list[Any]] = [[] for _ in wanted]
    for path in sorted((folder / KEPT).glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                names = pc.cast(file.read_row_group(group, [column])[column], pa.string())
                unit: Any = pc.index_in(names, wanted)
                rows = np.flatnonzero(unit.is_valid().to_numpy())
                if not len(rows):
                    continue
                texts: Any = file.read_row_group(group, ["text"])["text"].take(rows)
                sets = shingles(texts.to_pylist(), size)
                for number, owner in enumerate(unit.take(rows).to_pylist()):
                    found[owner].append(sets.of(number))
    return joined([one_set(np.concatenate(parts)) for parts in found])
