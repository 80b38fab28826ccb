"""`polymix status`."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.commands.options import SOURCE_PLACES, STORE, source_places


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("study", type=click.Path(path_type=Path))
@STORE
@SOURCE_PLACES
@click.option("--turn", "number", type=int, help="Which turn; the last one where it is not said.")
def command(study: Path, store: Path, source: tuple[str, ...], number: int | None) -> None:
    """Say for every stage of STUDY whether it is done, stale, partial or missing.

    Nothing is run. A stale stage names the fields in which the study differs from what the stage was made from.

    \b
    Example:
      polymix status study.toml --store runs/
    """
    from pipelines.console import emit
    from pipelines.turn import status

    emit(status(study, store, sources=source_places(source), number=number))
