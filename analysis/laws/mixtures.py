"""Laws of one text's loss that read the shares of the sources a model was trained on.

Each is bound to the names of its sources (`law.bind(sources, target)`), which then stand in its symbols: `C.python`.
Runs on a mixture have N, D (tokens of all sources together), and shares h that sum to 1.

What always holds: a share of 0 has a value wherever the formula has one. `log_loss` gives the slopes in closed form,
and the same formula, stated once more for complex numbers in `relative`, gives all other derivatives.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Self, final

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
    Points,
)

_TERM = (-12.0, 4.0)
_SIZE = (
    Coordinate("E", -12.0, 1.0, -0.4, 0.4),
    Coordinate("A", *_TERM, -1.6, 0.6),
    Coordinate("B", *_TERM, -1.6, 0.6),
    Coordinate("alpha", MIN_EXPONENT, MAX_EXPONENT, 0.25, 0.1, (0.2, 0.1)),
    Coordinate("beta", MIN_EXPONENT, MAX_EXPONENT, 0.6, 0.25),
)
"""E, A, B, alpha and beta of every mixture law: terms relative to the mean loss at the smallest N and D.

Runs of two sizes fix a line in N, not a curve: E and alpha are then free to trade. The prior on alpha, which weighs as
much as a run that is off by 2%, decides there and nowhere else; it lies midway between 0.076 (Kaplan et al., arXiv
2001.08361, without a constant) and 0.34 (Hoffmann et al., arXiv 2203.15556).
"""


class MixtureLaw(Curve):
    """A law bound to the names of its sources.

    Args:
        sources: Names of the sources, in the order of the shares.
        target: Which of them the loss is measured on, or None where it is another text.
    """

    needs = ("shares",)

    def __init__(self, sources: Sequence[str] = (), target: str | None = None) -> None:
        self.sources = tuple(sources)
        self.target = target
        self.rows = self._rows()
        self.symbols = tuple(row.name for row in self.rows)
        self.coordinates = self.symbols
        self.signed = frozenset(
            row.name for row in self.rows if row.low <= 0 and row.name.partition(".")[0] not in self._logs
        )
        self.scales = tuple(name for name in self.symbols if name in ("A", "B") or name.startswith(("C", "k.")))

    def bind(self, sources: Sequence[str], target: str | None) -> Self:
        """Return the law for runs on these sources.

        Args:
            sources: Names of the columns of shares.
            target: Which source the loss is measured on, or None where it is another text.
        """
        return type(self)(sources, target)

    @abstractmethod
    def _rows(self) -> tuple[Coordinate, ...]:
        """Return the coordinates, given the sources."""

    def _each(self, name: str, low: float, high: float, start: float, spread: float) -> tuple[Coordinate, ...]:
        return tuple(Coordinate(f"{name}.{source}", low, high, start, spread) for source in self.sources)

    def _own(self) -> int:
        if self.target not in self.sources:
            raise ValueError(
                f"{self.name} needs to know which source the loss is measured on: {self.target!r} is not one of"
                f" {', '.join(self.sources)}"
            )
        return self.sources.index(str(self.target))

    # What each coordinate is in symbols: a log, relative to loss, N and D of the frame; or itself.
    _logs: tuple[str, ...] = ("E", "A", "B", "C")
    _losses: Mapping[str, float] = {"E": 1.0, "A": 1.0, "B": 1.0, "C": -1.0}

    def _shift(self, exponents: Mapping[str, Any], origin: Frame) -> dict[str, Any]:
        """Return what the logs of symbols have beyond their coordinates, by the first part of their names."""
        shift = {name: factor * origin.log_loss for name, factor in self._losses.items()}
        shift["A"] = shift.get("A", 0.0) + exponents.get("alpha", 0.0) * origin.log_params
        shift["B"] = (
            shift.get("B", 0.0)
            + exponents.get("beta", 0.0) * origin.log_tokens
            - exponents.get("kappa", 0.0) * origin.log_params
        )
        return shift

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates."""
        found = dict(zip(self.symbols, theta.T, strict=True))
        shift = self._shift(found, origin)
        limit = np.log(np.finfo(np.float64).max) - 1
        return {
            name: np.exp(np.clip(value + shift.get(name.partition(".")[0], 0.0), -limit, limit))
            if name.partition(".")[0] in self._logs
            else value
            for name, value in found.items()
        }

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols."""
        given = {name: np.atleast_1d(np.asarray(symbols[name], dtype=np.float64)) for name in self.symbols}
        shift = self._shift(given, origin)
        columns = [
            np.log(value) - shift.get(name.partition(".")[0], 0.0) if name.partition(".")[0] in self._logs else value
            for name, value in given.items()
        ]
        return np.stack(np.broadcast_arrays(*columns), axis=1)


class _Worked:
    """Runs as the closed-form slopes need them: u, v, and the logs of shares with 0 where there is none."""

    def __init__(self, points: Points, origin: Frame) -> None:
        shares = points.shares if points.shares is not None else np.zeros((len(points), 0))
        self.u = np.log(points.params) - origin.log_params
        self.v = np.log(points.tokens) - origin.log_tokens
        self.some = (shares > 0).T
        self.log_shares = np.where(self.some, np.log(np.where(self.some, shares.T, 1.0)), 0.0)
        self.shares = shares.T

    def powers(self, scale: Floats, exponent: Floats | float) -> tuple[Floats, Floats]:
        """Return log of sum_j e^c_j h_j^g_j, shape (M, n), and each source's part of the sum, shape (M, K, n).

        Args:
            scale: c, shape (M, K).
            exponent: g, shape (M, K), or one number.
        """
        power = (
            exponent[:, :, None] * self.log_shares if isinstance(exponent, np.ndarray) else exponent * self.log_shares
        )
        parts = np.where(self.some, np.exp(scale[:, :, None] + power), 0.0)
        total = parts.sum(axis=1)
        np.maximum(total, 1e-300, out=total)
        parts /= total[:, None, :]
        return np.log(total), parts


def _size(theta: Floats, work: _Worked, kappa: Floats | None = None) -> tuple[Floats, Floats]:
    """Return log of E + A / N^alpha + B N^kappa / D^beta, (M, n), and its slopes by E, A, B, alpha, beta, (M, 5, n)."""
    slopes = np.empty((len(theta), 5, len(work.u)))
    first = np.exp(theta[:, 1:2] - theta[:, 3:4] * work.u, out=slopes[:, 1])
    log_second = theta[:, 2:3] - theta[:, 4:5] * work.v
    if kappa is not None:
        log_second += kappa * work.u
    second = np.exp(log_second, out=slopes[:, 2])
    constant = np.exp(theta[:, 0:1])
    total = constant + first + second
    np.divide(constant, total, out=slopes[:, 0])
    first /= total
    second /= total
    np.multiply(first, -work.u, out=slopes[:, 3])
    np.multiply(second, -work.v, out=slopes[:, 4])
    return np.log(total), slopes


def _log_size(theta: Sequence[Any], u: Any, v: Any, kappa: Any = 0.0) -> Any:
    """Return the same as `_size` for numbers that may be complex, without slopes."""
    e, a, b, alpha, beta = theta[:5]
    return np.log(np.exp(e) + np.exp(a - alpha * u) + np.exp(b - beta * v + kappa * u))


def _sum(scales: Sequence[Any], exponents: Sequence[Any], points: Inputs) -> Any:
    """Return sum_j e^c_j h_j^g_j for numbers that may be complex."""
    return sum(
        np.exp(scale) * points.power(index, exponent)
        for index, (scale, exponent) in enumerate(zip(scales, exponents, strict=True))
    )


@final
class Additive(MixtureLaw):
    """L = E + A / N^alpha + B / D^beta + 1 / sum_j C_j h_j^gamma_j: the mixture moves the constant."""

    name = "additive"
    title = "Additive mixture law"
    formula = "L(N, D, h) = E + A / N^alpha + B / D^beta + 1 / sum_j C_j h_j^gamma_j"
    source = "Shukor et al., arXiv 2507.09404"

    def _rows(self) -> tuple[Coordinate, ...]:
        return (*_SIZE, *self._each("C", -8.0, 9.0, 2.0, 1.0), *self._each("gamma", 0.02, 4.0, 0.5, 0.25))

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del origin
        k = len(self.sources)
        return np.log(np.exp(_log_size(theta, u, v)) + 1 / _sum(theta[5 : 5 + k], theta[5 + k :], points))

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        work, k = _Worked(points, origin), len(self.sources)
        size, by_size = _size(theta, work)
        total, parts = work.powers(theta[:, 5 : 5 + k], theta[:, 5 + k :])
        value = np.logaddexp(size, -total)
        mixed = np.exp(-total - value)
        slopes = np.empty((len(theta), 5 + 2 * k, len(points)))
        np.multiply(by_size, (1 - mixed)[:, None], out=slopes[:, :5])
        np.multiply(parts, -mixed[:, None], out=slopes[:, 5 : 5 + k])
        np.multiply(slopes[:, 5 : 5 + k], work.log_shares, out=slopes[:, 5 + k :])
        return value + origin.log_loss, slopes


@final
class Joint(MixtureLaw):
    """The additive law, with A and B that depend on the mixture too."""

    name = "joint"
    title = "Joint mixture law"
    formula = (
        "L(N, D, h) = E + (sum_j CA_j h_j)^gammaA / N^alpha + (sum_j CB_j h_j)^gammaB / D^beta"
        " + 1 / sum_j C_j h_j^gamma_j"
    )
    source = "Shukor et al., arXiv 2507.09404"
    _logs = ("E", "C", "CA", "CB")

    def _rows(self) -> tuple[Coordinate, ...]:
        return (
            _SIZE[0],
            *_SIZE[3:],
            *self._each("C", -8.0, 9.0, 2.0, 1.0),
            *self._each("gamma", 0.02, 4.0, 0.5, 0.25),
            *self._each("CA", -30.0, 20.0, -1.6, 0.5),
            Coordinate("gammaA", -3.0, 3.0, 1.0, 0.3),
            *self._each("CB", -30.0, 20.0, -1.6, 0.5),
            Coordinate("gammaB", -3.0, 3.0, 1.0, 0.3),
        )

    def _shift(self, exponents: Mapping[str, Any], origin: Frame) -> dict[str, Any]:
        return {
            "E": origin.log_loss,
            "C": -origin.log_loss,
            "CA": (origin.log_loss + exponents["alpha"] * origin.log_params) / exponents["gammaA"],
            "CB": (origin.log_loss + exponents["beta"] * origin.log_tokens) / exponents["gammaB"],
        }

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del origin
        k = len(self.sources)
        e, alpha, beta = theta[:3]
        c, gamma, rest = theta[3 : 3 + k], theta[3 + k : 3 + 2 * k], theta[3 + 2 * k :]
        by_n = _sum(rest[:k], [1.0] * k, points) ** rest[k] * np.exp(-alpha * u)
        by_d = _sum(rest[k + 1 : -1], [1.0] * k, points) ** rest[-1] * np.exp(-beta * v)
        return np.log(np.exp(e) + by_n + by_d + 1 / _sum(c, gamma, points))

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        work, k = _Worked(points, origin), len(self.sources)
        first, second = 3 + 2 * k, 4 + 3 * k
        log_n, parts_n = work.powers(theta[:, first : first + k], 1.0)
        log_d, parts_d = work.powers(theta[:, second : second + k], 1.0)
        total, parts = work.powers(theta[:, 3 : 3 + k], theta[:, 3 + k : first])
        power_n, power_d = theta[:, first + k, None], theta[:, second + k, None]
        terms = np.stack(
            [
                np.broadcast_to(theta[:, :1], total.shape),
                power_n * log_n - theta[:, 1:2] * work.u,
                power_d * log_d - theta[:, 2:3] * work.v,
                -total,
            ],
            axis=1,
        )
        value = np.logaddexp.reduce(terms, axis=1)
        weight = np.exp(terms - value[:, None])
        slopes = np.empty((len(theta), theta.shape[1], len(points)))
        slopes[:, 0] = weight[:, 0]
        slopes[:, 1] = -weight[:, 1] * work.u
        slopes[:, 2] = -weight[:, 2] * work.v
        np.multiply(parts, -weight[:, 3:4], out=slopes[:, 3 : 3 + k])
        np.multiply(slopes[:, 3 : 3 + k], work.log_shares, out=slopes[:, 3 + k : first])
        slopes[:, first : first + k] = parts_n * (weight[:, 1] * power_n)[:, None]
        slopes[:, first + k] = weight[:, 1] * log_n
        slopes[:, second : second + k] = parts_d * (weight[:, 2] * power_d)[:, None]
        slopes[:, second + k] = weight[:, 2] * log_d
        return value + origin.log_loss, slopes


@final
class Interaction(MixtureLaw):
    """A law of size in which larger models take more tokens to settle, times a factor of the mixture.

    kappa is what additive laws lack: with kappa > 0 the term of D is larger for larger models at the same D, as it is
    where D counts in tokens a parameter. The factor is above 1 and falls with every share.
    """

    name = "interaction"
    title = "Mixture law with interaction of size and tokens"
    formula = "L(N, D, h) = (E + A / N^alpha + B N^kappa / D^beta) (1 + 1 / sum_j C_j h_j^gamma_j)"
    source = "this project: the residuals of the additive law on runs of three sizes (LOG.md, 2026-11-29)"
    _losses: Mapping[str, float] = {"E": 1.0, "A": 1.0, "B": 1.0}

    def _rows(self) -> tuple[Coordinate, ...]:
        return (
            *_SIZE,
            Coordinate("kappa", -1.0, 2.0, 0.2, 0.15),
            *self._each("C", -8.0, 9.0, 1.0, 1.0),
            *self._each("gamma", 0.02, 4.0, 0.4, 0.25),
        )

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del origin
        k = len(self.sources)
        factor = 1 + 1 / _sum(theta[6 : 6 + k], theta[6 + k :], points)
        return _log_size(theta, u, v, theta[5]) + np.log(factor)

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        work, k = _Worked(points, origin), len(self.sources)
        slopes = np.empty((len(theta), 6 + 2 * k, len(points)))
        size, slopes[:, :5] = _size(theta, work, theta[:, 5:6])
        np.multiply(slopes[:, 2], work.u, out=slopes[:, 5])
        total, parts = work.powers(theta[:, 6 : 6 + k], theta[:, 6 + k :])
        factor = np.logaddexp(0, -total)
        mixed = np.exp(-total - factor)
        np.multiply(parts, -mixed[:, None], out=slopes[:, 6 : 6 + k])
        np.multiply(slopes[:, 6 : 6 + k], work.log_shares, out=slopes[:, 6 + k :])
        return size + factor + origin.log_loss, slopes


@final
class Transfer(MixtureLaw):
    """A language's own law with transfer: tokens of other languages count tau as much as its own."""

    name = "transfer"
    title = "Per-language law with transfer"
    formula = "L(N, D, h) = E + A / N^alpha + B / (D (h_own + sum_j tau_j h_j))^beta"
    source = "after ATLAS, arXiv 2510.22037: effective data of the other languages, without its terms of repetition"
    needs = ("shares", "target")
    _logs = ("E", "A", "B", "tau")

    def _rows(self) -> tuple[Coordinate, ...]:
        others = [source for source in self.sources if source != self.target]
        return (*_SIZE, *(Coordinate(f"tau.{source}", -12.0, 3.0, -1.5, 1.0) for source in others))

    def _scales(self, theta: Sequence[Any], zero: Any) -> list[Any]:
        own = self._own()
        return [*theta[5 : 5 + own], zero, *theta[5 + own :]]

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del origin
        effective = _sum(self._scales(theta, 0.0), [1.0] * len(self.sources), points)
        return _log_size(theta, u, v + np.log(effective))

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        work, own = _Worked(points, origin), self._own()
        scale = np.insert(theta[:, 5:], own, 0.0, axis=1)
        total, parts = work.powers(scale, 1.0)
        effective = work.v + total
        first = np.exp(theta[:, 1:2] - theta[:, 3:4] * work.u)
        second = np.exp(theta[:, 2:3] - theta[:, 4:5] * effective)
        constant = np.exp(theta[:, :1])
        whole = constant + first + second
        second_part = second / whole
        slopes = np.empty((len(theta), theta.shape[1], len(points)))
        slopes[:, 0] = constant / whole
        slopes[:, 1] = first / whole
        slopes[:, 2] = second_part
        slopes[:, 3] = -slopes[:, 1] * work.u
        slopes[:, 4] = -second_part * effective
        pull = -theta[:, 4:5] * second_part
        slopes[:, 5:] = np.delete(parts, own, axis=1) * pull[:, None]
        return np.log(whole) + origin.log_loss, slopes


