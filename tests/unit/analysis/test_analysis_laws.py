from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.laws import LAWS, Law, Points, frame, law, law_of
from analysis.laws.base import Curve, Floats
from quality.mistakes import BadInput

SOURCES = ("go", "java", "rust")
SIZE = {"E": 1.1, "A": 60.0, "B": 900.0, "alpha": 0.3, "beta": 0.36}
CONSTANTS = {"C.go": 3.0, "C.java": 1.0, "C.rust": 2.0}
POWERS = {"gamma.go": 0.5, "gamma.java": 0.3, "gamma.rust": 0.9}
BILLIONS = {"A": 0.2, "B": 1.4, "Linf": 0.4, "alpha": 0.4, "beta": 0.6}
SYMBOLS: dict[str, dict[str, float]] = {
    "chinchilla": {"A": 480.0, "B": 2100.0, "E": 1.8, "alpha": 0.35, "beta": 0.37},
    "monolingual": {"Nc": 4e7, "Dc": 3e8, "Linf": 0.4, "aN": 0.45, "aD": 1.1},
    "translation": BILLIONS,
    "zero-shot": BILLIONS,
    "zero-shot-translation": BILLIONS,
    "skaling": {"A": 480.0, "B": 2100.0, "E": 1.8, "a": 0.35, "b": 0.37, "k": 1.2},
    "farseer": {
        "s": -0.021,
        "q": 0.169,
        "S": 0.8,
        "B": 88.0,
        "b": -0.1,
        "Q": -5.8,
        "A": -0.124,
        "a": 0.123,
        "E": 0.424,
    },
    "repetition": {"A": 480.0, "B": 2100.0, "E": 1.8, "alpha": 0.35, "beta": 0.37, "Rstar": 15.4},
    "additive": {**SIZE, **CONSTANTS, **POWERS},
    "joint": {
        **{name: SIZE[name] for name in ("E", "alpha", "beta")},
        **CONSTANTS,
        **POWERS,
        "CA.go": 60.0,
        "CA.java": 40.0,
        "CA.rust": 90.0,
        "gammaA": 0.8,
        "CB.go": 900.0,
        "CB.java": 400.0,
        "CB.rust": 200.0,
        "gammaB": 1.1,
    },
    "interaction": {**SIZE, "B": 20.0, "kappa": 0.2, **CONSTANTS, **POWERS},
    "transfer": {**SIZE, "tau.go": 0.3, "tau.rust": 0.1},
    "he": {**SIZE, "gamma": 0.15},
    "ye": {"c": 1.0, "t.go": -3.0, "t.java": 0.5, "t.rust": -1.0},
    "proportional": {
        "A": 0.2,
        "B": 1.4,
        "aN.go": 0.3,
        "aN.java": 0.4,
        "aN.rust": 0.5,
        "aD.go": 0.7,
        "aD.java": 0.6,
        "aD.rust": 1.1,
        "Linf.go": 0.5,
        "Linf.java": 0.4,
        "Linf.rust": 0.6,
        "tau.go-java": 0.5,
        "tau.go-rust": -0.2,
        "tau.java-rust": 0.1,
    },
}
SMOOTH_IN_TOKENS = [name for name in LAWS if name != "ye"]


@pytest.fixture(params=list(LAWS))
def some(request: pytest.FixtureRequest) -> Law:
    return LAWS[request.param].bind(SOURCES, "java")


@pytest.fixture(params=SMOOTH_IN_TOKENS)
def growing(request: pytest.FixtureRequest) -> Law:
    return LAWS[request.param].bind(SOURCES, "java")


def inputs() -> tuple[Floats, Floats, Floats, Floats]:
    n, d = map(np.ravel, np.meshgrid(np.geomspace(1e7, 3e9, 5), np.geomspace(1e9, 6e10, 4)))
    shares = np.random.default_rng(3).dirichlet(np.ones(3), len(n))
    return n, d, shares, np.minimum(d, 8e9)


def points(one: Law) -> Points:
    n, d, shares, unique = inputs()
    return Points(n, d, one.predict(SYMBOLS[one.name], n, d, shares, unique), shares, unique)


def test_every_law_is_tested_here() -> None:
    assert set(SYMBOLS) == set(LAWS)


def test_every_row_says_what_it_is_and_where_it_is_from(some: Law) -> None:
    assert some.formula.startswith("L(")
    assert some.source
    assert some.title
    assert set(some.symbols) == set(SYMBOLS[some.name])
    assert set(some.coordinates) <= set(some.symbols)
    assert some.bounds(frame(points(some))).shape == (len(some.symbols), 2)


