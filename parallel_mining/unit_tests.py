"""Does a solution pass its unit tests? Runs programs with tests in the form in which MultiPL-E publishes them.

Start at `run_tests`. What always holds: a solution passes only if its program compiled, ended by itself with status 0,
and printed a word that is chosen at random for this call and stands behind all its tests, so that one which leaves
before they are run does not pass; what cannot be run on this machine is bad input, never a failed solution.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from parallel_mining import sandbox
from parallel_mining.drivers import testing_driver
from parallel_mining.execute import Execution, ExecutionLimits, Unavailable, available, execute
from parallel_mining.pairs import whole_program
from parallel_mining.values import plain
from quality.mistakes import BadInput, Mistake

LIMITS = ExecutionLimits(case_s=15.0, load_s=15.0, hangs=0)
"""Source: MultiPL-E gives a program 15 seconds (`evaluation/src/safe_subprocess`)."""


@dataclass(frozen=True)
class Solution:
    """A program to be tested.

    Args:
        language: A language id.
        code: What is tested; of a completion, the prompt with what completes it.
        tests: What comes behind it and runs the tests.
    """

    language: str
    code: str
    tests: str


@dataclass(frozen=True)
class Tested:
    """What came of it.

    Args:
        passed: Whether all tests passed.
        reason: Why not, its cause (`broken`, `failed`, `timeout`, `memory`, `left`) before a colon; or "".
    """

    passed: bool
    reason: str = ""


def refuse_untestable(languages: Collection[str]) -> None:
    """Check that unit tests of languages can be run on this machine.

    Raises:
        BadInput: A language, or the sandbox, cannot be used; all are listed.
    """
    mistakes: list[Mistake] = []
    for name in sorted(languages):
        tools = available(name)
        if isinstance(tools, Unavailable):
            mistakes.append(Mistake(name, f"{tools.reason}; {tools.install}"))
        elif testing_driver(name) is None:
            mistakes.append(Mistake(name, f"its driver has no `tested`; add it to drivers/{name}/run.py"))
    missing = sandbox.ready() if languages else ""
    if missing:
        mistakes.append(Mistake("sandbox", missing))
    if mistakes:
        raise BadInput(mistakes)


def run_tests(
    solutions: Sequence[Solution],
    *,
    limits: ExecutionLimits = LIMITS,
    progress: Callable[[int], object] | None = None,
) -> list[Tested]:
    """Run the unit tests of solutions in the sandbox.

    Args:
        solutions: Of any mix of languages; batches are cheaper than single ones.
        limits: How much each may use.
        progress: Called with the number of programs that were finished since the last call.

    Returns:
        What came of each, in order.

    Raises:
        BadInput: A language, or the sandbox, cannot be used on this machine.
    """
    refuse_untestable({solution.language for solution in solutions})
    done = f"all tests passed {secrets.token_hex(8)}"
    programs = [whole_program(solution.language, _program(solution, done)) for solution in solutions]
    ran = execute([(program, [[""]]) for program in programs], runs=1, limits=limits, progress=progress)
    return [_tested(execution, done) for execution in ran]


def _program(solution: Solution, done: str) -> str:
    driver = testing_driver(solution.language)
    assert driver is not None
    return driver.tested(solution.code, solution.tests, done)


def _tested(execution: Execution, done: str) -> Tested:
    if execution.status != "ran":
        return Tested(False, f"{execution.status}: {execution.detail}")
    [[outcome]] = execution.runs
    if outcome.value is None:
        cause = outcome.status if outcome.status in ("timeout", "memory") else "failed"
        return Tested(False, f"{cause}: {outcome.detail}")
    printed = str(plain(outcome.value))
    if done not in printed.splitlines():
        return Tested(False, "left: the program ended before its tests did")
    return Tested(True)
