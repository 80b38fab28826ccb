"""What is this file: which language, and is it source that somebody wrote?

Start at `classify`, or at `classify_decoded` where the text is at hand already. The file's name proposes a language,
and its first bytes and marks in its text confirm it. Where they do not, or there is no name (the path is empty, or says
nothing), `quality.lexical` proposes, and the tree-sitter grammars of what it proposes decide by the share of bytes
under ERROR nodes; a grammar that accepts another language's files, as TypeScript's does JavaScript's, never overrules a
name. A file in no language of the registry gets None. `decode` is how every part of the project turns bytes into text.

Rules are keyed by file name endings, not by languages: a language without rules here is told by its registry row alone.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from quality.languages import LANGUAGES
from quality.lexical import proposals
from quality.syntax import dialect, error_ratio

Kind = Literal[
    "source",
    "test",
    "declaration",
    "generated",
    "minified",
    "vendored",
    "data",
    "text",
    "binary",
    "undecodable",
    "empty",
]


@dataclass(frozen=True)
class Classification:
    """What a file is.

    Args:
        language: A language id, or None outside the registry.
        kind: `source` and `test` were written by hand here; the rest were not, or are no program text. `binary` is no
            text, `undecodable` is text in no encoding that can be told.
        confidence: 0 to 1.
        reason: One line: which rules decided.
        dialect: One of the language's dialects, such as `python2`; empty for the language itself.
    """

    language: str | None
    kind: Kind
    confidence: float
    reason: str
    dialect: str = ""


@dataclass(frozen=True)
class Decoded:
    """Text and how it was decoded.

    Args:
        text: The text, without a byte order mark.
        encoding: A Python codec name: `utf-8`, `utf-8-sig`, `utf-16-le`, `utf-16-be`, `cp1252`, ...
        confidence: 1 where the encoding is certain.
    """

    text: str
    encoding: str
    confidence: float


# --- Decoding ---------------------------------------------------------------------------------------------------------

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be", "utf-16-be"),
)
# Source: PEP 263, the expression that declares a file's encoding in its first two lines.
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\v\b\x1a\x1b"))
# Above this share of control characters a file is no text, whatever it decodes as; form feeds and escapes do not count.
_MAX_CONTROL_SHARE = 0.005
_MIN_CONFIDENCE = 0.5


def decode(data: bytes) -> Decoded | str:
    """Decode bytes strictly, or return the reason they are no text.

    Tried in order: a byte order mark, UTF-8, UTF-16 without a mark, the encoding that the file declares (PEP 263), and
    Windows-1252 where its high bytes stand as letters and quotation marks do in text.

    Args:
        data: The whole file.

    Returns:
        The text, or `binary` (NUL or control characters), or `undecodable` (text in no encoding that can be told).
    """
    for mark, name, codec in _BOMS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], codec, name, 1.0) or "undecodable"
    if b"\0" in data:
        return _utf16_without_mark(data) or "binary"
    if len(data.translate(None, _CONTROL)) < len(data) * (1 - _MAX_CONTROL_SHARE):
        return "binary"
    plain = _strictly(data, "utf-8", "utf-8", 1.0)
    if plain is not None:
        return plain
    for line in data.split(b"\n", 2)[:2]:
        declared = _CODING.match(line)
        if declared:
            found = _strictly(data, declared[1].decode("ascii", "replace"), "", 0.95)
            if found is not None:
                return found
    return _windows_1252(data)


def _strictly(data: bytes, codec: str, name: str, confidence: float) -> Decoded | None:
    try:
        text = data.decode(codec)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None
    if "\0" in text:
        return None
    return Decoded(text, name or codec.lower(), confidence)


def _utf16_without_mark(data: bytes) -> Decoded | None:
    """Decode UTF-16 that is mostly ASCII: one byte of each pair is NUL in most pairs, the other in none."""
    sample = data[: 1 << 16]
    pairs = len(sample) // 2
    if pairs < 2 or len(data) % 2:
        return None
    even, odd = sample[0 : 2 * pairs : 2].count(0), sample[1 : 2 * pairs : 2].count(0)
    if odd > 0.5 * pairs and even == 0:
        return _strictly(data, "utf-16-le", "utf-16-le", 0.9)
    if even > 0.5 * pairs and odd == 0:
        return _strictly(data, "utf-16-be", "utf-16-be", 0.9)
    return None


def _windows_1252(data: bytes) -> Decoded | str:
    found = _strictly(data, "cp1252", "cp1252", 1.0)
    if found is None:
        return "undecodable"
    high = [i for i, c in enumerate(found.text) if ord(c) > 127]
    text = found.text
    # Western text has single accented letters among ASCII ones, and signs between words; other encodings read this way
    # give runs of high characters.
    alone = sum(1 for at in high if _stands_alone(text, at))
    in_runs = sum(1 for i in high if 0 < i < len(text) - 1 and ord(text[i - 1]) > 127 and ord(text[i + 1]) > 127)
    confidence = 0.9 * max(0.0, (alone - 2 * in_runs) / len(high)) * (1 if len(high) <= 0.2 * len(text) else 0)
    return Decoded(text, "cp1252", round(confidence, 3)) if confidence >= _MIN_CONFIDENCE else "undecodable"


_SIGNS = frozenset(
    "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00a9\u00ae\u00b0\u00a7\u00b1\u00b7\u00ab\u00bb\xa0\u2122\u20ac\u00a3\u00b5\u00d7\u00b2\u00b3"
)


def _stands_alone(text: str, at: int) -> bool:
    beside = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
    return (text[at].isalpha() or text[at] in _SIGNS) and (at == 0 or any(ord(c) < 128 for c in beside))


# --- Names ------------------------------------------------------------------------------------------------------------

_DATA_ENDINGS = frozenset(
    [
        ".bib",
        ".cfg",
        ".conf",
        ".csproj",
        ".css",
        ".csv",
        ".dat",
        ".diff",
        ".env",
        ".fsproj",
        ".geojson",
        ".gml",
        ".graphml",
        ".hbs",
        ".htm",
        ".html",
        ".ini",
        ".ipynb",
        ".json",
        ".json5",
        ".jsonc",
        ".jsonl",
        ".less",
        ".lock",
        ".map",
        ".mod",
        ".nuspec",
        ".patch",
        ".plist",
        ".po",
        ".pom",
        ".pot",
        ".properties",
        ".proto",
        ".props",
        ".resx",
        ".scss",
        ".sln",
        ".snap",
        ".sum",
        ".svg",
        ".targets",
        ".tex",
        ".toml",
        ".tsv",
        ".vbproj",
        ".wsdl",
        ".xaml",
        ".xml",
        ".xsd",
        ".xsl",
        ".xslt",
        ".yaml",
        ".yml",
    ]
)
_TEXT_ENDINGS = (".adoc", ".asciidoc", ".markdown", ".md", ".mdx", ".org", ".pod", ".rst", ".rtf", ".text", ".txt")
_TEXT_NAMES = re.compile(
    r"^(?:authors|changelog|changes|contributing|contributors|copying|copyright|credits|history|install|licen[cs]e.*|"
    r"maintainers|news|notice|patents|readme|thanks|todo|unlicen[cs]e|version)$",
    re.IGNORECASE,
)
_DECLARATION = re.compile(r"(?:\.d\.(?:[\w-]+\.)?[cm]?ts|\.pyi)$")

# Folders and files copied from elsewhere, on the full path.
# Source: github-linguist, lib/linguist/vendor.yml (the same folders; `dist/` and `cache/` are left out, for published
# packages keep their own code there).
_VENDORED = re.compile(
    r"(?:^|/)(?:"
    r"(?:v+endor|vendors|vendored|_vendor|_vendored)/"
    r"|node_modules/|bower_components/|jspm_packages/|\.yarn/"
    r"|(?:3rd|third)[-_]?party/|thirdparty/|externals?/|extern/"
    r"|godeps/_workspace/|carthage/|pods/|site-packages/|\.venv/|\.tox/|debian/"
    r"|gradle/wrapper/"
    r")",
    re.IGNORECASE,
)
_VENDORED_NAME = re.compile(
    r"jquery(?:[-.]\d[\d.]*)?(?:\.slim)?(?:\.min)?\.js$|jquery-ui[-.\w]*\.js$"
    r"|bootstrap(?:\.bundle)?(?:\.min)?\.js$|modernizr[-.\w]*\.js$|prototype\.js$|yui[-.\w]*\.js$"
    r"|(?:angular|react|react-dom|vue|backbone|ember|mootools|raphael|d3)(?:\.v\d)?\.min\.js$"
    r"|\.pnp\.[cm]?js$|versioneer\.py$|_version\.py$|ez_setup\.py$|distribute_setup\.py$",
    re.IGNORECASE,
)

_TEST = re.compile(
    r"(?:^|/)(?:"
    r"(?:tests?|testing|__tests__|__mocks__|specs?|testdata|test[-_]?data|fixtures?|e2e|testcases?|unittests?)/"
    r"|[^/]*[._-]tests?/"
    r")",
    re.IGNORECASE,
)
_TEST_NAME = re.compile(
    r"test_[^/]*\.py$|[^/]*_tests?\.(?:py|go|rs)$|conftest\.py$|[^/]*[._-](?:test|spec|e2e)\.[cm]?[jt]sx?$",
    re.IGNORECASE,
)
# `Test` as a word of its own in a name in capitals: FooTest.java, TestFoo.java, FooTests.cs, not Latest.java.
_TEST_WORD = re.compile(r"(?:.*[a-z0-9])?(?:Tests?|TestCase|Spec|Fixture|IT)\.(?:java|cs)$|Test[A-Z].*\.java$")
_TEST_FOLDER_WORD = re.compile(r"(?:^|/)(?:[\w.]*[a-z.])?(?:Unit)?Tests?(?:\.\w+)?/")

_GENERATED_NAME = re.compile(
    r"(?:^|/)(?:"
    r"__generated__/|[^/]*\.generated\.\w+$|zz_generated[^/]*\.go$|[^/]*[._]pb\.(?:go|gw\.go|cc|h|cs|js|ts|rs)$"
    r"|[^/]*_pb2(?:_grpc)?\.pyi?$|[^/]*_pb\.(?:js|ts|d\.ts)$|[^/]*\.g\.(?:i\.)?cs$|[^/]*\.designer\.cs$"
    r"|temporarygeneratedfile_[^/]*\.cs$|[^/]*\.gen\.(?:go|ts|js|rs)$|bindata\.go$|[^/]*_(?:string|easyjson)\.go$"
    r"|parser\.out$|parsetab\.py$|lextab\.py$"
    r")",
    re.IGNORECASE,
)

# What a tool writes into the head of what it makes. Each is the whole statement, not the word: a comment that says what
# the code *generates* matches none. Searched in the opening comments only.
# Source: golang.org/s/generatedcode (the Go line); Microsoft's `<auto-generated>`; Meta's `@generated`; the others as
# the tools print them (protoc, thrift, ANTLR, JFlex, swig, Cython, bindgen, CoffeeScript, PEG.js, Haxe, javacc).
_GENERATED_HEAD = re.compile(
    r"^[^\w\n@<]*(?:"
    r"code generated .{0,200}do not (?:edit|modify)"
    r"|<auto-?generated\b"
    r"|@generated\b(?!\s+(?:by hand|code\s+(?:from|in)\b.*\?))"
    r"|(?:this|the following) (?:file|code|class|module|source(?: file| code)?)(?: (?:is|was|has been|were))?"
    r" (?:auto-?|automatically |machine[- ])?generated\b(?! (?:if|when|at run|on the fly))"
    r"|(?:auto-?|automatically |machine[- ])generated (?:by|from|using|with|file|code|source|on|--?|do not)\b"
    r"|(?:auto-?|automatically |machine[- ])generated[.!]?\s*(?:\*/)?$"
    r"|generated (?:automatically )?(?:by|from|with|using) (?:the )?(?:protocol buffer|protoc\b"
    r"|thrift|antlr|jflex|javacc|swig|cython"
    r"|coffeescript|pegjs|peg\.js|haxe|jison|bison|ragel|re2c|rust-bindgen|flatc|flatbuffers|autorest|openapi|swagger"
    r"|graphql|dart2js|gopherjs|a script|a tool|unicode|tools?/|script|jsdoc|make|build)"
    r"|(?:do not|don'?t) (?:edit|modify|change|touch)"
    r" (?:this (?:file|code|by hand)|by hand|manually|directly)?.{0,80}generated"
    r"|generated (?:file|code|source)[^a-z]{1,4}(?:please )?do not (?:edit|modify)"
    r"|autogenerated (?:by|from|using|with)\b"
    r"|compiled (?:by|from|with|using) (?:coffeescript|dart2js|elm|purescript|reasonml|bucklescript|emscripten|closure)"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
# What a compiler to JavaScript leaves at the end. Source: github-linguist, generated.rb, `has_source_map?`.
_SOURCE_MAP = re.compile(r"/[/*][#@] ?sourceMappingURL=\S")
_HEAD_LINES = 40
_HEAD_CHARACTERS = 4_000


# --- Marks of a language in its text ----------------------------------------------------------------------------------

# Lines that are common in one language and no statement in the others. Keyed by the ending that stands for a language.
_MARKS: dict[str, tuple[str, ...]] = {
    ".py": (
        r"^[ \t]*def \w+\(.*\)\s*(?:->\s*[^:]+)?:\s*(?:#.*)?$",
        r"^[ \t]*(?:from [\w.]+ import [\w(*]|import [\w.]+(?: as \w+)?(?:, *[\w.]+)*\s*$)",
        r"^[ \t]*(?:el)?if .*:\s*(?:#.*)?$",
        r"^[ \t]*class \w+(?:\(.*\))?:\s*$",
        r"^[ \t]*(?:except\b.*|try|else|finally):\s*$",
        r"\bself\.\w+",
        r"^__\w+__ = ",
        r"^[ \t]*for \w+(?:, *\w+)* in .*:\s*$",
    ),
    ".java": (
        r"^[ \t]*package [\w.]+;",
        r"^[ \t]*import (?:static )?(?:java|javax|org|com|net|io)\.[\w.*]+;",
        r"^[ \t]*(?:public|private|protected)\s+(?:(?:static|final|abstract|synchronized)\s+)*"
        r"[\w<>\[\], .?]+\s+\w+\s*\(.*",
        r"^[ \t]*@(?:Override|Deprecated|Test|SuppressWarnings)\b",
        r"\bthrows \w+",
        r"^[ \t]*(?:public |abstract |final )*(?:class|interface|enum) \w+.*(?:extends|implements)\b",
    ),
    ".js": (
        r"\b(?:const|let|var) \w+ = require\(",
        r"\bmodule\.exports\b|\bexports\.\w+ =",
        r"^[ \t]*(?:export (?:default|const|function|class|\{)|import .* from ['\"])",
        r"\bfunction\s*\w*\s*\([\w, ]*\)\s*\{",
        r"=>\s*[\{(]",
        r"===|!==",
        r"\btypeof \w+",
        r"^[ \t]*['\"]use strict['\"]",
    ),
    ".ts": (
        r"^[ \t]*(?:export )?(?:interface|type|enum|declare|namespace) \w+",
        r"^[ \t]*import (?:type )?.* from ['\"]",
        r"\w+\??: (?:string|number|boolean|any|unknown|void|never)\b",
        r"\b(?:private|public|readonly|protected) \w+[:(]",
        r"\bas (?:const|any|string|number|unknown)\b",
        r"<T(?: extends \w+)?>",
        r"^[ \t]*export (?:const|function|class|default|\{|\*)",
    ),
    ".cs": (
        r"^[ \t]*using (?:static )?[A-Z][\w.]*;",
        r"^[ \t]*namespace [\w.]+",
        r"^[ \t]*(?:public|private|internal|protected)\s+"
        r"(?:static |override |virtual |sealed |partial |readonly |async |const )*[\w<>\[\], .?]+\s+\w+",
        r"\{\s*get;",
        r"^[ \t]*#region\b",
        r"///\s*<summary>",
        r"^[ \t]*\[\w+(?:\(.*\))?\]\s*$",
    ),
    ".go": (
        r"^package \w+\s*$",
        r"^func (?:\(\w+ \*?[\w\[\]]+\) )?\w+(?:\[.*\])?\(",
        r"^import (?:\(|\w* ?\")",
        r":= ",
        r"^type \w+ (?:struct|interface|func|map|\[)",
        r"\bif err != nil\b",
        r"^[ \t]*(?:defer|go) \w+",
    ),
    ".rs": (
        r"^[ \t]*(?:pub(?:\(\w+\))? )?(?:const |unsafe |async )*fn \w+",
        r"^[ \t]*(?:pub )?use (?:crate|std|super|self|\w+)::",
        r"^[ \t]*impl(?:<.*>)? \w+",
        r"^[ \t]*(?:#!?\[\w+.*\])",
        r"\blet mut \w+",
        r"^[ \t]*(?:pub )?(?:struct|enum|trait|mod) \w+",
        r"\bmatch \w+.*\{",
        r"&mut |&'|->\s*(?:Self|Option<|Result<)",
    ),
}
# Files of the first are also accepted by the grammar of the second: parsing cannot tell them, so the name does.
# Source: measured; every .js file parses as TypeScript.
_ACCEPTED_BY = {(".js", ".ts")}
_FIRST_CHARACTERS = 3_000
_SAMPLE_CHARACTERS = 16_000
# A named file that its marks do not confirm is of another kind where its own grammar takes this share of its bytes for
# errors, and the lexical model is this sure of something else.
_CONTRADICTED = 0.1
_SURE = 0.9
# A text without a name is in the language whose probability is highest after its grammar was asked. A clean parse
# speaks the more for a language, the longer the text is: a factor of e for each `_PROOF_CHARACTERS`, `_PROOFS` times at
# most. Source: chosen on a sample of the packages in tests/benchmark/packages.txt (settings nearby differ by 0.2 % at
# most); what they give on packages that were looked at only once (untouched_packages.txt) stands in LOG.md.
_LEAST_LIKELY = 0.02
_PROOF_CHARACTERS = 150
_PROOFS = 2
_DISPROOF = 10
_DISPROVED = 0.3
_CANDIDATES = 3


@cache
def _language_of_ending() -> dict[str, str]:
    return {ending: row.id for row in LANGUAGES.values() for ending in row.extensions}


@cache
def _marks_of() -> dict[str, tuple[re.Pattern[str], ...]]:
    ids = _language_of_ending()
    return {
        ids[ending]: tuple(re.compile(mark, re.MULTILINE) for mark in marks)
        for ending, marks in _MARKS.items()
        if ending in ids
    }


def _marks(text: str, language: str) -> int:
    """Return how many of a language's marks a text has, counted up to two; its first lines mostly have both."""
    found = 0
    for length in (_FIRST_CHARACTERS, _SAMPLE_CHARACTERS):
        sample = text[:length]
        found = 0
        for mark in _marks_of().get(language, ()):
            found += mark.search(sample) is not None
            if found == 2:
                return found
        if len(text) <= length:
            break
    return found


