"""What a macro of `macro_rules!` stands for where a file calls it between its items, as for every width of integer.

Start at `expansion`. Of the patterns of macros those are known that items are made by: types, names, expressions and
trees of tokens, repeated or not, and tokens that stand for themselves. What a call means that needs more is not said.
Source: "Macros By Example" in The Rust Reference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*.*?\*/)"
    r"|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])'|'\w+|\$?\w+(?:\.\d\w*)?"
    r"|=>|->|::|\.\.=|\.\.|&&|\|\||[<>=!+\-*/%^&|]=|.",
    re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_ENDS = {"expr": ("=>", ",", ";"), "stmt": ("=>", ",", ";"), "pat": ("=>", ",", "=", "|", "if", "in")}
_ONE = frozenset(["ident", "literal", "lifetime", "tt", "block"])
_WORD = re.compile(r"[A-Za-z_]\w*")


class _NoMatch(Exception):
    pass


@dataclass(frozen=True)
class _Token:
    """A token with the blanks before it; for a bracket also what stands in it, and blanks before the closing one."""

    text: str
    before: str = ""
    inside: tuple[_Token, ...] | None = None
    after: str = ""

    def __str__(self) -> str:
        if self.inside is None:
            return self.before + self.text
        return f"{self.before}{self.text}{''.join(map(str, self.inside))}{self.after}{_CLOSING[self.text]}"


@dataclass
class _Bound:
    """What the names of a pattern stand for, and of those that are repeated, each time."""

    texts: dict[str, str] = field(default_factory=dict[str, str])
    repeated: dict[str, list[_Bound]] = field(default_factory=dict[str, "list[_Bound]"])


def expansion(macro: str, arguments: str) -> str | None:
    """Return what a call of a macro stands for, or None where it cannot be told.

    Args:
        macro: The whole definition: `macro_rules! name { (pattern) => { text }; ... }`.
        arguments: What stands between the call's brackets.
    """
    try:
        tokens = _tokens(macro)
        rules = next(t for t in reversed(tokens) if t.inside is not None).inside or ()
        given = _tokens(arguments)
    except (StopIteration, ValueError):
        return None
    for pattern, arrow, body in zip(rules, rules[1:], rules[2:], strict=False):
        if arrow.text != "=>" or pattern.inside is None or body.inside is None:
            continue
        bound = _Bound()
        try:
            if _match(pattern.inside, given, 0, bound) == len(given):
                return "".join(_written(body.inside, bound)) + body.after
        except (_NoMatch, KeyError, ValueError):
            continue
    return None


def _tokens(text: str) -> list[_Token]:
    found, rest = _until("", list(_TOKEN.finditer(text)), 0)
    if rest != -1:
        raise ValueError("a bracket is closed that was not opened")
    return found


def _until(closing: str, matches: Sequence[re.Match[str]], at: int) -> tuple[list[_Token], int]:
    """Return the tokens up to a closing bracket, and where it stands; -1 at the end."""
    found: list[_Token] = []
    before = ""
    while at < len(matches):
        text = matches[at][0]
        if matches[at]["blank"]:
            before += text
        elif text == closing:
            found.append(_Token("", before))
            return found, at
        elif text in _CLOSING:
            inside, at = _until(_CLOSING[text], matches, at + 1)
            if at < 0:
                raise ValueError("a bracket is not closed")
            found.append(_Token(text, before, tuple(inside[:-1]), inside[-1].before))
            before = ""
        elif text in _CLOSING.values():
            raise ValueError("a bracket is closed that was not opened")
        else:
            found.append(_Token(text, before))
            before = ""
        at += 1
    return found, -1


def _match(pattern: Sequence[_Token], given: Sequence[_Token], at: int, bound: _Bound) -> int:
    """Match all of a pattern from a place on, and return the place after it."""
    number = 0
    while number < len(pattern):
        token = pattern[number]
        follow = pattern[number + 1 :]
        if token.text == "$" and follow and follow[0].inside is not None:
            separator, mark = "", follow[1].text if len(follow) > 1 else ""
            number += 3
            if mark not in ("*", "+", "?"):
                separator, mark = mark, follow[2].text if len(follow) > 2 else ""
                number += 1
            at = _repeat(follow[0].inside or (), separator, mark, given, at, bound)
        elif token.text.startswith("$") and len(token.text) > 1 and len(follow) > 1 and follow[0].text == ":":
            number += 3
            end = _fragment(follow[1].text, given, at)
            bound.texts[token.text] = "".join(map(str, given[at:end])).strip()
            at = end
        else:
            number += 1
            if at >= len(given) or given[at].text != token.text:
                raise _NoMatch
            if token.inside is not None:
                inner = given[at].inside or ()
                if _match(token.inside, inner, 0, bound) != len(inner):
                    raise _NoMatch
            at += 1
    return at


def _repeat(
    pattern: Sequence[_Token], separator: str, mark: str, given: Sequence[_Token], at: int, bound: _Bound
) -> int:
    times: list[_Bound] = []
    while at < len(given) and (mark != "?" or not times):
        start = at
        if times and separator:
            if given[at].text != separator:
                break
            start += 1
        each = _Bound()
        try:
            end = _match(pattern, given, start, each)
        except _NoMatch:
            break
        if end == start:
            break
        times.append(each)
        at = end
    if mark == "+" and not times:
        raise _NoMatch
    for name in _names(pattern):
        bound.repeated[name] = times
    return at


def _names(pattern: Sequence[_Token]) -> list[str]:
    found: list[str] = []
    for token in pattern:
        if token.inside is not None:
            found += _names(token.inside)
        elif token.text.startswith("$") and len(token.text) > 1:
            found.append(token.text)
    return found


def _fragment(kind: str, given: Sequence[_Token], at: int) -> int:
    """Return where a fragment of a kind ends that begins at a place."""
    if at >= len(given):
        raise _NoMatch
    if kind in _ONE:
        if kind == "ident" and not _WORD.fullmatch(given[at].text):
            raise _NoMatch
        return at + (2 if kind == "literal" and given[at].text == "-" else 1)
    if kind in _ENDS:
        end = next((i for i in range(at, len(given)) if given[i].text in _ENDS[kind]), len(given))
        if end == at:
            raise _NoMatch
        return end
    if kind in ("ty", "path"):
        return _type(given, at)
    raise _NoMatch


def _type(given: Sequence[_Token], at: int) -> int:
    while at < len(given) and (given[at].text in ("&", "*", "mut", "const", "dyn") or given[at].text.startswith("'")):
        at += 1
    if at >= len(given) or not (given[at].text in ("(", "[") or _WORD.fullmatch(given[at].text)):
        raise _NoMatch
    at += 1
    while at + 1 < len(given) and given[at].text == "::" and _WORD.fullmatch(given[at + 1].text):
        at += 2
    if at < len(given) and given[at].text == "<":
        depth = 0
        while at < len(given):
            depth += {"<": 1, ">": -1}.get(given[at].text, 0)
            at += 1
            if not depth:
                break
    return at


def _written(body: Sequence[_Token], bound: _Bound) -> list[str]:
    """Return a text with what its names stand for.

    Raises:
        KeyError: It has a name that stands for nothing, or for several things where one is asked for.
    """
    found: list[str] = []
    number = 0
    while number < len(body):
        token = body[number]
        number += 1
        if token.text == "$" and number < len(body) and body[number].inside is not None:
            inner = body[number].inside or ()
            separator, mark = "", body[number + 1].text
            number += 2
            if mark not in ("*", "+", "?"):
                separator, number = mark, number + 1
            repeated = next((name for name in _names(inner) if name in bound.repeated), "")
            parts: list[str] = []
            for each in bound.repeated[repeated]:
                within = _Bound(bound.texts | each.texts, bound.repeated | each.repeated)
                parts.append("".join(_written(inner, within)) + body[number - 1 - bool(separator)].before)
            found.append(token.before + separator.join(parts))
        elif token.text == "$crate":
            found.append(token.before + "crate")
        elif token.text.startswith("$") and len(token.text) > 1:
            found.append(token.before + bound.texts[token.text])
        elif token.inside is not None:
            inside = "".join(_written(token.inside, bound))
            found.append(f"{token.before}{token.text}{inside}{token.after}{_CLOSING[token.text]}")
        else:
            found.append(str(token))
    return found
