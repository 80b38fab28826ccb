"""What the parser says of a file: how much of it is no valid program, how much is comment, and in which dialect it is.

Start at `parse`; `dialect` looks for syntax that only a dialect has. `has_error` of a tree-sitter root is never used:
one odd byte sets it. What counts is the share of bytes that lie under ERROR nodes. Parsing is bounded by the parser's
own steps and not by a clock, so the same text gives the same answer on a busy machine. The last few trees are kept: who
classifies a text and then asks for its syntax parses it once.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from quality.languages import grammar, language

if TYPE_CHECKING:
    import tree_sitter

_CHUNK = 1 << 16
_FREE_STEPS = 10_000
_STEPS_PER_BYTE = 0.1
"""Ordinary code takes one callback for 60 to 150 bytes in all seven grammars, and took no more in a wrong one (measured
on 700 files): one for ten bytes is beyond any program, and a megabyte that runs away ends in seconds."""

_KEPT = 4
_LOOKUPS = 1_000
_SIGNS = 50
"""Places looked at for each sign of a dialect: a program in it shows it early."""
_BLANK = b" \t\n\r\v\f"


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
    row = language(language_id)
    spec = row.grammar_by_extension.get(extension, row.grammar)
    data, tree = _parsed(text, spec)
    root = tree.root_node
    solid = _solid(data)
    comment_bytes = _comment_bytes(root, data, _comments_of(language_id), len(row.line_comment), spec)
    return Syntax(
        error_ratio=_error_bytes(root) / len(data) if data else 0.0,
        comment_ratio=comment_bytes / solid if solid else 0.0,
        nodes=root.descendant_count,
    )


def error_ratio(text: str, language_id: str, extension: str = "") -> float:
    """Return the share of a text's bytes under ERROR nodes; 1 where the parser runs away."""
    row = language(language_id)
    try:
        data, tree = _parsed(text, row.grammar_by_extension.get(extension, row.grammar))
    except TooCostly:
        return 1.0
    return _error_bytes(tree.root_node) / len(data) if data else 0.0


def dialect(text: str, language_id: str, extension: str = "") -> str:
    """Return which of the language's dialects a text is in, by syntax that only it has; empty for the language itself.

    A text without a sign of one is not parsed.
    """
    row = language(language_id)
    for known in row.dialects:
        for sign, kind in known.signs:
            for found in islice(_compiled(sign).finditer(text), _SIGNS):
                try:
                    _, tree = _parsed(text, row.grammar_by_extension.get(extension, row.grammar))
                except TooCostly:
                    return ""
                at = len(text[: found.start(1)].encode("utf-8", "surrogatepass"))
                node = tree.root_node.descendant_for_byte_range(at, at + 1)
                if node is not None and (node.type == kind or (node.parent and node.parent.type == kind)):
                    return known.name
    return ""


@cache
def _compiled(sign: str) -> re.Pattern[str]:
    return re.compile(sign)


@lru_cache(maxsize=_KEPT)
def _parsed(text: str, spec: str) -> tuple[bytes, tree_sitter.Tree]:
    data = text.encode("utf-8", "surrogatepass")
    parser = _parser(spec)
    budget = _FREE_STEPS + int(_STEPS_PER_BYTE * len(data))
    steps = 0

    def stop(_offset: int, _has_error: bool) -> bool:
        nonlocal steps
        steps += 1
        return steps > budget

    try:
        return data, parser.parse(lambda offset, _point: data[offset : offset + _CHUNK], progress_callback=stop)
    except ValueError as error:
        parser.reset()
        raise TooCostly(f"more than {budget:,} parser steps for {len(data):,} bytes") from error


@cache
def _parser(spec: str) -> tree_sitter.Parser:
    import tree_sitter

    return tree_sitter.Parser(grammar(spec))


def _solid(data: bytes) -> int:
    return len(data.translate(None, _BLANK))


@cache
def _comments_of(language_id: str) -> re.Pattern[bytes]:
    """Match where a comment may start; of line comments below each other, all: after one, the next is surely one."""
    row = language(language_id)
    spec = row.grammar
    # Strings that stand for documentation are no comments to a grammar.
    blocks = [opening for opening, closing in row.block_comments if _is_comment(f"{opening} {closing}\n", spec)]
    # What all marks start with stands first, so that the search can leap from one to the next.
    shared = os.path.commonprefix([row.line_comment, *blocks])  # noqa: RUF071 (of characters it is)
    line, rest = re.escape(row.line_comment), re.escape(row.line_comment[len(shared) :])
    run = rf"(?P<lines>{rest}[^\n]*(?:\n\s*{line}[^\n]*)*)"
    starts = "|".join([*(re.escape(opening[len(shared) :]) for opening in blocks), run])
    return re.compile(f"{re.escape(shared)}(?:{starts})".encode())


def _is_comment(text: str, spec: str) -> bool:
    _, tree = _parsed(text, spec)
    return _comment_at(tree.root_node, 0) is not None


def _comment_bytes(root: tree_sitter.Node, data: bytes, starts: re.Pattern[bytes], mark: int, spec: str) -> int:
    """Return the bytes of comments that are not white space.

    The text says where a comment may start, the tree whether one does: a query for comments visits every node, which
    takes a third of the time of parsing. But a node is found by passing its elder siblings, so that many look-ups in a
    long flat file take longer than the query.
    """
    total = at = 0
    for _ in range(_LOOKUPS):
        found = starts.search(data, at)
        if found is None:
            return total
        start, end = found.span()
        node = _comment_at(root, start)
        if node is None:
            at = start + mark
            continue
        at = max(node.end_byte, end if found["lines"] is not None else 0)
        total += _solid(data[start:at])
    import tree_sitter

    nodes = tree_sitter.QueryCursor(_comment_query(spec)).captures(root).get("comment", [])
    return sum(_solid(data[node.start_byte : node.end_byte]) for node in nodes)


@cache
def _comment_query(spec: str) -> tree_sitter.Query:
    import tree_sitter

    known = grammar(spec)
    kinds = (known.node_kind_for_id(i) for i in range(known.node_kind_count) if known.node_kind_is_named(i))
    # A doc comment stands inside a comment in some grammars: only the outermost kinds are asked for.
    names = sorted({kind for kind in kinds if kind and kind.endswith("comment") and not kind.startswith(("doc", "_"))})
    return tree_sitter.Query(known, " ".join(f"({name}) @comment" for name in names))


def _comment_at(root: tree_sitter.Node, start: int) -> tree_sitter.Node | None:
    node = root.descendant_for_byte_range(start, start + 1)
    outermost = None
    while node is not None and node.start_byte == start:
        if node.type.endswith("comment"):
            outermost = node
        node = node.parent
    return outermost


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
