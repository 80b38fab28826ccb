"""Do two programs do the same? Runs both on the same inputs and says so, with the evidence.

Start at `judge`, which takes any number of pairs at once because running is cheap in batches only. It looks in three
rounds, each for what the one before left open: a few tame inputs of every shape that both sides may take; all families
of the shapes that both took; and, for what agreed, fresh inputs and the literals of both programs, several times over.

What always holds: equivalence is said of a recorded family of inputs; every compared case agreed; enough cases gave
values, and different ones; results were the same in every run. A result that the other side's declared integer cannot
hold is not compared: the agreement is on what both can say.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parallel_mining import values
from parallel_mining.cases import Family, Shape, cases, families, probe, shapes
from parallel_mining.execute import Execution, ExecutionLimits, Outcome, execute
from parallel_mining.pairs import Program, Verdict
from parallel_mining.signatures import Signature
from parallel_mining.types import Type
from quality.artifacts import canonical_json

Case = tuple[Any, ...]


class VerdictSettings(BaseModel):
    """How much evidence a verdict needs.

    Args:
        cases: Inputs a family is tried on.
        fresh_cases: Further inputs on which what agreed is tried again.
        runs: How often those are run on each side.
        min_cases: Compared cases without which nothing is said.
        min_distinct: Distinct results without which nothing is said.
        value_share: Share of the cases in which both sides must give a value (and not raise).
        tolerance: The widest of `parallel_mining.values.TOLERANCES` that counts as agreement.
        seed: Of the inputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cases: int = Field(default=24, ge=8, le=1000)
    fresh_cases: int = Field(default=24, ge=0, le=1000)
    runs: int = Field(default=3, ge=1, le=20)
    min_cases: int = Field(default=8, ge=1)
    min_distinct: int = Field(default=3, ge=1)
    value_share: float = Field(default=0.6, ge=0.0, le=1.0)
    tolerance: Literal["exact", "numeric", "1e-9", "1e-5"] = "1e-9"
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
        domain: The families that the agreement holds on.
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

    compared: int
    agreed: int
    valued: int
    distinct: int
    tolerance: str
    different: str
    hung: bool
    vacuous: str
    texts: bool = False  # some result is or holds text
    fractional: bool = False  # some result is a number that is not whole
    contradicts: bool = False  # on some case both gave values, and different ones
    rarer_truth: int = 0  # where all results are bool: how often the rarer one came

    def various(self, settings: VerdictSettings) -> bool:
        """Say whether the results differ enough; a predicate must show either answer as often as others differ."""
        return self.distinct >= settings.min_distinct or self.rarer_truth >= settings.min_distinct

    def passes(self, settings: VerdictSettings) -> bool:
        return (
            self.compared == self.agreed
            and not self.hung
            and self.compared >= settings.min_cases
            and self.valued >= settings.value_share * self.compared
            and self.various(settings)
            and not self.vacuous
        )


class _Book:
    """What every program returned on every case asked so far."""

    def __init__(self) -> None:
        self.asked: dict[Program, dict[str, Case]] = {}
        self.known: dict[tuple[Program, str], tuple[Outcome, ...]] = {}
        self.executions: dict[Program, Execution] = {}

    def ask(self, program: Program, wanted: Iterable[Case]) -> None:
        pending = self.asked.setdefault(program, {})
        for case in wanted:
            pending.setdefault(repr(case), case)

    def run(self, runs: int, limits: ExecutionLimits | None, progress: Callable[[int], object] | None) -> None:
        todo: list[tuple[Program, list[str], list[Case]]] = []
        for program, wanted in self.asked.items():
            new = {k: c for k, c in wanted.items() if len(self.known.get((program, k), ())) < runs}
            if new and self.status(program) in ("", "ran", "timeout"):
                todo.append((program, list(new), list(new.values())))
            elif progress is not None:
                progress(1)
        self.asked = {}
        found = execute([(p, c) for p, _, c in todo], runs=runs, limits=limits, progress=progress)
        for (program, keys, _), execution in zip(todo, found, strict=True):
            self.executions[program] = execution
            for i, key in enumerate(keys):
                outcomes = tuple(run[i] for run in execution.runs)
                if outcomes:
                    self.known[program, key] = outcomes

    def status(self, program: Program) -> str:
        execution = self.executions.get(program)
        return execution.status if execution is not None else ""

    def of(self, program: Program, case: Case) -> tuple[Outcome, ...]:
        return self.known.get((program, repr(case)), ())


