"""Which units of other languages may do what a pivot unit does? Found by shared words and callable-alike signatures.

Start at `candidates`. A unit's words are made by `parallel_mining.words`; a rare word says more (inverse document
frequency), a function's own name says most. What that index does not give may be added by `parallel_mining.channels`:
file names, notes and test vectors. Nothing is run here, so a candidate proves nothing.

What always holds: weights are whole numbers, so sums of products are exact and do not depend on their order. That is
why `pipelines.spark_candidates`, which adds them up on many machines, finds the same candidates; it uses `search_row`,
`weigh`, `kept_words`, `suits` and `in_order` from here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parallel_mining.channels import INDEX, added, joined_channels, meetings
from parallel_mining.comments import without_comments
from parallel_mining.pairs import Program
from parallel_mining.signatures import Parameter, Signature, call_compatible
from parallel_mining.types import parse_type
from parallel_mining.units import Unit

# How much a word of each field weighs. The name dominates: hiding function names costs a quarter of recall at rank 1
# when functions with the same purpose are matched across languages by such words.
FIELD_WEIGHTS = {"fold": 5.0, "name": 3.0, "id": 1.0, "call": 1.0, "lit": 1.2, "flow": 1.0, "flows": 0.5}

UNIT_WEIGHT = 1 << 24
"""The length of a unit's vector, in whole numbers: a product of two has 48 bits, exact in a float of 53."""

SEARCH_SCHEMA = pa.schema(
    [
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("same", pa.string(), nullable=False),  # entry and hash of the code: equal ones are one unit
        pa.field("unlicensed", pa.bool_(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("signature", pa.string(), nullable=False),  # `signature_text`
        pa.field("words", pa.map_(pa.string(), pa.int32()), nullable=False),
        pa.field("answers", pa.list_(pa.string()), nullable=False),  # `parallel_mining.clues`
        pa.field("asks", pa.list_(pa.string()), nullable=False),
    ]
)


@dataclass(frozen=True)
class Candidate:
    """Two units that may do the same.

    Args:
        left: The pivot's unit; between two other languages, that of the first by id.
        right: The other language's unit.
        score: Cosine of their weighted words, 0 to 1.
        channel: Every channel in which they meet (`index`, `port`, `stem`, `vectors`), joined by a plus sign.
    """

    left: Unit
    right: Unit
    score: float
    channel: str = INDEX


def candidates(
    units: Sequence[Unit],
    pivot: str,
    *,
    per_unit: int = 20,
    min_score: float = 0.25,
    min_mutual_score: float = 0.1,
    per_channel: int = 3,
    through_pivot: bool = True,
    progress: Callable[[int], object] | None = None,
) -> list[Candidate]:
    """Return the candidates between the pivot language and every other language.

    A left unit proposes itself to the `per_unit` most similar units of a language that could be called alike; each of
    those keeps the `per_unit` most similar ones that did. Two that are each other's most similar are candidates though
    they have little in common: 0.9 of such pairs are right where names are hidden (`bench_candidates`). Units that meet
    in another channel are added where they are not among these.

    Args:
        units: Units of all languages.
        pivot: The language id that every pair has on its left.
        per_unit: How many candidates a pivot unit may have in a language, and another unit in the pivot.
        min_score: Cosine below which units are not even tried,
        min_mutual_score: unless each is the most similar one to the other, and this similar.
        per_channel: How many candidates each other channel may add to a unit, in each language.
        through_pivot: Compare with the pivot only; else every two languages with each other.
        progress: Called with the number of left units that were finished since the last call.

    Returns:
        Best first within each two languages; the same for the same units in any order.
    """
    distinct = distinct_units(units)
    weights = _weights(distinct)
    grouped: dict[str, list[Unit]] = {}
    for unit in sorted(distinct, key=lambda u: u.unit_id):
        grouped.setdefault(unit.language, []).append(unit)
    vectors = {name: _Vectors.of([weigh(unit.words, weights) for unit in own]) for name, own in grouped.items()}
    found: list[Candidate] = []
    for one, other in language_pairs(grouped, pivot, through_pivot=through_pivot):
        left, right = grouped[one], grouped[other]
        least = least_total(min_score), least_total(min(min_mutual_score, min_score))
        met = meetings([u.clues for u in left], [u.clues for u in right]) if per_channel else {}
        apart: dict[int, set[int]] = {}
        for a, b, _ in met:
            apart.setdefault(a, set()).add(b)
        numbers, totals = _between(left, right, vectors[one], vectors[other], per_unit, least, apart, progress)
        met = {meeting: keys for meeting, keys in met.items() if meeting[:2] in totals}
        channels = {(a, b): [INDEX] for a, b in numbers}
        channels |= {(a, b): [] for a, b in added(met, totals, numbers.keys(), per_channel)}
        totals |= numbers
        for a, b, channel in met:
            if (a, b) in channels:
                channels[a, b].append(channel)
        made = [
            Candidate(left[a], right[b], score_of(totals[a, b]), joined_channels(c)) for (a, b), c in channels.items()
        ]
        found += in_order(made)
    return found


def in_order(found: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates between two languages best first; equal ones by their units' ids."""
    return sorted(found, key=lambda c: (-c.score, c.left.unit_id, c.right.unit_id))


def language_pairs(names: Iterable[str], pivot: str, *, through_pivot: bool) -> list[tuple[str, str]]:
    """Return which languages are compared, left and right: each with the pivot, and with each other if asked."""
    others = sorted(set(names) - {pivot})
    pairs = [(pivot, name) for name in others] if pivot in names else []
    return pairs if through_pivot else [*pairs, *((a, b) for i, a in enumerate(others) for b in others[i + 1 :])]


def score_of(total: int) -> float:
    """Return the cosine that a sum of products of whole weights stands for."""
    return round(min(total / UNIT_WEIGHT**2, 1.0), 6)


def least_total(min_score: float) -> int:
    """Return the smallest sum of products of a cosine; 1 at least, as units without a common word are never tried."""
    return max(1, math.ceil(min_score * UNIT_WEIGHT**2))


@dataclass(frozen=True)
class _Vectors:
    """Units' weighted words as sparse rows: those of unit `i` are `starts[i]` to `starts[i + 1]`."""

    starts: NDArray[np.int64]
    words: list[str]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, int]]) -> _Vectors:
        starts = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
        words = [word for row in rows for word in row]
        return cls(starts, words, np.array([weight for row in rows for weight in row.values()], np.float64))


