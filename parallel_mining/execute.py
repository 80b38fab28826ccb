"""What do programs return on given arguments? Compiles and runs them in the sandbox, in batches, in any language.

Start at `execute`. It always holds that one bad program costs no other its result, that every program gets fresh
copies of its arguments, and that nothing a program prints, raises, allocates or forks reaches the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from parallel_mining.drivers import Toolchain, Unavailable, available
from parallel_mining.pairs import Program
from parallel_mining.values import Value

__all__ = ["Execution", "ExecutionLimits", "Outcome", "Toolchain", "Unavailable", "available", "execute"]

Status = Literal["ran", "broken", "timeout", "unsupported"]
OutcomeStatus = Literal["value", "exception", "timeout", "memory", "crash", "unrepresentable"]


@dataclass(frozen=True)
class Outcome:
    """What one call came to.

    Args:
        status: `value`; `exception` (raised, panicked, or returned an error); `timeout`; `memory`; `crash` (the process
            died); `unrepresentable` (an argument does not fit the declared type, or the result has no canonical form:
            the case says nothing about the function).
        value: The result, for `value` only.
        detail: The exception's type and message, or why.
    """

    status: OutcomeStatus
    value: Value | None = None
    detail: str = ""


@dataclass(frozen=True)
class Execution:
    """What one program came to.

    Args:
        status: `ran`; `broken` (does not compile or load, or has no such function); `timeout` (more cases hung than
            `ExecutionLimits.hangs` allows, the rest was not run); `unsupported` (no toolchain or no sandbox, or its
            signature has types that no argument can be made for).
        detail: The compiler's message or the reason; empty for `ran`.
        runs: An outcome a case, in the order of the cases, for each run; empty unless it ran.
        toolchain: The toolchain's version, as it stands in evidence.
    """

    status: Status
    detail: str
    runs: tuple[tuple[Outcome, ...], ...]
    toolchain: str


@dataclass(frozen=True)
class ExecutionLimits:
    """How much a program may use.

    Args:
        case_s: Wall seconds one call may take.
        load_s: Wall seconds that loading a program (its top-level code) may take.
        memory_bytes: What all processes of a batch may hold together.
        hangs: Calls of one program that may run out of time before the rest is given up.
        result_bytes: Wire size of one result.
    """

    case_s: float = 1.5
    load_s: float = 5.0
    memory_bytes: int = 1 << 30
    hangs: int = 2
    result_bytes: int = 200_000


def execute(
    jobs: Sequence[tuple[Program, Sequence[Sequence[Any]]]],
    *,
    runs: int = 3,
    limits: ExecutionLimits | None = None,
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Execution]:
    """Run programs on their cases, several times each.

    Args:
        jobs: Programs, of any mix of languages, each with its cases; a case is the arguments of one call: None, bool,
            int, float, str, bytes, and lists, tuples, sets and dicts of them.
        runs: How often to run each program, each time in a fresh process, so that what is not deterministic shows.
        limits: How much each may use.
        workers: Batches at a time; one a processor by default.
        progress: Called with the number of programs that were finished since the last call.

    Returns:
        An execution a job, in order.
    """
    raise NotImplementedError
