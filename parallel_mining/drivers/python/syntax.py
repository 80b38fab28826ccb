"""How Python is read: definitions, imports, functions and types, by the interpreter's own parser.

Only the text is parsed, nothing is imported or run.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import posixpath
import re
import typing
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from parallel_mining.cutting import Definition, Facts, Link, Module, Piece, Site, called_name
from parallel_mining.mutants import Wording
from parallel_mining.programs import ARGUMENTS, Form
from parallel_mining.signatures import MAX_PARAMETERS, Parameter, Signature
from parallel_mining.types import Type

SHARES_DIRECTORY = False
TYPED = False
WORDING = Wording('raise RuntimeError("branch reached")', "not ({})", "pass")

DENIED = {
    **dict.fromkeys(("open", "input", "print", "breakpoint"), "input and output"),
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "globals", "locals", "vars"), "reflection"),
    **dict.fromkeys(("id", "hash"), "depends on the process"),
    **dict.fromkeys(("exit", "quit", "help", "copyright", "credits", "license"), "interactive use"),
}
BUILTINS = frozenset(name for name in dir(builtins) if name not in DENIED) | {"__name__"}

PURE_MODULES = frozenset(
    """__future__ abc array base64 binascii bisect builtins calendar cmath collections colorsys contextlib copy
    dataclasses datetime decimal difflib enum fractions functools hashlib heapq html inspect itertools json keyword math
    numbers operator re statistics string struct sys textwrap types typing unicodedata urllib.parse warnings
    zlib""".split()  # noqa: SIM905
)
"""Standard modules that neither reach outside the process nor depend on the time of day, by their documentation."""

PROGRAM = Form(
    # A statement at the left margin that does something: a call, a loop, a branch.
    starts=re.compile(r"(?m)^(?:for|while|if|with|try|async)\b|^(?!def\b|class\b|@)[\w.]+(?:\[.*\])?\(|^[\w, ]+=.*\("),
    imports=re.compile(r"(?m)^[ \t]*(?:import[ \t]+([^\n#;]+)|from[ \t]+([\w.]+)[ \t]+import)"),
    allowed=re.compile("|".join(re.escape(name) for name in (*sorted(PURE_MODULES), "io", "fileinput", "urllib"))),
    reads=re.compile(r"\binput\(|\bstdin\b|\bfileinput\b|\bopen\(0"),
    denied={
        ARGUMENTS: re.compile(r"\bsys\.argv\b|\bargv\b|\bargparse\b"),
        "files": re.compile(r"(?<![\w.])open\((?!0|['\"]/dev/stdin)|\bPath\("),
        "reflection": re.compile(r"(?<![\w.])(?:eval|exec|compile|__import__|globals|locals)\("),
        "depends on the process": re.compile(r"(?<![\w.])(?:id|hash)\(|\b_getframe\b|\bsetrecursionlimit\b.*\bthread"),
        "time": re.compile(r"\b(?:now|today|utcnow)\("),
    },
    must_read=True,
)

_IMPURE_MEMBERS = {"now": "time", "today": "time", "utcnow": "time", "_getframe": "reflection", "stdout": "output"}

_SCALARS = {"int": "int", "float": "float", "str": "str", "bool": "bool", "complex": ""}
_LISTS = {"list", "List", "Sequence", "Iterable", "MutableSequence", "Collection", "Iterator"}
_SETS = {"set", "Set", "FrozenSet", "frozenset", "AbstractSet"}
_MAPS = {"dict", "Dict", "Mapping", "MutableMapping", "DefaultDict", "OrderedDict"}


def read(path: str, text: str) -> Module:
    """Read a file.

    Args:
        path: Its path below the repository; relative imports are resolved against it.
        text: Its source.

    Raises:
        SyntaxError: It does not parse as Python 3.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    module = Module(path)
    reader = _Reader(module, text)
    for statement in tree.body:
        reader.statement(statement)
    return module


def alias(name: str, target: str) -> str:
    """Return the line that makes `name` another name for `target`."""
    return f"{name} = {target}"


