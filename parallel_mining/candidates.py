"""Which units of other languages may do what a pivot unit does? Found by shared words and callable-alike signatures.

Start at `candidates`. Words are name parts, identifier parts, called names and literals; a rare word says more (inverse
document frequency), a function's own name says most. Nothing is run here, so a candidate proves nothing.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from parallel_mining.pairs import Program
from parallel_mining.signatures import call_compatible
from parallel_mining.units import Unit
from quality.languages import language

# How much a word of each field weighs. The name dominates: hiding function names costs a quarter of recall at rank 1
# when functions with the same purpose are matched across languages by such words.
FIELD_WEIGHTS = {"fold": 5.0, "name": 3.0, "id": 1.0, "call": 1.0, "lit": 1.2}


@dataclass(frozen=True)
class Candidate:
    """Two units that may do the same.

    Args:
        left: The pivot's unit.
        right: The other language's unit.
        score: Cosine of their weighted words, 0 to 1.
    """

    left: Unit
    right: Unit
    score: float


def candidates(
    units: Sequence[Unit],
    pivot: str,
    *,
    per_unit: int = 20,
    min_score: float = 0.25,
    progress: Callable[[int], object] | None = None,
) -> list[Candidate]:
    """Return the candidates between the pivot language and every other language.

    Args:
        units: Units of all languages.
        pivot: The language id that every pair has on its left.
        per_unit: How many candidates a pivot unit may have in a language, and another unit in the pivot.
        min_score: Cosine below which units are not even tried.
        progress: Called with the number of pivot units that were finished since the last call.

    Returns:
        Best first within each language; the same for the same units in any order.
    """
    distinct = distinct_units(units)
    weights = _weights(distinct)
    left = [unit for unit in distinct if unit.language == pivot]
    right: dict[str, list[Unit]] = {}
    for unit in distinct:
        if unit.language != pivot:
            right.setdefault(unit.language, []).append(unit)
    vectors = {unit.unit_id: _vector(unit, weights) for unit in distinct}
    found: list[Candidate] = []
    for name in sorted(right):
        found += _between(left, right[name], vectors, per_unit, min_score)
    if progress is not None:
        progress(len(left))
    return found


def _between(
    left: Sequence[Unit],
    right: Sequence[Unit],
    vectors: dict[str, dict[str, float]],
    per_unit: int,
    min_score: float,
) -> list[Candidate]:
    index: dict[str, list[tuple[int, float]]] = {}
    for number, unit in enumerate(right):
        for word, weight in vectors[unit.unit_id].items():
            index.setdefault(word, []).append((number, weight))
    scored: list[Candidate] = []
    for unit in left:
        scores: dict[int, float] = {}
        for word, weight in vectors[unit.unit_id].items():
            for number, other in index.get(word, ()):
                scores[number] = scores.get(number, 0.0) + weight * other
        for number, score in scores.items():
            if score >= min_score and call_compatible(unit.signature, right[number].signature):
                scored.append(Candidate(unit, right[number], round(min(score, 1.0), 6)))
    scored.sort(key=lambda c: (-c.score, c.left.unit_id, c.right.unit_id))
    kept: list[Candidate] = []
    taken: dict[str, int] = {}
    for candidate in scored:
        ids = (candidate.left.unit_id, candidate.right.unit_id)
        if all(taken.get(i, 0) < per_unit for i in ids):
            kept.append(candidate)
            for i in ids:
                taken[i] = taken.get(i, 0) + 1
    return kept


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
        best.setdefault((unit.language, f"{unit.entry} {code_hash(unit.program)}"), unit)
    return sorted(best.values(), key=lambda u: (u.language, u.origin.repo_name, u.origin.path, u.entry, u.unit_id))


def code_hash(program: Program) -> str:
    """Return a hash of a program's code that does not depend on blanks, comments or docstrings."""
    code = _comments(program.language).sub(lambda found: found["text"] or "", program.code)
    return hashlib.sha256("".join(code.split()).encode(errors="replace")).hexdigest()


@cache
def _comments(language_id: str) -> re.Pattern[str]:
    """Match a language's comments; and its strings, as `text`, for what stands in them is no comment."""
    row = language(language_id)
    marks = [rf"{re.escape(row.line_comment)}[^\n]*"]
    for opening, closing in row.block_comments:
        # What opens and closes alike is a string, and a comment only where a line starts with it.
        line_start = r"(?m:^[ \t]*)" if opening == closing else ""
        marks.append(f"{line_start}{re.escape(opening)}.*?{re.escape(closing)}")
    strings = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
    return re.compile(rf"{'|'.join(reversed(marks))}|(?P<text>{strings})", re.DOTALL)


def _weights(units: Sequence[Unit]) -> dict[str, float]:
    seen: dict[str, int] = {}
    for unit in units:
        for word in unit.words:
            seen[word] = seen.get(word, 0) + 1
    total = len(units) + 1
    # A word in over a fortieth of all units selects little and would dominate the cost.
    return {word: math.log(total / count) for word, count in seen.items() if count <= max(50, total // 40)}


def _vector(unit: Unit, weights: dict[str, float]) -> dict[str, float]:
    raw: dict[str, float] = {}
    for word, count in unit.words.items():
        if word in weights:
            raw[word] = FIELD_WEIGHTS[word.partition(":")[0]] * weights[word] * (1.0 + math.log(count))
    norm = math.sqrt(sum(value * value for value in raw.values()))
    return {word: value / norm for word, value in raw.items()} if norm else {}
