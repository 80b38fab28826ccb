"""Contamination is found wherever a task stands and however it is laid out; an opt-out list means its entries only."""

from __future__ import annotations

import pickle
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from quality.contamination import Benchmarks, Task
from quality.opt_out import OptOut

PROMPT = (
    "Tell which of the harbour pilots may leave their boats while the tide is lower than every marked stone,"
    " and for how many minutes each of them has to wait before the ferry."
)
SOLUTION = "waiting = ebb - depth\nif waiting > margin: pilots.append(waiting)\nreturn sum(pilots) / stones.count(ebb)"
KNOWN = Benchmarks.of([Task("b", "t", PROMPT, SOLUTION, "", "harbour_pilots_waiting", ("boats", "tides"))])
WORDS = PROMPT.split()

code = st.text(st.sampled_from("abcXYZ_ \n\t(){}=+-*/.,;:#\"'\\0123456789é漢"), max_size=300)


@given(st.text(st.characters()))
@settings(max_examples=200)
def test_any_text_has_an_answer(text: str) -> None:
    found = KNOWN.check(text)
    assert found is None or 0 < found.share <= 1


@given(code, code)
@settings(max_examples=100)
def test_a_task_is_found_wherever_it_stands(before: str, after: str) -> None:
    # A backslash would escape the first letter after it.
    for part in (PROMPT, SOLUTION):
        found = KNOWN.check(f"{before} \n{part}\n{after}")
        assert found is not None
        assert found.share == 1


@given(
    st.lists(st.sampled_from([" ", "\n", "\n    // ", "\r\n * ", "\n# ", "\n--\t", " /* ", "\\n"]), min_size=len(WORDS))
)
@settings(max_examples=100)
def test_layout_and_comment_marks_do_not_matter(gaps: list[str]) -> None:
    found = KNOWN.check("".join(gap + word for gap, word in zip(gaps, WORDS, strict=False)))
    assert found is not None
    assert (found.part, found.share) == ("prompt", 1)


@given(st.lists(st.sampled_from(WORDS), max_size=12))
@settings(max_examples=100)
def test_a_few_of_its_words_are_no_task(words: list[str]) -> None:
    assert KNOWN.check(" ".join(words)) is None


tasks = st.lists(
    st.builds(Task, st.sampled_from("ab"), st.sampled_from("12345"), prompt=st.sampled_from([PROMPT, SOLUTION, "x y"])),
    max_size=5,
)


@given(tasks, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_tasks_is_no_part_of_an_index(given_tasks: list[Task], random: object) -> None:
    shuffled = list(given_tasks)
    random.shuffle(shuffled)  # pyright: ignore[reportAttributeAccessIssue]
    left, right = Benchmarks.of(given_tasks), pickle.loads(pickle.dumps(Benchmarks.of(shuffled)))
    assert left.digest == right.digest
    assert left.check(PROMPT) == right.check(PROMPT)


name = st.from_regex(re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,8}", re.ASCII), fullmatch=True)
path = st.lists(name, min_size=1, max_size=3).map("/".join)


@given(st.lists(st.tuples(name, name), max_size=8), st.tuples(name, name), path)
@settings(max_examples=60)
def test_repositories_are_left_out_if_they_are_listed(
    listed: list[tuple[str, str]], asked: tuple[str, str], file: str
) -> None:
    opt_out = OptOut.parse([f"{owner}/{repository}" for owner, repository in listed])
    wanted = "/".join(asked).lower() in {"/".join(one).lower() for one in listed}
    assert (opt_out.reason("git:" + "/".join(asked), file) is not None) == wanted
    owners = OptOut.parse([f"{owner}/*" for owner, _ in listed])
    wanted = asked[0].lower() in {owner.lower() for owner, _ in listed}
    assert (owners.reason("/".join(asked).upper(), file) is not None) == wanted


@given(st.lists(path, max_size=5), path)
@settings(max_examples=60)
def test_files_are_left_out_if_they_or_their_folder_are_listed(listed: list[str], file: str) -> None:
    exact = OptOut.parse([f"o/r:{one}" for one in listed])
    under = any(file.startswith(f"{one}/") for one in listed)
    assert (exact.reason("git:o/r", file) is not None) == (file in listed or under)
    below = OptOut.parse([f"o/r:{one}/**" for one in listed])
    assert (below.reason("git:o/r", file) is not None) == under
    assert OptOut.parse(reversed(exact.entries)) == exact
    assert exact.reason("git:o/other", file) is None
