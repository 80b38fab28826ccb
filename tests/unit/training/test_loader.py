"""The loader deals the same global batches to any number of processes, and torchtitan finds every name it imports."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training import cpu
from training.loader import OrderLoader

pytestmark = pytest.mark.torch


def sequences(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return indices[:, None] * 10 + np.arange(5)


def global_batches(world: int, local_batch: int, start: int = 0) -> list[set[int]]:
    """Return, for each step of 8 sequences, which sequences all processes read together."""
    loaders = [
        OrderLoader(sequences, sequences=24, local_batch=local_batch, world=world, rank=rank) for rank in range(world)
    ]
    for loader in loaders:
        loader.load_state_dict({"sequences_read": start})
    readers = [iter(loader) for loader in loaders]
    steps: list[set[int]] = []
    for _ in range((24 - start) // 8):
        read: list[int] = []
        for _ in range(8 // (world * local_batch)):
            for reader in readers:
                inputs, labels = next(reader)
                assert torch.equal(inputs["input"][:, 1:], labels[:, :-1])
                read += [int(first) // 10 for first in inputs["input"][:, 0]]
        assert len(read) == 8
        steps.append(set(read))
    assert {loader.state_dict()["sequences_read"] for loader in loaders} == {24}
    return steps


@pytest.mark.parametrize(("world", "local_batch"), [(1, 8), (1, 2), (2, 4), (2, 1), (4, 2), (8, 1)])
def test_any_layout_reads_the_same_global_batches(world: int, local_batch: int) -> None:
    assert global_batches(world, local_batch) == [set(range(8)), set(range(8, 16)), set(range(16, 24))]


def test_reading_goes_on_from_a_checkpoint_of_another_layout() -> None:
    first = OrderLoader(sequences, sequences=24, local_batch=8, world=1, rank=0)
    next(iter(first))
    assert global_batches(4, 2, start=first.state_dict()["sequences_read"]) == [set(range(8, 16)), set(range(16, 24))]


def test_the_shim_takes_back_what_it_replaced() -> None:
    before = torch._utils._get_available_device_type, torch._utils._get_device_module
    with cpu.torchtitan_importable():
        pass
    assert (torch._utils._get_available_device_type, torch._utils._get_device_module) == before
    if not cpu.has_accelerator():
        from torchtitan.tools.utils import device_module, device_type

        assert device_type == "cpu"
        assert device_module.current_device() == 0
        assert device_module.memory_stats()["active_bytes.all.peak"] > 0


def test_torch_has_every_name_that_torchtitan_imports_for_our_models() -> None:
    spec = importlib.util.find_spec("torchtitan")
    assert spec is not None
    (root,) = spec.submodule_search_locations or ()
    parts = ["train.py", "components", "config", "distributed", "models/llama3", "protocols", "tools"]
    files = [
        file
        for part in parts
        for file in ([Path(root, part)] if part.endswith(".py") else Path(root, part).rglob("*.py"))
    ]
    looked_up, missing = 0, []
    for file in files:
        if file.name in ("deepep.py", "ft.py"):
            continue
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch" and node.module:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    looked_up += 1
                    if (
                        not hasattr(module, alias.name)
                        and importlib.util.find_spec(f"{node.module}.{alias.name}") is None
                    ):
                        missing.append(f"{file.name}: {node.module}.{alias.name}")
    assert looked_up > 60
    assert missing == []


layouts = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(layouts)
def test_no_sequence_is_lost_or_read_twice_where_the_number_of_processes_changes(
    runs: list[tuple[int, int, int]],
) -> None:
    """Each run is (processes, local batch, steps until it is stopped), and goes on where the one before stopped."""
    state, read = {"sequences_read": 0}, list[int]()
    for world, local_batch, steps in runs:
        loaders = [
            OrderLoader(sequences, sequences=10_000, local_batch=local_batch, world=world, rank=rank)
            for rank in range(world)
        ]
        for loader in loaders:
            loader.load_state_dict(state)
        readers = [iter(loader) for loader in loaders]
        for _ in range(steps):
            own = [[int(row[0]) // 10 for row in next(reader)[0]["input"]] for reader in readers]
            flat = [index for rank in own for index in rank]
            assert len(set(flat)) == world * local_batch, "ranks read different sequences"
            read += flat
        states = [loader.state_dict() for loader in loaders]
        assert all(one == states[0] for one in states)
        state = states[0]
    assert read == list(range(len(read))), "in the order, from the exact sequence on"