@cache
def _accepted_pairs() -> frozenset[tuple[str, str]]:
    ids = _language_of_ending()
    return frozenset((ids[left], ids[right]) for left, right in _ACCEPTED_BY if left in ids and right in ids)


def _accepted_by(language: str, other: str) -> bool:
    return (language, other) in _accepted_pairs() or (other, language) in _accepted_pairs()


# --- Contents that contradict a name ----------------------------------------------------------------------------------

_MARKUP = re.compile(r"\s*<(?:\?xml\b|!DOCTYPE\b|TS\b[^>]*>|html\b|svg\b|tileset\b)", re.IGNORECASE)
_SMALLTALK = re.compile(
    r"^!\s*[\w ]+(?:class )?(?:methodsFor:|commentStamp:)|^\s*Smalltalk at: #|^'From [A-Z]", re.MULTILINE
)
_RENDERSCRIPT = re.compile(r"^\s*#pragma\s+(?:version\(1\)|rs\s)", re.MULTILINE)
# `#![` opens an attribute of Rust.
_SHEBANG = re.compile(r"#!(?!\[)[ \t]*(?P<program>[^\s]+)(?P<arguments>[^\n]*)")


def _is_mpeg_stream(data: bytes) -> bool:
    """Return whether bytes are an MPEG transport stream (also named `.ts`).

    Source: ISO/IEC 13818-1: packets of 188 bytes that start with 0x47.
    """
    return len(data) >= 4 * 188 and all(data[at] == 0x47 for at in range(0, min(len(data), 40 * 188), 188))


