"""The paper on scaling laws for code, checked: what follows from its own tables, and where it contradicts itself.

Start at `paper`: a list of findings, each with what the paper states, whether its tables bear it out, and the figures.
`synergy_table` and `degenerate_optima` are the two larger computations behind them. What always holds: only published
numbers go in (`analysis.published`); what they leave open is drawn over a stated range and never guessed; nothing here
recommends an allocation.

Source: *Scaling Laws for Code: Every Programming Language Matters*, arXiv 2512.13472 (v1, 15 December 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from analysis import published, simplex
from analysis.laws import Floats
from analysis.problem import REPETITION_DECAY
from analysis.significance import FALSE_DISCOVERY_RATE, false_discoveries, two_sided
from quality.languages import LANGUAGES

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
PRESENT = 0.01
"""A language counts as part of an optimum from this share on."""
OUTLIER = 3.5
"""Robust scores beyond this are outliers. Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993)."""
SMALL_MODEL_BILLIONS = 0.2
"""The model size at which law (4) is shown to explode; the second smallest of the paper's grid."""
UNITS = {"billions": 1e-9, "ones": 1.0}
"""The paper does not say in which unit N and D enter equation 6; both are tried."""


@dataclass(frozen=True)
class Finding:
    """One statement of the paper, checked.

    Args:
        name: A short name.
        place: Where the paper says it.
        claim: What it says.
        verdict: `holds`, `does not hold` or `cannot be told`.
        words: What was found, in a sentence or two.
        figures: The numbers behind it.
    """

    name: str
    place: str
    claim: str
    verdict: str
    words: str
    figures: dict[str, Any]


def paper() -> list[dict[str, Any]]:
    """Recompute what can be recomputed of the paper from its tables.

    Returns:
        Findings as JSON values with `name, place, claim, verdict, words, figures`.
    """
    return [asdict(check()) for check in CHECKS]


def synergy_table() -> dict[str, Any]:
    """Return Table 1 as gains, with how sure they can be without a repeated run.

    Every loss was measured once, so the noise is not known. What two effects (of the target and of the auxiliary) leave
    unexplained of the log losses holds the noise and real differences between pairs: an upper bound of the noise, and
    tests against it are cautious.

    Returns:
        `languages`; `gains` (nats) and `relative` (of the baseline), matrices with targets as rows and None on the
        diagonal; `p_values` and `q_values` of the same shape; `noise` (of a log loss) and `freedom`; `clear`, how many
        gains have a q-value below .05; `without_java`, the same with Java's row left out.

    Source: the additive model of an unreplicated two-way layout, Tukey, Biometrics 5 (1949) 232-242.
    """
    languages = list(LANGUAGES)
    losses = _losses(languages)
    diagonal = np.diag(losses)
    apart = ~np.eye(len(languages), dtype=bool)
    whole = _significance(losses, apart)
    rows = np.array([name != "java" for name in languages])
    without = _significance(losses[rows], apart[rows], diagonal[rows])

    def cells(values: Floats) -> list[list[float | None]]:
        return [
            [float(values[i, j]) if apart[i, j] else None for j in range(len(languages))] for i in range(len(languages))
        ]

    gains = diagonal[:, None] - losses
    return {
        "languages": languages,
        "losses": losses.tolist(),
        "gains": cells(gains),
        "relative": cells(gains / diagonal[:, None]),
        "p_values": cells(whole["p"]),
        "q_values": cells(whole["q"]),
        "noise": whole["noise"],
        "freedom": whole["freedom"],
        "clear": whole["clear"],
        "without_java": {key: without[key] for key in ("noise", "freedom", "clear", "tests")},
    }


