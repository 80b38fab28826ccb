"""Which licence holds for a file, as SPDX expressions, and whether it lets the file be used.

Start at `license_type`. Licences come from three places: texts (`from_text`, for LICENSE and COPYING files), headers of
files (`from_header`) and package metadata (`from_metadata`, `from_package_file`). Each returns a tuple of SPDX
expressions that *all* apply; a choice stays inside one expression (`MIT OR GPL-2.0-only`). A name that is recognised as
a licence without being one of SPDX's is a `LicenseRef-`. What a header says beats what holds for the folder
(`effective`). No licence is never permissive, and a part that is not recognised is never counted as one.

Source: SPDX License List 3.x (identifiers); SPDX specification, annex "SPDX license expressions" (grammar).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from email import message_from_bytes
from typing import Any, Literal, cast

LicenseType = Literal["permissive", "non_permissive", "no_license"]

# What is used of a file named like a licence, and what of a source file is searched for a header.
MAX_LICENSE_FILE_BYTES = 1 << 20
HEADER_LINES = 150
HEADER_CHARACTERS = 16_000

# Identifiers of licences that ask no more than attribution and notice (and dedications to the public domain).
# Source: the "permissive" and "public domain" categories of the Blue Oak Council and ScanCode licence lists.
TABLE_PERMISSIVE = "LicenseRef-permissive"
"""What a table of code has that states the type of a licence and not its name."""

PERMISSIVE = frozenset(
    [
        TABLE_PERMISSIVE,
        "0BSD",
        "AFL-2.1",
        "AFL-3.0",
        "Apache-1.1",
        "Apache-2.0",
        "BlueOak-1.0.0",
        "BSD-1-Clause",
        "BSD-2-Clause",
        "BSD-2-Clause-Patent",
        "BSD-3-Clause",
        "BSD-3-Clause-Clear",
        "BSD-4-Clause",
        "BSL-1.0",
        "bzip2-1.0.6",
        "CC0-1.0",
        "CNRI-Python",
        "curl",
        "HPND",
        "ICU",
        "ISC",
        "LicenseRef-BSD",
        "LicenseRef-public-domain",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MS-PL",
        "NCSA",
        "OpenSSL",
        "PostgreSQL",
        "PSF-2.0",
        "Python-2.0",
        "TCL",
        "Unicode-3.0",
        "Unicode-DFS-2015",
        "Unicode-DFS-2016",
        "Unlicense",
        "UPL-1.0",
        "W3C",
        "WTFPL",
        "X11",
        "Zlib",
        "ZPL-2.1",
    ]
)

# Identifiers that are known and are not permissive (copyleft, non-commercial, ethical, proprietary).
RESTRICTED = frozenset(
    [
        "AGPL-1.0-only",
        "AGPL-3.0-only",
        "AGPL-3.0-or-later",
        "Artistic-1.0",
        "Artistic-2.0",
        "BUSL-1.1",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0",
        "CC-BY-SA-3.0",
        "CC-BY-SA-4.0",
        "CC-BY-NC-ND-4.0",
        "CC-BY-ND-4.0",
        "CDDL-1.0",
        "CDDL-1.1",
        "CPL-1.0",
        "ECL-2.0",
        "Elastic-2.0",
        "EPL-1.0",
        "EPL-2.0",
        "EUPL-1.2",
        "GFDL-1.3-or-later",
        "GPL-1.0-only",
        "GPL-1.0-or-later",
        "GPL-2.0-only",
        "GPL-2.0-or-later",
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "IPL-1.0",
        "JSON",
        "LGPL-2.0-only",
        "LGPL-2.0-or-later",
        "LGPL-2.1-only",
        "LGPL-2.1-or-later",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
        "CPAL-1.0",
        "Hippocratic-2.1",
        "LicenseRef-CC-BY-NC",
        "LicenseRef-CDDL",
        "LicenseRef-Commons-Clause",
        "LicenseRef-EPL",
        "LicenseRef-FSL",
        "LicenseRef-GPL",
        "LicenseRef-LGPL",
        "LicenseRef-PolyForm",
        "LicenseRef-RAIL",
        "LicenseRef-no-ai",
        "LicenseRef-non-commercial",
        "LicenseRef-proprietary",
        "MPL-1.0",
        "MPL-1.1",
        "MPL-2.0",
        "MS-RL",
        "MS-LPL",
        "OFL-1.1",
        "OSL-3.0",
        "QPL-1.0",
        "Ruby",
        "Sleepycat",
        "SSPL-1.0",
    ]
)

CLAUSES = frozenset(
    ["LicenseRef-Commons-Clause", "LicenseRef-no-ai", "LicenseRef-non-commercial", "LicenseRef-proprietary"]
)
"""What takes a permission back, whatever licence stands beside it."""

_BY_LOWER = {name.lower(): name for name in PERMISSIVE | RESTRICTED}

# Names that people and registries write, lower case, without punctuation, to SPDX.
_ALIASES = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license mit": "MIT",
    "mit license mit": "MIT",
    "mit licence": "MIT",
    "mit style": "MIT",
    "mit x11": "MIT",
    "x11 mit": "MIT",
    "expat": "MIT",
    "expat license": "MIT",
    "mit no attribution license mit 0": "MIT-0",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2 0": "Apache-2.0",
    "apache v2": "Apache-2.0",
    "apache 2 0 license": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2 0": "Apache-2.0",
    "apache license v2 0": "Apache-2.0",
    "apache license version 2 0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2 0": "Apache-2.0",
    "apache software license version 2 0": "Apache-2.0",
    "the apache license version 2 0": "Apache-2.0",
    "the apache software license version 2 0": "Apache-2.0",
    "asl 2 0": "Apache-2.0",
    "bsd": "LicenseRef-BSD",
    "bsd license": "LicenseRef-BSD",
    "bsd style": "LicenseRef-BSD",
    "bsd 2": "BSD-2-Clause",
    "bsd 2 clause license": "BSD-2-Clause",
    "bsd 2 clause simplified license": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "simplified bsd license": "BSD-2-Clause",
    "freebsd": "BSD-2-Clause",
    "bsd 3": "BSD-3-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "3 clause bsd license": "BSD-3-Clause",
    "bsd 3 clause license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "modified bsd license": "BSD-3-Clause",
    "revised bsd license": "BSD-3-Clause",
    "bsd 3 clause new or revised license": "BSD-3-Clause",
    "bsd 3 clause new or revised": "BSD-3-Clause",
    "bsd 4 clause uc": "BSD-4-Clause",
    "isc license": "ISC",
    "isc license iscl": "ISC",
    "zlib license": "Zlib",
    "zlib libpng license": "Zlib",
    "the unlicense": "Unlicense",
    "the unlicense unlicense": "Unlicense",
    "cc0": "CC0-1.0",
    "cc0 1 0 universal": "CC0-1.0",
    "cc0 1 0 universal cc0 1 0 public domain dedication": "CC0-1.0",
    "public domain": "LicenseRef-public-domain",
    "psf": "PSF-2.0",
    "psf 2": "PSF-2.0",
    "psfl": "PSF-2.0",
    "psf license": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "python 2": "PSF-2.0",
    "boost": "BSL-1.0",
    "boost 1 0": "BSL-1.0",
    "boost software license 1 0": "BSL-1.0",
    "boost software license 1 0 bsl 1 0": "BSL-1.0",
    "mpl": "MPL-2.0",
    "mozilla public license 1 1 mpl 1 1": "MPL-1.1",
    "mozilla public license 2 0": "MPL-2.0",
    "mozilla public license 2 0 mpl 2 0": "MPL-2.0",
    "eclipse public license 1 0 epl 1 0": "EPL-1.0",
    "eclipse public license 2 0 epl 2 0": "EPL-2.0",
    "artistic": "Artistic-1.0",
    "gpl": "LicenseRef-GPL",
    "gnu gpl": "LicenseRef-GPL",
    "gnu general public license": "LicenseRef-GPL",
    "gnu general public license gpl": "LicenseRef-GPL",
    "gnu gplv2": "GPL-2.0-only",
    "gnu gplv3": "GPL-3.0-only",
    "gnu agplv3": "AGPL-3.0-only",
    "gnu lgplv3": "LGPL-3.0-only",
    "gnu general public license v2 0": "GPL-2.0-only",
    "gnu general public license v3 0": "GPL-3.0-only",
    "gnu lesser general public license v2 1": "LGPL-2.1-only",
    "gnu lesser general public license v3 0": "LGPL-3.0-only",
    "gnu affero general public license v3 0": "AGPL-3.0-only",
    "agpl": "AGPL-3.0-only",
    "gnu general public license v2 gplv2": "GPL-2.0-only",
    "gnu general public license v2 or later gplv2": "GPL-2.0-or-later",
    "gnu general public license v3 gplv3": "GPL-3.0-only",
    "gnu general public license v3 or later gplv3": "GPL-3.0-or-later",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "lgpl": "LicenseRef-LGPL",
    "lgplv2": "LGPL-2.0-only",
    "lgplv3": "LGPL-3.0-only",
    "gnu lesser general public license v2 or later lgplv2": "LGPL-2.0-or-later",
    "gnu lesser general public license v3 lgplv3": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later lgplv3": "LGPL-3.0-or-later",
    "gnu library or lesser general public license lgpl": "LicenseRef-LGPL",
    "gnu affero general public license v3": "AGPL-3.0-only",
    "gnu affero general public license v3 or later agplv3": "AGPL-3.0-or-later",
    "unlicensed": "LicenseRef-proprietary",
    "proprietary": "LicenseRef-proprietary",
    "other proprietary license": "LicenseRef-proprietary",
    "commercial": "LicenseRef-proprietary",
    "commons clause": "LicenseRef-Commons-Clause",
    "free for educational use": "LicenseRef-non-commercial",
    "free for home use": "LicenseRef-non-commercial",
    "free for non commercial use": "LicenseRef-non-commercial",
    "free to use but restricted": "LicenseRef-proprietary",
    "all rights reserved": "LicenseRef-proprietary",
}

_GNU = re.compile(r"^(a|l)?gpl[- ]?v?(\d)(?:\.(\d))?(?:\.0)?(\+|-only|-or-later| or later)?$")


def license_type(licenses: Iterable[str]) -> LicenseType:
    """Return whether SPDX expressions that all apply are permissive together.

    Args:
        licenses: Expressions; within one, `A OR B` is permissive if either is, `A AND B` if both are.

    Returns:
        `no_license` where there is none, `permissive` where every expression is, else `non_permissive`.
    """
    every = list(licenses)
    if not every:
        return "no_license"
    return "permissive" if all(_permissive(expression) for expression in every) else "non_permissive"


def effective(text: str, of_folder: Iterable[str]) -> tuple[str, ...]:
    """Return the licences of a file: those that its header names, else those that hold for its folder.

    What takes a permission back (`CLAUSES`) holds for the whole folder, whatever a header says.
    """
    own, folder = from_header(text), tuple(of_folder)
    return combined(own, [name for name in folder if name in CLAUSES]) if own else folder


def agreed(stated: Iterable[str], text: Iterable[str]) -> tuple[str, ...]:
    """Return what holds where metadata states one thing and the licence text beside it is another.

    The metadata, which alone can offer a choice; the text, where it says more (`BSD` says less than its text); and
    both, where the text restricts by what the metadata does not name.

    Args:
        stated: What metadata states.
        text: What the text is.
    """
    metadata, texts = tuple(stated), tuple(text)
    if not metadata or (texts and all(name.startswith("LicenseRef-") for name in metadata)):
        return texts or metadata
    named = {_family(name) for expression in metadata for name in re.findall(r"[^\s()]+", expression)}
    unnamed = [one for one in texts if not _permissive(one) and _family(one.partition(" ")[0]) not in named]
    return combined(metadata, unnamed)


def _family(name: str) -> str:
    """Return an identifier without its version: a `GPL-2.0-or-later` comes with the text of version 2 or of 3."""
    return re.sub(r"-\d.*", "", name.removeprefix("LicenseRef-")).upper()


def combined(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return expressions that all apply, each once, sorted."""
    return tuple(sorted({expression for group in groups for expression in group}))