@final
class He(MixtureLaw):
    """A law of N and D times a power of the language's own share."""

    name = "he"
    title = "Power of the own share"
    formula = "L(N, D, h) = (E + A / N^alpha + B / D^beta) h_own^-gamma"
    source = "He et al., arXiv 2410.12883"
    needs = ("shares", "target")
    needs_own_text = True
    _logs = ("E", "A", "B")

    def _rows(self) -> tuple[Coordinate, ...]:
        return (*_SIZE, Coordinate("gamma", -1.0, 2.0, 0.1, 0.1))

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del origin
        return _log_size(theta, u, v) - theta[5] * np.log(points.shares[..., self._own()])

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        work = _Worked(points, origin)
        own = work.log_shares[self._own()]
        slopes = np.empty((len(theta), 6, len(points)))
        size, slopes[:, :5] = _size(theta, work)
        slopes[:, 5] = -own
        return size - theta[:, 5:6] * own + origin.log_loss, slopes


@final
class Ye(MixtureLaw):
    """L = c + exp(sum_j t_j h_j), for runs of one N and D.

    As printed it has a factor k before the exponential; since shares sum to 1, k and a constant added to every t are
    the same, and no runs can tell them apart, so k is 1 here.
    """

    name = "ye"
    title = "Exponential of the shares"
    formula = "L(h) = c + exp(sum_j t_j h_j)"
    source = "Ye et al., arXiv 2403.16952"
    reads_size = False
    _logs = ("c",)
    _losses: Mapping[str, float] = {"c": 1.0}

    def _rows(self) -> tuple[Coordinate, ...]:
        return (Coordinate("c", -12.0, 1.0, -0.7, 0.5), *self._each("t", -60.0, 12.0, -1.0, 1.0))

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates."""
        found = super().to_symbols(theta, origin)
        return {name: value + origin.log_loss if name != "c" else value for name, value in found.items()}

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols."""
        moved = {name: np.asarray(symbols[name]) - (origin.log_loss if name != "c" else 0) for name in self.symbols}
        return super().to_coordinates(moved, origin)

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`."""
        del origin
        total = sum(t * points.shares[..., index] for index, t in enumerate(theta[1:]))
        return np.log(np.exp(theta[0]) + np.exp(total)) + 0 * u + 0 * v

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        work = _Worked(points, origin)
        mixed = theta[:, 1:] @ work.shares
        value = np.logaddexp(theta[:, :1], mixed)
        slopes = np.empty((len(theta), theta.shape[1], len(points)))
        slopes[:, 0] = np.exp(theta[:, :1] - value)
        np.multiply(work.shares, np.exp(mixed - value)[:, None], out=slopes[:, 1:])
        return value + origin.log_loss, slopes


@final
class Proportional(MixtureLaw):
    """The paper's law of the loss of a whole mixture, as printed: exponents and constant are means over the shares.

    Its minimum over the shares is degenerate (`polymix paper` shows it): the loss is that of the mixture, which falls
    when easy text replaces hard text. Nothing here recommends it. The printed factor g multiplies every tau, and no
    runs can tell it from them: tau stands here for their product. Symbols of pairs are those of i < j.
    """

    name = "proportional"
    title = "The paper's proportion-dependent law"
    formula = (
        "L(N, D; p) = A N^-aN(p) + B Dx^-aD(p) + Linf(p), each of aN, aD, Linf the mean over p,"
        " Dx = D (1 + sum_{i<j} 2 p_i p_j tau_ij)"
    )
    source = "arXiv 2512.13472, equations 6 and 7"
    _logs = ("A", "B", "Linf")

    def _rows(self) -> tuple[Coordinate, ...]:
        return (
            Coordinate("A", *_TERM, -1.6, 0.6),
            Coordinate("B", *_TERM, -1.6, 0.6),
            *self._each("aN", MIN_EXPONENT, MAX_EXPONENT, 0.35, 0.15),
            *self._each("aD", MIN_EXPONENT, MAX_EXPONENT, 0.6, 0.25),
            *self._each("Linf", -12.0, 2.0, -0.4, 0.4),
            *(Coordinate(f"tau.{a}-{b}", -0.9, 20.0, 0.0, 0.3) for a, b in combinations(self.sources, 2)),
        )

    def _shift(self, exponents: Mapping[str, Any], origin: Frame) -> dict[str, Any]:
        del exponents  # exponents differ from run to run, so N and D have no common origin: see `relative`
        return dict.fromkeys(("A", "B", "Linf"), origin.log_loss)

    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`; A and B are those at N = 1e9 and D = 1e9, as the paper counts."""
        k = len(self.sources)
        shares = [points.shares[..., index] for index in range(k)]

        def mean(first: int, change: Any = lambda x: x) -> Any:
            return sum(share * change(x) for share, x in zip(shares, theta[first : first + k], strict=True))

        helped: Any = 1.0
        for tau, (i, j) in zip(theta[2 + 3 * k :], combinations(range(k), 2), strict=True):
            helped = helped + 2 * shares[i] * shares[j] * tau
        unit = np.log(1e9)
        by_n = np.exp(theta[0] - mean(2) * (u + origin.log_params - unit))
        by_d = np.exp(theta[1] - mean(2 + k) * (v + origin.log_tokens - unit + np.log(helped)))
        return np.log(by_n + by_d + mean(2 + 2 * k, np.exp))
