"""Which texts are the same, or nearly, and which one of them stays?

Start at `dedup` (a file or folder), at `deduplicate` (texts in memory) or at `pipelines.corpus` (the same functions on
Spark). The steps, each a function of its own: `shingles` turns texts into sets of hashed token 5-grams, `buckets` into
MinHash-LSH buckets, `candidates` pairs what shares a bucket, `jaccard` compares a pair truly, `survivors` decides.

What always holds:

- No text is removed unless its true Jaccard with the one that stays is at least the threshold: LSH only proposes.
- Chains are bounded: a removed text is similar to its own survivor, never merely to something that is similar to it.
- A text of fewer tokens than a shingle is one shingle, so it is near only to texts of the same tokens; one without any
  token is near to nothing. Neither vanishes.
- The result depends on the texts, their preference and the settings, not on order, batches or partitions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.json as pj
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from quality.artifacts import check_place, creating, file_sha256
from quality.filters import normalised_hash
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress, say

U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]

DEDUP_VERSION = 1
"""Goes up with any change of the algorithm that may change a result; part of every identity."""

CLUSTER_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),  # id of the one that stayed
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("similarity", pa.float64(), nullable=False),  # to the one that stayed; 1 for exact duplicates
        pa.field("reason", pa.string(), nullable=False),  # unique, survivor, same_bytes, same_text, near
    ]
)


class NearDuplicates(BaseModel):
    """All that defines near-duplicate removal, for all its steps.

    Args:
        shingle_size: Tokens in a shingle. Source: The Stack's near-deduplication, 5.
        threshold: Jaccard of two shingle sets from which they are near duplicates. Source: The Stack, 0.7.
        bands: LSH bands; `bands * rows` is the number of permutations. More bands find more and compare more.
        rows: Hashes in a band. 25 bands of 5 propose 99% of the pairs at 0.7, 6% at 0.3; since each proposal is
            verified, wrong ones cost time only.
        bucket_limit: With how many of a bucket's best texts each other one is compared, so that a bucket of boilerplate
            costs its size times this and not its square.
        seed: Of the permutations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    shingle_size: int = Field(default=5, ge=1, le=50)
    threshold: float = Field(default=0.7, gt=0, le=1)
    bands: int = Field(default=25, ge=1, le=1024)
    rows: int = Field(default=5, ge=1, le=64)
    bucket_limit: int = Field(default=64, ge=1)
    seed: int = Field(default=1, ge=0, lt=2**63)

    def recall(self, jaccard: float) -> float:
        """Return the probability that a pair of this Jaccard is proposed.

        Source: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.2.
        """
        return 1 - (1 - jaccard**self.rows) ** self.bands


@dataclass(frozen=True)
class Shingles:
    """Shingle sets of several texts, end to end.

    Args:
        values: Hashed shingles, uint64; sorted and unique within a text.
        offsets: Where each text starts, int64, and where the last one ends: texts + 1 of them.
    """

    values: U64
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, index: int) -> U64:
        """Return one text's set."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]


# Tokens are hashed in one pass over the bytes: a token's hash is the polynomial of its bytes in an odd base, whose
# inverse exists modulo 2**64, so that a sum taken anywhere in the buffer can be moved to the buffer's start.
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_CHAIN = np.uint64(0xD6E8FEB86659FD93)
_BATCH_BYTES = 1 << 21


def _byte_tables() -> tuple[NDArray[np.uint8], U64]:
    kinds = np.full(256, 2, np.uint8)  # 2: punctuation
    kinds[[9, 10, 11, 12, 13, 32]] = 0
    word = b"_$0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    kinds[[*word, *range(128, 256)]] = 1
    digests = (hashlib.blake2b(bytes([byte]), digest_size=8).digest() for byte in range(256))
    values = np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)
    values[kinds == 0] = 0
    return kinds, values


_KIND, _VALUE = _byte_tables()


@cache
def _powers(base: int, exponent: int) -> U64:
    powers = np.full(1 << exponent, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _mixed(values: U64) -> U64:
    """Return splitmix64's finaliser of each value. Source: Steele, Lea, Flood, OOPSLA 2014."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def shingles(texts: Sequence[str], size: int) -> Shingles:
    """Return the shingle sets of texts.

    A token is a run of letters, digits, `_`, `$` and non-ASCII characters, or a run of other visible characters; a
    shingle is `size` tokens in a row. White space separates tokens and is no part of any.

    Args:
        texts: The texts.
        size: Tokens in a shingle.
    """
    sets: list[U64] = []
    batch: list[bytes] = []
    held = 0
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        if batch and held + len(data) > _BATCH_BYTES:
            sets.extend(_shingle_batch(batch, size))
            batch, held = [], 0
        batch.append(data)
        held += len(data)
    if batch:
        sets.extend(_shingle_batch(batch, size))
    offsets = np.zeros(len(sets) + 1, np.int64)
    np.cumsum([len(values) for values in sets], out=offsets[1:])
    return Shingles(np.concatenate(sets) if sets else np.zeros(0, np.uint64), offsets)


