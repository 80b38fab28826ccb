"""`polymix export`: a trained model in Hugging Face's format."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Literal

import click


@click.command(short_help="a trained model in Hugging Face's format")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where the model is put.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the weights.",
)
def command(run: Path, out: Path, precision: Literal["float32", "bfloat16"]) -> None:
    """Write the model of RUN, a folder that `polymix train` made, so that transformers and others load it.

    Prints one JSON object: where it is, its tensors and parameters.

    \b
    Examples:
      polymix export run --out model
      polymix export run --out model --precision bfloat16
    """
    from pipelines.console import emit
    from quality.artifacts import read_manifest
    from training.export import export

    done = export(run, out, precision=precision, command=shlex.join(["polymix", *sys.argv[1:]]))
    emit([{"out": str(done), **read_manifest(done)["counts"]}], title=str(done))
