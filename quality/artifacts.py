"""What a finished artifact is: a folder whose `manifest.json` was written last, and moved into place whole.

`creating` is the only way an artifact comes to be: work happens in a hidden sibling folder, the manifest is written
when the work is done, and one rename publishes it. A kill at any moment leaves either nothing at the final path or the
artifact that was there before. A stage that can resume keeps its hidden folder between tries (`resume=True`); the
folder remembers which identity it was started for, and is thrown away when that differs.

An identity is a JSON value that holds everything the result depends on; its `fingerprint` stands in the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from quality.mistakes import bad_input

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
    with partial.open("wb") as stream:
        stream.write(data.encode() if isinstance(data, str) else data)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


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


@contextmanager
def creating(
    folder: Path | str,
    kind: str,
    identity: Mapping[str, Any],
    *,
    command: str = "",
    resume: bool = False,
) -> Iterator[Draft]:
    """Make an artifact at `folder`; it appears there only if the block ends without an exception.

    Args:
        folder: The final path. An artifact that is already there is replaced at the end, as a whole.
        kind: `corpus`, `pairs`, `tokens`, `shards`, `runs`, `laws`, `allocation` ...
        identity: Everything the result depends on, as JSON.
        command: The command line that makes it again.
        resume: Keep the hidden folder after a failure or a kill, and reuse it for the same identity.

    Yields:
        The draft: write files below `draft.path`, fill `draft.counts` and `draft.details`.

    Raises:
        BadInput: `folder` exists and is not an artifact (nothing is overwritten).
    """
    folder = Path(folder)
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        bad_input(folder, "exists and is not an artifact of polymix; name a new folder or remove this one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft_path = folder.with_name(f".{folder.name}.draft")
    own = canonical_json({"kind": kind, "identity": identity})
    remembered = draft_path / _IDENTITY
    if not (resume and remembered.is_file() and remembered.read_text() == own):
        shutil.rmtree(draft_path, ignore_errors=True)
        draft_path.mkdir()
        write_atomically(remembered, own)
    draft = Draft(draft_path)
    try:
        yield draft
    except BaseException:
        if not resume:
            shutil.rmtree(draft_path, ignore_errors=True)
        raise
    remembered.unlink()
    manifest = {
        "kind": kind,
        "fingerprint": fingerprint(identity),
        "identity": identity,
        "command": command,
        "counts": draft.counts,
        **draft.details,
    }
    write_atomically(draft_path / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        draft_path.rename(folder)
        shutil.rmtree(old)
    else:
        draft_path.rename(folder)


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
    try:
        manifest = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        bad_input(path, f"not JSON ({error}); the file was damaged after it was written: make the artifact again")
    if not isinstance(manifest, dict):
        bad_input(path, "not a manifest: a JSON object is expected")
    found = cast(dict[str, Any], manifest)
    if kind is not None and found.get("kind") != kind:
        bad_input(path, f"holds a {found.get('kind')!r}, but a {kind!r} is needed here")
    return found
