"""`polymix report`: one self-contained page of a store."""

from __future__ import annotations

import click

from pipelines.console import emit


@click.command("report")
@click.argument("store", metavar="STORE")
@click.option("--out", required=True, metavar="FILE", help="The HTML file to write; a page that is there is replaced.")
def command(store: str, out: str) -> None:
    """One self-contained HTML page of a turn: the answer, and every figure behind it with where it came from.

    STORE is a turn folder (with corpus/, pairs/, runs/ ... in it, as far as they are made), a study folder (its latest
    turn is taken) or a store that holds one study. What a turn lacks is named in the page with the command that makes
    it, so a page can be made as soon as there is a corpus.

    \b
    Examples:
      polymix report store --out report.html
      polymix report store/demo/0 --out turn0.html
      mkdir mine && polymix build src/ --out mine/corpus && polymix report mine --out corpus.html

    Prints one JSON object: the turn it read, the file, its size, and which artifacts were there.
    """
    from analysis.report.page import report
    from analysis.report.reading import find_turn, reading

    turn = find_turn(store)
    path = report(turn, out)
    with reading(turn) as opened:
        states = {kind: artifact.state for kind, artifact in opened.artifacts.items()}
    emit([{"turn": str(turn), "report": str(path), "bytes": path.stat().st_size, "artifacts": states}])
