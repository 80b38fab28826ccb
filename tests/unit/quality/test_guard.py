"""One item that hangs, explodes or crashes costs itself only: every other has its result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from quality import guard
from quality.guard import Stopped, guarded

MEMORY = 256 << 20


def work(item: Any) -> Any:
    if item == "loop":
        while True:
            pass
    if item == "allocate":
        return len(b"x" * (4 << 30))
    if item == "allocate slowly":
        held = []
        while True:
            held.append(bytearray(1 << 20))
    if item == "abort":
        os.abort()
    if item == "exit":
        os._exit(3)
    if item == "leave":
        sys.exit(4)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "raise":
        raise ValueError(item)
    return item * 2


def run(*items: Any, cpu_seconds: float = 5.0) -> list[Any]:
    return list(guarded(work, items, cpu_seconds=cpu_seconds, memory_bytes=MEMORY))


def test_results_come_in_order_and_of_any_size():
    assert run(1, "a", b"x" * (5 << 20), 2) == [2, "aa", b"x" * (10 << 20), 4]
    assert run() == []


@pytest.mark.parametrize(
    ("bad", "stopped"),
    [
        ("loop", Stopped("time", "more than 0.2 CPU seconds")),
        ("allocate", Stopped("memory", f"more than {MEMORY:,} bytes")),
        ("allocate slowly", Stopped("memory", f"more than {MEMORY:,} bytes")),
        ("abort", Stopped("crash", "ended by SIGABRT")),
        ("exit", Stopped("crash", "ended itself with exit code 3")),
        ("leave", Stopped("crash", "ended itself with exit code 4")),
        ("kill", Stopped("crash", "ended by SIGKILL")),
    ],
)
def test_what_must_be_stopped_is_and_nothing_else(bad, stopped):
    # A child of a large process may take long to be told what memory it has; only a loop is to meet the clock.
    seconds = 0.2 if bad == "loop" else 5.0
    assert run(bad, cpu_seconds=seconds) == [stopped]
    assert run(1, 2, bad, 3, bad, cpu_seconds=seconds) == [2, 4, stopped, 6, stopped]


def test_what_earlier_items_left_behind_is_not_held_against_an_item():
    kept: list[bytearray] = []

    def hoard(size):
        kept.append(bytearray(size))
        return len(kept)

    # Each fits alone; all do not fit together, however much of its own the child gives back on the way.
    found = list(guarded(hoard, [120 << 20] * 24, cpu_seconds=5, memory_bytes=MEMORY))
    assert len(found) == 24
    assert found[:2] == [1, 2]
    assert 1 in found[2:]
    assert all(after in (1, before + 1) for before, after in pairwise(found))


def test_the_time_is_an_items_own():
    def busy(seconds):
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return seconds

    assert list(guarded(busy, [0.2] * 4, cpu_seconds=0.5, memory_bytes=MEMORY)) == [0.2] * 4


def test_a_mistake_of_the_function_is_raised_here():
    found = guarded(work, [1, "raise", 2], cpu_seconds=1, memory_bytes=MEMORY)
    assert next(found) == 2
    with pytest.raises(ValueError, match="raise"):
        next(found)


def test_a_mistake_that_cannot_be_pickled_is_told_all_the_same():
    class Local(Exception):
        pass

    def fail(_):
        raise Local("of its own kind")

    with pytest.raises(RuntimeError, match="Local: of its own kind"):
        list(guarded(fail, [1], cpu_seconds=1, memory_bytes=MEMORY))


def test_one_that_waits_for_ever_is_found(monkeypatch):
    monkeypatch.setattr(guard, "_LOOK_MS", 50)
    monkeypatch.setattr(guard, "_LOOKS", 3)
    assert list(guarded(lambda s: time.sleep(s), [0, 600, 0], cpu_seconds=1, memory_bytes=MEMORY)) == [
        None,
        Stopped("stuck", "waits, and uses no time"),
        None,
    ]


def children():
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_no_child_is_left():
    before = children()
    found = guarded(work, [1, "loop"], cpu_seconds=600, memory_bytes=MEMORY)
    assert next(found) == 2
    assert children() > before
    found.close()
    assert children() <= before


def test_the_child_ends_with_a_killed_parent(tmp_path):
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from quality.guard import guarded\n"
        "def wait(place):\n"
        "    Path(place).write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
        "list(guarded(wait, [sys.argv[1]], cpu_seconds=600, memory_bytes=1 << 28))\n"
    )
    place = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", code, str(place)], cwd=Path(__file__).parents[3]) as parent:
        until = time.monotonic() + 60
        while not (place.exists() and place.read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        child = int(place.read_text())
        parent.kill()
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")