def assemble(site: Site, pieces: Sequence[Piece]) -> str:
    """Return the program text of a unit: imports, then definitions, helpers first."""
    del site
    imports = sorted({line for piece in pieces if piece.definition.kind == "import" for line in [piece.text]})
    methods: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda p: p.definition.order):
        if piece.definition.kind == "method":
            methods.setdefault(piece.definition.owner, []).append(piece)
    body = [
        Piece(piece.definition, _class(piece.text, methods.get(piece.definition.name, ())))
        if piece.definition.kind == "type"
        else piece
        for piece in pieces
        if piece.definition.kind not in ("import", "method")
    ]
    # Annotations may name types that the unit does not carry; this keeps them unevaluated.
    head = ["from __future__ import annotations"] if any("->" in p.text or ":" in p.text for p in body) else []
    imports = [line for line in imports if line != head[0]] if head else imports
    joined = ""
    for piece in body:
        blank = "\n\n\n" if piece.definition.kind in ("function", "type") or "\n" in piece.text else "\n"
        joined += (blank if joined else "") + piece.text.rstrip()
    return "\n\n".join(part for part in ("\n".join(head), "\n".join(imports), joined) if part) + "\n"


def _class(text: str, methods: Sequence[Piece]) -> str:
    """Return a class with the methods that are needed."""
    text = "\n\n".join([text.rstrip(), *(piece.text.rstrip() for piece in methods)])
    try:
        ast.parse(text)
    except SyntaxError:
        return text + "\n    pass"  # nothing but the methods that are not needed stood in it
    return text


def canonical(annotation: str) -> Type | None:
    """Return the canonical type of an annotation, or None where it has none."""
    try:
        return _type(ast.parse(annotation, mode="eval").body)
    except (SyntaxError, ValueError):
        return None


def _type(node: ast.expr | None) -> Type | None:
    if node is None:
        return None
    if isinstance(node, ast.Constant):
        if node.value is None:
            return Type("null")
        return canonical(node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.Attribute):
        return _type(ast.Name(node.attr))
    if isinstance(node, ast.Name):
        if _SCALARS.get(node.id):
            return Type(_SCALARS[node.id])
        return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right])
    if isinstance(node, ast.Subscript):
        name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        inside = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Union":
            return _union(inside)
        if name == "Optional":
            inner = _type(inside[0])
            return inner and Type("optional", (inner,))
        of = tuple(t for t in map(_type, inside) if t is not None)
        if name in _LISTS and len(of) == 1:
            return Type("list", of)
        if name in _SETS and len(of) == 1:
            return Type("set", of)
        if name in _MAPS and len(of) == 2:
            return Type("dict", of)
        if name in ("tuple", "Tuple") and of:
            last = inside[-1]
            if isinstance(last, ast.Constant) and last.value is Ellipsis:
                return Type("list", of)
            return Type("tuple", of) if len(of) == len(inside) else None
    return None


def _union(nodes: list[ast.expr]) -> Type | None:
    flat: list[ast.expr] = []
    for node in nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            flat += [node.left, node.right]
        else:
            flat.append(node)
    found = [_type(node) for node in flat]
    if any(t is None for t in found):
        return None
    names = {t.name for t in found if t is not None}
    rest = [t for t in found if t is not None and t.name != "null"]
    if names <= {"int", "float", "bool"} and "float" in names:
        return Type("number")
    if "null" in names and len(rest) == 1:
        return Type("optional", (rest[0],))
    return rest[0] if len({str(t) for t in rest}) == 1 and rest else None


def _doc_start(lines: list[str], first: int) -> int:
    while first > 1 and lines[first - 2].lstrip().startswith("#") and not lines[first - 2].startswith("#!"):
        first -= 1
    return first


