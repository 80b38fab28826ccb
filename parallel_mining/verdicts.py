"""Do two programs do the same? Runs both on the same inputs and says so, with the evidence.

Start at `judge`, which takes any number of pairs at once because running is cheap in batches only. It looks in four
rounds, each for what the one before left open: a few tame inputs, from which the types of undeclared arguments are
inferred, of each side alone; inputs of the whole typed domain and of those parts of it that the programs' own words
and examples state (`parallel_mining.domains`); for what agreed, those and fresh inputs, several times over; and, for
what still agrees, whether those inputs tell each side from its mutants (`parallel_mining.adequacy`), or others do.

What always holds: equivalence is said of a recorded domain; every compared case in it agreed; enough cases gave values,
and different ones; they kill most mutants of each side and reach most of its branches; results were the same in every
run. The domain is the widest of a short list that is known before any results are compared (the types; the ASCII part
where the sides count text in other units; whole numbers where nothing declares them and nothing speaks of fractions;
what documentation states), less the inputs on which the left side raises or does not come to an end. It is never
narrowed because the sides disagree.

How one case is decided, by what each side did:

    left             right            the case
    value            value            agrees or differs by `values.compare`, within the tolerance
    raises           raises           agrees; it is no evidence of its own
    value            raises           differs, unless the right reports that an integer left its width
    raises           value            outside the domain (source `pivot raises`)
    no end, memory   anything         outside the domain (source `pivot does not terminate`)
    value            no end, memory   lost; too many are a `timeout`
    no argument of the declared type, or no canonical result, on a side: not compared
    a whole program prints an integer beyond 32 bits: not compared
    a left null where the left declares a result that is none: outside the domain (source `types`)
    an integer that the other side's declared width, or its binary64, cannot hold, alone or in a list: not compared
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from parallel_mining import stdin, values
from parallel_mining.adequacy import Trial, line
from parallel_mining.book import Book
from parallel_mining.cases import (
    DEEP,
    NESTED,
    Shape,
    cases,
    is_open,
    letters,
    of_one_kind,
    probes,
    shapes,
    spelled,
    strange,
)
from parallel_mining.domains import (
    Case,
    Restriction,
    ascii_text,
    between,
    comments,
    documented,
    examples,
    learned,
    repaired,
    where,
    whole,
    within,
)
from parallel_mining.execute import ExecutionLimits, Outcome
from parallel_mining.pairs import STDIN, Program, Verdict
from parallel_mining.signatures import Signature
from parallel_mining.types import Type
from parallel_mining.units import literals_of
from quality.artifacts import canonical_json
from quality.languages import language


class VerdictSettings(BaseModel):
    """How much evidence a verdict needs.

    Args:
        cases: Inputs that each domain is tried on.
        searched_cases: Inputs among which those are looked for that the left side makes something of, where few are.
        fresh_cases: Further inputs on which what agreed is tried again.
        more_cases: Further ones where those do not tell a side from all its mutants.
        runs: How often those are run on each side.
        min_cases: Compared cases without which nothing is said.
        min_distinct: Distinct results without which nothing is said.
        value_share: Share of the compared cases in which both sides must give a value (and not raise).
        mutants: Changes, and branches, of each side that the cases are tried on.
        mutants_killed: Share of the changes that the cases must tell from the side.
        branches_reached: Share of the branches of each side that the cases must reach.
        tolerance: The widest of `parallel_mining.values.TOLERANCES` that counts as agreement.
        binary32_tolerance: The same where a side is declared to compute in binary32, if it is wider.
        seed: Of the inputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cases: int = Field(default=72, ge=8, le=1000)
    searched_cases: int = Field(default=1000, ge=0, le=10_000)
    fresh_cases: int = Field(default=216, ge=0, le=1000)
    more_cases: int = Field(default=500, ge=0, le=10_000)
    runs: int = Field(default=3, ge=1, le=20)
    min_cases: int = Field(default=8, ge=1)
    min_distinct: int = Field(default=3, ge=1)
    value_share: float = Field(default=0.25, ge=0.0, le=1.0)
    mutants: int = Field(default=12, ge=0, le=1000)
    mutants_killed: float = Field(default=0.7, ge=0.0, le=1.0)
    branches_reached: float = Field(default=0.7, ge=0.0, le=1.0)
    tolerance: Literal["exact", "line-ends", "numeric", "1e-9", "1e-5"] = "1e-9"
    binary32_tolerance: Literal["exact", "line-ends", "numeric", "1e-9", "1e-5"] = "1e-5"
    seed: int = 17


