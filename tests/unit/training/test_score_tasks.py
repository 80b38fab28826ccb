"""Tasks without a model: what is read and refused, and what is made of judgements."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_mining.evaluation import INSTANCE_SCHEMA
from quality.mistakes import BadInput
from training.score_tasks import multipl_e, score_task, translation
from training.score_tasks.problems import Attempt, Judged, Judgement, Problem, pass_at_k, passing

ROW = {
    "name": "HumanEval_0_twice",
    "language": "py",
    "prompt": "def twice(n):\n",
    "doctests": "transform",
    "tests": "assert twice(2) == 4\n",
    "stop_tokens": ["\ndef", "\n#"],
}


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_part_of_all_draws_in_which_one_passes(given: tuple[int, int, int]) -> None:
    samples, passed, k = given
    draws = list(combinations([True] * passed + [False] * (samples - passed), k))
    assert pass_at_k(samples, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_needs_k_samples() -> None:
    with pytest.raises(ValueError, match="pass@5 needs 5 samples, not 4"):
        pass_at_k(4, 1, 5)
    assert pass_at_k(200, 199, 100) == 1.0


def test_problems_count_the_same_however_many_samples_passed() -> None:
    judged = [
        Judged(Attempt(Problem(name, "", "go"), ""), Judgement(passed))
        for name, passed in [("a", True), ("a", False), ("b", False), ("b", False)]
    ]
    assert [(one.name, one.value) for one in passing(judged, [1, 2])] == [("pass@1", 0.25), ("pass@2", 0.5)]


def test_published_problems_are_read_from_lines_lists_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "language": "lua"}) + "\n")
    (tmp_path / "b.json").write_text(json.dumps([{**ROW, "language": "js"}]))
    pq.write_table(pa.Table.from_pylist([{**ROW, "name": "other"}]), tmp_path / "c.parquet")
    read = multipl_e.read([tmp_path])
    assert [problem.problem_id for problem in read.problems] == [
        "python/HumanEval_0_twice",
        "javascript/HumanEval_0_twice",
        "python/other",
    ]
    assert read.problems[0].stop == ("\ndef", "\n#")
    assert read.skipped == {"language lua": 1}


@pytest.mark.parametrize(
    ("named", "language"), [("go_test.go", "go"), ("cs", "csharp"), ("rust", "rust"), ("ts", "typescript")]
)
def test_a_language_is_named_by_its_files(named: str, language: str) -> None:
    assert multipl_e._language(named) == language


def test_every_mistake_in_problems_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    wrong: list[Any] = [ROW, ROW, {**ROW, "tests": None}, {**ROW, "stop_tokens": "x"}, [1]]
    file.write_text("".join(json.dumps(row) + "\n" for row in wrong) + "{\n")
    with pytest.raises(BadInput) as caught:
        multipl_e.read([file, tmp_path / "none.jsonl"])
    said = [str(mistake).removeprefix(f"{file}: ") for mistake in caught.value.mistakes]
    assert said[0].startswith("line 2: python/HumanEval_0_twice stands twice")
    assert said[1].startswith("line 3: has no tests of the right kind")
    assert said[2].startswith("line 4: has no stop_tokens")
    assert said[3].startswith("line 5: not an object")
    assert said[4].startswith("line 6: not JSON")
    assert "no such file" in said[5]
    file.write_text(json.dumps({**ROW, "language": "lua"}))
    with pytest.raises(BadInput, match=r"no problem in a known language \(language lua\)"):
        multipl_e.read([file])


def test_a_translation_set_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no table")
    pq.write_table(pa.table({"instance_id": ["1"]}), tmp_path / "b.parquet")
    pq.write_table(INSTANCE_SCHEMA.empty_table(), tmp_path / "instances.parquet")
    with pytest.raises(BadInput) as caught:
        translation.read([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert [str(mistake.where) for mistake in caught.value.mistakes] == [
        str(tmp_path / "a.parquet"),
        str(tmp_path / "b.parquet"),
    ]
    with pytest.raises(BadInput, match="holds no instances"):
        translation.read([tmp_path])


def test_an_unknown_task_lists_those_there_are() -> None:
    with pytest.raises(BadInput, match="'chess' is not a task; known: multipl-e, translation"):
        score_task("chess")
