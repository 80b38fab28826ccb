"""Every registered law either serves a decision or is refused with the laws that do."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import laws
from analysis.allocate import allocate
from analysis.compute_optimal import compute_optimal
from analysis.fit import fit, predict
from analysis.laws.base import Curve, Frame
from analysis.next_runs import next_runs
from analysis.problem import REPETITION_DECAY, Problem, effective_tokens, marginal_gain, value
from analysis.report.whatif import page_model
from analysis.transfer import transfer
from quality.mistakes import BadInput
from training.sizes import size

OWN = laws.laws_that_need()
LANGUAGES = {"python": (3.0, 0.3), "go": (1.2, 0.4)}
BUDGET, PARAMS = 3e9, 2e8


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two languages by Chinchilla's law, half of them with text that repeats."""
    lines = ["language,params,tokens,unique,loss"]
    for (language, (scale, floor)), n, d, epochs in itertools.product(
        LANGUAGES.items(), (1e7, 3e7, 1e8, 3e8), (1e8, 3e8, 1e9, 3e9), (1, 3)
    ):
        worth = float(effective_tokens(np.array([d]), np.array([d / epochs]), 5.0)[0][0])
        loss = floor + scale * (30 / n**0.3 + 60 / worth**0.28)
        if epochs == 1 or d > 2e8:
            lines.append(f"{language},{n},{d},{d / epochs},{loss}")
    path = tmp_path_factory.mktemp("runs") / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@cache
def text_of(runs: Path, law: str) -> str:
    once = {} if law == "repetition" else {"where": '"unique" = tokens'}
    return json.dumps(fit(runs, law, by="language", unique="unique", bootstrap=0, **once))


def fits_of(runs: Path, law: str) -> list[dict[str, Any]]:
    return json.loads(text_of(runs, law))


@pytest.mark.parametrize("law", [*OWN, "repetition"])
def test_no_small_move_betters_what_is_allocated_by_a_law(runs: Path, law: str) -> None:
    fits = fits_of(runs, law)
    answer = allocate(fits, tokens=BUDGET, params=PARAMS)
    tokens = [answer["tokens"][one["group"]] for one in fits]

    def mean(tokens: list[float]) -> float:
        unique = {} if law != "repetition" else {"unique": np.inf}
        return float(np.mean([predict(one, PARAMS, own, **unique)[0] for one, own in zip(fits, tokens, strict=True)]))

    assert mean(tokens) == pytest.approx(answer["predicted"])
    assert mean(tokens) <= mean([BUDGET / 2] * 2)
    for give, take in itertools.permutations(range(2), 2):
        moved = list(tokens)
        moved[give] -= BUDGET / 50
        moved[take] += BUDGET / 50
        assert mean(moved) > mean(tokens)


def test_repeats_count_by_the_decay_that_was_fitted(runs: Path) -> None:
    fits = fits_of(runs, "repetition")
    supply = dict.fromkeys(LANGUAGES, 5e8)
    answer = allocate(fits, tokens=BUDGET, params=PARAMS, supply=supply)
    fitted = [one["estimates"]["Rstar"] for one in fits]
    assert fitted == pytest.approx([5.0] * 2, rel=0.05)
    losses = [float(predict(one, PARAMS, answer["tokens"][one["group"]], unique=5e8)[0]) for one in fits]
    assert answer["predicted"] == pytest.approx(np.mean(losses))
    for one in fits:
        one["estimates"]["Rstar"] = REPETITION_DECAY
    assert allocate(fits, tokens=BUDGET, params=PARAMS, supply=supply)["predicted"] < answer["predicted"]


def other_fit(law: str, group: str) -> dict[str, Any]:
    return {
        "law": law,
        "unit": "nats",
        "group": group,
        "sources": ["python", "go"],
        "target": group,
        "estimates": {},
        "draws": [],
        "ranges": {},
    }


MIXTURES = [name for name in laws.LAWS if "shares" in laws.law(name).needs and name != "proportional"]


def mixture_fit(law: str, target: str, draws: int = 0) -> dict[str, Any]:
    """A law of mixtures whose symbols are where fits start, moved a little for each language and draw."""
    bound = laws.law(law).bind(list(LANGUAGES), target)
    assert isinstance(bound, Curve)
    origin = Frame(np.log(1e7), np.log(1e8), np.log(2.0), np.log(1.0), np.log(4.0))
    rng = np.random.default_rng([len(law), *target.encode()])
    centre = np.array([row.start for row in bound.rows])
    # What a language loses most by is a lack of its own text.
    own = [row.name in (f"C.{target}", f"t.{target}") for row in bound.rows]
    theta = centre + 0.05 * rng.normal(size=(1 + draws, len(centre))) + np.where(own, -1.0, 0.0) * (law == "ye")
    theta += np.where(own, 1.0, 0.0) * (law != "ye")
    symbols = bound.to_symbols(theta, origin)
    rows = [{name: float(values[n]) for name, values in symbols.items()} for n in range(1 + draws)]
    return {
        **other_fit(law, target),
        "group": None,
        "estimates": rows[0],
        "draws": rows[1:],
        "ranges": {"params": [1e7, 1e9], "tokens": [1e8, 1e10]},
    }


