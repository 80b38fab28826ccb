"""The best division of a token budget among languages, by fitted laws, and how sure it is.

Start at `allocate`; `analysis.problem` holds the problem and its solver. The objective is the weighted mean over
languages of each language's own predicted loss. Every bootstrap draw of the laws is solved too, which gives the
intervals; other laws, fitted to the same runs, are asked what they make of the same allocation.

What always holds: tokens are whole, sum to the budget and respect each supply; nothing is said without saying how sure
the laws are: shares that cannot be told apart from uniform or from each other, and predictions beyond the fitted runs,
are named in `words`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from analysis import laws
from analysis.allocation_inputs import (
    LAWS_MAY_NEED,
    Transfer,
    drawn_symbols,
    estimated_symbols,
    mixture_laws,
    normalised,
    numbers,
    read_fits,
    read_transfer,
    wrong_mapping,
    wrong_settings,
    wrong_stages,
)
from analysis.allocation_limits import PAIR, TEXT, Limits, limits, wrong_shares
from analysis.allocation_words import (
    FIXED,
    LEAST_OWN,
    LESS,
    MORE,
    SAME,
    name_of,
    words_on_borrowed,
    words_on_draws,
    words_on_fits,
    words_on_other_laws,
    words_on_range,
    words_on_transfer,
)
from analysis.fit import LEVEL, tails_of
from analysis.laws import Floats
from analysis.problem import LEAST_SHARE, Problem, coupled, data_of, evenly, losses, solve, uniform_tokens
from quality.mistakes import BadInput, Mistake, Mistakes, bad_input
from training.allocation import SHARES_SUM_TOLERANCE, source_mistake

MAX_EPOCHS = 4.0
"""Up to here repeated tokens are nearly as good as new ones. Source: Muennighoff et al., arXiv 2305.16264."""
NEXT_TOKENS = 1e9
"""The step of marginal values: what the next billion tokens of a language are worth."""


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
    fixed: Mapping[str, float] | Path | str | None = None,
    floors: Mapping[str, float] | Path | str | None = None,
    parallel_share: float = 0.0,
    transfer: Mapping[str, Any] | Path | str | None = None,
    against: Sequence[Path | str | Sequence[Mapping[str, Any]]] = (),
    stages: Sequence[float] = (),
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
            Sources of parallel documents (`pair:python-go`) may be in it.
        weights: Language to how much its loss counts, in the same forms; the same for all by default.
        max_epochs: How often a language's unique tokens may be drawn.
        prior: `uniform`, or language to share in the same forms: shares to stay near to.
        prior_weight: Loss that one nat of Kullback-Leibler divergence from the prior is worth; 0 for no prior.
        fixed: Language, `pair:LEFT-RIGHT` or `text:NAME` to its share of the whole budget, in the same forms.
        floors: Language to its least share, in the same forms.
        parallel_share: Share of parallel documents, spread over the pairs in `supply` by their tokens.
        transfer: What `polymix transfer` printed, or target to auxiliary to tau: what languages gain from each other.
        against: Fits of other laws to the same runs, each in the forms of `fits`, that judge the same allocation.
        stages: Where stages of training end, as fractions of the budget, rising and below 1: a curriculum.
        constants: For `paper`: language to the Nc and Dc that were not published.
        seed: Decides how draws are matched where languages have different numbers of them, and random starts.

    Returns:
        `shares`, `tokens`, `predicted`, `uniform_predicted`, `gain`, `intervals`, `regret`, `comparisons`, `marginal`,
        `other_laws`, `solver`, `by_language`, `words` and the settings, as a JSON value that is an allocation file as
        it is; with `stages` also those. `predicted`, `uniform_predicted` and `gain` are weighted means over languages,
        in the fits' `unit`.

    Raises:
        BadInput: The fits or settings cannot be used, or the budget is larger than the supply.
    """
    chosen = read_fits(fits, constants, LAWS_MAY_NEED)
    languages = [str(one["group"]) for one in chosen]
    told = Mistakes()

    def read(name: str, given: Mapping[str, float] | Path | str | None) -> dict[str, float] | None:
        with told.noted():
            return None if given is None else numbers(name, given)
        return None

    given_supply, given_weights = read("supply", supply), read("weights", weights)
    given_prior = None if prior == "uniform" else read("prior", prior)
    given_fixed, given_floors = read("fixed", fixed), read("floors", floors)
    mixed = mixture_laws(chosen)
    gained: Transfer | None = None
    with told.noted():
        gained = None if transfer is None else read_transfer(transfer, languages, of_mixtures=chosen if mixed else None)
    others: list[Sequence[Mapping[str, Any]]] = []
    for number, one in enumerate(against, 1):
        with told.noted():
            others.append(_same_groups(read_fits(one, allowed=LAWS_MAY_NEED), chosen, number))
    told.add(
        [
            *wrong_settings(tokens, params, max_epochs, prior_weight, prior is not None),
            *wrong_stages(stages),
            *wrong_mapping("supply", given_supply, languages, extra_allowed=True),
            *wrong_mapping("weights", given_weights, languages),
            *wrong_mapping("prior", given_prior, languages),
            *(
                Mistake("prior", f"sums to {total:.6g}, not 1; divide each share by the sum")
                for total in [sum((given_prior or {"": 1.0}).values())]
                if not abs(total - 1) <= SHARES_SUM_TOLERANCE
            ),
            *wrong_shares(languages, given_fixed or {}, given_floors or {}),
        ]
    )
    told.tell()
    bound = limits(
        languages,
        tokens,
        fixed=given_fixed or {},
        floors=given_floors or {},
        parallel_share=parallel_share,
        supply=given_supply,
        max_epochs=max_epochs,
    )
    law = laws.law(chosen[0]["law"])
    problem = Problem(
        law=law,
        symbols=estimated_symbols(chosen),
        params=float(params),
        budget=bound.budget,
        weights=normalised(given_weights, languages),
        unique=np.array([given_supply[name] if given_supply else math.inf for name in languages]),
        max_epochs=float(max_epochs),
        prior=normalised(given_prior, languages),
        prior_weight=float(prior_weight),
        floors=bound.floors,
        most=bound.most,
        given=bound.given,
        tau=None if gained is None else gained.tau[None],
        mixed=mixed,
    )
    check_supply(problem, languages)
    own = {name: share for name, share in (given_fixed or {}).items() if name in languages}
    asked = _Asked(
        languages,
        chosen,
        bound,
        own,
        given_floors or {},
        given_supply,
        int(tokens),
        gained,
        others,
        tuple(stages),
        seed,
    )
    return _answer(problem, asked)


