from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.shuffle import Shuffled


class Counted:
    """An order whose sequence `i` is `[i]`."""

    def __init__(self, sources: list[str]) -> None:
        self._sources = sources

    def __len__(self) -> int:
        return len(self._sources)

    def source_of(self, index: int) -> str:
        return self._sources[index]

    def codes_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.array([ord(self._sources[index]) for index in indices])

    def sequences(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return indices[:, None]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(0, 9), st.integers(1, 20))
def test_sequences_change_places_with_their_like_and_within_their_block(sources: str, seed: int, block: int) -> None:
    shuffled = Shuffled(Counted(list(sources)), seed, block)
    places = shuffled.sequences(np.arange(len(shuffled)))[:, 0].tolist()
    assert sorted(places) == list(range(len(sources)))
    assert [sources[place] for place in places] == list(sources)
    assert [place // block for place in places] == [index // block for index in range(len(sources))]


def test_the_seed_and_the_block_decide_the_places() -> None:
    def places(seed: int) -> list[int]:
        shuffled = Shuffled(Counted(["a"] * 200), seed, 100)
        return shuffled.sequences(np.arange(200))[:, 0].tolist()

    assert places(1) == places(1) != places(2)
    assert places(1)[:100] != [place - 100 for place in places(1)[100:]]
    neighbours = sum(abs(left - right) == 1 for left, right in zip(places(1), places(1)[1:], strict=False))
    assert neighbours < 20


def test_outside_there_is_nothing() -> None:
    for outside in (3, -1):
        with pytest.raises(IndexError, match=f"sequence {outside} of 3"):
            Shuffled(Counted(["a"] * 3), 0).sequences(np.array([0, outside]))
