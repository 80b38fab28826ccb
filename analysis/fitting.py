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
"""Resamples that move together."""
CACHED = 60_000
"""Numbers of a block of slopes, about half a megabyte: larger blocks leave the cache and cost four times as much."""
MANY = 256
"""From so many starts on, they first settle by a few of the runs."""
PILOT = 10
"""Those few, for each coordinate."""
SETTLING = 60
CONTINUATION = 50
"""Steps at most under the widest threshold, and under each but the last after it."""
MEETING = 1e-4
"""Starts whose coordinates round to the same multiples of this have met."""
PATIENCE = 12
"""After so many steps in a row that gain nothing, a start has arrived."""
GAIN = 1e-12
ROUGH_GAIN = 1e-6
"""What counts as a gain, as a fraction of the objective; the second while settling."""
LONGEST_STEP = 2.0
"""Length of a step at most, for five coordinates; all coordinates are logs or exponents."""
FLAT = 1e-9
"""A direction in which predictions move this little, relative to the steepest, is flat but for rounding."""
POLISHED = 3
"""How many of the best starts are polished."""
FINISHING = 120
"""Steps of Newton's method at most, after polishing."""
AGREEING = 1e-6
NEAR = 1e-2
"""Starts agree whose objectives differ by no more than this fraction; the second for laws without cheap curvature, of
which only the best starts are polished."""
PRIOR_WEIGHT = 0.02 * HUBER_DELTA
"""What a prior weighs at one standard deviation: as much as half a run that is off by 2%."""
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
    law: Law,
    theta: Floats,
    points: Points,
    origin: Frame,
    weights: Floats,
    problem: NDArray[np.intp] | None = None,
    *,
    limits: Floats | None = None,
    steps: int = 120,
) -> tuple[Floats, Floats, Floats]:
    """Minimise the objective from many starts of one or many problems together.

    First every start settles under the widest Huber threshold, where the problem is all but least squares (Gauss-Newton
    with damping). Starts of one problem that meet there go on as one. They follow Newton's method under ever narrower
    thresholds down to the real one; of laws whose second derivatives are dear, the majorising quadratic takes the place
    of the Hessian.

    Source: for the majoriser, Huber, Robust Statistics (1981), section 7.8.

    Args:
        law: The law.
        theta: Where each start lies, shape (M, P).
        points: The runs.
        origin: Their frame.
        weights: How often each run counts in each problem, shape (Q, n).
        problem: Which problem each start is of, shape (M,); all of the first by default.
        limits: Bounds of the coordinates, shape (P, 2), or of each start, shape (M, P, 2); the law's by default.
        steps: At most so many steps at the real threshold.

    Returns:
        Coordinates (M, P), objectives (M,), largest projected gradient (M,).
    """
    limits = law.bounds(origin) if limits is None else limits
    limits = np.broadcast_to(limits, (len(theta), *limits.shape[-2:]))
    problem = np.zeros(len(theta), dtype=np.intp) if problem is None else problem
    task = _Task(law, points, origin, weights)
    theta = np.clip(theta, limits[..., 0], limits[..., 1])
    theta, met = _met(_pilot(task, theta, problem, limits), problem)
    theta = _descend(task, theta, problem[met.first], limits[met.first], THRESHOLDS[0], SETTLING, exact=False)[0]
    theta, again = _met(theta, problem[met.first])
    met = _Meeting(met.first[again.first], again.back[met.back])
    value = gradient = np.empty(0)
    for delta in THRESHOLDS[1:]:
        last = delta == THRESHOLDS[-1]
        theta, value, gradient = _descend(
            task,
            theta,
            problem[met.first],
            limits[met.first],
            delta,
            steps if last else CONTINUATION,
            exact=law.exact_curvature and last,
        )
    return theta[met.back], value[met.back], gradient[met.back]


