"""Writes a small corpus and pairs in the layout of their artifacts, from Python's own standard library and its like."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from parallel_mining.pairs import PAIR_SCHEMA
from quality.artifacts import creating
from quality.documents import DOCUMENT_SCHEMA
from quality.text_hash import normalised_hash


def code(language: str, number: int, functions: int = 12) -> str:
    """A file of small functions that differ from file to file."""
    shapes = {
        "python": "def {n}(a, b):\n    total = a + {k}\n    while b:\n        total *= {k}\n    return total\n",
        "go": "func {n}(a, b int) int {{\n\ttotal := a + {k}\n\tfor b > 0 {{\n\t\ttotal *= {k}\n\t}}\n}}\n",
        "rust": "pub fn {n}(a: i64, b: i64) -> i64 {{\n    let t = a + {k};\n    (0..b).fold(t, |x, _| x * {k})\n}}\n",
    }
    words = ["scale", "merge", "fold", "sum", "rank", "walk", "trim", "join", "mean", "clip", "hash", "pick"]
    return "\n".join(
        shapes[language].format(n=f"{words[(number * 7 + i) % 12]}_{words[(i * 5) % 12]}", k=number * 31 + i)
        for i in range(functions)
    )


def document(language: str, split: str, number: int, text: str) -> dict[str, object]:
    repo, path = f"git:acme/{language}{number % 7}", f"src/file{number}.{language}"
    blob = hashlib.sha1(text.encode()).hexdigest()
    identity = hashlib.sha256(f"{repo}\0{path}\0{blob}".encode()).hexdigest()[:32]
    return {
        "id": identity,
        "text": text,
        "language": language,
        "repo_name": repo,
        "revision_id": "1.0",
        "path": path,
        "blob_id": blob,
        "length": len(text.encode()),
        "src_encoding": "utf-8",
        "is_vendor": False,
        "is_generated": False,
        "detected_licenses": ["MIT"],
        "license_type": "permissive",
        "error_ratio": 0.0,
        "kind": "source",
        "dialect": "",
        "content_id": blob,
        "text_hash": normalised_hash(text),
        "redactions": [],
        "cluster": identity,
        "split": split,
    }


def write_corpus(
    folder: Path, texts: Mapping[tuple[str, str], list[str]] | None = None, files: int = 2
) -> dict[tuple[str, str], list[dict[str, object]]]:
    """Write a `corpus` artifact and return its documents; `files` spreads each part over that many files."""
    if texts is None:
        sizes = {("python", "train"): 60, ("go", "train"): 40, ("rust", "train"): 10, ("python", "validation"): 6}
        texts = {part: [code(part[0], n + 1000 * (part[1] != "train")) for n in range(k)] for part, k in sizes.items()}
    schema = pa.schema([field for field in DOCUMENT_SCHEMA if field.name not in ("language", "split")])
    rows = {
        part: [document(*part, number, text) for number, text in enumerate(own)] for part, own in sorted(texts.items())
    }
    with creating(folder, "corpus", {"texts": sorted(d["id"] for own in rows.values() for d in own)}) as draft:
        for (language, split), own in rows.items():
            place = draft.path / "documents" / f"language={language}" / f"split={split}"
            place.mkdir(parents=True)
            for file in range(files):
                pq.write_table(pa.Table.from_pylist(own[file::files], schema), place / f"part-{file}.parquet")
    return rows


def write_pairs(
    folder: Path,
    corpus: Mapping[tuple[str, str], list[dict[str, object]]],
    pairs: int = 8,
    documents: str = "train",
    **changed: object,
) -> list[dict[str, object]]:
    """Write a `pairs` artifact of Python and Go documents and return its rows."""
    rows: list[dict[str, object]] = []
    for number in range(pairs):
        left, right = corpus["python", documents][number], corpus["go", documents][number]
        row: dict[str, object] = dict.fromkeys(PAIR_SCHEMA.names, "")
        for side, other in (("left", left), ("right", right)):
            row |= {
                f"{side}_language": other["language"],
                f"{side}_entry": "f",
                f"{side}_code": other["text"],
                f"{side}_document": other["id"],
                f"{side}_repo": other["repo_name"],
                f"{side}_path": other["path"],
                f"{side}_licenses": ["MIT"],
            }
        row |= {"pair_id": f"pair{number:02d}", "split": documents, "score": 0.9, "verdict": "equivalent"}
        row |= {"cases": 20, "agreed": 20, "domain": "{}", "evidence": "{}", **changed}
        rows.append(row)
    with creating(folder, "pairs", {"pairs": [str(row) for row in rows]}) as draft:
        pq.write_table(pa.Table.from_pylist(rows, PAIR_SCHEMA), draft.path / "pairs.parquet")
    return rows