def interpreter(text: str) -> str:
    """Return the program that a `#!` line names, without its folder and version; empty where there is none."""
    found = _SHEBANG.match(text)
    if not found:
        return ""
    program = found["program"].rpartition("/")[2]
    if program == "env":
        words = [w for w in found["arguments"].split() if not w.startswith("-") and "=" not in w]
        program = words[0].rpartition("/")[2] if words else ""
    return re.sub(r"[\d.]+$", "", program)


def _language_of_shebang(text: str) -> str | None:
    program = interpreter(text)
    if not program:
        return None
    for row in LANGUAGES.values():
        if program in {re.sub(r"[\d.]+$", "", name) for name in row.interpreters}:
            return row.id
    return None


# --- Minified ---------------------------------------------------------------------------------------------------------

_MINIFIED_NAME = re.compile(r"[.-](?:min|umd\.min|prod\.min|compressed|packed)\.[cm]?jsx?$", re.IGNORECASE)
# Source: github-linguist, generated.rb (mean line above 110 characters); CodeQL uses 200. A mean alone has false
# positives (a long table in a short file), so it needs two of the other signs beside it.
_MINIFIED_MEAN_LINE = 110
_MINIFIED_LONGEST_LINE = 1_000
_MINIFIED_BLANK_SHARE = 0.10
_MINIFIED_SHORT_NAMES = 0.4
_MINIFIED_LENGTH = 400