@dataclass
class _State:
    """A question on its way through the rounds."""

    question: Question
    shapes: list[Shape]
    open: list[Shape] = field(default_factory=list[Shape])
    chosen: list[Family] = field(default_factory=list[Family])
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
    book = _Book()
    states = [_State(q, shapes(q.left_signature, q.right_signature)) for q in questions]

    def run(round_name: str, runs: int) -> None:
        shown = progress(round_name, len(book.asked)) if progress is not None else None
        book.run(runs, limits, shown)

    for state in states:
        if not state.shapes:
            state.verdict = Judgement("insufficient", "signature: no arguments that both sides take")
            continue
        for shape in state.shapes:
            _ask(book, state.question, _probe_cases(shape, settings))
    run("trying inputs", 1)
    for state in _undecided(states):
        state.verdict = _unable(book, state.question)
        if state.verdict is None:
            _after_probe(book, state, settings)
    for state in _undecided(states):
        for family in _families(state):
            _ask(book, state.question, _family_cases(state.question, family, settings))
    run("comparing", 1)
    # A program that hangs on large inputs may still be compared on small ones.
    for state in _undecided(states):
        if any(book.status(p) == "timeout" for p in (state.question.left, state.question.right)):
            for family in _families(state):
                if family.level == "narrow":
                    _ask(book, state.question, _family_cases(state.question, family, settings))
    if book.asked:
        run("comparing again on small inputs", 1)
    for state in _undecided(states):
        state.verdict = _unable(book, state.question)
        if state.verdict is None:
            _after_families(book, state, settings)
    for state in _undecided(states):
        for family in state.chosen:
            _ask(book, state.question, _final_cases(state.question, family, settings))
    run("confirming", settings.runs)
    for state in _undecided(states):
        state.verdict = _unable(book, state.question) or _final(book, state, settings)
    return [state.verdict or Judgement("insufficient", "nothing was compared") for state in states]


def _undecided(states: Iterable[_State]) -> list[_State]:
    return [state for state in states if state.verdict is None]


def _families(state: _State) -> list[Family]:
    return [family for shape in state.open for family in families(shape, state.question.literals)]


def _ask(book: _Book, question: Question, wanted: Sequence[Case]) -> None:
    book.ask(question.left, wanted)
    book.ask(question.right, wanted)


_PROBES = 8


def _probe_cases(shape: Shape, settings: VerdictSettings) -> list[Case]:
    return cases(probe(shape), _PROBES, settings.seed)


def _family_cases(question: Question, family: Family, settings: VerdictSettings) -> list[Case]:
    return cases(family, settings.cases, settings.seed, question.literals)


def _final_cases(question: Question, family: Family, settings: VerdictSettings) -> list[Case]:
    first = _family_cases(question, family, settings)
    fresh = cases(family, settings.fresh_cases, settings.seed + 1, question.literals) if settings.fresh_cases else []
    return list({repr(case): case for case in [*first, *fresh]}.values())


def _unable(book: _Book, question: Question) -> Judgement | None:
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
    return max(settings.tolerance, "1e-5" if narrow else "exact", key=order.index)


def _after_probe(book: _Book, state: _State, settings: VerdictSettings) -> None:
    """Keep the shapes that both sides take; decide where there is none, or where nothing at all agrees."""
    taken: list[tuple[Shape, _Scored]] = []
    for shape in state.shapes:
        scored = _score(book, state.question, _probe_cases(shape, settings), settings)
        if scored.valued >= 0.5 * max(scored.compared, 1) and scored.compared:
            taken.append((shape, scored))
        elif len(state.shapes) == 1 and scored.compared:
            taken.append((shape, scored))  # declared on both sides or on one: the family is right, the values were not
    if not taken:
        state.verdict = Judgement("insufficient", "inputs: no family of inputs that both sides take")
        return
    if all(s.agreed == 0 and s.compared >= 4 for _, s in taken) and len(state.shapes) > 1:
        first = taken[0][1]
        compared = sum(s.compared for _, s in taken)
        state.verdict = Judgement("different", f"result: {first.different}", compared, 0)
        return
    state.open = [shape for shape, _ in taken]


