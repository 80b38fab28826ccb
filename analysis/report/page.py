"""One self-contained page of a turn: `report` reads the artifacts, asks the SQL, and writes the HTML.

Start at `report`. What always holds: the same artifacts give the same bytes; the page loads nothing, and a policy in
its head forbids it to; every table and chart says where its figures come from; a section whose artifact is missing says
which command makes it; the file appears whole or not at all.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from analysis.report.answer import answer_section
from analysis.report.corpus import corpus_section
from analysis.report.laws import laws_section
from analysis.report.next_runs import next_section
from analysis.report.pairs import pairs_section
from analysis.report.paper import paper_section
from analysis.report.provenance import provenance_section
from analysis.report.reading import Reading, reading
from analysis.report.section import render
from analysis.report.training import training_section
from analysis.report.transfer import transfer_section
from analysis.report.whatif import whatif_section
from quality.artifacts import check_file, make_folder, write_atomically
from quality.mistakes import bad_input

SECTIONS = (
    answer_section,
    whatif_section,
    corpus_section,
    pairs_section,
    training_section,
    transfer_section,
    laws_section,
    next_section,
    paper_section,
    provenance_section,
)


def report(store: Path | str, out: Path | str) -> Path:
    """Write one self-contained HTML page of a turn.

    Args:
        store: A turn folder, a study folder (its latest turn), or a store with one study.
        out: The HTML file; a page that is there is replaced, nothing else.

    Returns:
        The path of the page.

    Raises:
        BadInput: There is no turn, a file of it is damaged, or `out` cannot be a file or is one that is no page.
    """
    out = Path(out)
    check_file(out)
    _refuse_what_is_no_page(out)
    with reading(store) as turn:
        page = render_page(turn)
    make_folder(out.parent)
    write_atomically(out, page)
    return out


def _refuse_what_is_no_page(out: Path) -> None:
    if not out.exists():
        return
    with out.open("rb") as stream:
        start = stream.read(64).lstrip().lower()
    if start and not start.startswith((b"<!doctype html", b"<html")):
        bad_input(out, "is there and no HTML page, so it is not replaced; name another file")


def render_page(turn: Reading) -> str:
    """Return the page of an open turn.

    Raises:
        BadInput: Files of the turn are damaged: all of them are named.
    """
    turn.check()
    sections = [section(turn) for section in SECTIONS]
    title = f"{turn.study}, turn {turn.turn}" if turn.turn else turn.study
    script = f"\n{_own('page.js')}\n"
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return str(
        render(
            "page.html",
            title=title,
            version=version("polymix"),
            sections=sections,
            style=Markup(style()),
            script=Markup(script),
            script_hash=f"sha256-{script_hash}",
        )
    )


def style() -> str:
    """Return the style sheet of the page."""
    return _own("page.css")


def _own(name: str) -> str:
    return files("analysis.report").joinpath(name).read_text(encoding="utf-8")
