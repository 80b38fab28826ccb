"""The answer of a report: the recommended allocation beside uniform, and in words how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from analysis.allocate import NEXT_TOKENS
from analysis.allocation_words import FAR, LESS, MORE
from analysis.fit import FEW_RUNS, fitted_symbols
from analysis.report.charts import Interval, bar_axis, bar_scale, interval_bar
from analysis.report.numbers import difference, loss, percent, scientific, short, whole_percent
from analysis.report.reading import Answer, Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import Column, colour_of, name_of, source_column, table

APART = "cannot be told apart"


def answer_section(reading: Reading) -> Section:
    """Return the section that answers the question of the turn."""
    title = "The answer"
    missing = lacking(reading, "allocation")
    if missing:
        return Section("answer", title, Markup(""), missing)
    shares, whole = reading.ask("report_allocation"), reading.ask("report_answer")
    rows, total = shares.records(), whole.records()[0]
    answer = reading.allocation()
    fits = reading.fits() if reading.has("laws") else []
    few = few_runs(fits)
    far = bool(fits) and beyond(fits, answer["params"], answer["tokens"]) > FAR
    headline, standing = verdict(rows, total["gain_low"], doubtful=bool(few) or far)
    body = render(
        "answer.html",
        shares=shares,
        whole=whole,
        total=total,
        unit=(total["unit"] or "").replace("_", " "),
        headline=headline,
        standing=standing,
        told_apart=sum(row["verdict"] in (MORE, LESS) for row in rows),
        languages=len(rows),
        words=[*filter(None, [few]), *map(_sentence, answer.get("words", ()))],
        share_table=_share_table(shares),
        prediction_table=_prediction_table(shares),
        marginal_table=_marginal_table(answer),
        billion=NEXT_TOKENS / answer["budget"],
        ties=[tuple(row["pair"]) for row in answer.get("comparisons", ()) if row["verdict"] == APART],
        comparisons=len(answer.get("comparisons", ())),
        other_laws=_other_laws_table(answer),
    )
    return Section("answer", title, body)


def few_runs(fits: Sequence[Mapping[str, Any]]) -> str:
    """Say that laws rest on few runs, so that their intervals are too narrow; empty where none does.

    Args:
        fits: The lines of `fits.jsonl`.
    """
    few = [fit for fit in fits if fit["n_runs"] < FEW_RUNS * fitted_symbols(fit)]
    if not few:
        return ""
    least = min(few, key=lambda fit: fit["n_runs"])
    return (
        f"{'All' if len(few) == len(fits) else f'{len(few)} of'} {len(fits)} laws rest on few runs (as few as"
        f" {least['n_runs']} for {fitted_symbols(least)} parameters): the true uncertainty is larger than the"
        " intervals."
    )


def beyond(fits: Sequence[Mapping[str, Any]], params: float, tokens: Mapping[str, float]) -> float:
    """Return how many times further than the largest run an answer lies, in N or in D, whichever is further.

    Args:
        fits: The lines of `fits.jsonl`.
        params: N that was asked for.
        tokens: Language to recommended tokens.
    """
    return max(
        max(params / fit["ranges"]["params"][1], tokens.get(fit["group"], 0) / fit["ranges"]["tokens"][1])
        for fit in fits
    )


def verdict(rows: Sequence[Mapping[str, Any]], gain_low: float | None, *, doubtful: bool = False) -> tuple[str, str]:
    """Return the answer in one sentence, and how it stands: `clear`, `partly` or `open`.

    Args:
        rows: One a language, with `verdict`: where the share's 95% interval lies against the uniform share.
        gain_low: Lower end of the 95% interval of the predicted loss saved over uniform shares.
        doubtful: Few runs, or an answer far from any run: the intervals are in doubt, so only a hint is claimed.
    """
    if all(row["verdict"] is None for row in rows):
        return "These shares come without intervals: how sure they are is not known.", "open"
    apart = [row for row in rows if row["verdict"] in (MORE, LESS)]
    if not apart:
        return "No share can be told apart from uniform: these runs do not decide the allocation.", "open"
    more = [name_of(row["source"]) for row in apart if row["verdict"] == MORE]
    less = [name_of(row["source"]) for row in apart if row["verdict"] == LESS]
    moved = " and ".join(f"{word} {_listed(names)}" for word, names in (("more", more), ("less", less)) if names)
    if gain_low is None or gain_low <= 0:
        return f"These runs point to {moved}, but whether that beats uniform is open.", "partly"
    rest = "; the other shares cannot be told apart from uniform" if len(apart) < len(rows) else ""
    if doubtful:
        return f"These runs point to {moved}, but do not prove it{rest}.", "partly"
    return f"These runs support {moved}{rest}.", "partly" if rest else "clear"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(text: Any) -> str:
    words = str(text).replace("bits_per_byte", "bits per byte")
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


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
            description=f"{words}; uniform {percent(row['uniform_share'])}",
        )
        return Markup('<div style="--source:{}">{}</div>').format(colour_of(row["source"]), drawn)

    columns = [
        source_column("source", "Language"),
        Column("bar", "Share of the tokens (broken line: uniform)", cell=bar),
        Column("share", "Share", percent, numeric=True),
        Column("low", "95% from", percent, numeric=True),
        Column("high", "to", percent, numeric=True),
        Column("tokens", "Tokens", short, numeric=True),
        Column("verdict", "Against uniform"),
    ]
    axis = Markup('<tr><td></td><td data-column="bar">{}</td>{}</tr>').format(
        bar_axis(top, whole_percent), Markup("<td></td>") * (len(columns) - 2)
    )
    return table(rows, columns, query="report_allocation", caption="Recommended allocation", footer=axis)


def _prediction_table(shares: Answer) -> Markup:
    columns = [
        source_column("source", "Language"),
        Column("predicted", "Recommended", loss, numeric=True),
        Column("predicted_low", "95% from", loss, numeric=True),
        Column("predicted_high", "to", loss, numeric=True),
        Column("uniform_predicted", "Uniform", loss, numeric=True),
        Column("gain", "Saved", difference, numeric=True, explain="uniform minus recommended: positive is better"),
        Column("epochs", "Epochs", loss, numeric=True, explain="times the language's unique tokens are seen"),
    ]
    shown = columns if any(row["epochs"] is not None for row in shares.records()) else columns[:-1]
    return table(shares.records(), shown, query="report_allocation", caption="Predicted loss by language")


def _marginal_table(answer: Mapping[str, Any]) -> Markup:
    """Return what more tokens of each language are worth, in the unit of the objective; empty for older answers."""
    rows: list[dict[str, Any]] = []
    for row in answer.get("marginal", ()):
        shown: dict[str, Any] = {"language": row["language"]}
        for key in ("next_percent", "next_billion"):
            low, high = row[key]["interval"] or (None, None)
            shown |= {key: row[key]["gain"], f"{key}_low": low, f"{key}_high": high}
        rows.append(shown)
    if not rows:
        return Markup("")
    step = short(answer["marginal"][0]["next_percent"]["tokens"])
    columns = [
        source_column(),
        Column("next_percent", f"The next {step} (1 %)", scientific, numeric=True),
        Column("next_percent_low", "95% from", scientific, numeric=True),
        Column("next_percent_high", "to", scientific, numeric=True),
        Column("next_billion", "The next 1B", scientific, numeric=True),
        Column("next_billion_low", "95% from", scientific, numeric=True),
        Column("next_billion_high", "to", scientific, numeric=True),
    ]
    return table(rows, columns, caption="What more tokens of a language would save in the mean loss")


def _other_laws_table(answer: Mapping[str, Any]) -> Markup:
    rows = answer.get("other_laws", ())
    if not rows:
        return Markup("")
    columns = [
        Column("law", "If this law is true"),
        Column("predicted", "Recommended", loss, numeric=True),
        Column("uniform_predicted", "Uniform", loss, numeric=True),
        Column("gain", "Saved", difference, numeric=True),
        Column("low", "95% from", difference, numeric=True),
        Column("high", "to", difference, numeric=True),
        Column("regret", "Lost to its own best", scientific, numeric=True),
        Column("heldout", "Held-out error", percent, numeric=True),
    ]
    rows = [{**row, **dict(zip(("low", "high"), row["interval"] or (None, None), strict=True))} for row in rows]
    return table(rows, columns, caption="What other laws, fitted to the same runs, make of these shares")
