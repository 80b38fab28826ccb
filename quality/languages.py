"""The language registry: the only place that lists languages.

A language is one row here and one folder `parallel_mining/drivers/<id>/`; no other code names one. Whoever needs a
language's facts asks `language(id)`, whoever needs all of them walks `LANGUAGES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from quality.mistakes import bad_input

if TYPE_CHECKING:
    import tree_sitter


@dataclass(frozen=True)
class Language:
    """A programming language.

    Args:
        id: The name used in files, columns and options.
        name: The name people read.
        extensions: File name endings, lower case, with the dot.
        grammar: `module:function` of the tree-sitter grammar.
        grammar_by_extension: Grammars that differ for some endings (`.tsx`).
        interpreters: Program names that may stand in a `#!` line.
        line_comment: What starts a comment that ends with the line.
        block_comments: Pairs of opening and closing marks.
        grammar_gives_up: Whether the grammar reports much of many a good file as an error, so that errors say nothing.
    """

    id: str
    name: str
    extensions: tuple[str, ...]
    grammar: str
    line_comment: str
    block_comments: tuple[tuple[str, str], ...] = (("/*", "*/"),)
    grammar_by_extension: Mapping[str, str] = field(default_factory=dict[str, str])
    interpreters: tuple[str, ...] = ()
    grammar_gives_up: bool = False


LANGUAGES: dict[str, Language] = {
    row.id: row
    for row in (
        Language(
            "python",
            "Python",
            (".py", ".pyi"),
            "tree_sitter_python:language",
            "#",
            (('"""', '"""'), ("'''", "'''")),
            interpreters=("python", "python2", "python3"),
        ),
        Language("java", "Java", (".java",), "tree_sitter_java:language", "//"),
        Language(
            "javascript",
            "JavaScript",
            (".js", ".mjs", ".cjs", ".jsx"),
            "tree_sitter_javascript:language",
            "//",
            interpreters=("node", "nodejs"),
        ),
        Language(
            "typescript",
            "TypeScript",
            (".ts", ".mts", ".cts", ".tsx"),
            "tree_sitter_typescript:language_typescript",
            "//",
            grammar_by_extension={".tsx": "tree_sitter_typescript:language_tsx"},
            interpreters=("ts-node", "tsx", "deno", "bun"),
        ),
        # One cast between pointers lets the grammar give up on the whole of a good file.
        Language("csharp", "C#", (".cs",), "tree_sitter_c_sharp:language", "//", grammar_gives_up=True),
        Language("go", "Go", (".go",), "tree_sitter_go:language", "//"),
        Language("rust", "Rust", (".rs",), "tree_sitter_rust:language", "//"),
    )
}


def language(language_id: str) -> Language:
    """Return the registry row of a language.

    Raises:
        BadInput: No such language.
    """
    if language_id not in LANGUAGES:
        bad_input("language", f"{language_id!r} is not in the registry; known: {', '.join(sorted(LANGUAGES))}")
    return LANGUAGES[language_id]


@cache
def grammar(spec: str) -> tree_sitter.Language:
    """Return the tree-sitter grammar named `module:function`, loaded once a process."""
    import tree_sitter

    module, function = spec.split(":")
    return tree_sitter.Language(getattr(importlib.import_module(module), function)())


def grammar_of(language_id: str, extension: str = "") -> tree_sitter.Language:
    """Return the grammar for a language and, where endings differ, a file name ending (lower case, with the dot)."""
    row = language(language_id)
    return grammar(row.grammar_by_extension.get(extension, row.grammar))
