"""A git repository as a source: the files of a commit, read from git's objects and never from its working tree.

Start at `git_tree`. Nothing of the repository's own settings may act: local commands get no transport, fetching knows
the usual ones only, and no hook, filter or text conversion is asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.archives import MAX_FILE_BYTES, Skipped, safe_path
from pipelines.sources.files import RawFile, Tree, is_text, plain, shown
from pipelines.sources.specs import Spec
from quality.mistakes import bad_input
from quality.provenance import Provenance, instant, web_address

_FETCH_S = 3600


def _environment(protocols: str) -> dict[str, str]:
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    return {**os.environ, **quiet, "GIT_ALLOW_PROTOCOL": protocols}


def _git(repository: Path, *arguments: str, protocols: str = "none", timeout_s: float | None = None) -> bytes:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(repository), *arguments],
        capture_output=True,
        check=False,
        env=_environment(protocols),
        timeout=timeout_s,
    )
    if done.returncode != 0:
        raise OSError(done.stderr.decode(errors="replace").strip()[-400:] or "git failed")
    return done.stdout


def fetched(spec: Spec, cache: Path) -> tuple[Path, str]:
    """Return a repository on this machine, and the commit that a spec names.

    Args:
        spec: Of kind `git`.
        cache: Where repositories by address are kept.

    Raises:
        BadInput: There is no git, or no such commit.
        OSError: It cannot be fetched.
    """
    repository = _repository(spec, cache)
    revision = spec.version or "HEAD"
    if repository != Path(spec.target):
        revision = "FETCH_HEAD"
    try:
        commit = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except OSError:
        bad_input(spec.name, f"the repository has no commit {revision!r}; see `git log` there")
    return repository, commit.decode().strip()


def _repository(spec: Spec, cache: Path) -> Path:
    if shutil.which("git") is None:
        bad_input(spec.name, "reading a repository needs git; install it, or name `folder:PATH`")
    if Path(spec.target).is_dir():
        return Path(spec.target)
    key = hashlib.sha256(f"{spec.target}@{spec.version}".encode()).hexdigest()
    repository = cache / "git" / key
    pinned = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", spec.version)
    if pinned and (repository / "fetched").is_file():
        return repository
    repository.mkdir(parents=True, exist_ok=True)
    _git(repository, "init", "--bare", "--quiet")
    _git(
        repository,
        *("fetch", "--depth=1", "--no-tags", "--quiet", "--", spec.target, spec.version or "HEAD"),
        protocols="https:http:ssh:git:file",
        timeout_s=_FETCH_S,
    )
    (repository / "fetched").touch()
    return repository


def stated_provenance(spec: Spec, repository: Path, commit: str) -> Provenance:
    """Return a commit's dates, and the repository's address and branch where it tells them.

    Args:
        spec: What was asked for; its address counts where it is one.
        repository: The repository on this machine.
        commit: The commit.
    """
    authored, _, committed = _git(repository, "show", "-s", "--format=%at %ct", commit).decode().strip().partition(" ")
    address, branch = spec.target, None
    if repository == Path(spec.target):
        address = _asked(repository, "config", "--get", "remote.origin.url")
        if not spec.version:
            branch = _asked(repository, "symbolic-ref", "--quiet", "HEAD") or None
    return Provenance(
        repo_url=web_address(address),
        branch_name=branch,
        revision_date=instant(int(authored)) if authored.lstrip("-").isdigit() else None,
        committer_date=instant(int(committed)) if committed.lstrip("-").isdigit() else None,
    )


def _asked(repository: Path, *question: str) -> str:
    try:
        return _git(repository, *question).decode("utf-8", "replace").strip()
    except OSError:
        return ""  # no such setting, or a HEAD on no branch


@contextmanager
def git_tree(origins: Sequence[Path], revision: str) -> Iterator[Tree]:
    """List a commit's files, and read them through one `git cat-file`."""
    repository = origins[0]
    sizes: dict[str, int] = {}
    blobs: dict[str, str] = {}
    skipped: list[Skipped] = []
    for row in _git(repository, "ls-tree", "-r", "-z", "--long", "--full-tree", revision).split(b"\0"):
        if not row:
            continue
        meta, _, raw_path = row.partition(b"\t")
        mode, kind, blob, size = meta.split()
        path = raw_path.decode("utf-8", "surrogateescape")
        length = int(size) if size.isdigit() else 0
        reason = "submodule" if kind == b"commit" else "symlink" if mode == b"120000" else ""
        if not reason and (not is_text(path) or safe_path(path) != path):
            reason = "unsafe_path"
        if not reason and length > MAX_FILE_BYTES:
            reason = "too_large"
        if not reason and not size.isdigit():
            reason = "missing_object"  # of a partial clone: it was never fetched
        if not reason and path in sizes:
            reason = "duplicate_path"  # only in a tree that no git would write
        if reason:
            skipped.append(Skipped(shown(path), length, reason))
        else:
            sizes[path], blobs[path] = length, blob.decode()
    with subprocess.Popen(
        ["git", "-c", "safe.directory=*", "-C", str(repository), "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment("none"),
    ) as process:
        given, answer = process.stdin, process.stdout
        assert given is not None
        assert answer is not None

        def read(path: str) -> Iterator[RawFile | Skipped]:
            given.write(f"{blobs[path]}\n".encode())
            given.flush()
            header = answer.readline().split()
            if len(header) != 3:
                raise OSError(f"{path}: git has no object {blobs[path]}; run `git fsck` there")
            data = answer.read(int(header[2]))
            answer.read(1)
            yield plain(path, data)

        try:
            yield Tree({path: sizes[path] for path in sorted(sizes)}, tuple(skipped), read)
        finally:
            given.close()
