"""`polymix optimum`: the model size and tokens that a budget of FLOPs is best spent on."""

from __future__ import annotations

import sys
from typing import Any

import click

from pipelines.commands.allocate import Count


@click.command(short_help="the best model size and tokens for a budget of FLOPs, by three approaches")
@click.argument("runs", type=click.Path())
@click.option("--flops", type=Count(), required=True, help="The budget, C = 6 N D, such as 1e21.")
@click.option("--law", default="chinchilla", show_default=True, metavar="NAME", help="Of the parametric approach.")
@click.option("--params", metavar="COLUMN", help="Parameters, as for `polymix fit`.")
@click.option("--tokens", metavar="COLUMN", help="Training tokens.")
@click.option("--loss", metavar="COLUMN", help="Loss.")
@click.option("--shares", metavar="PREFIX", help="What the columns of shares begin with, for laws of mixtures.")
@click.option("--target", metavar="SOURCE", help="Which source the loss is measured on, as for `polymix fit`.")
@click.option("--mixture", metavar="JSON|FILE", help="Shares of the mixture that is trained on, for laws of mixtures.")
@click.option("--where", metavar="SQL", help="Only rows that meet a condition, such as \"language = 'go'\".")
@click.option("--drop-highest", default=0, show_default=True, metavar="K", help="Leave out the K highest losses.")
@click.option("--bootstrap", default=200, show_default=True, metavar="B", help="Resamples for intervals; 0 for none.")
@click.option("--seed", default=0, show_default=True, help="Decides the resamples.")
def command(**options: Any) -> None:
    """Say how a budget of FLOPs is best divided between parameters and tokens.

    RUNS is what `polymix fit` reads. Three approaches (Hoffmann et al., arXiv 2203.15556) stand side by side: the
    envelope of runs that no cheaper run beats, isoFLOP profiles, and a fitted law. Where they differ by more than their
    intervals, do not trust any one of them. A law of mixtures is asked at one --mixture, fitted to runs on all of them;
    the other two approaches then take the runs on that mixture only.

    Prints one JSON object an approach: params, tokens, exponents, intervals (95%), runs, beyond (times the cost of the
    largest run), words.

    \b
    Examples
      polymix optimum runs.csv --loss loss_nats --flops 5.76e23 --drop-highest 5
      polymix optimum store/demo/0/runs --flops 1e15 --where "language = 'python'"
      polymix optimum mixtures.csv --law interaction --shares share_ --target go --loss go_loss --flops 1e20 \\
        --mixture '{"go": 0.4, "rust": 0.6}'
    """
    from analysis.compute_optimal import compute_optimal
    from pipelines.console import emit
    from quality.progress import say

    found = compute_optimal(options.pop("runs"), **options)
    for one in found:
        for word in one["words"]:
            say(f"note: {one['approach']}: {word}")
    emit([_row(one) for one in found] if sys.stdout.isatty() else found, title=f"C = {options['flops']:.3g} FLOPs")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"approach": one["approach"], "runs": one["runs"]}
    for name in ("params", "tokens", "exponent_params"):
        interval = one["intervals"].get(name)
        value = "" if one[name] is None else f"{one[name]:.3g}"
        row[name] = value + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")
    return row
