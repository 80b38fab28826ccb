from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.hyperparameters import (
    RECIPE,
    batch_size,
    count,
    decay_starts,
    learning_rate,
    run_id,
    run_identity,
    warmup_steps,
)
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


@given(st.integers(10_000, 10**11), st.integers(10**4, 10**13), st.sampled_from([128, 1000, 2048]))
def test_batches_grow_with_the_size_and_leave_a_run_its_steps(parameters: int, tokens: int, length: int) -> None:
    batch = batch_size(parameters, tokens, length)
    assert batch % length == 0
    assert (batch // length).bit_count() == 1
    assert batch == length or 100 * batch <= tokens
    assert batch <= batch_size(parameters * 2, tokens, length)
    assert batch <= batch_size(parameters, tokens * 2, length)


def test_the_ladder_gives_the_batches_it_is_known_for() -> None:
    assert batch_size(108_000_000, 10**12, 2048) == 128 * 2048  # of 160, the power of two below
    assert batch_size(1_000_000_000, 10**12, 2048) == 512 * 2048  # of 705
    assert batch_size(108_000_000, 10**7, 2048) == 32 * 2048  # of 48: a hundred steps


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
        "schedule": "cosine",
        "across_documents": False,
        "float8": True,
    }
    assert set(changes) == set(RunSpec.__dataclass_fields__)
    ids = [run_id(run_identity(replace(spec, **{name: value}), "stores")) for name, value in changes.items()]
    ids += [run_id(run_identity(spec, "stores")), run_id(run_identity(spec, "other"))]
    ids.append(run_id(run_identity(spec, "stores", warmup=3)))
    assert len(set(ids)) == len(ids)
