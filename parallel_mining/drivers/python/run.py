"""How Python programs are run: by this interpreter, isolated from its installed packages, a fork a program."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from parallel_mining import values
from parallel_mining.drivers import Job, Toolchain, interpreter
from parallel_mining.pairs import Program

BATCH = 64
# No site packages (-S -s), no working folder on the path (-P); the hash seed is the supervisor's, so no -E.
_ISOLATED = ("-B", "-S", "-s", "-P", "-X", "utf8")


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
    files["check.py"] = (Path(__file__).parent / "check.py").read_bytes()
    python = (tools.tools["python"], *_ISOLATED)
    return Job(files, (*python, "/job/programs/{k}.py"), (*python, "/job/check.py"), whole=True)