def _between(
    left: Sequence[Unit],
    right: Sequence[Unit],
    left_vectors: _Vectors,
    right_vectors: _Vectors,
    per_unit: int,
    least: tuple[int, int],
    apart: Mapping[int, Iterable[int]],
    progress: Callable[[int], object] | None,
) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    """Return what the index gives: numbers of left and right units, in the order of their ids, and sums of products.

    The second table has those of `apart` that can be called alike, whether the index gives them or not.

    Args:
        left: Units.
        right: Units.
        left_vectors: Their words.
        right_vectors: Their words.
        per_unit: How many a unit has at most.
        least: The smallest sum; and that of two that are each other's most similar.
        apart: Right units whose sum is asked for, of left units.
        progress: Called with 1 a left unit.
    """
    numbers: dict[str, int] = {}
    columns = np.array([numbers.setdefault(word, len(numbers)) for word in right_vectors.words], np.int64)
    order = np.argsort(columns, kind="stable")
    owners = np.repeat(np.arange(len(right)), np.diff(right_vectors.starts))[order]
    weights = right_vectors.weights[order]
    first = np.searchsorted(columns[order], np.arange(len(numbers) + 1))
    asked = np.array([numbers.get(word, -1) for word in left_vectors.words], np.int64)
    shapes = _Shapes(right)
    kept: list[NDArray[np.int64]] = []
    known_totals: dict[tuple[int, int], int] = {}
    for at, unit in enumerate(left):
        own = slice(left_vectors.starts[at], left_vectors.starts[at + 1])
        known = asked[own] >= 0
        word = asked[own][known]
        sizes = first[word + 1] - first[word]
        # Places of all postings of the unit's words, end to end.
        ends = np.cumsum(sizes)
        places = np.arange(sizes.sum()) + np.repeat(first[word] - (ends - sizes), sizes)
        products = weights[places] * np.repeat(left_vectors.weights[own][known], sizes)
        totals = np.bincount(owners[places], products, len(right))
        hits = np.flatnonzero(totals >= least[1])
        hits = hits[np.argsort(-totals[hits], kind="stable")]
        hits = shapes.suiting(unit, hits)[:per_unit]
        places = np.arange(len(hits))
        kept.append(np.stack((np.full(len(hits), at), hits, totals[hits].astype(np.int64), places), axis=1))
        wanted = shapes.suiting(unit, np.array(sorted(apart.get(at, ())), np.int64))
        known_totals |= {(at, other): int(totals[other]) for other in wanted.tolist()}
        if progress is not None:
            progress(1)
    found = np.concatenate(kept) if kept else np.empty((0, 4), np.int64)
    found = found[np.lexsort((found[:, 0], -found[:, 2], found[:, 1]))]
    new = np.flatnonzero(np.append(True, np.diff(found[:, 1]) != 0)) if len(found) else np.empty(0, np.int64)
    rank = np.arange(len(found)) - np.repeat(new, np.diff(np.append(new, len(found))))
    mutual = (rank == 0) & (found[:, 3] == 0)
    found = found[(rank < per_unit) & ((found[:, 2] >= least[0]) | mutual)]
    return {(a, b): total for a, b, total, _ in found.tolist()}, known_totals


