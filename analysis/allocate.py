"""The best division of a token budget among languages, by fitted laws, and how sure it is.

Start at `allocate`. The objective is the weighted mean over languages of each language's own predicted loss, a sum of
convex functions of one language's tokens each; so its minimum under the budget and the supplies is found exactly, where
all languages that are neither empty nor exhausted have the same marginal gain. Every bootstrap draw of the laws is
solved too, which gives the intervals.

What always holds: tokens are whole, sum to the budget and respect each supply; nothing is said without saying how sure
the laws are: shares that cannot be told apart from uniform, and predictions beyond the fitted runs, are named in
`words`.
"""

from __future__ import annotations

import json
import math
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from analysis import laws, published
from analysis.fit import LEVEL, draws_of
from analysis.laws import Floats, Law
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from training.allocation import source_mistake

PAPER = "paper"
"""Instead of fits: the published per-language laws."""
REPETITION_DECAY = 15.39
"""R*: how fast repeated tokens lose their value. Source: Muennighoff et al., arXiv 2305.16264."""
MAX_EPOCHS = 4.0
"""Up to here repeated tokens are nearly as good as new ones. Source: Muennighoff et al., arXiv 2305.16264."""
FAR = 1.05
"""Beyond this multiple of the largest run an answer extrapolates (a judgement: the multiple is said)."""
LEAST_SHARE = 1e-9
"""No language gets less than this fraction; a power law has no value at 0."""
_FIT_KEYS = ("law", "unit", "group", "estimates", "draws", "ranges")
_STEPS = 150
_CLOSE = 1e-12


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

    @property
    def caps(self) -> Floats:
        """Most tokens of each language, shape (K,)."""
        return np.minimum(self.unique * self.max_epochs, self.budget)


