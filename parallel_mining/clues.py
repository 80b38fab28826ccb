"""What, beside its words, says of which function elsewhere a unit is a translation? File names, notes and test vectors.

Start at `clues_of` (the clues of the units of one file). A clue is a key `channel:...`; a unit *answers* to some and
*asks* for some, and two units meet where one asks for what the other answers to (`parallel_mining.channels`):

- `stem:` the name of its file, or of the folder of a file such as `index`; it asks for what it answers to.
- `port:` what it is called (package, file, function); it asks for what notes such as "ported from" name.
- `vectors:` literals in its documentation's examples and in tests that call it; it asks for what it answers to.

What always holds: keys depend on the texts of the unit's own repository only, and on no count over the corpus; which
of them are too common to mean anything is decided where they are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from parallel_mining.comments import comments_in
from parallel_mining.words import folded, literals_of, name_parts
from quality.languages import LANGUAGES


@dataclass(frozen=True)
class Clues:
    """What a unit answers to and what it asks for, each sorted."""

    answers: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


NO_CLUES = Clues()

_FOLDERS_OWN = frozenset("index mod main lib init example solution proof src".split())  # noqa: SIM905
"""Names of files that are called what their folder is called."""

_COMMON = frozenset(
    """array arrays base collection collections common compat config const constant constants core data date dist error
    errors exception exceptions func funcs function functions general helper helpers impl internal internals list lists
    math misc module number numbers object objects other program set shared source string strings test tests text tool
    tools type types util utilities utility utils version""".split()  # noqa: SIM905
)
"""Names of files that say too little about what is in them, in any language."""

_USUAL = (
    frozenset(
        """true false none null undefined hello world test value name foobar alpha beta lorem ipsum abcd abcde
    abcdef""".split()  # noqa: SIM905
    )
    | {"hello world", "foo bar", *("123456789"[:n] for n in range(3, 10))}
)
"""Texts and numbers of examples about anything."""

_PACKAGE = re.compile(
    r"^(?:golang-(?:github|gitlab|golang|gopkg)-(?:[^-]+-)?|librust-|lib(?=.+-(?:java|perl)$)|python3?-|node-)?"
    r"(?P<name>.+?)(?:-dev|-java|-perl|\.js|-js|js)?$"
)
"""A package's own name within the one that a distribution gives it. Source: the Debian policies for Go, Rust, Python,
Java and Node.js packages; `js` behind a name is how npm's packages tell themselves from what they port."""


def stem_of(path: str, repo_name: str) -> str:
    """Return the name that a file has among those of its kind in any language, or "" where it says nothing.

    `src/edit_distance.rs`, `EditDistance.java`, `edit-distance/index.js` are all `editdistance`.

    Args:
        path: Its path below the repository.
        repo_name: The repository, which names a file `index` at its top.
    """
    name = path.rpartition("/")[2].partition(".")[0]
    folders = path.split("/")[:-1]
    while joined(name) in _FOLDERS_OWN and folders:
        name = folders.pop()
    found = package_of(repo_name) if joined(name) in _FOLDERS_OWN else joined(name)
    return "" if found in _COMMON or found in _FOLDERS_OWN or len(found) < 3 else found


def package_of(repo_name: str) -> str:
    """Return what people call a package: `inflection` for `npm:inflection`, `strcase` for a Go package of Debian's."""
    name = repo_name.rpartition(":")[2].partition("=")[0].rpartition("/")[2]
    found = _PACKAGE.match(name.lower())
    return joined(found["name"] if found else name)


def joined(name: str) -> str:
    """Return a name in lower case without what separates its parts: `edit_distance`, `EditDistance`: `editdistance`."""
    return "".join(name_parts(name))


