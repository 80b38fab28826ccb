"""How one run is trained: our order, sizes, schedule and validation, plugged into torchtitan's own Trainer.

Start at `train_run`. torchtitan is used as it is, through its `TrainSpec`; what is ours is the initial weights and the
document masks (`training.model`), the schedule (`training.schedule`), the loader (`training.loader`), how a run goes on
from before a spike (`training.spikes`), the validation (`training.evaluation`, `training.translations`), compiling a
model as a whole where one process has all of it, and the rows that are kept of it all. What always holds: a run changes
nothing of the process that outlives it (environment, log handlers, random state of numpy, thread count, garbage
collection), and nothing is read out of logs.

Refused, with the reason: replicas that are not sharded (torchtitan 0.2.2 divides their gradients twice, its issues
2318 and 2323) and pipeline parallelism (its gradients are not divided by the tokens of the whole batch, issue 2972).
"""

from __future__ import annotations

import contextlib
import copy
import gc
import inspect
import json
import logging
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from quality.mistakes import BadInput, Failure
from training import cpu
from training.checkpoints import is_sealed, seal, step_folder
from training.evaluation import IGNORED, ValidationSet, bits_per_byte
from training.hyperparameters import RECIPE, SCHEDULE, decay_starts, steps_of, warmup_steps
from training.layout import Layout, layout_mistakes, local_tokens, missing_library
from training.loader import OrderLoader, Sequences
from training.model import LlamaArguments, LlamaTwo, document_masks, model_arguments
from training.runs import RunSpec
from training.schedule import Schedule
from training.sizes import STATE_BYTES, size
from training.spikes import Redealt, Restart, trouble
from training.translations import TranslationSet

with cpu.torchtitan_importable():
    from torchtitan.components.loss import build_cross_entropy_loss
    from torchtitan.components.lr_scheduler import LRSchedulersContainer
    from torchtitan.components.metrics import MetricsProcessor
    from torchtitan.components.optimizer import build_optimizers
    from torchtitan.components.validate import BaseValidator
    from torchtitan.config import JobConfig, LRScheduler
    from torchtitan.models.llama3 import TransformerModelArgs, parallelize_llama
    from torchtitan.models.llama3.model.state_dict_adapter import Llama3StateDictAdapter
    from torchtitan.protocols.train_spec import TrainSpec, register_train_spec
    from torchtitan.tools.utils import device_type
    from torchtitan.train import Trainer

CURVE_POINTS = 200
"""Rows kept of a training curve: enough to draw it, few enough for thousands of runs."""

LOCAL_TOKENS = 8_192
"""Tokens that a CPU works on at once, and any device in validation; the float32 logits of a 32,000-token vocabulary
then take 1 GiB."""

