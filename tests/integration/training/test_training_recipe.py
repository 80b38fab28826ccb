"""One run: what it learns, what it depends on, and what it leaves behind in the process."""

from __future__ import annotations

import gc
import logging
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from quality.mistakes import BadInput
from training.allocation import Allocation
from training.evaluation import ValidationSet, validation_set
from training.hyperparameters import RECIPE
from training.layout import Layout
from training.model import initial_values, model_arguments
from training.order import plan_order
from training.recipe import Outcome, train_branches, train_run
from training.runs import RunSpec
from training.schedule import Schedule
from training.shuffle import Shuffled
from training.spikes import Restart
from training.stores import open_stores

pytestmark = pytest.mark.torch

VOCABULARY, LENGTH, BATCH = 64, 32, 256


def spec(tokens: int = 40 * BATCH, **changes: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "size": "25k",
        "tokens": tokens,
        "shares": {"python": 1.0},
        "seed": 3,
        "sequence_length": LENGTH,
        "batch_tokens": BATCH,
        "learning_rate": 0.01,
        "tokenizer": "",
    }
    return RunSpec(**{**fields, **changes})


@pytest.fixture(scope="module")
def data(tokens_dir: Path) -> dict[str, Any]:
    order = plan_order(open_stores(tokens_dir, "train"), Allocation({"python": 1.0}), 40 * BATCH, LENGTH, 3)
    validation = tuple(
        validation_set(store, sequence_length=LENGTH, wanted=1024)
        for store in open_stores(tokens_dir, "validation").values()
    )
    return {"vocabulary": VOCABULARY, "sequences": Shuffled(order, 3).sequences, "validation": validation}


def plain(outcome: Outcome) -> tuple[Any, ...]:
    return (
        outcome.status,
        outcome.steps,
        outcome.final_train_loss_nats,
        outcome.curve,
        outcome.evaluations,
        outcome.translations,
        outcome.restarts,
    )


@pytest.fixture(scope="module")
def trained(data: dict[str, Any]) -> Outcome:
    return train_run(spec(), **data)


def test_a_run_learns_its_language_and_not_the_others(trained: Outcome) -> None:
    losses = {row["language"]: row["loss_nats"] for row in trained.evaluations}
    assert trained.status == "finished"
    assert trained.steps == 40
    assert trained.curve[0]["loss_nats"] == pytest.approx(math.log(VOCABULARY), abs=0.7)
    assert losses["python"] < 2.5  # two equally likely followers: ln 2 is the floor, ln 64 = 4.16 the start
    assert losses["rust"] > losses["python"] + 0.5
    for row in trained.evaluations:
        nats = row["loss_nats"] * row["evaluated_tokens"]
        assert row["bits_per_byte"] == pytest.approx(nats / math.log(2) / row["evaluated_bytes"])


def test_the_rate_rises_stays_and_falls(trained: Outcome) -> None:
    rates = [point["learning_rate"] for point in trained.curve]
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert rates[4:33] == pytest.approx([0.01] * 29)
    assert rates[33:] == pytest.approx([0.01 * (1 - math.sqrt(n / 8)) for n in range(1, 8)])


def test_the_same_run_gives_the_same_bits_and_another_seed_does_not(trained: Outcome, data: dict[str, Any]) -> None:
    assert plain(train_run(spec(), **data)) == plain(trained)
    assert train_run(spec(seed=4), **data).curve[0] != trained.curve[0]


def test_a_branch_is_bit_for_bit_the_run_trained_alone(trained: Outcome, data: dict[str, Any]) -> None:
    found: list[Outcome] = []
    runs = tuple(spec(steps * BATCH) for steps in (15, 25, 40))
    train_branches(runs, on_outcome=lambda _, outcome: found.append(outcome), warmup=4, **data)
    assert plain(found[2]) == plain(trained)
    assert plain(found[0]) == plain(train_run(runs[0], warmup=4, **data))
    assert [len(outcome.curve) for outcome in found] == [15, 25, 40]
    python = [next(row for row in one.evaluations if row["language"] == "python") for one in found]
    assert python[0]["loss_nats"] > python[2]["loss_nats"]


