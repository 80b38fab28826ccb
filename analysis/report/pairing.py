"""Translation in a report: what runs score on held-out pairs, and what laying code beside its translation is worth.

Start at `translation_part`. The gain of pairing is the loss with halves parted (random shuffling) minus that with each
pair as one document, on the same code tokens, from runs that differ in nothing else: positive is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from markupsafe import Markup

from analysis.report.numbers import NOTHING, count, loss, short
from analysis.report.reading import Reading
from analysis.report.section import render
from analysis.report.tables import Column, table
from analysis.significance import width

KINDS = ("translation, seen", "translation, unseen", "language")


def translation_part(reading: Reading) -> Markup:
    """Return the part on translations and pairing, empty where the runs have neither."""
    pairing, translations = reading.ask("report_pairing"), reading.ask("report_translations")
    if not pairing and not translations:
        return Markup("")
    gains = gains_of(pairing.records())
    columns = [
        Column("kind", "Kind"),
        Column("measured_on", "Measured on"),
        Column("runs", "Pairs of runs", count, numeric=True),
        Column("parallel", "One document", loss, numeric=True, explain="bits a byte, mean over runs"),
        Column("shuffled", "Halves parted", loss, numeric=True, explain="bits a byte, mean over runs"),
        Column("relative", "Gain of pairing", numeric=True, cell=_gain, explain="of the loss; above 0: pairing helps"),
        Column("better", "Better in", count, numeric=True, explain="pairs of runs in which one document did better"),
    ]
    scores = [
        Column("mixture", "Trained on"),
        Column("pairing", "Pairs"),
        Column("size", "Size"),
        Column("tokens", "Tokens", short, numeric=True),
        Column("seen", "Seen directions", loss, numeric=True, explain="bits a byte of the translation"),
        Column("unseen", "Unseen directions", loss, numeric=True),
        Column("instances", "Tasks", count, numeric=True),
        Column("left_out", "Left out", count, numeric=True, explain="longer than a sequence"),
    ]
    return render(
        "pairing.html",
        pairing=pairing,
        translations=translations,
        gains=table(gains, columns, caption="Parallel pairing against random shuffling") if gains else "",
        scores=table(
            translations.records(), scores, query="report_translations", caption="Loss on held-out translations"
        )
        if translations
        else "",
        seeds=len({row["seed"] for row in pairing.records()}),
    )


def gains_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what pairing gains on each thing measured, over all pairs of runs that differ in nothing else.

    Args:
        rows: Of `report_pairing.sql`.

    Returns:
        Rows `kind, measured_on, runs, parallel, shuffled, relative, interval, better`: `relative` is the mean gain as a
        part of the loss, its 95% interval (None for a single pair of runs) is by Student's t over the pairs of runs.
    """
    found: list[dict[str, Any]] = []
    ordered = sorted(rows, key=lambda row: (KINDS.index(row["kind"]), row["measured_on"]))
    for (kind, name), of_one in groupby(ordered, key=lambda row: (row["kind"], row["measured_on"])):
        several = list(of_one)
        parallel, shuffled = (np.array([row[side] for row in several]) for side in ("parallel", "shuffled"))
        gain = np.log(shuffled / parallel)
        reach = None
        if len(gain) > 1:
            reach = width(len(gain) - 1) * float(gain.std(ddof=1)) / np.sqrt(len(gain))
        mean = float(gain.mean())
        found.append(
            {
                "kind": kind,
                "measured_on": name,
                "runs": len(gain),
                "parallel": float(parallel.mean()),
                "shuffled": float(shuffled.mean()),
                "relative": float(-np.expm1(-mean)),
                "interval": None if reach is None else [float(-np.expm1(-(mean + side * reach))) for side in (-1, 1)],
                "better": int((gain > 0).sum()),
            }
        )
    return found


def _gain(row: Mapping[str, Any]) -> Markup:
    interval = NOTHING if row["interval"] is None else f"{row['interval'][0]:+.2%} to {row['interval'][1]:+.2%}"
    return Markup('<data value="{}">{}</data> <small>{}</small>').format(
        repr(row["relative"]), f"{row['relative']:+.2%}", interval
    )