@pytest.mark.parametrize("law", MIXTURES)
def test_no_small_move_betters_what_is_allocated_by_a_law_of_mixtures(law: str) -> None:
    fits = [mixture_fit(law, target, draws=5) for target in LANGUAGES]
    weights = {"python": 3.0, "go": 1.0}
    answer = allocate(fits, tokens=BUDGET, params=PARAMS, weights=weights)

    def mean(python: float) -> float:
        shares = np.array([python, 1 - python])
        losses = [float(laws.law_of(one).predict(one["estimates"], PARAMS, BUDGET, shares)) for one in fits]
        return (3 * losses[0] + losses[1]) / 4

    best = answer["shares"]["python"]
    assert mean(best) == pytest.approx(answer["predicted"])
    grid = [mean(share) for share in np.linspace(0.001, 0.999, 999)]
    assert mean(best) <= min(grid) + 1e-9
    assert answer["solver"]["convex"] is False
    low, high = answer["intervals"]["shares"]["python"]
    assert low <= high
    assert any("these laws read the whole mixture" in word for word in answer["words"])


@pytest.mark.parametrize("law", MIXTURES)
def test_the_marginal_gain_of_laws_of_mixtures_is_the_slope_of_their_value(law: str) -> None:
    fits = [mixture_fit(law, target) for target in LANGUAGES]
    mixed = tuple(laws.law(law).bind(list(LANGUAGES), target) for target in LANGUAGES)
    problem = Problem(
        law=laws.law(law),
        symbols={
            f"{place}:{name}": np.array([[value]])
            for place, one in enumerate(fits)
            for name, value in one["estimates"].items()
        },
        params=PARAMS,
        budget=BUDGET,
        weights=np.array([0.3, 0.7]),
        unique=np.array([5e8, 1e9]),
        max_epochs=4.0,
        prior=np.array([0.5, 0.5]),
        prior_weight=0.1,
        given=np.array([1e8, 2e8]),
        mixed=tuple(one for one in mixed if isinstance(one, Curve)),
    )
    tokens = np.array([[1.2e9, 1.8e9]])
    gain = marginal_gain(problem, tokens)[0]
    for place in range(2):
        step = np.zeros((1, 2))
        step[0, place] = 1e4
        fallen = value(problem, tokens - step)[0] - value(problem, tokens + step)[0]
        assert gain[place] == pytest.approx(fallen / 2e4, rel=1e-4)


@pytest.mark.parametrize("law", MIXTURES)
def test_next_runs_are_mixtures_where_laws_read_mixtures(law: str) -> None:
    fits = [{**mixture_fit(law, target, draws=12), "n_runs": 99, "residual": 0.001} for target in LANGUAGES]
    if law == "ye":
        # This law has no N and D: a size that can be trained must have the N that was fitted.
        with pytest.raises(BadInput, match="has no N and no D"):
            next_runs(_at_one_size(fits, 1.1e7), tokens=BUDGET, params=PARAMS, budget=1e19)
        fits = _at_one_size(fits, float(size("20M").non_embedding_parameters))
    asked: dict[str, Any] = {"tokens": BUDGET, "params": PARAMS, "budget": 1e19, "sizes": ["20M", "50M"]}
    found = next_runs(fits, **asked, run_tokens=[1e9, 4e9])
    json.dumps(found, allow_nan=False)
    assert found["runs"]
    assert found["regret_after"] < found["regret_before"]
    for run in found["runs"]:
        assert sum(run["shares"].values()) == pytest.approx(1)
        assert run["language"] == (run["mixture"] if len(run["shares"]) == 1 else None)
        assert law != "ye" or (run["size"], run["tokens"]) == ("20M", 1e8)
    told = next_runs(fits, **asked, run_tokens=[1e9, 4e9], mixtures={"odd": {"go": 0.3, "python": 0.7}})
    assert {run["mixture"] for run in told["runs"]} <= {"odd"}
    assert told["candidates"] < found["candidates"]


def _at_one_size(fits: list[dict[str, Any]], params: float) -> list[dict[str, Any]]:
    return [{**one, "ranges": {"params": [params, params], "tokens": [1e8, 1e8]}} for one in fits]


