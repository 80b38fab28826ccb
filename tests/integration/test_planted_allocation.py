"""From simulated sweeps of the paper's grid to an allocation: what it loses under the laws that made the runs."""

from __future__ import annotations

import numpy as np

from analysis import fitting, laws
from analysis.laws import LAWS, Points
from analysis.problem import Problem, losses, solve
from analysis.published import table

LAW = LAWS["monolingual"]
NOISE = 0.002
BUDGET, PARAMS = 350e9, 1.5e9


def planted() -> dict[str, dict[str, float]]:
    """Figure 2, with the unpublished constants set so that each term is a fifth to a third of a nat at 1B and 10B."""
    return {
        row["language"]: {
            "aN": row["aN"],
            "aD": row["aD"],
            "Linf": row["Linf"],
            "Nc": 1e9 * (0.2 + 0.02 * place) ** (1 / row["aN"]),
            "Dc": 1e10 * (0.3 - 0.02 * place) ** (1 / row["aD"]),
        }
        for place, row in enumerate(table("language_laws").to_pylist())
    }


def grid() -> tuple[np.ndarray, np.ndarray]:
    axes = table("grid").to_pylist()
    n, d = (np.array([float(row["value"]) for row in axes if row["axis"] == axis]) for axis in ("params", "tokens"))
    return np.repeat(n, len(d)), np.tile(d, len(n))


def problem(symbols: dict[str, np.ndarray]) -> Problem:
    count = symbols["Linf"].shape[1]
    weights = np.full(count, 1 / count)
    return Problem(
        law=LAW,
        symbols=symbols,
        params=PARAMS,
        budget=BUDGET,
        weights=weights,
        unique=np.full(count, np.inf),
        max_epochs=4.0,
        prior=weights,
    )


def relative_regret(study: int) -> tuple[float, float]:
    """Return regret of the recommended and of the uniform allocation under the true laws, as parts of the loss."""
    rng = np.random.default_rng(study)
    truth = planted()
    params, tokens = grid()
    found: list[dict[str, float]] = []
    for symbols in truth.values():
        loss = LAW.predict(symbols, params, tokens) * np.exp(NOISE * rng.normal(size=len(params)))
        points = Points(params, tokens, loss)
        origin = laws.frame(points)
        best = fitting.solve(LAW, points, origin, starts=8)
        found.append({name: float(value[0]) for name, value in LAW.to_symbols(best.theta[None], origin).items()})
    true, fitted = (
        problem({name: np.array([[row[name] for row in rows]]) for name in LAW.symbols})
        for rows in (list(truth.values()), found)
    )
    at = [
        float((losses(true, tokens_) @ true.weights)[0])
        for tokens_ in (solve(fitted), np.full((1, len(found)), BUDGET / len(found)), solve(true))
    ]
    return at[0] / at[2] - 1, at[1] / at[2] - 1


def test_the_recommended_allocation_loses_less_than_a_thousandth() -> None:
    regrets = [relative_regret(study) for study in range(3)]
    assert all(0 <= recommended < 1e-3 for recommended, _ in regrets)
    assert np.mean([recommended for recommended, _ in regrets]) < np.mean([uniform for _, uniform in regrets])
