"""What an allocation has to say of itself in words: how sure it is, where it extrapolates, what it leaves out.

Start at `words_on_fits` and `words_on_draws`. What always holds: a sentence stands without its table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.laws import Floats
from analysis.problem import Problem, data_of
from quality.languages import LANGUAGES

FAR = 1.05
"""Beyond this multiple of the largest run an answer extrapolates (a judgement: the multiple is said)."""
MORE, LESS, SAME = "more than uniform", "less than uniform", "cannot be told apart from uniform"
FIXED = "fixed"
LEAST_OWN = 0.05
"""A language whose law sees less than this part of own tokens lives on others', where tau was never fitted
(`analysis.transfer.LEAST_SHARE`)."""


def words_on_fits(fits: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what is wrong with the laws: not determined, not converged, far off on runs left out."""
    words: list[str] = []
    open_ = [f"{name_of(one['group'])} ({', '.join(one['unidentified'])})" for one in fits if one.get("unidentified")]
    if open_:
        words.append(f"the runs do not determine these parameters of the laws: {'; '.join(open_)}")
    failed = [str(one["group"]) for one in fits if one.get("converged") is False]
    if failed:
        words.append(f"the {'fit' if len(failed) == 1 else 'fits'} of {names_of(failed)} did not converge")
    held = [one["heldout"]["mean_relative_error"] for one in fits if one.get("heldout")]
    if held:
        words.append(
            f"fitted without the largest runs, the laws miss those by {max(held):.1%} on average in the worst language"
        )
    return words


def words_on_range(
    problem: Problem, fits: Sequence[Mapping[str, Any]], languages: Sequence[str], tokens: Floats
) -> list[str]:
    """Say where an allocation lies beyond the runs that the laws were fitted to.

    Args:
        problem: The problem, one variant.
        fits: The laws.
        languages: Their languages.
        tokens: The allocation, shape (K,).
    """
    words: list[str] = []
    ends = [one["ranges"]["params"] for one in fits]
    smallest, largest = min(end[0] for end in ends), max(end[1] for end in ends)
    asked = f"{problem.params:,.0f} parameters are"
    if problem.params > FAR * largest:
        words.append(f"extrapolating in N: {asked} {problem.params / largest:.3g} times the largest model fitted")
    elif problem.params * FAR < smallest:
        words.append(f"extrapolating in N: {asked} below the smallest model fitted, {smallest:,.0f}")
    effective = data_of(problem, tokens[None])[0]
    beyond = [
        f"{name_of(name)} {effective[k] / fits[k]['ranges']['tokens'][1]:.3g} times"
        for k, name in enumerate(languages)
        if effective[k] > FAR * fits[k]["ranges"]["tokens"][1]
    ]
    if beyond:
        words.append(f"extrapolating in D, beyond the longest run fitted: {', '.join(beyond)}")
    below = [name for k, name in enumerate(languages) if effective[k] * FAR < fits[k]["ranges"]["tokens"][0]]
    if below:
        words.append(f"extrapolating in D, below the shortest run fitted: {names_of(below)}")
    return words


def name_of(language: object) -> str:
    """Return the name people read for a language, or for any other group as it is."""
    row = LANGUAGES.get(str(language))
    return row.name if row else str(language)


def names_of(languages: Sequence[object]) -> str:
    """Return the names of several."""
    return ", ".join(map(name_of, languages))


def words_on_draws(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], better: float) -> list[str]:
    """Say what the draws of the laws mean for the shares and for the gain over uniform.

    Args:
        result: The answer with intervals and regret.
        rows: One a language, with `interval` and `verdict`.
        better: In which fraction of the draws the shares beat uniform.
    """
    words: list[str] = []
    free = [row for row in rows if row["verdict"] != FIXED]
    same = [row["language"] for row in free if row["verdict"] == SAME]
    if free and len(same) == len(free):
        words.append("no language's share can be told apart from uniform: these laws do not support any other division")
    elif same:
        words.append(f"cannot be told apart from uniform: {names_of(same)}")
    tied = [row["pair"] for row in result["comparisons"] if row["verdict"] == "cannot be told apart"]
    if tied and len(same) < len(free):
        shown = "; ".join(f"{name_of(a)} and {name_of(b)}" for a, b in tied)
        words.append(f"shares that cannot be told apart from each other: {shown}")
    low, high = result["intervals"]["gain"]
    if low <= 0 <= high:
        words.append(
            f"whether this beats uniform is open: it saves {low:.3g} to {high:.3g} {result['unit']} (95% interval),"
            f" more than nothing in {better:.0%} of the draws"
        )
    else:
        words.append(f"better than uniform in {better:.0%} of the draws, by {low:.3g} to {high:.3g} {result['unit']}")
    widths = [row["interval"][1] - row["interval"][0] for row in free]
    if widths and np.median(widths) > 1 / len(rows):
        words.append(
            "the intervals of the shares are wide, wider than an even share itself: more or larger runs are needed"
        )
    lost = result["regret"]
    if lost["recommended"]["mean"] > lost["uniform"]["mean"]:
        words.append(
            f"averaged over the draws uniform loses less ({lost['uniform']['mean']:.3g}) than these shares"
            f" ({lost['recommended']['mean']:.3g}): prefer it, or stay near it with --prior uniform --prior-weight"
        )
    return words


def words_on_other_laws(verdicts: Sequence[Mapping[str, Any]], unit: str) -> list[str]:
    """Say what other laws, fitted to the same runs, make of the allocation."""
    words: list[str] = []
    for one in verdicts:
        side = "better" if one["gain"] > 0 else "worse"
        words.append(
            f"if {one['law']} is the true law, these shares are {side} than uniform by {abs(one['gain']):.3g} {unit}"
            f" and lose {one['regret']:.3g} to its own best"
        )
    return words


def words_on_borrowed(languages: Sequence[str]) -> list[str]:
    """Say which languages get next to nothing of their own because others are said to replace it."""
    if not languages:
        return []
    return [
        f"{names_of(languages)} would live on the tokens of other languages, where no run was made and tau is"
        " extrapolated: do not act on it; set a floor with --floors, or run such mixtures first"
    ]


def words_on_transfer(pairs: int, open_pairs: int, harm: int, drawn: bool) -> list[str]:
    """Say how gains between languages enter.

    Args:
        pairs: Ordered pairs of languages.
        open_pairs: How many of them have no tau.
        harm: How many have a tau below 0.
        drawn: Whether tau comes with draws.
    """
    words = [f"what languages gain from each other enters by tau, known for {pairs - open_pairs} of {pairs} pairs"]
    if open_pairs:
        words[0] += "; the others count as none"
    if harm:
        are = "tau is" if harm == 1 else "tau are"
        words.append(f"{harm} {are} below 0, so the best shares were searched from many starts")
    if not drawn:
        words.append("tau comes without draws and is taken as exact: the intervals are too narrow")
    return words