def _source_map(text: str) -> int | None:
    """Return where the last line starts, if it says where the file's source map is."""
    start = text.rstrip().rfind("\n") + 1
    return start if _SOURCE_MAP.match(text, start) else None


def _minified(path: str, text: str) -> str:
    """Return the signs of a minified file, or an empty text where there are too few."""
    if _MINIFIED_NAME.search(path):
        return "its name says minified"
    if len(text) < _MINIFIED_LENGTH:
        return ""
    mapped = _source_map(text)
    text = text if mapped is None else text[:mapped]  # the map itself may stand in that line
    if len(text) <= _MINIFIED_MEAN_LINE / 2 * (text.count("\n") + 1):
        return ""  # even if every other line were blank
    lines = [line for line in text.splitlines() if line.strip()]
    mean = sum(map(len, lines)) / max(1, len(lines))
    if mean <= _MINIFIED_MEAN_LINE:
        return ""
    longest = max(lines, key=len, default="")
    blank = sum(text.count(c) for c in " \t\n\r") / max(1, len(text))
    names = re.findall(r"\b[A-Za-z_$][\w$]*", longest[:20_000])
    short = sum(1 for name in names if len(name) <= 2) / max(1, len(names))
    signs = [
        blank < _MINIFIED_BLANK_SHARE,
        short > _MINIFIED_SHORT_NAMES and len(names) > 20,
        len(longest) > _MINIFIED_LONGEST_LINE and 2 * len(longest) > len(text),
        mapped is not None,
    ]
    if sum(signs) < 2:
        return ""
    return f"mean line {mean:.0f}, longest {len(longest)}, {blank:.0%} blank, {short:.0%} short names"


