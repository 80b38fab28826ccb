"""Benchmark tasks here are made up; no text of a published benchmark stands in the project."""

from __future__ import annotations

import gzip
import json
import pickle
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality.contamination import Benchmarks, ContaminationSettings, Task, read_tasks
from quality.mistakes import BadInput

SHARED = Path(__file__).parents[4] / "shared" / "data"
PROMPT = '''from typing import List


def count_quiet_wardens(lanterns: List[int], curfew: int) -> int:
    """ Given the burning hours of all lanterns in a fortress, return how many wardens may sleep
    through the night without any lantern near their post going out before the curfew.
    >>> count_quiet_wardens([3, 8, 9], 4)
    2
    >>> count_quiet_wardens([], 4)
    0
    """
'''
SOLUTION = """    drowsy = 0
    for lantern in lanterns:
        remaining = lantern - curfew
        if remaining >= 0 and lantern % 7 != 3:
            drowsy += 1
        elif remaining == -1:
            drowsy -= remaining
    return drowsy
"""
TEST = """def check(candidate):
    assert candidate([3, 8, 9], 4) == 2
    assert candidate([17, 23, 4, 41, 5], 19) == 2
    assert candidate([100, 73, 12], 73) == 1
"""
HUMANEVAL = {
    "task_id": "Made/0",
    "prompt": PROMPT,
    "canonical_solution": SOLUTION,
    "test": TEST,
    "entry_point": "count_quiet_wardens",
}
MBPP = {
    "task_id": 11,
    "text": "Write a function to merge two garden ledgers by the weight of their pumpkins.",
    "code": "def merge_ledgers(first, second):\n    return sorted(first + second, key=lambda row: row['pumpkin'])",
    "test_list": ["assert merge_ledgers([{'pumpkin': 1}], []) == [{'pumpkin': 1}]"],
}
MULTIPLE = {
    "name": "Made_3_fold_paper_cranes",
    "language": "rs",
    "prompt": "/// Fold each sheet twice along its longer side and tell which cranes cannot stand afterwards.\n"
    "fn fold_paper_cranes(sheets: Vec<isize>) -> Vec<isize> {\n",
    "tests": "assert_eq!(candidate(vec![1, 2]), vec![]);",
}
JAVA = """class Solution {
    /**
     * Given the burning hours of all lanterns in a fortress, return how many wardens may sleep
     * through the night without any lantern near their post going out before the curfew.
     * >>> countQuietWardens(Arrays.asList(3, 8, 9), 4)
     * 2
     */
    public int countQuietWardens(List<Integer> lanterns, int curfew) {
"""
OTHER = "".join(f"def step_{n}(value):\n    return value * {n} + offset(value, {n})\n\n\n" for n in range(40))


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def made(tmp_path: Path) -> Benchmarks:
    return Benchmarks.read(
        [written(tmp_path / "made.jsonl", HUMANEVAL, MULTIPLE), written(tmp_path / "mb.jsonl", MBPP)]
    )


def part_of(made: Benchmarks, text: str) -> tuple[str, str] | None:
    found = made.check(text)
    return (found.task, found.part) if found else None


def test_a_prompt_is_found_amid_other_code(made: Benchmarks) -> None:
    found = made.check(OTHER + PROMPT + "    pass\n\n\n" + OTHER)
    assert found is not None
    assert (found.benchmark, found.task, found.part, found.share) == ("made", "Made/0", "prompt", 1.0)
    assert str(found) == f"made Made/0: 100% of its prompt ({found.matched})"
    assert made.check(OTHER) is None
    assert made.check("") is None


@pytest.mark.parametrize("mark", ["//", "///", "#", "--", " *"])
def test_a_prompt_in_another_languages_comments_is_found(made: Benchmarks, mark: str) -> None:
    prose = PROMPT.split('"""')[1].replace("lanterns in", "lanterns in the list in", 1)
    assert part_of(made, "".join(f"    {mark} {line}\n" for line in prose.splitlines())) == ("Made/0", "prompt")


