"""One contract for all languages of the registry: what running a program must come to, in whatever language it is."""

from __future__ import annotations

import math
import os
from functools import cache
from typing import Any

import pytest

from parallel_mining import sandbox
from parallel_mining.drivers.samples import POINTS, sample, samples
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
LIMITS = ExecutionLimits(case_s=1.0, load_s=8.0, memory_bytes=1 << 30)


@cache
def ran(language: str) -> dict[str, Execution]:
    """Run all samples of a language in one batch: every test below looks at one of them."""
    tools = available(language)
    why = f"{tools.reason}; {tools.install}" if isinstance(tools, Unavailable) else sandbox.ready()
    if why:
        if os.environ.get("POLYMIX_ALL_TOOLCHAINS") == "1":
            pytest.fail(f"{language}: {why}")
        pytest.skip(f"{language}: {why}")
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