def test_predictions_are_those_of_the_printed_formulas() -> None:
    def value(name: str, *inputs: Any) -> float:
        return float(LAWS[name].bind(SOURCES, "java").predict(SYMBOLS[name], *inputs))

    n, d, h = 1e9, 2e10, np.array([0.5, 0.3, 0.2])
    size = (60 / n**0.3, 900 / d**0.36)
    mixed = 1 / (3 * 0.5**0.5 + 0.3**0.3 + 2 * 0.2**0.9)
    assert value("chinchilla", n, d) == pytest.approx(1.8 + 480 / n**0.35 + 2100 / d**0.37)
    assert value("monolingual", n, d) == pytest.approx((4e7 / n) ** 0.45 + (3e8 / d) ** 1.1 + 0.4)
    assert value("translation", n, d) == pytest.approx(0.2 + 1.4 * 20**-0.6 + 0.4)
    assert value("skaling", n, d) == pytest.approx(1.8 + (480 / n**0.35 + 2100 / d**0.37) ** 1.2)
    assert value("farseer", n, d) == pytest.approx(
        np.exp(-0.021 * n**0.169 + 0.8) + np.exp(88 * n**-0.1 - 5.8) * d ** -np.exp(-0.124 * n**0.123 + 0.424)
    )
    worth = 5e9 * (1 + 15.4 * (1 - np.exp(-3 / 15.4)))
    assert value("repetition", n, d, None, 5e9) == pytest.approx(1.8 + 480 / n**0.35 + 2100 / worth**0.37)
    assert value("repetition", n, d) == pytest.approx(value("chinchilla", n, d))
    assert value("additive", n, d, h) == pytest.approx(1.1 + sum(size) + mixed)
    a, b = (60 * 0.5 + 40 * 0.3 + 90 * 0.2) ** 0.8, (900 * 0.5 + 400 * 0.3 + 200 * 0.2) ** 1.1
    assert value("joint", n, d, h) == pytest.approx(1.1 + a / n**0.3 + b / d**0.36 + mixed)
    assert value("interaction", n, d, h) == pytest.approx((1.1 + size[0] + 20 * n**0.2 / d**0.36) * (1 + mixed))
    own = d * (0.3 + 0.3 * 0.5 + 0.1 * 0.2)
    assert value("transfer", n, d, h) == pytest.approx(1.1 + size[0] + 900 / own**0.36)
    assert value("he", n, d, h) == pytest.approx((1.1 + sum(size)) * 0.3**-0.15)
    assert value("ye", n, d, h) == pytest.approx(1 + np.exp(-3 * 0.5 + 0.5 * 0.3 - 0.2))
    helped = 20 * (1 + 2 * (0.5 * 0.3 * 0.5 - 0.5 * 0.2 * 0.2 + 0.3 * 0.2 * 0.1))
    by_d = 1.4 * helped ** -(0.5 * 0.7 + 0.3 * 0.6 + 0.2 * 1.1)
    assert value("proportional", n, d, h) == pytest.approx(0.2 + by_d + 0.5 * 0.5 + 0.3 * 0.4 + 0.2 * 0.6)


def test_symbols_go_to_coordinates_and_back(some: Law) -> None:
    origin = frame(points(some))
    back = some.to_symbols(some.to_coordinates(SYMBOLS[some.name], origin), origin)
    assert list(back) == list(some.symbols)
    for name, value in SYMBOLS[some.name].items():
        assert back[name][0] == pytest.approx(value, rel=1e-9)


def test_coordinates_and_symbols_predict_the_same(some: Law) -> None:
    runs = points(some)
    origin = frame(runs)
    theta = some.to_coordinates(SYMBOLS[some.name], origin)
    assert np.exp(some.log_loss(theta, runs, origin)[0][0]) == pytest.approx(runs.loss, rel=1e-9)


def test_slopes_and_curvature_are_derivatives(some: Law) -> None:
    runs = points(some)
    origin = frame(runs)
    rng = np.random.default_rng(0)
    size = len(some.symbols)
    theta = some.to_coordinates(SYMBOLS[some.name], origin) + rng.normal(scale=0.05, size=(3, size))
    value, slopes = some.log_loss(theta, runs, origin)
    assert slopes.shape == (3, size, len(runs))
    pull = rng.normal(size=value.shape)
    curvature = some.curvature(theta, runs, origin, pull, slopes)
    step = 1e-6
    for index in range(size):
        shift = np.eye(size)[index] * step
        up, slopes_up = some.log_loss(theta + shift, runs, origin)
        down, slopes_down = some.log_loss(theta - shift, runs, origin)
        assert slopes[:, index] == pytest.approx((up - down) / (2 * step), abs=1e-6)
        numeric = ((slopes_up - slopes_down) @ pull[:, :, None])[:, :, 0] / (2 * step)
        assert curvature[:, :, index] == pytest.approx(numeric, abs=1e-4)


