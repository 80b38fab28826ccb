"""Floors, fixed shares, parallel documents, transfer, other laws, marginal values and stages of an allocation."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from analysis.allocate import allocate
from analysis.laws import LAWS
from analysis.problem import Problem, coupled, losses, marginal_gain, solve, uniform_tokens, value
from quality.mistakes import BadInput
from training.allocation import read_allocation

LAW = LAWS["chinchilla"]
ESTIMATES = {
    "python": {"A": 400.0, "B": 2000.0, "E": 1.5, "alpha": 0.35, "beta": 0.36},
    "go": {"A": 60.0, "B": 900.0, "E": 1.1, "alpha": 0.3, "beta": 0.34},
    "rust": {"A": 80.0, "B": 6000.0, "E": 1.0, "alpha": 0.3, "beta": 0.40},
    "java": {"A": 90.0, "B": 1500.0, "E": 0.9, "alpha": 0.3, "beta": 0.37},
}
HELPING = {"python": {"go": 0.3, "java": 0.2}, "go": {"python": 0.5, "rust": 0.1}, "java": {"python": 0.4, "go": 0.1}}
HARMING = {"python": {"go": -0.2}, "go": {"python": 0.5, "rust": -0.3}, "rust": {"java": -0.4}}
BUDGET = {"tokens": 1e10, "params": 1e9}


def fits(spread: float = 0.02, draws: int = 30, factor: float = 1.0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "law": "chinchilla",
            "unit": "bits_per_byte",
            "group": language,
            "estimates": {**estimates, "B": estimates["B"] * (factor if language == "rust" else 1.0)},
            "draws": [
                {name: number * math.exp(spread * rng.normal()) for name, number in estimates.items()}
                for _ in range(draws)
            ],
            "ranges": {"params": [1e8, 3e9], "tokens": [1e8, 6e10]},
            "columns": {"params": "params"},
            "heldout": {"mean_relative_error": 0.01},
        }
        for language, estimates in ESTIMATES.items()
    ]


def matrix(tau: dict[str, dict[str, float]]) -> np.ndarray:
    names = list(ESTIMATES)
    return np.array([[[tau.get(target, {}).get(other, 0.0) for other in names] for target in names]])


def problem(**changes: Any) -> Problem:
    one = Problem(
        law=LAW,
        symbols={name: np.array([[row[name] for row in ESTIMATES.values()]]) for name in LAW.symbols},
        params=1e9,
        budget=1e10,
        weights=np.full(4, 1 / 4),
        unique=np.full(4, np.inf),
        max_epochs=4.0,
        prior=np.full(4, 1 / 4),
    )
    return replace(one, **changes)


PROBLEMS = {
    "helping": problem(tau=matrix(HELPING)),
    "helping, with supplies": problem(tau=matrix(HELPING), unique=np.array([5e8, 4e9, 2e9, 1e9])),
    "helping, with floors and a prior": problem(
        tau=matrix(HELPING), floors=np.array([0, 0, 6e9, 0]), prior_weight=0.01
    ),
    "harming": problem(tau=matrix(HARMING)),
    "given": problem(given=np.array([1e9, 0, 0, 5e8])),
    "floors": problem(floors=np.array([0, 4e9, 0, 1e9]), most=np.array([2e9, np.inf, np.inf, np.inf])),
}


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_the_solution_is_at_least_that_of_a_general_optimiser_from_many_starts(name: str) -> None:
    one = PROBLEMS[name]
    found = solve(one)[0]
    assert found.sum() == pytest.approx(one.budget, rel=1e-12)
    assert (found <= one.caps * (1 + 1e-12)).all()
    assert (found >= one.lowest * (1 - 1e-12)).all()
    rng = np.random.default_rng(0)
    best = math.inf
    for start in [np.full(4, 0.25), *rng.dirichlet(np.ones(4), size=5)]:
        reference = minimize(
            lambda shares: float(value(one, shares[None] * one.budget)[0]) * 100,
            start,
            method="SLSQP",
            bounds=list(zip(one.lowest / one.budget, one.caps / one.budget, strict=True)),
            constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1},
            options={"ftol": 1e-15, "maxiter": 500},
        )
        if abs(reference.x.sum() - 1) < 1e-9:
            best = min(best, reference.fun / 100)
    assert float(value(one, found[None])[0]) <= best + 1e-9


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_marginal_gains_are_the_derivative_of_the_objective(name: str) -> None:
    one = PROBLEMS[name]
    tokens = np.array([[2e9, 3e9, 4e9, 1e9]])
    gains = marginal_gain(one, tokens)[0]
    for k in range(4):
        up, down = tokens.copy(), tokens.copy()
        up[0, k] *= 1 + 1e-5
        down[0, k] *= 1 - 1e-5
        slope = (value(one, down) - value(one, up))[0] / (up - down)[0, k]
        assert gains[k] == pytest.approx(slope, rel=1e-4, abs=1e-18)


def test_with_help_only_the_certificate_closes_and_one_start_is_enough() -> None:
    one = PROBLEMS["helping"]
    assert one.convex
    for start in np.random.default_rng(0).dirichlet(np.ones(4), size=5):
        found, gap = coupled(one, start[None] * one.budget)
        assert gap[0] < 1e-8
        assert found[0] == pytest.approx(solve(one)[0], rel=1e-3)
    assert not PROBLEMS["harming"].convex


def test_a_language_that_helps_others_gets_more() -> None:
    without = allocate(fits(), **BUDGET)
    found = allocate(fits(), **BUDGET, transfer=HELPING)
    assert found["shares"]["python"] > without["shares"]["python"]
    assert found["solver"] == {"method": "mirror descent", "convex": True, "gap": pytest.approx(0, abs=1e-8)}
    assert without["solver"]["method"] == "equal marginal gains"
    words = " ".join(found["words"])
    assert "known for 6 of 12 pairs" in words
    assert "taken as exact" in words
    assert "own tokens only" not in words
    harmed = allocate(fits(), **BUDGET, transfer=HARMING)
    assert harmed["solver"]["method"] == "mirror descent from many starts"
    assert any("below 0" in word for word in harmed["words"])


def test_draws_of_tau_widen_the_intervals() -> None:
    rows = [
        {"target": "go", "auxiliary": "python", "draws": np.linspace(0.0, 1.5, 30).tolist()},
    ]
    exact = allocate(fits(spread=0.001), **BUDGET, transfer={"go": {"python": 0.5}})
    drawn = allocate(fits(spread=0.001), **BUDGET, transfer={"matrix": {"go": {"python": 0.5}}, "tau": rows})
    width = [low_high[1] - low_high[0] for low_high in (one["intervals"]["shares"]["go"] for one in (exact, drawn))]
    assert width[1] > 3 * width[0]
    assert not any("taken as exact" in word for word in drawn["words"])


def test_fixed_shares_floors_and_pairs_are_kept() -> None:
    found = allocate(
        fits(),
        **BUDGET,
        fixed={"go": 0.4, "pair:python-go": 0.1},
        floors={"java": 0.2},
    )
    assert found["shares"]["go"] == pytest.approx(0.4)
    assert found["shares"]["pair:python-go"] == pytest.approx(0.1)
    assert found["shares"]["java"] >= 0.2 - 1e-9
    assert sum(found["shares"].values()) == pytest.approx(1, abs=1e-12)
    assert sum(found["tokens"].values()) == 10_000_000_000
    rows = {row["language"]: row for row in found["by_language"]}
    assert rows["go"]["verdict"] == "fixed"
    # Half of the parallel tokens count to each side.
    expected = LAW.predict(ESTIMATES["python"], 1e9, found["tokens"]["python"] + 0.5e9)
    assert rows["python"]["predicted"] == pytest.approx(float(expected))
    assert any("half a token" in word for word in found["words"])
    pairs = [row["pair"] for row in found["comparisons"]]
    assert all("go" not in pair for pair in pairs)
    assert len(pairs) == 3


def test_a_parallel_share_is_spread_by_supply() -> None:
    supply = {**dict.fromkeys(ESTIMATES, 1e10), "pair:python-go": 3e8, "pair:python-rust": 1e8}
    found = allocate(fits(), **BUDGET, supply=supply, parallel_share=0.04)
    assert found["shares"]["pair:python-go"] == pytest.approx(0.03)
    assert found["shares"]["pair:python-rust"] == pytest.approx(0.01)
    with pytest.raises(BadInput, match="more than 4 epochs"):
        allocate(fits(), **BUDGET, supply=supply, parallel_share=0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fixed": {"perl": 0.1}}, "has no fit"),
        ({"fixed": {"pair:python-perl": 0.1}}, "not a pair of two of"),
        ({"fixed": {"go": 1.5}}, "not a fraction"),
        ({"fixed": {"go": 0.6}, "floors": {"rust": 0.5}}, "leaves less than none"),
        ({"fixed": {"go": 0.1}, "floors": {"go": 0.1}}, "is fixed as well"),
        ({"fixed": dict.fromkeys(ESTIMATES, 0.2)}, "leave one free"),
        ({"parallel_share": 0.1}, "needs --supply"),
        ({"floors": {"go": 0.5}, "supply": {**dict.fromkeys(ESTIMATES, 1e10), "go": 1e9}}, "more than 4 epochs of go"),
        ({"stages": (0.9, 0.5)}, "not rising fractions"),
        ({"transfer": {"perl": {"go": 1.0}}}, "transfer.perl"),
        ({"transfer": {"go": {"python": "much"}}}, "transfer.go.python"),
        ({"against": [fits()[:3]]}, "needed are"),
    ],
)
def test_what_cannot_be_kept_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        allocate(fits(), **BUDGET, **changes)


def test_the_uniform_division_respects_floors() -> None:
    floors = np.array([0.0, 50.0, 0.0])
    assert uniform_tokens(np.full(3, 100.0), 90, floors).tolist() == [20, 50, 20]
    assert uniform_tokens(np.array([10.0, 100.0, 100.0]), 90, floors).tolist() == [10, 50, 30]


def test_marginal_values_are_falls_of_the_objective() -> None:
    found = allocate(fits(), **BUDGET)
    base = np.array([[found["tokens"][name] for name in ESTIMATES]], dtype=float)
    for k, row in enumerate(found["marginal"]):
        more = base.copy()
        more[0, k] += 1e9
        fall = float((losses(problem(), base) - losses(problem(), more))[0].mean())
        assert row["next_billion"]["gain"] == pytest.approx(fall)
        low, high = row["next_billion"]["interval"]
        assert low < fall < high
        assert row["next_percent"]["tokens"] == 1e8
    # At the optimum a small step is worth the same in every language.
    small = [row["next_percent"]["gain"] for row in found["marginal"]]
    assert max(small) == pytest.approx(min(small), rel=0.1)


def test_shares_are_compared_with_each_other() -> None:
    found = allocate(fits(spread=0.001), **BUDGET)
    assert len(found["comparisons"]) == 6
    for row in found["comparisons"]:
        low, high = row["interval"]
        assert low <= row["difference"] <= high
        assert (row["verdict"] == "cannot be told apart") == (low <= 0 <= high)
    wide = allocate(fits(spread=0.03), **BUDGET)
    assert any(row["verdict"] == "cannot be told apart" for row in wide["comparisons"])


def test_another_law_judges_the_same_shares() -> None:
    found = allocate(fits(), **BUDGET, against=[fits(factor=1.0), fits(factor=4.0)])
    same, other = found["other_laws"]
    assert same["regret"] == pytest.approx(0, abs=1e-9)
    assert same["gain"] == pytest.approx(found["gain"])
    assert same["interval"] == pytest.approx(found["intervals"]["gain"])
    assert other["regret"] > 1e-3
    assert other["shares"]["rust"] > found["shares"]["rust"]
    assert other["heldout"] == pytest.approx(0.01)
    assert sum(word.startswith("if chinchilla is the true law") for word in found["words"]) == 2


def test_stages_end_in_the_same_shares_and_are_best_on_the_way() -> None:
    found = allocate(fits(), **BUDGET, stages=(0.2, 0.6))
    assert [stage["until_tokens"] for stage in found["stages"]] == [2_000_000_000, 6_000_000_000, 10_000_000_000]
    sizes = np.diff([0, *(stage["until_tokens"] for stage in found["stages"])])
    for name, count in found["tokens"].items():
        spent = sum(size * stage["shares"][name] for size, stage in zip(sizes, found["stages"], strict=True))
        assert spent == pytest.approx(count, rel=1e-6)
    first = allocate(fits(), tokens=2e9, params=1e9)
    assert found["stages"][0]["shares"] == pytest.approx(first["shares"], rel=1e-5)
    assert found["stages"][-1]["predicted"] == pytest.approx(found["predicted"])
    json.dumps(found, allow_nan=False)


def test_a_language_that_others_are_to_replace_is_warned_of() -> None:
    replaced = {"python": {"go": 0.9, "rust": 0.9, "java": 0.9}}
    found = allocate(fits(), **BUDGET, transfer=replaced)
    assert found["shares"]["python"] < 0.01
    assert any(word.startswith("Python would live on the tokens of other languages") for word in found["words"])
    floor = allocate(fits(), **BUDGET, transfer=replaced, floors={"python": 0.2})
    assert not any("would live on" in word for word in floor["words"])
    assert floor["regret"]["recommended"]["mean"] >= 0


def test_what_is_answered_with_stages_is_an_allocation_file_of_any_small_budget(tmp_path: Path) -> None:
    for tokens in (200_003, 1_000_001):
        found = allocate(
            fits(),
            **{**BUDGET, "tokens": tokens},
            stages=(0.37, 0.81),
            fixed={"pair:python-go": 0.0123, "text:docs": 0.0456},
        )
        path = tmp_path / f"{tokens}.json"
        path.write_text(json.dumps(found))
        allocation = read_allocation(path)
        assert allocation.stages[-1].until_tokens == tokens
        assert {source: float(count) for source, count in allocation.targets(tokens).items()} == pytest.approx(
            found["tokens"], abs=0.01
        )
        assert any("natural language has the share that was settled" in word for word in found["words"])


def test_a_language_that_lives_on_others_has_an_end_to_its_loss_where_they_harm_it() -> None:
    """Without own tokens nothing is left of harm to a language: the next billion would cost an endless loss."""
    rows = [
        {"target": "rust", "auxiliary": other, "draws": [2.0, tau, 2.0, tau]}
        for other, tau in (("go", 1.5), ("java", -3.0), ("python", 1.5))
    ]
    gains = {"matrix": {"rust": {"go": 2.0, "java": 0.5, "python": 2.0}}, "tau": rows}
    found = allocate(fits(draws=8), tokens=1e8, params=1e9, transfer=gains)
    assert found["tokens"]["rust"] == 0
    json.dumps(found, allow_nan=False)
    (java,) = (row for row in found["marginal"] if row["language"] == "java")
    assert all(math.isfinite(end) for end in java["next_billion"]["interval"])