def allocate(
    fits: Path | str | Sequence[Mapping[str, Any]],
    *,
    tokens: float,
    params: float,
    supply: Mapping[str, float] | Path | str | None = None,
    weights: Mapping[str, float] | Path | str | None = None,
    max_epochs: float = MAX_EPOCHS,
    prior: Mapping[str, float] | Path | str | None = None,
    prior_weight: float = 0.0,
    constants: Mapping[str, Mapping[str, float]] | Path | str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Divide a token budget among languages so that their mean predicted loss is least.

    Args:
        fits: What `polymix fit --by COLUMN` printed (a file, `-` for standard input, or the values), or `paper` for the
            published per-language laws.
        tokens: The budget, training tokens.
        params: N of the model to be trained, counted as the fits counted it.
        supply: Language to unique tokens (a mapping, JSON text, or a JSON or TOML file); None: no limit, no repetition.
        weights: Language to how much its loss counts, in the same forms; the same for all by default.
        max_epochs: How often a language's unique tokens may be drawn.
        prior: `uniform`, or language to share in the same forms: shares to stay near to.
        prior_weight: Loss that one nat of Kullback-Leibler divergence from the prior is worth; 0 for no prior.
        constants: For `paper`: language to the Nc and Dc that were not published.
        seed: Decides how draws are matched where languages have different numbers of them.

    Returns:
        `shares`, `tokens`, `predicted`, `uniform_predicted`, `gain`, `intervals`, `regret`, `by_language`, `words` and
        the settings, as a JSON value that is an allocation file as it is. `predicted`, `uniform_predicted` and `gain`
        are weighted means over languages, in the fits' `unit`.

    Raises:
        BadInput: The fits or settings cannot be used, or the budget is larger than the supply.
    """
    chosen = _read_fits(fits, constants)
    languages = [str(one["group"]) for one in chosen]
    given_supply = None if supply is None else _numbers("supply", supply)
    given_weights = None if weights is None else _numbers("weights", weights)
    given_prior = None if prior is None or prior == "uniform" else _numbers("prior", prior)
    mistakes = [
        *_wrong_settings(tokens, params, max_epochs, prior_weight, prior is not None),
        *_wrong_mapping("supply", given_supply, languages, extra_allowed=True),
        *_wrong_mapping("weights", given_weights, languages),
        *_wrong_mapping("prior", given_prior, languages),
    ]
    if mistakes:
        raise BadInput(mistakes)
    law = laws.law(chosen[0]["law"])
    problem = Problem(
        law=law,
        symbols={name: np.array([[float(one["estimates"][name]) for one in chosen]]) for name in law.symbols},
        params=float(params),
        budget=float(tokens),
        weights=_normalised(given_weights, languages),
        unique=np.array([given_supply[name] if given_supply else math.inf for name in languages]),
        max_epochs=float(max_epochs),
        prior=_normalised(given_prior, languages),
        prior_weight=float(prior_weight),
    )
    _check_supply(problem, languages)
    return _answer(problem, chosen, languages, np.random.default_rng(seed), given_supply)


def solve(problem: Problem) -> Floats:
    """Return the tokens of each language that minimise the objective, for every variant, shape (M, K).

    The marginal gain of each language falls as its tokens grow. Two nested root searches find the common marginal gain
    at which the tokens sum to the budget, and at each marginal gain the tokens of each language that have it.

    Source: the Karush-Kuhn-Tucker conditions of a separable convex problem; Boyd and Vandenberghe, Convex Optimization
    (2004), section 5.5.3 (water-filling).
    """
    shape = next(iter(problem.symbols.values())).shape
    floor = np.minimum(LEAST_SHARE * problem.budget, problem.caps)
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
    effective, slope = effective_tokens(tokens, problem.unique)
    gain = -problem.weights * problem.law.token_slope(problem.symbols, problem.params, effective) * slope
    if problem.prior_weight:
        divergence = np.log(tokens / (problem.budget * problem.prior)) + 1
        gain = gain - problem.prior_weight / problem.budget * divergence
    return gain


def losses(problem: Problem, tokens: Floats) -> Floats:
    """Return each language's predicted loss, shape (M, K).

    Args:
        problem: The problem.
        tokens: Of each language, above 0, shape (M, K) or (1, K).
    """
    return problem.law.predict(problem.symbols, problem.params, effective_tokens(tokens, problem.unique)[0])


def effective_tokens(tokens: Floats, unique: Floats) -> tuple[Floats, Floats]:
    """Return what tokens are worth in unique tokens, and the derivative of that.

    With U unique tokens and R = D / U - 1 repetitions, D' = U + U R* (1 - exp(-R / R*)), and D' = D up to one epoch.

    Source: Muennighoff et al., arXiv 2305.16264.

    Args:
        tokens: D, shape (M, K).
        unique: U, infinite where not limited, shape (K,).
    """
    with np.errstate(invalid="ignore"):
        repeated = np.maximum(tokens / unique - 1, 0.0)
        decay = np.exp(-repeated / REPETITION_DECAY)
        worth = np.where(repeated > 0, unique * (1 + REPETITION_DECAY * (1 - decay)), tokens)
    return worth, decay


def uniform_tokens(caps: Floats, budget: float) -> Floats:
    """Return the tokens of the uniform division, shape (K,): what a supply cannot give goes to the others evenly.

    Args:
        caps: Most tokens of each language, shape (K,), summing to the budget or more.
        budget: Tokens to divide.
    """
    found = np.zeros(len(caps))
    left = budget
    for number, index in enumerate(np.argsort(caps, kind="stable")):
        found[index] = min(caps[index], left / (len(caps) - number))
        left -= found[index]
    return found


def _to_budget(tokens: Floats, floor: Floats, caps: Floats, budget: float) -> Floats:
    """Return tokens that sum to the budget to the last bit that counts, by scaling those away from their limits."""
    for _ in range(4):
        open_ = (tokens > floor * (1 + 1e-9)) & (tokens < caps * (1 - 1e-12))
        open_ |= ~open_.any(axis=1, keepdims=True)
        missing = budget - tokens.sum(axis=1, keepdims=True)
        movable = np.where(open_, tokens, 0).sum(axis=1, keepdims=True)
        tokens = np.clip(np.where(open_, tokens * (1 + missing / movable), tokens), floor, caps)
    return tokens


def _answer(
    problem: Problem,
    fits: Sequence[Mapping[str, Any]],
    languages: Sequence[str],
    rng: np.random.Generator,
    supply: Mapping[str, float] | None,
) -> dict[str, Any]:
    best = solve(problem)
    whole = _whole(best[0], problem)
    recommended = whole.astype(np.float64)[None]
    even = uniform_tokens(problem.caps, problem.budget)[None]
    loss, even_loss = losses(problem, recommended)[0], losses(problem, even)[0]
    predicted, uniform_predicted = (float(problem.weights @ each) for each in (loss, even_loss))
    shares = whole / whole.sum()
    result: dict[str, Any] = {
        "shares": {name: float(share) for name, share in zip(languages, shares, strict=True)},
        "tokens": {name: int(count) for name, count in zip(languages, whole, strict=True)},
        "predicted": predicted,
        "uniform_predicted": uniform_predicted,
        "gain": uniform_predicted - predicted,
        "intervals": {},
        "regret": None,
        "unit": fits[0]["unit"],
        "law": problem.law.name,
        "params": problem.params,
        "params_counted_as": fits[0].get("columns", {}).get("params"),
        "budget": int(whole.sum()),
        "weights": {name: float(weight) for name, weight in zip(languages, problem.weights, strict=True)},
        "supply": None if supply is None else {name: supply[name] for name in languages},
        "max_epochs": problem.max_epochs if supply is not None else None,
        "prior_weight": problem.prior_weight,
        "prior": {name: float(share) for name, share in zip(languages, problem.prior, strict=True)}
        if problem.prior_weight
        else None,
    }
    by_language = [
        {
            "language": name,
            "share": float(shares[k]),
            "uniform_share": float(even[0, k] / problem.budget),
            "tokens": int(whole[k]),
            "epochs": float(whole[k] / problem.unique[k]) if supply is not None else None,
            "predicted": float(loss[k]),
            "uniform_predicted": float(even_loss[k]),
        }
        for k, name in enumerate(languages)
    ]
    words = [*_words_on_fits(fits), *_words_on_range(problem, fits, languages, recommended[0])]
    if problem.prior_weight == 0 and not np.allclose(even[0], problem.budget / len(languages), rtol=1e-9):
        words.append("an even division exceeds some supplies: `uniform` stands for the nearest division that does not")
    words += [
        f"{_name(name)} is used up: {problem.max_epochs:g} epochs of it are in the mix"
        for name in _used_up(problem, whole, languages)
    ]
    drawn = _draws(problem, fits, rng)
    if problem.prior_weight:
        words.append("the prior holds the shares and their intervals together: they are not the laws' opinion alone")
    if drawn is None:
        words.append("some laws come without draws, so there are no intervals: how sure the shares are is not known")
    else:
        words += _uncertainty(result, by_language, drawn, recommended, even)
    words.append(
        "each law counts a language's own tokens only: what languages gain from each other is not in these shares"
    )
    words += [f"{name!r} is not a source that `polymix pack` knows" for name in languages if source_mistake(name)]
    return {**result, "by_language": by_language, "words": words}


def _uncertainty(
    result: dict[str, Any],
    by_language: list[dict[str, Any]],
    drawn: Problem,
    recommended: Floats,
    even: Floats,
) -> list[str]:
    """Fill in intervals and regret from the draws; return what they mean in words."""
    optimum = solve(drawn)
    shares = optimum / drawn.budget
    at_optimum, at_recommended, at_even = (
        losses(drawn, tokens) @ drawn.weights for tokens in (optimum, recommended, even)
    )
    by_draw = losses(drawn, recommended)
    gain = at_even - at_recommended
    languages = [row["language"] for row in by_language]
    result["intervals"] = {
        "shares": {name: _interval(shares[:, k]) for k, name in enumerate(languages)},
        "predicted": _interval(at_recommended),
        "uniform_predicted": _interval(at_even),
        "gain": _interval(gain),
    }
    result["regret"] = {
        name: {"mean": float(lost.mean()), "high": float(np.quantile(lost, LEVEL))}
        for name, lost in (("recommended", at_recommended - at_optimum), ("uniform", at_even - at_optimum))
    }
    verdicts = {"more than uniform": 0, "less than uniform": 0, "cannot be told apart from uniform": 0}
    for k, row in enumerate(by_language):
        low, high = row["interval"] = result["intervals"]["shares"][row["language"]]
        row["predicted_interval"] = _interval(by_draw[:, k])
        even_share = row["uniform_share"]
        verdict = (
            "more than uniform"
            if low > even_share
            else "less than uniform"
            if high < even_share
            else "cannot be told apart from uniform"
        )
        row["verdict"] = verdict
        verdicts[verdict] += 1
    words: list[str] = []
    same = [row["language"] for row in by_language if row["verdict"] == "cannot be told apart from uniform"]
    if len(same) == len(by_language):
        words.append("no language's share can be told apart from uniform: these laws do not support any other division")
    elif same:
        words.append(f"cannot be told apart from uniform: {_names(same)}")
    better = float((gain > 0).mean())
    low, high = result["intervals"]["gain"]
    if low <= 0 <= high:
        words.append(
            f"whether this beats uniform is open: it saves {low:.3g} to {high:.3g} {result['unit']} (95% interval),"
            f" more than nothing in {better:.0%} of the draws"
        )
    else:
        words.append(f"better than uniform in {better:.0%} of the draws, by {low:.3g} to {high:.3g} {result['unit']}")
    widths = [row["interval"][1] - row["interval"][0] for row in by_language]
    if np.median(widths) > 1 / len(by_language):
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


def _interval(values: Floats) -> list[float]:
    return [float(end) for end in np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])]


def _draws(problem: Problem, fits: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> Problem | None:
    """Return the problem under every joint draw of the laws, or None where a law has no draws.

    Languages were resampled independently, so any matching of their draws is one; shorter lists are drawn from again.
    """
    counts = [len(one["draws"]) for one in fits]
    if not all(counts):
        return None
    most = max(counts)
    rows = [np.arange(most) if count == most else rng.integers(0, count, size=most) for count in counts]
    columns = [draws_of(one) for one in fits]
    symbols = {
        name: np.stack([column[name][row] for column, row in zip(columns, rows, strict=True)], axis=1)
        for name in problem.law.symbols
    }
    return replace(problem, symbols=symbols)


def _whole(tokens: Floats, problem: Problem) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Round to whole tokens with the budget's sum, largest remainders first, within the caps."""
    budget = int(problem.budget)
    down = np.floor(tokens).astype(np.int64)
    order = np.argsort(-(tokens - down), kind="stable")
    left = budget - int(down.sum())
    while left > 0:
        before = left
        for index in order:
            if left > 0 and down[index] + 1 <= problem.caps[index]:
                down[index] += 1
                left -= 1
        if left == before:
            break
    return down


def _used_up(problem: Problem, whole: Any, languages: Sequence[str]) -> list[str]:
    limited = problem.unique * problem.max_epochs
    return [name for k, name in enumerate(languages) if whole[k] >= limited[k] - 1]


def _words_on_fits(fits: Sequence[Mapping[str, Any]]) -> list[str]:
    words: list[str] = []
    open_ = [f"{_name(one['group'])} ({', '.join(one['unidentified'])})" for one in fits if one.get("unidentified")]
    if open_:
        words.append(f"the runs do not determine these parameters of the laws: {'; '.join(open_)}")
    failed = [str(one["group"]) for one in fits if one.get("converged") is False]
    if failed:
        words.append(f"the {'fit' if len(failed) == 1 else 'fits'} of {_names(failed)} did not converge")
    held = [one["heldout"]["mean_relative_error"] for one in fits if one.get("heldout")]
    if held:
        words.append(
            f"fitted without the largest runs, the laws miss those by {max(held):.1%} on average in the worst language"
        )
    return words


def _words_on_range(
    problem: Problem, fits: Sequence[Mapping[str, Any]], languages: Sequence[str], tokens: Floats
) -> list[str]:
    words: list[str] = []
    ends = [one["ranges"]["params"] for one in fits]
    smallest, largest = min(end[0] for end in ends), max(end[1] for end in ends)
    asked = f"{problem.params:,.0f} parameters are"
    if problem.params > FAR * largest:
        words.append(f"extrapolating in N: {asked} {problem.params / largest:.3g} times the largest model fitted")
    elif problem.params * FAR < smallest:
        words.append(f"extrapolating in N: {asked} below the smallest model fitted, {smallest:,.0f}")
    effective = effective_tokens(tokens, problem.unique)[0]
    beyond = [
        f"{_name(name)} {effective[k] / fits[k]['ranges']['tokens'][1]:.3g} times"
        for k, name in enumerate(languages)
        if effective[k] > FAR * fits[k]["ranges"]["tokens"][1]
    ]
    if beyond:
        words.append(f"extrapolating in D, beyond the longest run fitted: {', '.join(beyond)}")
    below = [name for k, name in enumerate(languages) if effective[k] * FAR < fits[k]["ranges"]["tokens"][0]]
    if below:
        words.append(f"extrapolating in D, below the shortest run fitted: {_names(below)}")
    return words


def _name(language: object) -> str:
    """Return the name people read for a language, or for any other group as it is."""
    row = LANGUAGES.get(str(language))
    return row.name if row else str(language)


def _names(languages: Sequence[object]) -> str:
    return ", ".join(map(_name, languages))


def _check_supply(problem: Problem, languages: Sequence[str]) -> None:
    available = float((problem.unique * problem.max_epochs).sum())
    if available >= problem.budget:
        return
    each = ", ".join(f"{name} {count:.6g}" for name, count in zip(languages, problem.unique, strict=True))
    bad_input(
        "supply",
        f"{problem.max_epochs:g} epochs of all languages are {available:.6g} tokens, {problem.budget - available:.6g}"
        f" fewer than the {problem.budget:.6g} asked for ({each}); lower --tokens to {available:.6g}, raise"
        f" --max-epochs to {problem.budget / float(problem.unique.sum()):.3g}, or add text",
    )


def _wrong_settings(
    tokens: float, params: float, max_epochs: float, prior_weight: float, has_prior: bool
) -> list[Mistake]:
    mistakes = [
        Mistake(f"--{name}", f"{value!r} is not a finite number above 0")
        for name, value in (("tokens", tokens), ("params", params), ("max-epochs", max_epochs))
        if not (math.isfinite(value) and value > 0)
    ]
    if not mistakes and tokens < 1:
        mistakes.append(Mistake("--tokens", f"{tokens!r} is less than one token"))
    if not (math.isfinite(prior_weight) and prior_weight >= 0):
        mistakes.append(Mistake("--prior-weight", f"{prior_weight!r} is not a finite number, 0 or more"))
    elif has_prior and prior_weight == 0:
        mistakes.append(Mistake("--prior", "has no effect without --prior-weight above 0; start with 0.01"))
    elif prior_weight and not has_prior:
        mistakes.append(Mistake("--prior-weight", "needs --prior: `uniform`, or a share for each language"))
    return mistakes


def _wrong_mapping(
    name: str, given: Mapping[str, float] | None, languages: Sequence[str], *, extra_allowed: bool = False
) -> list[Mistake]:
    if given is None:
        return []
    mistakes = [
        Mistake(f"{name}.{key}", f"{value!r} is not a finite number above 0")
        for key, value in given.items()
        if not (math.isfinite(value) and value > 0)
    ]
    mistakes += [
        Mistake(f"{name}.{key}", f"missing; the fits are of {', '.join(languages)}")
        for key in languages
        if key not in given
    ]
    if not extra_allowed:
        mistakes += [
            Mistake(f"{name}.{key}", f"has no fit; the fits are of {', '.join(languages)}")
            for key in given
            if key not in languages
        ]
    return mistakes


def _normalised(given: Mapping[str, float] | None, languages: Sequence[str]) -> Floats:
    values = np.array([given[name] if given else 1.0 for name in languages], dtype=np.float64)
    return values / values.sum()


def _read_fits(
    fits: Path | str | Sequence[Mapping[str, Any]],
    constants: Mapping[str, Mapping[str, float]] | Path | str | None,
) -> list[Mapping[str, Any]]:
    if isinstance(fits, str) and fits == PAPER:
        return list(published.language_fits(_constants(constants)))
    if constants is not None:
        bad_input("--constant", f"is for the published laws only; name {PAPER!r} instead of fits")
    name = "fits"
    if isinstance(fits, str | Path):
        name = "standard input" if str(fits) == "-" else str(fits)
        fits = _lines(fits, name)
    found = list(fits)
    mistakes = [mistake for number, one in enumerate(found, 1) for mistake in _wrong_fit(f"{name}: line {number}", one)]
    if not found:
        mistakes.append(Mistake(name, "holds no fits; make them with `polymix fit RUNS --by language`"))
    if mistakes:
        raise BadInput(mistakes)
    mistakes = [
        Mistake(
            f"{name}: {key}", f"differs between the fits ({', '.join(sorted(values))}); fit all groups the same way"
        )
        for key, values in (
            ("law", {str(one["law"]) for one in found}),
            ("unit", {str(one["unit"]) for one in found}),
            ("columns.params", {str(one.get("columns", {}).get("params")) for one in found}),
        )
        if len(values) > 1
    ]
    groups = [one["group"] for one in found]
    if None in groups or len(found) < 2:
        mistakes.append(
            Mistake(name, "an allocation needs a fit for each of two or more groups; use `polymix fit --by language`")
        )
    mistakes += [
        Mistake(name, f"has {groups.count(group)} fits of {group!r}; keep one")
        for group in sorted(set(map(str, groups)))
        if groups.count(group) > 1
    ]
    if mistakes:
        raise BadInput(mistakes)
    return found


def _lines(path: Path | str, name: str) -> list[Mapping[str, Any]]:
    if str(path) == "-":
        text = sys.stdin.read()
    else:
        place = Path(path) / "fits.jsonl" if Path(path).is_dir() else Path(path)
        if not place.is_file():
            bad_input(place, f"no such file; give what `polymix fit --by language` printed, `-`, or {PAPER!r}")
        try:
            text = place.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            bad_input(place, "is not text; give what `polymix fit --by language` printed, one JSON object a line")
    found: list[Mapping[str, Any]] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            mistakes.append(Mistake(f"{name}: line {number}", f"not JSON ({error}); one fit a line is expected"))
    if mistakes and not found:
        bad_input(name, "not what `polymix fit --by language` prints; a table of runs goes through `polymix fit` first")
    if mistakes:
        raise BadInput(mistakes)
    return found


def _wrong_fit(where: str, one: Any) -> list[Mistake]:
    """Return what is wrong with one fit as read from a file."""
    if not isinstance(one, Mapping):
        return [Mistake(where, "not a JSON object; one fit a line is expected")]
    fit = cast(Mapping[str, Any], one)
    missing = [key for key in _FIT_KEYS if key not in fit]
    if missing:
        return [Mistake(where, f"has no {', '.join(missing)}: not a line that `polymix fit` printed")]
    if fit["law"] not in laws.LAWS:
        return [Mistake(f"{where}: law", f"{fit['law']!r} is not known; known: {', '.join(laws.LAWS)}")]
    broken = [
        key
        for key, kind in (("estimates", Mapping), ("draws", list), ("ranges", Mapping))
        if not isinstance(fit[key], kind)
    ]
    if broken or not all(isinstance(draw, Mapping) for draw in fit["draws"]):
        return [Mistake(where, f"{', '.join(broken) or 'draws'} has another form than `polymix fit` prints")]
    symbols = laws.LAWS[fit["law"]].symbols
    mistakes = [
        Mistake(f"{where}: {label}.{name}", f"{values.get(name)!r} is not a finite number above 0")
        for label, values in [
            ("estimates", fit["estimates"]),
            *((f"draws[{i}]", d) for i, d in enumerate(fit["draws"])),
        ]
        for name in symbols
        if not _positive(values.get(name))
    ]
    for axis in ("params", "tokens"):
        ends = fit["ranges"].get(axis)
        if not (
            isinstance(ends, list) and len(cast(list[Any], ends)) == 2 and all(map(_positive, cast(list[Any], ends)))
        ):
            mistakes.append(Mistake(f"{where}: ranges.{axis}", f"{ends!r} is not [smallest, largest]"))
    return mistakes


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _numbers(name: str, given: Mapping[str, float] | Path | str) -> dict[str, float]:
    """Read a mapping of names to numbers from a mapping, JSON text, or a JSON or TOML file."""
    value = dict(given) if isinstance(given, Mapping) else _structure(name, given)
    wrong = [
        Mistake(f"{name}.{key}", f"{number!r} is not a number")
        for key, number in value.items()
        if isinstance(number, bool) or not isinstance(number, int | float)
    ]
    if wrong:
        raise BadInput(wrong)
    return {key: float(number) for key, number in value.items()}


def _constants(given: Mapping[str, Mapping[str, float]] | Path | str | None) -> dict[str, dict[str, float]]:
    if given is None:
        return {}
    value: Mapping[str, Any] = given if isinstance(given, Mapping) else _structure("constants", given)
    wrong = [
        Mistake(f"constants.{key}", f"{inner!r} is not a table of Nc and Dc")
        for key, inner in value.items()
        if not isinstance(inner, Mapping)
    ]
    if wrong:
        raise BadInput(wrong)
    return {key: _numbers(f"constants.{key}", inner) for key, inner in value.items()}


def _structure(name: str, given: Path | str) -> dict[str, Any]:
    text, where = str(given), f"--{name}"
    try:
        if not text.lstrip().startswith("{"):
            path = Path(given)
            where = str(path)
            if not path.is_file():
                bad_input(where, f"no such file; --{name} takes JSON text such as '{{\"python\": 1e9}}', or a file")
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".toml":
                return tomllib.loads(text)
        value = json.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        bad_input(where, f"cannot be read as {'TOML' if where.endswith('.toml') else 'JSON'}: {error}")
    if not isinstance(value, dict):
        bad_input(where, 'an object such as {"python": 1e9, "go": 2e9} is expected')
    return cast(dict[str, Any], value)
