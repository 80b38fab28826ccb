"""How Python is read: definitions, imports, functions and types, by the interpreter's own parser.

Only the text is parsed, nothing is imported or run.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import operator
import posixpath
import re
import sys
import textwrap
import typing
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import replace

from parallel_mining.cutting import Definition, Facts, Kind, Link, Module, Piece, Site, called_name
from parallel_mining.drivers.python.scopes import bound_names, outside, plain
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
        replace(piece, text=_class(piece.text, methods.get(piece.definition.name, ())))
        if piece.definition.kind == "type"
        else piece
        for piece in pieces
        if piece.definition.kind not in ("import", "method")
    ]
    body = _in_order(body)
    # Annotations may name types that the unit does not carry; this keeps them unevaluated.
    head = ["from __future__ import annotations"] if any("->" in p.text or ":" in p.text for p in body) else []
    imports = [line for line in imports if line != head[0]] if head else imports
    joined = ""
    for piece in body:
        blank = "\n\n\n" if piece.definition.kind in ("function", "type") or "\n" in piece.text else "\n"
        joined += (blank if joined else "") + piece.text.rstrip()
    return "\n\n".join(part for part in ("\n".join(head), "\n".join(imports), joined) if part) + "\n"


def _in_order(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces so that what one looks up when it is read stands before it, as far as that can be.

    A name that a file binds several times has the value there that it had in the file.
    """
    asked = [outside(*_parsed(piece.text)) for piece in pieces]
    makers: dict[str, list[int]] = {}
    readers: dict[str, list[int]] = {}
    for number, found in enumerate(asked):
        for name in found.binds:
            makers.setdefault(name, []).append(number)
        for name in found.early:
            readers.setdefault(name, []).append(number)
    order: dict[int, None] = {}
    begun: set[int] = set()

    def above(number: int, others: Sequence[int]) -> list[int]:
        own = pieces[number]
        return [n for n in others if pieces[n].home == own.home and pieces[n].definition.order < own.definition.order]

    def put(number: int) -> None:
        if number in begun:
            return
        begun.add(number)
        for name in sorted(asked[number].early):
            for other in above(number, makers.get(name, ())) or makers.get(name, ()):
                put(other)
        for name in sorted(asked[number].binds):
            for other in above(number, (*makers[name], *readers.get(name, ()))):
                put(other)
        order[number] = None

    for number in range(len(pieces)):
        put(number)
    return [pieces[number] for number in order]


