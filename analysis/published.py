"""What the paper on scaling laws for code published, as tables, and what can be recomputed from them.

Start at `TABLES` and `table(name)`: each is an Arrow table of facts with its source, read from `analysis/data`. The
paper prints, for each language, the two exponents and the constant of its law, but not the coefficients Nc and Dc; so
`language_fits` asks for those. What always holds: nothing here was fitted, guessed or filled in.

Source: *Scaling Laws for Code: Every Programming Language Matters*, arXiv 2512.13472 (v1, 15 December 2025).
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pyarrow as pa
from pyarrow import csv

from analysis.laws import LAWS
from quality.mistakes import BadInput, Mistake, bad_input

PAPER = "arXiv 2512.13472v1"
UNPUBLISHED = ("Nc", "Dc")
"""Symbols of the per-language law that the paper leaves out."""


@dataclass(frozen=True)
class Published:
    """One published table.

    Args:
        file: Its name in `analysis/data`, without the ending.
        source: The place in the paper.
        note: What a reader has to know about it.
    """

    file: str
    source: str
    note: str = ""


TABLES: dict[str, Published] = {
    "language_laws": Published(
        "published_language_laws", f"{PAPER}, Figure 2", "exponents and constant of equation 1; Nc and Dc are not given"
    ),
    "bilingual_losses": Published(
        "published_bilingual_losses",
        f"{PAPER}, Table 1",
        "loss on `target` after training on it and `auxiliary`; equal: the target twice. The printed losses and"
        " percentages stand in different column orders; in this one every percentage recomputes to within 0.024 points",
    ),
    "translation_laws": Published(
        "published_translation_laws",
        f"{PAPER}, equations 3-5",
        "L = A N^-alpha + B D^-beta + Linf; N, D in billions (inferred)",
    ),
    "optimum": Published(
        "published_optimum", f"{PAPER}, equation 8", "outside the range of Figure 2, which equation 6 rules out"
    ),
    "grid": Published("published_grid", f"{PAPER}, the runs behind equation 1", "all combinations, for each language"),
    "allocation_changes": Published(
        "published_allocation_changes",
        f"{PAPER}, allocation of 350B tokens, against 50B for each language",
        "the changes sum to 0, so one language keeps its 50B; the text does not say which change is whose",
    ),
    "averages": Published("published_averages", f"{PAPER}, evaluation", "percent, or BLEU points"),
}


def table(name: str) -> pa.Table:
    """Return a published table; its schema's metadata holds `source` and `note`.

    Args:
        name: A key of `TABLES`.

    Raises:
        BadInput: No such table.
    """
    if name not in TABLES:
        bad_input("published table", f"{name!r} does not exist; known: {', '.join(TABLES)}")
    row = TABLES[name]
    data = (resources.files("analysis") / "data" / f"{row.file}.csv").read_bytes()
    empty_is_null = csv.ConvertOptions(strings_can_be_null=True)
    found = csv.read_csv(io.BytesIO(data), convert_options=empty_is_null)
    return found.replace_schema_metadata({"source": row.source, "note": row.note})


def synergies() -> dict[tuple[str, str], float]:
    """Return what each auxiliary language gains each target: L(target twice) - L(target and auxiliary).

    Positive where the other language helps more than repeating the target does. The baseline repeats its tokens, so a
    gain mixes transfer with the cost of repetition.

    Source: arXiv 2512.13472, equation 2, with the sign that all of its quoted values have.
    """
    losses = _losses()
    return {
        (target, auxiliary): losses[target, target] - value
        for (target, auxiliary), value in losses.items()
        if target != auxiliary
    }


def below_floor() -> list[tuple[str, str, float, float]]:
    """Return the measured losses that lie below the published limit of their own law, which should be impossible.

    Returns:
        Target, auxiliary, loss, the target's Linf.
    """
    floors = {row["language"]: row["Linf"] for row in table("language_laws").to_pylist()}
    return [
        (target, auxiliary, value, floors[target])
        for (target, auxiliary), value in _losses().items()
        if value < floors[target]
    ]


def language_fits(constants: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return the published per-language laws in the form that `analysis.fit.fit` returns, without intervals.

    Args:
        constants: Language to its Nc (parameters) and Dc (tokens), which the paper does not give.

    Raises:
        BadInput: A constant is missing, unknown, or not a positive number; all are named.
    """
    rows = table("language_laws").to_pylist()
    languages = [row["language"] for row in rows]
    mistakes = [
        Mistake(f"constant {language}.{symbol}", _unknown(language, symbol, languages))
        for language, given in constants.items()
        for symbol in given
        if _unknown(language, symbol, languages)
    ]
    for language in languages:
        for symbol in UNPUBLISHED:
            value = constants.get(language, {}).get(symbol)
            what = "parameters" if symbol == "Nc" else "tokens"
            if value is None:
                mistakes.append(
                    Mistake(
                        f"constant {language}.{symbol}",
                        f"not published; give its value in {what} with --constant {language}.{symbol}=VALUE",
                    )
                )
            elif not (math.isfinite(value) and value > 0):
                mistakes.append(Mistake(f"constant {language}.{symbol}", f"{value!r} is no positive number of {what}"))
    if mistakes:
        raise BadInput(mistakes)
    axes = table("grid").to_pylist()
    ranges = {
        axis: [float(pick(row["value"] for row in axes if row["axis"] == axis)) for pick in (min, max)]
        for axis in ("params", "tokens")
    }
    return [
        {
            "law": LAWS["monolingual"].name,
            "unit": "as published",
            "group": row["language"],
            "n_runs": None,
            "objective": None,
            "estimates": {**constants[row["language"]], **{name: row[name] for name in ("Linf", "aN", "aD")}},
            "intervals": {},
            "draws": [],
            "converged": None,
            "heldout": None,
            "unidentified": [],
            "ranges": ranges,
            "columns": {"params": "params", "tokens": "tokens", "loss": "loss", "by": "language"},
            "warnings": [f"exponents and constant as published ({PAPER}, Figure 2); Nc and Dc as given by the caller"],
        }
        for row in rows
    ]


def _losses() -> dict[tuple[str, str], float]:
    return {(row["target"], row["auxiliary"]): row["loss"] for row in table("bilingual_losses").to_pylist()}


def _unknown(language: str, symbol: str, languages: list[str]) -> str:
    if language not in languages:
        return f"{language!r} has no published law; known: {', '.join(languages)}"
    return "" if symbol in UNPUBLISHED else f"{symbol!r} is not one of {' and '.join(UNPUBLISHED)}"
