"""What programs returned on the cases that they were asked about, so that nothing is run twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from parallel_mining.domains import Case
from parallel_mining.execute import Execution, ExecutionLimits, Outcome, execute
from parallel_mining.pairs import Program


class Book:
    """What every program returned on every case asked so far. Ask for any number of cases, then run them together."""

    def __init__(self) -> None:
        self.executions: dict[Program, Execution] = {}
        self._asked: dict[Program, dict[str, Case]] = {}
        self._known: dict[tuple[Program, str], tuple[Outcome, ...]] = {}

    @property
    def waiting(self) -> int:
        """The number of programs that have been asked something since the last run."""
        return len(self._asked)

    def ask(self, program: Program, wanted: Iterable[Case]) -> None:
        """Note cases that a program shall be run on."""
        pending = self._asked.setdefault(program, {})
        for case in wanted:
            pending.setdefault(repr(case), case)

    def run(
        self,
        runs: int,
        limits: ExecutionLimits | None = None,
        progress: Callable[[int], object] | None = None,
        *,
        aside: bool = False,
    ) -> None:
        """Run what was asked and is not known yet, except of programs that do not run at all.

        Args:
            runs: How often.
            limits: How much a program may use.
            progress: Called with the number of programs done since the last call.
            aside: That a program comes to no end on these cases says nothing against what it came to before.
        """
        todo: list[tuple[Program, list[str], list[Case]]] = []
        for program, wanted in self._asked.items():
            new = {k: c for k, c in wanted.items() if len(self._known.get((program, k), ())) < runs}
            if new and self.status(program) in ("", "ran", "timeout"):
                todo.append((program, list(new), list(new.values())))
            elif progress is not None:
                progress(1)
        self._asked = {}
        found = execute([(p, c) for p, _, c in todo], runs=runs, limits=limits, progress=progress)
        for (program, keys, _), execution in zip(todo, found, strict=True):
            if not (aside and execution.status == "timeout" and program in self.executions):
                self.executions[program] = execution
            for i, key in enumerate(keys):
                outcomes = tuple(run[i] for run in execution.runs)
                if outcomes:
                    self._known[program, key] = outcomes

    def status(self, program: Program) -> str:
        """Return what the last run of a program came to, or "" before the first."""
        execution = self.executions.get(program)
        return execution.status if execution is not None else ""

    def of(self, program: Program, case: Case) -> tuple[Outcome, ...]:
        """Return what a program came to on a case, a run each; nothing where it is not known."""
        return self._known.get((program, repr(case)), ())
