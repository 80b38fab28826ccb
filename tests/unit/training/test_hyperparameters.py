from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.hyperparameters import RECIPE, count, decay_starts, learning_rate, run_id, run_identity, warmup_steps
from training.runs import RunSpec


@pytest.mark.parametrize(
    ("text", "number"), [("250000", 250_000), ("250k", 250_000), ("1.5B", 1_500_000_000), ("65_536", 65_536)]
)
def test_counts_are_read(text: str, number: int) -> None:
    assert count(text) == number


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "lots", "10K", "1e6", "0.0001k"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a count above 0"):
        count(text)


@given(st.integers(10_000, 10**11), st.integers(1, 10**7))
def test_larger_models_and_smaller_batches_have_lower_rates(parameters: int, batch: int) -> None:
    assert 0 < learning_rate(parameters * 2, batch) <= learning_rate(parameters, batch)
    assert learning_rate(parameters, batch) <= learning_rate(parameters, batch * 2)


def test_the_ladder_is_met_where_it_was_made() -> None:
    assert learning_rate(108_000_000, 2048 * 160) == pytest.approx(0.00235)


@given(st.integers(1, 10**6))
def test_the_phases_of_a_run_fit_into_it(steps: int) -> None:
    assert 1 <= warmup_steps(steps) <= RECIPE.warmup_most
    assert warmup_steps(steps) <= max(1, decay_starts(steps)) <= steps


def test_every_field_of_a_run_is_in_its_id() -> None:
    spec = RunSpec("25k", 1000, {"go": 1.0}, 0, 10, 100, 0.01, "t")
    changes = {
        "size": "60k",
        "tokens": 2000,
        "shares": {"rust": 1.0},
        "seed": 1,
        "sequence_length": 20,
        "batch_tokens": 200,
        "learning_rate": 0.02,
        "tokenizer": "u",
    }
    assert set(changes) == set(RunSpec.__dataclass_fields__)
    ids = [run_id(run_identity(replace(spec, **{name: value}), "stores")) for name, value in changes.items()]
    ids += [run_id(run_identity(spec, "stores")), run_id(run_identity(spec, "other"))]
    ids.append(run_id(run_identity(spec, "stores", warmup=3)))
    assert len(set(ids)) == len(ids)
