"""How one run is trained: our order, sizes, schedule and validation, plugged into torchtitan's own Trainer.

Start at `train_run`. torchtitan is used as it is, through its `TrainSpec`; what is ours is the initial weights (a pure
function of seed and parameter name, so that every layout starts from the same model), the loader (`training.loader`),
the validation (`training.evaluation`), and the rows that are kept of it all. What always holds: a run changes nothing
of the process that outlives it (environment, log handlers, random state of numpy, thread count, garbage collection),
and nothing is read out of logs.

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
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from quality.mistakes import BadInput
from training import cpu
from training.evaluation import ValidationSet, bits_per_byte
from training.hyperparameters import RECIPE, decay_starts, steps_of, warmup_steps
from training.layout import Layout, layout_mistakes
from training.loader import OrderLoader, Sequence
from training.runs import RunSpec
from training.sizes import NORM_EPSILON, ROPE_THETA, Size, size

with cpu.torchtitan_importable():
    from torchtitan.components.loss import IGNORE_INDEX, build_cross_entropy_loss
    from torchtitan.components.lr_scheduler import LRSchedulersContainer
    from torchtitan.components.metrics import MetricsProcessor
    from torchtitan.components.optimizer import build_optimizers
    from torchtitan.components.validate import BaseValidator
    from torchtitan.config import JobConfig, LRScheduler
    from torchtitan.models.llama3 import Transformer, TransformerModelArgs, parallelize_llama
    from torchtitan.models.llama3.model.args import RoPEScalingArgs
    from torchtitan.models.llama3.model.state_dict_adapter import Llama3StateDictAdapter
    from torchtitan.protocols.train_spec import TrainSpec, register_train_spec
    from torchtitan.tools.utils import device_type
    from torchtitan.train import Trainer

CURVE_POINTS = 200
"""Rows kept of a training curve: enough to draw it, few enough for thousands of runs."""

LOCAL_TOKENS = 8_192
"""Tokens that a CPU works on at once; the float32 logits of a 32,000-token vocabulary then take 1 GiB."""

_NAME = "polymix"


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Args:
        status: `finished` or `diverged` (a loss or gradient that is not finite, or a final loss above ln V).
        steps: Optimizer steps done.
        final_train_loss_nats: Mean over the curve's last tenth; NaN where it is not finite.
        curve: `step, loss_nats, learning_rate, gradient_norm` of the points kept.
        evaluations: `step, language, loss_nats, bits_per_byte, evaluated_tokens, evaluated_bytes`.
        seconds: Wall clock of training and validation.
        device: What it ran on.
    """

    status: str
    steps: int
    final_train_loss_nats: float
    curve: tuple[dict[str, float], ...]
    evaluations: tuple[dict[str, Any], ...]
    seconds: float
    device: str


def train_run(spec: RunSpec, **arguments: Any) -> Outcome:
    """Train one run and validate it; see `train_branches` for the arguments."""
    outcomes: list[Outcome] = []
    train_branches((spec,), on_outcome=lambda _, outcome: outcomes.append(outcome), **arguments)
    return outcomes[0]


