"""What is a text made of, as a set that can be compared? Shingles: hashed runs of tokens, and their true Jaccard.

Start at `shingles` (texts) or `shingles_in` (texts that lie end to end in one buffer, as Arrow holds them); `jaccard`
and `jaccards` compare. A token is a run of letters, digits, `_`, `$` and non-ASCII characters, or a run of other
visible characters; white space and NUL separate tokens and are no part of any. A shingle is `size` tokens in a row.

What always holds:

- A set depends on its text and the size, not on its neighbours, on batches or on where the text lies.
- A text of fewer tokens than a shingle is one shingle, so it is equal only to texts of the same tokens; one without any
  token is the empty set, which is similar to nothing.
- Shingles are 32-bit hashes, half of what a disk, a shuffle or a sort would carry otherwise. Two shingles are mistaken
  for one with probability 2**-32, so that a Jaccard is off by about n / 2**32 for sets of n: 2e-5 at 100,000 shingles.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

BATCH_BYTES = 1 << 19
"""Text that is taken through the passes at once, unless one text is larger. Measured: 0.25 to 1 MB are within 5%, since
the arrays of a batch then stay in a core's second-level cache; 4 MB cost a third more."""


@dataclass(frozen=True)
class Shingles:
    """Shingle sets of several texts, end to end.

    Args:
        values: Hashed shingles, uint32; sorted and unique within a text.
        offsets: Where each text starts, int64, and where the last one ends: texts + 1 of them.
    """

    values: U32
    offsets: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> I64:
        """Shingles of each text."""
        return np.diff(self.offsets)

    def of(self, index: int) -> U32:
        """Return one text's set."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def take(self, indices: I64) -> Shingles:
        """Return the sets of some texts, in the order asked for."""
        return ScatteredShingles(self.values, self.offsets[:-1], self.sizes).take(indices)


@dataclass(frozen=True)
class ScatteredShingles:
    """Shingle sets of several texts that lie anywhere in an array, which may be a file.

    Args:
        values: Hashed shingles, uint32; sorted and unique within a text.
        starts: Where each text starts, int64.
        sizes: Shingles of each text, int64.
    """

    values: U32
    starts: I64
    sizes: I64

    def take(self, indices: I64) -> Shingles:
        """Return the sets of some texts, in the order asked for."""
        sizes = self.sizes[indices]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        places = np.repeat(self.starts[indices] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Shingles(self.values[places], offsets)


def joined(parts: Sequence[Shingles]) -> Shingles:
    """Return the sets of several batches as one."""
    sizes = np.concatenate([np.zeros(0, np.int64), *(part.sizes for part in parts)])
    values = np.concatenate([np.zeros(0, np.uint32), *(part.values for part in parts)])
    return Shingles(values, np.concatenate(([0], np.cumsum(sizes))))


def one_set(values: U32) -> Shingles:
    """Return the one set of some hashes."""
    values = np.unique(values)
    return Shingles(values, np.array([0, len(values)], np.int64))


# What a byte is, found for all bytes in one pass: the upper half says which kind of token it can belong to, the lower
# half what the exact hashes ask (`pipelines.exact`).
WHITE, WORD, MARK = 0, 1, 2
KIND_SHIFT = np.uint8(4)
STRIPPED, LINE_FEED = 1, 2


def _byte_classes() -> bytes:
    kinds = np.full(256, MARK << 4, np.uint8)
    kinds[[0, *b"\t\n\v\f\r "]] = WHITE
    word = b"_$0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    kinds[[*word, *range(128, 256)]] = WORD << 4
    # Last bytes of all characters that `str.rstrip` takes away, in UTF-8.
    kinds[[*{chr(point).encode()[-1] for point in range(0x3001) if chr(point).isspace()}]] |= STRIPPED
    kinds[ord("\n")] = LINE_FEED
    return kinds.tobytes()


BYTE_CLASS = _byte_classes()
"""The class of each byte: its kind (`WHITE`, `WORD`, `MARK`) above `KIND_SHIFT` bits, and the flags below."""


def byte_classes(data: bytes) -> U8:
    """Return what each byte is: its kind (`WHITE`, `WORD`, `MARK`) shifted by `KIND_SHIFT`, and the lower half."""
    return np.frombuffer(data.translate(BYTE_CLASS), np.uint8)


def batches(offsets: I64, limit: int) -> Iterator[slice]:
    """Cut texts that lie end to end into slices of at most `limit` bytes; a larger text is a slice of its own."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + limit, side="right")) - 1
        last = max(last, first + 1)
        yield slice(first, last)
        first = last


