"""How a function is cut out of its file with everything that it needs, whatever the language.

A language's `syntax` module reads a file into a `Module`: its definitions, the names it takes from other files, and the
functions worth considering. `cut` then follows the names that a function uses, through helpers, constants, types and
other files of the same repository, and gives the definitions in an order in which they can be written down. What
cannot be followed, or must not run, is a `Refused` with a reason; the part before the colon is from a small fixed set.

A definition is analysed only when a cut reaches it, so a big file costs little more than its parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

from parallel_mining.mutants import Wording
from parallel_mining.signatures import Signature
from parallel_mining.types import Type

MAX_UNIT_BYTES = 30_000
MAX_DEFINITIONS = 80

Kind = Literal["import", "function", "value", "type", "method", "impl"]


class Refused(Exception):
    """A function that cannot become a unit; the message is the reason, such as `unresolved: helper`."""


@dataclass(frozen=True)
class Facts:
    """What a definition's text says about other names.

    Args:
        uses: Names that must be defined for it to run; `name/2` where a call's number of arguments is known.
        soft: Names that it mentions but can run without (erased types).
        members: Names that follow a dot anywhere in it: methods it may call.
        through: Uses through a namespace from another file: start and end in the text, the namespace, the member.
        rewrites: Other parts of the text that are to be replaced: start, end, by what.
        stubs: Exception types that it throws and that stay outside the unit; an empty one stands for each.
        refusal: Why it must not be part of a unit, or "".
        spare: Parts of the text that are left out where a name in them cannot be followed: start, end, the names.
    """

    uses: frozenset[str] = frozenset()
    soft: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    through: tuple[tuple[int, int, str, str], ...] = ()
    rewrites: tuple[tuple[int, int, str], ...] = ()
    stubs: frozenset[str] = frozenset()
    refusal: str = ""
    spare: tuple[tuple[int, int, tuple[str, ...]], ...] = ()


@dataclass
class Definition:
    """A named piece of a file that can be written down on its own.

    Args:
        name: The name it defines, qualified by its owner (`MathUtils.gcd`).
        kind: What it is.
        text: Its source, with the comment above it.
        analyse: Finds its facts; called at most once.
        imports: Lines that must stand at the head of a program with this definition.
        owner: The class or type that it belongs to, or "".
        arity: The number of parameters, for languages that overload by it.
        local: The bare name, where it differs from `name`.
        optional: Whether it may be left out where it cannot be cut: it only adds to what a name stands for.
        order: Position in its file.
        only_for: A word without which in the unit nothing could use it: of an implementation, the built-in type that it
            is for.
    """

    name: str
    kind: Kind
    text: str
    analyse: Callable[[], Facts]
    imports: tuple[str, ...] = ()
    owner: str = ""
    arity: int | None = None
    local: str = ""
    optional: bool = False
    order: int = 0
    only_for: str = ""

    @cached_property
    def facts(self) -> Facts:
        """What its text says about other names."""
        return self.analyse()


@dataclass(frozen=True)
class Link:
    """A name that comes from another file of the same repository.

    Args:
        paths: Where the other file may be, best first.
        name: The name over there; `*` for the namespace itself, `default` for what the file exports as a whole.
        whole: Where a file may be that the name stands for as a namespace, if none of `paths` defines it.
    """

    paths: tuple[str, ...]
    name: str
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Site:
    """A function that a file offers.

    Args:
        entry: How it is called, such as `MathUtils.gcd`.
        definition: Its definition.
        signature: What it takes and gives back, or None where `reason` says why not.
        reason: Why it is not considered further, or "".
        trivial: Why running it would prove nothing (a one-operator wrapper), or "".
        body: The text that says what it does, where that is not its definition's: a method's, for one that is called
            through a function made for it.
    """

    entry: str
    definition: Definition
    signature: Signature | None
    reason: str = ""
    trivial: str = ""
    body: str = ""


def called_name(owner: str, method: str) -> str:
    """Return the name of the function that makes an object of a class and calls its method."""
    return f"{owner}_{method.strip('_')}"


@dataclass
class Module:
    """One file, read.

    Args:
        path: Its path below the repository.
        definitions: By name; several where a name is overloaded.
        links: Names from other files.
        stars: Files all of whose names are visible here.
        sites: The functions it offers.
        denied: Names that came from somewhere a unit must not reach, with the reason.
        exports: Name outside to name inside, where they differ.
    """

    path: str
    definitions: dict[str, list[Definition]] = field(default_factory=dict[str, list[Definition]])
    links: dict[str, Link] = field(default_factory=dict[str, Link])
    stars: list[Link] = field(default_factory=list[Link])
    sites: list[Site] = field(default_factory=list[Site])
    denied: dict[str, str] = field(default_factory=dict[str, str])
    exports: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, definition: Definition) -> None:
        """Add a definition under its name."""
        definition.order = sum(map(len, self.definitions.values()))
        self.definitions.setdefault(definition.name, []).append(definition)


@dataclass(frozen=True)
class Piece:
    """A definition as it is to be written down, with names that came through a namespace replaced.

    Args:
        definition: The definition.
        text: What is written.
        home: The path of its file, or "".
    """

    definition: Definition
    text: str
    home: str = ""


class Syntax(Protocol):
    """What a language's `syntax` module offers; modules are checked against this by the tests."""

    SHARES_DIRECTORY: bool
    TYPED: bool
    BUILTINS: frozenset[str]
    DENIED: Mapping[str, str]
    WORDING: Wording

    def read(self, path: str, text: str) -> Module:
        """Read a file."""
        ...

    def alias(self, name: str, target: str) -> str:
        """Return the line that makes `name` another name for `target`."""
        ...

    def assemble(self, site: Site, pieces: Sequence[Piece]) -> str:
        """Return the program text of a unit."""
        ...

    def canonical(self, annotation: str) -> Type | None:
        """Return the canonical type of a type as this language writes it, or None."""
        ...


