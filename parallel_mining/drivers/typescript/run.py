"""How TypeScript programs are run: node strips the types (and turns enums into objects), and runs the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from parallel_mining.drivers import Job, Toolchain, Unavailable
from parallel_mining.drivers.javascript.run import BATCH, find_node, node_job, node_whole_job, tested
from parallel_mining.pairs import Program
from quality.languages import grammar_of

if TYPE_CHECKING:
    import tree_sitter

__all__ = ["BATCH", "job", "tested", "toolchain", "whole_job"]


def toolchain() -> Toolchain | Unavailable:
    """Return a node that is new enough to strip types."""
    return find_node("typescript")


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    types = {k: maps(program) for k, program in enumerate(programs) if re.search(r"\bMap\b", program.code)}
    return replace(node_job(programs, tools, "ts"), types=types)


def whole_job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch of whole programs."""
    return node_whole_job(programs, tools, "ts")


def maps(program: Program) -> list[str]:
    """Return a program's parameter types, with `map` for each dict that the source declares as a `Map`.

    A canonical dict is a plain object for JavaScript unless it is said to be a `Map`, and only the source says so.
    """
    import tree_sitter

    declared = [str(kind) for kind in program.parameters or ()]
    root = tree_sitter.Parser(grammar_of("typescript")).parse(program.code.encode()).root_node
    name = program.entry.rsplit(".", 1)[-1]
    function = _function(root, name)
    listed = function.child_by_field_name("parameters") if function else None
    texts = [child.text.decode() if child.text else "" for child in listed.named_children] if listed else []
    # Without declared types the places are known from the source alone.
    declared = declared if len(declared) == len(texts) else ["any"] * len(texts)
    return [
        f"map[{kind.removeprefix('dict[')}" if re.search(r":\s*(?:Readonly)?Map<", text) else kind
        for kind, text in zip(declared, texts, strict=True)
    ]


def _function(node: tree_sitter.Node, name: str) -> tree_sitter.Node | None:
    for child in node.named_children:
        named = child.child_by_field_name("name")
        if named is not None and named.text == name.encode():
            value = child.child_by_field_name("value")
            if child.child_by_field_name("parameters") is not None:
                return child
            if value is not None and value.child_by_field_name("parameters") is not None:
                return value
        found = _function(child, name)
        if found is not None:
            return found
    return None