def _parsed(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except SyntaxError:
        return []


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
        self.known: dict[int, Definition] = {}

    def source(self, node: ast.stmt, *, comments: bool = False) -> str:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        first = _doc_start(self.lines, first) if comments else first
        return "".join(self.lines[first - 1 : node.end_lineno])

    def define(self, name: str, kind: Kind, node: ast.stmt) -> Definition:
        """Define a name by a statement; one that defines several names is one definition."""
        definition = self.known.get(id(node))
        if definition is None:
            body = self.source(node, comments=kind == "function")
            definition = Definition(name, kind, body, lambda: _facts(node, self.module, body))
            self.known[id(node)] = definition
            self.module.add(definition)
        elif all(other is not definition for other in self.module.definitions.get(name, ())):
            self.module.definitions.setdefault(name, []).append(definition)
        return definition

    def statement(self, node: ast.stmt, whole: ast.stmt | None = None) -> None:
        """Read a statement of the module, or one within the statement `whole`, which then is taken as it is."""
        if isinstance(node, ast.FunctionDef):
            if any("overload" in ast.unparse(d) for d in node.decorator_list):
                return
            if whole is None:
                self.module.definitions.pop(node.name, None)
                self.module.sites.append(_site(node, self.define(node.name, "function", node)))
            else:
                self.define(node.name, "value", whole)
            for served in _registered(node):
                if served in self.module.definitions:
                    self.change(served, whole or node)
        elif isinstance(node, ast.AsyncFunctionDef):
            definition = self.define(node.name, "function", node)
            self.module.denied[node.name] = "impure: asynchronous"
            self.module.sites.append(Site(node.name, definition, None, "impure: asynchronous"))
        elif isinstance(node, ast.ClassDef):
            if whole is None:
                self.members(node)
            else:
                self.define(node.name, "value", whole)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imported(node)
        elif isinstance(node, ast.Expr):
            self.expression(node, whole)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            if isinstance(node, ast.AnnAssign) and node.value is None:
                return
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name in bound_names(target):
                    self.define(name, "value", whole or node)
                self.changed_by(target, whole or node)
        elif isinstance(node, ast.Try):
            self.tried(node, whole)
        elif isinstance(node, ast.If):
            test = ast.unparse(node.test)
            if "__name__" in test:
                return
            chosen = _decided(test)
            if chosen is None or whole is not None or not self.again(node.body if chosen else node.orelse):
                self.inner(
                    [*node.body, *node.orelse] if chosen is None else [*(node.body if chosen else node.orelse)],
                    whole or node,
                )
        elif isinstance(node, ast.For | ast.While | ast.With | ast.Match):
            if isinstance(node, ast.For):
                names = [*bound_names(node.target)]
            elif isinstance(node, ast.With):
                names = [name for item in node.items if item.optional_vars for name in bound_names(item.optional_vars)]
            else:
                names = []
            for name in names:
                self.define(name, "value", whole or node)
            cases = node.cases if isinstance(node, ast.Match) else []
            bodies = [case.body for case in cases] if isinstance(node, ast.Match) else [node.body]
            self.inner([part for body in bodies for part in body], whole or node)
            if isinstance(node, ast.For | ast.While):
                self.inner(node.orelse, whole or node)
        for expression in _tested(node):
            for part in ast.walk(expression):
                if isinstance(part, ast.NamedExpr):
                    self.define(part.target.id, "value", whole or node)

    def inner(self, nodes: Sequence[ast.stmt], whole: ast.stmt) -> None:
        """Read statements within another."""
        for node in nodes:
            self.statement(node, whole)

    def again(self, nodes: Sequence[ast.stmt]) -> bool:
        """Read statements as if they stood at the left margin, and say whether that could be done."""
        if not nodes:
            return True
        inside = (part for node in nodes for part in ast.walk(node))
        if any(isinstance(n, ast.Constant | ast.JoinedStr) and n.end_lineno != n.lineno for n in inside):
            return False  # the blanks in such a text must stay
        lines = self.lines[nodes[0].lineno - 1 : nodes[-1].end_lineno]
        if any(isinstance(n, ast.FunctionDef | ast.ClassDef) and n.decorator_list for n in nodes[:1]):
            return False
        text = textwrap.dedent("".join(lines))
        try:
            statements = ast.parse(text).body
        except SyntaxError:
            return False
        reader = _Reader(self.module, text)
        for statement in statements:
            reader.statement(statement)
        return True

    def tried(self, node: ast.Try, whole: ast.stmt | None) -> None:
        """Read a `try`: where it asks for a library that is neither standard nor here, what it does without counts."""
        rescue = next((h for h in node.handlers if h.type is None or _IMPORT_ERRORS.search(ast.unparse(h.type))), None)
        imports = [n for n in node.body if isinstance(n, ast.Import | ast.ImportFrom)]
        missing = [n for n in imports if not _inside(n) and not all(_pure(name) for name in _modules(n))]
        if rescue is not None and missing and whole is None and self.again(rescue.body):
            given = {name for part in rescue.body for name in outside(part).binds}
            for one in missing:
                self.imported(one, only_new=True, without=given)
            return
        self.inner(node.body, whole or node)
        for handler in node.handlers:
            for part in handler.body:
                if isinstance(part, ast.Import | ast.ImportFrom):
                    self.imported(part, only_new=True)
                else:
                    self.statement(part, whole or node)
        self.inner([*node.orelse, *node.finalbody], whole or node)

    def expression(self, node: ast.Expr, whole: ast.stmt | None) -> None:
        """Read a call that changes a list, set or dictionary of the module: `TABLE.update(...)`."""
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _CHANGES:
            self.changed_by(call.func, whole or node, optional=whole is None)

    def changed_by(self, target: ast.expr, node: ast.stmt, *, optional: bool = False) -> None:
        """Let a statement that sets a part of a value belong to the value."""
        if isinstance(target, ast.Tuple | ast.List):
            for item in target.elts:
                self.changed_by(item, node)
            return
        if isinstance(target, ast.Attribute) and _DUNDER.fullmatch(target.attr):
            return  # documentation and the like
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
            if isinstance(target, ast.Name):
                self.change(target.id, node, optional=optional)

    def change(self, name: str, node: ast.stmt, *, optional: bool = False) -> None:
        known = self.module.definitions.get(name, ())
        if known and known[-1].kind != "import":
            self.define(name, "value", node).optional = optional

    def members(self, node: ast.ClassDef) -> None:
        """Define a class and each of its methods apart, so that a program takes those along that it may call."""
        text = self.source(node)
        own = {name for part in node.body for name in outside(part).binds}
        # What the class's own body looks up while it is read must stand in it.
        early = {n for m in node.body if not isinstance(m, ast.FunctionDef) or _dunder(m) for n in outside(m).early}
        loose = [
            m
            for m in node.body
            if isinstance(m, ast.FunctionDef)
            and not _dunder(m)
            and m.name not in early
            and _first_line(m) > node.lineno
        ]
        shell = ast.ClassDef(node.name, node.bases, node.keywords, [m for m in node.body if m not in loose], [])
        shell.decorator_list = node.decorator_list
        shell.lineno, shell.end_lineno = node.lineno, node.end_lineno
        first = (node.end_lineno or node.lineno) - len(text.splitlines()) + 1
        starts = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]
        spans = tuple((starts[_first_line(m) - first], starts[(m.end_lineno or m.lineno) - first + 1]) for m in loose)

        def without() -> Facts:
            facts = _facts(shell, self.module, text)
            return replace(facts, rewrites=tuple((*span, "") for span in spans))

        self.module.add(Definition(node.name, "type", text, without))
        apart = {m.name for m in loose}
        methods = {member.name: self.method(node.name, member, own, apart) for member in loose}
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

    def method(self, owner: str, member: ast.FunctionDef, own: Set[str], apart: Set[str]) -> Definition:
        """Define a method that only stands where it is needed.

        Args:
            owner: The name of its class.
            member: The method.
            own: What the class's body binds, and decorators and defaults may look up there (`@name.setter`).
            apart: Those of these names that are defined apart, as this one is.
        """
        text = "".join(self.lines[_first_line(member) - 1 : member.end_lineno])

        def analyse() -> Facts:
            within = ast.ClassDef(owner, [], [], [member], [])
            within.lineno, within.end_lineno = _first_line(member), member.end_lineno
            facts = _facts(within, self.module, text)
            there = outside(within).early & own
            return replace(facts, uses=(facts.uses - there) | {owner, *(f"{owner}.{n}" for n in there & apart)})

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

    def imported(
        self, node: ast.Import | ast.ImportFrom, *, only_new: bool = False, without: Collection[str] = ()
    ) -> None:
        """Bind what an import binds.

        Args:
            node: The import.
            only_new: Do not bind again what is bound; where both come from files of the repository, the later one is
                where to look if the first is not there.
            without: Names that it must not bind.
        """
        here = posixpath.dirname(self.module.path)
        if isinstance(node, ast.Import):
            for name in node.names:
                bound = name.asname or name.name.split(".")[0]
                if bound not in without and not (only_new and self.is_bound(bound)):
                    self.bind(bound, name.name, f"import {name.name}" + (f" as {name.asname}" if name.asname else ""))
            return
        source = node.module or ""
        for name in node.names:
            bound = name.asname or name.name
            before = self.module.links.get(bound)
            if bound in without or (only_new and self.is_bound(bound) and before is None):
                continue
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
            after = self.module.links.get(bound)
            if only_new and before is not None and after is not None and after is not before:
                both = before if before.name != after.name else replace(before, paths=(*before.paths, *after.paths))
                self.module.links[bound] = both

    def is_bound(self, name: str) -> bool:
        return name in self.module.definitions or name in self.module.links or name in self.module.denied

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


