"""`polymix transfer`: what languages gain from each other."""

from __future__ import annotations

import sys
from typing import Any

import click


@click.command(short_help="what languages gain from each other, tested against the noise")
@click.argument("runs", required=False, type=click.Path())
@click.option("--fits", metavar="FITS", help="What `polymix fit --by language` printed of RUNS; with it tau is fitted.")
@click.option(
    "--noise", type=float, metavar="SD", help="Standard deviation of a log loss between seeds, where RUNS do not tell."
)
@click.option("--unit", default="bits_per_byte", show_default=True, help="Of a folder's losses; or nats.")
@click.option("--params", default="params_non_embedding", show_default=True, help="N; or params_total.")
@click.option("--at", metavar="JSON|FILE", help="Of mixture laws: the params, tokens and shares at which tau is told.")
@click.option("--seed", default=0, show_default=True, help="Decides the draws of tau.")
def command(**options: Any) -> None:
    """Compare runs on two languages with runs on one, and say which gains are real.

    RUNS is a `runs` folder whose sweep had mixtures and was validated on all languages, or a .csv with a row a loss:
    target, auxiliary, tokens, loss and, where known, share (of the target), params, epochs, seed. An empty auxiliary
    means the target alone.

    Two baselines: repetition (the target alone for as many tokens in all, as in arXiv 2512.13472) and unique (the
    target alone for the target tokens of the mixture). A gain is the baseline's loss minus the mixture's: positive is
    better. Intervals and p-values come from the noise between seeds, q-values from Benjamini and Hochberg over all
    rows.

    With FITS of mixture laws (one for the loss of each language), tau is read off the laws and RUNS may be left out:
    how many of its own tokens the next token of another language is worth, from the slopes at one point. Laws that
    cannot tell are refused.

    Prints one JSON object: noise, synergy (rows), tau (rows with intervals), matrix, words. `polymix allocate
    --transfer` reads it.

    \b
    Examples
      polymix transfer store/demo/0/runs --fits fits.jsonl > transfer.json
      polymix transfer losses.csv --noise 0.002
      polymix transfer --fits mixture-fits.jsonl --at '{"tokens": 1e10, "shares": {"go": 0.4, "rust": 0.6}}'
    """
    from analysis.transfer import transfer
    from pipelines.console import emit
    from quality.progress import say

    found = transfer(options.pop("runs"), **options)
    for word in found["words"]:
        say(f"note: {word}")
    if not sys.stdout.isatty():
        emit([found])
        return
    emit([_row(row) for row in found["synergy"]], title="synergy: baseline minus mixture")
    if found["tau"]:
        emit([_tau(row) for row in found["tau"]], title="tau: what a token of the auxiliary is worth to the target")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    interval = row["interval"]
    return {
        "target": row["target"],
        "auxiliary": row["auxiliary"],
        "baseline": row["baseline"],
        "share": f"{row['share']:.0%}",
        "tokens": f"{row['tokens']:.3g}",
        "gain": f"{row['relative']:.2%}" + (f" [{interval[0]:.2%}, {interval[1]:.2%}]" if interval else ""),
        "q": "" if row["q"] is None else f"{row['q']:.2g}",
        "verdict": row["verdict"],
    }


def _tau(row: dict[str, Any]) -> dict[str, Any]:
    interval = row["interval"]
    shown = "not determined" if row["tau"] is None else f"{row['tau']:.3g}"
    return {
        "target": row["target"],
        "auxiliary": row["auxiliary"],
        "tau": shown + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else ""),
        "q": "" if row["q"] is None else f"{row['q']:.2g}",
        "runs": row["runs"],
    }
