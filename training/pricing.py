"""What a plan costs before it is trained: measured on this machine, or counted for a cluster of GPUs.

Start at `price`, which tries a few steps of each size here, and `gpu_price`, which counts. Both count what runs share:
those that differ by their budget alone have one trunk, and what they would cost as separate runs is told beside it.

Importing this module imports no torch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from quality.mistakes import BadInput, Mistakes
from training.capacity import GIB, Hardware, choose_layout, hardware_mistakes, memory_bytes
from training.layout import Layout
from training.plan import Plan
from training.runs import RunSpec
from training.sizes import size
from training.workers import Note, default_workers, work

CALIBRATION_STEPS = 8
CALIBRATION_WARM_STEPS = 3
CALIBRATION_TOKENS = 8_192
CALIBRATION_FLOPS = 1e12
"""A CPU does about 3e10 a second on one core, so a size is measured for half a minute at most, or not at all."""


@dataclass(frozen=True)
class Price:
    """What a plan costs.

    Args:
        runs: Runs that are not done yet.
        tokens: Tokens trained on, those of a trunk once.
        tokens_alone: Tokens that would be trained on without trunks.
        flops: Training FLOPs, those of a trunk once.
        minutes: Wall clock, estimated from `seconds_per_token` and shared by the workers.
        workers: Runs trained at once.
        seconds_per_token: Size to what was measured; NaN nowhere: a size too large to be tried is priced by its FLOPs.
        measured: Sizes that were tried.
    """

    runs: int
    tokens: int
    tokens_alone: int
    flops: float
    minutes: float
    workers: int
    seconds_per_token: Mapping[str, float]
    measured: tuple[str, ...]


def price(plan: Plan, *, workers: int | None = None, done: frozenset[str] = frozenset()) -> Price:
    """Price what is left of a plan, by trying a few steps of each size on this machine.

    Args:
        plan: The plan.
        workers: Runs trained at once; as many as there are cores unless named.
        done: Runs that need no training any more.

    Raises:
        TrialFailed: A size cannot be trained on this machine.
    """
    workers = workers or default_workers()
    settings = plan.settings
    labels = sorted(settings.sizes, key=lambda label: size(label).non_embedding_parameters)
    per_token = {
        label: size(label).flops_per_token(plan.vocabulary, settings.sequence_length) for label in settings.sizes
    }
    few = max(1, CALIBRATION_TOKENS // settings.sequence_length) * settings.sequence_length
    specs = {trunk.size: trunk.runs[0].spec for trunk in plan.trunks}
    batches = {label: min(specs[label].batch_tokens, few) for label in labels}
    trials = [
        Trial(specs[label], plan.vocabulary, batches[label])
        for label in labels
        if per_token[label] * batches[label] * CALIBRATION_STEPS <= CALIBRATION_FLOPS
    ] or [Trial(specs[labels[0]], plan.vocabulary, settings.sequence_length)]
    timings: dict[str, Timing] = {}

    def keep(timing: Timing) -> None:
        timings[timing.size] = timing

    failed = work(try_size, trials, workers, keep, retries=1)
    if failed:
        raise TrialFailed(f"{failed[0].task.spec.size} cannot be trained here: {failed[0].reason.strip()}")
    largest = max(timings, key=lambda label: per_token[label])
    seconds = {
        label: timings[label].seconds_per_token
        if label in timings
        else timings[largest].seconds_per_token * per_token[label] / per_token[largest]
        for label in labels
    }
    translated = sum(one.inputs.size for one in plan.translations)
    overhead = max(timing.overhead_seconds for timing in timings.values())
    total = 0.0
    tokens = 0
    flops = 0.0
    for trunk in plan.trunks:
        left = trunk.steps_left(set(done)) * trunk.batch_tokens
        label = trunk.size
        pending = sum(run.run_id not in done for run in trunk.runs)
        validated = pending * (len(trunk.languages) * settings.validation_tokens + translated)
        tokens += left
        flops += left * per_token[label]
        # Validation only goes forward, which is a third of a training step's arithmetic.
        total += (overhead if pending else 0.0) + seconds[label] * (left + validated / 3)
    return Price(
        runs=sum(run.run_id not in done for run in plan.runs),
        tokens=tokens,
        tokens_alone=sum(run.steps * run.spec.batch_tokens for run in plan.runs if run.run_id not in done),
        flops=flops,
        minutes=total / 60 / min(workers, max(1, len(plan.trunks))),
        workers=workers,
        seconds_per_token=seconds,
        measured=tuple(label for label in labels if label in timings),
    )


class TrialFailed(RuntimeError):
    """A size could not be tried; the message holds the worker's own words."""


@dataclass(frozen=True)
class Trial:
    """A run of which a few steps are tried, in batches of `batch_tokens`."""

    spec: RunSpec
    vocabulary: int
    batch_tokens: int


@dataclass(frozen=True)
class Timing:
    """What a trial took."""

    size: str
    seconds_per_token: float
    overhead_seconds: float


