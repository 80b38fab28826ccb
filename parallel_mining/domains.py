"""On which inputs are two functions said to agree? What the programs themselves state about their arguments.

Start at `documented`. A `Restriction` names a part of a type and where it was read: the types of the two sides, the
words of a docstring or comment, the examples in it, or what the left side does (it raises, or does not come to an
end). None is ever read off a disagreement: all but the last kind are known before anything is run, and the last looks
at the left side alone. `learned` only describes inputs on which the left side raised; it decides nothing.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Literal, cast

from parallel_mining.types import Type

Case = tuple[Any, ...]
Source = Literal["types", "docstring", "doctest", "pivot raises", "pivot does not terminate"]

MAX_EXAMPLES = 12
# Examples without which nothing is generalised: one is an accident.
MIN_EXAMPLES = 2


@dataclass(frozen=True)
class Restriction:
    """A part of the arguments.

    Args:
        parameter: Which argument, from 0; None where it is about several.
        what: The part, in words.
        source: Where it was read.
        holds: Says whether arguments lie in it.
        repair: Returns arguments that lie in it, made of some that may not.
    """

    parameter: int | None
    what: str
    source: Source
    holds: Callable[[Case], bool]
    repair: Callable[[Case, random.Random], Case] = lambda case, _: case

    def describe(self) -> dict[str, Any]:
        """Return it as it stands in a pair's `domain`."""
        return {"parameter": self.parameter, "what": self.what, "source": self.source}


def within(case: Case, restrictions: Iterable[Restriction]) -> bool:
    """Say whether arguments lie in all of the parts."""
    return all(restriction.holds(case) for restriction in restrictions)


def repaired(case: Case, restrictions: Sequence[Restriction], rng: random.Random) -> Case:
    """Return arguments that lie in all of the parts, as far as they can be made of these."""
    for restriction in restrictions:
        if not restriction.holds(case):
            case = restriction.repair(case, rng)
    return case


# --- What can be said about one value: a test, and how to make a value pass it.


