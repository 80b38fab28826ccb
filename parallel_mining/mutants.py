"""Small mistakes put into a program on purpose: inputs that cannot tell it from these prove nothing about it.

Start at `mutants`. A mutant is the program with one change in what its entry runs; two kinds are made:

    a change   one operator, number, truth value, text, condition or statement is another one or gone
    a block    the body of a branch, loop, case or helper begins by failing: where no result changes, no input reached
               it, which is how coverage is measured alike in every language

What must be changed is found in tree-sitter trees by words and kinds of nodes that grammars share; how a language says
"fail", "not" and "nothing" stands in its `syntax` module (`Wording`). The operators are those of the field (relational,
arithmetic and logical operator replacement, constant replacement, negated conditions, statement deletion: Offutt et
al., "An experimental determination of sufficient mutant operators", TOSEM 5(2), 1996).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Literal

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.pairs import Program
from parallel_mining.trees import Source

Kind = Literal[
    "relation", "boundary", "arithmetic", "logic", "number", "truth", "text", "condition", "statement", "block"
]


@dataclass(frozen=True)
class Wording:
    """How a language says what mutants are made of.

    Args:
        fails: A statement that raises, without its end; the compiler must take statements after it.
        negated: An expression's opposite, with `{}` for the expression.
        nothing: What stands for a deleted statement that no semicolon ends.
    """

    fails: str
    negated: str = "!({})"
    nothing: str = ""


@dataclass(frozen=True)
class Mutant:
    """A program with one change.

    Args:
        program: It.
        kind: What was changed.
        line: Where, from 1.
        was: What stood there, shortened.
        becomes: What stands there now, shortened.
    """

    program: Program
    kind: Kind
    line: int
    was: str
    becomes: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.was or 'nothing'} becomes {self.becomes or 'nothing'}"


@dataclass(frozen=True)
class _Edit:
    kind: Kind
    start: int
    end: int
    becomes: str


_SWAPS: dict[str, tuple[Kind, str]] = {
    **{a: ("relation", b) for a, b in (("<", ">="), ("<=", ">"), (">", "<="), (">=", "<"))},
    **{a: ("relation", b) for a, b in (("==", "!="), ("!=", "=="), ("===", "!=="), ("!==", "==="))},
    **{a: ("relation", b) for a, b in (("in", "not in"), ("not in", "in"), ("is", "is not"), ("is not", "is"))},
    **{a: ("arithmetic", b) for a, b in (("+", "-"), ("-", "+"), ("*", "+"), ("/", "*"), ("//", "*"), ("%", "*"))},
    **{a: ("arithmetic", b) for a, b in (("**", "*"), ("&", "|"), ("|", "&"), ("^", "|"), ("<<", ">>"), (">>", "<<"))},
    **{a: ("arithmetic", b) for a, b in ((">>>", "<<"), ("+=", "-="), ("-=", "+="), ("*=", "+="), ("/=", "*="))},
    **{a: ("arithmetic", b) for a, b in (("//=", "*="), ("%=", "*="), ("|=", "&="), ("&=", "|="), ("^=", "|="))},
    **{a: ("logic", b) for a, b in (("&&", "||"), ("||", "&&"), ("and", "or"), ("or", "and"), ("??", "&&"))},
}
_BOUNDARIES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_STEPS = {"++": "--", "--": "++"}
_NOT = frozenset(["!", "not"])
_TRUTHS = {"true": "false", "false": "true", "True": "False", "False": "True"}
_INTEGER = re.compile(r"\d+")

_NUMBERS = frozenset(["integer", "number", "integer_literal", "decimal_integer_literal", "int_literal"])
_TEXT_CONTENTS = frozenset(
    ["string_content", "string_fragment", "string_literal_content", "interpreted_string_literal_content"]
)
_CHARACTERS = frozenset(["character_literal", "char_literal", "rune_literal"])
_DELETED = frozenset(["expression_statement", "assignment_statement", "inc_statement", "dec_statement"])
_BLOCKS = frozenset(["block", "statement_block"])
_BRANCHES = frozenset(["consequence", "alternative", "body"])
_CASES = frozenset(
    [
        "switch_block_statement_group",
        "switch_case",
        "switch_default",
        "switch_section",
        "expression_case",
        "type_case",
        "default_case",
    ]
)
_FUNCTIONS = frozenset(["arrow_function", "function_expression", "func_literal", "lambda_expression", "lambda"])
# What stands in these is no part of what is computed, or cannot differ but by the words of an error.
_LEFT_OUT = re.compile(
    r"comment|type_arguments|type_parameters|type_annotation|throw_|raise_|import|attribute_item|decorator|annotation"
    r"|macro_invocation|token_tree|_pattern$|^pattern$|modifiers|assert_statement"
)


def mutants(program: Program, wording: Wording, *, most: int, seed: int) -> tuple[Mutant, ...]:
    """Return mutants of a program, those of blocks last.

    Args:
        program: It.
        wording: How its language says what they are made of.
        most: How many changes at most, and how many blocks; of more, a sample of every kind.
        seed: Of the sample.

    Returns:
        Mutants, all different; not all may compile.
    """
    source = trees.parse(program.language, program.code)
    changes: dict[tuple[int, int, str], _Edit] = {}
    blocks: dict[tuple[int, int, str], _Edit] = {}
    for region in _reached(source, program.entry):
        for edit in _edits(source, region, wording):
            (blocks if edit.kind == "block" else changes).setdefault((edit.start, edit.end, edit.becomes), edit)
    rng = random.Random(f"{seed}/{program.code}")
    chosen = [*_sample(changes.values(), most, rng), *_sample(blocks.values(), most, rng)]
    return tuple(_mutant(program, source, edit) for edit in chosen)


def _sample(edits: Iterable[_Edit], most: int, rng: random.Random) -> list[_Edit]:
    by_kind: dict[str, list[_Edit]] = {}
    for edit in edits:
        by_kind.setdefault(edit.kind, []).append(edit)
    for same in by_kind.values():
        rng.shuffle(same)
    turns = [edit for turn in zip_longest(*by_kind.values()) for edit in turn if edit is not None]
    return sorted(turns[:most], key=lambda edit: (edit.start, edit.end))


def _mutant(program: Program, source: Source, edit: _Edit) -> Mutant:
    head, tail = source.data[: edit.start], source.data[edit.end :]
    code = (head + edit.becomes.encode() + tail).decode(errors="replace")
    was = source.span(edit.start, edit.end)
    line = source.data.count(b"\n", 0, edit.start) + 1
    return Mutant(replace(program, code=code), edit.kind, line, _short(was), _short(edit.becomes))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _reached(source: Source, entry: str) -> list[Node]:
    """Return the bodies of the entry and of what it names, and what that names in turn."""
    bodies: dict[str, list[Node]] = {}
    for node, _, _ in trees.walk(source.root):
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if node.type == "variable_declarator" and body is None:
            body = node.child_by_field_name("value")
            body = body if body is not None and body.type in _FUNCTIONS else None
        if name is not None and body is not None:
            bodies.setdefault(source.text(name), []).append(body)
    wanted, found = [re.split(r"\.|::", entry)[-1]], dict[int, Node]()
    asked = set(wanted)
    while wanted:
        for body in bodies.get(wanted.pop(), ()):
            found.setdefault(body.id, body)
            for node, _, _ in trees.walk(body):
                name = source.text(node) if node.type.endswith("identifier") else ""
                if name in bodies and name not in asked:
                    asked.add(name)
                    wanted.append(name)
    # A function inside another that is reached is a part of it.
    spans = [(body.start_byte, body.end_byte) for body in found.values()]
    return [
        body
        for body in found.values()
        if not any(a <= body.start_byte and body.end_byte <= b and (a, b) != body.byte_range for a, b in spans)
    ]


def _edits(source: Source, region: Node, wording: Wording) -> Iterator[_Edit]:
    if region.type not in _BLOCKS:
        yield from _branch(source, region, region.parent, "body", wording)
    stack: list[tuple[Node, Node | None, str]] = [(region, region.parent, "body")]
    while stack:
        node, parent, field = stack.pop()
        if _LEFT_OUT.search(node.type) or field in ("type", "return_type", "returns", "parameters", "pattern"):
            continue
        yield from _changes(source, node, parent, field, wording)
        if node is not region:
            yield from _branch(source, node, parent, field, wording)
        stack += [
            (child, node, node.field_name_for_child(i) or "") for i, child in reversed(list(enumerate(node.children)))
        ]


def _changes(source: Source, node: Node, parent: Node | None, field: str, wording: Wording) -> Iterator[_Edit]:
    text = source.text(node)
    span = node.start_byte, node.end_byte
    if not node.is_named:
        swap = _SWAPS.get(node.type) if field in ("operator", "operators") else None
        first = parent is not None and parent.start_byte == node.start_byte
        if first and node.type in _NOT:
            yield _Edit("logic", *span, "")
        elif first and field == "operator" and node.type == "-":
            yield _Edit("arithmetic", *span, "")
        elif swap is not None and not first:
            yield _Edit(swap[0], *span, swap[1])
            if node.type in _BOUNDARIES:
                yield _Edit("boundary", *span, _BOUNDARIES[node.type])
        elif node.type in _STEPS:
            yield _Edit("arithmetic", *span, _STEPS[node.type])
        return
    if node.type in _NUMBERS and _INTEGER.fullmatch(text):
        yield _Edit("number", *span, str(int(text) + 1))
    elif text in _TRUTHS and not node.named_child_count:
        yield _Edit("truth", *span, _TRUTHS[text])
    elif node.type in _TEXT_CONTENTS and not _is_prose(text) and not _is_documentation(parent):
        # One letter less, if it surely is one: texts are often lists of letters that mean something.
        yield _Edit("text", *span, "~" if len(text) == 1 else f"{text}~" if "\\" in text else text[:-1])
    elif node.type in _CHARACTERS and len(text) == 3 and text[1] != "~" and text[1].isascii():
        yield _Edit("text", *span, f"'{_next(text[1])}'")
    elif node.type in _DELETED and _is_one_step(node):
        yield _Edit("statement", *span, ";" if text.endswith(";") else wording.nothing)
    if field == "condition" and parent is not None and "switch" not in parent.type and _is_plain(node):
        yield _Edit("condition", *_inside(node), wording.negated.format(source.span(*_inside(node))))


def _next(character: str) -> str:
    return chr(ord(character) + 1) if chr(ord(character) + 1) not in "'\\" else "~"


def _is_prose(text: str) -> bool:
    """Say whether a text is a message to people: nothing is computed from it."""
    return len(text.split()) > 2


def _is_documentation(node: Node | None) -> bool:
    while node is not None and node.type in ("string", "concatenated_string"):
        node = node.parent
    return node is not None and node.type == "expression_statement"


def _is_one_step(statement: Node) -> bool:
    """Say whether a statement does something, and is neither a branch nor a loop that is written as an expression."""
    inner = statement.named_children[0].type if statement.named_children else ""
    return not re.search(r"^(if|match|while|for|loop|return|break|continue)_|block|string$", inner)


def _is_plain(condition: Node) -> bool:
    """Say whether a condition has no operator in it that is changed anyway."""
    if "let" in condition.type:
        return False
    return not any(
        child.type in _SWAPS or child.type in _NOT
        for node, _, _ in trees.walk(condition)
        for child in node.children
        if not child.is_named
    )


def _inside(node: Node) -> tuple[int, int]:
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    return node.start_byte, node.end_byte


def _branch(source: Source, node: Node, parent: Node | None, field: str, wording: Wording) -> Iterator[_Edit]:
    """Let a body fail at its start."""
    kind = parent.type if parent is not None else ""
    alone = (field in _BRANCHES and kind not in _CASES) or kind == "else_clause"
    if node.type in _BLOCKS or node.type in _CASES:
        opened = next((i for i, child in enumerate(node.children) if child.type in ("{", ":")), -1)
        inside = (c for c in node.children[opened + 1 :] if c.is_named and "comment" not in c.type)
        for first in islice(inside, 1):
            line = source.data[source.data.rfind(b"\n", 0, first.start_byte) + 1 : first.start_byte]
            apart = f"\n{line.decode()}" if not line.strip() else " "
            yield _Edit("block", first.start_byte, first.start_byte, f"{wording.fails};{apart}")
    elif (kind == "match_arm" and field == "value") or (alone and re.search(r"(?<!if)_statement$", node.type)):
        yield _Edit("block", *node.byte_range, f"{{ {wording.fails}; {source.text(node)} }}")