class _Reader:
    def __init__(self, module: Module, text: str) -> None:
        self.module = module
        self.text = text
        self.lines = text.splitlines(keepends=True)

    def source(self, node: ast.stmt, *, comments: bool = False) -> str:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        first = _doc_start(self.lines, first) if comments else first
        return "".join(self.lines[first - 1 : node.end_lineno])

    def define(self, name: str, kind: str, node: ast.stmt, text: str | None = None) -> Definition:
        body = text if text is not None else self.source(node, comments=kind == "function")
        definition = Definition(
            name,
            "function" if kind == "function" else "type" if kind == "type" else "value",
            body,
            lambda: _facts(node, self.module, body),
        )
        self.module.add(definition)
        return definition

    def statement(self, node: ast.stmt, whole: ast.stmt | None = None) -> None:
        if isinstance(node, ast.FunctionDef):
            if any("overload" in ast.unparse(d) for d in node.decorator_list):
                return
            if node.name in self.module.definitions:
                self.module.definitions.pop(node.name)
            definition = self.define(node.name, "function", whole or node)
            if whole is None:
                self.module.sites.append(_site(node, definition))
        elif isinstance(node, ast.AsyncFunctionDef):
            definition = self.define(node.name, "function", node)
            self.module.denied[node.name] = "impure: asynchronous"
            self.module.sites.append(Site(node.name, definition, None, "impure: asynchronous"))
        elif isinstance(node, ast.ClassDef):
            if whole is None:
                self.members(node)
            else:
                self.define(node.name, "type", whole)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        self.define(name.id, "value", whole or node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imported(node)
        elif isinstance(node, ast.Try):
            for inner in node.body:
                self.statement(inner, whole or (None if isinstance(inner, ast.Import | ast.ImportFrom) else node))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            if "__name__" in ast.unparse(node.test):
                return
            for inner in [*node.body, *node.orelse]:
                self.statement(inner, whole or (None if isinstance(inner, ast.Import | ast.ImportFrom) else node))
        elif isinstance(node, ast.For | ast.While | ast.With):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    self.define(inner.id, "value", whole or node)

    def members(self, node: ast.ClassDef) -> None:
        """Define a class and each of its methods apart, so that a program takes those along that it may call."""
        text = self.source(node)
        body = (m for m in node.body if not isinstance(m, ast.FunctionDef))
        mentioned = {n.id for m in body for n in ast.walk(m) if isinstance(n, ast.Name)}
        loose = [
            m
            for m in node.body
            if isinstance(m, ast.FunctionDef)
            and not (m.name.startswith("__") and m.name.endswith("__"))
            and m.name not in mentioned  # the class's own body needs it
            and _first_line(m) > node.lineno
        ]
        shell = ast.ClassDef(node.name, node.bases, node.keywords, [m for m in node.body if m not in loose], [])
        shell.decorator_list = [*node.decorator_list, *(d for m in loose for d in m.decorator_list)]
        shell.lineno, shell.end_lineno = node.lineno, node.end_lineno
        first = (node.end_lineno or node.lineno) - len(text.splitlines()) + 1
        starts = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]
        spans = tuple((starts[_first_line(m) - first], starts[(m.end_lineno or m.lineno) - first + 1]) for m in loose)

        def without() -> Facts:
            facts = _facts(shell, self.module, text)
            return replace(facts, rewrites=tuple((*span, "") for span in spans))

        self.module.add(Definition(node.name, "type", text, without))
        methods: dict[str, Definition] = {}
        for member in loose:
            methods[member.name] = self.method(node.name, member)
        made = _constructor(node)
        for member in node.body:
            if not isinstance(member, ast.FunctionDef) or (member.name.startswith("__") and member.name != "__call__"):
                continue
            marks = [ast.unparse(d) for d in member.decorator_list]
            if any(mark.endswith((".setter", ".deleter", "abstractmethod", "overload")) for mark in marks):
                continue
            if "staticmethod" in marks:
                definition = methods.get(member.name) or self.module.definitions[node.name][-1]
                site = _site(member, definition)
                self.module.sites.append(replace(site, entry=f"{node.name}.{member.name}"))
            elif "classmethod" not in marks:
                self.module.sites.append(self.called(node.name, member, made, "property" in " ".join(marks)))

    def method(self, owner: str, member: ast.FunctionDef) -> Definition:
        """Define a method that only stands where it is needed."""
        text = "".join(self.lines[_first_line(member) - 1 : member.end_lineno])

        def analyse() -> Facts:
            facts = _facts(member, self.module, text)
            return replace(facts, uses=facts.uses | {owner})

        definition = Definition(f"{owner}.{member.name}", "method", text, analyse, owner=owner, local=member.name)
        self.module.add(definition)
        return definition

    def called(self, owner: str, member: ast.FunctionDef, made: list[ast.arg] | str, is_property: bool) -> Site:
        """Offer a method as a function that makes its object first."""
        entry = called_name(owner, member.name)
        known = self.module.definitions[owner][-1]
        own = _site(member, known, bound=True)
        if isinstance(made, str) or own.signature is None:
            return Site(entry, known, None, own.reason or f"method: {made}")
        taken = {argument.arg for argument in made}
        given = list[ast.arg]()
        for argument, parameter in zip(_positional(member)[1:], own.signature.parameters, strict=False):
            if not parameter.optional:
                given.append(ast.arg(argument.arg + "_" * (argument.arg in taken), argument.annotation))
        if not 0 < len(made) + len(given) <= MAX_PARAMETERS:
            return Site(
                entry, known, None, "signature: no parameters" if not made else "signature: too many parameters"
            )
        listed = ", ".join(ast.unparse(argument) for argument in (*made, *given))
        thing = f"{owner}({', '.join(argument.arg for argument in made)})"
        reach = f".{member.name}" if member.name != "__call__" else ""
        call = "" if is_property else f"({', '.join(argument.arg for argument in given)})"
        text = f"def {entry}({listed}):\n    return {thing}{reach}{call}\n"
        definition = Definition(entry, "function", text, lambda: Facts(frozenset([owner, *reached])))
        reached = [f"{owner}.{member.name}"] if f"{owner}.{member.name}" in self.module.definitions else []
        self.module.add(definition)
        parameters = tuple(Parameter(argument.arg, _type(argument.annotation)) for argument in (*made, *given))
        body = "".join(self.lines[_first_line(member) - 1 : member.end_lineno])
        return Site(entry, definition, Signature(parameters, own.signature.returns), "", own.trivial, body)

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        here = posixpath.dirname(self.module.path)
        if isinstance(node, ast.Import):
            for name in node.names:
                bound = name.asname or name.name.split(".")[0]
                self.bind(bound, name.name, f"import {name.name}" + (f" as {name.asname}" if name.asname else ""))
            return
        source = node.module or ""
        for name in node.names:
            bound = name.asname or name.name
            if node.level:
                base = here
                for _ in range(node.level - 1):
                    base = posixpath.dirname(base)
                folder = posixpath.join(base, *source.split(".")) if source else base
                self.linked(bound, (folder,), name.name)
            elif source == "builtins" and name.name in DENIED:
                self.module.denied[bound] = f"impure: {DENIED[name.name]} ({name.name})"
            elif _pure(source) or (source == "typing_extensions" and hasattr(typing, name.name)):
                source = source.removesuffix("_extensions")
                if name.name == "*":
                    continue
                text = f"from {source} import {name.name}" + (f" as {name.asname}" if name.asname else "")
                self.bind(bound, source, text)
            else:
                self.linked(bound, tuple(_ancestors(here, source)), name.name)

    def linked(self, bound: str, folders: tuple[str, ...], name: str) -> None:
        files = tuple(p.lstrip("/") for folder in folders for p in (f"{folder}.py", f"{folder}/__init__.py"))
        if name == "*":
            self.module.stars.append(Link(files, "*"))
            return
        inner = tuple(
            p.lstrip("/") for folder in folders for p in (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py")
        )
        self.module.links[bound] = Link(files, name, inner)

    def bind(self, bound: str, source: str, text: str) -> None:
        if _pure(source):
            if bound in self.module.definitions:
                return
            self.module.add(Definition(bound, "import", text, Facts))
            return
        here = posixpath.dirname(self.module.path)
        folders = tuple(_ancestors(here, source))
        files = tuple(p.lstrip("/") for folder in folders for p in (f"{folder}.py", f"{folder}/__init__.py"))
        self.module.links[bound] = Link(files, "*")


def _pure(module: str) -> bool:
    return module in PURE_MODULES or module.split(".")[0] in PURE_MODULES


def _ancestors(here: str, dotted: str) -> Iterator[str]:
    below = dotted.replace(".", "/")
    base = here
    while base:
        yield f"{base}/{below}"
        base = posixpath.dirname(base)
    yield below


def _positional(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args]


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])


