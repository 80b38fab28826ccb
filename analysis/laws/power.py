"""Laws that are a power of N, a power of D and a constant: Chinchilla's curves, in everybody's symbols.

In the coordinates used here the log loss is a log-sum-exp of linear functions, so its value, slopes and curvature cost
two exponentials and a logarithm a run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.base import LARGEST_TERM, MAX_EXPONENT, MIN_EXPONENT, SMALLEST_TERM, Floats, Frame, Law, Points

BILLION = 1e9


class PowerTerms(Law):
    """Laws of the form (a power of N) + (a power of D) + (a constant), in whatever symbols.

    Coordinates: log of the N term at the smallest N, log of the D term at the smallest D, log of the constant (all
    relative to the mean loss), exponent of N, exponent of D.
    """

    exact_curvature = True

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
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        u = np.log(points.params) - origin.log_params
        v = np.log(points.tokens) - origin.log_tokens
        # Relative to the constant: bounds keep both terms within a factor of e^15 of it, so nothing overflows.
        slopes = np.empty((len(theta), 5, len(u)))
        first = np.exp(theta[:, 0:1] - theta[:, 2:3] - theta[:, 3:4] * u, out=slopes[:, 0])
        second = np.exp(theta[:, 1:2] - theta[:, 2:3] - theta[:, 4:5] * v, out=slopes[:, 1])
        total = 1 + first + second
        value = np.log(total)
        value += theta[:, 2:3] + origin.log_loss
        np.divide(1, total, out=slopes[:, 2])
        first *= slopes[:, 2]
        second *= slopes[:, 2]
        np.multiply(first, -u, out=slopes[:, 3])
        np.multiply(second, -v, out=slopes[:, 4])
        return value, slopes

    def curvature(self, theta: Floats, points: Points, origin: Frame, pull: Floats, slopes: Floats) -> Floats:
        """Return the Hessian of `sum_n pull * log_loss`, in closed form for a log-sum-exp of linear functions."""
        del theta  # the slopes are all that the second derivative of a log-sum-exp needs
        u = np.log(points.params) - origin.log_params
        v = np.log(points.tokens) - origin.log_tokens
        hessian = -((slopes * pull[:, None, :]) @ slopes.transpose(0, 2, 1))
        for term, exponent, x in ((0, 3, u), (1, 4, v)):
            share = pull * slopes[:, term]
            hessian[:, term, term] += share.sum(axis=1)
            cross = share @ x
            hessian[:, term, exponent] -= cross
            hessian[:, exponent, term] -= cross
            hessian[:, exponent, exponent] += share @ (x * x)
        hessian[:, 2, 2] += (pull * slopes[:, 2]).sum(axis=1)
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

    def predict(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the loss at N parameters and D tokens; everything broadcasts."""
        del shares, unique
        _, log_b, _, _, beta = self._terms(symbols)
        return self.floor(symbols, params) + np.exp(log_b - beta * np.log(tokens))

    def token_slope(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the derivative of the loss by D; everything broadcasts."""
        del shares, unique
        _, log_b, _, _, beta = self._terms(symbols)
        log_tokens = np.log(tokens)
        slope = -beta * np.exp(log_b - (beta + 1) * log_tokens)
        return np.broadcast_to(slope, np.broadcast_shapes(slope.shape, np.shape(params))).copy()

    def floor(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, shares: ArrayLike | None = None) -> Floats:
        """Return the loss that N parameters approach as D grows without limit; everything broadcasts."""
        del shares
        log_a, _, floor, alpha, _ = self._terms(symbols)
        return np.asarray(floor + np.exp(log_a - alpha * np.log(params)))

    def tokens_for(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        loss: ArrayLike,
        shares: ArrayLike | None = None,
    ) -> Floats:
        """Return the D at which N parameters reach a loss, NaN where none does; everything broadcasts."""
        del shares
        _, log_b, _, _, beta = self._terms(symbols)
        left = np.asarray(loss) - self.floor(symbols, params)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(left > 0, np.exp((log_b - np.log(left)) / beta), np.nan)


@final
class Chinchilla(PowerTerms):
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
class Monolingual(PowerTerms):
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


class _InBillions(PowerTerms):
    """L = A N^-alpha + B D^-beta + Linf with N and D in billions, the form of the paper's translation laws."""

    symbols = ("A", "B", "Linf", "alpha", "beta")
    coordinates = ("A", "B", "Linf", "alpha", "beta")
    scales = ("A", "B")

    def _terms(self, symbols: Mapping[str, ArrayLike]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        a, b, floor, alpha, beta = (np.asarray(symbols[name], dtype=np.float64) for name in self.symbols)
        unit = np.log(BILLION)
        return np.log(a) + alpha * unit, np.log(b) + beta * unit, floor, alpha, beta

    def _from_terms(
        self, log_a: Floats, log_b: Floats, floor: Floats, alpha: Floats, beta: Floats
    ) -> dict[str, Floats]:
        unit = np.log(BILLION)
        return {
            "A": np.exp(log_a - alpha * unit),
            "B": np.exp(log_b - beta * unit),
            "Linf": floor,
            "alpha": alpha,
            "beta": beta,
        }


@final
class Translation(_InBillions):
    """Loss of translating in directions that were trained on in pairs."""

    name = "translation"
    title = "Translation, seen directions"
    formula = "L(N, D) = A N^-alpha + B D^-beta + Linf, N and D in billions"
    source = "arXiv 2512.13472, equation 4"


@final
class ZeroShot(_InBillions):
    """Loss of translating without any aligned pair in training."""

    name = "zero-shot"
    title = "Translation, nothing aligned"
    formula = "L(N, D) = A N^-alpha + B D^-beta + Linf, N and D in billions"
    source = "arXiv 2512.13472, equation 3"


@final
class ZeroShotTranslation(_InBillions):
    """Loss of translating in directions that no pair in training had, where other directions were paired."""

    name = "zero-shot-translation"
    title = "Translation, unseen directions"
    formula = "L(N, D) = A N^-alpha + B D^-beta + Linf, N and D in billions"
    source = "arXiv 2512.13472, equation 5"


_EXPONENT_GRID: Floats = np.geomspace(0.03, 2.5, 14)
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
