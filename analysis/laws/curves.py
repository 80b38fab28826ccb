"""Laws of N and D whose terms do not simply add: Skaling, Farseer, and tokens that are repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from analysis.laws.base import (
    MAX_EXPONENT,
    MIN_EXPONENT,
    Coordinate,
    Curve,
    Floats,
    Frame,
    Inputs,
)

_EXPONENT = (MIN_EXPONENT, MAX_EXPONENT, 0.35, 0.25)
_TERM = (-12.0, 4.0)


def _arrays(symbols: Mapping[str, ArrayLike], names: Sequence[str]) -> list[Floats]:
    return [np.atleast_1d(np.asarray(symbols[name], dtype=np.float64)) for name in names]


def _stacked(columns: Sequence[Any]) -> Floats:
    return np.stack(np.broadcast_arrays(*columns), axis=1)


@final
class Skaling(Curve):
    """L = E + (A / N^a + B / D^b)^k: one power of the sum of both terms.

    The constant and the exponents are Chinchilla's; the power of the whole sum couples N and D as in Kaplan et al.
    (arXiv 2001.08361, equation 1.5). The formula is stated here as it was told; the paper's text was not at hand.
    """

    name = "skaling"
    title = "Skaling"
    formula = "L(N, D) = E + (A / N^a + B / D^b)^k"
    source = "Skaling: Chinchilla's Exponents Meet Kaplan's Coupling, arXiv 2608.07222; with k = 1 it is Chinchilla"
    symbols = ("A", "B", "E", "a", "b", "k")
    coordinates = symbols
    scales = ("A", "B")
    rows = (
        Coordinate("A", *_TERM, -1.2, 0.7),
        Coordinate("B", *_TERM, -1.2, 0.7),
        Coordinate("E", -12.0, 1.0, -0.7, 0.5),
        Coordinate("a", *_EXPONENT),
        Coordinate("b", *_EXPONENT),
        Coordinate("k", 0.1, 4.0, 1.0, 0.3),
    )

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del points, origin
        a, b, e, alpha, beta, k = theta
        return np.log(np.exp(e) + (np.exp(a - alpha * u) + np.exp(b - beta * v)) ** k)

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates."""
        a, b, e, alpha, beta, k = theta.T
        return {
            "A": np.exp(a + origin.log_loss / k + alpha * origin.log_params),
            "B": np.exp(b + origin.log_loss / k + beta * origin.log_tokens),
            "E": np.exp(e + origin.log_loss),
            "a": alpha,
            "b": beta,
            "k": k,
        }

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols."""
        a, b, e, alpha, beta, k = _arrays(symbols, self.symbols)
        return _stacked(
            (
                np.log(a) - origin.log_loss / k - alpha * origin.log_params,
                np.log(b) - origin.log_loss / k - beta * origin.log_tokens,
                np.log(e) - origin.log_loss,
                alpha,
                beta,
                k,
            )
        )


@final
class Farseer(Curve):
    """L = exp(s N^q + S) + exp(B N^b + Q) D^-exp(A N^a + E): how fast tokens help depends on the model's size.

    Coordinates: s, B and A at the smallest N, the three exponents, and the log of the constant, of the D term and of
    its exponent at the smallest N and D.
    """

    name = "farseer"
    title = "Farseer"
    formula = "L(N, D) = exp(s N^q + S) + exp(B N^b + Q) D^-exp(A N^a + E)"
    source = "Li et al., arXiv 2506.10972"
    symbols = ("s", "q", "S", "B", "b", "Q", "A", "a", "E")
    coordinates = symbols
    scales = ("B",)
    signed = frozenset({"s", "S", "B", "b", "Q", "A", "E"})
    rows = (
        Coordinate("s", -8.0, 8.0, -0.3, 0.3),
        Coordinate("q", 0.02, 1.0, 0.15, 0.1),
        Coordinate("S", -12.0, 3.0, -0.4, 0.4),
        Coordinate("B", -40.0, 40.0, 1.0, 1.0),
        Coordinate("b", -1.0, -0.02, -0.1, 0.05),
        Coordinate("Q", -12.0, 4.0, -1.0, 0.5),
        Coordinate("A", -8.0, 8.0, -0.2, 0.3),
        Coordinate("a", 0.02, 1.0, 0.12, 0.1),
        Coordinate("E", -4.0, 1.5, -0.8, 0.4),
    )

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del points
        s, q, constant, b, beta, term, a, alpha, exponent = theta
        steep = np.exp(exponent + a * (np.exp(alpha * u) - 1))
        log_first = constant + s * (np.exp(q * u) - 1)
        log_second = term + b * (np.exp(beta * u) - 1) - (steep - np.exp(exponent)) * origin.log_tokens - steep * v
        return np.log(np.exp(log_first) + np.exp(log_second))

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates."""
        s, q, constant, b, beta, term, a, alpha, exponent = theta.T
        return {
            "s": s * np.exp(-q * origin.log_params),
            "q": q,
            "S": constant - s + origin.log_loss,
            "B": b * np.exp(-beta * origin.log_params),
            "b": beta,
            "Q": term - b + np.exp(exponent) * origin.log_tokens + origin.log_loss,
            "A": a * np.exp(-alpha * origin.log_params),
            "a": alpha,
            "E": exponent - a,
        }

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols."""
        s, q, constant, b, beta, term, a, alpha, exponent = _arrays(symbols, self.symbols)
        s = s * np.exp(q * origin.log_params)
        b = b * np.exp(beta * origin.log_params)
        a = a * np.exp(alpha * origin.log_params)
        return _stacked(
            (
                s,
                q,
                constant + s - origin.log_loss,
                b,
                beta,
                term + b - np.exp(exponent + a) * origin.log_tokens - origin.log_loss,
                a,
                alpha,
                exponent + a,
            )
        )


@final
class Repetition(Curve):
    """L = E + A / N^alpha + B / D'^beta, where D' is what D tokens are worth of which only U are unique.

    With R = D / U - 1 repetitions, D' = U + U R* (1 - exp(-R / R*)). Runs without a count of unique tokens repeat none.
    """

    name = "repetition"
    title = "Repetition"
    formula = "L(N, D) = E + A / N^alpha + B / D'^beta, D' = U (1 + Rstar (1 - exp(-(D / U - 1) / Rstar)))"
    source = "Muennighoff et al., arXiv 2305.16264 (the data term; R* = 15.39 there)"
    symbols = ("A", "B", "E", "alpha", "beta", "Rstar")
    coordinates = symbols
    scales = ("A", "B", "Rstar")
    needs = ("unique",)
    rows = (
        Coordinate("A", *_TERM, -1.2, 0.7),
        Coordinate("B", *_TERM, -1.2, 0.7),
        Coordinate("E", -12.0, 1.0, -0.7, 0.5),
        Coordinate("alpha", *_EXPONENT),
        Coordinate("beta", *_EXPONENT),
        Coordinate("Rstar", float(np.log(0.1)), float(np.log(1e4)), float(np.log(15.39)), 1.0),
    )

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        a, b, e, alpha, beta, decay = theta
        worth = v
        if points.unique is not None:
            repeats = np.exp(v + origin.log_tokens) / points.unique - 1
            held = np.exp(decay)
            gain = np.log(1 + held * (1 - np.exp(-np.where(np.real(repeats) > 0, repeats, 0) / held)))
            worth = np.where(np.real(repeats) > 0, np.log(points.unique) - origin.log_tokens + gain, v)
        return np.log(np.exp(e) + np.exp(a - alpha * u) + np.exp(b - beta * worth))

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates."""
        a, b, e, alpha, beta, decay = theta.T
        return {
            "A": np.exp(a + origin.log_loss + alpha * origin.log_params),
            "B": np.exp(b + origin.log_loss + beta * origin.log_tokens),
            "E": np.exp(e + origin.log_loss),
            "alpha": alpha,
            "beta": beta,
            "Rstar": np.exp(decay),
        }

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols."""
        a, b, e, alpha, beta, decay = _arrays(symbols, self.symbols)
        return _stacked(
            (
                np.log(a) - origin.log_loss - alpha * origin.log_params,
                np.log(b) - origin.log_loss - beta * origin.log_tokens,
                np.log(e) - origin.log_loss,
                alpha,
                beta,
                np.log(decay),
            )
        )
