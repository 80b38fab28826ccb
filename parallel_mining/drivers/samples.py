"""What every language is tried on: the same small programs, one a point, from each driver's `samples`.

Start at `sample`. The calls that are made of them, and what these must come to, stand in the contract suite, which
walks the language registry; so a new language is covered as soon as its driver has the module, with

- `SAMPLES`: point to the entry and the code of a program;
- `INTEGERS`: how wide the language's plain integers are;
- `WHOLES`: point to the code of a whole program, in a language that runs whole programs;
- `STRICT_ARITY`: whether a call with a wrong number of arguments is refused.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Literal, Protocol, cast

from parallel_mining.pairs import Program, whole_program
from parallel_mining.types import parse_type
from quality.languages import language

Integers = Literal["exact", "binary64", "int32"]
"""Of any size; exact up to 2**53; or 32 bits that wrap."""

POINTS: dict[str, tuple[str, ...]] = {
    "add": ("int32", "int32"),
    "shout": ("str",),
    "fail": ("int32",),
    "hang": ("int32",),
    "syntax": ("int32",),
    "unknown": ("int32",),
    "missing": ("int32",),
    "floats": ("float",),
    "narrow": ("int32",),
    "transpose": ("list[list[int32]]",),
    "count": ("list[str]",),
    "halve": ("int32",),
    "sorted": ("list[int32]",),
    "random": ("int32",),
    "stateful": ("int32",),
    "leave": ("int32",),
}
"""Point to the canonical types of its parameters."""

WHOLE_POINTS = ("sum", "repeat", "leave", "raise", "spin", "flood", "grow", "octets", "fresh", "wrong", "no_main")
"""What whole programs are tried on, in short:

sum      prints the sum of all numbers on standard input
repeat   prints standard input and `!` behind it, without a line feed
leave    prints and ends with status 3 where there is any input, with 0 where there is none
raise    fails with the message `no é`
spin     does not end where there is any input
flood    prints without end
grow     takes memory without end
octets   prints what is not UTF-8
fresh    prints how often it was called, as far as it knows, in a variable of the program
wrong    does not parse
no_main  has nothing that runs; where all text runs, does not parse
"""


class Samples(Protocol):
    """What a driver's `samples` module must offer."""

    SAMPLES: Mapping[str, tuple[str, str]]
    INTEGERS: Integers
    STRICT_ARITY: bool
    WHOLES: Mapping[str, str]


def samples(language_id: str) -> Samples:
    """Return a language's samples.

    Raises:
        BadInput: No such language.
    """
    language(language_id)
    return cast(Samples, importlib.import_module(f"parallel_mining.drivers.{language_id}.samples"))


def sample(language_id: str, point: str) -> Program:
    """Return a language's program for a point, its parameters typed as that language has its integers.

    Raises:
        BadInput: No such language.
    """
    own = samples(language_id)
    entry, code = own.SAMPLES[point]
    names = [kind.replace("int32", "number") if own.INTEGERS == "binary64" else kind for kind in POINTS[point]]
    return Program(language_id, code, entry, tuple(parse_type(name) for name in names))


def whole_sample(language_id: str, point: str) -> Program:
    """Return a language's whole program for a point.

    Raises:
        BadInput: No such language.
    """
    return whole_program(language_id, samples(language_id).WHOLES[point])