def test_a_translation_is_found_from_the_original_alone(made: Benchmarks) -> None:
    assert part_of(made, JAVA) == ("Made/0", "prompt")


@pytest.mark.parametrize("language", ["JavaScript", "TypeScript", "Java", "C#", "C++", "Python 3"])
def test_the_name_of_the_language_in_a_prompt_does_not_matter(language: str) -> None:
    known = Benchmarks.of([Task("b", "t", "Write a python function to weigh pumpkins in stone.")])
    text = f"/* Write a {language} function to weigh pumpkins in stone. */".replace(" 3", "")
    assert known.check(text) is not None
    assert known.check(text.replace("weigh", "peel")) is None


def test_a_rust_prompt_is_found_in_python(made: Benchmarks) -> None:
    text = "Fold each sheet twice along its longer side and tell which cranes cannot stand afterwards."
    assert part_of(made, f'def fold(sheets):\n    """{text}"""\n') == ("Made_3_fold_paper_cranes", "prompt")


def test_a_short_prompt_is_found_word_for_word_only(made: Benchmarks) -> None:
    assert part_of(made, f"# {MBPP['text']}") == ("11", "prompt")
    assert made.check("# Write a function to merge two garden ledgers.") is None


def test_a_file_that_holds_the_benchmark_itself_is_found(made: Benchmarks) -> None:
    assert part_of(made, json.dumps(HUMANEVAL)) is not None
    assert part_of(made, json.dumps({"prompt": PROMPT}, indent=1)) == ("Made/0", "prompt")


def test_a_solution_and_tests_are_found_alone(made: Benchmarks) -> None:
    assert part_of(made, f"def other(lanterns, curfew):\n{SOLUTION}") == ("Made/0", "solution")
    assert part_of(made, TEST) == ("Made/0", "tests")


def test_renamed_locals_are_found_by_a_telling_signature(made: Benchmarks) -> None:
    renamed = SOLUTION.replace("drowsy", "n").replace("remaining", "rest").replace("lantern ", "x ")
    assert part_of(made, f"def count_quiet_wardens(lanterns, curfew):\n{renamed}") == ("Made/0", "signature")
    go = "func CountQuietWardens(lanterns []int, curfew int) int {\n\treturn 0\n}"
    assert part_of(made, go) == ("Made/0", "signature")
    assert made.check("count_quiet_wardens = 3; lanterns = 4") is None


def test_a_plain_signature_needs_the_solutions_own_words() -> None:
    solution = "table = build_sieve(n)\nreturn [prime for prime in table.survivors() if prime.fresh]"
    known = Benchmarks.of([Task("b", "t", solution=solution, entry="fresh_honest_primes", parameters=("n",))])
    head = "function freshHonestPrimes(n: number): number[] {\n"
    assert known.check(f"{head} return [...Array(n).keys()]; }}") is None
    found = known.check(f"{head} const sieve = buildSieve(n); return sieve.survivors().filter((p) => p.fresh); }}")
    assert found is not None
    assert found.part == "signature"


@pytest.mark.parametrize("solution", ["return a + b", "    return len(set(x))\n", "return sorted(values)[-1]"])
def test_trivial_solutions_never_match_alone(solution: str) -> None:
    known = Benchmarks.of([Task("b", "t", prompt=PROMPT, solution=solution, entry="solve", parameters=("a", "b"))])
    assert known.check(f"def solve(a, b):\n    {solution}\n") is None


def test_idioms_shipped_or_given_never_match_alone() -> None:
    prime = "def is_prime(n):\n if n < 2:\n  return False\n for k in range(2, n - 1):\n"
    prime += "  if n % k == 0:\n   return False\n return True\n"
    assert Benchmarks.of([Task("b", "t", solution=prime)]).check(prime) is None
    task = Task("b", "t", solution=SOLUTION)
    assert Benchmarks.of([task]).check(SOLUTION) is not None
    assert Benchmarks.of([task], trivial=[SOLUTION]).check(SOLUTION) is None


