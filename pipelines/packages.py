"""How a package named by registry, name and version comes to this machine, without running any of its code.

Start at `fetch`. Each registry is asked the way its own client on this machine is configured to ask: pip's index
addresses, extra indexes, find-links folders and certificates; npm's registry (by scope); apt's sources, keys and
proxies. A wheel, a source distribution, a tarball or a .deb is downloaded and checked against the checksum that the
registry states; nothing is installed, built or imported.

Downloads are kept by SHA-256 below the cache (`objects/`), with an entry a spec (`packages/`) written last: what is
there is whole, and a package that was fetched once needs no network again.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pipelines.registries import Downloaded, FetchError
from pipelines.registries.debian import download_debs, download_sources, fetch_deb, fetch_deb_src
from pipelines.registries.npm import fetch_npm
from pipelines.registries.pypi import fetch_pypi
from quality.artifacts import file_sha256, make_folder, write_atomically
from quality.progress import say

__all__ = ["FetchError", "Package", "fetch", "prefetch"]

_ENTRY_VERSION = 1
_STALE_S = 24 * 3600


@dataclass(frozen=True)
class Package:
    """A package's files on this machine.

    Args:
        version: The version that was fetched.
        files: Archives, in the order of their names.
        licenses: What the registry's metadata states, as it stands there.
    """

    version: str
    files: tuple[Path, ...]
    licenses: tuple[str, ...] = ()


def fetch(registry: str, name: str, version: str, cache_folder: Path) -> Package:
    """Return a package's archives, downloading them where the cache has none.

    Args:
        registry: `pypi`, `npm`, `deb` or `deb-src`.
        name: The package's name.
        version: Its version; for Debian packages empty means the machine's candidate.
        cache_folder: Where downloads are kept.

    Raises:
        FetchError: Unknown package or version, no client, no network, or a wrong checksum.
    """
    known = _cached(_entry(cache_folder, registry, name, version), cache_folder) if version else None
    if known is not None:
        return known
    _make_folders(cache_folder)
    with tempfile.TemporaryDirectory(dir=cache_folder / "partial") as partial:
        found, files, licenses = _FETCH[registry](name, version, Path(partial), cache_folder)
        return _kept(registry, name, version, found, files, licenses, cache_folder)


def prefetch(wanted: Sequence[tuple[str, str, str]], cache_folder: Path) -> None:
    """Download what the cache lacks of many Debian packages at once: apt takes seconds to start, whatever it fetches.

    Args:
        wanted: `(registry, name, version)`, as for `fetch`; other registries' and what is not to be had are left out.
        cache_folder: Where downloads are kept.
    """
    for registry, download in (("deb", download_debs), ("deb-src", download_sources)):
        missing = [
            (name, version)
            for one, name, version in dict.fromkeys(wanted)
            if one == registry and version and _cached(_entry(cache_folder, one, name, version), cache_folder) is None
        ]
        if len(missing) < 2 or shutil.which("apt-get") is None:
            continue
        _make_folders(cache_folder)
        say(f"asking apt for {len(missing)} {registry} packages")
        with tempfile.TemporaryDirectory(dir=cache_folder / "partial") as partial:
            for (name, version), files in download(missing, Path(partial), cache_folder).items():
                _kept(registry, name, version, version, files, (), cache_folder)


def _entry(cache_folder: Path, registry: str, name: str, version: str) -> Path:
    return cache_folder / "packages" / (urllib.parse.quote(f"{registry}:{name}={version}", safe="=") + ".json")


def _make_folders(cache_folder: Path) -> None:
    for folder in ("objects", "packages", "partial"):
        make_folder(cache_folder / folder)
    for left in list((cache_folder / "partial").iterdir()):
        # What a killed run left; a day is longer than any download takes.
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_S:
                shutil.rmtree(left)


def _kept(
    registry: str,
    name: str,
    asked: str,
    found: str,
    files: Sequence[Downloaded],
    licenses: Sequence[str],
    cache_folder: Path,
) -> Package:
    """Move files into the cache, and write the entry last."""
    kept: list[tuple[str, str]] = []
    for file in sorted(files, key=lambda f: f.name):
        digest = file_sha256(file.path)
        kept.append((file.name, digest))
        path = file.path
        if path.is_symlink():  # apt links to what an archive of files already has
            path = path.with_name(f"{path.name}.copy")
            shutil.copyfile(file.path, path)
        path.replace(cache_folder / "objects" / digest)
    value = {"entry": _ENTRY_VERSION, "version": found, "files": kept, "licenses": list(licenses)}
    for version in dict.fromkeys((found, asked)):
        if version:
            _write_entry(_entry(cache_folder, registry, name, version), value)
    package = _cached(_entry(cache_folder, registry, name, found), cache_folder)
    if package is None:
        raise FetchError("the cache lost a file while it was filled; run again")
    return package


def _write_entry(path: Path, value: Mapping[str, Any]) -> None:
    # Two processes may write the same entry: each with a name of its own until the rename.
    with tempfile.TemporaryDirectory(dir=path.parent.parent / "partial") as partial:
        temporary = Path(partial) / "entry.json"
        write_atomically(temporary, json.dumps(value, indent=1))
        temporary.replace(path)


def _cached(entry: Path, cache_folder: Path) -> Package | None:
    try:
        value = cast(dict[str, Any], json.loads(entry.read_text()))
        if value["entry"] != _ENTRY_VERSION:
            return None
        files = tuple(cache_folder / "objects" / digest for _, digest in value["files"])
        if any(file_sha256(file) != file.name for file in files):
            return None
        return Package(value["version"], files, tuple(value["licenses"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


_FETCH = {"pypi": fetch_pypi, "npm": fetch_npm, "deb": fetch_deb, "deb-src": fetch_deb_src}
