"""What a process settles before it works through texts, so that it starts fast and asks the system for memory once.

Both are settings of the process as a whole: a command or a worker calls them, no function that others import.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder

# Numbers of glibc's malloc.h. Trim, top pad and map thresholds in bytes: more than all arrays of a batch take. One
# arena, so that what one thread frees another takes.
_MALLOC = {-1: 1 << 28, -2: 1 << 24, -3: 1 << 26, -8: 1}


def keep_memory() -> None:
    """Have this process keep the memory that it frees: it needs as much for the next batch.

    Arrays of half a MB would be given back and asked for again, each time with page faults (measured: a tenth of all
    CPU time).
    """
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for parameter, value in _MALLOC.items():
            libc.mallopt(parameter, value)


def import_with_arrow(module: str) -> None:
    """Import a module that uses Arrow, without pandas and with the system's allocator.

    Arrow imports pandas with its first scalar, to know a data frame when it is given one: a third of a second, for a
    process that has none. It imports pandas all the same where a data frame is asked for later. Its own allocators give
    memory back between batches whatever `keep_memory` says. What modules consist of stays, and is not looked through
    for garbage while they are imported, nor after.

    Args:
        module: Its name.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # `pa.set_memory_pool` does not reach Parquet's parts
    gc.disable()
    try:
        with _without("pandas"):
            import_module(module)
    finally:
        gc.freeze()
        gc.enable()


class _Absent(MetaPathFinder):
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:  # noqa: ARG002
        """Say that one module is not there, and nothing of others."""
        if fullname == self._name:
            raise ModuleNotFoundError(f"{fullname} is not imported now", name=fullname)


@contextmanager
def _without(name: str) -> Iterator[None]:
    absent = _Absent(name)
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)
