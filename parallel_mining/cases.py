"""On what inputs are two functions compared? Seeded values by type, small first, with the edges where code differs.

Start at `shapes` (which types of arguments suit two signatures) and `cases` (arguments drawn from them). A list of
cases mixes recipes, each of which finds other differences (whole programs have their own, in `parallel_mining.stdin`):

    edges     negative and fractional numbers, any text, empty and repeated items, None where a type is optional
    tame      numbers from 0 up, ASCII text, no empty sequences; and integers from 2 to 30, words, at least two items
    lexicon   texts put together from the strings that stand in the two programs: for functions that understand a
              small language of their own, such as brackets or number words
    composed  texts put together from numbers, words and those strings with one mark between: dates, sums, file names
    small     few different items: repetitions, runs, palindromes, sorted and constant lists
    related   arguments made of one another: an item, a part, a permutation, the length, the same again
    examples  the arguments in the programs' own documentation, and such as differ little from them
    seeds     arguments that are known to be taken, their parts exchanged, and such as differ little from them
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from parallel_mining import stdin
from parallel_mining.domains import Restriction, deep, repaired, type_of, within
from parallel_mining.pairs import STDIN
from parallel_mining.signatures import Signature, compatible, is_float, is_integer, kind_of, shared_arities
from parallel_mining.types import Type, parse_type

_Level = Literal["full", "plain", "narrow", "lexicon"]

Shape = tuple[Type, ...]
"""A type for each argument in which `number` is still open: int or float."""

_NUMBER, _STR = Type("number"), Type("str")
_NUMBERS, _STRS = Type("list", (_NUMBER,)), Type("list", (_STR,))
_GUESSES = (_NUMBER, _STR, _NUMBERS, _STRS)
NESTED = Type("list", (_NUMBERS,))
DEEP = Type("list", (NESTED,))
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


def shapes(left: Signature, right: Signature, examples: Sequence[tuple[Any, ...]] = ()) -> list[Shape]:
    """Return the shapes of arguments that two signatures may share, by arity, most arguments first.

    Where neither side declares a type, that of the examples is taken; without any the usual ones are offered, and
    running decides.

    Args:
        left: What one side takes.
        right: What the other takes.
        examples: Arguments of the calls in the programs' documentation.
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
        shown = [case for case in examples if len(case) == arity]
        if shown:
            declared = [t if t is not None else type_of([case[i] for case in shown]) for i, t in enumerate(declared)]
        open_slots = [i for i, t in enumerate(declared) if t is None]
        if len(open_slots) <= 2:
            fillings = list(itertools.product(_GUESSES, repeat=len(open_slots)))
            fillings += [(NESTED,), (DEEP,)] if len(open_slots) == 1 else [(NESTED, _NUMBER)] if open_slots else []
        else:
            fillings = [_stretched(text, len(open_slots)) for text in _LONG_GUESSES]
        for filling in fillings:
            chosen = dict(zip(open_slots, filling, strict=True))
            shape = tuple(t if t is not None else chosen[i] for i, t in enumerate(declared))
            found.update(dict.fromkeys((shape, *of_one_kind(shape))))
    return list(found)


def spelled(shape: Shape) -> Shape:
    """Return a shape with a list of texts wherever a text is an argument."""
    return tuple(_STRS if type_ == _STR else type_ for type_ in shape)


