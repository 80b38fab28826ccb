from __future__ import annotations

import numpy as np
import pytest

from analysis.laws import LAWS, Law, Points, frame, law
from quality.mistakes import BadInput

SYMBOLS = {
    "chinchilla": {"A": 480.0, "B": 2100.0, "E": 1.8, "alpha": 0.35, "beta": 0.37},
    "monolingual": {"Nc": 4e7, "Dc": 3e8, "Linf": 0.4, "aN": 0.45, "aD": 1.1},
}


@pytest.fixture(params=list(LAWS))
def some(request: pytest.FixtureRequest) -> Law:
    return LAWS[request.param]


def points(one: Law) -> Points:
    n, d = map(np.ravel, np.meshgrid(np.geomspace(1e7, 3e9, 5), np.geomspace(1e9, 6e10, 4)))
    return Points(n, d, one.predict(SYMBOLS[one.name], n, d))


def test_every_law_is_tested_here() -> None:
    assert set(SYMBOLS) == set(LAWS)


def test_predictions_are_those_of_the_printed_formulas() -> None:
    assert LAWS["chinchilla"].predict(SYMBOLS["chinchilla"], 1e9, 2e10) == pytest.approx(
        1.8 + 480 / 1e9**0.35 + 2100 / 2e10**0.37
    )
    assert LAWS["monolingual"].predict(SYMBOLS["monolingual"], 1e9, 2e10) == pytest.approx(
        (4e7 / 1e9) ** 0.45 + (3e8 / 2e10) ** 1.1 + 0.4
    )


def test_symbols_go_to_coordinates_and_back(some: Law) -> None:
    origin = frame(points(some))
    back = some.to_symbols(some.to_coordinates(SYMBOLS[some.name], origin), origin)
    assert list(back) == list(some.symbols)
    for name, value in SYMBOLS[some.name].items():
        assert back[name][0] == pytest.approx(value, rel=1e-12)


def test_coordinates_and_symbols_predict_the_same(some: Law) -> None:
    runs = points(some)
    origin = frame(runs)
    theta = some.to_coordinates(SYMBOLS[some.name], origin)
    assert np.exp(some.log_loss(theta, runs, origin)[0][0]) == pytest.approx(runs.loss, rel=1e-12)


def test_slopes_and_curvature_are_derivatives(some: Law) -> None:
    runs = points(some)
    origin = frame(runs)
    rng = np.random.default_rng(0)
    theta = some.to_coordinates(SYMBOLS[some.name], origin) + rng.normal(scale=0.1, size=(3, 5))
    value, slopes = some.log_loss(theta, runs, origin)
    pull = rng.normal(size=value.shape)
    curvature = some.curvature(theta, runs, origin, pull, slopes)
    step = 1e-6
    for index in range(5):
        shift = np.eye(5)[index] * step
        up, slopes_up = some.log_loss(theta + shift, runs, origin)
        down, slopes_down = some.log_loss(theta - shift, runs, origin)
        assert slopes[:, :, index] == pytest.approx((up - down) / (2 * step), abs=1e-7)
        numeric = ((slopes_up - slopes_down) / (2 * step) * pull[:, :, None]).sum(axis=1)
        assert curvature[:, :, index] == pytest.approx(numeric, abs=1e-5)
    assert curvature == pytest.approx(Law.curvature(some, theta, runs, origin, pull, slopes), abs=1e-5)


def test_token_slope_is_the_derivative_by_tokens(some: Law) -> None:
    d = np.geomspace(1e8, 1e11, 7)
    symbols = SYMBOLS[some.name]
    numeric = (some.predict(symbols, 1e9, d * 1.00001) - some.predict(symbols, 1e9, d * 0.99999)) / (d * 2e-5)
    assert some.token_slope(symbols, 1e9, d) == pytest.approx(numeric, rel=1e-4)
    assert some.token_slope(symbols, np.full((3, 1), 1e9), d).shape == (3, 7)


def test_tokens_for_inverts_predict_and_knows_the_floor(some: Law) -> None:
    symbols = SYMBOLS[some.name]
    loss = some.predict(symbols, 1e9, 3e10)
    assert some.tokens_for(symbols, 1e9, loss) == pytest.approx(3e10, rel=1e-9)
    assert np.isnan(some.tokens_for(symbols, 1e9, some.floor(symbols, 1e9) * 0.999))


def test_the_best_start_of_clean_runs_is_near_the_truth(some: Law) -> None:
    runs = points(some)
    origin = frame(runs)
    starts = some.starts(runs, origin, np.ones((2, len(runs))), 6)
    assert starts.shape == (2, 6, 5)
    limits = some.bounds(origin)
    assert ((starts >= limits[:, 0]) & (starts <= limits[:, 1])).all()
    residual = some.log_loss(starts[0], runs, origin)[0] - np.log(runs.loss)
    assert np.abs(residual[0]).max() < 0.04
    assert len(np.unique(starts[0], axis=0)) == 6


def test_an_unknown_law_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="'kaplan' is not a law; known: chinchilla, monolingual"):
        law("kaplan")
