"""One driver a language: how its programs are compiled, called and read, always inside the sandbox.

Start at `available`. A driver is the module `parallel_mining.drivers.<language id>.run`, found by the id of the
language registry and by nothing else, so a new language is a registry row and a folder here. It must have

- `toolchain() -> Toolchain | Unavailable`: what this machine has for it;
- `BATCH: int`: how many programs share one trip into the sandbox;
- `job(programs, tools) -> Job`: the files and the settings that `supervisor` needs inside the sandbox.

It may have `whole_job(programs, tools) -> Job`, the same for whole programs (`pairs.WHOLE`); a language without it has
functions only. And it may have `tested(code, tests, done) -> str`, the whole program that runs a solution's unit tests
in the form in which MultiPL-E publishes them, and says so when they have passed.

Beside it stand `syntax`, which reads the language's files (see `parallel_mining.cutting.Syntax`), and `samples`, the
programs by which the contract suite of all languages tries it (see `parallel_mining.drivers.samples`).
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from parallel_mining import sandbox
from parallel_mining.pairs import Program
from quality.languages import language


@dataclass(frozen=True)
class Toolchain:
    """What compiles and runs a language on this machine.

    Args:
        language: A language id.
        version: What the tools call themselves, as it stands in evidence.
        tools: Name to absolute path, such as `javac`.
        binds: Folders and files outside `/usr` that the sandbox must show, read-only.
    """

    language: str
    version: str
    tools: Mapping[str, str]
    binds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unavailable:
    """Why a language cannot be run on this machine.

    Args:
        language: A language id.
        reason: What is missing.
        install: What to do about it.
    """

    language: str
    reason: str
    install: str


@dataclass(frozen=True)
class Job:
    """One batch, as the supervisor inside the sandbox takes it.

    Args:
        files: Name to content, shown read-only at `/job`.
        build: Argument vector of the build step, run once, or empty. It gets the batch's numbers that compile to
            `/tmp/built` and why others do not to its fd 3 (see `supervisor`).
        worker: Argument vector of a worker; the path of its task file is appended. Of whole programs: that of one call,
            in which `{k}` stands for the program's number.
        environment: Variables for both.
        alone: A worker takes one program, not all of them.
        refused: Program number to reason, for programs that were refused before anything ran.
        types: Program number to its parameters' types, where the driver knows more than the program declares.
        whole: These are whole programs.
        warm: Of whole programs: argument vector of a worker that can call them too, and answers `z` where a call must
            have a new process after all. Empty where there is none.
        calm: The numbers of those that it may be tried on.
    """

    files: Mapping[str, bytes]
    worker: tuple[str, ...]
    build: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    alone: bool = False
    refused: Mapping[int, str] = field(default_factory=dict[int, str])
    types: Mapping[int, Sequence[str]] = field(default_factory=dict[int, Sequence[str]])
    whole: bool = False
    warm: tuple[str, ...] = ()
    calm: frozenset[int] = frozenset()


class Driver(Protocol):
    """What the module of a driver must offer."""

    BATCH: int

    def toolchain(self) -> Toolchain | Unavailable:
        """Return what this machine has for the language."""
        ...

    def job(self, programs: Sequence[Program], tools: Toolchain) -> Job:
        """Return the files and settings of one batch."""
        ...


def driver(language_id: str) -> Driver:
    """Return a language's driver.

    Raises:
        BadInput: No such language.
    """
    language(language_id)
    return cast(Driver, importlib.import_module(f"parallel_mining.drivers.{language_id}.run"))


class WholeDriver(Driver, Protocol):
    """What the module of a driver offers that runs whole programs too."""

    def whole_job(self, programs: Sequence[Program], tools: Toolchain) -> Job:
        """Return the files and settings of one batch of whole programs."""
        ...


def whole_driver(language_id: str) -> WholeDriver | None:
    """Return a language's driver if it runs whole programs.

    Raises:
        BadInput: No such language.
    """
    found = driver(language_id)
    return cast(WholeDriver, found) if hasattr(found, "whole_job") else None


class TestingDriver(WholeDriver, Protocol):
    """What the module of a driver offers that runs unit tests too."""

    def tested(self, code: str, tests: str, done: str) -> str:
        """Return a whole program that runs a solution's unit tests, and then prints `done` on a line of its own."""
        ...


def testing_driver(language_id: str) -> TestingDriver | None:
    """Return a language's driver if it runs unit tests.

    Raises:
        BadInput: No such language.
    """
    found = driver(language_id)
    return cast(TestingDriver, found) if hasattr(found, "tested") and hasattr(found, "whole_job") else None


@cache
def available(language_id: str) -> Toolchain | Unavailable:
    """Return the toolchain for a language on this machine, or why there is none; looked up once a process.

    Raises:
        BadInput: No such language.
    """
    found = driver(language_id).toolchain()
    if isinstance(found, Unavailable) or sandbox.ready():
        return found
    # Found here is not usable there: a tool may lie where only this user can look.
    script = 'for tool; do test -x "$tool" || echo "$tool"; done'
    seen = sandbox.run(["/bin/sh", "-c", script, "sh", *found.tools.values()], binds=found.binds)
    hidden = seen.stdout.decode(errors="replace").split() if seen.rc == 0 else sorted(found.tools.values())
    if not hidden:
        return found
    return Unavailable(
        language_id,
        f"programs in the sandbox cannot use {', '.join(hidden)}",
        "install it, or this checkout, in a folder that every user may read",
    )


def interpreter() -> tuple[str, tuple[str, ...]]:
    """Return the path of this Python outside any virtual environment, and what the sandbox must show for it."""
    prefix = Path(sys.base_prefix).resolve()
    path = prefix / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(path), () if prefix.is_relative_to("/usr") else (str(prefix),)


def text_of(tool: str, *arguments: str) -> str:
    """Return what a trusted tool prints, stdout and stderr together; empty where it cannot be started or fails."""
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""