_NAME = "polymix"


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Args:
        status: `finished` or `diverged` (a loss or gradient that is not finite after all restarts, or a final loss
            above ln V).
        steps: Optimizer steps done.
        final_train_loss_nats: Mean over the curve's last tenth; NaN where it is not finite.
        curve: `step, loss_nats, learning_rate, gradient_norm` of the points kept.
        evaluations: `step, language, loss_nats, bits_per_byte, evaluated_tokens, evaluated_bytes`.
        translations: The same of each direction (`training.runs.TRANSLATION_SCHEMA`).
        restarts: Where it went back from a spike.
        seconds: Wall clock of training and validation.
        step_seconds: Median wall clock of a step; NaN where none was left to do.
        loader_seconds: Wall clock of waiting for data.
        device: What it ran on.
        precision: Of matrix products: `float32`, `bfloat16` or `float8`.
    """

    status: str
    steps: int
    final_train_loss_nats: float
    curve: tuple[dict[str, float], ...]
    evaluations: tuple[dict[str, Any], ...]
    translations: tuple[dict[str, Any], ...]
    restarts: tuple[Restart, ...]
    seconds: float
    step_seconds: float
    loader_seconds: float
    device: str
    precision: str


def train_run(spec: RunSpec, **arguments: Any) -> Outcome:
    """Train one run and validate it; see `train_branches` for the arguments."""
    outcomes: list[Outcome] = []
    train_branches((spec,), on_outcome=lambda _, outcome: outcomes.append(outcome), **arguments)
    return outcomes[0]


def train_branches(
    specs: tuple[RunSpec, ...],
    *,
    vocabulary: int,
    sequences: Sequences,
    validation: tuple[ValidationSet, ...],
    on_outcome: Callable[[RunSpec, Outcome], None],
    translations: tuple[TranslationSet, ...] = (),
    end_of_text: int | None = None,
    warmup: int | None = None,
    layout: Layout | None = None,
    threads: int = 1,
    compiled: bool | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
    log: Path | None = None,
    on_step: Callable[[int], object] | None = None,
) -> None:
    """Train runs that differ by their tokens alone: one trunk at the stable rate, a branch with its decay for each.

    A branch is bit for bit the run that would have been trained alone with the same warm-up, because until its decay
    starts nothing of a run depends on how long it is. What is saved is every shorter run's stable phase.

    Args:
        specs: What the runs are, by rising tokens.
        vocabulary: Token ids of the tokenizer.
        sequences: The order's sequences; the first `steps x batch_tokens / sequence_length` are read by a run.
        validation: What each model is validated on when it is trained.
        on_outcome: Called with each run as soon as it is done.
        translations: What its translations are scored on then.
        end_of_text: The token that ends a document; needed where attention stays within documents.
        warmup: Steps in which the rate rises; a tenth of the shortest run unless named.
        layout: How it is spread; more than one process needs the environment that `torchrun` sets.
        threads: CPU threads; results are the same bit for bit for the same number.
        compiled: Whether the model is compiled; on accelerators only unless named.
        checkpoint: Folder that full checkpoints are written to, and gone on from where there are any. None is written
            while a branch decays, but for the last one.
        checkpoint_every: Steps between checkpoints, rounded up to a multiple of `RECIPE.rewind_every`: a run that goes
            on has the same states to go back to.
        log: File that torchtitan's own log lines are added to.
        on_step: Called after each step with the tokens of that step.

    Raises:
        BadInput: The layout does not fit the shape or the batch, or float8 is asked for where torchao is not.
        ValueError: The runs differ by more than their tokens, have no stable phase to share, or the checkpoint is
            behind a branch that is asked for.

    Source: Hägele et al., arXiv 2405.18392, section 4.
    """
    layout = layout or Layout()
    shortest, longest = specs[0], specs[-1]
    if any(replace(spec, tokens=longest.tokens) != longest for spec in specs):
        raise ValueError("runs of one trunk may differ by their tokens alone")
    if list(specs) != sorted(specs, key=steps_of):
        raise ValueError("give runs by rising tokens")
    if longest.schedule != SCHEDULE and len(specs) > 1:
        raise ValueError(f"runs with the schedule {longest.schedule!r} have no stable phase to share; train them alone")
    if not longest.across_documents and end_of_text is None:
        raise ValueError("attention stays within documents: name the end_of_text that ends them")
    mistakes = layout_mistakes(longest, vocabulary, layout) + missing_library(longest.float8)
    if mistakes:
        raise BadInput(mistakes)
    _register()
    compiled = device_type != "cpu" if compiled is None else compiled
    schedule = Schedule(warmup or warmup_steps(steps_of(shortest)), longest.schedule)
    config = _config(longest, vocabulary, layout, checkpoint, checkpoint_every, compiled)
    config.model.flavor += "" if longest.across_documents else f"/{end_of_text}"
    redealt = Redealt(sequences, seed=longest.seed, sequences_a_step=config.training.global_batch_size)
    config.inputs = _Inputs(longest, redealt, validation, translations, schedule, compiled, on_step)
    config.lr_scheduler = _ScheduleConfig(schedule=schedule)
    with _process_state(threads, log, layout):
        run = _Run(config)
        try:
            run.train_branches(specs, vocabulary, on_outcome)
        finally:
            run.close()


def ignorance(vocabulary: int) -> float:
    """Return ln V, the nats a token of a model that knows nothing; one that needs more has diverged."""
    return math.log(vocabulary)


@dataclass
class _Inputs:
    spec: RunSpec
    sequences: Redealt
    validation: tuple[ValidationSet, ...]
    translations: tuple[TranslationSet, ...]
    schedule: Schedule
    compiled: bool
    on_step: Callable[[int], object] | None


@dataclass
class _ScheduleConfig(LRScheduler):
    """torchtitan's section on the learning rate, carrying our schedule."""

    schedule: Schedule | None = field(default=None)

    def read(self) -> Schedule:
        assert self.schedule is not None
        return self.schedule


