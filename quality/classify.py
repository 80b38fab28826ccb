"""What is this file: which language, and is it source that somebody wrote?

Start at `classify`. The file's name proposes candidates, its first bytes and its text decide among them, and the
tree-sitter grammars break what ties remain; a file in no language of the registry gets None. `decode` is how every
part of the project turns bytes into text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["source", "test", "declaration", "generated", "minified", "vendored", "data", "text", "binary", "empty"]


@dataclass(frozen=True)
class Classification:
    """What a file is.

    Args:
        language: A language id, or None outside the registry.
        kind: `source` and `test` were written by hand here; the rest were not, or are no program text.
        confidence: 0 to 1.
        reason: One line: which rules decided.
    """

    language: str | None
    kind: Kind
    confidence: float
    reason: str


@dataclass(frozen=True)
class Decoded:
    """Text and how it was decoded.

    Args:
        text: The text, without a byte order mark.
        encoding: A Python codec name: `utf-8`, `utf-8-sig`, `utf-16-le`, `utf-16-be`, `cp1252`, ...
        confidence: 1 where the encoding is certain.
    """

    text: str
    encoding: str
    confidence: float


def decode(data: bytes) -> Decoded | str:
    """Decode bytes strictly, or return the reason they are no text (`binary`, `undecodable`)."""
    raise NotImplementedError


def classify(path: str, data: bytes) -> Classification:
    """Say what a file is from its full path and its bytes."""
    raise NotImplementedError