@dataclass
class Files:
    """The files of one repository in one language, read when they are first needed."""

    texts: Mapping[str, str]
    syntax: Syntax
    _read: dict[str, Module | None] = field(default_factory=dict[str, Module | None])

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self.texts):
            found.setdefault(path.rpartition("/")[0], []).append(path)
        return found

    def module(self, path: str) -> Module | None:
        """Return a file, read, or None where there is no such file or it cannot be parsed."""
        if path not in self._read:
            text = self.texts.get(path)
            try:
                self._read[path] = None if text is None else self.syntax.read(path, text)
            except (SyntaxError, RecursionError, ValueError, MemoryError):
                self._read[path] = None
        return self._read[path]

    @cached_property
    def _tails(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self.texts):
            found.setdefault("/".join(path.split("/")[-2:]), []).append(path)
        return found

    def modules(self, paths: Sequence[str]) -> list[Module]:
        """Return those of some files that there are, best first; where there is none, the one that stands for them.

        A corpus keeps one of the builds of a package (`esm/`, `dist/`), so a file that is not there may be there below
        another folder: the file that shares the longest end of its path, two names of it at least.
        """
        found = [module for path in dict.fromkeys(paths) if (module := self.module(path)) is not None]
        if found:
            return found
        twins = [
            (-_shared_tail(path, other), number, other)
            for number, path in enumerate(paths)
            if "/" in path
            for other in self._tails.get("/".join(path.split("/")[-2:]), ())
        ]
        return [module for *_, path in sorted(twins)[:1] if (module := self.module(path)) is not None]

    def siblings(self, path: str) -> Iterable[Module]:
        """Yield the other files of a folder, in the order of their names."""
        for other in self._folders.get(path.rpartition("/")[0], ()):
            if other != path and (module := self.module(other)) is not None:
                yield module


def _shared_tail(one: str, other: str) -> int:
    pairs = zip(reversed(one.split("/")), reversed(other.split("/")), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(one.count("/"), other.count("/")) + 1)


def cut(files: Files, module: Module, site: Site) -> str:
    """Return the program text of a function with everything that it needs.

    Args:
        files: The repository that the function belongs to.
        module: Its file.
        site: The function.

    Raises:
        Refused: It cannot stand alone, or must not run.
    """
    cutter = _Cutter(files)
    cutter.definition(module, site.definition)
    cutter.close_over_methods(module)
    code = files.syntax.assemble(site, cutter.pieces)
    if len(code.encode()) > MAX_UNIT_BYTES:
        raise Refused(f"too long: over {MAX_UNIT_BYTES} bytes with what it needs")
    return code


def _bare(text: str) -> str:
    """Return a definition without comments of C's kind, export marks and blanks: two builds differ in no more."""
    return "".join(re.sub(r"/\*.*?\*/|(?m:^\s*//.*$)|\bexport\b", "", text, flags=re.DOTALL).split())


