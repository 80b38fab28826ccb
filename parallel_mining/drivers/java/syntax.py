"""How Java is read: static methods, and instance methods that do not touch their object."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from parallel_mining import trees
from parallel_mining.cutting import Link, Module, Piece, Site
from parallel_mining.members import Grammar, MemberReader, assembled
from parallel_mining.mutants import Wording
from parallel_mining.programs import ARGUMENTS, Form
from parallel_mining.types import Type, split_outside

SHARES_DIRECTORY = True
TYPED = True
WORDING = Wording('if (true) throw new RuntimeException("branch reached")')

_EXCEPTIONS = frozenset(
    """ArithmeticException ArrayIndexOutOfBoundsException AssertionError ClassCastException Error Exception
    IllegalArgumentException IllegalStateException IndexOutOfBoundsException NegativeArraySizeException
    NullPointerException NumberFormatException RuntimeException StringIndexOutOfBoundsException InternalError
    UnsupportedOperationException NoSuchElementException CloneNotSupportedException""".split()  # noqa: SIM905
)
_STANDARD = frozenset(
    """Math StrictMath String Integer Long Double Float Boolean Character Byte Short Number Object CharSequence
    StringBuilder StringBuffer Iterable Comparable Override FunctionalInterface Void System Arrays Collections
    List ArrayList LinkedList Map HashMap LinkedHashMap TreeMap Set HashSet LinkedHashSet TreeSet Deque
    ArrayDeque Queue PriorityQueue Stack Vector Iterator ListIterator Objects Optional OptionalInt
    OptionalDouble BitSet Comparator Collection Collectors Stream IntStream LongStream DoubleStream BigInteger
    BigDecimal MathContext RoundingMode Pattern Matcher StringJoiner Locale Function BiFunction Predicate
    Supplier Consumer UnaryOperator BinaryOperator IntFunction IntPredicate IntUnaryOperator IntBinaryOperator
    Entry NumberFormat Normalizer SafeVarargs Deprecated SuppressWarnings EnumMap Serializable Cloneable
    Charset StandardCharsets ByteBuffer CharBuffer Pair var""".split()  # noqa: SIM905
) - {"Pair"}
DENIED = {
    **dict.fromkeys(("Thread", "Runnable", "ExecutorService", "CompletableFuture", "ThreadLocal"), "threads"),
    **dict.fromkeys(("Random", "SecureRandom", "UUID", "ThreadLocalRandom"), "random"),
    **dict.fromkeys(
        ("File", "Files", "Path", "Paths", "InputStream", "Reader", "Writer", "Scanner"), "input and output"
    ),
    **dict.fromkeys(("Date", "Calendar", "Instant", "LocalDate", "LocalDateTime", "TimeZone"), "time"),
    **dict.fromkeys(("Class", "Method", "Field", "Runtime", "Process", "ClassLoader"), "reflection"),
}
BUILTINS = _STANDARD | _EXCEPTIONS
_PURE_PACKAGES = (
    *("java.util", "java.math", "java.text", "java.lang", "static java.", "java.io.Serializable"),
    *("java.nio.charset", "java.nio.ByteBuffer", "java.nio.CharBuffer"),
)
"""How the names of imports begin that may stand in a unit; what they bring is refused by name where it must not run."""

PROGRAM = Form(
    starts=re.compile(r"\bstatic\s+(?:public\s+|final\s+)*void\s+main\s*\(\s*(?:final\s+)?String"),
    imports=re.compile(r"\bimport\s+(?:static\s+)?([\w.]+(?:\.\*)?)\s*;"),
    allowed=re.compile(
        r"java\.(?:util|math|text|lang|io)\.(?!concurrent|prefs|zip|jar|reflect|logging)[\w.*]+|java\.nio\.charset\.\w+"
    ),
    reads=re.compile(r"\bSystem\.in\b"),
    denied={
        ARGUMENTS: re.compile(r"\bargs\s*[\[.]|:\s*args\b"),
        "files": re.compile(
            r"\b(?:File|Files|Paths?|FileReader|FileWriter|File(?:In|Out)putStream|RandomAccessFile)\b"
        ),
        "threads": re.compile(r"\b(?:Thread|Runnable|ExecutorService|CompletableFuture|ThreadLocal|parallel\w*)\b"),
        "random": re.compile(r"\b(?:Random|SecureRandom|UUID|ThreadLocalRandom)\b|\bMath\.random\b|\bshuffle\("),
        "time": re.compile(
            r"\b(?:Date|Calendar|Instant|LocalDate|LocalDateTime|TimeZone|Timer)\b|\b(?:currentTimeMillis|nanoTime)\b"
        ),
        "reflection": re.compile(
            r"\b(?:Class|Method|Field|Runtime|Process\w*|ClassLoader)\b\s*[.<(]|\bidentityHashCode\b"
        ),
        "depends on the process": re.compile(r"\bSystem\.(?:getenv|getProperty|console)\b"),
        "network": re.compile(r"\b(?:Socket|URL|HttpClient)\b"),
    },
)

_PRIMITIVES = {
    **dict.fromkeys(("int", "Integer"), "int32"),
    **dict.fromkeys(("long", "Long"), "int64"),
    **dict.fromkeys(("short", "Short"), "int16"),
    **dict.fromkeys(("byte", "Byte"), "int8"),
    **dict.fromkeys(("double", "Double"), "float"),
    **dict.fromkeys(("float", "Float"), "float32"),
    **dict.fromkeys(("boolean", "Boolean"), "bool"),
    **dict.fromkeys(("char", "Character"), "char"),
    **dict.fromkeys(("String", "CharSequence"), "str"),
    "BigInteger": "int",
    "Object": "any",
}
_LISTS = frozenset(["List", "ArrayList", "LinkedList", "Collection", "Iterable"])
_SETS = frozenset(["Set", "HashSet", "TreeSet", "LinkedHashSet"])
_MAPS = frozenset(["Map", "HashMap", "TreeMap", "LinkedHashMap"])


def canonical(annotation: str) -> Type | None:
    """Return the canonical type of a Java type such as `List<Integer>`, or None where it has none."""
    text = re.sub(r"\bfinal\b|@\w+", "", annotation).strip()
    if text in _PRIMITIVES:
        return Type(_PRIMITIVES[text])
    if text.endswith("[]"):
        inner = canonical(text[:-2])
        return inner and Type("list", (inner,))
    if text.endswith(">"):
        head, _, inside = text[:-1].partition("<")
        head = head.rpartition(".")[2].strip()
        of = [canonical(re.sub(r"^\?\s*(extends|super)\s+", "", part)) for part in split_outside(inside)]
        known = tuple(t for t in of if t is not None)
        if len(known) != len(of):
            return None
        if len(known) == 1:
            for names, name in ((_LISTS, "list"), (_SETS, "set"), (frozenset(["Optional"]), "optional")):
                if head in names:
                    return Type(name, known)
        return Type("dict", known) if head in _MAPS and len(known) == 2 else None
    return None


_GRAMMAR = Grammar(
    classes=frozenset(["class_declaration"]),
    nested=frozenset(["enum_declaration", "interface_declaration", "record_declaration"]),
    method="method_declaration",
    fields=frozenset(["field_declaration"]),
    properties=frozenset(),
    heritage=frozenset(["superclass", "super_interfaces"]),
    inner="static",
    invocation="method_invocation",
    access="field_access",
    access_owner="object",
    access_member="field",
    parameter=frozenset(["formal_parameter", "spread_parameter"]),
    many="...",
    default="",
    extension="",
    result="type",
    shared="protected ",
    stub="class {name} extends {base}\n{{\n}}",
    canonical=canonical,
    exceptions=_EXCEPTIONS,
    impure={
        "System.out": "output",
        "System.err": "output",
        "System.in": "input",
        "System.currentTimeMillis": "time",
        "System.nanoTime": "time",
        "System.getProperty": "depends on the process",
        "System.getenv": "depends on the process",
        "System.identityHashCode": "depends on the process",
        "Math.random": "random",
    },
    standard=_STANDARD | _EXCEPTIONS,
)


def read(path: str, text: str) -> Module:
    """Read a file.

    Args:
        path: Its path below the repository; the files of its folder are one package.
        text: Its source.
    """
    source = trees.parse("java", text)
    module = Module(path)
    package, imports = "", list[str]()
    for node in source.root.named_children:
        line = source.text(node)
        if node.type == "package_declaration":
            package = re.sub(r"package\s+|;|\s", "", line)
        elif node.type == "import_declaration":
            name = re.sub(r"^import\s+|;|\s+$", "", line).strip()
            if name.startswith(_PURE_PACKAGES):
                imports.append(f"import {name};")
            elif name.startswith("static ") and not name.endswith("*"):
                owner, _, member = name.removeprefix("static ").strip().rpartition(".")
                short = owner.rpartition(".")[2]
                module.links[member] = Link(_files(path, package, owner), f"{short}.{member}")
                module.links.setdefault(short, Link(_files(path, package, owner), short))
            elif not name.startswith("static ") and not name.endswith("*"):
                module.links[name.rpartition(".")[2]] = Link(_files(path, package, name), name.rpartition(".")[2])
    MemberReader(module, source, _GRAMMAR, tuple(imports)).types(source.root)
    return module


def _files(path: str, package: str, name: str) -> tuple[str, ...]:
    here = posixpath.dirname(path)
    depth = package.count(".") + 1 if package else 0
    root = "/".join(here.split("/")[: len(here.split("/")) - depth])
    return (posixpath.join(root, name.replace(".", "/") + ".java").lstrip("/"),)


def alias(name: str, target: str) -> str:
    """Return nothing: an import in Java renames nothing."""
    del target
    return f"// {name}"


def assemble(site: Site, pieces: Sequence[Piece]) -> str:
    """Return the program text of a unit."""
    return assembled(site, pieces, _GRAMMAR, "RuntimeException")
