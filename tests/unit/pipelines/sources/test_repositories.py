"""A repository tells where and when a commit was made, and its own settings run nothing."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.sources import Provenance, read_source
from quality.mistakes import BadInput


def git(folder: Path, *arguments: str, given: bytes | None = None) -> str:
    dates = {"GIT_AUTHOR_DATE": "2020-01-02T03:04:05+0200", "GIT_COMMITTER_DATE": "2021-02-03T04:05:06+0000"}
    who = {"user.name": "n", "user.email": "e@e", "commit.gpgsign": "false", "init.defaultBranch": "main"}
    settings = [part for key, value in who.items() for part in ("-c", f"{key}={value}")]
    command = ["env", *(f"{key}={value}" for key, value in dates.items()), "git", *settings, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, input=given).stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_dates_branch_and_address_are_told_without_a_login(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:secret@host.invalid/o/n.git")
    read = read_source(str(repository))
    assert read.provenance == Provenance(
        repo_url="https://host.invalid/o/n",
        branch_name="refs/heads/main",
        revision_date=datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC),
        committer_date=datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC),
    )
    assert [file.provenance for file in read.files()] == [read.provenance]


def test_a_commit_on_no_branch_of_a_repository_with_no_address(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    git(repository, "remote", "add", "origin", "/home/me/secret/place")
    assert (read_source(str(repository)).provenance.branch_name, read_source(str(repository)).provenance.repo_url) == (
        None,
        None,
    )


def test_a_repository_s_own_settings_run_nothing(repository: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    program.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "diff.external",
        "filter.x.smudge",
        "diff.x.textconv",
    ):
        git(repository, "config", key, str(program))
    (repository / ".git" / "info" / "attributes").write_text("*.py filter=x diff=x\n")
    # A clone that lacks an object and would ask a program for it.
    for key, value in {
        "extensions.partialClone": "origin",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(program),
        "protocol.ext.allow": "always",
        "core.repositoryformatversion": "1",
    }.items():
        git(repository, "config", key, value)
    assert [file.data for file in read_source(str(repository)).files()] == [b"x = 1\n"]
    blob = git(repository, "rev-parse", "HEAD:a.py")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(BadInput):
        read_source(str(repository))
    assert not mark.exists()


def test_odd_entries_of_a_tree_are_each_skipped(repository: Path) -> None:
    blob = git(repository, "rev-parse", "HEAD:a.py")
    commit = git(repository, "rev-parse", "HEAD")
    entries = [
        f"100644 blob {blob}\tgood.py",
        f"120000 blob {blob}\tlink.py",
        f"160000 commit {commit}\tmodule",
        f"100644 blob {blob}\ta\\b.py",
    ]
    raw = "".join(f"{entry}\0" for entry in entries).encode() + f"100644 blob {blob}\tb\udcff.py\0".encode(
        "utf-8", "surrogateescape"
    )
    tree = git(repository, "mktree", "-z", given=raw)
    made = git(repository, "commit-tree", tree, "-m", "odd")
    read = read_source(f"git+{repository}@{made}")
    assert [file.path for file in read.files()] == ["good.py"]
    assert {(one.path, one.reason) for one in read.skipped} == {
        ("link.py", "symlink"),
        ("module", "submodule"),
        ("a\\b.py", "unsafe_path"),
        ("b\\xff.py", "unsafe_path"),
    }
