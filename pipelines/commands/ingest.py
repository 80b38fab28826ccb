"""`polymix ingest`: runs of any origin into one database of runs and evaluations."""

from __future__ import annotations

from typing import Any

import click


@click.command(short_help="foreign runs into one database")
@click.argument("sources", nargs=-1, required=True, type=click.Path())
@click.option("--into", default="runs.duckdb", show_default=True, type=click.Path(), help="The database.")
@click.option("--study", default="default", show_default=True, help="What the runs belong to.")
@click.option("--params", metavar="COLUMN", help="Parameters; or the number itself, where there is no column.")
@click.option("--counted", type=click.Choice(["total", "non_embedding"]), help="Whether these count embeddings.")
@click.option("--tokens", metavar="COLUMN", help="Training tokens; of event files, the scalar that holds them.")
@click.option("--tokens-per-step", type=float, help="Of event files or histories without them.")
@click.option("--loss", multiple=True, metavar="COLUMN", help="A loss, repeatable. Default: all that end in `loss`.")
@click.option("--unit", type=click.Choice(["nats", "bits_per_byte"]), help="The losses' unit, if names do not tell.")
@click.option("--name", metavar="COLUMN", help="The runs' names. Default: name, else a run a row.")
@click.option("--language", metavar="COLUMN", help="Of long tables: what a loss was measured on. Default: language.")
@click.option("--shares", metavar="PREFIX", help="What the columns of shares begin with.")
@click.option("--finished-only", is_flag=True, help="Leave out unfinished runs instead of refusing.")
def command(sources: tuple[str, ...], into: str, study: str, finished_only: bool, **columns: Any) -> None:
    """Add runs to a DuckDB file of runs and evaluations, which `polymix fit` reads.

    SOURCES are `runs` artifacts, tables (.csv, .tsv, .parquet, .json, .jsonl), or folders of TensorBoard's event files.
    Tables are wide (a row a run or checkpoint, a column a loss) or long (a row a loss, with its language). Of Weights &
    Biases: its table of runs as exported, runs of its API with config and summary, and histories (a row a step, of one
    run or with a column of names). The same input twice changes nothing. What is missing, double, unfinished, in mixed
    units, or counted nobody knows how, is refused with the rows.

    Prints one JSON object: runs, evaluations, unchanged, unfinished.

    \b
    Examples
      polymix ingest store/demo/0/runs --into runs.duckdb
      polymix ingest mixtures.csv --params model_size --counted total --tokens n_tokens --unit nats --shares weight_
      polymix ingest long.parquet --counted total --unit nats --language eval_set
      polymix ingest wandb-runs.jsonl --params n_params --counted total --unit nats --loss val/python_loss
      polymix ingest history.parquet --params 1.2e8 --counted total --unit nats --tokens-per-step 524288
      polymix ingest tensorboard/ --params 1.2e8 --counted total --tokens-per-step 524288 --unit nats
      polymix fit runs.duckdb --params params_total --by language
    """
    from analysis.ingest import Reading, ingest
    from pipelines.console import emit

    emit([ingest(sources, into, study=study, reading=Reading(**columns), finished_only=finished_only)])
