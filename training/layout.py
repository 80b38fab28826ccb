"""How a run is spread over processes, and when it cannot be. No torch here.

Start at `Layout`. Parameters and data are sharded (FSDP2), matrices may be shared by several processes (tensor
parallelism). Replicas that are not sharded and pipelines are not offered: torchtitan 0.2.2 divides the gradients of the
first twice (its issues 2318 and 2323), and does not scale those of the second by the batch's tokens (issue 2972).
"""

from __future__ import annotations

from dataclasses import dataclass

from quality.mistakes import BadInput, Mistake
from training.runs import RunSpec
from training.sizes import size


@dataclass(frozen=True)
class Layout:
    """How a run is spread over processes.

    Args:
        processes: How many there are.
        tensor_parallel: How many of them share each matrix; the others shard parameters and data (FSDP2).

    Raises:
        BadInput: The degree does not divide the processes.
    """

    processes: int = 1
    tensor_parallel: int = 1

    def __post_init__(self) -> None:
        mistakes = [
            Mistake(name, f"{value} is not a number of processes from 1 up")
            for name, value in (("processes", self.processes), ("tensor_parallel", self.tensor_parallel))
            if value < 1
        ]
        if not mistakes and self.processes % self.tensor_parallel:
            mistakes.append(
                Mistake(
                    "tensor_parallel",
                    f"{self.tensor_parallel} does not divide {self.processes} processes",
                )
            )
        if mistakes:
            raise BadInput(mistakes)

    @property
    def shards(self) -> int:
        """Return how many ways parameters and data are sharded."""
        return self.processes // self.tensor_parallel


def layout_mistakes(spec: RunSpec, vocabulary: int, layout: Layout) -> list[Mistake]:
    """Return why a run cannot be laid out so."""
    mistakes: list[Mistake] = []
    shape = size(spec.size)
    sequences = spec.batch_tokens // spec.sequence_length
    if sequences % layout.shards:
        mistakes.append(
            Mistake(
                "processes",
                f"{layout.shards} shards do not divide the {sequences} sequences of a batch; change batch_tokens",
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
    return mistakes
