"""What if, in a report: the allocation under another budget, other weights and caps, recomputed in the page.

The page gets each law at the N that was asked for, as L(D) = floor + e^log_b D^-beta, for the estimates and for every
draw; `page.js` minimises as `analysis.problem` does. What always holds: a law that has another form in D is not offered
rather than approximated; without script the recommended allocation stands there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from analysis import laws
from analysis.fit import draws_of, tails_of
from analysis.laws import Floats
from analysis.problem import REPETITION_DECAY, effective_tokens
from analysis.report.reading import Reading
from analysis.report.section import Section, lacking, render
from analysis.report.tables import colour_of, name_of

SAME_FORM = 1e-6
"""A law has the form above where it is reproduced this well, relative to its loss."""
MOST_DRAWS = 400
DIGITS = 9


def whatif_section(reading: Reading) -> Section:
    """Return the section in which budget, weights and caps can be changed."""
    title = "What if"
    missing = lacking(reading, "laws", "allocation")
    if missing:
        return Section("what-if", title, Markup(""), missing)
    model = page_model(reading.fits(), reading.allocation())
    body = render(
        "whatif.html",
        model=None if model is None else json.dumps(model, separators=(",", ":")),
        answer=model,
        law=reading.allocation()["law"],
        shares=reading.ask("report_allocation"),
        fits=reading.ask("report_fits"),
    )
    return Section("what-if", title, body)


def page_model(fits: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the page needs to allocate anew, or None where a law has no power of D.

    Args:
        fits: The laws behind the answer.
        answer: What `analysis.allocate.allocate` returned.
    """
    by_group = {str(fit["group"]): fit for fit in fits}
    languages = [row["language"] for row in answer["by_language"]]
    if any(name not in by_group for name in languages):
        return None
    terms: dict[str, Any] = {}
    for name in languages:
        fit = by_group[name]
        if laws.unusable(fit["law"]):
            return None
        estimate = at_params(fit, fit["estimates"], answer["params"])
        drawn = at_params(fit, draws_of(fit), answer["params"]) if fit["draws"] else np.zeros((0, 3))
        if estimate is None or drawn is None:
            return None
        terms[name] = {"estimate": estimate[0].tolist(), "draws": _short(drawn[:MOST_DRAWS])}
    weights, supply, transfer = answer["weights"], answer["supply"], answer.get("transfer")
    beside = {source: count for source, count in answer["tokens"].items() if source not in languages}
    floors, fixed = answer.get("floors", {}), answer.get("fixed", {})
    return {
        "budget": answer["budget"],
        "budget_text": typed(answer["budget"]),
        "params": answer["params"],
        "unit": str(answer["unit"]).replace("_", " "),
        "max_epochs": answer["max_epochs"] or 4.0,
        "decay": REPETITION_DECAY,
        "prior": answer["prior"],
        "prior_weight": answer["prior_weight"],
        "transfer": transfer,
        "beside": beside,
        "tails": tails_of([by_group[name] for name in languages]),
        "languages": [
            {
                "id": row["language"],
                "name": name_of(row["language"]),
                "colour": colour_of(row["language"]),
                "weight": weights[row["language"]] * len(languages),
                "unique": None if supply is None else supply[row["language"]],
                "unique_text": "" if supply is None else typed(supply[row["language"]]),
                "share": row["share"],
                "tokens": row["tokens"],
                "predicted": row["predicted"],
                "given": _given(row["language"], beside),
                "least": fixed.get(row["language"], floors.get(row["language"], 0.0)),
                "most": fixed.get(row["language"]),
                **terms[row["language"]],
            }
            for row in answer["by_language"]
        ],
    }


def at_params(fit: Mapping[str, Any], symbols: Mapping[str, Any], params: float) -> Floats | None:
    """Return floor, log coefficient and exponent of D of a law at one N, shape (M, 3), or None for another form.

    Args:
        fit: The fit, for its law and the range of D.
        symbols: Symbols, each a number or of shape (M,).
        params: N.
    """
    law = laws.law(fit["law"])
    columns = {name: np.atleast_1d(np.asarray(symbols[name], dtype=np.float64)) for name in law.symbols}
    low, high = (float(end) for end in fit["ranges"]["tokens"])
    high = max(high, 2 * low)
    first, second = (np.log(-law.token_slope(columns, params, d)) for d in (low, high))
    beta = (first - second) / math.log(high / low) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        log_b = first - np.log(beta) + (beta + 1) * math.log(low)
    floor = law.predict(columns, params, low) - np.exp(log_b - beta * math.log(low))
    for d in (low / 10, math.sqrt(low * high), high * 10):
        value = law.predict(columns, params, d)
        again = floor + np.exp(log_b - beta * math.log(d))
        if not (np.abs(again - value) <= SAME_FORM * value).all():
            return None
    return np.stack([floor, log_b, beta], axis=1)


def typed(value: float) -> str:
    """Write a number of tokens as one would type it, without losing a digit: `350M`, `1234567`."""
    for factor, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        text = f"{value / factor:.6g}"
        if value >= factor and "e" not in text and float(text) * factor == value:
            return text + letter
    return f"{value:.17g}"


def _given(language: str, beside: Mapping[str, int]) -> float:
    """Return the tokens that a language has from parallel documents: half of each."""
    sides = [
        count
        for source, count in beside.items()
        if source.startswith("pair:") and language in source.removeprefix("pair:").split("-")
    ]
    return float(sum(effective_tokens(np.array([float(count)]), np.array([np.inf]))[0][0] / 2 for count in sides))


def _short(values: Floats) -> list[list[float]]:
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in values.tolist()]