@dataclass(frozen=True)
class Question:
    """A pair to be judged.

    Args:
        left: One program.
        right: The other.
        left_signature: What it takes.
        right_signature: What it takes.
        literals: Numbers and strings that stand in either.
    """

    left: Program
    right: Program
    left_signature: Signature
    right_signature: Signature
    literals: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What was found.

    Args:
        verdict: The verdict.
        reason: Why, in a few words; the part before the colon is from a small fixed set.
        cases: Inputs compared.
        agreed: How many of them agreed.
        tolerance: The widest tolerance that was needed; "" where nothing was compared.
        domain: The inputs that the agreement holds on: `parameters` (types), `level` (`full` or `restricted`), and
            `restrictions` (`parameter`, `what`, `source`), a row a shape of arguments.
        evidence: Inputs, output hashes, seeds, toolchains; enough to run it again.
    """

    verdict: Verdict
    reason: str = ""
    cases: int = 0
    agreed: int = 0
    tolerance: str = ""
    domain: tuple[dict[str, Any], ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class _Scored:
    """How two sides compare on one list of cases."""

    compared: int = 0
    agreed: int = 0
    valued: int = 0
    distinct: int = 0
    tolerance: str = "exact"
    different: str = ""
    hung: bool = False
    vacuous: str = ""
    rarer: int = 0  # of two results that are all there are: how often the rarer one came
    agreeing: tuple[Case, ...] = ()  # on which both sides did the same
    values: tuple[Case, ...] = ()  # on which the left side gave a value
    raised: tuple[Case, ...] = ()  # on which only the left side raised
    errors: tuple[str, ...] = ()  # what it raised
    endless: bool = False  # on some case the left side came to no end
    undeclared: bool = False  # on some case the left side gave no value of its declared type
    outgrown: bool = False  # on some case an integer left its width

    def various(self, settings: VerdictSettings) -> bool:
        """Say whether the results differ enough; one of two answers must come as often as there are others else."""
        return self.distinct >= settings.min_distinct or self.rarer >= settings.min_distinct

    def passes(self, settings: VerdictSettings) -> bool:
        return self.compared == self.agreed and not self.lacking(settings)

    def lacking(self, settings: VerdictSettings) -> str:
        """Return why the cases say too little for agreement on them to count, or ""."""
        if self.hung:
            return "timeout"
        if self.vacuous:
            return self.vacuous
        if self.compared < settings.min_cases or self.valued < settings.value_share * self.compared:
            return f"inputs: both sides give a value on {self.valued} of {self.compared} compared cases"
        if self.valued < settings.min_cases:
            return f"inputs: both sides give a value on {self.valued} cases only"
        return "" if self.various(settings) else f"results: {self.distinct} distinct in {self.compared} cases"


@dataclass(frozen=True)
class _Domain:
    """Arguments of a shape, or a part of them."""

    shape: Shape
    restrictions: tuple[Restriction, ...] = ()

    def describe(self, scored: _Scored) -> dict[str, Any]:
        """Return the domain as it stands in a pair, with what the left side did on it."""
        found = [r.describe() for r in self.restrictions]
        found += [r.describe() for r in learned(scored.values, scored.raised, scored.errors)]
        for told, what, source in (
            (scored.endless, "where the left side comes to an end in time", "pivot does not terminate"),
            (scored.undeclared, "where the left side gives a result of its declared type", "types"),
        ):
            if told:
                found.append({"parameter": None, "what": what, "source": source})
        return {
            "parameters": [str(t) for t in self.shape],
            "level": "restricted" if found else "full",
            "restrictions": found,
        }


class _Run(Protocol):
    """Runs what was asked, if anything was, with a progress bar."""

    def __call__(
        self, name: str, runs: int, allowed: ExecutionLimits | None = None, *, aside: bool = False
    ) -> None: ...


@dataclass
class _State:
    """A question on its way through the rounds."""

    question: Question
    examples: tuple[Case, ...]
    shapes: list[Shape]
    open: list[_Domain] = field(default_factory=list[_Domain])
    bound: tuple[Restriction, ...] = ()
    seeds: tuple[Case, ...] = ()
    chosen: list[_Domain] = field(default_factory=list[_Domain])
    more: bool = False
    agreed: list[Case] = field(default_factory=list[Case])
    outside: list[Case] = field(default_factory=list[Case])
    verdict: Judgement | None = None


def judge(
    questions: Sequence[Question],
    settings: VerdictSettings | None = None,
    *,
    limits: ExecutionLimits | None = None,
    progress: Callable[[str, int], Callable[[int], object]] | None = None,
) -> list[Judgement]:
    """Judge pairs of programs by running them.

    Args:
        questions: The pairs; a program that stands in several is compiled once a round.
        settings: How much evidence is needed.
        limits: How much a program may use.
        progress: Called at the start of each round with what is done and the number of programs; returns what is called
            with the number finished since.

    Returns:
        A judgement a question, in order.
    """
    settings = settings or VerdictSettings()
    book = Book()
    states = [_state(question) for question in questions]

    def run(name: str, runs: int, allowed: ExecutionLimits | None = limits, *, aside: bool = False) -> None:
        if book.waiting:
            book.run(runs, allowed, progress(name, book.waiting) if progress is not None else None, aside=aside)

    for state in states:
        if not state.shapes:
            state.verdict = Judgement("insufficient", "signature: no arguments that both sides take")
            continue
        for shape in state.shapes:
            _ask(book, state.question, _probes(state, shape, settings))
            if shape != spelled(shape) in state.shapes:
                book.ask(state.question.left, [letters(case) for case in _probes(state, shape, settings)])
    run("trying inputs", 1)
    for state in _undecided(states):
        if book.status(state.question.left) == "timeout":
            state.bound = _BOUNDS[-1]
            for shape in state.shapes:
                _ask(book, state.question, _probes(state, shape, settings))
    run("trying smaller numbers", 1)
    for state in _undecided(states):
        state.verdict = _unable(book, state.question)
        if state.verdict is None:
            _infer(book, state, settings)
    # A left side that comes to no end on large numbers is asked again about small ones.
    for stage, bound in enumerate(((), *_BOUNDS)):
        for state in _undecided(states):
            if stage and book.status(state.question.left) != "timeout":
                continue
            state.bound = bound
            for domain in state.open:
                _ask(book, state.question, _cases(state, domain, settings, settings.seed))
        run("comparing on smaller numbers" if stage else "comparing", 1)
    for state in _undecided(states):
        state.verdict = _unable(book, state.question)
    _search(book, _undecided(states), settings, run)
    run("comparing on what the left side takes", 1)
    for state in _undecided(states):
        state.verdict = _unable(book, state.question)
        if state.verdict is None:
            _choose(book, state, settings)
    for state in _undecided(states):
        for domain in state.chosen:
            _ask(book, state.question, _final_cases(state, domain, settings))
    run("confirming", settings.runs)
    for state in _undecided(states):
        state.verdict = _unable(book, state.question) or _final(book, state, settings)
    _try(book, states, settings, limits or ExecutionLimits(), run)
    return [state.verdict or Judgement("insufficient", "nothing was compared") for state in states]


# Inputs of one seed that whole programs are run on at most: each is a process.
_WHOLE_CASES = 200
# Inputs that others are made of where the left side takes few.
_SEEDS = 16
_BOUNDS = tuple((between(low, high, "pivot does not terminate"),) for low, high in ((0, 30), (1, 12), (2, 6)))


def _state(question: Question) -> _State:
    left, right = question.left, question.right
    shown = {repr(case): case for side in (left, right) for case in _shown(side)}
    given = tuple(shown.values())
    return _State(question, given, shapes(question.left_signature, question.right_signature, given))


def _shown(side: Program) -> tuple[Case, ...]:
    return stdin.examples(side.code) if side.is_whole else examples(side.code, side.entry)


def _undecided(states: Iterable[_State]) -> list[_State]:
    return [state for state in states if state.verdict is None]


def _ask(book: Book, question: Question, wanted: Sequence[Case]) -> None:
    book.ask(question.left, wanted)
    book.ask(question.right, wanted)


def _probes(state: _State, shape: Shape, settings: VerdictSettings) -> list[Case]:
    rng = random.Random(settings.seed)
    return [repaired(case, state.bound, rng) for case in probes(shape, settings.seed)]


def _cases(
    state: _State,
    domain: _Domain,
    settings: VerdictSettings,
    seed: int,
    count: int | None = None,
    *,
    far: bool = False,
) -> list[Case]:
    count = settings.cases if count is None else count
    return cases(
        domain.shape,
        min(count, _WHOLE_CASES) if domain.shape == (STDIN,) else count,
        seed,
        state.question.literals,
        examples=state.examples,
        seeds=state.seeds,
        restrictions=(*domain.restrictions, *state.bound),
        far=far,
    )


def _final_cases(state: _State, domain: _Domain, settings: VerdictSettings) -> list[Case]:
    drawn = _cases(state, domain, settings, settings.seed)
    drawn += _cases(state, domain, settings, settings.seed + 1, settings.fresh_cases)
    if state.more:
        drawn += _cases(state, domain, settings, settings.seed + 2, settings.more_cases, far=True)
    return list({repr(case): case for case in drawn}.values())


def _try(
    book: Book,
    states: Sequence[_State],
    settings: VerdictSettings,
    limits: ExecutionLimits,
    run: _Run,
) -> None:
    """Ask of what was proved whether its cases would have shown small mistakes; where they would not, try others."""
    # A change that makes a loop endless is found out by one call.
    hasty = replace(limits, hangs=0, case_s=limits.case_s / 2)
    # Of strange inputs many may, which says nothing about the others.
    patient = replace(hasty, hangs=16)
    trials: list[tuple[_State, tuple[Trial, Trial]]] = []
    for state in states if settings.mutants else ():
        if state.verdict is not None and state.verdict.verdict == "equivalent":
            sides = (state.question.left, state.question.right)
            cases = (state.agreed, state.outside)
            left, right = (Trial.of(side, *cases, settings.mutants, settings.seed) for side in sides)
            trials.append((state, (left, right)))

    def each(name: str, *, first: bool = False) -> None:
        for _, sides in trials:
            for trial in sides:
                trial.ask(book, first=first)
        run(name, 1, hasty)
        for _, sides in trials:
            for trial in sides:
                trial.hear(book)

    each("trying mutants", first=True)
    each("trying the mutants that are left")
    for state, sides in trials:
        odd = strange(state.agreed, _arities(state.question), settings.cases, settings.seed)
        for domain in state.chosen:
            odd += _outside(state, domain, settings)
        for trial in sides:
            trial.ask_why(book, odd)
    run("asking why they live", 1, patient, aside=True)
    for state, sides in trials:
        for trial in sides:
            trial.forget(book)
        state.more = any(trial.alive for trial in sides)
        for domain in state.chosen if state.more else ():
            _ask(book, state.question, _final_cases(state, domain, settings))
    # A side that comes to no end on some of these has come to one on those before.
    run("comparing on more", settings.runs, limits, aside=True)
    for state, sides in trials:
        if state.more:
            state.verdict = _unable(book, state.question) or _final(book, state, settings)
            for trial in sides:
                trial.cases, trial.outside = state.agreed, state.outside
    trials = [(state, sides) for state, sides in trials if state.verdict and state.verdict.verdict == "equivalent"]
    each("trying the last mutants")
    for _, sides in trials:
        for trial in sides:
            trial.ask_why(book, ())
    run("asking why the last live", 1, patient, aside=True)
    for state, sides in trials:
        for trial in sides:
            trial.forget(book)
            trial.settle()
        state.verdict = state.verdict and _tried(state.verdict, sides, settings)


def _outside(state: _State, domain: _Domain, settings: VerdictSettings) -> list[Case]:
    """Return arguments of a domain's types that lie outside it."""
    inside = (*domain.restrictions, *state.bound)
    drawn = cases(domain.shape, settings.cases, settings.seed, state.question.literals) if inside else []
    return [case for case in drawn if not within(case, inside)]


