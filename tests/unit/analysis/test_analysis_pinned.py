"""Every symbol of every law can be fixed: the fit then is what a search of scipy's over the others finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares

from analysis import fitting
from analysis.fit import fit, predict, tails
from analysis.laws import LAWS, Floats, Frame, Law, Points, frame
from analysis.laws.pinned import Pinned, pinned
from quality.mistakes import BadInput
from tests.unit.analysis.test_analysis_laws import SYMBOLS

SOURCES = ("go", "java")
STARTS = 3
MANY = 9  # With so many symbols scipy goes on from where we ended only; it is slow there.


@pytest.fixture(params=list(LAWS))
def law(request: pytest.FixtureRequest) -> Law:
    return LAWS[request.param].bind(SOURCES, "java")


def truth(law: Law) -> dict[str, float]:
    return {name: SYMBOLS[law.name][name] for name in law.symbols}


def runs(law: Law) -> Points:
    n, d = map(np.ravel, np.meshgrid(np.geomspace(1e7, 3e9, 5), np.geomspace(1e9, 6e10, 4)))
    shares = np.random.default_rng(3).dirichlet(np.ones(len(SOURCES)), len(n))
    unique = np.minimum(d, 8e9)
    return Points(n, d, law.predict(truth(law), n, d, shares, unique), shares, unique)


def is_line(law: Law, name: str, origin: Frame) -> bool:
    """Whether a symbol moves on a line with its coordinate, and not its logarithm."""
    place = law.coordinates.index(name)
    theta = np.repeat(law.to_coordinates(truth(law), origin), 3, axis=0)
    theta[:, place] += [0, 0.01, 0.02]
    value = law.to_symbols(theta, origin)[name]
    return bool(abs(np.diff(value, 2)[0]) < 1e-6 * np.ptp(value))


def searched(law: Law, points: Points, name: str, value: float, begin: dict[str, float]) -> float:
    """Return the objective that scipy finds over the other coordinates, the symbol's own solved for in each step."""
    origin = frame(points)
    limits, own = law.bounds(origin), law.coordinates.index(name)
    rest = np.delete(np.arange(len(limits)), own)
    link: Any = np.asarray if is_line(law, name, origin) else np.log

    def residual(x: Floats) -> Floats:
        theta = np.zeros((2, len(limits)))
        theta[:, rest], theta[1, own] = x, 1
        with np.errstate(all="ignore"):
            low, high = link(law.to_symbols(theta, origin)[name])
            theta[0, own] = (link(value) - low) / (high - low)
            symbols = {key: array[0] for key, array in law.to_symbols(theta[:1], origin).items()}
            loss = law.predict(symbols, points.params, points.tokens, points.shares, points.unique)
            found = np.log(loss) - np.log(points.loss)
        return np.where(np.isfinite(found), found, 1e3)

    inside = np.clip(law.to_coordinates(begin, origin)[0, rest], limits[rest, 0] + 1e-9, limits[rest, 1] - 1e-9)
    ends = least_squares(
        residual,
        inside,
        bounds=(limits[rest, 0], limits[rest, 1]),
        loss="huber",
        f_scale=fitting.HUBER_DELTA,
        x_scale="jac",
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
        max_nfev=60 if len(limits) < MANY else 10,
    )
    return float(fitting.huber(residual(ends.x)).sum())


def test_every_symbol_can_be_fixed(law: Law, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "PRIOR_WEIGHT", 0.0)
    monkeypatch.setattr(fitting, "POLISHED", 1)
    points = runs(law)
    origin = frame(points)
    free = fitting.solve(law, points, origin, STARTS)
    for name, true in truth(law).items():
        right, wrong = (pinned(law, {name: value}) for value in (true, 1.15 * true))
        assert isinstance(right, Pinned)
        assert right.mistakes(origin) == []
        found = fitting.solve(right, points, origin, STARTS)
        assert right.to_symbols(found.theta[None], origin)[name] == [true]
        assert found.objective <= free.objective + 1e-10, name
        found = fitting.solve(wrong, points, origin, STARTS)
        symbols = {key: float(value[0]) for key, value in wrong.to_symbols(found.theta[None], origin).items()}
        assert symbols[name] == 1.15 * true
        assert found.objective >= free.objective - 1e-10, name
        begins = (symbols, truth(law)) if len(symbols) < MANY else (symbols,)
        others = [searched(law, points, name, 1.15 * true, begin) for begin in begins]
        assert found.objective <= min(others) * 1.001 + 1e-10, (name, found.objective, others)
        assert others[0] == pytest.approx(found.objective, rel=1e-3, abs=1e-10), name


def test_any_set_of_symbols_keeps_its_values_and_the_slopes_are_those_along_them(law: Law) -> None:
    points = runs(law)
    origin = frame(points)
    rng = np.random.default_rng(len(law.name))
    for _ in range(12):
        names = rng.choice(law.symbols, rng.integers(1, len(law.symbols)), replace=False)
        held = pinned(law, {str(name): truth(law)[name] for name in names})
        assert set(held.coordinates) == set(law.coordinates) - set(names)
        theta = held.to_coordinates(truth(law), origin) + 0.05 * rng.normal(size=(2, len(held.coordinates)))
        symbols = held.to_symbols(theta, origin)
        assert all((symbols[str(name)] == truth(law)[name]).all() for name in names)
        value, slopes = held.log_loss(theta, points, origin)
        each = [{key: array[row] for key, array in symbols.items()} for row in range(2)]
        again = [np.log(law.predict(one, points.params, points.tokens, points.shares, points.unique)) for one in each]
        assert value == pytest.approx(np.array(again), abs=1e-9)
        for place in range(theta.shape[1]):
            step = 1e-6 * (np.arange(theta.shape[1]) == place)
            rise = held.log_loss(theta + step, points, origin)[0] - held.log_loss(theta - step, points, origin)[0]
            assert slopes[:, place] == pytest.approx(rise / 2e-6, abs=1e-6)
        pull = rng.normal(size=value.shape)
        assert held.curvature(theta, points, origin, pull, slopes) == pytest.approx(
            Law.curvature(held, theta, points, origin, pull, slopes), abs=1e-5 * np.abs(pull).sum() * 20
        )


