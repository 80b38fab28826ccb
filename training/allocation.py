"""The noun `Allocation`: which share of the training tokens each source gets.

The file form is `{"shares": {SOURCE: fraction, ...}}`, shares summing to 1, where SOURCE is a language id,
`pair:LEFT-RIGHT` for parallel documents or `text:NAME` for natural language. What `polymix allocate` prints is one
(other keys are ignored), and `polymix pack` takes it as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input

SHARES_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Allocation:
    """Shares of the training tokens by source.

    Args:
        shares: Source to fraction; each at least 0, together 1 (within 1e-6).

    Raises:
        BadInput: A share is negative or not finite, a source has no known form, or the sum is not 1.
    """

    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        mistakes = [Mistake(f"shares.{name}", why) for name, why in _wrong_shares(self.shares)]
        total = sum(share for share in self.shares.values() if math.isfinite(share))
        if not mistakes and abs(total - 1) > SHARES_SUM_TOLERANCE:
            mistakes.append(Mistake("shares", f"sum to {total:.9g}, not 1; divide each by the sum"))
        if mistakes:
            raise BadInput(mistakes)

    def as_json(self) -> dict[str, Any]:
        """Return the file form."""
        return {"shares": dict(self.shares)}


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
    shares = cast(dict[str, Any], value).get("shares") if isinstance(value, dict) else None
    if not isinstance(shares, dict):
        bad_input(path, 'an allocation looks like {"shares": {"python": 0.5, "go": 0.5}}')
    shares = cast(dict[str, Any], shares)
    wrong = [
        Mistake(f"{path}: shares.{name}", f"{share!r} is not a number")
        for name, share in shares.items()
        if isinstance(share, bool) or not isinstance(share, int | float)
    ]
    if wrong:
        raise BadInput(wrong)
    try:
        return Allocation({name: float(share) for name, share in shares.items()})
    except BadInput as error:
        raise BadInput(Mistake(f"{path}: {m.where}", m.what) for m in error.mistakes) from error