def try_size(trial: Trial, note: Note) -> None:
    """Time a few steps of a size on random tokens, and note a `Timing`."""
    import numpy as np

    from training.recipe import train_run

    random = np.random.default_rng(0)
    rows = random.integers(0, trial.vocabulary, (64, trial.spec.sequence_length + 1))
    tokens = trial.batch_tokens * CALIBRATION_STEPS
    spec = replace(trial.spec, tokens=tokens, batch_tokens=trial.batch_tokens, learning_rate=1e-4)
    moments: list[float] = []
    started = time.perf_counter()
    train_run(
        spec,
        vocabulary=trial.vocabulary,
        sequences=lambda indices: rows[indices % len(rows)],
        validation=(),
        end_of_text=0,
        on_step=lambda _: moments.append(time.perf_counter()),
    )
    whole = time.perf_counter() - started
    steady = moments[CALIBRATION_WARM_STEPS - 1 :]
    step = (steady[-1] - steady[0]) / (len(steady) - 1)
    note(Timing(trial.spec.size, step / trial.batch_tokens, max(0.0, whole - CALIBRATION_STEPS * step)))


@dataclass(frozen=True)
class SizePrice:
    """What the runs of one size cost on GPUs.

    Args:
        size: The size label.
        params_total: Parameters, embeddings included.
        layout: How each run is spread.
        memory_gib: What each of its GPUs holds, in GiB.
        runs: Runs that are not done yet.
        tokens: Tokens trained on, those of a trunk once.
        tokens_alone: Tokens that would be trained on without trunks.
        flops: Training FLOPs, those of a trunk once.
        gpu_hours: Hours of one GPU.
        gpu_hours_alone: The same without trunks.
    """

    size: str
    params_total: int
    layout: Layout
    memory_gib: float
    runs: int
    tokens: int
    tokens_alone: int
    flops: float
    gpu_hours: float
    gpu_hours_alone: float

    def as_json(self) -> dict[str, Any]:
        """Return one row for people and programs."""
        return {
            "size": self.size,
            "params_total": self.params_total,
            "gpus": self.layout.processes,
            "tensor_parallel": self.layout.tensor_parallel,
            "memory_gib": round(self.memory_gib, 1),
            "runs": self.runs,
            "tokens": self.tokens,
            "tokens_alone": self.tokens_alone,
            "flops": self.flops,
            "gpu_hours": self.gpu_hours,
            "gpu_hours_alone": self.gpu_hours_alone,
        }


@dataclass(frozen=True)
class GpuPrice:
    """What a plan costs on GPUs.

    Args:
        hardware: What it was counted for.
        sizes: A row a size, in the order of the settings.
        hours: Wall clock: all GPU-hours shared by all GPUs, but no less than the longest trunk takes.
    """

    hardware: Hardware
    sizes: tuple[SizePrice, ...]
    hours: float

    @property
    def gpu_hours(self) -> float:
        """Return the GPU-hours of all sizes."""
        return sum(row.gpu_hours for row in self.sizes)

    @property
    def gpu_hours_alone(self) -> float:
        """Return the GPU-hours of all sizes if no runs shared a trunk."""
        return sum(row.gpu_hours_alone for row in self.sizes)


def gpu_price(plan: Plan, hardware: Hardware, *, done: frozenset[str] = frozenset()) -> GpuPrice:
    """Count what is left of a plan for a cluster of GPUs.

    Args:
        plan: The plan.
        hardware: What there is.
        done: Runs that need no training any more.

    Raises:
        BadInput: The hardware is impossible, or a size fits on no number of its GPUs; all such sizes are listed.
    """
    wrong = hardware_mistakes(hardware)
    if wrong:
        raise BadInput(wrong)
    settings = plan.settings
    rows: list[SizePrice] = []
    longest = 0.0
    mistakes = Mistakes()
    for label in settings.sizes:
        shape = size(label)
        trunks = [trunk for trunk in plan.trunks if trunk.size == label]
        with mistakes.noted():
            layout = choose_layout(trunks[0].runs[0].spec, plan.vocabulary, hardware, len(trunks))
            per_token = shape.flops_per_token(plan.vocabulary, settings.sequence_length)
            left = [trunk.steps_left(set(done)) * trunk.batch_tokens for trunk in trunks]
            pending = [run for trunk in trunks for run in trunk.runs if run.run_id not in done]
            alone = sum(run.steps * run.spec.batch_tokens for run in pending)
            longest = max(longest, hardware.gpu_hours(max(left) * per_token) / layout.processes)
            rows.append(
                SizePrice(
                    size=label,
                    params_total=shape.total_parameters(plan.vocabulary),
                    layout=layout,
                    memory_gib=memory_bytes(shape, plan.vocabulary, settings.sequence_length, layout) / GIB,
                    runs=len(pending),
                    tokens=sum(left),
                    tokens_alone=alone,
                    flops=sum(left) * per_token,
                    gpu_hours=hardware.gpu_hours(sum(left) * per_token),
                    gpu_hours_alone=hardware.gpu_hours(alone * per_token),
                )
            )
    mistakes.tell()
    return GpuPrice(hardware, tuple(rows), max(longest, sum(row.gpu_hours for row in rows) / hardware.gpus))
