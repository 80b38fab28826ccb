"""Packages come through the clients' own configuration, are checked, are cached whole, and never run."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import packages
from pipelines.packages import FetchError, fetch
from pipelines.registries import debian, npm, pypi
from pipelines.sources import Source, read_source


def tarball(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def wheel(text: str = "x = 1\n") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("demo_pkg/__init__.py"), text)
        metadata = zipfile.ZipInfo("demo_pkg-1.0.dist-info/METADATA")
        archive.writestr(metadata, "Metadata-Version: 2.4\nName: a\nLicense-Expression: ISC\n\n")
    return out.getvalue()


class Registry:
    """A web server that answers what it was given and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.asked: list[tuple[str, str | None]] = []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append((self.path, self.headers.get("Authorization")))
                code, kind, body = registry.answers.get(self.path, (404, "text/plain", b"no"))
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def give(self, path: str, body: bytes | str, kind: str = "text/html", code: int = 200) -> None:
        self.answers[path] = (code, kind, body.encode() if isinstance(body, str) else body)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    one = Registry()
    pypi.pip_settings.cache_clear()
    npm.npm_setting.cache_clear()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{one.url}/simple")
    monkeypatch.setenv("npm_config_registry", one.url)
    yield one
    one.server.shutdown()
    one.server.server_close()
    pypi.pip_settings.cache_clear()
    npm.npm_setting.cache_clear()


# --- PyPI -------------------------------------------------------------------------------------------------------------


def give_pypi(registry: Registry, files: dict[str, bytes], sha256: str = "") -> None:
    links = ""
    for name, data in files.items():
        registry.give(f"/files/{name}", data)
        links += f'<a href="/files/{name}#sha256={sha256 or hashlib.sha256(data).hexdigest()}">{name}</a>\n'
    registry.give("/simple/demo-pkg/", links)


def test_the_pure_wheel_is_chosen_and_then_the_source_distribution(registry: Registry, tmp_path: Path) -> None:
    source = tarball({"demo_pkg-1.0/setup.py": "raise SystemExit('ran')\n", "demo_pkg-1.0/demo_pkg.py": "y = 2\n"})
    files = {
        "demo_pkg-1.0-cp311-cp311-linux_x86_64.whl": b"binary",
        "demo_pkg-1.0.tar.gz": source,
        "demo_pkg-0.9-py3-none-any.whl": b"old",
        "demo_pkg_extra-1.0-py3-none-any.whl": b"another project",
    }
    give_pypi(registry, files)
    package = fetch("pypi", "Demo.Pkg", "1.0", tmp_path / "one")
    assert [file.read_bytes() for file in package.files] == [source]
    give_pypi(registry, {**files, "demo_pkg-1.0-py3-none-any.whl": wheel()})
    read = read_source(Source(spec="pypi:demo_pkg==1.0"), tmp_path / "two")
    assert read.record.sha256 == hashlib.sha256(wheel()).hexdigest()
    assert read.record.licenses == ("ISC",)
    assert (read.record.name, read.record.revision_id) == ("pypi:demo_pkg", "1.0")


