"""`polymix build`: sources to a clean, deduplicated, split corpus."""

from __future__ import annotations

import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

import click

EPILOG = """\b
Examples:
  polymix build src/ --out corpus
  polymix build pypi:pydash==8.0.5 npm:lodash@4.17.21 --out corpus
  polymix build a.tar.gz rows.parquet git+https://host/owner/name@v1.2 --out corpus --language python --language go
  polymix build src/ --out corpus --license permissive --license no_license
  polymix build src/ --out corpus --benchmark HumanEval.jsonl.gz --opt-out asked.txt
  polymix build new/ --out delta --against corpus         # only what corpus does not hold yet; readers take both
  polymix build forks/ --out corpus --level repository    # a repository stays or goes with all its files
  polymix build rows/ --out corpus --master spark://host:7077 --memory 8g --work /shared/work
  polymix build rows/ --out corpus --streaming local      # datatrove runs the per-file step; the corpus is the same
  polymix build rows/ --out corpus --streaming slurm --slurm-partition cpu --work /shared/work

\b
Leaves in --out:
  documents/language=L/split=S/*.parquet   one row a document
  rejects.parquet                          every other file, with stage, reason and detail
  signals.parquet                          what was measured of each file, whatever the limits said
  clusters.parquet                         which files were duplicates of which document
  index.parquet                            what a later build --against this corpus compares with
  sources.parquet, contract.parquet, contract.html, manifest.json
"""


@click.command(epilog=EPILOG)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the corpus; appears when done.")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    help="TOML with CorpusSettings (limits by language, near_duplicates, ...); options given here win over it.",
)
@click.option("--language", "languages", multiple=True, help="Keep this language; repeat it. Default: all known.")
@click.option("--license", "licenses", multiple=True, help="Keep this licence type; repeat it. Default: permissive.")
@click.option("--validation-share", type=float, help="Share of each language's bytes held out. Default: 0.05.")
@click.option("--threshold", type=float, help="Jaccard from which files are near duplicates. Default: 0.7.")
@click.option(
    "--level",
    type=click.Choice(["file", "repository"]),
    help="What stays or goes as a whole among duplicates. Default: file.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    help="An earlier corpus: only documents that it holds no duplicate of are kept, split as it is; repeat it.",
)
@click.option("--seed", type=int, help="Chooses what is held out. Default: 17.")
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    help="Benchmark file (HumanEval, MBPP, MultiPL-E, ... as JSON Lines or Parquet): documents that hold one of its "
    "tasks, translated ones too, are rejected; repeat it.",
)
@click.option("--opt-out", help="List of repositories, owners and paths to leave out, an entry a line.")
@click.option("--cache", type=click.Path(path_type=Path), help="Where packages are kept. Default: ~/.cache/polymix.")
@click.option("--master", default="local[*]", show_default=True, help="Spark master: local[N] or spark://HOST:PORT.")
@click.option("--memory", default="2g", show_default=True, help="Heap of Spark's driver and of each executor.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Keep unfinished work here, so that a build that was ended goes on from there; a cluster must see it.",
)
@click.option("--streaming", type=click.Choice(["local", "slurm"]), help="Let datatrove run the per-file step.")
@click.option("--workers", type=int, help="Tasks of --streaming at a time. Default: one a core; on Slurm no limit.")
@click.option("--slurm-partition", help="Slurm partition, for --streaming slurm.")
@click.option("--slurm-time", default="12:00:00", show_default=True, help="Time limit of a Slurm task.")
def command(
    sources: tuple[str, ...],
    out: Path,
    settings_file: Path | None,
    languages: tuple[str, ...],
    licenses: tuple[str, ...],
    validation_share: float | None,
    threshold: float | None,
    level: str | None,
    against: tuple[Path, ...],
    seed: int | None,
    benchmarks: tuple[str, ...],
    opt_out: str | None,
    cache: Path | None,
    master: str,
    memory: str,
    work: Path | None,
    streaming: str | None,
    workers: int | None,
    slurm_partition: str | None,
    slurm_time: str,
) -> None:
    """Turn source code into a corpus: classified, filtered, deduplicated, split, and checked.

    SOURCE is a folder, a git repository, an archive, JSON Lines or Parquet (as in The Stack), or a package:
    pypi:NAME==VERSION, npm:NAME@VERSION, deb:NAME=VERSION, deb-src:NAME=VERSION. Nothing that is read is run.
    """
    from pipelines.commands.options import streaming_of
    from pipelines.console import emit
    from pipelines.corpus import build

    given = {
        "benchmarks": [{"path": path} for path in benchmarks] or None,
        "opt_out": {"path": opt_out} if opt_out else None,
        "languages": list(languages) or None,
        "licenses": list(licenses) or None,
        "validation_share": validation_share,
        "level": level,
        "seed": seed,
    }
    settings = _settings(settings_file, {name: value for name, value in given.items() if value is not None}, threshold)
    manifest = build(
        sources,
        out,
        settings,
        against=against,
        cache=cache,
        master=master,
        memory=memory,
        streaming=streaming_of(streaming, workers, slurm_partition, slurm_time),
        work=work,
        command=shlex.join(["polymix", *sys.argv[1:]]),
    )
    counts = cast(dict[str, Any], manifest["counts"])
    emit(({"language": name, **row} for name, row in counts["languages"].items()), title=str(out))


def _settings(path: Path | None, given: dict[str, Any], threshold: float | None) -> Any:
    from pydantic import ValidationError

    from pipelines.corpus_settings import CorpusSettings
    from quality.mistakes import BadInput, Mistake, bad_input

    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text())
        except FileNotFoundError:
            bad_input(path, "no such file")
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            bad_input(path, f"cannot be read as TOML: {error}")
    values |= given
    if threshold is not None:
        near = values.get("near_duplicates", {})
        values["near_duplicates"] = {**(near if isinstance(near, dict) else {}), "threshold": threshold}
    try:
        return CorpusSettings.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        # A list whose every entry is wrong is also reported as too short: say what is wrong with the entries only.
        inner = [one for one in found if not any(_within(other["loc"], one["loc"]) for other in found)]
        raise BadInput(
            Mistake(
                f"{path or 'options'}: {'.'.join(map(str, one['loc']))}",
                f"{one['input']!r}: {one['msg'].removeprefix('Value error, ')}",
            )
            for one in inner
        ) from error


def _within(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer
