from __future__ import annotations

import os
from typing import Any

import pytest

from training.workers import Note, WorkerFailed, default_workers, work


def double(task: int, note: Note) -> None:
    note(task * 2)
    note((task, os.getpid()))


def fail(task: int, note: Note) -> None:  # noqa: ARG001
    raise ArithmeticError(f"task {task} cannot be done")


def die(task: int, note: Note) -> None:  # noqa: ARG001
    os._exit(9)


@pytest.fixture(autouse=True)
def _no_preload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.workers.PRELOADED", ())


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once(workers: int) -> None:
    notes: list[Any] = []
    work(double, range(6), workers, notes.append)
    assert sorted(note for note in notes if isinstance(note, int)) == [0, 2, 4, 6, 8, 10]
    processes = {note[1] for note in notes if isinstance(note, tuple)}
    assert (os.getpid() in processes) == (workers == 1)


def test_an_error_ends_the_work_and_says_what_it_was() -> None:
    with pytest.raises(WorkerFailed, match="ArithmeticError: task 0 cannot be done"):
        work(fail, [0, 0], 2, print)
    with pytest.raises(ArithmeticError):
        work(fail, [0, 0], 1, print)


def test_a_worker_that_dies_is_noticed() -> None:
    with pytest.raises(WorkerFailed, match="a worker died"):
        work(die, [0, 0, 0], 2, print)


def test_there_is_a_core_to_work_on() -> None:
    assert 1 <= default_workers() <= (os.cpu_count() or 1)