# --- Expressions ------------------------------------------------------------------------------------------------------


def _permissive(expression: str) -> bool:
    tree = _parse(expression)
    return tree is not None and _all_permissive(tree)


def _all_permissive(tree: Any) -> bool:
    if isinstance(tree, str):
        return tree.partition(" WITH ")[0] in PERMISSIVE
    operator, parts = tree
    return (any if operator == "OR" else all)(_all_permissive(part) for part in parts)


def _parse(expression: str) -> Any:
    """Return an expression as nested `(operator, parts)` with canonical identifiers, or None where it is none."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    if not tokens or len(tokens) > 200:
        return None
    try:
        tree, rest = _parse_or(tokens)
    except (IndexError, ValueError):
        return None
    return None if rest else tree


def _parse_or(tokens: list[str]) -> tuple[Any, list[str]]:
    return _parse_joined(tokens, "OR", lambda rest: _parse_joined(rest, "AND", _parse_one))


def _parse_joined(tokens: list[str], operator: str, inner: Any) -> tuple[Any, list[str]]:
    part, rest = inner(tokens)
    parts = [part]
    while rest and rest[0].upper() == operator:
        part, rest = inner(rest[1:])
        parts.append(part)
    return (parts[0] if len(parts) == 1 else (operator, parts)), rest


def _parse_one(tokens: list[str]) -> tuple[Any, list[str]]:
    if tokens[0] == "(":
        tree, rest = _parse_or(tokens[1:])
        if rest[0] != ")":
            raise ValueError
        return tree, rest[1:]
    name = _identifier(tokens[0])
    if name is None:
        raise ValueError
    if len(tokens) > 2 and tokens[1].upper() == "WITH":
        return f"{name} WITH {tokens[2]}", tokens[3:]
    return name, tokens[1:]


def _identifier(name: str) -> str | None:
    """Return the canonical identifier of a name without spaces, or None where it is not known."""
    lower = name.lower()
    if lower in _BY_LOWER:
        return _BY_LOWER[lower]
    if found := _GNU.match(lower):
        family, major, minor, later = found.groups()
        canonical = f"{(family or '').upper()}GPL-{major}.{minor or '0'}"
        known = _BY_LOWER.get(
            f"{canonical}-{'or-later' if later in ('+', '-or-later', ' or later') else 'only'}".lower()
        )
        return known or ("LicenseRef-LGPL" if family == "l" else "LicenseRef-GPL")
    for stripped in (lower.removesuffix("+"), lower.removesuffix("-or-later"), lower.removesuffix("-only")):
        if stripped in _BY_LOWER:
            return _BY_LOWER[stripped]
    if re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", name):
        return name
    return _ALIASES.get(_words(name))


def _simple(tree: Any) -> Any:
    """Return a tree with joined parts flattened, each once and sorted, so that equal choices read alike."""
    if isinstance(tree, str):
        return tree
    operator, parts = tree
    flat: dict[str, Any] = {}
    for part in map(_simple, parts):
        inner = part[1] if not isinstance(part, str) and part[0] == operator else [part]
        flat |= {_show(one): one for one in inner}
    return next(iter(flat.values())) if len(flat) == 1 else (operator, [flat[key] for key in sorted(flat)])


def _show(tree: Any) -> str:
    if isinstance(tree, str):
        return tree
    operator, parts = tree
    return f" {operator} ".join(part if isinstance(part, str) else f"({_show(part)})" for part in parts)


def _split(tree: Any) -> tuple[str, ...]:
    """Return the expressions that all apply."""
    tree = _simple(tree)
    if not isinstance(tree, str) and tree[0] == "AND":
        return combined(map(_show, tree[1]))
    return (_show(tree),)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


# --- Metadata ---------------------------------------------------------------------------------------------------------


def from_metadata(stated: Iterable[str]) -> tuple[str, ...]:
    """Return the licences that metadata strings state; one that is not recognised gives none.

    Args:
        stated: SPDX expressions, classifiers, npm's and Debian's short forms, or names as people write them. All apply.
    """
    return combined(*(_of_metadata(text) for text in stated))


def _of_metadata(text: str) -> tuple[str, ...]:
    text = text.strip().removeprefix("License :: ").removeprefix("OSI Approved :: ")
    if not text or len(text) > 2000:
        return from_text(text) if text else ()
    alias = _ALIASES.get(_words(text))
    if alias:
        return (alias,)
    # An expression says itself where a clause holds; only of what people write is it looked for in the words.
    formal = _parse(text)
    clauses = () if formal is not None and "LicenseRef-" in text else _clauses(_words(text))
    tree = formal or _parse_choice(text)
    if tree is None and "/" in text and " " not in text.strip("/"):
        tree = _parse(" OR ".join(text.split("/")))  # Cargo before 2018, Ruby
    if tree is None:
        plain = re.sub(r"\W*\b(?:with|and|plus)?\W*(?:the )?commons[ -]clause\W*", "", text, flags=re.IGNORECASE)
        tree = _of_words(plain)
    return combined(_split(tree) if tree is not None else from_text(text), clauses)


def _parse_choice(expression: str) -> Any:
    """Read an expression with names that are not known, as long as one is: they are licences all the same."""
    names = [name for name in re.findall(r"[^\s()]+", expression) if name.upper() not in ("AND", "OR", "WITH")]
    unknown = {name for name in names if _identifier(name) is None and re.fullmatch(r"[A-Za-z0-9.+-]+", name)}
    if len(unknown) == len({*names}) or not re.search(r"\b(?:AND|OR)\b", expression):
        return None
    return _parse(re.sub(r"[^\s()]+", lambda one: f"LicenseRef-{one[0]}" if one[0] in unknown else one[0], expression))


def _of_words(text: str) -> Any:
    """Read a choice or a list written in words: `MIT license or Apache License 2.0`, Debian's `Expat, and GPL-2+`."""
    text, dual = re.subn(r"^\W*(?:dual|double)[ -](?:licen[cs]ed\W*)?(?:under\W+)?", "", text, flags=re.IGNORECASE)
    if dual:
        text = re.sub(r"\s*(?:/|&|\+|,|\band\b)\s*", " or ", text, flags=re.IGNORECASE)
    clean = re.sub(r",?\s+and\s+|\s*[&;]\s*", " AND ", text, flags=re.IGNORECASE)
    clean = re.sub(r",?\s+or\s+(?!later)|\s*\|\|?\s*", " OR ", clean, flags=re.IGNORECASE)
    if " OR " not in clean:
        clean = re.sub(r"\s*,\s*", " AND ", clean)
    if " AND " in clean and " OR " in clean and "(" in clean:
        return None
    alternatives: list[Any] = []
    for choice in clean.split(" OR "):
        parts = [_identifier(p.strip(" ()")) or _ALIASES.get(_words(p)) for p in choice.split(" AND ")]
        if not all(parts):
            return None
        alternatives.append(parts[0] if len(parts) == 1 else ("AND", parts))
    return alternatives[0] if len(alternatives) == 1 else ("OR", alternatives)