def train_branches(
    specs: tuple[RunSpec, ...],
    *,
    vocabulary: int,
    sequence: Sequence,
    validation: tuple[ValidationSet, ...],
    on_outcome: Callable[[RunSpec, Outcome], None],
    warmup: int | None = None,
    layout: Layout | None = None,
    threads: int = 1,
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
        sequence: The order's sequences; the first `steps x batch_tokens / sequence_length` are read by a run.
        validation: What each model is validated on when it is trained.
        on_outcome: Called with each run as soon as it is done.
        warmup: Steps in which the rate rises; a tenth of the shortest run unless named.
        layout: How it is spread; more than one process needs the environment that `torchrun` sets.
        threads: CPU threads; results are the same bit for bit for the same number.
        checkpoint: Folder that full checkpoints are written to, and gone on from where there are any. None is written
            while a branch decays, but for the last one.
        checkpoint_every: Steps between checkpoints.
        log: File that torchtitan's own log lines are added to.
        on_step: Called after each step with the tokens of that step.

    Raises:
        BadInput: The layout does not fit the shape or the batch.
        ValueError: The runs differ by more than their tokens, or the checkpoint is behind a branch that is asked for.

    Source: Hägele et al., arXiv 2405.18392, section 4.
    """
    layout = layout or Layout()
    shortest, longest = specs[0], specs[-1]
    if any(replace(spec, tokens=longest.tokens) != longest for spec in specs):
        raise ValueError("runs of one trunk may differ by their tokens alone")
    if list(specs) != sorted(specs, key=steps_of):
        raise ValueError("give runs by rising tokens")
    mistakes = layout_mistakes(longest, vocabulary, layout)
    if mistakes:
        raise BadInput(mistakes)
    _register()
    schedule = Schedule(warmup or warmup_steps(steps_of(shortest)))
    config = _config(longest, vocabulary, layout, checkpoint, checkpoint_every)
    config.inputs = _Inputs(longest, sequence, validation, schedule, on_step)
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


class Schedule:
    """The learning rate's factor by step: rises, stays, and in the end falls by one minus the square root.

    Args:
        warmup: Steps in which it rises.

    Source: Hägele et al., arXiv 2405.18392, equation 1 and section 4.2.
    """

    def __init__(self, warmup: int) -> None:
        self._warmup = warmup
        self._stop: int | None = None
        self._decay = 0

    def stay(self) -> None:
        """Stay at the peak from here on."""
        self._stop = None

    def fall(self, stop: int) -> None:
        """Fall over the last part (`RECIPE.decay`) of `stop` steps."""
        self._stop, self._decay = stop, stop - decay_starts(stop)

    def factor(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        if step < self._warmup:
            return (step + 1) / self._warmup
        if self._stop is None or step <= self._stop - self._decay:
            return 1.0
        return 1 - math.sqrt(min(1.0, (step - self._stop + self._decay) / self._decay))


@dataclass
class _Inputs:
    spec: RunSpec
    sequence: Sequence
    validation: tuple[ValidationSet, ...]
    schedule: Schedule
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


def _config(spec: RunSpec, vocabulary: int, layout: Layout, checkpoint: Path | None, checkpoint_every: int) -> _Config:
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
    training.local_batch_size = _local_batch(training.global_batch_size // layout.shards, spec.sequence_length)
    training.steps = steps
    training.max_norm = RECIPE.gradient_clip
    training.mixed_precision_param = "float32" if device_type == "cpu" else "bfloat16"
    parallelism = config.parallelism
    parallelism.data_parallel_replicate_degree = 1
    parallelism.data_parallel_shard_degree = layout.shards
    parallelism.tensor_parallel_degree = layout.tensor_parallel
    config.activation_checkpoint.mode = "none"
    config.metrics.disable_color_printing = True
    config.metrics.log_freq = 1
    config.validation.enable = True
    config.comm.trace_buf_size = 0
    config.debug.seed = spec.seed
    if checkpoint is not None:
        config.checkpoint.enable = True
        config.checkpoint.folder = checkpoint.name
        config.checkpoint.interval = checkpoint_every
        config.checkpoint.keep_latest_k = 2
        config.checkpoint.last_save_model_only = False
    return config


def _local_batch(sequences: int, sequence_length: int) -> int:
    """Return the most sequences at once that divide a process's part of the batch and keep to `LOCAL_TOKENS`."""
    most = max(1, LOCAL_TOKENS // sequence_length)
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

    @property
    def rows(self) -> _Rows:
        return cast("_Rows", self.metrics_processor)

    def train_branches(
        self, specs: tuple[RunSpec, ...], vocabulary: int, on_outcome: Callable[[RunSpec, Outcome], None]
    ) -> None:
        config = cast(_Config, self.job_config)
        schedule = config.read().schedule
        self.checkpointer.load(step=config.checkpoint.load_step)
        first, last = specs[0], specs[-1]
        if first is not last and self.step > decay_starts(steps_of(first)):
            raise ValueError(f"the checkpoint of step {self.step} is behind the branch of {first.tokens} tokens")
        assert self.dataloader is not None
        batches = self.batch_generator(self.dataloader)
        trunk_seconds = 0.0
        for spec in specs:
            steps = steps_of(spec)
            started = time.perf_counter()
            schedule.stay()
            self._advance(batches, decay_starts(steps))
            branched = time.perf_counter()
            trunk_seconds += branched - started
            trunk = self._snapshot() if spec is not last and not self.rows.diverged else None
            schedule.fall(steps)
            self._advance(batches, steps, keep=spec is last)
            outcome = self._outcome(steps, vocabulary)
            on_outcome(spec, replace(outcome, seconds=trunk_seconds + time.perf_counter() - branched))
            if trunk is not None:
                self._restore(trunk)

    def _advance(self, batches: Any, stop: int, *, keep: bool = True) -> None:
        inputs = cast(_Config, self.job_config).read()
        while self.step < stop and not self.rows.diverged:
            self.step += 1
            self.gc_handler.run(self.step)
            self.train_step(batches)
            if keep:
                self.checkpointer.save(self.step, last_step=self.step == self.job_config.training.steps)
            if inputs.on_step is not None:
                inputs.on_step(inputs.spec.batch_tokens)

    def _outcome(self, steps: int, vocabulary: int) -> Outcome:
        rows = self.rows
        last = rows.curve[-max(1, len(rows.curve) // 10) :]
        final = sum(point["loss_nats"] for point in last) / len(last)
        status = "diverged" if rows.diverged or not final <= ignorance(vocabulary) else "finished"
        if status == "finished":
            self.validator.validate(self.model_parts, self.step)
        evaluations, rows.evaluations = tuple(rows.evaluations), []
        every = math.ceil(steps / CURVE_POINTS)
        kept = [point for point in rows.curve if point["step"] in (1, self.step) or point["step"] % every == 0]
        return Outcome(
            status=status,
            steps=self.step,
            final_train_loss_nats=final,
            curve=tuple(kept),
            evaluations=evaluations,
            seconds=0.0,
            device=rows.device_memory_monitor.device_name,
        )

    def _snapshot(self) -> dict[str, Any]:
        (model,) = self.model_parts
        assert self.dataloader is not None
        return {
            "step": self.step,
            "model": {name: parameter.detach().clone() for name, parameter in model.named_parameters()},
            "optimizers": [copy.deepcopy(optimizer.state_dict()) for optimizer in self.optimizers],
            "schedulers": copy.deepcopy(self.lr_schedulers.state_dict()),
            "loader": self.dataloader.state_dict(),
            "points": len(self.rows.curve),
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        (model,) = self.model_parts
        assert self.dataloader is not None
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(saved["model"][name])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.lr_schedulers.load_state_dict(saved["schedulers"])
        self.dataloader.load_state_dict(saved["loader"])
        self.step = saved["step"]
        del self.rows.curve[saved["points"] :]
        self.rows.diverged = False

    def state_dict(self) -> dict[str, Any]:
        # A run that goes on from a checkpoint keeps the curve up to it. Text, so that DCP stores it as one value.
        return {**super().state_dict(), "curve": json.dumps(self.rows.curve)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.rows.curve[:] = json.loads(state_dict["curve"])


class _Rows(MetricsProcessor):
    """Keeps metrics as rows, and writes no log lines."""

    def __init__(
        self, job_config: JobConfig, parallel_dims: Any, model_args: object = None, tag: str | None = None
    ) -> None:
        del model_args
        super().__init__(job_config, parallel_dims, tag)
        self.curve: list[dict[str, float]] = []
        self.evaluations: list[dict[str, Any]] = []
        self.diverged = False

    def log(
        self,
        step: int,
        global_avg_loss: float,
        global_max_loss: float,  # noqa: ARG002
        grad_norm: float,
        extra_metrics: dict[str, Any] | None = None,
    ) -> None:
        loss = float(global_avg_loss)
        self.diverged = not (math.isfinite(loss) and math.isfinite(grad_norm))
        rate = float((extra_metrics or {})["lr"])
        self.curve.append({"step": step, "loss_nats": loss, "learning_rate": rate, "gradient_norm": float(grad_norm)})
        self.ntokens_since_last_log = 0
        self.data_loading_times.clear()


class _LanguageValidator(BaseValidator):
    """Sums the nats of each language's fixed sequences, over all processes."""

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
        with torch.no_grad():
            for chosen in inputs.validation:
                nats = self._total_nats(model, chosen.sequences)
                self._rows.evaluations.append(
                    {
                        "step": step,
                        "language": chosen.language,
                        "loss_nats": nats / chosen.target_tokens,
                        "bits_per_byte": bits_per_byte(nats, chosen.target_bytes),
                        "evaluated_tokens": chosen.target_tokens,
                        "evaluated_bytes": chosen.target_bytes,
                    }
                )
        model.train()

    def _total_nats(self, model: torch.nn.Module, sequences: npt.NDArray[np.int64]) -> float:
        mine = sequences[self._rank :: self._world]
        # Every process does the same number of batches, or sharded ones wait for each other for ever: short ones are
        # filled up with rows whose labels do not count.
        rows = math.ceil(len(sequences) / self._world)
        at_once = max(1, LOCAL_TOKENS // (sequences.shape[1] - 1))
        total = torch.zeros((), dtype=torch.float64, device=device_type)
        for first in range(0, rows, at_once):
            count = min(at_once, rows - first)
            inputs = np.zeros((count, sequences.shape[1] - 1), np.int64)
            labels = np.full_like(inputs, IGNORE_INDEX)
            part = mine[first : first + count]
            inputs[: len(part)], labels[: len(part)] = part[:, :-1], part[:, 1:]
            with self._context(), self._amp:
                predicted = model(torch.from_numpy(inputs).to(device_type))
                loss = self._loss(predicted, torch.from_numpy(labels).to(device_type))
            total += (loss.full_tensor() if isinstance(loss, DTensor) else loss).double()
        if self._dims.dp_cp_enabled:
            dist.all_reduce(total, group=self._dims.get_mesh("loss").get_group())
        return float(total)


@dataclass
class _Arguments(TransformerModelArgs):
    """torchtitan's shape with the seed of the initial weights."""

    seed: int = 0

    def update_from_config(self, job_config: JobConfig, **kwargs: Any) -> None:
        super().update_from_config(job_config, **kwargs)
        self.seed = int(job_config.debug.seed or 0)


class _LlamaTwo(Transformer):
    """torchtitan's Transformer, with initial weights that are a function of seed and parameter name alone.

    torch's own generators would give every shard of a parameter the same numbers on a CPU, and other numbers for every
    layout and torch version.
    """

    def init_weights(self, buffer_device: torch.device | None = None) -> None:
        with torch.device(buffer_device or self.freqs_cis.device):
            self.freqs_cis = self._precompute_freqs_cis()
        arguments = cast(_Arguments, self.model_args)
        for name, parameter in self.named_parameters():
            values = torch.from_numpy(
                initial_values(_plain(name), tuple(parameter.shape), arguments.n_layers, arguments.seed)
            )
            whole = values.to(parameter.device, parameter.dtype)
            if isinstance(parameter.data, DTensor):
                sharded = parameter.data
                whole = distribute_tensor(whole, sharded.device_mesh, sharded.placements, src_data_rank=None)
            parameter.data.copy_(whole)


def _plain(name: str) -> str:
    return name.replace("_checkpoint_wrapped_module.", "").replace("_orig_mod.", "")


def initial_values(name: str, shape: tuple[int, ...], layers: int, seed: int) -> npt.NDArray[np.float32]:
    """Return the initial values of one parameter.

    Args:
        name: Its name in the model, such as `layers.0.attention.wq.weight`.
        shape: Its whole shape, however it is sharded.
        layers: Transformer blocks of the model.
        seed: The run's seed.

    Returns:
        Ones for the gains of norms; else normal values cut at three standard deviations: 0.02, divided by the square
        root of twice the layers for what adds to the residual stream.

    Source: the scheme of GPT-2 (Radford et al. 2019, section 2.3), as in torchtitan's Llama; the embeddings' 0.02 is
    GPT-2's as well.
    """
    if "norm" in name:
        return np.ones(shape, np.float32)
    matrix = name.split(".")[-2]
    if matrix == "output":
        deviation = shape[-1] ** -0.5
    else:
        deviation = 0.02 / math.sqrt(2 * layers) if matrix in ("wo", "w2") else 0.02
    random = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), zlib.crc32(name.encode())]))
    values = random.standard_normal(shape, dtype=np.float32)
    np.clip(values, -3, 3, out=values)
    values *= np.float32(deviation)
    return values


def model_arguments(shape: Size, vocabulary: int) -> TransformerModelArgs:
    """Return a size as torchtitan's own arguments: its llama3 model with plain rotary positions is LLaMA-2."""
    return _Arguments(
        dim=shape.dimension,
        n_layers=shape.layers,
        n_heads=shape.heads,
        n_kv_heads=shape.heads,
        vocab_size=vocabulary,
        multiple_of=shape.multiple_of,
        norm_eps=NORM_EPSILON,
        rope_theta=ROPE_THETA,
        rope_scaling_args=RoPEScalingArgs(scaling_factor=1.0),
        depth_init=False,
    )


class _Flavors(Mapping[str, TransformerModelArgs]):
    """Makes new arguments at each look-up: torchtitan writes into the ones it is given."""

    def __getitem__(self, flavor: str) -> TransformerModelArgs:
        label, _, vocabulary = flavor.partition("/")
        return model_arguments(size(label), int(vocabulary))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _parallelize(model: torch.nn.Module, parallel_dims: Any, job_config: JobConfig) -> torch.nn.Module:
    if parallel_dims.pp_enabled:
        raise ValueError("pipeline parallelism is refused: torchtitan 0.2.2 does not scale its gradients by the tokens")
    if parallel_dims.dp_replicate_enabled:
        raise ValueError("replicas are refused: torchtitan 0.2.2 divides their gradients twice; shard them instead")
    model = parallelize_llama(model, parallel_dims, job_config)
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
        inputs.sequence,
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
            model_cls=_LlamaTwo,
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