@cache
def degenerate_optima() -> dict[str, Any]:
    """Minimise the proportion-dependent law (6) as printed, over everything that the paper leaves open.

    A and B are set by the size that their terms have under uniform shares; tau is taken from Table 1 (the relative
    gains) and gamma varied; N and D span the grid and the 350B run, in either unit. Each setting is minimised from
    every language, from uniform shares and from random ones.

    Returns:
        `settings`, `languages` (how many are in the optima, counted), `winners` (which languages, counted), `python`
        (the largest share that Python gets anywhere), `gap` (the largest certificate of stationarity).
    """
    languages = list(LANGUAGES)
    exponents = _laws(languages)
    settings = list(
        product(
            UNITS.values(),
            (0.1e9, 3.1e9),  # N: both ends of the grid
            (2e9, 350e9),  # D: the least of the grid, and the budget that was divided
            (0.05, 0.2, 0.8),  # nats that the N term has under uniform shares
            (0.05, 0.2, 0.8),  # nats that the D term has
            (0.0, 1.0, 10.0),  # gamma, on tau as the relative gains of Table 1
        )
    )
    unit, n, d, n_term, d_term, gamma = (np.array(column) for column in zip(*settings, strict=True))
    tau = np.array(synergy_table()["relative"], dtype=np.float64)
    tau = np.where(np.isnan(tau), 0.0, tau)
    coupling = (tau + tau.T) / 2
    even = np.full(len(languages), 1 / len(languages))
    rng = np.random.default_rng(0)
    starts = np.concatenate(
        [0.94 * np.eye(len(languages)) + 0.06 * even, even[None], rng.dirichlet(np.ones(len(languages)), size=2)]
    )
    problem = np.repeat(np.arange(len(settings)), len(starts))
    log_n, log_d = np.log(n * unit), np.log(d * unit)

    def law(shares: Floats, rows: simplex.Rows) -> tuple[Floats, Floats]:
        """Return equation 6 and its derivative; A and B drop out against the terms under uniform shares."""
        s = problem[rows]
        a_n, a_d, floor = (shares @ column for column in exponents)
        mixing = 1 + gamma[s] * ((shares @ coupling) * shares).sum(axis=1)
        at_even = 1 + gamma[s] * (even @ coupling @ even)
        first = n_term[s] * np.exp(-(a_n - exponents[0].mean()) * log_n[s])
        log_data = log_d[s] + np.log(mixing)
        second = d_term[s] * np.exp(exponents[1].mean() * (log_d[s] + np.log(at_even)) - a_d * log_data)
        slope = -first[:, None] * log_n[s, None] * exponents[0] + exponents[2]
        slope = slope - second[:, None] * (
            log_data[:, None] * exponents[1] + (a_d / mixing * gamma[s])[:, None] * 2 * (shares @ coupling)
        )
        return first + second + floor, slope

    low, high = np.full(len(languages), 1e-12), np.ones(len(languages))
    found = simplex.minimise(law, np.tile(starts, (len(settings), 1)), low, high, tolerance=1e-7)
    by_setting = found.value.reshape(len(settings), -1).argmin(axis=1) + np.arange(len(settings)) * len(starts)
    best = found.shares[by_setting]
    present = best >= PRESENT
    names = [" + ".join(LANGUAGES[languages[k]].name for k in np.flatnonzero(row)) for row in present]
    return {
        "settings": len(settings),
        "languages": _counted([int(row.sum()) for row in present]),
        "winners": _counted(names),
        "python": float(best[:, languages.index("python")].max()),
        "gap": float(found.gap[by_setting].max()),
    }


def _sign() -> Finding:
    table = synergy_table()
    gains = [gain for row in table["gains"] for gain in row if gain is not None]
    positive = sum(gain > 0 for gain in gains)
    worse = [
        f"{LANGUAGES[target].name} with {LANGUAGES[other].name}"
        for target, row in zip(table["languages"], table["gains"], strict=True)
        for other, gain in zip(table["languages"], row, strict=True)
        if gain is not None and gain < 0
    ]
    best = {
        target: max((gain, other) for other, gain in zip(table["languages"], row, strict=True) if gain is not None)[1]
        for target, row in zip(table["languages"], table["gains"], strict=True)
    }
    return Finding(
        "synergy",
        "equation 2, Table 1",
        "the synergy gain is L(i+j) - L(i+i), and most languages gain from another one",
        FAILS,
        f"Printed with this sign {positive} of {len(gains)} gains are negative, against every value that is quoted."
        f" With L(i+i) - L(i+j), and the columns of Table 1 put back in order, {positive} of {len(gains)} pairs"
        f" gain; those that lose are {', '.join(worse)}.",
        {"positive": positive, "pairs": len(gains), "best_auxiliary": best, "relative": table["relative"]},
    )


