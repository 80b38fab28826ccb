"""`polymix show`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", type=click.Path(path_type=Path))
def command(artifact: Path) -> None:
    """Print where an artifact came from and what it counts.

    ARTIFACT is a folder that a verb or a turn made (it holds a manifest.json).

    \b
    Examples:
      polymix show store/demo/0/corpus
      polymix show store/demo/0/pairs | jq .counts
    """
    from pipelines.show import show

    show(artifact)
