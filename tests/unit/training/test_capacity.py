from __future__ import annotations

import pytest

from quality.mistakes import BadInput
from training.capacity import GIB, Hardware, choose_layout, hardware_mistakes, memory_bytes
from training.layout import Layout
from training.runs import RunSpec
from training.sizes import size

VOCABULARY = 32_000


def spec(label: str) -> RunSpec:
    return RunSpec(label, 10**9, {"go": 1.0}, 0, 2048, 524_288, 1e-3, "")


def test_states_take_sixteen_bytes_a_parameter() -> None:
    shape = size("7B")
    apart = memory_bytes(shape, VOCABULARY, 2048, Layout(8)) - memory_bytes(shape, VOCABULARY, 2048, Layout(16))
    assert apart == 16 * shape.total_parameters(VOCABULARY) / 16
    # 7B alone: 100 GiB of states, 12.6 GiB of bfloat16 weights, what 32 blocks keep of 8,192 tokens, and logits.
    alone = memory_bytes(shape, VOCABULARY, 2048, Layout())
    assert alone == pytest.approx(18 * 6.738e9 + 8192 * 32 * (16 * 4096 + 8 * 11008) + 8192 * 32_000 * 10, rel=1e-3)


def test_more_processes_never_hold_more() -> None:
    for label in ("0.2B", "1.5B", "14B"):
        held = [memory_bytes(size(label), VOCABULARY, 2048, Layout(n)) for n in (2, 4, 8, 16)]
        assert held == sorted(held, reverse=True)
        whole, halved = (memory_bytes(size(label), VOCABULARY, 2048, Layout(8, n)) for n in (1, 2))
        assert halved < whole


@pytest.mark.parametrize(
    ("label", "gpus", "runs", "layout"),
    [
        ("0.2B", 8, 8, Layout(1)),  # as many runs as GPUs: one each
        ("0.2B", 8, 2, Layout(4)),  # GPUs that would be idle are used
        ("7B", 64, 64, Layout(2)),
        ("14B", 64, 64, Layout(4)),
    ],
)
def test_a_run_is_spread_as_its_size_needs(label: str, gpus: int, runs: int, layout: Layout) -> None:
    hardware = Hardware(gpus, memory_gib=139.0)
    assert choose_layout(spec(label), VOCABULARY, hardware, runs) == layout
    held = memory_bytes(size(label), VOCABULARY, 2048, layout)
    assert held <= 0.9 * 139 * GIB


def test_matrices_are_shared_where_shards_alone_do_not_fit() -> None:
    layout = choose_layout(spec("14B"), VOCABULARY, Hardware(8, memory_gib=60.0), 1)
    assert layout.processes == 8
    assert layout.tensor_parallel > 1


def test_what_fits_nowhere_is_told_with_what_it_needs() -> None:
    with pytest.raises(BadInput, match=r"14B: needs \d+ GiB on each of 2 GPUs, which may use 90% of 80 GiB"):
        choose_layout(spec("14B"), VOCABULARY, Hardware(2), 1)
    assert [mistake.where for mistake in hardware_mistakes(Hardware(0, 0, 0.0, 0.0, 2.0))] == [
        "--gpus",
        "--gpus-per-node",
        "--gpu-memory",
        "--gpu-flops",
        "--mfu",
    ]


def test_hours_are_flops_over_the_part_of_the_peak_that_is_reached() -> None:
    assert Hardware(8, peak_flops=1e15, mfu=0.5).gpu_hours(3600 * 0.5e15) == pytest.approx(1.0)
