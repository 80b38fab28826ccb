"""Debian packages and sources, by apt: the machine's own lists, or private ones made from its sources.

Start at `fetch_deb` and `fetch_deb_src`; `download_debs` and `download_sources` take many at once. Nothing is
installed, and the machine's own lists are left as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from pipelines.registries import Downloaded, FetchError, some
from quality.artifacts import write_atomically

_apt_lock = threading.Lock()


def _apt(arguments: Sequence[str], folder: Path, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = ["apt-cache" if arguments[0].startswith("show") else "apt-get", *options, *arguments]
    if os.geteuid() == 0:
        command[1:1] = ["-o", "APT::Sandbox::User=root"]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )


def _machine_apt(cache_folder: Path) -> list[str]:
    """Return options for the machine's own lists, read through a cache of ours (without one apt reads them anew)."""
    folder = cache_folder / "apt" / "machine"
    folder.mkdir(parents=True, exist_ok=True)
    return [
        "-o",
        f"Dir::Cache::pkgcache={folder / 'pkgcache.bin'}",
        "-o",
        f"Dir::Cache::srcpkgcache={folder / 'srcpkgcache.bin'}",
    ]


def _need_apt() -> None:
    if shutil.which("apt-get") is None:
        raise FetchError("Debian packages need apt-get: a Debian machine, or its archive files given by path instead")


