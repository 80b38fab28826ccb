"""The fitted laws in a report: measured points, curves with bootstrap bands, parameters, and what is not identified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from analysis import laws
from analysis.allocation_words import FAR
from analysis.compute_optimal import FLOPS_PER_PARAMETER_AND_TOKEN, of_fit
from analysis.fit import isoloss, predict
from analysis.laws import Floats, Points
from analysis.report.charts import Axis, Band, Dot, Drawing, Line, line_chart
from analysis.report.numbers import count, loss, percent, scientific, short
from analysis.report.reading import Answer, Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import Column, colour_of, name_of, source_column, table
from analysis.report.training import shade_of

CURVE_POINTS = 33
MAX_LINES = 5
"""Model sizes, or token budgets, drawn as lines of one chart; of more, these many are spread over them."""
BAND_ROOM = 0.75
"""A band may widen the vertical axis by this multiple of what points and lines need; beyond it is cut off."""

_COUNTED = {"params_non_embedding": "without embeddings", "params_total": "with embeddings"}


def laws_section(reading: Reading) -> Section:
    """Return the section on fitted laws."""
    title = "Fitted laws"
    missing = lacking(reading, "laws")
    if missing:
        return Section("laws", title, Markup(""), missing)
    fits, quality = reading.ask("report_fits"), reading.ask("report_fit_quality")
    points = reading.ask("report_law_points") if reading.has("runs") else None
    lines = reading.fits()
    target = _target(reading)
    rows = points.records() if points is not None else []
    of_mixtures = any(_alone(fit) is not None for fit in lines)
    body = render(
        "laws.html",
        fits=fits,
        quality=quality,
        points=points,
        unit=lines[0]["unit"] if lines else "",
        counted=_COUNTED.get(lines[0].get("columns", {}).get("params"), "as given") if lines else "",
        used=[laws.law(name) for name in dict.fromkeys(fit["law"] for fit in lines)],
        charts=[_charts(fit, place, rows, target) for place, fit in enumerate(lines)],
        target=None if of_mixtures else target,
        of_mixtures=of_mixtures,
        warnings=_warnings(lines),
        parameter_table=_parameter_table(fits, lines),
        parameters=len(fits.rows),
        unidentified=sum(len(fit.get("unidentified", ())) for fit in lines),
        quality_table=_quality_table(quality),
        draws=max((len(fit["draws"]) for fit in lines), default=0),
        optima=_optimum_table(lines, rows, target),
        unstable=[name_of(group_of(fit)) for fit in lines if not fit["converged"]],
    )
    return Section("laws", title, body, lacking(reading, "runs"))


def group_of(fit: Mapping[str, Any]) -> str:
    """Return the language of a fit, or what stands for all runs together."""
    return fit.get("group") or "all runs"


def _warnings(fits: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return each warning once, with the languages it was given for."""
    found: dict[str, list[str]] = {}
    for fit in fits:
        for text in fit.get("warnings") or ():
            found.setdefault(text, []).append(group_of(fit))
    return list(found.items())


def _target(reading: Reading) -> dict[str, Any] | None:
    """Return N, the tokens of each language, and what its law sees of them, if there is an allocation."""
    if not reading.has("allocation"):
        return None
    answer = reading.allocation()
    seen = {row["language"]: row.get("data", row["tokens"]) for row in answer["by_language"]}
    return {"params": answer["params"], "tokens": answer["tokens"], "data": seen}


def loss_column(fit: Mapping[str, Any]) -> str:
    """Return the column of the runs that a fit took as the loss."""
    return "loss_nats" if fit["unit"] == "nats" else "bits_per_byte"


def params_column(fit: Mapping[str, Any]) -> str:
    """Return the column of the runs that a fit took as N."""
    return "params_total" if fit.get("columns", {}).get("params") == "params_total" else "params_non_embedding"


def _alone(fit: Mapping[str, Any]) -> Floats | None:
    """Return the shares of a run on a fit's own language alone, for laws that read shares: what the charts show."""
    if "shares" not in laws.law(fit["law"]).needs:
        return None
    return np.array([float(source == fit["target"]) for source in fit["sources"]])


