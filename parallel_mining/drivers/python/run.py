"""How Python programs are run: by this interpreter, isolated from its installed packages, a fork a program."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from pathlib import Path

from parallel_mining import values
from parallel_mining.drivers import Job, Toolchain, interpreter
from parallel_mining.pairs import Program

BATCH = 64
# No site packages (-S -s), no working folder on the path (-P); the hash seed is the supervisor's, so no -E.
_ISOLATED = ("-B", "-S", "-s", "-P", "-X", "utf8")
# What goes on beside or after a program, which a fork of another process has no part in.
_ALONE = re.compile(r"\b(?:threading|_thread|atexit|multiprocessing|subprocess|concurrent|asyncio|fork|gc)\b")


def toolchain() -> Toolchain:
    """Return this interpreter: there always is one."""
    path, binds = interpreter()
    return Toolchain("python", f"CPython {platform.python_version()}", {"python": path}, binds)


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    files = {f"programs/{k}.py": program.code.encode() for k, program in enumerate(programs)}
    files["values.py"] = Path(values.__file__).read_bytes()
    files["worker.py"] = (Path(__file__).parent / "worker.py").read_bytes()
    return Job(files, (tools.tools["python"], *_ISOLATED, "/job/worker.py"))


def whole_job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch of whole programs."""
    files = {f"programs/{k}.py": program.code.encode() for k, program in enumerate(programs)}
    files |= {name: (Path(__file__).parent / name).read_bytes() for name in ("check.py", "whole.py")}
    python = (tools.tools["python"], *_ISOLATED)
    warm = (*python, "/job/whole.py")
    calm = frozenset(k for k, program in enumerate(programs) if not _ALONE.search(program.code))
    worker = (*python, "/job/programs/{k}.py")
    return Job(files, worker, (*python, "/job/check.py"), whole=True, warm=warm, calm=calm)


def tested(code: str, tests: str, done: str) -> str:
    """Return a whole program that runs a solution's unit tests, and then prints `done` on a line of its own."""
    return f"{code}\n{tests}\nprint({done!r})\n"