def _shingle_batch(batch: list[bytes], size: int) -> list[U64]:
    data = np.frombuffer(b"".join(batch), np.uint8)
    ends = np.cumsum([len(text) for text in batch])
    tokens, starts = _tokens(data, ends)
    # The number of tokens before each text's end.
    counts = np.searchsorted(starts, ends)
    chained = tokens
    if size > 1 and len(tokens) >= size:
        chained = tokens[: len(tokens) - size + 1].copy()
        for step in range(1, size):
            chained = chained * _CHAIN + tokens[step : len(tokens) - size + 1 + step]
    chained = _mixed(chained)
    found: list[U64] = []
    first = 0
    for last in map(int, counts):
        if last - first >= size:
            found.append(_unique(chained[first : last - size + 1]))
        else:
            found.append(_whole(tokens[first:last]))
        first = last
    return found


def _unique(values: U64) -> U64:
    # np.unique hashes first, which takes several times as long as a vectorised sort.
    values = np.sort(values)
    new = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return values[new]


def _whole(tokens: U64) -> U64:
    if not len(tokens):
        return tokens
    value = 0
    for token in [len(tokens), *map(int, tokens)]:
        value = (value * int(_CHAIN) + token) & 0xFFFFFFFFFFFFFFFF
    return _mixed(np.array([value], np.uint64))


def _tokens(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> tuple[U64, NDArray[np.int64]]:
    """Return each token's hash and the position of its first byte, in order."""
    if not len(data):
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    kinds = _KIND[data]
    begins = np.ones(len(data), np.bool_)
    begins[1:] = kinds[1:] != kinds[:-1]
    begins[ends[:-1][ends[:-1] < len(data)]] = True
    begins &= kinds != 0
    starts = np.flatnonzero(begins)
    if not len(starts):
        return np.zeros(0, np.uint64), starts
    exponent = max(21, len(data).bit_length())
    sums = np.add.reduceat(_VALUE[data] * _powers(_BASE, exponent)[: len(data)], starts)
    return _mixed(sums * _powers(_INVERSE, exponent)[starts]), starts


def signatures(sets: Shingles, permutations: int, seed: int) -> U32:
    """Return MinHash signatures, texts x permutations; a text without shingles has all bits set.

    Args:
        sets: Shingle sets.
        permutations: Hashes a text.
        seed: Of the permutations.
    """
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]

    if not len(sets):
        return np.zeros((0, permutations), np.uint32)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        sets.values, sets.offsets.astype(np.uint64), permutations, seed
    )
    return np.array(matrix.to_rows(), np.uint32).reshape(len(sets), permutations)


def buckets(sets: Shingles, config: NearDuplicates) -> list[U64]:
    """Return the LSH buckets of each text, one a band, band and content in one number; none without shingles."""
    signed = signatures(sets, config.bands * config.rows, config.seed).astype(np.uint64)
    bands = signed.reshape(len(sets), config.bands, config.rows)
    value = np.broadcast_to(np.arange(config.bands, dtype=np.uint64), bands.shape[:2]).copy()
    for row in range(config.rows):
        value = _mixed(value * _CHAIN + bands[:, :, row])
    empty = np.diff(sets.offsets) == 0
    return [np.zeros(0, np.uint64) if empty[index] else value[index] for index in range(len(sets))]


def candidates(members: Sequence[Any], limit: int) -> list[tuple[Any, Any]]:
    """Return the pairs to compare in one bucket: each member with the `limit` best before it.

    Args:
        members: The bucket's members, the preferred first.
        limit: `NearDuplicates.bucket_limit`.
    """
    return [(better, worse) for place, worse in enumerate(members) for better in members[: min(place, limit)]]


def jaccard(left: U64, right: U64) -> float:
    """Return the true Jaccard of two shingle sets (each sorted and unique); 0 where either is empty."""
    if not len(left) or not len(right):
        return 0.0
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    places = np.searchsorted(large, small)
    places[places == len(large)] = 0
    shared = int(np.count_nonzero(large[places] == small))
    return shared / (len(left) + len(right) - shared)


