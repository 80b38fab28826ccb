from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.laws import LAWS
from analysis.problem import Problem, losses, solve, uniform_tokens

LAW = LAWS["chinchilla"]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    count = draw(st.integers(2, 7))

    def each(low: float, high: float) -> np.ndarray:
        return np.array([draw(st.floats(low, high)) for _ in range(count)])

    budget = 10 ** draw(st.floats(6, 13))
    weights = each(0.1, 10)
    beta = each(0.1, 1.3)
    supplies = budget * 10 ** each(-2, 1) if draw(st.booleans()) else np.full(count, np.inf)
    if supplies.sum() * 4 < budget * 1.01:
        supplies = supplies * (budget / supplies.sum())
    symbols = {
        "A": each(1, 1e3),
        "B": each(0.01, 3) * 1e9**beta,
        "E": each(0.1, 3),
        "alpha": each(0.1, 0.9),
        "beta": beta,
    }
    prior = each(0.05, 1)
    return Problem(
        law=LAW,
        symbols={name: values[None] for name, values in symbols.items()},
        params=1e9,
        budget=budget,
        weights=weights / weights.sum(),
        unique=supplies,
        max_epochs=4.0,
        prior=prior / prior.sum(),
        prior_weight=draw(st.sampled_from([0.0, 0.0, 0.01, 1.0])),
    )


def value(problem: Problem, tokens: np.ndarray) -> float:
    shares = tokens / problem.budget
    divergence = float((shares * np.log(shares / problem.prior)).sum())
    return float(losses(problem, tokens[None])[0] @ problem.weights) + problem.prior_weight * divergence


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(0, 2**32 - 1))
def test_no_feasible_division_is_better(problem: Problem, seed: int) -> None:
    found = solve(problem)[0]
    assert found.sum() == pytest.approx(problem.budget, rel=1e-9)
    assert (found > 0).all()
    assert (found <= problem.caps * (1 + 1e-9)).all()
    best = value(problem, found)
    tolerance = 1e-9 * abs(best)
    assert best <= value(problem, uniform_tokens(problem.caps, problem.budget)) + tolerance
    rng = np.random.default_rng(seed)
    for _ in range(30):
        # A random direction that keeps the sum, as far as the caps and zero allow.
        move = rng.normal(size=len(found)) * problem.budget * 10 ** rng.uniform(-5, 0)
        move -= move.mean()
        other = found + move
        if (other > 0).all() and (other <= problem.caps).all():
            assert best <= value(problem, other) + tolerance
        mixed = rng.dirichlet(np.ones(len(found))) * problem.budget
        if (mixed > 0).all() and (mixed <= problem.caps).all():
            assert best <= value(problem, mixed) + tolerance


@settings(max_examples=20, deadline=None)
@given(problems(), st.floats(0.05, 0.95))
def test_a_larger_budget_never_predicts_worse_nor_gives_a_language_less(problem: Problem, fraction: float) -> None:
    problem = replace(problem, prior_weight=0.0)
    less = replace(problem, budget=problem.budget * fraction)
    few, many = solve(less)[0], solve(problem)[0]
    assert losses(problem, many[None])[0] @ problem.weights <= losses(less, few[None])[0] @ problem.weights + 1e-12
    assert (many >= few * (1 - 1e-6)).all()


@settings(max_examples=20, deadline=None)
@given(problems())
def test_the_order_of_languages_does_not_matter(problem: Problem) -> None:
    back = {
        "symbols": {name: values[:, ::-1] for name, values in problem.symbols.items()},
        "weights": problem.weights[::-1],
        "unique": problem.unique[::-1],
        "prior": problem.prior[::-1],
    }
    assert solve(replace(problem, **back))[0][::-1] == pytest.approx(solve(problem)[0], rel=1e-6)