def from_package_file(path: str, data: bytes) -> tuple[str, ...]:
    """Return the licences that a package's own metadata file states.

    Args:
        path: Ends in package.json, PKG-INFO, METADATA, Cargo.toml, pyproject.toml or copyright.
        data: Its bytes.
    """
    name = path.rpartition("/")[2]
    text = data.decode("utf-8-sig", "replace")
    try:
        if name == "package.json":
            return _of_package_json(json.loads(text))
        if name in ("PKG-INFO", "METADATA"):
            return _of_core_metadata(data)
        if name == "Cargo.toml":
            return _of_cargo(tomllib.loads(text))
        if name == "pyproject.toml":
            return _of_pyproject(tomllib.loads(text))
        if name == "copyright":
            return from_debian_copyright(text)
    except (ValueError, AttributeError, TypeError):
        return ()
    return ()


def _of_cargo(value: Mapping[str, Any]) -> tuple[str, ...]:
    stated = value.get("package", {}).get("license") or value.get("workspace", {}).get("package", {}).get("license")
    return from_metadata([stated]) if isinstance(stated, str) else ()


def _of_pyproject(value: Mapping[str, Any]) -> tuple[str, ...]:
    project, poetry = value.get("project", {}), value.get("tool", {}).get("poetry", {})
    stated = project.get("license") or poetry.get("license") or ""
    stated = stated.get("text", "") if isinstance(stated, dict) else stated
    field = from_metadata([stated]) if isinstance(stated, str) else ()
    classifiers = [str(one) for one in project.get("classifiers", []) if str(one).startswith("License ::")]
    return field or from_metadata(classifiers)