# --- The verdict ------------------------------------------------------------------------------------------------------


def classify(path: str, data: bytes) -> Classification:
    """Say what a file is.

    Args:
        path: Its full path below the repository's root, with forward slashes: folders count. Empty where the content
            alone must tell.
        data: Its bytes, all of them.

    Returns:
        The language (None outside the registry), the kind, a confidence and the rules that decided.
    """
    return classify_decoded(path, data, decode(data))


def classify_decoded(path: str, data: bytes, decoded: Decoded | str) -> Classification:
    """Say what a file is whose bytes are decoded already.

    Who asks `quality.syntax.parse` for the same text next has no second parse to pay for, if this took one.

    Args:
        path: As for `classify`.
        data: Its bytes, all of them.
        decoded: What `decode` returned for them.
    """
    if not data.strip():
        return Classification(_language_of_ending().get(_ending(path)), "empty", 1.0, "no bytes but white space")
    if _is_mpeg_stream(data):
        return Classification(None, "binary", 1.0, "MPEG transport stream: 0x47 every 188 bytes")
    if isinstance(decoded, str):
        kind = "undecodable" if decoded == "undecodable" else "binary"
        return Classification(None, kind, 0.95, f"{decoded}: no text in any encoding tried")
    text = decoded.text
    language, confidence, reason = _language(path, text)
    confidence = round(confidence * decoded.confidence, 3)
    if language is None:
        kind, why = _other_kind(path, text)
        return Classification(None, kind, confidence, reason or why)
    kind, why = _kind(path, text)
    spoken = dialect(text, language, _ending(path)) if LANGUAGES[language].dialects else ""
    reason = "; ".join(filter(None, (reason, spoken and f"syntax of {spoken}", why)))
    return Classification(language, kind, confidence, reason, spoken)


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem and ending else ""


