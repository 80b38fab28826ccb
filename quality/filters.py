"""Is a file worth training on? Measures of its text, limits on them by language, and a verdict with its reason.

Start at `judge_text` and `judge_syntax`. `measure` computes every measure once and knows no limit; `Limits` holds the
limits and measures nothing; a verdict carries one short stable word (`REASONS`) and the measured value beside the limit
it broke. A short file is not a bad file: no limit has a lower bound on size, and shares and means are
asked only of text long enough to have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from quality.languages import LANGUAGES
from quality.syntax import Syntax

REASONS = {
    "blank": "nothing but white space",
    "too_large": "more bytes than the limit",
    "long_line": "its longest line is over the limit: minified, generated or data",
    "long_lines": "its mean line is over the limit: minified, generated or data",
    "few_letters": "too few letters and digits among its characters",
    "encoded": "too much of it is long base64 or hexadecimal strings: data in the form of a program",
    "numbers": "too much of it is digits: a table in the form of a program",
    "repeated_lines": "too many of its lines repeat an earlier one",
    "comments_only": "almost all of it is comments",
    "syntax": "too much of it is no valid program in its language",
    "parser_limit": "the parser ran away on it",
}

_LONG_TEXT = 500
"""Characters (for lines, a tenth as many) from which shares and means are asked for: below, one odd line decides."""

_RUN = 64
_NOT_BASE64 = np.ones(256, np.bool_)
_NOT_BASE64[list(b"+/=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")] = False
_ALPHANUMERIC, _WHITE, _DIGITS = (
    np.array([byte for byte in range(128) if kind(chr(byte))]) for kind in (str.isalnum, str.isspace, str.isdigit)
)
_OTHERS = re.compile(r"[^\x00-\x7f]+")
# It starts with a set, which the search jumps to.
_HEXADECIMAL = re.compile(r"[\\0]x[0-9A-Fa-f]{2}[,\s\"']*(?:[\\0]x[0-9A-Fa-f]{2}[,\s\"']*){15,}")


class Limits(BaseModel):
    """What a file of one language may measure; anything beyond is rejected.

    Args:
        max_bytes: Raw bytes. Source: GitHub code sets since CodeParrot keep files below 1 MB.
        max_line: Characters of the longest line. Source: The Stack and StarCoder, 1000.
        max_mean_line: Characters of the mean line. Source: The Stack and StarCoder, 100.
        min_alphanumeric: Letters and digits / characters. Source: The Stack and StarCoder, 0.25.
        max_encoded: Characters in base64 runs of 64 and more or in 16 and more hexadecimal bytes / characters.
            The run length is OpenCoder's; the share is ours, since one embedded key does not spoil a file.
        max_digits: Digits / characters that are not white space. OpenCoder takes 0.2, which loses numerical code.
        max_repeated_lines: Lines of ten and more characters that repeat an earlier line / all such lines. Source:
            OpenCoder, 0.7.
        max_comments: Comment bytes / bytes, without white space. Source: StarCoder (bigcode-dataset), 0.8; ours is
            wider, since interfaces are documented at length in Java and C#, under long licence headers.
        max_errors: Bytes under tree-sitter ERROR nodes / bytes. Measured: files that parse badly in their own language
            are below 1 in 100 but in C#, and a file in a wrong grammar has mostly 0.1 and more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    max_bytes: int = Field(default=1_000_000, gt=0)
    max_line: int = Field(default=1_000, gt=0)
    max_mean_line: float = Field(default=100.0, gt=0)
    min_alphanumeric: float = Field(default=0.25, ge=0, le=1)
    max_encoded: float = Field(default=0.3, ge=0, le=1)
    max_digits: float = Field(default=0.4, ge=0, le=1)
    max_repeated_lines: float = Field(default=0.7, ge=0, le=1)
    max_comments: float = Field(default=0.95, ge=0, le=1)
    max_errors: float = Field(default=0.05, ge=0, le=1)


DEFAULT_LIMITS: Mapping[str, Limits] = {
    row.id: Limits(max_errors=1.0) for row in LANGUAGES.values() if row.grammar_gives_up
}
"""Where a language's limits differ by default: a file in another language is told by its classification there."""


