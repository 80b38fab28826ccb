"""How large a model, and for how many tokens, a budget of FLOPs is best spent on: three approaches side by side.

Start at `compute_optimal`. The envelope takes the runs that no cheaper run beats; isoFLOP profiles fit a parabola to
the loss over log N among runs of about the same cost; the parametric approach minimises a fitted law along
N D = C / 6. A law of mixtures is minimised at one mixture, where it is a surface of N and D like any other; the other
two approaches then take the runs on that mixture. What always holds: C = 6 N D; each approach resamples the same runs
for its interval; an approach that the runs cannot carry says why instead of giving numbers.

Source: Hoffmann et al., arXiv 2203.15556, section 3, approaches 1 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis import fitting, laws
from analysis.allocation_inputs import no_decision, object_of, shares_of
from analysis.fit import LEVEL, bound, draws_of
from analysis.laws import Floats, Law, Points
from analysis.runs import read_runs
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress

FLOPS_PER_PARAMETER_AND_TOKEN = 6.0
"""Source: Kaplan et al., arXiv 2001.08361, section 2.1."""
PROFILE_WIDTH = 0.25
"""Runs within this many natural logs of C to either side of a level make its profile (a factor of 1.3)."""
PROFILE_RUNS = 5
"""A parabola has three coefficients; with fewer runs than this it is not trusted."""
ENVELOPE_RUNS = 6
SAME_MIXTURE = 0.02
"""Shares of a run on the mixture asked for may differ from it by this."""
DRAWS = 200
GRID = 400
"""Sizes at which a law is tried, over the range below."""
REACH = 1e4
"""How far beyond the smallest and largest run the best size is sought."""


def compute_optimal(
    runs: Path | str,
    flops: float,
    *,
    law: str = "chinchilla",
    params: str | None = None,
    tokens: str | None = None,
    loss: str | None = None,
    shares: str | None = None,
    target: str | None = None,
    mixture: Mapping[str, float] | Path | str | None = None,
    where: str | None = None,
    drop_highest: int = 0,
    bootstrap: int = DRAWS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Say how a budget of FLOPs is best divided between parameters and tokens, by three approaches.

    Args:
        runs: A table of runs, as `analysis.fit.fit` reads it.
        flops: The budget, C = 6 N D.
        law: Of the parametric approach.
        params: Column of N.
        tokens: Column of D.
        loss: Column of the loss.
        shares: What the names of the columns of shares begin with, for laws of mixtures.
        target: Which source the loss is measured on, see `analysis.fit.fit`.
        mixture: Source to share, of the mixture that the budget is spent on, for laws of mixtures (a mapping, JSON text
            or a file).
        where: A condition in SQL that rows must meet.
        drop_highest: Leave out so many runs of the highest loss.
        bootstrap: Resamples for intervals; 0 for none.
        seed: Decides the resamples.

    Returns:
        One JSON value an approach: `approach, flops, params, tokens, exponent_params, exponent_tokens, intervals, runs,
        beyond` (how many times the largest run's cost the budget is) and `words`; numbers are None where the runs
        cannot carry the approach.

    Raises:
        BadInput: The table cannot be used, or the budget is not above 0.
    """
    mistakes = [] if law in laws.LAWS else [laws.unknown_law(law)]
    if not mistakes and (why := _no_surface(laws.law(law))):
        mistakes.append(Mistake("--law", why))
    elif not mistakes and ("shares" in laws.law(law).needs) != (mixture is not None):
        mistakes.append(
            Mistake(
                "--mixture",
                f"is for laws that read shares, and {law} reads none"
                if mixture is not None
                else f'missing: {law} is a surface of N and D at given shares, such as {{"go": 0.4, "rust": 0.6}}',
            )
        )
    if not (math.isfinite(flops) and flops > 0):
        mistakes.append(Mistake("--flops", f"{flops!r} is not a finite number above 0"))
    if min(bootstrap, drop_highest, seed) < 0:
        mistakes.append(Mistake("--bootstrap, --drop-highest, --seed", "give 0 or more"))
    if mistakes:
        raise BadInput(mistakes)
    table = read_runs(runs, params=params, tokens=tokens, loss=loss, where=where, shares=shares)
    chosen = bound(laws.law(law), table, str(runs), target)
    points = table.points(None)
    order = np.argsort(points.loss, kind="stable")
    points = points.take(np.sort(order[: len(points) - drop_highest]))
    at = None if mixture is None else _at(mixture, table.sources, chosen, target)
    return of_points(points, flops, chosen, at=at, bootstrap=bootstrap, seed=seed)


def _no_surface(law: Law) -> str:
    """Return why a law has no best N and D for a budget, or "" where it has."""
    if not law.reads_size:
        return (
            f"{law.name} has no N and no D, so that all sizes are alike to it; use a law that has them, such as"
            " `interaction` or `additive`"
        )
    return no_decision(law.name, "shares", "target")


