"""How a law's coordinates are found from runs, and how sure one may be of them.

Start at `solve` (the best fit), then `bootstrap` (its uncertainty). The objective is the *sum* over runs of a Huber
loss on the difference of logs. It is minimised from many starts at once: all starts of all bootstrap resamples move
together through one vectorised Newton method, first under a wide Huber threshold (a least-squares problem), then under
ever narrower ones down to the real one; the best fit to the runs themselves is polished by L-BFGS-B on top.

What always holds: never one start only; the same seed gives the same numbers; coordinates stay within the law's bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from analysis.laws import Floats, Frame, Law, Points

HUBER_DELTA = 1e-3
"""Source: Hoffmann et al., arXiv 2203.15556, approach 3."""
THRESHOLDS = (0.1, 0.02, 0.005, HUBER_DELTA)
"""Huber thresholds of the continuation, widest first."""
STARTS = 24
"""Starts of the fit to the runs themselves."""
BOOTSTRAP_STARTS = 3
"""Starts of each resample by variable projection; the fit to all runs is one more."""
BATCH = 1024
"""Problems that move together: enough to amortise Python, few enough to stay in cache."""
FLAT = 1e-9
"""A direction in which predictions move this little, relative to the steepest, is flat but for rounding."""
GRADIENT_TOLERANCE = 1e-9
"""Largest projected gradient of a fit that counts as converged; the objective's own slope is about 1e-3 a run."""


@dataclass(frozen=True)
class Solution:
    """The best fit to a set of runs.

    Args:
        theta: Coordinates, shape (P,).
        objective: Summed Huber loss at them.
        converged: Whether the projected gradient vanishes and at least two different starts ended here.
        gradient: Largest entry of the projected gradient.
        agreeing: How many of the starts ended within a millionth of the objective.
        starts: How many starts there were.
        at_bounds: Positions of coordinates that lie on a bound.
        flat: Positions of coordinates that can move together without changing any prediction at the runs.
        condition: Condition number of the Gauss-Newton matrix in the law's coordinates.
    """

    theta: Floats
    objective: float
    converged: bool
    gradient: float
    agreeing: int
    starts: int
    at_bounds: tuple[int, ...]
    flat: tuple[int, ...]
    condition: float


def huber(residual: Floats, delta: float = HUBER_DELTA) -> Floats:
    """Return the Huber loss of residuals: half their square up to `delta`, linear beyond.

    Source: Huber, Ann. Math. Statist. 35 (1964) 73-101.
    """
    size = np.abs(residual)
    return np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta))


def objective(law: Law, theta: Floats, points: Points, origin: Frame, weights: Floats) -> Floats:
    """Return the weighted, summed Huber loss on log loss, shape (M,).

    Args:
        law: The law.
        theta: Coordinates, shape (M, P).
        points: The runs.
        origin: Their frame.
        weights: How often each run counts, shape (M, n) or (1, n).
    """
    value = law.log_loss(theta, points, origin)[0]
    return (weights * huber(value - np.log(points.loss))).sum(axis=1)


def minimise(
    law: Law, theta: Floats, points: Points, origin: Frame, weights: Floats, steps: int = 120
) -> tuple[Floats, Floats, Floats]:
    """Minimise the objective of many problems together.

    A damped Newton method with the exact Hessian (negative eigenvalues reflected, so that it leaves saddles), on the
    coordinates that are not held by a bound; damping falls when a step succeeds and rises when it fails.

    Source: for the reflected eigenvalues, Dauphin et al., arXiv 1406.2572.

    Args:
        law: The law.
        theta: Where each problem starts, shape (M, P).
        points: The runs.
        origin: Their frame.
        weights: How often each run counts, shape (M, n).
        steps: At most so many steps at each Huber threshold.

    Returns:
        Coordinates (M, P), objectives (M,), largest projected gradient (M,).
    """
    limits = law.bounds(origin)
    theta = np.clip(theta, limits[:, 0], limits[:, 1])
    gradient = np.full(len(theta), np.inf)
    value = np.full(len(theta), np.inf)
    for first in range(0, len(theta), BATCH):
        rows = slice(first, first + BATCH)
        for delta in THRESHOLDS:
            last = delta == THRESHOLDS[-1]
            theta[rows], value[rows], gradient[rows] = _newton(
                law, theta[rows], points, origin, weights[rows], limits, delta, steps if last else 25
            )
    return theta, value, gradient


