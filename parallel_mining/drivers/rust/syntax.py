"""How Rust is read: free functions, with the constants, types, implementations and macros that they need."""

from __future__ import annotations

import posixpath
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.cutting import Definition, Facts, Kind, Link, Module, Piece, Site, called_name
from parallel_mining.drivers.rust.macros import expansion
from parallel_mining.drivers.rust.run import INSTANCES, ITERATOR, bound_of, iterates
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
_NAMING = frozenset(["enum_item", "struct_item", "type_item", "union_item"])
_NAMING_TYPES = frozenset(
    ["type_parameter", "type_parameters", "constrained_type_parameter", "optional_type_parameter"]
)
_WIDEST = ("i64", "u64", "i32", "u32")
_NOTHING = "signature: no parameters"
MAX_EXPANSION = 60_000
"""Characters of what a macro's call stands for; what stands for more is left alone."""
MAX_DEPTH = 6
"""How deep macros that call macros are followed."""
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
        elif child.type == "mod_item" and child.child_by_field_name("body") is None:
            reader.below(child)
    for child in children:
        if child.type == "use_declaration":
            reader.use(child)
    for index, child in enumerate(children):
        if child.type not in ("use_declaration", "extern_crate_declaration"):
            reader.item(child, *_start(children, index))
    # Of what a macro makes for many widths the widest is offered.
    module.sites += [min(sites, key=lambda one: one[0])[1] for sites in reader.widths.values()]
    return module


def alias(name: str, target: str) -> str:
    """Return the line that makes `name` another name for `target`."""
    return f"use self::{target} as {name};"