@dataclass(frozen=True)
class _Task:
    law: Law
    points: Points
    origin: Frame
    weights: Floats

    def prior(self, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Return what the law's weak prior adds to the objective (M,), its gradient (M, P) and Hessian (P, P)."""
        centre, precision = self.law.prior()
        pull = PRIOR_WEIGHT * precision * (theta - centre)
        return 0.5 * (pull * (theta - centre)).sum(axis=1), pull, PRIOR_WEIGHT * np.diag(precision)


def _pilot(task: _Task, theta: Floats, problem: NDArray[np.intp], limits: Floats) -> Floats:
    """Bring a great many starts near to where they settle by a few of the runs, evenly spread over compute."""
    few = PILOT * theta.shape[1]
    if len(theta) < MANY or len(task.points) < 2 * few:
        return theta
    order = np.argsort(task.points.params * task.points.tokens, kind="stable")
    rows = np.sort(order[np.linspace(0, len(order) - 1, few).round().astype(np.intp)])
    thin = _Task(task.law, task.points.take(rows), task.origin, task.weights[:, rows])
    return _descend(thin, theta, problem, limits, THRESHOLDS[0], SETTLING, exact=False)[0]


@dataclass(frozen=True)
class _Meeting:
    """Which start goes on for each place, and at which place each start is."""

    first: NDArray[np.intp]
    back: NDArray[np.intp]


def _met(theta: Floats, problem: NDArray[np.intp]) -> tuple[Floats, _Meeting]:
    """Return one start for each place that starts of one problem have come to."""
    cells = np.concatenate([problem[:, None].astype(np.int64), np.round(theta / MEETING).astype(np.int64)], axis=1)
    _, first, back = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    return theta[first], _Meeting(first.astype(np.intp), back.ravel().astype(np.intp))


def _descend(
    task: _Task,
    theta: Floats,
    problem: NDArray[np.intp],
    limits: Floats,
    delta: float,
    steps: int,
    *,
    exact: bool,
) -> tuple[Floats, Floats, Floats]:
    """Take damped steps until the projected gradient vanishes or steps no longer help."""
    theta = theta.copy()
    size = theta.shape[1]
    damping = np.full(len(theta), 1e-3)
    failures = np.zeros(len(theta), dtype=np.int64)
    value, slope, matrix = _expand(task, theta, problem, delta, exact=exact)
    active = np.arange(len(theta))
    enough = GAIN if exact or delta == THRESHOLDS[-1] else ROUGH_GAIN
    for _ in range(steps):
        held = _held(theta[active], slope[active], limits[active])
        g = np.where(held, 0.0, slope[active])
        going = (np.abs(g).max(axis=1) > GRADIENT_TOLERANCE / 10) & (failures[active] < PATIENCE)
        active, held, g = active[going], held[going], g[going]
        if not len(active):
            break
        step = _step(matrix[active], g, held, damping[active], exact=exact)
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, LONGEST_STEP * np.sqrt(size / 5) / np.maximum(length, 1e-300))
        tried = np.clip(theta[active] + step, limits[active, :, 0], limits[active, :, 1])
        new_value, new_slope, new_matrix = _expand(task, tried, problem[active], delta, exact=exact)
        better = new_value < value[active]
        won, lost = active[better], active[~better]
        gained = value[won] - new_value[better]
        theta[won], value[won] = tried[better], new_value[better]
        slope[won], matrix[won] = new_slope[better], new_matrix[better]
        damping[won] = np.maximum(damping[won] / 5, 1e-12)
        damping[lost] = np.minimum(damping[lost] * 6, 1e6)
        failures[lost] += 1
        failures[won] = np.where(gained > enough * value[won], 0, failures[won] + 1)
    held = _held(theta, slope, limits)
    return theta, value, np.abs(np.where(held, 0.0, slope)).reshape(-1, size).max(axis=1)