class _Cutter:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.syntax = files.syntax
        self.pieces: list[Piece] = []
        self.homes: dict[str, tuple[str, str]] = {}
        self.seen: set[int] = set()
        self.looked: set[tuple[str, str, str]] = set()
        self.members: set[str] = set()
        self.modules: dict[str, Module] = {}
        self.count = 0

    def definition(self, module: Module, definition: Definition) -> None:
        """Write down a definition after everything that it uses."""
        if id(definition) in self.seen:
            return
        self.seen.add(id(definition))
        self.count += definition.kind != "method"
        if self.count > MAX_DEFINITIONS:
            raise Refused(f"too long: needs more than {MAX_DEFINITIONS} other definitions")
        self.modules[module.path] = module
        facts = definition.facts
        if facts.refusal:
            raise Refused(facts.refusal)
        if definition.arity is None and definition.kind not in ("import", "impl", "method"):
            home = self.homes.setdefault(definition.name, (module.path, definition.text))
            if home[0] != module.path and _bare(home[1]) != _bare(definition.text):
                raise Refused(f"clash: {definition.name} is defined in two of the files it needs")
        # A method's owner is a receiver, not a scope; a class is both.
        scope = "" if definition.kind in ("method", "impl") else definition.owner
        for use in sorted(facts.uses):
            self.name(module, use, scope)
        for use in sorted(facts.soft):
            if self._known(module, use.partition("/")[0], scope):
                self.name(module, use, scope)
        lost = [
            (start, end, "")
            for start, end, names in facts.spare
            if not self._attempt(lambda names=names: [self.name(module, use, scope) for use in names])
        ]
        text = definition.text
        changes = [(start, end, self.through(module, space, member)) for start, end, space, member in facts.through]
        for start, end, replacement in sorted([*changes, *facts.rewrites, *lost], key=lambda c: c[:2], reverse=True):
            text = text if replacement is None else text[:start] + replacement + text[end:]
        self.members |= facts.members
        self.pieces.append(Piece(definition, text, module.path))

    def if_it_can_be_cut(self, module: Module, definition: Definition) -> None:
        """Write a definition down with everything that it uses, or nothing at all."""
        if not self._attempt(lambda: self.definition(module, definition)):
            self.seen.add(id(definition))

    def _attempt(self, write: Callable[[], object]) -> bool:
        """Write something down, or nothing at all where it is refused; say whether it was not."""
        before = (
            [*self.pieces],
            dict(self.homes),
            set(self.seen),
            set(self.looked),
            set(self.members),
            dict(self.modules),
            self.count,
        )
        try:
            write()
        except Refused:
            self.pieces, self.homes, self.seen, self.looked, self.members, self.modules, self.count = before
            return False
        return True

    def _known(self, module: Module, name: str, owner: str) -> bool:
        return name in module.definitions or f"{owner}.{name}" in module.definitions

    def name(self, module: Module, use: str, owner: str = "") -> None:
        """Write down whatever defines a name that is used in a module."""
        if (module.path, use, owner) in self.looked:
            return
        self.looked.add((module.path, use, owner))
        name, _, arity = use.partition("/")
        found, home = self._find(module, name, owner)
        if found:
            if arity and len(found) > 1:
                found = [d for d in found if d.arity is None or d.arity == int(arity)] or found
            for definition in found:
                if definition.optional:
                    self.if_it_can_be_cut(home, definition)
                else:
                    self.definition(home, definition)
            return
        if name in module.denied:
            raise Refused(module.denied[name])
        if name in module.links:
            self.link(module, name)
            return
        space, dot, member = name.partition(".")
        if dot and space in module.links:
            inside = name if self.syntax.SHARES_DIRECTORY else member
            self.target(Link(module.links[space].paths, inside), 0, arity)
            return
        for star in module.stars:
            if self._through_star(star, name, set()):
                return
        if name in self.syntax.DENIED:
            raise Refused(f"impure: {self.syntax.DENIED[name]} ({name})")
        if name not in self.syntax.BUILTINS:
            raise Refused(f"unresolved: {name}")

    def _find(self, module: Module, name: str, owner: str) -> tuple[list[Definition], Module]:
        keys = [f"{owner}.{name}", name] if owner else [name]
        for key in keys:
            if key in module.definitions:
                return module.definitions[key], module
        if self.syntax.SHARES_DIRECTORY:
            for key in keys:
                for other in self.files.siblings(module.path):
                    found = other.definitions.get(key, [])
                    # A function may have the name of one that later versions of the language have built in.
                    if found and (name not in self.syntax.BUILTINS or found[0].kind == "function"):
                        return found, other
        return [], module

    def _through_star(self, star: Link, name: str, seen: set[str]) -> bool:
        for other in self.files.modules(star.paths)[:1]:
            if other.path in seen:
                return False
            seen.add(other.path)
            if name in other.definitions or name in other.links:
                self.name(other, name)
                return True
            return any(self._through_star(inner, name, seen) for inner in other.stars)
        return False

    def target(self, link: Link, depth: int = 0, arity: str = "") -> str:
        """Write down what a link points at, and return the name it has there."""
        if depth > 8:
            raise Refused("unresolved: imports go round in a circle")
        for other in self.files.modules(link.paths):
            inside = other.exports.get(link.name, link.name)
            if inside in other.definitions:
                self.name(other, f"{inside}/{arity}" if arity else inside)
                return inside
            if inside in other.denied:
                raise Refused(other.denied[inside])
            if inside != link.name and inside in self.syntax.BUILTINS:
                return inside
            if inside in other.links:
                return self.target(other.links[inside], depth + 1)
            star = next((s for s in other.stars if self._offers(Link(s.paths, link.name), depth + 1)), None)
            if star is not None:
                return self.target(Link(star.paths, link.name), depth + 1)
            raise Refused(f"unresolved: {link.name} in {other.path}")
        raise Refused(f"imports: {(link.paths or ('?',))[0]} is not in the corpus")

    def _offers(self, link: Link, depth: int) -> bool:
        """Say whether a file has a name, its own or from other files; nothing is written down."""
        if depth > 8:
            return False
        for other in self.files.modules(link.paths)[:1]:
            inside = other.exports.get(link.name, link.name)
            if inside in other.definitions or inside in other.links or inside in other.denied:
                return True
            return any(self._offers(Link(star.paths, link.name), depth + 1) for star in other.stars)
        return False

    def link(self, module: Module, name: str) -> None:
        """Write down what a linked name stands for, with an alias where it has another name there."""
        link = module.links[name]
        if link.name == "*":
            raise Refused(f"unresolved: the module {name} is used as a value")
        target = self.target(link)
        if target == name:
            return
        line = self.syntax.alias(name, target)
        home = self.homes.setdefault(name, ("", line))
        if home != ("", line):
            raise Refused(f"clash: {name} is defined in two of the files it needs")
        definition = Definition(name, "value", line, Facts)
        if all(piece.text != line for piece in self.pieces):
            self.pieces.append(Piece(definition, line))

    def through(self, module: Module, namespace: str, member: str) -> str | None:
        """Return the bare name for a member of a linked namespace, written down before.

        None where the name stands for one value after all (`module.exports = value`), which is written down instead.
        """
        space = self.space(module.links[namespace])
        if space is None:
            self.link(module, namespace)
            return None
        return self.target(Link(space, member))

    def space(self, link: Link, depth: int = 0) -> tuple[str, ...] | None:
        """Return the files that a link stands for as a namespace, or None where it stands for one value."""
        if link.name == "*" or depth > 8:
            return link.paths
        for other in self.files.modules(link.paths):
            inside = other.exports.get(link.name, link.name)
            if inside in other.definitions:
                return None
            inner = other.links.get(inside)
            if inner is not None and inner.paths != link.paths:
                return self.space(inner, depth + 1)
            if link.name == "default":
                return link.paths if inside == "default" else None
            for star in other.stars:
                if any(link.name in m.links for m in self.files.modules(star.paths)):
                    return self.space(Link(star.paths, link.name), depth + 1)
            break
        return link.whole if any(self.files.module(path) is not None for path in link.whole) else None

    def close_over_methods(self, module: Module) -> None:
        """Write down the methods and implementations of the types that were reached, until nothing is added."""
        before = -1
        while before != len(self.pieces):
            before = len(self.pieces)
            types = {p.definition.name for p in self.pieces if p.definition.kind in ("type", "impl")}
            if not types:
                return
            homes = list(self.modules.values())
            if self.syntax.SHARES_DIRECTORY:
                homes += [m for m in self.files.siblings(module.path) if m.path not in self.modules]
            for home in homes:
                for definitions in list(home.definitions.values()):
                    for definition in definitions:
                        if definition.owner not in types or definition.kind not in ("method", "impl"):
                            continue
                        if definition.kind == "impl":
                            # What it implements may be of no use here; if it is, the compiler says so.
                            if self._mentions(definition.only_for):
                                self.if_it_can_be_cut(home, definition)
                        elif definition.local in self.members or definition.local in ALWAYS_WANTED:
                            if definition.optional:
                                self.if_it_can_be_cut(home, definition)
                            else:
                                self.definition(home, definition)

    def _mentions(self, word: str) -> bool:
        """Say whether any text but comments and the heads of implementations has a word."""
        texts = (re.sub(r"//[^\n]*", "", piece.text) for piece in self.pieces if piece.definition.kind != "impl")
        return not word or any(re.search(rf"\b{word}\b", text) for text in texts)


ALWAYS_WANTED = frozenset(["Len", "Less", "Swap", "String", "Error"])
"""Methods that Go's standard interfaces call without the program naming them (sort.Interface, Stringer, error)."""
