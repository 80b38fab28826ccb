"""`polymix show`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--token",
    "tokens",
    type=int,
    multiple=True,
    metavar="N",
    help="Of shards: print the document, repository and licence of token N (from 0, over all shards). May be repeated.",
)
def command(artifact: Path, tokens: tuple[int, ...]) -> None:
    """Print where an artifact came from and what it counts, or where tokens of shards came from.

    ARTIFACT is a folder that a verb or a turn made (it holds a manifest.json).

    \b
    Examples:
      polymix show store/demo/0/corpus
      polymix show store/demo/0/pairs | jq .counts
      polymix show shards/ --token 1048576 | jq .document
    """
    from pipelines.show import show

    show(artifact, tokens)
