"""When a run's loss is out of hand, and how it goes on from before. No torch here.

Start at `trouble`; `Redealt` is the data of a run that went back. What always holds: every sequence of the order is
still read exactly once, a mixture stays exact, and where a run goes back to is a function of its steps alone, so that
one that was killed in between ends with the same losses.

PaLM's authors went back about 100 steps and skipped 200 to 500 batches, and found that the batches themselves are not
bad: trained on from another state, none made a spike; it is a batch that meets a state. So nothing is skipped here: the
sequences read since the state that a run goes back to are dealt to its batches anew.

Source: PaLM, arXiv 2204.02311, section 5.1; what a spike is after OLMo 2, arXiv 2501.00656, section 4.1, where a step
is left out for a loss above 6 deviations of the last 128. That several steps in a row have to be is ours: a single
batch may be odd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from training.hyperparameters import Recipe

Reason = Literal["not finite", "spike"]


@dataclass(frozen=True)
class Restart:
    """A run went back.

    Args:
        step: Steps that were done when it did.
        back_to: Steps that were left.
        reason: Why.
    """

    step: int
    back_to: int
    reason: Reason


def trouble(losses: Sequence[float], gradient_norm: float, recipe: Recipe) -> Reason | None:
    """Return what is wrong with the last step, or None.

    Args:
        losses: Training losses of all steps so far, nats a token.
        gradient_norm: Of the last step.
        recipe: What a spike is.
    """
    if not (np.isfinite(losses[-1]) and np.isfinite(gradient_norm)):
        return "not finite"
    last = losses[-recipe.spike_steps :]
    before = losses[-recipe.spike_steps - recipe.spike_window : -recipe.spike_steps]
    if len(before) < recipe.spike_window // 4:
        return None
    limit = float(np.mean(before)) + recipe.spike_deviations * float(np.std(before))
    return "spike" if min(last) > limit else None


class Redealt:
    """An order's sequences as a run reads them that went back.

    Args:
        read: The order's sequences, by their numbers.
        seed: The run's.
        sequences_a_step: Sequences of a batch.
    """

    def __init__(
        self,
        read: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.integer[Any]]],
        *,
        seed: int,
        sequences_a_step: int,
    ) -> None:
        self._read = read
        self._seed = seed
        self._a_step = sequences_a_step
        self.restarts: tuple[Restart, ...] = ()

    def indices(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return which sequences of the order are read at some places, shape (n,)."""
        found = places.copy()
        for nth, restart in reversed(list(enumerate(self.restarts))):
            first, stop = restart.back_to * self._a_step, restart.step * self._a_step
            moved = (first <= found) & (found < stop)
            if moved.any():
                found[moved] = first + _permutation(self._seed, nth, stop - first)[found[moved] - first]
        return found

    def __call__(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.integer[Any]]:
        """Return the sequences that are read at some places."""
        return self._read(self.indices(places))


@lru_cache(maxsize=8)
def _permutation(seed: int, nth: int, length: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, nth, length]).permutation(length)
