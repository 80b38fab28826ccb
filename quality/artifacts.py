"""What a finished artifact is: a folder whose `manifest.json` was written last, and moved into place whole.

`creating` is the only way an artifact comes to be: work happens in a hidden sibling folder, the manifest is written
when the work is done, and one rename publishes it. A kill at any moment leaves either nothing at the final path or the
artifact that was there before. A stage that can resume keeps its hidden folder between tries (`resume=True`); the
folder remembers which identity it was started for, and is thrown away when that differs.

An identity is a JSON value that holds everything the result depends on; its `fingerprint` stands in the manifest.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from quality.mistakes import BadInput, Mistake, Stale, bad_input
from quality.progress import say

MANIFEST = "manifest.json"
_IDENTITY = ".identity.json"


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: The value holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def fingerprint(identity: Any) -> str:
    """Return the SHA-256 (64 hex digits) of the canonical JSON of an identity."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        error.filename = str(path)  # a disk that is full names none
        raise


@dataclass
class Draft:
    """An artifact being made.

    Args:
        path: The hidden folder to write into.
        counts: What was counted, raw; goes into the manifest.
        details: Anything else that belongs into the manifest at top level (a shard manifest's fields, say).
    """

    path: Path
    counts: dict[str, Any] = field(default_factory=dict[str, Any])
    details: dict[str, Any] = field(default_factory=dict[str, Any])


def check_writable(path: Path | str) -> None:
    """Check that a file or folder can be made at `path`, leaving nothing behind.

    Raises:
        BadInput: It has no name, what lies above it is not a folder, or nothing can be made there.
    """
    path = Path(path)
    if path.name in ("", ".."):
        bad_input(path, "is no name of a file or folder to make; name one")
    above = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not above.is_dir():
        bad_input(path, f"cannot be made: {above} is not a folder; name another place")
    try:
        with suppress(FileNotFoundError):
            (above / f".{path.name}.partial").lstat()  # as long as the name becomes while it is made
        # Rights alone do not tell: root has them all, also where the kernel lets nobody make a file.
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        bad_input(path, f"cannot be made: {above}: {error.strerror}; name another place")


def check_file(path: Path | str) -> None:
    """Check that a file can be written at `path`, leaving nothing behind; long work asks before it starts.

    Raises:
        BadInput: A folder or a device is there, or no file can be made.
    """
    if Path(path).exists() and not Path(path).is_file():
        bad_input(path, f"is {'a folder' if Path(path).is_dir() else 'no plain file'}; name the file to write")
    check_writable(path)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises:
        BadInput: It cannot be made, or a file has its name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        bad_input(folder, f"cannot be made: {error.strerror}; name another place")


def check_place(folder: Path | str, kind: str) -> None:
    """Check that an artifact can be made at `folder`, without touching it; long work asks before it starts.

    Args:
        folder: The final path.
        kind: The kind that is to be made.

    Raises:
        BadInput: Something else is there, also an artifact of another kind, or no folder can be made there.
    """
    folder = Path(folder)
    if (folder / MANIFEST).is_file():
        found = _kind_of(folder)
        if found is not None and found != kind:
            bad_input(
                folder, f"holds a {found!r}, which a {kind!r} would replace; name a new folder or remove this one"
            )
    elif os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        bad_input(folder, "exists and is not an artifact of polymix; name a new folder or remove this one")
    check_writable(folder)


def _kind_of(folder: Path) -> str | None:
    """Return what a finished artifact is, or None where its manifest is damaged and does not say."""
    try:
        return read_manifest(folder)["kind"]
    except BadInput:
        return None


@contextmanager
def creating(
    folder: Path | str,
    kind: str,
    identity: Mapping[str, Any],
    *,
    command: str = "",
    resume: bool = False,
    replace: bool = True,
) -> Iterator[Draft]:
    """Make an artifact at `folder`; it appears there only if the block ends without an exception.

    Args:
        folder: The final path. An artifact of the kind that is already there is replaced at the end, as a whole; where
            it was made of something else, that is said, unless `replace` forbids it.
        kind: `corpus`, `pairs`, `tokens`, `shards`, `runs`, `laws`, `allocation` ...
        identity: Everything the result depends on, as JSON.
        command: The command line that makes it again.
        resume: Keep the hidden folder after a failure or a kill, and reuse it for the same identity.
        replace: Whether one that is there already, made of something else, may be replaced.

    Yields:
        The draft: write files below `draft.path`, fill `draft.counts` and `draft.details`.

    Raises:
        BadInput: `folder` exists and is not an artifact of this kind (nothing else is overwritten), it cannot be made,
            or another process is making it.
        Stale: One that was made of something else is there, and `replace` does not allow it.
    """
    folder = Path(folder)
    check_place(folder, kind)
    if not replace:
        finished(folder, kind, identity)
    draft_path = folder.with_name(f".{folder.name}.draft")
    own = canonical_json({"kind": kind, "identity": identity})
    remembered = draft_path / _IDENTITY
    ours = False
    with ExitStack() as held:
        try:
            with _making(folder):
                make_folder(folder.parent)
                if draft_path.is_dir():
                    held.enter_context(_held(draft_path, folder))
                    ours = True
                if not (resume and remembered.is_file() and remembered.read_text() == own):
                    shutil.rmtree(draft_path, ignore_errors=True)
                    draft_path.mkdir()
                    ours = True
                    held.enter_context(_held(draft_path, folder))
                    write_atomically(remembered, own)
            draft = Draft(draft_path)
            yield draft
            _publish(draft, folder, kind, identity, command)
        except BaseException as error:
            if ours and not resume:
                shutil.rmtree(draft_path, ignore_errors=True)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(folder)
            raise