def fetch_deb(
    name: str, version: str, partial: Path, cache_folder: Path
) -> tuple[str, list[Downloaded], Sequence[str]]:
    """Download a package; an empty version is the machine's candidate."""
    _need_apt()
    wanted = f"{name}={version}" if version else name
    done = _apt(["-q", "download", wanted], partial, _machine_apt(cache_folder))
    made = sorted(partial.glob("*.deb"))
    if done.returncode != 0 or not made:
        # The machine's own lists may be empty or old: private ones, made from the same sources.
        done = _apt(["-q", "download", wanted], partial, _private_apt(cache_folder, "deb", wanted))
        made = sorted(partial.glob("*.deb"))
    if done.returncode != 0 or len(made) != 1:
        raise FetchError(_apt_reason(wanted, done.stderr, _deb_versions(name, cache_folder), version))
    found = subprocess.run(
        ["dpkg-deb", "--field", str(made[0]), "Version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return found or version, [Downloaded(made[0].name, made[0])], ()


def _deb_versions(name: str, cache_folder: Path) -> list[str]:
    known: list[str] = []
    for options in (_machine_apt(cache_folder), _private_apt_options(cache_folder, "deb")):
        known += [version for _, version in _listed(["show", "-a", name], options, cache_folder)]
    return sorted(set(known))


def _listed(arguments: Sequence[str], options: Sequence[str], cache_folder: Path) -> list[tuple[str, str]]:
    """Return the (package, version) pairs that apt-cache lists."""
    shown = _apt(arguments, cache_folder, options).stdout
    return re.findall(r"^Package: (\S+)$(?:\n(?!\n).*)*?\n^Version: (\S+)$", shown, re.MULTILINE)


def download_debs(
    missing: Sequence[tuple[str, str]], partial: Path, cache_folder: Path
) -> dict[tuple[str, str], list[Downloaded]]:
    """Download many packages at once; those that are not to be had are left out."""
    _download_into(partial, missing, _machine_apt(cache_folder), cache_folder)
    found = _debs_in(partial, missing)
    rest = [one for one in missing if one not in found]
    if len(rest) > 1:
        # The machine has no lists, or old ones.
        try:
            _download_into(partial, rest, _private_apt(cache_folder, "deb", ""), cache_folder)
        except FetchError:
            return found
        found = _debs_in(partial, missing)
    return found


def _download_into(
    partial: Path, missing: Sequence[tuple[str, str]], options: Sequence[str], cache_folder: Path
) -> None:
    there = set(_listed(["show", "-a", *(name for name, _ in missing)], options, cache_folder))
    wanted = [f"{name}={version}" for name, version in missing if (name, version) in there]
    if wanted:
        _apt(["-q", "download", *wanted], partial, options)


def _debs_in(partial: Path, missing: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Downloaded]]:
    found: dict[tuple[str, str], list[Downloaded]] = {}
    for path in sorted(partial.glob("*.deb")):
        fields = subprocess.run(
            ["dpkg-deb", "--show", "--showformat=${Package}\\n${Version}", str(path)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.splitlines()
        if len(fields) == 2 and (fields[0], fields[1]) in missing:
            found[fields[0], fields[1]] = [Downloaded(path.name, path)]
    return found


def fetch_deb_src(
    name: str, version: str, partial: Path, cache_folder: Path
) -> tuple[str, list[Downloaded], Sequence[str]]:
    """Download the archives of a source package; an empty version is the machine's candidate."""
    _need_apt()
    wanted = f"{name}={version}" if version else name
    command = ["-q", "source", "--download-only", "--only-source", "--tar-only", wanted]
    options = _private_apt(cache_folder, "deb-src", "")
    done = _apt(command, partial, options)
    if done.returncode != 0:
        done = _apt(command, partial, _private_apt(cache_folder, "deb-src", wanted))
    made = sorted(path for path in partial.iterdir() if ".tar" in path.name and path.suffix != ".asc")
    if done.returncode != 0 or not made:
        raise FetchError(_apt_reason(wanted, done.stderr, _source_versions(name, cache_folder), version))
    if not version:
        printed = _apt(["-q", "source", "--print-uris", "--only-source", "--dsc-only", name], partial, options).stdout
        found = re.search(r"_([^_/']+)\.dsc", urllib.parse.unquote(printed))
        version = found[1] if found else "unknown"
    return version, [Downloaded(path.name, path) for path in made], ()


def _source_versions(name: str, cache_folder: Path) -> list[str]:
    options = _private_apt_options(cache_folder, "deb-src")
    return sorted({version for _, version in _listed(["showsrc", "--only-source", name], options, cache_folder)})


def download_sources(
    missing: Sequence[tuple[str, str]], partial: Path, cache_folder: Path
) -> dict[tuple[str, str], list[Downloaded]]:
    """Download many source packages at once; those that are not to be had are left out."""
    try:
        options = _private_apt(cache_folder, "deb-src", "")
    except FetchError:
        return {}
    there = set(_listed(["showsrc", "--only-source", *(name for name, _ in missing)], options, cache_folder))
    chosen = [(name, version) for name, version in missing if (name, version) in there]
    if not chosen:
        return {}
    wanted = [f"{name}={version}" for name, version in chosen]
    done = _apt(["-q", "source", "--download-only", "--only-source", "--tar-only", *wanted], partial, options)
    if done.returncode != 0:
        return {}
    found: dict[tuple[str, str], list[Downloaded]] = {}
    for name, version in chosen:
        tars = sorted(p for p in partial.glob(f"{name}_*") if ".tar" in p.name and p.suffix != ".asc")
        if tars:
            found[name, version] = [Downloaded(path.name, path) for path in tars]
    return found


def _apt_reason(wanted: str, errors: str, versions: Sequence[str], version: str) -> str:
    if version and versions and version not in versions:
        return (
            f"{wanted}: this Debian archive no longer has that version (an update replaces the one before); it has"
            f" {some(versions)}. Name that one, with its own checksum"
        )
    lines = [line for line in errors.splitlines() if line.startswith("E: ")]
    said = "; ".join(line.removeprefix("E: ") for line in lines[:3]) or errors.strip()[-300:] or "no answer"
    return f"{wanted}: apt-get says: {said}"


def _private_apt_options(cache_folder: Path, kind: str) -> list[str]:
    root = cache_folder / "apt" / kind
    pairs = {
        "Dir::Etc::sourcelist": root / "sources.list",
        "Dir::Etc::sourceparts": root / "sources.list.d",
        "Dir::State::lists": root / "lists",
        "Dir::Cache": root / "cache",
        "Dir::Cache::pkgcache": root / "cache" / "pkgcache.bin",
        "Dir::Cache::srcpkgcache": root / "cache" / "srcpkgcache.bin",
    }
    options: list[str] = []
    for key, value in pairs.items():
        options += ["-o", f"{key}={value}"]
    return options


_refreshed: set[str] = set()


def _private_apt(cache_folder: Path, kind: str, missing: str) -> list[str]:
    """Return options for an apt of our own with this machine's sources, its lists fetched if there are none.

    Args:
        cache_folder: Where its state lies; nothing of the machine's is changed and no root is needed.
        kind: `deb` or `deb-src`: which lists it has.
        missing: What the lists did not have, to fetch them anew once; empty to take them as they are.
    """
    options = _private_apt_options(cache_folder, kind)
    root = cache_folder / "apt" / kind
    with _apt_lock:
        there = (root / "fetched").is_file()
        if there and (not missing or kind in _refreshed):
            return options
        for folder in ("sources.list.d", "lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        write_atomically(root / "sources.list.d" / "polymix.sources", _own_sources(kind))
        done = _apt(["-q", "update"], root, options)
        _refreshed.add(kind)
        if not any((root / "lists").glob("*Sources*" if kind == "deb-src" else "*Packages*")):
            raise FetchError(f"apt-get could not fetch its {kind} lists: {done.stderr.strip()[-400:]}")
        write_atomically(root / "fetched", "")
    return options


def _own_sources(kind: str, etc: Path = Path("/etc/apt")) -> str:
    """Return this machine's apt sources as one deb822 text of one kind (`deb` or `deb-src`).

    Source: sources.list(5), one-line style and deb822 style.
    """
    stanzas: list[dict[str, str]] = []
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix == ".sources" and file.is_file():
            stanzas += _deb822(file.read_text(errors="replace"))
        elif file.suffix == ".list" and file.is_file():
            stanzas += _one_line_style(file.read_text(errors="replace"))
    own = [s for s in stanzas if s.get("enabled", "yes").lower() not in ("no", "false", "0")]
    release = _codename()
    # Vendors' own archives mostly have no sources and are no part of the system: the system's suites come first.
    system = [
        s for s in own if release and any(w == release or w.startswith(f"{release}-") for w in s["suites"].split())
    ]
    lines: list[str] = []
    for stanza in system or own:
        for key, value in {**stanza, "types": kind}.items():
            lines.append(f"{key.title()}: {value}")
        lines.append("")
    return "\n".join(lines) + "\n"


def _codename() -> str:
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return ""
    found = re.search(r"^VERSION_CODENAME=\"?([\w-]+)", text, re.MULTILINE)
    return found.group(1) if found else ""


def _deb822(text: str) -> list[dict[str, str]]:
    stanzas: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t":
                fields[key] = f"{fields.get(key, '')}\n {line.strip()}"
            else:
                name, _, value = line.partition(":")
                key = name.strip().lower()
                fields[key] = value.strip()
        if "uris" in fields and "suites" in fields:
            stanzas.append(fields)
    return stanzas


def _one_line_style(text: str) -> list[dict[str, str]]:
    stanzas: list[dict[str, str]] = []
    for line in text.splitlines():
        found = re.match(r"\s*deb(?:-src)?\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*?)\s*(?:#.*)?$", line)
        if not found:
            continue
        options, uri, suite, components = found.groups()
        stanza = {"uris": uri, "suites": suite}
        if components:
            stanza["components"] = components
        for option in (options or "").split():
            key, _, value = option.partition("=")
            stanza[{"arch": "architectures"}.get(key, key)] = value.replace(",", " ")
        if stanza not in stanzas:
            stanzas.append(stanza)
    return stanzas
