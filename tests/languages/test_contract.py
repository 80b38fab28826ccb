"""One contract for all languages of the registry: what running a program must come to, in whatever language it is."""

from __future__ import annotations

import math
import os
from functools import cache
from typing import Any

import pytest

from parallel_mining import sandbox
from parallel_mining.drivers.samples import POINTS, WHOLE_POINTS, sample, samples, whole_sample
from parallel_mining.execute import Execution, ExecutionLimits, Outcome, Toolchain, Unavailable, available, execute
from parallel_mining.pairs import Program
from parallel_mining.values import Value, compare, of, plain
from quality.languages import LANGUAGES

pytestmark = pytest.mark.toolchain

CASES: dict[str, list[tuple[Any, ...]]] = {
    "add": [(1, 2), (-5, 5), (2**31 - 1, 0)],
    "shout": [("",), ("é😀",), ("a\n\"'\\\x00b",)],
    "fail": [(1,)],
    "hang": [(1,), (2,)],
    "syntax": [(1,)],
    "unknown": [(1,)],
    "missing": [(1,)],
    "floats": [(-2.0,), (0.1,)],
    "narrow": [(3,), (2**31 - 1,), (2**60 + 1,)],
    "transpose": [([[1, 2, 3], [4, 5, 6]],)],
    "count": [(["a", "b", "a", "é"],), ([],)],
    "halve": [(3,), (4,)],
    "sorted": [([3, 1, 2],)],
    "random": [(1,)],
    "stateful": [(0,), (0,)],
    "leave": [(0,), (1,), (0,)],
}
WHOLE_LIMITS = ExecutionLimits(case_s=2.0, memory_bytes=1 << 29)
LIMITS = ExecutionLimits(case_s=1.0, load_s=8.0, memory_bytes=1 << 30)


WHOLE_CASES: dict[str, list[tuple[Any, ...]]] = {
    "sum": [("1\n2\n",), ("-3 4\n\n5",), ("",)],
    "repeat": [("",), ("é😀\n",), ("a\tb  \n\nc",)],
    "leave": [("x\n",), ("",)],
    "raise": [("",)],
    "spin": [("x\n",), ("\n",)],
    "flood": [("",)],
    "grow": [("",)],
    "octets": [("",)],
    "fresh": [("",), ("\n",)],
    "wrong": [("",)],
    "no_main": [("",)],
}


def needed(language: str) -> None:
    """Skip, or fail, where a language cannot be run here."""
    tools = available(language)
    why = f"{tools.reason}; {tools.install}" if isinstance(tools, Unavailable) else sandbox.ready()
    if why:
        if os.environ.get("POLYMIX_ALL_TOOLCHAINS") == "1":
            pytest.fail(f"{language}: {why}")
        pytest.skip(f"{language}: {why}")


@cache
def ran(language: str) -> dict[str, Execution]:
    """Run all samples of a language in one batch: every test below looks at one of them."""
    needed(language)
    jobs = [(sample(language, point), CASES[point]) for point in POINTS]
    jobs.append((sample(language, "add"), [(1, 2, 3), (1,)]))
    return dict(zip([*POINTS, "arity"], execute(jobs, limits=LIMITS), strict=True))


def outcomes(language: str, point: str) -> tuple[Outcome, ...]:
    """Return a point's outcomes, having seen that all three runs gave the same."""
    execution = ran(language)[point]
    assert execution.status == "ran", execution.detail
    first, *others = execution.runs
    assert len(others) == 2
    for other in others:
        assert [outcome.status for outcome in other] == [outcome.status for outcome in first]
    return first


def value(outcome: Outcome) -> Value:
    assert outcome.status == "value", outcome.detail
    assert outcome.value is not None
    return outcome.value


each = pytest.mark.parametrize("language", sorted(LANGUAGES))


@each
def test_every_language_of_the_registry_has_every_sample(language: str) -> None:
    assert set(samples(language).SAMPLES) == set(POINTS) == set(CASES)


