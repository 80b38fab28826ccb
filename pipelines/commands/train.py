"""`polymix train`: one training run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from pipelines.commands.ranges import FiniteRange


def _count(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from training.hyperparameters import count

    try:
        return None if value is None else count(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


@click.command(short_help="one training run")
@click.option(
    "--tokens-dir", type=click.Path(path_type=Path), metavar="DIR", help="Token stores; a mixture is planned."
)
@click.option("--shards", type=click.Path(path_type=Path), metavar="DIR", help="Shards, read as they were packed.")
@click.option("--size", required=True, metavar="SIZE", help="A size label, such as 400k, 20M or 0.5B.")
@click.option("--tokens", required=True, callback=_count, metavar="N", help="Training tokens, such as 250k or 100M.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where the run is put.")
@click.option("--replace", is_flag=True, help="Replace another run that is there.")
@click.option(
    "--allocation",
    type=click.Path(path_type=Path),
    metavar="A.json",
    help="Shares by source, for token stores. Default: all languages alike.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of weights and order.")
@click.option("--sequence-length", type=click.IntRange(min=2), help="Tokens a sequence. Default: 2048, or the shards'.")
@click.option(
    "--batch-tokens", callback=_count, metavar="N", help="Tokens a step. Default: by size, or a hundredth of N."
)
@click.option("--learning-rate", type=FiniteRange(0, 1, True, True), help="Peak rate. Default: by size.")
@click.option(
    "--schedule",
    type=click.Choice(["wsd-sqrt", "cosine"]),
    default="wsd-sqrt",
    show_default=True,
    help="Warm-up, stable, decay; or a cosine.",
)
@click.option(
    "--within-documents", is_flag=True, help="Tokens do not attend to the documents before theirs in a sequence."
)
@click.option("--float8", is_flag=True, help="Multiply matrices in 8 bits (needs torchao).")
@click.option("--validation-tokens", callback=_count, metavar="N", help="Of each language. Default: 65536.")
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="An evaluation set, on whose translations the model is scored as well.",
)
@click.option("--max-epochs", type=FiniteRange(0, min_open=True), help="How often a source may be read. Default: 4.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(min=1), help="Started by torchrun.")
@click.option(
    "--tensor-parallel",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Processes that share each matrix; the others shard parameters and data (FSDP2).",
)
@click.option(
    "--replicas",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Copies of the shards (HSDP), such as one a node.",
)
@click.option("--compile/--no-compile", "compiled", default=None, help="Default: on accelerators.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="CPU threads of a process.")
@click.option("--checkpoint-every", default=500, show_default=True, type=click.IntRange(min=1), help="Steps.")
def command(
    tokens_dir: Path | None,
    shards: Path | None,
    size: str,
    tokens: int,
    out: Path,
    allocation: Path | None,
    processes: int,
    tensor_parallel: int,
    replicas: int,
    within_documents: bool,
    **options: Any,
) -> None:
    """Train one model and validate it on every language.

    Prints one JSON object: validation losses in bits per byte by language, and what was trained. In DIR: runs.parquet,
    evaluations.parquet, translations.parquet, curves.parquet, and the model's checkpoint, which `polymix export` takes
    to Hugging Face's format. Killed, the same command goes on from the last checkpoint and ends with the same losses;
    the number of processes may change in between.

    \b
    Examples:
      polymix train --shards shards --size 20M --tokens 100M --out run
      polymix train --tokens-dir tokens --size 4M --tokens 50M --allocation a.json --sequence-length 512 --out run
      polymix train --tokens-dir tokens --size 1.5B --tokens 30B --processes 8 --tensor-parallel 2 --out run
      polymix train --shards shards --size 0.5B --tokens 10B --evaluation tasks --within-documents --out run
    """
    from pipelines.console import emit
    from quality.mistakes import bad_input
    from training.allocation import read_allocation
    from training.layout import Layout
    from training.sweep import run_summaries
    from training.train import train

    data = tokens_dir or shards
    if data is None or (tokens_dir and shards):
        bad_input("--tokens-dir, --shards", "give exactly one of them")
    done = train(
        data,
        size,
        tokens,
        out,
        allocation=read_allocation(allocation) if allocation else None,
        layout=Layout(processes, tensor_parallel, replicas),
        across_documents=not within_documents,
        command=shlex.join(["polymix", *sys.argv[1:]]),
        **{name: value for name, value in options.items() if value is not None},
    )
    emit(run_summaries(done), title=str(done))