def _language(path: str, text: str) -> tuple[str | None, float, str]:
    ending = _ending(path)
    named = _language_of_ending().get(ending)
    if _MARKUP.match(text):
        return (None, 0.97, "starts like XML or HTML") if named or not ending else (None, 0.9, "")
    run = _language_of_shebang(text)
    if named is None:
        if run is not None:
            return (run, 0.97 if not ending else 0.8, f"#! line runs {interpreter(text)}")
        if ending or interpreter(text) or _TEXT_NAMES.match(path.rpartition("/")[2]):
            return None, 0.9, f"#! line runs {interpreter(text)}" if interpreter(text) else ""
        return _guessed(text)
    if ending == ".cs" and _SMALLTALK.search(text):
        return None, 0.9, "Smalltalk, by its chunk format"
    if ending == ".rs" and _RENDERSCRIPT.search(text):
        return None, 0.95, "RenderScript, by its #pragma"
    return _confirmed(text, named, ending, run)


def _confirmed(text: str, named: str, ending: str, run: str | None) -> tuple[str | None, float, str]:
    """Return the language of a name, unless the text is plainly something else."""
    own = _marks(text, named)
    if own:
        return named, 0.99 if own > 1 else 0.97, f"{ending} and marks of it"
    if run is not None and run != named and not _accepted_by(run, named):
        return run, 0.8, f"#! line against {ending}"
    rival, odds = proposals(text)[0]
    if rival == named or _accepted_by(rival, named):
        return named, 0.95, f"{ending}, and reads like {rival}"
    errors = error_ratio(text, named, ending)
    if errors > _CONTRADICTED:
        told = f"{errors:.1%} syntax errors as {ending}, and reads like {rival}"
        if rival in LANGUAGES:
            rival_errors = error_ratio(text, rival)
            if rival_errors <= LANGUAGES[rival].max_errors:
                return rival, 0.75, f"{told} with {rival_errors:.1%}"
        elif odds >= _SURE:
            return None, 0.75, told
    return named, 0.9, f"{ending}, none of its marks"