def _arities(question: Question) -> range:
    """Return the numbers of arguments that a side may be given."""
    sides = (question.left_signature.parameters, question.right_signature.parameters)
    least = min(sum(not parameter.optional for parameter in side) for side in sides)
    return range(least, max(map(len, sides)) + 1)


def _tried(verdict: Judgement, sides: tuple[Trial, Trial], settings: VerdictSettings) -> Judgement:
    named = dict(zip(("left", "right"), sides, strict=True))
    for name, side in named.items():
        lacking = side.lacking(settings.mutants_killed, settings.branches_reached)
        if lacking:
            return Judgement("insufficient", f"{lacking} ({name} side)", verdict.cases, verdict.agreed)
    trials = {f"{name}_trial": side.describe() for name, side in named.items()}
    return replace(verdict, evidence=verdict.evidence | trials)


def _unable(book: Book, question: Question) -> Judgement | None:
    for side, program in (("left", question.left), ("right", question.right)):
        execution = book.executions.get(program)
        if execution is None or execution.status == "ran":
            continue
        detail = f"{side}: {execution.detail}".strip()
        if execution.status == "broken":
            return Judgement("broken", detail)
        return Judgement("timeout" if execution.status == "timeout" else "unsupported", detail)
    return None


def tolerance_of(question: Question, settings: VerdictSettings) -> str:
    """Return the tolerance asked for, wider where a side is declared to compute in binary32."""
    declared = [*(question.left.parameters or ()), *(question.right.parameters or ())]
    declared += [t for t in (question.left.returns, question.right.returns) if t is not None]
    narrow = any("float32" in str(t) for t in declared)
    order = values.TOLERANCES
    return max(settings.tolerance, settings.binary32_tolerance if narrow else "exact", key=order.index)


