"""Running batches: order, limits, lost batches, and what cannot be run at all. Python only; see tests/languages."""

from __future__ import annotations

import os
from typing import Any

import pytest

from parallel_mining import drivers, sandbox
from parallel_mining import execute as module
from parallel_mining.drivers import Unavailable
from parallel_mining.execute import Execution, ExecutionLimits, execute
from parallel_mining.pairs import Program
from parallel_mining.values import NotAValue, decode, plain
from quality.mistakes import BadInput

needs_sandbox = pytest.mark.skipif(
    bool(sandbox.ready()) and os.environ.get("POLYMIX_ALL_TOOLCHAINS") != "1", reason=sandbox.ready()
)


def python(code: str, entry: str = "f") -> Program:
    return Program("python", code, entry)


def first(execution: Execution) -> list[Any]:
    return [plain(outcome.value) if outcome.value else outcome.status for outcome in execution.runs[0]]


@needs_sandbox
def test_results_come_in_the_order_of_the_jobs_and_progress_counts_all() -> None:
    jobs: list[tuple[Program, list[tuple[int]]]] = [
        (python(f"def f(a):\n    return a * {i}"), [(1,), (2,)]) for i in range(drivers.driver("python").BATCH + 3)
    ]
    jobs[5] = (Program("javascript", "const f = (a) => a + 0.5;", "f"), [(1,)])
    told: list[int] = []
    executions = execute(jobs, runs=2, workers=2, progress=told.append)
    assert first(executions[0]) == [0, 0]
    assert first(executions[-1]) == [len(jobs) - 1, 2 * (len(jobs) - 1)]
    if executions[5].status != "unsupported":
        assert first(executions[5]) == [1.5]
    assert {len(execution.runs) for execution in executions if execution.status == "ran"} == {2}
    assert sum(told) == len(jobs)


@needs_sandbox
def test_no_jobs_and_no_cases_are_fine() -> None:
    assert execute([]) == []
    (execution,) = execute([(python("def f():\n    return 1"), [])], runs=1)
    assert execution.status == "ran"
    assert execution.runs == ((),)


@needs_sandbox
def test_a_program_whose_calls_keep_hanging_is_given_up() -> None:
    hanging = python("def f(a):\n    while a:\n        pass\n    return a")
    limits = ExecutionLimits(case_s=0.3, hangs=1)
    given_up, fine = execute([(hanging, [(1,), (2,), (3,)]), (python("def f():\n    return 7"), [()])], limits=limits)
    assert given_up.status == "timeout"
    assert given_up.runs == ()
    assert first(fine) == [7]


@needs_sandbox
def test_a_call_that_hangs_takes_no_value_from_those_after_it() -> None:
    """They are given less time, but not less than what answers in a quarter of the limit needs."""
    code = "def f(a):\n    while a == 0:\n        pass\n    return sum(range(200_000)) + a\n"
    for order in ([0, 1, 2, 3], [1, 2, 3, 0]):
        [found] = execute([(python(code), [(a,) for a in order])], runs=2)
        assert found.status == "ran"
        for run in found.runs:
            assert [outcome.status for outcome in run] == ["timeout" if a == 0 else "value" for a in order]


@needs_sandbox
def test_sleeping_through_the_limit_is_a_timeout_too() -> None:
    sleeper = python("import time\ndef f(a):\n    time.sleep(a)\n    return a")
    (execution,) = execute([(sleeper, [(0,), (60,)])], runs=1, limits=ExecutionLimits(case_s=0.2))
    assert [outcome.status for outcome in execution.runs[0]] == ["value", "timeout"]


@needs_sandbox
def test_loading_has_a_limit_of_its_own() -> None:
    stuck, fine = execute(
        [(python("while True:\n    pass\ndef f():\n    return 1"), [()]), (python("def f():\n    return 7"), [()])],
        runs=1,
        limits=ExecutionLimits(load_s=0.4),
    )
    assert stuck.status == "broken"
    assert "loading" in stuck.detail
    assert first(fine) == [7]