@dataclass(frozen=True)
class Edge:
    """Two near duplicates.

    Args:
        better: The preferred one (an id, or an index).
        worse: The other.
        similarity: Their true Jaccard.
    """

    better: Any
    worse: Any
    similarity: float


def survivors(preferred: Sequence[Any], edges: Sequence[Edge]) -> dict[Any, tuple[Any, float]]:
    """Return what is removed: each with the text it is removed for, and their similarity.

    Texts are taken in order of preference. One that is similar to texts that stay is removed for the most similar (the
    preferred of equals); any other stays.

    Args:
        preferred: All texts, the preferred first.
        edges: Verified near duplicates.
    """
    place = {text: at for at, text in enumerate(preferred)}
    near: dict[Any, list[tuple[float, int, Any]]] = {}
    for edge in edges:
        near.setdefault(edge.worse, []).append((-edge.similarity, place[edge.better], edge.better))
    removed: dict[Any, tuple[Any, float]] = {}
    for text in preferred:
        stayed = [link for link in near.get(text, ()) if link[2] not in removed]
        if stayed:
            similarity, _, survivor = min(stayed)
            removed[text] = (survivor, -similarity)
    return removed


def near_edges(sets: Shingles, order: Sequence[int], config: NearDuplicates) -> list[Edge]:
    """Return all verified near duplicates among texts in memory.

    Args:
        sets: Their shingle sets.
        order: Indices of the texts to compare, the preferred first.
        config: The settings.
    """
    of_text = buckets(sets, config)
    members: dict[int, list[int]] = {}
    for index in order:
        for bucket in cast(list[int], of_text[index].tolist()):
            members.setdefault(bucket, []).append(index)
    pairs = dict.fromkeys(
        pair for bucket in members.values() if len(bucket) > 1 for pair in candidates(bucket, config.bucket_limit)
    )
    compared = progress(pairs, total=len(pairs), description="comparing", unit="pair")
    found = (Edge(left, right, jaccard(sets.of(left), sets.of(right))) for left, right in compared)
    return [edge for edge in found if edge.similarity >= config.threshold]


def deduplicate(
    ids: Sequence[str], texts: Sequence[str], config: NearDuplicates, preferences: Sequence[str] | None = None
) -> pa.Table:
    """Return what is a duplicate of what among texts in memory.

    Args:
        ids: A name for each text, all different.
        texts: The texts.
        config: The settings.
        preferences: A text for each that sorts first for the one that should stay among duplicates; where equal, and
            when None, the larger text stays, then the one with the smaller content hash, then the smaller id.

    Returns:
        A row of `CLUSTER_SCHEMA` for each text, sorted by cluster, the one that stays first, then by id.
    """
    digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]

    def quality(index: int) -> tuple[str, int, str, str]:
        return (preferences[index] if preferences else "", -len(texts[index]), digests[index], ids[index])

    order = sorted(range(len(ids)), key=quality)
    first: dict[str, int] = {}
    exact_of: dict[int, int] = {}
    for index in order:
        same = first.setdefault(normalised_hash(texts[index]), index)
        if same != index:
            exact_of[index] = same
    unique = [index for index in order if index not in exact_of]
    sets = shingles([texts[index] for index in unique], config.shingle_size)
    edges = near_edges(sets, range(len(unique)), config)
    near = {
        unique[one]: (unique[other], similarity)
        for one, (other, similarity) in survivors(range(len(unique)), edges).items()
    }
    return _clusters(ids, digests, order, exact_of, near)


def _clusters(
    ids: Sequence[str],
    digests: Sequence[str],
    order: Sequence[int],
    exact_of: dict[int, int],
    near: dict[int, tuple[int, float]],
) -> pa.Table:
    leads = {*exact_of.values(), *(other for other, _ in near.values())}
    rows: list[dict[str, Any]] = []
    for index in order:
        same = exact_of.get(index, index)
        stays, similarity = near.get(same, (same, 1.0))
        if same != index:
            reason = "same_bytes" if digests[same] == digests[index] else "same_text"
        elif stays != index:
            reason = "near"
        else:
            reason = "survivor" if index in leads else "unique"
        kept = stays == index
        rows.append({"id": ids[index], "cluster": ids[stays], "kept": kept, "similarity": similarity, "reason": reason})
    rows.sort(key=lambda row: (row["cluster"], not row["kept"], row["id"]))
    return pa.Table.from_pylist(rows, CLUSTER_SCHEMA)