@each
def test_the_toolchain_is_named_in_the_evidence(language: str) -> None:
    tools = available(language)
    assert isinstance(tools, Toolchain | Unavailable)
    executions = ran(language)
    assert isinstance(tools, Toolchain)
    assert {execution.toolchain for execution in executions.values()} == {tools.version}
    assert any(character.isdigit() for character in tools.version)


@each
def test_values_come_back_as_they_are(language: str) -> None:
    for outcome, expected in zip(outcomes(language, "add"), (3, 0, 2**31 - 1), strict=True):
        assert compare(value(outcome), of(expected)).equal
        assert value(outcome).kind in ("int", "number")


@each
def test_text_survives_and_noise_harms_nobody(language: str) -> None:
    texts = [plain(value(outcome)) for outcome in outcomes(language, "shout")]
    assert texts == ["!", "é😀!", "a\n\"'\\\x00b!"]


@each
def test_a_raised_error_is_an_exception_with_its_message(language: str) -> None:
    (outcome,) = outcomes(language, "fail")
    assert outcome.status == "exception"
    assert outcome.value is None
    assert "no é" in outcome.detail


@each
def test_a_hanging_call_costs_only_itself(language: str) -> None:
    hung, done = outcomes(language, "hang")
    assert hung.status == "timeout"
    assert plain(value(done)) == 2


@each
@pytest.mark.parametrize("point", ["syntax", "unknown", "missing"])
def test_a_broken_program_is_broken_alone_and_says_why(language: str, point: str) -> None:
    execution = ran(language)[point]
    assert execution.status == "broken"
    assert execution.runs == ()
    assert execution.detail
    assert ran(language)["add"].status == "ran"


@each
def test_floats_keep_every_bit(language: str) -> None:
    first, second = (plain(value(outcome)) for outcome in outcomes(language, "floats"))
    assert first[0] == 0
    assert math.copysign(1, first[0]) == -1
    assert first[1] == -math.inf
    assert second[1] == math.inf
    assert math.isnan(first[2])
    assert first[3] == -2.0 / 3
    assert second[3] == 0.1 / 3


@each
def test_an_int_is_as_wide_as_its_type(language: str) -> None:
    small, wrapped, beyond = outcomes(language, "narrow")
    assert plain(value(small)) == 6
    integers = samples(language).INTEGERS
    if integers == "int32":
        assert value(wrapped) == Value("int", -2, "int32")
    else:
        assert plain(value(wrapped)) == 2**32 - 2
    if integers == "exact":
        assert plain(value(beyond)) == 2**61 + 2
    else:
        assert beyond.status == "unrepresentable"
        assert str(2**60 + 1) in beyond.detail


@each
def test_nested_lists_go_in_and_come_out(language: str) -> None:
    (outcome,) = outcomes(language, "transpose")
    assert compare(value(outcome), of([[1, 4], [2, 5], [3, 6]])).equal


@each
def test_dicts_come_out_without_order(language: str) -> None:
    counted, empty = outcomes(language, "count")
    assert compare(value(counted), of({"é": 1, "b": 1, "a": 2})).equal
    assert compare(value(empty), of({})).equal


@each
def test_the_nulls_are_one(language: str) -> None:
    odd, even = outcomes(language, "halve")
    assert value(odd) == Value("null", None)
    assert plain(value(even)) == 2


@each
def test_every_run_gets_fresh_arguments(language: str) -> None:
    execution = ran(language)["sorted"]
    assert [plain(value(run[0])) for run in execution.runs] == [1, 1, 1]


@each
def test_what_is_not_deterministic_shows(language: str) -> None:
    values = [value(run[0]) for run in ran(language)["random"].runs]
    assert len(set(values)) > 1


@each
def test_state_between_calls_shows(language: str) -> None:
    first, second, third = ran(language)["stateful"].runs
    assert [plain(value(outcome)) for outcome in first] == [1, 2]
    # The second run makes its calls in the opposite order.
    assert [plain(value(outcome)) for outcome in second] == [2, 1]
    assert third == first


