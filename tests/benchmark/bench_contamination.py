"""How much of a benchmark is found in documents, how much else is, and how fast: ours beside two usual methods.

    python -m tests.benchmark.bench_contamination [--data FILE.parquet] [--benchmarks FILE...]
        [--translations FILE...] [--pairs FILE.jsonl] [--every N] [--out FILE.json]

No benchmark comes with the project. `--benchmarks` are the originals (Python), which are indexed; `--translations` are
the same tasks in other languages, which are not: each row's prompt (and solution, where it has one) is a document that
should be found. `--pairs` holds solutions without their prompts in two languages (the form `polymix validate` reads):
the left ones are indexed as solutions. `--data` is real code (`tests.benchmark.data`), in which nothing should be
found.

The two methods, written plainly: `substring` looks for each prompt's and solution's own characters in lower case, as
BigCode's decontamination does; `12-grams` for any run of twelve words of a task, as datatrove's does. Both are measured
on every N-th file of the real code, ours on these and on all of it.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from quality.contamination import Benchmarks, Task, read_tasks

Method = Callable[[str], bool]
_REWORDED = {"list": "array list", "array": "vector", "dictionary": "hash map", "tuple": "pair", "None": "null"}


def substring(tasks: Sequence[Task]) -> Method:
    """Return a method that looks for prompts and solutions of 20 characters and more as they stand, in lower case."""
    wanted = {text.strip().lower() for task in tasks for text in (task.prompt, task.solution)}
    wanted = {text for text in wanted if len(text) >= 20}

    def found(text: str) -> bool:
        lower = text.lower()
        return any(one in lower for one in wanted)

    return found


def word_ngrams(tasks: Sequence[Task], size: int = 12) -> Method:
    """Return a method that looks for any `size` words in a row of a prompt or solution."""

    def grams(text: str) -> Iterator[int]:
        words = re.findall(r"\w+", text.lower())
        return (hash(tuple(words[at : at + size])) for at in range(len(words) - size + 1))

    wanted = {gram for task in tasks for text in (task.prompt, task.solution) for gram in grams(text)}
    return lambda text: any(gram in wanted for gram in grams(text))


def ours(tasks: Sequence[Task]) -> Method:
    known = Benchmarks.of(tasks)
    return lambda text: known.check(text) is not None


METHODS: Mapping[str, Callable[[Sequence[Task]], Method]] = {
    "ours": ours,
    "substring": substring,
    "12-grams": word_ngrams,
}


# --- Documents that hold a task ---------------------------------------------------------------------------------------


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def whole(row: Mapping[str, Any]) -> str:
    prompt = row.get("prompt") or row.get("text") or ""
    solution = row.get("canonical_solution") or row.get("code") or ""
    # MBPP's own form: a sentence, and a function of its own.
    return f"# {prompt}\n{solution}" if "code" in row else f"{prompt}{solution}"


class _Renamed(ast.NodeTransformer):
    """Renames what a function assigns to, and leaves its own name, its parameters and all else alone."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self._names.get(node.id, node.id), node.ctx), node)


