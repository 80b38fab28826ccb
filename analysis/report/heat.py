"""Heat maps of a report: a table of targets and auxiliaries whose cells are the stronger the larger their values.

What always holds: the number stands in the cell with its sign, so that nothing is said by colour alone; gains and
losses have the two ends of a scale that stays apart in every common kind of colour blindness (blue and orange).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from analysis.report.numbers import NOTHING, Show
from analysis.report.tables import name_of, swatch

Cell = Mapping[str, Any]


def heat_map(
    languages: Sequence[str],
    cell: Callable[[str, str], Cell | None],
    *,
    value: str,
    show: Show,
    caption: str,
    title: Callable[[Cell], str],
    sure: Callable[[Cell], bool | None],
) -> Markup:
    """Return a matrix, targets as rows.

    Args:
        languages: In order.
        cell: Target and auxiliary to what is known of them, or None.
        value: The key of a cell's number.
        show: How it is written.
        caption: What the matrix shows.
        title: What a pointer resting on a cell shows.
        sure: Whether a cell differs from nothing after multiple testing; None where that is not known.
    """
    known = [found[value] for a in languages for b in languages if (found := cell(a, b)) and found[value] is not None]
    most = max((abs(number) for number in known), default=1.0) or 1.0

    def drawn(target: str, other: str) -> Markup:
        found = cell(target, other)
        if found is None or found[value] is None:
            return Markup('<td class="numeric">{}</td>').format("" if target == other else NOTHING)
        number = float(found[value])
        certain = sure(found)
        return Markup(
            '<td class="numeric heat-cell {}{}" style="--heat:{}" title="{}"><data value="{}">{}</data>{}</td>'
        ).format(
            "gain" if number > 0 else "harm",
            "" if certain is not False else " unsure",
            f"{math.sqrt(abs(number) / most):.2f}",
            title(found),
            repr(number),
            show(number),
            Markup('<b aria-label="differs from nothing">*</b>') if certain else "",
        )

    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name_of(name)) for name in languages)
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            swatch(target), Markup("").join(drawn(target, other) for other in languages)
        )
        for target in languages
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{}"><table class="matrix"><caption>{}</caption>'
        '<thead><tr><th scope="col">target, with</th>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(caption, caption, head, rows)
