"""How a run reads its order: the same global batches whatever the number of processes, and O(1) to go on from anywhere.

Start at `OrderLoader`. Sequence `i` of an order belongs to step `i // sequences_a_step`; which process reads it is a
matter of layout only. The state is one integer, the sequences that all processes together have read, so a checkpoint
made by two processes is gone on from by one or by eight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from training import cpu

with cpu.torchtitan_importable():
    from torchtitan.components.dataloader import BaseDataLoader, DataloaderExhaustedError

Sequence: TypeAlias = Callable[[int], npt.NDArray[np.integer]]
"""The `i`-th sequence of an order: `sequence_length + 1` token ids, inputs and the next token of each."""


class OrderLoader(BaseDataLoader):
    """Deals an order to the processes of one run.

    Args:
        sequence: The order's sequences.
        sequences: How many the run reads in all.
        local_batch: Sequences a process reads at once.
        world: Processes that read data (tensor-parallel peers count as one).
        rank: Which of them this is.
    """

    def __init__(self, sequence: Sequence, *, sequences: int, local_batch: int, world: int, rank: int) -> None:
        self._sequence = sequence
        self._sequences = sequences
        self._local_batch = local_batch
        self._world = world
        self._rank = rank
        self._read = 0

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        """Yield inputs and labels of this process, each `(local_batch, sequence_length)` int64."""
        while True:
            first = self._read + self._rank * self._local_batch
            if self._read + self._world * self._local_batch > self._sequences:
                raise DataloaderExhaustedError
            rows = [self._sequence(first + row) for row in range(self._local_batch)]
            self._read += self._world * self._local_batch
            inputs, labels = np.empty((2, len(rows), len(rows[0]) - 1), np.int64)
            for row, tokens in enumerate(rows):
                inputs[row] = tokens[:-1]
                labels[row] = tokens[1:]
            yield {"input": torch.from_numpy(inputs)}, torch.from_numpy(labels)

    def state_dict(self) -> dict[str, int]:
        """Return the sequences that all processes together have read."""
        return {"sequences_read": self._read}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on behind the sequences that were read."""
        self._read = int(state_dict["sequences_read"])
