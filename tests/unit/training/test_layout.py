from __future__ import annotations

import pytest

from quality.mistakes import BadInput
from training.layout import MOST_LOCAL_TOKENS, Layout, layout_mistakes, local_tokens
from training.runs import RunSpec
from training.sizes import STATE_BYTES, size

H200_BYTES = 139 * 2**30


def test_processes_are_replicas_times_shards_times_tensor_parallel() -> None:
    layout = Layout(processes=16, tensor_parallel=2, replicas=2)
    assert (layout.readers, layout.shards) == (8, 4)
    assert (Layout(8).readers, Layout(8).shards) == (8, 8)


def test_plain_replicas_are_refused_with_the_reason() -> None:
    with pytest.raises(BadInput, match=r"would not be sharded, and torchtitan 0\.2\.2 divides"):
        Layout(processes=4, replicas=4)
    with pytest.raises(BadInput, match="3 does not divide the 4 processes that read data"):
        Layout(processes=8, tensor_parallel=2, replicas=3)
    with pytest.raises(BadInput, match="replicas"):
        Layout(replicas=0)


def test_float8_is_refused_with_tensor_parallelism() -> None:
    spec = RunSpec("25k", 4096, {"go": 1.0}, 0, 32, 256, 0.01, "", float8=True)
    assert [mistake.where for mistake in layout_mistakes(spec, 64, Layout(2, 2))] == ["float8"]
    assert layout_mistakes(spec, 64, Layout(2)) == []


def test_small_models_work_on_many_tokens_at_once_and_large_ones_on_what_fits() -> None:
    def fit(label: str, free: float) -> int:
        return local_tokens(size(label), 32_000, free)

    assert fit("0.1B", H200_BYTES) == MOST_LOCAL_TOKENS
    beside = {label: H200_BYTES - STATE_BYTES * size(label).total_parameters(32_000) for label in ("1B", "3B")}
    assert 8_192 <= fit("3B", beside["3B"]) <= fit("1B", beside["1B"]) <= MOST_LOCAL_TOKENS
    assert fit("7B", 0.0) == 1
