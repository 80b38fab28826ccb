"""Which training runs would sharpen the decision most for what they cost.

Start at `next_runs`. What counts is not how well the laws are known but the *expected regret* of the allocation: what
it loses, on average over the bootstrap draws of the laws, to the best in hindsight. A run is worth how much it lowers
that: its outcome is drawn from each draw in turn, what the other draws then lead one to expect of every allocation is
read off a regression of theirs on the outcomes, the allocation is chosen anew and judged under the draw that the
outcome came from. Runs are chosen one after another, each the one that saves most regret a FLOP, until the budget is
spent; where no run saves anything alone, two are tried together, for some laws are told by the contrast of two only.

A run is an allocation of its own N and D: what the laws foretell of it is what `analysis.problem.losses` says, for laws
of a language's own tokens and for laws of whole mixtures alike. It tells of every language whose law has a value there:
a run on one language tells an own-token law of that language only, a run on a mixture tells mixture laws of all.

What always holds: a draw is left out of the regression for the outcome that it made itself, so that nothing is gained
by chance alone;
the same seed gives the same runs; regret after some runs is judged on the same draws as before them.

Source: the expected value of sample information, Raiffa and Schlaifer, Applied Statistical Decision Theory (1961), by
regression over draws, Strong, Oakley, Brennan and Breeze, Medical Decision Making 35 (2015) 570-583, here linear;
greedy choice by gain a cost, with the best single run as the other candidate, Khuller, Moss and Naor, Inf. Process.
Lett. 70 (1999) 39-45.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from analysis import laws
from analysis.allocate import MAX_EPOCHS, check_supply
from analysis.allocation_inputs import (
    LAWS_MAY_NEED,
    Transfer,
    drawn_symbols,
    mixture_laws,
    normalised,
    numbers,
    read_fits,
    read_mixtures,
    read_transfer,
    wrong_mapping,
    wrong_settings,
)
from analysis.allocation_limits import limits, wrong_shares
from analysis.fit import fitted_symbols
from analysis.laws import Floats
from analysis.problem import Problem, losses, solve, uniform_tokens
from quality.artifacts import check_file, make_folder, write_atomically
from quality.mistakes import BadInput, Mistake, Mistakes, bad_input
from quality.progress import progress
from training.settings import FEWEST_STEPS, SweepSettings, read_sweep_settings
from training.sizes import SIZES, size, size_mistake

MOST_DRAWS = 200
MOST_ACTIONS = 64
"""Allocations among which a decision is made anew: the optima of so many draws, the recommended one and uniform."""
FURTHER = 4.0
"""By default a candidate may be so many times larger, or longer, than the largest run fitted."""
PAIRS = 1000
"""So many pairs of runs are tried where no run saves anything alone."""
LEAST_GAIN = 1e-6
"""A run that saves less than this part of the loss saves nothing: seeds differ by a thousand times more."""
LABEL_VOCABULARY = 32_000
SMALLEST_NOISE = 1e-4
"""No run tells its law's loss more exactly than this fraction: seeds differ by more."""


@dataclass(frozen=True)
class Candidate:
    """A run that could be made.

    Args:
        mixture: What it is trained on, by name; a language's own name where it is that one alone.
        shares: Language to fraction of the tokens.
        label: Of the size.
        params: N, counted as the fits count it.
        tokens: D.
        flops: Its price.
    """

    mixture: str
    shares: Mapping[str, float]
    label: str
    params: float
    tokens: float
    flops: float


@dataclass(frozen=True)
class Outcomes:
    """What runs show of one language: what each draw of its law foretells, and what is seen if that draw is true.

    Args:
        foretold: Log losses, shape (runs, B).
        seen: The same with the noise of a run, shape (runs, B).
        noise: Standard deviation of the language's log loss around its law.
    """

    foretold: Floats
    seen: Floats
    noise: float

    def __add__(self, further: Outcomes) -> Outcomes:
        return replace(
            self,
            foretold=np.concatenate([self.foretold, further.foretold]),
            seen=np.concatenate([self.seen, further.seen]),
        )


