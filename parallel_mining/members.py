"""How languages are read whose functions are members of classes: what Java and C# share.

Start at `MemberReader`. A class's static methods and constants become definitions named `Class.member`; an instance
method does too, as long as nothing it needs reaches the state of its object. One that does is offered as a function
that makes its object first, in the class `Called`. The class itself is a definition without its methods (fields,
constructors, properties, operators), and `Class#method` is a method that is written into it where a program may
call it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.cutting import Definition, Facts, Kind, Module, Piece, Site, called_name
from parallel_mining.signatures import MAX_PARAMETERS, Parameter, Signature
from parallel_mining.trees import Source
from parallel_mining.types import Type


@dataclass(frozen=True)
class Grammar:
    """The names that a grammar gives to what both languages have.

    Args:
        classes: Kinds of type declarations with members.
        nested: Kinds of declarations that are taken whole.
        method: Kind of a method.
        fields: Kinds of a field.
        properties: Kinds of members that are read like a field.
        heritage: Kinds of a list of types that a class extends or implements.
        inner: The modifier that a nested class needs for objects of it to be made elsewhere.
        invocation: Kind of a call.
        access: Kind of `a.b`.
        access_owner: Field of `a` in it.
        access_member: Field of `b` in it.
        parameter: Kinds of a parameter.
        many: Text that marks a parameter that takes any number of arguments.
        default: Text that marks a parameter that may be left out, or "".
        extension: Text that marks a method whose class must be static, or "".
        result: Field of a method's result type.
        shared: What replaces `private` in the members of classes that others reach into.
        stub: The declaration of an exception type, with `{name}` and `{base}`.
        canonical: Turns a type as it is written into a canonical one.
        exceptions: Exception types that are there anyway.
        impure: Qualified names that must not be used, with the reason.
        standard: Names whose members are there anyway.
    """

    classes: frozenset[str]
    nested: frozenset[str]
    method: str
    fields: frozenset[str]
    properties: frozenset[str]
    heritage: frozenset[str]
    inner: str
    invocation: str
    access: str
    access_owner: str
    access_member: str
    parameter: frozenset[str]
    many: str
    default: str
    extension: str
    result: str
    shared: str
    stub: str
    canonical: Callable[[str], Type | None]
    exceptions: frozenset[str]
    impure: Mapping[str, str]
    standard: frozenset[str]


CALLED = "Called"
"""The class of the functions that make an object first."""

_EXPECTED = frozenset(
    """compareTo compare equals hashCode toString iterator hasNext next apply accept test get size intValue longValue
    floatValue doubleValue length charAt subSequence CompareTo Compare Equals GetHashCode ToString GetEnumerator
    Dispose Count""".split()  # noqa: SIM905
)
"""Methods that the standard library's own types ask of those who extend them."""

_CONSTRUCTORS = 2
"""How many constructors of a class are tried, those of the fewest parameters first."""


