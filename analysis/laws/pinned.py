"""A law some of whose symbols are known and not fitted: start at `pinned`.

Every symbol of every law can be fixed. A fixed symbol takes a coordinate away, the one that decides it: where that is
follows from the value and from the coordinates that are left. An exponent or a constant is at one place; a scale such
as `A` of A / N^alpha has its coordinate at the smallest N of the runs, which moves with alpha. What always holds: the
fixed symbols have their values at all coordinates, and the slopes are those along them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.laws.base import COMPLEX_STEP, Floats, Frame, Law, Points
from quality.mistakes import BadInput, Mistake

_SOMEWHERE = Frame(3.0, 5.0, 0.3, 0.2, 0.4)
"""A frame in which nothing of a law's coordinates is at 0."""
_TRIED = 2000
"""Places in the bounds that are asked which values a symbol can have."""
_APPROACHES = 8
"""Steps by which a start is brought to where a fixed symbol's coordinate is as it was to start at."""
_FAR = 1e3
"""Log loss where the law has no number, so that no fit ends there."""


def pinned(law: Law, fixed: Mapping[str, float]) -> Law:
    """Return the law with some symbols held at given values; the law itself where there are none.

    Args:
        law: The law, bound to its sources.
        fixed: Symbol to value.

    Raises:
        BadInput: A symbol that there is not, a value that it cannot have, or nothing left to fit; all are named.
    """
    if not fixed:
        return law
    mistakes: list[Mistake] = []
    for name, value in fixed.items():
        if name not in law.symbols:
            mistakes.append(
                Mistake(f"--fix {name}", f"is no symbol of {law.name}; its symbols are {', '.join(law.symbols)}")
            )
        elif not math.isfinite(value) or (value <= 0 and name not in law.signed):
            above = "" if name in law.signed else " above 0"
            mistakes.append(Mistake(f"--fix {name}", f"{value!r} is not a finite number{above}"))
    if set(law.symbols) <= set(fixed):
        mistakes.append(
            Mistake("--fix", f"fixes every symbol of {law.name} ({', '.join(law.symbols)}); leave one to fit")
        )
    if mistakes:
        raise BadInput(mistakes)
    return Pinned(law, fixed)