@needs_sandbox
def test_arguments_and_results_beyond_what_fits_are_told_apart() -> None:
    program = python("def f(a):\n    return a if a == 0 else object() if a == 1 else 'x' * 10**6 if a == 2 else a")
    (execution,) = execute([(program, [(0,), (1,), (2,), (10**3000,)])], runs=1)
    assert [outcome.status for outcome in execution.runs[0]] == ["value", "unrepresentable", "unrepresentable", "value"]
    assert "object" in execution.runs[0][1].detail
    assert "too large" in execution.runs[0][2].detail


@needs_sandbox
def test_one_that_kills_everything_in_its_sandbox_costs_no_other() -> None:
    # The supervisor is of the same user: a program may kill it. The batch is then lost, and run again in halves.
    killer = python("import os, signal\ndef f():\n    os.kill(-1, signal.SIGKILL)")
    fine = python("def f():\n    return 7")
    executions = execute([(fine, [()]), (killer, [()]), (fine, [()]), (fine, [()])], runs=1, workers=1)
    assert [execution.status for execution in executions] == ["ran", "broken", "ran", "ran"]
    assert first(executions[0]) == first(executions[2]) == first(executions[3]) == [7]


def test_all_arguments_that_are_no_data_are_named_at_once() -> None:
    jobs = [(python("def f(a):\n    return a"), [(1,), (object(),)]), (python("x"), [(1j,)])]
    with pytest.raises(BadInput) as caught:
        execute(jobs)
    assert [mistake.where for mistake in caught.value.mistakes] == ["jobs[0].cases[1]", "jobs[1].cases[0]"]


def test_a_missing_toolchain_is_unsupported_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(language: str) -> Unavailable:
        return Unavailable(language, "no `go` on the path", "apt install golang-go")

    monkeypatch.setattr(module, "available", none)
    told: list[int] = []
    (execution,) = execute([(Program("go", "package a", "F"), [])], progress=told.append)
    assert (execution.status, execution.runs) == ("unsupported", ())
    assert execution.detail == "no `go` on the path; apt install golang-go"
    assert told == [1]


def test_a_missing_sandbox_is_unsupported_and_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "ready", lambda: "no bubblewrap")
    (execution,) = execute([(python("raise SystemExit"), [])])
    assert (execution.status, execution.detail) == ("unsupported", "no bubblewrap")


@pytest.mark.parametrize("language", ["java", "csharp", "go", "rust"])
def test_a_machine_without_compilers_says_what_to_install(
    language: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_: None)
    found = drivers.driver(language).toolchain()
    assert isinstance(found, Unavailable)
    assert "apt install" in found.install


def test_the_host_reads_only_complete_lines_of_known_kinds() -> None:
    with pytest.raises(NotAValue):
        decode("i1")
    record = module._Record(1, 1)  # pyright: ignore[reportPrivateUsage]
    module._read("R 0 0 0 v i1;\nZ", [record])  # pyright: ignore[reportPrivateUsage]
    assert not record.finished
    module._read("Z\n", [record])  # pyright: ignore[reportPrivateUsage]
    assert record.finished


@needs_sandbox
@pytest.mark.toolchain
@pytest.mark.parametrize(
    "code",
    [
        "pub fn f<I>(items: I, by: &str) -> String where I: IntoIterator, I::Item: ToString { JOINED }",
        "pub fn f<I, T>(items: I, by: &str) -> String where T: ToString, I: Iterator<Item = T> { JOINED }",
        "pub fn f<T: ToString, I: std::iter::IntoIterator<Item = T>>(items: I, by: &str) -> String { JOINED }",
        "pub fn f(items: impl DoubleEndedIterator<Item = i64>, by: &str) -> String { JOINED }",
    ],
)
def test_rust_functions_over_whatever_can_be_gone_through_take_lists(code: str) -> None:
    if isinstance(drivers.available("rust"), Unavailable):
        pytest.skip("no Rust here")
    code = code.replace("JOINED", "items.into_iter().map(|x| x.to_string()).collect::<Vec<_>>().join(by)")
    [ran] = execute([(Program("rust", code, "f"), [([1, -2, 3], "+"), ([], "+")])])
    assert first(ran) == ["1+-2+3", ""]
