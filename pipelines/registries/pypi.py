"""Packages of Python indexes, asked as pip on this machine is configured to ask. Start at `fetch_pypi`."""

from __future__ import annotations

import hashlib
import html.parser
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.registries import Downloaded, FetchError, some
from pipelines.registries.http import download, get, shown_address


@dataclass(frozen=True)
class _Link:
    file: str
    url: str
    sha256: str


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for key, value in attrs if key == "href" and value]


@dataclass(frozen=True)
class _PipSettings:
    indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    certificates: str | None


@cache
def pip_settings() -> _PipSettings:
    """Return the indexes, find-links and certificates that pip on this machine would use."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    values: dict[str, str] = {}
    # pip lists global, user, site, then environment: the later wins.
    for section in ("global", "install", "download", ":env:"):
        for line in listed.splitlines():
            key, _, quoted = line.partition("=")
            if key.startswith(f"{section}."):
                values[key.removeprefix(f"{section}.")] = quoted.strip().strip("'\"").replace("\\n", " ")
    indexes: list[str] = []
    if values.get("no-index", "").lower() not in ("1", "true", "yes", "on"):
        default = values.get("index-url") or _pip_default_index()
        indexes = [url for url in (default, *values.get("extra-index-url", "").split()) if url]
    links = tuple(values.get("find-links", "").split())
    return _PipSettings(tuple(indexes), links, values.get("cert") or os.environ.get("SSL_CERT_FILE"))


def _pip_default_index() -> str:
    # Asked of pip in a process of its own: the address is pip's to know, and pip is no library.
    program = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _links_of(page: bytes, content_type: str, base: str) -> list[_Link]:
    if content_type.endswith("+json"):
        value = json.loads(page)
        return [
            _Link(f["filename"], urllib.parse.urljoin(base, f["url"]), f.get("hashes", {}).get("sha256", ""))
            for f in value["files"]
        ]
    anchors = _Anchors()
    anchors.feed(page.decode("utf-8", "replace"))
    links: list[_Link] = []
    for href in anchors.hrefs:
        url, _, fragment = urllib.parse.urljoin(base, href).partition("#")
        name = urllib.parse.unquote(url.rpartition("/")[2])
        links.append(_Link(name, url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""))
    return links


def _pypi_links(name: str, settings: _PipSettings) -> list[_Link]:
    links: list[_Link] = []
    accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
    for place in settings.find_links:
        folder = Path(urllib.parse.urlsplit(place).path if place.startswith("file:") else place)
        if folder.is_dir():
            links += [_Link(f.name, f.resolve().as_uri(), "") for f in sorted(folder.iterdir()) if f.is_file()]
    trouble: list[str] = []
    for index in settings.indexes:
        url = f"{index.rstrip('/')}/{_canonical(name)}/"
        try:
            if url.startswith("file:"):
                folder = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
                if (folder / "index.html").is_file():
                    links += _links_of((folder / "index.html").read_bytes(), "text/html", url)
                continue
            page, content_type = get(url, settings.certificates, {"Accept": accept})
            links += _links_of(page, content_type, url)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                trouble.append(f"{shown_address(url)} answered {error.code}")
        except FetchError as error:
            trouble.append(str(error))
    if not links and trouble:
        raise FetchError("; ".join(trouble))
    return links


_SDIST_ENDINGS = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")


def _version_of(link: _Link, name: str) -> str | None:
    """Return the version in a distribution's file name, or None where it is of another project or no distribution."""
    if link.file.endswith(".whl"):
        parts = link.file.removesuffix(".whl").split("-")
        return parts[1] if len(parts) in (5, 6) and _canonical(parts[0]) == _canonical(name) else None
    for ending in _SDIST_ENDINGS:
        if link.file.endswith(ending):
            stem = link.file.removesuffix(ending)
            for at in (i for i, c in enumerate(stem) if c == "-"):
                if _canonical(stem[:at]) == _canonical(name) and stem[at + 1 : at + 2].isdigit():
                    return stem[at + 1 :]
    return None


def _wheel_rank(file: str) -> tuple[int, str]:
    """Order distributions: pure wheels, then sources, then wheels of a platform; the file name decides the rest."""
    if file.endswith("-none-any.whl"):
        return (0 if "py3" in file.rpartition("-none-any")[0].rpartition("-")[2] else 1, file)
    return (3 if file.endswith(".whl") else 2, file)


def _same_version(left: str, right: str) -> bool:
    def normal(version: str) -> str:
        version = version.lower().removeprefix("v").replace("_", ".").replace("-", ".")
        return re.sub(r"(\.0)+$", "", version)

    return normal(left) == normal(right)


def fetch_pypi(name: str, version: str, partial: Path, _cache: Path) -> tuple[str, list[Downloaded], Sequence[str]]:
    """Download a pure wheel, else a source distribution, else a wheel of a platform."""
    settings = pip_settings()
    by_version: dict[str, list[_Link]] = {}
    for link in _pypi_links(name, settings):
        found = _version_of(link, name)
        if found is not None:
            by_version.setdefault(found, []).append(link)
    if not by_version:
        raise FetchError(f"pip's indexes have no project {name!r}; check the spelling and `pip config list`")
    chosen = [link for found, links in by_version.items() if _same_version(found, version) for link in links]
    if not chosen:
        raise FetchError(f"{name} has no version {version}; it has {some(by_version)}")
    link = min(chosen, key=lambda one: _wheel_rank(one.file))
    data = download(link.url, settings.certificates)
    if link.sha256 and hashlib.sha256(data).hexdigest() != link.sha256:
        raise FetchError(f"{link.file} does not have the checksum its index states; fetch it again later")
    path = partial / "file"
    path.write_bytes(data)
    return version, [Downloaded(link.file, path)], ()
