"""The language registry: the only place that lists languages.

A language is one row here and one folder `parallel_mining/drivers/<id>/`; no other code names one. Whoever needs a
language's facts asks `language(id)`, whoever needs all of them walks `LANGUAGES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from quality.mistakes import bad_input

if TYPE_CHECKING:
    import tree_sitter


TextUnit = Literal["code point", "utf-16", "byte"]


@dataclass(frozen=True)
class Dialect:
    """A dialect that a language's grammar accepts, though the language itself does not.

    Args:
        name: What `Syntax.dialect` says.
        signs: Pairs of an expression that finds where syntax of its own may stand (in its first group), and the kind of
            tree-sitter node that must stand there or directly above, so that no string and no comment counts.
    """

    name: str
    signs: tuple[tuple[str, str], ...]


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
        max_errors: Bytes under ERROR nodes / bytes, above which a text without a name is not in this language. Source:
            measured on 250 files each of the packages in `tests/benchmark/lexical_packages.txt`, of 200 to 40,000
            characters: 99 % of Python, Java, JavaScript, Go and Rust have none, of TypeScript at most 0.0015, of C#
            0.031; three quarters of other files in these grammars have 0.014 and more.
        dialects: Dialects that are told from the language by syntax that only they have.
        text_unit: What an item of a text is, as its own length and indexing count.
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
    max_errors: float = 0.005
    dialects: tuple[Dialect, ...] = ()
    text_unit: TextUnit = "code point"


# Source: the Python 2.7 language reference; tree-sitter-python accepts all of it. `except A, B:` is Python again since
# 3.14, but there both are classes, and the name that Python 2 binds is in lower case. Each begins with letters, which
# makes looking for them cheap; octal and long numbers are left out, for looking at every digit is not.
_PYTHON_2 = Dialect(
    "python2",
    (
        (r"(print)[ \t]+(?:>>|[^\s=(.,:)\]])", "print_statement"),
        (r"(exec)[ \t]+[^\s=(.,:)\]]", "exec_statement"),
        (r"except[ \t]+[\w.() ,\t]{1,200}(,)[ \t]*[a-z_]\w*[ \t]*:", "except_clause"),
        (r"(raise)[ \t]+[A-Za-z_][\w.]*[ \t]*,", "raise_statement"),
        (r"(<>)", "<>"),
    ),
)

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
            dialects=(_PYTHON_2,),
        ),
        Language("java", "Java", (".java",), "tree_sitter_java:language", "//", text_unit="utf-16"),
        Language(
            "javascript",
            "JavaScript",
            (".js", ".mjs", ".cjs", ".jsx"),
            "tree_sitter_javascript:language",
            "//",
            interpreters=("node", "nodejs"),
            text_unit="utf-16",
        ),
        Language(
            "typescript",
            "TypeScript",
            (".ts", ".mts", ".cts", ".tsx"),
            "tree_sitter_typescript:language_typescript",
            "//",
            grammar_by_extension={".tsx": "tree_sitter_typescript:language_tsx"},
            interpreters=("ts-node", "tsx", "deno", "bun"),
            text_unit="utf-16",
        ),
        # One cast between pointers lets the grammar give up on the whole of a good file.
        Language(
            "csharp",
            "C#",
            (".cs",),
            "tree_sitter_c_sharp:language",
            "//",
            grammar_gives_up=True,
            max_errors=0.05,
            text_unit="utf-16",
        ),
        Language("go", "Go", (".go",), "tree_sitter_go:language", "//", text_unit="byte"),
        Language("rust", "Rust", (".rs",), "tree_sitter_rust:language", "//", text_unit="byte"),
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
