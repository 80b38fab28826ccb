"""How Rust programs are run: a module each of one crate, compiled together, a process a program.

The caller of a function is generated from its signature: every reference becomes a `'static` one, and a type parameter
becomes a concrete type.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from parallel_mining.drivers import Job, Toolchain, Unavailable, interpreter, text_of
from parallel_mining.pairs import WHOLE, Program
from quality.languages import grammar_of

if TYPE_CHECKING:
    import tree_sitter

BATCH = 256
# How `main` is called: where it gives nothing, and where it gives a `Result`.
_FAILED = 'if let Err(error) = main() { eprintln!("Error: {:?}", error); std::process::exit(1); }'
_MAIN_CALLERS = [f"pub fn polymix_main() {{ {call} }}\n" for call in ("let () = main();", _FAILED)]
# A type parameter is given one of these, the first that compiles.
INSTANCES = ("i64", "f64", "String", "&'static str", "usize", "u8", "char")

# A bound of what is gone through item by item.
ITERATOR = re.compile(r"(?:Into|DoubleEnded|ExactSize)?Iterator\b")

# Results that standard types make when they are gone through.
_LAZY = re.compile(
    r"impl\s+(?:\w+::)*(?:DoubleEnded|ExactSize)?Iterator\b"
    r"|(?:(?:std|core|alloc)::)?(?:\w+::)*(?:\w*IntoIter|Zip|Rev|Chain|Take|Skip|StepBy|Enumerate|Cloned|Copied|Chars)<"
)


def toolchain() -> Toolchain | Unavailable:
    """Return the rustc on the path: rustup's or the distribution's."""
    install = "install Rust 1.56 or newer (Debian: apt install rustc)"
    for rustc in filter(None, (shutil.which("rustc"), shutil.which("/usr/bin/rustc"))):
        # What lies on the path may be rustup's switch, which needs its home; the compiler itself does not.
        root = text_of(rustc, "--print", "sysroot")
        version = re.search(r"rustc (\d+)\.(\d+)\.\d+", text_of(rustc, "--version"))
        if root and version and (int(version[1]), int(version[2])) >= (1, 56):
            binds = () if Path(root).is_relative_to("/usr") else (root,)
            if not shutil.which("cc"):
                return Unavailable("rust", "rustc needs a linker and there is no `cc`", "apt install gcc libc6-dev")
            return Toolchain("rust", version[0], {"rustc": f"{root}/bin/rustc"}, binds)
    return Unavailable("rust", "no `rustc` of at least 1.56 on the path", install)


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    return replace(_job(programs, tools, callers_of), alone=True)


def whole_job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch of whole programs: their `main` is called as functions are."""
    # A module of a crate is no crate of its own.
    apart = [
        replace(program, code=re.sub(r"(?<![$\w])crate::", f"crate::p{k}::", program.code))
        for k, program in enumerate(programs)
    ]
    made = _job(apart, tools, lambda _: _MAIN_CALLERS)
    return replace(made, worker=("/tmp/built", WHOLE, "{k}"), whole=True)


def tested(code: str, tests: str, done: str) -> str:
    """Return a whole program that runs a solution's unit tests, and then prints `done` on a line of its own."""
    head, brace, tail = tests.rpartition("}")  # of `main`, with which tests end
    return f'{code}\n{head}println!("{done}");\n{brace}{tail}'


def _job(programs: Sequence[Program], tools: Toolchain, callers_for: Callable[[Program], list[str]]) -> Job:
    here = Path(__file__).parent
    files = {name: (here / name).read_bytes() for name in ("build.py", "wire.rs")}
    callers: dict[int, list[str]] = {}
    refused: dict[int, str] = {}
    for k, program in enumerate(programs):
        try:
            callers[k] = callers_for(program)
        except ValueError as error:
            refused[k] = str(error)
            continue
        files[f"programs/{k}.rs"] = program.code.encode()
    files["callers.json"] = json.dumps(callers).encode()
    python, _ = interpreter()
    build = (python, "-I", "-S", "-B", "/job/build.py", tools.tools["rustc"])
    return Job(files, ("/tmp/built",), build, {}, refused=refused)


def callers_of(program: Program) -> list[str]:
    """Return the text that calls a program's function on decoded arguments: one a choice of type arguments.

    Raises:
        ValueError: The function takes something that no argument can be made for.
    """
    # Only a module that is asked to run Rust loads the parser.
    import tree_sitter

    tree = tree_sitter.Parser(grammar_of("rust")).parse(program.code.encode())
    owner, _, name = program.entry.rpartition("::")
    named = [node for node in _functions(tree.root_node) if _text(node, "name") == name]
    # A method may have the name of a function that calls it.
    free = [node for node in named if node.parent is not None and node.parent.type == "source_file"]
    function = next(iter(named if owner else (*free, *named)), None)
    if function is None:
        # The compiler says it better, but has nothing to call.
        return [f"pub fn polymix_call(_: &[crate::wire::Node]) {{ {program.entry} }}\n"]
    types = [_parameter(node) for node in _children(function, "parameters")]
    generics = [_generic(node) for node in _children(function, "type_parameters")]
    names = [generic for generic in generics if generic]
    returns = _text(function, "return_type")
    bounds = _text(function, "type_parameters") + " ".join(
        node.text.decode() for node in function.children if node.type == "where_clause" and node.text
    )
    if re.search(r"\bFn(?:Mut|Once)?\s*\(", bounds + " ".join(types)):
        raise ValueError("it takes a function")
    iterated = {name: bound for name in names if ITERATOR.match(bound := bound_of(bounds, name))}
    tries = [
        # Those that may be made of others come first.
        {name: _implementing(bound, instance) for name, bound in iterated.items()}
        | {name: instance for name in names if name not in iterated}
        for instance in (INSTANCES if names else INSTANCES[:1])
    ]
    gone_through = iterates(returns, program.code) or _LAZY.match(returns) is not None
    return [
        _caller(program.entry, [_static(kind, chosen) for kind in types], gone_through=gone_through) for chosen in tries
    ]


