"""Which files of a sample truly are near duplicates: every pair of a true Jaccard from 0.7 on, without any sketch.

Start at `truth`. Shingles are those the project states (five tokens in a row, a token being a run of letters, digits,
`_`, `$` and non-ASCII characters, or a run of other visible characters), made here by a regular expression and numbers
for tokens, apart from the code that is measured. Pairs are found by prefix filtering: two sets of Jaccard t or more
share one of the (1 - t) rarest shingles of each, so that only pairs that share such a shingle need comparing.
Source: Chaudhuri, Ganti, Kaushik, ICDE 2006; Bayardo, Ma, Srikant, WWW 2007.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZE = 5
TOKEN = re.compile(r"[A-Za-z0-9_$\x80-\U0010ffff]+|[^A-Za-z0-9_$\x80-\U0010ffff\s\0]+")
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """True near duplicates among the distinct sets of a sample.

    Args:
        set_of: The number of each file's set; -1 for a file without any token, which is like nothing.
        left: One set of each pair of Jaccard `lowest` and more.
        right: The other.
        jaccard: Their Jaccard.
    """

    set_of: I64
    left: I64
    right: I64
    jaccard: NDArray[np.float64]


def truth(texts: Sequence[str], lowest: float = 0.7) -> Truth:
    """Find all pairs of a true Jaccard of `lowest` or more."""
    number_of: dict[str, int] = {}
    sets: list[NDArray[np.uint64]] = []
    seen: dict[bytes, int] = {}
    set_of = np.full(len(texts), -1)
    for at, text in enumerate(texts):
        tokens = np.array([number_of.setdefault(token, len(number_of)) for token in TOKEN.findall(text)], np.uint64)
        if not len(tokens):
            continue
        found = np.unique(_combined(tokens))
        set_of[at] = seen.setdefault(found.tobytes(), len(sets))
        if set_of[at] == len(sets):
            sets.append(found)
    left, right = _share_a_rare_shingle(sets, lowest)
    jaccard = np.array([_jaccard(sets[i], sets[j]) for i, j in zip(left.tolist(), right.tolist(), strict=True)])
    true = jaccard >= lowest
    return Truth(set_of, left[true], right[true], jaccard[true])


def _combined(tokens: NDArray[np.uint64]) -> NDArray[np.uint64]:
    if len(tokens) < SIZE:
        tokens = np.concatenate([tokens, np.full(SIZE - len(tokens), 2**63, np.uint64)])
    value = np.zeros(len(tokens) - SIZE + 1, np.uint64)
    for step in range(SIZE):
        value += tokens[step : len(tokens) - SIZE + 1 + step] + np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
        value *= np.uint64(0xBF58476D1CE4E5B9)
        value ^= value >> np.uint64(32)
    return value


def _jaccard(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> float:
    both = np.sort(np.concatenate([left, right]))
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(left) + len(right) - shared)


def _share_a_rare_shingle(sets: list[NDArray[np.uint64]], lowest: float) -> tuple[I64, I64]:
    """Return the pairs that share one of each other's rarest shingles and are of like size."""
    sizes = np.array([len(one) for one in sets])
    everything = np.concatenate(sets)
    values, shingle, count = np.unique(everything, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(count, kind="stable")] = np.arange(len(values))
    owner = np.repeat(np.arange(len(sets)), sizes)
    order = np.lexsort((rank[shingle], owner))
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    prefix = sizes - np.ceil(lowest * sizes - 1e-9).astype(np.int64) + 1
    order = order[place < prefix[owner]]
    by_shingle = order[np.argsort(shingle[order], kind="stable")]
    holders, starts = owner[by_shingle], np.flatnonzero(np.append(True, np.diff(shingle[by_shingle]) != 0))
    keys: list[I64] = [np.zeros(0, np.int64)]
    for group in np.split(holders, starts[1:]):
        if len(group) == 1:
            continue
        i, j = np.triu_indices(len(group), 1)
        near = np.minimum(sizes[group[i]], sizes[group[j]]) >= lowest * np.maximum(sizes[group[i]], sizes[group[j]])
        keys.append(group[i][near] * len(sets) + group[j][near])
        if len(keys) > 1000:
            keys = [np.unique(np.concatenate(keys))]
    pairs = np.unique(np.concatenate(keys))
    return pairs // len(sets), pairs % len(sets)
