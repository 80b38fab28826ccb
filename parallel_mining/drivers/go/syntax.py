"""How Go is read: package-level functions, with the types, methods, constants and variables of their package."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.cutting import Definition, Facts, Kind, Module, Piece, Site, called_name
from parallel_mining.mutants import Wording
from parallel_mining.programs import ARGUMENTS, Form
from parallel_mining.signatures import MAX_PARAMETERS, Parameter, Signature
from parallel_mining.trees import Source
from parallel_mining.types import Type

SHARES_DIRECTORY = True
TYPED = True
WORDING = Wording('panic("branch reached")')

DENIED = dict.fromkeys(("print", "println"), "input and output")
BUILTINS = frozenset(
    """append cap clear close complex copy delete imag len make max min new panic real recover any bool byte
    comparable complex64 complex128 error float32 float64 int int8 int16 int32 int64 rune string uint uint8
    uint16 uint32 uint64 uintptr true false nil iota _""".split()  # noqa: SIM905
)
_OFTEN_DEFINED = frozenset(["clear", "max", "min"])
"""Built in since Go 1.21; packages have functions of their own by these names."""
PURE_PACKAGES = frozenset(
    """bytes cmp container/heap container/list container/ring encoding/base32 encoding/base64 encoding/binary
    encoding/hex errors fmt hash hash/adler32 hash/crc32 hash/crc64 hash/fnv html maps math math/big math/bits
    math/cmplx regexp slices sort strconv strings text/tabwriter unicode unicode/utf16 unicode/utf8""".split()  # noqa: SIM905
)
"""Standard packages that compute and do nothing else (fmt's printing is refused by name)."""

PROGRAM = Form(
    starts=re.compile(r"(?m)^func\s+main\s*\(\s*\)"),
    imports=re.compile(r"(?m)^(?:import\s+|\s*)(?:[\w.]+\s+)?\"([\w./-]+)\"\s*$"),
    allowed=re.compile(
        "|".join(re.escape(name) for name in (*sorted(PURE_PACKAGES), "bufio", "io", "io/ioutil", "os"))
    ),
    reads=re.compile(r"\bos\.Stdin\b|\bfmt\.Scan"),
    denied={
        ARGUMENTS: re.compile(r"\bos\.Args\b"),
        "files": re.compile(r"\bos\.(?!Stdin\b|Stdout\b|Stderr\b|Exit\b)\w+|\bioutil\.(?!ReadAll\b)\w+"),
        "threads": re.compile(r"\bgo\s+(?:func\b|\w+\s*\()|\bselect\s*\{"),
    },
)

_SCALARS = {
    "bool": "bool",
    "string": "str",
    "int": "int64",
    "uint": "uint64",
    "byte": "uint8",
    "rune": "int32",
    "float64": "float",
    "any": "any",
    "interface{}": "any",
    **{name: name for name in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32"]},
}


def read(path: str, text: str) -> Module:
    """Read a file.

    Args:
        path: Its path below the repository; files of its folder are one package.
        text: Its source.
    """
    source = trees.parse("go", text)
    module = Module(path)
    imports = _imports(source)
    children = source.root.named_children
    named = {
        source.text(name): source.text(kind)
        for child in children
        if child.type == "type_declaration"
        for spec in child.named_children
        if (name := spec.child_by_field_name("name")) is not None
        and (kind := spec.child_by_field_name("type")) is not None
    }
    if any(name == "C" for name in imports):
        return module
    makers: dict[str, Node] = {}
    for child in children:
        result = child.child_by_field_name("result") if child.type == "function_declaration" else None
        if result is not None and source.text(child.child_by_field_name("name") or child).startswith("New"):
            listed = child.child_by_field_name("parameters")
            kinds = [item.child_by_field_name("type") for item in listed.named_children] if listed is not None else []
            if all(k is not None and _canonical(source.text(k), named, frozenset()) is not None for k in kinds):
                makers.setdefault(source.text(result).lstrip("*"), child)
    for index, child in enumerate(children):
        start = trees.comment_start(children, index)
        _Reader(module, source, imports, named, makers).declaration(child, start)
    return module


def alias(name: str, target: str) -> str:
    """Return the line that makes `name` another name for `target`."""
    return f"var {name} = {target}"


def assemble(site: Site, pieces: Sequence[Piece]) -> str:
    """Return the program text of a unit: package clause, imports, definitions, helpers first."""
    del site
    imports = sorted({line for piece in pieces for line in piece.definition.imports})
    body = "\n\n".join(dict.fromkeys(piece.text.strip() for piece in pieces))
    head = "\n".join(["import (", *(f"\t{line}" for line in imports), ")"]) + "\n\n" if imports else ""
    return f"package unit\n\n{head}{body}\n"


def canonical(annotation: str) -> Type | None:
    """Return the canonical type of a Go type such as `[]float64`, or None where it has none."""
    return _canonical(annotation, {}, frozenset())


def _canonical(text: str, named: dict[str, str], generic: frozenset[str], depth: int = 0) -> Type | None:
    text = text.strip()
    if depth > 6 or not text:
        return None
    if text in generic:
        return Type("any")
    if text in _SCALARS:
        return Type(_SCALARS[text])
    if text.startswith("[]"):
        inner = _canonical(text[2:], named, generic, depth + 1)
        return inner and Type("list", (inner,))
    fixed = re.fullmatch(r"\[\d+\](.+)", text)
    if fixed:
        return None
    if text.startswith("map["):
        level = 0
        for i, character in enumerate(text[3:], start=3):
            level += (character == "[") - (character == "]")
            if level == 0:
                key = _canonical(text[4:i], named, generic, depth + 1)
                value = _canonical(text[i + 1 :], named, generic, depth + 1)
                return Type("dict", (key, value)) if key and value else None
    if text in named:
        return _canonical(named[text], named, generic, depth + 1)
    return None


def _imports(source: Source) -> dict[str, str]:
    found: dict[str, str] = {}
    for node, _, _ in trees.walk(source.root):
        if node.type == "import_spec":
            where = node.child_by_field_name("path")
            name = node.child_by_field_name("name")
            if where is not None:
                path = source.text(where).strip('"`')
                found[source.text(name) if name is not None else path.rpartition("/")[2]] = path
        elif node.type in ("function_declaration", "method_declaration"):
            break
    return found


class _Reader:
    def __init__(
        self,
        module: Module,
        source: Source,
        imports: dict[str, str],
        named: dict[str, str],
        makers: dict[str, Node],
    ) -> None:
        self.module = module
        self.source = source
        self.imports = imports
        self.named = named
        self.makers = makers

    def declaration(self, node: Node, start: int) -> None:
        if node.type == "function_declaration":
            name = self.name(node)
            definition = self.define(name, "function", node, self.source.span(start, node.end_byte))
            if name not in ("main", "init", "_"):
                self.module.sites.append(self.site(name, node, definition))
        elif node.type == "method_declaration":
            receiver = node.child_by_field_name("receiver")
            owner = re.sub(r"[\s*)]|\[.*", "", self.source.text(receiver).split()[-1]) if receiver is not None else ""
            owner = owner.lstrip("(")
            name = self.name(node)
            definition = self.define(f"{owner}.{name}", "method", node, self.source.span(start, node.end_byte))
            definition.owner, definition.local = owner, name
            self.module.sites.append(self.called(owner, name, node, definition))
        elif node.type in ("type_declaration", "const_declaration", "var_declaration"):
            self.group(node, start)

    def called(self, owner: str, name: str, node: Node, method: Definition) -> Site:
        """Offer a method as a function that takes its object as a plain value, or makes it first."""
        entry = called_name(owner, name)
        own = self.site(f"{owner}.{name}", node, method, bound=True)
        if own.signature is None:
            return own
        given, result = self.listed(node), node.child_by_field_name("result")
        maker = self.makers.get(owner)
        if _canonical(owner, self.named, frozenset()) is not None:
            made, first = [("of", owner)], ""
        elif maker is not None:
            made = self.listed(maker)
            first = f"\tof := {self.name(maker)}({', '.join(n for n, _ in made)})\n"
        else:
            return Site(f"{owner}.{name}", method, None, "method: needs an instance")
        before = {"of", *(n for n, _ in made)}
        given = [(n + "_" * (n in before), written) for n, written in given]
        if not 0 < len(made) + len(given) <= MAX_PARAMETERS:
            return Site(f"{owner}.{name}", method, None, "signature: no parameters")
        listed = ", ".join(f"{n} {written}" for n, written in (*made, *given))
        returns = self.source.text(result) if result is not None else ""
        call = f"of.{name}({', '.join(n for n, _ in given)})"
        text = f"func {entry}({listed}) {returns} {{\n{first}\treturn {call}\n}}"
        uses = frozenset([f"{owner}.{name}", self.name(maker) if first and maker is not None else owner])
        definition = Definition(entry, "function", text, lambda: Facts(uses))
        parameters = tuple(Parameter(n, _canonical(t, self.named, frozenset())) for n, t in (*made, *given))
        return Site(
            entry, definition, Signature(parameters, own.signature.returns), "", own.trivial, self.source.text(node)
        )

    def listed(self, node: Node) -> list[tuple[str, str]]:
        """Return the names and types of a function's parameters."""
        holder = node.child_by_field_name("parameters")
        return [
            (self.source.text(child), self.source.text(kind))
            for item in (holder.named_children if holder is not None else [])
            if (kind := item.child_by_field_name("type")) is not None
            for i, child in enumerate(item.children)
            if item.field_name_for_child(i) == "name"
        ]

    def name(self, node: Node) -> str:
        name = node.child_by_field_name("name")
        return self.source.text(name) if name is not None else ""

    def define(self, name: str, kind: Kind, node: Node, text: str) -> Definition:
        def analyse() -> Facts:
            facts = _facts(self.source, node, self.imports)
            definition.imports = _lines(facts, self.imports)
            return facts

        definition = Definition(name, kind, text, analyse)
        self.module.add(definition)
        return definition

    def group(self, node: Node, start: int) -> None:
        keyword = node.type.split("_")[0]
        specs = [child for child in node.named_children if child.type.endswith(("_spec", "type_alias"))]
        for child in node.named_children:
            if child.type == "var_spec_list":
                specs += child.named_children
        # Constants that count up, or repeat the line above, mean something only together.
        whole = keyword == "const" and len(specs) > 1 and any(_counts(self.source, spec) for spec in specs)
        shared: Definition | None = None
        for spec in specs:
            names = [self.source.text(c) for i, c in enumerate(spec.children) if spec.field_name_for_child(i) == "name"]
            for name in names:
                if whole and shared is not None:
                    self.module.definitions.setdefault(name, []).append(shared)
                    continue
                comment = self.source.span(start, node.start_byte) if len(specs) == 1 else ""
                text = (
                    self.source.span(start, node.end_byte) if whole else f"{comment}{keyword} {self.source.text(spec)}"
                )
                kind: Kind = "type" if keyword == "type" else "value"
                definition = self.define(name, kind, node if whole else spec, text)
                shared = shared or definition
                if whole:
                    continue
                if len(names) > 1:
                    for other in names:
                        if other != name:
                            self.module.definitions.setdefault(other, []).append(definition)
                    break

    def site(self, name: str, node: Node, definition: Definition, *, bound: bool = False) -> Site:
        generic: set[str] = set()
        for item, parent, field in trees.walk(node.child_by_field_name("type_parameters") or node):
            if item.type == "identifier" and parent == "type_parameter_declaration" and field == "name":
                generic.add(self.source.text(item))
        parameters: list[Parameter] = []
        reason = ""
        listed = node.child_by_field_name("parameters")
        for item in listed.named_children if listed is not None else []:
            kind = item.child_by_field_name("type")
            written = self.source.text(kind) if kind is not None else ""
            if item.type == "variadic_parameter_declaration":
                reason = reason or "signature: any number of parameters"
            elif written.startswith("func"):
                reason = reason or "signature: takes a function"
            elif written.startswith(("*", "chan", "<-", "struct", "interface{ ")) or "." in written:
                reason = reason or f"signature: takes {written[:40]}"
            type_ = _canonical(written, self.named, frozenset(generic))
            names = [c for i, c in enumerate(item.children) if item.field_name_for_child(i) == "name"]
            parameters += [Parameter(self.source.text(c), type_) for c in names]
        if not parameters and not bound:
            reason = reason or "signature: no parameters"
        elif len(parameters) > MAX_PARAMETERS:
            reason = reason or f"signature: more than {MAX_PARAMETERS} parameters"
        result = node.child_by_field_name("result")
        if result is None:
            reason = reason or "signature: returns nothing"
        if reason or result is None:
            return Site(name, definition, None, reason)
        returns = _result(self.source, result, self.named, frozenset(generic))
        body = node.child_by_field_name("body")
        return Site(name, definition, Signature(tuple(parameters), returns), "", trees.trivial(_only_value(body)))


def _counts(source: Source, spec: Node) -> bool:
    return spec.child_by_field_name("value") is None or "iota" in source.text(spec)


def _result(source: Source, result: Node, named: dict[str, str], generic: frozenset[str]) -> Type | None:
    if result.type != "parameter_list":
        return _canonical(source.text(result), named, generic)
    kinds: list[str] = []
    for item in result.named_children:
        kind = item.child_by_field_name("type")
        names = [c for i, c in enumerate(item.children) if item.field_name_for_child(i) == "name"]
        kinds += [source.text(kind if kind is not None else item)] * max(1, len(names))
    if kinds and kinds[-1] == "error":
        kinds.pop()
    of = [_canonical(kind, named, generic) for kind in kinds]
    known = [t for t in of if t is not None]
    if not known or len(known) != len(of):
        return None
    return known[0] if len(known) == 1 else Type("tuple", tuple(known))


def _only_value(body: Node | None) -> Node | None:
    statements = [c for c in body.named_children if "comment" not in c.type] if body is not None else []
    if len(statements) == 1 and statements[0].type == "statement_list":
        statements = [c for c in statements[0].named_children if "comment" not in c.type]
    if len(statements) == 1 and statements[0].type == "return_statement" and statements[0].named_children:
        return statements[0].named_children[0]
    return None


def _lines(facts: Facts, imports: dict[str, str]) -> tuple[str, ...]:
    lines: list[str] = []
    for name, path in imports.items():
        if name in facts.soft:
            lines.append(f'"{path}"' if path.rpartition("/")[2] == name else f'{name} "{path}"')
    return tuple(sorted(lines))


_TYPE_PLACES = frozenset(["var_spec", "const_spec", "parameter_declaration", "variadic_parameter_declaration"])


def _facts(source: Source, node: Node, imports: dict[str, str]) -> Facts:
    used: set[str] = set()
    bound: set[str] = set()
    packages: set[str] = set()
    members: set[str] = set()
    keys: set[str] = set()
    refusal = ""
    for item, parent, field in trees.walk(node):
        kind = item.type
        if kind == "identifier":
            text = source.text(item)
            if (parent in _TYPE_PLACES or parent == "type_parameter_declaration") and field == "name":
                if node.type not in ("var_spec", "const_spec") or parent not in ("var_spec", "const_spec"):
                    bound.add(text)
            elif parent == "literal_element":
                keys.add(text)
            else:
                used.add(text)
        elif kind in ("short_var_declaration", "range_clause"):
            left = item.child_by_field_name("left")
            bound |= {source.text(c) for c in left.named_children} if left is not None else set()
        elif kind == "type_identifier" and parent != "qualified_type":
            used.add(source.text(item))
        elif kind == "type_parameter_declaration":
            bound |= {source.text(c) for i, c in enumerate(item.children) if item.field_name_for_child(i) == "name"}
        elif kind in ("selector_expression", "qualified_type"):
            owner = item.child_by_field_name("operand") or item.child_by_field_name("package")
            member = item.child_by_field_name("field") or item.child_by_field_name("name")
            if owner is not None and member is not None:
                first, second = source.text(owner), source.text(member)
                members.add(second)
                if first in imports:
                    packages.add(first)
                    if imports[first] not in PURE_PACKAGES:
                        refusal = refusal or f"imports: {imports[first]}"
                    elif imports[first] == "fmt" and second.startswith(("Print", "Scan", "Fprint", "Fscan")):
                        refusal = refusal or f"impure: input and output (fmt.{second})"
        elif kind == "go_statement" or (kind == "select_statement") or kind == "channel_type":
            refusal = refusal or "impure: concurrent"
    if node.type in ("type_spec", "type_alias", "const_declaration") or node.type.endswith("_spec"):
        bound |= {source.text(c) for i, c in enumerate(node.children) if node.field_name_for_child(i) == "name"}
    name = node.child_by_field_name("name")
    if name is not None and node.type == "function_declaration":
        bound.add(source.text(name))
    # A key of a literal is a field's name or an expression; a field needs no definition.
    return Facts(
        frozenset(used - bound - set(imports)) - (BUILTINS - _OFTEN_DEFINED),
        frozenset(packages | (keys - bound)),
        frozenset(members),
        refusal=refusal,
    )
