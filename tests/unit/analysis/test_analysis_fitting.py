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


MIXED = LAWS["interaction"].bind(("go", "java", "rust"), "java")


def mixtures(noise: float, sizes: int = 3) -> Points:
    """Return checkpoints of runs on 12 mixtures, by a law with interaction of size and tokens."""
    rng = np.random.default_rng(4)
    shares = np.repeat(rng.dirichlet(np.ones(3), 12), sizes * 4, axis=0)
    n, d = (np.tile(x.ravel(), 12) for x in np.meshgrid(np.geomspace(1e8, 6e8, sizes), np.geomspace(2e9, 2e10, 4)))
    symbols = {"E": 1.1, "A": 60.0, "B": 20.0, "alpha": 0.3, "beta": 0.36, "kappa": 0.2}
    symbols |= {"C.go": 3.0, "C.java": 1.0, "C.rust": 2.0, "gamma.go": 0.5, "gamma.java": 0.3, "gamma.rust": 0.9}
    loss = MIXED.predict(symbols, n, d, shares) * np.exp(noise * rng.normal(size=len(n)))
    return Points(n, d, loss, shares, trunk=np.repeat(np.arange(12 * sizes), 4))


def test_a_mixture_law_predicts_mixtures_and_sizes_that_it_was_not_fitted_to() -> None:
    points = mixtures(0.002)
    large, odd = points.params > 5e8, np.arange(len(points)) // 12 >= 9
    for left_out in (large, odd):
        kept, left = points.take(np.flatnonzero(~left_out)), points.take(np.flatnonzero(left_out))
        origin = frame(kept)
        found = fitting.solve(MIXED, kept, origin, 6)
        error = np.expm1(MIXED.log_loss(found.theta[None], left, origin)[0][0] - np.log(left.loss))
        assert np.abs(error).mean() < 0.006


def test_many_starts_end_where_each_ends_alone() -> None:
    points = grid(0.01)
    origin = frame(points)
    weights = np.ones((1, len(points)))
    starts = np.clip(np.random.default_rng(2).normal([-1, -1, -0.4, 0.4, 0.4], 0.4, size=(400, 5)), -3, 3)
    theta, value, _ = fitting.minimise(CHINCHILLA, starts, points, origin, weights)
    assert value == pytest.approx(fitting.objective(CHINCHILLA, theta, points, origin, weights), rel=1e-9)
    alone = [fitting.minimise(CHINCHILLA, start[None], points, origin, weights)[1][0] for start in starts[::40]]
    assert value[::40] == pytest.approx(alone, rel=1e-6)
    assert (value <= value.min() * (1 + 1e-6)).mean() > 0.95


def test_the_profile_tells_what_runs_leave_open() -> None:
    full, flat = grid(0.002), grid(0.002)
    flat = flat.take(np.flatnonzero(flat.params == flat.params.min()))
    for points, kept in ((full, True), (flat, False)):
        origin = frame(points)
        risen = fitting.profile(CHINCHILLA, points, origin, fitting.solve(CHINCHILLA, points, origin).theta)
        assert risen.shape == (5, 2)
        assert (risen[3].min() > 3.84) == kept


def test_an_outlier_pulls_much_and_no_run_without_bound() -> None:
    points = grid(0.001)
    points.loss[7] *= 1.05
    origin = frame(points)
    pulled = fitting.influence(CHINCHILLA, points, origin, fitting.solve(CHINCHILLA, points, origin).theta)
    assert pulled[7] > np.median(pulled)
    points.loss[7] *= 1.5
    assert fitting.solve(CHINCHILLA, points, origin).theta == pytest.approx(
        fitting.solve(CHINCHILLA, points.take(np.r_[0:7, 8:30]), origin).theta, abs=0.02
    )


def test_runs_of_one_trunk_are_resampled_together() -> None:
    points = mixtures(0.002)
    weights, _ = fitting.resamples(points, 20, len(MIXED.symbols), np.random.default_rng(0))
    trunk = points.trunk
    assert trunk is not None
    assert fitting.clustered(points, len(MIXED.symbols))
    assert all((np.ptp(weights[:, trunk == number], axis=1) == 0).all() for number in np.unique(trunk))
    assert not fitting.clustered(points.take(np.arange(16)), len(MIXED.symbols))


def test_weights_count_as_repeated_runs() -> None:
    points = grid(0.01)
    doubled = points.take(np.r_[np.arange(30), np.arange(10)])
    weighed = Points(points.params, points.tokens, points.loss, weight=np.r_[np.full(10, 2.0), np.ones(20)])
    origin = frame(points)
    one, two = (fitting.solve(CHINCHILLA, each, origin, 6) for each in (doubled, weighed))
    assert one.objective == pytest.approx(two.objective, rel=1e-9)
    assert one.theta == pytest.approx(two.theta, abs=1e-7)