def _after_families(book: _Book, state: _State, settings: VerdictSettings) -> None:
    """Choose, for each shape, the widest family on which everything agreed; one shape that never agrees decides."""
    failed: tuple[int, _Scored] | None = None
    failed_shape: Shape = ()
    texts = False
    vacuous = ""
    arity_done: set[int] = set()
    for shape in state.open:
        scores = [
            (family, _score(book, state.question, _family_cases(state.question, family, settings), settings))
            for family in families(shape, state.question.literals)
        ]
        best, proof = next(
            ((f, s) for f, s in scores if s.passes(settings) and not _contradicted(f, s, scores, settings)),
            (None, None),
        )
        if best is not None and proof is not None:
            state.chosen.append(best)
            texts = texts or proof.texts
            arity_done.add(len(shape))
            continue
        informative = [
            scored
            for _, scored in scores
            if scored.valued >= settings.value_share * max(scored.compared, 1)
            and scored.various(settings)
            and scored.agreed < scored.compared
        ]
        if informative:
            worst = max(informative, key=lambda s: s.agreed / max(s.compared, 1))
            if failed is None or (len(shape), _textual(failed_shape)) >= (failed[0], _textual(shape)):
                failed, failed_shape = (len(shape), worst), shape
        vacuous = vacuous or next((s.vacuous for _, s in scores if s.vacuous and s.agreed == s.compared), "")
        if not informative and not vacuous:
            hung = any(scored.hung for _, scored in scores)
            partial = next((s for _, s in scores if s.agreed < s.compared), None)
            if hung:
                vacuous = "timeout"
            elif partial is not None and failed is None and len(state.open) == 1:
                failed, failed_shape = (len(shape), partial), shape
    # Where agreement on numbers was seen that gives no text, what the two make of text is an accident of language.
    numeric = any(not _textual(family.types) for family in state.chosen) and not texts
    if failed is not None and numeric and _textual(failed_shape):
        failed = None
    # A shape with fewer arguments that fails says the defaults differ; the agreement with all arguments stands.
    if failed is not None and not any(arity > failed[0] for arity in arity_done):
        _, scored = failed
        state.chosen = []
        state.verdict = Judgement("different", f"result: {scored.different}", scored.compared, scored.agreed)
    elif not state.chosen:
        if vacuous == "timeout":
            state.verdict = Judgement("timeout", "cases: too many ran out of time")
        else:
            reason = vacuous or f"results: fewer than {settings.min_distinct} distinct ones or too few cases"
            state.verdict = Judgement("insufficient", reason)


def _contradicted(
    family: Family, proof: _Scored, scores: Sequence[tuple[Family, _Scored]], settings: VerdictSettings
) -> bool:
    """Say whether what holds on a family is an accident of its inputs.

    Agreement on texts made of the programs' own strings counts for functions that take no others, and agreement on
    integers for functions that count: two easing curves with other constants agree on all integers.
    """
    for other, scored in scores:
        if scored.valued < settings.value_share * max(scored.compared, 1) or scored.agreed == scored.compared:
            continue
        if family.level == "lexicon" and other.level == "narrow" and scored.contradicts:
            return True
        wider = other.level == family.level and _floats(other) > _floats(family)
        if proof.fractional and wider and (scored.contradicts or 2 * scored.agreed < scored.compared):
            return True
    return False


def _floats(family: Family) -> int:
    return sum("float" in str(type_) for type_ in family.types)


def _textual(shape: Sequence[Any]) -> bool:
    return any("str" in str(type_) or "char" in str(type_) for type_ in shape)


def _final(book: _Book, state: _State, settings: VerdictSettings) -> Judgement:
    question = state.question
    compared = agreed = 0
    needed = "exact"
    evidence: list[dict[str, Any]] = []
    for family in state.chosen:
        wanted = _final_cases(question, family, settings)
        for side, program in (("left", question.left), ("right", question.right)):
            unstable = next((c for c in wanted if _unstable(book.of(program, c))), None)
            if unstable is not None:
                return Judgement("nondeterministic", f"{side}: results differ between runs on {_show(unstable)}")
        scored = _score(book, question, wanted, settings)
        compared, agreed = compared + scored.compared, agreed + scored.agreed
        needed = max(needed, scored.tolerance, key=values.TOLERANCES.index)
        if not scored.passes(settings):
            if scored.hung:
                return Judgement("timeout", "cases: too many ran out of time", compared, agreed)
            if scored.agreed < scored.compared:
                return Judgement("different", f"result: {scored.different}", compared, agreed)
            reason = scored.vacuous or f"results: {scored.distinct} distinct in {scored.compared} cases"
            return Judgement("insufficient", reason, compared, agreed)
        evidence.append(_evidence(book, question, family, wanted))
    return Judgement(
        "equivalent",
        "all cases agree",
        compared,
        agreed,
        needed,
        tuple(family.describe() for family in state.chosen),
        {
            "seed": settings.seed,
            "runs": settings.runs,
            "tolerance_allowed": tolerance_of(question, settings),
            "left_toolchain": book.executions[question.left].toolchain,
            "right_toolchain": book.executions[question.right].toolchain,
            "families": evidence,
        },
    )


