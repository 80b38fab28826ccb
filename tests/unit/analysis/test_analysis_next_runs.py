from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import laws
from analysis.allocation_inputs import LAWS_MAY_NEED, mixture_laws, read_fits
from analysis.next_runs import Candidate, Decision, joint_draws, next_runs, usual_mixtures
from quality.mistakes import BadInput
from tests.benchmark.bench_decision import TAU, THREE, problem_of, uncertain_fits
from training.settings import read_sweep_settings
from training.sizes import size

QUESTION: dict[str, Any] = {"tokens": 1e10, "params": 1e9, "budget": 1e20}
FEW: dict[str, Any] = {"sizes": ["0.1B", "0.4B"], "run_tokens": [1e9, 8e9]}


def fits(spread: dict[str, float]) -> list[dict[str, Any]]:
    return uncertain_fits(spread, 60)


def test_runs_go_to_the_language_that_is_not_known() -> None:
    found = next_runs(fits({"rust": 0.2}), **QUESTION, **FEW)
    json.dumps(found, allow_nan=False)
    assert found["runs"]
    assert {run["language"] for run in found["runs"]} == {"rust"}
    # All draws agree at 1e9 tokens, so that only longer runs tell anything.
    assert {run["tokens"] for run in found["runs"]} == {8e9}
    assert found["regret_after"] < 0.3 * found["regret_before"]


def test_the_order_prices_and_regrets_add_up() -> None:
    found = next_runs(fits({"rust": 0.15, "go": 0.15, "python": 0.15}), **QUESTION, **FEW)
    assert sum(run["flops"] for run in found["runs"]) == pytest.approx(found["spent"])
    assert found["spent"] <= found["budget"]
    regrets = [found["regret_before"], *(run["regret_after"] for run in found["runs"])]
    assert regrets == sorted(regrets, reverse=True)
    assert regrets[-1] == found["regret_after"] >= 0
    assert [run["regret_before"] for run in found["runs"]] == regrets[:-1]
    first = found["runs"][0]
    assert first["flops"] == pytest.approx(size(first["size"]).flops_per_token(32_000, 2048) * first["tokens"])
    assert len({(run["language"], run["size"], run["tokens"]) for run in found["runs"]}) == len(found["runs"])


def test_where_nothing_is_open_no_run_is_worth_its_price() -> None:
    found = next_runs(fits({}), **QUESTION, **FEW)
    assert found["runs"] == []
    assert found["regret_before"] == pytest.approx(0, abs=1e-7)
    assert any("no candidate lowers the regret" in word for word in found["words"])


def test_a_larger_budget_leaves_less_regret_and_a_seed_the_same_runs() -> None:
    some = fits({"rust": 0.2, "go": 0.1})
    little, much = (next_runs(some, **{**QUESTION, "budget": budget}, **FEW) for budget in (1.2e19, 2e20))
    assert much["regret_after"] <= little["regret_after"] + 1e-6
    assert little["runs"]
    assert next_runs(some, **{**QUESTION, "budget": 1.2e19}, **FEW) == little


def test_chosen_runs_are_written_as_sweeps_that_can_be_read(tmp_path: Path) -> None:
    like = tmp_path / "sweep.toml"
    like.write_text('sizes = ["0.1B"]\ntokens = ["1B"]\nbatch_tokens = 1_000_000\nsequence_length = 1000\nseed = 5\n')
    (tmp_path / "more").mkdir()
    (tmp_path / "more/next-9.toml").write_text("what an earlier answer left")
    found = next_runs(fits({"rust": 0.2, "go": 0.2}), **QUESTION, **FEW, like=like, out=tmp_path / "more")
    files = sorted((tmp_path / "more").iterdir())
    assert len(files) == len(found["sweeps"]) > 0
    planned: set[tuple[str, str, int]] = set()
    for file in files:
        settings = read_sweep_settings(file)
        assert (settings.batch_tokens, settings.sequence_length, settings.seed) == (1_000_000, 1000, 5)
        assert settings.languages
        planned |= {(n, s, t) for n in settings.languages for s in settings.sizes for t in settings.tokens}
    assert planned == {(run["language"], run["size"], round(run["tokens"])) for run in found["runs"]}
    # Batches that follow the size stay those of the study, and settings that make more runs are left behind.
    like.write_text('sizes = ["0.1B"]\ntokens = ["1B"]\nschedule = "cosine"\nuniform = true\nseeds = 3\n')
    for row in next_runs(fits({"rust": 0.2, "go": 0.2}), **QUESTION, **FEW, like=like)["sweeps"]:
        label = row["sizes"][0]
        assert row["batch_tokens"] == read_sweep_settings(like).batch_of(label)
        assert (row["schedule"], row.get("uniform"), row.get("seeds")) == ("cosine", None, None)


