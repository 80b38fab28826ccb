from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.hyperparameters import SCHEDULES
from training.schedule import Schedule


@pytest.mark.parametrize("name", SCHEDULES)
@given(warmup=st.integers(1, 20), steps=st.integers(25, 500))
def test_the_rate_stays_within_its_bounds_and_never_rises_again(name: str, warmup: int, steps: int) -> None:
    schedule = Schedule(warmup, name)
    schedule.fall(steps)
    factors = [schedule.factor(step) for step in range(steps)]
    assert min(factors) > 0
    assert max(factors) == 1
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


def test_a_cosine_is_half_way_in_the_middle_and_ends_at_a_tenth() -> None:
    schedule = Schedule(10, "cosine")
    schedule.fall(110)
    assert schedule.factor(60) == pytest.approx(0.55)
    assert schedule.factor(35) == pytest.approx(0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2)
    assert schedule.factor(110) == pytest.approx(0.1)


def test_a_trunk_does_not_know_where_it_ends() -> None:
    trunk, long = Schedule(4), Schedule(4)
    long.fall(100)
    assert [trunk.factor(n) for n in range(81)] == [long.factor(n) for n in range(81)]
