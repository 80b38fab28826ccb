"""What every run is trained with unless it says otherwise, each with its source. No torch here.

Start at `RECIPE`; `batch_size` and `learning_rate` are what depends on the size. The recipe stands in a run's
identity: a change here makes new runs rather than old ones with other numbers.
"""

from __future__ import annotations

import math
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
        cosine_floor: Part of the peak rate that a cosine ends at.
        spike_window: Steps before, whose mean and deviation a loss is held against.
        spike_deviations: By how many deviations a loss lies above that mean where it is a spike.
        spike_steps: Steps in a row that have to; one odd batch is no spike.
        rewind_every: Steps between the states that a run with a spike goes back to.
        restarts: How often a run goes back; the next spike ends it as diverged.
        shuffle_block: Sequences among which those of a source change places (`training.shuffle`).
        initial_weights: Version of `training.recipe.initial_values`.

    Source: LLaMA-2, arXiv 2307.09288, section 2.2, for the optimizer, clipping and 2,000 steps of warm-up; Hägele et
    al., arXiv 2405.18392, section 4, for a stable rate with a decay by one minus the square root over the last fifth.
    A tenth of the steps for the warm-up of a short run, and the block, are ours: a 100k model had a validation loss of
    4.45 nats after 131k tokens of Go without changing places, and of 4.01 with. OLMo 2, arXiv 2501.00656, section 4.1,
    for a window of 128 steps and 6 deviations; PaLM, arXiv 2204.02311, section 5.1, for going back (by about 100 steps)
    and on with other batches. See `training.spikes` for what is ours there.
    """

    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    gradient_clip: float = 1.0
    warmup: float = 0.1
    warmup_most: int = 2000
    decay: float = 0.2
    cosine_floor: float = 0.1
    spike_window: int = 128
    spike_deviations: float = 6.0
    spike_steps: int = 4
    rewind_every: int = 50
    restarts: int = 2
    shuffle_block: int = 8192
    initial_weights: int = 1


RECIPE = Recipe()
SCHEDULE = "wsd-sqrt"
"""Warm-up, stable, decay by one minus the square root: the name that run rows carry. Budgets share a trunk."""

COSINE = "cosine"
"""Warm-up, then half a cosine to a tenth of the peak. Source: LLaMA-2, section 2.2. Each budget is trained whole."""

SCHEDULES = (SCHEDULE, COSINE)

VALIDATION_TOKENS = 65_536
"""Tokens of each language that a run is validated on unless another number is named."""

LADDER_RATE = 0.0047 / 2
LADDER_PARAMETERS = 108e6
LADDER_BATCH = 2048 * 160
"""Source: OLMo-core's model ladder (`olmo_core.model_ladder`): at N parameters the rate is 0.0047 (N / 108M)^(-1/3) / 2
and a step 2048 * 160 (N / 108M)^(2/3) tokens."""

HIGHEST_RATE = 0.01
"""A ceiling for models under 100k parameters, whose rates lie outside all that the ladder was tried on."""


FEWEST_LADDER_STEPS = 100
"""A batch is cut so that a run has this many steps: schedules and momentum mean little over fewer. Ours."""


def batch_size(non_embedding_parameters: int, tokens: int, sequence_length: int) -> int:
    """Return the tokens of an optimizer step that a run has unless they are named.

    Args:
        non_embedding_parameters: N.
        tokens: Training tokens.
        sequence_length: Tokens a sequence.

    Returns:
        The ladder's batch for N, or a hundredth of the tokens where that is less: rounded down to as many sequences as
        a power of two, so that any usual number of processes divides them; at least one.

    Source: OLMo-core's model ladder.
    """
    batch = LADDER_BATCH * (non_embedding_parameters / LADDER_PARAMETERS) ** (2 / 3)
    sequences = min(batch, tokens / FEWEST_LADDER_STEPS) / sequence_length
    return sequence_length * 2 ** max(0, math.floor(math.log2(max(sequences, 1))))


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
