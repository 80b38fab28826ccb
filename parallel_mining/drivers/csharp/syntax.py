"""How C# is read: static methods, and instance methods that do not touch their object."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parallel_mining import trees
from parallel_mining.cutting import Module, Piece, Site
from parallel_mining.members import Grammar, MemberReader, assembled
from parallel_mining.mutants import Wording
from parallel_mining.programs import ARGUMENTS, Form
from parallel_mining.types import Type, split_outside

SHARES_DIRECTORY = True
TYPED = True
WORDING = Wording('throw new System.Exception("branch reached")')

_EXCEPTIONS = frozenset(
    """ApplicationException ArgumentException ArgumentNullException ArgumentOutOfRangeException ArithmeticException
    DivideByZeroException Exception FormatException IndexOutOfRangeException InvalidCastException
    InvalidOperationException KeyNotFoundException NotImplementedException NotSupportedException
    NullReferenceException OverflowException""".split()  # noqa: SIM905
)
_STANDARD = frozenset(
    """Math Convert String Int16 Int32 Int64 UInt16 UInt32 UInt64 Byte SByte Double Single Decimal Boolean Char
    Object Array List Dictionary HashSet SortedDictionary SortedSet Queue Stack LinkedList KeyValuePair IList
    IEnumerable IEnumerator ICollection IDictionary IReadOnlyList ISet IComparable IComparer IEquatable Comparer
    EqualityComparer StringBuilder StringComparison StringComparer CultureInfo Enumerable Tuple ValueTuple
    Nullable Func Action Predicate Comparison BigInteger Regex Match MatchCollection Group RegexOptions
    BitConverter Encoding Buffer Lazy Enum Complex nameof string int uint long ulong short ushort byte sbyte
    double float decimal bool char object var dynamic StringSplitOptions LayoutKind MidpointRounding NumberStyles
    UnicodeCategory CharUnicodeInfo _ Text""".split()  # noqa: SIM905
) - {"Text"}
DENIED = {
    **dict.fromkeys(("Thread", "Task", "Parallel", "Interlocked", "Monitor"), "threads"),
    **dict.fromkeys(("Random", "Guid", "RandomNumberGenerator"), "random"),
    **dict.fromkeys(("File", "Directory", "Path", "Stream", "StreamReader", "Console"), "input and output"),
    **dict.fromkeys(("DateTime", "DateTimeOffset", "Stopwatch", "TimeZoneInfo"), "time"),
    **dict.fromkeys(("Type", "Activator", "Assembly", "MethodInfo", "Marshal"), "reflection"),
    **dict.fromkeys(("Environment", "Process", "GC", "AppDomain"), "depends on the process"),
}
BUILTINS = _STANDARD | _EXCEPTIONS

PROGRAM = Form(
    # `Main`, or a statement at the left margin.
    starts=re.compile(
        r"\bstatic\s+(?:async\s+)?(?:public\s+)?(?:void|int|Task|Task<int>)\s+Main\s*\("
        r"|(?m:^(?:(?:for|foreach|while|if|do)\s*\(|Console\.|(?:var|int|long|string|string\[\]|int\[\])\s+\w+\s*=(?!>)))"
    ),
    imports=re.compile(r"(?m)^\s*(?:global\s+)?using\s+(?:static\s+)?(?:\w+\s*=\s*)?([\w.]+)\s*(?:<[^;]*>)?;"),
    allowed=re.compile(
        r"System(?:\.(?:Collections(?:\.\w+)*|Linq|Text(?:\.\w+)*|Numerics|Globalization|IO|Math|Console))?"
    ),
    reads=re.compile(r"\bConsole\s*\.\s*(?:Read\w*|In|OpenStandardInput)\b"),
    denied={
        ARGUMENTS: re.compile(r"\bargs\s*[\[.]|\bin\s+args\b|\bGetCommandLineArgs\b"),
        "files": re.compile(r"\b(?:File|Directory|Path|FileStream|FileInfo)\s*[.(]"),
        "threads": re.compile(
            r"\b(?:Thread|Parallel|Interlocked|Monitor|AsParallel)\b|\bTask\.(?:Run|Factory|Delay|WhenAll)"
        ),
        "random": re.compile(r"\b(?:Random|Guid|RandomNumberGenerator)\b"),
        "time": re.compile(r"\b(?:DateTime|DateTimeOffset|Stopwatch|TimeZoneInfo)\b"),
        "reflection": re.compile(r"\b(?:Activator|Assembly|MethodInfo|Marshal|DllImport)\b|\btypeof\("),
        "depends on the process": re.compile(r"\b(?:Process|GC|AppDomain)\b|\bEnvironment\.(?!NewLine|Exit)"),
        "network": re.compile(r"\b(?:HttpClient|WebClient|Socket|TcpClient)\b"),
    },
)

_PRIMITIVES = {
    **dict.fromkeys(("int", "Int32"), "int32"),
    **dict.fromkeys(("uint", "UInt32"), "uint32"),
    **dict.fromkeys(("long", "Int64"), "int64"),
    **dict.fromkeys(("ulong", "UInt64"), "uint64"),
    **dict.fromkeys(("short", "Int16"), "int16"),
    **dict.fromkeys(("ushort", "UInt16"), "uint16"),
    **dict.fromkeys(("byte", "Byte"), "uint8"),
    **dict.fromkeys(("sbyte", "SByte"), "int8"),
    **dict.fromkeys(("double", "Double"), "float"),
    **dict.fromkeys(("float", "Single"), "float32"),
    **dict.fromkeys(("bool", "Boolean"), "bool"),
    **dict.fromkeys(("char", "Char"), "char"),
    **dict.fromkeys(("string", "String"), "str"),
    **dict.fromkeys(("object", "Object"), "any"),
    "BigInteger": "int",
}
_LISTS = frozenset(["List", "IList", "IEnumerable", "ICollection", "IReadOnlyList", "IReadOnlyCollection"])
_SETS = frozenset(["HashSet", "ISet", "SortedSet"])
_MAPS = frozenset(["Dictionary", "IDictionary", "SortedDictionary"])


def canonical(annotation: str) -> Type | None:
    """Return the canonical type of a C# type such as `IList<int>`, or None where it has none."""
    text = annotation.strip()
    if text.startswith("(") and text.endswith(")"):
        of = [canonical(part.split()[0] if part.split() else "") for part in split_outside(text[1:-1])]
        known = tuple(t for t in of if t is not None)
        return Type("tuple", known) if known and len(known) == len(of) else None
    if text.endswith("?"):
        inner = canonical(text[:-1])
        return inner and Type("optional", (inner,))
    text = text.removeprefix("System.")
    if text in _PRIMITIVES:
        return Type(_PRIMITIVES[text])
    if text.endswith("[]"):
        inner = canonical(text[:-2])
        return inner and Type("list", (inner,))
    if text.endswith(">"):
        head, _, inside = text[:-1].partition("<")
        head = head.rpartition(".")[2].strip()
        of = [canonical(part) for part in split_outside(inside)]
        known = tuple(t for t in of if t is not None)
        if len(known) != len(of):
            return None
        if head in ("Tuple", "ValueTuple"):
            return Type("tuple", known)
        if len(known) == 1:
            for names, name in ((_LISTS, "list"), (_SETS, "set"), (frozenset(["Nullable"]), "optional")):
                if head in names:
                    return Type(name, known)
        return Type("dict", known) if head in _MAPS and len(known) == 2 else None
    return None


