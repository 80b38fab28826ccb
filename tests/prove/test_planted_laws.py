"""Intervals hold the truth as often as they say, on sweeps simulated from the paper's grid and laws."""

from __future__ import annotations

import numpy as np
import pytest

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
