"""Which language is a file in? Ours with and without names, magika, and a seven-grammar argmin, on the same files.

    python -m tests.benchmark.bench_classification [--data FILE] [--files N] [--out FILE.json]

Truth is the name's ending, but for Qt translations named `.ts`; what is outside the registry has None for truth. Files
are drawn by the hash of their package and path, `--files` for each language and a tenth of that for each ending outside
the registry, and no package gives more than a fifth of a class. A package that the lexical model was trained on gives
none. Where a file parses without error as JavaScript and as TypeScript and holds no node that only TypeScript has, both
answers are right, whoever gives them. `clean` are files of 200 characters and more that are no tests by their path.

Peers run in `.venv-peers` (see `setup/peers.sh`). CPU seconds are of one process, after a warm-up; the parse that
speed is compared with is one bare tree-sitter parse a file, in the right grammar.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
import tree_sitter

from pipelines.sources import read_sources
from quality.classify import Decoded, classify, classify_decoded, decode
from quality.filters import measure
from quality.languages import LANGUAGES, grammar, grammar_of
from quality.syntax import TooCostly, error_ratio, parse

HERE = Path(__file__).parent
PEER = HERE.parents[1] / ".venv-peers" / "bin" / "python"
MAGIKA = """
import pickle, sys, time
from magika import Magika
blobs = pickle.load(sys.stdin.buffer)
magika = Magika()
for blob in blobs[:50]:
    magika.identify_bytes(blob)
