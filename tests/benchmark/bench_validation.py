"""What validating a program costs: batches with warm workers beside a cold process a program, in every language.

    python -m tests.benchmark.bench_validation --pairs FILE.jsonl [FILE.jsonl ...] [--programs 150] [--cold 20]

FILEs are what `polymix validate` reads; their distinct programs are run on ten cases of the first shape that their
signature admits, once, compiled inside the sandbox. CPU seconds are those of the sandbox's cgroup, so of every process
in it; `build` and `calls` are the share of the compiler and of the workers. The cold figure is of a sample of the same
programs, a trip into the sandbox each, and counts the compiler's and the worker's processes alone, not the sandbox's or
the supervisor's: less than what a cold process costs in truth. `same` is how many of the sample came out the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parallel_mining.cases import cases, shapes
from parallel_mining.drivers import Toolchain, available, driver
from parallel_mining.execute import ExecutionLimits, trip
from parallel_mining.pairs import Program
from parallel_mining.units import infer
from parallel_mining.values import encode
from quality.languages import LANGUAGES
from quality.mistakes import BadInput
from tests.benchmark.measure import report

CASES, SEED = 10, 17
Job = tuple[Program, list[str]]


def programs(files: Sequence[Path], most: int) -> dict[str, list[Job]]:
    """Return the distinct programs of pairs with their cases as the sandbox takes them, by language."""
    found: dict[str, dict[Program, list[str]]] = {name: {} for name in LANGUAGES}
    for file in files:
        for line in file.read_text().splitlines():
            pair = json.loads(line)
            for side in (pair["left"], pair["right"]):
                own = found[side["language"]]
                if len(own) == most:
                    continue
                try:
                    program, signature, _ = infer(side["language"], side["code"], side["entry"])
                except BadInput:
                    continue
                admitted = shapes(signature, signature)
                if admitted:
                    own[program] = [encode(list(case)) for case in cases(admitted[0], CASES, SEED)]
    return {name: list(own.items()) for name, own in found.items() if own}


def taken(jobs: Sequence[Job], tools: Toolchain, limits: ExecutionLimits) -> tuple[list[Any], float, float, float]:
    """Run one batch; return what came of each program, and CPU seconds: all, the compiler's, the workers'."""
    records, completed = trip(jobs, tools, 1, limits)
    shares = [
        line.split(" ")[1:] for line in completed.stdout.decode("ascii", "replace").splitlines() if line[:2] == "C "
    ]
    build, calls = map(float, shares[0]) if shares else (0.0, 0.0)
    return [record.result(tools.version) for record in records], completed.cpu_s, build, calls


def measured(name: str, jobs: Sequence[Job], cold: int) -> dict[str, Any]:
    """Return a language's row."""
    tools = available(name)
    if not isinstance(tools, Toolchain):
        raise SystemExit(f"{name}: {tools.reason}; {tools.install}")
    limits, size = ExecutionLimits(), driver(name).BATCH
    driver(name).job([jobs[0][0]], tools)  # harnesses are compiled once a process
    found: list[Any] = []
    spent = [0.0, 0.0, 0.0]
    for start in range(0, len(jobs), size):
        results, *cpu = taken(jobs[start : start + size], tools, limits)
        found += results
        spent = [one + more for one, more in zip(spent, cpu, strict=True)]
    step = max(1, len(jobs) // cold)
    alone = [(number, taken([jobs[number]], tools, limits)) for number in range(0, len(jobs), step)][:cold]
    cold_s = sum(build + calls for _, (_, _, build, calls) in alone) / len(alone)
    number = len(jobs)
    return {
        "language": name,
        "programs": number,
        "batch": size,
        "ran": sum(one.status == "ran" for one in found),
        "cpu_ms": 1e3 * spent[0] / number,
        "build_ms": 1e3 * spent[1] / number,
        "calls_ms": 1e3 * spent[2] / number,
        "cold_ms": 1e3 * cold_s,
        "cold / batched": cold_s / (spent[0] / number),
        "same": f"{sum(repr(found[at].runs) == repr(results[0].runs) for at, (results, *_) in alone)} of {len(alone)}",
        "toolchain": tools.version,
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--programs", type=int, default=150, help="of a language")
    parser.add_argument("--cold", type=int, default=20, help="programs of a language that are run cold")
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES), choices=list(LANGUAGES))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = programs(given.pairs, given.programs)
    rows: list[dict[str, Any]] = []
    for name in given.languages:
        rows.append(measured(name, found[name], given.cold))
        print(rows[-1], file=sys.stderr)
    mean = sum(row["cpu_ms"] for row in rows) / len(rows)
    report("validation, a program", rows, given.out)
    report("an equal share of the languages", [{"languages": len(rows), "cpu_ms": mean}], given.out)


if __name__ == "__main__":
    main()