def test_default_candidates_span_the_fitted_range_and_beyond_and_keep_to_the_supply() -> None:
    supply = {"python": 1e9, "go": 1e12, "rust": 1e12}
    found = next_runs(fits({"python": 0.2}), **{**QUESTION, "budget": 1e30}, supply=supply)
    assert found["candidates"] > 50
    assert all(run["tokens"] <= 4e9 for run in found["runs"] if run["language"] == "python")


def test_wrong_settings_are_all_named() -> None:
    some = fits({"rust": 0.2})
    some[0]["draws"] = []
    with pytest.raises(BadInput) as caught:
        next_runs(some, tokens=1e10, params=1e9, budget=-1, sizes=["17X"], noise=0.0, out="x")
    assert [m.where for m in caught.value.mistakes] == ["--budget", "--noise", "--size", "fits", "--out"]
    with pytest.raises(BadInput) as caught:
        next_runs(
            fits({}), tokens=1e10, params=1e9, budget=-1, supply='{"rust": "x"}', weights="none.json", like="l.toml"
        )
    assert [m.where for m in caught.value.mistakes] == ["supply.rust", "none.json", "l.toml", "--budget"]
    with pytest.raises(BadInput, match="pay for no candidate run"):
        next_runs(fits({}), tokens=1e10, params=1e9, budget=1.0)


def mixture_fits(draws: int = 40) -> list[dict[str, Any]]:
    """Laws with transfer, in which nobody knows what Rust gains from Go; all else is known."""
    generator = np.random.default_rng(0)
    found = uncertain_fits({}, draws)
    for one in found:
        target = one["group"]
        for row in (one["estimates"], *one["draws"]):
            row |= {f"tau.{other}": max(TAU[target, other], 0.01) for other in THREE if other != target}
        for row in one["draws"] if target == "rust" else ():
            row["tau.go"] = float(np.exp(generator.normal(-1.0, 1.0)))
        one |= {"law": "transfer", "sources": list(THREE), "target": target, "group": None}
    return found


def test_mixtures_are_chosen_that_tell_what_is_not_known(tmp_path: Path) -> None:
    found = next_runs(mixture_fits(), **QUESTION, **FEW)
    assert found["runs"]
    assert found["regret_after"] < 0.5 * found["regret_before"]
    # Only mixtures with Go in them tell what Go is worth to Rust.
    assert all(run["shares"].get("go", 0) > 0 for run in found["runs"])
    assert found["candidates"] == len(FEW["sizes"]) * len(FEW["run_tokens"]) * len(
        usual_mixtures(dict.fromkeys(THREE, 1 / 3))
    )
    assert any("noise of the languages in one run" in word for word in found["words"])
    # As settings of sweeps: mixtures by their shares, languages by their names.
    like = tmp_path / "sweep.toml"
    like.write_text('sizes = ["0.1B"]\ntokens = ["1B"]\nbatch_tokens = 1_000_000\nsequence_length = 1000\n')
    chosen = next_runs(
        mixture_fits(),
        **QUESTION,
        **FEW,
        mixtures={"go": {"go": 1}, "a b": {"go": 0.5, "rust": 0.5}},
        like=like,
        out=tmp_path,
    )
    planned: set[tuple[str, str, int]] = set()
    for file in sorted(tmp_path.glob("next-*.toml")):
        settings = read_sweep_settings(file)
        made = settings.all_mixtures(("go", "python", "rust"))
        planned |= {(name, label, tokens) for name in made for label in settings.sizes for tokens in settings.tokens}
        assert all(made[name] == {"go": 0.5, "rust": 0.5} for name in made if name == "a b")
    assert planned == {(run["mixture"], run["size"], round(run["tokens"])) for run in chosen["runs"]}
    assert {name for name, _, _ in planned} == {"a b", "go"}


