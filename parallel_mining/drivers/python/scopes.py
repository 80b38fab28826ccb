"""Which names does a piece of Python take from outside itself, and which of them already when it is read?

Start at `outside`. Scopes are those of the language: a class's own names are seen in its body but not in its methods,
defaults and decorators belong to what is around a function, a comprehension has its own variables, and what a body
looks up before it binds the name comes from outside (`limit = limit` in a class). Annotations count for nothing: the
programs that are made do not evaluate them.

Source: the Python language reference, 4.2 "Naming and binding".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass
class Outside:
    """What a statement asks of what is around it.

    Args:
        names: What it looks up outside itself.
        early: Those of them that it looks up when it is read.
        binds: What it binds for those that come after it.
        lookups: Where it looks them up.
    """

    names: set[str] = field(default_factory=set[str])
    early: set[str] = field(default_factory=set[str])
    binds: set[str] = field(default_factory=set[str])
    lookups: list[ast.Name] = field(default_factory=list[ast.Name])


def outside(*statements: ast.stmt) -> Outside:
    """Return what statements, read one after the other, ask of what is around them."""
    found = Outside()
    everything = set[str]()
    for statement in statements:
        everything |= set(_bound(statement))
    visitor = _Visitor(found, everything)
    for statement in statements:
        visitor.visit(statement)
    found.binds = everything
    return found


def bound_names(target: ast.AST) -> Iterator[str]:
    """Yield the names that a target binds: those in tuples, lists and behind stars, not those of `a.b` and `a[b]`."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            yield from bound_names(item)
    elif isinstance(target, ast.Starred):
        yield from bound_names(target.value)


def plain(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all nodes in it, without annotations."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from plain(child)


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds in the scope that it stands in."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Store):
            yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        for part in _around(node):
            yield from _bound(part)
    elif isinstance(node, ast.Lambda):
        for part in _around(node):
            yield from _bound(part)
    elif isinstance(node, _Comprehension):
        # Of what stands in a comprehension only `:=` binds around it.
        for part in plain(node):
            if isinstance(part, ast.NamedExpr):
                yield part.target.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((name.asname or name.name.split(".")[0]) for name in node.names)
    elif isinstance(node, ast.AnnAssign) and node.value is None:
        return
    else:
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        if isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _around(node: _Function | ast.ClassDef) -> list[ast.expr]:
    """Return what of a definition is evaluated around it, when it is read."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
    defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
    return defaults if isinstance(node, ast.Lambda) else [*node.decorator_list, *defaults]


@dataclass
class _Scope:
    """A scope: the names bound in it so far, or at all where its code runs later."""

    names: set[str]
    is_class: bool = False
    is_comprehension: bool = False


class _Visitor:
    def __init__(self, found: Outside, everything: set[str]) -> None:
        self.found = found
        self.everything = everything  # what the statements bind, for what runs when all are read
        self.top = _Scope(set())
        self.scopes = [self.top]
        self.later = 0

    def visit(self, node: ast.AST | None) -> None:
        """Visit a node in the order in which it is evaluated."""
        if node is None:
            return
        if isinstance(node, ast.Name):
            self.name(node)
        elif isinstance(node, _Function):
            for part in _around(node):
                self.visit(part)
            if not isinstance(node, ast.Lambda):
                self.bind(node.name)
            self.function(node)
        elif isinstance(node, ast.ClassDef):
            for part in _around(node):
                self.visit(part)
            self.scopes.append(_Scope(set(), is_class=True))
            self.all(node.body)
            self.scopes.pop()
            self.bind(node.name)
        elif isinstance(node, _Comprehension):
            self.comprehension(node)
        elif isinstance(node, ast.Assign):
            self.visit(node.value)
            self.all(node.targets)
        elif isinstance(node, ast.AnnAssign):
            self.visit(node.value)
            if node.value is not None or not isinstance(node.target, ast.Name):
                self.visit(node.target)
        elif isinstance(node, ast.AugAssign):
            self.visit(node.value)
            if isinstance(node.target, ast.Name):
                self.look_up(node.target)
            self.visit(node.target)
        elif isinstance(node, ast.NamedExpr):
            self.visit(node.value)
            next(s for s in reversed(self.scopes) if not s.is_comprehension).names.add(node.target.id)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self.visit(node.iter)
            self.visit(node.target)
            self.all([*node.body, *node.orelse])
        elif isinstance(node, ast.Import | ast.ImportFrom | ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            if isinstance(node, ast.ExceptHandler):
                self.visit(node.type)
            for name in _bound(node):
                self.bind(name)
            if isinstance(node, ast.ExceptHandler):
                self.all(node.body)
            elif isinstance(node, ast.MatchAs):
                self.visit(node.pattern)
        else:
            if isinstance(node, ast.MatchMapping) and node.rest:
                self.bind(node.rest)
            self.all(ast.iter_child_nodes(node))

    def all(self, nodes: Iterator[ast.AST] | list[ast.stmt] | list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)

    def function(self, node: _Function) -> None:
        body = node.body if isinstance(node.body, list) else [node.body]
        names = {a.arg for a in plain(node.args) if isinstance(a, ast.arg)}
        given = {name for part in body for name in _bound(part)}
        elsewhere = {name for part in body for n in _own_scope(part) if isinstance(n, ast.Nonlocal) for name in n.names}
        self.scopes.append(_Scope(names | (given - elsewhere)))
        self.later += 1
        for part in body:
            self.visit(part)
        self.later -= 1
        self.scopes.pop()

    def comprehension(self, node: _Comprehension) -> None:
        self.visit(node.generators[0].iter)
        names = {name for part in node.generators for name in bound_names(part.target)}
        self.scopes.append(_Scope(names, is_comprehension=True))
        for number, part in enumerate(node.generators):
            if number:
                self.visit(part.iter)
            self.visit(part.target)
            self.all(part.ifs)
        self.all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self.scopes.pop()

    def bind(self, name: str) -> None:
        self.scopes[-1].names.add(name)

    def name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bind(node.id)
        else:
            self.look_up(node)

    def look_up(self, node: ast.Name) -> None:
        if any(node.id in scope.names for scope in self.scopes if scope is self.scopes[-1] or not scope.is_class):
            return
        if self.later and node.id in self.everything:
            return
        self.found.names.add(node.id)
        self.found.lookups.append(node)
        if not self.later:
            self.found.early.add(node.id)


def _own_scope(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Function | ast.ClassDef):
            yield from _own_scope(child)


__all__ = ["Outside", "bound_names", "outside", "plain"]
