"""What an allocation may not touch: fixed shares, floors, parallel documents, texts, and what each supply can give.

Start at `limits`. What always holds: limits that no allocation can keep are refused with what would do; a token of a
parallel document counts as half a token to each of its two languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.laws import Floats
from analysis.problem import effective_tokens
from quality.mistakes import BadInput, Mistake
from training.allocation import source_mistake

PAIR, TEXT = "pair:", "text:"


@dataclass(frozen=True)
class Limits:
    """What is settled before anything is divided.

    Args:
        beside: Tokens of each source of parallel documents and of natural language, whole.
        budget: Tokens left to divide among languages.
        floors: Least tokens of each language, shape (K,).
        most: Most tokens of each language, infinite where free, shape (K,).
        given: Tokens that each language has from parallel documents, what they are worth, shape (K,).
        fixed: Which languages are fixed, in order.
    """

    beside: Mapping[str, int]
    budget: float
    floors: Floats
    most: Floats
    given: Floats
    fixed: tuple[bool, ...]


def limits(
    languages: Sequence[str],
    tokens: float,
    *,
    fixed: Mapping[str, float],
    floors: Mapping[str, float],
    parallel_share: float,
    supply: Mapping[str, float] | None,
    max_epochs: float,
) -> Limits:
    """Return the limits of an allocation.

    Args:
        languages: Of the laws, in order.
        tokens: The whole budget.
        fixed: Share of the whole budget of languages, sources of parallel documents and texts.
        floors: Least share of languages.
        parallel_share: Share of all parallel documents together, spread over the pairs in `supply` by their tokens.
        supply: Unique tokens by source, or None.
        max_epochs: How often they may be drawn.

    Raises:
        BadInput: A source is not known, or no allocation keeps to all of this.
    """
    mistakes = wrong_shares(languages, fixed, floors)
    pairs = {source: share for source, share in fixed.items() if source.startswith(PAIR)}
    known = {source: count for source, count in (supply or {}).items() if source.startswith(PAIR)}
    if not (np.isfinite(parallel_share) and 0 <= parallel_share < 1):
        mistakes.append(Mistake("--parallel-share", f"{parallel_share!r} is not a fraction from 0 to below 1"))
    elif parallel_share and pairs:
        mistakes.append(Mistake("--parallel-share", "the pairs are fixed one by one already; give one of the two"))
    elif parallel_share and not known:
        mistakes.append(Mistake("--parallel-share", "needs --supply with sources such as pair:python-go"))
    elif parallel_share:
        pairs = {source: parallel_share * count / sum(known.values()) for source, count in known.items()}
    mistakes += [
        Mistake(f"fixed.{source}", f"{share * tokens:.6g} tokens are more than {max_epochs:g} epochs of its supply")
        for source, share in fixed.items()
        if supply and source in supply and share * tokens > supply[source] * max_epochs * (1 + 1e-9)
    ]
    if parallel_share and not mistakes:
        mistakes += [
            Mistake("--parallel-share", f"{share * tokens:.6g} tokens of {source} are more than {max_epochs:g} epochs")
            for source, share in pairs.items()
            if share * tokens > known[source] * max_epochs * (1 + 1e-9)
        ]
    texts = {source: share for source, share in fixed.items() if source.startswith(TEXT)}
    held = sum(pairs.values()) + sum(texts.values()) + sum(fixed.get(name, floors.get(name, 0.0)) for name in languages)
    if held > 1 + 1e-9:
        mistakes.append(
            Mistake("fixed, floors", f"together they are {held:.4g} of the budget, which leaves less than none")
        )
    if not mistakes and all(name in fixed for name in languages) and abs(held - 1) > 1e-6:
        mistakes.append(Mistake("fixed", f"every language is fixed, but together they are {held:.6g}; leave one free"))
    if mistakes:
        raise BadInput(mistakes)
    whole = {source: round(share * tokens) for source, share in {**pairs, **texts}.items()}
    given = np.zeros(len(languages))
    for source, count in whole.items():
        if source in texts:
            continue  # laws of code say nothing of what it is worth
        worth = effective_tokens(np.array([float(count)]), np.array([known.get(source, np.inf)]))[0][0]
        for side in source.removeprefix(PAIR).split("-"):
            given[languages.index(side)] += worth / 2
    budget = float(tokens) - sum(whole.values())
    fixed_tokens = np.array([fixed.get(name, np.nan) * tokens for name in languages])
    free = np.isnan(fixed_tokens)
    if not free.any():
        fixed_tokens *= budget / fixed_tokens.sum()
    least = np.array([floors.get(name, 0.0) * tokens for name in languages])
    return Limits(
        whole,
        budget,
        np.where(free, least, fixed_tokens),
        np.where(free, np.inf, fixed_tokens),
        given,
        tuple(not bool(one) for one in free),
    )


def wrong_shares(languages: Sequence[str], fixed: Mapping[str, float], floors: Mapping[str, float]) -> list[Mistake]:
    """Return what is wrong with single shares: no fractions, of no source, or given twice."""
    mistakes = [
        Mistake(f"{name}.{source}", f"{share!r} is not a fraction between 0 and 1")
        for name, shares in (("fixed", fixed), ("floors", floors))
        for source, share in shares.items()
        if not (np.isfinite(share) and 0 < share < 1)
    ]
    known = ", ".join(languages)
    for source in fixed:
        if source.startswith(PAIR):
            sides = source.removeprefix(PAIR).split("-")
            if source_mistake(source) or any(side not in languages for side in sides):
                mistakes.append(Mistake(f"fixed.{source}", f"is not a pair of two of {known}"))
        elif source.startswith(TEXT):
            if reason := source_mistake(source):
                mistakes.append(Mistake(f"fixed.{source}", reason))
        elif source not in languages:
            mistakes.append(Mistake(f"fixed.{source}", f"has no fit; the fits are of {known}"))
    mistakes += [
        Mistake(f"floors.{name}", f"has no fit; the fits are of {known}") for name in floors if name not in languages
    ]
    mistakes += [Mistake(f"floors.{name}", "is fixed as well; give one of the two") for name in floors if name in fixed]
    return mistakes
