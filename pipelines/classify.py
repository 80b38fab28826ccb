"""The language and kind of files on disk: `quality.classify` with the reading done."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.archives import MAX_FILE_BYTES
from pipelines.sources.files import shown as written
from quality.classify import Classification
from quality.classify import classify as classify_file
from quality.mistakes import BadInput, Mistake


def classify(paths: Sequence[Path | str], *, content_only: bool = False) -> Iterator[dict[str, Any]]:
    """Say of each file, and of each file below each folder, what it is.

    Args:
        paths: Files and folders. Folders are walked in order of names; `.git` and links are left out.
        content_only: Tell languages and kinds by what is in the files, whatever they are called.

    Returns:
        One row a file: `path, language` (None outside the registry)`, kind, confidence, reason, dialect`.

    Raises:
        BadInput: A path is missing or cannot be read, or a folder holds no file; all of them, before the first row.
    """
    found: list[tuple[Path, str]] = []
    mistakes: list[Mistake] = []
    for name, given in ((str(path), Path(path)) for path in paths):
        if not name:
            mistakes.append(Mistake("''", "an empty name; write . for the folder that you are in"))
        elif given.is_dir():
            below = sorted(_below(given))
            if not below:
                mistakes.append(Mistake(str(given), "holds no file; name a folder or a file with something in it"))
            # Folders above an absolute path belong to the machine, not to the code: `/srv/test/app` holds no tests.
            shown = given if not given.is_absolute() else Path(given.name)
            found += [(given / inner, (shown / inner).as_posix()) for inner in below]
        elif given.is_file():
            found.append((given, given.as_posix()))
        elif given.exists():
            mistakes.append(Mistake(str(given), "neither a file nor a folder"))
        else:
            mistakes.append(Mistake(str(given), "no such file or folder"))
    mistakes += [Mistake(str(file), "cannot be read") for file, _ in found if not os.access(file, os.R_OK)]
    if mistakes:
        raise BadInput(mistakes)
    return (_row(file, "" if content_only else seen_as) for file, seen_as in found)


def _below(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in names:
            file = Path(parent) / name
            if file.is_file() and not file.is_symlink():
                yield file.relative_to(folder).as_posix()


def _row(file: Path, seen_as: str) -> dict[str, Any]:
    size = file.stat().st_size
    if size > MAX_FILE_BYTES:
        verdict = Classification(None, "data", 0.9, f"{size} bytes: more than any source file has")
    else:
        verdict = classify_file(seen_as, file.read_bytes())
    return {
        "path": written(str(file)),
        "language": verdict.language,
        "kind": verdict.kind,
        "confidence": verdict.confidence,
        "reason": verdict.reason,
        "dialect": verdict.dialect,
    }
