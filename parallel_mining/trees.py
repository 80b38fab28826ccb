"""Small questions about tree-sitter trees that every language's syntax asks.

Positions are byte offsets into the UTF-8 source; `Source` turns them into text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node, Parser

from quality.languages import grammar_of

OPERATORS = frozenset(
    """binary_expression unary_expression update_expression assignment_expression augmented_assignment_expression
    call_expression invocation_expression method_invocation new_expression object_creation_expression
    subscript_expression element_access_expression index_expression array_access ternary_expression
    conditional_expression if_expression match_expression macro_invocation cast_expression type_cast_expression
    arrow_function lambda_expression function_expression closure_expression template_substitution comparison
    boolean_expression range_expression switch_expression postfix_unary_expression prefix_unary_expression""".split()  # noqa: SIM905
)
"""Node kinds that do one step of work, over all grammars."""

INDEXING = frozenset(["subscript_expression", "element_access_expression", "index_expression", "array_access"])

CALLS = frozenset(["call_expression", "invocation_expression", "method_invocation"])


@dataclass(frozen=True)
class Source:
    """A file's bytes and its tree."""

    data: bytes
    root: Node

    def text(self, node: Node) -> str:
        """Return a node's source."""
        return self.data[node.start_byte : node.end_byte].decode(errors="replace")

    def span(self, start: int, end: int) -> str:
        """Return the source between two byte offsets."""
        return self.data[start:end].decode(errors="replace")


def parse(language_id: str, text: str, extension: str = "") -> Source:
    """Parse a file.

    Args:
        language_id: A language id.
        text: Its source.
        extension: The file name's ending, where grammars differ by it.
    """
    data = text.encode(errors="replace")
    return Source(data, Parser(grammar_of(language_id, extension)).parse(data).root_node)


def fields(node: Node) -> Iterator[tuple[Node, str]]:
    """Yield the named children with their field names ("" where they have none)."""
    for i, child in enumerate(node.children):
        if child.is_named:
            yield child, node.field_name_for_child(i) or ""


def walk(
    node: Node, parent: str = "", field: str = "", without: frozenset[int] = frozenset()
) -> Iterator[tuple[Node, str, str]]:
    """Yield the named nodes below and with a node, in order, each with its parent's kind and its own field name.

    Args:
        node: Where to start.
        parent: The kind of what it stands in.
        field: Its own field name there.
        without: Ids of nodes that are left out, with all below them.
    """
    stack: list[tuple[Node, str, str]] = [(node, parent, field)]
    while stack:
        item = stack.pop()
        yield item
        stack += [
            (child, item[0].type, name) for child, name in reversed(list(fields(item[0]))) if child.id not in without
        ]


def comment_start(children: Sequence[Node], index: int) -> int:
    """Return the byte offset where the comments right above a child begin (or the child itself)."""
    start = children[index].start_byte
    row = children[index].start_point[0]
    while index > 0 and "comment" in children[index - 1].type:
        index -= 1
        above = children[index]
        if above.end_point[0] + 1 < row or (
            above.end_point[0] == above.start_point[0] and _shares_row(children, index)
        ):
            break
        start, row = above.start_byte, above.start_point[0]
    return start


def _shares_row(children: Sequence[Node], index: int) -> bool:
    return index > 0 and children[index - 1].end_point[0] == children[index].start_point[0]


def steps(node: Node) -> int:
    """Count the steps of work below a node: operators, calls, indexing with what computes the index, branches.

    To take what a reference points at is none.
    """
    return sum(
        item.type in OPERATORS
        and not (item.type == "binary_expression" and parent in INDEXING)
        and not (item.type == "unary_expression" and item.children[0].type == "*")
        for item, parent, _ in walk(node)
    )


def trivial(value: Node | None) -> str:
    """Say why a body that only gives back this expression proves nothing, or "" where it may prove something."""
    if value is None:
        return ""
    while value.type == "parenthesized_expression" and value.named_child_count == 1:
        value = value.named_children[0]
    if steps(value) > 1:
        return ""
    own = value.type in CALLS and value.child_by_field_name("object") is None
    if own and value.named_children and value.named_children[0].type == "identifier":
        return ""  # the work is done by a function that comes along
    return "one operator or call around its arguments"
