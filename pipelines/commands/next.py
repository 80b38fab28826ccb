"""`polymix next`: the runs that would sharpen the decision most for what they cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pipelines.commands.allocate import Count


@click.command("next", short_help="which runs would sharpen the decision most for what they cost")
@click.argument("fits", type=click.Path(allow_dash=True))
@click.option("--tokens", type=Count(), required=True, help="The budget of the allocation to be decided, such as 350B.")
@click.option("--params", type=Count(), required=True, help="N of the model to be trained, such as 1.5B.")
@click.option("--budget", type=Count(), required=True, help="FLOPs to spend on runs, such as 1e20.")
@click.option("--size", "sizes", multiple=True, metavar="LABEL", help="A size to choose from. May be repeated.")
@click.option("--run-tokens", multiple=True, type=Count(), metavar="N", help="Tokens of a run. May be repeated.")
@click.option("--mixtures", metavar="JSON|FILE", help="Mixtures to choose from, for mixture laws: name to shares.")
@click.option("--supply", metavar="JSON|FILE", help="Unique tokens of each language, as for `polymix allocate`.")
@click.option("--weights", metavar="JSON|FILE", help="How much each language's loss counts.")
@click.option("--max-epochs", default=4.0, show_default=True, help="How often unique tokens may be drawn.")
@click.option("--fixed", metavar="JSON|FILE", help="Shares that are settled, as for `polymix allocate`; so are:")
@click.option("--floors", metavar="JSON|FILE", help="Least shares of languages.")
@click.option("--parallel-share", default=0.0, show_default=True, help="Share of parallel documents.")
@click.option("--transfer", metavar="JSON|FILE", help="What languages gain from each other.")
@click.option("--noise", type=float, metavar="SD", help="Of a log loss around its law. Default: what the fits leave.")
@click.option("--vocabulary", default=32_000, show_default=True, help="Token ids, for prices.")
@click.option("--like", type=click.Path(path_type=Path), metavar="SWEEP.toml", help="What new sweeps are to be like.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write their settings: next-1.toml, ...")
@click.option("--seed", default=0, show_default=True, help="Decides the outcomes that are drawn.")
def command(**options: Any) -> None:
    """Name the runs that would lower the expected regret of an allocation most, for a budget of FLOPs.

    FITS is what `polymix fit --by language` printed, with draws. The expected regret is what the allocation loses on
    average over the draws to the best in hindsight. Candidates are every language with every size and number of tokens;
    for mixture laws (a fit for the loss of each language), every mixture. Runs are chosen one after another by regret
    saved a FLOP.

    Prints one JSON object: runs (in the order chosen, with their prices and the regret after each), regret_before,
    regret_after, spent, sweeps (settings that `polymix sweep` takes), words.

    \b
    Examples
      polymix next fits.jsonl --tokens 350B --params 1.5B --budget 1e20
      polymix next fits.jsonl --tokens 1.5M --params 400k --budget 1e13 --like sweep.toml --out more
      polymix next mixture-fits.jsonl --tokens 350B --params 1.5B --budget 1e20 --mixtures '{"even": {"go": 0.5, ...}}'
      polymix sweep more/next-1.toml --tokens-dir tokens --out more/runs
    """
    from analysis.next_runs import next_runs
    from pipelines.console import emit
    from quality.progress import say

    found = next_runs(options.pop("fits"), **options)
    for word in found["words"]:
        say(f"note: {word}")
    if sys.stdout.isatty():
        emit([_row(run) for run in found["runs"]], title=f"{found['spent']:.3g} of {found['budget']:.3g} FLOPs")
    else:
        emit([found])


def _row(run: dict[str, Any]) -> dict[str, Any]:
    return {
        "mixture": run["mixture"],
        "size": run["size"],
        "tokens": f"{run['tokens']:.3g}",
        "FLOPs": f"{run['flops']:.3g}",
        "regret before": f"{run['regret_before']:.3g}",
        "after": f"{run['regret_after']:.3g}",
    }
