"""On what inputs are two functions compared? Seeded values by type, small first, with the edges where code differs.

A `Family` is a space of inputs: a type for each argument and a level that says how much of the type is used. Agreement
is always stated together with the family that it was seen on. Start at `families` (which spaces suit two signatures)
and `cases` (arguments drawn from one).

Levels, from the whole type to its tamest part:

    full      negative and fractional numbers, any text, empty and repeated items, None where a type is optional
    plain     numbers from 0 up, ASCII text, no empty sequences
    narrow    integers from 2 to 30, floats from 0 to 1, words of letters, sequences of at least two items
    lexicon   as narrow, with texts that are put together from the strings that stand in the two programs: for
              functions that understand a small language of their own, such as brackets or number words
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from parallel_mining.signatures import Signature, compatible, is_float, is_integer, kind_of, shared_arities
from parallel_mining.types import Type, parse_type

Level = Literal["full", "plain", "narrow", "lexicon"]
LEVELS: tuple[Level, ...] = ("full", "plain", "narrow")


@dataclass(frozen=True)
class Family:
    """A space of inputs.

    Args:
        types: A type for each argument; no `number` in it.
        level: How much of the types is used.
    """

    types: tuple[Type, ...]
    level: Level

    def describe(self) -> dict[str, Any]:
        """Return the family as it stands in a pair's `domain`."""
        return {"parameters": [str(t) for t in self.types], "level": self.level}


Shape = tuple[Type, ...]
"""A type for each argument in which `number` is still open: int or float."""

_NUMBER, _STR = Type("number"), Type("str")
_NUMBERS, _STRS = Type("list", (_NUMBER,)), Type("list", (_STR,))
_GUESSES = (_NUMBER, _STR, _NUMBERS, _STRS)
_NESTED = Type("list", (_NUMBERS,))
_LONG_GUESSES = (
    "number number number",
    "str str str",
    "str number str",
    "str number number",
    "str str number",
    "list[number] number number",
    "list[str] number number",
    "list[number] list[number] number",
    "list[number] number str",
)


def shapes(left: Signature, right: Signature) -> list[Shape]:
    """Return the shapes of arguments that two signatures may share, by arity, most arguments first.

    Where neither side declares a type, the usual ones are offered and running decides.
    """
    found: dict[Shape, None] = {}
    arities = shared_arities(left, right)
    for arity in dict.fromkeys((*arities[:1], *arities[-1:])):
        declared = [
            merged(a.type, b.type) for a, b in zip(left.parameters[:arity], right.parameters[:arity], strict=True)
        ]
        pairs = zip(left.parameters[:arity], right.parameters[:arity], strict=True)
        if not all(compatible(a.type, b.type) for a, b in pairs):
            continue
        open_slots = [i for i, t in enumerate(declared) if t is None]
        if len(open_slots) <= 2:
            fillings = list(itertools.product(_GUESSES, repeat=len(open_slots)))
            if len(open_slots) == 1:
                fillings.append((_NESTED,))
        else:
            fillings = [_stretched(text, len(open_slots)) for text in _LONG_GUESSES]
        for filling in fillings:
            chosen = dict(zip(open_slots, filling, strict=True))
            found[tuple(t if t is not None else chosen[i] for i, t in enumerate(declared))] = None
    return list(found)


def _stretched(text: str, length: int) -> tuple[Type, ...]:
    parts = [parse_type(part) for part in text.split()]
    return tuple(parts[min(i, len(parts) - 1)] for i in range(length))


def merged(left: Type | None, right: Type | None) -> Type | None:
    """Return the type whose values suit both sides: the narrower one, or None where neither declares one."""
    if kind_of(left) == "any":
        left = None
    if kind_of(right) == "any":
        right = None
    if left is None or right is None:
        return left or right
    if left.name == "optional" or right.name == "optional":
        inner = merged(_inside(left), _inside(right))
        both = left.name == right.name == "optional"
        return Type("optional", (inner,)) if both and inner is not None else inner
    if kind_of(left) == kind_of(right) == "number":
        return min(left, right, key=_narrowness)
    if kind_of(left) == "text":
        return left if left.name == "char" else right
    if left.of and len(left.of) == len(right.of):
        of = tuple(merged(a, b) or Type("any") for a, b in zip(left.of, right.of, strict=True))
        name = "list" if {left.name, right.name} >= {"list"} else left.name
        return Type(name if name != "list" or len(of) == 1 else left.name, of)
    return left if left.of else right


def _inside(type_: Type) -> Type:
    return type_.of[0] if type_.name == "optional" else type_


_ORDER = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "int", "float32", "float", "number")


def _narrowness(type_: Type) -> int:
    return _ORDER.index(type_.name)


def families(shape: Shape, literals: Sequence[Any] = ()) -> list[Family]:
    """Return the families of a shape, widest first.

    Args:
        shape: The shape.
        literals: What stands in the programs; without two short texts among them there is no lexicon.
    """
    numbers = ("float", "int") if any(_is_open(t) for t in shape) else ("int",)
    levels = LEVELS
    if any("str" in str(t) for t in shape) and len(_lexicon(literals)) > 1:
        levels = (*LEVELS, "lexicon")
    return [Family(tuple(_settled(t, number) for t in shape), level) for level in levels for number in numbers]


