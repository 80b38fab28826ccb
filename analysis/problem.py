"""An allocation problem and its solution: tokens of languages that minimise a weighted mean of predicted losses.

Start at `Problem` and `solve`. A problem holds one or many variants of the laws (bootstrap draws), solved at once.
Where each law sees a language's own tokens only, the objective is a sum of convex functions of one language's tokens
each, and its minimum under budget, floors and caps is found exactly, where all languages that are at no limit have the
same marginal gain. Where languages gain from each other (tau), it is still convex as long as no language harms another,
and mirror descent ends with a certificate (`analysis.simplex`); with harm it is not, nor where laws read the shares of
the whole mixture, and many starts are tried.

What always holds: tokens sum to the budget and keep to floors and caps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis import simplex
from analysis.laws import Floats, Law
from analysis.laws.base import Curve

REPETITION_DECAY = 15.39
"""R*: how fast repeated tokens lose their value. Source: Muennighoff et al., arXiv 2305.16264."""
LEAST_SHARE = 1e-9
"""No language gets less than this fraction; a power law has no value at 0."""
LEAST_WORTH = 0.05
"""Harm from other languages never takes more than this leaves of a language's own and given tokens."""
LEAST_TOKENS = 1.0
"""No law is asked about less: where a language has no tokens and others harm it, there is no end to its loss."""
RANDOM_STARTS = 6
"""Beside the optimum without transfer and uniform shares, where the problem is not convex."""
_STEPS = 150
_CLOSE = 1e-12


def _nothing() -> Floats:
    return np.zeros(1)


def _no_limit() -> Floats:
    return np.full(1, np.inf)


@dataclass(frozen=True)
class Problem:
    """An allocation problem, for one or many variants of the laws at once.

    Args:
        law: The law of every language.
        symbols: Symbol to values, shape (M, K): variants by languages.
        params: N.
        budget: Tokens to divide.
        weights: Of the languages' losses, summing to 1, shape (K,).
        unique: Unique tokens of each language, infinite where not limited, shape (K,).
        max_epochs: How often the unique tokens may be drawn.
        prior: Shares to stay near to, shape (K,).
        prior_weight: Loss that one nat of divergence from the prior is worth.
        floors: Least tokens of each language, shape (K,) or (1,).
        most: Most tokens of each language beside what its supply gives, shape (K,) or (1,).
        given: Tokens that each language has from elsewhere (its halves of parallel documents), shape (K,) or (1,).
        tau: What a token of the language of a column is worth to that of a row, 0 on the diagonal, shape (M, K, K) or
            (1, K, K); None where languages gain nothing from each other.
        mixed: Where laws read the shares of the whole mixture: each language's law, bound to the languages in order.
            The names in `symbols` then begin with the place of their language, as in `0:alpha`, and values have the
            shape (M, 1).
    """

    law: Law
    symbols: Mapping[str, Floats]
    params: float
    budget: float
    weights: Floats
    unique: Floats
    max_epochs: float
    prior: Floats
    prior_weight: float = 0.0
    floors: Floats = field(default_factory=_nothing)
    most: Floats = field(default_factory=_no_limit)
    given: Floats = field(default_factory=_nothing)
    tau: Floats | None = None
    mixed: tuple[Curve, ...] = ()

    @property
    def caps(self) -> Floats:
        """Most tokens of each language, shape (K,)."""
        return np.minimum(np.minimum(self.unique * self.max_epochs, self.most), self.budget)

    @property
    def lowest(self) -> Floats:
        """Least tokens of each language, shape (K,)."""
        return np.minimum(np.maximum(LEAST_SHARE * self.budget, self.floors), self.caps)

    @property
    def decay(self) -> Floats | float:
        """R*: that of the laws where they have one, shape (M, K)."""
        return self.symbols.get("Rstar", REPETITION_DECAY)

    @property
    def convex(self) -> bool:
        """Whether the minimum found is known to be the only one."""
        return not self.mixed and (self.tau is None or bool((self.tau >= 0).all()))


