"""The least of many smooth functions of shares at once, with a certificate of how far each may still be from it.

Start at `minimise`. Shares are non-negative, sum to 1 and stay between limits of their own. What always holds: a value
never rises, but for rounding, from one step to the next; `gap` bounds what is left to gain wherever the function is
convex, and where it is not a small one says that no direction within the limits goes down any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.laws import Floats

Rows = NDArray[np.intp]
Objective = Callable[[Floats, Rows], tuple[Floats, Floats]]
"""Shares (m, K) of the problems at some positions (m,) to values (m,) and their derivatives (m, K)."""

STEPS = 400
TOLERANCE = 1e-9
_NEWTON_STEPS = 12
_SUM_CLOSE = 1e-14
_BISECTIONS = 60
_ROUNDING = 4e-15


@dataclass(frozen=True)
class Minimum:
    """Where each function was found least.

    Args:
        shares: Shape (M, K).
        value: Shape (M,).
        gap: The Frank-Wolfe gap there, shape (M,): the most that a convex function could still fall.
    """

    shares: Floats
    value: Floats
    gap: Floats


def minimise(
    objective: Objective, start: Floats, low: Floats, high: Floats, *, tolerance: float = TOLERANCE, steps: int = STEPS
) -> Minimum:
    """Minimise many functions of shares, each from its own start, by mirror descent with the entropy.

    A step multiplies each share by the exponential of its marginal gain, so that shares stay positive; its length
    doubles after a success and is halved until it brings a sufficient decrease. In this metric a sum of power laws is
    nearly as well conditioned as a sphere.

    Source: Beck and Teboulle, Oper. Res. Lett. 31 (2003) 167-175; the gap is that of Jaggi, ICML 2013, section 2.

    Args:
        objective: The functions.
        start: Shares to begin at, positive, shape (M, K).
        low: Least shares, shape (K,).
        high: Most shares, shape (K,).
        tolerance: Stop where the gap is below this fraction of the value.
        steps: Most steps.
    """
    shares = projected(start, low, high)
    everything = np.arange(len(shares))
    value, slope = (part.copy() for part in objective(shares, everything))
    gap = _gap(shares, slope, low, high)
    length = 0.5 / np.maximum(np.abs(slope - slope.mean(axis=1, keepdims=True)).max(axis=1), 1e-300)
    failures = np.zeros(len(shares), dtype=np.int64)
    for _ in range(steps):
        rows = np.flatnonzero((gap > tolerance * np.abs(value)) & (failures < 40))
        if not len(rows):
            break
        centred = slope[rows] - (shares[rows] * slope[rows]).sum(axis=1, keepdims=True)
        moved = np.exp(np.clip(-length[rows, None] * centred, -30.0, 30.0)) * shares[rows]
        tried = projected(moved, low, high)
        new_value, new_slope = objective(tried, rows)
        promised = (slope[rows] * (tried - shares[rows])).sum(axis=1)
        new_gap = _gap(tried, new_slope, low, high)
        # Near the minimum values differ by less than they are rounded; the slope still tells where it is.
        level = new_value <= value[rows] + _ROUNDING * np.abs(value[rows])
        better = (new_value <= value[rows] + 1e-4 * promised) | (level & (new_gap < gap[rows]))
        won, lost = rows[better], rows[~better]
        shares[won], value[won], slope[won] = tried[better], new_value[better], new_slope[better]
        gap[won] = new_gap[better]
        length[won] *= 2.0
        length[lost] *= 0.4
        failures[won], failures[lost] = 0, failures[lost] + 1
    return Minimum(shares, value, gap)


def projected(weights: Floats, low: Floats, high: Floats) -> Floats:
    """Return the shares within the limits that are nearest to positive weights in relative entropy, shape (M, K).

    They are the weights times one factor, cut off at the limits.

    Args:
        weights: Positive, shape (M, K).
        low: Least shares, summing to 1 or less, shape (K,).
        high: Most shares, summing to 1 or more, shape (K,).
    """
    logs = np.log(np.maximum(weights, 1e-300))
    logs = logs - logs.max(axis=1, keepdims=True)
    factor = np.zeros((len(logs), 1))
    raw = np.exp(logs)
    shares = np.clip(raw, low, high)
    missing = 1 - shares.sum(axis=1, keepdims=True)
    # Newton's method on the logarithm of the factor; between two limits reached it is exact in one step.
    for _ in range(_NEWTON_STEPS):
        if (np.abs(missing) < _SUM_CLOSE).all():
            break
        open_ = np.where((raw > low) & (raw < high), raw, 0.0).sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = factor + np.nan_to_num(np.log1p(np.maximum(missing / open_, -0.9)), posinf=0.0, neginf=0.0)
        raw = np.exp(logs + factor)
        shares = np.clip(raw, low, high)
        missing = 1 - shares.sum(axis=1, keepdims=True)
    left = np.flatnonzero(np.abs(missing[:, 0]) >= _SUM_CLOSE)
    shares[left] = _bisected(logs[left], low, high)
    return shares


def _bisected(logs: Floats, low: Floats, high: Floats) -> Floats:
    """Return the same for rows on which Newton's method jumps to and fro between limits."""
    # Below the first factor every share is at its least, above the last at its most.
    bottom = (np.log(np.maximum(low, 1e-300)) - logs).min(axis=1, keepdims=True)
    top = (np.log(np.maximum(high, 1e-300)) - logs).max(axis=1, keepdims=True)
    for _ in range(_BISECTIONS):
        middle = (bottom + top) / 2
        over = np.clip(np.exp(logs + middle), low, high).sum(axis=1, keepdims=True) > 1
        bottom, top = np.where(over, bottom, middle), np.where(over, middle, top)
    return np.clip(np.exp(logs + (bottom + top) / 2), low, high)


def _gap(shares: Floats, slope: Floats, low: Floats, high: Floats) -> Floats:
    """Return the derivative along the way to the best corner of the limits: the most a convex function can fall."""
    order = np.argsort(slope, axis=1)
    room = np.take_along_axis(np.broadcast_to(high - low, slope.shape), order, axis=1)
    left = 1 - low.sum()
    given = np.clip(left - (np.cumsum(room, axis=1) - room), 0.0, room)
    corner = np.broadcast_to(low, slope.shape).copy()
    np.put_along_axis(corner, order, np.take_along_axis(corner, order, axis=1) + given, axis=1)
    return np.maximum((slope * (shares - corner)).sum(axis=1), 0.0)
