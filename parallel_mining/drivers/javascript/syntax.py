"""How JavaScript is read: declarations, arrow and function expressions, CommonJS and ES modules, wrapped libraries.

TypeScript is read by the same functions (see `parallel_mining.drivers.typescript.syntax`), with types.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from tree_sitter import Node

from parallel_mining import trees
from parallel_mining.cutting import Definition, Facts, Link, Module, Piece, Site, called_name
from parallel_mining.mutants import Wording
from parallel_mining.programs import ARGUMENTS, Form
from parallel_mining.signatures import MAX_PARAMETERS, Parameter, Signature
from parallel_mining.trees import Source
from parallel_mining.types import Type

SHARES_DIRECTORY = False
TYPED = False
WORDING = Wording('throw new Error("branch reached")')

DENIED = {
    **dict.fromkeys(("performance", "Intl"), "depends on time or place"),
    **dict.fromkeys(("setTimeout", "setInterval", "setImmediate", "Promise", "queueMicrotask"), "asynchronous"),
    **dict.fromkeys(("process", "require", "document", "window", "navigator", "location"), "reaches the host"),
    **dict.fromkeys(("fetch", "XMLHttpRequest", "WebSocket", "localStorage", "alert"), "input and output"),
    **dict.fromkeys(("eval", "Proxy", "Reflect"), "reflection"),
    **dict.fromkeys(("crypto", "console"), "reaches the host"),
}
BUILTINS = frozenset(
    """AggregateError Array ArrayBuffer BigInt Boolean DataView Date Error EvalError Float32Array Float64Array
    Function Infinity Int16Array Int32Array Int8Array JSON Map Math NaN Number Object RangeError ReferenceError
    RegExp Set String Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray
    BigInt64Array BigUint64Array WeakMap WeakSet arguments decodeURI decodeURIComponent encodeURI encodeURIComponent
    escape globalThis global self isFinite isNaN parseFloat parseInt undefined unescape Buffer TextEncoder TextDecoder
    URL URLSearchParams atob btoa structuredClone""".split()  # noqa: SIM905
)

PROGRAM = Form(
    # A statement at the left margin that does something: a call, a loop, a branch.
    starts=re.compile(
        r"(?m)^(?:for|while|if|try|do|await)\b|^(?!function\b|class\b|export\b|import\b)[\w.$(]+[\w.$()\s]*\("
    ),
    imports=re.compile(r"\brequire\(\s*['\"]([^'\"]+)|\bimport\b[^;'\"]*?['\"]([^'\"]+)|\bfrom\s*['\"]([^'\"]+)"),
    allowed=re.compile(
        r"(?:node:)?(?:fs|readline|process|util|assert|events|stream|readline/promises|buffer|string_decoder)"
    ),
    reads=re.compile(r"\bstdin\b|readFileSync\(\s*(?:0|['\"]/dev/stdin)"),
    denied={
        ARGUMENTS: re.compile(r"\bargv\b"),
        "files": re.compile(
            r"\b(?:readFile|writeFile|writeFileSync|appendFile\w*|open|openSync|readdir\w*|exists\w*|unlink\w*|mkdir\w*"
            r"|createReadStream|createWriteStream|rm\w*Sync)\(|\breadFileSync\((?!\s*(?:0|['\"]/dev/stdin|process\.stdin))"
        ),
        "random": re.compile(r"\bMath\.random\b|\bcrypto\b"),
        "time": re.compile(r"\bDate\b|\bperformance\b|\bhrtime\b|\bset(?:Timeout|Interval)\("),
        "network": re.compile(r"\bfetch\(|\bXMLHttpRequest\b|\bWebSocket\b"),
        "reflection": re.compile(r"(?<![\w.])eval\(|\bnew Function\("),
        "reaches the host": re.compile(r"\bprocess\.(?:env|pid|cwd|memoryUsage)\b|\b(?:document|window|navigator)\."),
    },
    must_read=True,
)

_FUNCTIONS = frozenset(
    """function_declaration function_expression arrow_function function generator_function_declaration
    generator_function""".split()  # noqa: SIM905
)
_IMPURE_MEMBERS = {("Math", "random"): "random", ("Date", "now"): "depends on time or place"}
_TYPES = frozenset(
    """class_declaration abstract_class_declaration enum_declaration interface_declaration
    type_alias_declaration""".split()  # noqa: SIM905
)
_DECLARATIONS = frozenset(["lexical_declaration", "variable_declaration"])
_ENDINGS = ("", ".ts", ".mts", ".js", ".mjs", ".cjs", "/index.ts", "/index.js", "/index.mjs", "/index.cjs")
_MAX_WRAPPERS = 4


def read(path: str, text: str) -> Module:
    """Read a file.

    Args:
        path: Its path below the repository; relative imports are resolved against it.
        text: Its source.
    """
    return read_ecma("javascript", path, text, lambda _: None)


def alias(name: str, target: str) -> str:
    """Return the line that makes `name` another name for `target`."""
    return f"const {name} = {target};"


def assemble(site: Site, pieces: Sequence[Piece]) -> str:
    """Return the program text of a unit: definitions, helpers first."""
    del site
    defined = {piece.definition.name for piece in pieces}
    stubs = sorted({name for piece in pieces for name in piece.definition.facts.stubs} - defined - BUILTINS)
    out = "\n".join(f"class {name} extends Error {{}}" for name in stubs)
    for piece in pieces:
        blank = "\n\n" if piece.definition.kind != "value" or "\n" in piece.text else "\n"
        out += (blank if out else "") + piece.text.strip()
    return out + "\n"


def canonical(annotation: str) -> Type | None:
    """Return None: JavaScript declares no types."""
    del annotation


def read_ecma(language_id: str, path: str, text: str, canonical_type: Callable[[str], Type | None]) -> Module:
    """Read a JavaScript or TypeScript file.

    Args:
        language_id: `javascript` or `typescript`.
        path: Its path below the repository.
        text: Its source.
        canonical_type: Turns a type annotation into a canonical type.
    """
    source = trees.parse(language_id, text, posixpath.splitext(path)[1])
    module = Module(path)
    _Reader(module, source, canonical_type).scope(source.root, 0)
    return module


class _Reader:
    def __init__(self, module: Module, source: Source, canonical_type: Callable[[str], Type | None]) -> None:
        self.module = module
        self.source = source
        self.canonical = canonical_type
        self.here = posixpath.dirname(module.path)
        self.functions: dict[str, Node] = {}

    def scope(self, node: Node, depth: int) -> None:
        children = node.named_children
        for index, child in enumerate(children):
            self.statement(child, trees.comment_start(children, index), depth)

    def statement(self, node: Node, start: int, depth: int) -> None:
        if node.type in ("function_declaration", "generator_function_declaration"):
            self.function(self.name_of(node), node, node, start)
        elif node.type in _DECLARATIONS:
            self.declaration(node, start, depth)
        elif node.type == "export_statement":
            self.export(node, start, depth)
        elif node.type == "import_statement":
            self.imported(node)
        elif node.type in _TYPES:
            self.define(self.name_of(node), "type", node, start)
            self.members(node)
        elif node.type == "expression_statement" and node.named_children:
            inner = node.named_children[0]
            if inner.type == "assignment_expression":
                self.assignment(inner, node, start, depth)
            else:
                self.wrappers(inner, depth)

    def members(self, node: Node) -> None:
        """Offer the methods of a class: static ones as they are, others as functions that make their object first."""
        owner, body = self.name_of(node), node.child_by_field_name("body")
        if node.type != "class_declaration" or body is None or not owner:
            return
        methods = [child for child in body.named_children if child.type == "method_definition"]
        made = next((m for m in methods if self.name_of(m) == "constructor"), None)
        whole = self.module.definitions[owner][-1]
        extends = any(child.type == "class_heritage" for child in node.named_children)
        taken = self.taken(made) if made is not None else "method: inherits its constructor" if extends else []
        for method in methods:
            name, marks = self.name_of(method), {c.type for c in method.children}
            if method.id == (made.id if made is not None else 0) or "set" in marks or not name.isidentifier():
                continue
            if "static" in marks:
                self.module.sites.append(replace(self.site(name, method, whole), entry=f"{owner}.{name}"))
            else:
                self.module.sites.append(self.called(owner, method, whole, taken, name, "get" in marks))

    def prototype(self, maker: Definition, name: str, function: Node, statement: Node, start: int) -> None:
        """Define a method that a constructor function is given, and offer it."""
        owner = maker.name
        if owner not in self.functions:
            return
        maker.kind = "type"
        definition = self.define(f"{owner}.prototype.{name}", "value", statement, start)
        definition.kind, definition.owner, definition.local = "method", owner, name
        taken = self.taken(self.functions[owner])
        self.module.sites.append(self.called(owner, function, maker, taken, name))

    def taken(self, function: Node) -> list[tuple[str, Parameter]] | str:
        """Return the parameters that a call must give, as they are written and read, or why it cannot."""
        listed = function.child_by_field_name("parameters")
        found: list[tuple[str, Parameter]] = []
        for node in listed.named_children if listed is not None else []:
            parameter = self.parameter(node)
            if isinstance(parameter, str):
                return parameter
            if parameter is not None and parameter.optional:
                break
            if parameter is not None:
                kind = node.child_by_field_name("type")
                found.append((self.source.text(kind) if kind is not None else "", parameter))
        return found

    def called(
        self,
        owner: str,
        method: Node,
        whole: Definition,
        made: list[tuple[str, Parameter]] | str,
        name: str,
        is_property: bool = False,
    ) -> Site:
        """Offer a method as a function that makes its object first."""
        entry = called_name(owner, name)
        given = self.taken(method)
        own = self.site(name, method, whole, bound=True)
        if isinstance(made, str) or isinstance(given, str) or own.reason:
            return Site(entry, whole, None, own.reason or (made if isinstance(made, str) else str(given)))
        if not 0 < len(made) + len(given) <= MAX_PARAMETERS:
            reason = "no parameters" if not made else f"more than {MAX_PARAMETERS} parameters"
            return Site(entry, whole, None, f"signature: {reason}")
        before = {parameter.name for _, parameter in made}
        given = [(kind, replace(p, name=p.name + "_" * (p.name in before))) for kind, p in given]
        listed = ", ".join(parameter.name + kind for kind, parameter in (*made, *given))
        thing = f"new {owner}({', '.join(parameter.name for _, parameter in made)}).{name}"
        call = "" if is_property else f"({', '.join(parameter.name for _, parameter in given)})"
        text = f"function {entry}({listed}) {{\n  return {thing}{call};\n}}"
        apart = f"{owner}.prototype.{name}"
        uses = frozenset({owner, apart} if apart in self.module.definitions else {owner})
        definition = Definition(entry, "function", text, lambda: Facts(uses))
        self.module.add(definition)
        signature = Signature(
            tuple(parameter for _, parameter in (*made, *given)), own.signature.returns if own.signature else None
        )
        return Site(entry, definition, signature, "", own.trivial, self.source.text(method))

    def name_of(self, node: Node) -> str:
        name = node.child_by_field_name("name")
        return self.source.text(name) if name is not None else ""

    def define(self, name: str, kind: str, node: Node, start: int, text: str = "", prefix: int = 0) -> Definition:
        body = text or self.source.span(start, node.end_byte)
        offset = (start, prefix)
        definition = Definition(
            name,
            "function" if kind == "function" else "type" if kind == "type" else "value",
            body,
            lambda: _facts(self.source, node, name, self.module, offset, definition.kind in ("type", "method")),
        )
        self.module.add(definition)
        return definition

    def function(self, name: str, function: Node, node: Node, start: int, text: str = "", prefix: int = 0) -> None:
        if not name:
            return
        definition = self.define(name, "function", node, start, text, prefix)
        self.functions[name] = function
        self.module.sites.append(self.site(name, function, definition))

    def declaration(self, node: Node, start: int, depth: int) -> None:
        declarators = [child for child in node.named_children if child.type == "variable_declarator"]
        keyword = self.source.text(node.children[0])
        for declarator in declarators:
            target, value = declarator.child_by_field_name("name"), declarator.child_by_field_name("value")
            if target is None:
                continue
            required = self.required(value)
            if required is not None:
                self.link(target, required)
                continue
            comment = self.source.span(start, node.start_byte) if declarator.id == declarators[0].id else ""
            head = f"{comment}{keyword} "
            text = f"{head}{self.source.text(declarator)};"
            if target.type != "identifier":
                for item, _, _ in trees.walk(target):
                    if item.type in ("identifier", "shorthand_property_identifier_pattern"):
                        self.define(self.source.text(item), "value", declarator, declarator.start_byte, text, len(head))
                continue
            name = self.source.text(target)
            if value is not None and value.type in _FUNCTIONS:
                self.function(name, value, declarator, declarator.start_byte, text, len(head))
                continue
            if value is not None:
                # `Array = context.Array` re-binds a builtin: the builtin itself does.
                if (
                    value.type == "member_expression"
                    and name in BUILTINS
                    and self.source.text(value).endswith(f".{name}")
                ):
                    continue
                self.wrappers(value, depth)
                if name in self.module.definitions:
                    continue
            self.define(name, "value", declarator, declarator.start_byte, text, len(head))

    def required(self, value: Node | None) -> tuple[str, str] | None:
        """Return the path and member of `require("./x")` or `require("./x").member`."""
        if value is None:
            return None
        if value.type == "member_expression":
            inner, member = value.child_by_field_name("object"), value.child_by_field_name("property")
            found = self.required(inner)
            return (found[0], self.source.text(member)) if found and member is not None else None
        if value.type != "call_expression":
            return None
        called, arguments = value.child_by_field_name("function"), value.child_by_field_name("arguments")
        if called is None or arguments is None or not arguments.named_children:
            return None
        name = self.source.text(called)
        first = arguments.named_children[0]
        if name == "require" and first.type == "string":
            return self.source.text(first)[1:-1], "default"
        if name in ("_interopRequireDefault", "__importDefault", "__importStar", "_interopRequireWildcard"):
            return self.required(first)
        return None

    def paths(self, specifier: str) -> tuple[str, ...]:
        if not specifier.startswith("."):
            return ()
        base = posixpath.normpath(posixpath.join(self.here, specifier))
        stem = re.sub(r"\.(js|mjs|cjs)$", "", base)
        both = [base + e for e in _ENDINGS] + (
            [stem + e for e in (".ts", ".mts", ".mjs", ".js")] if stem != base else []
        )
        return tuple(dict.fromkeys(p for p in both if p))

    def link(self, target: Node, required: tuple[str, str]) -> None:
        paths = self.paths(required[0])
        if target.type == "identifier":
            self.bind(self.source.text(target), paths, required[1], required[0])
        elif target.type == "object_pattern":
            for item in target.named_children:
                if item.type == "shorthand_property_identifier_pattern":
                    name = self.source.text(item)
                    self.bind(name, paths, name, required[0])
                elif item.type == "pair_pattern":
                    key, value = item.child_by_field_name("key"), item.child_by_field_name("value")
                    if key is not None and value is not None:
                        self.bind(self.source.text(value), paths, self.source.text(key), required[0])

    def bind(self, name: str, paths: tuple[str, ...], member: str, specifier: str) -> None:
        if paths:
            self.module.links[name] = Link(paths, member)
        else:
            self.module.denied[name] = f"imports: {specifier}"

    def imported(self, node: Node) -> None:
        where = node.child_by_field_name("source")
        if where is None:
            return
        specifier = self.source.text(where)[1:-1]
        paths = self.paths(specifier)
        for item, _, _ in trees.walk(node):
            if item.type == "import_clause":
                for child in item.named_children:
                    if child.type == "identifier":
                        self.bind(self.source.text(child), paths, "default", specifier)
            elif item.type == "namespace_import" and item.named_children:
                self.bind(self.source.text(item.named_children[0]), paths, "*", specifier)
            elif item.type == "import_specifier":
                name, local = item.child_by_field_name("name"), item.child_by_field_name("alias")
                if name is not None:
                    self.bind(self.source.text(local or name), paths, self.source.text(name), specifier)

    def export(self, node: Node, start: int, depth: int) -> None:
        declaration = node.child_by_field_name("declaration")
        default = any(self.source.text(child) == "default" for child in node.children[:3])
        where = node.child_by_field_name("source")
        if declaration is not None:
            before = len(self.module.definitions)
            self.statement_without_marker(declaration, node, start, depth)
            if default and declaration.child_by_field_name("name") is not None:
                self.module.exports["default"] = self.name_of(declaration)
            del before
            return
        value = node.child_by_field_name("value")
        if value is not None and default:
            if value.type == "identifier":
                self.module.exports["default"] = self.source.text(value)
            elif value.type in _FUNCTIONS:
                self.expression(self.name_of(value) or _stem(self.module.path), value, node, start)
            else:
                self.wrappers(value, depth)
                name = _stem(self.module.path)
                if name.isidentifier() and name not in self.module.definitions:
                    comment = self.source.span(start, node.start_byte)
                    head = f"{comment}const {name} = "
                    text = f"{head}{self.source.text(value)};"
                    self.define(name, "value", value, value.start_byte, text, len(head))
                    self.module.exports["default"] = name
            return
        paths = self.paths(self.source.text(where)[1:-1]) if where is not None else ()
        clause = next((c for c in node.named_children if c.type == "export_clause"), None)
        space = next((c for c in node.named_children if c.type == "namespace_export"), None)
        if space is not None:
            if paths:
                self.module.links[self.source.text(space.named_children[0])] = Link(paths, "*")
            return
        if clause is None and where is not None and paths:
            self.module.stars.append(Link(paths, "*"))
        for item in clause.named_children if clause is not None else []:
            name, outside = item.child_by_field_name("name"), item.child_by_field_name("alias")
            if name is None:
                continue
            inside = self.source.text(name)
            if where is not None:
                self.module.links[self.source.text(outside or name)] = Link(paths, inside)
            elif outside is not None:
                self.module.exports[self.source.text(outside)] = inside

    def statement_without_marker(self, declaration: Node, node: Node, start: int, depth: int) -> None:
        comment = self.source.span(start, node.start_byte)
        if declaration.type in _DECLARATIONS:
            self.declaration(declaration, declaration.start_byte, depth)
            for child in declaration.named_children:
                for definition in self.module.definitions.get(self.name_of(child), []):
                    if comment and not definition.text.startswith(comment):
                        self._lead(definition, comment)
            return
        name = self.name_of(declaration)
        text = comment + self.source.text(declaration)
        if declaration.type in ("function_declaration", "generator_function_declaration"):
            self.function(name, declaration, declaration, declaration.start_byte, text, len(comment))
        elif name:
            self.define(name, "type", declaration, declaration.start_byte, text, len(comment))
            self.members(declaration)

    def _lead(self, definition: Definition, comment: str) -> None:
        analyse, shift = definition.analyse, len(comment)
        definition.text = comment + definition.text

        def shifted() -> Facts:
            facts = analyse()
            through = tuple((a + shift, b + shift, n, m) for a, b, n, m in facts.through)
            rewrites = tuple((a + shift, b + shift, new) for a, b, new in facts.rewrites)
            return replace(facts, through=through, rewrites=rewrites)

        definition.analyse = shifted

    def assignment(self, node: Node, statement: Node, start: int, depth: int) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return
        target = self.source.text(left)
        if right.type == "assignment_expression":
            self.assignment(right, statement, start, depth)
            inner = right.child_by_field_name("left")
            name = self.source.text(inner).rpartition(".")[2] if inner is not None else ""
            if target == "module.exports" and name in self.module.definitions:
                self.module.exports["default"] = name
            return
        whole = target in ("module.exports", "exports.default")
        owner, _, name = target.rpartition(".")
        if owner.endswith(".prototype"):
            maker = self.module.definitions.get(owner.removesuffix(".prototype"))
            if right.type in _FUNCTIONS and maker and name.isidentifier():
                self.prototype(maker[-1], name, right, statement, start)
            return
        if right.type == "identifier":
            if whole:
                self.module.exports["default"] = self.source.text(right)
            elif target.startswith(("exports.", "module.exports.")):
                self.module.exports[name] = self.source.text(right)
            return
        if right.type in _FUNCTIONS and ("." in target or target in self.module.definitions):
            named = self.name_of(right) if whole else name
            if right.type != "arrow_function" and right.child_by_field_name("name") is None and not whole:
                named = name
            stem = named or _stem(self.module.path)
            if re.fullmatch(r"[A-Za-z_$][\w$]*", stem) and (stem not in self.module.definitions or "." not in target):
                self.module.definitions.pop(stem, None)
                self.expression(stem, right, statement, start)
                if whole:
                    self.module.exports["default"] = stem
            if not whole:
                return
        required = self.required(right)
        if required is not None and target.startswith(("exports.", "module.exports")):
            self.module.links[name if not whole else "default"] = Link(self.paths(required[0]), required[1])
            return
        if right.type == "object" and whole:
            for item in right.named_children:
                if item.type == "pair":
                    key, value = item.child_by_field_name("key"), item.child_by_field_name("value")
                    if key is None or value is None:
                        continue
                    if value.type == "identifier":
                        self.module.exports[self.source.text(key)] = self.source.text(value)
                    elif value.type in _FUNCTIONS and key.type == "property_identifier":
                        self.expression(self.source.text(key), value, item, item.start_byte)
            return
        self.wrappers(right, depth)

    def expression(self, name: str, function: Node, statement: Node, start: int) -> None:
        """Define a function expression as a constant, or as a declaration where it has the name already."""
        comment = self.source.span(start, statement.start_byte)
        own = self.name_of(function)
        head = comment if own == name and function.type != "arrow_function" else f"{comment}const {name} = "
        end = "" if head == comment else ";"
        text = f"{head}{self.source.text(function)}{end}"
        self.function(name, function, function, function.start_byte, text, len(head))
        self.module.exports.setdefault("default", name) if statement.type == "export_statement" else None

    def wrappers(self, node: Node, depth: int) -> bool:
        """Read the bodies of functions that wrap a library; say whether there was one."""
        if depth >= _MAX_WRAPPERS:
            return False
        found = False
        stack = [node]
        while stack:
            item = stack.pop()
            if item.type in _FUNCTIONS:
                body = item.child_by_field_name("body")
                if body is not None and body.type == "statement_block" and _wraps(body):
                    found = True
                    for parameter, _, _ in trees.walk(item.child_by_field_name("parameters") or item):
                        if parameter.type == "identifier" and parameter.end_byte <= body.start_byte:
                            name = self.source.text(parameter)
                            if name not in BUILTINS:
                                self.module.denied.setdefault(name, f"unresolved: {name}")
                    self.scope(body, depth + 1)
            elif item.type in (
                "parenthesized_expression",
                "call_expression",
                "unary_expression",
                "arguments",
                "member_expression",
                "sequence_expression",
                "assignment_expression",
                "ternary_expression",
                "binary_expression",
            ):
                stack += item.named_children
        return found

    def site(self, name: str, function: Node, definition: Definition, *, bound: bool = False) -> Site:
        parameters_node = function.child_by_field_name("parameters") or function.child_by_field_name("parameter")
        body = function.child_by_field_name("body")
        reason, parameters = "", []
        generator = function.type.startswith("generator")
        if any(c.type == "async" for c in function.children):
            reason = "impure: asynchronous"
        elif parameters_node is None or body is None:
            reason = "signature: no parameters"
        else:
            nodes = [parameters_node] if parameters_node.type == "identifier" else parameters_node.named_children
            for node in nodes:
                parameter = self.parameter(node)
                if isinstance(parameter, str):
                    reason = reason or parameter
                elif parameter is not None:
                    parameters.append(parameter)
            required = sum(not p.optional for p in parameters)
            if not parameters and not bound and not reason:
                reason = "signature: no parameters"
            elif required > MAX_PARAMETERS and not reason:
                reason = f"signature: more than {MAX_PARAMETERS} parameters"
            elif body.type == "statement_block" and not (generator or _gives_back(body)) and not reason:
                reason = "signature: returns nothing"
        if reason:
            return Site(name, definition, None, reason)
        returns = function.child_by_field_name("return_type")
        result = self.canonical(self.source.text(returns)) if returns is not None else None
        if returns is not None and self.source.text(returns).strip(": ") in ("void", "never"):
            return Site(name, definition, None, "signature: returns nothing")
        signature = Signature(tuple(parameters[:MAX_PARAMETERS]), result)
        return Site(name, definition, signature, "", trees.trivial(_only_value(body)))

    def parameter(self, node: Node) -> Parameter | str | None:
        if "comment" in node.type:
            return None
        if node.type == "identifier":
            return Parameter(self.source.text(node))
        if node.type == "assignment_pattern":
            left = node.child_by_field_name("left")
            return Parameter(self.source.text(left) if left is not None else "", optional=True)
        if node.type in ("required_parameter", "optional_parameter"):
            pattern, kind = node.child_by_field_name("pattern"), node.child_by_field_name("type")
            if pattern is None or pattern.type == "this":
                return None
            optional = node.type == "optional_parameter" or node.child_by_field_name("value") is not None
            if pattern.type == "rest_pattern":
                return "signature: any number of parameters"
            if pattern.type != "identifier":
                return Parameter("options", None, True) if optional else "signature: takes an object apart"
            written = self.source.text(kind) if kind is not None else ""
            if "=>" in written and not optional:
                return "signature: takes a function"
            return Parameter(self.source.text(pattern), self.canonical(written) if written else None, optional)
        if node.type == "rest_pattern":
            return "signature: any number of parameters"
        if node.type in ("object_pattern", "array_pattern"):
            return "signature: takes an object apart"
        return None


def _stem(path: str) -> str:
    words = re.split(r"[^A-Za-z0-9_$]+", posixpath.splitext(posixpath.basename(path))[0])
    return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])


def _wraps(body: Node) -> bool:
    return any(
        child.type in ("function_declaration", "export_statement", *_DECLARATIONS, "expression_statement")
        and (child.type == "function_declaration" or b"function" in (child.text or b"") or b"=>" in (child.text or b""))
        for child in body.named_children
    )


def _gives_back(body: Node) -> bool:
    stack = list(body.named_children)
    while stack:
        node = stack.pop()
        if node.type == "return_statement" and node.named_child_count:
            return True
        if node.type not in _FUNCTIONS and node.type != "class_declaration":
            stack += node.named_children
    return False


def _only_value(body: Node | None) -> Node | None:
    if body is None or body.type != "statement_block":
        return body
    statements = [child for child in body.named_children if "comment" not in child.type]
    if len(statements) == 1 and statements[0].type == "return_statement" and statements[0].named_children:
        return statements[0].named_children[0]
    return None


def _facts(source: Source, node: Node, name: str, module: Module, offset: tuple[int, int], has_object: bool) -> Facts:
    start, prefix = offset
    used: set[str] = set()
    bare: Counter[str] = Counter()
    bound: set[str] = set()
    soft: set[str] = set()
    members: set[str] = set()
    refusal = ""
    chains: list[tuple[Node, str, str]] = []
    stubs: set[str] = set()
    rewrites: list[tuple[int, int, str]] = []
    skipped = 0
    data = source.data

    def place(item: Node) -> tuple[int, int]:
        begin = len(data[start : item.start_byte].decode(errors="replace")) + prefix
        return begin, begin + len(source.text(item))

    for item, parent, field in trees.walk(node):
        kind = item.type
        if item.start_byte < skipped:
            continue
        if kind == "identifier":
            text = source.text(item)
            declares = (
                (parent == "variable_declarator" and field == "name")
                or parent in ("formal_parameters", "array_pattern", "rest_pattern", "catch_clause", "enum_declaration")
                or (parent in ("required_parameter", "optional_parameter") and field == "pattern")
                or (parent in ("assignment_pattern", "object_assignment_pattern") and field == "left")
                or (parent == "pair_pattern" and field == "value")
                or (parent == "arrow_function" and field == "parameter")
                or (parent == "for_in_statement" and field == "left")
                or (parent in _FUNCTIONS and field == "name")
                or (parent in (*_TYPES, "index_signature") and field == "name")
            )
            (bound if declares else used).add(text)
            bare[text] += 1
        elif kind == "shorthand_property_identifier_pattern":
            bound.add(source.text(item))
        elif kind == "shorthand_property_identifier":
            used.add(source.text(item))
        elif kind == "type_identifier":
            soft.add(source.text(item))
        elif kind == "member_expression":
            owner, member = item.child_by_field_name("object"), item.child_by_field_name("property")
            if owner is not None and member is not None:
                members.add(source.text(member))
                if owner.type == "identifier":
                    first, second = source.text(owner), source.text(member)
                    if (first, second) in _IMPURE_MEMBERS:
                        refusal = refusal or f"impure: {_IMPURE_MEMBERS[first, second]} ({first}.{second})"
                    chains.append((item, first, second))
        elif kind == "this" and not has_object:
            refusal = refusal or "impure: uses this"
        elif kind == "await_expression":
            refusal = refusal or "impure: asynchronous"
        elif kind == "throw_statement":
            made = item.named_children[0] if item.named_children else None
            thrown = made.child_by_field_name("constructor") if made is not None else None
            outside = source.text(thrown).partition(".")[0] if thrown is not None else ""
            if made is not None and (outside in module.links or outside in module.denied):
                # An error is compared as one, whatever its class; its own module need not come along.
                stub = source.text(thrown).rpartition(".")[2] if thrown is not None else ""
                stubs.add(stub)
                rewrites.append((*place(made), f"new {stub}()"))
                skipped = made.end_byte
        elif kind == "new_expression" or kind == "call_expression":
            called = item.child_by_field_name("constructor") or item.child_by_field_name("function")
            given = item.child_by_field_name("arguments")
            asks = kind == "call_expression" or given is None or not given.named_children
            if asks and called is not None and source.text(called) == "Date":
                refusal = refusal or "impure: depends on time or place (Date)"
        elif kind in ("jsx_element", "jsx_self_closing_element"):
            refusal = refusal or "impure: builds a page"
    bound.add(name)
    through: list[tuple[int, int, str, str]] = []
    covered: set[str] = set()
    for item, first, second in chains:
        if first in bound or item.start_byte < start:
            continue
        if first in module.links:
            through.append((*place(item), first, second))
            bare[first] -= 1
            if not bare[first]:
                covered.add(first)
        elif first == "exports" and (inside := module.exports.get(second, second)) in module.definitions:
            rewrites.append((*place(item), inside))
            used.add(inside)
            covered.add(first)
    return Facts(
        frozenset(used - bound - covered),
        frozenset(soft - bound),
        frozenset(members),
        tuple(through),
        tuple(rewrites),
        frozenset(stubs),
        refusal,
    )