def _evidence(book: _Book, question: Question, family: Family, wanted: Sequence[Case]) -> dict[str, Any]:
    def outputs(program: Program) -> str:
        lines = [_line(outcome) for case in wanted for outcome in book.of(program, case)[:1]]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    return {
        **family.describe(),
        "inputs": [values.encode(list(case)) for case in wanted],
        "left_outputs_sha256": outputs(question.left),
        "right_outputs_sha256": outputs(question.right),
        "code_sha256": hashlib.sha256(canonical_json([question.left.code, question.right.code]).encode()).hexdigest(),
    }


def _line(outcome: Outcome) -> str:
    return f"{outcome.status} {values.digest(outcome.value)}" if outcome.value is not None else outcome.status


def _unstable(outcomes: Sequence[Outcome]) -> bool:
    return len({_line(outcome) for outcome in outcomes}) > 1


def _score(book: _Book, question: Question, wanted: Sequence[Case], settings: VerdictSettings) -> _Scored:
    allowed = tolerance_of(question, settings)
    compared = agreed = valued = lost = 0
    needed, different = "exact", ""
    truths: list[bool] = []
    texts = fractional = contradicts = False
    left_seen: set[str] = set()
    right_seen: set[str] = set()
    echoes: dict[int, int] = {}
    asked = 0
    for case in wanted:
        left, right = book.of(question.left, case)[:1], book.of(question.right, case)[:1]
        if not left or not right:
            continue
        asked += 1
        one, two = left[0], right[0]
        statuses = {one.status, two.status}
        if statuses & {"timeout", "memory"}:
            lost += 1
            continue
        if "unrepresentable" in statuses:
            continue
        if outgrew(one, two, question.left, question.right):
            continue
        compared += 1
        if one.value is not None and two.value is not None:
            valued += 1
            left_seen.add(values.digest(one.value))
            right_seen.add(values.digest(two.value))
            texts = texts or _holds_text(one.value)
            fractional = fractional or _is_fractional(one.value)
            if one.value.kind == "bool":
                truths.append(bool(one.value.data))
            comparison = values.compare(one.value, two.value, allowed)
            if comparison.equal:
                agreed += 1
                needed = max(needed, comparison.needed, key=values.TOLERANCES.index)
                for i, argument in enumerate(case):
                    if values.compare(values.of(argument), one.value, "numeric").equal:
                        echoes[i] = echoes.get(i, 0) + 1
            else:
                contradicts = True
                different = different or f"{_show(case)}: {comparison.reason}"
        elif statuses <= {"exception", "crash"}:
            agreed += 1
        elif not different:
            which = "the left" if one.value is None else "the right"
            different = f"{_show(case)}: only {which} side raises ({(one if one.value is None else two).detail[:80]})"
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
        different,
        lost > 0.2 * asked,
        vacuous,
        texts,
        fractional,
        contradicts,
        min(truths.count(True), truths.count(False)) if len(truths) == valued else 0,
    )


def _is_fractional(value: values.Value) -> bool:
    return value.kind in ("float", "number") and math.isfinite(value.data) and value.data != math.floor(value.data)


def outgrew(one: Outcome, two: Outcome, left: Program, right: Program) -> bool:
    """Say whether one side's value lies beyond what the other can say; such a case says nothing about either.

    Args:
        one: What the left side came to; it gave a value.
        two: What the right side came to.
        left: The program that agreement is measured by.
        right: The other.
    """
    return _beyond(one.value, right.returns) or _beyond(two.value, left.returns)


def _beyond(value: values.Value | None, declared: Type | None) -> bool:
    """Say whether a value is an integer that a declared type of fixed width cannot hold."""
    if value is None or value.kind != "int" or declared is None:
        return False
    width = _WIDTHS.get(declared.name)
    if width is None:
        return False
    low, high = (0, 2**width) if declared.name.startswith("u") else (-(2 ** (width - 1)), 2 ** (width - 1))
    return not low <= value.data < high


_WIDTHS = {f"{sign}int{width}": width for sign in ("", "u") for width in (8, 16, 32, 64)}


def _holds_text(value: values.Value) -> bool:
    return value.kind == "str" or (value.kind in ("list", "tuple", "set") and any(map(_holds_text, value.data)))


def _show(case: Case) -> str:
    text = ", ".join(map(repr, case))
    return f"({text})" if len(text) <= 120 else f"({text[:117]}...)"