@each
def test_a_call_that_ends_the_process_costs_only_itself(language: str) -> None:
    before, ended, after = outcomes(language, "leave")
    assert ended.status in ("crash", "memory")
    assert plain(value(before)) == plain(value(after)) == 0


@each
def test_a_wrong_number_of_arguments_is_no_crash(language: str) -> None:
    statuses = {outcome.status for outcome in outcomes(language, "arity")}
    assert statuses <= ({"exception", "unrepresentable"} if samples(language).STRICT_ARITY else {"value"})


def test_a_program_of_no_known_language_is_bad_input() -> None:
    with pytest.raises(ValueError, match="cobol"):
        execute([(Program("cobol", "", "f"), [])])


@cache
def ran_whole(language: str) -> dict[str, Execution]:
    """Run all whole programs of a language in one batch."""
    needed(language)
    jobs = [(whole_sample(language, point), WHOLE_CASES[point]) for point in WHOLE_POINTS]
    jobs.append((whole_sample(language, "repeat"), [("\ud800",)]))
    return dict(zip([*WHOLE_POINTS, "surrogate"], execute(jobs, limits=WHOLE_LIMITS), strict=True))


def printed(language: str, point: str) -> list[str | None]:
    """Return what a whole program printed, None where it came to something else; all three runs came to the same."""
    execution = ran_whole(language)[point]
    assert execution.status == "ran", execution.detail
    assert len(execution.runs) == 3
    assert len(set(execution.runs)) == 1
    assert all(outcome.value is None or outcome.value.width == "printed" for outcome in execution.runs[0])
    return [None if outcome.value is None else outcome.value.data for outcome in execution.runs[0]]


def whole_outcomes(language: str, point: str) -> list[Outcome]:
    """Return what the calls of a whole program came to in the first run."""
    return list(ran_whole(language)[point].runs[0])


@each
def test_a_whole_program_reads_standard_input_and_its_output_is_the_result(language: str) -> None:
    assert set(samples(language).WHOLES) == set(WHOLE_POINTS) == set(WHOLE_CASES)
    assert [text and text.strip() for text in printed(language, "sum")] == ["3", "6", "0"]


@each
def test_printed_text_comes_back_as_it_is(language: str) -> None:
    assert printed(language, "repeat") == ["!", "é😀\n!", "a\tb  \n\nc!"]
    (outcome,) = whole_outcomes(language, "surrogate")
    assert outcome.status == "unrepresentable"


@each
def test_a_status_other_than_zero_is_an_exception(language: str) -> None:
    left, ended = printed(language, "leave")
    assert left is None
    assert ended is not None
    assert ended.strip() == "so far"
    outcome = whole_outcomes(language, "leave")[0]
    assert outcome.status == "exception"
    assert "status 3" in outcome.detail
    (failed,) = whole_outcomes(language, "raise")
    assert failed.status == "exception"
    assert "no é" in failed.detail


@each
def test_a_whole_program_that_does_not_end_costs_only_that_call(language: str) -> None:
    spun, done = whole_outcomes(language, "spin")
    assert spun.status == "timeout"
    assert str(plain(value(done))).strip() == "done"


@each
def test_what_a_whole_program_prints_and_takes_is_limited(language: str) -> None:
    assert [outcome.status for outcome in whole_outcomes(language, "flood")] == ["unrepresentable"]
    assert [outcome.status for outcome in whole_outcomes(language, "octets")] == ["unrepresentable"]
    assert [outcome.status for outcome in whole_outcomes(language, "grow")] == ["memory"]


@each
def test_every_call_of_a_whole_program_begins_anew(language: str) -> None:
    assert [text and text.strip() for text in printed(language, "fresh")] == ["1", "1"]


@each
@pytest.mark.parametrize("point", ["wrong", "no_main"])
def test_a_broken_whole_program_is_broken_alone_and_says_why(language: str, point: str) -> None:
    execution = ran_whole(language)[point]
    assert execution.status == "broken"
    assert execution.detail
