from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.published import table
from analysis.transfer import REPETITION, UNIQUE, Mixed, fit_tau, matrix_of, read_mixed, synergies, transfer
from quality.mistakes import BadInput
from tests.benchmark.bench_decision import NOISE, TAU, THREE, covered, loss_of, planted_mixtures


def fits(draws: int = 100) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {
            "law": "chinchilla",
            "unit": "bits_per_byte",
            "group": name,
            "estimates": symbols,
            "draws": [{**symbols, "E": symbols["E"] * math.exp(0.001 * rng.normal())} for _ in range(draws)],
            "ranges": {"params": [1e8, 3e9], "tokens": [2e9, 6e10]},
        }
        for name, symbols in THREE.items()
    ]


def test_gains_are_positive_where_the_mixture_is_better_and_the_baselines_differ() -> None:
    found = synergies(planted_mixtures(seeds=1, noise=0.0))
    rows = {(row["target"], row["auxiliary"], row["baseline"]): row for row in found["synergy"]}
    assert len(rows) == 12
    for (target, other), tau in TAU.items():
        unique = rows[target, other, UNIQUE]
        assert np.sign(round(unique["gain"], 12)) == np.sign(tau)
        assert unique["baseline_loss"] == pytest.approx(loss_of(target, 1e9, 16e9, {target: 1.0}))
        repeated = rows[target, other, REPETITION]
        assert repeated["gain"] == pytest.approx(
            loss_of(target, 1e9, 32e9, {target: 1.0}) - loss_of(target, 1e9, 32e9, {target: 0.5, other: 0.5})
        )
        # Against twice as many own tokens, other tokens worth less than own ones lose.
        assert repeated["gain"] < 0
        assert unique["relative"] == pytest.approx(unique["gain"] / unique["baseline_loss"])


def test_without_repeated_seeds_nothing_is_called_real() -> None:
    found = synergies(planted_mixtures(seeds=1))
    assert found["noise"] is None
    assert all(row["interval"] is None and row["verdict"] == "noise not known" for row in found["synergy"])
    assert any("seeds = 3" in word for word in found["words"])
    given = synergies(planted_mixtures(seeds=1), noise=NOISE)
    assert all(row["q"] is not None for row in given["synergy"])


def test_the_seed_noise_is_found_and_planted_effects_are_told_from_none() -> None:
    found = synergies(planted_mixtures(seeds=4))
    assert found["noise"] == pytest.approx(NOISE, rel=0.3)
    verdicts = {
        (row["target"], row["auxiliary"]): row["verdict"] for row in found["synergy"] if row["baseline"] == UNIQUE
    }
    assert verdicts["python", "go"] == verdicts["rust", "go"] == "gain"
    assert verdicts["go", "rust"] == "harm"
    assert verdicts["python", "rust"] == "cannot be told from nothing"
    assert all(row["q"] >= row["p"] for row in found["synergy"])


def test_intervals_hold_the_true_gain_as_often_as_they_say() -> None:
    assert covered(200) == pytest.approx(0.95, abs=0.025)


def test_planted_tau_are_found_with_their_sign_and_within_their_intervals() -> None:
    mixed = planted_mixtures(ratios=(0.3, 0.5, 0.7))
    rows, words = fit_tau(mixed, fits(), NOISE, np.random.default_rng(0))
    assert words == []
    assert len(rows) == 6
    inside = 0
    for row in rows:
        true = TAU[row["target"], row["auxiliary"]]
        assert row["tau"] == pytest.approx(true, abs=0.06)
        low, high = row["interval"]
        inside += low <= true <= high
        assert row["runs"] == 9
        assert len(row["draws"]) == 100
        assert row["q"] >= row["p"]
    assert inside >= 5
    real = {(row["target"], row["auxiliary"]) for row in rows if row["q"] < 0.05}
    assert {("python", "go"), ("rust", "go"), ("go", "python")} <= real
    assert ("python", "rust") not in real


def test_languages_that_always_come_together_are_not_told_apart() -> None:
    shares = (("go", 0.25), ("python", 0.5), ("rust", 0.25))
    mixed = [
        Mixed("python", 1e9, tokens, shares, 1.0, 0, loss_of("python", 1e9, tokens, dict(shares)))
        for tokens in (8e9, 32e9)
    ]
    rows, words = fit_tau(mixed, fits()[:1], None, np.random.default_rng(0))
    assert [row["tau"] for row in rows] == [None, None]
    assert not any(row["identified"] for row in rows)
    assert "not determined" in words[0]


def test_the_papers_table_reads_as_losses_with_its_own_baseline(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = table("bilingual_losses").to_pylist()
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["target", "auxiliary", "tokens", "loss"])
        writer.writeheader()
        writer.writerows({**row, "tokens": 128e9} for row in rows)
    found = transfer(path, noise=0.002)
    json.dumps(found, allow_nan=False)
    cells = matrix_of(found["synergy"], REPETITION)
    assert cells["java"]["csharp"]["gain"] == pytest.approx(0.9034 - 0.7175)
    assert sum(row["gain"] > 0 for row in found["synergy"]) == 37
    assert any("unique baseline" in word for word in found["words"])


def test_wrong_tables_are_refused_with_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("target,auxiliary,tokens,loss\npython,go,1e9,-1\npython,,many,1\n")
    with pytest.raises(BadInput) as caught:
        read_mixed(path)
    assert [m.where for m in caught.value.mistakes] == [f"{path}: row 2: loss", f"{path}: row 3: tokens"]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="needs the columns target, auxiliary, tokens, loss"):
        read_mixed(path)
    with pytest.raises(BadInput, match="neither a `runs` artifact"):
        read_mixed(tmp_path / "x.parquet")
    with pytest.raises(BadInput) as caught:
        transfer(tmp_path / "x.parquet", fits=tmp_path / "fits.jsonl", noise=-1.0)
    places = [tmp_path / "x.parquet", tmp_path / "fits.jsonl", "--noise"]
    assert [m.where for m in caught.value.mistakes] == list(map(str, places))


def test_runs_without_mixtures_say_so() -> None:
    alone = [one for one in planted_mixtures(seeds=2) if not one.others]
    found = synergies(alone)
    assert found["synergy"] == []
    assert found["words"] == ["no run mixes two languages and is validated on one of them: add mixtures to the sweep"]


def test_few_draws_that_keep_q_from_being_small_are_told() -> None:
    mixed = planted_mixtures()
    few, many = (fit_tau(mixed, fits(draws), NOISE, np.random.default_rng(0)) for draws in (20, 400))
    assert any("as small as so few draws allow" in word for word in few[1])
    assert not any("as small as so few draws allow" in word for word in many[1])
    assert min(row["q"] for row in many[0]) < 0.05 < min(row["q"] for row in few[0])