_IMPORT_ERRORS = re.compile(r"\b(?:ImportError|ModuleNotFoundError|Exception)\b")
_CHANGES = frozenset(
    "add append appendleft clear discard extend insert pop popitem remove reverse setdefault sort update".split()  # noqa: SIM905
)
"""Methods of the built-in collections that change them."""
_DUNDER = re.compile(r"__\w+__")
_VERSION = re.compile(r"sys\.version_info(?P<part>\[0\]|\[:2\])? (?P<how>[<>]=?|==) (?P<what>\d+|\(\d+(?:, \d+)*,?\))")
_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}


def _dunder(member: ast.FunctionDef) -> bool:
    return bool(_DUNDER.fullmatch(member.name))


def _decided(test: str) -> bool | None:
    """Return what a test of a module comes to wherever its units are run, or None where that is not known."""
    if "TYPE_CHECKING" in test:
        return test.startswith("not ")
    version = _VERSION.fullmatch(test)
    if version is None:
        return None
    here = sys.version_info[0] if version["part"] == "[0]" else tuple(sys.version_info[: 2 if version["part"] else 3])
    return bool(_COMPARED[version["how"]](here, ast.literal_eval(version["what"])))


def _tested(node: ast.stmt) -> list[ast.expr]:
    return [node.test] if isinstance(node, ast.If | ast.While) else []


