"""Files of archives and packages have the paths of the project itself, and so has what is skipped of them."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines import archives, packages
from pipelines.packages import Package
from pipelines.sources import read_source


def tar_of(path: Path, members: dict[str, bytes], link: str = "", time: int = 1_600_000_000) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), time
            tar.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "x"
            tar.addfile(info)
    return path


def test_the_top_folder_goes_from_what_is_skipped_too(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "p-1.tar", {"p-1/a.py": b"x = 1\n", "p-1/b/c.py": b"x = 2\n"}, "p-1/b/link.py")
    read = read_source(str(path))
    assert [file.path for file in read.files()] == ["a.py", "b/c.py"]
    assert [one.path for one in read.skipped] == ["b/link.py"]
    assert read.provenance.revision_date == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)


def test_what_is_left_out_by_a_study_is_not_skipped(tmp_path: Path) -> None:
    from pipelines.sources import Source

    path = tar_of(tmp_path / "p.tar", {"a.py": b"x = 1\n", "b/c.py": b"x = 2\n"}, "b/link.py")
    read = read_source(Source(spec=str(path), include=("*.py",), exclude=("b/",)))
    assert [file.path for file in read.files()] == ["a.py"]
    assert read.skipped == ()


def test_a_source_of_several_archives_opens_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"p/{n}.py": f"x = {n}\n".encode() for n in range(30)}
    first, second = tar_of(tmp_path / "one.tar", many), tar_of(tmp_path / "two.tar", many, "p/link.py", 1_500_000_000)
    monkeypatch.setattr(packages, "fetch", lambda *_: Package("1", (first, second)))
    opened: list[Path] = []
    really = archives.opened

    def counted(path: Path) -> object:
        opened.append(path)
        return really(path)

    monkeypatch.setattr(archives, "opened", counted)
    read = read_source("deb-src:name=1")
    assert len(list(read.files())) == 60
    assert {file.path for file in read.files()} >= {"0/0.py", "1/29.py"}
    assert [one.path for one in read.skipped] == ["1/link.py"]
    assert read.provenance.revision_date == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert len(opened) == 2 * 3  # for the check, and for each time that it is read


def test_a_package_s_repository_is_told_by_its_own_metadata(tmp_path: Path) -> None:
    about = b'{"license": "MIT", "repository": {"type": "git", "url": "git+https://u:p@host.invalid/o/n.git"}}'
    path = tar_of(tmp_path / "p.tgz", {"package/package.json": about, "package/a.js": b"x = 1\n"}, time=499_162_500)
    read = read_source(str(path))
    assert read.provenance.repo_url == "https://host.invalid/o/n"
    assert read.provenance.revision_date is None, "a fixed time of 1985 is no date"