def test_what_many_tasks_share_is_not_counted() -> None:
    licence = "this program may be copied by whoever finds it lying in the street on a rainy day"
    tasks = [
        Task("b", str(n), prompt=f"{licence} {word * 3} " * 2) for n, word in enumerate(["ab ", "cd ", "ef ", "gh "])
    ]
    assert Benchmarks.of(tasks).check(f"/* {licence} */") is None
    assert Benchmarks.of(tasks[:1]).check(f"/* {licence} */") is not None


def test_scattered_ngrams_are_no_task() -> None:
    prompt = (
        "one crow saw two foxes near three ponds where four herons fed on five eels under six elms beside seven wells"
    )
    known = Benchmarks.of([Task("b", "t", prompt=prompt)])
    words = prompt.split()
    filler = " ".join(f"filler{n}" for n in range(300))
    scattered = f" {filler} ".join(" ".join(words[n : n + 7]) for n in range(len(words) - 6))
    assert known.check(prompt) is not None
    assert known.check(scattered) is None


def test_a_file_of_many_tasks_takes_no_longer_than_its_length(tmp_path: Path) -> None:
    rows = [
        {"task_id": f"t{n}", "prompt": " ".join(f"word{chr(97 + n % 26)}x{n} of{m} tale{n * m}" for m in range(60))}
        for n in range(300)
    ]
    known = Benchmarks.read([written(tmp_path / "tales.jsonl", *rows)])
    text = (tmp_path / "tales.jsonl").read_text() * 2
    start = time.process_time()
    found = known.check(text)
    assert found is not None
    assert found.share == 1
    # A tenth of a second here for 0.8 MB; a look at every n-gram for every task takes minutes.
    assert time.process_time() - start < 5


def test_a_long_text_is_read_like_its_parts(made: Benchmarks) -> None:
    filler = "".join(f"let v{n} = {n};\n" for n in range(90_000))
    for before in (filler, "x" * 1_100_000 + "\n", filler[: (1 << 20) - 100], filler[: (1 << 20) - 300]):
        assert part_of(made, before + PROMPT) == ("Made/0", "prompt")


def test_formats_are_read_alike(tmp_path: Path) -> None:
    rows = [HUMANEVAL, HUMANEVAL | {"task_id": "Made/1"}]
    plain = written(tmp_path / "made.jsonl", *rows)
    (tmp_path / "a").mkdir()
    packed = tmp_path / "a" / "made.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    listed = tmp_path / "a" / "made.json"
    listed.write_text(json.dumps(rows), "utf-8")
    keyed = tmp_path / "made.json"
    keyed.write_text(json.dumps({row["task_id"]: {k: v for k, v in row.items() if k != "task_id"} for row in rows}))
    table = tmp_path / "made.parquet"
    pq.write_table(pa.Table.from_pylist(rows), table)
    expected = read_tasks(plain)
    assert [task.name for task in expected] == ["Made/0", "Made/1"]
    assert expected[0].parameters == ("lanterns", "curfew")
    assert all(read_tasks(path) == expected for path in (packed, listed, keyed, table))


def test_examples_are_left_out_of_a_prompt_and_nothing_goes_across_them(tmp_path: Path) -> None:
    prompt = '''def brew(leaves):
    """Tell how long the leaves that brew(leaves) was given must steep before the tea turns bitter.

    brew([3, 1]) == 7
    >>> brew([])
    0
    Leaves of one bush steep together, however many pots were set out for the guests.
    """
'''
    (task,) = read_tasks(written(tmp_path / "tea.jsonl", {"prompt": prompt, "entry_point": "brew"}))
    assert "brew(leaves)" in task.prompt
    assert "== 7" not in task.prompt
    other = prompt.replace("brew([3, 1]) == 7", "brew(vec![3, 1]) -> minutes of 60 seconds: 420, in all pots alike")
    found = Benchmarks.of([task]).check(other)
    assert found is not None
    assert found.share == 1