_STRONG = r"(?:port(?:ed)?|translat(?:ed|ion)|transliterat(?:ed|ion)|converted|adapted|rewrite|re-?implementation)"
_NOTE = re.compile(
    rf"\b(?:(?P<strong>{_STRONG}(?:\s+\S+){{0,2}}?\s+(?:of|from))|based\s+(?:up)?on)\b(?P<rest>[^\n]*(?:\n[^\n]+)?)",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[`'\"*:]*(?P<name>[A-Za-z@][\w.\-/:@]*\w)(?P<call>\(?)")
_SENTENCE = re.compile(r"[.;:!?](?:\s|$)|\bCopyright\b|\n\s*\n")
_NAMES_IN_A_NOTE = 12


def notes_in(text: str) -> frozenset[str]:
    """Return the keys that the notes of comments ask for.

    What follows "port of" may be the name of a package, whatever it looks like; what follows "based on", and names of
    files and functions, have to look like code, and after "based on" be of several words, as the others are common in
    prose. A language's name is no name.
    """
    asked: set[str] = set()
    for note in _NOTE.finditer(text):
        rest = re.sub(r"\n[\s/*#!>|-]*", " ", note["rest"])
        names = _NAMED.finditer(_SENTENCE.split(rest)[0])
        for found, _ in zip(names, range(_NAMES_IN_A_NOTE), strict=False):
            whole = found["name"]
            coded = bool(found["call"] or re.search(r"[a-z][A-Z]|\w[_.:/]+\w", whole)) or found.group()[0] in "`:"
            if not coded and not note["strong"]:
                continue
            for name in (whole, *re.split(r"[./:@#]+", whole)):
                key = joined(name)
                if len(key) < 4 or key in _NO_NAMES:
                    continue
                asked.add(f"port:package {key}")
                if coded and (note["strong"] or len(name_parts(name)) > 1):
                    asked |= {f"port:file {key}", f"port:function {folded(name)}"}
    return frozenset(asked)


_NO_NAMES = (
    _COMMON
    | _FOLDERS_OWN
    | {joined(name) for row in LANGUAGES.values() for name in (row.id, row.name)}
    | frozenset(
        """https http github blob master code this that these those from original originally version implementation
        algorithm algorithms library file with which their there also some work release released""".split()  # noqa: SIM905
    )
)

_TEST = re.compile(
    r"(?m)^[ \t]*(?:def test\w*\(|func (?:Test|Example)\w*\(|#\[test\]|@Test\b|\[Test(?:Case)?\b|(?:it|test)\()"
)
"""Where a test begins, in the test frameworks that people use with the languages; any of them in any language."""

_TEST_LINES = 60
_LONGEST_EXAMPLE = 400
_CALLED = re.compile(r"([A-Za-z_$][\w$]*)!?\s*\(")
_EXAMPLE = re.compile(r">>>|=>|==|->|\bassert|\breturns\b|// ?[\[\"'\d]")


def vectors_of_tests(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the vectors of the tests that a repository's files hold, by the names that are called in them."""
    found: dict[str, set[str]] = {}
    for text in texts:
        starts = [test.start() for test in _TEST.finditer(text)]
        for start, end in pairwise([*starts, len(text)]):
            block = "\n".join(text[start:end].split("\n", _TEST_LINES)[:_TEST_LINES])
            vectors = set(vectors_in(block))
            if vectors:
                for name in set(_CALLED.findall(block)):
                    found.setdefault(name, set()).update(vectors)
    return {name: tuple(sorted(vectors)) for name, vectors in found.items()}


def examples_in(names: Sequence[str], comments: str) -> list[str]:
    """Return the vectors of the lines of a documentation that call a function or show what comes out, and of the next.

    Args:
        names: What the function is called.
        comments: Its comments and docstrings.
    """
    called = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\s*\(")
    lines = [line[:_LONGEST_EXAMPLE] for line in comments.split("\n")]
    shown = [i for i, line in enumerate(lines) if called.search(line) or _EXAMPLE.search(line)]
    chosen = sorted({at for i in shown for at in (i, i + 1) if at < len(lines)})
    return vectors_in("\n".join(lines[at] for at in chosen))


def vectors_in(text: str) -> list[str]:
    """Return the keys of the literals in a text that are not used everywhere.

    Numbers are compared to four significant digits, as examples print them; those of fewer than three are left out, as
    are powers of two and those less one, and texts of fewer than four characters.
    """
    found: list[str] = []
    for literal in literals_of(text):
        if isinstance(literal, str):
            written = literal if len(literal) > 3 and any(c.isalnum() for c in literal) else ""
        else:
            written = str(literal) if isinstance(literal, int) else f"{literal:.4g}"
            mantissa = written.partition("e")[0].replace(".", "").replace("-", "")
            plain = isinstance(literal, int) and (literal & (literal - 1) == 0 or literal & (literal + 1) == 0)
            written = written if len(mantissa.strip("0")) > 2 and not plain else ""
        if written and written.lower() not in _USUAL:
            found.append(f"vectors:{type(literal).__name__[0]} {written}")
    return found


def clues_of(
    language_id: str,
    repo_name: str,
    path: str,
    text: str,
    functions: Sequence[tuple[Sequence[str], str]],
    tests: Mapping[str, Sequence[str]],
) -> Iterator[Clues]:
    """Yield the clues of the units of one file, in the order in which they are given.

    Args:
        language_id: The language.
        repo_name: The repository.
        path: The file.
        text: Its text.
        functions: For each unit what it may be called, the own name first, and its text with the comment above it.
        tests: What `vectors_of_tests` found in the repository.
    """
    stem = stem_of(path, repo_name)
    package = package_of(repo_name)
    shared = {f"stem:{stem}"} if stem else set[str]()
    called = {f"port:package {package}"} | ({f"port:file {stem}"} if stem else set[str]())
    asked_by_all: frozenset[str] = frozenset()
    noted = bool(_NOTE.search(text))
    if noted:
        rest = text
        for _, own in functions:
            rest = rest.replace(own, "", 1)
        asked_by_all = notes_in("\n".join(comments_in(language_id, rest)))
    for names, own in functions:
        comments = "\n".join(comments_in(language_id, own))
        vectors = {*examples_in(names, comments), *(key for name in names for key in tests.get(name, ()))}
        asked = asked_by_all | (notes_in(comments) if noted else frozenset[str]())
        answers = {*called, f"port:function {folded(names[0])}"}
        yield Clues(tuple(sorted(shared | vectors | answers)), tuple(sorted(shared | vectors | asked)))


__all__ = [
    "NO_CLUES",
    "Clues",
    "clues_of",
    "joined",
    "notes_in",
    "package_of",
    "stem_of",
    "vectors_in",
    "vectors_of_tests",
]
