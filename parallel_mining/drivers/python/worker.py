"""Runs inside the sandbox: loads Python programs and calls them; started as a script beside `values.py`.

Each program runs in a fork, so that what it does to modules, memory or its process stays its own. See `supervisor` for
the protocol.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import CodeType, ModuleType
from typing import Any

sys.path.insert(0, "/job")
import values  # pyright: ignore[reportMissingImports]

PROTOCOL = 3
ITEMS_KEPT = 10_000


class Unrepresentable(Exception):
    """The result has no canonical form."""


def tell(line: str) -> None:
    """Write one line to the supervisor."""
    data = (line + "\n").encode("ascii")
    while data:
        data = data[os.write(PROTOCOL, data) :]


def hexed(text: str) -> str:
    """Return text as the protocol carries it."""
    return text[:2000].encode("utf-8", "backslashreplace").hex()


def told(error: BaseException) -> str:
    """Return an exception's type and message, whatever its `__str__` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:
        return type(error).__name__


def canonical(item: Any, depth: int = 0) -> Any:
    """Return a result as plain data that `values.encode` takes.

    Raises:
        Unrepresentable: It is of a type with no canonical form, or nested without end.
    """
    if depth > values.MAX_DEPTH:
        raise Unrepresentable("nested too deep")
    if item is None or isinstance(item, bool | str | float | bytes | bytearray):
        return str(item) if isinstance(item, str) else item
    if isinstance(item, int):
        if item.bit_length() > 12_000:
            raise Unrepresentable("an int of more than 12000 bits")
        return int(item)
    fields = getattr(type(item), "__dataclass_fields__", None)
    if fields is not None:
        parts = tuple((values.of(name), values.of(canonical(getattr(item, name), depth + 1))) for name in fields)
        return values.Value("record", parts, name=type(item).__name__)
    if isinstance(item, Mapping):
        pairs = tuple((values.of(canonical(k, depth + 1)), values.of(canonical(v, depth + 1))) for k, v in item.items())
        return values.Value("dict", pairs)
    if isinstance(item, AbstractSet):
        return values.Value("set", tuple(values.of(canonical(x, depth + 1)) for x in item))
    if isinstance(item, tuple):
        return tuple(canonical(x, depth + 1) for x in item)
    if isinstance(item, list | deque | range | memoryview) or type(item).__name__ == "array":
        return [canonical(x, depth + 1) for x in item]
    if isinstance(item, Iterator):
        taken: list[Any] = []
        for x in item:
            if len(taken) >= ITEMS_KEPT:
                raise Unrepresentable(f"an iterator of more than {ITEMS_KEPT} items")
            taken.append(canonical(x, depth + 1))
        return taken
    raise Unrepresentable(f"a {type(item).__name__} has no canonical form")


def argument(value: Any, declared: str) -> Any:
    """Return an argument as its declared type has it: a list where a set or tuple is wanted becomes one."""
    item = values.plain(value)
    if declared.startswith("set[") and isinstance(item, list):
        return set(item)
    if declared.startswith("tuple") and isinstance(item, list):
        return tuple(item)
    return item


def call(function: Any, wire: str, declared: list[str]) -> str:
    """Call a function once and return the outcome's letter and data."""
    try:
        given = values.decode(wire).data
        names = declared if len(declared) == len(given) else [""] * len(given)
        arguments = [argument(value, name) for value, name in zip(given, names, strict=True)]
    except Exception as error:
        return f"u {hexed(told(error))}"
    try:
        result = function(*arguments)
        return f"v {values.encode(canonical(result))}"
    except (Unrepresentable, values.NotAValue) as error:
        return f"u {hexed(str(error))}"
    except MemoryError:
        return f"m {hexed('MemoryError')}"
    except BaseException as error:
        return f"e {hexed(told(error))}"


def compiled(k: str) -> CodeType:
    """Compile a program's text."""
    with open(f"/job/programs/{k}.py", encoding="utf-8") as file:  # noqa: PTH123
        return compile(file.read(), f"program_{k}.py", "exec", dont_inherit=True)


def load(code: CodeType, entry: str) -> Any:
    """Execute a program and return the function it is about."""
    module = ModuleType("program")
    sys.modules["program"] = module
    exec(code, module.__dict__)
    found: Any = module
    for name in entry.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{entry} is no function")
    return found


def work(code: CodeType, k: str, entry: str, declared: list[str], cases: list[tuple[str, str]]) -> None:
    """Run one program on its cases, in this process."""
    try:
        function = load(code, entry)
    except BaseException as error:
        tell(f"X {k} {hexed(told(error))}")
        return
    tell(f"D {k}")
    for c, wire in cases:
        tell(f"R {k} {c} {call(function, wire, declared)}")


def main() -> None:
    """Go through the task file, a fork a program."""
    programs: list[tuple[str, str, list[str], list[tuple[str, str]]]] = []
    with open(sys.argv[1], encoding="ascii") as file:  # noqa: PTH123
        for line in file:
            kind, *fields = line.rstrip("\n").split(" ")
            if kind == "P":
                programs.append((fields[0], fields[1], fields[2].split(">")[0].split(";"), []))
            else:
                programs[-1][3].append((fields[0], fields[1]))
    for program in programs:
        try:
            # Before the fork, where the compiler's memory is there already: it costs a fork more than all else.
            code = compiled(program[0])
        except BaseException as error:
            tell(f"X {program[0]} {hexed(told(error))}")
            continue
        child = os.fork()
        if not child:
            work(code, *program)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            # Said as if it had happened here: the supervisor starts another worker for what is left.
            os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


main()