@contextmanager
def _making(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        bad_input(folder, f"cannot be made: {error.strerror}; name another place")


@contextmanager
def _held(draft: Path, folder: Path) -> Iterator[None]:
    """Hold a draft for this process, so that a second one does not take it away."""
    descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            bad_input(folder, "another polymix process is making this; wait for it, end it, or name another folder")
        yield
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a folder, or the link that stands for one in another place (which stays)."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _fingerprint_of(folder: Path) -> str | None:
    try:
        return json.loads((folder / MANIFEST).read_text())["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _publish(draft: Draft, folder: Path, kind: str, identity: Mapping[str, Any], command: str) -> None:
    manifest = {
        "kind": kind,
        "fingerprint": fingerprint(identity),
        "identity": identity,
        "command": command,
        "counts": draft.counts,
        **draft.details,
    }
    write_atomically(draft.path / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        if _fingerprint_of(folder) not in (None, manifest["fingerprint"]):
            say(f"{folder}: the {kind} that was there, made of other inputs or settings, is replaced")
        _remove(old)
        if _exchange(draft.path, folder):
            draft.path.rename(old)
        else:
            folder.rename(old)
            draft.path.rename(folder)
        _remove(old)
    else:
        draft.path.rename(folder)
    # Last: a draft without it would be thrown away by the next try, with all that was done.
    (folder / _IDENTITY).unlink(missing_ok=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step, so that there is something at both at all times; False if that fails."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    # Source: renameat2(2); AT_FDCWD is -100, RENAME_EXCHANGE 2. Some file systems cannot do it.
    return renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0


def finished(
    folder: Path | str,
    kind: str,
    identity: Mapping[str, Any],
    *,
    replace: bool = False,
    instead: str = "name another --out, or give --replace",
) -> bool:
    """Say whether an artifact is there that was made of this.

    Args:
        folder: Its folder.
        kind: Its kind.
        identity: Everything the result depends on, as JSON.
        replace: One that was made of something else may be replaced.
        instead: What to do where it may not.

    Raises:
        Stale: One that was made of something else is there, and is to be kept; each field that differs is named.
    """
    if not (Path(folder) / MANIFEST).is_file():
        return False
    manifest = read_manifest(folder, kind)
    if manifest["fingerprint"] == fingerprint(identity):
        return True
    if not replace:
        told = list(differences(manifest.get("identity"), json.loads(canonical_json(identity))))
        mistakes = [Mistake(str(folder), field) for field in told]
        raise Stale([*mistakes, Mistake("stale", f"the {kind} there are kept; {instead}")])
    return False


def differences(old: Any, new: Any, at: str = "", *, now: str = "asked for is") -> Iterator[str]:
    """Yield `field: made with OLD, asked for is NEW` for every leaf that differs.

    Args:
        old: What something was made with, as JSON.
        new: What is asked for, as JSON.
        at: Where the two stand.
        now: Words before what is asked for.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast(dict[str, Any], old), cast(dict[str, Any], new)
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), f"{at}.{key}" if at else key, now=now)
    elif isinstance(old, list) and isinstance(new, list) and len(cast(list[Any], old)) == len(cast(list[Any], new)):
        for i, (one, other) in enumerate(zip(cast(list[Any], old), cast(list[Any], new), strict=True)):
            yield from differences(one, other, f"{at}[{i}]", now=now)
    elif old != new:
        yield f"{at}: made with {_short(old)}, {now} {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_manifest(folder: Path | str, kind: str | None = None) -> dict[str, Any]:
    """Return the manifest of a finished artifact.

    Args:
        folder: The artifact's folder.
        kind: The kind it must have, or None for any.

    Raises:
        BadInput: There is no finished artifact of that kind.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        bad_input(folder, f"no finished {kind or 'artifact'} here ({MANIFEST} is missing); run the step that makes it")
    again = f"the file was damaged after it was written: remove {folder} and make it again"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        bad_input(path, f"not JSON ({error}); {again}")
    if not isinstance(manifest, dict):
        bad_input(path, f"not a JSON object; {again}")
    found = cast(dict[str, Any], manifest)
    if kind is not None and found.get("kind", kind) != kind:
        bad_input(path, f"holds a {found['kind']!r}, but a {kind!r} is needed here")
    missing = [key for key in ("kind", "fingerprint") if not isinstance(found.get(key), str)]
    if missing:
        bad_input(path, f"has no {', '.join(missing)}; {again}")
    return found