def _infer(book: Book, state: _State, settings: VerdictSettings) -> None:
    """Infer the types of undeclared arguments from what each side, alone, makes of tame ones; then list the domains."""
    question = state.question
    drawn = {shape: _probes(state, shape, settings) for shape in state.shapes}

    def takes(program: Program, shape: Shape) -> bool:
        asked = [o[0] for case in drawn[shape] if (o := book.of(program, case))]
        # What does not fit a declared width or length says nothing about the type.
        asked = [outcome for outcome in asked if outcome.status != "unrepresentable"]
        return 2 * sum(outcome.value is not None for outcome in asked) >= max(1, len(asked))

    def tells(shape: Shape) -> bool:
        found = [o[0].value for case in drawn[shape] if (o := book.of(question.left, case))]
        return len({values.digest(value) for value in found if value is not None}) > 1

    def echoes(shape: Shape) -> bool:
        asked = [(case, o[0].value) for case in drawn[shape] if (o := book.of(question.left, case))]
        return all(any(_is_echo(value, argument) for argument in case) for case, value in asked if value is not None)

    def reads_letters(shape: Shape) -> bool:
        if shape == spelled(shape) or spelled(shape) not in state.shapes:
            return False
        asked = [(book.of(question.left, case)[:1], book.of(question.left, letters(case))[:1]) for case in drawn[shape]]
        both = [(a[0].value, b[0].value) for a, b in asked if a and b]
        return bool(both) and all(a is not None and b is not None and _same_letters(a, b) for a, b in both)

    def says(shape: Shape) -> bool:
        asked = [[book.of(side, case) for case in drawn[shape]] for side in sides]
        return all(2 * sum(o[0].status != "unrepresentable" for o in own if o) >= len(own) for own in asked)

    sides = (question.left, question.right)
    # Where anything may stand, values of many kinds tell most; of one kind they are where a side can say no others.
    alike = {shape for mixed in state.shapes if says(mixed) for shape in of_one_kind(mixed)}
    taken = [shape for shape in state.shapes if shape not in alike and (says(shape) or not of_one_kind(shape))]
    if len(taken) > 1:
        taken = [s for s in taken if takes(question.left, s) and takes(question.right, s)]
        if not taken:
            state.verdict = Judgement("insufficient", "inputs: no arguments of the usual types that both sides take")
            return
        # All arguments that both sides take are given; of types, those that tell something, the likeliest first.
        most = max(map(len, taken))
        taken = [shape for shape in taken if len(shape) == most]
        worded = any(isinstance(literal, str) for literal in literals_of(question.left.code))
        taken.sort(key=lambda shape: _strangeness(shape, worded=worded))
        telling = [shape for shape in taken if tells(shape)]
        telling = [shape for shape in telling if not echoes(shape)] or telling
        chosen = telling[:1]
        if chosen and reads_letters(chosen[0]):
            # A text is but a sequence to it: what it makes of lists has to be the same, too.
            chosen += [shape for shape in telling if shape not in chosen and any(t.name == "list" for t in shape)][:1]
        if chosen and chosen[-1] == (NESTED,):
            chosen += [shape for shape in taken if shape == (DEEP,)]
        taken = chosen or taken[:4]
    for shape in taken:
        found = [o[0].value for case in drawn[shape] if (o := book.of(question.left, case))]
        whole_only = is_open(shape) and not any(
            isinstance(literal, float) and not literal.is_integer() for literal in question.literals
        )
        whole_only = whole_only and not any(_is_fractional(value) for value in found if value is not None)
        state.open += _domains(state, shape, whole_only=whole_only)


