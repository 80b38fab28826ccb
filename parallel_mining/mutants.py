"""Small mistakes put into a program on purpose: inputs that cannot tell it from these prove nothing about it.

Start at `mutants`. A mutant is the program with one change in what its entry runs; two kinds are made:

    a change   one operator, number, truth value, text, condition or statement is another one or gone
    a block    the body of a branch, loop or case of the entry itself begins by failing: where no result changes, no
               input reached it, which is how coverage is measured alike in every language

What must be changed is found in tree-sitter trees by words and kinds of nodes that grammars share; how a language says
"fail", "not" and "nothing" stands in its `syntax` module (`Wording`). The operators are those of the field (relational,
arithmetic and logical operator replacement, constant replacement, negated conditions, statement deletion: Offutt et
al., "An experimental determination of sufficient mutant operators", TOSEM 5(2), 1996).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.pairs import WHOLE, Program
from parallel_mining.trees import Source

Kind = Literal[
    "relation", "boundary", "arithmetic", "logic", "number", "truth", "text", "condition", "statement", "block"
]


REACHED = "branch reached"


@dataclass(frozen=True)
class Wording:
    """How a language says what mutants are made of.

    Args:
        fails: A statement that raises an error that says `REACHED`, without its end; the compiler must take statements
            after it.
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
        own: Whether it is of the entry itself, not of what it calls.
        reach: The program with the innermost block around the change failing, by which is found out if inputs reach it;
            None where all do.
    """

    program: Program
    kind: Kind
    line: int
    was: str
    becomes: str
    own: bool = True
    reach: Program | None = None

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
_FEW_CELLS = 6
_HARDLY_ANY = 4
# Helpers ask for names and types that a pair's domain has not.
_NOT_OF_HELPERS = frozenset(["block", "text", "truth"])
_TYPE_QUESTIONS = re.compile(r"(typeof|hasattr|getattr)\b")
_GUARDS = re.compile(r"(\w+(\.|::))*_?(debug_)?(assert|check|require|ensure|verify|validate)\w*\W")
_CLASSES = re.compile(r"class|interface|struct|enum|record|trait|impl|namespace|module|internal_module")
# By contract nothing but speed may depend on what these give back.
_HINTS = frozenset(["size_hint", "__length_hint__"])
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
        most: How many changes at most, and how many blocks; of more, a sample of every kind. Changes of the entry
            itself go before those of what it calls, which are made only where it has hardly any.
        seed: Of the sample.

    Returns:
        Mutants, all different; not all may compile.
    """
    source = trees.parse(program.language, program.code)
    bodies = _bodies(source)
    own, helpers = _reached(source, program.entry, bodies)
    rng = random.Random(f"{seed}/{program.code}")
    edits = [found for region in own for found in _edits(source, region, wording, None, bodies.keys())]
    blocks = _sample([found for found in edits if found[0].kind == "block"], most, rng)
    changes = _sample([found for found in edits if found[0].kind != "block"], most, rng)
    if len(changes) < min(_HARDLY_ANY, most):
        inner = [found for region in helpers for found in _edits(source, region, wording, region.parent, bodies.keys())]
        changes += _sample([found for found in inner if found[0].kind not in _NOT_OF_HELPERS], most - len(changes), rng)
    return tuple(_mutant(program, source, own, *found) for found in (*changes, *blocks))


_Found = tuple[_Edit, _Edit | None]
"""An edit, and the one that makes the innermost block around it fail."""


def _sample(edits: Sequence[_Found], most: int, rng: random.Random) -> list[_Found]:
    by_kind: dict[str, list[_Found]] = {}
    for found in dict.fromkeys(edits):
        by_kind.setdefault(found[0].kind, []).append(found)
    for same in by_kind.values():
        rng.shuffle(same)
    turns = [found for turn in zip_longest(*by_kind.values()) for found in turn if found is not None]
    return sorted(turns[:most], key=lambda found: (found[0].start, found[0].end))


def _mutant(program: Program, source: Source, own_bodies: Sequence[Node], edit: _Edit, around: _Edit | None) -> Mutant:
    line = source.data.count(b"\n", 0, edit.start) + 1
    was = _short(source.span(edit.start, edit.end))
    reach = _edited(program, source, around) if around is not None else None
    own = any(body.start_byte <= edit.start <= body.end_byte for body in own_bodies)
    return Mutant(_edited(program, source, edit), edit.kind, line, was, _short(edit.becomes), own, reach)


def _edited(program: Program, source: Source, edit: _Edit) -> Program:
    changed = source.data[: edit.start] + edit.becomes.encode() + source.data[edit.end :]
    return replace(program, code=changed.decode(errors="replace"))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _bodies(source: Source) -> dict[str, list[Node]]:
    """Return the bodies of functions by name, those of a class by its name too: who names it may call any of them."""
    bodies: dict[str, list[Node]] = {}
    for node, _, _ in trees.walk(source.root):
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if node.type == "impl_item":  # it goes by the name of its type
            kind = node.child_by_field_name("type")
            name = (
                next((i for i, _, _ in trees.walk(kind) if i.type == "type_identifier"), None)
                if kind is not None
                else None
            )
        if node.type == "variable_declarator" and body is None:
            body = node.child_by_field_name("value")
            body = body if body is not None and body.type in _FUNCTIONS else None
        if name is None or body is None or source.text(name) in _HINTS:
            continue
        inner = [
            part
            for item, _, _ in (trees.walk(body) if _CLASSES.search(node.type) else ())
            for title in [item.child_by_field_name("name")]
            if title is not None and source.text(title) not in _HINTS and not _CLASSES.search(item.type)
            for part in [item.child_by_field_name("body")]
            if part is not None
        ]
        bodies.setdefault(source.text(name), []).extend(inner if _CLASSES.search(node.type) else [body])
    return bodies


