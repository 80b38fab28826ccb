"""Sweeps of the paper's grid simulated from its per-language laws, so that what a fit should find is known."""

from __future__ import annotations

import numpy as np

from analysis import fitting, published
from analysis.fit import LEVEL, tails
from analysis.laws import LAWS, Floats, Points, frame

SEED_NOISE = 0.002
"""Standard deviation of log loss between runs that differ in their seed alone."""
N_TERM, D_TERM = 0.25, 0.1
"""Losses of the term of N at 1B parameters, and of that of D at 16B tokens: Nc and Dc are not published."""
LAW = LAWS["monolingual"]


def truths() -> dict[str, dict[str, float]]:
    """Return language to the symbols of its law."""
    return {
        row["language"]: {
            "Nc": 1e9 * N_TERM ** (1 / row["aN"]),
            "Dc": 16e9 * D_TERM ** (1 / row["aD"]),
            **{name: row[name] for name in ("Linf", "aN", "aD")},
        }
        for row in published.table("language_laws").to_pylist()
    }


def sweep(symbols: dict[str, float], rng: np.random.Generator) -> Points:
    """Return one language's 60 runs."""
    axes = published.table("grid").to_pylist()
    sizes, budgets = (
        np.array([row["value"] for row in axes if row["axis"] == axis], dtype=np.float64)
        for axis in ("params", "tokens")
    )
    n, d = map(np.ravel, np.meshgrid(sizes, budgets))
    return Points(n, d, LAW.predict(symbols, n, d) * np.exp(SEED_NOISE * rng.normal(size=len(n))))


def held(symbols: dict[str, float], points: Points, resamples: int, rng: np.random.Generator) -> Floats:
    """Return for each symbol whether its 95% interval holds the truth, 1 or 0."""
    origin = frame(points)
    best = fitting.solve(LAW, points, origin, 8).theta
    drawn, _ = fitting.bootstrap(LAW, points, origin, best, resamples, rng)
    ends = {
        name: np.quantile(value, tails(LEVEL, len(points), len(LAW.symbols)))
        for name, value in LAW.to_symbols(drawn, origin).items()
    }
    return np.array([float(ends[name][0] <= symbols[name] <= ends[name][1]) for name in LAW.symbols])
