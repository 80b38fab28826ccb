"""On what standard input are two whole programs compared? Seeded texts of the forms that programs read, tame first.

Start at `texts`. A list mixes recipes, each for programs that read another form; what a program does not understand it
raises on, and what the left side raises on lies outside the domain:

    number    one whole number
    column    numbers, one a line
    row       numbers on one line
    counted   a count, and so many numbers, on one line or one each
    pairs     lines of two or three numbers
    table     two sizes, and so many lines of so many numbers
    fractions numbers with a fraction, in a row or column
    words     one line of words
    lines     lines of words, with marks, repetitions and capital letters
    named     a count, and so many lines of words
    lexicon   texts put together from the strings that stand in the two programs, alone or after a count
    commands  lines of one of those strings and a number or word or two, some after a count
    blocks    a count, and so many times a count and so many numbers
    examples  what comments show as input, and such as differ little from it
    seeds     texts that are known to be taken, and such as differ little from them
    edges     no text at all, no line feed at the end, empty lines, other white space, text beyond ASCII
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from parallel_mining.domains import Case, Restriction, Source, comments, repaired, within

_WORDS = """apple banana cat dog kitten level radar stats mouse tree house river stone cloud a I the and of to Test
    Hello World abc xyz aab data value noon queue""".split()  # noqa: SIM905
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_EDGES = (
    "",
    "1",
    "été 日本 😀\n",
    "a  b\tc \n",
    "Hello, World!",
    "-1\n",
    "3\n1 2 3",
    "\n",
    "a\n\nb\n",
    "0\n",
    " 7 \n",
    "x\r\ny\r\n",
    "1 2\n\n3\n",
    "\n\n",
    "a b c",
    "0 0\n",
    "  indented\n",
    "straße\n",
)
# A text under one of these names in a comment is an example of what is read.
_SHOWN = re.compile(r"(?im)^[\s*#/]*(?:sample |example )?(?:std)?in(?:put)?(?: \d+)?\s*:[ \t]*")


def examples(code: str) -> tuple[Case, ...]:
    """Return the texts that a program's comments show as its input, each once."""
    said = comments(code)
    found: dict[str, None] = {}
    for match in _SHOWN.finditer(said):
        lines: list[str] = []
        for line in said[match.end() :].split("\n")[:20]:
            text = re.sub(r"^\s*(?:\*|#|//)?[ \t]?", "", line).rstrip().strip("`")
            if re.match(r"(?i)(?:sample |example |expected )?(?:std)?out(?:put)?\b|->|=>", text) or (
                lines and not text
            ):
                break
            lines += [text] if text else []
        if lines:
            found["\n".join(lines) + "\n"] = None
    return tuple((text,) for text in found)


def plain_lines(source: Source) -> Restriction:
    """Return the part where standard input is lines of ASCII words with one blank between them, each line ended."""

    def holds(case: Case) -> bool:
        return case[0] == _plain(case[0])

    return Restriction(0, "lines of ASCII words", source, holds, lambda case, _: (_plain(case[0]),))


def _plain(text: str) -> str:
    letters = "".join(c if c.isascii() else chr(97 + ord(c) % 26) for c in text)
    lines = [" ".join(line.split()) for line in letters.splitlines()]
    return "".join(f"{line}\n" for line in lines if line) or "1\n"


def probes(seed: int) -> list[Case]:
    """Return a few tame texts."""
    return texts(16, seed)