def _lexicon(literals: Sequence[Any]) -> list[str]:
    return [x for x in literals if isinstance(x, str) and 0 < len(x) <= 12]


def probe(shape: Shape) -> Family:
    """Return the family on which a shape is tried first: tame values that any function of the shape takes."""
    return Family(tuple(_settled(t, "int") for t in shape), "plain")


def _is_open(type_: Type) -> bool:
    return type_.name == "number" or any(map(_is_open, type_.of))


def _settled(type_: Type, number: str) -> Type:
    if type_.name == "number":
        return Type(number)
    return Type(type_.name, tuple(_settled(t, number) for t in type_.of))


def cases(family: Family, count: int, seed: int, literals: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return argument tuples drawn from a family.

    Args:
        family: Where from.
        count: How many at most (small spaces have fewer).
        seed: The same seed gives the same cases.
        literals: Numbers and strings that stand in the functions; those that fit come among the cases.

    Returns:
        Distinct tuples, small ones first.
    """
    columns = [_column(t, family.level, count, f"{seed}/{i}/{t}", literals, i) for i, t in enumerate(family.types)]
    rows: dict[str, tuple[Any, ...]] = {}
    for row in itertools.islice(zip(*(itertools.cycle(c) for c in columns), strict=False), 2 * count):
        rows.setdefault(repr(row), row)
    return list(rows.values())[:count]


def _column(type_: Type, level: Level, count: int, seed: str, literals: Sequence[Any], slot: int) -> list[Any]:
    rng = random.Random(f"{seed}/{level}")
    if level == "lexicon":
        lexicon = _lexicon(literals)
        return [_compose(type_, lexicon, rng, 1 + i // 4) for i in range(count)]
    fitting = [x for x in literals if _fits(x, type_, level)]
    edges = _edges(type_, level)
    values = [*edges, *(_draw(type_, level, rng, 1 + i) for i in range(max(count - len(edges), count // 3)))]
    if fitting:
        step = max(2, len(values) // (len(fitting) + 1))
        for i, literal in enumerate(rng.sample(fitting, min(len(fitting), max(4, count // 3)))):
            values.insert((i + 1) * step, literal)
    # Columns are turned against each other, and mixed within short windows, so that small stays first but arguments
    # do not move in step.
    turn = (slot * 3) % max(1, min(7, len(values)))
    values = values[turn:] + values[:turn] if slot else values
    out: list[Any] = []
    for start in range(0, len(values), 8):
        window = values[start : start + 8]
        rng.shuffle(window)
        out += window
    return out


def _compose(type_: Type, lexicon: Sequence[str], rng: random.Random, size: int) -> Any:
    """Draw a value whose texts are made of a lexicon: words joined with nothing, blanks or commas, or balanced."""
    if type_.name == "str":
        parts = [rng.choice(lexicon) for _ in range(rng.randint(1, 1 + size))]
        # An opening text is often told from a closing one by its place only: mirror some.
        if rng.random() < 0.3 and len(lexicon) > 1:
            first, second = lexicon[0], lexicon[1]
            inner = first * rng.randint(1, 3)
            parts = [inner, second * (len(inner) // max(1, len(first)))] * rng.randint(1, 2)
        return rng.choice(("", " ", ", ") if size > 1 else ("", " ")).join(parts)
    if type_.name in ("list", "set"):
        items = [_compose(type_.of[0], lexicon, rng, size) for _ in range(rng.randint(2, 5))]
        return set(items) if type_.name == "set" else items
    if type_.name == "optional":
        return _compose(type_.of[0], lexicon, rng, size)
    return _draw(type_, "narrow", rng, size)


def _fits(value: Any, type_: Type, level: Level) -> bool:
    if isinstance(value, str):
        if level != "full" and not value.isascii():
            return False
        return (type_.name == "str" and len(value) <= 40) or (type_.name == "char" and len(value) == 1)
    if level == "full":
        fits = True
    else:
        fits = value >= 0 if level == "plain" else (2 <= value <= 30 if is_integer(type_) else 0 <= value <= 1)
    if is_integer(type_):
        return fits and isinstance(value, int) and abs(value) <= 1000
    return fits and is_float(type_) and abs(value) <= 1e6


_INT_EDGES: dict[Level, list[int]] = {
    "full": [0, 1, -1, 2, 3, -2, 5, 7, 10, -10, 12, 100],
    "plain": [0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 16, 100],
    "narrow": [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
    "lexicon": [2, 3, 4, 5],
}
_FLOAT_EDGES: dict[Level, list[float]] = {
    "full": [0.0, 1.0, -1.0, 0.5, 2.0, -0.5, 2.5, 3.0, -3.75, 10.0, 0.1, 100.25],
    "plain": [0.0, 1.0, 0.5, 2.0, 1.5, 2.5, 3.0, 10.0, 0.1, 12.75, 45.0, 100.25],
    "narrow": [0.0, 1.0, 0.5, 0.25, 0.75, 0.1, 0.9, 0.99, 0.01, 0.333, 0.6, 0.42],
    "lexicon": [0.0, 1.0, 0.5],
}
_STR_EDGES: dict[Level, list[str]] = {
    "full": ["", "a", "abc", "Hello, World!", "été", "a b", "straße", "  x ", "日本語", "foo_bar", "\n\t1"],
    "plain": ["a", "abc", "Hello, World!", "a b", "foo_bar", "fooBar", "x1", "aab", "A", "<b>&\"'", "race car", "(())"],
    "narrow": [
        "a",
        "ab",
        "abc",
        "level",
        "hello world",
        "foo_bar",
        "fooBar",
        "Book",
        "city",
        "day",
        "kitten",
        "sitting",
    ],
}
_CHARS: dict[Level, str] = {"full": "a Z0-é~Bz\t9", "plain": "a Z0-~Bz_9", "narrow": "abzAZmxqkB", "lexicon": "ab"}
_WORDS = """kitten sitting apple banana level radar stats data mouse person man child index matrix octopus quiz wish box
    boy hero house church analysis status HTTP url Test value name first last user order item total street""".split()  # noqa: SIM905
_UNICODE = "abcXYZ 019-_éßñ中あΩ"
_ASCII = "abcdeABCXYZ 0129-_.,()"


def _edges(type_: Type, level: Level) -> list[Any]:
    if is_integer(type_):
        edges = _INT_EDGES[level]
        return [abs(e) for e in edges] if type_.name.startswith("uint") else list(edges)
    if is_float(type_):
        return list(_FLOAT_EDGES[level])
    if type_.name == "str":
        return list(_STR_EDGES[level])
    if type_.name == "char":
        return list(_CHARS[level])
    if type_.name == "bool":
        return [True, False]
    if type_.name == "null":
        return [None]
    if type_.name == "optional":
        inner = _edges(type_.of[0], level)
        return [*inner[:4], None, *inner[4:]] if level == "full" else inner
    if type_.name == "list":
        inner = _edges(type_.of[0], level)
        plain = [inner[:2], inner[1:4], inner[:3] * 2, inner[2:7], list(reversed(inner[:4]))]
        if level == "narrow":
            return plain
        return [[], inner[:1], *plain] if level == "full" else [inner[:1], *plain]
    if type_.name == "set":
        inner = [e for e in _edges(type_.of[0], level) if _hashable(e)]
        return (
            [set[Any](), *({*inner[:n]} for n in (1, 2, 4))] if level == "full" else [{*inner[:n]} for n in (1, 2, 4)]
        )
    if type_.name == "dict":
        return [dict[Any, Any]()] if level == "full" else []
    return []


def _hashable(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _draw(type_: Type, level: Level, rng: random.Random, size: int) -> Any:
    if is_integer(type_):
        reach = rng.choice((10, 30, 60, 120)) if level != "narrow" else rng.choice((12, 20, 30))
        low = 2 if level == "narrow" else 0 if level == "plain" or type_.name.startswith("uint") else -reach
        return rng.randint(low, min(reach, 127) if type_.name in ("int8", "uint8") else reach)
    if is_float(type_):
        if level == "narrow":
            return round(rng.random(), rng.choice((1, 2, 4)))
        reach = rng.choice((1.0, 10.0, 90.0, 500.0))
        return round(rng.uniform(0.0 if level == "plain" else -reach, reach), rng.choice((1, 2, 4)))
    if type_.name == "str":
        return _text(level, rng, size)
    if type_.name == "char":
        return rng.choice(_CHARS[level])
    if type_.name == "bool":
        return rng.random() < 0.5
    if type_.name == "null":
        return None
    if type_.name == "optional":
        return _draw(type_.of[0], level, rng, size)
    if type_.name in ("list", "set"):
        length = rng.randint(2 if level == "narrow" else 1, min(3 + size // 2, 8))
        items = [_draw(type_.of[0], level, rng, size) for _ in range(length)]
        if type_.name == "set":
            return {item for item in items if _hashable(item)}
        return items + items[:1] if rng.random() < 0.3 else items
    if type_.name == "tuple":
        return tuple(_draw(t, level, rng, size) for t in type_.of)
    if type_.name == "dict":
        keys = [_draw(type_.of[0], level, rng, size) for _ in range(rng.randint(1, 4))]
        return {key: _draw(type_.of[1], level, rng, size) for key in keys if _hashable(key)}
    return rng.choice((1, 2, "a", "b"))  # `any`


def _text(level: Level, rng: random.Random, size: int) -> str:
    if level == "narrow" or rng.random() < 0.4:
        words = [rng.choice(_WORDS) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            words = [w.capitalize() for w in words]
        return rng.choice((" ", "_", "")).join(words)
    letters = _UNICODE if level == "full" else _ASCII
    return "".join(rng.choice(letters) for _ in range(rng.randint(1, min(4 + size, 14))))
