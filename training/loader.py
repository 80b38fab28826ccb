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

Sequences: TypeAlias = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.integer]]
"""Sequences of an order by their numbers, (n,) to (n, sequence_length + 1): inputs and the token after each."""

READ_AHEAD_TOKENS = 1 << 17
"""Tokens that a process reads at once, 2 MB of inputs and labels: the documents of many sequences are found in little
more time than those of one."""


class OrderLoader(BaseDataLoader):
    """Deals an order to the processes of one run.

    Args:
        read: The order's sequences.
        sequences: How many the run reads in all.
        local_batch: Sequences a process reads at once.
        world: Processes that read data (tensor-parallel peers count as one).
        rank: Which of them this is.
    """

    def __init__(self, read: Sequences, *, sequences: int, local_batch: int, world: int, rank: int) -> None:
        self._read_sequences = read
        self._sequences = sequences
        self._local_batch = local_batch
        self._world = world
        self._rank = rank
        self._read = 0
        self._ahead: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []  # the next one last
        self._steps_ahead = 1  # so that the first batch is there soon

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        """Yield inputs and labels of this process, each `(local_batch, sequence_length)` int64."""
        while True:
            if not self._ahead:
                self._read_ahead()
            inputs, labels = self._ahead.pop()
            self._read += self._world * self._local_batch
            yield {"input": torch.from_numpy(inputs)}, torch.from_numpy(labels)

    def _read_ahead(self) -> None:
        """Read this process's next batches."""
        a_step = self._world * self._local_batch
        steps = min(self._steps_ahead, (self._sequences - self._read) // a_step)
        if steps < 1:
            raise DataloaderExhaustedError
        first = self._read + self._rank * self._local_batch
        places = first + np.arange(steps)[:, None] * a_step + np.arange(self._local_batch)
        rows = self._read_sequences(places.ravel())
        length = rows.shape[1] - 1
        inputs, labels = np.empty((2, steps, self._local_batch, length), np.int64)
        inputs.reshape(-1, length)[:] = rows[:, :-1]
        labels.reshape(-1, length)[:] = rows[:, 1:]
        self._ahead = list(zip(inputs, labels, strict=True))[::-1]
        self._steps_ahead = max(1, READ_AHEAD_TOKENS // (self._local_batch * length))

    def state_dict(self) -> dict[str, int]:
        """Return the sequences that all processes together have read."""
        return {"sequences_read": self._read}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on behind the sequences that were read, wherever this process was."""
        self._ahead, self._steps_ahead = [], 1
        self._read = int(state_dict["sequences_read"])