def _guessed(text: str) -> tuple[str | None, float, str]:
    """Return the language of a text without a telling name: what it reads like, if the grammar agrees."""
    if _is_json(text):
        return None, 0.95, "no name; JSON"
    best: str | None = None
    highest, told = -math.inf, ""
    proof = min(_PROOFS, len(text) / _PROOF_CHARACTERS)
    asked = 0
    for label, odds in _in_families(proposals(text)):
        if odds < _LEAST_LIKELY or math.log(odds) + proof <= highest:
            break
        likely, why = math.log(odds), f"reads like {label} ({odds:.0%})"
        if label in LANGUAGES:
            if asked == _CANDIDATES:
                continue
            asked += 1
            errors = _least_errors(text, label)
            if errors > _DISPROVED and not LANGUAGES[label].grammar_gives_up:
                continue
            likely += proof if errors <= LANGUAGES[label].max_errors else -(1 + _DISPROOF * errors)
            why += f", {errors:.1%} syntax errors"
        if likely > highest:
            best, highest, told = label if label in LANGUAGES else None, likely, why
    return best, 0.75 if highest > 0 else 0.6, f"no name; {told or 'reads like nothing that its grammar accepts'}"


def _least_errors(text: str, language: str) -> float:
    """Return the share of bytes under ERROR nodes in that grammar of a language that takes the text best."""
    errors = error_ratio(text, language)
    for ending in LANGUAGES[language].grammar_by_extension:
        if errors > LANGUAGES[language].max_errors:
            errors = min(errors, error_ratio(text, language, ending))
    return errors


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, or its first line is (JSON Lines); one of two brackets is no line of either."""
    start = text.lstrip()
    if start[:1] not in ("{", "["):
        return False
    first = start.partition("\n")[0].strip()
    for whole in (first, text) if len(first) > 2 else (text,):
        try:
            json.loads(whole)
        except (ValueError, RecursionError):
            continue
        return True
    return False


def _in_families(found: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return what a text reads like, with languages that accept each other's files as likely as both together."""
    own = dict(found)
    odds = dict(found)
    for left, right in _accepted_pairs():
        if left in own and right in own:
            odds[left] = odds[right] = own[left] + own[right]
    return sorted(odds.items(), key=lambda item: (-item[1], -own[item[0]], item[0]))


