from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.significance import false_discoveries, two_sided, width


def test_the_correction_is_that_of_its_source() -> None:
    # The 15 p-values of Benjamini and Hochberg (1995), section 4: four are rejected at .05.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.324,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1,
    ]
    q = false_discoveries(p)
    assert (q < 0.05).sum() == 4
    assert q[3] == pytest.approx(0.0095 * 15 / 4)
    assert (q >= p).all()
    shuffled = np.random.default_rng(0).permutation(len(p))
    assert false_discoveries(np.array(p)[shuffled]) == pytest.approx(q[shuffled])


def test_among_tests_of_nothing_the_family_is_wrong_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(1)
    wrong = [(false_discoveries(rng.uniform(size=42)) < 0.05).any() for _ in range(2000)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.015)


def test_student_widens_where_the_noise_is_poorly_known() -> None:
    assert width(math.inf) == pytest.approx(1.959964, abs=1e-5)
    assert width(4) == pytest.approx(2.776445, abs=1e-5)
    assert two_sided(2.776445, 1.0, 4) == pytest.approx(0.05, abs=1e-6)
