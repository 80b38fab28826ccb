from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv
from scipy.optimize import minimize

from analysis import fitting
from analysis.laws import LAWS, Points, frame

CHINCHILLA = LAWS["chinchilla"]
EPOCH = Path(__file__).parents[4] / "shared" / "data" / "chinchilla_epoch.csv"
TRUE = {"A": 400.0, "B": 2000.0, "E": 1.5, "alpha": 0.35, "beta": 0.36}


def grid(noise: float, seed: int = 1) -> Points:
    n, d = map(np.ravel, np.meshgrid(np.geomspace(1e8, 3e9, 6), np.geomspace(2e9, 6e10, 5)))
    scatter = np.exp(noise * np.random.default_rng(seed).normal(size=len(n)))
    return Points(n, d, CHINCHILLA.predict(TRUE, n, d) * scatter)


def test_huber_is_half_the_square_inside_and_linear_outside() -> None:
    found = fitting.huber(np.array([0.0, 5e-4, -1e-3, 1e-2]))
    assert found == pytest.approx([0, 1.25e-7, 5e-7, 1e-3 * (1e-2 - 5e-4)])


@pytest.mark.skipif(not EPOCH.is_file(), reason="the published points are not here")
def test_the_replication_of_chinchilla_is_reproduced() -> None:
    table = csv.read_csv(EPOCH)
    n, d, loss = (np.asarray(table[name]) for name in ("params", "tokens", "loss_nats"))
    kept = np.sort(np.argsort(loss)[:-5])
    points = Points(n[kept], d[kept], loss[kept])
    origin = frame(points)
    found = fitting.solve(CHINCHILLA, points, origin)
    assert found.converged
    assert found.agreeing == found.starts
    assert found.objective == pytest.approx(0.00101827, abs=5e-9)
    symbols = {name: float(value[0]) for name, value in CHINCHILLA.to_symbols(found.theta[None], origin).items()}
    assert symbols["A"] == pytest.approx(477.83, abs=0.01)
    assert symbols["B"] == pytest.approx(2143.4, abs=0.1)
    assert symbols["E"] == pytest.approx(1.81722, abs=1e-5)
    assert symbols["alpha"] == pytest.approx(0.34731, abs=1e-5)
    assert symbols["beta"] == pytest.approx(0.36717, abs=1e-5)


def test_resamples_are_fitted_as_well_as_many_starts_of_l_bfgs_do() -> None:
    points = grid(0.01)
    origin = frame(points)
    best = fitting.solve(CHINCHILLA, points, origin).theta
    drawn, _ = fitting.bootstrap(CHINCHILLA, points, origin, best, 4, np.random.default_rng(5))
    weights, _ = fitting.resamples(points, 4, 5, np.random.default_rng(5))
    reached = fitting.objective(CHINCHILLA, drawn, points, origin, weights)
    bounds = [tuple(row) for row in CHINCHILLA.bounds(origin)]
    for row in range(4):

        def both(theta: np.ndarray, row: int = row) -> tuple[float, np.ndarray]:
            predicted, slopes = CHINCHILLA.log_loss(theta[None], points, origin)
            residual = predicted[0] - np.log(points.loss)
            pull = weights[row] * np.clip(residual, -fitting.HUBER_DELTA, fitting.HUBER_DELTA)
            return float((weights[row] * fitting.huber(residual)).sum()), slopes[0] @ pull

        starts = CHINCHILLA.starts(points, origin, weights[row : row + 1], 4)[0]
        options = {"maxiter": 3000, "maxfun": 6000, "ftol": 1e-16, "gtol": 1e-12}
        reference = min(
            minimize(both, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun for start in starts
        )
        assert reached[row] <= reference * (1 + 1e-6)


def test_solve_recovers_a_law_without_noise() -> None:
    points = grid(0.0)
    origin = frame(points)
    found = fitting.solve(CHINCHILLA, points, origin)
    assert found.objective < 1e-18
    for name, value in CHINCHILLA.to_symbols(found.theta[None], origin).items():
        assert value[0] == pytest.approx(TRUE[name], rel=1e-4)


def test_a_constant_that_would_be_negative_ends_on_its_bound() -> None:
    n, d = map(np.ravel, np.meshgrid(np.geomspace(1e8, 3e9, 5), np.geomspace(2e9, 6e10, 4)))
    points = Points(n, d, 30 / n**0.15 + 500 / d**0.3 - 0.2)
    found = fitting.solve(CHINCHILLA, points, frame(points))
    assert [CHINCHILLA.coordinates[index] for index in found.at_bounds] == ["E"]


def test_resamples_can_always_determine_the_law() -> None:
    points = grid(0.01).take(np.array([0, 1, 6, 7, 12, 13, 20]))
    weights, again = fitting.resamples(points, 300, 5, np.random.default_rng(0))
    assert weights.shape == (300, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert ((weights > 0).sum(axis=1) >= 5).all()
    assert again > 0


def test_resamples_give_up_where_none_can() -> None:
    same = np.ones(4)
    weights, _ = fitting.resamples(Points(same, same, same), 3, 5, np.random.default_rng(0))
    assert weights.shape == (0, 4)


@pytest.mark.prove
def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    trials = 60
    for seed in range(trials):
        points = grid(0.01, seed)
        origin = frame(points)
        best = fitting.solve(CHINCHILLA, points, origin, 8).theta
        drawn, _ = fitting.bootstrap(CHINCHILLA, points, origin, best, 200, np.random.default_rng(seed))
        symbols = CHINCHILLA.to_symbols(drawn, origin)
        predicted = CHINCHILLA.predict(symbols, 3e9, 6e10)
        low, high = np.quantile(predicted, [0.025, 0.975])
        held += bool(low <= CHINCHILLA.predict(TRUE, 3e9, 6e10) <= high)
    assert held / trials >= 0.8