class Pinned(Law):
    """A law on the coordinates that some fixed symbols leave: all else is the law's own.

    The bounds of a coordinate that was taken away are not kept: the value of its symbol is.

    Args:
        inner: The law, whose coordinates bear the names of the symbols that they decide.
        fixed: Symbol to value, fewer than the law has.
    """

    def __init__(self, inner: Law, fixed: Mapping[str, float]) -> None:
        self.inner, self.fixed = inner, dict(fixed)
        self.name, self.title, self.formula, self.source = inner.name, inner.title, inner.formula, inner.source
        self.symbols, self.scales = inner.symbols, inner.scales
        self.coordinates = tuple(name for name in inner.coordinates if name not in fixed)
        self.needs, self.signed, self.exact_curvature = inner.needs, inner.signed, inner.exact_curvature
        self.target, self.needs_own_text = inner.target, inner.needs_own_text
        self._held = np.array([inner.coordinates.index(name) for name in fixed])
        self._free = np.array([inner.coordinates.index(name) for name in self.coordinates])
        limits = np.clip(inner.bounds(_SOMEWHERE), -4, 4)
        place = (limits[:, 0] + 0.37 * (limits[:, 1] - limits[:, 0]))[None]
        self._anywhere = place[0, self._held]
        every = np.arange(len(inner.coordinates))
        # Which free coordinates move those that are taken away; of an exponent or a constant none does.
        self._movers = self._free[(self._symbol_slopes(place, _SOMEWHERE, every)[0][:, self._free] != 0).any(axis=0)]

    def bind(self, sources: Sequence[str], target: str | None) -> Law:
        """Return the law for runs on these sources."""
        return Pinned(self.inner.bind(sources, target), self.fixed)

    def bounds(self, origin: Frame) -> Floats:
        """Return the law's bounds of the coordinates that are left."""
        return self.inner.bounds(origin)[self._free]

    def mistakes(self, origin: Frame) -> list[Mistake]:
        """Return the values that the law cannot have on these runs, such as a constant above every loss."""
        limits, inside = self.inner.bounds(origin), self.bounds(origin)
        parts = np.random.default_rng(0).random((_TRIED, len(inside)))
        parts[::2] = parts[::2].round()  # corners
        whole = self._whole(inside[:, 0] + parts * (inside[:, 1] - inside[:, 0]), origin)
        found: list[Mistake] = []
        for name, index in zip(self.fixed, self._held, strict=True):
            ends: list[float] = []
            for end in limits[index]:
                moved = whole.copy()
                moved[:, index] = end
                with np.errstate(all="ignore"):
                    values = self.inner.to_symbols(moved, origin)[name]
                ends += [float(np.nanmin(values)), float(np.nanmax(values))]
            low, high, others = min(ends), max(ends), [other for other in self.fixed if other != name]
            if not low <= self.fixed[name] <= high:
                beside = f" with {', '.join(f'{other} {self.fixed[other]:g}' for other in others)}" if others else ""
                found.append(
                    Mistake(f"--fix {name}", f"{self.fixed[name]:g} is not from {low:.4g} to {high:.4g}{beside}")
                )
        return found

    def _whole(self, theta: Floats, origin: Frame) -> Floats:
        """Return all of the law's coordinates, shape (M, P), given those that are left."""
        whole = np.empty((len(theta), len(self.inner.coordinates)))
        whole[:, self._free] = theta
        whole[:, self._held] = self._anywhere
        given = {name: np.full(len(theta), value) for name, value in self.fixed.items()}
        # A place may depend on another symbol's that is fixed too, never the other way round: each pass settles one.
        with np.errstate(all="ignore"):
            for _ in self.fixed:
                before = whole[:, self._held]
                symbols = {**self.inner.to_symbols(whole, origin), **given}
                whole[:, self._held] = self.inner.to_coordinates(symbols, origin)[:, self._held]
                if np.array_equal(before, whole[:, self._held], equal_nan=True):
                    break
        return whole

    def _symbol_slopes(self, whole: Floats, origin: Frame, by: Any) -> Floats:
        """Return the slopes of the fixed symbols by some of the law's coordinates, shape (M, H, P); 0 by the others."""
        by = np.asarray(by)
        moved: Any = np.repeat(whole[None].astype(np.complex128), len(by), axis=0)
        moved[np.arange(len(by)), :, by] += 1j * COMPLEX_STEP
        with np.errstate(all="ignore"):
            symbols = self.inner.to_symbols(moved.reshape(-1, whole.shape[1]), origin)
        slopes = np.zeros((len(whole), len(self.fixed), whole.shape[1]))
        for row, name in enumerate(self.fixed):
            slopes[:, row, by] = np.imag(symbols[name]).reshape(len(by), len(whole)).T / COMPLEX_STEP
        return slopes

    def _place_slopes(self, whole: Floats, origin: Frame) -> Floats:
        """Return the slopes of the places taken away by the coordinates that are left, shape (M, H, P - H).

        By the theorem of the implicit function: as the coordinates move, the fixed symbols stand still.
        """
        if not len(self._movers):
            return np.zeros((len(whole), len(self._held), len(self._free)))
        slopes = self._symbol_slopes(whole, origin, [*self._held, *self._movers])
        own = slopes[:, np.arange(len(self._held)), self._held]
        with np.errstate(all="ignore"):
            slopes = slopes / own[:, :, None]
            found = -np.linalg.solve(slopes[:, :, self._held], slopes[:, :, self._free])
        return np.where(np.isfinite(found), found, 0.0)

    def prior(self) -> tuple[Floats, Floats]:
        """Return the law's prior on the coordinates that are left."""
        centre, precision = self.inner.prior()
        return centre[self._free], precision[self._free]

    def starts(self, points: Points, origin: Frame, weights: Floats, count: int) -> Floats:
        """Return the law's starts; every other one is moved to where the places taken away are as in the law's."""
        begin = self.inner.starts(points, origin, weights, count)
        found = begin[..., self._free]
        if len(self._movers):
            moved = begin[:, ::2].reshape(-1, begin.shape[2])
            found[:, ::2] = self._towards(moved, origin).reshape(found[:, ::2].shape)
        return found

    def _towards(self, begin: Floats, origin: Frame) -> Floats:
        """Return coordinates near those of starts, shape (M, P), at which the fixed symbols have their values."""
        theta, limits = begin[:, self._free], self.bounds(origin)
        for _ in range(_APPROACHES):
            whole = self._whole(theta, origin)
            gap = begin[:, self._held] - whole[:, self._held]
            step = np.linalg.pinv(self._place_slopes(whole, origin)) @ np.where(np.isfinite(gap), gap, 0.0)[..., None]
            theta = np.clip(theta + step[..., 0], limits[:, 0], limits[:, 1])
        return theta

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return the law's log loss and its slopes along what is fixed."""
        whole = self._whole(theta, origin)
        with np.errstate(all="ignore"):
            value, slopes = self.inner.log_loss(whole, points, origin)
            own = slopes[:, self._free]
            if len(self._movers):
                own = own + self._place_slopes(whole, origin).transpose(0, 2, 1) @ slopes[:, self._held]
        known: Any = np.isfinite(np.concatenate([value[:, None], own], axis=1)).all(axis=(1, 2))
        return np.where(known[:, None], value, _FAR), np.where(known[:, None, None], own, 0.0)

    def curvature(self, theta: Floats, points: Points, origin: Frame, pull: Floats, slopes: Floats) -> Floats:
        """Return the Hessian; of laws with a cheap one, places move linearly with the coordinates that are left."""
        if not self.exact_curvature:
            return super().curvature(theta, points, origin, pull, slopes)
        whole = self._whole(theta, origin)
        with np.errstate(all="ignore"):
            along = self.inner.log_loss(whole, points, origin)[1]
            hessian = self.inner.curvature(whole, points, origin, pull, along)
            turn = np.zeros((len(theta), whole.shape[1], theta.shape[1]))
            turn[:, self._free, np.arange(theta.shape[1])] = 1
            turn[:, self._held] = self._place_slopes(whole, origin)
            found = turn.transpose(0, 2, 1) @ hessian @ turn
        return np.where(np.isfinite(found), found, 0.0)

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates, those that are fixed at exactly their values."""
        with np.errstate(all="ignore"):
            found = self.inner.to_symbols(self._whole(theta, origin), origin)
        return {name: np.full(len(theta), self.fixed[name]) if name in self.fixed else found[name] for name in found}

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates that are left, of symbols."""
        return self.inner.to_coordinates(symbols, origin)[:, self._free]

    def predict(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the loss."""
        return self.inner.predict(symbols, params, tokens, shares, unique)

    def token_slope(
        self,
        symbols: Mapping[str, ArrayLike],
        params: ArrayLike,
        tokens: ArrayLike,
        shares: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Floats:
        """Return the derivative of the loss by D."""
        return self.inner.token_slope(symbols, params, tokens, shares, unique)

    def floor(self, symbols: Mapping[str, ArrayLike], params: ArrayLike, shares: ArrayLike | None = None) -> Floats:
        """Return the loss that N parameters approach."""
        return self.inner.floor(symbols, params, shares)

    def tokens_for(
        self, symbols: Mapping[str, ArrayLike], params: ArrayLike, loss: ArrayLike, shares: ArrayLike | None = None
    ) -> Floats:
        """Return the D at which N parameters reach a loss."""
        return self.inner.tokens_for(symbols, params, loss, shares)
