"""What the parser says of a file: how much of it is no valid program, and how much is comment.

Start at `parse`. `has_error` of a tree-sitter root is never used: one odd byte sets it. What counts is the share of
bytes that lie under ERROR nodes. Parsing is bounded by the parser's own steps and not by a clock, so the same text
gives the same answer on a busy machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from quality.languages import grammar, language

if TYPE_CHECKING:
    import tree_sitter

_CHUNK = 1 << 16
_FREE_STEPS = 10_000
_STEPS_PER_BYTE = 1.0
"""Ordinary code takes one callback for 60 to 150 bytes in all seven grammars; one a byte is far beyond any program."""


@dataclass(frozen=True)
class Syntax:
    """Facts about one text in one grammar.

    Args:
        error_ratio: Bytes under ERROR nodes / all bytes, 0 to 1; 0 for an empty text.
        comment_ratio: Bytes in comments / all bytes, white space left out of both, 0 to 1.
        nodes: Nodes in the tree.
    """

    error_ratio: float
    comment_ratio: float
    nodes: int


class TooCostly(Exception):
    """The parser took more steps than any ordinary program of this size needs."""


def parse(text: str, language_id: str, extension: str = "") -> Syntax:
    """Parse a text and return what the tree says of it.

    Args:
        text: The source text.
        language_id: Which language's grammar.
        extension: The file name ending (lower case, with the dot), where the language has several grammars.

    Raises:
        TooCostly: The parser ran away; such a file is nothing to train on.
    """
    data = text.encode("utf-8", "surrogatepass")
    row = language(language_id)
    parser, comments = _parser(row.grammar_by_extension.get(extension, row.grammar))
    budget = _FREE_STEPS + int(_STEPS_PER_BYTE * len(data))
    steps = 0

    def stop(_offset: int, _has_error: bool) -> bool:
        nonlocal steps
        steps += 1
        return steps > budget

    try:
        tree = parser.parse(lambda offset, _point: data[offset : offset + _CHUNK], progress_callback=stop)
    except ValueError as error:
        parser.reset()
        raise TooCostly(f"more than {budget:,} parser steps for {len(data):,} bytes") from error
    import tree_sitter

    root = tree.root_node
    found = tree_sitter.QueryCursor(comments).captures(root).get("comment", [])
    comment_bytes = sum(_solid(data[node.start_byte : node.end_byte]) for node in found)
    solid = _solid(data)
    return Syntax(
        error_ratio=_error_bytes(root) / len(data) if data else 0.0,
        comment_ratio=comment_bytes / solid if solid else 0.0,
        nodes=root.descendant_count,
    )


@cache
def _parser(spec: str) -> tuple[tree_sitter.Parser, tree_sitter.Query]:
    import tree_sitter

    known = grammar(spec)
    kinds = (known.node_kind_for_id(i) for i in range(known.node_kind_count) if known.node_kind_is_named(i))
    # A doc comment stands inside a comment in some grammars: only the outermost kinds are asked for.
    names = sorted({kind for kind in kinds if kind and kind.endswith("comment") and not kind.startswith(("doc", "_"))})
    return tree_sitter.Parser(known), tree_sitter.Query(known, " ".join(f"({name}) @comment" for name in names))


def _solid(data: bytes) -> int:
    return len(b"".join(data.split()))


def _error_bytes(root: tree_sitter.Node) -> int:
    total = 0
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error:
            total += node.end_byte - node.start_byte
        elif node.has_error:
            pending.extend(node.children)
    return total