def _newton(
    law: Law,
    theta: Floats,
    points: Points,
    origin: Frame,
    weights: Floats,
    limits: Floats,
    delta: float,
    steps: int,
) -> tuple[Floats, Floats, Floats]:
    observed = np.log(points.loss)
    theta = theta.copy()
    size = theta.shape[1]
    damping = np.full(len(theta), 1e-3)
    value, slope, hessian = _expand(law, theta, points, origin, weights, observed, delta)
    active = np.arange(len(theta))
    failures = np.zeros(len(theta), dtype=np.int64)
    for _ in range(steps):
        held = _held(theta[active], slope[active], limits)
        g = np.where(held, 0.0, slope[active])
        open_rows = (np.abs(g).max(axis=1) > GRADIENT_TOLERANCE / 10) & (failures[active] < 12)
        active, held, g = active[open_rows], held[open_rows], g[open_rows]
        if not len(active):
            break
        matrix = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian[active])
        eigenvalues, vectors = np.linalg.eigh(matrix)
        bent = np.abs(eigenvalues)
        scale = bent.max(axis=1, keepdims=True) + 1e-12
        bent = np.maximum(bent, 1e-10 * scale) + damping[active, None] * scale
        step = -(vectors @ ((g[:, None, :] @ vectors)[:, 0] / bent)[:, :, None])[:, :, 0]
        step = np.where(held, 0.0, step)
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, 2.0 / np.maximum(length, 1e-300))
        tried = np.clip(theta[active] + step, limits[:, 0], limits[:, 1])
        new_value, new_slope, new_hessian = _expand(law, tried, points, origin, weights[active], observed, delta)
        better = new_value < value[active]
        won, lost = active[better], active[~better]
        gained = value[won] - new_value[better]
        theta[won], value[won] = tried[better], new_value[better]
        slope[won], hessian[won] = new_slope[better], new_hessian[better]
        damping[won] = np.maximum(damping[won] / 5, 1e-12)
        damping[lost] = np.minimum(damping[lost] * 6, 1e6)
        failures[lost] += 1
        failures[won] = np.where(gained > 1e-12 * value[won], 0, failures[won] + 1)
    held = _held(theta, slope, limits)
    return theta, value, np.abs(np.where(held, 0.0, slope)).reshape(-1, size).max(axis=1)


def _expand(
    law: Law, theta: Floats, points: Points, origin: Frame, weights: Floats, observed: Floats, delta: float
) -> tuple[Floats, Floats, Floats]:
    """Return value (M,), gradient (M, P) and Hessian (M, P, P) of the objective under a Huber threshold."""
    predicted, slopes = law.log_loss(theta, points, origin)
    residual = predicted - observed
    value = (weights * huber(residual, delta)).sum(axis=1)
    pull = weights * np.clip(residual, -delta, delta)
    gradient = (pull[:, None, :] @ slopes)[:, 0]
    inside = weights * (np.abs(residual) <= delta)
    hessian = (slopes * inside[:, :, None]).transpose(0, 2, 1) @ slopes
    return value, gradient, hessian + law.curvature(theta, points, origin, pull, slopes)


