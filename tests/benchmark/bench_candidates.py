"""How well units are matched by their words, before anything is run, and what that costs.

    python -m tests.benchmark.bench_candidates --pairs FILE ... [--without FIELD ...] [--scale UNITS ...] [--out FILE]

A FILE is a pairs file as `polymix validate` takes it, with a label. Pairs labelled as the same function, by whoever
published them, are true; every other function of the language in the file is a distractor. Each function is a file of
a repository of its own, cut as in mining; what is not cut on both sides is left out, and counted. `hidden` says what
was taken from both sides: `names` (the function's own name, everywhere, so that only what it does is left) and
`comments`. Rows say per language:

- `recall@k`: the share of pivot units whose counterpart is among their k most similar, of those that may be called
  alike; `recall` as mined, that is with the smallest cosine and the most candidates that are the default, and with
  what shared examples of the documentation add to those found `by_words`.
- `mutual` and `precision`: the share of pivot units that are their best candidate's best, and the share of true ones.

`--without` leaves words of some fields out, `--scale` measures speed at numbers of units, copies of those of the files
with the rare half of their words renamed in each copy, half of them the pivot's.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from parallel_mining.candidates import Candidate, candidates
from parallel_mining.channels import INDEX
from parallel_mining.comments import without_comments
from parallel_mining.units import Unit, extract
from quality.languages import LANGUAGES
from tests.benchmark.measure import report

PIVOT = "python"
HIDDEN = ((), ("names",), ("comments",), ("names", "comments"))


def true_pairs(path: Path) -> list[Mapping[str, Any]]:
    """Return the pairs of a file that are labelled as the same function."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if not row["label"].startswith("different")]


def cut(pairs: Sequence[Mapping[str, Any]], hidden: Sequence[str]) -> list[tuple[Unit, Unit]]:
    """Return the units of the pairs of which both sides can be cut."""
    documents: dict[tuple[str, str, str], dict[str, Any]] = {}
    keys: list[list[tuple[str, str, str]]] = []
    for pair in pairs:
        keys.append([])
        for side in (pair["left"], pair["right"]):
            language, code, entry = side["language"], side["code"], re.split(r"\.|::", side["entry"])[-1]
            if "names" in hidden:
                code, entry = re.sub(rf"\b{re.escape(entry)}\b", "f", code), "f"
            if "comments" in hidden:
                code = without_comments(language, code)
            key = (language, code, entry)
            keys[-1].append(key)
            row = {
                "id": f"{len(documents):032x}",
                "text": code,
                "language": language,
                "repo_name": f"{len(documents)}",
                "path": f"{len(documents)}" + LANGUAGES[language].extensions[0],
                "license_type": "permissive",
            }
            documents.setdefault(key, row)
    units = {unit.origin.document: unit for unit in extract(documents.values(), workers=1).units}
    by_entry = {
        key: units.get(row["id"])
        for key, row in documents.items()
        # A method is called through a function made for it, `Solution_name`.
        if row["id"] in units and re.split(r"\.|::", units[row["id"]].entry)[-1] in (key[2], f"Solution_{key[2]}")
    }
    both = [(by_entry.get(one), by_entry.get(other)) for one, other in keys]
    return [(one, other) for one, other in both if one is not None and other is not None]


def without(unit: Unit, fields: Sequence[str]) -> Unit:
    """Return a unit without its words of some fields."""
    return replace(unit, words={w: n for w, n in unit.words.items() if w.partition(":")[0] not in fields})


def quality(
    name: str, gold: Sequence[tuple[Unit, Unit]], given: int, hidden: Sequence[str]
) -> Iterable[dict[str, Any]]:
    """Return a row for each language."""
    for language in sorted({other.language for _, other in gold}):
        own = [pair for pair in gold if pair[1].language == language]
        units = {unit.unit_id: unit for pair in own for unit in pair}
        partner = {(one.unit_id, other.unit_id) for one, other in own}
        found = candidates(list(units.values()), PIVOT, min_score=0.0)
        ranks = [rank for rank, c in ranked(found) if (c.left.unit_id, c.right.unit_id) in partner]
        best_of_right: dict[str, str] = {}
        for candidate in found:
            best_of_right.setdefault(candidate.right.unit_id, candidate.left.unit_id)
        mutual = [c for rank, c in ranked(found) if rank == 0 and best_of_right[c.right.unit_id] == c.left.unit_id]
        mined = candidates(list(units.values()), PIVOT)
        right = [c for c in mined if (c.left.unit_id, c.right.unit_id) in partner]
        pivots = len({one.unit_id for one, _ in own})
        true = sum((c.left.unit_id, c.right.unit_id) in partner for c in mutual)
        yield {
            "data": name,
            "hidden": "+".join(hidden) or "nothing",
            "language": language,
            "pairs": len(own),
            **{f"recall@{k}": round(sum(rank < k for rank in ranks) / len(own), 3) for k in (1, 5, 20)},
            "by_words": round(sum(INDEX in c.channel for c in right) / len(own), 3),
            "recall": round(len(right) / len(own), 3),
            "candidates": len(mined),
            "mutual": round(len(mutual) / pivots, 3),
            "precision": round(true / max(len(mutual), 1), 3),
            "given": given,
        }


def ranked(found: Sequence[Candidate]) -> list[tuple[int, Candidate]]:
    """Return candidates of one language, best first, with their ranks among those of their left unit, from 0."""
    counts: dict[str, int] = {}
    rows: list[tuple[int, Candidate]] = []
    for candidate in found:
        rank = counts.get(candidate.left.unit_id, 0)
        counts[candidate.left.unit_id] = rank + 1
        rows.append((rank, candidate))
    return rows


def grown(units: Sequence[Unit], size: int) -> list[Unit]:
    """Return so many units: copies, in which the words that are in few units are other ones in each copy."""
    seen: dict[str, int] = {}
    for unit in units:
        for word in unit.words:
            seen[word] = seen.get(word, 0) + 1
    common = sorted(seen.values())[-len(seen) // 2]
    made: list[Unit] = []
    for copy in range(-(-size // len(units))):
        for unit in units:
            words = {w if seen[w] > common else f"{w}~{copy}": n for w, n in unit.words.items()}
            made.append(
                replace(
                    unit,
                    unit_id=f"{copy:08x}{unit.unit_id[:24]}",
                    words=words,
                    program=replace(unit.program, code=f"{unit.program.code} {copy}"),
                )
            )
    return made[:size]


def speed(units: Sequence[Unit], size: int) -> dict[str, Any]:
    """Return what a search through so many units takes."""
    made = grown(units, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = candidates(made, PIVOT)
    seconds = time.process_time() - start
    return {
        "units": len(made),
        "pivot": sum(unit.language == PIVOT for unit in made),
        "words": round(sum(len(unit.words) for unit in made) / len(made), 1),
        "candidates": len(found),
        "cpu_s": round(seconds, 2),
        "units_per_cpu_s": round(len(made) / seconds),
        "more_memory_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--scale", type=int, nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    every: dict[str, Unit] = {}
    for path in options.pairs:
        pairs = true_pairs(path)
        for hidden in HIDDEN:
            gold = [(without(a, options.without), without(b, options.without)) for a, b in cut(pairs, hidden)]
            rows += quality(path.stem.removeprefix("pairs_"), gold, len(pairs), hidden)
            if not hidden:
                every |= {unit.unit_id: unit for pair in gold for unit in pair}
    report("candidates", rows, options.out)
    if options.scale:
        report("search", [speed(list(every.values()), size) for size in options.scale], None)


if __name__ == "__main__":
    main()
