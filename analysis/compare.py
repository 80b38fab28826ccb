"""Which of several laws predicts runs best that it was not fitted to.

Start at `compare`. Laws are judged by their held-out errors (the largest runs, and the mixtures, left out of the fit),
never by how near they come to the runs they were fitted to, where more symbols always win.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.fit import fit_table
from analysis.laws import LAWS, law, unknown_law
from analysis.runs import read_runs
from quality.mistakes import BadInput


def compare(
    runs: Path | str, names: Sequence[str], *, target: str | None = None, drop_highest: int = 0, **reading: str | None
) -> list[dict[str, Any]]:
    """Fit several laws to the same runs and rank them.

    Args:
        runs: A table of runs, as `analysis.fit.fit` takes it.
        names: Names of laws.
        target: Which source the loss is measured on, for laws of mixtures.
        drop_highest: Leave out so many runs of the highest loss in each group.
        reading: How the table is to be read, see `analysis.runs.read_runs`.

    Returns:
        One row a law and group, by group and then by the mean of its held-out errors, the best first; laws that cannot
        be judged (too few runs) last. `heldout` and `heldout_mixtures` are mean relative errors.

    Raises:
        BadInput: A law is not known, or cannot be fitted to these runs.
    """
    unknown = [unknown_law(name) for name in names if name not in LAWS]
    if unknown:
        raise BadInput(unknown)
    table = read_runs(runs, **reading)
    rows: list[dict[str, Any]] = []
    for name in names:
        fits = fit_table(law(name), table, name=str(runs), target=target, drop_highest=drop_highest, bootstrap=0)
        rows += [
            {
                "law": name,
                "group": one["group"],
                "symbols": len(one["estimates"]),
                "objective": one["objective"],
                "heldout": _error(one["heldout"]),
                "heldout_mixtures": _error(one["heldout_mixtures"]),
                "converged": one["converged"],
                "unidentified": one["unidentified"],
            }
            for one in fits
        ]
    return sorted(rows, key=lambda row: (row["group"] or "", _judged(row)))


def _error(held: dict[str, Any] | None) -> float | None:
    return None if held is None else float(held["mean_relative_error"])


def _judged(row: dict[str, Any]) -> float:
    errors = [row[name] for name in ("heldout", "heldout_mixtures") if row[name] is not None]
    return sum(errors) / len(errors) if errors else float("inf")
