"""`polymix dedup`: exact and near duplicates of a table of texts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

EPILOG = """\b
Examples:
  polymix dedup texts.jsonl --out clean
  polymix dedup corpus/documents --out clean --threshold 0.85
  polymix dedup texts.parquet --out clean --rank license_type:permissive,no_license --rank stars:desc --rank date:desc
  polymix dedup texts.parquet --out clean --level repository --repository-column repo_name
  polymix dedup july.parquet --against clean --out clean-july    # what is new in July; `clean` is not hashed again
  polymix dedup texts/ --out clean --engine spark --master spark://host:7077 --memory 8g
  polymix dedup texts.parquet --out clean --bands 50 --rows 4    # finds more at low thresholds, takes longer

\b
Leaves in --out:
  kept.parquet       a folder of files: the rows that stay, with all their columns
  clusters.parquet   id, cluster (the id that stays), kept, similarity (true Jaccard), reason:
                     unique, survivor, same_bytes, same_text (white space at line ends differs), near
  index.parquet      what a later batch is compared with

With --engine spark there is no index.parquet, so that nothing can be compared with the result later. With --level
repository, ids in clusters.parquet and all counts are those of repositories.

Bands of rows hashes each propose a pair of Jaccard J with probability 1 - (1 - J^rows)^bands; each proposal is then
verified, so a wrong one costs time and never a text. Of duplicates the one preferred by --rank stays, then the largest,
then the one with the smallest hash.
"""


@click.command(epilog=EPILOG)
@click.argument("table", metavar="IN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the result; appears when done.")
@click.option("--threshold", default=0.7, show_default=True, help="Jaccard from which texts are near duplicates.")
@click.option("--shingle-size", default=5, show_default=True, help="Tokens in a shingle.")
@click.option("--bands", default=25, show_default=True, help="LSH bands.")
@click.option("--rows", default=5, show_default=True, help="Hashes in a band.")
@click.option("--bucket-limit", default=64, show_default=True, help="With how many of a bucket each text is compared.")
@click.option("--seed", default=1, show_default=True, help="Seed of the hashes.")
@click.option(
    "--rank",
    "ranks",
    multiple=True,
    metavar="COLUMN[:asc|desc|VALUE,VALUE...]",
    help="Which of two duplicates stays: by this column, null last. May be repeated, the most important first.",
)
@click.option(
    "--level",
    type=click.Choice(["file", "repository"]),
    default="file",
    show_default=True,
    help="Compare files, or repositories as wholes by all their files' shingles.",
)
@click.option("--repository-column", default="repo_name", show_default=True, help="Names each row's repository.")
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="An earlier result; what stayed there stays, and is preferred to all of IN. May be repeated.",
)
@click.option(
    "--engine",
    type=click.Choice(["memory", "spark"]),
    default="memory",
    show_default=True,
    help="In this process, as long as the hashes fit in its memory (1 GB a million texts), or by Spark beyond.",
)
@click.option("--master", default="local[*]", show_default=True, help="Spark master, for --engine spark.")
@click.option("--memory", default="2g", show_default=True, help="Heap of Spark's driver and of each executor.")
def command(
    table: Path,
    out: Path,
    ranks: tuple[str, ...],
    level: str,
    repository_column: str,
    against: tuple[Path, ...],
    engine: str,
    master: str,
    memory: str,
    **settings: float,
) -> None:
    """Remove exact and near duplicates from IN, in this process or by Spark, with the same result.

    IN is a Parquet or JSON Lines file, or a folder of either, with the columns `id` and `text`; others are kept.
    """
    if engine == "memory":
        from pipelines.startup import import_with_arrow, keep_memory
        from quality.workers import prepare_workers

        prepare_workers("pipelines.spill")  # imports what they need while this process imports the rest
        keep_memory()
        import_with_arrow("pipelines.dedup")

    from pydantic import ValidationError

    from pipelines.console import emit
    from pipelines.dedup import NearDuplicates, Rank, dedup
    from quality.mistakes import BadInput, Mistake

    try:
        config = NearDuplicates.model_validate(settings)
    except ValidationError as error:
        raise BadInput(
            Mistake(f"--{str(one['loc'][0]).replace('_', '-')}", f"{one['input']!r}: {one['msg']}")
            for one in error.errors()
        ) from error
    order = [Rank.parse(rank) for rank in ranks]
    told = shlex.join(["polymix", *sys.argv[1:]])
    if engine == "spark":
        mistakes = [
            Mistake(option, "is for --engine memory only")
            for option, given in (("--level", level != "file"), ("--against", against))
            if given
        ]
        if mistakes:
            raise BadInput(mistakes)
        from pipelines.spark_dedup import dedup_by_spark

        counts = dedup_by_spark(table, out, config, ranks=order, master=master, memory=memory, command=told)
        emit([counts], title=str(out))
        return
    counts = dedup(
        table,
        out,
        config,
        ranks=order,
        level="repository" if level == "repository" else "file",
        repository_column=repository_column,
        against=against,
        command=told,
    )
    emit([counts], title=str(out))
