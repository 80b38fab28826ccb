from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.hyperparameters import RECIPE
from training.spikes import Redealt, Restart, trouble

CALM = [3.0 + 0.01 * (-1) ** n for n in range(200)]


def test_a_jump_that_stays_is_a_spike_and_one_odd_batch_is_none() -> None:
    assert trouble(CALM, 1.0, RECIPE) is None
    assert trouble([*CALM, 5.0], 1.0, RECIPE) is None
    assert trouble([*CALM, *[5.0] * RECIPE.spike_steps], 1.0, RECIPE) == "spike"
    assert trouble([*CALM, *[3.05] * RECIPE.spike_steps], 1.0, RECIPE) is None
    assert trouble([*CALM, *[3.07] * RECIPE.spike_steps], 1.0, RECIPE) == "spike"


def test_what_is_not_finite_is_told_at_once() -> None:
    assert trouble([math.nan], 1.0, RECIPE) == "not finite"
    assert trouble([*CALM, math.inf], 1.0, RECIPE) == "not finite"
    assert trouble(CALM, math.nan, RECIPE) == "not finite"


def test_a_run_that_has_just_begun_has_no_spikes() -> None:
    assert trouble([3.0] * 8 + [9.0] * RECIPE.spike_steps, 1.0, RECIPE) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), max_size=4), st.integers(1, 4), st.integers(0, 9))
def test_every_sequence_is_read_once_however_often_a_run_goes_back(
    spans: list[tuple[int, int]], a_step: int, seed: int
) -> None:
    redealt = Redealt(lambda places: places[:, None], seed=seed, sequences_a_step=a_step)
    redealt.restarts = tuple(Restart(first + length, first, "spike") for first, length in spans)
    read = redealt(np.arange(60 * a_step))[:, 0].tolist()
    assert sorted(read) == list(range(60 * a_step))
    changed = {place // a_step for place, index in enumerate(read) if place != index}
    assert changed <= {step for first, length in spans for step in range(first, first + length)}


def test_a_second_attempt_deals_otherwise_than_the_first() -> None:
    redealt = Redealt(lambda places: places[:, None], seed=0, sequences_a_step=8)
    orders: list[list[int]] = []
    for times in range(3):
        redealt.restarts = (Restart(5, 0, "spike"),) * times
        orders.append(redealt.indices(np.arange(40)).tolist())
    assert orders[0] == list(range(40))
    assert orders[1] != orders[2] != orders[0] != orders[1]
