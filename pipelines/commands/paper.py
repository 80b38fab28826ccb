"""`polymix paper`: the paper on scaling laws for code, recomputed from its own tables."""

from __future__ import annotations

import sys
from typing import Any

import click


@click.command(short_help="what the paper's own tables bear out, and what they contradict")
def command() -> None:
    """Recompute what can be recomputed of *Scaling Laws for Code* (arXiv 2512.13472) from the tables it prints.

    Prints one JSON object a statement: name, place, claim, verdict (holds, does not hold, cannot be told), words,
    figures. Nothing is fitted or guessed: what the paper leaves open is drawn over a stated range.

    \b
    Examples
      polymix paper
      polymix paper | jq -r 'select(.verdict == "does not hold") | .words'
    """
    from analysis.paper import paper
    from pipelines.console import emit

    found = paper()
    emit([_row(one) for one in found] if sys.stdout.isatty() else found, title="arXiv 2512.13472, checked")


def _row(finding: dict[str, Any]) -> dict[str, Any]:
    return {name: finding[name] for name in ("place", "claim", "verdict", "words")}
