from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import fitting
from analysis.laws import LAWS, Points, frame

CHINCHILLA = LAWS["chinchilla"]
EXPONENT = st.floats(0.15, 0.8)
FRACTION = st.floats(0.15, 0.5)


def runs(alpha: float, beta: float, a: float, b: float, noise: float = 0.0) -> tuple[Points, dict[str, float]]:
    """Return runs of a law whose N and D terms are the given fractions of 3 at the smallest N and D."""
    n, d = map(np.ravel, np.meshgrid(np.geomspace(1e7, 4e9, 7), np.geomspace(1e9, 3e11, 7)))
    symbols = {"A": 3 * a * 1e7**alpha, "B": 3 * b * 1e9**beta, "E": 1.5, "alpha": alpha, "beta": beta}
    scatter = np.exp(noise * np.random.default_rng(0).normal(size=len(n)))
    return Points(n, d, CHINCHILLA.predict(symbols, n, d) * scatter), symbols


@settings(max_examples=15, deadline=None)
@given(EXPONENT, EXPONENT, FRACTION, FRACTION)
def test_clean_runs_give_back_their_law(alpha: float, beta: float, a: float, b: float) -> None:
    points, symbols = runs(alpha, beta, a, b)
    origin = frame(points)
    found = fitting.solve(CHINCHILLA, points, origin, starts=8)
    assert found.objective < 1e-16
    estimates = CHINCHILLA.to_symbols(found.theta[None], origin)
    for name in ("E", "alpha", "beta"):
        assert estimates[name][0] == pytest.approx(symbols[name], rel=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.floats(0.1, 10))
def test_a_change_of_units_changes_the_symbols_and_nothing_else(params: float, tokens: float, loss: float) -> None:
    points, _ = runs(0.34, 0.37, 0.3, 0.3, noise=0.01)
    other = Points(points.params * params, points.tokens * tokens, points.loss * loss)
    origin, other_origin = frame(points), frame(other)
    one = fitting.solve(CHINCHILLA, points, origin, starts=4)
    two = fitting.solve(CHINCHILLA, other, other_origin, starts=4)
    assert two.theta == pytest.approx(one.theta, abs=1e-5)
    before, after = CHINCHILLA.to_symbols(one.theta[None], origin), CHINCHILLA.to_symbols(two.theta[None], other_origin)
    assert after["E"] == pytest.approx(before["E"] * loss, rel=1e-5)
    assert after["A"] == pytest.approx(before["A"] * loss * params ** before["alpha"], rel=1e-3)
    assert after["B"] == pytest.approx(before["B"] * loss * tokens ** before["beta"], rel=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(49)))
def test_the_order_of_the_runs_does_not_matter(order: list[int]) -> None:
    points, _ = runs(0.34, 0.37, 0.3, 0.3, noise=0.01)
    one = fitting.solve(CHINCHILLA, points, frame(points), starts=4)
    shuffled = points.take(np.array(order))
    two = fitting.solve(CHINCHILLA, shuffled, frame(shuffled), starts=4)
    assert two.objective == pytest.approx(one.objective, rel=1e-9)
    assert two.theta == pytest.approx(one.theta, abs=1e-6)


@given(st.floats(1e6, 1e11), st.floats(1e6, 1e13), st.floats(1.01, 100))
def test_more_tokens_and_larger_models_never_predict_worse(params: float, tokens: float, factor: float) -> None:
    _, symbols = runs(0.34, 0.37, 0.3, 0.3)
    here = CHINCHILLA.predict(symbols, params, tokens)
    assert CHINCHILLA.predict(symbols, params, tokens * factor) <= here
    assert CHINCHILLA.predict(symbols, params * factor, tokens) <= here