@dataclass
class _Config(JobConfig):
    """torchtitan's configuration, carrying what our parts of the TrainSpec read."""

    inputs: _Inputs | None = field(default=None)

    def read(self) -> _Inputs:
        assert self.inputs is not None
        return self.inputs


def _config(
    spec: RunSpec, vocabulary: int, layout: Layout, checkpoint: Path | None, checkpoint_every: int, compiled: bool
) -> _Config:
    steps = steps_of(spec)
    config = _Config()
    config.job.dump_folder = str(checkpoint.parent if checkpoint else ".")
    config.model.name = _NAME
    config.model.flavor = f"{spec.size}/{vocabulary}"
    config.model.hf_assets_path = ""
    config.optimizer.name = "AdamW"
    config.optimizer.lr = spec.learning_rate
    config.optimizer.beta1 = RECIPE.beta1
    config.optimizer.beta2 = RECIPE.beta2
    config.optimizer.eps = RECIPE.epsilon
    config.optimizer.weight_decay = RECIPE.weight_decay
    config.optimizer.implementation = "fused"
    training = config.training
    training.seq_len = spec.sequence_length
    training.global_batch_size = spec.batch_tokens // spec.sequence_length
    at_once = _tokens_at_once(spec, vocabulary, layout)
    training.local_batch_size = _local_batch(
        training.global_batch_size // layout.readers, max(1, at_once // spec.sequence_length)
    )
    training.steps = steps
    training.max_norm = RECIPE.gradient_clip
    training.mixed_precision_param = "float32" if device_type == "cpu" else "bfloat16"
    parallelism = config.parallelism
    parallelism.data_parallel_replicate_degree = layout.replicas
    parallelism.data_parallel_shard_degree = layout.shards
    parallelism.tensor_parallel_degree = layout.tensor_parallel
    # What does not fit even for one sequence is computed again.
    config.activation_checkpoint.mode = "none" if at_once >= spec.sequence_length else "full"
    config.compile.enable = compiled
    # A model that one process has all of is compiled as a whole, by `_parallelize`.
    config.compile.components = ["loss"] if layout.processes == 1 else ["model", "loss"]
    if spec.float8:
        config.model.converters = ["quantize.linear.float8"]
        config.quantize.linear.float8.filter_fqns = ["output"]
        config.quantize.linear.float8.emulate = device_type == "cpu"
    config.metrics.disable_color_printing = True
    config.metrics.log_freq = 1
    config.validation.enable = True
    config.comm.trace_buf_size = 0
    config.debug.seed = spec.seed
    if checkpoint is not None:
        config.checkpoint.enable = True
        config.checkpoint.folder = checkpoint.name
        config.checkpoint.interval = RECIPE.rewind_every * math.ceil(checkpoint_every / RECIPE.rewind_every)
        config.checkpoint.keep_latest_k = 2
        config.checkpoint.last_save_model_only = False
    return config


def _tokens_at_once(spec: RunSpec, vocabulary: int, layout: Layout) -> int:
    """Return the tokens that a process can work on at once; less than a sequence where not even that fits."""
    if device_type == "cpu":
        return max(LOCAL_TOKENS, spec.sequence_length)
    shape = size(spec.size)
    state = STATE_BYTES * shape.total_parameters(vocabulary) / (layout.shards * layout.tensor_parallel)
    memory = torch.get_device_module(device_type).get_device_properties(0).total_memory
    return layout.tensor_parallel * local_tokens(shape, vocabulary, memory - state)


def _local_batch(sequences: int, most: int) -> int:
    """Return the most sequences at once that divide a process's part of the batch."""
    return max(count for count in range(1, sequences + 1) if sequences % count == 0 and count <= most)