def _noise() -> Finding:
    table = synergy_table()
    without = table["without_java"]
    return Finding(
        "significance",
        "Table 1",
        "gains between languages are real",
        OPEN,
        f"Each loss was measured once. Against the scatter that two effects leave ({table['noise']:.2%} of the loss,"
        f" which bounds the noise from above) {table['clear']} of 42 gains differ from nothing at a false discovery"
        f" rate of {FALSE_DISCOVERY_RATE:.0%}; with Java's row left out the scatter is {without['noise']:.2%}, and"
        f" {without['clear']} of {without['tests']} do.",
        {"noise": table["noise"], "clear": table["clear"], "without_java": without},
    )


def _java() -> Finding:
    languages = list(LANGUAGES)
    losses = _losses(languages)
    diagonal = np.diag(losses)
    others = np.array([np.median(np.delete(losses[i], i)) for i in range(len(languages))])
    excess = np.log(diagonal / others)
    spread = float(np.median(np.abs(excess - np.median(excess))))
    scores = 0.6745 * (excess - np.median(excess)) / spread
    java = languages.index("java")
    relative = [float(np.mean([gain for gain in row if gain is not None])) for row in synergy_table()["relative"]]
    rest = float(np.mean(np.delete(relative, java)))
    return Finding(
        "java_baseline",
        "Table 1",
        "Java gains most from other languages",
        FAILS if scores[java] > OUTLIER else HOLDS,
        f"Java's own baseline, {diagonal[java]:.4f}, is far too high (robust score {scores[java]:.1f}, limit"
        f" {OUTLIER:g}) and enters every gain of Java: {relative[java]:.1%} on average, against {rest:.1%} for the"
        " other targets.",
        {
            "scores": dict(zip(languages, map(float, scores), strict=True)),
            "mean_relative_gain": dict(zip(languages, relative, strict=True)),
        },
    )


def _repetition() -> Finding:
    worth = 1 + REPETITION_DECAY * (1 - np.exp(-1 / REPETITION_DECAY))
    exponents = _laws(list(LANGUAGES))[1]
    factors = (2 / worth) ** exponents
    return Finding(
        "baseline_repeats",
        "Table 1",
        "the baseline of a gain is the target language twice",
        OPEN,
        f"The second pass over the same 64B tokens is worth {worth - 1:.1%} of new ones (Muennighoff et al.), which"
        f" raises the D term by {factors.min() - 1:.1%} to {factors.max() - 1:.1%}: gains mix transfer with that cost,"
        " and without a run on the target's 64B alone they cannot be told apart.",
        {"second_pass_worth": float(worth - 1), "data_term_factor": [float(factors.min()), float(factors.max())]},
    )


def _below_floor() -> Finding:
    below = published.below_floor()
    by_target = _counted([target for target, *_ in below])
    whole = [name for name, number in by_target.items() if number == len(LANGUAGES)]
    return Finding(
        "below_floor",
        "Figure 2 and Table 1",
        "Linf is the loss that no amount of data goes below",
        FAILS,
        f"{len(below)} of {len(LANGUAGES) ** 2} measured losses lie below the Linf of their own law, all"
        f" of {' and '.join(LANGUAGES[name].name for name in whole)} among them.",
        {"below": len(below), "of": len(LANGUAGES) ** 2, "by_target": by_target},
    )


