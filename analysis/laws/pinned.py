"""A law some of whose symbols are known and not fitted: start at `pinned`.

A symbol can be fixed where it decides a coordinate alone, whatever the runs: exponents and constants can, and scales
such as `A` of A / N^alpha cannot, for their coordinate lies at the smallest N of the runs and moves with the exponent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from analysis.laws.base import Floats, Frame, Law, Points
from quality.mistakes import BadInput, Mistake

# Where nothing of a law's coordinates is at 0.
_SOMEWHERE = Frame(3.0, 5.0, 0.3, 0.2, 0.4)


def free_symbols(law: Law) -> tuple[str, ...]:
    """Return the symbols of a law that can be fixed: of their coordinates no other symbol says anything."""
    one, other = _inside(law, 0.37), _inside(law, 0.61)
    found: list[str] = []
    for index, name in enumerate(law.coordinates):
        if name in law.symbols:
            here, there = (
                law.to_coordinates({**symbols, name: one[name]}, _SOMEWHERE)[0, index] for symbols in (one, other)
            )
            if np.isclose(here, there):
                found.append(name)
    return tuple(found)


def _inside(law: Law, part: float) -> dict[str, Floats]:
    limits = np.clip(law.bounds(_SOMEWHERE), -4, 4)
    return law.to_symbols((limits[:, 0] + part * (limits[:, 1] - limits[:, 0]))[None], _SOMEWHERE)


def pinned(law: Law, fixed: Mapping[str, float]) -> Law:
    """Return the law with some symbols held at given values; the law itself where there are none.

    Args:
        law: The law, bound to its sources.
        fixed: Symbol to value.

    Raises:
        BadInput: A symbol that there is not, or that cannot be fixed; all are named.
    """
    if not fixed:
        return law
    can = free_symbols(law)
    mistakes = [
        Mistake(f"--fix {name}", f"is no symbol of {law.name} that can be fixed; those are {', '.join(can)}")
        for name in fixed
        if name not in can
    ]
    if mistakes:
        raise BadInput(mistakes)
    return Pinned(law, fixed)


class Pinned(Law):
    """A law with some coordinates held: all else is the law's own.

    Args:
        inner: The law.
        fixed: Symbol to value; each decides a coordinate alone.
    """

    def __init__(self, inner: Law, fixed: Mapping[str, float]) -> None:
        self.inner, self.fixed = inner, dict(fixed)
        self.name, self.title, self.formula, self.source = inner.name, inner.title, inner.formula, inner.source
        self.symbols, self.coordinates, self.scales = inner.symbols, inner.coordinates, inner.scales
        self.needs, self.signed, self.exact_curvature = inner.needs, inner.signed, inner.exact_curvature
        self.target: str | None = getattr(inner, "target", None)

    def bind(self, sources: Sequence[str], target: str | None) -> Law:
        """Return the law for runs on these sources."""
        return Pinned(self.inner.bind(sources, target), self.fixed)

    def bounds(self, origin: Frame) -> Floats:
        """Return the law's bounds, with both at its place for a coordinate that is held."""
        limits = np.array(self.inner.bounds(origin))
        for index, place in self._places(origin).items():
            limits[index] = place
        return limits

    def mistakes(self, origin: Frame) -> list[Mistake]:
        """Return the values that lie where the law does not fit these runs, such as a constant above every loss."""
        limits = self.inner.bounds(origin)
        ends = [self.inner.to_symbols(limits[:, end][None], origin) for end in (0, 1)]
        return [
            Mistake(
                f"--fix {name}", f"{self.fixed[name]:g} is not from {ends[0][name][0]:.4g} to {ends[1][name][0]:.4g}"
            )
            for index, place in self._places(origin).items()
            if not limits[index, 0] <= place <= limits[index, 1]
            for name in [self.coordinates[index]]
        ]

    def _places(self, origin: Frame) -> dict[int, float]:
        symbols = {**_inside(self.inner, 0.37), **{name: np.array([value]) for name, value in self.fixed.items()}}
        with np.errstate(all="ignore"):
            at = self.inner.to_coordinates(symbols, origin)[0]
        return {index: float(at[index]) for index in map(self.coordinates.index, self.fixed)}

    def prior(self) -> tuple[Floats, Floats]:
        """Return the law's prior."""
        return self.inner.prior()

    def starts(self, points: Points, origin: Frame, weights: Floats, count: int) -> Floats:
        """Return the law's starts, moved to where coordinates are held."""
        limits = self.bounds(origin)
        return np.clip(self.inner.starts(points, origin, weights, count), limits[:, 0], limits[:, 1])

    def log_loss(self, theta: Floats, points: Points, origin: Frame) -> tuple[Floats, Floats]:
        """Return the law's log loss and its slopes."""
        return self.inner.log_loss(theta, points, origin)

    def curvature(self, theta: Floats, points: Points, origin: Frame, pull: Floats, slopes: Floats) -> Floats:
        """Return the law's Hessian."""
        return self.inner.curvature(theta, points, origin, pull, slopes)

    def to_symbols(self, theta: Floats, origin: Frame) -> dict[str, Floats]:
        """Return the symbols of coordinates."""
        return self.inner.to_symbols(theta, origin)

    def to_coordinates(self, symbols: Mapping[str, ArrayLike], origin: Frame) -> Floats:
        """Return the coordinates of symbols."""
        return self.inner.to_coordinates(symbols, origin)

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
