"""Where are shingle sets while there are more of them than memory? At the end of a file, put there by any process.

Start at `spill_file`; `cores` gives the processes, a `Desk` hands texts to them, `measured_and_put` is their work, and
`spilled` reads what they put.

What always holds: the file is gone when the work is, and what a set is does not depend on where in it the set lies.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from pipelines.minhash import Signing
from pipelines.shingles import I64, ScatteredShingles, Shingles
from pipelines.startup import keep_memory
from pipelines.units import Units, measured, threads
from quality.workers import worker_processes

_BYTES_ON_DISK = 8_000_000  # about half a second of hashing, which is what processes take to start


def cores(table_bytes: int) -> AbstractContextManager[Executor]:
    """Return what hashes texts on all cores: processes, where there is enough to do.

    Threads are of little use: most steps between two that release the interpreter's lock are too short (measured: two
    threads do 1.3 times the work of one, two processes 2.0 times).

    Args:
        table_bytes: Size of the table on disk.
    """
    number = len(os.sched_getaffinity(0))
    if number == 1 or table_bytes < _BYTES_ON_DISK:
        return threads()
    return worker_processes(number, __name__, keep_memory)


@contextmanager
def spill_file(folder: Path) -> Iterator[Path]:
    """Yield an empty file in a folder that is gone afterwards."""
    path = folder / ".shingles"
    try:
        path.touch()
        yield path
    finally:
        path.unlink(missing_ok=True)


def put(sets: Shingles, spill: Path) -> I64:
    """Put sets at the end of a file, as several processes may at once; return where in it each starts.

    Raises:
        OSError: The disk is full.
    """
    file = os.open(spill, os.O_WRONLY | os.O_APPEND)
    try:
        content = sets.values.tobytes()
        if os.write(file, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(spill))
        return os.lseek(file, 0, os.SEEK_CUR) // sets.values.itemsize - len(sets.values) + sets.offsets[:-1]
    finally:
        os.close(file)


class Desk:
    """Where texts lie while other processes work on them: memory that all see, since a pipe copies it several times.

    What is put down lies in a file without a name, which is gone with this process; it is used again when it is free.
    """

    def __init__(self) -> None:
        self._free: list[int] = []
        self._all: list[int] = []

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._all:
            os.close(file)

    def lay(self, content: memoryview) -> int:
        """Put bytes down; return the number of their file.

        Raises:
            OSError: There is not enough memory.
        """
        if not self._free:
            self._free.append(os.memfd_create("texts"))
            self._all.append(self._free[-1])
        file = self._free.pop()
        done = 0
        while done < len(content):
            done += os.pwrite(file, content[done:], done)
        return file

    def clear(self, file: int) -> None:
        """Let a file be used again."""
        self._free.append(file)


def measured_and_put(offsets: I64, owner: int, file: int, signing: Signing, spill: Path) -> tuple[Units, I64]:
    """Put the sets of texts into a file; return what else is known of them, and where each starts.

    Args:
        offsets: Where each text starts in what lies on the desk, and where the last one ends.
        owner: Id of the process whose desk it is.
        file: The number of the file there.
        signing: What they depend on.
        spill: The file for the sets.
    """
    start, end = int(offsets[0]), int(offsets[-1])
    with Path(f"/proc/{owner}/fd/{file}").open("rb") as desk:
        desk.seek(start)
        data = desk.read(end - start)
    units, sets = measured(data, offsets - start, signing)
    return units, put(sets, spill)


def spilled(spill: Path, starts: I64, sizes: I64) -> ScatteredShingles:
    """Return the sets that were put into a file, which stays on disk but for what is looked at."""
    values = np.memmap(spill, np.uint32, "r") if spill.stat().st_size else np.zeros(0, np.uint32)
    return ScatteredShingles(values, starts, sizes)
