"""Next runs in a report: what further runs, for as much as those made, would do for the decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from analysis import laws
from analysis.next_runs import next_runs
from analysis.report.numbers import scientific, short
from analysis.report.reading import Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import Column, source_column, table

SHARE_OF_COST = 1.0
"""Runs are sought for this multiple of what the finished runs cost."""


def question_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an allocation was asked for, as `analysis.next_runs.next_runs` takes it."""
    beside = {source: share for source, share in answer["shares"].items() if source not in answer["weights"] and share}
    return {
        "tokens": answer["budget"],
        "params": answer["params"],
        "supply": answer["supply"],
        "weights": answer["weights"],
        "max_epochs": answer["max_epochs"] or 4.0,
        "floors": answer.get("floors") or None,
        "fixed": {**answer.get("fixed", {}), **beside} or None,
        "transfer": answer.get("transfer"),
    }


def next_section(reading: Reading) -> Section:
    """Return the section on which runs to make next."""
    title = "Next runs"
    missing = lacking(reading, "runs", "laws", "allocation")
    if missing:
        return Section("next", title, Markup(""), missing)
    fits, answer, runs = reading.fits(), reading.allocation(), reading.ask("report_runs")
    why = ""
    if unusable := laws.unusable(fits[0]["law"]):
        why = f"Further runs are judged by laws of N and D: {unusable}."
    elif not all(fit["draws"] for fit in fits):
        why = (
            "The laws come without draws, so what further runs would tell cannot be judged; fit them with --bootstrap"
            " 200."
        )
    if why:
        return Section("next", title, render("next.html", found=None, why=why, runs=runs, table="", where_fits=None))
    budget = SHARE_OF_COST * sum(row["flops"] for row in runs.records() if row["status"] == "finished")
    found = next_runs(fits, budget=budget, **question_of(answer))
    columns = [
        source_column("mixture", "Trained on"),
        Column("size", "Size"),
        Column("params", "N", short, numeric=True),
        Column("tokens", "Tokens", short, numeric=True),
        Column("flops", "FLOPs", scientific, numeric=True, total=True),
        Column("regret_before", "Regret before", scientific, numeric=True),
        Column("regret_after", "after", scientific, numeric=True),
    ]
    rows: list[dict[str, Any]] = found["runs"]
    drawn = table(rows, columns, caption="Runs to make next, in this order") if rows else Markup("")
    body = render("next.html", found=found, runs=runs, table=drawn, where_fits=reading.ask("report_fits"))
    return Section("next", title, body)
