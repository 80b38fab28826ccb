"""What do programs return on given arguments, or print on given input? In batches, in the sandbox, in any language.

Start at `execute`. It always holds that one bad program costs no other its result, that every program gets fresh
copies of its arguments, and that nothing a program prints, raises, allocates or forks reaches the host.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from parallel_mining import sandbox
from parallel_mining.drivers import Toolchain, Unavailable, available, driver, interpreter, whole_driver
from parallel_mining.pairs import Program
from parallel_mining.values import NotAValue, Value, decode, encode
from quality.mistakes import BadInput, Mistake

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
        case_s: Seconds one call may take, and twice as many where it has ended before. Inputs are small, so that a call
            which has not answered by then seldom does: of 30,000 calls of 1,290 published programs, 1 gave a value
            within 2 seconds that gave none within 0.25, and none more that gave none within 0.12.
        load_s: Wall seconds that loading a program (its top-level code) may take.
        memory_bytes: What all processes of a batch may hold together.
        hangs: Calls of one program that may run out of time before the rest is given up.
        result_bytes: Wire size of one result.
    """

    case_s: float = 0.15
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

    Raises:
        BadInput: An argument is not plain data, or a language is not in the registry.
    """
    limits = limits or ExecutionLimits()
    wires = _wires(jobs)
    found: dict[int, Execution] = {}
    by_language: dict[str, list[int]] = {}
    for index, (program, _) in enumerate(jobs):
        by_language.setdefault(program.language, []).append(index)
    unsandboxed = sandbox.ready() if jobs else ""
    batches: list[tuple[Toolchain, list[int]]] = []
    for name, indices in by_language.items():
        tools = available(name)
        if isinstance(tools, Unavailable):
            found |= dict.fromkeys(indices, Execution("unsupported", f"{tools.reason}; {tools.install}", (), ""))
        elif unsandboxed:
            found |= dict.fromkeys(indices, Execution("unsupported", unsandboxed, (), tools.version))
        else:
            size = driver(name).BATCH
            functions = [index for index in indices if not jobs[index][0].is_whole]
            batches += [(tools, functions[start : start + size]) for start in range(0, len(functions), size)]
            wholes = [index for index in indices if jobs[index][0].is_whole]
            if wholes and whole_driver(name) is None:
                why = f"whole programs cannot be run in {name}"
                found |= dict.fromkeys(wholes, Execution("unsupported", why, (), tools.version))
            else:
                batches += [(tools, wholes[start : start + _WHOLES]) for start in range(0, len(wholes), _WHOLES)]
    if progress and found:
        progress(len(found))

    def work(batch: tuple[Toolchain, list[int]]) -> dict[int, Execution]:
        tools, indices = batch
        ran = _run([(jobs[index][0], wires[index]) for index in indices], tools, runs, limits)
        return dict(zip(indices, ran, strict=True))

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for done in as_completed([pool.submit(work, batch) for batch in batches]):
            found |= done.result()
            if progress:
                progress(len(done.result()))
    return [found[index] for index in range(len(jobs))]


def _wires(jobs: Sequence[tuple[Program, Sequence[Sequence[Any]]]]) -> list[list[str]]:
    mistakes: list[Mistake] = []
    wires: list[list[str]] = []
    for index, (_, cases) in enumerate(jobs):
        wires.append([])
        for number, arguments in enumerate(cases):
            try:
                wires[-1].append(encode(list(arguments)))
            except NotAValue as error:
                mistakes.append(Mistake(f"jobs[{index}].cases[{number}]", f"{error}; use plain data as arguments"))
    if mistakes:
        raise BadInput(mistakes)
    return wires


_BUILD_S = 300.0
# Whole programs of a batch: their calls are processes one after the other, so that few go together.
_WHOLES = 16
# The supervisor's: what it may take to start the process of a whole program, beside its own time.
_WHOLE_START_S = 0.5
# The supervisor's: how many times its limit a worker gets that is not let run.
_PATIENCE = 4
_Job = tuple[Program, Sequence[str]]


def _run(jobs: Sequence[_Job], tools: Toolchain, runs: int, limits: ExecutionLimits) -> list[Execution]:
    """Run one batch; where the batch itself is lost, run what is unfinished again in halves."""
    collected, completed = trip(jobs, tools, runs, limits)
    lost = [k for k, record in enumerate(collected) if not record.finished]
    if len(lost) == 1 and len(jobs) == 1:
        collected[0].give_up(completed)
    elif lost:
        half = max(1, len(lost) // 2) if len(lost) == len(jobs) else len(lost)
        for part in (lost[:half], lost[half:]):
            if part:
                again = _run([jobs[k] for k in part], tools, runs, limits)
                for k, execution in zip(part, again, strict=True):
                    collected[k].execution = execution
    return [record.result(tools.version) for record in collected]


class _Record:
    """What the supervisor has said about one program so far."""

    def __init__(self, cases: int, runs: int) -> None:
        self.outcomes: list[list[Outcome | None]] = [[None] * cases for _ in range(runs)]
        self.status: Status = "ran"
        self.detail = ""
        self.done = False
        self.execution: Execution | None = None

    @property
    def finished(self) -> bool:
        return self.done or self.status in ("broken", "unsupported", "timeout")

    def give_up(self, completed: sandbox.Completed) -> None:
        """Record that even alone this program's batch did not come to its end."""
        self.status = "timeout" if completed.killed_by in ("wall", "cpu") else "broken"
        told = completed.stderr.decode(errors="replace").strip()[-300:]
        ended = f"limit: {completed.killed_by}" if completed.killed_by else f"status {completed.rc}"
        self.detail = self.detail or f"the sandbox ended before it was done ({ended}) {told}".strip()

    def result(self, toolchain: str) -> Execution:
        if self.execution is not None:
            return self.execution
        if self.status != "ran":
            return Execution(self.status, self.detail, (), toolchain)
        runs = tuple(tuple(cast(list[Outcome], run)) for run in self.outcomes)
        return Execution("ran", "", runs, toolchain)


