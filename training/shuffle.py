"""How neighbouring sequences are kept out of the same batch. No torch here.

Start at `Shuffled`. An order streams documents, so that sequences which follow each other often come from one document;
a batch of those is worth little more than one of them. Within blocks of an order, sequences of the same source change
places at random: the turns that sources take, and so every share in every prefix, stay what they were.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.hyperparameters import RECIPE
from training.order import permutation

_BLOCKS_KEPT = 1024  # 8 MB: random access to a million sequences works no block out twice


class Ordered(Protocol):
    """What both `training.order.Order` and `training.shards.Shards` are."""

    def __len__(self) -> int:
        """Return the sequences there are."""
        ...

    def source_of(self, index: int) -> str:
        """Return which source a sequence comes from."""
        ...

    def codes_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.integer]:
        """Return the numbers of the sources that sequences come from, shape (n,)."""
        ...

    def sequences(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return sequences, each with the token that follows it, shape (n, sequence_length + 1)."""
        ...


class Shuffled:
    """An order with neighbours apart: a pure function of the order, the seed and the block.

    Args:
        order: What is shuffled.
        seed: The run's seed.
        block: Sequences within which places are changed.
    """

    def __init__(self, order: Ordered, seed: int, block: int = RECIPE.shuffle_block) -> None:
        self._order = order
        self._seed = seed
        self._size = block
        self._block = lru_cache(maxsize=_BLOCKS_KEPT)(self._places)

    def __len__(self) -> int:
        return len(self._order)

    def sequences(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return some sequences, each with the token that follows it, shape (n, sequence_length + 1).

        Raises:
            IndexError: There is no such sequence.
        """
        outside = (indices < 0) | (indices >= len(self._order))
        if outside.any():
            raise IndexError(f"sequence {indices[outside][0]} of {len(self._order)}")
        blocks, offsets = np.divmod(indices, self._size)
        places = np.empty(len(indices), np.int64)
        for block in np.unique(blocks).tolist():
            own = blocks == block
            places[own] = self._block(block)[offsets[own]]
        return self._order.sequences(places)

    def _places(self, block: int) -> npt.NDArray[np.int64]:
        """Return which sequence of the order stands at each place of a block."""
        first = block * self._size
        last = min(first + self._size, len(self._order))
        places = np.arange(first, last)
        codes = self._order.codes_of(places)
        for code in np.unique(codes).tolist():
            own = np.flatnonzero(codes == code)
            source = self._order.source_of(first + int(own[0]))
            places[own] = first + own[permutation(len(own), self._seed, f"shuffle {source}", block)]
        return places