def shingles(texts: Sequence[str], size: int) -> Shingles:
    """Return the shingle sets of texts.

    Args:
        texts: The texts.
        size: Tokens in a shingle.
    """
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in encoded], dtype=np.int64)))
    parts = [
        shingles_in(b"".join(encoded[part]), offsets[part.start : part.stop + 1] - offsets[part.start], size)
        for part in batches(offsets, BATCH_BYTES)
    ]
    return joined(parts)


# Odd constants with well-spread bits. Source: 2**64 and 2**32 over the golden ratio, and murmur3's finaliser.
_WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_CHAIN = np.uint32(0x9E3779B1)
_FINISH = np.uint32(0x85EBCA6B)
_HALF = np.uint64(32)
_LONG = 32
_MASKS = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)


def shingles_in(data: bytes, offsets: I64, size: int, classes: U8 | None = None) -> Shingles:
    """Return the shingle sets of texts that lie end to end in a buffer.

    Args:
        data: The texts' UTF-8 bytes.
        offsets: Where each text starts in `data`, and where the last one ends; the first is 0.
        size: Tokens in a shingle.
        classes: `byte_classes(data)`, where it is known already.
    """
    starts, stops = _tokens(byte_classes(data) if classes is None else classes, offsets)
    tokens = _hashed(data, starts, stops)
    # The number of tokens before each text's start.
    places = np.searchsorted(starts, offsets)
    chained = _chained(tokens, size)
    first, last = places[:-1], places[1:]
    long = last - first >= size
    for begin, end in zip(first[long].tolist(), (last[long] - size + 1).tolist(), strict=True):
        chained[begin:end].sort()
    return _unique(chained, tokens, first, last, long, size)


def _tokens(classes: U8, offsets: I64) -> tuple[I64, I64]:
    """Return where tokens start and stop."""
    kinds = classes >> KIND_SHIFT
    visible = np.zeros(len(kinds) + 1, np.bool_)
    np.not_equal(kinds, WHITE, out=visible[:-1])
    edge = np.ones(len(kinds) + 1, np.bool_)
    np.not_equal(kinds[1:], kinds[:-1], out=edge[1:-1])
    edge[offsets] = True
    starts = np.flatnonzero(edge & visible)
    # A token stops at an edge that something visible stands before.
    edge[1:] &= visible[:-1]
    edge[0] = False
    return starts, np.flatnonzero(edge)


def _hashed(data: bytes, starts: I64, stops: I64) -> U32:
    """Return a hash of each token: of its bytes in words of eight, or of BLAKE2 where it is long."""
    lengths = stops - starts
    padded = np.frombuffer(data + bytes(8), np.uint8)
    words = np.ndarray((len(data) + 1,), "<u8", padded, 0, (1,))  # the word at every byte
    values = words[starts] & _MASKS.take(lengths, mode="clip")
    within = np.flatnonzero(lengths > 8)
    for done in range(8, _LONG, 8):
        values[within] = _folded(values[within]) + (
            words[starts[within] + done] & _MASKS.take(lengths[within] - done, mode="clip")
        )
        within = within[lengths[within] > done + 8]
    for index in within.tolist():
        token = hashlib.blake2b(data[starts[index] : stops[index]], digest_size=8).digest()
        values[index] = int.from_bytes(token, "little")
    values ^= values >> _HALF
    values *= _WORD_FACTOR
    return (values >> _HALF).astype(np.uint32)


