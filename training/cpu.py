"""How torchtitan is made to run on a machine without an accelerator, without forking it.

Start at `torchtitan_importable`: torchtitan is imported inside that block, and only there. Where there is an
accelerator the block changes nothing about devices. What always holds: whatever is put in place of a torch function is
taken back when the block ends, and triton itself is never faked; only torchtitan's one module that needs it (kernels
of a mixture of experts, which no dense model calls) is stood in for while torchtitan is imported.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import resource
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import torch
import torch._utils

_KERNELS = "torchtitan.models.moe.kernels"


class CpuDevice(ModuleType):
    """`torch.cpu` with the handful of `torch.cuda` functions that torchtitan calls on its device module."""

    def __init__(self) -> None:
        super().__init__("training.cpu.device")

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)

    def set_device(self, device: object) -> None:
        """Accept any device: there is one."""

    def current_device(self) -> int:
        """Return 0: `torch.distributed.barrier` wants a number, and `torch.cpu` gives a name."""
        return 0

    def device_count(self) -> int:
        """Return 1."""
        return 1

    def synchronize(self, device: object = None) -> None:
        """Do nothing: work on a CPU is done when the call returns."""

    def empty_cache(self) -> None:
        """Do nothing: there is no allocator cache."""

    def reset_peak_memory_stats(self, device: object = None) -> None:
        """Do nothing: the peak of a process cannot be reset."""

    def get_device_name(self, device: object = None) -> str:  # noqa: ARG002
        """Return `CPU`."""
        return "CPU"

    def get_device_properties(self, device: object = None) -> SimpleNamespace:  # noqa: ARG002
        """Return name and memory in bytes."""
        return SimpleNamespace(name="CPU", total_memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))

    def memory_stats(self, device: object = None) -> dict[str, int]:  # noqa: ARG002
        """Return the peak resident memory of the process, in bytes, under the names of `torch.cuda`."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "active_bytes.all.peak": peak,
            "reserved_bytes.all.peak": peak,
            "num_alloc_retries": 0,
            "num_ooms": 0,
        }


def has_accelerator() -> bool:
    """Return whether torch sees a device other than the CPU."""
    return torch._utils._get_available_device_type() is not None  # pyright: ignore[reportPrivateUsage]


@contextlib.contextmanager
def torchtitan_importable() -> Iterator[None]:
    """Let torchtitan be imported here whatever the machine has.

    Raises:
        RuntimeError: torchtitan was imported before, and believes in a device that is not there.
    """
    with contextlib.ExitStack() as stack:
        # What torch and torchtitan import of themselves is their affair, and nothing that our users can mend.
        stack.enter_context(warnings.catch_warnings(action="ignore", category=DeprecationWarning))
        if importlib.util.find_spec("triton") is None and _KERNELS not in sys.modules:
            stack.enter_context(_stand_in_for_kernels())
        if not has_accelerator():
            stack.enter_context(_cpu_as_device())
        yield
    tools = sys.modules.get("torchtitan.tools.utils")
    if tools is not None and not has_accelerator() and tools.device_type != "cpu":
        raise RuntimeError(
            "torchtitan was imported before training.cpu could tell it that there is no accelerator;"
            " import training.recipe before torchtitan"
        )


@contextlib.contextmanager
def _cpu_as_device() -> Iterator[None]:
    # torchtitan.tools.utils asks torch once, at import, and takes "cuda" for an answer where there is none.
    helpers: Any = torch._utils
    available, module_of = helpers._get_available_device_type, helpers._get_device_module
    device = CpuDevice()
    helpers._get_available_device_type = lambda: "cpu"
    helpers._get_device_module = lambda name: device if name == "cpu" else module_of(name)
    try:
        yield
    finally:
        helpers._get_available_device_type, helpers._get_device_module = available, module_of


@contextlib.contextmanager
def _stand_in_for_kernels() -> Iterator[None]:
    def missing(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("kernels of a mixture of experts need triton, which is not installed")

    module: Any = ModuleType(_KERNELS)
    module.generate_permute_indices = module.fill_indices_wrapper = module.fill_indices_cpu = missing
    sys.modules[_KERNELS] = module
    try:
        yield
    finally:
        sys.modules.pop(_KERNELS, None)