def test_laws_of_mixtures_keep_to_supplies_and_floors_and_judge_each_other(runs: Path) -> None:
    fits = [mixture_fit("additive", target) for target in LANGUAGES]
    supply = {"python": 1e9, "go": 1e9, "pair:python-go": 1e8}
    limited = allocate(
        fits, tokens=BUDGET, params=PARAMS, supply=supply, floors={"go": 0.3}, parallel_share=0.1, stages=(0.5,)
    )
    assert limited["shares"]["go"] >= 0.3 - 1e-9
    assert sum(limited["shares"].values()) == pytest.approx(1)
    assert limited["stages"][-1]["until_tokens"] == BUDGET
    own = fits_of(runs, "chinchilla")
    by_columns = [{**one, "unit": own[0]["unit"], "columns": own[0]["columns"]} for one in fits]
    verdict = allocate(own, tokens=BUDGET, params=PARAMS, against=[by_columns])["other_laws"]
    assert [row["law"] for row in verdict] == ["additive"]
    assert verdict[0]["regret"] >= 0
    verdict = allocate(by_columns, tokens=BUDGET, params=PARAMS, against=[own])["other_laws"]
    assert [row["law"] for row in verdict] == ["chinchilla"]


def test_laws_of_mixtures_that_do_not_belong_together_are_refused() -> None:
    fits = [mixture_fit("additive", target) for target in LANGUAGES]
    for one in fits:
        one["sources"] = ["python", "go", "rust"]
        one["estimates"] |= {"C.rust": 1.0, "gamma.rust": 1.0}
    with pytest.raises(BadInput, match="needs a fit for the loss of each of them, and has python, go"):
        allocate(fits, tokens=BUDGET, params=PARAMS)
    fits = [{**mixture_fit("additive", "go"), "target": None} for _ in range(2)]
    with pytest.raises(BadInput, match="None is none of the sources; fit with --shares and --target"):
        allocate(fits, tokens=BUDGET, params=PARAMS)
    fits = [mixture_fit("he", target) for target in LANGUAGES]
    with pytest.raises(BadInput, match="he has its own terms of transfer"):
        allocate(fits, tokens=BUDGET, params=PARAMS, transfer={"python": {"go": 0.1}})


@pytest.mark.parametrize("law", [name for name in laws.LAWS if name not in OWN])
def test_laws_that_read_more_are_refused_with_those_that_do_not(law: str, runs: Path) -> None:
    fits = [other_fit(law, group) for group in ("python", "go")]
    said = "is degenerate" if law == "proportional" else r"reads .*; use one of chinchilla"
    if law == "proportional":
        with pytest.raises(BadInput, match=said):
            next_runs(fits, tokens=BUDGET, params=PARAMS, budget=1e20)
        with pytest.raises(BadInput, match=said):
            transfer(_mixed(runs), fits=fits)
    if law == "repetition":
        with pytest.raises(BadInput, match=said):
            transfer(_mixed(runs), fits=fits)
        with pytest.raises(BadInput, match="use one of chinchilla"):
            compute_optimal(runs, 1e18, law=law)
    answer = allocate(fits_of(runs, "chinchilla"), tokens=BUDGET, params=PARAMS)
    assert page_model([other_fit(law, name) for name in LANGUAGES], answer) is None


def _mixed(runs: Path) -> Path:
    path = runs.with_name("mixed.csv")
    path.write_text("target,auxiliary,tokens,loss\npython,go,1e9,1.0\npython,,1e9,1.1\n")
    return path


def test_the_papers_law_is_never_allocated_by_and_says_why() -> None:
    fits = [other_fit("proportional", group) for group in ("python", "go")]
    with pytest.raises(BadInput, match=r"degenerate: .* least where all tokens go to .* \(`polymix paper` shows it"):
        allocate(fits, tokens=BUDGET, params=PARAMS)


def test_symbols_that_may_be_negative_are_no_mistake(runs: Path) -> None:
    fits = fits_of(runs, "farseer")
    assert any(value < 0 for one in fits for value in one["estimates"].values())
    assert allocate(fits, tokens=BUDGET, params=PARAMS)["predicted"] > 0
    fits[0]["estimates"]["q"] = -0.1
    fits[1]["estimates"]["s"] = float("nan")
    with pytest.raises(BadInput) as caught:
        allocate(fits, tokens=BUDGET, params=PARAMS)
    assert [(m.where.split(": ")[-1], m.what) for m in caught.value.mistakes] == [
        ("estimates.q", "-0.1 is not a finite number above 0"),
        ("estimates.s", "nan is not a finite number"),
    ]


def test_a_negative_symbol_is_not_called_unidentified_for_its_sign(tmp_path: Path) -> None:
    path = tmp_path / "mixtures.csv"
    lines = ["params,tokens,share_python,share_go,loss"]
    rng = np.random.default_rng(0)
    for n, d, h in itertools.product((1e7, 1e8, 1e9), (1e8, 1e9, 1e10), (0.1, 0.25, 0.5, 0.9)):
        loss = (0.3 + 30 / n**0.3 + 60 / d**0.28) * h**0.15 * np.exp(0.001 * rng.normal())
        lines.append(f"{n},{d},{h},{1 - h},{loss}")
    path.write_text("\n".join(lines) + "\n")
    [found] = fit(path, "he", shares="share_", target="python", bootstrap=10)
    assert found["estimates"]["gamma"] == pytest.approx(-0.15, abs=0.01)
    assert "gamma" not in found["unidentified"]