def assemble(site: Site, pieces: Sequence[Piece]) -> str:
    """Return the program text of a unit: `use` lines, macros, then definitions."""
    del site
    imports = sorted({line for piece in pieces for line in piece.definition.imports})
    macros = [p.text.strip() for p in pieces if p.text.lstrip().startswith("macro_rules!")]
    inside: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda p: p.definition.order):
        if piece.definition.kind == "method":
            inside.setdefault(piece.definition.owner, []).append(piece)
    body = [
        _filled(p, inside.get(p.definition.name, ()))
        for p in pieces
        if p.definition.kind != "method" and not p.text.lstrip().startswith("macro_rules!")
    ]
    parts = ["\n".join(imports), *dict.fromkeys(macros), *dict.fromkeys(body)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _filled(piece: Piece, members: Sequence[Piece]) -> str:
    """Return an item with those of its members that are needed."""
    text = piece.text.strip()
    if not members:
        return text
    head, _, _ = text.rpartition("}")
    return head.rstrip() + "\n" + "\n\n".join(f"    {member.text.strip()}" for member in members) + "\n}"


def canonical(annotation: str) -> Type | None:
    """Return the canonical type of a Rust type such as `&[f64]`, or None where it has none."""
    return _canonical(annotation, {})


def _canonical(text: str, generic: Mapping[str, Type]) -> Type | None:
    text = re.sub(r"'\w+\s*", "", text).strip()
    text = re.sub(r"^&\s*(mut\s+)?", "", text).strip()
    if text in generic:
        return generic[text]
    holder = generic.get(text.removesuffix("::Item")) if text.endswith("::Item") else None
    if holder is not None and holder.of:
        return holder.of[0]
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


def _is_off(marks: str, written: str) -> bool:
    """Say whether an item is left out by the features that its attributes ask for.

    Those of the standard library are on. Of another, what stands in for it without the feature needs less.
    """
    asked = re.search(r"cfg\(\s*(not\(\s*)?(feature\s*=\s*\"([^\"]+)\")\s*\)", marks)
    if asked is None:
        return False
    if asked[3] in ("std", "use_std", "alloc", "use_alloc"):
        return asked[1] is not None
    return asked[1] is None and f"not({asked[2]})" in written


class _Reader:
    def __init__(self, module: Module, source: Source) -> None:
        self.module = module
        self.source = source
        self.standard: list[str] = []
        self.crates: dict[str, str] = {}
        self.macros: dict[str, str] = {}
        self.widths: dict[tuple[str, str, str], list[tuple[int, Site]]] = {}
        self.depth = 0

    def crate(self, node: Node) -> None:
        """Know a crate by another name: `extern crate num_traits as traits;`."""
        name, other = node.child_by_field_name("name"), node.child_by_field_name("alias")
        if name is not None:
            bound = self.source.text(other if other is not None else name)
            self.crates[bound] = self.source.text(name)
            if self.crates[bound] not in _STANDARD:
                self.module.links[bound] = Link(self.files([bound]), "*")

    def below(self, node: Node) -> None:
        """Know a module of a file of its own, by a name that no value has: `mod size_hint;`."""
        name = self.name_of(node)
        self.module.links[f"{name}::"] = Link(self.files(["self", name]), "*")

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
                within = self.files(path)
                self.module.links[name] = Link((*self.files(path[:-1]), *within), path[-1], within)

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

    def space(self, path: Sequence[str]) -> str:
        """Return the link by which names below a module are known, or "" where a path is none of a module's.

        Modules have names in small letters.
        """
        if not path or not path[-1][:1].islower() or path[0] in _STANDARD:
            return ""
        if path[0] in ("crate", "self", "super"):
            key = "::".join(path) + "::"
            self.module.links.setdefault(key, Link(self.files(path), "*"))
            return key if len(path) > 1 else ""
        key = f"{path[0]}::"
        if len(path) == 1:
            return key if key in self.module.links else path[0] if path[0] in self.module.links else ""
        return ""

    def item(self, node: Node, start: int, attributes: list[Node]) -> None:
        marks = " ".join(self.source.text(a) for a in attributes)
        if re.search(r"cfg\(\s*(test|any\(test)|#\[test\]|#\[bench\]", marks):
            return
        written = self.source.data.decode(errors="replace")
        if _is_off(marks, written):
            return
        name = self.name_of(node)
        text = self.source.span(start, node.end_byte)
        for one, parent, _ in reversed([*trees.walk(node)] if "cfg(" in text else []):
            if one.type == "attribute_item" and parent != "source_file" and _is_off(self.source.text(one), written):
                after = one.next_named_sibling
                while after is not None and after.type in ("attribute_item", "line_comment", "block_comment"):
                    after = after.next_named_sibling
                if after is not None:
                    data = text.encode(errors="replace")
                    left, right = one.start_byte - start, after.end_byte - start
                    text = (data[:left] + data[right:]).decode(errors="replace")
        text = re.sub(
            r"(?m)^\s*#\[cfg\([^\n]*\)\]\n?|^\s*#!?\[(stable|unstable|rustc_\w+|must_use)[^\n]*\]\n?", "", text
        )
        text = re.sub(r"\bpub\s*\((crate|super|self|in [\w:]+)\)", "pub", text)
        text = re.sub(r"(?<![\w:])alloc::(?=\w)", "std::", text)  # a program with `std` has all of it there
        if node.type == "function_item":
            definition = self.define(name, "function", text)
            self.module.sites.append(self.site(name, node, definition))
        elif node.type in ("const_item", "static_item"):
            self.define(name, "value", text)
        elif node.type == "trait_item":
            self.trait(node, name, text)
        elif node.type in ("struct_item", "enum_item", "type_item", "union_item"):
            self.define(name, "type", text)
        elif node.type == "macro_definition":
            self.define(name, "function", text)
            self.macros[name] = text
        elif node.type == "impl_item":
            self.implementation(node, text)
        elif node.type == "expression_statement" and node.named_children[0].type == "macro_invocation":
            self.called(node.named_children[0])
        elif node.type == "macro_invocation":
            self.called(node)

    def called(self, node: Node) -> None:
        """Read what a call of a macro of this file stands for, as if it stood there."""
        name = self.source.text(node.named_children[0])
        arguments = self.source.text(node.named_children[-1])
        text = expansion(self.macros[name], arguments[1:-1]) if name in self.macros else None
        if text is None or len(text) > MAX_EXPANSION or self.depth >= MAX_DEPTH:
            return
        inner = _Reader(self.module, trees.parse("rust", textwrap.dedent(text)))
        inner.standard, inner.crates, inner.macros = self.standard, self.crates, self.macros
        inner.widths, inner.depth = self.widths, self.depth + 1
        children = inner.source.root.named_children
        for index, child in enumerate(children):
            if child.type != "use_declaration":
                inner.item(child, *_start(children, index))

    def trait(self, node: Node, name: str, text: str) -> None:
        """Define a trait without its functions, and each of them apart: only those that are called come along."""
        shell, members = _parted(text)
        self.define(name, "type", shell)
        bound = self.parameters(node)
        for own, written, provided in members:
            member = self.define(f"{name}#{own}", "method", written, bound)
            member.owner, member.local, member.optional = name, own, provided
        bounds, body = node.child_by_field_name("bounds"), node.child_by_field_name("body")
        if bounds is None or body is None or bound:
            return
        if any(ITERATOR.fullmatch(self.source.text(one)) for one in bounds.named_children):
            self.module.sites += [
                site
                for member in body.named_children
                if member.type == "function_item"
                for site in self.of_iterator(name, member)
            ]

    def implementation(self, node: Node, text: str) -> None:
        """Define an implementation: one of a trait of the repository without its functions, and each of them apart.

        One for a built-in type, or for all types, belongs to its trait.
        """
        kind, of_trait, body = (node.child_by_field_name(field) for field in ("type", "trait", "body"))
        on = self.source.text(kind) if kind is not None else ""
        named = (
            [self.source.text(i) for i, _, _ in trees.walk(kind) if i.type == "type_identifier"]
            if kind is not None
            else []
        )
        trait = self.source.text(of_trait) if of_trait is not None else ""
        bound = self.parameters(node)
        number = sum(map(len, self.module.definitions.values()))
        name = re.sub(r"\W", "_", f"impl {self.module.path} {number}")
        definition = self.define(name, "impl", text, bound)
        definition.owner = named[0] if named else ""
        if self.is_own(trait):
            definition.text, members = _parted(text)
            for own, written, _ in members:
                member = self.define(f"{definition.name}#{own}", "method", written, bound)
                member.owner, member.local = definition.name, own
            if definition.owner in ("", *bound):
                definition.owner = _last(trait)
                alone = re.sub(r"^&\s*('\w+\s*)?", "", on)
                definition.only_for = alone if alone in _SCALARS and alone != INSTANCES[0] else ""
        functions = [m for m in body.named_children if m.type == "function_item"] if body is not None else []
        for member in functions:
            site = self.member(node, named[0] if named else "", definition, member, functions)
            if trait and site.signature is not None and on in _SCALARS:
                key = (trait, self.name_of(member), "number" if re.fullmatch(r"[iu](\d+|size)", on) else on)
                self.widths.setdefault(key, []).append((_WIDEST.index(on) if on in _WIDEST else len(_WIDEST), site))
            else:
                self.module.sites.append(site)

    def is_own(self, trait: str) -> bool:
        """Say whether a trait may be one of the repository, as it is written where it is implemented."""
        path = re.sub(r"<.*", "", trait, flags=re.DOTALL).split("::")
        if not trait or path[0] in _STANDARD:
            return False
        known = self.module.definitions.get(path[0], ())
        return path[0] not in BUILTINS and not any(one.kind == "import" for one in known)

    def parameters(self, node: Node) -> frozenset[str]:
        """Return the names of an item's type parameters."""
        listed = node.child_by_field_name("type_parameters")
        names = [one.child_by_field_name("name") for one in listed.named_children] if listed is not None else []
        return frozenset(self.source.text(name) for name in names if name is not None)

    def of_iterator(self, trait: str, node: Node) -> Iterator[Site]:
        """Offer a function that a trait gives to every iterator, as one that takes a list."""
        name = self.name_of(node)
        taken, receiver = self.listed(node)
        result, where = node.child_by_field_name("return_type"), None
        where = next((c for c in node.named_children if c.type == "where_clause"), None)
        listed = node.child_by_field_name("type_parameters")
        value = _only_value(node.child_by_field_name("body"))
        called = value.named_children[0] if value is not None and value.type == "call_expression" else None
        passed_on = called is not None and _last(self.source.text(called)) == name
        if passed_on or not receiver or result is None or "of" in (n for n, _ in taken):
            return
        kinds = [self.source.text(c) for c in listed.named_children] if listed is not None else []
        conditions = split_outside(self.source.text(where).removeprefix("where")) if where is not None else []
        told = ",\n    ".join(_of_list(c.rstrip(", \n")) for c in conditions if re.sub(r"\s", "", c) != "Self:Sized")
        given = "".join(f", {n}: {_of_list(written)}" for n, written in taken)
        text = (
            f"pub fn {name}<{', '.join([*(k for k in kinds if k[0] == chr(39)), 'Item', *map(_of_list, kinds)])}>"
            f"(of: Vec<Item>{given}) -> {_of_list(self.source.text(result))}\n"
            + (f"where\n    {told},\n" if told else "")
            + f"{{\n    of.into_iter().{name}({', '.join(n for n, _ in taken)})\n}}"
        )
        reader = _Reader(self.module, trees.parse("rust", text))
        [function] = reader.source.root.named_children[:1]
        definition = Definition(
            f"fn {name} {node.start_byte}", "function", text, lambda: _calling(_facts(text, name, self), trait, name)
        )
        definition.imports = tuple(self.standard)
        site = reader.site(name, function, definition)
        yield replace(site, trivial=self.triviality(node), body=self.source.text(node))

    def name_of(self, node: Node) -> str:
        name = node.child_by_field_name("name")
        return self.source.text(name) if name is not None else ""

    def member(self, impl: Node, owner: str, whole: Definition, node: Node, others: Sequence[Node]) -> Site:
        """Offer a function of an `impl`: a method as a function that takes or makes its object first."""
        name, kind = self.name_of(node), impl.child_by_field_name("type")
        of_trait = impl.child_by_field_name("trait")
        on = self.source.text(kind) if kind is not None else ""
        own = self.site(f"{owner or on}::{name}", node, whole, bound=True, on=on if of_trait is not None else "")
        generic = impl.child_by_field_name("type_parameters") is not None or node.child_by_field_name("type_parameters")
        taken, receiver = self.listed(node)
        result = node.child_by_field_name("return_type")
        returns = self.source.text(result) if result is not None else ""
        if of_trait is not None and canonical(on) is not None:
            taken = [(n, re.sub(r"\bSelf\b", on, written)) for n, written in taken]
            returns = re.sub(r"\bSelf\b", on, returns)
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
            entry = f"{name}_{kind_name}" if name in self.module.definitions else name
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
        definition = Definition(
            f"fn {entry} {node.start_byte}", "function", text, lambda: _calling(Facts(), whole.name, name)
        )
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

    def define(self, name: str, kind: Kind, text: str, bound: frozenset[str] = frozenset()) -> Definition:
        definition = Definition(name, kind, text, Facts, imports=tuple(self.standard))
        definition.analyse = lambda: _facts(definition.text, name, self, bound)
        self.module.add(definition)
        return definition

    def site(self, name: str, node: Node, definition: Definition, *, bound: bool = False, on: str = "") -> Site:
        of_itself = canonical(on)
        generic: dict[str, Type] = {"Self": of_itself} if of_itself is not None else {}
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
        reason = "signature: takes a function" if re.search(r"\bFn(?:Mut|Once)?\s*\(", bounds) else ""
        modifiers = next((c for c in node.named_children if c.type == "function_modifiers"), None)
        if modifiers is not None and re.search(r"async|unsafe|extern", self.source.text(modifiers)):
            reason = reason or f"impure: {self.source.text(modifiers)}"
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
        return Site(name, definition, Signature(tuple(parameters), returns), "", self.triviality(node))

    def triviality(self, node: Node) -> str:
        """Say why running a function would prove nothing, or ""."""
        result, body = node.child_by_field_name("return_type"), node.child_by_field_name("body")
        if result is not None and iterates(self.source.text(result), self.source.data.decode(errors="replace")):
            return ""  # what it does is done where its result is gone through
        value = _only_value(body)
        if value is None or value.type.endswith("_declaration"):
            return ""
        if value.type in ("for_expression", "while_expression", "loop_expression", "block"):
            return ""
        if value.type == "call_expression" and self.source.text(value).startswith("<"):
            # A function that was made to call a method: the work is done there, and judged there.
            return ""
        return trees.trivial(value)


def _last(path: str) -> str:
    """Return the last name of a path, without type arguments."""
    return (
        re.sub(r"<.*", "", path, flags=re.DOTALL).rpartition("::")[2] if path[:1] != "<" else path.rpartition("::")[2]
    )


def _only_value(body: Node | None) -> Node | None:
    """Return the expression that a body is, or None."""
    statements = [c for c in body.named_children if "comment" not in c.type] if body is not None else []
    value = statements[0] if len(statements) == 1 else None
    if value is not None and value.type == "expression_statement" and value.named_children:
        value = value.named_children[0]
    if value is not None and value.type == "return_expression":
        value = value.named_children[0] if value.named_children else None
    return value


def _of_list(text: str) -> str:
    """Return a type of a function of iterators as that of one that takes a list of `Item`."""
    return re.sub(r"\bSelf\b", "std::vec::IntoIter<Item>", re.sub(r"\bSelf\s*::\s*Item\b", "Item", text)).strip()


def _calling(facts: Facts, holder: str, method: str) -> Facts:
    """Return facts of a function that is made to call a method of a trait or an implementation."""
    return replace(facts, uses=facts.uses | {holder}, members=facts.members | {method})


def _parted(text: str) -> tuple[str, list[tuple[str, str, bool]]]:
    """Return a trait or implementation without its functions, and their names, texts, and whether they have a body."""
    source = trees.parse("rust", text)
    item = next((c for c in source.root.named_children if c.type in ("trait_item", "impl_item")), None)
    body = item.child_by_field_name("body") if item is not None else None
    children = body.named_children if body is not None else []
    members: list[tuple[str, str, bool]] = []
    shell, at = b"", 0
    for index, child in enumerate(children):
        name = child.child_by_field_name("name")
        if child.type in ("function_item", "function_signature_item") and name is not None:
            start, _ = _start(children, index)
            members.append((source.text(name), source.span(start, child.end_byte), child.type == "function_item"))
            shell, at = shell + source.data[at:start].rstrip() + b"\n", child.end_byte
    shell += source.data[at:]
    return re.sub(r"\n(?:[ \t]*\n)+", "\n", shell.decode(errors="replace")), members


def _facts(text: str, name: str, reader: _Reader, parameters: frozenset[str] = frozenset()) -> Facts:
    """Return what the text of an item says about other names.

    Args:
        text: The item.
        name: Its name.
        reader: Who read its file.
        parameters: Names that what it stands in gives a meaning to.
    """
    source, module = trees.parse("rust", text), reader.module
    node = source.root
    used: set[str] = set()
    bound: set[str] = {name, *parameters}
    spare: list[tuple[int, int, tuple[str, ...]]] = []
    members: set[str] = set()
    through: list[tuple[int, int, str, str]] = []
    heads: set[int] = set()
    refusal = ""
    if any(child.type == "macro_definition" for child in node.named_children):
        return Facts()
    for item, parent, field in trees.walk(node):
        kind = item.type
        if kind == "trait_bounds" and parent == "trait_item":
            # What a trait asks for besides is asked for in vain where nothing of it is used: the compiler says so.
            for one in item.named_children:
                names = {
                    source.text(i)
                    for i, around, place in trees.walk(one)
                    if i.type in ("identifier", "type_identifier") and (around, place) != ("type_binding", "name")
                }
                end = one.next_sibling.end_byte if one.next_sibling is not None else one.end_byte
                spare.append((_at(source, one.start_byte), _at(source, end), tuple(sorted(names - BUILTINS - bound))))
                heads |= {i.start_byte for i, _, _ in trees.walk(one)}
        if item.start_byte in heads and kind.endswith("identifier"):
            continue
        if kind in ("scoped_identifier", "scoped_type_identifier"):
            parts = source.text(item).replace(" ", "").split("::")
            space = "" if parent.startswith(("use_", "scoped_use")) else reader.space(parts[:-1])
            if space:
                heads.add(item.start_byte)
                at = _at(source, item.start_byte)
                through.append((at, at + len(source.text(item)), space, parts[-1]))
            if parts[0] in _STANDARD and len(parts) > 1 and parts[1] in _IMPURE_MODULES:
                refusal = refusal or f"impure: uses {'::'.join(parts[:3])}"
        elif kind == "identifier":
            word = source.text(item)
            if parent in ("scoped_identifier", "scoped_type_identifier") and field == "name":
                members.add(word)
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
                bound.add(word)
            elif parent in ("enum_variant", "token_tree") and word not in module.definitions:
                bound.add(word) if parent == "enum_variant" else None
            else:
                used.add(word)
        elif kind == "shorthand_field_identifier" and parent == "field_pattern":
            bound.add(source.text(item))
        elif kind == "use_declaration" and parent == "block":
            # What is used inside a function has names there only: variants of an enum mostly.
            argument = item.child_by_field_name("argument")
            if argument is not None:
                bound.update(local for _, local in _Reader(module, source).leaves(argument, []))
        elif kind == "type_identifier":
            word = source.text(item)
            if (field == "name" and parent in _NAMING) or (field in ("name", "left", "") and parent in _NAMING_TYPES):
                bound.add(word)
            elif parent in ("scoped_type_identifier",) and field == "name":
                members.add(word)
            elif parent in ("associated_type", "type_binding") and field == "name":
                bound.add(word)
            else:
                used.add(word)
        elif kind == "field_identifier":
            members.add(source.text(item))
        elif kind == "unsafe_block":
            refusal = refusal or "impure: unsafe"
    names = {u for u in used - bound if u not in BUILTINS or u in module.definitions}
    return Facts(frozenset(names), frozenset(), frozenset(members), tuple(through), spare=tuple(spare), refusal=refusal)


def _at(source: Source, byte: int) -> int:
    """Return how many characters stand before a byte."""
    return len(source.data[:byte].decode(errors="replace"))