def _of_package_json(value: Any) -> tuple[str, ...]:
    stated: Any = cast(Mapping[str, Any], value).get("license")
    if stated is None or isinstance(stated, list):
        # The old form: a list to choose from.
        choices = [_name_of(one) for one in stated or value.get("licenses", [])]
        known = [from_metadata([choice]) for choice in choices]
        simple = [found[0] for found in known if len(found) == 1]
        return (" OR ".join(simple),) if simple and len(simple) == len(known) else combined(*known)
    return from_metadata([_name_of(stated)])


def _name_of(stated: Any) -> str:
    return str(stated.get("type", "")) if isinstance(stated, dict) else str(stated)


def _of_core_metadata(data: bytes) -> tuple[str, ...]:
    """Read Core Metadata: the expression, else the licence field, else the classifiers.

    Source: PyPA, "Core metadata specifications", fields License-Expression, License, Classifier.
    """
    head = message_from_bytes(data.partition(b"\n\n")[0] + b"\n\n")
    expression = head.get("License-Expression")
    if expression:
        return from_metadata([str(expression)])
    field = from_metadata([str(head.get("License", ""))])
    classifiers = [str(c) for c in head.get_all("Classifier", []) if str(c).startswith("License ::")]
    found = from_metadata(classifiers)
    # `BSD` in one and `BSD-3-Clause` in the other are one statement, not two.
    exact = tuple(one for one in (*field, *found) if not one.startswith("LicenseRef-"))
    return combined(exact) or field or found