def _charts(
    fit: Mapping[str, Any], place: int, points: Sequence[Mapping[str, Any]], target: Mapping[str, Any] | None
) -> dict[str, Any]:
    language = group_of(fit)
    rows = [
        {**row, "params": row[params_column(fit)], "loss": row[loss_column(fit)]}
        for row in points
        if fit.get("group") in (None, row["language"])
    ]
    aim = None
    if target and target["tokens"].get(language) and _alone(fit) is None:
        aim = (float(target["params"]), float(target["data"][language]))
    axis = Axis(str(fit["unit"]).replace("_", " "))
    name = name_of(language)
    return {
        "language": language,
        "colour": colour_of(language),
        "beyond": _beyond(fit, aim),
        "by_tokens": line_chart(
            _by_tokens(fit, rows, axis, aim),
            name=f"law-d-{place}",
            description=f"{name}: loss by training tokens, one line a model size, with measured points",
        ),
        "iso_loss": line_chart(
            _iso_loss(fit, rows, aim),
            name=f"law-iso-{place}",
            description=f"{name}: parameters and tokens that reach the same loss, one line a loss, with measured runs",
        ),
        "by_params": line_chart(
            _by_params(fit, rows, axis),
            name=f"law-n-{place}",
            description=f"{name}: loss by parameters, one line a token budget, with measured points",
        ),
    }


def _spread(values: Sequence[float]) -> list[float]:
    if len(values) <= MAX_LINES:
        return list(values)
    return [values[round(i * (len(values) - 1) / (MAX_LINES - 1))] for i in range(MAX_LINES)]


def _measured(fit: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], column: str) -> list[float]:
    """Return the values of N or D that were measured, in order; the ends of their range where rows are missing."""
    return sorted({float(row[column]) for row in rows} or {float(end) for end in fit["ranges"][column]})


def _by_tokens(
    fit: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], axis: Axis, aim: tuple[float, float] | None
) -> Drawing:
    sizes, budgets = _measured(fit, rows, "params"), _measured(fit, rows, "tokens")
    grid = _grid(budgets)
    lines: list[Line] = []
    bands: list[Band] = []
    for params in _spread(sizes):
        line, band = _curve(fit, grid, params, grid, short(params), shade_of(params, sizes))
        lines.append(line)
        bands += band
    dots = [_dot(row, row["tokens"], shade_of(row["params"], sizes)) for row in rows]
    if aim is not None:
        params, tokens = aim
        reach = _grid([*budgets, tokens])
        line, band = _curve(fit, reach, params, reach, "", "dashed")
        lines.append(line)
        bands += band
        value = float(predict(fit, params, tokens)[0])
        dots.append(Dot(tokens, value, f"recommended: {short(tokens)} tokens, predicted {loss(value)}", "target"))
    return Drawing(Axis("training tokens D", log=True), axis, lines, bands, dots, _held(dots, lines, bands))


def _by_params(fit: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], axis: Axis) -> Drawing:
    sizes, budgets = _measured(fit, rows, "params"), _measured(fit, rows, "tokens")
    grid = _grid(sizes)
    lines: list[Line] = []
    bands: list[Band] = []
    for tokens in _spread(budgets):
        line, band = _curve(fit, grid, grid, tokens, short(tokens), shade_of(tokens, budgets))
        lines.append(line)
        bands += band
    dots = [_dot(row, row["params"], shade_of(row["tokens"], budgets)) for row in rows]
    return Drawing(Axis("parameters N", log=True), axis, lines, bands, dots, _held(dots, lines, bands))