start = time.process_time()
labels = [str(magika.identify_bytes(blob).output.label) for blob in blobs]
pickle.dump((labels, time.process_time() - start), sys.stdout.buffer)
"""
MAGIKA_LABELS = {"cs": "csharp", "jsx": "javascript", "tsx": "typescript"}
NO_LANGUAGE_ABOVE = 0.05
"""Error bytes above which the argmin answers None: without it every other file would count against it."""

CONFUSERS = {"c", "cc", "cfg", "cpp", "csproj", "css", "h", "hpp", "html", "json", "less", "log", "md", "php", "po"} | {
    *("proto", "resx", "rst", "s", "scss", "sh", "sql", "svg", "toml", "txt", "xml", "yaml", "yml")
}
_TEST_PATH = re.compile(r"(?:^|[/._-])(?:test|\w*tests|testdata|testing|fixtures|spec)(?:[/._-]|$)", re.IGNORECASE)
_QT = re.compile(rb"<!DOCTYPE TS|<TS[ >]")


def truth_of(path: str, data: bytes) -> str | None:
    """Return the language of a file by its name."""
    ending = PurePosixPath(path).suffix.lower()
    if ending == ".ts" and _QT.search(data[:500]):
        return None
    return next((row.id for row in LANGUAGES.values() if ending in row.extensions), None)


def class_of(path: str, data: bytes) -> str:
    """Return the class that a file is counted in: a language, an ending, or a confuser of its own."""
    ending = PurePosixPath(path).suffix.lower()
    if ending == ".ts" and _QT.search(data[:500]):
        return "qt .ts"
    if ending in (".h", ".hpp", ".cc", ".cpp"):
        return "c++ and headers"
    return truth_of(path, data) or ending


def trained_on() -> set[str]:
    """Return the packages that the lexical model has seen, named as in the data."""
    specs = (line for line in (HERE / "lexical_packages.txt").read_text().split("\n") if line and line[0] != "#")
    return {re.split(r"==|=|(?<=.)@(?=[0-9])", spec)[0] for spec in specs}


def drawn(data: Path, files: int) -> list[dict[str, Any]]:
    """Return rows `language, package, path, data` to measure on."""
    seen = trained_on()
    table = pq.read_table(data)
    names = table.select(["package", "path"]).to_pylist()
    column = table["data"]
    candidates: list[tuple[str, str, Callable[[], bytes]]] = []
    for index, row in enumerate(names):
        candidates.append((row["package"], row["path"], lambda index=index: column[index].as_py()))
    specs = (HERE / "confuser_packages.txt").read_text().split("\n")
    for read in read_sources([line for line in specs if line and line[0] != "#"]):
        candidates += [(read.record.name, file.path, lambda file=file: file.data) for file in read.files()]
    candidates.sort(key=lambda one: hashlib.sha256(f"{one[0]}\0{one[1]}".encode()).digest())
    of_class: Counter[str] = Counter()
    of_package: Counter[tuple[str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    for package, path, read_data in candidates:
        ending = PurePosixPath(path).suffix.lower()
        known = any(ending in row.extensions for row in LANGUAGES.values())
        if package in seen or not (known or ending[1:] in CONFUSERS):
            continue
        if ending != ".ts" and of_class[truth_of(path, b"") or ""] >= files:
            continue
        content = read_data()
        kind = class_of(path, content)
        most = files if kind in LANGUAGES else max(20, files // 10)
        if of_class[kind] >= most or of_package[kind, package] >= max(5, most // 5 if kind in LANGUAGES else most):
            continue
        decoded = decode(content)
        if isinstance(decoded, str) or not decoded.text.strip():
            continue
        of_class[kind] += 1
        of_package[kind, package] += 1
        rows.append(
            {
                "language": truth_of(path, content),
                "class": kind,
                "package": package,
                "path": path,
                "data": content,
                "text": decoded.text,
                "clean": len(decoded.text) >= 200 and not _TEST_PATH.search(path),
            }
        )
    return rows


def either(row: dict[str, Any]) -> bool:
    """Return whether a file is JavaScript and TypeScript alike."""
    if row["language"] not in ("javascript", "typescript"):
        return False
    text, ending = row["text"], PurePosixPath(row["path"]).suffix.lower()
    if error_ratio(text, "javascript") or error_ratio(text, "typescript", ".tsx" if ending == ".tsx" else ""):
        return False
    spec = LANGUAGES["typescript"].grammar
    kinds = _kinds(grammar(spec)) - _kinds(grammar_of("javascript"))
    root = tree_sitter.Parser(grammar(spec)).parse(text.encode()).root_node
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in kinds:
            return False
        pending += node.named_children
    return True


def _kinds(known: tree_sitter.Language) -> set[str]:
    return {
        known.node_kind_for_id(i) or ""
        for i in range(known.node_kind_count)
        if known.node_kind_is_named(i) and known.node_kind_is_visible(i)
    }


def timed(rows: Iterable[dict[str, Any]], answer: Callable[[dict[str, Any]], Any]) -> tuple[list[Any], float]:
    """Return an answer for each row, and the CPU seconds they took."""
    start = time.process_time()
    answers = [answer(row) for row in rows]
    return answers, time.process_time() - start


def argmin(row: dict[str, Any]) -> str | None:
    """Return the language whose grammar has the fewest error bytes; the first of the registry among equals."""
    errors = {language: error_ratio(row["text"], language) for language in LANGUAGES}
    best = min(errors, key=lambda language: errors[language])
    return best if errors[best] <= NO_LANGUAGE_ABOVE else None


def magika(rows: list[dict[str, Any]]) -> tuple[list[str | None], float]:
    """Return magika's languages, and its CPU seconds."""
    blobs = pickle.dumps([row["data"] for row in rows])
    done = subprocess.run([str(PEER), "-c", MAGIKA], input=blobs, stdout=subprocess.PIPE, check=True)
    labels, seconds = pickle.loads(done.stdout)
    named = [MAGIKA_LABELS.get(label, label) for label in labels]
    return [label if label in LANGUAGES else None for label in named], seconds


def pair(row: dict[str, Any]) -> Any:
    """Do what a corpus does with each file: decode, classify, and parse for its signals."""
    decoded = decode(row["data"])
    found = classify_decoded(row["path"], row["data"], decoded)
    if found.language is None or not isinstance(decoded, Decoded):
        return None
    try:
        return parse(decoded.text, found.language, PurePosixPath(row["path"]).suffix.lower())
    except TooCostly:
        return None


def bare(row: dict[str, Any]) -> Any:
    """Parse a file in the right grammar, and do nothing else."""
    ending = PurePosixPath(row["path"]).suffix.lower()
    return tree_sitter.Parser(grammar_of(row["language"], ending)).parse(row["data"])


