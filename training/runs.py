"""The nouns `RunSpec` and `RunRecord`: what one training run is, and what came of it. No torch here.

A run is one row of `runs.parquet` (`RUN_SCHEMA`); its validation losses are rows of `evaluations.parquet`
(`EVALUATION_SCHEMA`), one a step and language; its losses on translations are rows of `translations.parquet`
(`TRANSLATION_SCHEMA`), one a step and direction; its training losses are rows of `curves.parquet` (`CURVE_SCHEMA`).
Counts are raw: both parameter counts, tokens, FLOPs by formula, so that no fit has to guess which N is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from quality.contracts import Contract, Expectation


@dataclass(frozen=True)
class RunSpec:
    """Everything that defines one run; its fingerprint is the run's id.

    Args:
        size: A size label, such as `200k` or `0.5B` (see `training.sizes`).
        tokens: Training tokens.
        shares: Source to fraction of the tokens.
        seed: Seeds initial weights and the order of the data.
        sequence_length: Tokens a sequence.
        batch_tokens: Tokens an optimizer step.
        learning_rate: Peak learning rate.
        tokenizer: SHA-256 of the tokenizer file.
        schedule: How the rate goes over the steps (`training.hyperparameters.SCHEDULES`).
        across_documents: Whether tokens attend to the documents before theirs in the same sequence.
        float8: Whether matrices are multiplied in 8 bits.
    """

    size: str
    tokens: int
    shares: Mapping[str, float]
    seed: int
    sequence_length: int
    batch_tokens: int
    learning_rate: float
    tokenizer: str
    schedule: str = "wsd-sqrt"
    across_documents: bool = True
    float8: bool = False


RUN_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("size", pa.string(), nullable=False),
        pa.field("params_total", pa.int64(), nullable=False),
        pa.field("params_non_embedding", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),  # tokens trained on: steps x batch_tokens
        pa.field("flops", pa.float64(), nullable=False),  # by formula, training
        pa.field("shares", pa.map_(pa.string(), pa.float64()), nullable=False),
        pa.field("repeats", pa.map_(pa.string(), pa.float64()), nullable=False),  # epochs over each source
        pa.field("trained_on", pa.string(), nullable=False),  # the only source, or `mixture`
        pa.field("mixture", pa.string()),  # what the sweep calls it; null of a single run
        pa.field("pairing", pa.string()),  # parallel, shuffled; null where there are no pairs
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("sequence_length", pa.int64(), nullable=False),
        pa.field("batch_tokens", pa.int64(), nullable=False),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("schedule", pa.string(), nullable=False),
        pa.field("across_documents", pa.bool_(), nullable=False),  # whether attention crosses document boundaries
        pa.field("precision", pa.string(), nullable=False),  # of matrix products: float32, bfloat16, float8
        pa.field("steps", pa.int64(), nullable=False),
        pa.field("restarts", pa.int64(), nullable=False),  # how often it went back from a spike
        pa.field("final_train_loss_nats", pa.float64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),  # wall clock: never part of an identity
        pa.field("step_seconds", pa.float64(), nullable=False),  # median wall clock of a step; NaN if none was left
        pa.field("loader_seconds", pa.float64(), nullable=False),  # waiting for data, in all
        pa.field("world_size", pa.int64(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        pa.field("torch", pa.string(), nullable=False),
        pa.field("torchtitan", pa.string(), nullable=False),
        pa.field("tokenizer", pa.string(), nullable=False),
        pa.field("stores", pa.string(), nullable=False),  # fingerprint of the token stores it read
        pa.field("status", pa.string(), nullable=False),  # finished, diverged
        pa.field("command", pa.string(), nullable=False),
    ]
)

EVALUATION_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),  # trained on so far
        pa.field("language", pa.string(), nullable=False),
        pa.field("loss_nats", pa.float64(), nullable=False),  # a token
        pa.field("bits_per_byte", pa.float64(), nullable=False),
        pa.field("evaluated_tokens", pa.int64(), nullable=False),
        pa.field("evaluated_bytes", pa.int64(), nullable=False),
    ]
)

TRANSLATION_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),  # trained on so far
        pa.field("source_language", pa.string(), nullable=False),
        pa.field("target_language", pa.string(), nullable=False),
        pa.field("seen", pa.bool_(), nullable=False),  # pairs have this direction, whether or not the run read any
        pa.field("instances", pa.int64(), nullable=False),
        pa.field("left_out", pa.int64(), nullable=False),  # instances longer than a sequence
        pa.field("loss_nats", pa.float64(), nullable=False),  # a token of the target, its source given
        pa.field("bits_per_byte", pa.float64(), nullable=False),
        pa.field("evaluated_tokens", pa.int64(), nullable=False),
        pa.field("evaluated_bytes", pa.int64(), nullable=False),
    ]
)

CURVE_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("loss_nats", pa.float64(), nullable=False),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("gradient_norm", pa.float64(), nullable=False),
    ]
)

RUN_CONTRACT = Contract(
    noun="run",
    key=("run_id",),
    expectations=(
        Expectation("expect_column_values_to_be_unique", {"column": "run_id"}, "a run was recorded twice"),
        Expectation("expect_column_values_to_be_between", {"column": "tokens", "min_value": 1}, ""),
        Expectation("expect_column_values_to_be_between", {"column": "params_non_embedding", "min_value": 1}, ""),
        Expectation(
            "expect_column_values_to_be_in_set", {"column": "status", "value_set": ["finished", "diverged"]}, ""
        ),
    ),
)