def solve(problem: Problem, seed: int = 0) -> Floats:
    """Return the tokens of each language that minimise the objective, for every variant, shape (M, K).

    Args:
        problem: The problem.
        seed: Decides the random starts, where the problem is not convex.
    """
    if problem.mixed:
        return coupled(problem, evenly(problem), seed)[0]
    alone = _water_filling(replace(problem, tau=None))
    return alone if problem.tau is None else coupled(problem, alone, seed)[0]


def evenly(problem: Problem) -> Floats:
    """Return the uniform division for every variant, shape (M, K)."""
    variants = len(next(iter(problem.symbols.values())))
    return np.repeat(uniform_tokens(problem.caps, problem.budget, problem.lowest)[None], variants, axis=0)


def coupled(problem: Problem, alone: Floats, seed: int = 0) -> tuple[Floats, Floats]:
    """Return the best tokens where languages gain from each other, shape (M, K), and the gaps left, shape (M,).

    Args:
        problem: The problem, with tau or laws of mixtures.
        alone: Where to start, such as the best tokens without tau, shape (M, K).
        seed: Decides the random starts, where the problem is not convex.
    """
    variants, languages = alone.shape
    low, high = problem.lowest / problem.budget, problem.caps / problem.budget
    starts = [alone / problem.budget]
    if not problem.convex:
        rng = np.random.default_rng(seed)
        others = [np.full(languages, 1 / languages), *rng.dirichlet(np.ones(languages), size=RANDOM_STARTS)]
        starts += [np.broadcast_to(other, alone.shape) for other in others]
    variant = np.tile(np.arange(variants), len(starts))

    def objective(shares: Floats, rows: simplex.Rows) -> tuple[Floats, Floats]:
        part = _variants(problem, variant[rows])
        tokens = shares * problem.budget
        return value(part, tokens), -marginal_gain(part, tokens) * problem.budget

    found = simplex.minimise(objective, np.concatenate(starts), low, high)
    best = found.value.reshape(len(starts), variants).argmin(axis=0) * variants + np.arange(variants)
    return found.shares[best] * problem.budget, found.gap[best]


def value(problem: Problem, tokens: Floats) -> Floats:
    """Return the objective: the weighted mean loss, and what the distance from the prior costs, shape (M,).

    Args:
        problem: The problem.
        tokens: Of each language, above 0, shape (M, K) or (1, K).
    """
    total = losses(problem, tokens) @ problem.weights
    if problem.prior_weight:
        shares = tokens / problem.budget
        total = total + problem.prior_weight * (shares * np.log(shares / problem.prior)).sum(axis=1)
    return total


def _variants(problem: Problem, rows: simplex.Rows) -> Problem:
    """Return a problem with some variants of the laws, one may stand there often."""
    symbols = {name: values[rows] for name, values in problem.symbols.items()}
    tau = problem.tau
    return replace(problem, symbols=symbols, tau=tau[rows] if tau is not None and len(tau) > 1 else tau)


def _water_filling(problem: Problem) -> Floats:
    """Return the best tokens where each law sees its own language only, shape (M, K).

    The marginal gain of each language falls as its tokens grow. Two nested root searches find the common marginal gain
    at which the tokens sum to the budget, and at each marginal gain the tokens of each language that have it.

    Source: the Karush-Kuhn-Tucker conditions of a separable convex problem; Boyd and Vandenberghe, Convex Optimization
    (2004), section 5.5.3 (water-filling).
    """
    shape = next(iter(problem.symbols.values())).shape
    floor = problem.lowest
    lowest, highest = (np.broadcast_to(np.log(end), shape) for end in (floor, problem.caps))
    at_least, at_most = (marginal_gain(problem, np.exp(end)) for end in (lowest, highest))
    # Marginal gains span many orders of magnitude, and a prior makes some negative: arcsinh orders both, and makes
    # that of a power law nearly linear in the logarithm of its tokens.
    unit = max(float(np.abs(at_most).min()), 1e-300)

    def tokens_at(price: Floats) -> Floats:
        return np.exp(_root(lambda x: np.arcsinh(marginal_gain(problem, np.exp(x)) / unit) - price, lowest, highest))

    price = _root(
        lambda x: np.log(tokens_at(x).sum(axis=1, keepdims=True) / problem.budget),
        np.arcsinh(at_most.min(axis=1, keepdims=True) / unit) - 1,
        np.arcsinh(at_least.max(axis=1, keepdims=True) / unit) + 1,
    )
    return _to_budget(tokens_at(price), floor, problem.caps, problem.budget)