def read_texts(path: Path) -> pa.Table:
    """Read a Parquet or JSON Lines file, or a folder of either, and check its `id` and `text`.

    Returns:
        All columns as they are; `id` is a string or an integer, `text` a string.

    Raises:
        BadInput: It is missing, damaged or empty, or its columns cannot be used; all mistakes are listed.
    """
    if not path.exists():
        bad_input(path, "no such file or folder")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.suffix in _FORMATS)
    files = [file for file in files if not file.name.startswith(("_", "."))]
    endings = {file.suffix for file in files}
    if not files or not endings <= set(_FORMATS):
        bad_input(path, f"a Parquet or JSON Lines file, or a folder of either, is needed ({', '.join(_FORMATS)})")
    if len({_FORMATS[ending] for ending in endings}) > 1:
        bad_input(path, "holds both Parquet and JSON Lines; name one of the files, or a folder of one kind")
    try:
        if _FORMATS[endings.pop()] == "parquet":
            table = ds.dataset(path, format="parquet", partitioning="hive").to_table()
        else:
            table = pa.concat_tables((pj.read_json(file) for file in files), promote_options="permissive")
    except (pa.ArrowInvalid, OSError) as error:
        bad_input(path, f"cannot be read: {error}")
    _raise_for(table, path)
    return table


_FORMATS = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_SHOWN = 5


def _raise_for(table: pa.Table, path: Path) -> None:
    mistakes: list[Mistake] = []
    for name in ("id", "text"):
        if name not in table.column_names:
            mistakes.append(Mistake(f"{path}: {name}", f"no such column; there are {', '.join(table.column_names)}"))
            continue
        column = table[name]
        if column.null_count:
            rows = np.flatnonzero(column.is_null().to_numpy()).tolist()
            mistakes.append(Mistake(f"{path}: {name}", f"null in {_places(rows)}; fill or drop them"))
        integer = name == "id" and pa.types.is_integer(column.type)
        if not (integer or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            mistakes.append(Mistake(f"{path}: {name}", f"is {column.type}, not text"))
        elif name == "id":
            mistakes.extend(_repeated(column, path))
    if not mistakes and not table.num_rows:
        mistakes.append(Mistake(str(path), "holds no rows"))
    if mistakes:
        raise BadInput(mistakes)


def _repeated(column: Any, path: Path) -> list[Mistake]:
    counts = Counter(one for one in column.to_pylist() if one is not None)
    twice = [f"{one!r} ({number} times)" for one, number in counts.items() if number > 1]
    if not twice:
        return []
    more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
    return [Mistake(f"{path}: id", f"not unique: {', '.join(twice[:_SHOWN])}{more}; ids must name one row each")]


def _places(rows: list[int]) -> str:
    shown = ", ".join(str(row) for row in rows[:_SHOWN])
    return f"row{'s' if len(rows) > 1 else ''} {shown}" + (
        f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    )


def dedup(
    table: Path | str, out: Path | str, config: NearDuplicates | None = None, *, command: str = ""
) -> dict[str, int]:
    """Remove exact and near duplicates from a table of texts, in this process.

    Args:
        table: A Parquet or JSON Lines file, or a folder of either, with `id` and `text`.
        out: The artifact's folder: gets `kept.parquet` (all columns of the rows that stay, in their order) and
            `clusters.parquet`.
        config: The settings; the default ones when None.
        command: The command line that makes it again.

    Returns:
        `documents`, `exact_removed`, `near_removed`, `kept`.

    Raises:
        BadInput: The table cannot be used; all mistakes are listed.
    """
    path = Path(table)
    config = config or NearDuplicates()
    check_place(out, "dedup")
    rows = read_texts(path)
    say(f"read {rows.num_rows:,} texts, {rows['text'].nbytes / 1e6:,.1f} MB")
    identity = {
        "version": DEDUP_VERSION,
        "input": _content_sha256(path),
        "near_duplicates": config.model_dump(mode="json"),
    }
    with creating(out, "dedup", identity, command=command) as draft:
        ids = [str(one) for one in rows["id"].to_pylist()]
        clusters = deduplicate(ids, cast(list[str], rows["text"].to_pylist()), config)
        stays = set(clusters.filter(clusters["kept"])["id"].to_pylist())
        pq.write_table(rows.filter(pa.array([one in stays for one in ids])), draft.path / "kept.parquet")
        pq.write_table(clusters, draft.path / "clusters.parquet")
        reasons = Counter(clusters["reason"].to_pylist())
        draft.counts |= {
            "documents": len(ids),
            "exact_removed": reasons["same_bytes"] + reasons["same_text"],
            "near_removed": reasons["near"],
            "kept": len(stays),
        }
    return dict(draft.counts)


def _content_sha256(path: Path) -> str:
    if path.is_file():
        return file_sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix in _FORMATS)
    lines = (f"{file_sha256(file)}  {file.relative_to(path).as_posix()}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
