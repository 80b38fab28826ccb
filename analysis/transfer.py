"""What languages gain from each other: synergies of pairs, and tau, what a token of one is worth to another.

Start at `transfer`, which reads runs and returns both as one JSON value; `synergies` and `fit_tau` are its halves and
take runs that are read already (`read_mixed`). What always holds: a gain is the baseline's loss minus that with the
auxiliary language, so that positive is better; a gain has an interval only where a noise is known, from repeated seeds
or given; q-values are over all tests of a table; what the runs do not determine is named and gets no number.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np

from analysis import laws
from analysis.allocation_inputs import mixture_laws, read_fits
from analysis.allocation_words import names_of
from analysis.fit import draws_of
from analysis.laws import Floats, Law
from analysis.mixture_transfer import Point, local_tau, read_point, without_tau
from analysis.problem import LEAST_WORTH, effective_tokens
from analysis.runs import statement
from analysis.significance import FALSE_DISCOVERY_RATE, LEVEL, false_discoveries, two_sided, width
from quality.artifacts import read_manifest
from quality.mistakes import BadInput, Mistake, Mistakes, bad_input

REPETITION, UNIQUE = "repetition", "unique"
BASELINES = {
    REPETITION: "the target alone for as many tokens in all, repeated where it has to be (the paper's baseline)",
    UNIQUE: "the target alone for the target tokens of the mixture, so that only the auxiliary is added",
}
CLOSE = 0.02
"""A baseline may differ by this fraction in its tokens: budgets are rounded to whole optimizer steps."""
LEAST_SHARE = 0.05
"""Runs with less of the target say more of the law's lower end than of transfer."""
LARGEST_TAU = 5.0
"""A token of another language is not worth more than so many of one's own; a fit that ends here is not identified."""
_COLUMNS = ("target", "auxiliary", "tokens", "loss")


@dataclass(frozen=True)
class Mixed:
    """The loss of one run on one language.

    Args:
        target: The language it was validated on.
        params: N.
        tokens: All training tokens.
        shares: Language to fraction of the tokens, in the order of names.
        epochs: How often the target's own tokens were seen; 0 where it has none.
        seed: Of the run.
        loss: In one unit.
    """

    target: str
    params: float
    tokens: float
    shares: tuple[tuple[str, float], ...]
    epochs: float
    seed: int
    loss: float

    @property
    def own(self) -> float:
        """The target's share."""
        return dict(self.shares).get(self.target, 0.0)

    @property
    def others(self) -> tuple[str, ...]:
        """The languages beside the target."""
        return tuple(name for name, share in self.shares if name != self.target and share > 0)