def _registered(node: ast.FunctionDef) -> Iterator[str]:
    """Yield the names of the functions of the module that a function is made a case of (`functools.singledispatch`)."""
    for mark in node.decorator_list:
        call = mark.func if isinstance(mark, ast.Call) else mark
        if isinstance(call, ast.Attribute) and call.attr == "register" and isinstance(call.value, ast.Name):
            yield call.value.id


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]


def _inside(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and node.level > 0


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
    found = outside(node)
    lookups = {id(name) for name in found.lookups}
    left = Counter(name.id for name in found.lookups)
    members: set[str] = set()
    refusal = ""
    through: list[tuple[int, int, str, str]] = []
    offsets = _offsets(node, text)
    for item in plain(node):
        if isinstance(item, ast.Import | ast.ImportFrom):
            away = [name for name in _modules(item) if not _pure(name)]
            if away or _inside(item):
                refusal = refusal or f"imports: {away[0] if away and away[0] else 'a sibling, inside the function'}"
        elif isinstance(item, ast.Global):
            refusal = refusal or "impure: global state"
        elif isinstance(item, ast.AsyncFunctionDef | ast.Await):
            refusal = refusal or "impure: asynchronous"
        elif isinstance(item, ast.Attribute):
            members.add(item.attr)
            if not isinstance(item.value, ast.Name):
                continue
            name = item.value.id
            if item.attr in DENIED and _is_builtins(module, name):
                refusal = refusal or f"impure: {DENIED[item.attr]} ({item.attr})"
            elif item.attr in _IMPURE_MEMBERS:
                refusal = refusal or f"impure: {_IMPURE_MEMBERS[item.attr]} ({name}.{item.attr})"
            if name in module.links and id(item.value) in lookups:
                start, end = offsets(item)
                if text[start:end].replace(" ", "") == f"{name}.{item.attr}":
                    left[name] -= 1
                    through.append((start, end, name, item.attr))
    own = {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set[str]()
    uses = frozenset(name for name in found.names - own if left[name] > 0)
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
