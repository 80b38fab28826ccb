"""How Rust is read: free functions, with the constants, types, implementations and macros that they need."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.cutting import Definition, Facts, Kind, Link, Module, Piece, Site, called_name
from parallel_mining.drivers.rust.run import ITERATOR, bound_of
from parallel_mining.mutants import Wording
from parallel_mining.programs import ARGUMENTS, Form
from parallel_mining.signatures import MAX_PARAMETERS, Parameter, Signature
from parallel_mining.trees import Source
from parallel_mining.types import Type, split_outside

SHARES_DIRECTORY = False
TYPED = True
WORDING = Wording('panic!("branch reached")')

DENIED = dict.fromkeys(("println", "eprintln", "print", "eprint", "dbg"), "input and output") | dict.fromkeys(
    ("include_str", "include_bytes", "include", "env", "option_env"), "reads files of the build"
)
BUILTINS = frozenset(
    """_ Some None Ok Err Vec String Option Result Box Iterator IntoIterator Extend Clone Copy Debug Default Drop
    Eq Ord PartialEq PartialOrd Fn FnMut FnOnce From Into TryFrom TryInto FromIterator ToString ToOwned AsRef
    AsMut Send Sync Sized Unpin DoubleEndedIterator ExactSizeIterator Self self super crate std core alloc vec
    format panic assert assert_eq assert_ne debug_assert debug_assert_eq debug_assert_ne unreachable
    unimplemented todo matches write writeln concat stringify line file cfg drop i8 i16 i32 i64 i128 isize u8
    u16 u32 u64 u128 usize f32 f64 bool char str derive inline allow must_use doc test deprecated non_exhaustive
    repr cold track_caller warn deny""".split()  # noqa: SIM905
)
_IMPURE_MODULES = frozenset(["fs", "net", "process", "env", "thread", "time", "io", "sync", "os", "ffi"])
_STANDARD = frozenset(["std", "core", "alloc"])

PROGRAM = Form(
    starts=re.compile(r"(?m)^(?:pub\s+)?fn\s+main\s*\(\s*\)"),
    imports=re.compile(r"(?m)^\s*(?:pub\s+)?(?:use|extern\s+crate)\s+(?:::)?([\w:]+)"),
    allowed=re.compile(
        r"(?:std|core|alloc|self|super|crate)(?:::(?!fs\b|net\b|env\b|thread\b|time\b|os\b|ffi\b|sync\b)\w*)*(?:::)?"
    ),
    reads=re.compile(r"\bstdin\b"),
    denied={
        ARGUMENTS: re.compile(r"\benv\s*::\s*args\b|\bargs\(\)"),
        "files": re.compile(r"\bfs\s*::|\bFile\s*::"),
        "threads": re.compile(r"\bthread\s*::|\bArc\b|\bMutex\b"),
        "time": re.compile(r"\b(?:Instant|SystemTime|Duration)\b"),
        "network": re.compile(r"\bnet\s*::|\bTcp\w+"),
        "reflection": re.compile(r"\bunsafe\b|\binclude(?:_str|_bytes)?!|\benv!"),
        "unresolved": re.compile(r"(?m)^\s*(?:pub\s+)?mod\s+\w+\s*;"),
        "depends on the process": re.compile(r"\bRandomState\b|\bprocess\s*::\s*(?!exit\b)\w+"),
    },
)

_SCALARS = {
    "str": "str",
    "String": "str",
    "bool": "bool",
    "char": "char",
    "f64": "float",
    "f32": "float32",
    "i128": "int",
    "u128": "int",
    "usize": "uint64",
    "isize": "int64",
    **{f"i{n}": f"int{n}" for n in (8, 16, 32, 64)},
    **{f"u{n}": f"uint{n}" for n in (8, 16, 32, 64)},
}
_WRAPPERS = {"Vec": "list", "VecDeque": "list", "Option": "optional", "HashSet": "set", "BTreeSet": "set"}
_NOTHING = "signature: no parameters"
_MAPS = ("HashMap", "BTreeMap")


def read(path: str, text: str) -> Module:
    """Read a file.

    Args:
        path: Its path below the repository; `crate::` and `super::` are resolved against it.
        text: Its source.
    """
    source = trees.parse("rust", text)
    module = Module(path)
    reader = _Reader(module, source)
    children = source.root.named_children
    for child in children:
        if child.type == "extern_crate_declaration":
            reader.crate(child)
    for child in children:
        if child.type == "use_declaration":
            reader.use(child)
    for index, child in enumerate(children):
        if child.type not in ("use_declaration", "extern_crate_declaration"):
            reader.item(child, *_start(children, index))
    return module


def alias(name: str, target: str) -> str:
    """Return the line that makes `name` another name for `target`."""
    return f"use self::{target} as {name};"


def assemble(site: Site, pieces: Sequence[Piece]) -> str:
    """Return the program text of a unit: `use` lines, macros, then definitions."""
    del site
    imports = sorted({line for piece in pieces for line in piece.definition.imports})
    macros = [p.text.strip() for p in pieces if p.text.lstrip().startswith("macro_rules!")]
    body = [p.text.strip() for p in pieces if not p.text.lstrip().startswith("macro_rules!")]
    parts = ["\n".join(imports), *dict.fromkeys(macros), *dict.fromkeys(body)]
    return "\n\n".join(part for part in parts if part) + "\n"


def canonical(annotation: str) -> Type | None:
    """Return the canonical type of a Rust type such as `&[f64]`, or None where it has none."""
    return _canonical(annotation, {})


def _canonical(text: str, generic: Mapping[str, Type]) -> Type | None:
    text = re.sub(r"'\w+\s*", "", text).strip()
    text = re.sub(r"^&\s*(mut\s+)?", "", text).strip()
    if text in generic:
        return generic[text]
    if text in _SCALARS:
        return Type(_SCALARS[text])
    if text == "()":
        return Type("null")
    if text.startswith("[") and text.endswith("]"):
        inner = _canonical(text[1:-1].partition(";")[0], generic)
        return inner and (Type("list", (inner,)) if ";" not in text else None)
    if text.startswith("(") and text.endswith(")"):
        of = [_canonical(part, generic) for part in split_outside(text[1:-1])]
        known = tuple(t for t in of if t is not None)
        return Type("tuple", known) if len(known) == len(of) else None
    if text.endswith(">"):
        head, _, inside = text[:-1].partition("<")
        head = head.rpartition("::")[2].strip()
        of = [_canonical(part, generic) for part in split_outside(inside)]
        if head == "Result" and of:
            return of[0]
        if head in ("Box", "Rc", "Cow") and of:
            return of[-1]
        known = tuple(t for t in of if t is not None)
        if len(known) != len(of):
            return None
        if head in _WRAPPERS and len(known) == 1:
            return Type(_WRAPPERS[head], known)
        if head in _MAPS and len(known) == 2:
            return Type("dict", known)
    return None


def _module_files(place: str) -> tuple[str, ...]:
    place = place.strip("/")
    return (f"{place}.rs", f"{place}/mod.rs", f"{place}/lib.rs", f"{place}/main.rs")


def _start(children: Sequence[Node], index: int) -> tuple[int, list[Node]]:
    """Return where an item begins with its attributes and comments, and the attributes."""
    attributes: list[Node] = []
    start = children[index].start_byte
    while index > 0 and children[index - 1].type in ("attribute_item", "line_comment", "block_comment"):
        index -= 1
        text = children[index].text or b""
        if children[index].type != "attribute_item" and text.startswith((b"//!", b"/*!")):
            break
        if children[index].type == "attribute_item":
            attributes.append(children[index])
        start = children[index].start_byte
    return start, attributes


class _Reader:
    def __init__(self, module: Module, source: Source) -> None:
        self.module = module
        self.source = source
        self.standard: list[str] = []
        self.crates: dict[str, str] = {}

    def crate(self, node: Node) -> None:
        """Know a crate by another name: `extern crate num_traits as traits;`."""
        name, other = node.child_by_field_name("name"), node.child_by_field_name("alias")
        if name is not None:
            bound = self.source.text(other if other is not None else name)
            self.crates[bound] = self.source.text(name)
            if self.crates[bound] not in _STANDARD:
                self.module.links[bound] = Link(self.files([bound]), "*")

    def use(self, node: Node) -> None:
        argument = node.child_by_field_name("argument")
        if argument is None:
            return
        for written, name in self.leaves(argument, []):
            path = [self.crates.get(written[0], written[0]), *written[1:]] if written else written
            if len(path) == 1 and name not in (path[0], "*"):
                self.crates[name] = path[0]
            if path and path[0] in _STANDARD:
                full = "::".join(("std", *path[1:]))  # a program with `std` needs no `extern crate` for the others
                if len(path) > 1 and path[1] in _IMPURE_MODULES:
                    self.module.denied[name] = f"impure: uses {full}"
                    continue
                renamed = name not in (path[-1], "*")
                self.standard.append(f"use {full}{f' as {name}' if renamed else ''};")
                if name != "*":
                    self.module.add(Definition(name, "import", "", Facts))
            elif name == "*":
                self.module.stars.append(Link(self.files(path[:-1]), "*"))
            else:
                self.module.links[name] = Link((*self.files(path[:-1]), *self.files(path)), path[-1])

    def leaves(self, node: Node, path: list[str]) -> Iterator[tuple[list[str], str]]:
        if node.type in ("identifier", "crate", "self", "super", "scoped_identifier", "type_identifier"):
            parts = [*path, *self.source.text(node).replace(" ", "").split("::")]
            parts = parts[:-1] if parts[-1] == "self" and len(parts) > 1 else parts
            yield parts, parts[-1]
        elif node.type == "use_as_clause":
            inner, name = node.child_by_field_name("path"), node.child_by_field_name("alias")
            if inner is not None and name is not None:
                for parts, _ in self.leaves(inner, path):
                    yield parts, self.source.text(name)
        elif node.type == "use_wildcard":
            for child in node.named_children:
                yield [*path, *self.source.text(child).split("::"), "*"], "*"
        elif node.type == "scoped_use_list":
            prefix, listed = node.child_by_field_name("path"), node.child_by_field_name("list")
            start = [*path, *(self.source.text(prefix).split("::") if prefix is not None else [])]
            for child in listed.named_children if listed is not None else []:
                yield from self.leaves(child, start)
        elif node.type == "use_list":
            for child in node.named_children:
                yield from self.leaves(child, path)

    def files(self, path: Sequence[str]) -> tuple[str, ...]:
        """Return the files in which a module path may lie, best first.

        A path that starts with neither `crate` nor the like is one of a module below this one, of this crate (as it was
        written before 2018), of this crate under its own name (in its tests and examples), or of another crate of the
        same repository.
        """
        here = self.module.path
        base = posixpath.dirname(here)
        is_root = posixpath.basename(here) in ("mod.rs", "lib.rs", "main.rs")
        inner = base if is_root else here[: -len(".rs")]
        head, _, _ = here.partition("src/")
        root = f"{head}src" if "src/" in here else base
        parts = list(path)
        if parts and parts[0] == "self":
            folder, parts = inner, parts[1:]
        elif parts and parts[0] == "super":
            folder, parts = posixpath.dirname(inner), parts[1:]
            while parts and parts[0] == "super":
                folder, parts = posixpath.dirname(folder), parts[1:]
        elif not parts or parts[0] == "crate":
            folder, parts = root, parts[1:]
        else:
            name, rest = self.crates.get(parts[0], parts[0]), parts[1:]
            above = posixpath.dirname(head.rstrip("/") if "src/" in here else base)
            places = [posixpath.join(inner, *parts), posixpath.join(root, *parts)]
            if "src/" not in here:
                places.append(posixpath.join(above, "src", *rest))
            places += [posixpath.join(above, crate, "src", *rest) for crate in (name, name.replace("_", "-"))]
            return tuple(dict.fromkeys(file for place in places for file in _module_files(place)))
        return _module_files(posixpath.join(folder, *parts))

    def item(self, node: Node, start: int, attributes: list[Node]) -> None:
        marks = " ".join(self.source.text(a) for a in attributes)
        if re.search(r"cfg\(\s*(test|any\(test)|#\[test\]|#\[bench\]", marks):
            return
        feature = re.search(r"cfg\(\s*(feature\s*=\s*\"[^\"]+\")\s*\)", marks)
        if feature is not None and f"not({feature[1]})" in self.source.data.decode(errors="replace"):
            return  # what stands in for it without the feature needs less
        name_node = node.child_by_field_name("name")
        name = self.source.text(name_node) if name_node is not None else ""
        text = self.source.span(start, node.end_byte)
        text = re.sub(
            r"(?m)^\s*#\[cfg\([^\n]*\)\]\n?|^\s*#!?\[(stable|unstable|rustc_\w+|must_use)[^\n]*\]\n?", "", text
        )
        text = re.sub(r"\bpub\s*\((crate|super|self|in [\w:]+)\)", "pub", text)
        if node.type == "function_item":
            definition = self.define(name, "function", node, text)
            self.module.sites.append(self.site(name, node, definition))
        elif node.type in ("const_item", "static_item"):
            self.define(name, "value", node, text)
        elif node.type in ("struct_item", "enum_item", "type_item", "trait_item", "union_item"):
            self.define(name, "type", node, text)
        elif node.type == "macro_definition":
            self.define(name, "function", node, text)
        elif node.type == "impl_item":
            kind = node.child_by_field_name("type")
            owner = (
                next((self.source.text(i) for i, _, _ in trees.walk(kind) if i.type == "type_identifier"), "")
                if kind is not None
                else ""
            )
            definition = self.define(f"impl {node.start_byte}", "impl", node, text)
            definition.owner = owner
            body = node.child_by_field_name("body")
            members = [m for m in body.named_children if m.type == "function_item"] if body is not None else []
            for member in members:
                self.module.sites.append(self.member(node, owner, definition, member, members))

    def name_of(self, node: Node) -> str:
        name = node.child_by_field_name("name")
        return self.source.text(name) if name is not None else ""

    def member(self, impl: Node, owner: str, whole: Definition, node: Node, others: Sequence[Node]) -> Site:
        """Offer a function of an `impl`: a method as a function that takes or makes its object first."""
        name, kind = self.name_of(node), impl.child_by_field_name("type")
        of_trait = impl.child_by_field_name("trait")
        own = self.site(f"{owner}::{name}", node, whole, bound=True)
        on = self.source.text(kind) if kind is not None else ""
        generic = impl.child_by_field_name("type_parameters") is not None or node.child_by_field_name("type_parameters")
        taken, receiver = self.listed(node)
        result = node.child_by_field_name("return_type")
        returns = self.source.text(result) if result is not None else ""
        if own.signature is None or generic or re.search(r"\bSelf\b", returns):
            return replace(own, signature=None, reason=own.reason or "method: needs an instance")
        if not receiver:
            reason = own.reason or ("method: of a trait" if of_trait is not None else "" if taken else _NOTHING)
            return replace(own, signature=None if reason else own.signature, reason=reason)
        if "mut" in receiver:
            return replace(own, signature=None, reason="method: changes its object")
        if of_trait is not None and canonical(on) is not None:
            made = [("of", f"&{on}" if receiver.startswith("&") else on)]
            kind_name = "string" if on in ("str", "String") else re.sub(r"\W+", "", on).lower()
            entry = f"{name}_{kind_name}"
            thing = f"<{on} as {self.source.text(of_trait)}>::{name}(of"
        else:
            maker = next((m for m in others if self.name_of(m) == "new" and not self.listed(m)[1]), None)
            if maker is None or of_trait is not None or self.site("new", maker, whole, bound=True).signature is None:
                return replace(own, signature=None, reason="method: needs an instance")
            made, entry = self.listed(maker)[0], called_name(owner, name)
            thing = f"{owner}::new({', '.join(n for n, _ in made)}).{name}("
        before = {n for n, _ in made}
        given = [(n + "_" * (n in before), written) for n, written in taken]
        if not 0 < len(made) + len(given) <= MAX_PARAMETERS:
            return replace(own, signature=None, reason=_NOTHING)
        comma = ", " if given and thing.endswith("of") else ""
        text = (
            f"pub fn {entry}({', '.join(f'{n}: {written}' for n, written in (*made, *given))}) -> {returns} {{\n"
            f"    {thing}{comma}{', '.join(n for n, _ in given)})\n}}"
        )
        uses = frozenset([whole.name])
        definition = Definition(f"fn {entry} {node.start_byte}", "function", text, lambda: Facts(uses))
        parameters = tuple(Parameter(n, canonical(written)) for n, written in (*made, *given))
        return Site(
            entry, definition, Signature(parameters, own.signature.returns), "", own.trivial, self.source.text(node)
        )

    def listed(self, node: Node) -> tuple[list[tuple[str, str]], str]:
        """Return the names and types of a function's parameters, and how it takes its object, or ""."""
        holder = node.child_by_field_name("parameters")
        found: list[tuple[str, str]] = []
        receiver = ""
        for item in holder.named_children if holder is not None else []:
            kind, pattern = item.child_by_field_name("type"), item.child_by_field_name("pattern")
            if item.type == "self_parameter":
                receiver = self.source.text(item)
            elif kind is not None and pattern is not None:
                found.append((self.source.text(pattern).removeprefix("mut "), self.source.text(kind)))
        return found, receiver

    def define(self, name: str, kind: Kind, node: Node, text: str) -> Definition:
        definition = Definition(
            name, kind, text, lambda: _facts(self.source, node, name, self.module), imports=tuple(self.standard)
        )
        self.module.add(definition)
        return definition

    def site(self, name: str, node: Node, definition: Definition, *, bound: bool = False) -> Site:
        generic: dict[str, Type] = {}
        listed = node.child_by_field_name("type_parameters")
        bounds = " ".join(
            self.source.text(c) for c in node.named_children if c.type in ("type_parameters", "where_clause")
        )
        for item in listed.named_children if listed is not None else []:
            inner = item.child_by_field_name("name")
            if item.type == "type_parameter" and inner is not None:
                called = self.source.text(inner)
                gone_through = ITERATOR.match(bound_of(bounds, called))
                generic[called] = Type("list", (Type("any"),)) if gone_through else Type("any")
        parameters: list[Parameter] = []
        reason = ""
        modifiers = next((c for c in node.named_children if c.type == "function_modifiers"), None)
        if modifiers is not None and re.search(r"async|unsafe|extern", self.source.text(modifiers)):
            reason = f"impure: {self.source.text(modifiers)}"
        holder = node.child_by_field_name("parameters")
        for item in holder.named_children if holder is not None else []:
            if item.type != "parameter":
                continue
            kind, pattern = item.child_by_field_name("type"), item.child_by_field_name("pattern")
            written = self.source.text(kind) if kind is not None else ""
            if "Fn" in written or written.startswith("fn("):
                reason = reason or "signature: takes a function"
            type_ = _canonical(written, generic)
            if type_ is None:
                reason = reason or f"signature: takes {written[:40]}"
            parameters.append(Parameter(self.source.text(pattern) if pattern is not None else "", type_))
        if not parameters and not bound:
            reason = reason or _NOTHING
        elif len(parameters) > MAX_PARAMETERS:
            reason = reason or f"signature: more than {MAX_PARAMETERS} parameters"
        result = node.child_by_field_name("return_type")
        if result is None or self.source.text(result) in ("()", "!"):
            reason = reason or "signature: returns nothing"
        if reason or result is None:
            return Site(name, definition, None, reason)
        returns = _canonical(self.source.text(result), generic)
        body = node.child_by_field_name("body")
        statements = [c for c in body.named_children if "comment" not in c.type] if body is not None else []
        value = statements[0] if len(statements) == 1 else None
        if value is not None and value.type == "expression_statement" and value.named_children:
            value = value.named_children[0]
        if value is not None and value.type == "return_expression":
            value = value.named_children[0] if value.named_children else None
        why = trees.trivial(value) if value is not None and not value.type.endswith("_declaration") else ""
        if value is not None and value.type in ("for_expression", "while_expression", "loop_expression", "block"):
            why = ""
        return Site(name, definition, Signature(tuple(parameters), returns), "", why)


