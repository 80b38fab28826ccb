"""Canonical types: what a parameter or result is, whatever language it was written in.

The text form is a small grammar, used in files and in drivers:

    bool  int  int8  int16  int32  int64  uint8  uint16  uint32  uint64  float32  float  number  str  char  null  any
    stdin
    list[T]  set[T]  dict[K,V]  optional[T]  tuple[T,...]

`int` has no width (Python's); `float` is IEEE binary64. JavaScript's and TypeScript's `number` is `number`: a binary64
that stands for an int where its value is one. `stdin` is the text that a whole program reads on standard input: it
is the type of its one argument, and of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

SCALARS = frozenset(
    [
        "bool",
        "int",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float",
        "number",
        "str",
        "char",
        "null",
        "any",
        "stdin",
    ]
)
CONTAINERS = {"list": 1, "set": 1, "dict": 2, "optional": 1}


@dataclass(frozen=True)
class Type:
    """A canonical type.

    Args:
        name: A scalar, or `list`, `set`, `dict`, `optional`, `tuple`.
        of: The types inside, in order; any number for a tuple.
    """

    name: str
    of: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return self.name if not self.of else f"{self.name}[{','.join(map(str, self.of))}]"


def parse_type(text: str) -> Type:
    """Read a canonical type from its text form.

    Raises:
        ValueError: The text is not in the grammar of this module.
    """
    parsed, rest = _parse(text.replace(" ", ""))
    if rest:
        raise ValueError(f"{text!r}: {rest!r} is left over after a complete type")
    return parsed


def _parse(text: str) -> tuple[Type, str]:
    stop = next((i for i, c in enumerate(text) if c in "[],"), len(text))
    name, rest = text[:stop], text[stop:]
    if name not in SCALARS and name not in CONTAINERS and name != "tuple":
        raise ValueError(f"{name!r} is not a type; known: {', '.join(sorted(SCALARS | CONTAINERS.keys() | {'tuple'}))}")
    inside: list[Type] = []
    if rest.startswith("["):
        while rest[0] != "]":
            inner, rest = _parse(rest[1:])
            inside.append(inner)
            if rest[:1] not in (",", "]"):
                raise ValueError(f"{text!r}: a `,` or `]` is missing")
        rest = rest[1:]
    wanted = CONTAINERS.get(name, 0)
    if name != "tuple" and len(inside) != wanted:
        raise ValueError(f"{text!r}: {name} takes {wanted} types, not {len(inside)}")
    return Type(name, tuple(inside)), rest


def split_outside(text: str, mark: str = ",") -> list[str]:
    """Split a type as it is written at the marks that stand in no brackets; parts are stripped, empty ones left out."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character in "<([{") - (character in ">)]}")
        if character == mark and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [part.strip() for part in [*parts, current] if part.strip()]