def _folded(values: U64) -> U64:
    values = (values ^ (values >> _HALF)) * _WORD_FACTOR
    return values ^ (values >> _HALF)


def _chained(tokens: U32, size: int) -> U32:
    """Return the hash of the `size` tokens from each token on; the last `size - 1` are of no use."""
    whole = len(tokens) - size + 1
    chained = tokens.copy()
    if whole > 0:
        run = chained[:whole]
        for step in range(1, size):
            run *= _CHAIN
            run += tokens[step : whole + step]
        _finish(run)
    return chained


def _finish(values: U32) -> None:
    values ^= values >> np.uint32(16)
    values *= _FINISH
    values ^= values >> np.uint32(15)


def _unique(chained: U32, tokens: U32, first: I64, last: I64, long: NDArray[np.bool_], size: int) -> Shingles:
    """Return what is new among each text's sorted hashes; `chained` is written to."""
    new = np.ones(len(chained), np.bool_)
    np.not_equal(chained[1:], chained[:-1], out=new[1:])
    new[first[long]] = True
    ends = last[long]
    for step in range(1, size):
        new[ends - step] = False
    for begin, end in zip(first[~long].tolist(), last[~long].tolist(), strict=True):
        if begin < end:
            chained[begin] = _whole(tokens[begin:end])
            new[begin] = True
            new[begin + 1 : end] = False
    kept = np.flatnonzero(new)
    offsets = np.searchsorted(kept, np.append(first, len(chained)))
    return Shingles(chained[kept], offsets.astype(np.int64))


def _whole(tokens: U32) -> np.uint32:
    value = 0
    for token in [len(tokens), *cast(list[int], tokens.tolist())]:
        value = (value * int(_CHAIN) + token) & 0xFFFFFFFF
    one = np.array([value], np.uint32)
    _finish(one)
    return one[0]


def jaccard(left: U32, right: U32) -> float:
    """Return the true Jaccard of two shingle sets (each sorted and unique); 0 where either is empty."""
    if not len(left) or not len(right):
        return 0.0
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    places = np.searchsorted(large, small)
    places[places == len(large)] = 0
    shared = int(np.count_nonzero(large[places] == small))
    return shared / (len(left) + len(right) - shared)


_COMPARED_SHINGLES = 1 << 17
"""Shingles of pairs that are laid side by side at once by `jaccards`: half a MB."""


def jaccards(sets: Shingles | ScatteredShingles, left: I64, right: I64) -> NDArray[np.float64]:
    """Return the true Jaccard of many pairs of sets; 0 where either is empty.

    Args:
        sets: Shingle sets.
        left: The number of each pair's first set.
        right: The number of its second.
    """
    sizes = sets.sizes
    total = sizes[left] + sizes[right]
    shared = np.zeros(len(left), np.int64)
    for part in batches(np.concatenate(([0], np.cumsum(total))), _COMPARED_SHINGLES):
        shared[part] = _shared(sets, left[part], right[part])
    return np.divide(shared, total - shared, out=np.zeros(len(left)), where=shared > 0)


def _shared(sets: Shingles | ScatteredShingles, left: I64, right: I64) -> I64:
    """Return how many shingles pairs share: what stands twice when both sets of a pair are sorted together."""
    both = sets.take(np.stack([left, right], axis=1).ravel())
    values, ends = both.values, both.offsets[::2]
    for begin, end in itertools.pairwise(ends.tolist()):
        # Two sorted runs: merging them takes half as long as a vectorised sort of both.
        values[begin:end].sort(kind="stable")
    twice = values[1:] == values[:-1]
    between = ends[(ends > 0) & (ends < len(values))]
    twice[between - 1] = False
    return np.diff(np.searchsorted(np.flatnonzero(twice), ends))
