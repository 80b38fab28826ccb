"""How worker processes live and die with the process that started them, wherever a part uses several cores."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

_POLL_SECONDS = 0.5


class WorkerLost(RuntimeError):
    """A worker process ended by itself; most often the system took its memory back."""


@contextmanager
def worker_processes(
    number: int, module: str, start: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes that end with this one.

    They are not forked from here, since a fork keeps locks and loses threads, but from a server that has imported one
    module. They never import the user's script, which so needs no `if __name__ == "__main__"`.

    Args:
        number: How many.
        module: What the server imports: where the work is.
        start: Called in each process, with `arguments`, before its first work.
        arguments: Of `start`.

    Raises:
        WorkerLost: One ended by itself.
    """
    context = _Context()
    context.set_forkserver_preload([module])
    pool = ProcessPoolExecutor(number, context, _begin, (os.getpid(), start, arguments))
    try:
        yield pool
    except BrokenProcessPool:
        raise WorkerLost("a worker process ended by itself; out of memory? use fewer cores or more memory") from None
    finally:
        pool.shutdown(cancel_futures=True)


def prepare_workers(module: str) -> None:
    """Start the server that `worker_processes` forks from, and go on while it imports; of no effect on one core.

    Args:
        module: What it imports.
    """
    if len(os.sched_getaffinity(0)) > 1:
        forkserver.set_forkserver_preload([module])
        forkserver.ensure_running()


class _Process(ForkServerProcess):
    """A process that is not told what the user's script is, since it would run it."""

    def start(self) -> None:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class _Context(ForkServerContext):
    Process = _Process


def _begin(parent: int, start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    follow(parent)
    if start is not None:
        start(*arguments)


def follow(parent: int) -> None:
    """Make this process end when its parent is gone, even by SIGKILL, and leave Ctrl-C to the parent.

    A pool's worker would wait for work for ever otherwise, and hold what it inherited.

    Args:
        parent: The parent's process id, taken by the parent itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while lives(parent):
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def lives(process: int) -> bool:
    """Return whether a process runs; one that ended runs no more, even where nobody has asked how."""
    try:
        # The name, in parentheses, may hold anything.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