def transfer(
    runs: Path | str | None = None,
    *,
    fits: Path | str | Sequence[Mapping[str, Any]] | None = None,
    noise: float | None = None,
    unit: str = "bits_per_byte",
    params: str = "params_non_embedding",
    at: Mapping[str, Any] | Path | str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Say what languages gain from each other.

    Args:
        runs: A `runs` artifact (folder) with mixtures validated on all languages, or a .csv with a row a loss: `target,
            auxiliary, tokens, loss` and, where they are known, `share` (of the target, .5 by default), `params`,
            `epochs`, `seed`. An auxiliary that is empty or the target itself means the target alone. None where fits
            of mixture laws say all that is asked.
        fits: What `polymix fit --by language` printed of runs on one language, with which tau is fitted; or a fit of a
            mixture law for each language, of which it is read (`analysis.mixture_transfer`).
        noise: Standard deviation of a log loss between seeds, where the runs do not tell.
        unit: Of a folder's losses: `bits_per_byte` or `nats`.
        params: Of a folder, which count is N: `params_non_embedding` or `params_total`.
        at: For mixture laws, where slopes are taken: `params`, `tokens` and `shares`, as a mapping, JSON text or a
            file; by default the largest N and D fitted, and even shares.
        seed: Decides the draws.

    Returns:
        `noise`, `freedom`, `unit`, `synergy` (a row a pair, mixture and baseline), `tau` (a row a pair), `matrix` (tau
        by target and auxiliary, which `polymix allocate --transfer` reads), `point` (of mixture laws, else None) and
        `words`.

    Raises:
        BadInput: The runs or fits cannot be read; all mistakes are named.
    """
    told = Mistakes()
    mixed: list[Mixed] = []
    fitted: list[Mapping[str, Any]] = []
    point: Point | None = None
    with told.noted():
        mixed = [] if runs is None else read_mixed(runs, unit=unit, params=params)
    with told.noted():
        fitted = [] if fits is None else read_fits(fits, allowed=("shares", "target"))
    of_mixtures = bool(fitted and mixture_laws(fitted))
    with told.noted():
        if of_mixtures:
            if why := without_tau(laws.law_of(fitted[0])):
                bad_input("--fits", why)
            point = read_point(at, fitted)
        elif at is not None and (fitted or fits is None):
            bad_input("--at", "is for fits of mixture laws; tau of other laws is fitted to RUNS and holds everywhere")
    if runs is None and not of_mixtures and (fitted or fits is None):
        told.add([Mistake("RUNS", "missing: only --fits of mixture laws say what languages gain without further runs")])
    if noise is not None and not (math.isfinite(noise) and noise > 0):
        told.add([Mistake("--noise", f"{noise!r} is not a finite number above 0; leave it out where it is not known")])
    told.tell()
    found: dict[str, Any] = {"noise": noise, "freedom": None, "synergy": [], "words": []}
    if runs is not None:
        found = synergies(mixed, noise)
    rows: list[dict[str, Any]] = []
    words = list(found["words"])
    if point is not None:
        rows, more = local_tau(fitted, point)
        words += more
        unit = str(fitted[0]["unit"]) if runs is None else unit
    elif fits is not None:
        rows, more = fit_tau(mixed, fitted, found["noise"], np.random.default_rng(seed))
        words += more
    return {**found, **_tau_value(rows), "unit": unit, "point": point and point.as_json(), "words": words}


def synergies(mixed: Sequence[Mixed], noise: float | None = None) -> dict[str, Any]:
    """Compare every run on two languages with its baselines, and test all differences together.

    Args:
        mixed: Losses of runs.
        noise: Standard deviation of a log loss between seeds; None to take it from repeated seeds.

    Returns:
        `noise` and `freedom` (None where not known), `synergy`: rows with `target, auxiliary, share, params, tokens,
        loss, baseline, baseline_loss, gain, relative, interval, p, q, verdict, runs`, and `words`.

    Source: the gain is arXiv 2512.13472, equation 2, with the sign of its quoted values.
    """
    groups: dict[tuple[Any, ...], list[Mixed]] = {}
    for one in mixed:
        groups.setdefault((one.target, one.params, one.tokens, one.shares), []).append(one)
    known, freedom = (noise, math.inf) if noise is not None else _seed_noise(list(groups.values()))
    alone: dict[tuple[str, float], list[list[Mixed]]] = {}
    for group in groups.values():
        if not group[0].others:
            alone.setdefault((group[0].target, group[0].params), []).append(group)
    rows: list[dict[str, Any]] = []
    lacking = dict.fromkeys(BASELINES, 0)
    for group in groups.values():
        first = group[0]
        if len(first.others) != 1 or first.own <= 0:
            continue
        for baseline, tokens in ((REPETITION, first.tokens), (UNIQUE, first.tokens * first.own)):
            against = _nearest(alone.get((first.target, first.params), []), tokens)
            if against is None:
                lacking[baseline] += 1
                continue
            rows.append(_compared(group, against, baseline, known))
    rows.sort(key=lambda row: (row["baseline"], row["target"], row["auxiliary"], row["params"], row["tokens"]))
    words = _tested(rows, known, freedom)
    words += [
        f"{number} mixtures have no run of their target alone to compare with ({baseline} baseline:"
        f" {BASELINES[baseline]})"
        for baseline, number in lacking.items()
        if number
    ]
    if not rows and not any(lacking.values()):
        words.append("no run mixes two languages and is validated on one of them: add mixtures to the sweep")
    return {
        "noise": known,
        "freedom": None if known is None or math.isinf(freedom) else freedom,
        "synergy": rows,
        "words": words,
    }


def fit_tau(
    mixed: Sequence[Mixed],
    fits: Sequence[Mapping[str, Any]],
    noise: float | None,
    rng: np.random.Generator,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Fit what a token of each language is worth to each other one, from mixtures of any number and ratio.

    With a law of one language's own tokens, L_i(N, D_i + sum_j tau_ij D_j) is fitted to the log losses on language i by
    least squares. Own tokens that repeat count for less (`analysis.problem.effective_tokens`). The uncertainty is that
    of the law's bootstrap draws together with the scatter around the fit, drawn anew for each.

    Source: effective data with tau_ij, after ATLAS, arXiv 2510.22037; Marquardt, SIAM J. Appl. Math. 11 (1963) 431-441.

    Args:
        mixed: Losses of runs.
        fits: One a language, with draws, in the unit and with the N of the losses.
        noise: Standard deviation of a log loss between seeds, or None.
        rng: Draws the scatter.

    Returns:
        Rows `target, auxiliary, tau, interval, p, q, runs, identified, draws`, and words.
    """
    rows: list[dict[str, Any]] = []
    words: list[str] = []
    without: list[str] = []
    for fit in fits:
        target = str(fit["group"])
        chosen = [one for one in mixed if one.target == target and one.others and one.own >= LEAST_SHARE]
        if not chosen:
            without.append(target)
            continue
        rows += _tau_of(target, chosen, fit, noise, rng)
    if without:
        words.append(
            f"no tau for {names_of(without)}: no mixture with at least {LEAST_SHARE:.0%} of it is validated on it"
        )
    tested = [row for row in rows if row["p"] is not None]
    for row, q in zip(tested, false_discoveries([row["p"] for row in tested]), strict=True):
        row["q"] = float(q)
    limited = [row for row in tested if row["p"] <= 2.5 / (len(row["draws"]) + 1) and row["q"] >= FALSE_DISCOVERY_RATE]
    if limited:
        fewest = min(len(row["draws"]) for row in limited)
        words.append(
            f"{len(limited)} tau have the same sign in all of {fewest} draws, and q of them is as small as so few draws"
            f" allow: fit with more --bootstrap to test them"
        )
    unidentified = sorted({row["target"] for row in rows if not row["identified"]})
    if unidentified:
        words.append(
            f"some tau of {names_of(unidentified)} are not determined: their auxiliaries were never varied apart, or"
            " no number of tokens explains the loss under the law"
        )
    if rows and not tested:
        words.append("the laws come without draws, so tau has no intervals")
    return rows, words


def read_mixed(runs: Path | str, *, unit: str = "bits_per_byte", params: str = "params_non_embedding") -> list[Mixed]:
    """Read the losses of runs on mixtures and on languages alone; see `transfer` for the forms.

    Raises:
        BadInput: There are no such runs, or cells are wrong; all are named.
    """
    path = Path(runs)
    if path.is_dir():
        return mixed_of(_artifact_rows(path), unit=unit, params=params)
    if path.suffix.lower() != ".csv":
        bad_input(path, "is neither a `runs` artifact nor a .csv with the columns target, auxiliary, tokens, loss")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        bad_input(path, f"cannot be read: {error}")
    if not rows or not set(_COLUMNS) <= set(rows[0]):
        found = ", ".join(rows[0]) if rows else "no rows"
        bad_input(path, f"needs the columns {', '.join(_COLUMNS)}; it has {found}")
    mistakes: list[Mistake] = []
    mixed: list[Mixed] = []
    for line, row in enumerate(rows, 2):
        numbers = {"share": "0.5", "params": "1", "epochs": "1", "seed": "0", **{k: v for k, v in row.items() if v}}
        values: dict[str, float] = {}
        for name in ("tokens", "loss", "share", "params", "epochs", "seed"):
            try:
                values[name] = float(numbers.get(name, ""))
                if not math.isfinite(values[name]) or (name != "seed" and values[name] <= 0):
                    raise ValueError
            except ValueError:
                mistakes.append(Mistake(f"{path}: row {line}: {name}", f"{numbers.get(name)!r} is no number above 0"))
        if len(values) < 6 or mistakes:
            continue
        target, other = row["target"], row["auxiliary"] or row["target"]
        share = 1.0 if other == target else values["share"]
        shares = {other: 1 - share, target: share} if other != target else {target: 1.0}
        mixed.append(
            Mixed(
                target,
                values["params"],
                values["tokens"],
                tuple(sorted(shares.items())),
                values["epochs"],
                int(values["seed"]),
                values["loss"],
            )
        )
    if mistakes:
        raise BadInput(mistakes)
    return mixed


def mixed_of(
    rows: Sequence[Mapping[str, Any]], *, unit: str = "bits_per_byte", params: str = "params_non_embedding"
) -> list[Mixed]:
    """Return rows of `analysis/sql/report_mixtures.sql` as losses of runs.

    Args:
        rows: The rows.
        unit: `bits_per_byte` or `nats`.
        params: Which column is N.

    Raises:
        BadInput: There is no such unit or column.
    """
    columns = {"bits_per_byte": "bits_per_byte", "nats": "loss_nats"}
    wrong = [
        Mistake(f"--{name}", f"{value!r} is not one of {', '.join(allowed)}")
        for name, value, allowed in (
            ("unit", unit, tuple(columns)),
            ("params", params, ("params_non_embedding", "params_total")),
        )
        if value not in allowed
    ]
    if wrong:
        raise BadInput(wrong)
    return [
        Mixed(
            str(row["target"]),
            float(row[params]),
            float(row["tokens"]),
            tuple(sorted(zip(row["sources"], map(float, row["shares"]), strict=True))),
            float(row["epochs"]),
            int(row["seed"]),
            float(row[columns[unit]]),
        )
        for row in rows
    ]


def matrix_of(synergy: Sequence[Mapping[str, Any]], baseline: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return the row of each pair for one baseline: the largest model, the most tokens, the share nearest to a half.

    Args:
        synergy: Rows of `synergies`.
        baseline: `repetition` or `unique`.
    """
    best: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in synergy:
        if row["baseline"] != baseline:
            continue
        cell = best.setdefault(row["target"], {})
        rank = (row["params"], row["tokens"], -abs(row["share"] - 0.5))
        there = cell.get(row["auxiliary"])
        if there is None or rank > (there["params"], there["tokens"], -abs(there["share"] - 0.5)):
            cell[row["auxiliary"]] = row
    return best


def _artifact_rows(folder: Path) -> list[dict[str, Any]]:
    read_manifest(folder, "runs")
    quoted = str(folder.resolve()).replace("'", "''")
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            result = connection.execute(statement("report_mixtures").replace("'runs/", f"'{quoted}/"))
        except duckdb.Error as error:
            bad_input(folder, f"does not have the files of a `runs` artifact ({str(error).splitlines()[0]})")
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _seed_noise(groups: Sequence[Sequence[Mixed]]) -> tuple[float | None, float]:
    """Return the pooled standard deviation of log losses of runs that differ by their seed alone."""
    logs = [np.log([one.loss for one in group]) for group in groups if len({one.seed for one in group}) > 1]
    freedom = sum(len(values) - 1 for values in logs)
    if not freedom:
        return None, 0.0
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in logs)
    return math.sqrt(squares / freedom), float(freedom)


def _nearest(groups: Sequence[Sequence[Mixed]], tokens: float) -> Sequence[Mixed] | None:
    near = [group for group in groups if abs(group[0].tokens / tokens - 1) <= CLOSE]
    return min(near, key=lambda group: abs(group[0].tokens / tokens - 1)) if near else None


def _compared(group: Sequence[Mixed], against: Sequence[Mixed], baseline: str, noise: float | None) -> dict[str, Any]:
    first = group[0]
    log_loss, log_baseline = (float(np.mean(np.log([one.loss for one in part]))) for part in (group, against))
    difference = log_baseline - log_loss
    error = None if noise is None else noise * math.sqrt(1 / len(group) + 1 / len(against))
    return {
        "target": first.target,
        "auxiliary": first.others[0],
        "share": first.own,
        "params": first.params,
        "tokens": first.tokens,
        "loss": math.exp(log_loss),
        "baseline": baseline,
        "baseline_loss": math.exp(log_baseline),
        "baseline_epochs": against[0].epochs,
        "gain": math.exp(log_baseline) - math.exp(log_loss),
        "relative": -math.expm1(-difference),
        "log_difference": difference,
        "error": error,
        "interval": None,
        "p": None,
        "q": None,
        "verdict": "noise not known",
        "runs": [len(group), len(against)],
    }


def _tested(rows: list[dict[str, Any]], noise: float | None, freedom: float) -> list[str]:
    """Fill in intervals (of the relative gain), p, q and verdicts; return what they mean in words."""
    if not rows:
        return []
    if not noise:
        return [
            "every run was made once, so the noise between seeds is not known and no gain can be called real: repeat"
            " some runs with other seeds (`seeds = 3` in the sweep), or give --noise"
        ]
    reach = width(freedom)
    for row in rows:
        low, high = (row["log_difference"] + side * reach * row["error"] for side in (-1, 1))
        row["interval"] = [-math.expm1(-low), -math.expm1(-high)]
        row["p"] = float(two_sided(row["log_difference"], row["error"], freedom))
    for row, q in zip(rows, false_discoveries([row["p"] for row in rows]), strict=True):
        row["q"] = float(q)
        row["verdict"] = (
            "cannot be told from nothing" if q >= FALSE_DISCOVERY_RATE else "gain" if row["gain"] > 0 else "harm"
        )
    real = sum(row["q"] < FALSE_DISCOVERY_RATE for row in rows)
    return [
        f"{real} of {len(rows)} comparisons differ from nothing at a false discovery rate of {FALSE_DISCOVERY_RATE:.0%}"
        f" (noise between seeds {noise:.2%} of the loss)"
    ]


def _tau_of(
    target: str, chosen: Sequence[Mixed], fit: Mapping[str, Any], noise: float | None, rng: np.random.Generator
) -> list[dict[str, Any]]:
    law = laws.law(fit["law"])
    names = sorted({name for one in chosen for name in one.others})
    n = np.array([one.params for one in chosen])
    own = np.array([one.tokens * one.own for one in chosen])
    worth = effective_tokens(own, own / np.array([max(one.epochs, 1.0) for one in chosen]))[0]
    other = np.array([[one.tokens * dict(one.shares).get(name, 0.0) for name in names] for one in chosen])
    observed = np.log([one.loss for one in chosen])
    problem = _TauProblem(law, n, worth, other)
    estimates = {name: np.array([[float(fit["estimates"][name])]]) for name in law.symbols}
    best = problem.fit(estimates, observed[None])
    # Directions in which no run moves are those that these mixtures cannot tell.
    _, singular, directions = np.linalg.svd(other / worth[:, None], full_matrices=True)
    singular = np.concatenate([singular, np.zeros(len(names) - min(len(singular), len(names)))])[: len(names)]
    loose = np.abs(directions[singular <= 1e-6 * singular[0]]).max(axis=0, initial=0.0) > 0.05
    identified = ~loose & (np.abs(best[0]) < LARGEST_TAU * 0.999)
    draws = np.zeros((0, len(names)))
    if fit["draws"]:
        residual = observed - problem.log_loss(estimates, best)[0][0]
        left = len(chosen) - len(names)
        scatter = math.sqrt(float((residual**2).sum()) / left) if left > 0 else 0.0
        scatter = max(scatter, noise or 0.0)
        symbols = draws_of(fit, 1)
        count = len(fit["draws"])
        draws = problem.fit(symbols, observed + scatter * rng.normal(size=(count, len(chosen))))
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(names):
        row: dict[str, Any] = {
            "target": target,
            "auxiliary": name,
            "tau": float(best[0, k]) if identified[k] else None,
            "interval": None,
            "p": None,
            "q": None,
            "runs": int((other[:, k] > 0).sum()),
            "identified": bool(identified[k]),
            "draws": [],
        }
        if identified[k] and len(draws):
            row["interval"] = [float(end) for end in np.quantile(draws[:, k], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])]
            tail = min(int((draws[:, k] <= 0).sum()), int((draws[:, k] >= 0).sum()))
            row["p"] = min(1.0, 2 * (tail + 1) / (len(draws) + 1))
            row["draws"] = draws[:, k].tolist()
        rows.append(row)
    return rows


@dataclass(frozen=True)
class _TauProblem:
    """Runs of one target, to which tau is fitted under many laws at once.

    Args:
        law: The law of the target's own tokens.
        params: N, shape (n,).
        worth: The target's own tokens, what they are worth, shape (n,).
        other: Tokens of the other languages, shape (n, J).
    """

    law: Law
    params: Floats
    worth: Floats
    other: Floats

    def log_loss(self, symbols: Mapping[str, Floats], tau: Floats) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by tau, shape (M, n, J)."""
        effective = self.worth + tau @ self.other.T
        least = LEAST_WORTH * self.worth
        free = effective > least
        effective = np.maximum(effective, least)
        loss = self.law.predict(symbols, self.params, effective)
        slope = self.law.token_slope(symbols, self.params, effective) / loss * free
        return np.log(loss), slope[:, :, None] * self.other

    def fit(self, symbols: Mapping[str, Floats], observed: Floats, steps: int = 60) -> Floats:
        """Return tau, shape (M, J), for laws of symbols (M, 1) and log losses (M, n)."""
        many = max(len(observed), len(next(iter(symbols.values()))))
        observed = np.broadcast_to(observed, (many, len(self.worth)))
        tau = np.zeros((many, self.other.shape[1]))
        damping = np.full(many, 1e-3)
        value, slope = self.log_loss(symbols, tau)
        error = ((value - observed) ** 2).sum(axis=1)
        eye = np.eye(tau.shape[1])
        for _ in range(steps):
            square = slope.transpose(0, 2, 1) @ slope
            scale = np.maximum(np.trace(square, axis1=1, axis2=2), 1e-300)[:, None, None]
            # A ridge this small only keeps directions that no run moves where they are.
            matrix = square + (damping[:, None, None] * scale / len(eye) + 1e-10 * scale) * eye
            step = np.linalg.solve(matrix, (slope.transpose(0, 2, 1) @ (observed - value)[:, :, None]))[:, :, 0]
            tried = np.clip(tau + step, -LARGEST_TAU, LARGEST_TAU)
            new_value, new_slope = self.log_loss(symbols, tried)
            new_error = ((new_value - observed) ** 2).sum(axis=1)
            better = new_error <= error
            tau = np.where(better[:, None], tried, tau)
            value = np.where(better[:, None], new_value, value)
            slope = np.where(better[:, None, None], new_slope, slope)
            done = bool((np.abs(error - new_error)[better] <= 1e-14 * np.maximum(error[better], 1e-30)).all())
            error = np.where(better, new_error, error)
            damping = np.clip(np.where(better, damping / 5, damping * 4), 1e-12, 1e8)
            if done and better.all():
                break
        return tau


def _tau_value(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    matrix: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["tau"] is not None:
            matrix.setdefault(row["target"], {})[row["auxiliary"]] = cast(float, row["tau"])
    return {"tau": list(rows), "matrix": matrix}
