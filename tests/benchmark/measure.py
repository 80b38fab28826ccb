"""What a process and all that it started have used: CPU seconds and memory, read from /proc.

Start at `cpu_seconds`. Children that ended count once their parent has waited for them, so that the figure covers
worker pools, forked guards and a JVM alike.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _tree(root: int) -> dict[int, list[str]]:
    """Return the fields of `/proc/PID/stat` after the name, of a process and its descendants."""
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stats[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
    inside = {root}
    grown = True
    while grown:
        more = {pid for pid, fields in stats.items() if int(fields[1]) in inside} - inside
        inside |= more
        grown = bool(more)
    return {pid: stats[pid] for pid in inside if pid in stats}


def cpu_seconds(root: int | None = None) -> float:
    """Return user and system seconds of a process (this one by default), its descendants, and those they waited for."""
    return sum(sum(map(int, fields[11:15])) for fields in _tree(root or os.getpid()).values()) / _TICK


@dataclass
class Peak:
    """The most memory seen.

    Args:
        total_bytes: Resident, of the process and its descendants together (shared pages counted in each).
        largest_bytes: Resident, of the largest of them.
    """

    total_bytes: int = 0
    largest_bytes: int = 0


@contextmanager
def watched_memory(period_s: float = 0.25) -> Iterator[Peak]:
    """Watch the memory of this process and its descendants while something runs."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(period_s):
            sizes = [int(fields[21]) * _PAGE for fields in _tree(os.getpid()).values()]
            peak.total_bytes = max(peak.total_bytes, sum(sizes))
            peak.largest_bytes = max(peak.largest_bytes, max(sizes, default=0))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a table of text, a column for each key of the first."""
    names = list(rows[0])
    cells = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def report(title: str, rows: Sequence[dict[str, Any]], out: Path | None) -> None:
    """Print a table, and add its rows to a file of JSON lines."""
    print(f"\n{title}\n{table(rows)}", flush=True)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a") as stream:
            stream.writelines(json.dumps({"table": title, **row}) + "\n" for row in rows)
