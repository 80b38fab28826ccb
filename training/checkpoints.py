"""Checkpoints on disk: sealed when they were written, checked before a run goes on from one or a model is made of it.

A checkpoint is a folder `step-<n>` of files, one or more a process; `.metadata` comes last and makes it one. Each
process then seals what it wrote: `.sha256-<rank>.json` holds the checksums of its files, so that a checkpoint costs the
reading of one's own part, however many processes there are. What always holds: a sealed file that changed since is
named, and nothing is made of it. A checkpoint whose process was killed before it could seal it is taken as it is.

No torch here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from quality.artifacts import file_sha256, write_atomically
from quality.mistakes import BadInput, Mistake, bad_input

_FINISHED = ".metadata"


def step_folder(checkpoints: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return checkpoints / f"step-{step}"


def step_folders(checkpoints: Path) -> list[Path]:
    """Return the checkpoints of a run by rising step, finished or not."""
    return sorted(checkpoints.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))


def seal(checkpoint: Path, rank: int) -> None:
    """Write down the checksums of the files that a process wrote; the first process wrote `.metadata`, too."""
    own = list(checkpoint.glob(f"__{rank}_*"))
    if rank == 0:
        own.append(checkpoint / _FINISHED)
    write_atomically(_seal(checkpoint, rank), json.dumps({path.name: file_sha256(path) for path in sorted(own)}) + "\n")


def is_sealed(checkpoint: Path, rank: int) -> bool:
    """Return whether a process has sealed its part of a checkpoint."""
    return _seal(checkpoint, rank).is_file()


def check_last(checkpoints: Path) -> None:
    """Check the checkpoint that a run would go on from, if there is any.

    Raises:
        BadInput: It was damaged since; every file is named.
    """
    finished = [folder for folder in step_folders(checkpoints) if (folder / _FINISHED).is_file()]
    if finished:
        check_seals(finished[-1], f"remove {finished[-1]}, and the same command goes on from the checkpoint before it")


def check_seals(checkpoint: Path, instead: str) -> None:
    """Check the files of a checkpoint.

    Args:
        checkpoint: Its folder.
        instead: What to do where one is damaged.

    Raises:
        BadInput: It is missing, or was damaged since it was sealed; every file is named.
    """
    if not checkpoint.is_dir():
        bad_input(checkpoint, f"missing; {instead}")
    wanted: dict[Path, str] = {}
    for path in sorted(checkpoint.glob(".sha256-*.json")):
        try:
            sums = json.loads(path.read_text(encoding="utf-8"))
            wanted |= {checkpoint / str(name): str(digest) for name, digest in sums.items()}
        except (ValueError, AttributeError):
            bad_input(path, f"damaged after it was written; {instead}")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        found = threads.map(lambda path: file_sha256(path) if path.is_file() else None, wanted)
        mistakes = list(_differing(zip(wanted.items(), found, strict=True), instead))
    if mistakes:
        raise BadInput(mistakes)


def _differing(files: Iterator[tuple[tuple[Path, str], str | None]], instead: str) -> Iterator[Mistake]:
    for (path, wanted), found in files:
        if found is None:
            yield Mistake(str(path), f"missing; {instead}")
        elif found != wanted:
            yield Mistake(str(path), f"damaged after it was written (its SHA-256 differs); {instead}")


def _seal(checkpoint: Path, rank: int) -> Path:
    return checkpoint / f".sha256-{rank}.json"
