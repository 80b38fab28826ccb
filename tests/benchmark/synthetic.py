"""A corpus of any size whose duplicates are known: real code, repeated with edits.

    python -m tests.benchmark.synthetic --data FILE.parquet --out FOLDER --megabytes N [--seed S]

The first repetition is the code as it is. Each further one renames every identifier of four and more letters that is
no keyword of any grammar, so that it parses as before and shares next to nothing with other repetitions. To one file in
five, one copy is added with about one line in fifty changed, and to one in twenty an exact copy under another name.
So a corpus ten times as large holds ten times the duplicates in families of the same size: what a document costs
should not depend on how many there are.

Leaves Parquet files in The Stack's form, and `planted.parquet`: `original, copy` (paths), `jaccard` (true, over the
project's shingles) and `exact`.
"""

from __future__ import annotations

import argparse
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.dedup import jaccard, shingles
from quality.languages import LANGUAGES, grammar

SCHEMA = pa.schema(
    [
        pa.field("content", pa.string()),
        pa.field("path", pa.string()),
        pa.field("max_stars_repo_name", pa.string()),
        pa.field("max_stars_repo_licenses", pa.list_(pa.string())),
    ]
)
PLANTED = pa.schema(
    [("original", pa.string()), ("copy", pa.string()), ("jaccard", pa.float64()), ("exact", pa.bool_())]
)
NEAR_SHARE, EXACT_SHARE, CHANGED_LINES = 0.2, 0.05, 0.02
PART_BYTES = 32 << 20
_WORD = re.compile(r"\b[A-Za-z_]\w{3,}\b")


@cache
def _keywords() -> frozenset[str]:
    grammars = [
        grammar(spec) for row in LANGUAGES.values() for spec in (row.grammar, *row.grammar_by_extension.values())
    ]
    kinds = {g.node_kind_for_id(i) for g in grammars for i in range(g.node_kind_count) if not g.node_kind_is_named(i)}
    return frozenset(kind for kind in kinds if kind and kind.isidentifier())


def renamed(text: str, repetition: int) -> str:
    """Return a text with its identifiers renamed, the same name for the same name."""
    keywords = _keywords()
    return _WORD.sub(lambda m: m[0] if m[0] in keywords else f"{m[0]}{repetition}x", text) if repetition else text


def edited(text: str, rng: random.Random) -> str:
    """Return a text in which some lines have another word."""
    lines = text.split("\n")
    for at in rng.sample(range(len(lines)), max(1, round(CHANGED_LINES * len(lines)))):
        lines[at] = _WORD.sub(lambda m: m[0] if m[0] in _keywords() else f"{m[0]}q", lines[at], count=1)
    return "\n".join(lines)


def base(data: Path, seed: int, megabytes: float) -> list[dict[str, Any]]:
    """Return files of the registry's languages, chosen at random, as texts of together so many megabytes at most."""
    table = pq.read_table(data)
    table = table.filter(pc.is_valid(table["language"]))
    order = list(range(table.num_rows))
    random.Random(seed).shuffle(order)
    rows: list[dict[str, Any]] = []
    size = 0
    for row in table.take(order).to_pylist():
        try:
            text = row["data"].decode()
        except UnicodeDecodeError:
            continue
        if size + len(row["data"]) > megabytes * 1e6:
            break
        size += len(row["data"])
        rows.append({"text": text, "package": row["package"], "path": row["path"]})
    return rows


def write(data: Path, out: Path, megabytes: float, *, base_megabytes: float = 75.0, seed: int = 1) -> dict[str, float]:
    """Write a corpus, and return its `documents`, `megabytes` and `planted` pairs."""
    (out / "code").mkdir(parents=True)
    rng = random.Random(seed)
    files = base(data, seed, min(base_megabytes, megabytes / 1.25))
    held: list[dict[str, Any]] = []
    planted: list[dict[str, Any]] = []
    size = held_bytes = parts = documents = repetition = 0

    def add(text: str, path: str, repository: str) -> None:
        nonlocal size, held_bytes, parts, documents, held
        held.append(
            {
                "content": text,
                "path": path,
                "max_stars_repo_name": f"{repository}/{repetition}",
                "max_stars_repo_licenses": ["MIT"],
            }
        )
        length = len(text.encode())
        size, held_bytes, documents = size + length, held_bytes + length, documents + 1
        if held_bytes >= PART_BYTES:
            pq.write_table(pa.Table.from_pylist(held, SCHEMA), out / "code" / f"part-{parts:05d}.parquet")
            held, held_bytes, parts = [], 0, parts + 1

    while size < megabytes * 1e6:
        for file in files:
            text = renamed(file["text"], repetition)
            # Packages have files of the same name: with theirs, a path names one file.
            path = f"{repetition}/{file['package'].replace(':', '/')}/{file['path']}"
            add(text, path, file["package"])
            draw = rng.random()
            if draw < EXACT_SHARE:
                add(text, f"same/{path}", file["package"])
                planted.append({"original": path, "copy": f"same/{path}", "jaccard": 1.0, "exact": True})
            elif draw < EXACT_SHARE + NEAR_SHARE:
                near = edited(text, rng)
                add(near, f"near/{path}", file["package"])
                both = shingles([text, near], 5)
                share = jaccard(both.of(0), both.of(1))
                planted.append({"original": path, "copy": f"near/{path}", "jaccard": share, "exact": False})
            if size >= megabytes * 1e6:
                break
        repetition += 1
    pq.write_table(pa.Table.from_pylist(held, SCHEMA), out / "code" / f"part-{parts:05d}.parquet")
    pq.write_table(pa.Table.from_pylist(planted, PLANTED), out / "planted.parquet")
    return {"documents": documents, "megabytes": size / 1e6, "planted": len(planted)}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(write(given.data, given.out, given.megabytes, seed=given.seed))


if __name__ == "__main__":
    main()