def _root(falling: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Return where falling functions cross zero between `low` and `high`, or the end nearer to the crossing.

    The Illinois variant of false position, with every third step a bisection, on many functions at once.

    Source: Dowell and Jarratt, BIT 11 (1971) 168-174.
    """
    low, high = low.copy(), high.copy()
    at_low, at_high = falling(low), falling(high)
    outside = (at_low <= 0) | (at_high >= 0)
    end = np.where(at_low <= 0, low, high)
    middle = (low + high) / 2
    side = np.zeros(low.shape)
    for step in range(1, _STEPS + 1):
        with np.errstate(invalid="ignore", divide="ignore"):
            middle = high - at_high * (high - low) / (at_high - at_low)
        inside = (middle > low) & (middle < high) & (step % 3 != 0)
        middle = np.where(inside, middle, (low + high) / 2)
        value = falling(middle)
        above = value > 0
        # An end that stays twice running counts for half, so that it is soon given up.
        at_high = np.where(above & (side > 0), at_high / 2, np.where(above, at_high, value))
        at_low = np.where(~above & (side < 0), at_low / 2, np.where(above, value, at_low))
        low, high = np.where(above, middle, low), np.where(above, high, middle)
        side = np.where(above, 1.0, -1.0)
        if (outside | (np.abs(value) < _CLOSE) | (high - low < _CLOSE)).all():
            break
    return np.where(outside, end, middle)


def marginal_gain(problem: Problem, tokens: Floats) -> Floats:
    """Return how much the objective falls with one more token of each language, shape (M, K).

    Args:
        problem: The problem.
        tokens: Of each language, above 0, shape (M, K).
    """
    worth, slope = effective_tokens(tokens, problem.unique, problem.decay)
    if problem.mixed:
        return _mixed_gain(problem, worth + problem.given) * slope + _prior_gain(problem, tokens)
    data, free = _data(problem, worth)
    fall = -problem.weights * problem.law.token_slope(problem.symbols, problem.params, data)
    gain = np.where(free, fall, fall * LEAST_WORTH)
    if problem.tau is not None:
        gain = gain + ((fall * free)[:, None, :] @ problem.tau)[:, 0]
    return gain * slope + _prior_gain(problem, tokens)


def _prior_gain(problem: Problem, tokens: Floats) -> Floats | float:
    """Return how much the distance from the prior falls with one more token of each language."""
    if not problem.prior_weight:
        return 0.0
    divergence = np.log(tokens / (problem.budget * problem.prior)) + 1
    return -problem.prior_weight / problem.budget * divergence


def _mixed_gain(problem: Problem, data: Floats) -> Floats:
    """Return how much the weighted loss falls with one more token of each, by laws of mixtures, shape (M, K)."""
    return -(problem.weights[:, None] * token_slopes(problem, data)).sum(axis=1)


def token_slopes(problem: Problem, data: Floats) -> Floats:
    """Return the slope of each language's loss by the tokens of each, by laws of mixtures, shape (M, K, K).

    With D = sum_j t_j and h_j = t_j / D: dL/dt_j = (dL/dh_j + D dL/dD - sum_i h_i dL/dh_i) / D.

    Args:
        problem: The problem, with laws of mixtures.
        data: Tokens of each language as the laws see them, shape (M, K).
    """
    total = data.sum(axis=1)
    shares = data / total[:, None]
    slopes: list[Floats] = []
    for place, law in enumerate(problem.mixed):
        symbols = _symbols_at(problem, place)
        by_share = law.share_slopes(symbols, problem.params, total, shares)
        by_total = total * law.token_slope(symbols, problem.params, total, shares)
        slopes.append((by_share + (by_total - (shares * by_share).sum(axis=1))[:, None]) / total[:, None])
    return np.stack(slopes, axis=1)


def _symbols_at(problem: Problem, place: int) -> dict[str, Floats]:
    """Return the symbols of one language's law of mixtures, each of shape (M,)."""
    start = f"{place}:"
    return {name.removeprefix(start): v[:, 0] for name, v in problem.symbols.items() if name.startswith(start)}


def losses(problem: Problem, tokens: Floats) -> Floats:
    """Return each language's predicted loss, shape (M, K).

    Args:
        problem: The problem.
        tokens: Of each language, above 0, shape (M, K) or (1, K).
    """
    if problem.mixed:
        data = effective_tokens(tokens, problem.unique, problem.decay)[0] + problem.given
        total = data.sum(axis=1)
        columns = [
            law.predict(_symbols_at(problem, place), problem.params, total, data / total[:, None])
            for place, law in enumerate(problem.mixed)
        ]
        return np.stack(columns, axis=1)
    return problem.law.predict(problem.symbols, problem.params, data_of(problem, tokens))


def data_of(problem: Problem, tokens: Floats) -> Floats:
    """Return the tokens that each language's law sees: own ones, given ones, and what others are worth, shape (M, K).

    Laws of mixtures see all tokens together.

    Args:
        problem: The problem.
        tokens: Of each language, above 0, shape (M, K) or (1, K).
    """
    worth = effective_tokens(tokens, problem.unique, problem.decay)[0]
    if problem.mixed:
        return np.repeat((worth + problem.given).sum(axis=1, keepdims=True), tokens.shape[1], axis=1)
    return _data(problem, worth)[0]


def _data(problem: Problem, worth: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the tokens that each law sees, and where harm has not yet reached its limit."""
    data = worth + problem.given
    if problem.tau is None:
        return data, np.ones(data.shape, dtype=bool)
    data = data + (problem.tau @ worth[:, :, None])[:, :, 0]
    least = np.maximum(LEAST_WORTH * (worth + problem.given), LEAST_TOKENS)
    return np.maximum(data, least), data > least


def effective_tokens(tokens: Floats, unique: Floats, decay: Floats | float = REPETITION_DECAY) -> tuple[Floats, Floats]:
    """Return what tokens are worth in unique tokens, and the derivative of that.

    With U unique tokens and R = D / U - 1 repetitions, D' = U + U R* (1 - exp(-R / R*)), and D' = D up to one epoch.

    Source: Muennighoff et al., arXiv 2305.16264.

    Args:
        tokens: D, shape (M, K).
        unique: U, infinite where not limited, shape (K,).
        decay: R*, one number or of the shape of D.
    """
    with np.errstate(invalid="ignore"):
        repeated = np.maximum(tokens / unique - 1, 0.0)
        slope = np.exp(-repeated / decay)
        worth = np.where(repeated > 0, unique * (1 + decay * (1 - slope)), tokens)
    return worth, slope


def uniform_tokens(caps: Floats, budget: float, floors: Floats | None = None) -> Floats:
    """Return the uniform division, shape (K,): all languages at one level, but for those at a limit.

    Args:
        caps: Most tokens of each language, shape (K,), summing to the budget or more.
        budget: Tokens to divide.
        floors: Least tokens, shape (K,), summing to the budget or less; None for none.
    """
    floors = np.zeros(len(caps)) if floors is None else floors
    levels = np.sort(np.concatenate([floors, np.minimum(caps, budget)]))
    sums = np.clip(levels[:, None], floors, caps).sum(axis=1)
    below = max(int(np.searchsorted(sums, budget, side="right")) - 1, 0)
    open_ = (caps > levels[below]) & (floors <= levels[below])
    level = levels[below] + (budget - sums[below]) / max(int(open_.sum()), 1)
    return np.clip(level, floors, caps)


def _to_budget(tokens: Floats, floor: Floats, caps: Floats, budget: float) -> Floats:
    """Return tokens that sum to the budget to the last bit that counts, by scaling those away from their limits."""
    for _ in range(4):
        open_ = (tokens > floor * (1 + 1e-9)) & (tokens < caps * (1 - 1e-12))
        open_ |= ~open_.any(axis=1, keepdims=True)
        missing = budget - tokens.sum(axis=1, keepdims=True)
        movable = np.where(open_, tokens, 0).sum(axis=1, keepdims=True)
        tokens = np.clip(np.where(open_, tokens * (1 + missing / movable), tokens), floor, caps)
    return tokens