@dataclass(frozen=True)
class _Asked:
    """What was asked for, beside the problem itself.

    Args:
        languages: In the order of the problem.
        fits: One a language.
        bound: Fixed shares, floors and parallel documents.
        fixed: Settled shares of languages, as given.
        floors: Least shares of languages, as given.
        supply: Unique tokens by source, or None.
        total: The whole budget, tokens.
        transfer: What languages gain from each other, or None.
        others: Fits of other laws, in the order of languages.
        stages: Ends of stages, fractions of the budget.
        seed: Of draws and starts.
    """

    languages: Sequence[str]
    fits: Sequence[Mapping[str, Any]]
    bound: Limits
    fixed: Mapping[str, float]
    floors: Mapping[str, float]
    supply: Mapping[str, float] | None
    total: int
    transfer: Transfer | None
    others: Sequence[Sequence[Mapping[str, Any]]]
    stages: tuple[float, ...]
    seed: int


def _answer(problem: Problem, asked: _Asked) -> dict[str, Any]:
    languages, total = asked.languages, asked.total
    best, solver = _solved(problem, asked.seed)
    whole = _whole(best, problem)
    recommended = whole.astype(np.float64)[None]
    even = uniform_tokens(problem.caps, problem.budget, problem.lowest)[None]
    loss, even_loss = losses(problem, recommended)[0], losses(problem, even)[0]
    predicted, uniform_predicted = (float(problem.weights @ each) for each in (loss, even_loss))
    counts = {**{name: int(count) for name, count in zip(languages, whole, strict=True)}, **asked.bound.beside}
    result: dict[str, Any] = {
        "shares": {name: count / total for name, count in counts.items()},
        "tokens": counts,
        "predicted": predicted,
        "uniform_predicted": uniform_predicted,
        "gain": uniform_predicted - predicted,
        "intervals": {},
        "regret": None,
        "unit": asked.fits[0]["unit"],
        "law": problem.law.name,
        "params": problem.params,
        "params_counted_as": asked.fits[0].get("columns", {}).get("params"),
        "budget": total,
        "weights": {name: float(weight) for name, weight in zip(languages, problem.weights, strict=True)},
        "supply": None if asked.supply is None else {name: asked.supply[name] for name in languages},
        "max_epochs": problem.max_epochs if asked.supply is not None else None,
        "floors": dict(asked.floors),
        "fixed": dict(asked.fixed),
        "prior_weight": problem.prior_weight,
        "prior": {name: float(share) for name, share in zip(languages, problem.prior, strict=True)}
        if problem.prior_weight
        else None,
        "transfer": None if asked.transfer is None else asked.transfer.as_json(languages),
        "solver": solver,
        "comparisons": [],
        "other_laws": [_verdict_of(problem, fits, recommended, even, asked.seed) for fits in asked.others],
    }
    seen = data_of(problem, np.maximum(recommended, problem.lowest))[0]
    by_language = [
        {
            "language": name,
            "share": float(whole[k] / total),
            "uniform_share": float(even[0, k] / total),
            "tokens": int(whole[k]),
            # What its law sees: repeats count for less, pairs and gains from other languages count as well.
            "data": float(seen[k]),
            "epochs": float(whole[k] / problem.unique[k]) if asked.supply is not None else None,
            "predicted": float(loss[k]),
            "uniform_predicted": float(even_loss[k]),
        }
        for k, name in enumerate(languages)
    ]
    drawn = _draws(problem, asked)
    result["marginal"] = _marginal(problem, drawn, asked, recommended)
    words = [
        *words_on_fits(asked.fits),
        *words_on_range(problem, asked.fits, languages, recommended[0]),
        *_words_on_limits(problem, asked, even[0], whole),
    ]
    if drawn is None:
        words.append("some laws come without draws, so there are no intervals: how sure the shares are is not known")
    else:
        words += _uncertainty(result, by_language, drawn, recommended, even, asked)
    words += words_on_other_laws(result["other_laws"], result["unit"])
    if asked.stages:
        result["stages"] = _curriculum(problem, recommended[0], asked)
        words.append(
            "these laws do not see the order of the tokens: the stages end in the same shares and the same predicted"
            " loss, and keep every stage at the best that its tokens so far allow"
        )
    words += [f"{name!r} is not a source that `polymix pack` knows" for name in languages if source_mistake(name)]
    return {**result, "by_language": by_language, "words": words}