class MemberReader:
    """Reads the classes of one file into a module."""

    def __init__(self, module: Module, source: Source, grammar: Grammar, imports: tuple[str, ...]) -> None:
        self.module = module
        self.source = source
        self.grammar = grammar
        self.imports = imports
        self.state: dict[str, set[str]] = {}
        self.extended: set[str] = set()
        self.paths: dict[str, str] = {}

    def types(self, node: Node) -> None:
        """Read every class below a file or namespace."""
        for child in node.named_children:
            if child.type in self.grammar.classes:
                self.klass(child, trees.comment_start(node.named_children, node.named_children.index(child)))
            elif child.type in self.grammar.nested:
                self.whole(child, trees.comment_start(node.named_children, node.named_children.index(child)))
            elif child.type in ("namespace_declaration", "file_scoped_namespace_declaration", "declaration_list"):
                self.types(child)

    def name(self, node: Node) -> str:
        """Return a declaration's name."""
        name = node.child_by_field_name("name")
        return self.source.text(name) if name is not None else ""

    def modifiers(self, node: Node) -> set[str]:
        """Return a declaration's modifiers."""
        found: set[str] = set()
        for child in node.children:
            if child.type in ("modifiers", "modifier"):
                found |= set(re.findall(r"[a-z]+", re.sub(r"@\w+(\([^)]*\))?", "", self.source.text(child))))
        return found

    def whole(self, node: Node, start: int, owner: str = "") -> None:
        """Define a type by its whole text."""
        name = self.name(node)
        if name:
            self.define(name, "type", node, start, owner)

    def klass(self, node: Node, start: int = -1, outer: str = "") -> None:
        """Read a class and its members."""
        owner = self.name(node)
        body = node.child_by_field_name("body")
        if body is None or not owner:
            return
        start = node.start_byte if start < 0 else start
        self.paths[owner] = f"{self.paths[outer]}.{owner}" if outer else owner
        sealed = {"abstract", "static"} if not outer else {"abstract", "private", "protected"}
        marks = self.modifiers(node)
        generic = node.child_by_field_name("type_parameters") is not None
        children = body.named_children
        apart = [c for c in children if self.is_apart(c)]
        shell = self.define(owner, "type", node, start, outer)
        shell.analyse = lambda: self.facts(node, start, owner, apart)
        state = self.state.setdefault(owner, set())
        if any(child.type in self.grammar.heritage for child in node.named_children):
            self.extended.add(owner)
        makers: list[list[tuple[str, Parameter]]] = []
        for index, child in enumerate(children):
            start_of = trees.comment_start(children, index)
            if child.type == self.grammar.method:
                self.method(owner, child, start_of, generic)
            elif child.type in self.grammar.fields:
                self.field(owner, child, start_of)
            elif child.type in self.grammar.properties:
                state.add(self.name(child))
            elif child.type == "constructor_declaration":
                parameters, reason = self.parameters(child, set())
                if not reason and "private" not in self.modifiers(child):
                    makers.append(parameters)
            elif child.type in self.grammar.classes:
                self.klass(child, start_of, owner)
            elif child.type in self.grammar.nested:
                self.whole(child, start_of, owner)
        if not any(child.type == "constructor_declaration" for child in children):
            makers = [[]]
        if generic or marks & sealed or (outer and self.grammar.inner not in marks):
            return
        for child in children:
            if child.type == self.grammar.method and not self.modifiers(child) & {"static", "private", "protected"}:
                for made in sorted(makers, key=len)[:_CONSTRUCTORS]:
                    self.called(owner, child, made)

    def is_apart(self, node: Node) -> bool:
        """Say whether a member is written into its class only where it is needed."""
        whole = node.type in self.grammar.classes | self.grammar.nested
        return whole or (node.type == self.grammar.method and node.child_by_field_name("body") is not None)

    def called(self, owner: str, node: Node, made: list[tuple[str, Parameter]]) -> None:
        """Offer a method as a function that makes its object first, where the object's state matters to it."""
        name = self.name(node)
        given, reason = self.parameters(node, set())
        result = node.child_by_field_name(self.grammar.result)
        returns = self.source.text(result) if result is not None else "void"
        body = node.child_by_field_name("body")
        if (
            reason
            or body is None
            or self.grammar.canonical(returns) is None
            or not 0 < len(made) + len(given) <= MAX_PARAMETERS
        ):
            return
        if "type_parameter" in " ".join(c.type for c in node.named_children) or "async" in self.modifiers(node):
            return
        taken = {parameter.name for _, parameter in made}
        given = [(kind, replace(p, name=p.name + "_" * (p.name in taken))) for kind, p in given]
        entry = called_name(owner, name)
        listed = ", ".join(f"{kind} {parameter.name}" for kind, parameter in (*made, *given))
        text = (
            f"public static {returns} {entry}({listed})\n{{\n    return new {self.paths[owner]}"
            f"({', '.join(p.name for _, p in made)}).{name}({', '.join(p.name for _, p in given)});\n}}"
        )
        uses = frozenset([owner, f"{owner}#{name}/{len(given)}"])
        definition = Definition(
            f"{CALLED}.{entry}/{len(made)}", "function", text, lambda: Facts(uses), imports=self.imports, owner=CALLED
        )
        signature = Signature(
            tuple(Parameter(p.name, p.type) for _, p in (*made, *given)), self.grammar.canonical(returns)
        )
        trivial = trees.trivial(_only_value(body))
        self.module.sites.append(Site(f"{CALLED}.{entry}", definition, signature, "", trivial, self.source.text(node)))

    def define(self, name: str, kind: Kind, node: Node, start: int, owner: str) -> Definition:
        """Define a member, analysed later."""
        text = self.source.span(start, node.end_byte)
        definition = Definition(name, kind, text, lambda: self.facts(node, start), imports=self.imports, owner=owner)
        self.module.add(definition)
        return definition

    def field(self, owner: str, node: Node, start: int) -> None:
        """Define the constants of a field declaration; an object's own fields are refused when they are reached."""
        constant = bool(self.modifiers(node) & {"static", "const"})
        mutable = not self.modifiers(node) & {"final", "const", "readonly"}
        for item, parent, field in trees.walk(node):
            if item.type == "identifier" and parent == "variable_declarator" and (field == "name" or field == ""):
                if field == "" and item.prev_sibling is not None:
                    continue
                self.state.setdefault(owner, set()).add(self.source.text(item))
                definition = self.define(f"{owner}.{self.source.text(item)}", "value", node, start, owner)
                if not constant:
                    definition.analyse = lambda: Facts(refusal="method: uses the state of its object")
                elif mutable:
                    definition.analyse = lambda: Facts(refusal="impure: global state")

    def method(self, owner: str, node: Node, start: int, generic_class: bool) -> None:
        """Define a method and offer it."""
        name = self.name(node)
        generic = {
            self.source.text(item)
            for child in node.named_children
            if "type_parameter" in child.type
            for item, _, _ in trees.walk(child)
            if item.type in ("type_identifier", "identifier")
        }
        static = "static" in self.modifiers(node)
        read, reason = self.parameters(node, generic)
        parameters = [parameter for _, parameter in read]
        if not static and node.child_by_field_name("body") is not None:
            apart = self.define(f"{owner}#{name}", "method", node, start, owner)
            apart.arity, apart.local = len(parameters), name
            apart.analyse = lambda: self.facts(node, start, owner, ())
        definition = self.define(f"{owner}.{name}", "function", node, start, owner)
        definition.arity = len(parameters)
        definition.local = name
        result = node.child_by_field_name(self.grammar.result)
        returns = self.source.text(result) if result is not None else "void"
        body = node.child_by_field_name("body")
        if body is None:
            reason = reason or "signature: abstract"
            definition.analyse = lambda: Facts(refusal="method: abstract")
        elif returns == "void":
            reason = reason or "signature: returns nothing"
        elif returns.startswith(("Task", "IAsync")) or "async" in self.modifiers(node):
            reason = reason or "impure: asynchronous"
        elif not parameters:
            reason = reason or "signature: no parameters"
        elif len(parameters) > MAX_PARAMETERS:
            reason = reason or f"signature: more than {MAX_PARAMETERS} parameters"
        elif generic_class and not static:
            reason = reason or "method: of a generic class"
        entry = f"{owner}.{name}"
        if reason:
            self.module.sites.append(Site(entry, definition, None, reason))
            return
        signature = Signature(tuple(parameters), Type("any") if returns in generic else self.grammar.canonical(returns))
        self.module.sites.append(Site(entry, definition, signature, "", trees.trivial(_only_value(body))))

    def parameters(self, node: Node, generic: set[str]) -> tuple[list[tuple[str, Parameter]], str]:
        """Return the parameters of a method with their types as written, and why it cannot be called, or ""."""
        listed = node.child_by_field_name("parameters")
        found: list[tuple[str, Parameter]] = []
        reason = ""
        if listed is not None and self.grammar.many in self.source.text(listed):
            reason = "signature: any number of parameters"
        for item in listed.named_children if listed is not None else []:
            if item.type not in self.grammar.parameter:
                continue
            kind = item.child_by_field_name("type")
            written = self.source.text(kind) if kind is not None else ""
            marks = self.source.text(item)[: -len(self.name(item)) or None]
            if re.match(r"\s*(ref|out|in)\b", marks):
                reason = reason or "signature: gives results through its parameters"
            type_ = Type("any") if written in generic else self.grammar.canonical(written)
            if type_ is None:
                reason = reason or f"signature: takes {written[:40]}"
            has_default = bool(self.grammar.default) and self.grammar.default in self.source.text(item)
            found.append((written, Parameter(self.name(item), type_, has_default)))
        return found, reason

    def facts(self, node: Node, start: int, owner: str = "", apart: Sequence[Node] | None = None) -> Facts:
        """Find what a member needs.

        Args:
            node: The member, or a class.
            start: Where its text begins.
            owner: The class whose object it may use, or "".
            apart: The members of a class that are left out of it, or None for a member that has no object.
        """
        text, grammar = self.source.text, self.grammar
        used: set[str] = set()
        bound: set[str] = set()
        qualified: set[str] = set()
        stubs: set[str] = set()
        refusal = ""
        rewrites: list[tuple[int, int, str]] = []
        values: list[tuple[int, int, str, str]] = []
        skipped: list[tuple[int, int]] = []
        base = self.source.data[start:]

        def at(byte: int) -> int:
            return len(base[: byte - start].decode(errors="replace"))

        taken_whole = apart is not None or (node.type != grammar.method and node.type not in grammar.fields)
        members: set[str] = set()
        left_out = frozenset(child.id for child in apart or ())
        for child in apart or ():
            rewrites.append((at(child.start_byte), at(child.end_byte), ""))
        if node.type in grammar.classes:
            nested = (
                node.parent is not None
                and node.parent.parent is not None
                and node.parent.parent.type in grammar.classes
            )
            # Only the file's own class may be public, and a program is one file.
            for child in node.children:
                if child.type in ("modifiers", "modifier") and not nested:
                    word = self.source.text(child)
                    rewrites.append(
                        (at(child.start_byte), at(child.end_byte), re.sub(r"\b(public|partial)\b ?", "", word))
                    )
            if any(child.type in grammar.heritage for child in node.named_children):
                members |= _EXPECTED
        if apart is None and node.type == grammar.method:
            # Without its class there is nothing that it could override.
            for child in node.children:
                if child.type == "modifier" and text(child) in ("override", "virtual", "sealed", "new"):
                    rewrites.append((at(child.start_byte), at(child.end_byte), ""))
        for item, parent, field in trees.walk(node, without=left_out):
            kind = item.type
            if not taken_whole and item.child_count > item.named_child_count and _names_object(item):
                refusal = refusal or "method: uses the state of its object"
            if kind == grammar.method and item.id != node.id:
                members.add(self.name(item))
            if any(a <= item.start_byte < b for a, b in skipped):
                continue
            if kind == "throw_statement" or kind == "throw_expression":
                made = next((c for c in item.named_children if c.type == "object_creation_expression"), None)
                thrown = made.child_by_field_name("type") if made is not None else None
                if made is not None and thrown is not None and text(thrown) not in grammar.exceptions:
                    name = text(thrown).rpartition(".")[2]
                    stubs.add(name)
                    rewrites.append((at(made.start_byte), at(made.end_byte), f"new {name}()"))
                    skipped.append((made.start_byte, made.end_byte))
            elif kind == "throws":
                for child in item.named_children:
                    if text(child) not in grammar.exceptions:
                        stubs.add(text(child).rpartition(".")[2])
                skipped.append((item.start_byte, item.end_byte))
            elif kind in ("marker_annotation", "annotation", "attribute_list"):
                if not re.match(r"\[\s*(StructLayout|FieldOffset)\b", text(item)):
                    rewrites.append((at(item.start_byte), at(item.end_byte), ""))
                skipped.append((item.start_byte, item.end_byte))
            elif kind in ("this", "this_expression", "super", "base_expression", "base") and not taken_whole:
                refusal = refusal or "method: uses the state of its object"
            elif kind in ("await_expression", "yield_statement", "lock_statement", "synchronized_statement"):
                refusal = refusal or f"impure: {kind.partition('_')[0]}"
            elif kind == grammar.invocation or kind == grammar.access:
                member = item.child_by_field_name(grammar.access_member) or item.child_by_field_name("name")
                if member is not None and (kind == grammar.access or item.child_by_field_name("object") is not None):
                    members.add(text(member).partition("<")[0])
                static = self.imported(item)
                if static:
                    called = item.child_by_field_name("name")
                    if called is not None:
                        rewrites.append((at(called.start_byte), at(called.end_byte), static.partition("/")[0]))
                    qualified.add(static)
                else:
                    self.reach(item, used, qualified)
            elif kind in ("identifier", "type_identifier"):
                if self.declares(item, parent, field):
                    bound.add(text(item))
                elif self.refers(parent, field):
                    link = self.module.links.get(text(item))
                    if link is not None and "." in link.name:
                        values.append((at(item.start_byte), at(item.end_byte), text(item), link.name))
                    else:
                        used.add(text(item))
        # Values that were imported by their own names; a local one of the name hides them.
        for first, last, name, whole in values:
            if name not in bound:
                rewrites.append((first, last, whole))
                qualified.add(whole)
        for name in sorted(qualified):
            head = name.partition("/")[0]
            for prefix, why in grammar.impure.items():
                if head == prefix or head.startswith(prefix + "."):
                    refusal = refusal or f"impure: {why} ({head})"
        owners = {q.partition(".")[0] for q in qualified}
        names = {q for q in qualified if q.partition(".")[0] not in bound | grammar.standard}
        plain = {u for u in used - bound if u not in owners}
        if apart is not None:
            plain = self.of_object(plain, owner, members)
        return Facts(
            frozenset(names | plain),
            frozenset(),
            frozenset(members),
            rewrites=tuple(rewrites),
            stubs=frozenset(stubs),
            refusal=refusal,
        )

    def of_object(self, plain: set[str], owner: str, members: set[str]) -> set[str]:
        """Return the names that a member with an object uses, without those that its class has anyway."""
        found = {owner}
        heirs = owner in self.extended
        for use in plain:
            name, slash, arity = use.partition("/")
            if name in self.state.get(owner, ()) or name == owner:
                continue
            if f"{owner}#{name}" in self.module.definitions and slash:
                found.add(f"{owner}#{name}/{arity}")
            elif f"{owner}.{name}" in self.module.definitions:
                found.add(f"{owner}.{use}")
            elif heirs and (slash or name[:1].islower()):
                members.add(name)
            else:
                found.add(use)
        return found

    def refers(self, parent: str, field: str) -> bool:
        """Say whether an identifier stands where a name is used on its own (not after a dot, not as a label)."""
        called = parent == self.grammar.invocation and field in ("name", "function")
        labels = ("labeled_statement", "name_colon", "qualified_name", "break_statement", "continue_statement")
        member = field == "field" or (parent, field) == (self.grammar.access, "name")
        return not (called or member or parent in labels)

    def declares(self, item: Node, parent: str, field: str) -> bool:
        """Say whether an identifier stands where a name is declared."""
        if parent == "variable_declarator":
            return field == "name" or (field == "" and item.prev_sibling is None)
        if parent in ("type_parameter", "inferred_parameters", "lambda_expression", "catch_formal_parameter"):
            return field in ("name", "parameters", "")
        if parent in ("foreach_statement", "for_each_statement"):
            return field == "left"
        if parent == "parameter_list":
            return field == "name"
        return field == "name" and (
            parent in self.grammar.parameter
            or parent in ("enhanced_for_statement", "catch_declaration", "declaration_expression", "resource")
            or parent.endswith(("_declaration", "declaration_pattern", "function_statement", "enum_constant"))
            or parent == "enum_member_declaration"
        )

    def imported(self, item: Node) -> str:
        """Return `Class.method/2` for a call of a method that was imported by its own name, or ""."""
        name, arguments = item.child_by_field_name("name"), item.child_by_field_name("arguments")
        if name is None or arguments is None or item.child_by_field_name("object") is not None:
            return ""
        link = self.module.links.get(self.source.text(name))
        if link is None or "." not in link.name:
            return ""
        return f"{link.name}/{sum('comment' not in c.type for c in arguments.named_children)}"

    def reach(self, item: Node, used: set[str], qualified: set[str]) -> None:
        """Record what a call or a member access reaches by name."""
        text, grammar = self.source.text, self.grammar
        if item.type == grammar.access and item.type != grammar.invocation:
            owner = item.child_by_field_name(grammar.access_owner)
            member = item.child_by_field_name(grammar.access_member)
            if owner is not None and member is not None and _is_type(owner, text(owner)):
                qualified.add(f"{text(owner)}.{text(member)}")
            return
        arguments = item.child_by_field_name("arguments")
        count = sum("comment" not in c.type for c in arguments.named_children) if arguments is not None else 0
        function = item.child_by_field_name("function")
        if function is not None:  # C#
            if function.type == "identifier":
                used.add(text(function) if text(function) == "nameof" else f"{text(function)}/{count}")
            return
        owner, member = item.child_by_field_name("object"), item.child_by_field_name("name")
        if member is None:
            return
        if owner is None:
            used.add(f"{text(member)}/{count}")
        elif _is_type(owner, text(owner)):
            qualified.add(f"{text(owner)}.{text(member)}/{count}")