def _same_letters(of_text: values.Value, of_letters: values.Value) -> bool:
    """Say whether what was made of a text is what was made of the list of its letters, put together or not."""
    if of_text.kind == "str" and of_letters.kind == "list":
        parts = [item.data for item in of_letters.data if item.kind == "str"]
        return len(parts) == len(of_letters.data) and "".join(parts) == of_text.data
    return values.digest(of_text) == values.digest(of_letters)


def _strangeness(shape: Shape, *, worded: bool) -> int:
    """Return how unlikely a guess is; texts are likelier than lists where the left side has texts of its own."""
    order = ("str", "list[str]", "number", "list[number]") if worded else ("number", "list[number]", "str", "list[str]")
    ranks = {name: 1 << i for i, name in enumerate(order)}
    return sum(ranks.get(str(type_), 1 << len(order)) for type_ in shape)


def _is_fractional(value: values.Value) -> bool:
    """Say whether a value is, or holds, a number that is not whole."""
    if value.kind in ("list", "tuple", "set"):
        return any(map(_is_fractional, value.data))
    return value.kind in ("float", "number") and value.data % 1 != 0


def _domains(state: _State, shape: Shape, *, whole_only: bool) -> list[_Domain]:
    """Return what a shape is tried on, widest first: known before any results are compared.

    Args:
        state: The question.
        shape: The shape.
        whole_only: Nothing declares its numbers, and neither side's text nor what the left side makes of whole numbers
            has a fraction: their inferred type is int.
    """
    left, right = state.question.left, state.question.right
    units: tuple[Restriction, ...] = ()
    if _textual(shape) and language(left.language).text_unit != language(right.language).text_unit:
        units = (ascii_text(None, "types"),)
    said = f"{comments(left.code)}\n{comments(right.code)}"
    stated = documented(said, state.examples, shape)
    found = [_Domain(shape)]
    if shape == (STDIN,):
        return [*found, _Domain(shape, (stdin.plain_lines("types"),))]
    if units:
        found.append(_Domain(shape, units))
    if whole_only:
        found.append(_Domain(shape, (*units, *(whole(i, "types") for i, t in enumerate(shape) if is_open((t,))))))
    if stated:
        found.append(_Domain(shape, (*units, *stated)))
    return found


