"""Which files are whole programs, that read standard input or nothing and write standard output, and may be run?

Start at `whole`. How a language's programs look is said by its `syntax` module in a `Form`; a language without one has
functions only. What a program is allowed that a function is not is its standard input and output; whatever else reaches
outside it, or depends on more than its input, is refused with a reason as it is for functions.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.cutting import MAX_UNIT_BYTES
from parallel_mining.trees import Source

ARGUMENTS = "command-line arguments"


@dataclass(frozen=True)
class Form:
    """How a language's whole programs look.

    Args:
        starts: What makes a file run when it is started, such as `func main()`; sought in its text without comments and
            without what stands in strings.
        imports: An import; its first group that matched is what is imported. Sought in the text without comments.
        allowed: What may be imported, matched as a whole.
        reads: What reads standard input.
        denied: Reason to what must not stand in a program.
        must_read: A file that reads nothing is no program, but a module that does something when it is loaded.
    """

    starts: re.Pattern[str]
    imports: re.Pattern[str]
    allowed: re.Pattern[str]
    reads: re.Pattern[str]
    denied: Mapping[str, re.Pattern[str]]
    must_read: bool = False


@dataclass(frozen=True)
class Found:
    """A whole program.

    Args:
        refusal: Why it must not be run, or "".
        trivial: Why running it would prove nothing, or "".
    """

    refusal: str = ""
    trivial: str = ""


def whole(language_id: str, form: Form, path: str, text: str) -> Found | None:
    """Judge a file.

    Args:
        language_id: Its language.
        form: How programs of the language look.
        path: Its path.
        text: Its source.

    Returns:
        What was found, or None where the file is no whole program.
    """
    if not form.starts.search(text):
        return None
    source = trees.parse(language_id, text, posixpath.splitext(path)[1])
    if source.root.has_error:
        return None
    spoken = _without(source, _comments(source.root))
    bare = _without(Source(spoken, source.root), _strings(source.root)).decode(errors="replace")
    reads = form.reads.search(spoken.decode(errors="replace"))
    if not form.starts.search(bare) or (form.must_read and not reads):
        return None
    if len(text.encode(errors="replace")) > MAX_UNIT_BYTES:
        return Found(f"too long: over {MAX_UNIT_BYTES} bytes")
    for reason, pattern in form.denied.items():
        seen = pattern.search(bare)
        if seen:
            return Found(f"impure: {reason} ({' '.join(seen.group().split())[:40]})")
    for match in form.imports.finditer(spoken.decode(errors="replace")):
        name = next((group for group in match.groups() if group), "")
        for one in re.split(r"\s*,\s*", name):
            if one and not form.allowed.fullmatch(one.split(" as ")[0].strip()):
                return Found(f"imports: {one[:60]}")
    return Found(trivial="" if reads else "it reads no input")


def _comments(root: Node) -> list[Node]:
    return [node for node, _, _ in trees.walk(root) if "comment" in node.type]


_TEXT = re.compile(
    r"string_content|string_fragment|string_literal_content|^string_literal$|raw_string|char|rune|regex$"
)


def _strings(root: Node) -> list[Node]:
    """Return what stands in strings, but neither the expressions that are put into them nor the name of the input."""
    return [
        node
        for node, _, _ in trees.walk(root)
        if _TEXT.search(node.type) and not node.named_child_count and node.text != b"/dev/stdin"
    ]


def _without(source: Source, nodes: Sequence[Node]) -> bytes:
    data = bytearray(source.data)
    for node in nodes:
        kept = bytes(c if c == 10 else 32 for c in data[node.start_byte : node.end_byte])
        data[node.start_byte : node.end_byte] = kept
    return bytes(data)


_GENERAL = frozenset(["main", "program", "index", "app", "solution", "src", "__main__", "run", "bin", "a", "cmd"])


def name_of(path: str) -> str:
    """Return the name of a whole program: its file's, or that of a folder where the file's says nothing."""
    parts = [part.partition(".")[0] for part in path.split("/")]
    return next((part for part in reversed(parts) if part and part.lower() not in _GENERAL), parts[-1])
