"""Scaling laws from a table of runs, with how far each number may be trusted.

Start at `fit`; `predict` and `isoloss` evaluate what it returns. A fit is a JSON value (`law, unit, group, n_runs,
objective, estimates, intervals, draws, converged, heldout` and what is needed to read them), so that it travels as a
line of text. What always holds: `draws` has one entry a bootstrap resample, each with all of the law's symbols;
`intervals` are the central 95% of the draws; what the runs do not determine is named in `unidentified` and in words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from analysis import fitting, laws
from analysis.laws import Floats, Frame, Law, Points
from analysis.laws.pinned import Pinned, pinned
from analysis.runs import RunTable, read_runs
from quality.mistakes import BadInput, Mistake, Mistakes
from quality.progress import progress

LEVEL = 0.95
PLAIN = (1 - LEVEL) / 2
SCATTERED = 2000
"""Draws of one more run, at least."""
HELDOUT_FRACTION = 0.2
"""This fraction of the runs, those with the most compute, is left out to test extrapolation."""
HELDOUT_STARTS = 12
WIDE_EXPONENT = 10.0
"""An exponent, or the constant, whose interval spans this factor is called unidentified (a judgement: the interval
stands beside it)."""
WIDE_SCALE = 1e4
"""The same for coefficients, which move by orders of magnitude with their exponent even in good fits."""
OPEN = 3.84
"""The 95% point of chi-squared with one degree of freedom."""
INFLUENTIAL = 3
"""So many of the runs that pull the fit most are named."""
MIXTURE_FOLDS = 5
MANY_RUNS = 10
"""From so many runs a symbol on, intervals are those of a planned sweep."""
FEW_RUNS = 3
"""With fewer runs a symbol than this, the words say that bootstrap intervals are too narrow.

Source: resampling n runs understates the variance by about (n - symbols) / n; Davison and Hinkley, Bootstrap Methods
and their Application (1997), section 6.2.
"""


def fit(
    runs: Path | str,
    law: str = "chinchilla",
    *,
    params: str | None = None,
    tokens: str | None = None,
    loss: str | None = None,
    by: str | None = None,
    where: str | None = None,
    table: str | None = None,
    unit: str | None = None,
    shares: str | None = None,
    target: str | None = None,
    unique: str | None = None,
    weight: str | None = None,
    trunk: str | None = None,
    fixed: Mapping[str, float] | None = None,
    drop_highest: int = 0,
    bootstrap: int = 200,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Fit a law to every group of a table of runs.

    Args:
        runs: A `runs` artifact, or a .csv, .tsv, .parquet, .jsonl or .duckdb file with one row a run.
        law: Name of the law.
        params: Column of parameter counts, see `analysis.runs.read_runs`.
        tokens: Column of training tokens.
        loss: Column of losses.
        by: Column that divides the runs into groups, fitted apart.
        where: A condition in SQL that rows must meet.
        table: The table of a database file, where it holds several.
        unit: The loss's unit, where the column's name does not tell.
        shares: What the names of the columns of shares begin with, for laws of mixtures.
        target: Which source the loss is measured on; by default the source that a group is called by, or else the one
            that the loss column's name begins with.
        unique: Column of unique tokens, for laws of repetition.
        weight: Column of how much each run counts.
        trunk: Column that is the same for runs that share their first steps; they are resampled together.
        fixed: Symbol to value, of symbols that are known and not fitted.
        drop_highest: Leave out so many runs of the highest loss in each group.
        bootstrap: Resamples for intervals; 0 for none.
        seed: Decides the resamples; a group's depend on the seed and its name only.

    Returns:
        One fit a group, in the order of their names, as JSON values.

    Raises:
        BadInput: The table cannot be fitted; every reason is named.
    """
    mistakes = [] if law in laws.LAWS else [laws.unknown_law(law)]
    mistakes += [
        Mistake(f"--{name}", f"{value} is below 0; give 0 or more")
        for name, value in (("drop-highest", drop_highest), ("bootstrap", bootstrap), ("seed", seed))
        if value < 0
    ]
    if mistakes:
        raise BadInput(mistakes)
    table_of_runs = read_runs(
        runs,
        params=params,
        tokens=tokens,
        loss=loss,
        by=by,
        where=where,
        table=table,
        unit=unit,
        shares=shares,
        unique=unique,
        weight=weight,
        trunk=trunk,
    )
    return fit_table(
        laws.law(law),
        table_of_runs,
        name=str(runs),
        target=target,
        fixed=fixed,
        drop_highest=drop_highest,
        bootstrap=bootstrap,
        seed=seed,
    )