def _at(mixture: Mapping[str, float] | Path | str, sources: Sequence[str], law: Law, target: str | None) -> Floats:
    """Return the shares of the mixture that is asked for, in the order of the sources."""
    found = shares_of("mixture", object_of("mixture", mixture), sources)
    own = getattr(law, "target", target)
    if "target" in law.needs and not found.get(str(own)):
        bad_input(f"mixture.{own}", f"missing or 0: {law.name} has no value without tokens of its own language")
    return np.array([found.get(name, 0.0) for name in sources])


def of_points(
    points: Points, flops: float, law: Law, *, at: Floats | None = None, bootstrap: int = DRAWS, seed: int = 0
) -> list[dict[str, Any]]:
    """Return the three approaches for checked runs; see `compute_optimal`.

    Args:
        points: The runs.
        flops: The budget.
        law: Of the parametric approach, bound to the sources.
        at: Shares of the sources, for laws of mixtures; the other approaches then take the runs on that mixture.
        bootstrap: Resamples.
        seed: Decides them.
    """
    rng = np.random.default_rng(seed)
    near = points
    if at is not None and points.shares is not None:
        near = points.take(np.flatnonzero(np.abs(points.shares - at).max(axis=1) <= SAME_MIXTURE))
    weights = rng.multinomial(len(near), np.full(len(near), 1 / len(near)), size=bootstrap) if len(near) else None
    found: list[dict[str, Any]] = []
    with progress(total=3, description="compute-optimal", unit="approach") as bar:
        for name, approach in LINES.items():
            if weights is not None:
                found.append(_by_lines(name, approach, near, flops, weights))
            else:
                found.append(_nothing(name, points, flops, "no run was made on this mixture"))
            bar.update(1)
        found.append(_parametric(law, points, flops, bootstrap, rng, at))
        bar.update(1)
    return found


def envelope(points: Points) -> tuple[Floats, Floats] | str:
    """Return cost and size, shape (k,), of the runs that no cheaper run beats, or why that says nothing.

    Source: approach 1, with whole runs where it had all points of the training curves.
    """
    cost = _cost(points)
    order = np.lexsort((points.loss, cost))
    best = np.minimum.accumulate(points.loss[order])
    on = order[np.concatenate([[True], best[1:] < best[:-1]])]
    if len(on) < ENVELOPE_RUNS or np.ptp(points.params[on]) == 0:
        return f"only {len(on)} runs are on the envelope; {ENVELOPE_RUNS} with several sizes are needed"
    return cost[on], points.params[on]


def profiles(points: Points) -> tuple[Floats, Floats] | str:
    """Return cost and best size, shape (k,), of the levels whose profile has its minimum among its runs, or why not.

    Source: approach 2.
    """
    cost, size, value = np.log(_cost(points)), np.log(points.params), np.log(points.loss)
    levels = np.arange(cost.min() + PROFILE_WIDTH, cost.max(), 2 * PROFILE_WIDTH)
    at: list[float] = []
    best: list[float] = []
    for level in levels:
        near = np.abs(cost - level) <= PROFILE_WIDTH
        if near.sum() < PROFILE_RUNS or len(np.unique(size[near])) < 4:
            continue
        centre = size[near].mean()
        # Runs of one level differ in cost too: its effect is fitted beside the parabola.
        x = size[near] - centre
        columns = np.stack([np.ones(len(x)), x, x**2, cost[near] - level], axis=1)
        columns = columns if near.sum() > PROFILE_RUNS else columns[:, :3]
        coefficients = np.linalg.lstsq(columns, value[near], rcond=None)[0]
        if coefficients[2] <= 0:
            continue
        lowest = -coefficients[1] / (2 * coefficients[2])
        if x.min() <= lowest <= x.max():
            at.append(float(level))
            best.append(float(lowest + centre))
    if len(at) < 3:
        return f"{len(at)} of {len(levels)} levels of cost have a minimum inside their runs; 3 are needed"
    return np.exp(np.array(at)), np.exp(np.array(best))


LINES: dict[str, Callable[[Points], tuple[Floats, Floats] | str]] = {
    "envelope": envelope,
    "isoFLOP profiles": profiles,
}
"""The approaches that find the best sizes at several costs and draw a line through them."""


