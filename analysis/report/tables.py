"""Tables of a report: every cell carries the value it was given, so what is shown can be checked against the files.

A `table` of an `Answer` names its query in `data-query`; its cells name their column in `data-column`. Everything is
escaped here or by the template engine: text out of mined code and file names is never markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from analysis.report.numbers import Show, exact, text
from quality.languages import LANGUAGES

PALETTE_SIZE = 8
OUTSIDE = "outside"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: The field of the row.
        heading: What stands above it.
        show: How a value is written.
        numeric: Aligned to the right, sorted by value.
        explain: What a pointer resting on the heading shows.
        cell: Replaces `show`: markup from the whole row.
        total: The column is summed in the last row.
    """

    name: str
    heading: str
    show: Show = text
    numeric: bool = False
    explain: str = ""
    cell: Callable[[Mapping[str, Any]], Markup] | None = None
    total: bool = False


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    *,
    query: str = "",
    caption: str = "",
    footer: Markup | None = None,
) -> Markup:
    """Return a table that can be sorted by its headings.

    Args:
        rows: One mapping a row.
        columns: What to show, from left to right.
        query: The SQL file whose rows these are, where they are so unchanged.
        caption: What the table shows.
        footer: Rows below the body, as markup; without it columns with `total` are summed.
    """
    heads = Markup("").join(
        Markup('<th scope="col"{}{}>{}</th>').format(
            Markup(' class="numeric"') if column.numeric else "",
            Markup(' title="{}"').format(column.explain) if column.explain else "",
            column.heading,
        )
        for column in columns
    )
    body = Markup("\n").join(
        Markup("<tr>{}</tr>").format(Markup("").join(_cell(row, column) for column in columns)) for row in rows
    )
    if footer is None:
        footer = _totals(rows, columns)
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{}"><table{}>{}<thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody>{}</table></div>"
    ).format(
        caption or query or "table",
        Markup(' data-query="{}"').format(query) if query else "",
        Markup("<caption>{}</caption>").format(caption) if caption else "",
        heads,
        body,
        Markup("<tfoot>{}</tfoot>").format(footer) if footer else "",
    )


def _cell(row: Mapping[str, Any], column: Column) -> Markup:
    value = row.get(column.name)
    inside = column.cell(row) if column.cell is not None else exact(value, column.show)
    sort = Markup(' data-sort="{}"').format(value) if value is not None else Markup("")
    return Markup('<td data-column="{}"{}{}>{}</td>').format(
        column.name, sort, Markup(' class="numeric"') if column.numeric else "", inside
    )


def _totals(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Markup:
    if len(rows) < 2 or not any(column.total for column in columns):
        return Markup("")
    cells: list[Markup] = []
    for place, column in enumerate(columns):
        if column.total:
            total = sum(row.get(column.name) or 0 for row in rows)
            cells.append(Markup('<td class="numeric">{}</td>').format(exact(total, column.show)))
        else:
            cells.append(Markup("<td>{}</td>").format("together" if place == 0 else ""))
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def name_of(source: str) -> str:
    """Return the name people read for a source: `C#`, `Python with Go`, `outside the registry`."""
    if source == OUTSIDE:
        return "outside the registry"
    if source.startswith("pair:"):
        return " with ".join(name_of(side) for side in source.removeprefix("pair:").split("-"))
    row = LANGUAGES.get(source)
    return row.name if row else source


def colour_of(source: str) -> str:
    """Return the CSS value of a source's one colour; parallel documents have that of their last language."""
    language = source.removeprefix("pair:").split("-")[-1] if source.startswith("pair:") else source
    if language not in LANGUAGES:
        return "var(--source-other)"
    return f"var(--source-{list(LANGUAGES).index(language) % PALETTE_SIZE})"


def swatch(source: str) -> Markup:
    """Return a source's name with its colour before it."""
    return Markup('<span class="source{}" style="--source:{}">{}</span>').format(
        " paired" if source.startswith("pair:") else "", colour_of(source), name_of(source)
    )


def source_column(name: str = "language", heading: str = "Language") -> Column:
    """Return a column of sources with their colours."""
    return Column(name, heading, cell=lambda row: swatch(str(row[name])) if row.get(name) else escape(""))