def _exponents() -> Finding:
    languages = list(LANGUAGES)
    ranks = {
        symbol: int((column > column[languages.index("python")]).sum()) + 1
        for symbol, column in zip(("aN", "aD"), _laws(languages), strict=False)
    }
    return Finding(
        "python_exponents",
        "Figure 2",
        "Python has the highest exponents",
        FAILS,
        f"Of the seven, Python's aN is number {ranks['aN']} and its aD number {ranks['aD']}, counted from the highest.",
        {"rank": ranks},
    )


def _hull() -> Finding:
    languages = list(LANGUAGES)
    columns = _laws(languages)
    optimum = {row["symbol"]: row["value"] for row in published.table("optimum").to_pylist()}
    names = ("aN", "aD", "Linf")
    target = np.array([optimum[name] for name in names])
    corners = np.stack(columns)
    scale = np.ptp(corners, axis=1)

    def squared_distance(shares: Floats, rows: simplex.Rows) -> tuple[Floats, Floats]:
        del rows
        away = (shares @ corners.T - target) / scale
        return (away**2).sum(axis=1), 2 * (away / scale) @ corners

    low, high = np.full(len(languages), 1e-12), np.ones(len(languages))
    nearest = simplex.minimise(squared_distance, np.full((1, len(languages)), 1 / len(languages)), low, high)
    least, most = corners.min(axis=1), corners.max(axis=1)
    outside = {
        name: {"optimum": float(target[k]), "range": [float(least[k]), float(most[k])]} for k, name in enumerate(names)
    }
    missed = [name for k, name in enumerate(names) if not least[k] <= target[k] <= most[k]]
    distance = float(np.sqrt(nearest.value[0]))
    return Finding(
        "optimum_hull",
        "equation 8",
        "at the best allocation aN* = .2186, aD* = .6859, Linf* = .2025",
        FAILS,
        f"Equation 6 makes each a weighted mean of Figure 2, but {', '.join(missed)} lie outside the range of the seven"
        f" languages; the nearest allocation misses by {distance:.2f} ranges.",
        {"symbols": outside, "distance_in_ranges": distance},
    )


def _degenerate() -> Finding:
    found = degenerate_optima()
    count, shown = found["settings"], [f"{name} ({times})" for name, times in found["winners"].items()]
    few = sum(times for number, times in found["languages"].items() if int(number) <= 2)
    return Finding(
        "degenerate_law",
        "equation 6",
        "minimising the proportion-dependent law gives the best allocation",
        FAILS,
        f"Minimised over {count} settings of what is not published, it ends in one or two languages in {few}"
        f" of them: {', '.join(shown)}; Python's largest share is {found['python']:.1%}. A p-weighted Linf is the loss"
        " of the mixture, so the law favours what is easy to predict. Never allocate by it; minimise the mean over"
        " languages of each one's own loss.",
        found,
    )


def _allocation() -> Finding:
    changes = published.table("allocation_changes").to_pylist()
    total = sum(row["change_tokens"] for row in changes)
    named = [row["language"] for row in changes if row["language"]]
    return Finding(
        "allocation_changes",
        "allocation of 350B tokens",
        "the guided allocation follows from the law",
        FAILS,
        f"The {len(changes)} changes sum to {total:,} tokens, so one language keeps its 50B; only {len(named)} of them"
        " can be given to a language from the text. Python, which gains most of all, has no place in any optimum of"
        " equation 6: the published allocation is not its minimiser.",
        {"sum": total, "stated": named, "changes": [row["change_tokens"] for row in changes]},
    )


def _translation() -> Finding:
    laws = {row["equation"]: row for row in published.table("translation_laws").to_pylist()}
    sizes = {number: row["A"] * SMALL_MODEL_BILLIONS ** -row["alpha"] for number, row in laws.items()}
    steep = laws[4]
    # Where the N term falls below a thousandth of the constant, nothing of it can be measured.
    seen = (steep["A"] / (1e-3 * steep["Linf"])) ** (1 / steep["alpha"])
    return Finding(
        "translation_law",
        "equations 3 to 5",
        "translation between paired languages follows law (4), with an exponent of N of 6.404",
        FAILS,
        f"At {SMALL_MODEL_BILLIONS:g}B parameters law (4) predicts {sizes[4]:,.0f} nats from N alone, where (3) has"
        f" {sizes[3]:.2f} and (5) {sizes[5]:.2f}; from {seen:.1f}B on its N term is below a thousandth of the constant."
        " Such an exponent is not identified by any grid.",
        {"n_term_nats": {str(number): value for number, value in sizes.items()}, "vanishes_from_billions": seen},
    )


