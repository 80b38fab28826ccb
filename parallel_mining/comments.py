"""What in a program is said to people? Its comments and docstrings, found by the marks of the language registry.

Start at `without_comments` or `comments_in`; they are each other's complement. What stands in a string is no comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from quality.languages import language


def without_comments(language_id: str, code: str) -> str:
    """Return code without its comments and docstrings."""
    return _comments(language_id).sub(lambda found: found["text"] or "", code)


def comments_in(language_id: str, code: str) -> Iterator[str]:
    """Yield the comments and docstrings of code, in order, with their marks."""
    return (found.group() for found in _comments(language_id).finditer(code) if found["text"] is None)


@cache
def _comments(language_id: str) -> re.Pattern[str]:
    """Match a language's comments; and its strings, as `text`, for what stands in them is no comment."""
    row = language(language_id)
    marks = [rf"{re.escape(row.line_comment)}[^\n]*"]
    for opening, closing in row.block_comments:
        # What opens and closes alike is a string, and a comment only where a line starts with it.
        line_start = r"(?m:^[ \t]*)" if opening == closing else ""
        marks.append(f"{line_start}{re.escape(opening)}.*?{re.escape(closing)}")
    strings = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
    return re.compile(rf"{'|'.join(reversed(marks))}|(?P<text>{strings})", re.DOTALL)


__all__ = ["comments_in", "without_comments"]
