"""How a proved pair becomes training documents: both halves one after the other, or each by itself.

Start at `pair_documents`. A `prompt` document introduces each half with a comment in that half's own language, so that
it stays source code throughout; a `plain` document is the two halves and an empty line; `shuffled` gives each half a
document of its own, in an order by hash. `translation_prompt` is exactly the beginning of a prompt document, and so
what a trained model is asked to continue.

What always holds: a document is made of parts, each code or not; the parts that are code are the same texts, each the
same number of times, in every style at one direction. Whoever tokenizes part by part therefore trains on the same code
tokens in all styles, and can count prompts and separators apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from quality.languages import language

PairStyle = Literal["prompt", "plain", "shuffled"]
PairDirection = Literal["forward", "backward", "alternate", "both"]
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Part:
    """A piece of a document.

    Args:
        text: The piece, with the newline that ends it.
        is_code: Whether it stands in the pair; prompts and separators do not.
    """

    text: str
    is_code: bool


@dataclass(frozen=True)
class PairDocument:
    """A document made of a pair.

    Args:
        id: The pair's own where it is the pair's only document; else the pair's with what tells its documents apart
            behind it and a hash before it, so that the order of ids keeps nothing of a pair together.
        sides: Whose code it holds, in order.
        parts: Its text.
    """

    id: str
    sides: tuple[Side, ...]
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole document."""
        return "".join(part.text for part in self.parts)


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
    return "".join(part.text for part in _prompt_parts(code, written_in, into))


def starts_right(pair_id: str) -> bool:
    """Return whether a pair's document starts with its right half where directions alternate.

    That is so for about half of the pairs, so that both directions of translation are trained; which half depends on
    the pair alone.
    """
    return hashlib.sha256(pair_id.encode()).digest()[0] % 2 == 1


def pair_documents(pair: Mapping[str, Any], style: PairStyle, direction: PairDirection) -> list[PairDocument]:
    """Return the documents of a pair, by id.

    Args:
        pair: A row of `PAIR_SCHEMA`.
        style: `prompt` introduces each half in a comment, `plain` does not, `shuffled` parts the halves.
        direction: `forward` puts the left half first, `backward` the right one, `alternate` turns about every other
            pair round, `both` gives each pair in either order; where halves are parted, `both` gives each twice.

    Raises:
        BadInput: A language is not in the registry.
    """
    pair_id: str = pair["pair_id"]
    forward: tuple[Side, Side] = ("left", "right")
    backward: tuple[Side, Side] = ("right", "left")
    orders = {
        "forward": [forward],
        "backward": [backward],
        "alternate": [backward if starts_right(pair_id) else forward],
        "both": [forward, backward],
    }[direction]
    documents: list[PairDocument] = []
    for copy, order in enumerate(orders):
        if style == "shuffled":
            documents += [
                PairDocument(_derived(pair_id, f"{side}:{copy}"), (side,), (_code(pair[f"{side}_code"]),))
                for side in order
            ]
            continue
        first, second = ((pair[f"{side}_code"], pair[f"{side}_language"]) for side in order)
        if style == "prompt":
            introduced = _prompt_parts(*first, second[1])
        else:
            introduced = (_code(first[0]), Part("\n", is_code=False))
        document_id = _derived(pair_id, f"{order[0]}-first") if len(orders) > 1 else pair_id
        documents.append(PairDocument(document_id, order, (*introduced, _code(second[0]))))
    return sorted(documents, key=lambda document: document.id)


def _prompt_parts(code: str, written_in: str, into: str) -> tuple[Part, ...]:
    first, second = language(written_in), language(into)
    return (
        Part(f"{first.line_comment} {first.name}\n", is_code=False),
        _code(code),
        Part(
            f"\n{second.line_comment} The same in {second.name}, translated from {first.name}\n",
            is_code=False,
        ),
    )


def _code(code: str) -> Part:
    # Not all white space: the indentation of a first line belongs to the code.
    return Part(code.strip("\r\n") + "\n", is_code=True)


def _derived(pair_id: str, label: str) -> str:
    digest = hashlib.sha256(f"{pair_id}:{label}".encode()).hexdigest()
    return f"{digest[:16]}:{pair_id}:{label}"
