"""How TypeScript is read: as JavaScript, with its annotations as canonical types."""

from __future__ import annotations

from parallel_mining.cutting import Module
from parallel_mining.drivers.javascript import syntax as javascript
from parallel_mining.drivers.javascript.syntax import (
    BUILTINS,
    DENIED,
    PROGRAM,
    SHARES_DIRECTORY,
    TYPED,
    WORDING,
    alias,
    assemble,
)
from parallel_mining.types import Type, split_outside

__all__ = [
    "BUILTINS",
    "DENIED",
    "PROGRAM",
    "SHARES_DIRECTORY",
    "TYPED",
    "WORDING",
    "alias",
    "assemble",
    "canonical",
    "read",
]

_SCALARS = {"number": "number", "string": "str", "boolean": "bool", "bigint": "int", "null": "null"}


def read(path: str, text: str) -> Module:
    """Read a file.

    Args:
        path: Its path below the repository; relative imports are resolved against it.
        text: Its source.
    """
    return javascript.read_ecma("typescript", path, text, canonical)


def canonical(annotation: str) -> Type | None:
    """Return the canonical type of an annotation such as `: readonly number[]`, or None where it has none."""
    text = annotation.strip().lstrip(":").strip()
    text = text.removeprefix("readonly ").strip()
    while text.startswith("(") and text.endswith(")") and "=>" not in text:
        text = text[1:-1].strip()
    if text in _SCALARS:
        return Type(_SCALARS[text])
    parts = split_outside(text, "|")
    if len(parts) > 1:
        rest = [p for p in parts if p not in ("null", "undefined")]
        found = {canonical(p) for p in rest}
        if len(found) != 1 or None in found:
            return None
        inner = found.pop()
        return inner if inner is None or len(rest) == len(parts) else Type("optional", (inner,))
    if text.endswith("[]"):
        inner = canonical(text[:-2])
        return inner and Type("list", (inner,))
    if text.startswith("[") and text.endswith("]"):
        of = tuple(canonical(p) for p in split_outside(text[1:-1]))
        return Type("tuple", tuple(t for t in of if t is not None)) if of and None not in of else None
    if text.endswith(">"):
        head, _, inside = text[:-1].partition("<")
        of = [canonical(p) for p in split_outside(inside)]
        known = [t for t in of if t is not None]
        if len(known) != len(of):
            return None
        name = {"Array": "list", "ReadonlyArray": "list", "Set": "set", "Map": "dict", "Record": "dict"}.get(head)
        if name in ("list", "set") and len(known) == 1:
            return Type(name, (known[0],))
        if name == "dict" and len(known) == 2 and head == "Record":
            return Type("dict", (known[0], known[1]))
    return None