def test_a_source_distribution_is_unpacked_and_never_run(registry: Registry, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    setup = f"open({str(proof)!r}, 'w').write('x')\n"
    give_pypi(
        registry, {"demo-pkg-1.0.tar.gz": tarball({"demo-pkg-1.0/setup.py": setup, "demo-pkg-1.0/a.py": "a = 1\n"})}
    )
    read = read_source(Source(spec="pypi:demo-pkg==1.0"), tmp_path / "cache")
    assert {file.path: file.data.decode() for file in read.files()} == {"setup.py": setup, "a.py": "a = 1\n"}
    assert not proof.exists()


def test_a_json_index_is_read_too(registry: Registry, tmp_path: Path) -> None:
    registry.give("/files/w", wheel())
    page = {
        "files": [
            {
                "filename": "demo_pkg-1.0-py3-none-any.whl",
                "url": "../../files/w",
                "hashes": {"sha256": hashlib.sha256(wheel()).hexdigest()},
            }
        ]
    }
    registry.give("/simple/demo-pkg/", json.dumps(page), "application/vnd.pypi.simple.v1+json")
    assert fetch("pypi", "demo-pkg", "1.0.0", tmp_path).files[0].read_bytes() == wheel()


def test_the_cache_needs_no_network_and_a_damaged_object_is_fetched_again(registry: Registry, tmp_path: Path) -> None:
    give_pypi(registry, {"demo_pkg-1.0-py3-none-any.whl": wheel()})
    first = fetch("pypi", "demo-pkg", "1.0", tmp_path)
    asked = len(registry.asked)
    assert fetch("pypi", "demo-pkg", "1.0", tmp_path) == first
    assert len(registry.asked) == asked
    first.files[0].write_bytes(b"damaged")
    assert fetch("pypi", "demo-pkg", "1.0", tmp_path).files[0].read_bytes() == wheel()
    assert len(registry.asked) > asked


def test_a_wrong_checksum_leaves_nothing_in_the_cache(registry: Registry, tmp_path: Path) -> None:
    give_pypi(registry, {"demo_pkg-1.0-py3-none-any.whl": wheel()}, sha256="0" * 64)
    with pytest.raises(FetchError, match="checksum"):
        fetch("pypi", "demo-pkg", "1.0", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_killed_run_left_is_swept_after_a_day(registry: Registry, tmp_path: Path) -> None:
    give_pypi(registry, {"demo_pkg-1.0-py3-none-any.whl": wheel()})
    for name in ("old", "new"):
        (tmp_path / "partial" / name).mkdir(parents=True)
    os.utime(tmp_path / "partial" / "old", (1, 1))
    fetch("pypi", "demo-pkg", "1.0", tmp_path)
    assert [path.name for path in (tmp_path / "partial").iterdir()] == ["new"]


def test_unknown_projects_and_versions_say_what_there_is(registry: Registry, tmp_path: Path) -> None:
    give_pypi(registry, {"demo_pkg-1.0-py3-none-any.whl": wheel(), "demo_pkg-1.1-py3-none-any.whl": wheel()})
    with pytest.raises(FetchError, match=r"no version 2\.0; it has 1\.0, 1\.1"):
        fetch("pypi", "demo-pkg", "2.0", tmp_path)
    with pytest.raises(FetchError, match="have no project 'nothing'"):
        fetch("pypi", "nothing", "1.0", tmp_path)


def test_a_password_in_the_index_address_is_sent_and_never_shown(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", registry.url.replace("http://", "http://me:s%20cret@") + "/simple")
    pypi.pip_settings.cache_clear()
    registry.give("/simple/demo-pkg/", "no", code=403)
    with pytest.raises(FetchError) as error:
        fetch("pypi", "demo-pkg", "1.0", tmp_path)
    assert registry.asked == [("/simple/demo-pkg/", "Basic " + base64.b64encode(b"me:s cret").decode())]
    assert "403" in str(error.value)
    assert "cret" not in str(error.value)


def test_find_links_folders_count(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "demo_pkg-1.0-py3-none-any.whl").write_bytes(wheel())
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    pypi.pip_settings.cache_clear()
    assert fetch("pypi", "demo-pkg", "1.0", tmp_path / "cache").files[0].read_bytes() == wheel()
    assert [path for path, _ in registry.asked] == ["/simple/demo-pkg/"]


# --- npm --------------------------------------------------------------------------------------------------------------


def give_npm(registry: Registry, name: str, body: bytes, **dist: str) -> None:
    escaped = name.replace("/", "%2f")
    value = {"name": name, "license": "MIT", "dist": {"tarball": f"{registry.url}/t.tgz", **dist}}
    registry.give(f"/{escaped}/1.0.0", json.dumps(value), "application/json")
    registry.give(f"/{escaped}", json.dumps({"versions": {"1.0.0": {}, "1.1.0": {}}}), "application/json")
    registry.give("/t.tgz", body)


def sri(body: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()


@pytest.mark.parametrize("name", ["plain", "@scope/name"])
def test_an_npm_package(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(npm, "_npm_client", lambda: None)  # the environment alone names the registry
    body = tarball({"package/index.js": "module.exports = 1\n", "package/package.json": '{"license": "Apache-2.0"}'})
    give_npm(registry, name, body, integrity=sri(body))
    read = read_source(Source(spec=f"npm:{name}@1.0.0"), tmp_path)
    assert [file.path for file in read.files()] == ["index.js", "package.json"]
    assert read.record.licenses == ("Apache-2.0",)
    assert read.record.sha256 == hashlib.sha256(body).hexdigest()


def test_npm_s_own_client_says_where_its_registry_is(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    if npm._npm_client() is None:  # pyright: ignore[reportPrivateUsage]
        pytest.skip("no npm client here")
    monkeypatch.setenv("npm_config_@scope:registry", "http://scoped.invalid/")
    assert npm.npm_setting("registry").rstrip("/") == registry.url
    assert npm.npm_setting("@scope:registry") == "http://scoped.invalid/"


def test_a_tarball_that_is_not_what_the_registry_states_is_refused(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npm, "_npm_client", lambda: None)
    body = tarball({"package/index.js": "1\n"})
    for dist in ({"integrity": sri(b"other")}, {"shasum": "0" * 40}, {}):
        give_npm(registry, "plain", body, **dist)
        with pytest.raises(FetchError, match="checksum"):
            fetch("npm", "plain", "1.0.0", tmp_path)
    give_npm(registry, "plain", body, shasum=hashlib.sha1(body).hexdigest())
    assert fetch("npm", "plain", "1.0.0", tmp_path).files[0].read_bytes() == body


def test_unknown_npm_packages_and_versions(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm, "_npm_client", lambda: None)
    give_npm(registry, "plain", b"", integrity=sri(b""))
    with pytest.raises(FetchError, match=r"no version 9\.9\.9; it has 1\.0\.0, 1\.1\.0"):
        fetch("npm", "plain", "9.9.9", tmp_path)
    with pytest.raises(FetchError, match="has no package 'nothing'"):
        fetch("npm", "nothing", "1.0.0", tmp_path)
    monkeypatch.delenv("npm_config_registry")
    npm.npm_setting.cache_clear()
    with pytest.raises(FetchError, match="NPM_CONFIG_REGISTRY"):
        fetch("npm", "plain", "1.0.0", tmp_path)


# --- Debian -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian archive of one binary and one source package, as the only source of the private apt."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("no apt here")
    root = tmp_path / "archive"
    tree = tmp_path / "tree"
    code = tree / "usr/share/gocode/src/example.org/polymixdemo"
    code.mkdir(parents=True)
    (code / "a.go").write_text("package a\n")
    doc = tree / "usr/share/doc/polymix-demo-dev"
    doc.mkdir(parents=True)
    (doc / "copyright").write_text(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: me\nLicense: Expat\n\nFiles: debian/*\nCopyright: me\nLicense: GPL-2+\n"
    )
    (tree / "DEBIAN").mkdir()
    control = "Package: polymix-demo-dev\nVersion: 1.0-1\nArchitecture: all\nMaintainer: m <m@m>\nDescription: d\n"
    (tree / "DEBIAN/control").write_text(control)
    proof = tmp_path / "ran"
    (tree / "DEBIAN/preinst").write_text(f"#!/bin/sh\ntouch {proof}\n")
    (tree / "DEBIAN/preinst").chmod(0o755)
    root.mkdir()
    deb = root / "polymix-demo-dev_1.0-1_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", str(tree), str(deb)], check=True, capture_output=True)

    def sums(file: Path) -> str:
        return f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size}"

    digest, size = sums(deb).split()
    (root / "Packages").write_text(f"{control}Filename: ./{deb.name}\nSize: {size}\nSHA256: {digest}\n")
    orig = root / "polymixsrc_2.0.orig.tar.gz"
    orig.write_bytes(
        tarball({"polymixsrc-2.0/A.java": "class A {}\n", "polymixsrc-2.0/Makefile": f"all:\n\ttouch {proof}\n"})
    )
    dsc = root / "polymixsrc_2.0-1.dsc"
    dsc.write_text("Format: 3.0 (quilt)\nSource: polymixsrc\nVersion: 2.0-1\n")
    (root / "Sources").write_text(
        "Package: polymixsrc\nFormat: 3.0 (quilt)\nBinary: polymix-x\nArchitecture: all\nVersion: 2.0-1\nDirectory: .\n"
        f"Checksums-Sha256:\n {sums(orig)} {orig.name}\n {sums(dsc)} {dsc.name}\n"
    )
    stanza = "Types: {}\nURIs: file:{}\nSuites: ./\nTrusted: yes\n"
    monkeypatch.setattr(debian, "_own_sources", lambda kind: stanza.format(kind, root))
    monkeypatch.setattr(debian, "_refreshed", set())
    # The machine's own lists take apt seconds to read and have nothing to do with this.
    (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path / "nolists"}";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return root


@pytest.mark.usefixtures("archive")
def test_debian_packages_are_downloaded_by_an_apt_of_our_own_and_never_installed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    binary = read_source(Source(spec="deb:polymix-demo-dev=1.0-1"), cache)
    assert [file.path for file in binary.files() if file.path.endswith(".go")] == ["example.org/polymixdemo/a.go"]
    assert (binary.record.revision_id, binary.record.licenses) == ("1.0-1", ("MIT",))
    source = read_source(Source(spec="deb-src:polymixsrc=2.0-1", license="ISC"), cache)
    assert [file.path for file in source.files()] == ["A.java", "Makefile"]
    assert (source.record.revision_id, source.record.licenses) == ("2.0-1", ("ISC",))
    assert read_source(Source(spec="deb-src:polymixsrc"), cache).record.revision_id == "2.0-1"
    assert not (tmp_path / "ran").exists()


def test_many_debian_packages_are_downloaded_at_once(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    lists = debian._private_apt(cache, "deb", "")  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(debian, "_machine_apt", lambda _: lists)
    packages.prefetch(
        [
            ("deb", "polymix-demo-dev", "1.0-1"),
            ("deb", "polymix-demo-dev", "0.5-1"),
            ("deb-src", "polymixsrc", "2.0-1"),
            ("deb-src", "polymixsrc", "1.0-1"),
            ("pypi", "left-alone", "1.0"),
        ],
        cache,
    )
    entries = {path.name for path in (cache / "packages").iterdir()}
    assert entries == {"deb%3Apolymix-demo-dev=1.0-1.json", "deb-src%3Apolymixsrc=2.0-1.json"}
    shutil.rmtree(archive)
    assert fetch("deb", "polymix-demo-dev", "1.0-1", cache).version == "1.0-1"
    assert fetch("deb-src", "polymixsrc", "2.0-1", cache).version == "2.0-1"


@pytest.mark.usefixtures("archive")
def test_a_debian_version_that_is_gone_says_which_is_there(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"no longer has that version .* it has 1\.0-1"):
        fetch("deb", "polymix-demo-dev", "0.9-1", tmp_path / "cache")
    with pytest.raises(FetchError, match=r"no longer has that version .* it has 2\.0-1"):
        fetch("deb-src", "polymixsrc", "1.9-1", tmp_path / "cache")
    with pytest.raises(FetchError, match="Unable to locate package polymix-nothing"):
        fetch("deb", "polymix-nothing", "1", tmp_path / "cache")


def test_the_machine_s_apt_sources_are_read_in_both_styles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "_codename", lambda: "bookworm")
    (tmp_path / "sources.list").write_text(
        "# comment\ndeb [arch=amd64 signed-by=/k.gpg] http://a.invalid/debian bookworm main contrib # why\n"
        "deb-src http://a.invalid/debian bookworm main\ndeb http://vendor.invalid/apt nodistro main\n"
    )
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "b.sources").write_text(
        "# comment\nTypes: deb\nURIs: http://b.invalid/debian\nSuites: bookworm-updates\nComponents: main\n"
        "Signed-By:\n -----BEGIN\n .\n END-----\n\nEnabled: no\nTypes: deb\n"
        "URIs: http://off.invalid\nSuites: bookworm\n"
    )
    text = debian._own_sources("deb-src", tmp_path)  # pyright: ignore[reportPrivateUsage]
    assert text.count("Types: deb-src") == 3
    assert "vendor.invalid" not in text
    assert "off.invalid" not in text
    assert "Architectures: amd64\n" in text
    assert "Signed-By: /k.gpg\n" in text
    assert "Signed-By: \n -----BEGIN\n .\n END-----\n" in text
    assert "Components: main contrib\n" in text


def test_no_registry_s_address_stands_in_the_code() -> None:
    folder = Path(packages.__file__).parent
    fetching = [*folder.glob("registries/*.py"), *folder.glob("sources/*.py"), folder / "packages.py"]
    assert len(fetching) > 8
    for path in fetching:
        text = path.read_text()
        assert re.findall(r"https?://[\w.-]+\.\w+", text) == []