_GRAMMAR = Grammar(
    classes=frozenset(["class_declaration", "struct_declaration"]),
    nested=frozenset(["enum_declaration", "interface_declaration", "record_declaration", "delegate_declaration"]),
    method="method_declaration",
    fields=frozenset(["field_declaration"]),
    properties=frozenset(["property_declaration"]),
    heritage=frozenset(["base_list"]),
    inner="public",
    invocation="invocation_expression",
    access="member_access_expression",
    access_owner="expression",
    access_member="name",
    parameter=frozenset(["parameter"]),
    many="params ",
    default="=",
    extension="(this ",
    result="returns",
    shared="internal ",
    stub="class {name} : {base}\n{{\n}}",
    canonical=canonical,
    exceptions=_EXCEPTIONS,
    impure={"Console": "input and output", "DateTime.Now": "time", "Environment": "depends on the process"},
    standard=_STANDARD | _EXCEPTIONS,
)


def read(path: str, text: str) -> Module:
    """Read a file.

    Args:
        path: Its path below the repository; partial classes are looked for in its folder.
        text: Its source.
    """
    seen = _QUALIFIED.sub("", preprocessed(text))
    source = trees.parse("csharp", seen)
    if source.root.has_error:
        source = trees.parse("csharp", _without_unsafe(seen))
    module = Module(path)
    imports = [
        re.sub(r"\s+", " ", source.text(node)).strip()
        for node, _, _ in trees.walk(source.root)
        if node.type == "using_directive"
    ]
    kept = tuple(
        line
        for line in imports
        if re.fullmatch(
            r"using (System(\.(Collections(\.Generic)?|Linq|Text(\.RegularExpressions)?|Numerics|Globalization"
            r"|Runtime\.InteropServices))?);",
            line,
        )
    )
    MemberReader(module, source, _GRAMMAR, tuple(dict.fromkeys(("using System;", *kept)))).types(source.root)
    return module


