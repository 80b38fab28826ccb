"""The demo: the whole loop on pinned real packages in seven languages, small enough for one machine of two cores."""

from __future__ import annotations

import json
import shutil
import textwrap
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipelines.turn import turn
from quality.artifacts import check_writable, make_folder, read_manifest, write_atomically
from quality.languages import LANGUAGES

STUDY = files("pipelines") / "demo.toml"
WIDTH = 100
"""Columns of the summary."""


def write_demo_study(path: Path) -> None:
    """Write the demo's study file, to start one's own from.

    Raises:
        BadInput: The file exists, or its folder is missing or cannot be written to.
    """
    from quality.mistakes import bad_input

    if path.exists():
        bad_input(path, "exists; name a new file")
    check_writable(path)
    make_folder(path.parent)
    write_atomically(path, STUDY.read_bytes())


def demo(out: Path, *, cache: Path | None = None) -> str:
    """Run the demo and return a summary for one screen.

    Args:
        out: Where the study, the store and the report are put.
        cache: Where downloads are kept; None for the default.

    Returns:
        The summary, as text.
    """
    make_folder(out)
    study = out / "study.toml"
    write_atomically(study, STUDY.read_bytes())
    stages = turn(study, out / "store", cache=cache)
    folder = Path(stages[-1]["folder"]).parent
    report = out / "report.html"
    shutil.copyfile(folder / "report" / "report.html", report)
    return summary(folder, stages, report)


def summary(folder: Path, stages: list[dict[str, Any]], report: Path) -> str:
    """Return what a turn found, on one screen.

    Args:
        folder: The turn's folder.
        stages: What `turn` returned.
        report: The report's path.
    """
    corpus, pairs, runs = (read_manifest(folder / kind)["counts"] for kind in ("corpus", "pairs", "runs"))
    answer = json.loads((folder / "allocation" / "allocation.json").read_text())
    tried = sum(pairs["candidates"].values())
    pivot = (read_manifest(folder / "pairs")["identity"].get("settings") or {}).get("pivot")
    lines = [
        "",
        f"corpus  {corpus['documents']:,} documents, {corpus['bytes'] / 1e6:.1f} MB, of {corpus['files_seen']:,} files",
        f"pairs   {pairs['pairs']:,} proved by running them, of {tried:,} candidates",
        f"runs    {runs['finished']:,} training runs, {runs['tokens'] / 1e6:.1f} M tokens",
        "",
        f"{'language':12} {'documents':>9} {'MB':>6} {'pairs':>6} {'uniform':>8} {'recommended':>12}   95% interval",
    ]
    shares = {source: share for source, share in answer["shares"].items() if source in LANGUAGES}
    uniform = sum(shares.values()) / len(shares)
    for language, share in shares.items():
        own = corpus["languages"][language]
        low, high = answer["intervals"]["shares"][language]
        proved = "pivot" if language == pivot else pairs["pairs_by_language"].get(language, 0)
        lines.append(
            f"{LANGUAGES[language].name:12} {own['documents']:>9,} {own['bytes'] / 1e6:>6.1f}"
            f" {proved:>6} {uniform:>8.1%} {share:>12.1%}   {low:.1%} to {high:.1%}"
        )
    beside = 1 - sum(shares.values())
    if beside > 1e-6:
        lines.append(f"{'beside them':12} {'':>9} {'':>6} {'':>6} {'':>8} {beside:>12.1%}   settled")
    lines += ["", f"{answer['gain']:+.3g} {answer['unit'].replace('_', ' ')} saved over uniform, as predicted"]
    for words in answer.get("words", ()):
        lines += _wrapped(words.replace("bits_per_byte", "bits per byte"), first="- ", rest="  ")
    lines += ["", *_wrapped("  ".join(f"{s['stage']} {s['seconds']:.0f}\N{NO-BREAK SPACE}s" for s in stages))]
    return "\n".join([*lines, f"report: {report}"])


def _wrapped(text: str, *, first: str = "", rest: str = "") -> list[str]:
    lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