def _solved(problem: Problem, seed: int) -> tuple[Floats, dict[str, Any]]:
    """Return the best tokens, shape (K,), and how they were found."""
    if problem.tau is None and not problem.mixed:
        return solve(problem)[0], {"method": "equal marginal gains", "convex": True, "gap": 0.0}
    start = evenly(problem) if problem.mixed else solve(replace(problem, tau=None))
    found, gap = coupled(problem, start, seed)
    method = "mirror descent" if problem.convex else "mirror descent from many starts"
    return found[0], {"method": method, "convex": problem.convex, "gap": float(gap[0])}


def _words_on_limits(problem: Problem, asked: _Asked, even: Floats, whole: Any) -> list[str]:
    """Say what holds the shares beside the laws."""
    languages = asked.languages
    words: list[str] = []
    if not np.allclose(even, problem.budget / len(languages), rtol=1e-9):
        if any(asked.bound.fixed) or asked.bound.floors.any():
            words.append("an even division breaks a limit: `uniform` stands for the nearest division that does not")
        else:
            words.append(
                "an even division exceeds some supplies: `uniform` stands for the nearest division that does not"
            )
    limited = problem.unique * problem.max_epochs
    words += [
        f"{name_of(name)} is used up: {problem.max_epochs:g} epochs of it are in the mix"
        for k, name in enumerate(languages)
        if whole[k] >= limited[k] - 1
    ]
    if problem.prior_weight:
        words.append("the prior holds the shares and their intervals together: they are not the laws' opinion alone")
    if any(source.startswith(TEXT) for source in asked.bound.beside):
        words.append("natural language has the share that was settled for it: what it is worth to code is not known")
    if any(source.startswith(PAIR) for source in asked.bound.beside):
        words.append(
            "a token of a parallel document counts as half a token to each of its languages: what laying code beside"
            " its translation gains is not in these laws"
        )
    if problem.mixed:
        words.append(
            "these laws read the whole mixture, so that what languages gain from each other is in these shares, as far"
            " as the fitted mixtures tell; the best shares were searched from many starts"
        )
    elif asked.transfer is None:
        words.append(
            "each law counts a language's own tokens only: what languages gain from each other is not in these shares"
        )
    else:
        words += words_on_transfer(
            len(languages) * (len(languages) - 1),
            asked.transfer.missing,
            int((asked.transfer.tau < 0).sum()),
            len(asked.transfer.draws) > 0,
        )
        own = whole / data_of(problem, np.maximum(whole, 1.0)[None])[0]
        words += words_on_borrowed([name for k, name in enumerate(languages) if own[k] < LEAST_OWN])
    return words


