"""How a job outlives the one file that hangs, explodes or crashes a parser: work on each item in a child, under limits.

Start at `guarded`. The items go through one forked child, which hands results back as they are made; when the child
dies, the item it was at is tried once more in a child of its own, and only what fails alone is given up, as a `Stopped`
in its place. Every other item has its result. Limits are CPU seconds and bytes, never a clock on the wall, so that a
busy machine stops the same items as an idle one.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import gc
import os
import pickle
import resource
import select
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from quality.workers import follow

Item = TypeVar("Item")
Result = TypeVar("Result")

_LENGTH = struct.Struct("<Q")
_PIPE_BYTES = 1 << 20
_LOOK_MS = 15_000
_LOOKS = 8
"""A child that sleeps, using no CPU time, through so many looks waits for what never comes: two minutes."""


@dataclass(frozen=True)
class Stopped:
    """An item whose work was stopped.

    Args:
        reason: `time` (more CPU seconds than allowed), `memory` (more bytes than allowed), `crash` (ended by a signal
            or by itself) or `stuck` (waiting for ever, using no time).
        detail: One line: the limit, the signal or the exit code.
    """

    reason: Literal["time", "memory", "crash", "stuck"]
    detail: str


def guarded(
    function: Callable[[Item], Result], items: Sequence[Item], *, cpu_seconds: float, memory_bytes: int
) -> Iterator[Result | Stopped]:
    """Run a function on each item in a forked child, and go on after any that must be stopped.

    The child has what this process has in memory, so items need not be pickled; results are. It ends with this process.

    Args:
        function: Of one item. What it changes in memory is lost with the child.
        items: What to run it on.
        cpu_seconds: CPU time for one item, above 0.
        memory_bytes: What the child may allocate beyond what it starts with.

    Yields:
        For each item, in order: what the function returned, or why it was stopped.

    Raises:
        Exception: Whatever the function itself raised, but for `MemoryError`, which makes a `Stopped`.
    """
    at = 0
    while at < len(items):
        made, end = yield from _child(function, items[at:], cpu_seconds, memory_bytes)
        at += made
        if end is not None and made and end.reason != "time":
            # What the items before it left behind in the child may have been the cause.
            made, end = yield from _child(function, items[at : at + 1], cpu_seconds, memory_bytes)
            at += made
        if end is not None:
            yield end
            at += 1


def _child(
    function: Callable[[Item], Result], items: Sequence[Item], cpu_seconds: float, memory_bytes: int
) -> Generator[Result, None, tuple[int, Stopped | None]]:
    """Yield the results of one child; return how many there were, and what ended it before it had done all."""
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    with warnings.catch_warnings():
        # From 3.12 on Python warns of forking beside threads; the child takes none of their locks but malloc's, which
        # is made safe for it, and one that waits all the same is found to be stuck.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work(function, items, cpu_seconds, memory_bytes, parent, writing)
    os.close(writing)
    made = 0
    end: Stopped | None = None
    running = True
    try:
        while made < len(items):
            frame = _frame(reading, pid)
            running = bool(frame)
            if not frame:
                end = Stopped("stuck", "waits, and uses no time") if frame is None else None
                running = frame is None
                break
            done, value = pickle.loads(frame)
            if not done:
                if not isinstance(value, MemoryError):
                    raise value
                end = Stopped("memory", f"more than {memory_bytes:,} bytes")
                break
            yield value
            made += 1
        else:
            running = False
    finally:
        os.close(reading)
        if running:
            os.kill(pid, signal.SIGKILL)
        status = _status(pid)
    if end is None and made < len(items):
        end = _why(status, cpu_seconds)
    return made, end


def _frame(reading: int, pid: int) -> bytes | None:
    """Return the next frame; an empty one where the child has ended; None where it is stuck."""
    head = _exactly(reading, _LENGTH.size, pid)
    return _exactly(reading, _LENGTH.unpack(head)[0], pid) if head else head


def _exactly(reading: int, size: int, pid: int) -> bytes | None:
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    parts: list[bytes] = []
    looks, used = 0, ""
    while size:
        if not waiting.poll(_LOOK_MS):
            state, now = _seen(pid)
            if state in "ZX":
                return b""
            # One that is ready to run, or waits for the disk, only waits for its turn.
            looks = looks + 1 if (state, now) == ("S", used) else 0
            used = now
            if looks >= _LOOKS:
                return None
            continue
        part = os.read(reading, min(size, _PIPE_BYTES))
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
        looks = 0
    return b"".join(parts)


def _seen(pid: int) -> tuple[str, str]:
    """Return a process's state and the CPU time it has used. Source: proc(5), fields 3, 14 and 15 of `stat`."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return "X", ""
    return fields[0], f"{fields[11]}+{fields[12]}"


def _status(pid: int) -> int | None:
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:  # the process that this runs in has its children waited for by the system
        return None


def _why(status: int | None, cpu_seconds: float) -> Stopped:
    if status is None:
        return Stopped("crash", "ended without a result")
    if not os.WIFSIGNALED(status):
        return Stopped("crash", f"ended itself with exit code {os.waitstatus_to_exitcode(status)}")
    number = os.WTERMSIG(status)
    if number == signal.SIGPROF:
        return Stopped("time", f"more than {cpu_seconds:g} CPU seconds")
    return Stopped("crash", f"ended by {signal.Signals(number).name}")


def _work(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    cpu_seconds: float,
    memory_bytes: int,
    parent: int,
    writing: int,
) -> NoReturn:
    """Be the child: hand back `(True, result)` for each item, or `(False, exception)` and end."""
    try:
        follow(parent)
        faulthandler.disable()
        # A collection would write to, and so copy, every page that came with the fork.
        gc.freeze()
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = _data_bytes() + memory_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit if most < 0 else min(limit, most), most))
        for item in items:
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            try:
                frame = pickle.dumps((True, function(item)), pickle.HIGHEST_PROTOCOL)
            except MemoryError:
                _send(writing, pickle.dumps((False, MemoryError())))
                break
            except Exception as error:
                _send(writing, _pickled(error))
                break
            signal.setitimer(signal.ITIMER_PROF, 0)
            _send(writing, frame)
        os._exit(0)
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    except BaseException:
        # The parent waits no longer, or there is no memory left even to say so.
        os._exit(1)


def _pickled(error: Exception) -> bytes:
    try:
        frame = pickle.dumps((False, error))
        pickle.loads(frame)
    except Exception:
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return frame


def _send(writing: int, frame: bytes) -> None:
    view = memoryview(_LENGTH.pack(len(frame)) + frame)
    while view:
        view = view[os.write(writing, view) :]


def _data_bytes() -> int:
    """Return what `RLIMIT_DATA` counts of this process. Source: proc(5), `VmData` of `status`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
