"""Functions in three languages, as lines for `polymix validate` and as a `pairs` artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from parallel_mining import values
from parallel_mining.pairs import PAIR_SCHEMA
from quality.artifacts import creating

CODE = {
    "gcd": {
        "python": "def gcd(a: int, b: int) -> int:\n    while b:\n        a, b = b, a % b\n    return abs(a)\n",
        "javascript": "function gcd(a, b) { while (b) { [a, b] = [b, a % b]; } return Math.abs(a); }\n",
        "typescript": "function gcd(a: number, b: number): number {\n"
        "  while (b !== 0) { const r = a % b; a = b; b = r; }\n  return Math.abs(a);\n}\n",
    },
    "squares": {
        "python": "def squares(n: int) -> int:\n    return sum(i * i for i in range(n + 1)) + 3\n",
        "javascript": "function squares(n) { let s = 3; for (let i = 0; i <= n; i++) { s += i * i; } return s; }\n",
        "typescript": "function squares(n: number): number { let s = 3; for (let i = 1; i <= n; i++) { s += i * i; } "
        "return s; }\n",
    },
}
INPUTS = {
    "gcd": [[12, 18], [5, 7], [0, 4], [9, 3], [100, 75], [8, 12], [17, 34], [21, 14], [6, 35], [81, 27]],
    "squares": [[n] for n in range(12)],
}


def line(name: str, into: str, **changed: str) -> dict[str, Any]:
    sides = {"left": "python", "right": into}
    return {"pair_id": f"{name}/{into}"} | {
        side: {
            "language": language,
            "code": changed.get(side, CODE[name][language]),
            "entry": name,
            "licenses": ["MIT"],
        }
        for side, language in sides.items()
    }


LINES = [line(name, right) for name in CODE for right in ("javascript", "typescript")]


def evidence(name: str) -> dict[str, Any]:
    return {"families": [{"inputs": [values.encode(arguments) for arguments in INPUTS[name]]}]}


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_verdicts(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write verdicts as `polymix validate --evidence` prints them, all equivalent."""
    return write_lines(
        path,
        [
            {"pair_id": row["pair_id"], "verdict": "equivalent", "evidence": evidence(row["pair_id"].split("/")[0])}
            for row in rows
        ],
    )


def write_artifact(
    folder: Path, rows: Sequence[Mapping[str, Any]], split: str, corpus: str = "c", **changed: Any
) -> Path:
    """Write a `pairs` artifact of such lines; each half is a document called `<language>/<name>`."""
    written: list[dict[str, Any]] = []
    for row in rows:
        name, right = row["pair_id"].split("/")
        own: dict[str, Any] = dict.fromkeys(PAIR_SCHEMA.names, "")
        for side, language in (("left", "python"), ("right", right)):
            own |= {f"{side}_{key}": row[side][key] for key in ("language", "code", "entry", "licenses")}
            own |= {f"{side}_document": f"{language}/{name}", f"{side}_repo": "r", f"{side}_path": f"{name}.x"}
        own |= {"pair_id": row["pair_id"], "split": split, "score": 0.9, "verdict": "equivalent", "cases": 10}
        written.append(own | {"agreed": 10, "evidence": json.dumps(evidence(name)), **changed})
    with creating(folder, "pairs", {"corpus": corpus, "pairs": [str(row) for row in written]}) as draft:
        pq.write_table(pa.Table.from_pylist(written, PAIR_SCHEMA), draft.path / "pairs.parquet")
    return folder
