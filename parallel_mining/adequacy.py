"""Are the cases that two sides agree on enough to tell them from programs with small mistakes?

Start at `Trial`: one side, its mutants (`parallel_mining.mutants`) and the cases on which it agreed with the other. A
mutant is killed where some case shows it; the cases are adequate where they kill most changes and reach most branches.
A mutant counts for nothing that does not compile; that only inputs outside the pair's domain show (which the sides do
differently on, or which are strange: other types, more or fewer arguments); or that changes what no case reaches: of
the function itself that is the branches' business, and helpers serve others too. Nor does one that turns `<` into `<=`
and the like and that even the further cases do not show, since most such are the same program in other words (a largest
item, a clamp). Others of the kind are why not all must be killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from parallel_mining import values
from parallel_mining.book import Book
from parallel_mining.domains import Case
from parallel_mining.execute import Outcome
from parallel_mining.mutants import REACHED, Mutant, mutants
from parallel_mining.pairs import Program
from parallel_mining.units import syntax

FIRST_CASES = 24
"""Cases that every mutant is tried on; those that live are tried on all."""


def line(outcome: Outcome) -> str:
    """Return an outcome in the words in which two are the same, or not."""
    return f"{outcome.status} {values.digest(outcome.value)}" if outcome.value is not None else outcome.status


@dataclass
class Trial:
    """One side on trial.

    Args:
        program: It.
        cases: On which it agreed with the other.
        outside: Cases outside the domain.
        alive: Its mutants that no case has shown so far.
        killed: Those that one has.
        same: Those taken for the same program in other words.
    """

    program: Program
    cases: Sequence[Case]
    outside: Sequence[Case]
    alive: list[Mutant]
    killed: list[Mutant] = field(default_factory=list[Mutant])
    same: list[Mutant] = field(default_factory=list[Mutant])

    @classmethod
    def of(cls, program: Program, cases: Sequence[Case], outside: Sequence[Case], most: int, seed: int) -> Trial:
        """Return a trial with mutants of a program: at most so many changes, and as many blocks."""
        wording = syntax(program.language).WORDING
        return cls(program, cases, outside, list(mutants(program, wording, most=most, seed=seed)))

    def ask(self, book: Book, *, first: bool = False) -> None:
        """Ask what the living mutants make of all cases, or of a few that gave different results first."""
        wanted = self._telling(book) if first else self.cases
        for mutant in self.alive:
            book.ask(mutant.program, wanted)

    def _telling(self, book: Book) -> list[Case]:
        by_result: dict[str, list[Case]] = {}
        for case in self.cases:
            by_result.setdefault(line(book.of(self.program, case)[0]), []).append(case)
        turns = sorted(
            (i, n, case) for n, like in enumerate(by_result.values()) for i, case in enumerate(like[:FIRST_CASES])
        )
        return [case for _, _, case in turns[:FIRST_CASES]]

    def hear(self, book: Book) -> None:
        """Take note of what has been run since."""
        left: list[Mutant] = []
        for mutant in self.alive:
            status = book.status(mutant.program)
            if self._kills(book, mutant.program):
                self.killed.append(mutant)
            elif status in ("", "ran"):
                left.append(mutant)
        self.alive = left

    def ask_why(self, book: Book, outside: Sequence[Case]) -> None:
        """Ask why the living mutants live: whether cases reach them, and whether anything outside the domain does."""
        self.outside = [*self.outside, *outside]
        for mutant in self.alive:
            book.ask(mutant.program, self.outside)
            if mutant.reach is not None:
                book.ask(mutant.reach, self.cases)
        if self.alive:
            book.ask(self.program, self.outside)

    def forget(self, book: Book) -> None:
        """Forget the living mutants that say nothing about the cases."""
        self.alive = [
            mutant
            for mutant in self.alive
            if not self._shows(book, mutant.program, self.outside)
            and (mutant.reach is None or self._kills(book, mutant.reach))
        ]

    def _kills(self, book: Book, mutant: Program) -> bool:
        status = book.status(mutant)
        return status == "timeout" or (status == "ran" and self._shows(book, mutant, self.cases))

    def _shows(self, book: Book, mutant: Program, cases: Sequence[Case]) -> bool:
        for case in cases:
            was, now = book.of(self.program, case)[:1], book.of(mutant, case)[:1]
            if was and now and (line(was[0]) != line(now[0]) or REACHED in now[0].detail):
                return True
        return False

    def shares(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return how many changes were killed, of how many, and how many branches were reached, of how many."""
        killed = sum(mutant.kind != "block" for mutant in self.killed)
        changes = killed + sum(mutant.kind != "block" for mutant in self.alive)
        every = len(self.killed) + len(self.alive)
        return (killed, changes), (len(self.killed) - killed, every - changes)

    def settle(self) -> None:
        """Take boundaries that are left for the same program in other words; they stay in `describe`."""
        self.same = [mutant for mutant in self.alive if mutant.kind == "boundary"]
        self.alive = [mutant for mutant in self.alive if mutant.kind != "boundary"]

    def lacking(self, least_killed: float, least_reached: float) -> str:
        """Return why the cases are not adequate, or ""."""
        (killed, changes), (reached, blocks) = self.shares()
        if _too_few(reached, blocks, least_reached):
            return f"coverage: {reached} of {blocks} branches reached{self._told(block=True)}"
        # A mutant or two of helpers, which mostly turn one type into another, tell nothing.
        telling = changes > 2 or any(m.own for m in (*self.alive, *self.killed) if m.kind != "block")
        if telling and _too_few(killed, changes, least_killed):
            return f"mutants: {killed} of {changes} killed{self._told(block=False)}"
        return ""

    def _told(self, *, block: bool) -> str:
        left = next((mutant for mutant in self.alive if (mutant.kind == "block") == block), None)
        if left is None:
            return ""
        return f"; not line {left.line}" if block else f"; not {left}"

    def describe(self) -> dict[str, Any]:
        """Return what was found, as it stands in evidence."""
        (killed, changes), (reached, blocks) = self.shares()
        return {
            "mutants": changes,
            "mutants_killed": killed,
            "mutants_alive": [str(mutant) for mutant in self.alive if mutant.kind != "block"],
            "boundaries_alive": [str(mutant) for mutant in self.same],
            "branches": blocks,
            "branches_reached": reached,
            "branches_missed": sorted({mutant.line for mutant in self.alive if mutant.kind == "block"}),
        }


def _too_few(found: int, of: int, least: float) -> bool:
    """Say whether too few were found; one may be missing of any number, for it may be the same program."""
    return found < least * of and not (found and of - found == 1)