def test_mbpp_names_its_function_by_its_tests(tmp_path: Path) -> None:
    code = "def inner(x):\n    return x\n\ndef merge_ledgers(first, second=None, *rest):\n    return inner(first)"
    (task,) = read_tasks(written(tmp_path / "mb.jsonl", MBPP | {"code": code}))
    assert (task.entry, task.parameters) == ("merge_ledgers", ("first", "second", "rest"))


def test_all_mistakes_in_all_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "broken.jsonl").write_text('{"prompt": "x"}\n{"prompt": \nnot json\n')
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"{}")[:-3])
    wrong = written(tmp_path / "wrong.jsonl", *[{"label": 1}] * 5, [1])
    names = ["none.jsonl", "empty.jsonl", "broken.jsonl", "a.txt", "cut.parquet", "cut.jsonl.gz"]
    with pytest.raises(BadInput) as raised:
        Benchmarks.read([*(tmp_path / name for name in names), wrong], trivial=tmp_path / "no.txt")
    text = str(raised.value)
    for part in [
        "none.jsonl: no such file",
        "empty.jsonl: holds no task",
        "broken.jsonl: line 2",
        "broken.jsonl: line 3",
        "a.txt: not a kind of file",
        "cut.parquet: cannot be read",
        "cut.jsonl.gz: cannot be read",
        "its columns are label",
        "and 3 more rows",
        "no.txt: cannot be read",
    ]:
        assert part in text
    with pytest.raises(BadInput, match="another file is called wrong"):
        Benchmarks.read([written(tmp_path / "wrong.json", HUMANEVAL), written(tmp_path / "wrong.ndjson", HUMANEVAL)])


def test_an_index_is_known_by_what_its_answers_depend_on(tmp_path: Path, made: Benchmarks) -> None:
    again = Benchmarks.read([tmp_path / "mb.jsonl", tmp_path / "made.jsonl"])
    copy = pickle.loads(pickle.dumps(made))
    assert made.digest == again.digest == copy.digest != ""
    assert copy.check(JAVA) == made.check(JAVA) == again.check(JAVA)
    looser = Benchmarks.read([tmp_path / "mb.jsonl", tmp_path / "made.jsonl"], ContaminationSettings(share=0.5))
    fewer = Benchmarks.read([tmp_path / "made.jsonl"])
    assert len({made.digest, looser.digest, fewer.digest}) == 3


def test_no_benchmark_finds_nothing() -> None:
    none = Benchmarks.of([])
    assert none.digest == ""
    assert none.check(PROMPT) is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs published pairs of programs")
def test_published_translations_are_found_from_their_python_originals(tmp_path: Path) -> None:
    pairs = [json.loads(line) for line in (SHARED / "pairs_mbxp_ts_cs.jsonl").read_text("utf-8").splitlines()]
    rows = [{"id": p["pair_id"], "prompt": p["left"]["code"], "entry_point": p["left"]["entry"]} for p in pairs]
    known = Benchmarks.read([written(tmp_path / "originals.jsonl", *rows)])
    found = [known.check(pair["right"]["code"]) is not None for pair in pairs]
    assert sum(found) >= 0.99 * len(pairs)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs published pairs of programs")
def test_published_solutions_are_found_and_their_translations_only_by_telling_names(tmp_path: Path) -> None:
    pairs = [json.loads(line) for line in (SHARED / "pairs_humaneval_x.jsonl").read_text("utf-8").splitlines()]
    gold = [pair for pair in pairs if pair["label"] == "gold"]
    rows = {p["left"]["code"]: {"solution": p["left"]["code"], "entry_point": p["left"]["entry"]} for p in gold}
    known = Benchmarks.read([written(tmp_path / "originals.jsonl", *rows.values())])
    assert sum(known.check(code) is not None for code in rows) >= 0.85 * len(rows)
    translated = [known.check(pair["right"]["code"]) for pair in gold]
    # Without its prompt a translation is another program: what is found is mostly the function's telling name.
    assert 0.05 < sum(one is not None for one in translated) / len(gold) < 0.5
