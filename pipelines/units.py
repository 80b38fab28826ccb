"""What is known of a text, or of a repository of texts, that decides who stays, without holding the text?

Start at `measured` (a buffer), `measured_texts` (texts in memory) or `measured_column` (Arrow); `grouped` makes units
of repositories from those of their files. Shingle sets are returned apart from the rest, since they are most of it.

What always holds: what is known of a text does not depend on the texts beside it, nor on how many threads there are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pipelines.exact import exact_hashes
from pipelines.minhash import Signing, bucket_matrix, signatures
from pipelines.shingles import (
    BATCH_BYTES,
    I64,
    U64,
    ScatteredShingles,
    Shingles,
    batches,
    byte_classes,
    joined,
    one_set,
    shingles_in,
)


@dataclass(frozen=True)
class Units:
    """What is known of texts, or of repositories of texts, but for their shingles.

    Args:
        raw: Hash of the bytes, n x 2 (`exact_hashes`).
        normalised: Hash of what counts as the same, n x 2.
        lengths: Bytes.
        sizes: Shingles.
        buckets: LSH buckets, n x bands; of no meaning where there are no shingles.
    """

    raw: U64
    normalised: U64
    lengths: I64
    sizes: I64
    buckets: U64

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, indices: I64) -> Units:
        """Return some of them, in the order asked for."""
        return Units(*(column[indices] for column in vars(self).values()))

    def fill(self, start: int, part: Units) -> None:
        """Put some in place, from a number on; for what `unfilled` returned."""
        for column, values in zip(vars(self).values(), vars(part).values(), strict=True):
            column[start : start + len(part)] = values


def combined(parts: Sequence[Units]) -> Units:
    """Return several as one, in order."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Units(*(np.concatenate(column) for column in columns))


def unfilled(rows: int, bands: int) -> Units:
    """Return room for as many units, to be filled in place: joining parts would hold everything twice."""
    return Units(
        np.empty((rows, 2), np.uint64),
        np.empty((rows, 2), np.uint64),
        np.empty(rows, np.int64),
        np.empty(rows, np.int64),
        np.empty((rows, bands), np.uint64),
    )


def measured(data: bytes, offsets: I64, signing: Signing) -> tuple[Units, Shingles]:
    """Return what is known of texts that lie end to end in a buffer, and their shingles.

    Args:
        data: The texts' UTF-8 bytes.
        offsets: Where each text starts in `data`, and where the last one ends; the first is 0.
        signing: What they depend on.
    """
    classes = byte_classes(data)
    sets = shingles_in(data, offsets, signing.shingle_size, classes)
    raw, normalised = exact_hashes(data, offsets, classes)
    return Units(raw, normalised, np.diff(offsets), sets.sizes, _buckets(sets, signing)), sets


def _buckets(sets: Shingles, signing: Signing) -> U64:
    return bucket_matrix(signatures(sets, signing.permutations, signing.seed), signing)


Result = TypeVar("Result")


def text_pieces(column: Any) -> tuple[memoryview, list[I64]]:
    """Return the bytes of an Arrow column of texts, and where the texts of every piece that is worked on start in them.

    Args:
        column: Strings, none null.

    Returns:
        The UTF-8 bytes of the texts, end to end; and a row for each piece: where each of its texts starts in the bytes,
        and where the last one ends.
    """
    column = column.cast("large_string")
    if not len(column):
        return memoryview(b""), []
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    content = memoryview(column.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    return content, [offsets[part.start : part.stop + 1] for part in batches(offsets, BATCH_BYTES)]


def measured_column(column: Any, pool: Executor, work: Callable[[bytes, I64], Result]) -> Iterator[Result]:
    """Return what is to be known of an Arrow column of texts, piece by piece and in order; the work starts at once.

    Args:
        column: Strings, none null.
        pool: Threads to work in.
        work: `measured` or the like; called with the UTF-8 bytes of some texts, end to end, and their offsets.
    """
    content, pieces = text_pieces(column)
    return pool.map(work, (bytes(content[own[0] : own[-1]]) for own in pieces), [own - own[0] for own in pieces])


def measured_texts(texts: Sequence[str], signing: Signing) -> tuple[Units, Shingles]:
    """Return what `measured` says of texts in memory, of any number."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in encoded], dtype=np.int64)))

    def work(part: slice) -> tuple[Units, Shingles]:
        own = offsets[part.start : part.stop + 1]
        return measured(b"".join(encoded[part]), own - own[0], signing)

    with threads() as pool:
        parts = [_nothing(signing), *pool.map(work, batches(offsets, BATCH_BYTES))]
    return combined([units for units, _ in parts]), joined([sets for _, sets in parts])


def threads() -> ThreadPoolExecutor:
    """Return as many threads as this process has cores."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)))


def _nothing(signing: Signing) -> tuple[Units, Shingles]:
    return measured(b"", np.zeros(1, np.int64), signing)


def grouped(files: Units, sets: Shingles | ScatteredShingles, group: I64, signing: Signing) -> tuple[Units, Shingles]:
    """Return what is known of repositories, from what is known of their files.

    A repository's shingle set is the union of its files' sets; two are exact duplicates where the sets of their files'
    texts are equal, whatever the paths.

    Args:
        files: The files.
        sets: Their shingle sets.
        group: The number of each file's repository, 0 to repositories - 1, each used.
        signing: What they depend on.
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(group[order]) != 0))
    members = np.split(order, starts[1:])
    union = joined([one_set(sets.take(own).values) for own in members])
    return (
        Units(
            np.concatenate([_hash_of(files.raw[own]) for own in members]),
            np.concatenate([_hash_of(np.unique(files.normalised[own], axis=0)) for own in members]),
            np.add.reduceat(files.lengths[order], starts),
            union.sizes,
            _buckets(union, signing),
        ),
        union,
    )


def _hash_of(rows: U64) -> U64:
    content = rows[np.lexsort((rows[:, 1], rows[:, 0]))].astype(">u8").tobytes()
    return np.frombuffer(hashlib.sha256(content).digest()[:16], ">u8").astype(np.uint64).reshape(1, 2)
