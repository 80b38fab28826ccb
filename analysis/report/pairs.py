"""The parallel pairs in a report: how many were proved, why candidates failed, and the proved pairs side by side.

The codes were written by strangers: they reach the page as escaped text only, cut to a length that keeps it light.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from analysis.report.charts import stacked_bar
from analysis.report.numbers import count, percent
from analysis.report.reading import Answer, Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import Column, colour_of, name_of, source_column, table
from parallel_mining import values
from parallel_mining.pairs import VERDICTS

MAX_CODE_CHARACTERS = 6_000
"""Longer code is cut, and the page says so: the file holds it whole."""
MAX_CODES_CHARACTERS = 900_000
"""All code in a page together, the same code counted once; pairs beyond it are listed without their code."""
SHOWN_INPUTS = 4
"""Of each family of inputs."""
MAX_INPUT_CHARACTERS = 120

_MEANINGS = {
    "equivalent": "proved",
    "surplus": "agree, not needed",
    "different": "gave different results",
    "insufficient": "too little evidence",
    "nondeterministic": "not deterministic",
    "timeout": "ran too long",
    "broken": "failed to run",
    "unsupported": "not supported",
}
# The word before the colon of a reason -> what it means.
_CAUSES = {
    "result": "one input is enough: the results differ, or one side raises",
    "inputs": "no family of inputs that both sides take",
    "trivial": "one operator or call around its arguments",
    "constant": "every result is the same",
    "results": "too few distinct results, or too few cases",
    "echo": "the result is an argument unchanged",
    "surplus": "the functions, or one of them often enough, stand in pairs already",
    "left": "the first side cannot be compiled, run or called",
    "right": "the second side cannot be compiled, run or called",
    "signature": "parameters or result have no counterpart in the other languages",
    "method": "abstract, or needs the state of an object",
    "unresolved": "uses a name whose definition was not found",
    "impure": "does more than return a result, or depends on more than its arguments",
    "imports": "needs a library that is not in the corpus",
    "decorated": "a decorator changes what it does",
    "too long": "too long, with all that it needs",
    "clash": "what it needs defines one name twice",
    "duplicate": "stands in its file twice",
}


def pairs_section(reading: Reading) -> Section:
    """Return the section on parallel pairs."""
    title = "Parallel pairs"
    missing = lacking(reading, "pairs")
    if missing:
        return Section("pairs", title, Markup(""), missing)
    languages, verdicts = reading.ask("report_pairs_languages"), reading.ask("report_verdicts")
    reasons, pairs = reading.ask("report_verdict_reasons"), reading.ask("report_pairs")
    units, unit_reasons = reading.ask("report_units"), reading.ask("report_unit_reasons")
    candidates = sum(row["candidates"] for row in verdicts.records())
    shown = _shown(pairs)
    known = list(dict.fromkeys(("equivalent", "surplus", *VERDICTS)))
    unknown = sorted({row["verdict"] for row in verdicts.records()} - set(known))
    present = [v for v in (*known, *unknown) if any(row["verdict"] == v for row in verdicts.records())]
    body = render(
        "pairs.html",
        proved=len(pairs.rows),
        candidates=candidates,
        surplus=sum(row["candidates"] for row in verdicts.records() if row["verdict"] == "surplus"),
        functions=sum(row["functions"] for row in units.records()),
        accepted=sum(row["accepted"] for row in units.records()),
        languages=languages,
        verdicts=verdicts,
        reasons=reasons,
        pairs=pairs,
        units=units,
        unit_reasons=unit_reasons,
        present=[(verdict, _MEANINGS.get(verdict, verdict)) for verdict in present],
        language_table=_language_table(languages),
        verdict_table=_verdict_table(verdicts, present),
        reason_table=_reason_table(reasons),
        unit_table=_unit_table(units),
        unit_reason_table=_unit_reason_table(unit_reasons),
        shown=shown,
        uncoded=sum(not pair["with_code"] for pair in shown),
        partners=list(dict.fromkeys(pair["right_language"] for pair in shown)),
    )
    return Section("pairs", title, body)


def _language_table(languages: Answer) -> Markup:
    columns = [
        *_sides(languages.records()),
        Column("pairs", "Proved pairs", count, numeric=True, total=True),
        Column("train", "Train", count, numeric=True, total=True),
        Column("validation", "Validation", count, numeric=True, total=True),
        Column("cases", "Cases run", count, numeric=True, explain="inputs on which both sides were run", total=True),
        Column("median_cases", "Median cases", count, numeric=True),
        Column("exact", "Exactly equal", count, numeric=True, explain="no tolerance was needed", total=True),
        Column("repositories", "Repositories", count, numeric=True, explain="of the second language"),
    ]
    return table(languages.records(), columns, query="report_pairs_languages", caption="Proved pairs by language")


def _verdict_table(verdicts: Answer, present: list[str]) -> Markup:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in verdicts.records():
        key = (row["left_language"], row["right_language"])
        cells = rows.setdefault(
            key, {"left_language": key[0], "right_language": key[1], "candidates": 0, **dict.fromkeys(present, 0)}
        )
        cells[row["verdict"]] += row["candidates"]
        cells["candidates"] += row["candidates"]

    def bar(row: Mapping[str, Any]) -> Markup:
        parts = [(f"verdict-{v}", f"{count(row[v])} {_MEANINGS.get(v, v)}", row[v]) for v in present]
        return stacked_bar(
            parts, total=row["candidates"], description="; ".join(name for _, name, number in parts if number)
        )

    columns = [
        *_sides(verdicts.records()),
        Column("candidates", "Candidates", count, numeric=True, total=True),
        Column("bar", "What became of them", cell=bar),
        *(Column(v, _MEANINGS.get(v, v).capitalize(), count, numeric=True, total=True) for v in present),
    ]
    ordered = sorted(rows.values(), key=lambda row: -row["candidates"])
    return table(ordered, columns, caption="Candidates by language and verdict")


def _sides(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the columns of a pair's languages: the first is named once, in a heading, where it is always the same."""
    left = {row["left_language"] for row in rows}
    if len(left) == 1:
        return [source_column("right_language", f"{name_of(left.pop())} with")]
    return [source_column("left_language", "From"), source_column("right_language", "To")]


