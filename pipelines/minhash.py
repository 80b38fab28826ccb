"""Which texts may be near duplicates? MinHash signatures of shingle sets, cut into bands, and who shares one.

Start at `buckets`, then `candidate_pairs`. A pair is only proposed here; `pipelines.shingles.jaccards` says what it is.
`Signing` is what a signature depends on, of `pipelines.near_duplicates.NearDuplicates`.

What always holds: a text's buckets depend on its set and the settings alone, and a text without shingles has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.shingles import U32, U64, Shingles

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Signing:
    """What shingles, signatures and buckets depend on: `NearDuplicates` says what each number means.

    Args:
        shingle_size: Tokens in a shingle.
        bands: LSH bands.
        rows: Hashes in a band.
        seed: Of the permutations.
    """

    shingle_size: int
    bands: int
    rows: int
    seed: int

    @property
    def permutations(self) -> int:
        """Hashes of a signature."""
        return self.bands * self.rows


_SIGNED_TEXTS = 128
"""Texts whose signatures leave the kernel at once. It hands them over as Python integers; a few thousand of those stay
in the processor's cache and are taken from the allocator's free lists, where millions cost three times as much."""


def signatures(sets: Shingles, permutations: int, seed: int) -> U32:
    """Return MinHash signatures, texts x permutations; a text without shingles has all bits set.

    Args:
        sets: Shingle sets.
        permutations: Hashes a text.
        seed: Of the permutations.
    """
    # Its threads would wait on each other for batches as small as ours, which are already spread over threads of our
    # own or of Spark; read when the kernel is first called.
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]

    found = np.zeros((len(sets), permutations), np.uint32)
    for start in range(0, len(sets), _SIGNED_TEXTS):
        offsets = sets.offsets[start : start + _SIGNED_TEXTS + 1]
        values = sets.values[offsets[0] : offsets[-1]].astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            values, (offsets - offsets[0]).astype(np.uint64), permutations, seed
        )
        found[start : start + _SIGNED_TEXTS] = matrix.to_rows()
    return found


_CHAIN = np.uint64(0xD6E8FEB86659FD93)


def _mixed(values: U64) -> U64:
    """Return splitmix64's finaliser of each value. Source: Steele, Lea, Flood, OOPSLA 2014."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def bucket_matrix(signed: U32, signing: Signing) -> U64:
    """Return the LSH buckets of signatures, texts x bands: band and content in one number.

    Args:
        signed: `signatures` with `signing.permutations` permutations.
        signing: What they depend on.
    """
    bands = signed.reshape(len(signed), signing.bands, signing.rows)
    value = np.broadcast_to(np.arange(signing.bands, dtype=np.uint64), bands.shape[:2]).copy()
    for row in range(signing.rows):
        value = _mixed(value * _CHAIN + bands[:, :, row])
    return value


def buckets(sets: Shingles, signing: Signing) -> list[U64]:
    """Return the LSH buckets of each text, one a band; none for a text without shingles."""
    found = bucket_matrix(signatures(sets, signing.permutations, signing.seed), signing)
    return [row if size else row[:0] for row, size in zip(found, sets.sizes.tolist(), strict=True)]


def candidate_pairs(matrix: U64, rows: I64, limit: int) -> tuple[I64, I64]:
    """Return the pairs to compare among texts in memory: each with the `limit` best before it in a bucket, once.

    Args:
        matrix: Buckets of each text (`bucket_matrix`).
        rows: The texts to compare, the preferred first; texts without shingles left out.
        limit: `NearDuplicates.bucket_limit`.

    Returns:
        Places in `rows`, of the better and the worse of each pair; sorted by worse, then better.
    """
    number = max(len(rows), 1)
    keys = np.zeros(0, np.int64)
    for band in range(matrix.shape[1]):
        found = [keys, *(worse * number + better for better, worse in _in_band(matrix[rows, band], limit))]
        keys = _unique(np.concatenate(found))
    return keys % number, keys // number


def _unique(values: I64) -> I64:
    # np.unique hashes first, which takes several times as long as a vectorised sort.
    values.sort()
    new = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return values[new]


_PAIRS_AT_ONCE = 1 << 22


def _in_band(column: U64, limit: int) -> Iterator[tuple[I64, I64]]:
    order = np.argsort(column, kind="stable")
    column = column[order]
    starts = np.flatnonzero(np.append(True, column[1:] != column[:-1])) if len(column) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(column)))
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    # Each member but the first of its bucket, and how many before it are compared with it.
    first = np.repeat(starts, sizes - 1)
    within = _counting(sizes - 1) + 1
    partners = np.minimum(within, limit)
    done = np.concatenate(([0], np.cumsum(partners)))
    begin = 0
    while begin < len(first):
        end = max(int(np.searchsorted(done, done[begin] + _PAIRS_AT_ONCE, side="right")) - 1, begin + 1)
        part = slice(begin, end)
        repeats = partners[part]
        worse = np.repeat(first[part] + within[part], repeats)
        better = np.repeat(first[part], repeats) + _counting(repeats)
        yield order[better], order[worse]
        begin = end


def _counting(lengths: I64) -> I64:
    """Return 0, 1, ... up to each length, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