def _textual(shape: Sequence[Type]) -> bool:
    return any("str" in str(type_) or "char" in str(type_) for type_ in shape)


def _search(book: Book, states: Sequence[_State], settings: VerdictSettings, run: _Run) -> None:
    """Look for inputs that the left side makes something of, where those drawn so far agree but say too little."""
    poor = [state for state in states if _is_poor(book, state, settings)]
    searched = {id(state): _searched(state, settings) for state in poor}
    for state in poor:
        book.ask(state.question.left, searched[id(state)])
    run("searching for inputs that the left side takes", 1, aside=True)
    for state in poor:
        _seed(book, state, searched[id(state)])
        for domain in state.open if state.seeds else ():
            _ask(book, state.question, _cases(state, domain, settings, settings.seed))


def _is_poor(book: Book, state: _State, settings: VerdictSettings) -> bool:
    for domain in state.open:
        scored = _score(book, state.question, _cases(state, domain, settings, settings.seed), settings)
        if scored.agreed == scored.compared and scored.lacking(settings) and not scored.hung:
            return True
    return False


def _searched(state: _State, settings: VerdictSettings) -> list[Case]:
    widest = {domain.shape: domain for domain in reversed(state.open)}.values()
    drawn = [_cases(state, domain, settings, settings.seed + 3, settings.searched_cases) for domain in widest]
    return [case for cases_ in drawn for case in cases_]


