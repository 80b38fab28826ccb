from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from analysis import laws
from analysis.allocate import allocate
from analysis.transfer import transfer
from quality.mistakes import BadInput
from tests.unit.analysis.test_analysis_every_law import LANGUAGES, MIXTURES, mixture_fit

POINT: dict[str, Any] = {"params": 1e8, "tokens": 2e9, "shares": {"python": 0.3, "go": 0.7}}
TELLING = [name for name in MIXTURES if name not in ("ye", "he")]


def fits_of(law: str, draws: int = 0) -> list[dict[str, Any]]:
    return [{**mixture_fit(law, target, draws), "n_runs": 40} for target in LANGUAGES]


@pytest.mark.parametrize("law", TELLING)
def test_tau_is_how_many_own_tokens_save_as_much(law: str) -> None:
    fits = fits_of(law, 60)
    found = transfer(fits=fits, at=POINT)
    json.dumps(found, allow_nan=False)
    assert [(row["target"], row["auxiliary"]) for row in found["tau"]] == [("python", "go"), ("go", "python")]
    for one, row in zip(fits, found["tau"], strict=True):
        bound, names = laws.law_of(one), list(LANGUAGES)

        def loss(more: dict[str, float], bound: Any = bound, one: Any = one, names: Any = names) -> float:
            tokens = np.array([2e9 * POINT["shares"][name] + more.get(name, 0.0) for name in names])
            return float(bound.predict(one["estimates"], 1e8, tokens.sum(), tokens / tokens.sum()))

        other, own = ((loss({row[side]: -1e4}) - loss({row[side]: 1e4})) / 2e4 for side in ("auxiliary", "target"))
        assert row["tau"] == pytest.approx(other / own, rel=1e-3, abs=1e-4)
        assert row["gain"] == pytest.approx(other * 0.01 * 2e9, rel=1e-3, abs=1e-9)
        low, high = row["interval"]
        assert low < high
        assert len(row["draws"]) == 60
        assert row["gain_interval"][0] < row["gain_interval"][1]


def test_effective_data_has_its_own_tau_at_every_point() -> None:
    fits = fits_of("transfer", 20)
    for at in (None, POINT):
        for one, row in zip(fits, transfer(fits=fits, at=at)["tau"], strict=True):
            assert row["tau"] == pytest.approx(one["estimates"][f"tau.{row['auxiliary']}"])
            # The law cannot say that there is no gain, so that nothing is tested.
            assert row["p"] is None
    found = transfer(fits=fits)
    assert found["point"] == {"params": 1e9, "tokens": 1e10, "shares": {"python": 0.5, "go": 0.5}}
    assert any("the same at every point" in word for word in found["words"])
    assert any("knows gains only" in word for word in found["words"])
    # Laws of a language's own tokens take this tau.
    own = [{**one, "law": "chinchilla", "group": one["target"], "sources": []} for one in fits]
    answer = allocate(own, tokens=3e9, params=2e8, transfer=found)
    assert answer["transfer"]["python"]["go"] == pytest.approx(fits[0]["estimates"]["tau.go"])


def test_a_point_elsewhere_gives_another_tau_and_says_so() -> None:
    fits = fits_of("additive", 10)
    here, there = (transfer(fits=fits, at=at) for at in (POINT, {**POINT, "shares": {"python": 0.9, "go": 0.1}}))
    assert here["matrix"] != there["matrix"]
    assert any("at one point (N = 1e+08" in word for word in here["words"])
    far = transfer(fits=fits, at={"tokens": 1e13})
    assert any("beyond the fitted runs in tokens" in word for word in far["words"])


def test_where_own_tokens_do_not_help_there_is_no_tau() -> None:
    fits = fits_of("additive", 10)
    # Nearly nothing is left to gain from its own text, and what other text adds is lost by its own share.
    for row in (fits[0]["estimates"], *fits[0]["draws"]):
        row |= {"B": 1e-9, "C.python": 1e-3, "C.go": 50.0}
    found = transfer(fits=fits, at=POINT)
    assert found["tau"][0]["tau"] is None
    assert found["tau"][1]["tau"] is not None
    assert "python" not in found["matrix"]
    assert any("no tau for Python" in word for word in found["words"])


def test_laws_that_cannot_tell_are_refused_with_those_that_can() -> None:
    with pytest.raises(BadInput, match=r"ye has no D: .*fit `transfer`, `interaction`"):
        transfer(fits=fits_of("ye"))
    with pytest.raises(BadInput, match=r"he reads the target's own share only: .*fit `transfer`"):
        transfer(fits=fits_of("he"))


def test_every_mistake_of_a_point_is_named() -> None:
    fits = fits_of("additive")
    with pytest.raises(BadInput) as caught:
        transfer(fits=fits, at={"params": -1, "tokens": "x", "shares": {"python": 1.0}, "n": 1}, noise=-1.0)
    assert [m.where for m in caught.value.mistakes] == ["at.n", "at.params", "at.tokens", "at.shares.go", "--noise"]
    with pytest.raises(BadInput, match="RUNS: missing"):
        transfer()
    own = [{**one, "law": "chinchilla", "group": one["target"]} for one in fits]
    with pytest.raises(BadInput) as caught:
        transfer(fits=own, at=POINT)
    assert [m.where for m in caught.value.mistakes] == ["--at", "RUNS"]