def _names_object(node: Node) -> bool:
    """Say whether a node has `this` or `base` as a part that the grammar gives no name."""
    return any(child.type in ("this", "base") and not child.is_named for child in node.children)


def _is_type(node: Node, name: str) -> bool:
    """Say whether what stands before a dot is a type by the languages' naming (constants of Java are in capitals)."""
    return node.type == "identifier" and name[:1].isupper() and not (len(name) > 1 and name.upper() == name)


def _only_value(body: Node | None) -> Node | None:
    if body is None:
        return None
    if body.type == "arrow_expression_clause":
        return body.named_children[0] if body.named_children else None
    statements = [c for c in body.named_children if "comment" not in c.type]
    if len(statements) == 1 and statements[0].type == "return_statement" and statements[0].named_children:
        return statements[0].named_children[0]
    return None


def assembled(site: Site, pieces: Sequence[Piece], grammar: Grammar, stub_base: str) -> str:
    """Return the text of a unit: imports, then each class with the members that are needed, the entry's class first."""
    imports = sorted({line for piece in pieces for line in piece.definition.imports})
    stubs = sorted({name for piece in pieces for name in piece.definition.facts.stubs})
    defined = {p.definition.name for p in pieces if p.definition.kind == "type"}
    entry = site.entry.partition(".")[0]
    owners: dict[str, list[Piece]] = {} if entry in defined else {entry: []}
    loose: list[Piece] = []
    inside: dict[str, list[Piece]] = {}
    ordered = sorted(pieces, key=lambda p: p.definition.order)
    for piece in ordered:
        if piece.definition.owner in defined:
            if piece.definition.kind != "value":  # its fields stand in the class
                inside.setdefault(piece.definition.owner, []).append(piece)
        elif piece.definition.owner:
            owners.setdefault(piece.definition.owner, []).append(piece)
        else:
            loose.append(piece)
    texts = {p.definition.name: p for p in ordered if p.definition.kind == "type"}

    def filled(piece: Piece) -> str:
        """Return a type with the members that are needed, nested types among them."""
        name = piece.definition.name
        if piece.definition.kind != "type" or name not in inside or texts[name] is not piece:
            return piece.text
        shared = "" if name == entry else grammar.shared
        more = dict.fromkeys(
            _indented(_opened(filled(p), shared if p.definition.kind == "function" else "")) for p in inside[name]
        )
        head, brace, _ = piece.text.rstrip().rpartition("}")
        return f"{head.rstrip()}\n\n" + "\n\n".join(more) + f"\n{brace}"

    blocks = list[str]()
    for owner, members in owners.items():
        shared = "" if owner == entry else grammar.shared
        body = "\n\n".join(dict.fromkeys(_indented(_opened(filled(piece), shared)) for piece in members))
        blocks.append(f"{_class_head(owner, members, grammar)}\n{{\n{body}\n}}")
    blocks += [_BLANK.sub("\n\n", filled(piece).strip()) for piece in loose]
    blocks += [grammar.stub.format(name=name, base=stub_base) for name in stubs if name not in defined]
    body = "\n\n".join(blocks)
    imports = [line for line in imports if _wanted(line, body)]
    return "\n".join(imports) + ("\n\n" if imports else "") + body + "\n"


_BLANK = re.compile(r"\n(?:[ \t]*\n)+")
"""Lines where a member stood that is not needed."""


def _class_head(owner: str, members: Sequence[Piece], grammar: Grammar) -> str:
    extends = bool(grammar.extension) and any(grammar.extension in piece.text for piece in members)
    return f"{'static ' if extends else ''}class {owner}"


def _opened(text: str, shared: str) -> str:
    """Return a member that other classes may reach, where `shared` says how that is written."""
    return re.sub(r"\bprivate\s+", shared, text, count=1) if shared else text


def _wanted(line: str, body: str) -> bool:
    """Say whether the body mentions what an import line names; lines that open a whole namespace always stay."""
    name = line.rstrip(";").rpartition(".")[2]
    return not line.startswith("import ") or name == "*" or re.search(rf"\b{re.escape(name)}\b", body) is not None


def _indented(text: str) -> str:
    lines = text.strip("\n").splitlines()
    deep = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    cut = min(deep, default=0)
    first = lines[0].lstrip() if lines else ""
    rest = [line[cut:] if line.strip() else "" for line in lines[1:]]
    return "\n".join("    " + line if line else "" for line in [first, *rest])