_QUALIFIED = re.compile(rf"(?<![\w.])(?:global::)?System\.(?=(?:{'|'.join(sorted(_STANDARD))})\b\s*[.<(\[])")
_DIRECTIVE = re.compile(r"\s*#\s*([a-z]+)(.*)")
_SYMBOL = re.compile(r"[A-Za-z_]\w*|&&|\|\||[!()]")


def preprocessed(text: str) -> str:
    """Return a file as a compiler sees it to which no symbol is given, with its lines where they were.

    A directive between members or inside a body breaks the parse of all that stands around it.

    Args:
        text: The source; a condition that cannot be read counts as false.
    """
    if "#" not in text:
        return text
    lines: list[str] = []
    defined: set[str] = set()
    branches: list[tuple[bool, bool]] = []  # of each open `#if`: is this branch seen, was one seen
    for line in text.splitlines(keepends=True):
        directive = _DIRECTIVE.match(line)
        seen = all(now for now, _ in branches)
        if directive is None:
            lines.append(line if seen else "\n")
            continue
        lines.append("\n")
        word, rest = directive.group(1), directive.group(2).partition("//")[0].strip()
        if word == "if":
            holds = _holds(rest, defined)
            branches.append((holds, holds))
        elif word in ("elif", "else") and branches:
            _, done = branches.pop()
            holds = not done and (word == "else" or _holds(rest, defined))
            branches.append((holds, done or holds))
        elif word == "endif" and branches:
            branches.pop()
        elif word == "define" and seen:
            defined.add(rest)
        elif word == "undef" and seen:
            defined.discard(rest)
    return "".join(lines)


_UNSAFE = re.compile(r"\bunsafe\b(?![^;{}]*\b(?:class|struct|interface|enum)\b)[^;{}]*\{")


def _without_unsafe(text: str) -> str:
    """Return a file whose unsafe blocks only name what no unit has.

    The grammar takes `*(p + 1)` for a declaration, and then loses every class around it.
    """
    parts: list[str] = []
    done = 0
    for match in _UNSAFE.finditer(text):
        if match.start() < done:
            continue
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += (text[end] == "{") - (text[end] == "}")
            end += 1
        parts += [text[done : match.end()], " return __unsafe; }"]
        done = end
    return "".join([*parts, text[done:]])


def _holds(condition: str, defined: set[str]) -> bool:
    """Say whether the condition of an `#if` holds."""
    tokens = _SYMBOL.findall(condition)
    if "".join(tokens) != re.sub(r"\s", "", condition):
        return False

    def either() -> bool:
        value = both()
        while tokens[:1] == ["||"]:
            del tokens[0]
            value = both() or value
        return value

    def both() -> bool:
        value = one()
        while tokens[:1] == ["&&"]:
            del tokens[0]
            value = one() and value
        return value

    def one() -> bool:
        token = tokens.pop(0) if tokens else ""
        if token == "!":
            return not one()
        if token == "(":
            value = either()
            return value if tokens and tokens.pop(0) == ")" else False
        return token == "true" or token in defined

    value = either()
    return value and not tokens


def alias(name: str, target: str) -> str:
    """Return nothing: a using directive renames nothing here."""
    del target
    return f"// {name}"


def assemble(site: Site, pieces: Sequence[Piece]) -> str:
    """Return the program text of a unit."""
    return assembled(site, pieces, _GRAMMAR, "Exception")
