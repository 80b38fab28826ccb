"""The answer of a report: the recommended allocation beside uniform, and in words how sure it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from analysis.report.charts import Interval, bar_axis, bar_scale, interval_bar
from analysis.report.numbers import loss, percent, short, signed
from analysis.report.reading import Answer, Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import Column, colour_of, name_of, source_column, table
from quality.mistakes import bad_input


def answer_section(reading: Reading) -> Section:
    """Return the section that answers the question of the turn."""
    title = "The answer"
    missing = lacking(reading, "allocation")
    if missing:
        return Section("answer", title, Markup(""), missing)
    shares, predictions = reading.ask("report_allocation"), reading.ask("report_predictions")
    answer = read_answer(reading)
    gain, interval = answer.get("gain"), (answer.get("intervals") or {}).get("gain")
    rows = shares.records()
    headline, standing = verdict(rows, interval)
    body = render(
        "answer.html",
        shares=shares,
        predictions=predictions,
        answer=answer,
        headline=headline,
        standing=standing,
        gain=gain,
        gain_interval=interval,
        told_apart=sum(against_uniform(row) in ("more than uniform", "less than uniform") for row in rows),
        sources=len(rows),
        words=[text for text in _texts(answer.get("words")) if text],
        reasons=certainty(rows),
        share_table=_share_table(shares),
        prediction_table=_prediction_table(predictions),
    )
    return Section("answer", title, body)


def read_answer(reading: Reading) -> dict[str, Any]:
    """Return what `allocation.json` holds.

    Raises:
        BadInput: The file is missing or is not JSON.
    """
    path = reading.folder / "allocation" / "allocation.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        bad_input(path, f"cannot be read ({error}); make it again with `{reading.artifacts['allocation'].command}`")


def _texts(words: Any) -> list[str]:
    if isinstance(words, str):
        return [words]
    return [str(text) for text in words or ()]


def against_uniform(row: Mapping[str, Any]) -> str:
    """Say where a share's interval lies against the uniform share."""
    if row["low"] is None or row["high"] is None:
        return "no interval"
    if row["low"] > row["uniform_share"]:
        return "more than uniform"
    if row["high"] < row["uniform_share"]:
        return "less than uniform"
    return "cannot be told from uniform"


def verdict(rows: Sequence[Mapping[str, Any]], interval: Sequence[float] | None) -> tuple[str, str]:
    """Return the answer in one sentence, and how it stands: `clear`, `partly` or `open`.

    Args:
        rows: Shares with `low`, `high` and `uniform_share`.
        interval: The 95% interval of the predicted loss saved over uniform shares.
    """
    apart = [row for row in rows if against_uniform(row) in ("more than uniform", "less than uniform")]
    if not any(row["low"] is not None for row in rows):
        return "Without intervals nobody can say whether this is better than uniform.", "open"
    if not apart:
        return "No share can be told apart from uniform: these runs do not decide the allocation.", "open"
    names = ", ".join(_moved(row) for row in apart)
    if interval is not None and interval[0] <= 0:
        return f"The shares move ({names}), but a gain over uniform is not established.", "partly"
    if len(apart) < len(rows):
        return f"These runs support {names}; the other shares cannot be told apart from uniform.", "partly"
    return f"These runs support {names}.", "clear"


def _moved(row: Mapping[str, Any]) -> str:
    return f"{'more' if row['low'] > row['uniform_share'] else 'less'} {name_of(row['source'])}"


def certainty(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return sentences on how wide the intervals of the shares are."""
    known = [row for row in rows if row["low"] is not None and row["high"] is not None]
    if not known:
        return ["The fits carry no bootstrap draws, so no share has an interval; fit again with `--bootstrap 200`."]
    wide = [row for row in known if row["high"] - row["low"] > row["uniform_share"]]
    sentences: list[str] = []
    if wide:
        sentences.append(
            f"{len(wide)} of {len(rows)} intervals are wider than the uniform share itself"
            f" ({percent(rows[0]['uniform_share'])}): {', '.join(name_of(row['source']) for row in wide)}."
        )
    return sentences


def _share_table(shares: Answer) -> Markup:
    rows = shares.records()
    top = bar_scale([value for row in rows for value in (row["share"], row["high"], row["uniform_share"])])

    def bar(row: Mapping[str, Any]) -> Markup:
        words = f"{name_of(row['source'])}: {percent(row['share'])}"
        if row["low"] is not None:
            words += f", 95% interval {percent(row['low'])} to {percent(row['high'])}"
        drawn = interval_bar(
            Interval(row["share"], row["low"], row["high"]),
            top=top,
            reference=row["uniform_share"],
            paired=row["source"].startswith("pair:"),
            description=words,
        )
        return Markup('<div style="--source:{}">{}</div>').format(colour_of(row["source"]), drawn)

    columns = [
        source_column("source", "Source"),
        Column("bar", "Share of the tokens (line: uniform)", cell=bar),
        Column("share", "Share", percent, numeric=True),
        Column("low", "95% from", percent, numeric=True),
        Column("high", "to", percent, numeric=True),
        Column("tokens", "Tokens", short, numeric=True),
        Column("against", "Against uniform", cell=lambda row: Markup("{}").format(against_uniform(row))),
    ]
    axis = Markup('<tr><td></td><td data-column="bar">{}</td>{}</tr>').format(
        bar_axis(top, percent), Markup("<td></td>") * 5
    )
    return table(rows, columns, query="report_allocation", caption="Recommended allocation", footer=axis)


def _prediction_table(predictions: Answer) -> Markup:
    columns = [
        source_column(),
        Column("predicted", "Recommended", loss, numeric=True),
        Column("uniform_predicted", "Uniform", loss, numeric=True),
        Column("gain", "Saved", signed, numeric=True, explain="uniform minus recommended: positive is better"),
    ]
    return table(predictions.records(), columns, query="report_predictions", caption="Predicted loss by language")
