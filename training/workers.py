"""Many small trainings at once: one process a core, each with one thread, fed from a list.

Start at `work`. A training with one thread gives the same bits however many run beside it, and small matrices gain
little from a second thread. What always holds: workers end with the process that started them, however that ends; an
error or a lost worker ends the whole work with that error.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from quality.workers import follow

PRELOADED = ("training.recipe",)
"""Imported once, in the server that workers are forked from: torch takes seconds to import."""

_POLL_SECONDS = 1.0

Note: TypeAlias = Callable[[Any], None]
Task: TypeAlias = Callable[[Any, Note], None]


class WorkerFailed(RuntimeError):
    """A task raised, or its process died; the message holds the worker's own traceback."""


def default_workers() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def work(function: Task, tasks: Sequence[Any], workers: int, on_note: Note) -> None:
    """Call `function(task, note)` for each task and hand on what the calls note, as it comes.

    Args:
        function: A module-level function; it calls `note(value)` with whatever is worth knowing.
        tasks: Its arguments; they and the notes are pickled where there is more than one worker.
        workers: Processes; with one, tasks run in this process.
        on_note: Called in this process with each note.

    Raises:
        WorkerFailed: A task raised in a worker, or a worker died.
    """
    if min(workers, len(tasks)) <= 1:
        for task in tasks:
            function(task, on_note)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    waiting, said = context.SimpleQueue(), context.Queue()
    for item in [*((task,) for task in tasks), *[None] * workers]:
        waiting.put(item)
    processes = [
        context.Process(target=_serve, args=(function, waiting, said, os.getpid()), daemon=True)
        for _ in range(min(workers, len(tasks)))
    ]
    try:
        for process in processes:
            process.start()
        _listen(processes, said, len(tasks), on_note)
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


def _listen(processes: Sequence[Any], said: Any, tasks: int, on_note: Note) -> None:
    while tasks:
        try:
            kind, value = said.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            lost = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
            if lost:
                raise WorkerFailed(f"a worker died (exit code {lost[0]}); out of memory? use fewer workers") from None
            continue
        if kind == "failed":
            raise WorkerFailed(value)
        if kind == "done":
            tasks -= 1
        else:
            on_note(value)


def _serve(function: Task, waiting: Any, said: Any, parent: int) -> None:
    follow(parent)
    while (item := waiting.get()) is not None:
        try:
            function(item[0], lambda value: said.put(("note", value)))
        except BaseException:
            said.put(("failed", traceback.format_exc()))
            return
        said.put(("done", None))
