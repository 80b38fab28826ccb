"""Does a translation do what its source does? Runs candidate translations on the cases of evaluation instances.

Start at `score_translations`. A translation passes only if it compiles, has the function, and gives the expected
outcome on every case in every run; otherwise its score says why not, in a reason whose part before the colon is one of
`CAUSES`. What cannot be run on this machine is bad input, never a failed translation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parallel_mining import sandbox, values
from parallel_mining.execute import Execution, ExecutionLimits, Outcome, Unavailable, available, execute
from parallel_mining.pairs import WHOLE, Program, whole_program
from parallel_mining.units import bare, folded, functions_in, infer
from quality.mistakes import BadInput, Mistake

CAUSES = ("function", "signature", "broken", "timeout", "memory", "result", "exception", "nondeterministic")
"""Why a translation fails: it has no such function; one that cannot be called with these arguments; does not compile or
load; runs too long; holds too much; gives another result; raises where a value is expected, or the reverse; or gives
different results in different runs."""


@dataclass(frozen=True)
class Translation:
    """A candidate.

    Args:
        instance: A row of `parallel_mining.evaluation.INSTANCE_SCHEMA`.
        code: The whole program in the instance's target language.
        entry: Its function; found by name where it is empty.
    """

    instance: Mapping[str, Any]
    code: str
    entry: str = ""


@dataclass(frozen=True)
class Score:
    """What a candidate came to.

    Args:
        passed: Whether it did as expected on every case.
        reason: Why not, or "".
        cases: Cases of the instance.
        agreed: On how many of them it did as expected in every run.
    """

    passed: bool
    reason: str
    cases: int
    agreed: int


def score_translations(
    translations: Sequence[Translation],
    *,
    runs: int = 3,
    limits: ExecutionLimits | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Score]:
    """Judge candidate translations by running them in the sandbox.

    Args:
        translations: The candidates, of any instances and languages; batches are cheaper than single ones.
        runs: How often each is run.
        limits: How much each may use.
        progress: Called with the number of programs that were finished since the last call.

    Returns:
        A score a candidate, in order.

    Raises:
        BadInput: A target language, or the sandbox, cannot be used on this machine.
    """
    _refuse_what_cannot_run({translation.instance["target_language"] for translation in translations})
    early: dict[int, Score] = {}
    programs: dict[int, Program] = {}
    for number, translation in enumerate(translations):
        found = _program_of(translation)
        if isinstance(found, Program):
            programs[number] = found
        else:
            early[number] = Score(False, found, len(translation.instance["cases"]), 0)
    jobs = [(program, _arguments(translations[number].instance)) for number, program in programs.items()]
    executions = dict(zip(programs, execute(jobs, runs=runs, limits=limits, progress=progress), strict=True))
    return [
        early[number] if number in early else _score(translation.instance, executions[number])
        for number, translation in enumerate(translations)
    ]


def disagreement(expected: Outcome, found: Outcome, tolerance: str) -> str:
    """Return how an outcome differs from what is expected, with its cause first, or "".

    Args:
        expected: A value, or an exception.
        found: What the other side came to.
        tolerance: The widest difference that counts as agreement.
    """
    if found.status in ("timeout", "memory"):
        return f"{found.status}: {found.detail or 'over the limit'}"
    if expected.value is None or found.value is None:
        if found.status == "unrepresentable":
            return f"signature: {found.detail}"
        if (expected.value is None) == (found.value is None):
            return ""
        detail = f"raises where a value is expected ({found.detail[:120]})"
        return f"exception: {detail if found.value is None else 'gives a value where the source raises'}"
    comparison = values.compare(expected.value, found.value, tolerance)
    return "" if comparison.equal else f"result: {comparison.reason}"


def steady(outcomes: Sequence[Outcome]) -> bool:
    """Return whether all runs of one case came to the same."""
    return len({(one.status, one.value and values.digest(one.value)) for one in outcomes}) <= 1


def _refuse_what_cannot_run(languages: set[str]) -> None:
    found = {name: available(name) for name in sorted(languages)}
    mistakes = [
        Mistake(name, f"{tools.reason}; {tools.install}")
        for name, tools in found.items()
        if isinstance(tools, Unavailable)
    ]
    missing = sandbox.ready() if languages else ""
    if missing:
        mistakes.append(Mistake("sandbox", missing))
    if mistakes:
        raise BadInput(mistakes)


def _program_of(translation: Translation) -> Program | str:
    """Return what is to be run, or why there is nothing to run."""
    instance, language = translation.instance, translation.instance["target_language"]
    if instance["target_entry"] == WHOLE:
        return whole_program(language, translation.code)
    try:
        names = functions_in(language, translation.code)
    except BadInput as error:
        return f"broken: {error.mistakes[0].what}"
    entry = translation.entry or _entry(instance, names)
    if entry not in {*names, *map(bare, names)}:
        return f"function: none is called like {translation.entry or bare(instance['target_entry'])}"
    try:
        return infer(language, translation.code, entry)[0]
    except BadInput as error:
        return f"signature: {error.mistakes[0].what}"


def _entry(instance: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the function that is meant: by the reference's name, else by that of the source, else the only one."""
    wanted = bare(instance["target_entry"])
    exact = [name for name in names if bare(name) == wanted]
    alike = [name for name in names if folded(bare(name)) in (folded(wanted), folded(bare(instance["source_entry"])))]
    return next(iter([*exact, *alike, *(names if len(set(names)) == 1 else ())]), "")


def _arguments(instance: Mapping[str, Any]) -> list[list[Any]]:
    return [values.plain(values.decode(case["arguments"])) for case in instance["cases"]]


def _score(instance: Mapping[str, Any], execution: Execution) -> Score:
    cases = instance["cases"]
    if execution.status != "ran":
        cause = "signature" if execution.status == "unsupported" else execution.status
        return Score(False, f"{cause}: {execution.detail}", len(cases), 0)
    agreed, reason = 0, ""
    for case, outcomes in zip(cases, zip(*execution.runs, strict=True), strict=True):
        wanted = Outcome(case["status"], values.decode(case["expected"]) if case["expected"] else None)
        wrong = next(filter(None, (disagreement(wanted, found, instance["tolerance"]) for found in outcomes)), "")
        if not wrong and not steady(outcomes):
            wrong = "nondeterministic: results differ between runs"
        if wrong:
            reason = reason or wrong
        else:
            agreed += 1
    return Score(agreed == len(cases), reason, len(cases), agreed)
