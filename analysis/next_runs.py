"""Which training runs would sharpen the decision most for what they cost.

Start at `next_runs`. What counts is not how well the laws are known but the *expected regret* of the allocation: what
it loses, on average over the bootstrap draws of the laws, to the best in hindsight. A run is worth how much it lowers
that: its outcome is drawn from each draw in turn, the other draws are weighed by how well they had foretold it, the
allocation is chosen anew and judged under the draw that the outcome came from. Runs are chosen one after another, each
the one that saves most regret a FLOP, until the budget is spent.

What always holds: a draw never weighs in on the outcome that it made itself, so that nothing is gained by chance alone;
the same seed gives the same runs; regret after some runs is judged on the same draws as before them.

Source: the expected value of sample information, Raiffa and Schlaifer, Applied Statistical Decision Theory (1961);
greedy choice by gain a cost, with the best single run as the other candidate, Khuller, Moss and Naor, Inf. Process.
Lett. 70 (1999) 39-45.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from analysis import laws
from analysis.allocate import MAX_EPOCHS
from analysis.allocation_inputs import normalised, numbers, read_fits, wrong_mapping, wrong_settings
from analysis.fit import draws_of, fitted_symbols
from analysis.laws import Floats, Law
from analysis.problem import Problem, data_of, losses, solve, uniform_tokens
from quality.artifacts import make_folder, write_atomically
from quality.mistakes import BadInput, Mistake, Mistakes, bad_input
from quality.progress import progress
from training.settings import FEWEST_STEPS, SweepSettings, read_sweep_settings
from training.sizes import SIZES, size, size_mistake

MOST_DRAWS = 200
MOST_ACTIONS = 64
"""Allocations among which a decision is made anew: the optima of so many draws, the recommended one and uniform."""
FURTHER = 4.0
"""By default a candidate may be so many times larger, or longer, than the largest run fitted."""
LABEL_VOCABULARY = 32_000
SMALLEST_NOISE = 1e-4
"""No run tells its law's loss more exactly than this fraction: seeds differ by more."""


@dataclass(frozen=True)
class Candidate:
    """A run that could be made.

    Args:
        language: Trained on alone.
        label: Of the size.
        params: N, counted as the fits count it.
        tokens: D.
        flops: Its price.
    """

    language: str
    label: str
    params: float
    tokens: float
    flops: float


