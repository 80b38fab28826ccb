"""Transfer in a report: what pairs of languages gain against two baselines, with significance, and tau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from analysis import laws
from analysis.fit import LEVEL
from analysis.report.heat import heat_map
from analysis.report.laws import params_column
from analysis.report.numbers import percent, scientific, short
from analysis.report.reading import Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import Column, name_of, source_column, table
from analysis.significance import FALSE_DISCOVERY_RATE
from analysis.transfer import BASELINES, fit_tau, matrix_of, mixed_of, synergies
from quality.languages import LANGUAGES


def transfer_section(reading: Reading) -> Section:
    """Return the section on what languages gain from each other."""
    title = "Transfer between languages"
    missing = lacking(reading, "runs")
    if missing:
        return Section("transfer", title, Markup(""), missing)
    rows = reading.ask("report_mixtures")
    fits = reading.fits() if reading.has("laws") else []
    unit = "nats" if fits and fits[0]["unit"] == "nats" else "bits_per_byte"
    mixed = mixed_of(rows.records(), unit=unit, params=params_column(fits[0]) if fits else "params_non_embedding")
    found = synergies(mixed)
    languages = [
        name for name in LANGUAGES if any(name in (row["target"], row["auxiliary"]) for row in found["synergy"])
    ]
    tau: list[dict[str, Any]] = []
    words = list(found["words"])
    if fits and laws.unusable(fits[0]["law"]):
        words.append(f"tau belongs to laws of a language's own tokens: {fits[0]['law']} reads the whole mixture")
    elif fits and found["synergy"]:
        tau, more = fit_tau(mixed, fits, found["noise"], np.random.default_rng(0))
        words += more
    body = render(
        "transfer.html",
        rows=rows,
        words=[f"{word[:1].upper()}{word[1:]}." for word in words],
        maps=[
            (name, about, _synergy_map(languages, matrix_of(found["synergy"], name)))
            for name, about in BASELINES.items()
            if any(row["baseline"] == name for row in found["synergy"])
        ],
        noise=found["noise"],
        rate=FALSE_DISCOVERY_RATE,
        tau_table=_tau_table(tau),
        tau=tau,
        level=LEVEL,
        synergy_table=_synergy_table(found["synergy"]),
        number=len(found["synergy"]),
    )
    return Section("transfer", title, body)


def _synergy_map(languages: Sequence[str], cells: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Markup:
    def title(cell: Mapping[str, Any]) -> str:
        words = f"{name_of(cell['target'])} with {name_of(cell['auxiliary'])}: {percent(cell['relative'])} of the loss"
        if cell["interval"]:
            words += (
                f", 95% interval {percent(cell['interval'][0])} to {percent(cell['interval'][1])}, q {cell['q']:.2g}"
            )
        return f"{words}; {short(cell['tokens'])} tokens, {percent(cell['share'])} target"

    return heat_map(
        languages,
        lambda target, other: cells.get(target, {}).get(other),
        value="relative",
        show=signed_percent,
        caption="Gain of the target (rows) from each auxiliary (columns), part of the baseline's loss",
        title=title,
        sure=lambda cell: None if cell["q"] is None else cell["q"] < FALSE_DISCOVERY_RATE,
    )


def signed_percent(value: float | None) -> str:
    """Write a fraction in per cent with its sign: `+1.2 %`."""
    if value is None:
        return percent(value)
    return ("+" if value > 0 else "") + percent(value)


def _synergy_table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    columns = [
        source_column("target", "Target"),
        source_column("auxiliary", "With"),
        Column("baseline", "Baseline"),
        Column("share", "Target's share", percent, numeric=True),
        Column("tokens", "Tokens", short, numeric=True),
        Column("relative", "Gain", signed_percent, numeric=True),
        Column("low", "95% from", signed_percent, numeric=True),
        Column("high", "to", signed_percent, numeric=True),
        Column("q", "q", scientific, numeric=True, explain="false discovery rate at which this counts as real"),
        Column("verdict", "Verdict"),
    ]
    return table([_ends(row) for row in rows], columns, caption="All comparisons")


def _tau_table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    columns = [
        source_column("target", "Target"),
        source_column("auxiliary", "With"),
        Column("tau", "tau", scientific, numeric=True, explain="target tokens that a token of the auxiliary is worth"),
        Column("low", "95% from", scientific, numeric=True),
        Column("high", "to", scientific, numeric=True),
        Column("q", "q", scientific, numeric=True),
        Column("runs", "Runs", numeric=True),
        Column("identified", "Determined", lambda value: "yes" if value else "no"),
    ]
    return table([_ends(row) for row in rows], columns, caption="What a token of each language is worth to another")


def _ends(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = row["interval"] or (None, None)
    return {**row, "low": low, "high": high}
