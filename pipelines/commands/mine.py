"""`polymix mine`: a corpus to translation pairs, proved by running them."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click


@click.command(short_help="a corpus to translation pairs, proved by running them")
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option("--pivot", default="python", show_default=True, metavar="LANGUAGE", help="The left side of every pair.")
@click.option(
    "--language", "languages", multiple=True, metavar="LANGUAGE", help="Pair only with this one; may be repeated."
)
@click.option("--cases", default=72, show_default=True, type=click.IntRange(8, 1000), help="Inputs a domain.")
@click.option(
    "--tolerance",
    default="1e-9",
    show_default=True,
    type=click.Choice(["exact", "line-ends", "numeric", "1e-9", "1e-5"]),
    help="The widest difference between numbers that counts as agreement.",
)
@click.option("--copyleft", is_flag=True, help="Also pairs whose halves have the very same copyleft licences.")
@click.option("--per-unit", default=20, show_default=True, type=click.IntRange(1), help="Candidates tried a function.")
@click.option(
    "--per-channel",
    default=3,
    show_default=True,
    type=click.IntRange(0),
    help="Candidates that file names, notes and test vectors may each add to a function; 0 for none.",
)
@click.option("--seed", default=17, show_default=True, type=click.IntRange(0), help="Decides the inputs.")
@click.option(
    "--engine",
    type=click.Choice(["memory", "spark"]),
    default="memory",
    show_default=True,
    help="Search for candidates in this process, or by Spark; the candidates are the same.",
)
@click.option("--master", default="local[*]", show_default=True, help="Spark master, for --engine spark.")
@click.option("--memory", default="2g", show_default=True, help="Heap of Spark's driver and of each executor.")
def command(
    corpus: Path,
    out: Path,
    pivot: str,
    languages: tuple[str, ...],
    cases: int,
    tolerance: str,
    copyleft: bool,
    per_unit: int,
    per_channel: int,
    seed: int,
    engine: str,
    master: str,
    memory: str,
) -> None:
    """Find functions of CORPUS that do the same in two languages, and prove it by running both.

    CORPUS is the folder that `polymix build` made. Functions that can stand alone are cut out with what they need,
    matched across languages by their words and signatures, and where these say nothing by file names, notes such as
    "ported from" and shared test vectors, and run in a sandbox on the same generated inputs. A pair is
    kept only if every compared case agrees, and if the cases would show small mistakes in either half (mutants) and
    reach its branches. It carries inputs, output hashes, mutants, branches and tool versions as evidence, and the
    licences of both halves: permissive ones may stand together, others only as --copyleft or a study says.

    The folder gets pairs.parquet, rejected.parquet (every candidate that failed, and why), units.parquet (every
    function considered, and why it was turned away) and manifest.json with the counts, which are printed too.

    \b
    Examples
      polymix mine store/demo/0/corpus --out pairs
      polymix mine corpus --out pairs --language go --language rust
      polymix mine corpus --out pairs --pivot java --tolerance exact
      polymix mine /shared/corpus --out /shared/pairs --engine spark --master spark://host:7077 --memory 8g

    With --engine spark functions are cut and pairs are run on this machine all the same; on a cluster, --out must lie
    where its workers see it.
    """
    from parallel_mining.licensing import LicencePolicy
    from parallel_mining.mine import MiningSettings, Search, mine
    from parallel_mining.verdicts import VerdictSettings
    from pipelines.console import emit
    from quality.languages import LANGUAGES, language

    for name in (pivot, *languages):
        language(name)
    settings = MiningSettings(
        pivot=pivot,
        languages=languages or tuple(LANGUAGES),
        candidates_per_unit=per_unit,
        candidates_per_channel=per_channel,
        seed=seed,
        licences=LicencePolicy(copyleft=copyleft),
        evidence=VerdictSettings.model_validate({"cases": cases, "tolerance": tolerance}),
    )
    search: Search | None = None
    if engine == "spark":
        from pipelines.spark import check_place_of_work
        from pipelines.spark_candidates import search_by_spark

        check_place_of_work(master, memory)
        search = partial(search_by_spark, master=master, memory=memory)
    counts = mine(corpus, out, settings, command=" ".join(["polymix", *sys.argv[1:]]), search=search)
    emit(
        [
            {
                "language": name,
                "functions": own["considered"],
                "units": own["accepted"],
                "candidates": counts["candidates"].get(name, 0),
                "pairs": counts["pairs_by_language"].get(name, 0),
                **{
                    verdict: found["candidates"]
                    for verdict, found in sorted(counts["verdicts"].get(name, {}).items())
                    if verdict != "equivalent"
                },
            }
            for name, own in sorted(counts["units"].items())
        ],
        title=f"{counts['pairs']} pairs with {pivot}",
    )