def scored(system: str, rows: list[dict[str, Any]], answers: list[Any], cpu: float) -> list[dict[str, Any]]:
    """Return a row for all files, clean files, and each class."""
    right: dict[str, list[bool]] = defaultdict(list)
    for row, answer in zip(rows, answers, strict=True):
        good = answer == row["language"] or (row["either"] and answer in ("javascript", "typescript"))
        groups = ["all", f"class {row['class']}"]
        groups += ["clean"] if row["clean"] else []
        groups += ["languages, clean"] if row["clean"] and row["language"] else []
        groups += ["others, clean"] if row["clean"] and not row["language"] else []
        groups += [row["kind"]] if row["kind"] in ("minified", "generated", "declaration") else []
        for group in groups:
            right[group].append(good)
    size = sum(len(row["data"]) for row in rows) / 1e6
    return [
        {
            "system": system,
            "group": group,
            "files": len(good),
            "accuracy": sum(good) / len(good),
            "cpu_ms_per_file": 1e3 * cpu / len(rows),
            "mb_per_cpu_s": size / cpu,
        }
        for group, good in right.items()
    ]


def speed(rows: list[dict[str, Any]], repeats: int) -> list[dict[str, Any]]:
    """Return throughputs on the files in a language, each the best of several runs in turn."""
    own = [row for row in rows if row["language"]]
    size = sum(len(row["data"]) for row in own) / 1e6
    works: dict[str, Callable[[dict[str, Any]], Any]] = {
        "bare tree-sitter parse": bare,
        "ours, with names": lambda row: classify(row["path"], row["data"]),
        "decode, classify and parse for signals": pair,
        "filters.measure": lambda row: measure(row["text"]),
    }
    best = {name: min(timed(own, work)[1] for _ in range(repeats)) for name, work in works.items()}
    parsed = best["bare tree-sitter parse"]
    return [
        {
            "system": name,
            "files": len(own),
            "cpu_ms_per_file": 1e3 * cpu / len(own),
            "mb_per_cpu_s": size / cpu,
            "throughput_of_bare_parse": parsed / cpu,
        }
        for name, cpu in best.items()
    ]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("build/bench/files.parquet"))
    parser.add_argument("--files", type=int, default=450, help="for each language")
    parser.add_argument("--repeats", type=int, default=3, help="of the speed measurements")
    parser.add_argument("--wrong", action="store_true", help="list the files that ours gets wrong from content")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = drawn(given.data, given.files)
    for row in rows:
        row["either"] = either(row)
        row["kind"] = classify(row["path"], row["data"]).kind
    results: list[dict[str, Any]] = []
    named, cpu = timed(rows, lambda row: classify(row["path"], row["data"]).language)
    results += scored("ours, with names", rows, named, cpu)
    unnamed, cpu = timed(rows, lambda row: classify("", row["data"]).language)
    results += scored("ours, from content", rows, unnamed, cpu)
    if PEER.exists():
        results += scored("magika 1.0.3", rows, *magika(rows))
    else:
        print(f"magika left out: no {PEER}; run setup/peers.sh", file=sys.stderr)
    results += scored("argmin of seven grammars", rows, *timed(rows, argmin))
    groups = list(dict.fromkeys(row["group"] for row in results))
    systems = list(dict.fromkeys(row["system"] for row in results))
    by = {(row["system"], row["group"]): row for row in results}
    print(f"{'accuracy':24}{'files':>7}" + "".join(f"{system:>26}" for system in systems))
    for group in groups:
        files = by[systems[0], group]["files"]
        print(f"{group:24}{files:7}" + "".join(f"{by[system, group]['accuracy']:26.4f}" for system in systems))
    for unit in ("cpu_ms_per_file", "mb_per_cpu_s"):
        print(f"{unit:31}" + "".join(f"{by[system, 'all'][unit]:26.2f}" for system in systems))
    print()
    throughput = speed(rows, given.repeats)
    for row in throughput:
        print(
            f"{row['system']:40}{row['cpu_ms_per_file']:8.3f} ms/file{row['mb_per_cpu_s']:8.1f} MB/CPU-s"
            f"{row['throughput_of_bare_parse']:8.2f} of a bare parse"
        )
    if given.wrong:
        for row, answer in zip(rows, unnamed, strict=True):
            if row["clean"] and answer != row["language"] and not row["either"]:
                print(row["language"], answer, len(row["text"]), row["package"], row["path"])
    if given.out:
        given.out.write_text(json.dumps({"accuracy": results, "speed": throughput}, indent=1) + "\n")


if __name__ == "__main__":
    main()
