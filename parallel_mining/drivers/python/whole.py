"""Runs inside the sandbox: calls whole Python programs, a fork of this process a call. See `supervisor`.

A fork is a process of its own, so that a call is what it would be alone, but for the start of the interpreter.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from types import CodeType, ModuleType

PROTOCOL = 3
PRINTED = 1 << 20
COMMON = ("bisect", "collections", "functools", "heapq", "itertools", "math")
"""What programs import most: it is there before they are forked."""
ODD = 113
"""The status of a call that is to be done again in a process that was not forked."""


def tell(line: str) -> None:
    """Write one line to the supervisor."""
    data = (line + "\n").encode("ascii")
    while data:
        data = data[os.write(PROTOCOL, data) :]


def code_of(k: str) -> CodeType:
    """Compile a program, which is known to compile."""
    path = f"/job/programs/{k}.py"
    with open(path, "rb") as file:  # noqa: PTH123
        return compile(file.read(), path, "exec", dont_inherit=True)


def be(code: CodeType, given: int, out: int, why: int) -> None:
    """Be a program, in a fork, to its end."""
    os.dup2(given, 0)
    os.dup2(out, 1)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
    status = 0
    try:
        main = ModuleType("__main__")
        main.__dict__["__builtins__"] = __builtins__
        main.__dict__["__file__"] = code.co_filename
        sys.modules["__main__"] = main
        sys.argv[:] = [code.co_filename]
        try:
            exec(code, main.__dict__)
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except (MemoryError, RecursionError):
        status = ODD
    except BaseException as error:
        status = 1
        os.write(why, f"{type(error).__name__}: {error}"[:2000].encode("utf-8", "backslashreplace"))
    os._exit(status & 255)


def taken(fd: int) -> bytes:
    """Read to the end, or until there is too much."""
    found = bytearray()
    while len(found) <= PRINTED and (chunk := os.read(fd, 1 << 16)):
        found += chunk
    os.close(fd)
    return bytes(found)


def called(code: CodeType, wire: str) -> str:
    """Call a program once and return the outcome's letter and data."""
    text = re.fullmatch(r"\[s((?:[0-9a-f]{2})*);\]", wire)
    if not text:
        return "z "
    given = os.memfd_create("stdin")
    os.write(given, bytes.fromhex(text[1]))
    os.lseek(given, 0, os.SEEK_SET)
    (out, inner), (why, reason) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.close(PROTOCOL)
        be(code, given, inner, reason)
    for fd in (given, inner, reason):
        os.close(fd)
    printed = taken(out)
    if len(printed) > PRINTED:
        os.kill(child, 9)
    told = taken(why)
    _, ended = os.waitpid(child, 0)
    if len(printed) > PRINTED:
        return f"u {b'a result that is too large'.hex()}"
    status = os.waitstatus_to_exitcode(ended)
    if status < 0 or status == ODD:
        return "z "
    if status:
        return f"e {f'status {status}: '.encode().hex()}{told.hex()}"
    return f"v p{printed.hex()};"


def main() -> None:
    """Go through the task file."""
    for name in COMMON:
        importlib.import_module(name)
    code: CodeType | None = None
    k = ""
    with open(sys.argv[1], encoding="ascii") as file:  # noqa: PTH123
        lines = file.read().splitlines()
    for line in lines:
        kind, *fields = line.split(" ")
        if kind == "P":
            k = fields[0]
            code = code_of(k)
            tell(f"D {k}")
        elif code is not None:
            tell(f"R {k} {fields[0]} {called(code, fields[1])}")


main()
