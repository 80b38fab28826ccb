"""The training runs in a report: what there was to train on, loss curves by language, and one row a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from analysis.report.charts import Axis, Drawing, Line, line_chart
from analysis.report.numbers import NOTHING, count, loss, percent, scientific, seconds, short, signed, size
from analysis.report.pairing import translation_part
from analysis.report.reading import Answer, Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import Column, colour_of, name_of, source_column, swatch, table

_SHADES = 5


def training_section(reading: Reading) -> Section:
    """Return the section on tokens, shards and training runs."""
    title = "Training"
    missing = lacking(reading, "tokens", "shards", "runs")
    if len(missing) == 3:
        return Section("training", title, Markup(""), missing)
    parts = [
        _tokens_part(reading) if reading.has("tokens") else Markup(""),
        _shards_part(reading) if reading.has("shards") else Markup(""),
        _runs_part(reading) if reading.has("runs") else Markup(""),
        translation_part(reading) if reading.has("runs") else Markup(""),
    ]
    return Section("training", title, Markup("\n").join(parts), missing)


def _tokens_part(reading: Reading) -> Markup:
    tokens = reading.ask("report_tokens")
    columns = [
        source_column("source", "Source"),
        Column("split", "Split"),
        Column("documents", "Documents", count, numeric=True, total=True),
        Column("tokens", "Tokens", short, numeric=True, total=True),
        Column("bytes", "Bytes", size, numeric=True, total=True),
        Column("bytes_per_token", "Bytes a token", loss, numeric=True),
    ]
    drawn = table(tokens.records(), columns, query="report_tokens", caption="Tokens there are, by source and split")
    train = sum(row["tokens"] for row in tokens.records() if row["split"] == "train")
    return render("tokens.html", tokens=tokens, token_table=drawn, train=train)


def _shards_part(reading: Reading) -> Markup:
    shards = reading.ask("report_shards")
    rows = shards.records()
    columns = [
        source_column("source", "Source"),
        Column("target_share", "Asked for", percent, numeric=True, total=True),
        Column("share", "Packed", percent, numeric=True, total=True),
        Column("target", "Tokens asked for", short, numeric=True, total=True),
        Column("tokens", "Tokens packed", short, numeric=True, total=True),
        Column("off_by", "Off by", signed, numeric=True, explain="tokens packed minus tokens asked for"),
        Column("repeats", "Epochs", loss, numeric=True, explain="times each token of the source is seen"),
    ]
    drawn = table(rows, columns, query="report_shards", caption="Shards: what was asked for and what they hold")
    worst = max((abs(row["off_by"] or 0) for row in rows), default=0)
    sequence = rows[0]["sequence_length"] if rows else None
    return render("shards.html", shards=shards, shard_table=drawn, worst=worst, sequence=sequence)


def _runs_part(reading: Reading) -> Markup:
    runs, curves, transfer = reading.ask("report_runs"), reading.ask("report_curves"), reading.ask("report_transfer")
    rows = runs.records()
    sizes = sorted({row["params_non_embedding"] for row in rows})
    return render(
        "runs.html",
        runs=runs,
        curves=curves,
        transfer=transfer,
        finished=sum(row["status"] == "finished" for row in rows),
        failed=[row for row in rows if row["status"] != "finished"],
        number=len(rows),
        flops=sum(row["flops"] for row in rows),
        seconds=sum(row["seconds"] for row in rows),
        sizes=[short(params) for params in sizes],
        devices=sorted({row["device"] for row in rows}),
        charts=_curve_charts(curves, sizes),
        run_table=_run_table(runs),
        transfer_table=_transfer_table(transfer),
        across=any(row["trained_on"] != row["language"] for row in transfer.records()),
        transfer_size=transfer.records()[0]["size"] if transfer else "",
    )


def _curve_charts(curves: Answer, sizes: Sequence[int]) -> list[tuple[str, str, Markup]]:
    charts: list[tuple[str, str, Markup]] = []
    losses = [row["loss_nats"] for row in curves.records()]
    for trained_on, of_source in groupby(curves.records(), key=lambda row: row["trained_on"]):
        lines: list[Line] = []
        for _, of_run in groupby(of_source, key=lambda row: row["run_id"]):
            points = list(of_run)
            lines.append(_curve(points, sizes))
        drawing = Drawing(
            Axis("tokens seen", log=True), Axis("training loss, nats a token"), _named_once(lines), y_from=losses
        )
        words = f"Training loss of {len(lines)} runs on {name_of(trained_on)} by tokens seen"
        name = f"curve-{len(charts)}"
        charts.append((trained_on, colour_of(trained_on), line_chart(drawing, name=name, description=words)))
    return charts


def _curve(points: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> Line:
    first, last = points[0], points[-1]
    shade = shade_of(first["params_non_embedding"], sizes)
    title = f"{first['size']}, {short(first['run_tokens'])} tokens: {loss(last['loss_nats'])} nats in the last steps"
    return Line([(row["tokens"], row["loss_nats"]) for row in points], first["size"], shade, title)


def _named_once(lines: Sequence[Line]) -> list[Line]:
    """Keep the name of the last (longest) line of each size: the others of that size have its shade."""
    last = {line.label: place for place, line in enumerate(lines)}
    return [
        line if last[line.label] == place else Line(line.points, "", line.style, line.title)
        for place, line in enumerate(lines)
    ]


def shade_of(value: float, values: Sequence[float]) -> str:
    """Return the class that draws a model size or token budget: the larger the stronger."""
    if len(values) < 2:
        return f"shade-{_SHADES - 1}"
    return f"shade-{round((_SHADES - 1) * values.index(value) / (len(values) - 1))}"


def _run_table(runs: Answer) -> Markup:
    rows = runs.records()
    columns = [
        Column("run_id", "Run", cell=lambda row: Markup('<code title="{}">{}</code>').format(*_run_name(row))),
        Column("trained_on", "Trained on", cell=_trained_on),
        Column("size", "Size"),
        Column("params_non_embedding", "N", short, numeric=True, explain="parameters without embeddings"),
        Column("params_total", "N with embeddings", short, numeric=True),
        Column("tokens", "D", short, numeric=True, explain="tokens trained on"),
        Column("epochs", "Epochs", loss, numeric=True, explain="times the most repeated source was seen"),
        Column("final_train_loss_nats", "Train loss", loss, numeric=True, explain="nats a token, at the end"),
        Column("validation_bits_per_byte", "Validation", loss, numeric=True, explain="bits a byte, own language"),
        Column("flops", "FLOPs", scientific, numeric=True, total=True),
        Column("seconds", "Time", seconds, numeric=True, total=True),
        *([Column("status", "Status")] if any(row["status"] != "finished" for row in rows) else []),
    ]
    return table(rows, columns, query="report_runs", caption="Training runs")


def _run_name(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['run_id']}: {row['command']}", str(row["run_id"])[:10]


def _trained_on(row: Mapping[str, Any]) -> Markup:
    """Return the source with its colour, or which mixture it was."""
    return (
        Markup("mixture <q>{}</q>").format(row["mixture"])
        if row["trained_on"] == "mixture"
        else swatch(row["trained_on"])
    )


def _transfer_table(transfer: Answer) -> Markup:
    records = transfer.records()
    languages = list(dict.fromkeys(row["language"] for row in records))
    rows: dict[str, dict[str, Any]] = {}
    best: dict[str, float] = {}
    for row in records:
        cells = rows.setdefault(row["trained_on"], {"trained_on": row["trained_on"], "tokens": row["tokens"]})
        cells[row["language"]] = row["bits_per_byte"]
        best[row["language"]] = min(best.get(row["language"], row["bits_per_byte"]), row["bits_per_byte"])

    def cell(language: str) -> Any:
        def drawn(row: Mapping[str, Any]) -> Markup:
            value = row[language]
            if value is None:
                return Markup(NOTHING)
            strength = max(0.0, min(1.0, 2 - value / best[language]))
            return Markup('<span class="heat" style="--heat:{}">{}</span>').format(
                f"{strength:.2f}", Markup('<data value="{}">{}</data>').format(repr(value), loss(value))
            )

        return drawn

    columns = [
        source_column("trained_on", "Trained on"),
        Column("tokens", "Tokens", short, numeric=True),
        *(Column(name, name_of(name), loss, numeric=True, cell=cell(name)) for name in languages),
    ]
    filled = [{**dict.fromkeys(languages), **row} for row in rows.values()]
    return table(filled, columns, caption="Validation loss in bits a byte, on each language (columns)")