def deep(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a value with every scalar in it changed."""
    if isinstance(value, list):
        return [deep(item, change) for item in cast(list[Any], value)]
    if isinstance(value, tuple):
        return tuple(deep(item, change) for item in cast(tuple[Any, ...], value))
    if isinstance(value, set):
        return {deep(item, change) for item in cast(set[Any], value)}
    if isinstance(value, dict):
        return {deep(k, change): deep(v, change) for k, v in cast(dict[Any, Any], value).items()}
    return change(value)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, list | tuple | set):
        return [leaf for item in cast(Iterable[Any], value) for leaf in _leaves(item)]
    if isinstance(value, dict):
        return [leaf for pair in cast(dict[Any, Any], value).items() for item in pair for leaf in _leaves(item)]
    return [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any) -> list[Any]:
    return [leaf for leaf in _leaves(value) if _is_number(leaf)]


def _texts(value: Any) -> list[str]:
    return [leaf for leaf in _leaves(value) if isinstance(leaf, str)]


def _containers(value: Any) -> list[Any]:
    """Return a value and what stands in it, as far as it has a length."""
    found = [value] if isinstance(value, str | list | tuple | set | dict) else []
    if isinstance(value, list | tuple):
        found += [inner for item in cast(Sequence[Any], value) for inner in _containers(item)]
    return found


def _at(case: Case, parameter: int, value: Any) -> Case:
    return (*case[:parameter], value, *case[parameter + 1 :])


def _one(
    parameter: int, what: str, source: Source, holds: Callable[[Any], bool], repair: Callable[[Any, random.Random], Any]
) -> Restriction:
    def mend(case: Case, rng: random.Random) -> Case:
        return _at(case, parameter, repair(case[parameter], rng))

    return Restriction(parameter, what, source, lambda case: holds(case[parameter]), mend)


def at_least(parameter: int, low: int, source: Source) -> Restriction:
    """Return the part where every number of an argument is at least `low`."""

    def up(leaf: Any) -> Any:
        if not _is_number(leaf) or leaf >= low:
            return leaf
        return abs(leaf) if abs(leaf) >= low else low - leaf

    return _one(
        parameter,
        f"numbers >= {low}",
        source,
        lambda value: all(number >= low for number in _numbers(value)),
        lambda value, _: deep(value, up),
    )


def between(low: int, high: int, source: Source) -> Restriction:
    """Return the part where every number of every argument is from `low` to `high`."""

    def clip(leaf: Any) -> Any:
        if not _is_number(leaf) or low <= leaf <= high:
            return leaf
        return type(leaf)(low + abs(leaf) % (high - low + 1))

    return Restriction(
        None,
        f"numbers from {low} to {high}",
        source,
        lambda case: all(low <= number <= high for number in _numbers(list(case))),
        lambda case, _: tuple(deep(value, clip) for value in case),
    )


def whole(parameter: int, source: Source) -> Restriction:
    """Return the part where every number of an argument is an integer."""
    return _one(
        parameter,
        "integers",
        source,
        lambda value: all(isinstance(number, int) for number in _numbers(value)),
        lambda value, _: deep(value, lambda leaf: int(leaf) if isinstance(leaf, float) else leaf),
    )


def non_empty(parameter: int, source: Source) -> Restriction:
    """Return the part where neither an argument nor a sequence or text in it is empty."""
    return _one(
        parameter,
        "not empty",
        source,
        lambda value: all(len(container) > 0 for container in _containers(value)),
        lambda value, rng: _filled(value, rng),
    )


def _filled(value: Any, rng: random.Random) -> Any:
    if value == "":
        return rng.choice("abcxyz")
    if isinstance(value, list):
        # What an empty one would hold is not known here: it is left out, or stays as it is and is not taken.
        return [_filled(item, rng) for item in cast(list[Any], value) if item not in ([], {}, (), set())]
    return value


def ascii_text(parameter: int | None, source: Source) -> Restriction:
    """Return the part where every text of an argument (of all arguments if None) is ASCII."""

    def plain(leaf: Any) -> Any:
        return "".join(c if c.isascii() else chr(97 + ord(c) % 26) for c in leaf) if isinstance(leaf, str) else leaf

    def mend(case: Case, _: random.Random) -> Case:
        chosen = range(len(case)) if parameter is None else (parameter,)
        return tuple(deep(value, plain) if i in chosen else value for i, value in enumerate(case))

    def holds(case: Case) -> bool:
        looked = list(case) if parameter is None else case[parameter]
        return all(text.isascii() for text in _texts(looked))

    return Restriction(parameter, "ASCII text", source, holds, mend)


_ALPHABETS: tuple[tuple[str, str], ...] = (
    ("texts of 0 and 1", "01"),
    ("texts of digits", "0123456789"),
    ("texts of lower-case letters", "abcdefghijklmnopqrstuvwxyz"),
    ("texts of upper-case letters", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("texts of letters and blanks", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "),
)


def alphabet(parameter: int, name: str, letters: str, source: Source) -> Restriction:
    """Return the part where texts of an argument consist of some characters only."""
    allowed = frozenset(letters)

    def mend(value: Any, rng: random.Random) -> Any:
        def change(leaf: Any) -> Any:
            if not isinstance(leaf, str):
                return leaf
            return "".join(c if c in allowed else rng.choice(letters) for c in leaf)

        return deep(value, change)

    return _one(parameter, name, source, lambda value: all(allowed.issuperset(t) for t in _texts(value)), mend)


def _is_sorted(value: Any) -> bool:
    if not isinstance(value, list):
        return True
    items = cast(list[Any], value)
    try:
        return all(a <= b for a, b in pairwise(items))
    except TypeError:
        return False


def _sorted(value: Any) -> Any:
    try:
        return sorted(value) if isinstance(value, list) else value
    except TypeError:
        return cast(Any, value)


def in_order(parameter: int, source: Source) -> Restriction:
    """Return the part where an argument is sorted."""
    return _one(parameter, "sorted", source, _is_sorted, lambda value, _: _sorted(value))


def _widths(value: Any) -> set[int]:
    return {len(item) for item in value if isinstance(item, list | tuple)} if isinstance(value, list) else set()


def rectangular(parameter: int, source: Source, width: int = 0) -> Restriction:
    """Return the part where the lists in an argument are of one length, or of `width` items where it is given."""

    def mend(value: Any, rng: random.Random) -> Any:
        rows = [cast(Sequence[Any], row) for row in value if isinstance(row, list | tuple) and row]
        least = width or min(map(len, rows), default=0)
        drawn = ([*row, *(rng.choice(row) for _ in range(least - len(row)))][:least] for row in rows)
        return [tuple(new) if isinstance(row, tuple) else new for row, new in zip(rows, drawn, strict=True)]

    def holds(value: Any) -> bool:
        return _widths(value) <= {width} if width else len(_widths(value)) <= 1

    return _one(parameter, f"lists of {width or 'as many'} items in it", source, holds, mend)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | set | dict) else -1


def same_length(first: int, second: int, source: Source) -> Restriction:
    """Return the part where two arguments are equally long."""

    def mend(case: Case, _: random.Random) -> Case:
        least = min(_size(case[first]), _size(case[second]))
        if least < 0:
            return case
        return _at(_at(case, first, case[first][:least]), second, case[second][:least])

    return Restriction(
        None,
        f"arguments {first} and {second} of one length",
        source,
        lambda case: _size(case[first]) == _size(case[second]),
        mend,
    )


def is_length(number: int, of: int, source: Source) -> Restriction:
    """Return the part where one argument is the length of another."""
    return Restriction(
        number,
        f"the length of argument {of}",
        source,
        lambda case: case[number] == _size(case[of]),
        lambda case, _: _at(case, number, _size(case[of])),
    )


def up_to_length(number: int, of: int, low: int, below: int, source: Source) -> Restriction:
    """Return the part where one argument is from `low` to the length of another less `below`."""

    def mend(case: Case, rng: random.Random) -> Case:
        high = _size(case[of]) - below
        return _at(case, number, rng.randint(low, high)) if high >= low else case

    return Restriction(
        number,
        f"from {low} to the length of argument {of}" + (f" less {below}" if below else ""),
        source,
        lambda case: _is_number(case[number]) and low <= case[number] <= _size(case[of]) - below,
        mend,
    )


# --- Examples and words.

_COMMENT = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'|/\*(.*?)\*/|(?:^|\s)(?:#|///?)(.*?)$', re.DOTALL | re.MULTILINE)
_NAMES = {"true": "True", "false": "False", "null": "None", "undefined": "None"}


def comments(code: str) -> str:
    """Return what stands in comments and long strings."""
    return "\n".join("".join(match.groups("")) for match in _COMMENT.finditer(code))


def examples(code: str, entry: str) -> tuple[Case, ...]:
    """Return the arguments of the calls of a function with plain values that stand in its comments, each once."""
    name = re.split(r"\.|::", entry)[-1]
    found: dict[str, Case] = {}
    said = comments(code)
    for match in re.finditer(rf"(?<![\w.]){re.escape(name)}\s*\(", said):
        text = _balanced(said, match.end() - 1)
        text = re.sub(r"\b(true|false|null|undefined)\b", lambda m: _NAMES[m.group()], text)
        try:
            arguments = ast.literal_eval(f"({text},)") if text.strip() else ()
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if arguments and len(found) < MAX_EXAMPLES:
            found.setdefault(repr(arguments), arguments)
    return tuple(found.values())


def _balanced(text: str, start: int) -> str:
    depth, quote = 0, ""
    for end in range(start, min(len(text), start + 2000)):
        character = text[end]
        if quote:
            quote = "" if character == quote and text[end - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
            if depth == 0:
                return text[start + 1 : end]
    return ""


def type_of(found: Sequence[Any]) -> Type | None:
    """Return the type that suits all values, or None where they have none in common."""
    kinds = {type(value) for value in found}
    if kinds <= {int, float} and kinds:
        return Type("int" if kinds == {int} else "float")
    if len(kinds) != 1:
        rest = [value for value in found if value is not None]
        inner = type_of(rest) if len(rest) < len(found) else None
        return Type("optional", (inner,)) if inner is not None else None
    kind = kinds.pop()
    if kind in (str, bool):
        return Type("str" if kind is str else "bool")
    if kind in (list, set):
        inner = type_of([item for value in found for item in value])
        return Type(kind.__name__, (inner,)) if inner is not None else None
    if kind is tuple:
        if len({len(value) for value in found}) == 1:
            of = [type_of([value[i] for value in found]) for i in range(len(found[0]))]
            if all(t is not None for t in of) and of:
                return Type("tuple", tuple(t for t in of if t is not None))
        inner = type_of([item for value in found for item in value])
        return Type("list", (inner,)) if inner is not None else None
    if kind is dict:
        key, item = type_of([k for v in found for k in v]), type_of([x for v in found for x in v.values()])
        return Type("dict", (key, item)) if key is not None and item is not None else None
    return None


def documented(said: str, given: Sequence[Case], types: Sequence[Type]) -> tuple[Restriction, ...]:
    """Return the parts of the arguments that a program's words and examples speak of.

    Args:
        said: Its comments.
        given: The arguments of its examples.
        types: The types of the arguments.
    """
    found: dict[tuple[int | None, str], Restriction] = {}

    def add(restriction: Restriction) -> None:
        found.setdefault((restriction.parameter, restriction.what), restriction)

    for restriction in _worded(said, types):
        add(restriction)
    fitting = [case for case in given if len(case) == len(types)]
    if len(fitting) >= MIN_EXAMPLES:
        for parameter in range(len(types)):
            for restriction in _shown(parameter, [case[parameter] for case in fitting]):
                add(restriction)
        for restriction in _related(fitting):
            add(restriction)
    return tuple(found.values())


_POSITIVE = re.compile(r"\b(?:positive|natural)\s+(?:\w+\s+)?(?:integer|number|int)|\bgreater than (?:0|zero)\b", re.I)
_NOT_NEGATIVE = re.compile(r"\bnon-?\s?negative\b", re.I)
_NOT_EMPTY = re.compile(r"\bnon-?\s?empty\b", re.I)
_IN_ORDER = re.compile(
    r"\b(?:given|of|in|from|for|two)\s+(?:an?|the|two)?\s*(?:given\s+)?sorted\s+(?:list|array|seq)", re.I
)
_BINARY = re.compile(r"\bbinary (?:string|text)", re.I)
_ASCII = re.compile(r"\bASCII\b")


def _worded(said: str, types: Sequence[Type]) -> Iterable[Restriction]:
    for parameter, type_ in enumerate(types):
        text = str(type_)
        numeric = any(name in text for name in ("int", "float", "number"))
        if numeric and _NOT_NEGATIVE.search(said):
            yield at_least(parameter, 0, "docstring")
        elif numeric and _POSITIVE.search(said):
            yield at_least(parameter, 1, "docstring")
        if _NOT_EMPTY.search(said) and type_.name in ("list", "str", "set", "dict"):
            yield non_empty(parameter, "docstring")
        if type_.name == "list" and _IN_ORDER.search(said):
            yield in_order(parameter, "docstring")
        if type_.name == "str" and _BINARY.search(said):
            yield alphabet(parameter, *_ALPHABETS[0], "docstring")
        if "str" in text and _ASCII.search(said):
            yield ascii_text(parameter, "docstring")


def _shown(parameter: int, shown: Sequence[Any]) -> Iterable[Restriction]:
    """Yield what all examples of one argument have in common."""
    numbers = _numbers(list(shown))
    if numbers and all(isinstance(number, int) for number in numbers):
        yield whole(parameter, "doctest")
    if numbers and min(numbers) >= 0:
        # Items of a sequence may be 0 where no example happens to hold one; a count that is never 0 is no accident.
        scalar = all(_is_number(value) for value in shown)
        yield at_least(parameter, 1 if scalar and min(numbers) >= 1 else 0, "doctest")
    texts = _texts(list(shown))
    if texts:
        letters = frozenset("".join(texts))
        fitting = next((row for row in _ALPHABETS if letters and letters <= set(row[1])), None)
        if fitting is not None:
            yield alphabet(parameter, *fitting, "doctest")
        elif all(text.isascii() for text in texts):
            yield ascii_text(parameter, "doctest")
    containers = [inner for value in shown for inner in _containers(value)]
    if containers and all(len(container) > 0 for container in containers):
        yield non_empty(parameter, "doctest")
    long = [value for value in shown if isinstance(value, list) and len(cast(list[Any], value)) >= 3]
    if len(long) >= MIN_EXAMPLES and all(map(_is_sorted, long)):
        yield in_order(parameter, "doctest")
    widths = [_widths(value) for value in shown]
    if any(widths) and all(len(each) <= 1 for each in widths):
        same = set[int]().union(*widths)
        yield rectangular(parameter, "doctest", same.pop() if len(same) == 1 else 0)


def _related(given: Sequence[Case]) -> Iterable[Restriction]:
    """Yield how the arguments hang together in all examples."""
    count = len(given[0])
    for first, second in combinations(range(count), 2):
        sizes = [(_size(case[first]), _size(case[second])) for case in given]
        if all(a == b > 0 for a, b in sizes) and max(a for a, _ in sizes) > 1:
            yield same_length(first, second, "doctest")
    for number in range(count):
        if not all(isinstance(case[number], int) for case in given):
            continue
        for of in range(count):
            sizes = [_size(case[of]) for case in given]
            if min(sizes) < 1 or of == number:
                continue
            values = [case[number] for case in given]
            if values == sizes:
                yield is_length(number, of, "doctest")
                break
            if all(1 <= value <= size for value, size in zip(values, sizes, strict=True)):
                yield up_to_length(number, of, 1, 0, "doctest")
                break
            if all(0 <= value < size for value, size in zip(values, sizes, strict=True)):
                yield up_to_length(number, of, 0, 1, "doctest")
                break


# --- Where the left side raises.


def learned(values: Sequence[Case], raised: Sequence[Case], errors: Sequence[str]) -> tuple[Restriction, ...]:
    """Describe the inputs on which the left side gives a value by the fewest words that keep out all it raises on.

    Args:
        values: Arguments on which it gives a value.
        raised: Arguments on which it raises.
        errors: What it raises.
    """
    if not raised or not values:
        return ()
    offered = list(_offered(len(values[0])))
    best: tuple[Restriction, ...] = ()
    kept = 0
    for count in (1, 2):
        for chosen in combinations(offered, count):
            if any(within(case, chosen) for case in raised):
                continue
            inside = sum(within(case, chosen) for case in values)
            if inside > kept:
                best, kept = chosen, inside
        if kept >= 0.8 * len(values):
            break
    if kept >= 0.5 * len(values):
        return best
    kinds = ", ".join(sorted({error.partition(":")[0] for error in errors}))[:80]
    return (Restriction(None, f"where the left side does not raise ({kinds})", "pivot raises", lambda _: True),)


def where(found: Sequence[Case], others: Sequence[Case]) -> str:
    """Return what all of some inputs have in common that not all others have, or "".

    It explains a disagreement to a reader and decides nothing.
    """
    for name, has in _TRAITS:
        if all(map(has, found)) and not all(map(has, others)):
            return name
    return ""


def _empty(case: Case) -> bool:
    return any(len(container) == 0 for value in case for container in _containers(value))


_TRAITS: tuple[tuple[str, Callable[[Case], bool]], ...] = (
    ("negative numbers", lambda case: any(number < 0 for number in _numbers(list(case)))),
    ("fractions", lambda case: any(number % 1 != 0 for number in _numbers(list(case)))),
    ("empty arguments", _empty),
    ("text beyond ASCII", lambda case: any(not text.isascii() for text in _texts(list(case)))),
    ("white space", lambda case: any(c.isspace() for text in _texts(list(case)) for c in text)),
    ("zeros", lambda case: any(number == 0 for number in _numbers(list(case)))),
)


def _offered(count: int) -> Iterable[Restriction]:
    source: Source = "pivot raises"
    for bound in (1000, 100):
        yield between(-bound, bound, source)
    for parameter in range(count):
        yield non_empty(parameter, source)
        yield _one(parameter, "not empty itself", source, lambda v: _size(v) != 0, lambda v, _: v)
        yield _one(parameter, "at least 2 items", source, lambda v: _size(v) not in (0, 1), lambda v, _: v)
        for low in (0, 1, 2):
            yield at_least(parameter, low, source)
        yield _one(parameter, "not 0", source, lambda v: all(n != 0 for n in _numbers(v)), lambda v, _: v)
        yield whole(parameter, source)
        yield ascii_text(parameter, source)
        for name, letters in _ALPHABETS:
            yield alphabet(parameter, name, letters, source)
        for of in range(count):
            if of != parameter:
                yield up_to_length(parameter, of, 0, 1, source)
                yield up_to_length(parameter, of, 1, 0, source)
    for first, second in combinations(range(count), 2):
        yield same_length(first, second, source)
