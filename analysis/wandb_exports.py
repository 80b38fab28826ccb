"""What Weights & Biases gives away, as plain rows: tables of runs and histories, from JSON, JSON Lines, CSV or Parquet.

Start at `json_rows`, `flat` and `is_history`. The public API has a run as its name, `state`, and two nested objects,
`config` and `summary`; a history (`run.history()`, `scan_history()`, the `wandb-history` artifact) has a row a step,
with `_step`, `_timestamp` and `_runtime`, in which a metric that was not logged at that step is missing. What always
holds: a key of `summary` or `config` becomes a column of its own name, deeper ones with dots, and `summary` wins where
both have it, for it is what came out.

Source: docs.wandb.ai, "Import and export data" (the public API's recipes) and the reference of `wandb.apis.public.Run`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from quality.mistakes import BadInput, Mistake, bad_input

STEP = "_step"
NESTED = ("config", "summary_metrics", "summary")
"""Objects of a run, each after those that it wins over."""
_NAMED = 20


def json_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON file (a list of objects, or one object) or a JSON Lines file.

    Args:
        path: The file; numbers may be NaN, as pandas and W&B write them.

    Raises:
        BadInput: It is not JSON, or has something else than objects in it; all lines are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        bad_input(path, "is not text; export it again")
    if path.suffix.lower() == ".json":
        try:
            whole: Any = json.loads(text)
        except json.JSONDecodeError as error:
            bad_input(path, f"is not JSON ({error}); a file with one object a line is to end in .jsonl")
        rows = [whole] if isinstance(whole, dict) else whole
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in cast(list[Any], rows)):
            bad_input(path, "a list of objects is expected, one a run or step (pandas: orient='records')")
        return cast(list[dict[str, Any]], rows)
    found: list[dict[str, Any]] = []
    wrong: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            value = None
        if isinstance(value, dict):
            found.append(cast(dict[str, Any], value))
        else:
            wrong.append(number)
    if wrong:
        lines = ", ".join(map(str, wrong[:_NAMED])) + (" ..." if len(wrong) > _NAMED else "")
        raise BadInput([Mistake(str(path), f"no JSON object in lines {lines}; one run or step a line is expected")])
    return found


def flat(source: Path, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose `config` and `summary` are columns; rows without them as they are.

    Args:
        source: What mistakes call the rows.
        rows: As read. Objects may be text (JSON, or Python's, which is what pandas makes of them in a CSV file).

    Raises:
        BadInput: A `config` or `summary` is no object; all rows are named.
    """
    found: list[dict[str, Any]] = []
    wrong: dict[str, list[int]] = {}
    for number, row in enumerate(rows, 1):
        plain = {name: value for name, value in row.items() if name not in NESTED}
        inner: dict[str, Any] = {}
        for name in NESTED:
            value = _object(row[name]) if row.get(name) is not None else {}
            if value is None:
                wrong.setdefault(name, []).append(number)
            else:
                # Parquet gives every run the keys of all, with nothing in them.
                inner |= {key: known for key, known in _dotted(value).items() if known is not None}
        found.append({**inner, **plain})
    if wrong:
        raise BadInput(
            Mistake(
                f"{source}: {name}", f"no object in rows {', '.join(map(str, numbers[:_NAMED]))}; export it as JSON"
            )
            for name, numbers in wrong.items()
        )
    # A run without a metric has no key for it: every row gets every column.
    columns = dict.fromkeys(name for row in found for name in row)
    return [{name: row.get(name) for name in columns} for row in found]


def is_history(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether rows, as read, are steps of runs, in which metrics may be missing, and not a row a run."""
    columns = {name for row in rows for name in row}
    return STEP in columns and not columns & {*NESTED, "State", "state"}


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(value)
                break
            except (ValueError, SyntaxError):
                continue
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _dotted(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        # The raw form of a config has {"value": ..., "desc": ...} for each key.
        if isinstance(inner, Mapping) and "value" in inner and set(cast(Mapping[str, Any], inner)) <= {"value", "desc"}:
            inner = cast(Mapping[str, Any], inner)["value"]
        if isinstance(inner, Mapping):
            found |= _dotted(cast(Mapping[str, Any], inner), f"{before}{name}.")
        else:
            found[f"{before}{name}"] = inner
    return found
