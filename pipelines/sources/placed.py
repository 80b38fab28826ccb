"""Which licence holds for a file by its place: of the whole source, of the nearest folder that states one, of its path.

Start at `placed_licenses`. Statements are licence files (LICENSE, COPYING, ...), package metadata (package.json,
Cargo.toml, PKG-INFO, ...), and those of REUSE: `x.py.license` beside `x.py`, annotations in `REUSE.toml` and
`.reuse/dep5`, texts in `LICENSES/`. Debian's `debian/copyright` is read by path too.

What always holds: the nearest statement counts. A statement that nobody can read is one all the same: below a folder
with a licence that is not recognised, nothing passes as under the licence of the folder above.

Source: REUSE Specification 3.3 (order of precedence, `REUSE.toml`, LICENSES); Debian, "Machine-readable
debian/copyright file", version 1.0.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from quality import licences

UNKNOWN = "LicenseRef-unknown"
"""A licence that is stated and not recognised; `quality.licences` counts it as not permissive."""

_METADATA = re.compile(
    r"(?:^|/)(?:package\.json|Cargo\.toml|pyproject\.toml)$"
    r"|^(?:PKG-INFO|debian/copyright|[^/]+\.dist-info/METADATA|usr/share/doc/[^/]+/copyright)$"
)
_TEXTS = re.compile(r"^(?:(.*)/)?LICENSES/([A-Za-z0-9.+-]+)\.[a-z]+$")


@dataclass(frozen=True)
class Rule:
    """A statement about paths.

    Args:
        pattern: Which paths, below the root of the source.
        licenses: What holds for them.
    """

    pattern: re.Pattern[str]
    licenses: tuple[str, ...]


@dataclass(frozen=True)
class PlacedLicenses:
    """What is stated of files by their place.

    Args:
        general: Of the source as a whole.
        by_folder: Of a folder and all below it, but for `""`, the root.
        by_path: Of single files (their `.license` files).
        rules: Of paths; the last that matches counts.
    """

    general: tuple[str, ...] = ()
    by_folder: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    by_path: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    rules: tuple[Rule, ...] = ()

    def of(self, path: str) -> tuple[str, ...]:
        """Return the licences that hold for a file: its own, a rule's, its nearest folder's, the source's."""
        if path in self.by_path:
            return self.by_path[path]
        for rule in reversed(self.rules):
            if rule.pattern.match(path):
                return rule.licenses
        folder = path
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            if folder in self.by_folder:
                return self.by_folder[folder]
        return self.general


def placed_licenses(
    sizes: Mapping[str, int], read: Callable[[str], bytes | None], declared: str, stated: Iterable[str]
) -> PlacedLicenses:
    """Return what is stated of a source's files.

    Args:
        sizes: Bytes of all files by path, chosen or not.
        read: Returns the bytes of one, or None where it cannot be read.
        declared: SPDX expression that holds where the source states none that is recognised.
        stated: Licences as the registry of a package states them.
    """
    texts: dict[str, tuple[str, ...]] = {}
    metadata: dict[str, tuple[str, ...]] = {}
    listed: dict[str, tuple[str, ...]] = {}
    by_path: dict[str, tuple[str, ...]] = {}
    rules: list[Rule] = []
    for path, size in sizes.items():
        if not _states(path, sizes) or size > licences.MAX_LICENSE_FILE_BYTES:
            continue
        data = read(path)
        if data is None:
            continue
        text = data.decode("utf-8", "replace")
        if not text.strip():
            continue
        folder = path.rpartition("/")[0]
        if path.endswith(".license") and path.removesuffix(".license") in sizes:
            by_path[path.removesuffix(".license")] = _of_spdx_lines(text) or (UNKNOWN,)
        elif path.rpartition("/")[2] == "REUSE.toml":
            rules += _annotations(text, folder)
        elif path == ".reuse/dep5" or path == "debian/copyright":
            general, found = _stanzas(text)
            rules += found
            metadata[""] = licences.combined(metadata.get("", ()), general)
        elif text_of := _TEXTS.match(path):
            known = licences.from_metadata([text_of[2]]) or (UNKNOWN,)
            listed[text_of[1] or ""] = licences.combined(listed.get(text_of[1] or "", ()), known)
        elif _METADATA.search(path):
            folder = "" if folder.endswith(".dist-info") or folder.startswith("usr/share/doc") else folder
            found = licences.from_package_file(path, data)
            metadata[folder] = licences.combined(metadata.get(folder, ()), found)
        else:
            folder = "" if folder.endswith(".dist-info") or ".dist-info/" in folder else folder
            texts[folder] = licences.combined(texts.get(folder, ()), licences.from_text(text))
    by_folder: dict[str, tuple[str, ...]] = {}
    for folder in {*texts, *metadata, *listed} - {""}:
        own = licences.agreed(metadata.get(folder, ()), texts.get(folder, ())) or listed.get(folder, ())
        if own:
            by_folder[folder] = own
        elif folder in texts and not declared:
            by_folder[folder] = (UNKNOWN,)
    of_package = metadata.get("") or licences.from_metadata(stated)
    general = licences.agreed(of_package, texts.get("", ())) or listed.get("", ())
    if not general:
        general = licences.from_metadata([declared]) if declared else (UNKNOWN,) if "" in texts else ()
    return PlacedLicenses(general, by_folder, by_path, tuple(rules))


