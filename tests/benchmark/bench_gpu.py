"""Training speed of one device: our recipe beside stock torchtitan at the same shapes, batches and sequence length.

    python -m tests.benchmark.bench_gpu [--sizes 0.2B,0.5B,1B] [--steps N] [--batch-tokens N] [--out FILE]

Every row is a process of its own. Ours reads a real order from a memory-mapped store of random tokens; stock torchtitan
is its own Trainer with its own settings (activation checkpointing by its default, local batch 8, compiling each block
where the row says so) and random tokens that wait ready in memory. Rates are of the last `--steps` steps, with the
device waited for before and after; first steps, in which kernels are compiled, stand apart.

MFU is tokens/s times FLOPs a token over the device's peak as its maker states it (without sparsity). FLOPs a token are
6 N + 12 L d T (`training.sizes.Size.flops_per_token`): attention counts as if it were not causal, which is torchtitan's
convention as well. `of_matmul` is the same over the rate that a plain product of two matrices reaches on this device.

Without an accelerator it runs on the CPU, with small sizes and no MFU, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmark.measure import report
from training import cpu
from training.sizes import size

VOCABULARY = 32_000
STORE_TOKENS, DOCUMENT_TOKENS = 20_000_000, 1_000
WARM_STEPS = 4
SYSTEMS = (
    "polymix",
    "polymix, not compiled",
    "polymix, within documents",
    "polymix, float8",
    "torchtitan",
    "torchtitan, compiled",
)


def has_device() -> bool:
    return torch.accelerator.is_available()


def synchronize() -> None:
    if has_device():
        torch.accelerator.synchronize()


def matmul_flops() -> float:
    """Return the FLOP/s of one product of square matrices, in bfloat16 (float32 on a CPU)."""
    device, dtype, width = ("cuda", torch.bfloat16, 8192) if has_device() else ("cpu", torch.float32, 768)
    left, right = (torch.randn(width, width, device=device, dtype=dtype) for _ in range(2))
    rates: list[float] = []
    for _ in range(30):
        synchronize()
        started = time.perf_counter()
        left @ right
        synchronize()
        rates.append(2 * width**3 / (time.perf_counter() - started))
    return float(np.median(rates[10:]))


def peak_flops() -> float | None:
    """Return the FLOP/s that the device's maker states for bfloat16, or None on a CPU."""
    if not has_device():
        return None
    with cpu.torchtitan_importable():
        from torchtitan.tools.utils import get_peak_flops
    return float(get_peak_flops(torch.cuda.get_device_name(0)))