class _Shapes:
    """Which units of one side can be called like one of the other; every two kinds of signatures are compared once."""

    def __init__(self, units: Sequence[Unit]) -> None:
        numbers: dict[str, int] = {}
        self._of = np.array([numbers.setdefault(signature_text(u.signature), len(numbers)) for u in units], np.int64)
        self._texts = list(numbers)
        self._known: dict[str, NDArray[np.int8]] = {}

    def suiting(self, unit: Unit, hits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some units, by number, that can be called like a unit."""
        own = signature_text(unit.signature)
        answers = self._known.setdefault(own, np.full(len(self._texts), -1, np.int8))
        shapes = self._of[hits]
        for shape in np.unique(shapes[answers[shapes] < 0]):
            answers[shape] = suits(own, self._texts[shape])
        return hits[answers[shapes] == 1]


def signature_text(signature: Signature) -> str:
    """Return what of a signature decides with which others it can be called alike, in one line."""
    types = (str(p.type) if p.type is not None else "?" for p in signature.parameters)
    returns = str(signature.returns) if signature.returns is not None else "?"
    return f"{signature.required};{' '.join(types)};{returns}"


@cache
def _signature(text: str) -> Signature:
    required, types, returns = text.split(";")
    known = [None if t == "?" else parse_type(t) for t in types.split()]
    parameters = tuple(Parameter("", t, i >= int(required)) for i, t in enumerate(known))
    return Signature(parameters, None if returns == "?" else parse_type(returns))


def suits(left: str, right: str) -> bool:
    """Say whether two signatures, as `signature_text` writes them, can be called alike."""
    return call_compatible(_signature(left), _signature(right))


def search_row(unit: Unit) -> dict[str, Any]:
    """Return what the search needs to know of a unit: a row of `SEARCH_SCHEMA`."""
    return {
        "unit_id": unit.unit_id,
        "language": unit.language,
        "same": _same(unit),
        "unlicensed": unit.origin.license_type != "permissive",
        "repo_name": unit.origin.repo_name,
        "path": unit.origin.path,
        "signature": signature_text(unit.signature),
        "words": list(unit.words.items()),
        "answers": list(unit.clues.answers),
        "asks": list(unit.clues.asks),
    }


def _same(unit: Unit) -> str:
    return f"{unit.entry} {code_hash(unit.program)}"


def distinct_units(units: Sequence[Unit]) -> list[Unit]:
    """Return units without those whose code another unit of the language has already, whatever file it stands in.

    Of equal ones the permissively licensed one stays, then that of the shortest path.
    """
    best: dict[tuple[str, str], Unit] = {}
    order = sorted(
        units,
        key=lambda u: (
            u.origin.license_type != "permissive",
            len(u.origin.path),
            u.origin.repo_name,
            u.origin.path,
            u.unit_id,
        ),
    )
    for unit in order:
        best.setdefault((unit.language, _same(unit)), unit)
    return sorted(best.values(), key=lambda u: (u.language, u.origin.repo_name, u.origin.path, u.entry, u.unit_id))


def code_hash(program: Program) -> str:
    """Return a hash of a program's code that does not depend on blanks, comments or docstrings."""
    code = without_comments(program.language, program.code)
    return hashlib.sha256("".join(code.split()).encode(errors="replace")).hexdigest()


def kept_words(counts: Mapping[str, int], units: int) -> dict[str, float]:
    """Return the inverse document frequency of the words that are searched by.

    Args:
        counts: How many units have a word.
        units: How many there are.
    """
    total = units + 1
    # A word in over a fortieth of all units selects little and would dominate the cost.
    return {word: math.log(total / count) for word, count in counts.items() if count <= max(50, total // 40)}


def _weights(units: Sequence[Unit]) -> dict[str, float]:
    seen: dict[str, int] = {}
    for unit in units:
        for word in unit.words:
            seen[word] = seen.get(word, 0) + 1
    return kept_words(seen, len(units))


def weigh(words: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """Return a unit's words with whole weights, the squares of which add up to about that of `UNIT_WEIGHT`."""
    raw: dict[str, float] = {}
    for word, count in sorted(words.items()):
        if word in weights:
            raw[word] = FIELD_WEIGHTS[word.partition(":")[0]] * weights[word] * (1.0 + math.log(count))
    norm = math.sqrt(sum(value * value for value in raw.values()))
    whole = {word: round(UNIT_WEIGHT * value / norm) for word, value in raw.items()} if norm else {}
    return {word: value for word, value in whole.items() if value}