def _held(theta: Floats, slope: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Return which coordinates lie on a bound and would leave it downhill."""
    return ((theta <= limits[:, 0]) & (slope > 0)) | ((theta >= limits[:, 1]) & (slope < 0))


def solve(law: Law, points: Points, origin: Frame, starts: int = STARTS) -> Solution:
    """Fit a law to runs.

    Args:
        law: The law.
        points: The runs, at least as many as the law has symbols.
        origin: Their frame.
        starts: How many starts, 2 or more.
    """
    weights = np.ones((1, len(points)))
    begin = law.starts(points, origin, weights, starts)[0]
    theta, value, _ = minimise(law, begin, points, origin, np.repeat(weights, starts, axis=0))
    order = np.argsort(value, kind="stable")
    polished = np.array([_polish(law, theta[row], points, origin) for row in order[:3]])
    theta = np.concatenate([theta, polished])
    theta, value, gradient = minimise(law, theta, points, origin, np.ones((len(theta), len(points))))
    best = int(np.argmin(value))
    least = float(value[best])
    close = value[:starts] <= least * (1 + 1e-6) + 1e-15
    agreeing = int(close.sum())
    limits = law.bounds(origin)
    edge = 1e-6 * (limits[:, 1] - limits[:, 0])
    on_bound = (theta[best] - limits[:, 0] <= edge) | (limits[:, 1] - theta[best] <= edge)
    slopes = law.log_loss(theta[best : best + 1], points, origin)[1][0]
    _, singular, directions = np.linalg.svd(slopes)
    singular = np.concatenate([singular, np.zeros(len(directions) - len(singular))])
    flat = np.abs(directions[singular <= FLAT * singular[0]]).max(axis=0, initial=0.0) > 0.05
    condition = float((singular[0] / singular[-1]) ** 2) if singular[-1] > 0 else np.inf
    return Solution(
        theta=theta[best],
        objective=least,
        converged=bool(gradient[best] <= GRADIENT_TOLERANCE and agreeing >= 2),
        gradient=float(gradient[best]),
        agreeing=agreeing,
        starts=starts,
        at_bounds=tuple(int(index) for index in np.flatnonzero(on_bound)),
        flat=tuple(int(index) for index in np.flatnonzero(flat)),
        condition=condition,
    )


def _polish(law: Law, theta: Floats, points: Points, origin: Frame) -> Floats:
    """Run L-BFGS-B on the exact objective from where Newton's method stopped."""
    observed = np.log(points.loss)

    def both(vector: Floats) -> tuple[float, Floats]:
        predicted, slopes = law.log_loss(vector[None, :], points, origin)
        residual = predicted[0] - observed
        value = float(huber(residual).sum())
        return value, np.clip(residual, -HUBER_DELTA, HUBER_DELTA) @ slopes[0]

    found = minimize(
        both,
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=[(float(low), float(high)) for low, high in law.bounds(origin)],
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-16, "gtol": 1e-12},
    )
    return np.asarray(found.x, dtype=np.float64)


def resamples(points: Points, count: int, needed: int, rng: np.random.Generator) -> tuple[Floats, int]:
    """Draw bootstrap resamples of runs, as counts of how often each run was drawn.

    A resample that could not determine the law at all (fewer different runs than symbols, or a single N or D where the
    runs have several) is drawn again.

    Source: Efron, Ann. Statist. 7 (1979) 1-26.

    Args:
        points: The runs, more than `needed`.
        count: How many resamples.
        needed: Symbols of the law.
        rng: Where the randomness comes from.

    Returns:
        Counts, shape (count, n), and how many resamples were drawn again.
    """
    n = len(points)
    several_params, several_tokens = len(np.unique(points.params)) > 1, len(np.unique(points.tokens)) > 1
    kept: list[Floats] = []
    again = 0
    while len(kept) < count:
        rows = rng.integers(0, n, size=n)
        distinct = np.unique(rows)
        usable = (
            len(distinct) >= needed
            and not (several_params and np.ptp(points.params[distinct]) == 0)
            and not (several_tokens and np.ptp(points.tokens[distinct]) == 0)
        )
        if usable:
            kept.append(np.bincount(rows, minlength=n).astype(np.float64))
        else:
            again += 1
            if again > 1000 * (count + 1):
                break
    return np.array(kept).reshape(len(kept), n), again


def bootstrap(
    law: Law,
    points: Points,
    origin: Frame,
    best: Floats,
    count: int,
    rng: np.random.Generator,
    done: Callable[[int], object] = int,
) -> tuple[Floats, int]:
    """Fit a law to resamples of the runs.

    Args:
        law: The law.
        points: The runs, more than the law has symbols.
        origin: Their frame.
        best: The fit to all runs, one of the starts, shape (P,).
        count: How many resamples.
        rng: Where the randomness comes from.
        done: Is told how many more resamples have been fitted.

    Returns:
        Coordinates, shape (count, P), and how many resamples were drawn again because they could not be fitted.
    """
    weights, again = resamples(points, count, len(law.symbols), rng)
    found: list[Floats] = []
    per_batch = max(1, BATCH // (BOOTSTRAP_STARTS + 1))
    for first in range(0, len(weights), per_batch):
        part = weights[first : first + per_batch]
        begin = law.starts(points, origin, part, BOOTSTRAP_STARTS)
        begin = np.concatenate([np.broadcast_to(best, (len(part), 1, len(best))), begin], axis=1)
        many = begin.shape[1]
        theta, value, _ = minimise(
            law, begin.reshape(-1, len(best)), points, origin, np.repeat(part, many, axis=0), steps=60
        )
        winner = value.reshape(-1, many).argmin(axis=1)
        found.append(theta.reshape(-1, many, len(best))[np.arange(len(part)), winner])
        done(len(part))
    return np.concatenate(found) if found else np.zeros((0, len(best))), again