class Clock:
    """Notes when the steps that count began and ended, with the device waited for; no other step is waited for."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._started = self._ended = float("nan")

    def tick(self, _: int = 0) -> None:
        self._done += 1
        if self._done == WARM_STEPS:
            synchronize()
            self._started = time.perf_counter()
        elif self._done == WARM_STEPS + self._steps:
            synchronize()
            self._ended = time.perf_counter()

    def row(self, batch: int) -> dict[str, Any]:
        seconds = (self._ended - self._started) / self._steps
        memory = torch.cuda.max_memory_allocated() / 2**30 if has_device() else None
        return {"step_s": seconds, "tokens_per_s": batch / seconds, "peak_gib": memory}


def ours(label: str, system: str, batch: int, length: int, steps: int) -> dict[str, Any]:
    """Train a size by our recipe."""
    from training.allocation import Allocation
    from training.order import plan_order
    from training.recipe import Outcome, train_run
    from training.runs import RunSpec
    from training.shuffle import Shuffled
    from training.stores import TokenStore

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "tokens.bin"
        random = np.random.default_rng(0)
        ids = random.integers(1, VOCABULARY, STORE_TOKENS, dtype=np.uint16)
        ids[DOCUMENT_TOKENS - 1 :: DOCUMENT_TOKENS] = 0
        ids.tofile(path)
        ends = np.arange(DOCUMENT_TOKENS, STORE_TOKENS + 1, DOCUMENT_TOKENS, dtype=np.int64)
        mapped = np.memmap(path, "<u2", mode="r")
        sizes = np.full(len(ends), DOCUMENT_TOKENS)
        store = TokenStore(Path(name), "go", "train", "", mapped, ends, sizes, np.ones(VOCABULARY, np.int64))
        tokens = (WARM_STEPS + steps) * batch
        order = plan_order({"go": store}, Allocation({"go": 1.0}), tokens, length, 0, max_epochs=1000.0)
        clock = Clock(steps)
        spec = RunSpec(
            size=label,
            tokens=tokens,
            shares={"go": 1.0},
            seed=0,
            sequence_length=length,
            batch_tokens=batch,
            learning_rate=1e-4,
            tokenizer="",
            across_documents="within documents" not in system,
            float8="float8" in system,
        )
        outcome: Outcome = train_run(
            spec,
            vocabulary=VOCABULARY,
            sequences=Shuffled(order, 0).sequences,
            validation=(),
            end_of_text=0,
            compiled=False if "not compiled" in system or not has_device() else None,
            on_step=clock.tick,
        )
    waited = outcome.loader_seconds / (outcome.seconds or 1.0)
    return {**clock.row(batch), "loader_wait": waited, "precision": outcome.precision}


def stock(label: str, system: str, batch: int, length: int, steps: int) -> dict[str, Any]:
    """Train a size by torchtitan's own Trainer, llama3 model and settings."""
    with cpu.torchtitan_importable():
        from torchtitan.components.dataloader import BaseDataLoader
        from torchtitan.config import JobConfig
        from torchtitan.models.llama3 import TransformerModelArgs
        from torchtitan.models.llama3.model.args import RoPEScalingArgs
        from torchtitan.protocols.train_spec import TrainSpec, get_train_spec, register_train_spec
        from torchtitan.tools.utils import device_type
        from torchtitan.train import Trainer

    class Ready(BaseDataLoader):
        def __init__(self, local_batch: int) -> None:
            rows = torch.from_numpy(np.random.default_rng(0).integers(1, VOCABULARY, (local_batch, length + 1)))
            self._batch = {"input": rows[:, :-1].contiguous()}, rows[:, 1:].contiguous()

        def __iter__(self) -> Any:
            while True:
                inputs, labels = self._batch
                yield dict(inputs), labels

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            del state_dict

    shape = size(label)
    arguments = TransformerModelArgs(
        dim=shape.dimension,
        n_layers=shape.layers,
        n_heads=shape.heads,
        n_kv_heads=shape.heads,
        vocab_size=VOCABULARY,
        multiple_of=shape.multiple_of,
        rope_theta=10_000,
        rope_scaling_args=RoPEScalingArgs(scaling_factor=1.0),
    )
    llama = get_train_spec("llama3")
    values = {field.name: getattr(llama, field.name) for field in fields(TrainSpec)}
    values |= {
        "model_args": {label: arguments},
        "build_dataloader_fn": lambda job_config, **_: Ready(job_config.training.local_batch_size),
        "build_tokenizer_fn": None,
        "build_validator_fn": None,
    }
    register_train_spec("stock", TrainSpec(**values))
    config = JobConfig()
    config.model.name, config.model.flavor, config.model.hf_assets_path = "stock", label, ""
    config.training.seq_len = length
    config.training.global_batch_size = batch // length
    config.training.local_batch_size = min(config.training.local_batch_size, batch // length)
    config.training.steps = WARM_STEPS + steps
    if device_type == "cpu":
        config.training.mixed_precision_param = "float32"
    config.compile.enable = "compiled" in system
    config.comm.trace_buf_size = 0
    os.environ |= {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29511",
    }
    trainer: Any = Trainer(config)
    batches = trainer.batch_generator(trainer.dataloader)
    clock = Clock(steps)
    for step in range(1, WARM_STEPS + steps + 1):
        trainer.step = step
        trainer.train_step(batches)
        clock.tick()
    torch.distributed.destroy_process_group()
    return {**clock.row(batch), "loader_wait": None, "precision": config.training.mixed_precision_param}


def measured(label: str, system: str, batch: int, length: int, steps: int) -> dict[str, Any]:
    """Measure one row in a process of its own; what failed says so."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmark.bench_gpu",
        "--row",
        json.dumps([label, system, batch, length, steps]),
    ]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    row = json.loads(lines[-1]) if done.returncode == 0 and lines else {}
    if not row:
        print(f"{label}, {system}: failed\n{done.stderr[-2000:]}", file=sys.stderr, flush=True)
    return {"size": label, "system": system, **row, "whole_s": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description="training speed of one device")
    parser.add_argument("--sizes", default="0.2B,0.5B,1B")
    parser.add_argument("--systems", default=";".join(SYSTEMS))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-tokens", type=int, default=262_144)
    parser.add_argument("--sequence-length", type=int, default=2_048)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        label, system, batch, length, steps = json.loads(arguments.row)
        work: Callable[..., dict[str, Any]] = ours if system.startswith("polymix") else stock
        print(json.dumps(work(label, system, batch, length, steps)))
        return
    batch, length = arguments.batch_tokens, arguments.sequence_length
    rate, peak = matmul_flops(), peak_flops()
    print(f"a product of matrices: {rate / 1e12:.2f} TFLOP/s; stated peak: {peak and peak / 1e12} TFLOP/s", flush=True)
    rows: list[dict[str, Any]] = []
    for label in arguments.sizes.split(","):
        for system in arguments.systems.split(";"):
            row = measured(label, system, batch, length, arguments.steps)
            reached = row.get("tokens_per_s", float("nan")) * size(label).flops_per_token(VOCABULARY, length)
            rows.append({**row, "mfu": reached / peak if peak else None, "of_matmul": reached / rate})
    names = ("size", "system", "tokens_per_s", "mfu", "of_matmul", "step_s", "loader_wait", "peak_gib", "precision")
    shown = [{name: row.get(name) for name in (*names, "whole_s")} for row in rows]
    report(f"batches of {batch:,} tokens, sequences of {length:,}", shown, arguments.out)
    if any("tokens_per_s" not in row for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
