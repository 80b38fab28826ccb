"""Which language does a text read like, when nothing else tells?

Start at `proposals`. A linear model over the shapes of a text's first lines: its words as far as they are common in
code (all others count as one), its signs, and their runs of two and three. It proposes and does not decide: what it
says is checked against the grammars in `quality.classify`. Texts in no language of the registry have classes of their
own (`json`, `c`, `xml`, ...), since most files that must be told from a program are other code or data.

The weights are a file beside this module, made by `tests/benchmark/train_lexical.py` from the packages in
`tests/benchmark/lexical_packages.txt`, which states the command and the seed. A language without a class in it is told
by its registry row alone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WEIGHTS = Path(__file__).with_name("lexical.npz")
"""Where the weights are trained to; they are read as a resource, for the package may lie in an archive."""

READ_CHARACTERS = 8_000
"""Of a text's start. Source: measured; twice as many changed 1 verdict in 1,000."""

BUCKETS = 1 << 15
_TOKEN = re.compile(r"[^\W\d][\w$]*|\$[\w$]+|\d+|\n[ \t]?|[^\s\w]")
# What a comment or a long string says tells nothing, and licences are long; that there is one, and how it is marked,
# stays.
_PROSE = re.compile(
    r"^[ \t]*(?:(/\*[*!]?).*?(?:\*/|\Z)|(//[/!]?)[^\n]*|(#)(?=[ \t#\n])[^\n]*(?=\n[ \t]*#[ \t#\n])|(<!--).*?(?:-->|\Z))"
    r"|(\"\"\"|''').*?\5|(`)[^`]{20,}`",
    re.MULTILINE | re.DOTALL,
)
_NUMBER, _OTHER_WORD, _FIRST_KNOWN = 1, 2, 3
_LINE_ENDS = {"\n": 1 << 14, "\n ": 1 << 14 | 1, "\n\t": 1 << 14 | 2}
# Odd multipliers that spread the runs over the buckets; any three would do. Source: the fractional parts of the square
# roots of 2, 3 and 5.
_FACTORS = (0x6A09E667, 0xBB67AE85, 0x3C6EF373)


@dataclass(frozen=True)
class Model:
    """What was learnt.

    Args:
        labels: Classes: language ids, and names of what is no language of the registry.
        words: Known tokens and their numbers.
        weights: (buckets, classes), as int8.
        bias: (classes,).
        scale: What a weight is multiplied by.
    """

    labels: tuple[str, ...]
    words: Mapping[str, int]
    weights: NDArray[np.int8]
    bias: NDArray[np.float32]
    scale: float


def tokens(text: str) -> list[str]:
    """Return the tokens of a text's start: words, numbers, signs, and line ends with what indents the next line."""
    bare = _PROSE.sub(_mark, text[: 2 * READ_CHARACTERS])
    return _TOKEN.findall(bare[:READ_CHARACTERS])


def _mark(found: re.Match[str]) -> str:
    return found[found.lastindex or 0]


def features(found: list[str], words: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the sorted buckets that a text's tokens and their runs of two and three fall into, each once.

    Args:
        found: What `tokens` returned.
        words: Known tokens and their numbers, from `_FIRST_KNOWN` on.
    """
    known = words.get
    ids = np.array(
        [number if (number := known(token)) else _NUMBER if token[0].isdigit() else _OTHER_WORD for token in found],
        np.uint32,
    )
    one, two, three = (ids * np.uint32(factor) for factor in _FACTORS)
    pairs = (one[:-1] ^ two[1:]) * np.uint32(_FACTORS[2])
    runs = ((one[:-2] + two[1:-1]) ^ three[2:]) * np.uint32(_FACTORS[1])
    every = np.concatenate([one * np.uint32(_FACTORS[1]), pairs, runs]) >> np.uint32(32 - 15)
    present = np.zeros(BUCKETS, np.bool_)
    present[every] = True
    return np.flatnonzero(present)


def proposals(text: str) -> list[tuple[str, float]]:
    """Return classes and their probabilities, the likeliest first.

    Args:
        text: A file's text.
    """
    model = _model()
    at = features(tokens(text), model.words)
    logits = model.bias.astype(np.float64)
    if at.size:
        logits += model.weights[at].sum(0, dtype=np.int64) * (model.scale / np.sqrt(at.size))
    odds = np.exp(logits - logits.max())
    odds /= odds.sum()
    return [(model.labels[index], float(odds[index])) for index in np.argsort(-odds, kind="stable")]


@cache
def _model() -> Model:
    data = resources.files("quality").joinpath(WEIGHTS.name).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return from_arrays(stored)


def from_arrays(stored: Mapping[str, Any]) -> Model:
    """Return the model that arrays named as in `WEIGHTS` hold."""
    words = str(stored["words"]).split(" ")
    return Model(
        labels=tuple(str(stored["labels"]).split(" ")),
        words={word: number for number, word in enumerate(words, _FIRST_KNOWN)} | _LINE_ENDS,
        weights=stored["weights"],
        bias=stored["bias"],
        scale=float(stored["scale"]),
    )