def _constructor(node: ast.ClassDef) -> list[ast.arg] | str:
    """Return the arguments that a class must be given, or why it cannot be made of plain values."""
    made = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
    if made is not None:
        arguments = made.args
        if any(default is None for default in arguments.kw_defaults):
            return "its constructor needs a keyword"
        positional = _positional(made)[1:]
        return positional[: max(0, len(positional) - len(arguments.defaults))]
    if any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        plain = [m for m in node.body if isinstance(m, ast.AnnAssign) and m.value is None]
        return [ast.arg(m.target.id, m.annotation) for m in plain if isinstance(m.target, ast.Name)]
    if node.keywords or any(ast.unparse(base) not in ("object", "ABC", "abc.ABC") for base in node.bases):
        return "inherits its constructor"
    return []


def _site(node: ast.FunctionDef, definition: Definition, *, bound: bool = False) -> Site:
    """Offer a function; a `bound` one is a method, whose first parameter is its object."""
    arguments = node.args
    positional = _positional(node)[bound:]
    optional_from = len(positional) - len(arguments.defaults)
    reason = ""
    if any(d is None for d in arguments.kw_defaults):
        reason = "signature: a keyword must be given"
    elif not positional and not bound:
        reason = "signature: no parameters"
    elif optional_from > MAX_PARAMETERS:
        reason = f"signature: more than {MAX_PARAMETERS} parameters"
    elif positional and positional[0].arg in ("self", "cls"):
        reason = "method: needs an instance"
    elif not any(_gives(n) for n in _own(node)):
        reason = "signature: returns nothing"
    if reason:
        return Site(node.name, definition, None, reason)
    parameters = tuple(
        Parameter(a.arg, _type(a.annotation), i >= optional_from) for i, a in enumerate(positional[:MAX_PARAMETERS])
    )
    return Site(node.name, definition, Signature(parameters, _type(node.returns)), "", _trivial(node))


