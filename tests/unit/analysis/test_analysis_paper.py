from __future__ import annotations

import json

import pytest

from analysis.paper import FAILS, HOLDS, OPEN, degenerate_optima, paper, synergy_table
from quality.languages import LANGUAGES


@pytest.fixture(scope="module")
def findings() -> dict[str, dict]:
    return {one["name"]: one for one in paper()}


def test_every_finding_is_whole_and_a_json_value(findings: dict[str, dict]) -> None:
    json.dumps(list(findings.values()), allow_nan=False)
    for one in findings.values():
        assert one["verdict"] in (HOLDS, FAILS, OPEN)
        assert one["place"]
        assert one["claim"]
        assert one["words"].endswith(".")
        assert one["figures"]


def test_37_of_42_pairs_gain_with_the_sign_put_right(findings: dict[str, dict]) -> None:
    figures = findings["synergy"]["figures"]
    assert (figures["positive"], figures["pairs"]) == (37, 42)
    assert figures["relative"][0][0] is None
    java, csharp = (list(LANGUAGES).index(name) for name in ("java", "csharp"))
    assert figures["relative"][java][csharp] == pytest.approx((0.9034 - 0.7175) / 0.9034)
    assert figures["best_auxiliary"]["java"] == "csharp"


def test_losses_below_the_floor_are_counted_by_target(findings: dict[str, dict]) -> None:
    figures = findings["below_floor"]["figures"]
    assert figures["below"] == sum(figures["by_target"].values()) == 18
    assert figures["by_target"]["javascript"] == figures["by_target"]["rust"] == 7


def test_only_javas_baseline_is_far_too_high(findings: dict[str, dict]) -> None:
    scores = findings["java_baseline"]["figures"]["scores"]
    assert [name for name, score in scores.items() if score > 3.5] == ["java"]


def test_law_4_has_1521_nats(findings: dict[str, dict]) -> None:
    assert findings["translation_law"]["figures"]["n_term_nats"]["4"] == pytest.approx(1521, abs=1)
    assert "1,521 nats" in findings["translation_law"]["words"]


def test_the_published_optimum_is_outside_the_hull(findings: dict[str, dict]) -> None:
    figures = findings["optimum_hull"]["figures"]
    assert all(row["optimum"] < row["range"][0] for row in figures["symbols"].values())
    # aD* alone misses by (1.129 - .6859) / (1.350 - 1.129) ranges.
    assert figures["distance_in_ranges"] >= (1.129 - 0.6859) / (1.350 - 1.129)


def test_the_printed_law_never_gives_python_a_token(findings: dict[str, dict]) -> None:
    found = degenerate_optima()
    assert found["python"] < 1e-6
    assert sum(found["winners"].values()) == sum(found["languages"].values()) == found["settings"]
    assert max(map(int, found["languages"])) < len(LANGUAGES)
    assert findings["degenerate_law"]["verdict"] == FAILS
    assert "Never allocate by it" in findings["degenerate_law"]["words"]


def test_without_java_the_scatter_is_smaller() -> None:
    table = synergy_table()
    assert table["without_java"]["noise"] < table["noise"]
    for p, q in zip(table["p_values"], table["q_values"], strict=True):
        assert all(b >= a for a, b in zip(p, q, strict=True) if a is not None)


def test_ranks_and_averages(findings: dict[str, dict]) -> None:
    assert findings["python_exponents"]["figures"]["rank"] == {"aN": 7, "aD": 5}
    gains = [row["gain"] for row in findings["averages"]["figures"]["gains"]]
    assert gains == [1.5, 0.6, 0.28, 1.51, 3.52, 1.33]