def _iso_loss(fit: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], aim: tuple[float, float] | None) -> Drawing:
    """Return lines of equal loss over N and D, spread over the losses that the law has within what was measured."""
    sizes, budgets = _measured(fit, rows, "params"), _measured(fit, rows, "tokens")
    here, there = ([aim[0]], [aim[1]]) if aim else ([], [])
    grid, low, high = _grid([*sizes, *here]), min([*budgets, *there]), max([*budgets, *there])
    worst = float(predict(fit, min(grid), low, shares=_alone(fit))[0])
    best = float(predict(fit, max(grid), high, shares=_alone(fit))[0])
    lines: list[Line] = []
    for step in range(1, MAX_LINES + 1):
        value = worst + (best - worst) * step / (MAX_LINES + 1)
        reached = isoloss(fit, value, grid, _alone(fit))
        inside = [(float(n), float(d)) for n, d in zip(grid, reached, strict=True) if low <= d <= high]
        if len(inside) > 1:
            shade = f"shade-{MAX_LINES - step}"
            lines.append(Line(inside, "", shade, f"loss {loss(value)} {fit['unit']}"))
    dots = [
        Dot(row["params"], row["tokens"], f"{row['size']}, {short(row['tokens'])} tokens: loss {loss(row['loss'])}")
        for row in rows
    ]
    if aim:
        dots.append(
            Dot(aim[0], aim[1], f"recommended: {short(aim[1])} tokens for {short(aim[0])} parameters", "target")
        )
    return Drawing(Axis("parameters N", log=True), Axis("training tokens D", log=True), lines, (), dots)


def _grid(values: Sequence[float]) -> Floats:
    return np.geomspace(min(values), max(values), CURVE_POINTS)


def _curve(
    fit: Mapping[str, Any], x: Floats, params: ArrayLike, tokens: ArrayLike, label: str, style: str
) -> tuple[Line, list[Band]]:
    found = predict(fit, params, tokens, shares=_alone(fit))
    value, low, high = (np.broadcast_to(part, x.shape).tolist() for part in found)
    places = x.tolist()
    line = Line(list(zip(places, value, strict=True)), label, style, label)
    if not fit["draws"]:
        return line, []
    return line, [Band(list(zip(places, low, high, strict=True)), "dashed" if style == "dashed" else "")]


def _dot(row: Mapping[str, Any], x: float, style: str) -> Dot:
    title = f"{row['size']}, {short(row['tokens'])} tokens: {loss(row['loss'])} (run {str(row['run_id'])[:10]})"
    return Dot(x, row["loss"], title, style)


def _held(dots: Sequence[Dot], lines: Sequence[Line], bands: Sequence[Band]) -> list[float]:
    """Return what the vertical axis must hold: points and lines, and bands as far as they stay near them."""
    values = [dot.y for dot in dots] + [point[1] for line in lines for point in line.points]
    low, high = min(values), max(values)
    room = BAND_ROOM * (high - low)
    edges = [edge for band in bands for point in band.points for edge in point[1:]]
    return values + [min(max(edge, low - room), high + room) for edge in edges]


def _beyond(fit: Mapping[str, Any], aim: tuple[float, float] | None) -> str:
    """Return in words how far the recommendation lies outside what was measured; empty where it is inside."""
    if aim is None:
        return ""
    words: list[str] = []
    for value, column, noun in ((aim[0], "params", "parameters"), (aim[1], "tokens", "tokens")):
        low, high = fit["ranges"][column]
        if value > FAR * high:
            words.append(f"{short(value / high)} times the most {noun} measured")
        elif value * FAR < low:
            words.append(f"{short(low / value)} times below the fewest {noun} measured")
    return " and ".join(words)


