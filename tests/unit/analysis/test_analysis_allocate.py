from __future__ import annotations

import io
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
from analysis.problem import Problem, effective_tokens, marginal_gain, solve, uniform_tokens, value
from quality.languages import LANGUAGES
from quality.mistakes import BadInput
from training.allocation import read_allocation

LAW = LAWS["chinchilla"]
ESTIMATES = {
    "python": {"A": 400.0, "B": 2000.0, "E": 1.5, "alpha": 0.35, "beta": 0.36},
    "go": {"A": 60.0, "B": 900.0, "E": 1.1, "alpha": 0.3, "beta": 0.34},
    "rust": {"A": 80.0, "B": 6000.0, "E": 1.0, "alpha": 0.3, "beta": 0.40},
}


def fits(spread: float = 0.02, draws: int = 50, **changes: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "law": "chinchilla",
            "unit": "bits_per_byte",
            "group": language,
            "estimates": estimates,
            "draws": [
                {name: value * math.exp(spread * rng.normal()) for name, value in estimates.items()}
                for _ in range(draws)
            ],
            "ranges": {"params": [1e8, 3e9], "tokens": [2e9, 6e10]},
            "columns": {"params": "params"},
            "converged": True,
            "heldout": None,
            "unidentified": [],
            **changes,
        }
        for language, estimates in ESTIMATES.items()
    ]


def problem(**changes: Any) -> Problem:
    one = Problem(
        law=LAW,
        symbols={name: np.array([[row[name] for row in ESTIMATES.values()]]) for name in LAW.symbols},
        params=1e9,
        budget=1e11,
        weights=np.full(3, 1 / 3),
        unique=np.full(3, np.inf),
        max_epochs=4.0,
        prior=np.full(3, 1 / 3),
    )
    return replace(one, **changes)


PROBLEMS = {
    "free": problem(),
    "weighted": problem(weights=np.array([0.7, 0.2, 0.1])),
    "repeated": problem(unique=np.array([1e10, 4e10, 3e10])),
    "capped": problem(unique=np.array([5e9, 4e10, 2e10])),
    "prior": problem(prior=np.array([0.6, 0.3, 0.1]), prior_weight=0.05),
    "prior and caps": problem(prior_weight=0.01, unique=np.array([5e9, 4e10, 2e10])),
}