def next_runs(
    fits: Path | str | Sequence[Mapping[str, Any]],
    *,
    tokens: float,
    params: float,
    budget: float,
    sizes: Sequence[str] = (),
    run_tokens: Sequence[float] = (),
    mixtures: Mapping[str, Mapping[str, float]] | Path | str | None = None,
    supply: Mapping[str, float] | Path | str | None = None,
    weights: Mapping[str, float] | Path | str | None = None,
    max_epochs: float = MAX_EPOCHS,
    fixed: Mapping[str, float] | Path | str | None = None,
    floors: Mapping[str, float] | Path | str | None = None,
    parallel_share: float = 0.0,
    transfer: Mapping[str, Any] | Path | str | None = None,
    noise: float | None = None,
    vocabulary: int = LABEL_VOCABULARY,
    like: Path | str | None = None,
    out: Path | str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Name the runs that would lower the expected regret of an allocation most for a budget of FLOPs.

    Args:
        fits: What `polymix fit --by language` printed, with draws; or a fit of a mixture law for each language.
        tokens: The budget of the allocation to be decided, training tokens.
        params: N of the model to be trained.
        budget: FLOPs to spend on runs.
        sizes: Size labels to choose from; by default those from the smallest to four times the largest fitted.
        run_tokens: Training tokens to choose from; by default doublings from the fewest to four times the most fitted.
        mixtures: Name to shares by language, of mixtures to choose from, for mixture laws (a mapping, JSON text, or a
            JSON or TOML file, where they may stand in a table `mixtures`); by default `usual_mixtures`.
        supply: Language to unique tokens, which limit the runs too; as for `analysis.allocate.allocate`.
        weights: Language to how much its loss counts.
        max_epochs: How often unique tokens may be drawn.
        fixed: Shares that are settled, as for `allocate`; so are the next three.
        floors: Least shares.
        parallel_share: Share of parallel documents.
        transfer: What languages gain from each other. It is part of the decision, and no candidate tells of it.
        noise: Standard deviation of a log loss around its law; None for what each fit leaves.
        vocabulary: Token ids, for prices.
        like: A sweep's settings file that the new sweeps take everything else from.
        out: A folder for the settings files of the sweeps, `next-1.toml` ...; needs `like`.
        seed: Decides the outcomes that are drawn.

    Returns:
        `runs` (in the order chosen, each with `mixture, language, shares, size, params, tokens, flops, regret_before,
        regret_after`; `language` is None for a mixture), `regret_before`, `regret_after`, `unit`, `spent`, `budget`,
        `candidates`, `sweeps` and `words`, as a JSON value.

    Raises:
        BadInput: The fits have no draws or the settings are wrong; all are named.
    """
    chosen = read_fits(fits, allowed=LAWS_MAY_NEED)
    languages = [str(one["group"]) for one in chosen]
    told = Mistakes()
    given_supply: dict[str, float] | None = None
    given_weights: dict[str, float] | None = None
    given_fixed: dict[str, float] | None = None
    given_floors: dict[str, float] | None = None
    gained: Transfer | None = None
    given_mixtures: dict[str, dict[str, float]] | None = None
    template: SweepSettings | None = None
    mixed = mixture_laws(chosen)
    with told.noted():
        given_supply = None if supply is None else numbers("supply", supply)
    with told.noted():
        given_weights = None if weights is None else numbers("weights", weights)
    with told.noted():
        given_fixed = None if fixed is None else numbers("fixed", fixed)
    with told.noted():
        given_floors = None if floors is None else numbers("floors", floors)
    with told.noted():
        gained = None if transfer is None else read_transfer(transfer, languages, of_mixtures=chosen if mixed else None)
    with told.noted():
        if mixtures is not None and not mixed:
            bad_input(
                "--mixtures",
                f"are for laws that read shares; {chosen[0]['law']} is a law of one language's own tokens, and learns"
                " from runs on one language only",
            )
        given_mixtures = None if mixtures is None else read_mixtures(mixtures, languages)
    with told.noted():
        template = None if like is None else read_sweep_settings(like)
    mistakes = [
        *wrong_settings(tokens, params, max_epochs, 0.0, False),
        *wrong_mapping("supply", given_supply, languages, extra_allowed=True),
        *wrong_mapping("weights", given_weights, languages),
        *wrong_shares(languages, given_fixed or {}, given_floors or {}),
        *_wrong_own(budget, sizes, run_tokens, noise, vocabulary),
        *(
            Mistake("fits", f"of {one['group']} have no draws; fit with --bootstrap 200")
            for one in chosen
            if not one["draws"]
        ),
    ]
    if out is not None and like is None:
        mistakes.append(Mistake("--out", "needs --like SWEEP.toml: a sweep has more settings than sizes and tokens"))
    told.add(mistakes)
    if out is not None:
        with told.noted():
            check_file(Path(out) / "next-1.toml")
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
    symbols = joint_draws(chosen, seed)
    tau = None if gained is None else gained.tau[None]
    if gained is not None and len(gained.draws):
        tau = gained.draws[np.arange(len(next(iter(symbols.values())))) % len(gained.draws)]
    problem = Problem(
        law=laws.law(chosen[0]["law"]),
        symbols=symbols,
        params=float(params),
        budget=bound.budget,
        weights=normalised(given_weights, languages),
        unique=np.array([given_supply[name] if given_supply else math.inf for name in languages]),
        max_epochs=float(max_epochs),
        prior=normalised(None, languages),
        floors=bound.floors,
        most=bound.most,
        given=bound.given,
        tau=tau,
        mixed=mixed,
    )
    check_supply(problem, languages)
    scatter = np.array([_scatter(one, noise) for one in chosen])
    decision = Decision.of(problem, languages)
    if not mixed:
        given_mixtures = {name: {name: 1.0} for name in languages}
    elif given_mixtures is None:
        given_mixtures = usual_mixtures(dict(zip(languages, decision.mean_shares, strict=True)))
    candidates = [
        one
        for one in list_candidates(chosen, given_mixtures, sizes, run_tokens, vocabulary, template)
        if one.flops <= budget
        and all(
            one.tokens * share <= problem.unique[languages.index(name)] * max_epochs
            for name, share in one.shares.items()
        )
    ]
    if not candidates:
        bad_input(
            "--budget",
            f"{budget:.3g} FLOPs pay for no candidate run; raise it, or name smaller --size and --run-tokens",
        )
    only_trained = template is not None and template.validate_on == "trained"
    choice = _choose(decision, candidates, budget, scatter, seed, only_trained)
    sweeps = [] if template is None else _sweeps(choice["runs"], template)
    if out is not None:
        make_folder(Path(out))
        for number, settings in enumerate(sweeps, 1):
            write_atomically(Path(out) / f"next-{number}.toml", _toml(settings))
        # What an earlier answer left would look like a part of this one.
        for file in Path(out).glob("next-*.toml"):
            if file.stem.removeprefix("next-").isdecimal() and int(file.stem.removeprefix("next-")) > len(sweeps):
                file.unlink()
    return {
        **choice,
        "unit": chosen[0]["unit"],
        "budget": budget,
        "candidates": len(candidates),
        "sweeps": sweeps,
        "words": _words(choice, chosen[0], len(candidates)),
    }


@dataclass(frozen=True)
class Decision:
    """What the draws say of a set of allocations.

    Args:
        problem: The allocation to be decided, under every draw.
        languages: In order.
        weighted: Each language's part of the objective under each draw and allocation, shape (K, B, A).
        best: The least objective under each joint draw, shape (B,).
        mean_shares: The mean over the draws of the best shares, shape (K,).
    """

    problem: Problem
    languages: Sequence[str]
    weighted: Floats
    best: Floats
    mean_shares: Floats

    @classmethod
    def of(cls, problem: Problem, languages: Sequence[str]) -> Decision:
        """Return what the variants of a problem say of the allocations that are best under some of them."""
        optima = solve(problem)
        some = optima[np.linspace(0, len(optima) - 1, min(MOST_ACTIONS, len(optima))).astype(int)]
        # The mean of the optima is what a decision without further runs comes near to.
        mean = optima.mean(axis=0)
        actions = [*some, mean, uniform_tokens(problem.caps, problem.budget, problem.lowest)]
        weighted = np.stack([losses(problem, action[None]) * problem.weights for action in actions])
        best = losses(problem, optima) @ problem.weights
        return cls(problem, languages, weighted.transpose(2, 1, 0), best, mean / problem.budget)

    def nothing(self, noise: Floats) -> list[Outcomes]:
        """Return what is seen of each language before any run.

        Args:
            noise: Standard deviation of each language's log loss, shape (K,).
        """
        none = np.zeros((0, len(self.best)))
        return [Outcomes(none, none, float(one)) for one in noise]

    def expected(self, place: int, runs: Outcomes) -> Floats:
        """Return a language's expected part of the objective after the outcomes of each draw, shape (outcomes, A).

        The conditional mean of a normal distribution with the draws' means and covariances, and the runs' noise: a
        regression over the draws with the noise as its penalty. The outcome's own draw is left out of it.

        Source: the leave-one-out form of a penalised regression, Cook and Weisberg, Residuals and Influence in
        Regression (1982), section 2.2.

        Args:
            place: Of the language.
            runs: Their outcomes on that language.
        """
        values, draws = self.weighted[place], len(self.best)
        one = np.ones((1, draws))
        foretold, seen = np.concatenate([one, runs.foretold]).T, np.concatenate([one, runs.seen]).T
        penalty = np.full(foretold.shape[1], draws * runs.noise**2)
        penalty[0] = 0.0
        inverse = np.linalg.inv(foretold.T @ foretold + np.diag(penalty))
        slope = inverse @ (foretold.T @ values)
        pull = foretold @ inverse
        own = np.minimum((pull * foretold).sum(axis=1), 1 - 1e-9)
        at = (pull * seen).sum(axis=1)
        return seen @ slope - (at / (1 - own))[:, None] * (values - foretold @ slope)

    def regret(self, expected: Floats) -> float:
        """Return the mean regret of deciding by expectations, shape (outcomes, A), judged under the outcomes' draws."""
        decided = expected.argmin(axis=1)
        truth = self.weighted.sum(axis=0)
        return float((truth[np.arange(len(decided)), decided] - self.best).mean())

    def outcomes(
        self, run: Candidate, noise: Floats, rng: np.random.Generator, *, only_trained: bool = False
    ) -> dict[int, Outcomes]:
        """Return what a run shows of each language that it tells of, by the language's place.

        Args:
            run: The run.
            noise: Standard deviation of each language's log loss, shape (K,).
            rng: Draws what the run would show.
            only_trained: The run is validated on what it was trained on only.
        """
        shares = np.array([run.shares.get(name, 0.0) for name in self.languages])
        there = replace(self.problem, params=run.params, budget=run.tokens, given=np.zeros(1), tau=None)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            foretold = np.log(losses(there, run.tokens * shares[None])).T
        return {
            place: Outcomes(values[None], (values + spread * rng.normal(size=values.shape))[None], float(spread))
            for place, (values, spread) in enumerate(zip(foretold, noise, strict=True))
            if np.isfinite(values).all() and (shares[place] > 0 or not only_trained)
        }


def _choose(
    decision: Decision,
    candidates: Sequence[Candidate],
    budget: float,
    noise: Floats,
    seed: int,
    only_trained: bool,
) -> dict[str, Any]:
    """Choose runs greedily by regret saved a FLOP; a candidate's last gain stands in until it comes to the top."""
    outcomes = [
        decision.outcomes(one, noise, np.random.default_rng([seed, number]), only_trained=only_trained)
        for number, one in enumerate(candidates)
    ]
    known = decision.nothing(noise)
    expected = np.stack([decision.expected(place, runs) for place, runs in enumerate(known)])
    start = now = decision.regret(expected.sum(axis=0))

    def with_runs(*numbers: int) -> float:
        together = dict(enumerate(known))
        for number in numbers:
            together |= {place: together[place] + further for place, further in outcomes[number].items()}
        parts = [
            expected[place] if runs is known[place] else decision.expected(place, runs)
            for place, runs in together.items()
        ]
        return decision.regret(np.sum(parts, axis=0))

    after = np.array(
        [with_runs(number) for number in progress(range(len(candidates)), description="candidates", unit="run")]
    )
    prices = np.array([one.flops for one in candidates])
    single = int(after.argmin())
    single_regret = float(after[single])
    least = LEAST_GAIN * float(decision.best.mean())
    gains = now - after
    left, spent = budget, 0.0
    runs: list[dict[str, Any]] = []
    fresh = np.ones(len(candidates), dtype=bool)
    taken = np.zeros(len(candidates), dtype=bool)
    rng = np.random.default_rng([seed, len(candidates)])

    def take(*numbers: int) -> None:
        nonlocal now, left, spent
        reached = with_runs(*numbers)
        for number in numbers:
            last = number == numbers[-1]
            runs.append(_row(candidates[number], now, reached if last else now))
            left, spent = left - candidates[number].flops, spent + candidates[number].flops
            taken[number] = True
            for place, further in outcomes[number].items():
                known[place] = known[place] + further
                expected[place] = decision.expected(place, known[place])
        now = reached
        fresh[:] = False

    while True:
        open_ = ~taken & (prices <= left) & (gains > least)
        if open_.any():
            top = int(np.where(open_, gains / prices, -np.inf).argmax())
            if fresh[top]:
                take(top)
            else:
                gains[top], fresh[top] = now - with_runs(top), True
            continue
        pairs = _affordable_pairs(np.flatnonzero(~taken), prices, left, rng)
        rates = [(now - with_runs(*pair) - least) / prices[list(pair)].sum() for pair in pairs]
        if not rates or max(rates) <= 0:
            break
        take(*pairs[int(np.argmax(rates))])
        # What saved nothing alone may do so beside the two.
        gains = np.maximum(gains, now)
    if start - single_regret > least and single_regret < now:
        runs = [_row(candidates[single], start, single_regret)]
        now, spent = single_regret, candidates[single].flops
    return {"runs": runs, "regret_before": start, "regret_after": now, "spent": spent}


def _affordable_pairs(
    open_: NDArray[np.intp], prices: Floats, left: float, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return some pairs of candidates that the budget pays for: all of them, or as many as are tried, at random."""
    pairs = [(int(a), int(b)) for a, b in combinations(open_, 2) if prices[a] + prices[b] <= left]
    if len(pairs) <= PAIRS:
        return pairs
    return [pairs[place] for place in np.sort(rng.choice(len(pairs), size=PAIRS, replace=False))]


def _row(run: Candidate, before: float, after: float) -> dict[str, Any]:
    return {
        "mixture": run.mixture,
        "language": run.mixture if run.mixture in run.shares and len(run.shares) == 1 else None,
        "shares": dict(run.shares),
        "size": run.label,
        "params": run.params,
        "tokens": run.tokens,
        "flops": run.flops,
        "regret_before": before,
        "regret_after": after,
    }


def usual_mixtures(best: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return mixtures to choose from: each language alone, two in halves, halfway between, even, and as recommended.

    Args:
        best: Language to its share in the allocation that would be decided now.
    """
    names = list(best)
    even = {name: 1 / len(names) for name in names}
    found = {name: {name: 1.0} for name in names}
    if len(names) > 2:
        found |= {f"{one}-{other} 0.5": {one: 0.5, other: 0.5} for one, other in combinations(names, 2)}
    found |= {f"half {name}": {other: (share + (other == name)) / 2 for other, share in even.items()} for name in names}
    found["uniform"] = even
    # As a share of 0.1%, a language is trained on at all; less is not told apart from nothing by any run.
    rounded = {name: round(share, 3) for name, share in best.items()}
    total = sum(rounded.values())
    found["recommended"] = {name: share / total for name, share in rounded.items() if share}
    return found


def list_candidates(
    fits: Sequence[Mapping[str, Any]],
    mixtures: Mapping[str, Mapping[str, float]],
    sizes: Sequence[str],
    run_tokens: Sequence[float],
    vocabulary: int,
    template: SweepSettings | None,
) -> list[Candidate]:
    """Return every mixture with every size and number of tokens, priced.

    Raises:
        BadInput: The law holds for one N and D only, and no size that was asked for has that N.
    """
    total = fits[0].get("columns", {}).get("params") == "params_total"
    counted = {
        label: float(row.total_parameters(vocabulary) if total else row.non_embedding_parameters)
        for label, row in SIZES.items()
    }
    low, high = (pick(one["ranges"]["params"][end] for one in fits) for pick, end in ((min, 0), (max, 1)))
    one_size = not laws.law(fits[0]["law"]).reads_size
    further = 1.01 if one_size else FURTHER
    labels = [
        name for name in sizes or counted if (sizes and not one_size) or low * 0.99 <= counted[name] <= further * high
    ]
    fewest, most = (pick(one["ranges"]["tokens"][end] for one in fits) for pick, end in ((min, 0), (max, 1)))
    doublings = math.floor(math.log2(FURTHER * most / fewest) + 1e-9)
    lengths = list(run_tokens) or [fewest * 2.0**power for power in range(doublings + 1)]
    if one_size:
        lengths = [most]
        if not labels:
            bad_input(
                "--size",
                f"{fits[0]['law']} has no N and no D: it holds for runs of the {low:.3g} parameters that were fitted,"
                " and no size that could be trained has so many; fit a law that has N, such as `interaction`",
            )
    sequence = template.sequence_length if template else SweepSettings.model_fields["sequence_length"].default

    def in_steps(label: str) -> list[float]:
        if template is None:
            return lengths
        batch = template.batch_of(label)
        return sorted({float(max(FEWEST_STEPS, round(length / batch)) * batch) for length in lengths})

    return [
        Candidate(
            name,
            shares,
            label,
            counted[label],
            length,
            size(label).flops_per_token(vocabulary, sequence) * length,
        )
        for name, shares in mixtures.items()
        for label in labels
        for length in in_steps(label)
    ]


def joint_draws(fits: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Floats]:
    """Return draws of all languages side by side, each of shape (B, K), matched at random: each is believed apart."""
    rng = np.random.default_rng(seed)
    count = min(MOST_DRAWS, max(len(one["draws"]) for one in fits))
    rows = [
        rng.permutation(len(one["draws"]))[:count]
        if len(one["draws"]) >= count
        else rng.integers(0, len(one["draws"]), count)
        for one in fits
    ]
    return drawn_symbols(fits, rows)


def _scatter(fit: Mapping[str, Any], noise: float | None) -> float:
    """Return how far a run lies from its law: as told, or the fit's residual made unbiased for what was fitted."""
    if noise is not None:
        return noise
    number, symbols = fit.get("n_runs"), fitted_symbols(fit)
    residual = fit.get("residual")
    if not residual or not number or number <= symbols:
        bad_input("--noise", f"the fit of {fit['group']} leaves no residual to judge by; give --noise, such as 0.002")
    return max(float(residual) * math.sqrt(number / (number - symbols)), SMALLEST_NOISE)


_WHICH_RUNS = {
    "sizes",
    "tokens",
    "languages",
    "mixtures",
    "each_language",
    "bilingual",
    "uniform",
    "pairing",
    "seeds",
    "rate_factors",
}
"""Settings that say which runs a sweep makes; all others say how, and are those of the study."""


def _sweeps(runs: Sequence[Mapping[str, Any]], template: SweepSettings) -> list[dict[str, Any]]:
    """Return settings of sweeps that make just these runs: a sweep is every size with every budget and mixture."""
    shares_of = {run["mixture"]: run["shares"] for run in runs if run["language"] is None}
    by_place: dict[tuple[str, int], list[str]] = {}
    for run in runs:
        by_place.setdefault((run["size"], round(run["tokens"])), []).append(run["mixture"])
    merged: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for (label, length), names in by_place.items():
        merged.setdefault((label, tuple(sorted(names))), []).append(length)
    rest = template.model_dump(mode="json", exclude_defaults=True, exclude=_WHICH_RUNS)
    found: list[dict[str, Any]] = []
    for (label, names), lengths in merged.items():
        alone = [name for name in names if name not in shares_of]
        found.append(
            {
                "sizes": [label],
                "tokens": sorted(lengths),
                **({"languages": alone} if alone else {"each_language": False}),
                **rest,
                "batch_tokens": template.batch_of(label),
                **(
                    {"mixtures": {name: dict(shares_of[name]) for name in names if name in shares_of}}
                    if len(alone) < len(names)
                    else {}
                ),
            }
        )
    for settings in found:
        try:
            SweepSettings.model_validate_json(json.dumps(settings))
        except ValidationError as error:
            raise BadInput(Mistake("--like", str(one["msg"])) for one in error.errors()) from error
    return found


def _toml(settings: Mapping[str, Any]) -> str:
    # Texts, numbers, truth values and lists of them are written the same way in JSON and TOML.
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items() if name != "mixtures"]
    for mixture, shares in settings.get("mixtures", {}).items():
        lines += [f"[mixtures.{json.dumps(mixture)}]"]
        lines += [f"{json.dumps(source)} = {json.dumps(share)}" for source, share in shares.items()]
    return "".join(f"{line}\n" for line in lines)


def _wrong_own(
    budget: float, sizes: Sequence[str], run_tokens: Sequence[float], noise: float | None, vocabulary: int
) -> list[Mistake]:
    numbers_ = [("budget", budget), *(("run-tokens", one) for one in run_tokens), ("vocabulary", vocabulary)]
    if noise is not None:
        numbers_.append(("noise", noise))
    mistakes = [
        Mistake(f"--{name}", f"{value!r} is not a finite number above 0")
        for name, value in numbers_
        if not (math.isfinite(value) and value > 0)
    ]
    return mistakes + [Mistake("--size", wrong) for label in sizes if (wrong := size_mistake(label))]


def _words(choice: Mapping[str, Any], fit: Mapping[str, Any], candidates: int) -> list[str]:
    before, after, unit = choice["regret_before"], choice["regret_after"], fit["unit"]
    words = [
        f"expected regret {before:.3g} {unit} now, {after:.3g} after {len(choice['runs'])} of {candidates} candidate"
        f" runs ({choice['spent']:.3g} FLOPs)"
    ]
    if not choice["runs"]:
        words.append("no candidate lowers the regret: the allocation would be the same whatever it found")
    if any(run["regret_before"] == run["regret_after"] for run in choice["runs"]):
        words.append(
            "a run that leaves the regret as it was is the first of two that save together what neither does alone"
        )
    if not laws.law(fit["law"]).reads_size:
        words.append(
            f"{fit['law']} has no N and no D: runs are of the size and length that were fitted, and what is decided is"
            " the best mixture there, whatever --params and --tokens say"
        )
    if "shares" in laws.law(fit["law"]).needs:
        words.append(
            "noise of the languages in one run is taken as independent; mixtures far from those fitted trust the law's"
            " form most, and --mixtures names others"
        )
    words.append(
        "this trusts the form of the law: if another law is true, runs that tell the laws apart are worth more than"
        " these"
    )
    return words
