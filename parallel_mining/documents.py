"""How a proved pair becomes one training document: both halves, one after the other.

Start at `render_pair`. A `prompt` document introduces each half with a comment in that half's own language, so that it
stays source code throughout; a `plain` document is the two halves alone. `translation_prompt` is exactly the beginning
of a prompt document, and so what a trained model is asked to continue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from quality.languages import language

PairStyle = Literal["prompt", "plain"]
PairDirection = Literal["forward", "alternate"]


def pair_source(left: str, right: str) -> str:
    """Return the source that pairs of two languages belong to, `pair:LEFT-RIGHT`."""
    return f"pair:{left}-{right}"


def translation_prompt(code: str, written_in: str, into: str) -> str:
    """Return what comes before the translation in a prompt document.

    Args:
        code: The code to translate.
        written_in: Its language id.
        into: The language id to translate into.

    Raises:
        BadInput: A language is not in the registry.
    """
    first, second = language(written_in), language(into)
    return (
        f"{first.line_comment} {first.name}\n{code.strip(_BLANK)}\n\n"
        f"{second.line_comment} The same in {second.name}, translated from {first.name}\n"
    )


def parallel_document(
    first_code: str, first_language: str, second_code: str, second_language: str, style: PairStyle
) -> str:
    """Return two pieces of code as one document, ending in a newline.

    Raises:
        BadInput: A language is not in the registry.
    """
    if style == "plain":
        return f"{first_code.strip(_BLANK)}\n\n{second_code.strip(_BLANK)}\n"
    return translation_prompt(first_code, first_language, second_language) + second_code.strip(_BLANK) + "\n"


def starts_right(pair_id: str, direction: PairDirection) -> bool:
    """Return whether a pair's document starts with its right half.

    `alternate` turns about half of the pairs round, so that both directions of translation are trained; which half
    depends on the pair alone.
    """
    return direction == "alternate" and hashlib.sha256(pair_id.encode()).digest()[0] % 2 == 1


def render_pair(pair: Mapping[str, Any], style: PairStyle, direction: PairDirection) -> str:
    """Return a pair as one document.

    Args:
        pair: A row of `PAIR_SCHEMA`.
        style: `prompt` introduces each half in a comment, `plain` does not.
        direction: `forward` puts the left half first, `alternate` turns every other pair round.

    Raises:
        BadInput: A language is not in the registry.
    """
    left = pair["left_code"], pair["left_language"]
    right = pair["right_code"], pair["right_language"]
    first, second = (right, left) if starts_right(pair["pair_id"], direction) else (left, right)
    return parallel_document(*first, *second, style)


# Not all white space: the indentation of a first line belongs to the code.
_BLANK = "\r\n"
