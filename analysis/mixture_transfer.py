"""What languages gain from each other, read off fitted laws of mixtures.

Start at `local_tau`. A law of language i's loss under tokens t_1 ... t_K has a slope by each: -dL_i/dt_j is what the
next token of language j saves language i, and tau_ij = (dL_i/dt_j) / (dL_i/dt_i) is what that is worth in its own ones.
Where the law is one of effective data, D_i + sum_j tau_ij D_j, this is its tau; elsewhere it holds at one point only.
What always holds: a law that cannot tell one auxiliary from another, or more tokens from the same ones mixed otherwise,
is refused with the reason; where own tokens do not help, there is no tau.

Source: tau is that of ATLAS, arXiv 2510.22037, as a marginal rate of substitution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from analysis import laws
from analysis.allocation_inputs import drawn_symbols, estimated_symbols, mixture_laws, object_of, shares_of
from analysis.allocation_words import names_of
from analysis.fit import tails_of
from analysis.laws import Floats, Law
from analysis.problem import Problem, token_slopes
from analysis.significance import false_discoveries
from quality.mistakes import Mistake, Mistakes, bad_input

STEP = 0.01
"""Gains are those of so much of the tokens more."""
UNHELPED = 0.05
"""Where own tokens do not help under more than this part of the draws, the ratio has no interval: tau is not told."""


@dataclass(frozen=True)
class Point:
    """Where slopes are taken.

    Args:
        params: N.
        tokens: D, of all languages.
        shares: Language to fraction, all above 0.
    """

    params: float
    tokens: float
    shares: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return the point as `polymix transfer --at` takes it."""
        return {"params": self.params, "tokens": self.tokens, "shares": dict(self.shares)}


def read_point(given: Mapping[str, Any] | Path | str | None, fits: Sequence[Mapping[str, Any]]) -> Point:
    """Read where slopes are to be taken.

    Args:
        given: `params`, `tokens` and `shares`, each of which may be left out (a mapping, JSON text, or a file): the
            largest N and D that were fitted, and even shares.
        fits: One a language.

    Raises:
        BadInput: A number is not above 0, or shares are missing or do not sum to 1; all are named.
    """
    languages = [str(one["group"]) for one in fits]
    value: Mapping[str, Any] = {} if given is None else object_of("at", given)
    told = Mistakes()
    told.add(
        [
            Mistake(f"at.{name}", "is no part of a point; it has params, tokens and shares")
            for name in value
            if name not in ("params", "tokens", "shares")
        ]
    )
    numbers: dict[str, float] = {}
    for name in ("params", "tokens"):
        number = value.get(name, max(one["ranges"][name][1] for one in fits))
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
            told.add([Mistake(f"at.{name}", f"{number!r} is not a finite number above 0")])
            continue
        numbers[name] = float(number)
    shares = dict.fromkeys(languages, 1 / len(languages))
    if "shares" in value:
        with told.noted():
            shares = shares_of("at.shares", object_of("at", value["shares"]), languages)
            told.add(
                [
                    Mistake(f"at.shares.{name}", "missing or 0: what a token is worth is told beside tokens of each")
                    for name in languages
                    if not shares.get(name)
                ]
            )
    told.tell()
    return Point(numbers["params"], numbers["tokens"], {name: shares[name] for name in languages})


def without_tau(law: Law) -> str:
    """Return why a law of mixtures, bound to its sources, says nothing of tau, or "" where it does."""
    use = "fit `transfer`, `interaction`, `additive` or `joint` instead"
    if not law.reads_size:
        return (
            f"{law.name} has no D: in it a token of one language only takes the place of others, so that it cannot say"
            f" what more tokens are worth; {use}"
        )
    target = getattr(law, "target", None)
    if not any(name.partition(".")[2] not in ("", target) for name in law.symbols):
        return (
            f"{law.name} reads the target's own share only: all other languages are the same to it, so that it cannot"
            f" say which of them helps; {use}"
        )
    return ""


