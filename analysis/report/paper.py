"""The paper in a report: which of its statements its own tables bear out, with the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from analysis.paper import FAILS, HOLDS, degenerate_optima, paper, synergy_table
from analysis.published import TABLES
from analysis.report.heat import heat_map
from analysis.report.numbers import percent
from analysis.report.reading import Reading
from analysis.report.section import Section, render
from analysis.report.tables import Column, name_of, table
from analysis.report.transfer import signed_percent
from analysis.significance import FALSE_DISCOVERY_RATE


def paper_section(reading: Reading) -> Section:
    """Return the section that checks the paper; it needs nothing of the turn."""
    del reading
    findings = paper()
    body = render(
        "paper.html",
        findings=_findings_table(findings),
        holds=sum(one["verdict"] == HOLDS for one in findings),
        fails=sum(one["verdict"] == FAILS for one in findings),
        number=len(findings),
        map=_map(),
        sources=[(name, row.source, row.note) for name, row in TABLES.items()],
        optima=degenerate_optima(),
    )
    return Section("paper", "The paper, checked", body)


def _findings_table(findings: list[dict[str, Any]]) -> Markup:
    def verdict(row: Mapping[str, Any]) -> Markup:
        sign = {HOLDS: "✓", FAILS: "✗"}.get(row["verdict"], "?")
        return Markup('<span class="nowrap">{} {}</span>').format(sign, row["verdict"])

    columns = [
        Column("place", "Where"),
        Column("claim", "What it says"),
        Column("verdict", "Its own tables", cell=verdict),
        Column("words", "What was found"),
    ]
    return table(findings, columns, caption="Statements of arXiv 2512.13472, checked against its tables")


def _map() -> Markup:
    found = synergy_table()
    languages: list[str] = found["languages"]
    cells = {
        (target, other): {"value": found["relative"][i][j], "q": found["q_values"][i][j], "loss": found["losses"][i][j]}
        for i, target in enumerate(languages)
        for j, other in enumerate(languages)
    }
    names = {(target, other): f"{name_of(target)} with {name_of(other)}" for target, other in cells}
    titled = {key: {**cell, "name": names[key]} for key, cell in cells.items()}
    return heat_map(
        languages,
        lambda target, other: titled[target, other],
        value="value",
        show=signed_percent,
        caption="Table 1 with its columns put right: gain of the target (rows) over itself twice",
        title=lambda cell: f"{cell['name']}: loss {cell['loss']:.4f}, gain {percent(cell['value'])}, q {cell['q']:.2g}",
        sure=lambda cell: cell["q"] < FALSE_DISCOVERY_RATE,
    )