def texts(
    count: int,
    seed: int,
    literals: Sequence[Any] = (),
    *,
    shown: Sequence[Case] = (),
    seeds: Sequence[Case] = (),
    restrictions: Sequence[Restriction] = (),
) -> list[Case]:
    """Return standard inputs, as cases of one argument.

    Args:
        count: How many at most.
        seed: The same seed gives the same texts.
        literals: Numbers and strings that stand in the programs.
        shown: Texts that comments show.
        seeds: Texts that are known to be taken, where few others are: half of what is returned are they and their like.
        restrictions: All lie within these.

    Returns:
        Distinct cases, tame ones first.
    """
    rng = random.Random(f"{seed}/stdin")
    words = [x for x in literals if isinstance(x, str) and re.fullmatch(r"\S{1,12}", x)]
    words += [closing for opening, closing in _BRACKETS.items() if opening in words and closing not in words]
    numbers = [x for x in literals if isinstance(x, int) and abs(x) <= 10_000]
    share = max(8, count // 3)
    recipes = [[recipe(rng, i, numbers, words) for i in range(share)] for recipe in _RECIPES]
    if words:
        recipes += [
            [recipe(rng, i, numbers, words) for i in range(share)] for recipe in (_lexicon, _commands, _lexicon)
        ]
    if shown:
        given = [case[0] for case in shown]
        recipes.append([*given, *(_like(given, rng) for _ in range(share))])
    recipes.append(list(_EDGES))
    lanes = len(recipes) if seeds else 0
    taken = [case[0] for case in seeds]
    for lane in range(lanes):
        recipes.append([*taken[lane::lanes], *(_like(taken, rng) for _ in range(share))])
    found: dict[str, Case] = {}
    for row in itertools.zip_longest(*recipes):
        for text in row:
            if text is None or len(found) >= count:
                continue
            case = repaired((text,), restrictions, rng)
            if within(case, restrictions):
                found.setdefault(case[0], case)
    return list(found.values())


# --- Recipes: each makes the text of one place in its list; those of later places are larger.

_Recipe = Callable[[random.Random, int, Sequence[int], Sequence[str]], str]


def _whole(rng: random.Random, place: int, literals: Sequence[int]) -> int:
    if literals and rng.random() < 0.1:
        return rng.choice(literals)
    reach = rng.choice((9, 20) if place < 4 else (9, 20, 60, 200, 1000))
    return rng.randint(-reach if place > 3 and rng.random() < 0.25 else 0, reach)


def _many(rng: random.Random, place: int, literals: Sequence[int], length: int) -> list[str]:
    if rng.random() < 0.2:
        few = [_whole(rng, place, literals) for _ in range(2)]
        return [str(rng.choice(few)) for _ in range(length)]
    found = [_whole(rng, place, literals) for _ in range(length)]
    if place > 2 and rng.random() < 0.25:
        found = [-abs(n) for n in found]
    order = rng.random()
    return [str(n) for n in (sorted(found) if order < 0.15 else sorted(found, reverse=True) if order < 0.2 else found)]


def _length(rng: random.Random, place: int) -> int:
    return rng.randint(1, min(3 + place // 2, 9))


def _number(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del words
    return f"{place + 1 if place % 2 == 0 else _whole(rng, place, literals)}\n"


def _column(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del words
    return "".join(f"{n}\n" for n in _many(rng, place, literals, _length(rng, place)))


def _row(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del words
    return " ".join(_many(rng, place, literals, 1 + _length(rng, place))) + "\n"


def _counted(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del words
    found = _many(rng, place, literals, _length(rng, place))
    return f"{len(found)}\n{(' ' if place % 2 == 0 else chr(10)).join(found)}\n"


def _pairs(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del words
    width = 2 if place % 3 else 3
    lines = [" ".join(_many(rng, place, literals, width)) for _ in range(1 + place // 3 % 4)]
    counted = [str(len(lines))] if len(lines) > 1 and rng.random() < 0.5 else []
    return "\n".join([*counted, *lines]) + "\n"


def _table(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del words
    high, wide = rng.randint(1, 4), rng.randint(1, 4)
    wide = high if place % 3 == 0 else wide
    head = str(high) if place % 3 == 0 else f"{high} {wide}"
    return "\n".join([head, *(" ".join(_many(rng, place, literals, wide)) for _ in range(high))]) + "\n"


def _fractions(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del literals, words
    found = [str(round(rng.uniform(-5 if place > 4 else 0, 50), rng.choice((1, 2, 3)))) for _ in range(1 + place % 5)]
    return (" " if place % 2 else "\n").join(found) + "\n"


def _line(rng: random.Random, place: int, words: Sequence[str]) -> str:
    known = [*_WORDS, *(w for w in words if w.isalpha())]
    if rng.random() < 0.3:
        known = rng.sample(known, 2)
    found = [rng.choice(known) for _ in range(_length(rng, place))]
    if place > 2:
        found = [w + rng.choice(("", "", "", ",", "!", ".")) for w in found]
        found = [w.upper() if rng.random() < 0.1 else w for w in found]
    return " ".join(found)


def _words(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del literals
    return (rng.choice(_WORDS) if place % 3 == 0 else _line(rng, place, words)) + "\n"


def _lines(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del literals
    return "".join(_line(rng, place, words) + "\n" for _ in range(1 + _length(rng, place)))


def _named(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    single = place % 2 == 0
    lines = [rng.choice(_WORDS) if single else _line(rng, place, words) for _ in range(_length(rng, place))]
    if place % 4 == 3:
        lines = [f"{rng.choice(_WORDS)} {_whole(rng, place, literals)}" for _ in lines]
    return "\n".join([str(len(lines)), *lines]) + "\n"


def _blocks(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    blocks = [_counted(rng, place - place % 2, literals, words) for _ in range(1 + place % 3)]
    return f"{len(blocks)}\n{''.join(blocks)}"


def _token(rng: random.Random, place: int, words: Sequence[str]) -> str:
    size = 1 + _length(rng, place)
    opening = [w for w in words if w in _BRACKETS]
    if opening and rng.random() < 0.5:
        # Balanced, or all but.
        out, open_ = "", ""
        for _ in range(size):
            if open_ and rng.random() < 0.4:
                out, open_ = out + open_[-1], open_[:-1]
            else:
                mark = rng.choice(opening)
                out, open_ = out + mark, open_ + _BRACKETS[mark]
        out += open_[::-1] if rng.random() < 0.8 else ""
        if rng.random() < 0.4:
            at = rng.randrange(len(out))
            out = out[:at] + rng.choice([w for w in words if len(w) == 1]) + out[at + 1 :]
        return out
    return rng.choice(("", "", " ")).join(rng.choice(words) for _ in range(size))


def _lexicon(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    del literals
    lines = [_token(rng, place, words) for _ in range(1 if place % 3 else _length(rng, place))]
    return "\n".join([str(len(lines)), *lines] if place % 4 == 3 else lines) + "\n"


def _commands(rng: random.Random, place: int, literals: Sequence[int], words: Sequence[str]) -> str:
    lines: list[str] = []
    for _ in range(2 + _length(rng, place)):
        given = [rng.choice((str(_whole(rng, place, literals)), rng.choice(_WORDS))) for _ in range(rng.randrange(3))]
        sign = [rng.choice(words), *given] if place % 3 else [*given[:1], rng.choice(words), *given[1:]]
        lines.append(" ".join(sign))
    return "\n".join([str(len(lines)), *lines] if place % 4 == 3 else lines) + "\n"


_RECIPES: tuple[_Recipe, ...] = (
    _number,
    _row,
    _words,
    _column,
    _counted,
    _lines,
    _pairs,
    _named,
    _table,
    _fractions,
    _blocks,
)


def _like(known: Sequence[str], rng: random.Random) -> str:
    text = rng.choice(known)
    for _ in range(rng.randint(1, 3)):
        text = varied(text, rng)
    return text


def varied(text: str, rng: random.Random) -> str:
    """Return a text that differs little from another: most often in a number or a word, and of the same form."""
    lines = text.split("\n")
    filled = [i for i, line in enumerate(lines) if line.strip()]
    if not filled:
        return text + "1\n"
    at = rng.choice(filled)
    way = rng.randrange(10)
    # A count that is right stays right.
    head, rest = filled[0], filled[1:]
    counted = bool(rest) and lines[head] == str(len(rest))
    if counted and way < 4:
        at = rng.choice(rest)
    if way == 0 and len(filled) > 1:
        del lines[at]
    elif way == 1:
        lines.insert(at, rng.choice([lines[i] for i in (rest or filled)]))
    elif way == 2:
        other = rng.choice(rest or filled)
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = _varied_line(lines[at], rng)
    if counted and way < 2:
        lines[head] = str(len(rest) + (1 if way else -1))
    return "\n".join(lines)


def _varied_line(line: str, rng: random.Random) -> str:
    parts = line.split(" ")
    at = rng.randrange(len(parts))
    word = parts[at]
    if re.fullmatch(r"-?\d{1,9}", word):
        n = int(word)
        parts[at] = str(rng.choice((n + 1, n - 1, abs(n) // 2, n + rng.randint(2, 9), rng.randint(0, 12))))
    elif re.fullmatch(r"-?\d+\.\d+", word):
        parts[at] = str(round(float(word) * rng.choice((0.5, 2, 1.1)) + rng.choice((0, 1)), 3))
    elif word and rng.random() < 0.7:
        place = rng.randrange(len(word))
        other = rng.choice(word + rng.choice(parts))
        parts[at] = rng.choice(
            (word[:place] + other + word[place + 1 :], word[:place] + word[place:][::-1], word + other)
        )
    else:
        parts[at] = rng.choice(parts)
    return " ".join(parts)
