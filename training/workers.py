"""Many small trainings at once: one process a core, each with one thread, fed from a list.

Start at `work`. A training with one thread gives the same bits however many run beside it, and small matrices gain
little from a second thread. What always holds: workers end with the process that started them, however that ends; a
task that raised, or whose process died, is tried again as often as was asked for, and costs no other task anything.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeAlias

from quality.workers import follow

PRELOADED = ("training.recipe",)
"""Imported once, in the server that workers are forked from: torch takes seconds to import."""

Note: TypeAlias = Callable[[Any], None]
Task: TypeAlias = Callable[[Any, Note], None]


@dataclass(frozen=True)
class Failed:
    """A task that could not be done, however often it was tried.

    Args:
        task: The task.
        reason: The worker's own traceback, or how its process ended.
    """

    task: Any
    reason: str


def default_workers() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def visible_devices() -> tuple[str, ...]:
    """Return the names of the NVIDIA GPUs that this process may use, as CUDA takes them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name for name in named.split(",") if name)
    found = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted(found, key=int))


def work(
    function: Task,
    tasks: Sequence[Any],
    workers: int,
    on_note: Note,
    *,
    retries: int = 0,
    on_retry: Callable[[Failed], None] | None = None,
    devices: Sequence[str] = (),
) -> list[Failed]:
    """Call `function(task, note)` for each task and hand on what the calls note, as it comes.

    Args:
        function: A module-level function; it calls `note(value)` with whatever is worth knowing. It is called again
            with the same task after a failure, so it must go on from, or repeat, what it had done.
        tasks: Its arguments; they and the notes are pickled where there is more than one worker.
        workers: Processes; with one, tasks run in this process, and one that dies takes this process with it.
        on_note: Called in this process with each note.
        retries: How often a task that failed is tried again, each time behind all that wait.
        on_retry: Called with what failed before it is tried again.
        devices: GPUs, each worker's one of which is chosen in turn; none to leave that to the environment.

    Returns:
        The tasks that failed every time.
    """
    waiting = [(task, 0) for task in tasks]
    failed: list[Failed] = []

    def fail(task: Any, tries: int, reason: str) -> None:
        failure = Failed(task, reason)
        if tries < retries:
            waiting.append((task, tries + 1))
            if on_retry is not None:
                on_retry(failure)
        else:
            failed.append(failure)

    if min(workers, len(tasks)) <= 1:
        while waiting:
            task, tries = waiting.pop(0)
            try:
                function(task, on_note)
            except Exception:
                fail(task, tries, traceback.format_exc())
        return failed
    _spread(function, waiting, min(workers, len(tasks)), on_note, fail, devices)
    return failed


def _spread(
    function: Task,
    waiting: list[tuple[Any, int]],
    workers: int,
    on_note: Note,
    fail: Callable[[Any, int, str], None],
    devices: Sequence[str],
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    # A pipe a worker: what one said before it was killed is read to its end, and nobody else's words are lost.
    idle: list[Connection] = []
    busy: dict[Connection, tuple[Any, int]] = {}
    processes: dict[Connection, Any] = {}
    slots: dict[Connection, int] = {}

    def start(slot: int) -> Connection:
        mine, its = context.Pipe()
        device = devices[slot % len(devices)] if devices else None
        process = context.Process(target=_serve, args=(function, its, os.getpid(), device), daemon=True)
        process.start()
        its.close()
        processes[mine], slots[mine] = process, slot
        return mine

    free = list(range(workers))
    try:
        while waiting or busy:
            while waiting and (idle or free):
                connection = idle.pop() if idle else start(free.pop(0))
                busy[connection] = waiting.pop(0)
                with suppress(OSError):  # it died while it was idle; noticed below
                    connection.send(busy[connection][0])
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                task, tries = busy[ready]
                try:
                    kind, value = ready.recv()
                except (EOFError, OSError):
                    process = processes.pop(ready)
                    process.join()
                    free.append(slots.pop(ready))
                    del busy[ready]
                    ready.close()
                    fail(
                        task, tries, f"its worker died (exit code {process.exitcode}); out of memory? use fewer workers"
                    )
                    continue
                if kind == "note":
                    on_note(value)
                    continue
                del busy[ready]
                idle.append(ready)
                if kind == "failed":
                    fail(task, tries, value)
    finally:
        for connection, process in processes.items():
            process.kill()
            process.join()
            connection.close()


def _serve(function: Task, connection: Connection, parent: int, device: str | None) -> None:
    follow(parent)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            function(task, lambda value: connection.send(("note", value)))
        except Exception:
            connection.send(("failed", traceback.format_exc()))
        else:
            connection.send(("done", None))
