"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path

import click

from quality.mistakes import BadInput, Mistake

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