def next_runs(
    fits: Path | str | Sequence[Mapping[str, Any]],
    *,
    tokens: float,
    params: float,
    budget: float,
    sizes: Sequence[str] = (),
    run_tokens: Sequence[float] = (),
    supply: Mapping[str, float] | Path | str | None = None,
    weights: Mapping[str, float] | Path | str | None = None,
    max_epochs: float = MAX_EPOCHS,
    noise: float | None = None,
    vocabulary: int = LABEL_VOCABULARY,
    like: Path | str | None = None,
    out: Path | str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Name the runs that would lower the expected regret of an allocation most for a budget of FLOPs.

    Args:
        fits: What `polymix fit --by language` printed, with draws.
        tokens: The budget of the allocation to be decided, training tokens.
        params: N of the model to be trained.
        budget: FLOPs to spend on runs.
        sizes: Size labels to choose from; by default those from the smallest to four times the largest fitted.
        run_tokens: Training tokens to choose from; by default doublings from the fewest to four times the most fitted.
        supply: Language to unique tokens, which limit the runs too; as for `analysis.allocate.allocate`.
        weights: Language to how much its loss counts.
        max_epochs: How often unique tokens may be drawn.
        noise: Standard deviation of a log loss around its law; None for what each fit leaves.
        vocabulary: Token ids, for prices.
        like: A sweep's settings file that the new sweeps take everything else from.
        out: A folder for the settings files of the sweeps, `next-1.toml` ...; needs `like`.
        seed: Decides the outcomes that are drawn.

    Returns:
        `runs` (in the order chosen, each with `language, size, params, tokens, flops, regret_before, regret_after`),
        `regret_before`, `regret_after`, `unit`, `spent`, `budget`, `candidates`, `sweeps` and `words`, as a JSON value.

    Raises:
        BadInput: The fits have no draws or the settings are wrong; all are named.
    """
    chosen = read_fits(fits)
    languages = [str(one["group"]) for one in chosen]
    told = Mistakes()
    given_supply: dict[str, float] | None = None
    given_weights: dict[str, float] | None = None
    template: SweepSettings | None = None
    with told.noted():
        given_supply = None if supply is None else numbers("supply", supply)
    with told.noted():
        given_weights = None if weights is None else numbers("weights", weights)
    with told.noted():
        template = None if like is None else read_sweep_settings(like)
    mistakes = [
        *wrong_settings(tokens, params, max_epochs, 0.0, False),
        *wrong_mapping("supply", given_supply, languages, extra_allowed=True),
        *wrong_mapping("weights", given_weights, languages),
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
    told.tell()
    problem = Problem(
        law=laws.law(chosen[0]["law"]),
        symbols=drawn_symbols(chosen, seed),
        params=float(params),
        budget=float(tokens),
        weights=normalised(given_weights, languages),
        unique=np.array([given_supply[name] if given_supply else math.inf for name in languages]),
        max_epochs=float(max_epochs),
        prior=normalised(None, languages),
    )
    if float(problem.caps.sum()) < problem.budget:
        bad_input(
            "supply", f"{max_epochs:g} epochs of it are fewer than the {tokens:.6g} tokens to divide; lower --tokens"
        )
    scatter = {str(one["group"]): _scatter(one, noise) for one in chosen}
    candidates = [
        one
        for one in list_candidates(chosen, sizes, run_tokens, vocabulary, template)
        if one.flops <= budget and (given_supply is None or one.tokens <= given_supply[one.language] * max_epochs)
    ]
    if not candidates:
        bad_input(
            "--budget",
            f"{budget:.3g} FLOPs pay for no candidate run; raise it, or name smaller --size and --run-tokens",
        )
    choice = _choose(Decision.of(problem, languages), candidates, budget, scatter, seed)
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
        "words": _words(choice, chosen[0]["unit"], len(candidates)),
    }


@dataclass(frozen=True)
class Decision:
    """What the draws say of a set of allocations.

    Args:
        law: Of every language.
        languages: In order.
        symbols: Of the draws, shape (B, K).
        weighted: Each language's part of the objective under each draw and allocation, shape (K, B, A).
        best: The least objective under each joint draw, shape (B,).
    """

    law: Law
    languages: Sequence[str]
    symbols: Mapping[str, Floats]
    weighted: Floats
    best: Floats

    @classmethod
    def of(cls, problem: Problem, languages: Sequence[str]) -> Decision:
        """Return what the variants of a problem say of the allocations that are best under some of them."""
        optima = solve(problem)
        some = optima[np.linspace(0, len(optima) - 1, min(MOST_ACTIONS, len(optima))).astype(int)]
        # The mean of the optima is what a decision without further runs comes near to.
        actions = np.concatenate([some, optima.mean(axis=0)[None], uniform_tokens(problem.caps, problem.budget)[None]])
        data = data_of(problem, actions)
        parts = [
            problem.weights[k]
            * problem.law.predict(
                {name: values[:, k : k + 1] for name, values in problem.symbols.items()}, problem.params, data[:, k]
            )
            for k in range(len(languages))
        ]
        best = losses(problem, optima) @ problem.weights
        return cls(problem.law, languages, problem.symbols, np.stack(parts), best)

    def beliefs(self) -> Floats:
        """Return log weights before any run, shape (K, outcomes, B): all draws alike, but not the outcome's own."""
        draws = len(self.best)
        alike = np.zeros((draws, draws))
        np.fill_diagonal(alike, -np.inf)
        return np.repeat(alike[None], len(self.languages), axis=0)

    def expected(self, place: int, beliefs: Floats) -> Floats:
        """Return a language's expected part of the objective, shape (outcomes, A).

        Args:
            place: Of the language.
            beliefs: Its log weights, shape (outcomes, B).
        """
        weights = np.exp(beliefs - beliefs.max(axis=1, keepdims=True))
        return (weights / weights.sum(axis=1, keepdims=True)) @ self.weighted[place]

    def regret(self, expected: Floats) -> float:
        """Return the mean regret of deciding by expectations, shape (outcomes, A), judged under the outcomes' draws."""
        decided = expected.argmin(axis=1)
        truth = self.weighted.sum(axis=0)
        return float((truth[np.arange(len(decided)), decided] - self.best).mean())

    def evidence(self, run: Candidate, noise: float, rng: np.random.Generator) -> Floats:
        """Return the log likelihood of a run's outcome, drawn from each draw, under each draw, shape (outcomes, B)."""
        place = self.languages.index(run.language)
        symbols = {name: values[:, place] for name, values in self.symbols.items()}
        foretold = np.log(self.law.predict(symbols, run.params, run.tokens))
        seen = foretold + noise * rng.normal(size=len(foretold))
        return -0.5 * ((seen[:, None] - foretold) / noise) ** 2


def _choose(
    decision: Decision, candidates: Sequence[Candidate], budget: float, scatter: Mapping[str, float], seed: int
) -> dict[str, Any]:
    """Choose runs greedily by regret saved a FLOP; a candidate's last gain stands in until it comes to the top."""
    evidence = [
        decision.evidence(one, scatter[one.language], np.random.default_rng([seed, number]))
        for number, one in enumerate(candidates)
    ]
    beliefs = decision.beliefs()
    expected = np.stack([decision.expected(k, beliefs[k]) for k in range(len(decision.languages))])
    start = now = decision.regret(expected.sum(axis=0))

    def with_run(number: int) -> float:
        place = decision.languages.index(candidates[number].language)
        rest = expected.sum(axis=0) - expected[place]
        return decision.regret(rest + decision.expected(place, beliefs[place] + evidence[number]))

    after = np.array(
        [with_run(number) for number in progress(range(len(candidates)), description="candidates", unit="run")]
    )
    prices = np.array([one.flops for one in candidates])
    single = int(after.argmin())
    single_regret = float(after[single])
    rates = (now - after) / prices
    left, spent = budget, 0.0
    runs: list[dict[str, Any]] = []
    fresh = np.ones(len(candidates), dtype=bool)
    taken = np.zeros(len(candidates), dtype=bool)
    while True:
        open_ = ~taken & (prices <= left) & (rates > 0)
        if not open_.any():
            break
        top = int(np.where(open_, rates, -np.inf).argmax())
        if not fresh[top]:
            rates[top] = (now - with_run(top)) / prices[top]
            fresh[top] = True
            continue
        run = candidates[top]
        place = decision.languages.index(run.language)
        beliefs[place] = beliefs[place] + evidence[top]
        expected[place] = decision.expected(place, beliefs[place])
        reached = decision.regret(expected.sum(axis=0))
        runs.append(_row(run, now, reached))
        now, taken[top] = reached, True
        left, spent = left - run.flops, spent + run.flops
        fresh[:] = False
    if single_regret < now:
        runs = [_row(candidates[single], start, single_regret)]
        now, spent = single_regret, candidates[single].flops
    return {"runs": runs, "regret_before": start, "regret_after": now, "spent": spent}


def _row(run: Candidate, before: float, after: float) -> dict[str, Any]:
    return {
        "language": run.language,
        "size": run.label,
        "params": run.params,
        "tokens": run.tokens,
        "flops": run.flops,
        "regret_before": before,
        "regret_after": after,
    }


def list_candidates(
    fits: Sequence[Mapping[str, Any]],
    sizes: Sequence[str],
    run_tokens: Sequence[float],
    vocabulary: int,
    template: SweepSettings | None,
) -> list[Candidate]:
    """Return every language with every size and number of tokens, priced."""
    total = fits[0].get("columns", {}).get("params") == "params_total"
    counted = {
        label: float(row.total_parameters(vocabulary) if total else row.non_embedding_parameters)
        for label, row in SIZES.items()
    }
    low, high = (pick(one["ranges"]["params"][end] for one in fits) for pick, end in ((min, 0), (max, 1)))
    labels = list(sizes) or [name for name, n in counted.items() if low * 0.99 <= n <= FURTHER * high]
    fewest, most = (pick(one["ranges"]["tokens"][end] for one in fits) for pick, end in ((min, 0), (max, 1)))
    doublings = math.floor(math.log2(FURTHER * most / fewest) + 1e-9)
    lengths = list(run_tokens) or [fewest * 2.0**power for power in range(doublings + 1)]
    sequence = template.sequence_length if template else SweepSettings.model_fields["sequence_length"].default

    def in_steps(label: str) -> list[float]:
        if template is None:
            return lengths
        batch = template.batch_of(label)
        return sorted({float(max(FEWEST_STEPS, round(length / batch)) * batch) for length in lengths})

    return [
        Candidate(
            str(one["group"]), label, counted[label], length, size(label).flops_per_token(vocabulary, sequence) * length
        )
        for one in fits
        for label in labels
        for length in in_steps(label)
    ]


def drawn_symbols(fits: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Floats]:
    """Return draws of all languages side by side, each of shape (B, K); languages were resampled independently."""
    rng = np.random.default_rng(seed)
    count = min(MOST_DRAWS, max(len(one["draws"]) for one in fits))
    columns = [draws_of(one) for one in fits]
    rows = [
        rng.permutation(len(one["draws"]))[:count]
        if len(one["draws"]) >= count
        else rng.integers(0, len(one["draws"]), count)
        for one in fits
    ]
    return {
        name: np.stack([column[name][row] for column, row in zip(columns, rows, strict=True)], axis=1)
        for name in laws.law(fits[0]["law"]).symbols
    }


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
    """Return settings of sweeps that make just these runs: a sweep is every size with every budget and language."""
    by_place: dict[tuple[str, int], list[str]] = {}
    for run in runs:
        by_place.setdefault((run["size"], round(run["tokens"])), []).append(run["language"])
    merged: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for (label, length), names in by_place.items():
        merged.setdefault((label, tuple(sorted(names))), []).append(length)
    rest = template.model_dump(mode="json", exclude_defaults=True, exclude=_WHICH_RUNS)
    found = [
        {
            "sizes": [label],
            "tokens": sorted(lengths),
            "languages": list(names),
            **rest,
            "batch_tokens": template.batch_of(label),
        }
        for (label, names), lengths in merged.items()
    ]
    for settings in found:
        try:
            SweepSettings.model_validate_json(json.dumps(settings))
        except ValidationError as error:
            raise BadInput(Mistake("--like", str(one["msg"])) for one in error.errors()) from error
    return found


def _toml(settings: Mapping[str, Any]) -> str:
    # Texts, numbers and lists of them are written the same way in JSON and TOML.
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


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


def _words(choice: Mapping[str, Any], unit: str, candidates: int) -> list[str]:
    before, after = choice["regret_before"], choice["regret_after"]
    words = [
        f"expected regret {before:.3g} {unit} now, {after:.3g} after {len(choice['runs'])} of {candidates} candidate"
        f" runs ({choice['spent']:.3g} FLOPs)"
    ]
    if not choice["runs"]:
        words.append("no candidate lowers the regret: the allocation would be the same whatever it found")
    words.append(
        "this trusts the form of the law: if another law is true, runs that tell the laws apart are worth more than"
        " these"
    )
    return words