def _reached(source: Source, entry: str, bodies: Mapping[str, list[Node]]) -> tuple[list[Node], list[Node]]:
    """Return the bodies of the entry (more than one where it is overloaded), and of what it calls, directly or not.

    A whole program is all its own.
    """
    if entry == WHOLE:
        return [source.root], []
    first = re.split(r"\.|::", entry)[-1]
    wanted, asked = [first], {first}
    found: dict[tuple[int, int], Node] = {}
    while wanted:
        for body in bodies.get(wanted.pop(), ()):
            found.setdefault(body.byte_range, body)
            for node, _, _ in trees.walk(body):
                name = source.text(node) if node.type.endswith("identifier") else ""
                if name in bodies and name not in asked:
                    asked.add(name)
                    wanted.append(name)
    # A function inside another that is reached is a part of it.
    outer = [
        body
        for (start, end), body in found.items()
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b in found)
    ]
    own = {body.byte_range for body in bodies.get(first, ())}
    return [b for b in outer if b.byte_range in own], [b for b in outer if b.byte_range not in own]


def _edits(source: Source, region: Node, wording: Wording, holder: Node | None, names: Set[str]) -> Iterator[_Found]:
    """Yield what can be changed in a body.

    Args:
        source: The program.
        region: The body.
        wording: How the language says it.
        holder: What the body is the body of, where it can be that no input reaches it; None for the entry.
        names: Of functions: a text that is one is for people.
    """
    around = None if holder is None else _block(source, region, holder, "body", wording)
    stack: list[tuple[Node, Node | None, str, _Edit | None]] = [(region, region.parent, "body", around)]
    while stack:
        node, parent, field, around = stack.pop()
        if _LEFT_OUT.search(node.type) or field in ("type", "return_type", "returns", "parameters", "pattern"):
            continue
        for edit in _changes(source, node, parent, field, wording):
            if edit.kind != "text" or source.text(node) not in names:
                yield edit, around
        block = _block(source, node, parent, field, wording) if node is not region else None
        if block is not None:
            yield block, None
            around = block
        stack += [
            (child, node, node.field_name_for_child(i) or "", around)
            for i, child in reversed(list(enumerate(node.children)))
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
    if node.type in _NUMBERS and _INTEGER.fullmatch(text) and not _is_cell(node, parent):
        yield _Edit("number", *span, str(int(text) + 1))
    elif text in _TRUTHS and not node.named_child_count:
        yield _Edit("truth", *span, _TRUTHS[text])
    elif node.type in _TEXT_CONTENTS and not _is_said(source, text, parent):
        # One letter less, if it surely is one: texts are often lists of letters that mean something.
        yield _Edit("text", *span, "~" if len(text) == 1 else f"{text}~" if "\\" in text else text[:-1])
    elif node.type in _CHARACTERS and len(text) == 3 and text[1] != "~" and text[1].isascii():
        yield _Edit("text", *span, f"'{_next(text[1])}'")
    elif node.type in _DELETED and _is_one_step(node) and not _GUARDS.match(text):
        yield _Edit("statement", *span, ";" if text.endswith(";") else wording.nothing)
    if field == "condition" and parent is not None and "switch" not in parent.type and _is_plain(node):
        yield _Edit("condition", *_inside(node), wording.negated.format(source.span(*_inside(node))))


def _is_cell(node: Node, parent: Node | None) -> bool:
    """Say whether a number stands in a table, and is not the one in the middle: a few inputs read few cells."""
    beside = parent.named_children if parent is not None else []
    return len(beside) > _FEW_CELLS and beside[len(beside) // 2].byte_range != node.byte_range


def _next(character: str) -> str:
    return chr(ord(character) + 1) if chr(ord(character) + 1) not in "'\\" else "~"


def _is_said(source: Source, text: str, holder: Node | None) -> bool:
    """Say whether a text is for people, or asks for a type: nothing is computed from it."""
    if len(text.split()) > 2:
        return True
    while holder is not None and holder.type in ("string", "concatenated_string", "argument_list"):
        holder = holder.parent
    if holder is None or holder.type == "expression_statement":
        return True
    return holder.type in ("call", "binary_expression") and bool(_TYPE_QUESTIONS.match(source.text(holder)))


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


def _block(source: Source, node: Node, parent: Node | None, field: str, wording: Wording) -> _Edit | None:
    """Return what makes a body fail at its start, if a node is one."""
    kind = parent.type if parent is not None else ""
    alone = (field in _BRANCHES and kind not in _CASES) or kind == "else_clause"
    if node.type in _BLOCKS or node.type in _CASES:
        opened = next((i for i, child in enumerate(node.children) if child.type in ("{", ":")), -1)
        inside = (c for c in node.children[opened + 1 :] if c.is_named and "comment" not in c.type)
        first = next(inside, None)
        if first is None:
            return None
        line = source.data[source.data.rfind(b"\n", 0, first.start_byte) + 1 : first.start_byte]
        apart = f"\n{line.decode()}" if not line.strip() else " "
        return _Edit("block", first.start_byte, first.start_byte, f"{wording.fails};{apart}")
    if (kind == "match_arm" and field == "value") or (alone and re.search(r"(?<!if)_statement$", node.type)):
        return _Edit("block", *node.byte_range, f"{{ {wording.fails}; {source.text(node)} }}")
    return None