def _uncertainty(
    result: dict[str, Any],
    by_language: list[dict[str, Any]],
    drawn: Problem,
    recommended: Floats,
    even: Floats,
    asked: _Asked,
) -> list[str]:
    """Fill in intervals, regret and comparisons from the draws; return what they mean in words."""
    optimum = solve(drawn, asked.seed)
    shares = optimum / asked.total
    at_optimum, at_recommended, at_even = (
        losses(drawn, tokens) @ drawn.weights for tokens in (optimum, recommended, even)
    )
    by_draw = losses(drawn, recommended)
    gain = at_even - at_recommended
    languages = asked.languages
    result["intervals"] = {
        "shares": {name: _interval(shares[:, k], asked.fits) for k, name in enumerate(languages)},
        "predicted": _interval(at_recommended, asked.fits),
        "uniform_predicted": _interval(at_even, asked.fits),
        "gain": _interval(gain, asked.fits),
    }
    result["regret"] = {
        name: {"mean": max(float(lost.mean()), 0.0), "high": float(np.quantile(lost, LEVEL))}
        for name, lost in (("recommended", at_recommended - at_optimum), ("uniform", at_even - at_optimum))
    }
    for k, row in enumerate(by_language):
        low, high = row["interval"] = result["intervals"]["shares"][row["language"]]
        row["predicted_interval"] = _interval(by_draw[:, k], asked.fits)
        even_share = row["uniform_share"]
        row["verdict"] = (
            FIXED if asked.bound.fixed[k] else MORE if low > even_share else LESS if high < even_share else SAME
        )
    free = [k for k in range(len(languages)) if not asked.bound.fixed[k]]
    result["comparisons"] = [
        _compared(
            (languages[a], languages[b]),
            recommended[0, [a, b]] / asked.total,
            _interval(shares[:, a] - shares[:, b], asked.fits),
        )
        for a, b in combinations(free, 2)
    ]
    return words_on_draws(result, by_language, float((gain > 0).mean()))


def _compared(pair: tuple[str, str], shares: Floats, interval: list[float]) -> dict[str, Any]:
    """Return whether two shares can be told apart: their difference, with its interval over the draws."""
    (first, second), (low, high) = pair, interval
    apart = low > 0 or high < 0
    verdict = f"{first if low > 0 else second} gets more" if apart else "cannot be told apart"
    return {
        "pair": [first, second],
        "difference": float(shares[0] - shares[1]),
        "interval": interval,
        "verdict": verdict,
    }