def _gives(node: ast.AST) -> bool:
    """Say whether a statement or expression gives something back; what a generator yields comes back as a list."""
    return isinstance(node, ast.Yield | ast.YieldFrom) or (isinstance(node, ast.Return) and node.value is not None)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield child
            yield from _own(child)


_STEPS = (
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Call,
    ast.Subscript,
    ast.IfExp,
    ast.comprehension,
)
_CONVERSIONS = frozenset(["str", "bool", "float", "list", "tuple", "iter", "next", "cast"])


def _idle(step: ast.AST, given: set[str]) -> bool:
    """Say whether a step does no work of its own: a conversion, a constant, or a comparison of a result with one."""
    if isinstance(step, ast.Call) and isinstance(step.func, ast.Name) and step.func.id in _CONVERSIONS:
        return True
    if isinstance(step, ast.Compare) and isinstance(step.left, _STEPS):
        return all(isinstance(other, ast.Constant) for other in step.comparators)
    constant = isinstance(step, ast.BinOp | ast.UnaryOp)
    return constant and not any(
        isinstance(n, ast.Call) or (isinstance(n, ast.Name) and n.id in given) for n in ast.walk(step)
    )


def _trivial(node: ast.FunctionDef) -> str:
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return ""
    value = body[0].value
    given = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    steps = sum(isinstance(n, _STEPS) and not _idle(n, given) for n in ast.walk(value))
    if steps > 1:
        return ""
    while isinstance(value, ast.Call) and _idle(value, given) and value.args:
        value = value.args[-1]
    return "" if isinstance(value, ast.Call) and _calls_own(value) else "one operator or call around its arguments"


