"""Scaling laws: which formulas there are, what their symbols mean, and how each is evaluated and differentiated.

Start at `LAWS` and `law(name)`. A law predicts a loss from model parameters N and training tokens D. Its *symbols* are
what the literature prints (`A B E alpha beta`); its *coordinates* are what a fit moves: one real vector, bounded, in
which every law here is smooth. A `Frame` ties the two together for one set of runs, so that a change of the unit of N,
of D or of the loss changes the symbols exactly as it must and leaves the coordinates alone.

What always holds: `law.symbols` names everything `predict` needs; `predict` and `token_slope` broadcast over symbols
given as arrays, so that bootstrap draws are evaluated in one call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quality.mistakes import BadInput, Mistake

Floats = NDArray[np.float64]

MAX_EXPONENT = 5.0
"""Exponents are sought up to here; measured ones of N and D lie below 1.4.

Source: the per-language exponents in arXiv 2512.13472, Figure 2 (largest 1.350), and Hoffmann et al., arXiv 2203.15556.
"""
MIN_EXPONENT = 0.01
"""Below this a power law changes by less than 5% over a factor of 100 and cannot be told from a constant."""
SMALLEST_TERM = 1e-4
"""A term this small a fraction of the loss is a tenth of the Huber threshold (1e-3): invisible to the objective."""
LARGEST_TERM = 20.0
"""A term may reach this multiple of the largest loss, at the smallest N or D among the runs."""


@dataclass(frozen=True)
class Points:
    """The runs a law is fitted to.

    Args:
        params: N, parameters, shape (n,).
        tokens: D, training tokens, shape (n,).
        loss: In one unit, shape (n,).
    """

    params: Floats
    tokens: Floats
    loss: Floats

    def __len__(self) -> int:
        return len(self.loss)

    def take(self, rows: NDArray[np.intp]) -> Points:
        """Return the points at some positions."""
        return Points(self.params[rows], self.tokens[rows], self.loss[rows])


@dataclass(frozen=True)
class Frame:
    """Where the coordinates of a law have their origin, for one set of runs.

    Args:
        log_params: Natural log of the smallest N.
        log_tokens: Natural log of the smallest D.
        log_loss: Natural log of the geometric mean loss.
        log_lowest: Natural log of the smallest loss.
        log_highest: Natural log of the largest loss.
    """

    log_params: float
    log_tokens: float
    log_loss: float
    log_lowest: float
    log_highest: float


def frame(points: Points) -> Frame:
    """Return the frame of a set of runs."""
    log_loss = np.log(points.loss)
    return Frame(
        float(np.log(points.params).min()),
        float(np.log(points.tokens).min()),
        float(log_loss.mean()),
        float(log_loss.min()),
        float(log_loss.max()),
    )


class Law(ABC):
    """A formula for the loss, its symbols, and its coordinates.

    Attributes:
        name: What `--law` takes.
        title: What a page prints.
        formula: In the notation of its symbols.
        source: Where the formula comes from.
        symbols: Names of the estimates, in the order of printing.
        coordinates: Names of the coordinates that bounds are reported by: the symbol each one decides.
        scales: Symbols that are positive and span orders of magnitude (their intervals are judged as ratios).
    """

    name: str
    title: str
    formula: str
    source: str
    symbols: tuple[str, ...]
    coordinates: tuple[str, ...]
    scales: tuple[str, ...]

    @abstractmethod
    def bounds(self, origin: Frame) -> Floats:
        """Return lower and upper bounds of the coordinates, shape (P, 2)."""

    @abstractmethod
    def starts(self, points: Points, origin: Frame, weights: Floats, count: int) -> Floats:
        """Return starting coordinates for every row of weights, best guess first, shape (M, count, P).

        Args:
            points: The runs.
            origin: Their frame.
            weights: How often each run counts, shape (M, n).
            count: Starts for each row of weights.
        """

    @abstractmethod
    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, n, P).

        Args:
            theta: Coordinates, shape (M, P).
            points: Where to evaluate.
            origin: The frame the coordinates are in.
        """

    def curvature(self, theta: Floats, points: Points, origin: Frame, pull: Floats, slopes: Floats) -> Floats:
        """Return the Hessian of `sum_n pull * log_loss` by the coordinates, shape (M, P, P).

        This default differentiates `log_loss`'s derivative numerically; a law overrides it where it knows better.

        Args:
            theta: Coordinates, shape (M, P).
            points: The runs.
            origin: The frame the coordinates are in.
            pull: Weight of each point, shape (M, n).
            slopes: The derivative that `log_loss` returned there, shape (M, n, P).
        """
        del slopes
        step = 1e-5
        size = theta.shape[1]
        columns: list[Floats] = []
        for index in range(size):
            shift = np.zeros(size)
            shift[index] = step
            up = self.log_loss(theta + shift, points, origin)[1]
            down = self.log_loss(theta - shift, points, origin)[1]
            columns.append(((up - down) / (2 * step) * pull[:, :, None]).sum(axis=1))
        hessian = np.stack(columns, axis=2)
        return (hessian + hessian.transpose(0, 2, 1)) / 2

    @abstractmethod
    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates: each of shape (M,) for coordinates of shape (M, P)."""

    @abstractmethod
    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols, shape (M, P); the inverse of `to_symbols`."""

    @abstractmethod
    def predict(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, tokens: ArrayLike) -> Floats:
        """Return the loss at N parameters and D tokens; everything broadcasts."""

    @abstractmethod
    def token_slope(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, tokens: ArrayLike) -> Floats:
        """Return the derivative of the loss by D (never positive); everything broadcasts."""

    @abstractmethod
    def floor(self, symbols: Mapping[str, ArrayLike], params: ArrayLike) -> Floats:
        """Return the loss that N parameters approach as D grows without limit; everything broadcasts."""

    @abstractmethod
    def tokens_for(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, loss: ArrayLike) -> Floats:
        """Return the D at which N parameters reach a loss, NaN where none does; everything broadcasts."""