def test_starts_lie_where_the_fixed_symbol_has_its_value_and_the_terms_are_of_the_usual_size() -> None:
    law = LAWS["chinchilla"]
    points = runs(law)
    origin = frame(points)
    held = pinned(law, {"A": 480.0})
    begin = held.starts(points, origin, np.ones((2, len(points))), 3)
    assert begin.shape == (2, 3, 4)
    usual = law.starts(points, origin, np.ones((2, len(points))), 3)
    symbols = held.to_symbols(begin[0, ::2], origin)
    assert law.to_coordinates(symbols, origin)[:, 0] == pytest.approx(usual[0, ::2, 0], abs=1e-6)
    assert begin[:, 1] == pytest.approx(usual[:, 1, 1:])


def write_runs(path: Path, count: int = 5) -> Path:
    rng = np.random.default_rng(0)
    lines = ["params,tokens,loss_nats"]
    symbols = {"A": 60.0, "B": 900.0, "E": 1.1, "alpha": 0.3, "beta": 0.36}
    for n in np.geomspace(1e8, 3e9, count):
        for d in np.geomspace(2e9, 6e10, count):
            loss = float(LAWS["chinchilla"].predict(symbols, n, d)) * np.exp(0.003 * rng.normal())
            lines.append(f"{n:.17g},{d:.17g},{loss:.17g}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_fit_with_a_fixed_scale_says_so_and_is_surer_of_the_rest(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv")
    [free] = fit(path, bootstrap=100)
    [held] = fit(path, fixed={"A": 60.0, "B": 900.0}, bootstrap=100)
    assert held["fixed"] == {"A": 60.0, "B": 900.0}
    assert held["estimates"]["A"] == 60.0
    assert held["intervals"]["B"] == [900.0, 900.0]
    assert {draw["A"] for draw in held["draws"]} == {60.0}
    assert held["converged"]
    assert held["unidentified"] == []
    assert set(held["profile"]) == {"E", "alpha", "beta"}
    assert held["condition"] < free["condition"]
    assert held["objective"] >= free["objective"]
    width = {name: [np.ptp(one["intervals"][name]) for one in (held, free)] for name in ("E", "alpha", "beta")}
    assert all(narrow < 0.6 * wide for narrow, wide in width.values())
    _, low, high = predict(held, 1e9, 1e10)
    drawn = [float(LAWS["chinchilla"].predict(draw, 1e9, 1e10)) for draw in held["draws"]]
    assert [low, high] == pytest.approx(np.quantile(drawn, tails(0.95, 25, 3)))


def test_only_as_many_runs_are_needed_as_there_are_symbols_left(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv", count=2)
    with pytest.raises(BadInput, match=r"4 runs, but chinchilla has 5 symbols to fit \(A, B, E, alpha, beta\)"):
        fit(path, bootstrap=0)
    [held] = fit(path, fixed={"A": 60.0, "alpha": 0.3}, bootstrap=0)
    assert held["estimates"]["A"] == 60.0
    assert held["objective"] < 1e-4


def test_what_cannot_be_fixed_is_refused_all_at_once(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv")

    def told(**fixed: float) -> list[tuple[str, str]]:
        with pytest.raises(BadInput) as caught:
            fit(path, fixed=fixed, bootstrap=0)
        return [(mistake.where.removeprefix("--fix "), mistake.what) for mistake in caught.value.mistakes]

    assert told(A=-60.0, gamma=1.0, beta=float("nan")) == [
        ("A", "-60.0 is not a finite number above 0"),
        ("gamma", "is no symbol of chinchilla; its symbols are A, B, E, alpha, beta"),
        ("beta", "nan is not a finite number above 0"),
    ]
    assert told(A=60.0, B=900.0, E=1.1, alpha=0.3, beta=0.36) == [
        ("--fix", "fixes every symbol of chinchilla (A, B, E, alpha, beta); leave one to fit")
    ]
    constant, scale = told(E=9.0, A=1e9, alpha=0.3)
    assert constant[0] == "E"
    assert constant[1].startswith("9 is not from ")
    assert scale[0] == "A"
    assert scale[1].startswith("1e+09 is not from ")
    assert scale[1].endswith(" with E 9, alpha 0.3")
    [free] = fit(path, fixed={"A": 1e9}, bootstrap=0)  # with another exponent it can be so
    assert free["estimates"]["A"] == 1e9


def test_symbols_with_a_sign_can_be_fixed_below_0() -> None:
    law = LAWS["farseer"]
    points = runs(law)
    assert isinstance(held := pinned(law, {"A": -0.124, "S": 0.8, "Q": -5.8}), Pinned)
    assert held.mistakes(frame(points)) == []
    with pytest.raises(BadInput, match=r"inf is not a finite number$"):
        pinned(law, {"A": float("inf")})
