"""Runs beside a process that makes sandboxes, and takes away what it leaves behind when it is killed.

The sandbox starts it as a script with nothing but the standard library beside it; nothing imports it. Bubblewrap asks
the kernel to end the sandbox with its maker, but only once it is under way: a maker killed in the instant before would
leave a program that nobody ends. Everything that a maker starts joins its cgroups first, so what is in them when it is
gone may go; where there are none, bubblewrap's own processes are known by the job's folder among their words, and what
runs below them ends with them.

    reaper.py PID NAME FOLDER [FOLDER ...] -- TEMPORARY

PID is the maker, NAME what the names of its cgroups and of its temporary folders begin with, FOLDER where its cgroups
are made, TEMPORARY where the folders are.
"""

import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

LOOKS, LOOK_S = 200, 0.025
"""Five seconds: a process that was being made when the maker ended has long joined or ended."""


def started_for(name: str) -> list[int]:
    """Return the processes that have a name among their words, but for this one."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if f"{name}job-".encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def main() -> None:
    """Wait for the maker's end; then kill, and take away cgroups and folders until there are none."""
    os.chdir("/")
    maker, name, *folders = sys.argv[1:]
    divide = folders.index("--")
    cgroups, temporary = [Path(folder) for folder in folders[:divide]], Path(folders[divide + 1])
    with suppress(ProcessLookupError):
        alive = os.pidfd_open(int(maker))
        # Its number may be another's by now.
        if os.getppid() == int(maker):
            select.select([alive], [], [])
    for _ in range(LOOKS):
        left = [group for folder in cgroups for group in folder.glob(f"{name}*")]
        for group in left:
            with suppress(OSError):
                for pid in (group / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                group.rmdir()
        named = started_for(name)
        for pid in named:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not left and not named:
            break
        time.sleep(LOOK_S)
    for folder in temporary.glob(f"{name}job-*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in temporary.glob(f"{name}root-*"):
        # Never more than an empty folder: the root of the host may have been mounted on it.
        with suppress(OSError):
            folder.rmdir()


main()
