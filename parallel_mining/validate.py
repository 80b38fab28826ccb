"""Given pairs of programs to verdicts, by running them.

Start at `validate`, which reads JSON lines and gives a row a pair. All malformed lines are reported at once, by number;
a pair that cannot be run here is `unsupported`, never an error.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from parallel_mining.execute import ExecutionLimits, Unavailable, available
from parallel_mining.mine import cause, rounds
from parallel_mining.pairs import VERDICTS
from parallel_mining.units import infer, literals_of
from parallel_mining.verdicts import Judgement, Question, VerdictSettings, judge
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import say


@dataclass(frozen=True)
class Side:
    """One half of a pair as it was given.

    Args:
        language: A language id.
        code: A program that stands alone.
        entry: Its function.
        licenses: SPDX expressions that all apply to it; none where none is stated.
    """

    language: str
    code: str
    entry: str
    licenses: tuple[str, ...] = ()


@dataclass(frozen=True)
class GivenPair:
    """A pair as it was given."""

    pair_id: str
    left: Side
    right: Side


def validate(
    pairs: Path | str | TextIO,
    settings: VerdictSettings | None = None,
    *,
    evidence: bool = False,
    limits: ExecutionLimits | None = None,
) -> Iterator[dict[str, Any]]:
    """Run given pairs on both sides and say whether they agree; then `say` a table of verdicts and their classes.

    Args:
        pairs: A file of JSON lines, or an open one.
        settings: How much evidence is needed; `VerdictSettings()` if None.
        evidence: Whether the evidence stands in the rows too: inputs, hashes of outputs, seeds, versions.
        limits: How much a program may use.

    Returns:
        A row a pair, in order: `pair_id, verdict, cases, agreed, tolerance, reason, domain`, and `evidence` if asked.

    Raises:
        BadInput: The file is missing or empty, or lines are malformed; all are listed.
    """
    given = read_pairs(pairs)
    return _rows(given, settings or VerdictSettings(), evidence, limits)


def _rows(
    given: list[GivenPair], settings: VerdictSettings, evidence: bool, limits: ExecutionLimits | None
) -> Iterator[dict[str, Any]]:
    classes: Counter[tuple[str, str]] = Counter()
    for pair, judgement in zip(given, judge_given(given, settings, limits=limits), strict=True):
        classes[judgement.verdict, class_of(judgement)] += 1
        row: dict[str, Any] = {
            "pair_id": pair.pair_id,
            "verdict": judgement.verdict,
            "cases": judgement.cases,
            "agreed": judgement.agreed,
            "tolerance": judgement.tolerance,
            "reason": judgement.reason,
            "domain": list(judgement.domain),
        }
        yield row | {"evidence": judgement.evidence} if evidence else row
    for line in table(classes):
        say(line)


def class_of(judgement: Judgement) -> str:
    """Return the class that a judgement is counted under.

    That is the kind of its domain where it was proved, how the sides differ where they do, else what stands before the
    colon of its reason.
    """
    if judgement.verdict == "different":
        return judgement.reason.split(": ")[1]
    if judgement.verdict != "equivalent":
        return cause(judgement.reason)
    if all(row["level"] == "full" for row in judgement.domain):
        return "full typed domain"
    sources = {restriction["source"] for row in judgement.domain for restriction in row["restrictions"]}
    return f"restricted domain, by {', '.join(sorted(sources))}"


def table(classes: Mapping[tuple[str, str], int]) -> list[str]:
    """Return the lines of a table of verdicts and classes with their counts, the largest of a verdict first."""
    rows = sorted(classes.items(), key=lambda item: (VERDICTS.index(item[0][0]), -item[1], item[0]))
    width = max((len(name) for (_, name), _ in rows), default=0)
    return [f"{'verdict':<16}  {'class':<{width}}  pairs"] + [
        f"{verdict:<16}  {name:<{width}}  {count:>5}" for (verdict, name), count in rows
    ]


def judge_given(
    given: Sequence[GivenPair], settings: VerdictSettings, *, limits: ExecutionLimits | None = None
) -> list[Judgement]:
    """Judge pairs as they were given; what cannot be run is told by its verdict.

    Args:
        given: The pairs.
        settings: How much evidence is needed.
        limits: How much a program may use.

    Returns:
        A judgement a pair, in order.
    """
    early: dict[int, Judgement] = {}
    questions: dict[int, Question] = {}
    for number, pair in enumerate(given):
        found = _question(pair)
        if isinstance(found, Judgement):
            early[number] = found
        else:
            questions[number] = found
    judged = dict(
        zip(questions, judge(list(questions.values()), settings, limits=limits, progress=rounds()), strict=True)
    )
    return [early.get(number) or judged[number] for number in range(len(given))]


def _question(pair: GivenPair) -> Question | Judgement:
    for side in (pair.left, pair.right):
        found = available(side.language)
        if isinstance(found, Unavailable):
            return Judgement("unsupported", f"toolchain: {side.language}: {found.reason}; {found.install}")
    inferred: list[Any] = []
    for name, side in (("left", pair.left), ("right", pair.right)):
        try:
            inferred.append(infer(side.language, side.code, side.entry))
        except BadInput as error:
            return Judgement("broken", f"{name}: {error.mistakes[0].what}")
    (left, left_signature, _), (right, right_signature, _) = inferred
    literals = tuple(dict.fromkeys((*literals_of(pair.left.code), *literals_of(pair.right.code))))
    return Question(left, right, left_signature, right_signature, literals)


def read_pairs(pairs: Path | str | TextIO) -> list[GivenPair]:
    """Read pairs from JSON lines.

    Raises:
        BadInput: The file is missing or empty, or lines are malformed; all are listed.
    """
    if isinstance(pairs, str | Path):
        path = Path(pairs)
        if not path.is_file():
            bad_input(path, "no such file; give a file of JSON lines, or - for standard input")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            bad_input(path, f"not UTF-8 text ({error.reason} at byte {error.start}); give a file of JSON lines")
        name = str(path)
    else:
        lines, name = pairs.read().splitlines(), "standard input"
    mistakes: list[Mistake] = []
    found: list[GivenPair] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        pair, wrong = _pair(line, where)
        mistakes += wrong
        if pair is not None:
            if pair.pair_id in seen:
                mistakes.append(
                    Mistake(where, f"pair_id {pair.pair_id!r} stands on line {seen[pair.pair_id]} too; make it unique")
                )
            seen.setdefault(pair.pair_id, number)
            found.append(pair)
    if mistakes:
        raise BadInput(mistakes)
    if not found:
        bad_input(name, "holds no pairs; one JSON object a line is expected")
    return found


def _pair(line: str, where: str) -> tuple[GivenPair | None, list[Mistake]]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return None, [Mistake(where, f"not JSON ({error.msg} at column {error.colno})")]
    if not isinstance(row, dict):
        return None, [Mistake(where, "a JSON object with pair_id, left and right is expected")]
    fields = cast(dict[str, Any], row)
    mistakes = list(_wrong_fields(fields, where))
    if mistakes:
        return None, mistakes
    left, right = (
        Side(side["language"], side["code"], side["entry"], tuple(side.get("licenses", ())))
        for side in (fields["left"], fields["right"])
    )
    return GivenPair(fields["pair_id"], left, right), []


def _wrong_fields(fields: dict[str, Any], where: str) -> Iterable[Mistake]:
    if not isinstance(fields.get("pair_id"), str) or not fields["pair_id"]:
        yield Mistake(f"{where}: pair_id", "missing or not a text; name the pair")
    for name in ("left", "right"):
        side = fields.get(name)
        if not isinstance(side, dict):
            yield Mistake(f"{where}: {name}", "missing; an object with language, code and entry is expected")
            continue
        licenses = cast(dict[str, Any], side).get("licenses", [])
        if not isinstance(licenses, list) or not all(isinstance(one, str) for one in cast(list[Any], licenses)):
            yield Mistake(f"{where}: {name}.licenses", 'may be left out, or is a list of SPDX expressions: ["MIT"]')
        for key in ("language", "code", "entry"):
            value = cast(dict[str, Any], side).get(key)
            if not isinstance(value, str) or not value.strip():
                yield Mistake(f"{where}: {name}.{key}", "missing or not a text")
            elif key == "language" and value not in LANGUAGES:
                yield Mistake(
                    f"{where}: {name}.{key}", f"{value!r} is not in the registry; known: {', '.join(sorted(LANGUAGES))}"
                )
