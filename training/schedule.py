"""The learning rate over the steps of a run, as a part of its peak. No torch here.

Start at `Schedule`. With the default, nothing of a run depends on how long it is until its rate falls, so that one
trunk at the stable rate serves every budget by a branch; a cosine depends on the length from the first step.
"""

from __future__ import annotations

import math

from training.hyperparameters import COSINE, RECIPE, SCHEDULE, decay_starts


class Schedule:
    """The learning rate's factor by step.

    Args:
        warmup: Steps in which it rises.
        name: One of `training.hyperparameters.SCHEDULES`: `wsd-sqrt` stays at the peak and in the end falls by one
            minus the square root, `cosine` falls by half a cosine from the warm-up on.

    Source: Hägele et al., arXiv 2405.18392, equation 1 and section 4.2; Loshchilov and Hutter, arXiv 1608.03983,
    equation 5, with LLaMA-2's floor of a tenth.
    """

    def __init__(self, warmup: int, name: str = SCHEDULE) -> None:
        self.name = name
        self._warmup = warmup
        self._stop: int | None = None

    def stay(self) -> None:
        """Stay at the peak from here on."""
        self._stop = None

    def fall(self, stop: int) -> None:
        """Fall so as to end at `stop` steps."""
        self._stop = stop

    def factor(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        if step < self._warmup:
            return (step + 1) / self._warmup
        if self._stop is None:
            return 1.0
        if self.name == COSINE:
            done = min(1.0, (step - self._warmup) / max(1, self._stop - self._warmup))
            return RECIPE.cosine_floor + (1 - RECIPE.cosine_floor) * (1 + math.cos(math.pi * done)) / 2
        decay = self._stop - decay_starts(self._stop)
        if step <= self._stop - decay:
            return 1.0
        return 1 - math.sqrt(min(1.0, (step - self._stop + decay) / decay))
