"""What every run is trained with unless it says otherwise, each with its source. No torch here.

Start at `RECIPE`; `learning_rate` is the one that depends on the size. The recipe stands in a run's identity: a change
here makes new runs rather than old ones with other numbers.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from quality.artifacts import fingerprint
from training.runs import RunSpec


@dataclass(frozen=True)
class Recipe:
    """What all runs have in common.

    Args:
        beta1: AdamW's decay of the first moment.
        beta2: AdamW's decay of the second moment.
        epsilon: AdamW's epsilon.
        weight_decay: AdamW's decoupled weight decay.
        gradient_clip: Largest norm of a step's gradient.
        warmup: Part of the steps in which the rate rises to its peak.
        warmup_most: Steps that warm-up takes at most.
        decay: Part of the steps in which the rate falls by one minus the square root.
        shuffle_block: Sequences among which those of a source change places (`training.shuffle`).
        initial_weights: Version of `training.recipe.initial_values`.

    Source: LLaMA-2, arXiv 2307.09288, section 2.2, for the optimizer, clipping and 2,000 steps of warm-up; Hägele et
    al., arXiv 2405.18392, section 4, for a stable rate with a decay by one minus the square root over the last fifth.
    A tenth of the steps for the warm-up of a short run, and the block, are ours: a 100k model had a validation loss of
    4.45 nats after 131k tokens of Go without changing places, and of 4.01 with.
    """

    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    gradient_clip: float = 1.0
    warmup: float = 0.1
    warmup_most: int = 2000
    decay: float = 0.2
    shuffle_block: int = 8192
    initial_weights: int = 1


RECIPE = Recipe()
SCHEDULE = "wsd-sqrt"
"""Warm-up, stable, decay by one minus the square root: the name that run rows carry."""

VALIDATION_TOKENS = 65_536
"""Tokens of each language that a run is validated on unless another number is named."""

LADDER_RATE = 0.0047 / 2
LADDER_PARAMETERS = 108e6
LADDER_BATCH = 2048 * 160
"""Source: OLMo-core's model ladder (`olmo_core.model_ladder`): at N parameters the rate is 0.0047 (N / 108M)^(-1/3) / 2
and a step 2048 * 160 (N / 108M)^(2/3) tokens."""

HIGHEST_RATE = 0.01
"""A ceiling for models under 100k parameters, whose rates lie outside all that the ladder was tried on."""


def learning_rate(non_embedding_parameters: int, batch_tokens: int) -> float:
    """Return the peak learning rate that a size is trained with unless one is named.

    Args:
        non_embedding_parameters: N.
        batch_tokens: Tokens an optimizer step.

    Returns:
        The ladder's rate for N, times the square root of the batch over the ladder's batch where it is smaller.

    Source: OLMo-core's model ladder for N; Malladi et al., arXiv 2205.10287, for the square root. Tried on Go at a
    vocabulary of 512 and 1,024 tokens a step: at 400k parameters 0.004 was the best of five rates from 0.002 to 0.015
    (this gives 0.0055), at 100k 0.012 of four from 0.004 to 0.016 (this gives 0.01).
    """
    scale = non_embedding_parameters / LADDER_PARAMETERS
    batch = LADDER_BATCH * scale ** (2 / 3)
    return min(HIGHEST_RATE, LADDER_RATE * scale ** (-1 / 3) * min(1.0, batch_tokens / batch) ** 0.5)


def steps_of(spec: RunSpec) -> int:
    """Return the optimizer steps of a run: its tokens in whole batches, rounded, at least one."""
    return max(1, round(spec.tokens / spec.batch_tokens))


def warmup_steps(steps: int) -> int:
    """Return the steps in which the learning rate rises."""
    return min(RECIPE.warmup_most, max(1, round(RECIPE.warmup * steps)))


def decay_starts(steps: int) -> int:
    """Return how many steps of a run come before its rate falls."""
    return steps - round(RECIPE.decay * steps)


def run_identity(spec: RunSpec, stores: str, **more: Any) -> dict[str, Any]:
    """Return everything that a run's result depends on, as JSON.

    Args:
        spec: What the run is.
        stores: Fingerprint of the token stores it reads.
        more: What else it depends on, such as the tokens it is validated on.
    """
    return {"spec": {**asdict(spec), "shares": dict(spec.shares)}, "stores": stores, "recipe": asdict(RECIPE), **more}


def run_id(identity: dict[str, Any]) -> str:
    """Return the name of a run: the first 16 hex digits of its identity's fingerprint."""
    return fingerprint(identity)[:16]


_COUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMBT]?)")
_UNIT = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def count(text: str) -> int:
    """Read a number of tokens such as `250000`, `250k`, `100M` or `1.5B`.

    Raises:
        ValueError: The text is no such number, or not a whole one above 0.
    """
    match = _COUNT.fullmatch(text.strip().replace("_", "").replace(",", ""))
    whole = round(float(match[1]) * _UNIT[match[2]], 6) if match else 0.0
    if whole < 1 or whole != int(whole):
        raise ValueError(f"{text!r} is not a count above 0; write it like 250000, 250k, 100M or 1.5B")
    return int(whole)
