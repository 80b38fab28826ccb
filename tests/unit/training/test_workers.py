from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from training.workers import Failed, Note, default_workers, visible_devices, work


def double(task: int, note: Note) -> None:
    note(task * 2)
    note((task, os.getpid()))


def fail(task: int, note: Note) -> None:  # noqa: ARG001
    raise ArithmeticError(f"task {task} cannot be done")


def die(task: int, note: Note) -> None:
    note(task)
    if task == 1:
        os._exit(9)


def die_once(task: Path, note: Note) -> None:
    tried = len(list(task.iterdir()))
    (task / str(tried)).touch()
    note((task.name, tried))
    if task.name == "b" and tried == 0:
        os._exit(9)
    if task.name == "c" and tried < 2:
        raise ArithmeticError("not yet")


def see_device(task: int, note: Note) -> None:  # noqa: ARG001
    note(os.environ["CUDA_VISIBLE_DEVICES"])


@pytest.fixture(autouse=True)
def _no_preload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.workers.PRELOADED", ())


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once(workers: int) -> None:
    notes: list[Any] = []
    assert work(double, range(6), workers, notes.append) == []
    assert sorted(note for note in notes if isinstance(note, int)) == [0, 2, 4, 6, 8, 10]
    processes = {note[1] for note in notes if isinstance(note, tuple)}
    assert (os.getpid() in processes) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_every_time_is_returned_with_what_it_was(workers: int) -> None:
    retried: list[Failed] = []
    failed = work(fail, [0, 1], workers, print, retries=2, on_retry=retried.append)
    assert {failure.task for failure in failed} == {0, 1}
    assert all(f"ArithmeticError: task {failure.task} cannot be done" in failure.reason for failure in failed)
    assert sorted(failure.task for failure in retried) == [0, 0, 1, 1]


def test_a_worker_that_dies_costs_its_own_task_alone() -> None:
    notes: list[Any] = []
    [failed] = work(die, [0, 1, 2, 3], 2, notes.append)
    assert failed.task == 1
    assert "its worker died (exit code 9)" in failed.reason
    assert sorted(notes) == [0, 1, 2, 3]


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    notes: list[Any] = []
    assert work(die_once, folders, 2, notes.append, retries=2) == []
    assert sorted(notes) == [("a", 0), ("b", 0), ("b", 1), ("c", 0), ("c", 1), ("c", 2)]


def test_workers_take_turns_on_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[Any] = []
    work(see_device, [0, 1, 2, 3], 2, notes.append, devices=("3", "5"))
    assert len(notes) == 4
    assert set(notes) <= {"3", "5"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible_devices() == ("3", "5")


def test_there_is_a_core_to_work_on() -> None:
    assert 1 <= default_workers() <= (os.cpu_count() or 1)
