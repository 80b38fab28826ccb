"""Which texts are the same? Hashes of texts that lie end to end in a buffer, as Arrow holds them.

Start at `exact_hashes`. Its second hash is `quality.text_hash.normalised_hash` of each text: most texts hold nothing
that it takes away but line feeds at their ends, which a look at the classes of their bytes tells; the others go to the
function itself.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from pipelines.shingles import BYTE_CLASS, I64, LINE_FEED, STRIPPED, U8, U64
from quality.text_hash import normalised_hash

_FEED_BIT = np.uint8(LINE_FEED.bit_length() - STRIPPED.bit_length())


def exact_hashes(data: bytes, offsets: I64, classes: U8) -> tuple[U64, U64]:
    """Return two hashes of each text: of its bytes, and of what `normalised_hash` takes as the same.

    Args:
        data: The texts' UTF-8 bytes.
        offsets: Where each text starts in `data`, and where the last one ends; the first is 0.
        classes: `pipelines.shingles.byte_classes(data)`.

    Returns:
        Two arrays, texts x 2: the first 128 bits of SHA-256 as two numbers, which sort as the hash does.
    """
    raw: list[bytes] = []
    normalised: list[bytes] = []
    bounds: list[int] = offsets.tolist()
    for text, untidy in enumerate(_untidy(offsets, classes).tolist()):
        content = data[bounds[text] : bounds[text + 1]]
        core = content.rstrip(b"\n")
        if untidy or b"\r" in core or core.startswith(b"\n") or (core and BYTE_CLASS[core[-1]] & STRIPPED):
            raw.append(hashlib.sha256(content).digest()[:16])
            whole = normalised_hash(content.decode("utf-8", "surrogatepass"))
            normalised.append(bytes.fromhex(whole)[:16])
            continue
        digest = hashlib.sha256(core)
        normalised.append(digest.digest()[:16])
        digest.update(content[len(core) :])
        raw.append(digest.digest()[:16])
    return _numbers(raw), _numbers(normalised)


def _untidy(offsets: I64, classes: U8) -> NDArray[np.bool_]:
    """Return which texts hold something before a line feed that could be white space."""
    found = np.zeros(len(offsets), np.bool_)
    # Neighbours' bits laid upon each other: places of few truth values are found several times as fast as of numbers.
    both = classes[:-1] & (classes[1:] >> _FEED_BIT) & np.uint8(STRIPPED)
    feeds = np.flatnonzero(both.view(np.bool_)) + 1
    text = np.searchsorted(offsets, feeds, side="right") - 1
    # What stands before a text's first byte is of another text.
    found[text[offsets[text] != feeds]] = True
    return found[:-1]


def _numbers(digests: list[bytes]) -> U64:
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 2)