def _step(matrix: Floats, gradient: Floats, held: NDArray[np.bool_], damping: Floats, *, exact: bool) -> Floats:
    """Return the step of each start: by the Hessian with negative eigenvalues reflected, so that it leaves saddles.

    Where the matrix is a sum of squares it is damped along its diagonal instead, as in Marquardt's method.

    Source: Dauphin et al., arXiv 1406.2572; Marquardt, J. SIAM 11 (1963) 431-441.
    """
    matrix = np.where(held[:, :, None] | held[:, None, :], 0.0, matrix)
    if exact:
        eigenvalues, vectors = np.linalg.eigh(matrix)
        bent = np.abs(eigenvalues)
        scale = bent.max(axis=1, keepdims=True) + 1e-12
        bent = np.maximum(bent, 1e-10 * scale) + damping[:, None] * scale
        step = -(vectors @ ((gradient[:, None, :] @ vectors)[:, 0] / bent)[:, :, None])[:, :, 0]
    else:
        diagonal = np.einsum("mii->mi", matrix)
        largest = diagonal.max(axis=1, keepdims=True) + 1e-300
        diagonal += damping[:, None] * diagonal + 1e-9 * largest
        step = -np.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
    return np.where(held, 0.0, step)


def _expand(
    task: _Task, theta: Floats, problem: NDArray[np.intp], delta: float, *, exact: bool
) -> tuple[Floats, Floats, Floats]:
    """Return value (M,), gradient (M, P) and Hessian, or what majorises it, (M, P, P), under a Huber threshold."""
    count, size = theta.shape
    value, gradient, matrix = np.empty(count), np.empty((count, size)), np.empty((count, size, size))
    observed = np.log(task.points.loss)
    block = max(4, CACHED // (len(task.points) * size))
    one = len(task.weights) == 1
    for first in range(0, count, block):
        rows = slice(first, first + block)
        weights = task.weights if one else task.weights[problem[rows]]
        residual, slopes = task.law.log_loss(theta[rows], task.points, task.origin)
        residual -= observed
        clipped = np.clip(residual, -delta, delta)
        pull = weights * clipped
        value[rows] = np.einsum("mn,mn->m", pull, residual - 0.5 * clipped)
        gradient[rows] = (slopes @ pull[:, :, None])[:, :, 0]
        inside = clipped == residual if exact else delta / np.maximum(np.abs(residual), delta)
        spread = weights * inside
        matrix[rows] = (slopes * spread[:, None, :]) @ slopes.transpose(0, 2, 1)
        if exact:
            matrix[rows] += task.law.curvature(theta[rows], task.points, task.origin, pull, slopes)
    at, pull, bend = task.prior(theta)
    return value + at, gradient + pull, matrix + bend


def _held(theta: Floats, slope: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Return which coordinates lie on a bound and would leave it downhill."""
    return ((theta <= limits[..., 0]) & (slope > 0)) | ((theta >= limits[..., 1]) & (slope < 0))


def solve(law: Law, points: Points, origin: Frame, starts: int = STARTS) -> Solution:
    """Fit a law to runs.

    Args:
        law: The law.
        points: The runs, at least as many as the law has coordinates.
        origin: Their frame.
        starts: How many starts, 2 or more.
    """
    weights = points.counts()[None]
    begin = law.starts(points, origin, weights, starts)[0]
    theta, value, _ = minimise(law, begin, points, origin, weights)
    order = np.argsort(value, kind="stable")
    limits = law.bounds(origin)
    polished = np.array([_polish(law, theta[row], points, origin, limits) for row in order[:POLISHED]])
    task = _Task(law, points, origin, weights)
    rows, bounds = np.zeros(len(polished), dtype=np.intp), np.broadcast_to(limits, (len(polished), *limits.shape))
    polished, least_of, gradient = _descend(task, polished, rows, bounds, HUBER_DELTA, FINISHING, exact=True)
    best = int(np.argmin(least_of))
    least = float(least_of[best])
    agreeing = int((value <= least * (1 + (AGREEING if law.exact_curvature else NEAR)) + 1e-15).sum())
    edge = 1e-6 * (limits[:, 1] - limits[:, 0])
    found = polished[best]
    on_bound = (found - limits[:, 0] <= edge) | (limits[:, 1] - found <= edge)
    slopes = law.log_loss(found[None], points, origin)[1][0].T
    _, singular, directions = np.linalg.svd(slopes)
    singular = np.concatenate([singular, np.zeros(len(directions) - len(singular))])
    flat = np.abs(directions[singular <= FLAT * singular[0]]).max(axis=0, initial=0.0) > 0.05
    condition = float((singular[0] / singular[-1]) ** 2) if singular[-1] > 0 else np.inf
    return Solution(
        theta=found,
        objective=float(objective(law, found[None], points, origin, weights)[0]),
        converged=bool(gradient[best] <= GRADIENT_TOLERANCE and agreeing >= 2),
        gradient=float(gradient[best]),
        agreeing=agreeing,
        starts=starts,
        at_bounds=tuple(int(index) for index in np.flatnonzero(on_bound)),
        flat=tuple(int(index) for index in np.flatnonzero(flat)),
        condition=condition,
    )


def _polish(law: Law, theta: Floats, points: Points, origin: Frame, limits: Floats) -> Floats:
    """Run L-BFGS-B on the exact objective from where the steps of all starts ended."""
    observed = np.log(points.loss)
    weights = points.counts()
    task = _Task(law, points, origin, weights[None])

    def both(vector: Floats) -> tuple[float, Floats]:
        predicted, slopes = law.log_loss(vector[None, :], points, origin)
        residual = predicted[0] - observed
        at, pull, _ = task.prior(vector[None])
        value = float((weights * huber(residual)).sum() + at[0])
        return value, slopes[0] @ (weights * np.clip(residual, -HUBER_DELTA, HUBER_DELTA)) + pull[0]

    found = minimize(
        both,
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=[(float(low), float(high)) for low, high in limits],
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-16, "gtol": 1e-12},
    )
    return np.asarray(found.x, dtype=np.float64)


def clustered(points: Points, needed: int) -> bool:
    """Return whether runs are resampled by trunk: they share trunks, and there are enough of these to fit by.

    Args:
        points: The runs.
        needed: Coordinates of the law.
    """
    if points.trunk is None:
        return False
    trunks = len(np.unique(points.trunk))
    return needed < trunks < len(points)


def resamples(points: Points, count: int, needed: int, rng: np.random.Generator) -> tuple[Floats, int]:
    """Draw bootstrap resamples of runs, as counts of how often each run was drawn.

    Runs that share a trunk are drawn together, since they share its noise. A resample that could not determine the law
    at all (fewer different runs than coordinates, or a single N or D where the runs have several) is drawn again.

    Source: Efron, Ann. Statist. 7 (1979) 1-26; for clusters, Davison and Hinkley (1997), section 3.8.

    Args:
        points: The runs, more than `needed`.
        count: How many resamples.
        needed: Coordinates of the law.
        rng: Where the randomness comes from.

    Returns:
        Counts, shape (count, n), and how many resamples were drawn again.
    """
    n = len(points)
    trunk = points.trunk if clustered(points, needed) else None
    unit = np.arange(n) if trunk is None else np.unique(trunk, return_inverse=True)[1]
    units = int(unit.max()) + 1 if n else 0
    several_params, several_tokens = len(np.unique(points.params)) > 1, len(np.unique(points.tokens)) > 1
    kept: list[Floats] = []
    again = 0
    while len(kept) < count:
        times = np.bincount(rng.integers(0, units, size=units), minlength=units).astype(np.float64)[unit]
        drawn = times > 0
        usable = (
            drawn.sum() >= needed
            and not (several_params and np.ptp(points.params[drawn]) == 0)
            and not (several_tokens and np.ptp(points.tokens[drawn]) == 0)
        )
        if usable:
            kept.append(times)
        else:
            again += 1
            if again > 1000 * (count + 1):
                break
    return np.array(kept).reshape(len(kept), n) * points.counts(), again


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
        points: The runs, more than the law has coordinates.
        origin: Their frame.
        best: The fit to all runs, one of the starts, shape (P,).
        count: How many resamples.
        rng: Where the randomness comes from.
        done: Is told how many more resamples have been fitted.

    Returns:
        Coordinates, shape (count, P), and how many resamples were drawn again because they could not be fitted.
    """
    weights, again = resamples(points, count, len(law.coordinates), rng)
    found: list[Floats] = []
    per_batch = max(1, BATCH // (BOOTSTRAP_STARTS + 1))
    for first in range(0, len(weights), per_batch):
        part = weights[first : first + per_batch]
        begin = law.starts(points, origin, part, BOOTSTRAP_STARTS)
        begin = np.concatenate([np.broadcast_to(best, (len(part), 1, len(best))), begin], axis=1)
        many = begin.shape[1]
        owner = np.repeat(np.arange(len(part), dtype=np.intp), many)
        theta, value, _ = minimise(law, begin.reshape(-1, len(best)), points, origin, part, owner, steps=60)
        winner = value.reshape(-1, many).argmin(axis=1)
        found.append(theta.reshape(-1, many, len(best))[np.arange(len(part)), winner])
        done(len(part))
    return np.concatenate(found) if found else np.zeros((0, len(best))), again


def likelihood_scale(residual: Floats) -> float:
    """Return what twice a rise of the objective is multiplied with, to be chi-squared with one degree of freedom.

    It is the mean of the derivative of Huber's psi over the mean of its square, the former by the density of residuals
    around 0 in a band that holds enough of them.

    Source: Heritier and Ronchetti, J. Amer. Statist. Assoc. 89 (1994) 897-904.

    Args:
        residual: Differences of log loss, shape (n,).
    """
    size = np.abs(residual)
    band = max(HUBER_DELTA, 1.5 * float(np.median(size)) * len(size) ** (-1 / 3))
    steep = float((size <= band).mean()) * HUBER_DELTA / band
    square = float((np.clip(size, 0, HUBER_DELTA) ** 2).mean())
    return steep / square if square > 0 else np.inf


def profile(law: Law, points: Points, origin: Frame, best: Floats) -> Floats:
    """Return how much worse the best fit is with each coordinate on its lower and upper bound, shape (P, 2).

    In units of a chi-squared with one degree of freedom: below 3.84 the runs do not keep the coordinate off the bound.

    Source: Venzon and Moolgavkar, Appl. Statist. 37 (1988) 87-94.

    Args:
        law: The law.
        points: The runs.
        origin: Their frame.
        best: The fit to them, shape (P,).
    """
    limits, weights = law.bounds(origin), points.counts()[None]
    size = len(best)
    theta = np.repeat(best[None], 2 * size, axis=0)
    inside = np.repeat(limits[None], 2 * size, axis=0)
    rows = np.arange(2 * size)
    theta[rows, rows // 2] = limits[rows // 2, rows % 2]
    inside[rows, rows // 2] = theta[rows, rows // 2, None]
    pinned, _, _ = minimise(law, theta, points, origin, weights, limits=inside)
    rise = objective(law, pinned, points, origin, weights) - objective(law, best[None], points, origin, weights)
    residual = law.log_loss(best[None], points, origin)[0][0] - np.log(points.loss)
    return (2 * np.maximum(rise, 0) * likelihood_scale(residual)).reshape(size, 2)


def influence(law: Law, points: Points, origin: Frame, best: Floats) -> Floats:
    """Return how far each run pulls the fit, in standard errors of the coordinate it pulls most, shape (n,).

    Source: Hampel et al., Robust Statistics (1986), section 6.2: the influence function of an M-estimator.

    Args:
        law: The law.
        points: The runs.
        origin: Their frame.
        best: The fit to them, shape (P,).
    """
    value, slopes = law.log_loss(best[None], points, origin)
    residual = value[0] - np.log(points.loss)
    pull = points.counts() * np.clip(residual, -HUBER_DELTA, HUBER_DELTA)
    weight = points.counts() * (HUBER_DELTA / np.maximum(np.abs(residual), HUBER_DELTA))
    bend = np.linalg.pinv((slopes[0] * weight) @ slopes[0].T, hermitian=True)
    moved = bend @ (slopes[0] * pull)
    error = np.sqrt((moved**2).sum(axis=1))
    return np.abs(moved / np.maximum(error, 1e-300)[:, None]).max(axis=0)