def law_optimum(
    law: Law, symbols: Mapping[str, Floats], flops: float, smallest: float, largest: float, at: Floats | None = None
) -> Floats:
    """Return the best N for a budget under a law, shape (M,): a grid over log N, refined by a parabola.

    Args:
        law: The law.
        symbols: Each of shape (M, 1).
        flops: C.
        smallest: Least N to try.
        largest: Most N to try.
        at: Shares of the sources, for laws of mixtures.
    """
    logs = np.linspace(math.log(smallest), math.log(largest), GRID)
    n = np.exp(logs)
    with np.errstate(over="ignore"):
        values = law.predict(symbols, n, flops / (FLOPS_PER_PARAMETER_AND_TOKEN * n), at)
    place = np.clip(values.argmin(axis=1), 1, GRID - 2)
    rows = np.arange(len(values))
    left, middle, right = (np.log(values[rows, place + shift]) for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(bend > 0, np.clip((left - right) / (2 * bend), -1, 1), 0.0)
    return np.exp(logs[place] + shift * (logs[1] - logs[0]))


def _cost(points: Points) -> Floats:
    return FLOPS_PER_PARAMETER_AND_TOKEN * points.params * points.tokens


def _by_lines(
    name: str,
    approach: Callable[[Points], tuple[Floats, Floats] | str],
    points: Points,
    flops: float,
    weights: Any,
) -> dict[str, Any]:
    """Fit log N = log G + a log C to what an approach finds, on the runs and on each resample."""
    whole = approach(points)
    if isinstance(whole, str):
        return _nothing(name, points, flops, whole)
    line = _line(*whole)
    drawn = [
        _line(*found)
        for counts in weights
        if not isinstance(found := approach(points.take(np.flatnonzero(counts))), str)
    ]
    words: list[str] = []
    if len(drawn) < 0.9 * len(weights):
        words.append(f"only {len(drawn)} of {len(weights)} resamples carry this approach: its intervals are too narrow")
    lines = np.array(drawn).reshape(len(drawn), 2)
    return _result(name, points, flops, line, lines, len(whole[0]), words)


def _line(cost: Floats, size: Floats) -> tuple[float, float]:
    slope, level = np.polyfit(np.log(cost), np.log(size), 1)
    return float(level), float(slope)


def _parametric(
    law: Law, points: Points, flops: float, bootstrap: int, rng: np.random.Generator, at: Floats | None
) -> dict[str, Any]:
    name = f"parametric ({law.name})"
    if len(points) <= len(law.symbols):
        return _nothing(name, points, flops, f"{len(points)} runs are too few for {len(law.symbols)} symbols")
    origin = laws.frame(points)
    best = fitting.solve(law, points, origin)
    drawn = fitting.bootstrap(law, points, origin, best.theta, bootstrap, rng)[0] if bootstrap else best.theta[None][:0]
    words = [] if best.converged else ["the fit did not converge"]
    estimates, draws = (law.to_symbols(theta, origin) for theta in (best.theta[None], drawn))
    return _of_symbols(name, law, estimates, draws, points, flops, words, at)


def of_fit(fit: Mapping[str, Any], points: Points, flops: float) -> list[dict[str, Any]]:
    """Return the three approaches for runs that a law was fitted to already; see `compute_optimal`.

    Args:
        fit: What `analysis.fit.fit` returned of the runs.
        points: The runs.
        flops: The budget.
    """
    law = laws.law(fit["law"])
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(points), np.full(len(points), 1 / len(points)), size=len(fit["draws"]))
    words = [] if fit["converged"] else ["the fit did not converge"]
    estimates = {name: np.array([fit["estimates"][name]]) for name in law.symbols}
    draws = draws_of(fit) if fit["draws"] else {name: np.zeros(0) for name in law.symbols}
    return [
        *(_by_lines(name, approach, points, flops, weights) for name, approach in LINES.items()),
        _of_symbols(f"parametric ({law.name})", law, estimates, draws, points, flops, words),
    ]


def _of_symbols(
    name: str,
    law: Law,
    estimates: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    points: Points,
    flops: float,
    words: list[str],
    at: Floats | None = None,
) -> dict[str, Any]:
    smallest, largest = float(points.params.min()) / REACH, float(points.params.max()) * REACH
    lines: list[Floats] = []
    for values in (estimates, draws):
        symbols = {key: value[:, None] for key, value in values.items()}
        if not len(next(iter(symbols.values()))):
            lines.append(np.zeros((0, 2)))
            continue
        # The best size is a power of the cost for power laws; elsewhere this is its local exponent.
        here, further = (np.log(law_optimum(law, symbols, c, smallest, largest, at)) for c in (flops, flops * math.e))
        slope = further - here
        lines.append(np.stack([here - slope * math.log(flops), slope], axis=1))
    return _result(name, points, flops, (float(lines[0][0, 0]), float(lines[0][0, 1])), lines[1], len(points), words)


def _result(
    name: str,
    points: Points,
    flops: float,
    line: tuple[float, float],
    drawn: Floats,
    used: int,
    words: list[str],
) -> dict[str, Any]:
    def both(level: Any, slope: Any) -> dict[str, Any]:
        size = np.exp(level + slope * math.log(flops))
        return {
            "params": size,
            "tokens": flops / (FLOPS_PER_PARAMETER_AND_TOKEN * size),
            "exponent_params": slope,
            "exponent_tokens": 1 - slope,
        }

    ends = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    spread = both(drawn[:, 0], drawn[:, 1])
    return {
        "approach": name,
        "flops": flops,
        **{key: float(value) for key, value in both(*line).items()},
        "intervals": {key: [float(end) for end in np.quantile(value, ends)] for key, value in spread.items()}
        if len(drawn)
        else {},
        "runs": used,
        "beyond": float(flops / _cost(points).max()),
        "words": words,
    }


def _nothing(name: str, points: Points, flops: float, why: str) -> dict[str, Any]:
    return {
        "approach": name,
        "flops": flops,
        **dict.fromkeys(("params", "tokens", "exponent_params", "exponent_tokens")),
        "intervals": {},
        "runs": 0,
        "beyond": float(flops / _cost(points).max()),
        "words": [why],
    }