def _calls_own(call: ast.Call) -> bool:
    """Say whether the call goes to a function that the same file may define (then the work is done there)."""
    return isinstance(call.func, ast.Name) and not hasattr(builtins, call.func.id) and len(call.args) > 0


def _facts(node: ast.stmt, module: Module, text: str) -> Facts:
    bound: set[str] = set()
    loaded: set[str] = set()
    bare: Counter[str] = Counter()
    members: set[str] = set()
    refusal = ""
    chains: list[ast.Attribute] = []
    whole_is_value = isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.If | ast.Try | ast.For)

    def visit(item: ast.AST) -> None:
        nonlocal refusal
        if isinstance(item, ast.Name):
            (loaded if isinstance(item.ctx, ast.Load) else bound).add(item.id)
            bare[item.id] += 1
        elif isinstance(item, ast.arg):
            bound.add(item.arg)
            return
        elif isinstance(item, ast.FunctionDef | ast.ClassDef):
            if item is not node:
                bound.add(item.name)
            if isinstance(item, ast.FunctionDef):
                for part in (item.args, *item.body, *item.decorator_list):
                    visit(part)
                return
        elif isinstance(item, ast.AnnAssign):
            visit(item.target)
            if item.value is not None:
                visit(item.value)
            return
        elif isinstance(item, ast.Import | ast.ImportFrom):
            names = [item.module or "."] if isinstance(item, ast.ImportFrom) else [n.name for n in item.names]
            outside = [n for n in names if not _pure(n)]
            if outside or (isinstance(item, ast.ImportFrom) and item.level):
                refusal = refusal or f"imports: {outside[0] if outside else 'a sibling, inside the function'}"
            bound.update((n.asname or n.name.split(".")[0]) for n in item.names)
        elif isinstance(item, ast.ExceptHandler) and item.name:
            bound.add(item.name)
        elif isinstance(item, ast.Global):
            refusal = refusal or "impure: global state"
        elif isinstance(item, ast.AsyncFunctionDef | ast.Await):
            refusal = refusal or "impure: asynchronous"
        elif isinstance(item, ast.Attribute):
            members.add(item.attr)
            if isinstance(item.value, ast.Name):
                chains.append(item)
                if item.attr in DENIED and _is_builtins(module, item.value.id):
                    refusal = refusal or f"impure: {DENIED[item.attr]} ({item.attr})"
                elif item.attr in _IMPURE_MEMBERS:
                    refusal = refusal or f"impure: {_IMPURE_MEMBERS[item.attr]} ({item.value.id}.{item.attr})"
        for child in ast.iter_child_nodes(item):
            visit(child)

    visit(node)
    own = {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else bound if whole_is_value else set[str]()
    through: list[tuple[int, int, str, str]] = []
    spaces = module.links.keys()
    offsets = _offsets(node, text)
    for chain in chains:
        name = chain.value.id if isinstance(chain.value, ast.Name) else ""
        if name in spaces and name not in bound:
            start, end = offsets(chain)
            if text[start:end].replace(" ", "") == f"{name}.{chain.attr}":
                bare[name] -= 1
                through.append((start, end, name, chain.attr))
    covered = {name for name, count in bare.items() if not count}
    uses = frozenset(loaded - bound - own - covered)
    return Facts(uses, frozenset(), frozenset(members), tuple(through), refusal=refusal)


def _is_builtins(module: Module, name: str) -> bool:
    return any(d.kind == "import" and d.text.startswith("import builtins") for d in module.definitions.get(name, ()))


def _offsets(node: ast.stmt, text: str):
    lines = text.splitlines(keepends=True)
    first = (node.end_lineno or node.lineno) - len(lines) + 1
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def offset(line: int, column: int) -> int:
        row = line - first
        if not 0 <= row < len(lines):
            return 0
        return starts[row] + len(lines[row].encode()[:column].decode(errors="ignore"))

    def span(item: ast.expr) -> tuple[int, int]:
        return offset(item.lineno, item.col_offset), offset(item.end_lineno or item.lineno, item.end_col_offset or 0)

    return span