@pytest.mark.parametrize("name", ["additive", "joint", "interaction", "transfer", "he", "ye"])
def test_slopes_in_closed_form_are_those_of_the_formula(name: str) -> None:
    one = LAWS[name].bind(SOURCES, "java")
    assert isinstance(one, Curve)
    runs = points(one)
    shares = runs.shares
    assert shares is not None
    shares[:3] = np.array([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [0.4, 0.6, 0.0]])
    origin = frame(runs)
    theta = one.to_coordinates(SYMBOLS[name], origin)
    closed, stated = one.log_loss(theta, runs, origin), Curve.log_loss(one, theta, runs, origin)
    assert closed[0] == pytest.approx(stated[0], abs=1e-12)
    assert closed[1] == pytest.approx(stated[1], abs=1e-12)


def test_token_slope_is_the_derivative_by_tokens(growing: Law) -> None:
    d, h, symbols = np.geomspace(1e8, 1e11, 7), np.array([0.5, 0.3, 0.2]), SYMBOLS[growing.name]
    up, down = (growing.predict(symbols, 1e9, d * factor, h) for factor in (1.00001, 0.99999))
    assert growing.token_slope(symbols, 1e9, d, h) == pytest.approx((up - down) / (d * 2e-5), rel=1e-4)
    many = growing.token_slope(symbols, np.full((3, 1), 1e9), d, np.broadcast_to(h, (3, 7, 3)))
    assert many.shape == (3, 7)


@pytest.mark.parametrize("name", [name for name, row in LAWS.items() if "shares" in row.needs])
def test_share_slopes_are_derivatives_by_shares(name: str) -> None:
    one, h, symbols = LAWS[name].bind(SOURCES, "java"), np.array([0.5, 0.3, 0.2]), SYMBOLS[name]
    assert isinstance(one, Curve)
    found = one.share_slopes(symbols, 1e9, 2e10, h)
    for index in range(3):
        moved = np.eye(3)[index] * 1e-6
        up, down = (one.predict(symbols, 1e9, 2e10, h + sign * moved) for sign in (1, -1))
        assert found[index] == pytest.approx(float(up - down) / 2e-6, rel=1e-4, abs=1e-8)


def test_symbols_given_as_arrays_are_evaluated_together(some: Law) -> None:
    n, d, shares, unique = inputs()
    symbols = SYMBOLS[some.name]
    drawn = {name: np.array([[value], [value * 1.01]]) for name, value in symbols.items()}
    both = some.predict(drawn, n, d, shares, unique)
    assert both.shape == (2, len(n))
    assert both[0] == pytest.approx(some.predict(symbols, n, d, shares, unique), rel=1e-12)


def test_tokens_for_inverts_predict_and_knows_the_floor(growing: Law) -> None:
    symbols, h = SYMBOLS[growing.name], np.array([0.5, 0.3, 0.2])
    loss = growing.predict(symbols, 1e9, 3e10, h)
    assert growing.tokens_for(symbols, 1e9, loss, h) == pytest.approx(3e10, rel=1e-6)
    assert np.isnan(growing.tokens_for(symbols, 1e9, growing.floor(symbols, 1e9, h) * 0.999, h))


@pytest.mark.parametrize("name", [name for name, row in LAWS.items() if row.exact_curvature])
def test_the_best_start_of_clean_runs_is_near_the_truth(name: str) -> None:
    one = LAWS[name]
    runs = points(one)
    origin = frame(runs)
    starts = one.starts(runs, origin, np.ones((2, len(runs))), 6)
    assert starts.shape == (2, 6, 5)
    limits = one.bounds(origin)
    assert ((starts >= limits[:, 0]) & (starts <= limits[:, 1])).all()
    residual = one.log_loss(starts[0], runs, origin)[0] - np.log(runs.loss)
    assert np.abs(residual[0]).max() < 0.06
    assert len(np.unique(starts[0], axis=0)) == 6


def test_starts_lie_within_the_bounds_and_differ(some: Law) -> None:
    runs = points(some)
    origin = frame(runs)
    starts = some.starts(runs, origin, np.ones((1, len(runs))), 5)[0]
    limits = some.bounds(origin)
    assert ((starts >= limits[:, 0]) & (starts <= limits[:, 1])).all()
    assert len(np.unique(starts, axis=0)) == 5


@pytest.mark.parametrize("name", ["transfer", "he"])
def test_a_law_of_a_sources_own_loss_wants_to_know_which(name: str) -> None:
    with pytest.raises(ValueError, match="not one of go, java"):
        one = LAWS[name].bind(("go", "java"), None)
        one.predict(dict.fromkeys(one.symbols, 1.0), 1e9, 1e9, [0.5, 0.5])


def test_a_fit_tells_its_law_with_the_sources() -> None:
    assert law_of({"law": "chinchilla"}) is LAWS["chinchilla"]
    found = law_of({"law": "transfer", "sources": ["a", "b"], "target": "b"})
    assert found.symbols == ("E", "A", "B", "alpha", "beta", "tau.a")


def test_an_unknown_law_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="'kaplan' is not a law; known: chinchilla, monolingual"):
        law("kaplan")
