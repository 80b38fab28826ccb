from __future__ import annotations

import numpy as np
import pytest

from analysis import simplex


def power_laws(weights: np.ndarray, exponents: np.ndarray) -> simplex.Objective:
    def both(shares: np.ndarray, rows: simplex.Rows) -> tuple[np.ndarray, np.ndarray]:
        w, b = weights[rows], exponents[rows]
        return (w * shares**-b).sum(axis=1), -b * w * shares ** (-b - 1)

    return both


def test_power_laws_of_one_exponent_have_their_known_optimum() -> None:
    weights = np.array([[1.0, 4.0, 9.0], [1.0, 1.0, 1.0]])
    found = simplex.minimise(
        power_laws(weights, np.ones((2, 3))), np.full((2, 3), 1 / 3), np.zeros(3) + 1e-9, np.ones(3)
    )
    # The minimum of sum w / x over the simplex is at x in proportion to the root of w, and is the square of their sum.
    assert found.shares[0] == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=1e-5)
    assert found.value == pytest.approx([36.0, 9.0], rel=1e-8)
    assert (found.gap <= 1e-9 * found.value).all()


def test_limits_hold_and_the_gap_bounds_what_is_left() -> None:
    rng = np.random.default_rng(0)
    weights, exponents = rng.uniform(0.1, 3, (20, 5)), rng.uniform(0.1, 1.3, (20, 5))
    low, high = np.array([0.3, 0.0, 0.05, 0.0, 0.0]) + 1e-9, np.array([1.0, 0.1, 1.0, 1.0, 0.2])
    objective = power_laws(weights, exponents)
    rough = simplex.minimise(objective, np.full((20, 5), 0.2), low, high, steps=3)
    fine = simplex.minimise(objective, np.full((20, 5), 0.2), low, high, tolerance=1e-11)
    assert (fine.shares >= low).all()
    assert (fine.shares <= high).all()
    assert fine.shares.sum(axis=1) == pytest.approx(np.ones(20), abs=1e-12)
    assert (fine.value <= rough.value).all()
    assert (rough.value - fine.value <= rough.gap + 1e-12).all()


def test_a_linear_function_ends_in_its_best_corner() -> None:
    def linear(shares: np.ndarray, rows: simplex.Rows) -> tuple[np.ndarray, np.ndarray]:
        assert len(rows) == len(shares)
        slope = np.broadcast_to([3.0, 1.0, 2.0], shares.shape)
        return (shares * slope).sum(axis=1), slope

    found = simplex.minimise(linear, np.full((1, 3), 1 / 3), np.array([0.1, 0.0, 0.0]), np.array([1.0, 0.6, 1.0]))
    assert found.shares[0] == pytest.approx([0.1, 0.6, 0.3], abs=1e-6)


def test_projection_scales_by_one_factor_between_the_limits() -> None:
    found = simplex.projected(np.array([[8.0, 1.0, 1.0]]), np.array([0.0, 0.0, 0.3]), np.array([0.5, 1.0, 1.0]))
    assert found[0] == pytest.approx([0.5, 0.2, 0.3])


def test_projection_is_the_same_by_both_ways_whatever_the_limits() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        low, high = np.zeros(5), np.zeros(5)
        while low.sum() > 0.95 or high.sum() < 1.05:
            low = rng.uniform(0, 0.3, 5) * (rng.random(5) < 0.5)
            high = low + rng.uniform(0, 0.8, 5) * (rng.random(5) < 0.8)
        weights = np.exp(rng.normal(0, 6, (4, 5)))
        found = simplex.projected(weights, low, high)
        assert found.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-12)
        assert (found >= low).all()
        assert (found <= high).all()
        assert found == pytest.approx(simplex._bisected(np.log(weights), low, high), abs=1e-9)