class _PowerTerms(Law):
    """Laws of the form (a power of N) + (a power of D) + (a constant), in whatever symbols.

    Coordinates: log of the N term at the smallest N, log of the D term at the smallest D, log of the constant (all
    relative to the mean loss), exponent of N, exponent of D. In them log loss is a log-sum-exp of linear functions.
    """

    @abstractmethod
    def _terms(self, symbols: Mapping[str, ArrayLike]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Return log coefficient of N, of D, the constant, exponent of N, of D, so that L = sum of e^log_c x^-exp."""

    @abstractmethod
    def _from_terms(
        self, log_a: Floats, log_b: Floats, floor: Floats, alpha: Floats, beta: Floats
    ) -> dict[str, Floats]:
        """Return the symbols of such coefficients."""

    def bounds(self, origin: Frame) -> Floats:
        """Return lower and upper bounds of the coordinates, shape (P, 2)."""
        low = origin.log_lowest - origin.log_loss + np.log(SMALLEST_TERM)
        high = origin.log_highest - origin.log_loss + np.log(LARGEST_TERM)
        floor_high = origin.log_highest - origin.log_loss
        exponent = (MIN_EXPONENT, MAX_EXPONENT)
        return np.array([(low, high), (low, high), (low, floor_high), exponent, exponent])

    def starts(self, points: Points, origin: Frame, weights: Floats, count: int) -> Floats:
        """Return starting coordinates by variable projection.

        For each pair of exponents on a grid the three coefficients are a linear least-squares problem in the relative
        error; the pairs with the smallest error start the fit, no two of them neighbours on the grid.

        Source: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413-432.
        """
        exponents = _EXPONENT_GRID
        u = np.log(points.params) - origin.log_params
        v = np.log(points.tokens) - origin.log_tokens
        scaled = np.exp(origin.log_loss - np.log(points.loss))
        left = np.exp(-np.outer(exponents, u)) * scaled
        right = np.exp(-np.outer(exponents, v)) * scaled
        pairs = [(i, j) for i in range(len(exponents)) for j in range(len(exponents))]
        first, second = np.array(pairs).T
        columns = np.stack([left[first], right[second], np.broadcast_to(scaled, (len(pairs), len(u)))], axis=2)
        products = np.einsum("gna,gnb->ngab", columns, columns).reshape(len(u), -1)
        gram = (weights @ products).reshape(len(weights), len(pairs), 3, 3)
        target = (weights @ columns.transpose(1, 0, 2).reshape(len(u), -1)).reshape(len(weights), len(pairs), 3)
        total = weights.sum(axis=1)[:, None]
        coefficients, error = _non_negative(gram, target, total)
        chosen = _spread_out(error, len(exponents), count)
        limits = self.bounds(origin)
        rows = np.arange(len(weights))[:, None]
        with np.errstate(divide="ignore"):
            logs = np.log(coefficients[rows, chosen])
        theta = np.concatenate(
            [logs, exponents[first[chosen]][..., None], exponents[second[chosen]][..., None]], axis=2
        )
        return np.clip(theta, limits[:, 0] + 1.0 * (np.arange(5) < 3), limits[:, 1])

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, n, P)."""
        u = np.log(points.params) - origin.log_params
        v = np.log(points.tokens) - origin.log_tokens
        logs = np.stack(
            [
                theta[:, 0:1] - theta[:, 3:4] * u,
                theta[:, 1:2] - theta[:, 4:5] * v,
                np.broadcast_to(theta[:, 2:3], (len(theta), len(u))),
            ],
            axis=2,
        )
        peak = logs.max(axis=2, keepdims=True)
        parts = np.exp(logs - peak)
        total = parts.sum(axis=2, keepdims=True)
        parts /= total
        value = (peak + np.log(total))[:, :, 0] + origin.log_loss
        slopes = np.concatenate([parts, -parts[:, :, 0:1] * u[:, None], -parts[:, :, 1:2] * v[:, None]], axis=2)
        return value, slopes

    def curvature(self, theta: Floats, points: Points, origin: Frame, pull: Floats, slopes: Floats) -> Floats:
        """Return the Hessian of `sum_n pull * log_loss`, in closed form for a log-sum-exp of linear functions."""
        del theta  # the slopes are all that the second derivative of a log-sum-exp needs
        u = np.log(points.params) - origin.log_params
        v = np.log(points.tokens) - origin.log_tokens
        hessian = -((slopes * pull[:, :, None]).transpose(0, 2, 1) @ slopes)
        for term, exponent, x in ((0, 3, u), (1, 4, v)):
            share = pull * slopes[:, :, term]
            hessian[:, term, term] += share.sum(axis=1)
            cross = -(share @ x)
            hessian[:, term, exponent] += cross
            hessian[:, exponent, term] += cross
            hessian[:, exponent, exponent] += share @ (x * x)
        hessian[:, 2, 2] += (pull * slopes[:, :, 2]).sum(axis=1)
        return hessian

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates: each of shape (M,)."""
        alpha, beta = theta[:, 3], theta[:, 4]
        return self._from_terms(
            theta[:, 0] + origin.log_loss + alpha * origin.log_params,
            theta[:, 1] + origin.log_loss + beta * origin.log_tokens,
            np.exp(theta[:, 2] + origin.log_loss),
            alpha,
            beta,
        )

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols, shape (M, P)."""
        log_a, log_b, floor, alpha, beta = self._terms(symbols)
        columns = (
            log_a - origin.log_loss - alpha * origin.log_params,
            log_b - origin.log_loss - beta * origin.log_tokens,
            np.log(floor) - origin.log_loss,
            alpha,
            beta,
        )
        return np.stack(np.broadcast_arrays(*(np.atleast_1d(column) for column in columns)), axis=1)

    def predict(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, tokens: ArrayLike) -> Floats:
        """Return the loss at N parameters and D tokens; everything broadcasts."""
        _, log_b, _, _, beta = self._terms(symbols)
        return self.floor(symbols, params) + np.exp(log_b - beta * np.log(tokens))

    def token_slope(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, tokens: ArrayLike) -> Floats:
        """Return the derivative of the loss by D; everything broadcasts."""
        _, log_b, _, _, beta = self._terms(symbols)
        log_tokens = np.log(tokens)
        slope = -beta * np.exp(log_b - (beta + 1) * log_tokens)
        return np.broadcast_to(slope, np.broadcast_shapes(slope.shape, np.shape(params))).copy()

    def floor(self, symbols: Mapping[str, ArrayLike], params: ArrayLike) -> Floats:
        """Return the loss that N parameters approach as D grows without limit; everything broadcasts."""
        log_a, _, floor, alpha, _ = self._terms(symbols)
        return np.asarray(floor + np.exp(log_a - alpha * np.log(params)))

    def tokens_for(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, loss: ArrayLike) -> Floats:
        """Return the D at which N parameters reach a loss, NaN where none does; everything broadcasts."""
        _, log_b, _, _, beta = self._terms(symbols)
        left = np.asarray(loss) - self.floor(symbols, params)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(left > 0, np.exp((log_b - np.log(left)) / beta), np.nan)


@final
class Chinchilla(_PowerTerms):
    """L = E + A / N^alpha + B / D^beta."""

    name = "chinchilla"
    title = "Chinchilla"
    formula = "L(N, D) = E + A / N^alpha + B / D^beta"
    source = "Hoffmann et al., arXiv 2203.15556, approach 3; fitted as in Besiroglu et al., arXiv 2404.10102"
    symbols = ("A", "B", "E", "alpha", "beta")
    coordinates = ("A", "B", "E", "alpha", "beta")
    scales = ("A", "B")

    def _terms(self, symbols: Mapping[str, ArrayLike]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        a, b, floor, alpha, beta = (np.asarray(symbols[name], dtype=np.float64) for name in self.symbols)
        return np.log(a), np.log(b), floor, alpha, beta

    def _from_terms(
        self, log_a: Floats, log_b: Floats, floor: Floats, alpha: Floats, beta: Floats
    ) -> dict[str, Floats]:
        return {"A": np.exp(log_a), "B": np.exp(log_b), "E": floor, "alpha": alpha, "beta": beta}


@final
class Monolingual(_PowerTerms):
    """L = (Nc / N)^aN + (Dc / D)^aD + Linf: Chinchilla's curves, in other symbols."""

    name = "monolingual"
    title = "Monolingual"
    formula = "L(N, D) = (Nc / N)^aN + (Dc / D)^aD + Linf"
    source = "arXiv 2512.13472, equation 1, one law a language"
    symbols = ("Nc", "Dc", "Linf", "aN", "aD")
    coordinates = ("Nc", "Dc", "Linf", "aN", "aD")
    scales = ("Nc", "Dc")

    def _terms(self, symbols: Mapping[str, ArrayLike]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        nc, dc, floor, alpha, beta = (np.asarray(symbols[name], dtype=np.float64) for name in self.symbols)
        return alpha * np.log(nc), beta * np.log(dc), floor, alpha, beta

    def _from_terms(
        self, log_a: Floats, log_b: Floats, floor: Floats, alpha: Floats, beta: Floats
    ) -> dict[str, Floats]:
        # An exponent near 0 sends Nc beyond what a float holds; the clip keeps such a draw a number.
        limit = np.log(np.finfo(np.float64).max) - 1
        nc = np.exp(np.clip(log_a / alpha, -limit, limit))
        dc = np.exp(np.clip(log_b / beta, -limit, limit))
        return {"Nc": nc, "Dc": dc, "Linf": floor, "aN": alpha, "aD": beta}


LAWS: dict[str, Law] = {row.name: row for row in (Chinchilla(), Monolingual())}


def law(name: str) -> Law:
    """Return a law by its name.

    Raises:
        BadInput: No such law.
    """
    if name not in LAWS:
        raise BadInput([unknown_law(name)])
    return LAWS[name]


_EXPONENT_GRID: Floats = np.geomspace(0.03, 2.5, 20)
_SUBSETS: tuple[tuple[int, ...], ...] = ((0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,))


def _non_negative(gram: Floats, target: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Solve many 3-column non-negative least-squares problems exactly, by trying every set of positive columns.

    Args:
        gram: X'WX, shape (M, G, 3, 3).
        target: X'Wy, shape (M, G, 3).
        total: y'Wy, shape (M, 1).

    Returns:
        Coefficients, shape (M, G, 3), and the remaining squared error, shape (M, G).
    """
    best = np.full(target.shape[:2], np.inf)
    coefficients = np.zeros(target.shape)
    for subset in _SUBSETS:
        columns = np.array(subset)
        part = gram[:, :, columns[:, None], columns]
        side = target[:, :, columns]
        trace = np.trace(part, axis1=2, axis2=3)[..., None, None]
        solution = np.linalg.solve(part + 1e-12 * trace * np.eye(len(subset)), side[..., None])[..., 0]
        fits = (
            total - 2 * (solution * side).sum(axis=2) + (solution[..., None, :] @ part @ solution[..., None])[..., 0, 0]
        )
        better = (solution > 0).all(axis=2) & (fits < best)
        best = np.where(better, fits, best)
        wide = np.zeros(target.shape)
        wide[:, :, columns] = solution
        coefficients = np.where(better[..., None], wide, coefficients)
    return coefficients, best


def _spread_out(error: Floats, side: int, count: int) -> NDArray[np.intp]:
    """Return the `count` best cells of a side x side grid for each row, striking out the neighbours of each choice."""
    remaining = error.reshape(len(error), side, side).copy()
    rows = np.arange(len(error))
    chosen: list[Any] = []
    for _ in range(count):
        flat = remaining.reshape(len(error), -1).argmin(axis=1)
        chosen.append(flat)
        i, j = np.divmod(flat, side)
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                remaining[rows, np.clip(i + di, 0, side - 1), np.clip(j + dj, 0, side - 1)] = np.inf
    return np.stack(chosen, axis=1)


def unknown_law(name: str) -> Mistake:
    """Return the mistake of naming a law that there is not."""
    return Mistake("--law", f"{name!r} is not a law; known: {', '.join(LAWS)}")