def paraphrased(text: str, *, prose: bool) -> str | None:
    """Return a Python program with other locals and the parser's layout; without docstrings unless `prose`."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    kept = {arg.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for arg in node.args}
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    names = {name: f"v{at}" for at, name in enumerate(dict.fromkeys(stored)) if name not in kept}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not prose and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(_Renamed(names).visit(tree))


def reworded(text: str) -> str:
    return re.sub(r"\b(" + "|".join(_REWORDED) + r")\b", lambda found: _REWORDED[found[1]], text)


def document_sets(benchmarks: Sequence[Path], translations: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    for path in benchmarks:
        texts = [whole(row) for row in rows_of(path)]
        yield f"{path.stem}: as published", texts
        yield (
            f"{path.stem}: solution alone",
            [row.get("canonical_solution") or row.get("code") or "" for row in rows_of(path)],
        )
        for prose, said in ((True, "renamed locals, own layout"), (False, "the same without docstrings")):
            changed = [one for text in texts if (one := paraphrased(text, prose=prose)) is not None]
            yield f"{path.stem}: {said}", changed
    for path in translations:
        texts = [whole(row) for row in rows_of(path)]
        yield f"{path.stem}: translated", texts
        yield f"{path.stem}: translated and reworded", [reworded(text) for text in texts]


def code_pairs(path: Path) -> tuple[list[Task], dict[str, list[str]]]:
    """Return the left sides of pairs as tasks that are a solution only, and the right sides by language."""
    rows = [row for row in rows_of(path) if row.get("label", "gold") == "gold"]
    tasks = {
        row["left"]["code"]: Task(
            "pairs",
            row["pair_id"],
            solution=row["left"]["code"],
            entry=row["left"]["entry"],
            parameters=tuple(_parameters(row["left"]["code"], row["left"]["entry"])),
        )
        for row in rows
    }
    right: dict[str, dict[str, None]] = {}
    for row in rows:
        for side in (row["left"], row["right"]):
            right.setdefault(side["language"], {})[side["code"]] = None
    return list(tasks.values()), {language: list(texts) for language, texts in right.items()}


def _parameters(code: str, entry: str) -> list[str]:
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [arg.arg for node in functions if node.name == entry for arg in node.args.args]


# --- Measuring --------------------------------------------------------------------------------------------------------


def recall_rows(tasks: Sequence[Task], sets: Sequence[tuple[str, list[str]]]) -> list[dict[str, Any]]:
    methods = {name: make(tasks) for name, make in METHODS.items()}
    return [
        {"measure": "recall", "set": name, "documents": len(texts)}
        | {method: sum(map(found, texts)) / len(texts) for method, found in methods.items()}
        for name, texts in sets
        if texts
    ]


def real_code(path: Path) -> Iterator[tuple[str, str]]:
    for batch in pq.ParquetFile(path).iter_batches(1000, columns=["language", "package", "path", "data"]):
        for row in batch.to_pylist():
            if row["language"] is not None:
                yield f"{row['package']} {row['path']}", row["data"].decode("utf-8", "replace")


def speed_rows(tasks: Sequence[Task], path: Path, every: int) -> list[dict[str, Any]]:
    """Return bytes a CPU second and what was found in real code: each method on every n-th file, ours on all too."""
    methods = {f"{name}, every {every}th file": (make(tasks), every) for name, make in METHODS.items()}
    methods["ours, all files"] = (ours(tasks), 1)
    used: Counter[str] = Counter()
    size: Counter[str] = Counter()
    files: Counter[str] = Counter()
    found: dict[str, list[str]] = {name: [] for name in methods}
    for number, (name, text) in enumerate(real_code(path)):
        for method, (check, step) in methods.items():
            if number % step == 0:
                start = time.process_time()
                hit = check(text)
                used[method] += time.process_time() - start
                size[method] += len(text.encode())
                files[method] += 1
                if hit:
                    found[method].append(name)
    return [
        {
            "measure": "real code",
            "method": method,
            "files": files[method],
            "megabytes": size[method] / 1e6,
            "cpu_seconds": used[method],
            "megabytes_per_cpu_second": size[method] / 1e6 / used[method],
            "found": len(found[method]),
            "names": found[method][:50],
        }
        for method in methods
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--benchmarks", type=Path, nargs="*", default=[])
    parser.add_argument("--translations", type=Path, nargs="*", default=[])
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    tasks = [task for path in given.benchmarks for task in read_tasks(path)]
    if tasks:
        rows += recall_rows(tasks, list(document_sets(given.benchmarks, given.translations)))
    if given.pairs:
        solutions, right = code_pairs(given.pairs)
        sets = [(f"{given.pairs.stem}: {language}, no prompt", texts) for language, texts in sorted(right.items())]
        rows += recall_rows(solutions, sets)
        tasks = tasks or solutions
    if not tasks:
        parser.error("nothing to look for; name --benchmarks or --pairs")
    print(f"{'recall':64}{'documents':>10}" + "".join(f"{name:>11}" for name in METHODS))
    for row in rows:
        print(f"{row['set']:64}{row['documents']:>10}" + "".join(f"{row[name]:>11.3f}" for name in METHODS))
    if given.data:
        print(f"\n{'real code':28}{'files':>9}{'MB':>9}{'CPU s':>9}{'MB/CPU-s':>10}{'found':>8}")
        for row in speed_rows(tasks, given.data, given.every):
            rows.append(row)
            print(
                f"{row['method']:28}{row['files']:>9,}{row['megabytes']:>9.1f}{row['cpu_seconds']:>9.1f}"
                f"{row['megabytes_per_cpu_second']:>10.2f}{row['found']:>8}"
            )
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
