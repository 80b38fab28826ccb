"""A report's sections in a notebook: the same tables, charts and numbers as in the page.

Start at `figures`: `figures("store")["laws"]` shows a section where a notebook displays it. What always holds: a figure
is made by the function that makes the section of the page, so that the two cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from analysis.report.page import SECTIONS, style
from analysis.report.reading import reading


@dataclass(frozen=True)
class Figure:
    """One section of a report.

    Args:
        name: Its anchor in the page.
        title: Its heading.
        markup: Its body in HTML.
        rows: Query to the rows that the section asked for.
    """

    name: str
    title: str
    markup: Markup
    rows: dict[str, list[dict[str, Any]]] = field(repr=False)

    def _repr_html_(self) -> str:
        # Styles in a shadow root stay off the notebook's own page; what needs the page's script stands as it was read.
        return str(
            Markup(
                '<div><template shadowrootmode="open"><style>{}</style><main><section><h2>{}</h2>{}</section></main>'
                "</template></div>"
            ).format(Markup(style().replace(":root", ":host")), self.title, self.markup)
        )


def figures(store: Path | str) -> dict[str, Figure]:
    """Return all sections of a report by name.

    Args:
        store: A turn folder, a study folder (its latest turn), or a store with one study.

    Raises:
        BadInput: There is no turn, or a file of it is damaged.
    """
    found: dict[str, Figure] = {}
    with reading(store) as turn:
        turn.check()
        checked = dict(turn.answers)
        for make in SECTIONS:
            section = make(turn)
            asked = {name: answer.records() for name, answer in checked.items() if f"{name}.sql" in str(section.body)}
            found[section.name] = Figure(section.name, section.title, section.body, asked)
    return found