@contextlib.contextmanager
def _process_state(threads: int, log: Path | None, layout: Layout) -> Iterator[None]:
    environment = {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED")}
    wanted = {"GLOO_SOCKET_IFNAME": "lo"} if layout.processes == 1 else {}
    if device_type == "cpu" or layout.processes == 1:
        wanted["LOCAL_RANK"] = "0"  # torch has no device cpu:1
    environment |= {name: os.environ.get(name) for name in wanted}
    threads_before, random_before = torch.get_num_threads(), torch.get_rng_state()
    collecting = gc.isenabled()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    handler = logging.FileHandler(log) if log else logging.NullHandler()
    try:
        os.environ.update(wanted)
        root.handlers = [handler]
        root.setLevel(logging.INFO if log else logging.CRITICAL)
        torch.set_num_threads(threads)
        with warnings.catch_warnings():
            # Said by torch whenever autocast is asked for float32 on a CPU, which is what we want.
            warnings.filterwarnings("ignore", message="In CPU autocast, but the target dtype is not supported")
            _start_group(layout)
            yield
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        root.handlers = handlers
        root.setLevel(level)
        handler.close()
        torch.set_num_threads(threads_before)
        torch.set_rng_state(random_before)
        if collecting:
            gc.enable()
            gc.collect()
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start_group(layout: Layout) -> None:
    backend = "gloo" if device_type == "cpu" else "nccl"
    if layout.processes == 1:
        # No port and no rendezvous: a thousand short runs in one process need neither.
        dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
        return
    dist.init_process_group(backend)
    if dist.get_world_size() != layout.processes:
        raise RuntimeError(f"started with {dist.get_world_size()} processes, but the layout has {layout.processes}")


class _Run(Trainer):
    """torchtitan's Trainer with its loop's log lines and closing sleep left out and divergence noticed."""

    def __init__(self, job_config: JobConfig) -> None:
        # Without torch.distributed.elastic's `record` around it, which turns on fault handlers for the whole process.
        inspect.unwrap(Trainer.__init__)(self, job_config)
        self._before: dict[str, Any] = {}

    @property
    def rows(self) -> _Rows:
        return cast("_Rows", self.metrics_processor)

    def train_branches(
        self, specs: tuple[RunSpec, ...], vocabulary: int, on_outcome: Callable[[RunSpec, Outcome], None]
    ) -> None:
        config = cast(_Config, self.job_config)
        schedule = config.read().schedule
        try:
            self.checkpointer.load(step=config.checkpoint.load_step)
        except CheckpointException as error:
            raise Failure(
                f"the last checkpoint in {Path(config.job.dump_folder) / config.checkpoint.folder} cannot be read, for"
                " it is damaged; remove its folder step-N, and the same command goes on from the one before"
            ) from error
        first, last = specs[0], specs[-1]
        if first is not last and self.step > decay_starts(steps_of(first)):
            raise ValueError(f"the checkpoint of step {self.step} is behind the branch of {first.tokens} tokens")
        assert self.dataloader is not None
        batches = self.batch_generator(self.dataloader)
        trunk_seconds = 0.0
        for spec in specs:
            steps = steps_of(spec)
            started = time.perf_counter()
            if spec.schedule == SCHEDULE:
                schedule.stay()
                self._advance(batches, decay_starts(steps))
            branched = time.perf_counter()
            trunk_seconds += branched - started
            more = spec is not last and not self.rows.diverged
            trunk = {**self._snapshot(), "before": self._before} if more else None
            schedule.fall(steps)
            self._advance(batches, steps, keep=spec is last)
            outcome = self._outcome(steps, vocabulary)
            on_outcome(spec, replace(outcome, seconds=trunk_seconds + time.perf_counter() - branched))
            if trunk is not None:
                self._restore(trunk)
                self._before = trunk["before"]

    def _advance(self, batches: Any, stop: int, *, keep: bool = True) -> None:
        inputs = cast(_Config, self.job_config).read()
        rows = self.rows
        while self.step < stop and not rows.diverged:
            if self.step % RECIPE.rewind_every == 0:
                self._before = self._snapshot()
            self.step += 1
            self.gc_handler.run(self.step)
            started = time.perf_counter()
            self.train_step(batches)
            rows.seconds.append(time.perf_counter() - started)
            reason = trouble([point["loss_nats"] for point in rows.recent], rows.curve[-1]["gradient_norm"], RECIPE)
            if reason and len(rows.restarts) < RECIPE.restarts:
                self._go_back(Restart(self.step, self._before["step"], reason))
                continue
            # A jump that comes again with other batches is not theirs: a mixture that changes jumps, too. The final
            # loss decides.
            rows.diverged = reason == "not finite"
            if keep:
                self._keep()
            if inputs.on_step is not None:
                inputs.on_step(inputs.spec.batch_tokens)

    def _keep(self) -> None:
        """Write a checkpoint where one is due, and seal it."""
        config = self.job_config
        saved = step_folder(Path(config.job.dump_folder) / config.checkpoint.folder, self.step)
        try:
            self.checkpointer.save(self.step, last_step=self.step == config.training.steps)
        except CheckpointException as error:
            why = next(iter(error.failures.values()))[0]
            raise Failure(
                f"{saved}: cannot be written ({why}); free some space, and the same command goes on from the"
                " checkpoint before it"
            ) from error
        rank = dist.get_rank()
        if config.checkpoint.enable and saved.is_dir() and not is_sealed(saved, rank):
            seal(saved, rank)

    def _go_back(self, restart: Restart) -> None:
        restarts = (*self.rows.restarts, restart)
        self._restore(self._before)
        self._set_restarts(restarts)

    def _set_restarts(self, restarts: tuple[Restart, ...]) -> None:
        self.rows.restarts = restarts
        cast(_Config, self.job_config).read().sequences.restarts = restarts

    def _outcome(self, steps: int, vocabulary: int) -> Outcome:
        rows = self.rows
        last = rows.curve[-max(1, len(rows.curve) // 10) :]
        final = sum(point["loss_nats"] for point in last) / len(last)
        status = "diverged" if rows.diverged or not final <= ignorance(vocabulary) else "finished"
        if status == "finished":
            self.validator.validate(self.model_parts, self.step)
        evaluations, rows.evaluations = tuple(rows.evaluations), []
        translations, rows.translations = tuple(rows.translations), []
        every = math.ceil(steps / CURVE_POINTS)
        kept = [point for point in rows.curve if point["step"] in (1, self.step) or point["step"] % every == 0]
        return Outcome(
            status=status,
            steps=self.step,
            final_train_loss_nats=final,
            curve=tuple(kept),
            evaluations=evaluations,
            translations=translations,
            restarts=rows.restarts,
            seconds=0.0,
            step_seconds=statistics.median(rows.seconds) if rows.seconds else math.nan,
            loader_seconds=sum(rows.waited),
            device=rows.device_memory_monitor.device_name,
            precision=_precision(self.job_config),
        )

    def _snapshot(self) -> dict[str, Any]:
        """Copy this process's part of the state to the host: an accelerator has no room for it twice."""
        (model,) = self.model_parts
        assert self.dataloader is not None
        return {
            "step": self.step,
            "model": [_host_copy(parameter) for parameter in model.parameters()],
            "moments": [
                {name: _host_copy(value) for name, value in optimizer.state[parameter].items()}
                if parameter in optimizer.state
                else {}
                for optimizer in self.optimizers
                for parameter in model.parameters()
            ],
            "rates": [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups],
            "schedulers": copy.deepcopy(self.lr_schedulers.state_dict()),
            "loader": self.dataloader.state_dict(),
            "points": len(self.rows.curve),
            "restarts": self.rows.restarts,
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        (model,) = self.model_parts
        assert self.dataloader is not None
        parameters = list(model.parameters())
        with torch.no_grad():
            for parameter, value in zip(parameters, saved["model"], strict=True):
                _local(parameter).copy_(value)
            moments = iter(saved["moments"])
            for optimizer in self.optimizers:
                for parameter in parameters:
                    values = next(moments)
                    if not values:
                        optimizer.state.pop(parameter, None)
                    for name, value in values.items():
                        _local(optimizer.state[parameter][name]).copy_(value)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, saved["rates"], strict=True):
            group["lr"] = rate
        self.lr_schedulers.load_state_dict(saved["schedulers"])
        self.dataloader.load_state_dict(saved["loader"])
        self.step = saved["step"]
        del self.rows.curve[saved["points"] :]
        self._set_restarts(saved["restarts"])
        self.rows.diverged = False

    def post_dataloading_process(self, input_dict: dict[str, torch.Tensor], labels: torch.Tensor) -> tuple[Any, ...]:
        """Add the mask that keeps attention within documents, where it shall stay there."""
        inputs, labels, extra, arguments = super().post_dataloading_process(input_dict, labels)
        return inputs, labels, extra, {**arguments, **_masks(self.model_args, inputs)}

    def state_dict(self) -> dict[str, Any]:
        # A run that goes on from a checkpoint keeps what came before it. Text, so that DCP stores it as one value.
        kept = {"curve": self.rows.curve, "restarts": [asdict(restart) for restart in self.rows.restarts]}
        return {**super().state_dict(), "rows": json.dumps(kept)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        kept = json.loads(state_dict["rows"])
        self.rows.curve[:] = kept["curve"]
        self._set_restarts(tuple(Restart(**restart) for restart in kept["restarts"]))


def _local(value: torch.Tensor) -> torch.Tensor:
    return value.to_local() if isinstance(value, DTensor) else value


def _host_copy(value: torch.Tensor) -> torch.Tensor:
    here = _local(value.detach())
    # Page-locked where it matters: twice a minute, all of a model and its moments come this way.
    there = torch.empty_like(here, device="cpu", pin_memory=here.device.type != "cpu")
    return there.copy_(here, non_blocking=True)


def _masks(arguments: Any, inputs: torch.Tensor) -> dict[str, Any]:
    end = cast(LlamaArguments, arguments).end_of_text
    return {} if end is None else {"attention_masks": document_masks(inputs, end)}


def _precision(config: JobConfig) -> str:
    parallelism = config.parallelism
    if parallelism.tensor_parallel_degree > 1 and parallelism.data_parallel_shard_degree == 1:
        return "float32"  # torchtitan has mixed precision by FSDP or without any parallelism only
    return "float8" if config.model.converters else config.training.mixed_precision_param


class _Rows(MetricsProcessor):
    """Keeps metrics as rows, and writes no log lines."""

    def __init__(
        self, job_config: JobConfig, parallel_dims: Any, model_args: object = None, tag: str | None = None
    ) -> None:
        del model_args
        super().__init__(job_config, parallel_dims, tag)
        self.curve: list[dict[str, float]] = []
        self.evaluations: list[dict[str, Any]] = []
        self.translations: list[dict[str, Any]] = []
        self.restarts: tuple[Restart, ...] = ()
        self.seconds: list[float] = []
        self.waited: list[float] = []
        self.diverged = False

    @property
    def recent(self) -> list[dict[str, float]]:
        """The points that a spike is told by."""
        return self.curve[-RECIPE.spike_window - RECIPE.spike_steps :]

    def log(
        self,
        step: int,
        global_avg_loss: float,
        global_max_loss: float,  # noqa: ARG002
        grad_norm: float,
        extra_metrics: dict[str, Any] | None = None,
    ) -> None:
        loss = float(global_avg_loss)
        rate = float((extra_metrics or {})["lr"])
        self.curve.append({"step": step, "loss_nats": loss, "learning_rate": rate, "gradient_norm": float(grad_norm)})
        self.ntokens_since_last_log = 0
        self.waited.append(sum(self.data_loading_times))
        self.data_loading_times.clear()


class _LanguageValidator(BaseValidator):
    """Sums the nats of each language's fixed sequences and each direction's translations, over all processes."""

    def __init__(
        self,
        job_config: JobConfig,
        *,
        dp_world_size: int,
        dp_rank: int,
        parallel_dims: Any,
        loss_fn: Any,
        validation_context: Any,
        maybe_enable_amp: Any,
        metrics_processor: Any,
        **_: object,
    ) -> None:
        super().__init__(job_config)
        self._world, self._rank = dp_world_size, dp_rank
        self._dims = parallel_dims
        self._loss = loss_fn
        self._context, self._amp = validation_context, maybe_enable_amp
        self._rows = cast(_Rows, metrics_processor)

    def validate(self, model_parts: list[torch.nn.Module], step: int) -> None:
        inputs = cast(_Config, self.job_config).read()
        (model,) = model_parts
        model.eval()
        # Compiled once more for another shape and without gradients, it would take longer than it could save.
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            for sets, rows in (
                (inputs.validation, self._rows.evaluations),
                (inputs.translations, self._rows.translations),
            ):
                for chosen in sets:
                    nats = self._total_nats(model, chosen.inputs, chosen.labels)
                    rows.append(
                        {
                            "step": step,
                            **chosen.named,
                            "loss_nats": nats / chosen.target_tokens,
                            "bits_per_byte": bits_per_byte(nats, chosen.target_bytes),
                            "evaluated_tokens": chosen.target_tokens,
                            "evaluated_bytes": chosen.target_bytes,
                        }
                    )
        model.train()

    def _total_nats(self, model: torch.nn.Module, given: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> float:
        mine = slice(self._rank, None, self._world)
        given_here, wanted_here = given[mine], wanted[mine]
        # Every process does the same number of batches, or sharded ones wait for each other for ever: short ones are
        # filled up with rows whose labels do not count.
        rows = math.ceil(len(given) / self._world)
        at_once = max(1, LOCAL_TOKENS // given.shape[1])
        total = torch.zeros((), dtype=torch.float64, device=device_type)
        for first in range(0, rows, at_once):
            count = min(at_once, rows - first)
            inputs = np.zeros((count, given.shape[1]), np.int64)
            labels = np.full_like(inputs, IGNORED)
            part = slice(first, first + count)
            filled = len(given_here[part])
            inputs[:filled], labels[:filled] = given_here[part], wanted_here[part]
            tokens = torch.from_numpy(inputs).to(device_type)
            with self._context(), self._amp:
                predicted = model(tokens, **_masks(cast(Any, model).model_args, tokens))
                loss = self._loss(predicted, torch.from_numpy(labels).to(device_type))
            total += (loss.full_tensor() if isinstance(loss, DTensor) else loss).double()
        if self._dims.dp_cp_enabled:
            dist.all_reduce(total, group=self._dims.get_mesh("loss").get_group())
        return float(total)


class _Flavors(Mapping[str, TransformerModelArgs]):
    """Makes new arguments at each look-up: torchtitan writes into the ones it is given."""

    def __getitem__(self, flavor: str) -> TransformerModelArgs:
        label, *numbers = flavor.split("/")
        return model_arguments(size(label), *map(int, numbers))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _parallelize(model: torch.nn.Module, parallel_dims: Any, job_config: JobConfig) -> torch.nn.Module:
    if parallel_dims.pp_enabled:
        raise ValueError("pipeline parallelism is refused: torchtitan 0.2.2 does not scale its gradients by the tokens")
    if parallel_dims.dp_replicate_enabled and not parallel_dims.dp_shard_enabled:
        raise ValueError("replicas are refused: torchtitan 0.2.2 divides their gradients twice; shard them instead")
    model = parallelize_llama(model, parallel_dims, job_config)
    if cast(_Config, job_config).read().compiled and parallel_dims.world_size == 1:
        model.compile(backend=job_config.compile.backend, fullgraph=True)
    if device_type == "cpu":
        for module in model.modules():
            if isinstance(module, FSDPModule):
                # gloo has no scaled sum, and the factor is 1 anyway.
                module.set_force_sum_reduction_for_comms(True)
    return model


def _loader(dp_world_size: int, dp_rank: int, tokenizer: object, job_config: JobConfig) -> OrderLoader:
    del tokenizer
    inputs = cast(_Config, job_config).read()
    training = job_config.training
    return OrderLoader(
        inputs.sequences,
        sequences=training.steps * training.global_batch_size,
        local_batch=training.local_batch_size,
        world=dp_world_size,
        rank=dp_rank,
    )


def _schedulers(optimizers: Any, lr_scheduler_config: Any, training_steps: int) -> LRSchedulersContainer:
    del training_steps
    return LRSchedulersContainer(optimizers, cast(_ScheduleConfig, lr_scheduler_config).read().factor)


@cache
def _register() -> None:
    register_train_spec(
        _NAME,
        TrainSpec(
            model_cls=LlamaTwo,
            model_args=_Flavors(),
            parallelize_fn=_parallelize,
            pipelining_fn=None,
            build_optimizers_fn=build_optimizers,
            build_lr_schedulers_fn=_schedulers,
            build_dataloader_fn=_loader,
            build_tokenizer_fn=None,
            build_loss_fn=build_cross_entropy_loss,
            build_validator_fn=_LanguageValidator,
            build_metrics_processor_fn=_Rows,
            state_dict_adapter=Llama3StateDictAdapter,
        ),
    )