def _marginal(problem: Problem, drawn: Problem | None, asked: _Asked, tokens: Floats) -> list[dict[str, Any]]:
    """Return how much the objective falls with more tokens of each language on top of the recommended ones.

    Two steps are given: `NEXT_TOKENS`, and a hundredth of the budget, which is the one to read where the budget itself
    is small. Beyond the supply, further tokens repeat and count for less.
    """
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(asked.languages):
        row: dict[str, Any] = {"language": name}
        for key, step in (("next_billion", NEXT_TOKENS), ("next_percent", asked.total / 100)):
            more = tokens.copy()
            more[0, k] += step
            falls = [
                (losses(each, tokens) - losses(each, more)) @ each.weights
                for each in (problem, drawn)
                if each is not None
            ]
            row[key] = {
                "tokens": step,
                "gain": float(falls[0][0]),
                "interval": _interval(falls[1], asked.fits) if drawn is not None else None,
            }
        rows.append(row)
    return rows


def _verdict_of(
    problem: Problem, fits: Sequence[Mapping[str, Any]], recommended: Floats, even: Floats, seed: int
) -> dict[str, Any]:
    """Return what another law makes of an allocation: its gain over uniform, and its regret against that law's best."""
    mixed = mixture_laws(fits)
    other = replace(
        problem,
        law=laws.law(fits[0]["law"]),
        symbols=estimated_symbols(fits),
        mixed=mixed,
        tau=None if mixed else problem.tau,
    )
    best = solve(other, seed)
    symbols = _drawn_symbols(fits, seed)
    interval = None
    if symbols is not None:
        drawn = replace(other, symbols=symbols)
        interval = _interval((losses(drawn, even) - losses(drawn, recommended)) @ drawn.weights, fits)
    at = {
        name: float(losses(other, tokens)[0] @ other.weights)
        for name, tokens in (("recommended", recommended), ("uniform", even), ("best", best))
    }
    languages = [str(one["group"]) for one in fits]
    return {
        "law": other.law.name,
        "predicted": at["recommended"],
        "uniform_predicted": at["uniform"],
        "best_predicted": at["best"],
        "gain": at["uniform"] - at["recommended"],
        "interval": interval,
        # Below 0 only by what the solver leaves.
        "regret": max(at["recommended"] - at["best"], 0.0),
        "heldout": _mean_heldout(fits),
        "shares": {name: float(best[0, k] / best.sum()) for k, name in enumerate(languages)},
    }


def _mean_heldout(fits: Sequence[Mapping[str, Any]]) -> float | None:
    errors = [one["heldout"]["mean_relative_error"] for one in fits if one.get("heldout")]
    return float(np.mean(errors)) if errors else None


def _curriculum(problem: Problem, final: Floats, asked: _Asked) -> list[dict[str, Any]]:
    """Return stages that end in the best shares and are at each end as good as their tokens allow.

    A larger budget gives no language less, so the best divisions of growing budgets are nested; where limits or
    transfer break that, each stage is held between what was used before it and what the end allows.
    """
    # In whole tokens, so that the stages have together just what the answer has.
    until = [*(round(end * asked.total) for end in asked.stages), asked.total]
    ends = [count / asked.total * problem.budget for count in until]
    used = np.zeros(len(final))
    stages: list[dict[str, Any]] = []
    for number, end in enumerate(ends):
        if number == len(ends) - 1:
            reached = final
        else:
            most = np.maximum(np.minimum(final, end), LEAST_SHARE * problem.budget)
            part = replace(problem, budget=end, floors=used, most=most, max_epochs=problem.max_epochs)
            reached = solve(part, asked.seed)[0]
        taken = np.maximum(reached - used, 0.0)
        own = {name: float(count) for name, count in zip(asked.languages, taken, strict=True)}
        size = end - (ends[number - 1] if number else 0.0)
        pairs = {source: count * size / problem.budget for source, count in asked.bound.beside.items()}
        together = sum(own.values()) + sum(pairs.values())
        stages.append(
            {
                "until_tokens": until[number],
                "shares": {name: count / together for name, count in {**own, **pairs}.items()},
                "predicted": float(losses(problem, np.maximum(reached, problem.lowest)[None])[0] @ problem.weights),
            }
        )
        used = reached
    return stages


