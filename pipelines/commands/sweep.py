"""`polymix sweep`: plan, price and train many runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click


@click.command(short_help="plan, price and run many training runs")
@click.argument("settings", type=click.Path(path_type=Path), metavar="SWEEP.toml")
@click.option(
    "--tokens-dir", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Token stores to train on."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the runs are put.")
@click.option("--workers", type=click.IntRange(min=1), help="Runs trained at once. Default: one a core.")
@click.option("--dry-run", is_flag=True, help="Print the plan and its price, and train nothing.")
def command(settings: Path, tokens_dir: Path, out: Path | None, workers: int | None, dry_run: bool) -> None:
    """Train every size with every budget, on each language alone and on named mixtures.

    The plan is priced on this machine before anything is trained. Runs that differ by their budget alone share a trunk.
    Stopped or killed, the same command goes on with the runs that are not finished, and ends with the same result.
    Prints a JSON object a run: what it was trained on and its validation losses. In DIR: runs.parquet,
    evaluations.parquet, curves.parquet, which `polymix fit` reads, and a record a run.

    \b
    SWEEP.toml
      sizes = ["4M", "8M", "20M"]             # see the list in the error for an unknown one
      tokens = ["50M", "100M", "200M"]        # budgets
      sequence_length = 1024                  # default 2048
      batch_tokens = 65_536                   # default 524_288
      languages = ["python", "go"]            # default: all that have stores
      learning_rate = "by size"               # or one number, such as 3e-3
      validate_on = "all"                     # or "trained": only on languages the run has seen
      validation_tokens = 65_536              # of each language
      seed = 0
      seeds = 1                               # runs of each kind, with seeds counted up
      each_language = true                    # a run for each language alone
      [mixtures.half]                         # and on mixtures
      python = 0.5
      go = 0.5

    \b
    Examples:
      polymix sweep sweep.toml --tokens-dir tokens --dry-run
      polymix sweep sweep.toml --tokens-dir tokens --out runs && polymix fit runs --by language
    """
    from pipelines.console import emit
    from quality.mistakes import bad_input
    from quality.progress import say
    from training.settings import read_sweep_settings
    from training.sweep import announcement, plan_sweep, price, run_summaries, sweep

    wanted = read_sweep_settings(settings)
    if dry_run:
        plan = plan_sweep(wanted, tokens_dir)
        emit((run.as_json() for run in plan.runs), title="Plan")
        say(announcement(plan, price(plan, workers=workers)))
        return
    if out is None:
        bad_input("--out", "is missing; name a folder for the runs, or give --dry-run to see the plan alone")
    done = sweep(wanted, tokens_dir, out, workers=workers, command=shlex.join(["polymix", *sys.argv[1:]]))
    emit(run_summaries(done), title=str(done))