def letters(case: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments with the list of its letters for each text among them."""
    return tuple(list(argument) if isinstance(argument, str) else argument for argument in case)


def of_one_kind(shape: Shape) -> list[Shape]:
    """Return a shape with one type for all that may be anything inside: those of a type parameter are of one type."""
    if not any(_holds_any(type_) for type_ in shape):
        return []
    return [_settled(shape, kind.name, "any") for kind in (_NUMBER, _STR)]


def _holds_any(type_: Type) -> bool:
    return any(inner.name == "any" or _holds_any(inner) for inner in type_.of)


_STRANGE = (
    None,
    True,
    0,
    7,
    2.5,
    "",
    "ab",
    "7",
    b"ab",
    [],
    [1, 2],
    ["a", "b"],
    [[1, 2], [3, 4]],
    {},
    {"a": 1},
    (1, "a"),
)


# Numbers far from all that are compared: where integers have a width, what is done to them there differs.
_EXTREMES = {
    int: (2**31 - 1, -(2**31), 2**33, 2**38, 2**45, 2**53 + 1, 2**58, 2**63 - 1, -(2**63)),
    float: (float("nan"), float("inf"), float("-inf"), -0.0, 1e300, 1e-310, 1e17, 5e-324),
}


def strange(cases_: Sequence[tuple[Any, ...]], arities: Sequence[int], count: int, seed: int) -> list[tuple[Any, ...]]:
    """Return arguments that no case is like: one is of another kind, or a number far off, or there are more or fewer.

    Args:
        cases_: The cases.
        arities: How many arguments there may be.
        count: How many cases at most.
        seed: The same seed gives the same cases.
    """
    rng = random.Random(f"{seed}/strange")
    lengths = {len(case) for case in cases_}
    found: dict[str, tuple[Any, ...]] = {}
    for _ in range(2 * count if cases_ and arities else 0):
        case = list(rng.choice(cases_))
        arity = rng.choice(arities)
        if arity in lengths and case:
            place = rng.randrange(len(case))
            kinds = {_kind(other[place]) for other in cases_ if len(other) > place}
            extremes = [value for kind, far in _EXTREMES.items() if type(case[place]) is kind for value in far]
            others = [value for value in _STRANGE if _kind(value) not in kinds]
            case[place] = rng.choice(extremes if extremes and rng.random() < 0.2 else others)
        else:
            case = [*case[:arity], *(rng.choice(_STRANGE) for _ in range(arity - len(case)))]
        found.setdefault(repr(case), tuple(case))
    return list(found.values())[:count]


def _kind(value: Any) -> str:
    """Return what kind of value it is; numbers are of one kind, and lists of the kind of their first item."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    if isinstance(value, list):
        return f"list of {_kind(value[0])}" if value else "list of nothing"
    return type(cast(Any, value)).__name__


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


def probes(shape: Shape, seed: int) -> list[tuple[Any, ...]]:
    """Return the tame arguments by which it is found out whether a side takes arguments of a shape at all."""
    if shape == (STDIN,):
        return stdin.probes(seed)
    rng = random.Random(f"{seed}/probe")
    whole = _settled(shape, "int")
    small = [tuple(_small(t, rng, (), 4) for t in whole) for _ in range(8)]
    return list({repr(row): row for row in [*_rows(whole, "narrow", 8, f"{seed}/probe", ()), *small]}.values())


def is_open(shape: Sequence[Type]) -> bool:
    """Say whether it is open in a shape if its numbers are whole."""
    return any(t.name == "number" or is_open(t.of) for t in shape)


def _settled(shape: Sequence[Type], becomes: str, was: str = "number") -> Shape:
    return tuple(Type(becomes) if t.name == was else Type(t.name, _settled(t.of, becomes, was)) for t in shape)


def cases(
    shape: Shape,
    count: int,
    seed: int,
    literals: Sequence[Any] = (),
    *,
    examples: Sequence[tuple[Any, ...]] = (),
    seeds: Sequence[tuple[Any, ...]] = (),
    restrictions: Sequence[Restriction] = (),
    far: bool = False,
) -> list[tuple[Any, ...]]:
    """Return arguments drawn from a shape.

    Args:
        shape: Their types.
        count: How many at most (small spaces have fewer).
        seed: The same seed gives the same cases.
        literals: Numbers and strings that stand in the functions; those that fit come among the cases.
        examples: Arguments that are known to mean something; they and their like come among the cases.
        seeds: The same, where few others are taken: half of the cases are they and their like.
        restrictions: All cases lie within these.
        far: Whether integers that stand in the functions come among them though they are larger than all others.

    Returns:
        Distinct tuples, small ones first.
    """
    if shape == (STDIN,):
        return stdin.texts(count, seed, literals, shown=examples, seeds=seeds, restrictions=restrictions)
    rng = random.Random(f"{seed}/mix")
    whole = _settled(shape, "int")
    texts = _paired([x for x in literals if isinstance(x, str) and 0 < len(x) <= 12])
    textual = any("str" in str(t) or "char" in str(t) for t in shape)
    share = max(8, count // 2)
    recipes: list[list[tuple[Any, ...]]] = [
        # Each is empty or nothing in some of the others; that all are at once would be an accident.
        [tuple(_least(t) for t in whole)],
        *(_rows(whole, level, share, f"{seed}/{level}", literals, far=far) for level in ("full", "plain", "narrow")),
    ]
    if is_open(shape):
        # Where nothing declares a float, one that is whole is an int: not every language could tell them apart.
        floats = _settled(shape, "float")
        levels: tuple[tuple[_Level, str], ...] = (("full", "floats"), ("narrow", "shares"))
        for level, name in levels:
            rows = _rows(floats, level, share, f"{seed}/{name}", literals)
            recipes.append([cast(tuple[Any, ...], deep(row, _wholes)) for row in rows])
    if textual and len(texts) > 1:
        recipes.append(_rows(whole, "lexicon", share, f"{seed}/lexicon", texts))
    if textual:
        styles = (_style(rng, texts) for _ in range(share))
        recipes.append([tuple(_composed(t, rng, texts, style) for t in whole) for style in styles])
    recipes.append([tuple(_small(t, rng, texts, 1 + i // 3) for t in whole) for i in range(share)])
    if len(shape) > 1:
        drawn = [row for rows in recipes for row in rows]
        # Of two texts one is most often looked for in the other, at its start, its end, in any case or none.
        for _ in range(3 if sum(t.name == "str" for t in whole) > 1 else 1):
            recipes.append([_related(rng.choice(drawn), whole, rng) for _ in range(share)] if drawn else [])
    fitting = [case for case in examples if len(case) == len(shape)]
    if fitting:
        recipes.append([*fitting, *(_varied(rng.choice(fitting), rng) for _ in range(2 * share))])
    taken = [case for case in seeds if len(case) == len(shape)]
    lanes = len(recipes) if taken else 0
    recipes += [[*taken[lane::lanes], *(_crossed(taken, rng) for _ in range(share))] for lane in range(lanes)]
    found: dict[str, tuple[Any, ...]] = {}
    for rows in itertools.zip_longest(*recipes):
        for row in rows:
            if row is None or len(found) >= count:
                continue
            case = repaired(row, restrictions, rng)
            if within(case, restrictions):
                found.setdefault(repr(case), case)
    return list(found.values())


def _wholes(leaf: Any) -> Any:
    return int(leaf) if isinstance(leaf, float) and leaf.is_integer() else leaf


def _rows(
    shape: Shape, level: _Level, count: int, seed: str, literals: Sequence[Any], *, far: bool = False
) -> list[tuple[Any, ...]]:
    columns = [_column(t, level, count, f"{seed}/{i}/{t}", literals, far=far) for i, t in enumerate(shape)]
    rows: dict[str, tuple[Any, ...]] = {}
    for row in itertools.islice(zip(*(itertools.cycle(c) for c in columns), strict=False), 2 * count):
        rows.setdefault(repr(row), row)
    return list(rows.values())[:count]


def _column(
    type_: Type, level: _Level, count: int, seed: str, literals: Sequence[Any], *, far: bool = False
) -> list[Any]:
    rng = random.Random(f"{seed}/{level}")
    if level == "lexicon":
        return [_compose(type_, [str(x) for x in literals], rng, 1 + i // 4) for i in range(count)]
    fitting = [x for x in literals if _fits(x, type_, level, far=far)]
    edges = _edges(type_, level)
    values = [*edges, *(_draw(type_, level, rng, 1 + i) for i in range(max(count - len(edges), count // 3)))]
    if fitting:
        step = max(2, len(values) // (len(fitting) + 1))
        for i, literal in enumerate(rng.sample(fitting, min(len(fitting), max(4, count // 3)))):
            values.insert((i + 1) * step, _beside(literal, type_, rng))
    # Each column is mixed by itself within short windows, so that small stays first but arguments do not move in step.
    out: list[Any] = []
    for start in range(0, len(values), 8):
        window = values[start : start + 8]
        rng.shuffle(window)
        out += window
    return out


def _beside(literal: Any, type_: Type, rng: random.Random) -> Any:
    """Return a literal, or half of the time an integer next to it: comparisons turn there."""
    return literal + rng.choice((0, 0, -1, 1)) if is_integer(type_) and literal > 1 else literal


_PARTNERS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def _paired(texts: list[str]) -> list[str]:
    """Return texts with the brackets that close those among them: a program may name one half of a pair only."""
    partners = _PARTNERS | {closing: opening for opening, closing in _PARTNERS.items()}
    return list(dict.fromkeys([*texts, *(partners[text] for text in texts if text in partners)]))


# The most and the least of the numbers in texts that many programs read: dates both ways round, times, addresses.
_FORMATS = (
    ((1, 12), (1, 28), (1990, 2030)),
    ((1990, 2030), (1, 12), (1, 28)),
    ((0, 23), (0, 59), (0, 59)),
    ((0, 255), (0, 255), (0, 255), (0, 255)),
)
_RANGES = ((0, 12), (0, 31), (0, 200), (1990, 2030))


@dataclass(frozen=True)
class _Style:
    """How the texts of one case are composed.

    Args:
        mark: What stands between the parts.
        parts: How many there are.
        numeric: Share of numbers among them.
        padded: Whether numbers have two digits at least.
        ranges: Of each number, where they are known.
    """

    mark: str
    parts: int
    numeric: float
    padded: bool
    ranges: tuple[tuple[int, int], ...] = ()


def _style(rng: random.Random, texts: Sequence[str]) -> _Style:
    marks = [text for text in texts if len(text) == 1 and not text.isalnum()]
    mark = rng.choice((*marks, *marks, " ", " ", "-", ".", "/", ", ", ". ", "? ", "! "))
    padded = rng.random() < 0.4
    if rng.random() < 0.15:
        ranges = rng.choice(_FORMATS)
        return _Style(rng.choice((mark, "-", "/", ":", ".")), len(ranges), 1.0, padded, ranges)
    return _Style(mark, rng.randint(1, 4), rng.choice((0.0, rng.random(), 1.0)), padded)


def _composed(type_: Type, rng: random.Random, texts: Sequence[str], style: _Style) -> Any:
    """Draw a value whose texts are numbers, words and the programs' own strings, with one mark between them."""
    if type_.name == "optional":
        return _composed(type_.of[0], rng, texts, style)
    if type_.name == "list":
        return [_composed(type_.of[0], rng, texts, style) for _ in range(rng.randint(1, 4))]
    if type_.name == "tuple":
        return tuple(_composed(t, rng, texts, style) for t in type_.of)
    if type_.name != "str":
        return _small(type_, rng, texts, 3)
    parts: list[str] = []
    for place in range(style.parts):
        kind = rng.random()
        if kind < style.numeric:
            number = rng.randint(*(style.ranges[place] if style.ranges else rng.choice(_RANGES)))
            parts.append(f"{number:02}" if style.padded else str(number))
        elif texts and kind < 0.8:
            parts.append(rng.choice(texts))
        else:
            word = rng.choice((*_WORDS, "I", "a", "The", "Am"))
            parts.append(word.capitalize() if rng.random() < 0.3 else word)
    return style.mark.join(parts) if rng.random() < 0.9 else "-" + style.mark.join(parts)


def _small(type_: Type, rng: random.Random, texts: Sequence[str], size: int) -> Any:
    """Draw a value with few different parts, in an order that programs look for."""
    if is_integer(type_):
        low = 0 if type_.name.startswith("uint") else -2
        return rng.choice((rng.randint(low, 4), rng.randint(0, 30), rng.randint(0, _most(type_, 100))))
    if is_float(type_):
        return rng.choice((0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0))
    if type_.name == "optional":
        return _small(type_.of[0], rng, texts, size)
    if type_.name == "str":
        letters = "".join(texts) if texts and rng.random() < 0.7 else rng.choice(("ab", "abc", "aA", "01", "aeiouy"))
        few = rng.sample(letters, min(len(letters), rng.randint(1, 3)))
        return "".join(_ordered([rng.choice(few) for _ in range(rng.randint(1, 3 + size // 2))], rng))
    if type_.name == "list":
        few = [_small(type_.of[0], rng, texts, max(1, size // 2)) for _ in range(rng.randint(1, 3 + size // 4))]
        return _ordered([rng.choice(few) for _ in range(rng.randint(1, min(3 + size // 2, 9)))], rng)
    if type_.name == "tuple":
        return tuple(_small(t, rng, texts, size) for t in type_.of)
    return _draw(type_, "plain", rng, size)


def _most(type_: Type, wanted: int) -> int:
    return min(wanted, 127) if type_.name in ("int8", "uint8") else wanted


def _ordered(items: list[Any], rng: random.Random) -> list[Any]:
    """Return items as they are, sorted, sorted the other way, mirrored, rotated, or each once."""
    way = rng.randrange(8)
    if way < 3:
        try:
            items = sorted(items)
        except TypeError:
            return items
        if way == 1:
            return items[::-1]
        if way == 2 and len(items) > 1:
            turn = rng.randrange(len(items))
            return items[turn:] + items[:turn]
        return items
    if way == 3:
        return items + items[::-1]
    if way == 4:
        return items + items[-2::-1]
    if way == 5:
        return [item for i, item in enumerate(items) if item not in items[:i]]
    return items


def _related(row: tuple[Any, ...], shape: Shape, rng: random.Random) -> tuple[Any, ...]:
    """Return arguments of which one is made of another, or of which all of one type are the same."""
    source, target = rng.sample(range(len(row)), 2)
    alike = [i for i, type_ in enumerate(shape) if type_ == shape[source]]
    if len(alike) > 2 and rng.random() < 0.2:
        return tuple(row[source] if i in alike else argument for i, argument in enumerate(row))
    value, wanted, given = row[source], shape[target], shape[source]
    out: Any = row[target]
    if _is_number(wanted) and _is_number(given):
        numbers = [item for i, item in enumerate(row) if i != target and _is_number(shape[i])]
        first, last = numbers[0], numbers[-1]
        out = rng.choice((value, value + 1, sum(numbers), abs(first - last), value * 2, value * value))
        fits = out == out and abs(out) <= _most(wanted, 10_000) and (out >= 0 or not wanted.name.startswith("uint"))
        out = (int(out) if is_integer(wanted) else out) if fits else row[target]
    elif wanted == given and not isinstance(value, list | str):
        out = value
    elif wanted == given:
        items = list(value)
        cut = rng.randint(0, len(items))
        mixed = rng.sample(items, len(items))
        changed = [*items[:cut], *items[cut + 1 :]]
        first, last = items[:cut], items[cut:]
        part = rng.choice((items, items[::-1], first, first, last, last, last + first, mixed, changed))
        out = part if isinstance(value, list) else "".join(part)
        # What compares texts may or may not look at their case.
        if isinstance(out, str) and rng.random() < 0.5:
            out = out.swapcase()
    elif is_integer(wanted) and isinstance(value, list | str):
        out = rng.choice((len(value), max(0, len(value) - 1), rng.randint(0, len(value))))
        if given.name == "list" and given.of[0] == wanted and value and rng.random() < 0.5:
            out = rng.choice(value)
    elif isinstance(value, str) and value and wanted.name in ("char", "str"):
        out = rng.choice(value)
    elif isinstance(value, list | set | dict) and value and given.of[:1] == (wanted,):
        out = rng.choice(sorted(value, key=repr) if isinstance(value, set) else list(value))
    elif isinstance(row[target], list) and wanted.of and wanted.of[0] == given:
        out = [*row[target], value, *row[target][:1]]
    return (*row[:target], out, *row[target + 1 :])


def _is_number(type_: Type) -> bool:
    return is_integer(type_) or is_float(type_)


def _varied(case: tuple[Any, ...], rng: random.Random) -> tuple[Any, ...]:
    """Return an example with one argument changed a little, or all of them."""
    every = rng.random() < 0.3
    chosen = rng.randrange(len(case))
    return tuple(_vary(value, rng) if every or i == chosen else value for i, value in enumerate(case))


def _crossed(cases_: Sequence[tuple[Any, ...]], rng: random.Random) -> tuple[Any, ...]:
    """Return arguments taken from several of some cases, and changed a little half of the time."""
    case = tuple(rng.choice(cases_)[i] for i in range(len(cases_[0])))
    return _varied(case, rng) if len(case) == 1 or rng.random() < 0.5 else case


def _vary(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, value + rng.randint(2, 9), abs(value) // 2, value * 2, value + 10))
    if isinstance(value, float):
        return rng.choice((value + 1.0, value / 2, round(value * 1.5, 3), value + 0.25))
    if isinstance(value, str):
        way = rng.randrange(6)
        place = rng.randrange(len(value)) if value else 0
        other = rng.choice(value) if value else "a"
        if way == 0:
            return value[:place] + value[place + 1 :]
        if way == 1:
            return value[:place] + other + value[place:]
        if way == 2:
            return value[::-1]
        if way == 3:
            return value[place:] + value[:place]
        letter = rng.choice("0123456789" if other.isdigit() else "abcdefghijklmnopqrstuvwxyz")
        return value[:place] + letter + value[place + 1 :]
    if isinstance(value, tuple):
        given = list(cast(tuple[Any, ...], value))
        place = rng.randrange(len(given)) if given else 0
        return tuple(_vary(item, rng) if i == place else item for i, item in enumerate(given))
    if isinstance(value, list) and value:
        items = list(cast(list[Any], value))
        way = rng.randrange(7)
        place = rng.randrange(len(items))
        if way == 0 and len(items) > 1:
            del items[place]
        elif way == 1:
            items.insert(place, _vary(rng.choice(items), rng))
        elif way == 2:
            items = items[place:] + items[:place]
        elif way == 3:
            rng.shuffle(items)
        elif way == 4:
            items.append(rng.choice(items))
        else:
            items[place] = _vary(items[place], rng)
        return items
    if isinstance(value, set):
        members = cast(set[Any], value)
        return {_vary(item, rng) if rng.random() < 0.3 else item for item in sorted(members, key=repr)}
    if isinstance(value, dict):
        pairs = cast(dict[Any, Any], value)
        return {key: _vary(item, rng) if rng.random() < 0.5 else item for key, item in pairs.items()}
    return value


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


def _fits(value: Any, type_: Type, level: _Level, *, far: bool) -> bool:
    if isinstance(value, str):
        if level != "full" and not value.isascii():
            return False
        return (type_.name == "str" and len(value) <= 40) or (type_.name == "char" and len(value) == 1)
    if level == "full":
        fits = True
    else:
        fits = value >= 0 if level == "plain" else (2 <= value <= 30 if is_integer(type_) else 0 <= value <= 1)
    if is_integer(type_):
        most = 2 ** min(53, int(re.sub(r"\D", "", type_.name) or 64) - 1) - 2 if far and level == "full" else 1000
        return fits and isinstance(value, int) and abs(value) <= most
    return fits and is_float(type_) and abs(value) <= 1e6


_INT_EDGES: dict[_Level, list[int]] = {
    "full": [0, 1, -1, 2, 3, -2, 5, 7, 10, -10, 12, 100],
    "plain": [0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 16, 100],
    "narrow": [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
    "lexicon": [2, 3, 4, 5],
}
_FLOAT_EDGES: dict[_Level, list[float]] = {
    "full": [0.0, 1.0, -1.0, 0.5, 2.0, -0.5, 2.5, 3.0, -3.75, 10.0, 0.1, 100.25],
    "plain": [0.0, 1.0, 0.5, 2.0, 1.5, 2.5, 3.0, 10.0, 0.1, 12.75, 45.0, 100.25],
    "narrow": [0.0, 1.0, 0.5, 0.25, 0.75, 0.1, 0.9, 0.99, 0.01, 0.333, 0.6, 0.42],
    "lexicon": [0.0, 1.0, 0.5],
}
_STR_EDGES: dict[_Level, list[str]] = {
    "full": [
        "",
        "a",
        "ab\n",
        "Hello, World!",
        "été",
        "x\n\ny\n",
        "a b",
        "straße",
        "  x ",
        "日本語",
        "a😀b",
        "foo_bar",
        "\n\t1",
        "abc",
        "NaN",
        "-1e5",
        "null",
    ],
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
_CHARS: dict[_Level, str] = {"full": "a Z0-é~Bz\t9", "plain": "a Z0-~Bz_9", "narrow": "abzAZmxqkB", "lexicon": "ab"}
_WORDS = """kitten sitting apple banana level radar stats data mouse person man child index matrix octopus quiz wish box
    boy hero house church analysis status HTTP url Test value name first last user order item total street""".split()  # noqa: SIM905
_UNICODE = "abcXYZ 019-_éßñ中あΩ😀"
_ASCII = "abcdeABCXYZ 0129-_.,()"


def _edges(type_: Type, level: _Level) -> list[Any]:
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


def _least(type_: Type) -> Any:
    """Return the empty value of a type, or nothing, or zero."""
    if type_.name == "tuple":
        return tuple(_least(t) for t in type_.of)
    if type_.name == "optional":
        return None
    # The first edge is the emptiest.
    return next(iter(_edges(type_, "full")), 0)


def _hashable(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _draw(type_: Type, level: _Level, rng: random.Random, size: int) -> Any:
    if is_integer(type_):
        reach = rng.choice((10, 30, 60, 120, 1000)) if level != "narrow" else rng.choice((12, 20, 30))
        low = 2 if level == "narrow" else 0 if level == "plain" or type_.name.startswith("uint") else -reach
        return rng.randint(low, _most(type_, reach))
    if is_float(type_):
        if level == "narrow":
            return round(rng.random(), rng.choice((1, 2, 4)))
        reach = rng.choice((1.0, 10.0, 90.0, 500.0, *((20_000.0, 1e6) if level == "full" else ())))
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
    # `any`: what programs that take it tell apart most often.
    return rng.choice((rng.randint(0, 12), rng.randint(-9, 120), rng.choice("abXz"), rng.choice(_WORDS)))


def _text(level: _Level, rng: random.Random, size: int) -> str:
    if level == "narrow" or rng.random() < 0.4:
        words = [rng.choice(_WORDS) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            words = [w.capitalize() for w in words]
        return rng.choice((" ", "_", "")).join(words)
    letters = _UNICODE if level == "full" else _ASCII
    return "".join(rng.choice(letters) for _ in range(rng.randint(1, min(4 + size, 14))))
