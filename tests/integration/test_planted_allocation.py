"""From simulated sweeps of the paper's grid to an allocation: what it loses under the laws that made the runs."""

from __future__ import annotations

import numpy as np

from tests.benchmark.bench_decision import next_against_random, next_mixtures_against_random, regret_of_planted


def test_the_recommended_allocation_loses_less_than_a_thousandth() -> None:
    regrets = [regret_of_planted(study) for study in range(3)]
    assert all(0 <= recommended < 1e-3 for recommended, _ in regrets)
    assert np.mean([recommended for recommended, _ in regrets]) < np.mean([uniform for _, uniform in regrets])


def test_chosen_runs_lower_the_regret_more_than_random_ones_of_their_price() -> None:
    without, chosen, random = np.mean([next_against_random(study) for study in range(4)], axis=0)
    assert chosen < 0.5 * random < without


def test_chosen_mixtures_lower_the_true_regret_more_than_random_ones_of_their_price() -> None:
    without, chosen, random = np.mean([next_mixtures_against_random(study, 2) for study in (0, 3)], axis=0)
    assert chosen < 0.7 * min(random, without)
