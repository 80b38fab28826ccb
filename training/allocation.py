"""The noun `Allocation`: which share of the training tokens each source gets.

The file form is `{"shares": {SOURCE: fraction, ...}}`, shares summing to 1, where SOURCE is a language id,
`pair:LEFT-RIGHT` for parallel documents or `text:NAME` for natural language. What `polymix allocate` prints is one
(other keys are ignored), and `polymix pack` takes it as it is. A curriculum is an allocation that changes at stated
token counts: `{"stages": [{"until_tokens": 1000000, "shares": {...}}, ...]}`, each stage from where the one before
ends.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input

SHARES_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Stage:
    """A part of a curriculum.

    Args:
        until_tokens: Tokens trained on in all when the stage ends.
        shares: Source to fraction within the stage.
    """

    until_tokens: int
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Allocation:
    """Shares of the training tokens by source.

    Args:
        shares: Source to fraction; each at least 0, together 1 (within 1e-6).
        stages: The stages of a curriculum, or none where the shares are the same throughout. `staged` makes an
            allocation of stages; its shares are then those of all stages together.

    Raises:
        BadInput: A share is negative or not finite, a source has no known form, a sum is not 1, stages do not end one
            after the other, or the shares are not those of the stages.
    """

    shares: Mapping[str, float]
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        mistakes = _share_mistakes(self.shares, "shares")
        before = 0
        for place, stage in enumerate(self.stages):
            mistakes += _share_mistakes(stage.shares, f"stages[{place}].shares")
            if stage.until_tokens <= before:
                mistakes.append(
                    Mistake(
                        f"stages[{place}].until_tokens",
                        f"{stage.until_tokens}: must be above {before}, where the stage starts",
                    )
                )
            before = stage.until_tokens
        if self.stages and not mistakes:
            mean = _mean_shares(self.stages)
            mistakes += [
                Mistake(f"shares.{name}", "is not what the stages have together; leave `shares` out beside `stages`")
                for name in sorted({*mean, *self.shares})
                if abs(mean.get(name, 0.0) - self.shares.get(name, 0.0)) > SHARES_SUM_TOLERANCE
            ]
        if mistakes:
            raise BadInput(mistakes)

    def as_json(self) -> dict[str, Any]:
        """Return the file form."""
        if not self.stages:
            return {"shares": dict(self.shares)}
        stages = [{"until_tokens": one.until_tokens, "shares": dict(one.shares)} for one in self.stages]
        return {"shares": dict(self.shares), "stages": stages}

    def parts(self, tokens: int) -> list[tuple[int, Mapping[str, float]]]:
        """Return what a budget consists of: tokens up to which shares hold, and the shares, one pair a stage.

        A budget that is smaller than the curriculum ends within it.

        Raises:
            BadInput: The stages end before the budget does.
        """
        if not self.stages:
            return [(tokens, self.shares)]
        last = self.stages[-1].until_tokens
        if tokens > last:
            bad_input("stages", f"end at {last} tokens, but {tokens} are asked for; raise the last until_tokens")
        found: list[tuple[int, Mapping[str, float]]] = []
        for stage in self.stages:
            found.append((min(stage.until_tokens, tokens), stage.shares))
            if stage.until_tokens >= tokens:
                break
        return found

    def scaled(self, tokens: int) -> Allocation:
        """Return the allocation with stages that end at another number of tokens, each as long in proportion."""
        if not self.stages:
            return self
        last = self.stages[-1].until_tokens
        return staged([Stage(round(one.until_tokens * tokens / last), one.shares) for one in self.stages])

    def targets(self, tokens: int) -> dict[str, Fraction]:
        """Return how many of so many tokens each source gets, exactly: shares that sum to nearly 1 are scaled to 1.

        Raises:
            BadInput: The stages end before the budget does.
        """
        found: dict[str, Fraction] = {source: Fraction(0) for source in self.shares}
        before = 0
        for until, shares in self.parts(tokens):
            for source, share in normalised(shares).items():
                found[source] = found.get(source, Fraction(0)) + share * (until - before)
            before = until
        return found


def normalised(shares: Mapping[str, float]) -> dict[str, Fraction]:
    """Return shares as exact fractions with a sum of exactly 1."""
    whole = sum(map(Fraction, shares.values()))
    return {source: Fraction(share) / whole for source, share in shares.items()}


def staged(stages: Sequence[Stage]) -> Allocation:
    """Return the allocation of a curriculum.

    Raises:
        BadInput: There is no stage, or as `Allocation`.
    """
    if not stages:
        bad_input("stages", "empty; name at least one stage, or give shares")
    return Allocation(_mean_shares(stages), tuple(stages))


def _mean_shares(stages: Sequence[Stage]) -> dict[str, float]:
    mean: dict[str, float] = {}
    whole, before = max(1, stages[-1].until_tokens), 0
    for stage in stages:
        for source, share in stage.shares.items():
            mean[source] = mean.get(source, 0.0) + share * (stage.until_tokens - before) / whole
        before = stage.until_tokens
    return mean


def _share_mistakes(shares: Mapping[str, float], where: str) -> list[Mistake]:
    mistakes = [Mistake(f"{where}.{name}", why) for name, why in _wrong_shares(shares)]
    total = sum(share for share in shares.values() if math.isfinite(share))
    if not mistakes and abs(total - 1) > SHARES_SUM_TOLERANCE:
        mistakes.append(Mistake(where, f"sum to {total:.9g}, not 1; divide each by the sum"))
    return mistakes


def _wrong_shares(shares: Mapping[str, float]) -> list[tuple[str, str]]:
    wrong: list[tuple[str, str]] = []
    if not shares:
        wrong.append(("", "empty; name at least one source"))
    for name, share in shares.items():
        if not math.isfinite(share) or share < 0:
            wrong.append((name, f"{share!r} is not a fraction from 0 to 1"))
        reason = source_mistake(name)
        if reason:
            wrong.append((name, reason))
    return wrong


def source_mistake(source: str) -> str:
    """Return why a name is no source, or an empty text where it is one."""
    if source in LANGUAGES:
        return ""
    if source.startswith("text:") and len(source) > len("text:"):
        return ""
    if source.startswith("pair:"):
        sides = source.removeprefix("pair:").split("-")
        if len(sides) == 2 and all(side in LANGUAGES for side in sides) and sides[0] != sides[1]:
            return ""
    return (
        f"{source!r} is not a source; use a language id ({', '.join(LANGUAGES)}), `pair:LEFT-RIGHT` of two of them,"
        " or `text:NAME`"
    )


def uniform(sources: list[str]) -> Allocation:
    """Return the allocation that gives each source the same share."""
    return Allocation({source: 1 / len(sources) for source in sources})


def read_allocation(path: Path | str) -> Allocation:
    """Read `allocation.json`.

    Raises:
        BadInput: The file is missing, is not JSON, or is not an allocation.
    """
    path = Path(path)
    if not path.is_file():
        bad_input(path, "no such file; `polymix allocate` prints an allocation")
    try:
        value = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        bad_input(path, f"not JSON: {error}")
    given = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    form = '{"shares": {"python": 0.5, "go": 0.5}}'
    try:
        if "stages" not in given:
            if "shares" not in given:
                bad_input(path, f"an allocation looks like {form}")
            return Allocation(_numbers(given["shares"], "shares", form))
        stages = _stages(given["stages"], form)
        if "shares" in given:
            return Allocation(_numbers(given["shares"], "shares", form), stages)
        return staged(stages)
    except BadInput as error:
        raise BadInput(_placed(mistake, path) for mistake in error.mistakes) from error


def _placed(mistake: Mistake, path: Path) -> Mistake:
    return mistake if mistake.where == str(path) else Mistake(f"{path}: {mistake.where}", mistake.what)


def _numbers(shares: Any, where: str, form: str) -> dict[str, float]:
    if not isinstance(shares, dict):
        bad_input(where, f"{shares!r} is no object of shares; an allocation looks like {form}")
    shares = cast(dict[str, Any], shares)
    wrong = [
        Mistake(f"{where}.{name}", f"{share!r} is not a number")
        for name, share in shares.items()
        if isinstance(share, bool) or not isinstance(share, int | float)
    ]
    if wrong:
        named = {mistake.where for mistake in wrong}
        rest = {name: share for name, share in shares.items() if f"{where}.{name}" not in named}
        raise BadInput([*wrong, *(Mistake(f"{where}.{name}", why) for name, why in _wrong_shares(rest) if name)])
    return {name: float(share) for name, share in shares.items()}


def _stages(given: Any, form: str) -> tuple[Stage, ...]:
    if not isinstance(given, list) or not given:
        bad_input("stages", f'{given!r} is no list of stages; a stage looks like {{"until_tokens": 1000, {form[1:]}')
    stages: list[Stage] = []
    mistakes: list[Mistake] = []
    shared: list[Mistake] = []
    for place, stage in enumerate(cast(list[Any], given)):
        where = f"stages[{place}]"
        fields = cast(dict[str, Any], stage) if isinstance(stage, dict) else {}
        until: Any = fields.get("until_tokens")
        if isinstance(until, bool) or not isinstance(until, int):
            mistakes.append(Mistake(f"{where}.until_tokens", f"{until!r} is not a whole number of tokens"))
            until = 0
        try:
            stages.append(Stage(until, _numbers(fields.get("shares"), f"{where}.shares", form)))
            shared += _share_mistakes(stages[-1].shares, f"{where}.shares")
        except BadInput as error:
            mistakes += error.mistakes
    if mistakes:
        raise BadInput([*mistakes, *shared])
    return tuple(stages)
