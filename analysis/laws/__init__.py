"""Scaling laws: which formulas there are, what their symbols mean, and how each is evaluated and differentiated.

Start at `LAWS`, `law(name)` and `law_of(fit)`. A law is one row of `LAWS`, of one of three kinds: `power` (a power of
N, one of D and a constant), `curves` (other functions of N and D) and `mixtures` (which also read the shares of sources
and are bound to their names). All have one interface, in `base`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.laws.base import UNIT, Floats, Frame, Law, Points, frame
from analysis.laws.curves import Farseer, Repetition, Skaling
from analysis.laws.mixtures import Additive, He, Interaction, Joint, Proportional, Transfer, Ye
from analysis.laws.power import Chinchilla, Monolingual, Translation, ZeroShot, ZeroShotTranslation
from quality.mistakes import BadInput, Mistake

__all__ = [
    "LAWS",
    "UNIT",
    "Floats",
    "Frame",
    "Law",
    "Points",
    "frame",
    "law",
    "law_of",
    "laws_that_need",
    "unknown_law",
    "unusable",
]

LAWS: dict[str, Law] = {
    row.name: row
    for row in (
        Chinchilla(),
        Monolingual(),
        Translation(),
        ZeroShot(),
        ZeroShotTranslation(),
        Skaling(),
        Farseer(),
        Repetition(),
        Additive(),
        Joint(),
        Interaction(),
        Transfer(),
        He(),
        Ye(),
        Proportional(),
    )
}


def law(name: str) -> Law:
    """Return a law by its name.

    Raises:
        BadInput: No such law.
    """
    if name not in LAWS:
        raise BadInput([unknown_law(name)])
    return LAWS[name]


def law_of(fit: Mapping[str, Any]) -> Law:
    """Return the law of a fit, bound to the sources that it was fitted on.

    Args:
        fit: What `analysis.fit.fit` returned.
    """
    return law(fit["law"]).bind(fit.get("sources") or (), fit.get("target"))


def laws_that_need(*allowed: str) -> tuple[str, ...]:
    """Return the names of the laws that need nothing of runs beside N, D, the loss, and what is named."""
    return tuple(name for name, row in LAWS.items() if set(row.needs) <= set(allowed))


def unusable(name: str, *allowed: str) -> str:
    """Return why a law cannot be used where runs are known by N, D and what is named, or "" where it can."""
    taken = laws_that_need(*allowed)
    if name in taken:
        return ""
    beyond = [need for need in law(name).needs if need not in allowed]
    read = {"shares": "the shares of sources", "target": "which source is the target", "unique": "unique tokens"}
    return (
        f"{name} reads {' and '.join(read[need] for need in beyond)}, which is not known here; use one of"
        f" {', '.join(taken)}"
    )


def unknown_law(name: str) -> Mistake:
    """Return the mistake of naming a law that there is not."""
    return Mistake("--law", f"{name!r} is not a law; known: {', '.join(LAWS)}")
