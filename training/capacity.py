"""How many GPUs a run needs, and what it costs on them, by formula. No torch here.

Start at `choose_layout`. Memory is counted, throughput is not: GPU-hours are FLOPs over a stated part of the peak
(`Hardware.mfu`), which is an assumption until `make bench-gpu` has measured it on the machine at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from quality.mistakes import Mistake, bad_input
from training.layout import Layout, layout_mistakes
from training.runs import RunSpec
from training.sizes import Size, size

GIB = 1 << 30

STATE_BYTES = 16
"""Bytes a parameter: float32 weight, gradient and both of Adam's moments.

Source: Rajbhandari et al., ZeRO, arXiv 1910.02054, section 3.1, with the weights kept in float32 alone (FSDP2)."""

USABLE = 0.9
"""The part of a GPU's memory that is planned with; the rest is for CUDA, NCCL and what the allocator cannot use."""

MICROBATCH_TOKENS = 8_192
"""Tokens that a GPU works on at once, at most; longer sequences come one at a time."""


@dataclass(frozen=True)
class Hardware:
    """What a sweep may use.

    Args:
        gpus: GPUs at the same time, all nodes together.
        per_node: GPUs of a node; tensor parallelism stays within one.
        memory_gib: Memory of a GPU, in GiB.
        peak_flops: Dense bfloat16 FLOP/s of a GPU. Source of the default: NVIDIA's data sheets of H100 SXM and H200.
        mfu: The part of the peak that training reaches. Source of the default: what LLM Foundry reports for 0.8B to 7B
            on H100 at 2,048 tokens a sequence, 35% to 46% (`scripts/train/benchmarking/README.md`); it is not measured
            here.
    """

    gpus: int
    per_node: int = 8
    memory_gib: float = 80.0
    peak_flops: float = 989e12
    mfu: float = 0.4

    def gpu_hours(self, flops: float) -> float:
        """Return the hours of one GPU that training FLOPs take."""
        return flops / (self.peak_flops * self.mfu) / 3600


def memory_bytes(shape: Size, vocabulary: int, sequence_length: int, layout: Layout) -> float:
    """Return the most memory that a process of a run holds, without activation checkpointing.

    Args:
        shape: The model.
        vocabulary: Token ids.
        sequence_length: Tokens a sequence.
        layout: How it is spread.

    Returns:
        Bytes: the sharded states; bfloat16 copies of the weights at work (all of them in one process, else those of two
        blocks and of the embeddings, as FSDP2 gathers the next block while one is at work); what every block keeps for
        its backward pass; and the logits in bfloat16 and, with their gradient, in float32.

    Source: Korthikanti et al., arXiv 2205.05198, section 4.1, counts what a block keeps; with flash attention, RMSNorm
    and SwiGLU that is 16 d + 8 f bytes a token (norms 4 d, queries, keys and values with their input 8 d, the output
    projection's input 2 d, the feed-forward layer's input 2 d, and four tensors of width f in bfloat16).
    """
    total = shape.total_parameters(vocabulary)
    embeddings = 2 * vocabulary * shape.dimension
    block = (total - embeddings) / shape.layers
    states = STATE_BYTES * total / layout.processes
    at_work = total if layout.shards == 1 else 2 * block + embeddings
    tokens = max(sequence_length, MICROBATCH_TOKENS // sequence_length * sequence_length)
    kept = tokens * shape.layers * (16 * shape.dimension + 8 * shape.feed_forward)
    logits = tokens * vocabulary * (2 + 4 + 4)
    return states + (2 * at_work + kept + logits) / layout.tensor_parallel


def choose_layout(spec: RunSpec, vocabulary: int, hardware: Hardware, runs_at_once: int = 1) -> Layout:
    """Return how a run is spread: over as few GPUs as its memory allows, then over more while some would be idle.

    Args:
        spec: The run.
        vocabulary: Token ids.
        hardware: What there is.
        runs_at_once: How many such runs wait for GPUs.

    Raises:
        BadInput: It fits on no number of them; the message says what it takes.
    """
    shape = size(spec.size)
    fitting: Layout | None = None
    least = float("inf")
    processes = 1
    while processes <= hardware.gpus:
        for tensor_parallel in (1, 2, 4, 8):
            if tensor_parallel > min(processes, hardware.per_node):
                break
            layout = Layout(processes, tensor_parallel)
            if layout_mistakes(spec, vocabulary, layout):
                continue
            held = memory_bytes(shape, vocabulary, spec.sequence_length, layout)
            least = min(least, held)
            if held <= USABLE * hardware.memory_gib * GIB:
                if fitting is None or processes * runs_at_once <= hardware.gpus:
                    fitting = layout
                break
        processes *= 2
    if fitting is None:
        bad_input(
            f"gpus: {spec.size}",
            f"needs {least / GIB:.0f} GiB on each of {hardware.gpus} GPUs, which may use {USABLE:.0%} of"
            f" {hardware.memory_gib:g} GiB; give it more or larger GPUs",
        )
    return fitting


def hardware_mistakes(hardware: Hardware) -> list[Mistake]:
    """Return what cannot be true of the hardware."""
    wrong = [
        Mistake(name, f"{value!r} is not above 0")
        for name, value in (
            ("--gpus", hardware.gpus),
            ("--gpus-per-node", hardware.per_node),
            ("--gpu-memory", hardware.memory_gib),
            ("--gpu-flops", hardware.peak_flops),
        )
        if not value > 0
    ]
    if not 0 < hardware.mfu <= 1:
        wrong.append(Mistake("--mfu", f"{hardware.mfu!r} is not a part of the peak, such as 0.4"))
    return wrong
