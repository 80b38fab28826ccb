"""Intervals hold the truth as often as they say, and allocations lose next to nothing, on simulated sweeps.

The sweeps are of the paper's grid, the losses those of its per-language laws with the noise of seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmark.bench_decision import regret_of_planted
from tests.prove.planted_laws import LAW, held, sweep, truths

pytestmark = pytest.mark.prove
STUDIES = 200
RESAMPLES = 300


def test_intervals_cover_the_planted_symbols_as_often_as_they_say() -> None:
    found = {language: np.zeros((STUDIES, len(LAW.symbols))) for language in truths()}
    for study in range(STUDIES):
        rng = np.random.default_rng(study)
        for language, symbols in truths().items():
            found[language][study] = held(symbols, sweep(symbols, rng), RESAMPLES, rng)
    pooled = float(np.mean([rows.mean() for rows in found.values()]))
    each = {
        f"{language} {name}": float(value)
        for language, rows in found.items()
        for name, value in zip(LAW.symbols, rows.mean(axis=0), strict=True)
    }
    assert 0.94 <= pooled <= 0.96, (pooled, each)
    assert min(each.values()) >= 0.90, each
    assert max(each.values()) <= 0.99, each


def test_the_recommended_allocation_loses_less_than_a_thousandth_in_every_study() -> None:
    regrets = np.array([regret_of_planted(study) for study in range(STUDIES)])
    assert regrets[:, 0].min() >= -1e-9
    assert regrets[:, 0].max() < 1e-3, np.sort(regrets[:, 0])[-5:]
    # A thousandth is not much to ask: with these laws an even division loses half of that.
    assert regrets[:, 0].max() < 0.01 * regrets[:, 1].min()