def cost(one: Problem, tokens: np.ndarray) -> float:
    return float(value(one, tokens[None])[0])


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_the_solution_is_that_of_a_general_optimiser(name: str) -> None:
    one = PROBLEMS[name]
    found = solve(one)[0]
    assert found.sum() == pytest.approx(one.budget, rel=1e-12)
    assert (found <= one.caps * (1 + 1e-12)).all()
    reference = minimize(
        lambda shares: cost(one, shares * one.budget) * 100,
        uniform_tokens(one.caps, one.budget) / one.budget,
        method="SLSQP",
        bounds=[(1e-6, cap / one.budget) for cap in one.caps],
        constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    assert found / one.budget == pytest.approx(reference.x, abs=2e-4)
    assert cost(one, found) <= cost(one, reference.x * one.budget / reference.x.sum()) + 1e-12


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_languages_that_are_not_exhausted_have_the_same_marginal_gain(name: str) -> None:
    one = PROBLEMS[name]
    found = solve(one)
    gain = marginal_gain(one, found)[0]
    open_ = found[0] < one.caps * (1 - 1e-9)
    assert open_.sum() >= 2
    assert gain[open_] == pytest.approx(gain[open_][0], rel=1e-6)
    assert (gain[~open_] >= gain[open_].max() * (1 - 1e-6)).all()


def test_variants_are_solved_together_as_alone() -> None:
    one = problem()
    other = {
        name: values * (1.3 if name == "B" else 1.0) * np.array([1, 2, 0.5]) ** (name == "B")
        for name, values in one.symbols.items()
    }
    both = replace(one, symbols={name: np.concatenate([one.symbols[name], other[name]]) for name in LAW.symbols})
    found = solve(both)
    assert found[0] == pytest.approx(solve(one)[0], rel=1e-9)
    assert found[1] == pytest.approx(solve(replace(one, symbols=other))[0], rel=1e-9)


def test_a_budget_equal_to_the_supply_takes_all_of_it() -> None:
    one = problem(unique=np.array([5e9, 1e10, 1e10]))
    assert solve(one)[0] == pytest.approx(one.caps, rel=1e-9)


def test_repeated_tokens_are_worth_less_each_time() -> None:
    unique = np.array([10.0])
    worth, slope = effective_tokens(np.array([[5.0], [10.0], [40.0], [1e6]]), unique)
    assert worth[:2, 0].tolist() == [5.0, 10.0]
    assert worth[2, 0] == pytest.approx(10 + 10 * 15.39 * (1 - math.exp(-3 / 15.39)))
    assert worth[3, 0] == pytest.approx(10 * 16.39)
    assert slope[:, 0].tolist() == pytest.approx([1, 1, math.exp(-3 / 15.39), 0])
    free, _ = effective_tokens(np.array([[7.0]]), np.array([np.inf]))
    assert free[0, 0] == 7.0


def test_the_uniform_division_respects_supplies() -> None:
    assert uniform_tokens(np.array([100.0, 100.0, 100.0]), 90).tolist() == [30, 30, 30]
    assert uniform_tokens(np.array([100.0, 10.0, 100.0]), 90).tolist() == [40, 10, 40]
    assert uniform_tokens(np.array([35.0, 10.0, 50.0]), 90).tolist() == [35, 10, 45]


def test_an_answer_has_the_promised_names_and_is_an_allocation_file(tmp_path: Path) -> None:
    found = allocate(fits(), tokens=1e10, params=1e9)
    json.dumps(found, allow_nan=False)
    assert sum(found["tokens"].values()) == 10_000_000_000
    assert sum(found["shares"].values()) == pytest.approx(1, abs=1e-12)
    assert found["gain"] == pytest.approx(found["uniform_predicted"] - found["predicted"])
    assert found["gain"] > 0
    for name, (low, high) in found["intervals"]["shares"].items():
        assert 0 < low < found["shares"][name] < high < 1
    low, high = found["intervals"]["gain"]
    assert low < found["gain"] < high
    assert 0 <= found["regret"]["recommended"]["mean"] < found["regret"]["uniform"]["mean"]
    path = tmp_path / "allocation.json"
    path.write_text(json.dumps(found))
    assert read_allocation(path).shares == pytest.approx(found["shares"])


def test_predictions_are_those_of_the_laws() -> None:
    found = allocate(fits(), tokens=1e10, params=1e9)
    expected = [LAW.predict(ESTIMATES[name], 1e9, count) for name, count in found["tokens"].items()]
    assert found["predicted"] == pytest.approx(np.mean(expected))
    assert [row["predicted"] for row in found["by_language"]] == pytest.approx(expected)
    even = [LAW.predict(row, 1e9, 1e10 / 3) for row in ESTIMATES.values()]
    assert found["uniform_predicted"] == pytest.approx(np.mean(even))


def test_intervals_have_the_tails_of_the_fits_own() -> None:
    draws = 200
    few, many, unknown = (
        allocate(fits(draws=draws, **changes), tokens=1e10, params=1e9)["intervals"]
        for changes in ({"n_runs": 9}, {"n_runs": 60}, {})
    )
    for name in ("gain", "predicted"):
        widths = [one[name][1] - one[name][0] for one in (few, unknown, many)]
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 1.3 * widths[1]
    # Known symbols are not judged by runs: with four of five fixed, nine runs are many for the last.
    fixed = dict.fromkeys(("A", "B", "E", "alpha"), 1.0)
    surer = allocate(fits(draws=draws, n_runs=9, fixed=fixed), tokens=1e10, params=1e9)["intervals"]
    assert few["gain"][0] < surer["gain"][0] < surer["gain"][1] < few["gain"][1]


def test_wide_draws_are_said_to_be_wide_and_narrow_ones_are_not() -> None:
    wide = allocate(fits(spread=0.5), tokens=1e10, params=1e9)
    words = " ".join(wide["words"])
    assert "no language's share can be told apart from uniform" in words
    assert "the intervals of the shares are wide" in words
    assert {row["verdict"] for row in wide["by_language"]} == {"cannot be told apart from uniform"}
    narrow = allocate(fits(spread=0.0005), tokens=1e10, params=1e9)
    words = " ".join(narrow["words"])
    assert "better than uniform in 100% of the draws" in words
    assert "wide" not in words
    verdicts = {row["language"]: row["verdict"] for row in narrow["by_language"]}
    assert verdicts["go"] == "less than uniform"
    assert "more than uniform" in verdicts.values()


def test_without_draws_no_interval_is_given() -> None:
    found = allocate(fits(draws=0), tokens=1e10, params=1e9)
    assert found["intervals"] == {}
    assert found["regret"] is None
    assert any("how sure the shares are is not known" in word for word in found["words"])


def test_draws_of_different_lengths_are_matched_by_the_seed() -> None:
    some = fits()
    some[0]["draws"] = some[0]["draws"][:20]
    assert allocate(some, tokens=1e10, params=1e9, seed=1) == allocate(some, tokens=1e10, params=1e9, seed=1)
    assert allocate(some, tokens=1e10, params=1e9, seed=1) != allocate(some, tokens=1e10, params=1e9, seed=2)


def test_extrapolation_and_doubtful_fits_are_named() -> None:
    some = fits(unidentified=["E"], converged=False, heldout={"mean_relative_error": 0.07})
    words = " ".join(allocate(some, tokens=1e13, params=1e11)["words"])
    assert "100,000,000,000 parameters are 33.3 times the largest model fitted" in words
    assert "beyond the longest run fitted: Python" in words
    assert "did not converge" in words
    assert "Go (E)" in words
    assert "miss those by 7.0% on average" in words
    barely = allocate(fits(), tokens=1e10, params=1.04 * fits()[0]["ranges"]["params"][1])["words"]
    assert not any("extrapolating in N" in word for word in barely)
    words = " ".join(allocate(fits(), tokens=1e6, params=1e6)["words"])
    assert "below the smallest model fitted" in words
    assert "below the shortest run fitted: Python, Go, Rust" in words


def test_weights_move_tokens_to_what_counts_more() -> None:
    even = allocate(fits(), tokens=1e10, params=1e9)
    more = allocate(fits(), tokens=1e10, params=1e9, weights={"python": 5, "go": 1, "rust": 1})
    assert more["shares"]["python"] > even["shares"]["python"]
    assert more["weights"]["python"] == pytest.approx(5 / 7)


def test_a_heavy_prior_wins_and_a_light_one_does_not() -> None:
    prior = {"python": 0.6, "go": 0.3, "rust": 0.1}
    heavy = allocate(fits(), tokens=1e10, params=1e9, prior=prior, prior_weight=1e3)
    assert heavy["shares"] == pytest.approx(prior, rel=5e-3)
    light = allocate(fits(), tokens=1e10, params=1e9, prior="uniform", prior_weight=1e-9)
    assert light["shares"] == pytest.approx(allocate(fits(), tokens=1e10, params=1e9)["shares"], rel=1e-4)
    assert any("the prior holds" in word for word in heavy["words"])


def test_a_supply_limits_and_is_named_when_used_up() -> None:
    supply = {"python": 1e8, "go": 5e9, "rust": 5e9, "text:english": 1.0}
    found = allocate(fits(), tokens=1e10, params=1e9, supply=supply)
    assert found["tokens"]["python"] == 4e8
    assert any(word.startswith("Python is used up: 4 epochs") for word in found["words"])
    assert any("an even division exceeds some supplies" in word for word in found["words"])
    epochs = {row["language"]: row["epochs"] for row in found["by_language"]}
    assert epochs["python"] == 4
    assert sum(found["tokens"].values()) == 10_000_000_000


def test_a_budget_above_the_supply_names_the_shortage() -> None:
    supply = {"python": 1e8, "go": 1e8, "rust": 1e8}
    with pytest.raises(BadInput) as caught:
        allocate(fits(), tokens=2e9, params=1e9, supply=supply)
    text = str(caught.value)
    assert "8e+08 fewer than the 2e+09 asked for" in text
    assert "lower --tokens to 1.2e+09, raise --max-epochs to 6.67" in text


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        allocate(
            fits(),
            tokens=-1,
            params=math.nan,
            max_epochs=0,
            supply={"python": 0.0, "go": 1.0},
            weights={"python": 1.0, "go": 1.0, "rust": 1.0, "perl": 1.0},
            prior="uniform",
        )
    assert [m.where for m in caught.value.mistakes] == [
        "--tokens",
        "--params",
        "--max-epochs",
        "--prior",
        "supply.python",
        "supply.rust",
        "weights.perl",
    ]


@pytest.mark.parametrize(("tokens", "params"), [(1, 1e9), (1e308, 1e308), (1e9, 1e-300)])
def test_numbers_of_which_no_law_says_anything_are_refused(tokens: float, params: float) -> None:
    with pytest.raises(BadInput, match=r"is not between 1(,000)? and 1e\+18"):
        allocate(fits(), tokens=tokens, params=params)


def test_an_input_that_cannot_be_read_hides_no_other_mistake() -> None:
    with pytest.raises(BadInput) as caught:
        allocate(
            fits(draws=0),
            tokens=1e9,
            params=-1,
            supply='{"rust": "x"}',
            weights="nowhere.json",
            floors={"go": -1},
            transfer={"cobol": {"go": 1}, "python": {"go": math.nan}},
            prior={"python": 0.7, "go": 0.7, "rust": 0.3},
            prior_weight=0.1,
            against=["nowhere.jsonl"],
            stages=(0.9, 0.5),
        )
    assert [one.where for one in caught.value.mistakes] == [
        *("supply.rust", "nowhere.json", "transfer.cobol", "transfer.python.go", "nowhere.jsonl"),
        *("--params", "--stages", "prior", "floors.go"),
    ]


def test_settings_are_read_from_text_and_files(tmp_path: Path) -> None:
    supply = {"python": 1e8, "go": 5e9, "rust": 5e9}
    expected = allocate(fits(), tokens=1e10, params=1e9, supply=supply)
    (tmp_path / "supply.json").write_text(json.dumps(supply))
    (tmp_path / "supply.toml").write_text("".join(f"{name} = {count}\n" for name, count in supply.items()))
    for form in (json.dumps(supply), tmp_path / "supply.json", str(tmp_path / "supply.toml")):
        assert allocate(fits(), tokens=1e10, params=1e9, supply=form) == expected
    (tmp_path / "supply.toml").write_text("python = \n")
    for form, words in (
        ('{"python": 1', "cannot be read as JSON"),
        (tmp_path / "supply.toml", "cannot be read as TOML"),
        ("none.json", "no such file"),
        ('{"python": "many"}', "'many' is not a number"),
    ):
        with pytest.raises(BadInput, match=words):
            allocate(fits(), tokens=1e10, params=1e9, supply=form)


def test_fits_are_read_from_a_file_a_folder_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = allocate(fits(), tokens=1e10, params=1e9)
    text = "".join(json.dumps(one) + "\n" for one in fits())
    path = tmp_path / "fits.jsonl"
    path.write_text(text)
    assert allocate(path, tokens=1e10, params=1e9) == expected
    assert allocate(tmp_path, tokens=1e10, params=1e9) == expected
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert allocate("-", tokens=1e10, params=1e9) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no fits"),
        ("params,tokens\n1,2\n", "a table of runs goes through `polymix fit` first"),
        ("[1]\n", "line 1: not a JSON object"),
        ('{"law": "chinchilla"}\n', "has no unit, group, estimates, draws, ranges"),
        (json.dumps({**fits()[0], "law": "kaplan"}), "'kaplan' is not known"),
        (json.dumps({**fits()[0], "estimates": {"A": -1, "B": 1, "E": 1, "alpha": 1}}), "estimates.beta: None"),
        (json.dumps({**fits()[0], "draws": [3]}), "draws has another form"),
        (json.dumps({**fits()[0], "ranges": {"params": [1], "tokens": [1, 2]}}), "ranges.params: .1. is not"),
        (json.dumps(fits()[0]), "a fit for each of two or more groups"),
        (json.dumps(fits()[0]) + "\n" + json.dumps(fits()[0]), "2 fits of 'python'"),
        (json.dumps(fits()[0]) + "\n" + json.dumps({**fits()[1], "unit": "nats"}), "unit: differs between the fits"),
        (json.dumps(fits()[0]) + "\nnot json\n", "line 2: not JSON"),
    ],
)
def test_what_is_no_file_of_fits_is_refused_with_the_reason(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "fits.jsonl"
    path.write_text(content)
    with pytest.raises(BadInput, match=words):
        allocate(path, tokens=1e10, params=1e9)


def test_published_laws_need_their_unpublished_constants() -> None:
    with pytest.raises(BadInput, match=r"constant python\.Nc: not published"):
        allocate("paper", tokens=3.5e11, params=1.5e9)
    constants = {language: {"Nc": 4e7, "Dc": 2e8} for language in LANGUAGES}
    found = allocate("paper", tokens=3.5e11, params=1.5e9, constants=constants)
    assert set(found["shares"]) == set(LANGUAGES)
    assert found["law"] == "monolingual"
    assert sum(found["tokens"].values()) == 350_000_000_000
    with pytest.raises(BadInput, match="for the published laws only"):
        allocate(fits(), tokens=1e10, params=1e9, constants=constants)


def test_a_group_that_pack_does_not_know_is_named() -> None:
    some = fits()
    some[0]["group"] = "arxiv"
    assert any("'arxiv' is not a source" in word for word in allocate(some, tokens=1e10, params=1e9)["words"])
