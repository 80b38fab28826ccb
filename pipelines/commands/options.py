"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quality.mistakes import BadInput, Mistake

if TYPE_CHECKING:
    from pipelines.corpus import Streaming


STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("store"),
    show_default=True,
    help="The store's root folder.",
)
SOURCE_PLACES = click.option(
    "--source", multiple=True, metavar="NAME=URI", help="Where a source of the study lies on this machine."
)


def source_places(options: tuple[str, ...]) -> dict[str, str]:
    """Return source name to place.

    Raises:
        BadInput: An option has no `=`.
    """
    wrong = [Mistake("--source", f"{option!r} is not NAME=URI") for option in options if "=" not in option]
    if wrong:
        raise BadInput(wrong)
    return {name: place for name, _, place in (option.partition("=") for option in options)}


def streaming_of(streaming: str | None, workers: int | None, partition: str | None, time: str) -> Streaming | None:
    """Return how datatrove runs what looks at one file at a time, or None where it does not.

    Raises:
        BadInput: Options that do not go together.
    """
    from pipelines.corpus import Streaming

    mistakes = [
        Mistake(option, f"means something with --streaming {needed} only")
        for option, value, needed in (
            ("--workers", workers, "local or slurm"),
            ("--slurm-partition", partition, "slurm"),
        )
        if value is not None and (streaming is None or (needed == "slurm" and streaming != "slurm"))
    ]
    if streaming == "slurm" and partition is None:
        mistakes.append(Mistake("--slurm-partition", "name the partition that the tasks run in (see `sinfo`)"))
    if mistakes:
        raise BadInput(mistakes)
    if streaming is None:
        return None
    if partition is None:
        return Streaming(workers)
    from pipelines.streaming import Slurm

    return Streaming(workers, Slurm(partition, time))