def _averages() -> Finding:
    rows = published.table("averages").to_pylist()
    gains = [
        {
            "measure": row["measure"],
            "setting": row["setting"],
            "size": row["size"],
            "gain": round(row["guided_or_parallel"] - row["uniform_or_baseline"], 2),
        }
        for row in rows
    ]
    parallel = [f"{row['size']} {row['gain']:+.2f}" for row in gains if row["setting"] == "parallel documents"]
    return Finding(
        "averages",
        "evaluation",
        "guided allocation and parallel documents score higher on average",
        HOLDS,
        f"All {len(gains)} averages are higher: guided {gains[0]['gain']:+.2f} {gains[0]['measure']} and"
        f" {gains[1]['gain']:+.1f} {gains[1]['measure']}, parallel documents {', '.join(parallel)} Pass@1. No scatter"
        " over seeds is given, so how sure that is cannot be told.",
        {"gains": gains},
    )


def _grid() -> Finding:
    axes = [row["axis"] for row in published.table("grid").to_pylist()]
    sizes, budgets = axes.count("params"), axes.count("tokens")
    runs = sizes * budgets * len(LANGUAGES)
    return Finding(
        "grid",
        "the runs behind equation 1",
        "420 runs",
        HOLDS if runs == 420 else FAILS,
        f"{sizes} sizes x {budgets} budgets x {len(LANGUAGES)} languages are {runs} runs; none of them is published.",
        {"sizes": sizes, "budgets": budgets, "runs": runs},
    )


CHECKS: tuple[Callable[[], Finding], ...] = (
    _grid,
    _exponents,
    _sign,
    _java,
    _repetition,
    _noise,
    _below_floor,
    _translation,
    _hull,
    _degenerate,
    _allocation,
    _averages,
)


def _losses(languages: Sequence[str]) -> Floats:
    """Return Table 1, targets as rows, shape (K, K)."""
    rows = {(row["target"], row["auxiliary"]): row["loss"] for row in published.table("bilingual_losses").to_pylist()}
    return np.array([[rows[target, other] for other in languages] for target in languages])


def _laws(languages: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Return aN, aD and Linf of Figure 2, each of shape (K,)."""
    rows = {row["language"]: row for row in published.table("language_laws").to_pylist()}
    first, second, third = (np.array([rows[name][symbol] for name in languages]) for symbol in ("aN", "aD", "Linf"))
    return first, second, third


def _significance(losses: Floats, apart: Any, diagonal: Floats | None = None) -> dict[str, Any]:
    """Test all gains of a table against what two effects leave of its log losses.

    Args:
        losses: Shape (R, K).
        apart: Which cells are not baselines, shape (R, K).
        diagonal: The baselines, shape (R,); None for the table's diagonal.
    """
    if diagonal is None:
        diagonal = np.diag(losses)
    logs = np.log(losses)
    residual = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0) + logs.mean()
    freedom = (losses.shape[0] - 1) * (losses.shape[1] - 1)
    noise = float(np.sqrt((residual**2).sum() / freedom))
    difference = np.log(diagonal)[:, None] - logs
    p = two_sided(difference, np.sqrt(2) * noise, freedom)
    q = np.ones(p.shape)
    q[apart] = false_discoveries(p[apart])
    clear = int((q[apart] < FALSE_DISCOVERY_RATE).sum())
    return {"p": p, "q": q, "noise": noise, "freedom": freedom, "clear": clear, "tests": int(apart.sum())}


def _counted(values: Sequence[Any]) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    counts = {str(value): values.count(value) for value in dict.fromkeys(values)}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