def _facts(source: Source, node: Node, name: str, module: Module) -> Facts:
    used: set[str] = set()
    bound: set[str] = {name}
    members: set[str] = set()
    through: list[tuple[int, int, str, str]] = []
    refusal = ""
    if node.type == "macro_definition":
        return Facts()
    for item, parent, field in trees.walk(node):
        kind = item.type
        if kind in ("scoped_identifier", "scoped_type_identifier"):
            parts = source.text(item).replace(" ", "").split("::")
            if parts[0] in _STANDARD and len(parts) > 1 and parts[1] in _IMPURE_MODULES:
                refusal = refusal or f"impure: uses {'::'.join(parts[:3])}"
        elif kind == "identifier":
            text = source.text(item)
            if parent in ("scoped_identifier", "scoped_type_identifier") and field == "name":
                members.add(text)
            elif (
                field == "pattern"
                or parent.endswith("_pattern")
                or parent in ("closure_parameters", "lifetime")
                or parent in ("parameters", "attribute")
                or (
                    parent in ("function_item", "function_signature_item", "const_item", "static_item")
                    and field == "name"
                )
            ):
                bound.add(text)
            elif parent in ("enum_variant", "token_tree") and text not in module.definitions:
                bound.add(text) if parent == "enum_variant" else None
            else:
                used.add(text)
        elif kind == "type_identifier":
            text = source.text(item)
            if parent in ("type_parameter", "type_parameters", "constrained_type_parameter") and field in (
                "name",
                "left",
                "",
            ):
                bound.add(text)
            elif parent in ("scoped_type_identifier",) and field == "name":
                members.add(text)
            elif parent in ("type_item", "associated_type", "type_binding") and field == "name":
                bound.add(text)
            else:
                used.add(text)
        elif kind == "field_identifier":
            members.add(source.text(item))
        elif kind == "unsafe_block":
            refusal = refusal or "impure: unsafe"
    names = {u for u in used - bound if u not in BUILTINS or u in module.definitions}
    return Facts(frozenset(names), frozenset(), frozenset(members), tuple(through), refusal=refusal)
