"""`polymix evaluation`: held-out proved pairs to translation tasks in every direction."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click


@click.command(short_help="held-out proved pairs to translation tasks in every direction")
@click.argument("pairs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
@click.option(
    "--per-direction", default=50, show_default=True, type=click.IntRange(1), metavar="N", help="Instances at most."
)
@click.option(
    "--verdicts",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What `polymix validate --evidence` printed of the JSON lines; may be repeated.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Further pairs that models are trained on; may be repeated.",
)
@click.option("--corpus", type=click.Path(path_type=Path), metavar="DIR", help="Check its splits, too.")
@click.option("--pivot", default="", metavar="LANGUAGE", help="Of the seen directions.  [default: the pairs' left one]")
def command(
    pairs: tuple[Path, ...],
    out: Path,
    per_direction: int,
    verdicts: tuple[Path, ...],
    against: tuple[Path, ...],
    corpus: Path | None,
    pivot: str,
) -> None:
    """Make an evaluation set for translation of PAIRS that were held out.

    PAIRS are folders that `polymix mine` made (their validation split is used) or files of JSON lines as `polymix
    validate` reads them (all that is equivalent in them is used). Pairs that share a pivot function are a group, and
    any two languages of a group are a direction, source to target. Source and reference are run against each other
    before they become an instance, also where both are proved against the pivot. What a training pair holds too, by
    code without blanks, comments and name, or by repository and name, is left out.

    \b
    The folder gets
      instances.parquet  source code, prompt, reference, signature, and cases: arguments and the expected outcome as
                         typed values, so that a translation is judged by running it
      excluded.parquet   every group and direction that was left out, and why
      manifest.json      the counts, which are printed too: a row a direction, those through the pivot (`seen`, which
                         parallel documents train) first; `short` says how many instances are missing

    \b
    Examples
      polymix evaluation store/demo/0/pairs --corpus store/demo/0/corpus --out evaluation
      polymix validate pairs.jsonl --evidence > verdicts.jsonl
      polymix evaluation pairs.jsonl --verdicts verdicts.jsonl --against store/demo/0/pairs --out evaluation
      polymix evaluation pairs.jsonl --per-direction 20 --out small          # judges the pairs itself
    """
    from parallel_mining.evaluation import EvaluationSettings, evaluation
    from pipelines.console import emit

    counts = evaluation(
        pairs,
        out,
        EvaluationSettings(per_direction=per_direction, pivot=pivot),
        verdicts=verdicts,
        against=against,
        corpus=corpus,
        command=shlex.join(["polymix", *sys.argv[1:]]),
    )
    title = f"{counts['instances']} instances: {counts['seen']} seen, {counts['unseen']} unseen"
    emit(counts["directions"], title=title)