def _functions(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    for child in node.named_children:
        if child.type == "function_item":
            yield child
        elif child.type in ("mod_item", "impl_item", "declaration_list"):
            yield from _functions(child)


def _text(node: tree_sitter.Node, field: str) -> str:
    child = node.child_by_field_name(field)
    return child.text.decode() if child is not None and child.text else ""


def _children(node: tree_sitter.Node, field: str) -> list[tree_sitter.Node]:
    child = node.child_by_field_name(field)
    if child is None:
        return []
    return [one for one in child.named_children if one.type not in ("attribute_item", "line_comment", "block_comment")]


def _parameter(node: tree_sitter.Node) -> str:
    if node.type != "parameter":
        raise ValueError(f"it has a parameter `{node.text.decode() if node.text else ''}`")
    return _text(node, "type")


def _generic(node: tree_sitter.Node) -> str:
    """Return the name of a type parameter; empty for a lifetime."""
    if node.type in ("lifetime", "lifetime_parameter"):
        return ""
    if node.type == "const_parameter":
        raise ValueError("it has a const parameter")
    return _text(node, "name") or _text(node, "left") or (node.text.decode() if node.text else "")


def bound_of(listed: str, name: str) -> str:
    """Return the first bound that is said of a type parameter, such as `IntoIterator<Item = T>`, or ""."""
    said = re.search(rf"\b{name}\s*:(?!:)\s*([\w:]+(?:<[^<>]*(?:<[^<>]*>)?[^<>]*>)?)", listed)
    return re.sub(r"^(?:\w+::)+", "", said[1]) if said else ""


def _static(kind: str, chosen: dict[str, str]) -> str:
    """Return a parameter's type with every lifetime `'static` and every type parameter a concrete type."""
    given = re.fullmatch(r"(?:&\s*)?impl\s+(.+)", kind, re.DOTALL)
    if given:
        kind = _implementing(given[1], by_reference=kind.startswith("&"))
    kind = re.sub(r"'\w+\s*", "", kind)
    kind = re.sub(r"&\s*", "&'static ", kind)
    for name, instance in (*chosen.items(), *chosen.items()):  # one may be made of another
        held = re.search(r"<(.*)>", instance, re.DOTALL)
        kind = re.sub(rf"\b{name}::Item\b", held[1] if held else rf"{instance}::Item", kind)
        kind = re.sub(rf"\b{name}\b", instance, kind)
    return kind


def _implementing(bound: str, instance: str = "i64", *, by_reference: bool = False) -> str:
    """Return a concrete type for `impl Bound`, of items of a type where the bound leaves them open."""
    if ITERATOR.match(bound):
        item = re.search(r"Item\s*=\s*(.+)>", bound, re.DOTALL)
        holder = "Vec" if bound.startswith("Into") else "std::vec::IntoIter"
        return f"{holder}<{item[1].strip() if item else instance}>"
    inside = re.match(r"(?:AsRef|Into|Borrow|Deref)<(.+)>", bound, re.DOTALL)
    if inside:
        owned = {"str": "String"}.get(inside[1], inside[1])
        slice_of = re.fullmatch(r"\[(.+)\]", owned)
        owned = f"Vec<{slice_of[1]}>" if slice_of else owned
        return f"&{owned}" if by_reference else owned
    return "String" if re.match(r"(?:ToString|Display)", bound) else "i64"


def iterates(returns: str, code: str) -> bool:
    """Say whether a function's result is of a type of the program's own that is gone through item by item.

    Args:
        returns: The type as it is written.
        code: A text that defines it, or gives a name to one that it defines.
    """
    head = re.match(r"(\w+)\b(?!::)", returns)
    for _ in range(4):
        if head is None:
            return False
        if re.search(rf"\bIterator\s+for\s+{head[1]}\b", code):
            return True
        head = re.search(rf"\btype\s+{head[1]}\b[^=;]*=\s*(\w+)\b", code)
    return False


def _caller(entry: str, types: list[str], *, gone_through: bool) -> str:
    takes = "".join(
        f"    let a{i}: {kind} = crate::wire::FromWire::from_wire(&given[{i}])?;\n" for i, kind in enumerate(types)
    )
    call = f"{entry}({', '.join(f'a{i}' for i in range(len(types)))})"
    if gone_through:
        call += ".collect::<Vec<_>>()"
    return (
        "pub fn polymix_call(given: &[crate::wire::Node]) -> Result<String, crate::wire::Refused> {\n"
        f"    if given.len() != {len(types)} {{\n"
        f'        return Err(crate::wire::Refused(format!("{{}} arguments for {len(types)}", given.len())));\n'
        f"    }}\n{takes}    let result = {call};\n    Ok(crate::wire::ToWire::outcome(&result))\n}}\n"
    )
