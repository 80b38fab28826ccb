"""The corpus in a report: documents by language, and where every file went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from analysis.report.charts import stacked_bar
from analysis.report.numbers import count, size
from analysis.report.reading import Answer, Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import OUTSIDE, Column, colour_of, name_of, source_column, table
from quality.filters import REASONS

# Stage -> what happened there, in the order in which files pass them.
STAGES: dict[str, str] = {
    "kept": "kept as a document",
    "read": "could not be read",
    "classify": "not source code",
    "filter": "filtered out",
    "licence": "licence does not allow",
    "exact": "exact duplicate",
    "near": "near duplicate",
    "other": "opted out, of a benchmark, not decodable, or broken by redaction",
}
# Reason of a reject -> what it means, where the word alone does not say it.
_REASONS: dict[str, str] = {
    **REASONS,
    "symlink": "a link to another file",
    "text": "prose, such as documentation and licences",
    "data": "data or settings",
    "declaration": "types without code, such as .d.ts and .pyi",
    "binary": "no text",
    "generated": "written by a program",
    "minified": "made small by a program",
    "python2": "Python 2",
    "undecodable": "text in no encoding that can be told",
    "opted_out": "somebody asked for it to be left out",
    "redaction_broke_syntax": "without its credentials it is no valid program",
    "prompt_of_benchmark": "holds the prompt of a benchmark's task",
    "solution_of_benchmark": "holds the solution of a benchmark's task",
    "tests_of_benchmark": "holds the tests of a benchmark's task",
    "signature_of_benchmark": "holds a function that a benchmark asks for",
    "time": "took more time than any file needs",
    "memory": "took more memory than any file needs",
    "crash": "ended the parser",
    "other_language": "a language that is not in the registry",
    "same_bytes": "the same bytes as a file that was kept or removed before",
    "near": "nearly the same as a document that was kept",
}


def corpus_section(reading: Reading) -> Section:
    """Return the section on the corpus."""
    title = "The corpus"
    missing = lacking(reading, "corpus")
    if missing:
        return Section("corpus", title, Markup(""), missing)
    languages, funnel = reading.ask("report_corpus"), reading.ask("report_funnel")
    rejects, sources = reading.ask("report_rejects"), reading.ask("report_sources")
    splits = reading.ask("report_splits")
    files = sum(row["files"] for row in funnel.records())
    kept = sum(row["kept"] for row in funnel.records())
    # A source counts the files it yields; what it cannot yield (links, sockets) is a reject of the stage `read`.
    unread = sum(row["unread"] for row in funnel.records())
    declared = sum(row["files"] or 0 for row in sources.records()) + unread
    body = render(
        "corpus.html",
        languages=languages,
        funnel=funnel,
        rejects=rejects,
        sources=sources,
        splits=splits,
        whole=splits.records()[0],
        documents=kept,
        files=files,
        rejected=files - kept,
        declared=declared,
        unread=unread,
        language_table=_language_table(languages),
        funnel_table=_funnel_table(funnel),
        stages=[(stage, words) for stage, words in STAGES.items() if sum(row[stage] for row in funnel.records())],
        reject_table=_reject_table(rejects),
        source_table=_source_table(sources),
    )
    return Section("corpus", title, body)


def _language_table(languages: Answer) -> Markup:
    rows = languages.records()
    most = max((row["bytes"] for row in rows), default=0)

    def bar(row: Mapping[str, Any]) -> Markup:
        parts = [
            ("fill", f"{size(row['train_bytes'])} to train on", row["train_bytes"]),
            ("fill paired", f"{size(row['validation_bytes'])} to validate on", row["validation_bytes"]),
        ]
        words = f"{name_of(row['language'])}: {parts[0][1]}, {parts[1][1]}"
        return Markup('<div style="--source:{}">{}</div>').format(
            colour_of(row["language"]), stacked_bar(parts, total=most, description=words)
        )

    columns = [
        source_column(),
        Column("documents", "Documents", count, numeric=True, total=True),
        Column("bytes", "Bytes", size, numeric=True, total=True),
        Column("bar", "Train (solid) and validation (light)", cell=bar),
        Column("train_documents", "Train", count, numeric=True, explain="documents to train on", total=True),
        Column("validation_documents", "Validation", count, numeric=True, explain="documents held out", total=True),
        Column("repositories", "Repositories", count, numeric=True),
    ]
    return table(rows, columns, query="report_corpus", caption="Documents by language")


def _funnel_table(funnel: Answer) -> Markup:
    rows = funnel.records()
    present = [stage for stage in STAGES if sum(row[stage] for row in rows)]

    def bar(row: Mapping[str, Any]) -> Markup:
        parts = [(f"stage-{stage}", f"{count(row[stage])} {STAGES[stage]}", row[stage]) for stage in present]
        words = "; ".join(name for _, name, number in parts if number)
        return stacked_bar(parts, total=row["files"], description=words)

    columns = [
        source_column(),
        Column("files", "Files seen", count, numeric=True, total=True),
        Column("bar", "Where they went", cell=bar),
        *(
            Column(stage, STAGES[stage].capitalize(), count, numeric=True, total=True)
            for stage in STAGES
            if stage in present
        ),
    ]
    return table(rows, columns, query="report_funnel", caption="Every file seen, by language and by where it went")


def _reject_table(rejects: Answer) -> Markup:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    languages = list(dict.fromkeys(row["language"] for row in rejects.records()))
    order = sorted(languages, key=lambda name: (name == OUTSIDE, name))
    for row in rejects.records():
        key = (row["stage"], row["reason"])
        cells = rows.setdefault(key, {"stage": row["stage"], "reason": row["reason"], "files": 0, "bytes": 0})
        cells[row["language"]] = row["files"]
        cells["files"] += row["files"]
        cells["bytes"] += row["bytes"]
    stages = list(STAGES)
    ordered = sorted(
        rows.values(),
        key=lambda row: (stages.index(row["stage"]) if row["stage"] in stages else len(stages), -row["files"]),
    )
    columns = [
        Column("stage", "Stage"),
        Column("reason", "Reason", cell=_reason),
        Column("files", "Files", count, numeric=True, total=True),
        Column("bytes", "Bytes", size, numeric=True, total=True),
        *(
            Column(name, "Outside" if name == OUTSIDE else name_of(name), count, numeric=True, total=True)
            for name in order
        ),
    ]
    return table(_named(ordered, order), columns, caption="Rejected files by stage, reason and language")


def _reason(row: Mapping[str, Any]) -> Markup:
    words = _REASONS.get(row["reason"])
    return Markup("{}<br><small>{}</small>").format(row["reason"], words) if words else escape(row["reason"])


def _named(rows: Sequence[dict[str, Any]], languages: Sequence[str]) -> list[dict[str, Any]]:
    return [{**dict.fromkeys(languages, None), **row} for row in rows]


def _source_table(sources: Answer) -> Markup:
    rows = sources.records()
    said = all(str(row["spec"]).startswith(str(row["name"])) for row in rows)
    columns = [
        Column("name", "Source"),
        *([] if said else [Column("spec", "Taken from")]),
        Column("revision_id", "Version"),
        Column("licenses", "Licences"),
        Column("files", "Files", count, numeric=True, total=True),
        Column("bytes", "Bytes", size, numeric=True, total=True),
        Column("sha256", "SHA-256", cell=lambda row: _digest(row["sha256"])),
    ]
    return table(rows, columns, query="report_sources", caption="Sources, one row each")


def _digest(value: Any) -> Markup:
    full = "" if value is None else str(value)
    return Markup('<code title="{}">{}</code>').format(full, full[:12])