def fit_table(
    law: Law,
    runs: RunTable,
    *,
    name: str = "runs",
    target: str | None = None,
    fixed: Mapping[str, float] | None = None,
    drop_highest: int = 0,
    bootstrap: int = 200,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Fit a law to every group of checked runs.

    Args:
        law: The law.
        runs: Checked runs.
        name: What mistakes call the runs.
        target: Which source the loss is measured on, see `fit`.
        fixed: Symbol to value, of symbols that are known and not fitted.
        drop_highest: Leave out so many runs of the highest loss in each group.
        bootstrap: Resamples for intervals; 0 for none.
        seed: Decides the resamples.

    Returns:
        One fit a group, as JSON values.

    Raises:
        BadInput: A group has fewer runs than the law has symbols.
    """
    told = Mistakes()
    parts: dict[str | None, tuple[Law, Points]] = {}
    for group in runs.groups():
        with told.noted():
            own = pinned(bound(law, runs, name, target, group), fixed or {})
            points = _without_highest(_answered(own, runs.points(group), runs.sources), drop_highest)
            if isinstance(own, Pinned) and len(points):
                told.add(own.mistakes(laws.frame(points)))
            parts[group] = (own, points)
    told.tell()
    dropped = f" after --drop-highest {drop_highest}" if drop_highest else ""
    told.add(
        Mistake(
            name if group is None else f"{name}: group {group!r}",
            f"{len(points)} runs{dropped}, but {own.name} has {len(own.coordinates)} symbols to fit"
            f" ({', '.join(own.coordinates)}) and needs at least as many runs; add runs, or leave the group out with"
            " --where",
        )
        for group, (own, points) in parts.items()
        if len(points) < len(own.coordinates)
    )
    told.tell()
    fits: list[dict[str, Any]] = []
    with progress(total=len(parts) * (1 + bootstrap), description=f"fit {law.name}", unit="fit") as bar:
        for group, (own, points) in parts.items():
            one = _fit_points(own, points, runs, group, bootstrap, seed, bar.update)
            fits.append({**one, "dropped_highest": drop_highest})
    return fits


def bound(law: Law, runs: RunTable, name: str = "runs", target: str | None = None, group: str | None = None) -> Law:
    """Return a law bound to the sources of some runs.

    Args:
        law: The law.
        runs: Checked runs.
        name: What mistakes call the runs.
        target: Which source the loss is measured on, see `fit`.
        group: Which of the groups.

    Raises:
        BadInput: The law needs what these runs were read without.
    """
    mistakes: list[Mistake] = []
    if "shares" in law.needs and not runs.sources:
        mistakes.append(
            Mistake(name, f"{law.name} reads the shares of sources; name their columns' beginning with --shares")
        )
    if "unique" in law.needs and "unique" not in runs.columns:
        mistakes.append(Mistake(name, f"{law.name} reads how many tokens were unique; name that column with --unique"))
    if target is None and group in runs.sources:
        target = group
    elif target is None:
        loss = runs.columns["loss"] or ""
        target = next((source for source in runs.sources if loss in (source, f"{source}_loss")), None)
    elif target not in runs.sources:
        mistakes.append(
            Mistake("--target", f"{target!r} is not a source; sources: {', '.join(runs.sources) or 'none'}")
        )
    if "target" in law.needs and target is None and not mistakes:
        mistakes.append(
            Mistake(
                name,
                f"{law.name} is the law of one source's own loss; name it with --target: {', '.join(runs.sources)}",
            )
        )
    if mistakes:
        raise BadInput(mistakes)
    return law.bind(runs.sources, target)


def predict(
    fit: Mapping[str, Any],
    params: ArrayLike,
    tokens: ArrayLike,
    level: float = LEVEL,
    *,
    shares: ArrayLike | None = None,
    unique: ArrayLike | None = None,
    new_run: bool = False,
) -> tuple[Floats, Floats, Floats]:
    """Return a fit's loss and its interval, pointwise.

    The interval is that of the fitted curve, or with `new_run` that of one more run, which scatters around the curve as
    the fitted runs do. A fit without draws has an interval of NaN.

    Args:
        fit: What `fit` returned, or one line of what `polymix fit` printed.
        params: N, any shape.
        tokens: D, broadcasts with N.
        level: How often the interval should hold the truth.
        shares: Of the fit's sources, for laws of mixtures, shape (..., K).
        unique: Unique tokens among D, for laws of repetition.
        new_run: Whether the interval is to hold one more run.

    Returns:
        Loss, lower and upper end, each of the broadcast shape, in the fit's unit.
    """
    law = laws.law_of(fit)
    n, d = np.broadcast_arrays(np.asarray(params, dtype=np.float64), np.asarray(tokens, dtype=np.float64))
    value = np.asarray(law.predict(fit["estimates"], n, d, shares, unique))
    if not fit["draws"]:
        return value, np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    drawn = law.predict(draws_of(fit, value.ndim), n, d, shares, unique)
    freedom = max(1, fit["n_runs"] - fitted_symbols(fit))
    if new_run:
        scatter = fit["residual"] * np.sqrt(fit["n_runs"] / freedom)
        noise = np.random.default_rng(0).normal(size=(SCATTERED, *[1] * value.ndim))
        drawn = drawn[np.arange(max(SCATTERED, len(drawn))) % len(drawn)]
        drawn = drawn * np.exp(scatter * np.resize(noise, (len(drawn), *noise.shape[1:])))
    low, high = np.quantile(drawn, tails(level, fit["n_runs"], fitted_symbols(fit)), axis=0)
    return value, low, high


def fitted_symbols(fit: Mapping[str, Any]) -> int:
    """Return how many symbols of a fit the runs had to determine: all but those that were fixed.

    Args:
        fit: What `fit` returned.
    """
    return len(fit["estimates"]) - len(fit.get("fixed") or {})


def tails(level: float, runs: int, symbols: int) -> tuple[float, float]:
    """Return the quantiles of bootstrap draws that bound an interval.

    Where runs are few, resampling n of them understates the variance of a fit of p symbols by (n - p) / n and takes the
    normal's tails for those of Student's t: the interval goes further into the tails. Where they are many, the larger
    error is that a sweep's N and D were planned, but are resampled with the losses, which overstates the variance by
    n / (n - p - 1), as of a random design: the interval goes less far.

    Source: the expanded percentile interval of Hesterberg, The American Statistician 69 (2015) 371-386; the mean of an
    inverse Wishart matrix for the random design. Coverage where runs are many: `tests/prove/test_planted_laws.py`.

    Args:
        level: How often the interval should hold the truth.
        runs: n.
        symbols: p, those that are fitted.
    """
    freedom = max(1, runs - symbols)
    factor = (freedom - 1) / runs if runs >= MANY_RUNS * symbols else runs / freedom
    low = float(ndtr(-float(stdtrit(freedom, (1 + level) / 2)) * np.sqrt(factor)))
    return low, 1 - low


def tails_of(fits: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the quantiles that bound a 95% interval of what follows from the draws of several fits together.

    They are those of `tails`; where fits differ in their runs or symbols, of the fit whose interval goes furthest.

    Args:
        fits: What `fit` returned; of one that does not say how many runs it had, plain percentiles.
    """
    lows = [tails(LEVEL, one["n_runs"], fitted_symbols(one))[0] if one.get("n_runs") else PLAIN for one in fits]
    return min(lows), 1 - min(lows)


def isoloss(fit: Mapping[str, Any], loss: float, params: ArrayLike, shares: ArrayLike | None = None) -> Floats:
    """Return the tokens at which models of these sizes reach a loss, NaN where more tokens never will.

    Args:
        fit: What `fit` returned.
        loss: The loss to reach, in the fit's unit.
        params: N, any shape.
        shares: Of the fit's sources, for laws of mixtures.
    """
    return np.asarray(laws.law_of(fit).tokens_for(fit["estimates"], params, loss, shares))


def draws_of(fit: Mapping[str, Any], axes: int = 0) -> dict[str, Floats]:
    """Return a fit's draws as one array a symbol.

    Args:
        fit: What `fit` returned, with draws.
        axes: How many axes of length 1 to add behind, for broadcasting against that many.

    Returns:
        Symbol to array of shape (draws, 1, ...).
    """
    symbols = laws.law_of(fit).symbols
    shape = (-1, *([1] * axes))
    return {name: np.array([draw[name] for draw in fit["draws"]], dtype=np.float64).reshape(shape) for name in symbols}


def _fit_points(
    law: Law,
    points: Points,
    runs: RunTable,
    group: str | None,
    bootstraps: int,
    seed: int,
    done: Callable[[int], object],
) -> dict[str, Any]:
    origin = laws.frame(points)
    best = fitting.solve(law, points, origin)
    done(1)
    enough = len(points) > len(law.coordinates)
    drawn, again = (
        fitting.bootstrap(law, points, origin, best.theta, bootstraps, _generator(seed, group), done)
        if enough and bootstraps
        else (np.zeros((0, len(law.coordinates))), 0)
    )
    symbols = law.to_symbols(drawn, origin)
    intervals = {
        name: [float(end) for end in np.quantile(symbols[name], tails(LEVEL, len(points), len(law.coordinates)))]
        for name in law.symbols
        if len(drawn)
    }
    risen = fitting.profile(law, points, origin, best.theta)
    unidentified = _unidentified(law, best, drawn, origin, intervals, risen)
    heldout, why_not = _heldout(law, points)
    warnings = [
        *runs.warnings,
        *_words_on_unanswered(law, runs.points(group), runs.sources),
        *_words_on_data(law, points),
        *_words_on_intervals(law, points, len(drawn), bootstraps, again),
        *_words_on_trunks(law, points, len(drawn)),
        *_words_on_fit(best, unidentified),
        *([why_not] if why_not else []),
    ]
    return {
        "law": law.name,
        "unit": runs.unit,
        "group": group,
        "sources": list(runs.sources),
        "target": law.target,
        "n_runs": len(points),
        "objective": best.objective,
        "estimates": {name: float(value[0]) for name, value in law.to_symbols(best.theta[None], origin).items()},
        "intervals": intervals,
        "fixed": dict(law.fixed),
        "converged": best.converged,
        "starts": {"tried": best.starts, "agreeing": best.agreeing},
        "unidentified": unidentified,
        "condition": best.condition if np.isfinite(best.condition) else None,
        "profile": {
            name: [float(end) if np.isfinite(end) else None for end in ends]
            for name, ends in zip(law.coordinates, risen, strict=True)
        },
        "influential": _influential(law, points, origin, best.theta),
        "heldout": heldout,
        "heldout_mixtures": _heldout_mixtures(law, points),
        "ranges": {
            "params": [float(points.params.min()), float(points.params.max())],
            "tokens": [float(points.tokens.min()), float(points.tokens.max())],
            "loss": [float(points.loss.min()), float(points.loss.max())],
        },
        "columns": dict(runs.columns),
        "residual": _residual(law, best.theta, points, origin),
        "seed": seed,
        "warnings": warnings,
        "draws": [{name: float(symbols[name][row]) for name in law.symbols} for row in range(len(drawn))],
    }


def _generator(seed: int, group: str | None) -> np.random.Generator:
    digest = hashlib.sha256(repr(group).encode()).digest()
    return np.random.default_rng([seed, *digest[:16]])


def _without_highest(points: Points, count: int) -> Points:
    order = np.argsort(points.loss, kind="stable")
    return points.take(np.sort(order[: max(0, len(points) - count)]))


def _answered(law: Law, points: Points, sources: Sequence[str]) -> Points:
    """Return the runs on which a law has a loss: with some of the target's own text, where it needs that."""
    if not law.needs_own_text or points.shares is None or law.target is None:
        return points
    return points.take(np.flatnonzero(points.shares[:, sources.index(law.target)] > 0))


def _words_on_unanswered(law: Law, points: Points, sources: Sequence[str]) -> list[str]:
    count = len(points) - len(_answered(law, points, sources))
    return [f"{count} runs left out: without text of {law.target} {law.name} has no finite loss"] if count else []


def _residual(law: Law, theta: Floats, points: Points, origin: Frame) -> float:
    """Return the root mean square of the differences of log loss: a typical relative error."""
    residual = law.log_loss(theta[None], points, origin)[0][0] - np.log(points.loss)
    return float(np.sqrt(np.mean(residual**2)))


def _unidentified(
    law: Law,
    best: fitting.Solution,
    drawn: Floats,
    origin: Frame,
    intervals: Mapping[str, Sequence[float]],
    risen: Floats,
) -> list[str]:
    """Return the symbols that the runs leave open.

    They are free to move, on a bound or not kept off one by the profile likelihood, or have a very wide interval.
    """
    limits = law.bounds(origin)
    edge = 1e-3 * (limits[:, 1] - limits[:, 0])
    found = {law.coordinates[index] for index in (*best.at_bounds, *best.flat)}
    found |= {name for name, ends in zip(law.coordinates, risen, strict=True) if ends.min() < OPEN}
    if len(drawn):
        ends = np.quantile(drawn, [PLAIN, 1 - PLAIN], axis=0)
        touching = (ends[0] - limits[:, 0] <= edge) | (limits[:, 1] - ends[1] <= edge)
        found |= {name for name, touches in zip(law.coordinates, touching, strict=True) if touches}
    for name, (low, high) in intervals.items():
        widest = WIDE_SCALE if name in law.scales else WIDE_EXPONENT
        if name not in law.signed and (low <= 0 or high / low > widest):
            found.add(name)
    return [name for name in law.symbols if name in found]


def _words_on_data(law: Law, points: Points) -> list[str]:
    words: list[str] = []
    for what, values in (("N", points.params), ("D", points.tokens)):
        distinct = len(np.unique(values))
        if distinct == 1:
            words.append(f"all runs have the same {what}: how the loss depends on {what} is not in these runs")
        elif distinct == 2:
            words.append(f"only 2 values of {what}: its exponent and the constant cannot be told apart")
    if 1 < len(points) < FEW_RUNS * len(law.coordinates):
        words.append(
            f"{len(points)} runs for {len(law.coordinates)} symbols are few: the true uncertainty is larger than the"
            " intervals"
        )
    return words


def _words_on_intervals(law: Law, points: Points, drawn: int, bootstraps: int, again: int) -> list[str]:
    if not bootstraps:
        return ["no intervals: --bootstrap 0"]
    if not drawn:
        return [
            f"no intervals: {len(points)} runs determine {len(law.coordinates)} symbols exactly and leave nothing to"
            " judge the fit by"
        ]
    if drawn < bootstraps:
        return [f"only {drawn} of {bootstraps} resamples could be fitted: too few runs differ"]
    if again > 0.1 * bootstraps:
        return [f"{again} resamples could not determine the law and were drawn again: the intervals are too narrow"]
    return []


def _words_on_trunks(law: Law, points: Points, drawn: int) -> list[str]:
    if points.trunk is None or not drawn or fitting.clustered(points, len(law.coordinates)):
        return []
    trunks = len(np.unique(points.trunk))
    if trunks == len(points):
        return []
    return [
        f"the runs share {trunks} trunks, too few to resample by for {len(law.coordinates)} symbols: what a trunk's"
        " runs have in common is not in the intervals, which are too narrow"
    ]


def _words_on_fit(best: fitting.Solution, unidentified: Sequence[str]) -> list[str]:
    words: list[str] = []
    if unidentified:
        words.append(
            f"these runs do not determine {', '.join(unidentified)}: read nothing into the values, though predictions"
            " near the runs may hold"
        )
    if not best.converged:
        words.append(
            f"not converged: {best.agreeing} of {best.starts} starts reached the best objective, the largest slope left"
            f" is {best.gradient:.2g}"
        )
    return words


def _influential(law: Law, points: Points, origin: Frame, best: Floats) -> list[dict[str, float]]:
    """Return the runs that pull the fit most, with by how many standard errors."""
    pulled = fitting.influence(law, points, origin, best)
    residual = law.log_loss(best[None], points, origin)[0][0] - np.log(points.loss)
    return [
        {
            "params": float(points.params[row]),
            "tokens": float(points.tokens[row]),
            "loss": float(points.loss[row]),
            "relative_error": float(np.expm1(residual[row])),
            "standard_errors": float(pulled[row]),
        }
        for row in np.argsort(-pulled, kind="stable")[:INFLUENTIAL]
    ]


def _heldout(law: Law, points: Points) -> tuple[dict[str, Any] | None, str]:
    """Fit without the runs of the most compute and return the error on them, or None and why it cannot be done."""
    count = max(1, round(HELDOUT_FRACTION * len(points)))
    compute = np.log(points.params) + np.log(points.tokens)
    order = np.argsort(compute, kind="stable")
    kept, left_out = points.take(np.sort(order[:-count])), points.take(np.sort(order[-count:]))
    if len(kept) <= len(law.coordinates):
        return None, f"no held-out error: without the {count} largest runs too few are left to fit"
    for what, all_values, values in (("N", points.params, kept.params), ("D", points.tokens, kept.tokens)):
        if np.ptp(all_values) > 0 and np.ptp(values) == 0:
            return None, f"no held-out error: without the {count} largest runs only one {what} is left"
    error = heldout_error(law, kept, left_out)
    return {
        "rule": f"the {count} of {len(points)} runs with the most compute (N x D)",
        "n_runs": count,
        "fitted_runs": len(kept),
        "compute_factor": float(np.exp(compute[order[-1]] - compute[order[-count - 1]])),
        **_summary_of(error),
    }, ""


def _heldout_mixtures(law: Law, points: Points) -> dict[str, Any] | None:
    """Fit without a fifth of the mixtures, five times over, and return the error on those left out."""
    if points.shares is None or "shares" not in law.needs:
        return None
    mixture = np.unique(points.shares.round(6), axis=0, return_inverse=True)[1].ravel()
    fold = np.random.default_rng(0).permutation(int(mixture.max()) + 1)[mixture] % MIXTURE_FOLDS
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(MIXTURE_FOLDS)]
    if any(len(kept) <= len(law.coordinates) or not len(left) for kept, left in parts):
        return None
    error = np.concatenate([heldout_error(law, points.take(kept), points.take(left)) for kept, left in parts])
    return {
        "rule": f"each fifth of the {int(mixture.max()) + 1} mixtures, by a fit to the others",
        "n_runs": len(points),
        **_summary_of(error),
    }


def heldout_error(law: Law, kept: Points, left_out: Points) -> Floats:
    """Return the relative error on runs of a fit to other runs, shape (runs left out,).

    Args:
        law: The law.
        kept: The runs to fit.
        left_out: The runs to predict.
    """
    origin = laws.frame(kept)
    best = fitting.solve(law, kept, origin, HELDOUT_STARTS)
    return np.expm1(law.log_loss(best.theta[None], left_out, origin)[0][0] - np.log(left_out.loss))


def _summary_of(error: Floats) -> dict[str, float]:
    return {
        "mean_relative_error": float(np.mean(np.abs(error))),
        "largest_relative_error": float(np.max(np.abs(error))),
        "bias": float(np.mean(error)),
    }
