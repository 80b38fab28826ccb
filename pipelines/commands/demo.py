"""`polymix demo`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Where everything is put."
)
@click.option("--cache", type=click.Path(path_type=Path), help="Where downloads are kept.")
@click.option(
    "--write-study", type=click.Path(path_type=Path), help="Only write the demo's study file here, to start from."
)
def command(out: Path, cache: Path | None, write_study: Path | None) -> None:
    """Run the whole loop on pinned real packages in seven languages, and end in a report.

    About ten minutes on two cores once everything is installed. Stopped halfway, it goes on from there; run again when
    finished, everything is skipped.

    \b
    Examples:
      polymix demo
      polymix demo --write-study my.toml      # then edit it, and: polymix turn my.toml
    """
    from pipelines.demo import demo, write_demo_study

    if write_study is not None:
        write_demo_study(write_study)
        return
    click.echo(demo(out, cache=cache))
