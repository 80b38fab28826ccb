"""`polymix dedup`: exact and near duplicates of a table of texts."""

from __future__ import annotations

import sys
from pathlib import Path

import click

EPILOG = """\b
Examples:
  polymix dedup texts.jsonl --out clean
  polymix dedup corpus/documents --out clean --threshold 0.85
  polymix dedup texts.parquet --out clean --bands 50 --rows 4     # finds more at low thresholds, takes longer

\b
Leaves in --out:
  kept.parquet       the rows that stay, with all their columns
  clusters.parquet   id, cluster (the id that stays), kept, similarity (true Jaccard), reason:
                     unique, survivor, same_bytes, same_text (white space at line ends differs), near

Bands of rows hashes each propose a pair of Jaccard J with probability 1 - (1 - J^rows)^bands; each proposal is then
verified, so a wrong one costs time and never a text. Of duplicates the largest stays, then the smallest hash.
"""


@click.command(epilog=EPILOG)
@click.argument("table", metavar="IN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the result; appears when done.")
@click.option("--threshold", default=0.7, show_default=True, help="Jaccard from which texts are near duplicates.")
@click.option("--shingle-size", default=5, show_default=True, help="Tokens in a shingle.")
@click.option("--bands", default=25, show_default=True, help="LSH bands.")
@click.option("--rows", default=5, show_default=True, help="Hashes in a band.")
@click.option("--seed", default=1, show_default=True, help="Seed of the hashes.")
def command(table: Path, out: Path, threshold: float, shingle_size: int, bands: int, rows: int, seed: int) -> None:
    """Remove exact and near duplicates from IN, in this process, as long as IN fits in memory.

    IN is a Parquet or JSON Lines file, or a folder of either, with the columns `id` and `text`; others are kept.
    """
    from pydantic import ValidationError

    from pipelines.console import emit
    from pipelines.dedup import NearDuplicates, dedup
    from quality.mistakes import BadInput, Mistake

    try:
        config = NearDuplicates(threshold=threshold, shingle_size=shingle_size, bands=bands, rows=rows, seed=seed)
    except ValidationError as error:
        raise BadInput(
            Mistake(f"--{str(one['loc'][0]).replace('_', '-')}", f"{one['input']!r}: {one['msg']}")
            for one in error.errors()
        ) from error
    emit([dedup(table, out, config, command=" ".join(["polymix", *sys.argv[1:]]))], title=str(out))
