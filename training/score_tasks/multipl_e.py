"""Complete a function so that it passes its unit tests: problems in the form in which MultiPL-E publishes them.

Start at `read`. A problem is a row of JSON Lines or Parquet with `name`, `language` (a file ending such as `py`, `java`
or `go_test.go`), `prompt`, `tests` and `stop_tokens`. The program that is run is prompt, completion, a line feed and
tests, as in MultiPL-E's own evaluation; how a language runs it is its driver's (`tested`).

Source: the columns of nuprl/MultiPL-E (arXiv 2208.08227) as its data set's card lists them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from parallel_mining.drivers import testing_driver
from parallel_mining.unit_tests import Solution, refuse_untestable, run_tests
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake
from training.score_tasks.problems import Attempt, Judged, Judgement, Metric, Problem, Problems, passing

_TEXTS = ("name", "language", "prompt", "tests")
_ENDINGS = (".jsonl", ".json", ".parquet")


def read(paths: Sequence[Path]) -> Problems:
    """Read problems.

    Args:
        paths: Files of JSON Lines or Parquet, or folders of them.

    Returns:
        The problems whose languages are in the registry; others are counted.

    Raises:
        BadInput: A file is missing or damaged, a row lacks something, a problem stands twice, or a language cannot be
            run here; all are listed.
    """
    problems: dict[str, Problem] = {}
    skipped: Counter[str] = Counter()
    mistakes: list[Mistake] = []
    for path in paths:
        for where, row in _rows(path, mistakes):
            wrong = [name for name in _TEXTS if not isinstance(row.get(name), str)]
            given = row.get("stop_tokens")
            stop: list[Any] = cast(list[Any], given) if isinstance(given, list) else [None]
            if not all(isinstance(one, str) and one for one in stop):
                wrong.append("stop_tokens")
            if wrong:
                mistakes.append(Mistake(where, f"has no {', '.join(wrong)} of the right kind; this is no such problem"))
                continue
            language = _language(row["language"])
            if language is None or testing_driver(language) is None:
                skipped[f"language {row['language']}"] += 1
                continue
            problem_id = f"{language}/{row['name']}"
            if problem_id in problems:
                mistakes.append(Mistake(where, f"{problem_id} stands twice; give each set of problems alone"))
            problems[problem_id] = Problem(
                problem_id, row["prompt"], language, stop=tuple(stop), data={"tests": row["tests"]}
            )
    if mistakes:
        raise BadInput(mistakes)
    if not problems:
        what = f"no problem in a known language ({', '.join(skipped) or 'no rows'})"
        raise BadInput([Mistake(", ".join(map(str, paths)), what)])
    refuse_untestable({problem.language for problem in problems.values()})
    return Problems(tuple(problems.values()), dict(skipped))


def judge(attempts: Sequence[Attempt], progress: Callable[[int], object] | None = None) -> list[Judgement]:
    """Run completions with their tests."""
    solutions = [
        Solution(attempt.problem.language, attempt.problem.prompt + attempt.completion, attempt.problem.data["tests"])
        for attempt in attempts
    ]
    return [Judgement(one.passed, one.reason) for one in run_tests(solutions, progress=progress)]


def metrics(judged: Sequence[Judged], ks: Sequence[int]) -> list[Metric]:
    """Return pass@k."""
    return passing(judged, ks)


def _language(named: str) -> str | None:
    ending = "." + named.rsplit(".", 1)[-1]
    by_name = [row.id for row in LANGUAGES.values() if named == row.id or ending in row.extensions]
    return by_name[0] if by_name else None


def _rows(path: Path, mistakes: list[Mistake]) -> Iterator[tuple[str, dict[str, Any]]]:
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in _ENDINGS)
        if not files:
            mistakes.append(Mistake(str(path), f"no {', '.join(_ENDINGS)} in this folder"))
    for file in files:
        if not file.is_file():
            mistakes.append(Mistake(str(file), "no such file; give JSON Lines or Parquet with problems"))
        elif file.suffix == ".parquet":
            try:
                table = pq.read_table(file)
            except (OSError, pa.ArrowException) as error:
                mistakes.append(Mistake(str(file), f"cannot be read as Parquet ({error})"))
                continue
            yield from ((f"{file}: row {number}", row) for number, row in enumerate(table.to_pylist()))
        else:
            yield from _json_rows(file, mistakes)


def _json_rows(file: Path, mistakes: list[Mistake]) -> Iterator[tuple[str, dict[str, Any]]]:
    text = file.read_text(encoding="utf-8", errors="replace")
    # Before they were lines, problems were published as one list.
    texts = [(f"{file}", text)] if text.lstrip().startswith("[") else []
    texts = texts or [(f"{file}: line {n}", line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    for where, one in texts:
        try:
            value = json.loads(one)
        except json.JSONDecodeError as error:
            mistakes.append(Mistake(where, f"not JSON: {error}"))
            continue
        for row in value if isinstance(value, list) else [value]:
            if isinstance(row, dict):
                yield where, row
            else:
                mistakes.append(Mistake(where, "not an object"))