@dataclass(frozen=True)
class Measures:
    """What was measured of one text; lengths in characters, shares from 0 to 1.

    Args:
        characters: Length of the text.
        solid: Characters that are not white space.
        longest_line: Longest line.
        mean_line: Mean line, blank ones included.
        alphanumeric: Letters and digits / characters.
        encoded: Characters in long base64 or hexadecimal runs / characters.
        digits: Digits / characters that are not white space.
        repeated_lines: Lines of ten and more characters that repeat an earlier line / all such lines.
        compared_lines: How many lines of ten and more characters there are.
    """

    characters: int
    solid: int
    longest_line: int
    mean_line: float
    alphanumeric: float
    encoded: float
    digits: float
    repeated_lines: float
    compared_lines: int


@dataclass(frozen=True)
class Rejected:
    """Why a file is not kept.

    Args:
        reason: A key of `REASONS`.
        detail: The measured value and the limit.
    """

    reason: str
    detail: str


def measure(text: str) -> Measures:
    """Measure a text."""
    characters = len(text)
    lines = text.splitlines() or [""]
    lengths = list(map(len, lines))
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    times = np.bincount(data, minlength=256)
    # Beyond ASCII, what a character is takes Python to know; there are few of them.
    others = "" if text.isascii() else "".join(_OTHERS.findall(text))
    letters = int(times[_ALPHANUMERIC].sum()) + sum(map(str.isalnum, others))
    solid = int(times[:128].sum() - times[_WHITE].sum()) + len("".join(others.split()))
    compared = [stripped for line in lines if len(stripped := line.strip()) >= 10]
    return Measures(
        characters=characters,
        solid=solid,
        longest_line=max(lengths),
        mean_line=sum(lengths) / len(lines),
        alphanumeric=letters / characters if characters else 0.0,
        encoded=_encoded(text, data, times) / characters if characters else 0.0,
        digits=int(times[_DIGITS].sum()) / solid if solid else 0.0,
        repeated_lines=1 - len(set(compared)) / len(compared) if compared else 0.0,
        compared_lines=len(compared),
    )


def _encoded(text: str, data: NDArray[np.uint8], times: NDArray[np.int64]) -> int:
    # Runs lie between the bytes that are not of the alphabet.
    between = np.flatnonzero(_NOT_BASE64[data])
    gaps = np.diff(between, prepend=-1, append=len(data)) - 1
    runs = int(gaps[gaps >= _RUN].sum())
    if times[ord("x")] >= 16 and text.count("0x") + text.count("\\x") >= 16:
        runs += sum(len(match.group()) for match in _HEXADECIMAL.finditer(text))
    return min(runs, len(text))


def judge_text(length: int, measures: Measures, limits: Limits) -> Rejected | None:
    """Return why a text is rejected before it is parsed, or None.

    Args:
        length: Raw bytes of the file.
        measures: What was measured of its text.
        limits: Its language's limits.
    """
    long = measures.characters >= _LONG_TEXT
    if measures.solid == 0:
        return Rejected("blank", f"{length} bytes of white space")
    if length > limits.max_bytes:
        return _over("too_large", length, limits.max_bytes, "bytes")
    if measures.longest_line > limits.max_line:
        return _over("long_line", measures.longest_line, limits.max_line, "characters")
    if long and measures.mean_line > limits.max_mean_line:
        return _over("long_lines", measures.mean_line, limits.max_mean_line, "characters a line")
    if long and measures.alphanumeric < limits.min_alphanumeric:
        return Rejected("few_letters", f"{measures.alphanumeric:.3f} < {limits.min_alphanumeric:g}")
    if long and measures.encoded > limits.max_encoded:
        return _over("encoded", measures.encoded, limits.max_encoded, "of the characters")
    if long and measures.digits > limits.max_digits:
        return _over("numbers", measures.digits, limits.max_digits, "of the characters")
    if measures.compared_lines >= _LONG_TEXT // 10 and measures.repeated_lines > limits.max_repeated_lines:
        return _over("repeated_lines", measures.repeated_lines, limits.max_repeated_lines, "of the lines")
    return None


def judge_syntax(syntax: Syntax, limits: Limits) -> Rejected | None:
    """Return why a parsed text is rejected, or None.

    Args:
        syntax: What the parser said of it.
        limits: Its language's limits.
    """
    if syntax.error_ratio > limits.max_errors:
        return _over("syntax", syntax.error_ratio, limits.max_errors, "of the bytes")
    if syntax.comment_ratio > limits.max_comments:
        return _over("comments_only", syntax.comment_ratio, limits.max_comments, "of the bytes")
    return None


def _over(reason: str, value: float, limit: float, unit: str) -> Rejected:
    shown = f"{value:.3f}" if isinstance(value, float) else f"{value}"
    return Rejected(reason, f"{shown} > {limit:g} {unit}")