def _states(path: str, sizes: Mapping[str, int]) -> bool:
    """Return whether a file may say something of licences."""
    return bool(
        _METADATA.search(path)
        or licences.is_license_file(path)
        or (path.endswith(".license") and path.removesuffix(".license") in sizes)
        or path == "REUSE.toml"
        or path.endswith("/REUSE.toml")
        or path == ".reuse/dep5"
        or _TEXTS.match(path)
    )


_SPDX_LINE = re.compile(r"SPDX-License-Identifier:[ \t]*([^\n]+)")


def _of_spdx_lines(text: str) -> tuple[str, ...]:
    stated = [found.strip() for found in _SPDX_LINE.findall(text)]
    return licences.combined(*(licences.from_metadata([one]) or (UNKNOWN,) for one in stated))


def _annotations(text: str, folder: str) -> list[Rule]:
    """Read `REUSE.toml`: `[[annotations]]` with paths below its folder, `*` within a folder and `**` across."""
    try:
        tables = cast(list[Any], tomllib.loads(text).get("annotations", []))
        rules: list[Rule] = []
        for table in tables:
            stated, paths = table.get("SPDX-License-Identifier", []), table.get("path", [])
            names = [stated] if isinstance(stated, str) else [str(one) for one in stated]
            found = licences.combined(*(licences.from_metadata([name]) or (UNKNOWN,) for name in names))
            for path in [paths] if isinstance(paths, str) else paths:
                if found:
                    rules.append(Rule(_glob(f"{folder}/{path}" if folder else str(path)), found))
        return rules
    except (ValueError, AttributeError, TypeError):
        return []


def _glob(pattern: str) -> re.Pattern[str]:
    """Return a glob of REUSE as a regular expression: `**` is anything, `*` anything but `/`."""
    return _expression(re.findall(r"\\.|\*\*|\*|[^*\\]+|\\", pattern, re.DOTALL), {"**": ".*", "*": "[^/]*"})


def _expression(parts: Iterable[str], known: Mapping[str, str]) -> re.Pattern[str]:
    """Join the parts of a glob: those that are known mean what they stand for; a backslash takes the next as it is."""
    plain = (known.get(part) or re.escape(part[1:] if part[0] == "\\" else part) for part in parts)
    return re.compile("".join(plain) + r"\Z", re.DOTALL)


def _stanzas(text: str) -> tuple[tuple[str, ...], list[Rule]]:
    """Read a machine-readable copyright file: what holds in general, and for the paths it names, in their order."""
    rules: list[Rule] = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        files = re.search(r"^Files:[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        stated = re.search(r"^License:[ \t]*(\S.*)?$", stanza, re.MULTILINE)
        if not files or not stated or not stated.group(1) or "*" in files.group(1).split():
            continue
        found = licences.from_metadata([stated.group(1)]) or (UNKNOWN,)
        # Here `*` crosses folders and `?` is one character.
        for pattern in files.group(1).split():
            parts = re.findall(r"\\.|[*?]|[^*?\\]+|\\", pattern)
            rules.append(Rule(_expression(parts, {"*": ".*", "?": "."}), found))
    return licences.from_debian_copyright(text), rules
