"""`polymix fit`: scaling laws from a table of runs."""

from __future__ import annotations

import math
import sys
from typing import Any

import click


@click.command(short_help="scaling laws from a table of runs")
@click.argument("runs", type=click.Path())
@click.option("--law", default="chinchilla", show_default=True, metavar="NAME", help="Name of a law, see below.")
@click.option("--by", metavar="COLUMN", help="Fit each value of this column apart, such as `language`.")
@click.option("--params", metavar="COLUMN", help="Parameters. Default: params_non_embedding, params or params_total.")
@click.option("--tokens", metavar="COLUMN", help="Training tokens. Default: tokens.")
@click.option("--loss", metavar="COLUMN", help="Loss. Default: bits_per_byte, loss_nats or loss.")
@click.option("--unit", metavar="NAME", help="The loss's unit, where the column's name does not tell.")
@click.option(
    "--shares",
    metavar="PREFIX",
    help="What the columns of shares begin with, for laws of mixtures; of a sweep's runs: share_.",
)
@click.option(
    "--target",
    metavar="SOURCE",
    help="Which source the loss is measured on. Default: as the group or the loss is named.",
)
@click.option("--unique", metavar="COLUMN", help="Unique tokens, for the law of repetition.")
@click.option("--weight", metavar="COLUMN", help="How much each run counts. Default: all the same.")
@click.option("--trunk", metavar="COLUMN", help="The same for runs that share their first steps: resampled together.")
@click.option("--where", metavar="SQL", help='Only rows that meet a condition, such as "params > 1e6".')
@click.option("--fix", "fixed", multiple=True, metavar="SYMBOL=VALUE", help="A symbol that is known and not fitted.")
@click.option("--table", metavar="NAME", help="The table of a .duckdb file that holds several.")
@click.option(
    "--drop-highest", default=0, show_default=True, metavar="K", help="Leave out the K highest losses of each group."
)
@click.option(
    "--bootstrap", default=200, show_default=True, metavar="B", help="Resamples of the runs for intervals; 0 for none."
)
@click.option("--seed", default=0, show_default=True, help="Decides the resamples.")
@click.option("--compare", metavar="LAW,LAW", help="Instead of a fit: rank these laws by their held-out errors.")
def command(compare: str | None, fixed: tuple[str, ...], **options: Any) -> None:
    """Fit a scaling law to RUNS and say how sure it is.

    RUNS is the folder that `polymix sweep` made, or a .csv, .tsv, .parquet, .jsonl or .duckdb file with one row a run.
    Of a folder, every finished run on one language is read, with its last validation loss on that language; with
    --shares share_ every run on languages, with that on each of them (divide those with --by language).

    Prints one JSON object a group: law, unit, group, n_runs, objective (summed Huber 1e-3 on log loss), estimates,
    intervals (95%, by resampling the runs), draws, converged, heldout (error on the largest runs, left out),
    heldout_mixtures (on mixtures left out), unidentified (symbols the runs do not determine), profile (how firmly each
    is kept off its bounds, as chi-squared), influential (the runs that pull most), ranges, warnings. `polymix allocate`
    reads these lines. With --compare: a line a law and group, the smallest held-out errors first.

    \b
    Laws of N and D
      chinchilla     L = E + A / N^alpha + B / D^beta
      monolingual    L = (Nc / N)^aN + (Dc / D)^aD + Linf
      translation, zero-shot, zero-shot-translation
                     L = A N^-alpha + B D^-beta + Linf, N and D in billions
      skaling        L = E + (A / N^a + B / D^b)^k
      farseer        L = exp(s N^q + S) + exp(B N^b + Q) D^-exp(A N^a + E)
      repetition     L = E + A / N^alpha + B / D'^beta, D' worth of D tokens of which U are unique (--unique)

    \b
    Laws of mixtures (--shares): of one text's loss, over the shares h of all sources
      interaction    L = (E + A / N^alpha + B N^kappa / D^beta) (1 + 1 / sum_j C_j h_j^gamma_j)
      additive       L = E + A / N^alpha + B / D^beta + 1 / sum_j C_j h_j^gamma_j
      joint          the same, with A and B that depend on h
      transfer       L = E + A / N^alpha + B / (D (h_own + sum_j tau_j h_j))^beta
      he             L = (E + A / N^alpha + B / D^beta) h_own^-gamma
      ye             L = c + exp(sum_j t_j h_j), one N and D
      proportional   the paper's law of a whole mixture's loss, as printed; degenerate, not to be allocated by

    \b
    Examples
      polymix fit store/demo/0/runs --by language > fits.jsonl
      polymix fit runs.csv --params N --tokens D --loss loss_nats --drop-highest 5 --bootstrap 1000
      polymix fit mixtures.csv --law interaction --shares weight_ --loss github_loss --params model_size
      polymix fit runs.csv --fix A=480 --fix alpha=0.347
      polymix fit store/demo/0/runs --law interaction --shares share_ --by language
      polymix fit runs.csv --compare chinchilla,skaling,farseer
      polymix fit runs.parquet --law monolingual --by language --where "learning_rate = 0.001"
    """
    from analysis.compare import compare as rank
    from analysis.fit import fit
    from pipelines.console import emit
    from quality.mistakes import BadInput, Mistake
    from quality.progress import say

    held = {name: value for name, _, value in (option.partition("=") for option in fixed)}
    wrong = [
        Mistake("--fix", f"{name}={value} is not SYMBOL=NUMBER") for name, value in held.items() if not _number(value)
    ]
    if fixed and compare is not None:
        wrong.append(Mistake("--fix", "is for a fit, and --compare ranks laws as they are; give one of the two"))
    if wrong:
        raise BadInput(wrong)
    if compare is not None:
        for name in ("law", "bootstrap", "seed"):
            del options[name]
        emit(rank(options.pop("runs"), compare.split(","), **options), title="by held-out error")
        return
    fits = fit(**options, fixed={name: float(value) for name, value in held.items()})
    about: dict[str, list[str]] = {}
    for one in fits:
        for warning in one["warnings"]:
            about.setdefault(warning, []).append(one["group"] or "")
    for warning, groups in about.items():
        where = "" if len(groups) == len(fits) else f"{', '.join(groups)}: "
        say(f"note: {where}{warning}")
    terminal = sys.stdout.isatty()
    emit([_summary(one) for one in fits] if terminal else fits, title=f"{options['law']}, {fits[0]['unit']}")


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _summary(fit: dict[str, Any]) -> dict[str, Any]:
    """Return what fits into a terminal: each estimate with its interval instead of the draws."""
    row: dict[str, Any] = {"group": fit["group"]} if fit["group"] is not None else {}
    row["runs"] = fit["n_runs"]
    for name, value in fit["estimates"].items():
        interval = fit["intervals"].get(name)
        row[name] = f"{value:.4g}" + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")
    held = fit["heldout"]
    row["left out"] = f"{held['mean_relative_error']:.2%}" if held else ""
    return row
