from __future__ import annotations

import pytest

from analysis import published
from analysis.laws import LAWS
from quality.languages import LANGUAGES
from quality.mistakes import BadInput

CONSTANTS = {language: {"Nc": 4e7, "Dc": 2e8} for language in LANGUAGES}


@pytest.mark.parametrize("name", list(published.TABLES))
def test_every_table_reads_and_names_its_source(name: str) -> None:
    table = published.table(name)
    assert table.num_rows > 0
    assert table.schema.metadata[b"source"].startswith(b"arXiv 2512.13472")


def test_tables_name_languages_of_the_registry() -> None:
    assert set(published.table("language_laws")["language"].to_pylist()) == set(LANGUAGES)
    losses = published.table("bilingual_losses").to_pylist()
    assert {(row["target"], row["auxiliary"]) for row in losses} == {(a, b) for a in LANGUAGES for b in LANGUAGES}


def test_a_synergy_is_the_loss_of_the_target_twice_less_the_loss_with_another() -> None:
    gains = published.synergies()
    assert len(gains) == 42
    assert gains["java", "csharp"] == pytest.approx(0.9034 - 0.7175)
    assert gains["python", "java"] == pytest.approx(0.7528 - 0.7426)
    assert gains["python", "rust"] < 0
    assert max(gains, key=lambda pair: gains[pair]) == ("java", "csharp")


def test_18_of_49_measured_losses_lie_below_the_limit_of_their_own_law() -> None:
    below = published.below_floor()
    assert len(below) == 18
    targets = [target for target, *_ in below]
    assert targets.count("javascript") == targets.count("rust") == 7
    assert all(loss < floor for *_, loss, floor in below)


def test_the_grid_has_420_runs() -> None:
    rows = published.table("grid")["axis"].to_pylist()
    assert rows.count("params") * rows.count("tokens") * len(LANGUAGES) == 420


def test_changes_of_the_published_allocation_cancel_out() -> None:
    assert sum(published.table("allocation_changes")["change_tokens"].to_pylist()) == 0


def test_averages_recompute() -> None:
    rows = {(row["measure"], row["size"]): row for row in published.table("averages").to_pylist()}
    assert rows["Pass@1", "1.5B"]["guided_or_parallel"] == 21.34
    assert all(row["guided_or_parallel"] > row["uniform_or_baseline"] for row in rows.values())


def test_the_published_optimum_lies_outside_the_range_of_the_laws_it_averages() -> None:
    laws = published.table("language_laws").to_pylist()
    for row in published.table("optimum").to_pylist():
        assert row["value"] < min(law[row["symbol"]] for law in laws)


def test_laws_ask_for_each_constant_that_was_not_published() -> None:
    with pytest.raises(BadInput) as caught:
        published.language_fits({})
    assert len(caught.value.mistakes) == 14
    assert "python.Nc" in str(caught.value)
    assert "in tokens with --constant rust.Dc=VALUE" in str(caught.value)


def test_wrong_constants_are_all_named() -> None:
    wrong = {**CONSTANTS, "go": {"Nc": -1.0, "Dc": 2e8}, "perl": {"Nc": 1.0}, "rust": {"Nc": 1e7, "Dc": 1e8, "aN": 1.0}}
    with pytest.raises(BadInput) as caught:
        published.language_fits(wrong)
    assert [m.where for m in caught.value.mistakes] == ["constant rust.aN", "constant perl.Nc", "constant go.Nc"]


def test_with_constants_the_laws_predict() -> None:
    fits = {one["group"]: one for one in published.language_fits(CONSTANTS)}
    found = LAWS["monolingual"].predict(fits["python"]["estimates"], 1e9, 5e10)
    assert found == pytest.approx((4e7 / 1e9) ** 0.221 + (2e8 / 5e10) ** 1.217 + 0.566)
    assert fits["python"]["ranges"] == {"params": [1e8, 3.1e9], "tokens": [2e9, 6.4e10]}


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="known: language_laws, bilingual_losses"):
        published.table("figure_9")