def from_debian_copyright(text: str) -> tuple[str, ...]:
    """Return the licences of a machine-readable Debian copyright file's `Files: *` stanza.

    Where no stanza covers everything, all stanzas but the packaging's own apply. A free-form file gives none.

    Source: Debian, "Machine-readable debian/copyright file", version 1.0.
    """
    if "copyright-format" not in text[:2000] and not re.search(r"^Files:", text, re.MULTILINE):
        return ()
    general: list[str] = []
    others: list[str] = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        files = re.search(r"^Files:[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        stated = re.search(r"^License:[ \t]*(\S.*)?$", stanza, re.MULTILINE)
        if not files or not stated or not stated.group(1):
            continue
        patterns = files.group(1).split()
        if "*" in patterns:
            general.append(stated.group(1))
        elif not all(pattern.startswith("debian/") for pattern in patterns):
            others.append(stated.group(1))
    found = [from_metadata([_debian_name(name)]) for name in general or others]
    return combined(*found) if all(found) else ()


def _debian_name(name: str) -> str:
    """Return a Debian short name in the words of SPDX (`Expat` is MIT; the others are read as they are)."""
    return re.sub(r"\b(?:Expat|MIT/X11)\b", "MIT", re.sub(r"\s+with\s+.*?exception", "", name, flags=re.IGNORECASE))


# --- Texts ------------------------------------------------------------------------------------------------------------

_LICENSE_FILE = re.compile(
    r"(?:^|/)(?:(?:un)?licen[cs]es?|copying|eula|notice\.licen[cs]e|(?:mit|apache|bsd|a?gpl|lgpl|mpl)[-_.]licen[cs]e)"
    r"(?:[-_.]?\d[\d.]*)?"
    r"(?:[-_.](?:mit|apache|bsd|a?gpl|lgpl|mpl|isc|zlib|unlicense|boost|cc0|epl|eupl|elastic|sspl|busl|bsl|polyform|fsl"
    r"|proprietary|clause|only|or|later|[a-z]*\d[\d.]*|txt|md|markdown|rst|adoc|html|asl|lesser|lib|code|the))*$",
    re.IGNORECASE,
)


def is_license_file(path: str) -> bool:
    """Return whether a file is named like the text of a licence (LICENSE, COPYING, LICENSE-MIT, licence.txt, ...)."""
    return _LICENSE_FILE.search(path) is not None


_GNU_GRANT = re.compile(
    r"(?<!previously distributed )(?:under the terms of|under|covered by|subject to) (?:the )?(?:terms of )?"
    r"(?:either )?(?:the )?(?:version \d(?: \d)? of )?(?:the )?gnu "
    r"(?P<family>lesser |library |library or lesser |affero )?(?:general )?public licen[cs]e"
)
_GNU_TITLE = re.compile(
    r"^\W*(?:the )?gnu (?P<family>lesser |library |affero )?general public license version (?P<version>\d)"
    r"(?: (?P<minor>1))?\b"
)


# The title of a text that does not stand at its beginning: with its date, which no mention has.
_GNU_DATED = re.compile(
    r"gnu (?P<family>lesser |library |affero )?general public license version (?P<version>\d)(?: (?P<minor>1))?"
    r" \d{0,2} ?(?:june|november|february) (?:19|20)\d\d"
)
_GNU_SHORT = re.compile(
    r"\b(?:under|licen[cs]ed?|released)(?: (?:the|under|terms|of|a|as|is|gnu))* (?P<family>[al])?gpl(?: licen[cs]e)?"
    r"(?: version)? ?v? ?(?P<version>\d)?(?: (?P<minor>\d)\b)?(?! ?compatible)"
)
"""Grants by the short name, as headers have them: `released under the GPL v3`, `License: LGPL 2.1 or later`."""


_APACHE = re.compile(
    r"apache license version 2 0 january 2004"
    r"|under (?:the )?(?:terms of )?(?:the )?apache (?:software )?license (?:version )?v?2"
    r"|either (?:of )?(?:the )?apache license (?:version )?v?2|apache org licenses license 2 0"
)
_MIT_OR_GPL = re.compile(r"\blicen[cs]ed under (?:the )?mit (?:licen[cs]e )?(?:or|and) (?:the )?gpl")
_MIT = re.compile(
    r"\b(?:released|licensed|available|distributed|is) under (?:the )?(?:terms of (?:either )?(?:the )?)?"
    r"mit licen[cs]e\b"
    r"|or (?:the )?mit licen[cs]e(?: http| at your option| \S+ mit)|opensource org licenses mit\b"
)


def from_text(text: str) -> tuple[str, ...]:
    """Return the licences whose text, or whose usual notice, stands in a text; several where it holds several.

    Args:
        text: A licence file, or any text that may quote a licence.
    """
    words = _words(text[:MAX_LICENSE_FILE_BYTES])
    found: set[str] = set()
    if (
        "permission is hereby granted free of charge to any person obtaining a copy" in words
        and "to use copy modify merge publish distribute" in words
    ):
        notice = "permission notice shall be included" in words or "shall be included in all copies" in words
        if "shall be used for good not evil" in words:
            found.add("JSON")
        elif "used in advertising or otherwise to promote the sale" in words:
            found.add("X11")
        else:
            found.add("MIT" if notice else "MIT-0")
    if _MIT.search(words):
        found.add("MIT")
    if "redistribution and use in source and binary forms with or without modification are permitted" in words:
        if "how to obtain complete source code for the" in words:
            found.add("Sleepycat")
        elif "advertising materials mentioning features" in words:
            found.add("BSD-4-Clause")
        elif "endorse or promote products" in words or "neither the name" in words:
            found.add("BSD-3-Clause")
        else:
            found.add("BSD-2-Clause")
    if "permission to use copy modify and or distribute this software for any purpose with or without fee" in words:
        found.add("ISC" if "permission notice appear in all copies" in words else "0BSD")
    if _APACHE.search(words):
        found.add("Apache-2.0")
    for phrase, name in _PHRASES.items():
        if phrase in words:
            found.add(name)
    if _MIT_OR_GPL.search(words):
        found = (found - {"MIT"}) | {"LicenseRef-GPL OR MIT"}
    found |= _gnu(words)
    for line in _SPDX_STATED.findall(text[:HEADER_CHARACTERS]):
        found.update(_of_spdx(line))
    if len(found) > 1 and _either(words[:1500]):
        found = {" OR ".join(sorted(found))}
    return combined(found, _clauses(words))


def _clauses(words: str) -> tuple[str, ...]:
    """Return the `CLAUSES` that stand in a text."""
    return tuple(name for name, pattern in _CLAUSE_PATTERNS.items() if pattern.search(words))


_FORBIDDEN = r"(?:may not|must not|shall not|can ?not|not be|not permitted|not allowed|prohibited|forbidden)"
_AI = r"(?:ai|artificial intelligence|machine learning|(?:large )?language models?|llms?|neural networks?)"
_CLAUSE_PATTERNS = {
    "LicenseRef-Commons-Clause": re.compile(r"\bcommons clause\b"),
    "LicenseRef-no-ai": re.compile(
        r"\b(?:software|code|files?|works?|program|project|repository|materials?|contents?|you|licensee)\b"
        rf"(?: \w+){{0,8}} {_FORBIDDEN}(?: \w+){{0,10}} (?:train\w*|datasets?|fine tun\w+|mining)"
        rf"(?: \w+){{0,10}} {_AI}\b"
        rf"|\b(?:use|train|training)\b(?: \w+){{0,12}} {_AI}(?: \w+){{0,10}} (?:is|are) (?:\w+ ){{0,2}}{_FORBIDDEN}\b"
        r"|\bno ai (?:clause|training|licen[cs]e)\b"
    ),
    "LicenseRef-non-commercial": re.compile(
        r"\b(?:only|solely|exclusively|limited to|restricted to|free)(?: \w+){0,6} "
        r"(?<!commercial and )(?<!commercial or )non ?commercial (?:\w+ ){0,3}(?:use|purpose)"
        r"|\bcommercial use (?:\w+ ){0,3}(?:prohibited|forbidden|not permitted|not allowed)|\bno commercial use\b"
        r"|\b(?:may|must|shall) not be used (?:\w+ ){0,4}commercial"
    ),
    "LicenseRef-proprietary": re.compile(
        r"\bunauthori[sz]ed (?:copying|use|reproduction|distribution)(?: \w+){0,12} (?:prohibited|forbidden)\b"
        r"|\bproprietary and confidential\b|\bconfidential and proprietary\b"
    ),
}


def _either(words: str) -> bool:
    """Return whether a text offers a choice of the licences that it names."""
    return bool(
        re.search(r"(?:dual|double) licen[cs]ed|at your option this|under either of|either of these licen[cs]es", words)
    )


_PHRASES = {
    "this is free and unencumbered software released into the public domain": "Unlicense",
    "creative commons legal code cc0 1 0 universal": "CC0-1.0",
    "creativecommons org publicdomain zero 1 0": "CC0-1.0",
    "altered source versions must be plainly marked as such": "Zlib",
    "boost software license version 1 0": "BSL-1.0",
    "psf license agreement for python": "PSF-2.0",
    "python software foundation license version 2": "PSF-2.0",
    "unicode license v3": "Unicode-3.0",
    "unicode inc license agreement data files and software": "Unicode-DFS-2016",
    "do what the fuck you want to public license": "WTFPL",
    "microsoft public license ms pl": "MS-PL",
    "blue oak model license": "BlueOak-1.0.0",
    "university of illinois ncsa open source license": "NCSA",
    "universal permissive license upl version 1 0": "UPL-1.0",
    "this source code form is subject to the terms of the mozilla public license v 2 0": "MPL-2.0",
    "mozilla public license version 2 0 1 definitions": "MPL-2.0",
    "mozilla public license version 1 1": "MPL-1.1",
    "eclipse public license v 1 0": "EPL-1.0",
    "eclipse public license v 2 0": "EPL-2.0",
    "eclipse public license 2 0": "EPL-2.0",
    "eclipse public license v1 0": "EPL-1.0",
    "eclipse public license v2 0": "EPL-2.0",
    "eclipse public license version 2 0": "EPL-2.0",
    "common development and distribution license": "LicenseRef-CDDL",
    "common public attribution license version 1 0": "CPAL-1.0",
    "elastic license 2 0": "Elastic-2.0",
    "european union public licence v 1 2": "EUPL-1.2",
    "functional source license version": "LicenseRef-FSL",
    "hippocratic license": "Hippocratic-2.1",
    "microsoft limited public license": "MS-LPL",
    "microsoft reciprocal license": "MS-RL",
    "open software license osl v 3 0": "OSL-3.0",
    "polyform ": "LicenseRef-PolyForm",
    "open rail m": "LicenseRef-RAIL",
    "openrail m": "LicenseRef-RAIL",
    "responsible ai licen": "LicenseRef-RAIL",
    "under cc by nc": "LicenseRef-CC-BY-NC",
    "creative commons attribution noderivatives": "CC-BY-ND-4.0",
    "common development and distribution license cddl version 1 0": "CDDL-1.0",
    "common development and distribution license cddl version 1 1": "CDDL-1.1",
    "the artistic license 2 0": "Artistic-2.0",
    "server side public license": "SSPL-1.0",
    "business source license 1 1": "BUSL-1.1",
    "creative commons attribution sharealike 4 0": "CC-BY-SA-4.0",
    "creative commons attribution noncommercial": "CC-BY-NC-4.0",
    "creative commons attribution 4 0": "CC-BY-4.0",
    "sil open font license version 1 1": "OFL-1.1",
}


def _gnu(words: str) -> set[str]:
    """Find grants under a GNU licence, and the titles of their texts; a mere mention is neither."""
    found: set[str] = set()
    title = _GNU_TITLE.match(words)
    if title:
        found.add(_gnu_name(title["family"], f"{title['version']}.{title['minor'] or '0'}", later=False))
        return found
    for dated in _GNU_DATED.finditer(words):
        found.add(_gnu_name(dated["family"], f"{dated['version']}.{dated['minor'] or '0'}", later=False))
    if found:
        return found
    for grant in _GNU_GRANT.finditer(words):
        after = words[grant.start() : grant.end() + 300]
        version = re.search(r"(?:version|v) ?(\d)(?: (\d))?\b", after)
        later = re.search(r"or (?:at your option )?any later version|or later|or newer", after)
        number = f"{version[1]}.{version[2] or '0'}" if version else ""
        found.add(_gnu_name(grant["family"], number, later=later is not None))
    return found


def _gnu_name(family: str | None, number: str, *, later: bool) -> str:
    letter = {"lesser": "L", "library": "L", "library or lesser": "L", "affero": "A"}.get((family or "").strip(), "")
    name = f"{letter}GPL-{number}-{'or-later' if later else 'only'}"
    if name in RESTRICTED:
        return name
    return "LicenseRef-LGPL" if letter == "L" else "LicenseRef-GPL"


# --- Headers ----------------------------------------------------------------------------------------------------------

_SPDX_LINE = re.compile(r"^\W*SPDX-License-Identifier:\s*([^\n*]+?)\s*(?:\*/|-->|#\}|$)", re.IGNORECASE)
_SPDX_STATED = re.compile(r"^\W*SPDX-License-Identifier:\s*([^\n]+?)\s*$", re.IGNORECASE | re.MULTILINE)
_LICENSE_LINE = re.compile(r"^\W*(?:@licen[cs]e\b:?|licen[cs]e:)[ \t]+([^\n*]{2,80}?)\W*$", re.IGNORECASE)
_LICENSE_VARIABLE = re.compile(r"^__licen[cs]e__\s*=\s*['\"]([^'\"\n]{2,80})['\"]", re.MULTILINE)
_BEFORE_HEADER = re.compile(
    r"^\s*(?:package\s+[\w.]+;?|['\"]use strict['\"];?|<\?xml.*\?>|<\?php|#region.*|#endregion.*|#pragma.*|#nullable.*"
    r"|@charset.*|extern alias.*)\s*$"
)
_BLOCKS = (("/*", "*/"), ('"""', '"""'), ("'''", "'''"), ("<!--", "-->"), ("(*", "*)"), ("{-", "-}"))


def header(text: str) -> str:
    """Return the comments that a file starts with (in any common comment style), up to its first line of code."""
    kept: list[str] = []
    closing = ""
    for number, line in enumerate(text[:HEADER_CHARACTERS].splitlines()):
        if number >= HEADER_LINES:
            break
        stripped = line.strip().lstrip("\ufeff")
        if closing:
            kept.append(stripped)
            if closing in stripped:
                closing = ""
            continue
        if not stripped or _BEFORE_HEADER.match(stripped):
            continue
        block = next((b for b in _BLOCKS if stripped.lower().lstrip("rub").startswith(b[0])), None)
        if block:
            kept.append(stripped)
            inside = stripped[stripped.index(block[0]) + len(block[0]) :]
            closing = "" if block[1] in inside else block[1]
        elif stripped.startswith(("#", "//", "--", ";", "%", "*")):
            kept.append(stripped)
        else:
            break
    return "\n".join(kept)


def from_header(text: str) -> tuple[str, ...]:
    """Return the licences that a source file's opening comments name; none where they only point elsewhere.

    Args:
        text: The whole file, or its beginning.
    """
    head = header(text)
    stated: list[str] = []
    named: list[str] = _LICENSE_VARIABLE.findall(text[:HEADER_CHARACTERS])
    for line in head.splitlines():
        if found := _SPDX_LINE.match(line):
            stated += _of_spdx(found[1])
        elif found := _LICENSE_LINE.match(line):
            named.append(found[1])
    words = _words(head)
    if stated:
        return combined(stated, _clauses(words))
    found = from_text(head) or from_metadata(named) or _by_short_name(words) or _restricted(named, words)
    return tuple("LicenseRef-unknown" if name == TABLE_PERMISSIVE else name for name in found)


# Names in a header that no other rule knows: none of them gives the permissions of a folder's permissive licence.
_RESTRICTED_WORDS = {
    "LicenseRef-Creative-Commons": r"(?:creative commons|cc) by (?:nc|sa|nd)\b"
    r"|creative commons attribution (?:non|share|no )",
    "MPL-2.0": r"\bmozilla public licen[cs]e\b|\bmpl (?:v )?[12]\b",
    "LicenseRef-EUPL": r"\beupl\b|\beuropean union public licen[cs]e\b",
    "LicenseRef-BUSL": r"\bbusl\b|\bbusiness source licen[cs]e\b",
    "LicenseRef-CDDL": r"\blicen[cs]ed?\b.{0,20}\bcddl\b|\bcddl licen[cs]e\b"
    r"|\bcommon development and distribution licen[cs]e\b",
    "LicenseRef-EULA": r"\blicen[cs]e\b.{0,20}\beula\b|\bend user licen[cs]e agreement\b",
    "LicenseRef-no-ai": r"\bnot (?:be )?used?\b.{0,40}\btrain(?:ing)?\b.{0,40}"
    r"\b(?:models?|ai|machine learning|networks?)\b",
}
_POINTS_ELSEWHERE = re.compile(
    r"\b(?:see|same|refer|found|file|above|below|copying|notice|readme)\b"
    r"|\.(?:md|txt|rst|html)\b",
    re.IGNORECASE,
)


def _restricted(named: Sequence[str], words: str) -> tuple[str, ...]:
    """Return the licences of a header whose names are not known: a name that is not recognised permits nothing."""
    found = [name for name, pattern in _RESTRICTED_WORDS.items() if re.search(pattern, words)]
    unknown = [name for name in named if not _POINTS_ELSEWHERE.search(name)]
    return combined(found or ["LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-") for name in unknown])


def _of_spdx(expression: str) -> tuple[str, ...]:
    # An identifier that is not known is a licence all the same, and must not pass for none.
    unknown = "LicenseRef-" + (re.sub(r"[^A-Za-z0-9.]+", "-", expression).strip("-") or "unknown")
    # How a table says that a licence is permissive; in a file it is a name that its author made up.
    if TABLE_PERMISSIVE in expression:
        return ("LicenseRef-unknown",)
    return from_metadata([expression]) or (unknown,)


def _by_short_name(words: str) -> tuple[str, ...]:
    found = _GNU_SHORT.search(words)
    if not found or re.search(r"\bdual(?:ly)? licen[cs]ed .*\b(?:mit|bsd|apache)\b", words):
        return ()
    family = {"a": "affero", "l": "lesser"}.get(found["family"] or "")
    later = re.match(r" or (?:at your option )?(?:any )?(?:later|newer)", words[found.end() :]) is not None
    number = f"{found['version']}.{found['minor'] or '0'}" if found["version"] else ""
    return (_gnu_name(family, number, later=later),)