def _optimum_table(
    fits: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]], target: Mapping[str, Any] | None
) -> Markup:
    """Return the best N and D of each language for what its recommended run costs, by three approaches."""
    rows: list[dict[str, Any]] = []
    for fit in fits:
        own = [row for row in points if fit.get("group") in (None, row["language"])]
        if not own or not target or not target["tokens"].get(group_of(fit)) or _alone(fit) is not None:
            continue
        runs = Points(
            np.array([row[params_column(fit)] for row in own], dtype=np.float64),
            np.array([row["tokens"] for row in own], dtype=np.float64),
            np.array([row[loss_column(fit)] for row in own], dtype=np.float64),
        )
        flops = FLOPS_PER_PARAMETER_AND_TOKEN * target["params"] * target["tokens"][group_of(fit)]
        for found in of_fit(fit, runs, flops):
            ends = {name: found["intervals"].get(name, (None, None)) for name in ("params", "tokens")}
            rows.append(
                {
                    **found,
                    "language": group_of(fit),
                    "params_ends": _ends(ends["params"]),
                    "tokens_ends": _ends(ends["tokens"]),
                    "words": "; ".join(found["words"]),
                }
            )
    if not rows:
        return Markup("")
    columns = [
        source_column(),
        Column("approach", "Approach"),
        Column("flops", "FLOPs", scientific, numeric=True),
        Column("params", "Best N", short, numeric=True),
        Column("params_ends", "95%"),
        Column("tokens", "Best D", short, numeric=True),
        Column("tokens_ends", "95%"),
        Column("words", "Remark"),
    ]
    return table(rows, columns, caption="Compute-optimal N and D, C = 6 N D")


def _ends(interval: Sequence[float | None]) -> str:
    low, high = interval
    return "" if low is None or high is None else f"{short(low)} to {short(high)}"


def _parameter_table(answer: Answer, fits: Sequence[Mapping[str, Any]]) -> Markup:
    places = {symbol: place for law in laws.LAWS.values() for place, symbol in enumerate(law.symbols)}
    unidentified = {(fit.get("group"), symbol) for fit in fits for symbol in fit.get("unidentified", ())}
    fixed = {(fit.get("group"), symbol) for fit in fits for symbol in fit.get("fixed") or ()}
    rows = sorted(answer.records(), key=lambda row: (str(row["language"]), places.get(row["symbol"], 99)))

    def known(row: Mapping[str, Any]) -> Markup:
        if (row["language"], row["symbol"]) in unidentified:
            return Markup('<strong class="open">not identified</strong>')
        if (row["language"], row["symbol"]) in fixed:
            return Markup("fixed, not fitted")
        return Markup("{}").format(width_of(row))

    columns = [
        source_column(),
        Column("symbol", "Symbol"),
        Column("estimate", "Estimate", scientific, numeric=True),
        Column("low", "95% from", scientific, numeric=True),
        Column("high", "to", scientific, numeric=True),
        Column("known", "How well known", cell=known),
    ]
    return table(rows, columns, query="report_fits", caption="Parameters with 95% bootstrap intervals")


def width_of(row: Mapping[str, Any]) -> str:
    """Say in words how wide an interval is against its estimate."""
    low, high, estimate = row["low"], row["high"], row["estimate"]
    if low is None or high is None:
        return "no interval"
    if low > 0 and high / low >= 3:
        return f"the ends differ {short(high / low)}-fold"
    return f"± {50 * (high - low) / abs(estimate):.0f} %" if estimate else "around 0"


def _quality_table(quality: Answer) -> Markup:
    rows = quality.records()
    rules = {row["heldout_rule"] for row in rows}
    caption = "How well each law fits"
    if len(rules) == 1 and rows[0]["heldout_rule"]:
        caption += f"; held out: {rows[0]['heldout_rule']}"
    columns = [
        source_column(),
        *([Column("law", "Law")] if len({row["law"] for row in rows}) > 1 else []),
        Column("n_runs", "Runs", count, numeric=True),
        Column("objective", "Objective", scientific, numeric=True, explain="summed Huber loss of the log residuals"),
        Column("residual", "Typical error", percent, numeric=True, explain="root mean square of the log residuals"),
        Column(
            "heldout_mean", "Held-out error", percent, numeric=True, explain="mean relative error of those left out"
        ),
        Column("heldout_largest", "Largest", percent, numeric=True, explain="largest relative held-out error"),
        *([Column("heldout_rule", "Held out")] if len(rules) > 1 else []),
        Column("draws", "Draws", count, numeric=True, explain="bootstrap resamples"),
        Column("converged", "Converged", lambda value: "yes" if value else "no"),
    ]
    return table(rows, columns, query="report_fit_quality", caption=caption)