def _seed(book: Book, state: _State, searched: Sequence[Case]) -> None:
    """Take inputs on which the left side gives a value as seeds, of every value some, and no argument unchanged."""
    found: dict[str, list[Case]] = {}
    for case in searched:
        for outcome in book.of(state.question.left, case)[:1]:
            if outcome.value is not None and not any(_is_echo(outcome.value, argument) for argument in case):
                found.setdefault(values.digest(outcome.value), []).append(case)
    rarest = sorted(found.values(), key=len)
    each = max(1, _SEEDS // max(1, len(rarest)))
    state.seeds = tuple([case for like in rarest for case in like[:each]][:_SEEDS])


def _is_echo(value: values.Value, argument: Any) -> bool:
    return values.compare(values.of(argument), value, "numeric").equal


def _choose(book: Book, state: _State, settings: VerdictSettings) -> None:
    """Choose, for each shape, the widest domain on which everything agreed; a shape with none decides."""
    failed: _Scored | None = None
    lacking = ""
    for shape in dict.fromkeys(domain.shape for domain in state.open):
        domains = [domain for domain in state.open if domain.shape == shape]
        pool = {repr(case): case for domain in domains for case in _cases(state, domain, settings, settings.seed)}
        scored = _Scored()
        for domain in domains:
            inside = [case for case in pool.values() if within(case, domain.restrictions)]
            scored = _score(book, state.question, inside, settings)
            if scored.passes(settings):
                state.chosen.append(domain)
                break
        else:
            if scored.agreed < scored.compared:
                failed = failed or scored
            lacking = lacking or scored.lacking(settings)
    if failed is not None:
        state.chosen = []
        state.verdict = Judgement("different", failed.different, failed.compared, failed.agreed)
    elif not state.chosen:
        if lacking == "timeout":
            state.verdict = Judgement("timeout", "cases: too many ran out of time")
        else:
            state.verdict = Judgement("insufficient", lacking or "inputs: nothing was compared")


def _final(book: Book, state: _State, settings: VerdictSettings) -> Judgement:
    question = state.question
    compared = agreed = 0
    needed = "exact"
    state.agreed, state.outside = [], []
    evidence: list[dict[str, Any]] = []
    domains: list[dict[str, Any]] = []
    for place, widest in enumerate(state.chosen):
        wanted = _final_cases(state, widest, settings)
        for side, program in (("left", question.left), ("right", question.right)):
            unstable = next((c for c in wanted if _unstable(book.of(program, c))), None)
            if unstable is not None:
                return Judgement("nondeterministic", f"{side}: results differ between runs on {_show(unstable)}")
        scored = _score(book, question, wanted, settings)
        if not scored.passes(settings):
            # What the first cases did not show may lie outside a narrower domain that was stated before.
            for narrower in _narrower(state, widest):
                inside = [case for case in wanted if within(case, narrower.restrictions)]
                again = _score(book, question, inside, settings)
                if again.passes(settings):
                    state.chosen[place], wanted, scored = narrower, inside, again
                    break
        domain = _Domain(widest.shape, (*state.chosen[place].restrictions, *state.bound))
        compared, agreed = compared + scored.compared, agreed + scored.agreed
        needed = max(needed, scored.tolerance, key=values.TOLERANCES.index)
        if not scored.passes(settings):
            if scored.hung:
                return Judgement("timeout", "cases: too many ran out of time", compared, agreed)
            if scored.agreed < scored.compared:
                return Judgement("different", scored.different, compared, agreed)
            return Judgement("insufficient", scored.lacking(settings), compared, agreed)
        state.agreed += scored.agreeing
        agreeing = set(map(repr, scored.agreeing))
        state.outside += [case for case in wanted if repr(case) not in agreeing]
        domains.append(domain.describe(scored))
        evidence.append(domains[-1] | _evidence(book, question, wanted) | {"outgrown": scored.outgrown})
    return Judgement(
        "equivalent",
        "all cases agree",
        compared,
        agreed,
        needed,
        tuple(domains),
        {
            "seed": settings.seed,
            "runs": settings.runs,
            "tolerance_allowed": tolerance_of(question, settings),
            "left_toolchain": book.executions[question.left].toolchain,
            "right_toolchain": book.executions[question.right].toolchain,
            "families": evidence,
        },
    )


def _narrower(state: _State, domain: _Domain) -> list[_Domain]:
    """Return the domains of a shape that come after one, wider ones first."""
    alike = [other for other in state.open if other.shape == domain.shape]
    return alike[alike.index(domain) + 1 :]


def _evidence(book: Book, question: Question, wanted: Sequence[Case]) -> dict[str, Any]:
    def outputs(program: Program) -> str:
        lines = [line(outcome) for case in wanted for outcome in book.of(program, case)[:1]]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    return {
        "inputs": [values.encode(list(case)) for case in wanted],
        "left_outputs_sha256": outputs(question.left),
        "right_outputs_sha256": outputs(question.right),
        "code_sha256": hashlib.sha256(canonical_json([question.left.code, question.right.code]).encode()).hexdigest(),
    }


def _unstable(outcomes: Sequence[Outcome]) -> bool:
    return len({line(outcome) for outcome in outcomes}) > 1


_OUTGREW = re.compile(r"(?<!stack )\boverflow", re.IGNORECASE)


def _score(book: Book, question: Question, wanted: Sequence[Case], settings: VerdictSettings) -> _Scored:
    allowed = tolerance_of(question, settings)
    compared = agreed = valued = lost = 0
    needed = "exact"
    differing: list[tuple[Case, str]] = []
    alike: list[Case] = []
    failing: list[Case] = []
    given: list[Case] = []
    raised: list[Case] = []
    errors: list[str] = []
    endless = undeclared = outgrown = False
    left_seen: Counter[str] = Counter()
    right_seen: Counter[str] = Counter()
    echoes: dict[int, int] = {}
    for case in wanted:
        left, right = book.of(question.left, case)[:1], book.of(question.right, case)[:1]
        if not left or not right or "unrepresentable" in (left[0].status, right[0].status):
            continue
        one, two = left[0], right[0]
        if one.status in ("timeout", "memory"):
            endless = True
            continue
        if one.value is not None and two.status in ("timeout", "memory"):
            lost += 1
            continue
        if one.value is None:
            if two.value is None:
                compared, agreed = compared + 1, agreed + 1
                failing.append(case)
            else:
                raised.append(case)
                errors.append(one.detail)
            continue
        given.append(case)
        if _is_undeclared(one.value, question.left.returns):
            undeclared = True
            continue
        if outgrew(one, two, question.left, question.right):
            outgrown = True
            continue
        compared += 1
        if two.value is None:
            differing.append((case, f"only the right side raises ({two.detail[:80]})"))
            continue
        valued += 1
        left_seen[values.digest(one.value)] += 1
        right_seen[values.digest(two.value)] += 1
        comparison = values.compare(one.value, two.value, allowed)
        if comparison.equal:
            agreed += 1
            alike.append(case)
            needed = max(needed, comparison.needed, key=values.TOLERANCES.index)
            for i, argument in enumerate(case):
                if _is_echo(one.value, argument):
                    echoes[i] = echoes.get(i, 0) + 1
        else:
            differing.append((case, comparison.reason))
    vacuous = ""
    if valued and len(left_seen) == 1 and len(right_seen) == 1:
        vacuous = "constant: every result is the same"
    elif any(valued - count < 3 for count in echoes.values()) and valued:
        vacuous = "echo: the result is an argument unchanged"
    return _Scored(
        compared,
        agreed,
        valued,
        min(len(left_seen), len(right_seen)),
        needed,
        _told(differing, alike),
        lost > 0.2 * (lost + compared),
        vacuous,
        min(*left_seen.values(), *right_seen.values()) if len(left_seen) == len(right_seen) == 2 else 0,
        (*alike, *failing),
        tuple(given),
        tuple(raised),
        tuple(errors),
        endless,
        undeclared,
        outgrown,
    )


def _told(differing: Sequence[tuple[Case, str]], alike: Sequence[Case]) -> str:
    """Return how two sides differ: the class, what the inputs have in common, and the first of them."""
    if not differing:
        return ""
    raises = sum(reason.startswith("only the right side raises") for _, reason in differing)
    kind = "results differ" if raises < len(differing) else "the right side raises"
    trait = where([case for case, _ in differing], alike)
    case, reason = differing[0]
    return f"result: {kind}{f', on {trait} only' if trait else ''}: {_show(case)}: {reason}"


def _is_undeclared(value: values.Value, declared: Type | None) -> bool:
    """Say whether a null is no value of a declared type."""
    return value.kind == "null" and declared is not None and declared.name not in ("null", "optional", "any")


def outgrew(one: Outcome, two: Outcome, left: Program, right: Program) -> bool:
    """Say whether one side's value lies beyond what the other can say; such a case says nothing about either.

    Args:
        one: What the left side came to; it gave a value.
        two: What the right side came to.
        left: The program that agreement is measured by.
        right: The other.
    """
    if two.value is None and _OUTGREW.search(two.detail) and "StackOverflow" not in two.detail:
        return True
    ours, theirs = one.value, two.value
    if _is_wide(ours) or _is_wide(theirs):
        return True
    if ours is not None and theirs is not None and (_inexact(ours, theirs) or _inexact(theirs, ours)):
        return True
    return _beyond(one.value, right.returns) or _beyond(two.value, left.returns)


def _beyond(value: values.Value | None, declared: Type | None) -> bool:
    """Say whether a value is, or holds, a number that a declared integer of fixed width cannot hold."""
    if value is None or declared is None:
        return False
    if declared.name == "optional":
        return _beyond(value, declared.of[0])
    if value.kind in ("list", "set", "tuple") and declared.of:
        of = declared.of if len(declared.of) == len(value.data) else declared.of[:1] * len(value.data)
        return any(map(_beyond, value.data, of))
    width = _WIDTHS.get(declared.name)
    # A side without whole numbers of its own may give one as a float.
    if value.kind not in ("int", "float", "number") or width is None or value.data != value.data:
        return False
    low, high = (0, 2**width) if declared.name.startswith("u") else (-(2 ** (width - 1)), 2 ** (width - 1))
    return not low <= value.data < high


def _inexact(value: values.Value, other: values.Value) -> bool:
    """Say whether a value is, or holds, an integer beyond those that a binary64 on the other side can tell apart."""
    if value.kind == "int":
        return other.kind in ("float", "number") and abs(value.data) > 2**53
    if value.kind in ("list", "tuple") and other.kind in ("list", "tuple"):
        return any(map(_inexact, value.data, other.data))
    return False


def _is_wide(value: values.Value | None) -> bool:
    """Say whether a whole program printed an integer beyond 32 bits: how wide its own are, nothing declares."""
    if value is None or value.width != "printed":
        return False
    return any(abs(int(digits)) >= 2**31 for digits in _LONG.findall(value.data))


_LONG = re.compile(r"(?<![\w.])-?\d{10,4000}(?![\w.])")
_WIDTHS = {f"{sign}int{width}": width for sign in ("", "u") for width in (8, 16, 32, 64)}


def _show(case: Case) -> str:
    text = ", ".join(map(repr, case))
    return f"({text})" if len(text) <= 120 else f"({text[:117]}...)"
