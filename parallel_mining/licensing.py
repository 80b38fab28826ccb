"""May the code of two documents stand together in one? The licences of both halves decide, before anything is run.

Start at `obstacle`. What always holds: code without a licence is never used, nor what a clause forbids to be used so;
what may stand together is what the policy names and nothing else; and a document made of two halves carries the
obligations of both, which is why a pair keeps both lists of SPDX expressions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, field_validator

from quality.licences import CLAUSES, PERMISSIVE, RESTRICTED, license_type

REASON = "licence"
"""Cause of whatever is turned away here: what stands before the colon of its reason."""

COPYLEFT = frozenset(
    name
    for name in RESTRICTED
    if re.match(
        r"(?:LicenseRef-)?(?:A?GPL|LGPL|MPL|EPL|CDDL|EUPL|CPL|IPL|OSL|CPAL|QPL|MS-RL|Sleepycat|CC-BY-SA)\b", name
    )
)
"""Licences that ask for themselves in return, and allow use for any purpose.

Source: the categories "copyleft" and "copyleft limited" of the ScanCode licence list.
"""


class LicencePolicy(BaseModel):
    """Which licences may stand together in one document. Permissive ones always may, none at all never.

    Args:
        copyleft: Also two halves under the very same copyleft expressions.
        together: Also these pairs of SPDX expressions, in either order, as they stand in the corpus.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    copyleft: bool = False
    together: tuple[tuple[str, str], ...] = Field(default=())

    @field_validator("together")
    @classmethod
    def _known(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pair in value:
            for expression in pair:
                names = _names(expression)
                unknown = [name for name in names if name not in PERMISSIVE | RESTRICTED]
                if not names or unknown:
                    named = ", ".join(map(repr, unknown)) or repr(expression)
                    raise ValueError(f"{named} is no SPDX identifier that is known here, such as GPL-3.0-only")
                if CLAUSES & set(names):
                    raise ValueError(f"{expression!r} takes permissions back; code under it is never used")
        return value

    def allows(self, left: str, right: str) -> bool:
        """Return whether the policy names two expressions, in either order."""
        return (left, right) in self.together or (right, left) in self.together


def unusable(licenses: Sequence[str], policy: LicencePolicy) -> str:
    """Return why code cannot be half of any pair, or "".

    Args:
        licenses: SPDX expressions that all apply to it.
        policy: What may stand together.
    """
    kind = license_type(licenses)
    if kind == "permissive":
        return ""
    named = {expression for pair in policy.together for expression in pair}
    if kind == "no_license" or any(_forbids(one) for one in licenses):
        return f"{REASON}: {kind}"
    known = all(license_type([one]) == "permissive" or one in named for one in licenses)
    return "" if known or (policy.copyleft and all(map(_returns, licenses))) else f"{REASON}: {kind}"


def obstacle(left: Sequence[str], right: Sequence[str], policy: LicencePolicy) -> str:
    """Return why the code of two documents may not stand together in one, or "".

    Args:
        left: SPDX expressions that all apply to one.
        right: Those of the other.
        policy: What may stand together.

    Returns:
        A reason of the class `licence`, or "".
    """
    for side, licenses in (("left", left), ("right", right)):
        if not licenses:
            return f"{REASON}: the {side} half has none"
        forbidding = next((one for one in licenses if _forbids(one)), None)
        if forbidding is not None:
            return f"{REASON}: {forbidding} of the {side} half takes permissions back"
    if policy.copyleft and set(left) == set(right) and all(map(_returns, left)):
        return ""
    for one in left:
        for other in right:
            permissive = license_type([one]) == license_type([other]) == "permissive"
            if not permissive and not policy.allows(one, other):
                return f"{REASON}: {one} and {other} may not stand in one document"
    return ""


def _names(expression: str) -> list[str]:
    """Return the identifiers of an expression, without exceptions."""
    bare = re.sub(r"\bWITH\s+[^\s()]+", " ", expression)
    return [word for word in re.findall(r"[^\s()]+", bare) if word not in ("AND", "OR")]


def _forbids(expression: str) -> bool:
    return bool(CLAUSES & set(_names(expression)))


def _returns(expression: str) -> bool:
    """Return whether an expression asks for no more than permissive and copyleft licences do."""
    return set(_names(expression)) <= PERMISSIVE | COPYLEFT