def _interval(values: Floats, fits: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the 95% interval of something that was worked out for every joint draw of some fits."""
    return [float(end) for end in np.quantile(values, tails_of(fits))]


def _draws(problem: Problem, asked: _Asked) -> Problem | None:
    """Return the problem under every joint draw of the laws, or None where a law has no draws.

    Languages were resampled independently, so any matching of their draws is one; shorter lists are drawn from again.
    Draws of tau were fitted to the draws of the laws and stay with them.
    """
    symbols = _drawn_symbols(asked.fits, asked.seed)
    if symbols is None:
        return None
    tau = problem.tau
    if asked.transfer is not None and len(asked.transfer.draws):
        most = len(next(iter(symbols.values())))
        tau = asked.transfer.draws[np.arange(most) % len(asked.transfer.draws)]
    return replace(problem, symbols=symbols, tau=tau)


def _drawn_symbols(fits: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Floats] | None:
    """Return draws of all languages side by side, each of shape (B, K), or None where a law has none."""
    counts = [len(one["draws"]) for one in fits]
    if not all(counts):
        return None
    rng = np.random.default_rng(seed)
    most = max(counts)
    rows = [np.arange(most) if count == most else rng.integers(0, count, size=most) for count in counts]
    return drawn_symbols(fits, rows)


def _whole(tokens: Floats, problem: Problem) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Round to whole tokens with the budget's sum, largest remainders first, within the caps."""
    budget = int(problem.budget)
    down = np.floor(tokens).astype(np.int64)
    order = np.argsort(-(tokens - down), kind="stable")
    left = budget - int(down.sum())
    caps = np.maximum(problem.caps, np.ceil(problem.floors))
    while left > 0:
        before = left
        for index in order:
            if left > 0 and down[index] + 1 <= caps[index]:
                down[index] += 1
                left -= 1
        if left == before:
            break
    return down


def _same_groups(
    fits: Sequence[Mapping[str, Any]], chosen: Sequence[Mapping[str, Any]], number: int
) -> list[Mapping[str, Any]]:
    """Return another law's fits in the order of the languages.

    Raises:
        BadInput: They are of other groups, or in another unit, than the fits to be judged.
    """
    groups = {str(one["group"]): one for one in fits}
    languages = [str(one["group"]) for one in chosen]
    mistakes: list[Mistake] = []
    if set(groups) != set(languages):
        mistakes.append(
            Mistake(f"--against {number}", f"has fits of {', '.join(groups)}; needed are {', '.join(languages)}")
        )
    elif fits[0]["unit"] != chosen[0]["unit"]:
        mistakes.append(Mistake(f"--against {number}", f"is in {fits[0]['unit']}, the fits in {chosen[0]['unit']}"))
    if mistakes:
        raise BadInput(mistakes)
    return [groups[name] for name in languages]


def check_supply(problem: Problem, languages: Sequence[str]) -> None:
    """Refuse a problem that no allocation solves.

    Raises:
        BadInput: Floors are more than the supply, or the budget is.
    """
    available = float(np.minimum(problem.unique * problem.max_epochs, problem.most).sum())
    short = [
        name
        for k, name in enumerate(languages)
        if problem.floors[k] > problem.unique[k] * problem.max_epochs * (1 + 1e-9)
    ]
    if short:
        bad_input("floors", f"more than {problem.max_epochs:g} epochs of {', '.join(short)}; lower them or add text")
    if available >= problem.budget * (1 - 1e-12):
        return
    if not np.isfinite(problem.unique).all():
        bad_input("fixed", f"leaves {problem.budget - available:.6g} tokens to no language; leave one language free")
    each = ", ".join(f"{name} {count:.6g}" for name, count in zip(languages, problem.unique, strict=True))
    bad_input(
        "supply",
        f"{problem.max_epochs:g} epochs of all languages are {available:.6g} tokens, {problem.budget - available:.6g}"
        f" fewer than the {problem.budget:.6g} asked for ({each}); lower --tokens to {available:.6g}, raise"
        f" --max-epochs to {problem.budget / float(problem.unique.sum()):.3g}, or add text",
    )
