"""Which functions and programs of a corpus can stand alone and be run? Each one considered is a row, accepted or not.

Start at `extract` (documents to units) or `infer` (one given piece of code to its signature). A `Unit` is a `Program`
with where it came from and the words by which its counterparts are found. Nothing is run here.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import pyarrow as pa

from parallel_mining import programs
from parallel_mining.clues import NO_CLUES, Clues, clues_of, vectors_of_tests
from parallel_mining.cutting import Definition, Files, Module, Refused, Site, Syntax, cut
from parallel_mining.licensing import LicencePolicy, unusable
from parallel_mining.pairs import PRINTED, STDIN, WHOLE, Program, whole_program
from parallel_mining.signatures import Parameter, Signature
from parallel_mining.words import features, folded, literals_of, name_parts
from quality.languages import LANGUAGES, language
from quality.mistakes import bad_input
from quality.workers import worker_processes

UNIT_SCHEMA = pa.schema(
    [
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("document", pa.string(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("entry", pa.string(), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Origin:
    """Where a unit came from: the columns of its document that a pair keeps."""

    document: str
    repo_name: str
    path: str
    licenses: tuple[str, ...] = ()
    license_type: str = "permissive"
    split: str = "train"


@dataclass(frozen=True)
class Unit:
    """A function that stands alone, or a whole program (entry `pairs.WHOLE`).

    Args:
        unit_id: 32 hex digits of the SHA-256 of language, repository, path, entry and code.
        program: What is run, and what a pair shows.
        signature: What it takes and gives back.
        origin: Its document.
        words: Its words and how often they stand in it, prefixed by their field: `fold:`, `name:`, `id:`,
            `lit:`, `call:`, `flow:` (how often it loops, decides, and so on) and `flows:` (two such counts together).
        literals: Numbers and strings that stand in it, as Python values, in order.
        trivial: Why running it would prove nothing, or "".
        clues: What else says which function of another language does the same; none of a trivial one.
    """

    unit_id: str
    program: Program
    signature: Signature
    origin: Origin
    words: Mapping[str, int]
    literals: tuple[int | float | str, ...]
    trivial: str = ""
    clues: Clues = NO_CLUES

    @property
    def language(self) -> str:
        """The language id."""
        return self.program.language

    @property
    def entry(self) -> str:
        """How it is called."""
        return self.program.entry


@dataclass(frozen=True)
class Considered:
    """One function that was looked at: a row of `units.parquet`."""

    unit_id: str
    language: str
    document: str
    repo_name: str
    path: str
    entry: str
    accepted: bool
    reason: str


@dataclass(frozen=True)
class Extraction:
    """What came out of a corpus."""

    units: tuple[Unit, ...]
    considered: tuple[Considered, ...]


WHOLE_SIGNATURE = Signature((Parameter("stdin", STDIN),), PRINTED)


@cache
def syntax(language_id: str) -> Syntax:
    """Return a language's `parallel_mining.drivers.<id>.syntax`.

    Raises:
        BadInput: No such language.
    """
    language(language_id)
    return cast(Syntax, importlib.import_module(f"parallel_mining.drivers.{language_id}.syntax"))


def extract(
    documents: Iterable[Mapping[str, Any]],
    licences: LicencePolicy | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Extraction:
    """Cut every function of a corpus that can stand alone.

    Args:
        documents: Rows with the columns of `DOCUMENT_SCHEMA` (`id, text, language, repo_name, path, detected_licenses,
            license_type, split` are used).
        licences: What may stand together in a pair, and so what may be cut; `LicencePolicy()` if None.
        workers: Processes; one a processor by default, 1 for none.
        progress: Called with the number of documents that were finished since the last call.

    Returns:
        Units and every function considered, in an order that depends on the documents only.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in documents:
        if row["language"] in LANGUAGES:
            groups.setdefault((row["language"], row["repo_name"]), []).append(row)
    licences = licences or LicencePolicy()
    # A repository's files may need each other, so it is one task; long ones first, so that no worker ends alone.
    tasks = sorted(groups.items(), key=lambda item: (-sum(len(r["text"]) for r in item[1]), item[0]))
    workers = workers or os.cpu_count() or 1
    found: dict[tuple[str, str], Extraction] = {}
    if workers == 1 or len(tasks) < 2:
        for key, rows in tasks:
            found[key] = _repository(key[0], rows, licences)
            if progress is not None:
                progress(len(rows))
    else:
        with worker_processes(workers, __name__) as pool:
            running = [(key, len(rows), pool.submit(_repository, key[0], rows, licences)) for key, rows in tasks]
            for key, size, future in running:
                found[key] = future.result()
                if progress is not None:
                    progress(size)
    ordered = [found[key] for key in sorted(found)]
    return Extraction(
        tuple(unit for one in ordered for unit in one.units),
        tuple(row for one in ordered for row in one.considered),
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let the collector of cycles rest: all trees of a repository live until it is done, and are scanned in vain.

    Reading Python costs 2.7 times as much with it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_collection()
def _repository(language_id: str, rows: Sequence[Mapping[str, Any]], licences: LicencePolicy) -> Extraction:
    files = Files({row["path"]: row["text"] for row in rows}, syntax(language_id))
    tests = vectors_of_tests(row["text"] for row in rows)
    units: list[Unit] = []
    considered: list[Considered] = []
    seen: set[str] = set()
    for row in sorted(rows, key=lambda r: r["path"]):
        origin = Origin(
            row["id"],
            row["repo_name"],
            row["path"],
            tuple(row.get("detected_licenses") or ()),
            row.get("license_type") or "no_license",
            row.get("split") or "train",
        )
        module = files.module(row["path"])
        own: list[tuple[Unit, str]] = []
        entire = _whole(language_id, row["path"], row["text"], origin, licences)
        if entire is not None:
            unit, reason = entire
            unit_id = unit.unit_id if unit is not None else unit_digest(language_id, origin, WHOLE, row["text"])
            own += [(unit, row["text"])] if unit is not None else []
            considered.append(
                Considered(
                    unit_id, language_id, origin.document, origin.repo_name, origin.path, WHOLE, not reason, reason
                )
            )
        for site in module.sites if module is not None else ():
            unit, reason = _unit(files, cast(Module, module), site, language_id, origin, licences)
            if unit is not None and unit.unit_id in seen:
                unit, reason = None, "duplicate: the same function stands in this file already"
            unit_id = (
                unit.unit_id if unit is not None else unit_digest(language_id, origin, site.entry, site.definition.text)
            )
            if unit is not None:
                seen.add(unit_id)
                own.append((unit, site.body or site.definition.text))
            considered.append(
                Considered(
                    unit_id, language_id, origin.document, origin.repo_name, origin.path, site.entry, not reason, reason
                )
            )
        units += _with_clues(own, row["text"], tests)
    return Extraction(tuple(units), tuple(considered))


def _with_clues(own: Sequence[tuple[Unit, str]], text: str, tests: Mapping[str, Sequence[str]]) -> Iterator[Unit]:
    """Yield the units of one file, each with its clues unless it is trivial."""
    if not own:
        return
    first = own[0][0]
    named = [(_names(unit), written) for unit, written in own]
    found = clues_of(first.language, first.origin.repo_name, first.origin.path, text, named, tests)
    for (unit, _), clues in zip(own, found, strict=True):
        yield unit if unit.trivial else replace(unit, clues=clues)


def _names(unit: Unit) -> tuple[str, ...]:
    """Return what a unit may be called where it stands: a method by its own name too."""
    name = name_of(unit.entry, unit.origin.path)
    method = name.partition("_")[2]
    return (name, method) if method else (name,)


def _whole(
    language_id: str, path: str, text: str, origin: Origin, licences: LicencePolicy
) -> tuple[Unit | None, str] | None:
    """Return a file as a whole program, or why it cannot be one, or None where it is none."""
    form: programs.Form | None = getattr(syntax(language_id), "PROGRAM", None)
    found = programs.whole(language_id, form, path, text) if form is not None else None
    if found is None:
        return None
    forbidden = unusable(origin.licenses, licences) if origin.license_type != "permissive" else ""
    if found.refusal or forbidden:
        return None, found.refusal or forbidden
    program = whole_program(language_id, text)
    words, literals = features(programs.name_of(path), text, text)
    unit_id = unit_digest(language_id, origin, WHOLE, text)
    return Unit(unit_id, program, WHOLE_SIGNATURE, origin, words, literals, found.trivial), ""


def _unit(
    files: Files, module: Module, site: Site, language_id: str, origin: Origin, licences: LicencePolicy
) -> tuple[Unit | None, str]:
    if site.signature is None or site.reason:
        return None, site.reason
    if origin.license_type != "permissive" and (forbidden := unusable(origin.licenses, licences)):
        return None, forbidden
    try:
        code = cut(files, module, site)
    except Refused as refused:
        return None, str(refused)
    except RecursionError:
        return None, "too long: nested too deeply"
    signature, trivial = site.signature, site.trivial
    if syntax(language_id).TYPED:
        # Types that other files define are known only now that all stands in one text.
        again = next((s for s in _read_program(language_id, code).sites if s.entry == site.entry), None)
        if again is None or again.signature is None:
            return None, again.reason if again is not None else "unresolved: the function itself"
        signature, trivial = again.signature, trivial or again.trivial
        if signature.types is None:
            unknown = next(p.name for p in signature.parameters if p.type is None)
            return None, f"signature: the type of {unknown} has no canonical form"
    program = Program(language_id, code, site.entry, signature.types, signature.returns)
    words, literals = features(bare(site.entry), site.body or site.definition.text, code)
    unit_id = unit_digest(language_id, origin, site.entry, code)
    return Unit(unit_id, program, signature, origin, words, literals, trivial), ""


def _read_program(language_id: str, code: str) -> Module:
    return syntax(language_id).read("program" + language(language_id).extensions[0], code)


def unit_digest(language_id: str, origin: Origin, entry: str, code: str) -> str:
    """Return the id of a unit: 32 hex digits of a SHA-256."""
    joined = "\0".join((language_id, origin.repo_name, origin.path, entry, code))
    return hashlib.sha256(joined.encode(errors="replace")).hexdigest()[:32]


def functions_in(language_id: str, code: str) -> list[str]:
    """Return the functions that a program defines, as they are called, in order.

    Raises:
        BadInput: It does not parse.
    """
    try:
        return [site.entry for site in _read_program(language_id, code).sites]
    except (SyntaxError, RecursionError, ValueError) as error:
        bad_input(language_id, f"does not parse: {error}")


def name_of(entry: str, path: str) -> str:
    """Return the name by which a reader knows a unit: a function's bare one, or a whole program's."""
    return programs.name_of(path) if entry == WHOLE else bare(entry)


def bare(entry: str) -> str:
    """Return a function's name without what qualifies it: `gcd` for `MathUtils.gcd` and `math::gcd`."""
    return re.split(r"\.|::", entry)[-1]


def infer(language_id: str, code: str, entry: str) -> tuple[Program, Signature, str]:
    """Read the signature of a function out of a program that stands alone.

    Args:
        language_id: A language id.
        code: The whole program.
        entry: The function, bare or qualified, or `pairs.WHOLE`.

    Returns:
        The program with its qualified entry and types, its signature, and why it is trivial ("" where it is not).

    Raises:
        BadInput: There is no such function in the code, or it cannot be called with plain values.
    """
    if entry == WHOLE:
        return whole_program(language_id, code), WHOLE_SIGNATURE, ""
    try:
        module = _read_program(language_id, code)
    except (SyntaxError, RecursionError, ValueError) as error:
        bad_input(entry, f"does not parse as {language_id}: {error}")
    for site in reversed(module.sites):
        if site.entry == entry or bare(site.entry) == entry:
            if site.signature is None:
                bad_input(entry, site.reason)
            program = Program(language_id, code, site.entry, site.signature.types, site.signature.returns)
            return program, site.signature, site.trivial
    known = ", ".join(sorted({site.entry for site in module.sites})[:8])
    return bad_input(entry, f"no such function in the {language_id} code" + (f"; it has: {known}" if known else ""))


__all__ = [
    "UNIT_SCHEMA",
    "Considered",
    "Definition",
    "Extraction",
    "Origin",
    "Unit",
    "bare",
    "extract",
    "folded",
    "functions_in",
    "infer",
    "literals_of",
    "name_of",
    "name_parts",
    "syntax",
    "unit_digest",
]