def test_validation_does_not_depend_on_how_sequences_are_grouped(data: dict[str, Any], monkeypatch: Any) -> None:
    once = train_run(spec(10 * BATCH), **data)
    monkeypatch.setattr("training.recipe.LOCAL_TOKENS", 3 * LENGTH)
    again = train_run(spec(10 * BATCH, batch_tokens=BATCH), **data)
    for left, right in zip(once.evaluations, again.evaluations, strict=True):
        assert left["loss_nats"] == pytest.approx(right["loss_nats"], abs=1e-4)
        assert left["evaluated_tokens"] == right["evaluated_tokens"] == 1024


def test_a_run_that_diverges_says_so_and_is_not_evaluated(data: dict[str, Any]) -> None:
    outcome = train_run(spec(10 * BATCH, learning_rate=100.0), **data)
    assert outcome.status == "diverged"
    assert outcome.evaluations == ()
    poisoned = {**data, "validation": ()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.model.initial_values", lambda _, shape, *__: np.full(shape, np.nan, np.float32))
        broken = train_run(spec(), **poisoned)
    assert (broken.status, broken.steps) == ("diverged", 1)
    assert broken.restarts == (Restart(1, 0, "not finite"),) * RECIPE.restarts
    assert math.isnan(broken.final_train_loss_nats)


def test_a_run_leaves_the_process_as_it_was(data: dict[str, Any], tmp_path: Path, capfd: Any) -> None:
    before = dict(os.environ), list(logging.getLogger().handlers), torch.get_num_threads(), gc.isenabled()
    random = torch.get_rng_state()
    train_run(spec(10 * BATCH), log=tmp_path / "log", **data)
    after = dict(os.environ), list(logging.getLogger().handlers), torch.get_num_threads(), gc.isenabled()
    assert after == before
    assert torch.equal(torch.get_rng_state(), random)
    assert not torch.distributed.is_initialized()
    assert "Building polymix 25k/64" in (tmp_path / "log").read_text()
    assert capfd.readouterr() == ("", "")


class Stopped(Exception):
    pass


def stopping_after(steps: int) -> Callable[[int], None]:
    seen: list[int] = []

    def stop(_: int) -> None:
        seen.append(1)
        if len(seen) == steps:
            raise Stopped

    return stop


def test_a_stopped_run_goes_on_from_its_checkpoint(
    trained: Outcome, data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.recipe.RECIPE", replace(RECIPE, rewind_every=10))
    saved = {"checkpoint": tmp_path / "checkpoint", "checkpoint_every": 6}
    with pytest.raises(Stopped):
        train_run(spec(), on_step=stopping_after(23), **saved, **data)
    more: list[int] = []
    outcome = train_run(spec(), on_step=more.append, **saved, **data)
    assert len(more) == 20
    assert plain(outcome) == plain(trained)
    # Killed behind its last step, it has none left to do.
    again = train_run(spec(), **saved, **data)
    assert plain(again) == plain(trained)
    assert math.isnan(again.step_seconds)


def test_a_run_goes_back_from_a_spike_reads_all_its_data_once_and_may_be_killed(
    trained: Outcome, data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.recipe.RECIPE", replace(RECIPE, rewind_every=10))
    found: list[int] = []

    def spike_at_17(losses: list[float], *_: object) -> str | None:
        found.append(len(losses))
        return "spike" if len(losses) == 17 and found.count(17) == 1 else None

    monkeypatch.setattr("training.recipe.trouble", spike_at_17)
    read: list[int] = []

    def sequences(indices: Any) -> Any:
        read.extend(indices.tolist())
        return data["sequences"](indices)

    outcome = train_run(spec(), **{**data, "sequences": sequences})
    assert outcome.status == "finished"
    assert outcome.restarts == (Restart(17, 10, "spike"),)
    assert outcome.curve[:10] == trained.curve[:10]
    assert outcome.curve[10] != trained.curve[10]
    assert [point["learning_rate"] for point in outcome.curve] == [point["learning_rate"] for point in trained.curve]
    a_step = BATCH // LENGTH
    # All of these few sequences are read ahead before the jump, and those after step 10 once more behind it.
    first, again = read[: 40 * a_step], read[40 * a_step :]
    assert again[: 7 * a_step] != first[10 * a_step : 17 * a_step]
    assert sorted(again[: 7 * a_step]) == list(range(10 * a_step, 17 * a_step))
    assert sorted(first) == sorted(first[: 10 * a_step] + again) == list(range(40 * a_step))

    # Killed when it is back at step 19, and goes on from 10; killed at 22, and goes on from 20.
    for steps in (25, 28):
        found.clear()
        saved = {"checkpoint": tmp_path / f"checkpoint{steps}", "checkpoint_every": 10}
        with pytest.raises(Stopped):
            train_run(spec(), on_step=stopping_after(steps), **saved, **data)
        found.clear()
        assert plain(train_run(spec(), **saved, **data)) == plain(outcome)


def test_a_cosine_falls_from_the_warm_up_on_and_shares_no_trunk(data: dict[str, Any]) -> None:
    outcome = train_run(spec(20 * BATCH, schedule="cosine"), **data)
    rates = [point["learning_rate"] for point in outcome.curve]
    assert rates[:2] == pytest.approx([0.005, 0.01])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0.001, rel=0.1)
    with pytest.raises(ValueError, match="no stable phase to share"):
        train_branches(
            (spec(20 * BATCH, schedule="cosine"), spec(schedule="cosine")), on_outcome=lambda *_: None, **data
        )


def test_layouts_that_do_not_fit_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="3 does not divide 2 \\(heads of 25k\\)"):
        train_run(spec(), layout=Layout(3, 3), **data)
    with pytest.raises(BadInput, match="3 shards do not divide the 8 sequences"):
        train_run(spec(), layout=Layout(3), **data)
    with pytest.raises(ValueError, match="tokens alone"):
        train_branches((spec(), spec(seed=9)), on_outcome=lambda *_: None, **data)


def test_initial_values_depend_on_name_and_seed_and_have_the_deviation() -> None:
    values = initial_values("layers.0.attention.wo.weight", (256, 256), layers=2, seed=1)
    assert values.std() == pytest.approx(0.01, rel=0.02)
    assert np.abs(values).max() <= 0.03 + 1e-6
    assert not np.array_equal(values, initial_values("layers.1.attention.wo.weight", (256, 256), 2, 1))
    assert not np.array_equal(values, initial_values("layers.0.attention.wo.weight", (256, 256), 2, 2))
    assert (initial_values("layers.0.attention_norm.weight", (8,), 2, 1) == 1).all()


def test_the_schedule_never_reaches_zero_and_never_leaves_the_unit_interval() -> None:
    schedule = Schedule(3)
    schedule.fall(50)
    factors = [schedule.factor(step) for step in range(50)]
    assert min(factors) > 0
    assert max(factors) == 1
    assert sorted(factors[40:], reverse=True) == factors[40:]


def test_a_model_is_validated_like_plain_torch_would(data: dict[str, Any]) -> None:
    from torchtitan.models.llama3 import Transformer

    from training.sizes import size

    chosen: ValidationSet = data["validation"][0]
    arguments = model_arguments(size("25k"), VOCABULARY)
    arguments.max_seq_len = LENGTH
    model = Transformer(arguments)
    with torch.no_grad():
        model.init_weights()
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(initial_values(name, tuple(parameter.shape), 2, 3)))
        tokens = torch.from_numpy(chosen.sequences)
        logits = model(tokens[:, :-1]).flatten(0, 1)
        expected = float(torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten()))
    # A rate this small leaves the initial model as it was.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.recipe.ignorance", lambda _: 100.0)  # an untrained model may be worse than nothing
        outcome = train_run(spec(10 * BATCH, learning_rate=1e-12), **data)
    assert outcome.status == "finished"
    assert outcome.evaluations[0]["loss_nats"] == pytest.approx(expected, abs=1e-5)
