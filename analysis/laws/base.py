"""What a scaling law is to everything that fits, compares or uses one: runs, frames, and the class `Law`.

A law predicts a loss from model parameters N and training tokens D, and some laws also from the shares of the sources
that the tokens came from or from how many of them are unique. Its *symbols* are what the literature prints (`A B E
alpha beta`); its *coordinates* are what a fit moves: one real vector, bounded, in which the law is smooth. A `Frame`
ties the two together for one set of runs, so that a change of the unit of N, of D or of the loss changes the symbols
exactly as it must and leaves the coordinates alone.

What always holds: `law.symbols` names everything `predict` needs; `predict`, `token_slope` and `share_slopes` broadcast
over symbols given as arrays, so that bootstrap draws are evaluated in one call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
COMPLEX_STEP = 1e-30
"""An imaginary step this small gives a derivative to the last bit, since nothing is subtracted.

Source: Squire and Trapp, SIAM Review 40 (1998) 110-112.
"""


@dataclass(frozen=True)
class Points:
    """The runs a law is fitted to.

    Args:
        params: N, parameters, shape (n,).
        tokens: D, training tokens, shape (n,).
        loss: In one unit, shape (n,).
        shares: Of each source in the tokens, shape (n, K), or None.
        unique: Unique tokens among D, shape (n,), or None where nothing is repeated.
        weight: How much each run counts, shape (n,), or None for the same.
        trunk: Number of the trunk that each run branches from, shape (n,), or None where runs share nothing.
    """

    params: Floats
    tokens: Floats
    loss: Floats
    shares: Floats | None = None
    unique: Floats | None = None
    weight: Floats | None = None
    trunk: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.loss)

    def take(self, rows: NDArray[np.intp]) -> Points:
        """Return the points at some positions."""
        extra = {
            name: None if value is None else value[rows]
            for name, value in (
                ("shares", self.shares),
                ("unique", self.unique),
                ("weight", self.weight),
                ("trunk", self.trunk),
            )
        }
        return replace(self, params=self.params[rows], tokens=self.tokens[rows], loss=self.loss[rows], **extra)

    def counts(self) -> Floats:
        """Return how much each run counts, shape (n,)."""
        return np.ones(len(self)) if self.weight is None else self.weight


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


UNIT = Frame(0.0, 0.0, 0.0, 0.0, 0.0)
"""The frame in which coordinates are the symbols of raw N, D and loss."""


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
        coordinates: Names of the coordinates that bounds are reported by: the symbol each one decides. What is fixed
            has none, so they are as many as a fit has to determine.
        scales: Symbols that are positive and span orders of magnitude (their intervals are judged as ratios).
        needs: What it needs of runs beside N, D and the loss: `shares` (and the `target` among them), or `unique`.
        target: Which source the loss is measured on, of a law bound to one.
        needs_own_text: Whether it has no finite loss where the target has no share.
        signed: Symbols that may be 0 or negative; all others are above 0.
        fixed: Symbols that are known and not fitted (`analysis.laws.pinned`), to their values.
        reads_size: Whether N and D are in the formula; a law without them holds for runs of one N and D.
        exact_curvature: Whether `curvature` is cheap and exact, so that all starts can follow Newton's method.
    """

    name: str
    title: str
    formula: str
    source: str
    symbols: tuple[str, ...]
    coordinates: tuple[str, ...]
    scales: tuple[str, ...]
    needs: tuple[str, ...] = ()
    target: str | None = None
    needs_own_text: bool = False
    signed: frozenset[str] = frozenset()
    fixed: Mapping[str, float] = MappingProxyType({})
    reads_size: bool = True
    exact_curvature: bool = False

    def bind(self, sources: Sequence[str], target: str | None) -> Law:
        """Return the law for runs on these sources; a law that needs no shares returns itself.

        Args:
            sources: Names of the columns of shares.
            target: Which source the loss is measured on, or None where it is another text.
        """
        del sources, target
        return self

    @abstractmethod
    def bounds(self, origin: Frame) -> Floats:
        """Return lower and upper bounds of the coordinates, shape (P, 2)."""

    def prior(self) -> tuple[Floats, Floats]:
        """Return the centre and the precision (0 for none) of the coordinates' weak prior, each of shape (P,)."""
        return np.zeros(len(self.coordinates)), np.zeros(len(self.coordinates))

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
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n).

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
            slopes: The derivative that `log_loss` returned there, shape (M, P, n).
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
            columns.append(((up - down) @ pull[:, :, None])[:, :, 0] / (2 * step))
        hessian = np.stack(columns, axis=2)
        return (hessian + hessian.transpose(0, 2, 1)) / 2

    @abstractmethod
    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates: each of shape (M,) for coordinates of shape (M, P)."""

    @abstractmethod
    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols, shape (M, P); the inverse of `to_symbols`."""

    @abstractmethod
    def predict(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the loss at N parameters and D tokens; everything broadcasts.

        Args:
            symbols: Symbol to value or array.
            params: N.
            tokens: D, of all sources.
            shares: Of each source, its last axis is the sources'; for laws that need shares.
            unique: Unique tokens among D; without them none is repeated. For laws that need them.
        """

    @abstractmethod
    def token_slope(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the derivative of the loss by D at fixed shares; everything broadcasts."""

    @abstractmethod
    def floor(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, shares: ArrayLike | None = None) -> Floats:
        """Return the loss that N parameters approach as D grows without limit; everything broadcasts."""

    @abstractmethod
    def tokens_for(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        loss: ArrayLike,
        shares: ArrayLike | None = None,
    ) -> Floats:
        """Return the D at which N parameters reach a loss, NaN where none does; everything broadcasts."""


@dataclass(frozen=True)
class Coordinate:
    """One coordinate of a law: where it may lie and where fits start.

    Args:
        name: The symbol it decides.
        low: Lower bound.
        high: Upper bound.
        start: Where the first start lies.
        spread: Standard deviation of the other starts around it.
        prior: Centre and standard deviation of a weak prior that decides where the runs do not, or None.
    """

    name: str
    low: float
    high: float
    start: float
    spread: float
    prior: tuple[float, float] | None = None


class Curve(Law):
    """A law that states its formula once, in numbers that may be complex; all derivatives follow from that.

    Attributes:
        rows: Its coordinates.
    """

    rows: tuple[Coordinate, ...]

    @abstractmethod
    def relative(self, theta: Sequence[Any], u: Any, v: Any, points: Inputs, origin: Frame) -> Any:
        """Return log loss less `origin.log_loss`.

        Args:
            theta: Coordinates, each of a shape that broadcasts with the runs; real or complex.
            u: log N less `origin.log_params`.
            v: log D less `origin.log_tokens`.
            points: Shares and unique tokens of the runs.
            origin: The frame.
        """

    def bounds(self, origin: Frame) -> Floats:
        """Return lower and upper bounds of the coordinates, shape (P, 2)."""
        del origin
        return np.array([(row.low, row.high) for row in self.rows])

    def prior(self) -> tuple[Floats, Floats]:
        """Return the centre and the precision of the coordinates' weak prior."""
        given = [row.prior or (0.0, np.inf) for row in self.rows]
        return np.array([centre for centre, _ in given]), np.array([width**-2.0 for _, width in given])

    def starts(self, points: Points, origin: Frame, weights: Floats, count: int) -> Floats:
        """Return starts spread around the best guess, the same ones for every row of weights."""
        del points
        centre = np.array([row.start for row in self.rows])
        spread = np.array([row.spread for row in self.rows])
        scatter = np.random.default_rng(0).normal(size=(count, len(centre)))
        scatter[0] = 0
        limits = self.bounds(origin)
        theta = np.clip(centre + spread * scatter, limits[:, 0], limits[:, 1])
        return np.broadcast_to(theta, (len(weights), *theta.shape)).copy()

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return log loss, shape (M, n), and its derivative by the coordinates, shape (M, P, n)."""
        u = np.log(points.params) - origin.log_params
        v = np.log(points.tokens) - origin.log_tokens
        inputs = Inputs(points.shares, points.unique)
        columns: list[Any] = [theta[:, index : index + 1] for index in range(theta.shape[1])]
        value = self.relative(columns, u, v, inputs, origin)
        slopes = np.empty((len(theta), theta.shape[1], len(points)))
        for index, column in enumerate(columns):
            moved = [*columns[:index], column + 1j * COMPLEX_STEP, *columns[index + 1 :]]
            slopes[:, index] = np.imag(self.relative(moved, u, v, inputs, origin)) / COMPLEX_STEP
        return np.broadcast_to(value, (len(theta), len(points))) + origin.log_loss, slopes

    def predict(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the loss at N parameters and D tokens; everything broadcasts."""
        return np.exp(self._at(symbols, np.log(params), np.log(tokens), shares, unique))

    def token_slope(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the derivative of the loss by D at fixed shares; everything broadcasts."""
        found = self._at(symbols, np.log(params), np.log(tokens) + 1j * COMPLEX_STEP, shares, unique)
        return np.exp(np.real(found)) * np.imag(found) / COMPLEX_STEP / np.asarray(tokens)

    def share_slopes(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the derivative of the loss by each share, the others and D held, shape (..., K).

        With t_j = h_j D tokens of source j, dL/dt_j = (dL/dh_j + D dL/dD - sum_k h_k dL/dh_k) / D.
        """
        h = np.asarray(shares, dtype=np.float64)
        columns: list[Floats] = []
        for index in range(h.shape[-1]):
            moved = h.astype(np.complex128)
            moved[..., index] += 1j * COMPLEX_STEP
            found = self._at(symbols, np.log(params), np.log(tokens), moved, unique)
            columns.append(np.exp(np.real(found)) * np.imag(found) / COMPLEX_STEP)
        return np.stack(columns, axis=-1)

    def floor(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, shares: ArrayLike | None = None) -> Floats:
        """Return the loss that N parameters approach as D grows without limit; everything broadcasts."""
        return np.exp(self._at(symbols, np.log(params), _ENDLESS, shares, None))

    def tokens_for(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        loss: ArrayLike,
        shares: ArrayLike | None = None,
    ) -> Floats:
        """Return the D at which N parameters reach a loss, NaN where none does; everything broadcasts."""
        wanted = np.log(np.asarray(loss, dtype=np.float64))
        log_params = np.log(params)
        shape = np.broadcast_shapes(wanted.shape, np.shape(self._at(symbols, log_params, 0.0, shares, None)))
        low, high = np.zeros(shape), np.full(shape, _LONGEST)
        reached = self._at(symbols, log_params, high, shares, None) <= wanted
        for _ in range(60):
            middle = (low + high) / 2
            above = self._at(symbols, log_params, middle, shares, None) > wanted
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.where(reached, np.exp(high), np.nan)

    def _at(self, symbols: Mapping[str, ArrayLike], log_params: Any, log_tokens: Any, shares: Any, unique: Any) -> Any:
        names = self.symbols
        arrays = np.broadcast_arrays(*(np.asarray(symbols[name], dtype=np.float64) for name in names))
        shape = arrays[0].shape
        theta = self.to_coordinates({name: x.ravel() for name, x in zip(names, arrays, strict=True)}, UNIT)
        columns = [theta[:, index].reshape(shape) for index in range(theta.shape[1])]
        return self.relative(columns, log_params, log_tokens, Inputs(shares, unique), UNIT)


_LONGEST = 100.0
_ENDLESS = 1e4
"""Natural logs of token counts: more than can be, and where every power of D has vanished."""


class Inputs:
    """What a law may need of runs beside N and D; may be complex.

    Args:
        shares: Shape (..., K), or None.
        unique: Shape (...), or None.
    """

    def __init__(self, shares: Any, unique: Any) -> None:
        self.shares: Any = None if shares is None else np.asarray(shares)
        self.unique: Any = None if unique is None else np.asarray(unique)

    def power(self, index: int, exponent: Any) -> Any:
        """Return one source's share to a positive power: 0 where it has none of the tokens."""
        share = self.shares[..., index]
        some = share != 0
        return np.where(some, np.exp(exponent * np.log(np.where(some, share, 1))), 0)