_STATUS: dict[str, OutcomeStatus] = {
    "v": "value",
    "e": "exception",
    "u": "unrepresentable",
    "m": "memory",
    "t": "timeout",
    "c": "crash",
}


def trip(
    jobs: Sequence[_Job], tools: Toolchain, runs: int, limits: ExecutionLimits
) -> tuple[list[_Record], sandbox.Completed]:
    """Take one batch into the sandbox once, and read what came out of it."""
    programs = [program for program, _ in jobs]
    wholes = whole_driver(tools.language) if programs[0].is_whole else None
    plan = driver(tools.language).job(programs, tools) if wholes is None else wholes.whole_job(programs, tools)
    records = [_Record(len(cases), runs) for _, cases in jobs]
    for k, reason in plan.refused.items():
        records[k].status, records[k].detail = "unsupported", reason
    left = [k for k in range(len(jobs)) if k not in plan.refused]
    settings = {
        "programs": left,
        "entries": {k: programs[k].entry for k in left},
        "types": {k: _types(programs[k], plan.types.get(k)) for k in left},
        "runs": runs,
        "case_s": limits.case_s + (_WHOLE_START_S if plan.whole else 0),
        "load_s": limits.load_s,
        "hangs": limits.hangs,
        "result_bytes": limits.result_bytes,
        "build": list(plan.build),
        "build_s": _BUILD_S,
        "worker": list(plan.worker),
        "alone": plan.alone,
        "whole": plan.whole,
        "warm": list(plan.warm),
        "calm": sorted(plan.calm),
        "environment": dict(plan.environment),
    }
    files = {f"cases/{k}": "".join(f"{wire}\n" for wire in jobs[k][1]).encode() for k in left}
    files |= plan.files
    files["settings.json"] = json.dumps(settings).encode()
    files["supervisor.py"] = _SUPERVISOR.read_bytes()
    python, binds = interpreter()
    # Time for the build, and for every program to hang as often as it may, on a machine too busy to let it run.
    hanging_s = limits.load_s + (limits.hangs + 1) * limits.case_s
    wall_s = 60 + (_BUILD_S if plan.build else 0) + len(left) * _PATIENCE * hanging_s
    if plan.whole:
        wall_s += sum(len(jobs[k][1]) for k in left) * runs * _WHOLE_START_S
    completed = sandbox.run(
        [python, "-I", "-S", "-B", "/job/supervisor.py"],
        files=files,
        limits=sandbox.Limits(
            wall_s=wall_s,
            cpu_s=2 * wall_s,
            memory_bytes=limits.memory_bytes,
            scratch_bytes=limits.memory_bytes // 2,
            output_bytes=64 << 20,
        ),
        binds=sorted({*binds, *tools.binds}),
    )
    _read(completed.stdout.decode("ascii", "replace"), records)
    return records, completed


def _types(program: Program, known: Sequence[str] | None) -> str:
    """Return the types of parameters and result as the supervisor's task files carry them."""
    takes = known if known is not None else tuple(map(str, program.parameters or ()))
    return f"{';'.join(takes) or '-'}>{program.returns or '-'}"


_SUPERVISOR = Path(__file__).parent / "drivers" / "supervisor.py"


def _read(told: str, records: Sequence[_Record]) -> None:
    """Enter the supervisor's lines; the last one counts only where it is complete."""
    for line in told.split("\n")[:-1]:
        kind, *fields = line.split(" ")
        if kind in ("X", "U"):
            record = records[int(fields[0])]
            record.status, record.detail = ("broken" if kind == "X" else "unsupported"), _text(fields[1])
        elif kind == "H":
            record = records[int(fields[0])]
            record.status, record.detail = "timeout", "its calls run out of time"
        elif kind == "R":
            run, k, c = (int(field) for field in fields[:3])
            records[k].outcomes[run][c] = _outcome(fields[3], fields[4] if len(fields) > 4 else "")
        elif kind == "F":
            for record in records:
                record.detail = record.detail or _text(fields[0])
        elif kind == "Z":
            for record in records:
                record.done = all(outcome is not None for run in record.outcomes for outcome in run)


def _outcome(letter: str, data: str) -> Outcome:
    if letter != "v":
        return Outcome(_STATUS[letter], None, _text(data))
    try:
        return Outcome("value", decode(data))
    except NotAValue as error:
        return Outcome("unrepresentable", None, str(error))


def _text(hexadecimal: str) -> str:
    return bytes.fromhex(hexadecimal).decode("utf-8", "replace")