def test_a_run_tells_of_the_languages_whose_law_has_a_value_there() -> None:
    def told(fits: list[dict[str, Any]], shares: dict[str, float], **more: bool) -> list[int]:
        chosen = read_fits(fits, allowed=LAWS_MAY_NEED)
        blank = problem_of(laws.law(chosen[0]["law"]), {"": np.ones((1, len(THREE)))}, 1e10, 1e9)
        problem = replace(blank, symbols=joint_draws(chosen, 0), mixed=mixture_laws(chosen))
        decision = Decision.of(problem, list(THREE))
        run = Candidate("x", shares, "0.1B", 1e8, 1e9, 1.0)
        return list(decision.outcomes(run, np.full(3, 0.002), np.random.default_rng(0), **more))

    own = fits({"rust": 0.1})
    assert told(own, {"go": 1.0}) == [1]
    mixed = mixture_fits(4)
    assert told(mixed, {"go": 1.0}) == [0, 1, 2]
    assert told(mixed, {"go": 0.5, "rust": 0.5}, only_trained=True) == [1, 2]


def test_wrong_mixtures_are_all_named() -> None:
    with pytest.raises(BadInput) as caught:
        next_runs(
            mixture_fits(), **QUESTION, mixtures={"a": {"go": 0.5}, "b": {"java": 1.0}, "c": {"go": -1, "rust": 2}}
        )
    assert [m.where for m in caught.value.mistakes] == [
        "mixtures.a",
        "mixtures.b.java",
        "mixtures.c.go",
        "mixtures.c.rust",
    ]
    with pytest.raises(BadInput, match="learns from runs on one language only"):
        next_runs(fits({}), **QUESTION, mixtures={"a": {"go": 1.0}})


def test_limits_and_transfer_are_part_of_the_decision() -> None:
    some = fits({"rust": 0.2, "go": 0.1})
    free = next_runs(some, **QUESTION, **FEW)
    # Where every share is settled but for nothing, there is nothing to decide.
    settled = next_runs(some, **QUESTION, **FEW, fixed={"rust": 0.5, "go": 0.3})
    assert settled["runs"] == []
    assert settled["regret_before"] == pytest.approx(0, abs=1e-7)
    helped = next_runs(some, **QUESTION, **FEW, transfer={"rust": {"go": 0.4}}, floors={"python": 0.2})
    assert helped["regret_before"] != pytest.approx(free["regret_before"])
    with pytest.raises(BadInput) as caught:
        next_runs(some, **QUESTION, **FEW, fixed={"java": 0.5}, floors={"go": 2.0}, transfer={"java": {"go": 1.0}})
    assert [m.where for m in caught.value.mistakes] == ["transfer.java", "floors.go", "fixed.java"]
    with pytest.raises(BadInput, match="transfer has its own terms of transfer"):
        next_runs(mixture_fits(4), **QUESTION, **FEW, transfer={"go": {"rust": 0.1}})


def test_two_runs_are_tried_together_where_none_saves_anything_alone() -> None:
    """The additive law: the mixture moves a constant of its own, so that one run tells it from nothing else."""
    rng = np.random.default_rng(0)
    size_terms = {"E": 0.5, "A": 60.0, "B": 900.0, "alpha": 0.3, "beta": 0.34}
    some: list[dict[str, Any]] = []
    for target in ("go", "rust"):
        law = laws.law("additive").bind(["go", "rust"], target)
        rows: list[dict[str, float]] = []
        for _ in range(61):
            moved = {
                f"C.{name}": float(np.exp(rng.normal(1.5 if name == target else 0.5, 0.2))) for name in law.sources
            }
            powers = {f"gamma.{name}": 0.4 for name in law.sources}
            # What size costs is not known either, and a single run sees only the sum.
            terms = {name: value * float(np.exp(0.5 * rng.normal())) for name, value in size_terms.items()}
            rows.append({**{k: terms[k] if k in "EAB" else v for k, v in size_terms.items()}, **moved, **powers})
        some.append(
            {
                **uncertain_fits({}, 1)[0],
                "law": "additive",
                "sources": ["go", "rust"],
                "target": target,
                "group": None,
                "estimates": rows[0],
                "draws": rows[1:],
                "n_runs": 60,
            }
        )
    found = next_runs(some, **{**QUESTION, "budget": 1e21}, **FEW)
    assert found["regret_after"] < 0.5 * found["regret_before"]
    assert found["runs"][0]["regret_after"] == found["runs"][0]["regret_before"]
    assert any("the first of two that save together" in word for word in found["words"])
    regrets = [found["regret_before"], *(run["regret_after"] for run in found["runs"])]
    assert regrets == sorted(regrets, reverse=True)
