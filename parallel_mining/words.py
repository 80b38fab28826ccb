"""The words of a program's text: what names say, what it does, and its literals, alike in every language.

Start at `features`. Nothing is parsed: these are regular expressions over the text.
"""

from __future__ import annotations

import re
from itertools import combinations

_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NUMBER = re.compile(r"(?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+|\d+(?:[eE][+-]?\d+)?)(?![\w.])")
_STRING = re.compile(r"""(?<![\w])(?:"((?:[^"\\\n]|\\.){0,40})"|'((?:[^'\\\n]|\\.){0,40})')""")
_CALL = re.compile(r"([A-Za-z_$][\w$]*)\s*\(")

# What a body does, whatever language it is in: how often it loops, decides, returns, raises, and by which operators.
_SHAPE = {
    "loop": re.compile(r"\b(?:for|foreach|while|loop)\b"),
    "if": re.compile(r"\b(?:if|elif|elsif|case|when)\b"),
    "return": re.compile(r"\breturn\b"),
    "raise": re.compile(r"\b(?:raise|throw|panic)\b"),
    "%": re.compile(r"%"),
    "*": re.compile(r"\*"),
    "/": re.compile(r"(?<![/*])/(?![/*])"),
    "&": re.compile(r"(?<!&)&(?!&)"),
    "^": re.compile(r"\^"),
    "<<": re.compile(r"<<|>>"),
    "[": re.compile(r"\["),
}

# Words that every program of some language is full of; they say nothing about what it does.
_NOISE = frozenset(
    """abstract and as async await bool boolean break case catch char class const continue def default del do
    double elif else enum except export extends final finally float fn for from func function go goto if impl
    implements import in instanceof int integer interface is lambda let long match mod module mut namespace new
    nil none not null number of or package pass private protected pub public raise return select self short
    static str string struct super switch then this throw throws to true false try type typeof undefined union
    unsafe use using value var virtual void where while with yield the a an param returns return args arg""".split()  # noqa: SIM905
)


def name_parts(name: str) -> list[str]:
    """Split an identifier into lower-case parts: `toSnakeCase2` is `to snake case 2`."""
    return [part.lower() for part in _PART.findall(name)]


# Words before or behind a name that say how it is asked for or typed, not what it does: `get_x`, `XInt64`.
_VERBS = frozenset(["to", "get", "compute", "calculate", "calc", "find"])
_KINDS = frozenset("distance similarity string bool char u int uint long short byte float double 8 16 32 64".split())  # noqa: SIM905


def folded(name: str) -> str:
    """Return what stays of an identifier without case, separators and words that only say how it is asked for or typed.

    `to_snake_case` and `snakeCase` are `snakecase`; `LastIndexOfInt32` and `last_index_of` are `lastindexof`.
    """
    parts = name_parts(name)
    while len(parts) > 1 and parts[0] in _VERBS:
        del parts[0]
    while len(parts) > 1 and parts[-1] in _KINDS:
        del parts[-1]
    return "".join(parts)


def features(name: str, own: str, code: str) -> tuple[dict[str, int], tuple[int | float | str, ...]]:
    """Return the words of a unit with how often they stand in it, and its literals.

    Args:
        name: What it is called.
        own: Its own text.
        code: Its text with all that it needs.
    """
    words: dict[str, int] = {}

    def count(word: str) -> None:
        words[word] = words.get(word, 0) + 1

    parts = name_parts(name)
    count("fold:" + folded(name))
    for part in parts:
        count(f"name:{part}")
    for word in _WORD.findall(own):
        for part in name_parts(word):
            if part not in _NOISE and len(part) > 1:
                count(f"id:{part}")
    flow = [f"{kind}{min(found, 6)}" for kind, pattern in _SHAPE.items() if (found := len(pattern.findall(own)))]
    for part in flow:
        count(f"flow:{part}")
    # One count alone is in too many units of a large corpus to be searched by; two together are rarer.
    for one, other in combinations(flow, 2):
        count(f"flows:{one} {other}")
    for word in _CALL.findall(own):
        if word.lower() not in _NOISE:
            count("call:" + "".join(name_parts(word)))
    literals = literals_of(code)
    for literal in literals:
        if literal not in (0, 1, 2, -1, ""):
            count(f"lit:{literal}")
    return words, literals


def literals_of(code: str) -> tuple[int | float | str, ...]:
    """Return the numbers and short strings that stand in a program, as Python values, each once, in order."""
    found: dict[tuple[str, str], int | float | str] = {}
    for match in _NUMBER.finditer(code):
        text = match.group()
        if text.lower().startswith("0x"):
            number: int | float = int(text, 16)
        elif re.fullmatch(r"\d+", text):
            number = int(text)
        else:
            number = float(text)
        if abs(number) < 2**53 and len(found) < 60:
            found.setdefault((type(number).__name__, repr(number)), number)
    for match in _STRING.finditer(code):
        text = match.group(1) if match.group(1) is not None else match.group(2)
        if text and "\\" not in text and len(found) < 90:
            found.setdefault(("str", text), text)
    return tuple(found.values())


__all__ = ["features", "folded", "literals_of", "name_parts"]
