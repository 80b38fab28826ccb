from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.fit import draws_of, fit, isoloss, predict, tails, tails_of
from analysis.laws import LAWS
from quality.mistakes import BadInput

TRUE = {
    "go": {"A": 60.0, "B": 900.0, "E": 1.1, "alpha": 0.3, "beta": 0.36},
    "python": {"A": 120.0, "B": 2000.0, "E": 1.5, "alpha": 0.34, "beta": 0.37},
}
KEYS = ["law", "unit", "group", "n_runs", "objective", "estimates", "intervals", "draws", "converged", "heldout"]


def write_runs(path: Path, noise: float = 0.005, sizes: int = 5, budgets: int = 5) -> Path:
    rng = np.random.default_rng(0)
    lines = ["language,params,tokens,loss_nats"]
    for language, symbols in TRUE.items():
        for n in np.geomspace(1e8, 3e9, sizes):
            for d in np.geomspace(2e9, 6e10, budgets):
                loss = float(LAWS["chinchilla"].predict(symbols, n, d)) * np.exp(noise * rng.normal())
                lines.append(f"{language},{n:.17g},{d:.17g},{loss:.17g}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return fit(write_runs(tmp_path_factory.mktemp("fit") / "runs.csv"), by="language", bootstrap=40, seed=3)


def test_a_fit_is_json_with_the_promised_names(fits: list[dict[str, Any]]) -> None:
    assert [one["group"] for one in fits] == ["go", "python"]
    for one in fits:
        assert set(KEYS) <= set(one)
        assert json.loads(json.dumps(one, allow_nan=False)) == one
        assert one["law"] == "chinchilla"
        assert one["unit"] == "nats"
        assert one["n_runs"] == 25
        assert one["converged"] is True
        assert list(one["estimates"]) == ["A", "B", "E", "alpha", "beta"]
        assert len(one["draws"]) == 40
        for name, (low, high) in one["intervals"].items():
            drawn = [draw[name] for draw in one["draws"]]
            assert min(drawn) <= low < high <= max(drawn)


def test_estimates_are_near_the_truth_and_within_intervals(fits: list[dict[str, Any]]) -> None:
    for one in fits:
        assert one["estimates"]["E"] == pytest.approx(TRUE[one["group"]]["E"], rel=0.1)
        assert one["intervals"]["E"][0] <= one["estimates"]["E"] <= one["intervals"]["E"][1]
        assert one["heldout"]["n_runs"] == 5
        assert 0 < one["heldout"]["mean_relative_error"] < 0.03
        assert one["heldout"]["compute_factor"] > 1


def test_the_same_seed_gives_the_same_fit_whatever_other_groups_there_are(
    fits: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = write_runs(tmp_path / "runs.csv")
    alone = fit(path, by="language", where="language = 'python'", bootstrap=40, seed=3)
    assert alone == [fits[1]]
    other = fit(path, by="language", where="language = 'python'", bootstrap=40, seed=4)
    assert other[0]["estimates"] == fits[1]["estimates"]
    assert other[0]["draws"] != fits[1]["draws"]


def test_the_two_laws_are_one_curve_in_different_symbols(fits: list[dict[str, Any]], tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv")
    other = fit(path, "monolingual", by="language", where="language = 'go'", bootstrap=0)[0]
    one = fits[0]["estimates"]
    assert other["objective"] == pytest.approx(fits[0]["objective"], rel=1e-9)
    assert other["estimates"]["Nc"] ** other["estimates"]["aN"] == pytest.approx(one["A"], rel=1e-6)
    assert other["estimates"]["Linf"] == pytest.approx(one["E"], rel=1e-6)
    assert other["intervals"] == {}
    assert other["draws"] == []


def test_predict_gives_the_curve_and_its_interval(fits: list[dict[str, Any]]) -> None:
    n, d = np.array([[1e8], [3e9]]), np.geomspace(1e9, 1e11, 5)
    value, low, high = predict(fits[1], n, d)
    assert value.shape == low.shape == high.shape == (2, 5)
    assert (low < high).all()
    assert (np.abs(value / LAWS["chinchilla"].predict(TRUE["python"], n, d) - 1) < 0.03).all()
    narrow = predict(fits[1], n, d, level=0.5)
    assert ((narrow[2] - narrow[1]) < (high - low)).all()
    scalar = predict(fits[1], 1e9, 1e10)
    assert scalar[0].shape == ()
    without = predict({**fits[1], "draws": []}, n, d)
    assert np.isnan(without[1]).all()
    assert (without[0] == value).all()


def test_draws_broadcast(fits: list[dict[str, Any]]) -> None:
    assert draws_of(fits[0], axes=2)["A"].shape == (40, 1, 1)


def test_isoloss_is_where_predict_says(fits: list[dict[str, Any]]) -> None:
    target = float(predict(fits[0], 1e9, 2e10)[0])
    tokens = isoloss(fits[0], target, np.array([1e6, 1e9]))
    assert np.isnan(tokens[0])
    assert tokens[1] == pytest.approx(2e10, rel=1e-9)


def test_few_runs_are_fitted_with_a_warning_in_words(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv", sizes=2, budgets=3)
    found = fit(path, by="language", bootstrap=30)
    words = " ".join(found[0]["warnings"])
    assert "6 runs for 5 symbols are few" in words
    assert "only 2 values of N" in words
    assert "no held-out error" in words
    assert found[0]["heldout"] is None
    assert {"A", "E", "alpha"} <= set(found[0]["unidentified"])
    assert "do not determine" in words
    json.dumps(found, allow_nan=False)


def test_as_many_runs_as_symbols_give_no_interval(tmp_path: Path) -> None:
    path = tmp_path / "five.csv"
    lines = write_runs(tmp_path / "runs.csv").read_text().splitlines()
    path.write_text("\n".join([lines[0], *(lines[i] for i in (1, 3, 7, 13, 25))]))
    found = fit(path, bootstrap=30)[0]
    assert found["intervals"] == {}
    assert any("5 runs determine 5 symbols exactly" in warning for warning in found["warnings"])


def test_one_model_size_says_nothing_about_size(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv", sizes=1, budgets=12)
    found = fit(path, by="language", bootstrap=20)[0]
    assert any("all runs have the same N" in warning for warning in found["warnings"])
    assert found["unidentified"] == ["A", "E", "alpha"]


def test_dropping_the_highest_is_per_group(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv")
    found = fit(path, by="language", bootstrap=0, drop_highest=4)
    assert [one["n_runs"] for one in found] == [21, 21]
    assert [one["dropped_highest"] for one in found] == [4, 4]
    assert found[0]["ranges"]["loss"][1] < fit(path, by="language", bootstrap=0)[0]["ranges"]["loss"][1]


def test_every_group_with_too_few_runs_is_named(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv", sizes=2, budgets=2)
    with pytest.raises(BadInput) as caught:
        fit(path, by="language")
    assert [m.where for m in caught.value.mistakes] == [f"{path}: group 'go'", f"{path}: group 'python'"]
    assert "4 runs, but chinchilla has 5 symbols" in caught.value.mistakes[0].what


def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        fit(tmp_path / "none.csv", drop_highest=-1, bootstrap=-1, seed=-1)
    assert [m.where for m in caught.value.mistakes] == ["--drop-highest", "--bootstrap", "--seed"]


def write_mixtures(path: Path) -> Path:
    rng = np.random.default_rng(1)
    symbols = {"E": 1.1, "A": 60.0, "B": 900.0, "alpha": 0.3, "beta": 0.36, "tau.go": 0.4, "tau.rust": 0.1}
    law = LAWS["transfer"].bind(["go", "java", "rust"], "java")
    lines = ["params,tokens,java_loss,share_go,share_java,share_rust"]
    for shares in rng.dirichlet(np.ones(3), 12):
        for n in (1e8, 4e8):
            for d in (2e9, 8e9, 3e10):
                loss = float(law.predict(symbols, n, d, shares)) * np.exp(0.002 * rng.normal())
                lines.append(",".join(f"{x:.17g}" for x in (n, d, loss, *shares)))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_law_of_mixtures_is_fitted_and_predicts_with_shares(tmp_path: Path) -> None:
    path = write_mixtures(tmp_path / "mixtures.csv")
    found = fit(path, "transfer", loss="java_loss", shares="share_", unit="nats", bootstrap=20)[0]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["sources"] == ["go", "java", "rust"]
    assert found["target"] == "java"
    assert found["estimates"]["tau.go"] == pytest.approx(0.4, rel=0.2)
    assert found["heldout_mixtures"]["mean_relative_error"] < 0.01
    value, low, high = predict(found, 1e8, 1e10, shares=[[0.2, 0.6, 0.2], [0.0, 1.0, 0.0]])
    assert value.shape == (2,)
    assert (low < high).all()


def test_what_a_law_needs_and_is_not_given_is_asked_for(tmp_path: Path) -> None:
    path = write_mixtures(tmp_path / "mixtures.csv")
    with pytest.raises(BadInput, match="with --shares"):
        fit(path, "additive", loss="java_loss", unit="nats")
    with pytest.raises(BadInput, match="with --unique"):
        fit(path, "repetition", loss="java_loss", unit="nats")
    with pytest.raises(BadInput, match="'perl' is not a source"):
        fit(path, "transfer", loss="java_loss", unit="nats", shares="share_", target="perl")
    path.write_text(path.read_text().replace("java_loss", "loss"))
    with pytest.raises(BadInput, match="name it with --target: go, java, rust"):
        fit(path, "he", unit="nats", shares="share_")


def test_the_interval_of_one_more_run_is_wider(fits: list[dict[str, Any]]) -> None:
    _, low, high = predict(fits[0], 1e9, 2e10)
    _, lower, higher = predict(fits[0], 1e9, 2e10, new_run=True)
    assert lower < low
    assert higher > high


def test_every_fit_names_the_runs_that_pull_most(fits: list[dict[str, Any]]) -> None:
    pulls = [run["standard_errors"] for run in fits[0]["influential"]]
    assert pulls == sorted(pulls, reverse=True)
    assert set(fits[0]["profile"]) == {"A", "B", "E", "alpha", "beta"}


def test_intervals_reach_further_where_runs_are_few() -> None:
    plain = 0.025
    assert tails(0.95, 12, 5)[0] < plain < tails(0.95, 60, 5)[0]
    assert tails(0.95, 100_000, 5)[0] == pytest.approx(plain, rel=1e-2)


def test_what_follows_from_several_fits_is_as_sure_as_the_least_sure_of_them() -> None:
    symbols = {"estimates": dict.fromkeys("ABCDE", 1.0)}
    many, few = {"n_runs": 60, **symbols}, {"n_runs": 12, **symbols}
    assert tails_of([many]) == tails(0.95, 60, 5)
    assert tails_of([many, few]) == tails(0.95, 12, 5)
    assert tails_of([{**few, "fixed": {"A": 1.0, "B": 1.0}}]) == tails(0.95, 12, 3)
    assert tails_of([symbols]) == pytest.approx((0.025, 0.975))


def test_runs_without_the_targets_text_are_left_out_where_a_law_has_no_loss_for_them(tmp_path: Path) -> None:
    lines = ["language,params,tokens,share_go,share_rust,loss"]
    for language, n, d, h in itertools.product(("go", "rust"), (1e7, 1e8, 1e9), (1e8, 1e9, 1e10), (0.0, 0.5, 1.0)):
        own = h if language == "go" else 1 - h
        loss = (0.3 + 30 / n**0.3 + 60 / d**0.28) * max(own, 0.01) ** -0.15
        lines.append(f"{language},{n},{d},{h},{1 - h},{loss}")
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    found = fit(path, "he", by="language", shares="share_", bootstrap=0)
    assert [(one["group"], one["target"], one["n_runs"]) for one in found] == [("go", "go", 18), ("rust", "rust", 18)]
    for one in found:
        assert one["estimates"]["gamma"] == pytest.approx(0.15, abs=1e-3)
        assert f"9 runs left out: without text of {one['target']} he has no finite loss" in one["warnings"]
    assert [one["n_runs"] for one in fit(path, "additive", by="language", shares="share_", bootstrap=0)] == [27, 27]


def test_symbols_that_are_known_are_held_and_the_others_fitted(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "runs.csv", noise=0.001)
    [go] = fit(path, where="language = 'go'", fixed={"alpha": 0.3, "E": 1.1}, bootstrap=20)
    assert go["fixed"] == {"alpha": 0.3, "E": 1.1}
    assert go["estimates"]["alpha"] == pytest.approx(0.3, abs=1e-12)
    assert go["estimates"]["E"] == pytest.approx(1.1, abs=1e-12)
    assert go["estimates"]["beta"] == pytest.approx(0.36, abs=0.01)
    assert all(draw["E"] == pytest.approx(1.1, abs=1e-12) for draw in go["draws"])
    assert go["converged"]
    assert not {"alpha", "E"} & set(go["unidentified"])
    [free] = fit(path, where="language = 'go'", bootstrap=0)
    assert go["objective"] >= free["objective"]