def _cause(row: Mapping[str, Any]) -> Markup:
    words = _CAUSES.get(row["cause"])
    return Markup("{}<br><small>{}</small>").format(row["cause"], words) if words else Markup("{}").format(row["cause"])


def _reason_table(reasons: Answer) -> Markup:
    columns = [
        Column("verdict", "Verdict", lambda verdict: _MEANINGS.get(verdict, str(verdict))),
        Column("cause", "Reason", cell=_cause),
        Column("candidates", "Candidates", count, numeric=True),
        Column("languages", "Languages", count, numeric=True),
        Column("example", "One of them"),
    ]
    return table(reasons.records(), columns, query="report_verdict_reasons", caption="Why candidates failed")


def _unit_table(units: Answer) -> Markup:
    rows = [{**row, "share": row["accepted"] / row["functions"]} for row in units.records()]
    columns = [
        source_column(),
        Column("functions", "Functions seen", count, numeric=True, total=True),
        Column("accepted", "Taken", count, numeric=True, total=True),
        Column("share", "Share taken", percent, numeric=True),
        Column("turned_away", "Turned away", count, numeric=True, total=True),
        Column("repositories", "Repositories", count, numeric=True),
    ]
    return table(rows, columns, query="report_units", caption="Functions considered, by language")


def _unit_reason_table(reasons: Answer) -> Markup:
    columns = [
        Column("cause", "Reason", cell=_cause),
        Column("functions", "Functions", count, numeric=True),
        Column("languages", "Languages", count, numeric=True),
    ]
    return table(
        reasons.records(),
        columns,
        query="report_unit_reasons",
        caption="Why functions were turned away",
    )


def _shown(pairs: Answer) -> list[dict[str, Any]]:
    budget = MAX_CODES_CHARACTERS
    shown: list[dict[str, Any]] = []
    anchors: dict[str, str] = {}
    for number, row in enumerate(pairs.records(), 1):
        codes = {side: row[f"{side}_code"] for side in ("left", "right")}
        new = {code: f"code-{number}-{side}" for side, code in codes.items() if code not in anchors}
        needed = sum(len(_cut(code)[0]) for code in new)
        with_code = needed <= budget
        if with_code:
            budget -= needed
            anchors |= new
        shown.append(
            {
                **row,
                "with_code": with_code,
                "sides": [_side(row, side, anchors.get(codes[side], ""), f"code-{number}-{side}") for side in codes],
                "domain_words": _domain(row["domain"]),
                "inputs": _inputs(row["evidence"]),
                "toolchains": _toolchains(row["evidence"]),
                "colour": colour_of(row["right_language"]),
            }
        )
    return shown


def _side(row: Mapping[str, Any], side: str, anchor: str, own: str) -> dict[str, Any]:
    """Return one side of a pair; its code stands at `anchor`, which is `own` unless an earlier pair has it."""
    code, left_out = _cut(row[f"{side}_code"])
    return {
        "anchor": anchor,
        "same_as": anchor.split("-")[1] if anchor and anchor != own else "",
        "language": row[f"{side}_language"],
        "name": name_of(row[f"{side}_language"]),
        "entry": row[f"{side}_entry"],
        "repo": row[f"{side}_repo"],
        "path": row[f"{side}_path"],
        "licenses": row[f"{side}_licenses"],
        "code": code,
        "left_out": left_out,
    }


def _cut(code: str) -> tuple[str, int]:
    if len(code) <= MAX_CODE_CHARACTERS:
        return code, 0
    return code[:MAX_CODE_CHARACTERS], len(code) - MAX_CODE_CHARACTERS


def _domain(domain: str) -> str:
    """Return the input families as people read them; as it stands where it is not the JSON that is expected."""
    try:
        families = json.loads(domain)
        return "; ".join(f"{', '.join(family['parameters'])} ({family['level']})" for family in families)
    except (ValueError, TypeError, KeyError):
        return domain


def _inputs(evidence: str) -> list[str]:
    """Return the first inputs that both sides were run on, as Python writes them; none where they cannot be read."""
    try:
        families = json.loads(evidence)["families"]
        wires = [wire for family in families for wire in family["inputs"][:SHOWN_INPUTS]]
        arguments = [values.plain(values.decode(wire)) for wire in wires]
    except (ValueError, TypeError, KeyError):
        return []
    return [_shortened(", ".join(map(repr, each))) for each in arguments]


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_INPUT_CHARACTERS else f"{text[:MAX_INPUT_CHARACTERS]}…"


def _toolchains(evidence: str) -> str:
    try:
        found = json.loads(evidence)
        return f"{found['left_toolchain']} and {found['right_toolchain']}"
    except (ValueError, TypeError, KeyError):
        return ""
