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

    def sequence(self, index: int) -> npt.NDArray[np.int64]:
        """Return a sequence and the token that follows it."""
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

    def sequence(self, index: int) -> npt.NDArray[np.int64]:
        """Return sequence `index` and the token that follows it, shape (sequence_length + 1,).

        Raises:
            IndexError: There is no such sequence.
        """
        if not 0 <= index < len(self._order):
            raise IndexError(f"sequence {index} of {len(self._order)}")
        block, offset = divmod(index, self._size)
        return self._order.sequence(int(self._block(block)[offset]))

    def _places(self, block: int) -> npt.NDArray[np.int64]:
        """Return which sequence of the order stands at each place of a block."""
        first = block * self._size
        last = min(first + self._size, len(self._order))
        sources = np.array([self._order.source_of(index) for index in range(first, last)])
        places = np.arange(first, last)
        for source in sorted(set(sources.tolist())):
            own = np.flatnonzero(sources == source)
            places[own] = first + own[permutation(len(own), self._seed, f"shuffle {source}", block)]
        return places