def _kind(path: str, text: str) -> tuple[Kind, str]:
    if _DECLARATION.search(path):
        return "declaration", "a declaration file"
    signs = _minified(path, text)
    if signs:
        return "minified", signs
    generated = _generated(path, text)
    if generated:
        return "generated", generated
    folder, slash, name = path.rpartition("/")
    inside = _kind_of_folder(folder + slash)
    vendored = inside if inside.startswith("below") else ""
    if not vendored and (found := _VENDORED_NAME.match(name)):
        vendored = f"named {found.group(0)!r}"
    if vendored:
        return "vendored", vendored
    if inside or _TEST_NAME.match(name) or _TEST_WORD.match(name):
        return "test", "a test, by its path"
    return "source", ""


@lru_cache(maxsize=4096)
def _kind_of_folder(folder: str) -> str:
    """Return why the files of a folder (given with its last slash) are vendored or tests; empty for neither."""
    vendored = _VENDORED.search(folder)
    if vendored:
        return f"below {vendored.group(0).strip('/')!r}"
    return "tests" if _TEST.search(folder) or _TEST_FOLDER_WORD.search(folder) else ""


def _generated(path: str, text: str) -> str:
    if _GENERATED_NAME.search(path):
        return "its name is one that generators give"
    if _source_map(text) is not None:
        return "compiled: its last line names a source map"
    start = text[:_HEAD_CHARACTERS].lower()
    if "generat" not in start and "compiled" not in start:
        return ""
    head = "\n".join(line for line in text[:_HEAD_CHARACTERS].splitlines()[:_HEAD_LINES] if _COMMENT_LINE.match(line))
    found = _GENERATED_HEAD.search(head)
    return f"its head says {' '.join(found.group(0).split())[:60]!r}" if found else ""


_COMMENT_LINE = re.compile(r"\s*(?:#|//|/\*|\*|--|;|<!--|\"\"\"|'''|@generated|<auto-)")


def _other_kind(path: str, text: str) -> tuple[Kind, str]:
    ending, name = _ending(path), path.rpartition("/")[2]
    if _MARKUP.match(text) or ending in _DATA_ENDINGS:
        return "data", f"{ending or name}: data"
    if ending in _TEXT_ENDINGS or _TEXT_NAMES.match(name):
        return "text", f"{ending or name}: text for people"
    if name.startswith("."):
        return "data", "a settings file"
    if not ending:
        return ("source", "a script") if interpreter(text) else ("text", "no ending, no #! line, marks of no language")
    return "source", f"{ending}: no language of the registry has this ending"
