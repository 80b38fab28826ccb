"""How a run is spread over processes, and when it cannot be. No torch here.

Start at `Layout`. Parameters and data are sharded (FSDP2), the shards may be replicated (HSDP), and matrices may be
shared by several processes (tensor parallelism). Replicas that are not sharded are refused and pipelines not offered:
torchtitan 0.2.2 divides the gradients of the first twice (its issues 2318 and 2323), and does not scale those of the
second by the batch's tokens (issue 2972).
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass

from quality.mistakes import BadInput, Mistake
from training.runs import RunSpec
from training.sizes import Size, size


@dataclass(frozen=True)
class Layout:
    """How a run is spread over processes.

    Args:
        processes: How many there are.
        tensor_parallel: How many of them share each matrix; the others shard parameters and data (FSDP2).
        replicas: Copies of the shards (HSDP), such as one a node; the data is dealt to them all.

    Raises:
        BadInput: The degrees do not divide the processes, or replicas would not be sharded.
    """

    processes: int = 1
    tensor_parallel: int = 1
    replicas: int = 1

    def __post_init__(self) -> None:
        mistakes = [
            Mistake(name, f"{value} is not a number of processes from 1 up")
            for name, value in (
                ("processes", self.processes),
                ("tensor_parallel", self.tensor_parallel),
                ("replicas", self.replicas),
            )
            if value < 1
        ]
        if not mistakes and self.processes % self.tensor_parallel:
            mistakes.append(
                Mistake(
                    "tensor_parallel",
                    f"{self.tensor_parallel} does not divide {self.processes} processes",
                )
            )
        elif not mistakes and self.readers % self.replicas:
            mistakes.append(
                Mistake("replicas", f"{self.replicas} does not divide the {self.readers} processes that read data")
            )
        elif not mistakes and self.replicas > 1 and self.shards == 1:
            mistakes.append(
                Mistake(
                    "replicas",
                    f"{self.replicas} replicas of one process each would not be sharded, and torchtitan 0.2.2 divides"
                    " the gradients of plain replicas twice (its issues 2318 and 2323); shard them: leave replicas out",
                )
            )
        if mistakes:
            raise BadInput(mistakes)

    @property
    def readers(self) -> int:
        """Return how many processes read data of their own; those that share matrices count as one."""
        return self.processes // self.tensor_parallel

    @property
    def shards(self) -> int:
        """Return how many ways parameters are sharded."""
        return self.readers // self.replicas


def layout_mistakes(spec: RunSpec, vocabulary: int, layout: Layout) -> list[Mistake]:
    """Return why a run cannot be laid out so."""
    mistakes: list[Mistake] = []
    shape = size(spec.size)
    sequences = spec.batch_tokens // spec.sequence_length
    if sequences % layout.readers:
        mistakes.append(
            Mistake(
                "processes",
                f"{layout.readers} shards do not divide the {sequences} sequences of a batch; change batch_tokens",
            )
        )
    for name, whole in (
        ("heads", shape.heads),
        ("feed-forward width", shape.feed_forward),
        ("vocabulary", vocabulary),
        ("sequence_length", spec.sequence_length),
    ):
        if whole % layout.tensor_parallel:
            mistakes.append(
                Mistake("tensor_parallel", f"{layout.tensor_parallel} does not divide {whole} ({name} of {spec.size})")
            )
    if spec.float8 and layout.tensor_parallel > 1:
        mistakes.append(
            Mistake("float8", "not with tensor_parallel: torchtitan 0.2.2 never takes its path for both; drop one")
        )
    return mistakes


def missing_library(float8: bool) -> list[Mistake]:
    """Return what a run in 8 bits lacks in this environment."""
    if not float8 or importlib.util.find_spec("torchao"):
        return []
    return [Mistake("float8", "needs torchao, which is not installed: pip install 'polymix[float8]'")]


ACTIVATION_PART = 0.6
"""Part of an accelerator's free memory that activations may take; kernels and the allocator need the rest. Ours."""

MOST_LOCAL_TOKENS = 65_536
"""Tokens at once beyond which the kernels of an accelerator get no faster. Ours, not measured."""


def local_tokens(shape: Size, vocabulary: int, free_bytes: float) -> int:
    """Return the tokens that an accelerator works on at once: what fits, a power of two.

    Args:
        shape: The size.
        vocabulary: Token ids.
        free_bytes: Memory that is left beside weights, gradients and optimizer.
    """
    fit = ACTIVATION_PART * free_bytes / shape.activation_bytes_per_token(vocabulary)
    return min(MOST_LOCAL_TOKENS, 2 ** max(0, math.floor(math.log2(max(fit, 1)))))
