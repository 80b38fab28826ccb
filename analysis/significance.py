"""Which of many differences are real: tests against a noise, and a correction for having made so many.

Start at `false_discoveries`. What always holds: a q-value is never below its p-value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from analysis.laws import Floats

LEVEL = 0.95
FALSE_DISCOVERY_RATE = 0.05


def two_sided(difference: ArrayLike, error: ArrayLike, freedom: float) -> Floats:
    """Return the p-values of differences against no difference, by Student's t.

    Args:
        difference: Any shape.
        error: Their standard errors, above 0.
        freedom: Degrees of freedom of the noise that the errors come from; infinite for a noise that is known.
    """
    t = -np.abs(np.asarray(difference, dtype=np.float64) / np.asarray(error, dtype=np.float64))
    return np.asarray(2 * stdtr(min(freedom, 1e9), t), dtype=np.float64)


def width(freedom: float, level: float = LEVEL) -> float:
    """Return how many standard errors an interval reaches to either side.

    Args:
        freedom: As for `two_sided`.
        level: How often the interval is to hold the truth.
    """
    return float(stdtrit(min(freedom, 1e9), (1 + level) / 2))


def false_discoveries(p_values: ArrayLike) -> Floats:
    """Return q-values: the rate of false discoveries among all tests with a p-value this small or smaller.

    Source: Benjamini and Hochberg, J. R. Statist. Soc. B 57 (1995) 289-300; valid for independent tests and, by
    Benjamini and Yekutieli, Ann. Statist. 29 (2001) 1165-1188, for positively dependent ones, which those that share
    one baseline are.

    Args:
        p_values: Shape (n,).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    ranks = np.arange(len(p), 0, -1)
    found = np.empty(len(p))
    found[order] = np.minimum.accumulate(np.minimum(p[order] * len(p) / ranks, 1.0))
    return found