def local_tau(fits: Sequence[Mapping[str, Any]], point: Point) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what a token of each language is worth to each other one at a point, and words.

    Args:
        fits: A fit of a law of mixtures for the loss of each language, bound to the same sources.
        point: Where.

    Returns:
        Rows `target, auxiliary, tau, interval, p, q, runs, identified, draws, gain, gain_interval`: gain is the loss of
        the target that `STEP` of the tokens more, all of the auxiliary, would save.

    Raises:
        BadInput: The law says nothing of tau.
    """
    if why := without_tau(laws.law_of(fits[0])):
        bad_input("--fits", why)
    languages = [str(one["group"]) for one in fits]
    count = min(len(one["draws"]) for one in fits)
    blank = np.ones(len(languages))
    problem = Problem(
        laws.law(fits[0]["law"]),
        estimated_symbols(fits),
        point.params,
        point.tokens,
        blank / len(languages),
        np.full(len(languages), np.inf),
        1.0,
        blank / len(languages),
        mixed=mixture_laws(fits),
    )
    tokens = point.tokens * np.array([[point.shares[name] for name in languages]])
    best = token_slopes(problem, tokens)[0]
    drawn = np.zeros((0, *best.shape))
    if count:
        rows_of = [np.arange(count)] * len(fits)
        drawn = token_slopes(replace(problem, symbols=drawn_symbols(fits, rows_of)), np.repeat(tokens, count, axis=0))
    rows = [
        _row(fits[i], languages[i], languages[j], best[i, [i, j]], drawn[:, i][:, [i, j]], STEP * point.tokens)
        for i in range(len(languages))
        for j in range(len(languages))
        if i != j
    ]
    tested = [row for row in rows if row["p"] is not None]
    for row, q in zip(tested, false_discoveries([row["p"] for row in tested]), strict=True):
        row["q"] = float(q)
    return rows, _words(rows, fits[0], point, count)


def _row(
    fit: Mapping[str, Any], target: str, auxiliary: str, slopes: Floats, drawn: Floats, step: float
) -> dict[str, Any]:
    """Return a row from the slopes by own and by the auxiliary's tokens, shape (2,), and those of draws, (B, 2)."""
    law = laws.law_of(fit)
    helped = bool(slopes[0] < 0) and bool((drawn[:, 0] < 0).mean() >= 1 - UNHELPED if len(drawn) else True)
    row: dict[str, Any] = {
        "target": target,
        "auxiliary": auxiliary,
        "tau": float(slopes[1] / slopes[0]) if helped else None,
        "interval": None,
        "p": None,
        "q": None,
        "runs": cast(int | None, fit.get("n_runs")),
        "identified": helped,
        "draws": [],
        "gain": float(-slopes[1] * step),
        "gain_interval": None,
    }
    if len(drawn):
        row["gain_interval"] = _interval(-drawn[:, 1] * step, fit)
    if helped and len(drawn):
        # Draws in which own tokens do not help are at most a few: they count as the most extreme on either side.
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(drawn[:, 0] < 0, drawn[:, 1] / drawn[:, 0], np.nan)
        some = ratios[np.isfinite(ratios)]
        row["interval"], row["draws"] = _interval(some, fit), some.tolist()
        own = f"tau.{auxiliary}"
        if own not in law.symbols or own in law.signed:
            missing = len(ratios) - len(some)
            tail = min(int((some <= 0).sum()), int((some >= 0).sum())) + missing
            row["p"] = min(1.0, 2 * (tail + 1) / (len(ratios) + 1))
    return row


def _interval(values: Floats, fit: Mapping[str, Any]) -> list[float]:
    return [float(end) for end in np.quantile(values, tails_of([fit]))]


def _words(rows: Sequence[Mapping[str, Any]], fit: Mapping[str, Any], point: Point, draws: int) -> list[str]:
    law = laws.law_of(fit)
    effective = any(name.startswith("tau.") for name in law.symbols)
    where = f"N = {point.params:.3g}, D = {point.tokens:.3g}, shares " + ", ".join(
        f"{name} {share:.2g}" for name, share in point.shares.items()
    )
    words = [
        f"tau is that of {law.name} itself, and the same at every point"
        if effective
        else f"tau by {law.name} is the ratio of two slopes at one point ({where}), and another one elsewhere: name it"
        " with --at"
    ]
    if effective and not any(name in law.signed for name in law.symbols if name.startswith("tau.")):
        words.append(f"{law.name} knows gains only (tau above 0): an interval near 0 is what no gain looks like, no p")
    beyond = [
        name
        for name, value in (("params", point.params), ("tokens", point.tokens))
        if not fit["ranges"][name][0] * 0.99 <= value <= fit["ranges"][name][1] * 1.01
    ]
    if beyond:
        words.append(f"the point lies beyond the fitted runs in {' and '.join(beyond)}")
    unhelped = sorted({str(row["target"]) for row in rows if not row["identified"]})
    if unhelped:
        words.append(f"no tau for {names_of(unhelped)}: there its own tokens do not surely help under the law")
    if not draws:
        words.append("the laws come without draws, so tau has no intervals; fit with --bootstrap 200")
    return words
