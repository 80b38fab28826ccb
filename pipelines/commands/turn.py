"""`polymix turn`."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.commands.options import SOURCE_PLACES, STORE, source_places


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("study", type=click.Path(path_type=Path))
@STORE
@SOURCE_PLACES
@click.option("--cache", type=click.Path(path_type=Path), help="Where downloads are kept.")
@click.option("--redo", multiple=True, metavar="STAGE", help="Make this stage and all that depends on it again.")
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
@click.option(
    "--next", "next_turn", is_flag=True, help="Start the next turn, from the allocation that the last one found."
)
def command(
    study: Path,
    store: Path,
    source: tuple[str, ...],
    cache: Path | None,
    redo: tuple[str, ...],
    until: str | None,
    next_turn: bool,
) -> None:
    """Run all stages of STUDY: corpus, pairs, tokens, shards, runs, laws, allocation, report.

    Where the study compares ways of pairing (sweep.pairing) there is `parted` before the shards, and where it has an
    [evaluation] table, `evaluation`.

    A finished stage is skipped while the study says what it was made from, and refused (exit 3, with the fields that
    differ) when it does not, until --redo names it. A stage that was stopped goes on or starts again. Nothing that is
    half done counts as done.

    \b
    Examples:
      polymix turn study.toml --store runs/
      polymix turn study.toml --store runs/ --redo corpus
      polymix turn study.toml --store runs/ --source internal=/data/code --until pairs
      polymix turn study.toml --store runs/ --next
    """
    from pipelines.console import emit
    from pipelines.turn import turn

    emit(turn(study, store, sources=source_places(source), cache=cache, redo=redo, until=until, next_turn=next_turn))
