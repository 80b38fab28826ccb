"""What a finished run leaves: one file a run, and the four tables they become. No torch here.

Start at `run_row` and `write_record`, then `tables_of`. A record appears whole or not at all, so that a sweep killed at
any moment keeps every run that was finished. Records are plain JSON; numbers that are not finite are null there and NaN
in tables.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from quality.artifacts import write_atomically
from quality.contracts import check
from quality.mistakes import bad_input
from training.runs import CURVE_SCHEMA, EVALUATION_SCHEMA, RUN_CONTRACT, RUN_SCHEMA, TRANSLATION_SCHEMA, RunSpec
from training.sizes import size

RECORDS = "records"
LOG = "torchtitan.log"
_PARTS = {"run", "evaluations", "translations", "curve"}
TABLES = {
    "runs.parquet": RUN_SCHEMA,
    "evaluations.parquet": EVALUATION_SCHEMA,
    "translations.parquet": TRANSLATION_SCHEMA,
    "curves.parquet": CURVE_SCHEMA,
}


def record_path(folder: Path, run_id: str) -> Path:
    """Return where a run's record lies."""
    return folder / RECORDS / f"{run_id}.json"


def run_row(
    run_id: str,
    spec: RunSpec,
    outcome: Any,
    *,
    vocabulary: int,
    repeats: Mapping[str, float],
    stores: str,
    command: str,
    world_size: int = 1,
    mixture: str = "",
    pairing: str = "",
) -> dict[str, Any]:
    """Return a run's row of `runs.parquet`.

    Args:
        run_id: Its name.
        spec: What it is.
        outcome: What came of it (`training.recipe.Outcome`).
        vocabulary: Token ids.
        repeats: Source to epochs.
        stores: Fingerprint of the stores it read.
        command: The command line that makes it again.
        world_size: Processes it was trained by.
        mixture: What a sweep calls its mixture, or "".
        pairing: How the halves of its pairs were trained on, or "".
    """
    shape = size(spec.size)
    trained = outcome.steps * spec.batch_tokens
    drawn = [source for source, share in spec.shares.items() if share > 0]
    part = trained / spec.tokens if spec.tokens else math.nan
    return {
        "run_id": run_id,
        "size": spec.size,
        "params_total": shape.total_parameters(vocabulary),
        "params_non_embedding": shape.non_embedding_parameters,
        "tokens": trained,
        "flops": shape.flops_per_token(vocabulary, spec.sequence_length) * trained,
        "shares": dict(spec.shares),
        "repeats": {source: epochs * part for source, epochs in repeats.items()},
        "trained_on": drawn[0] if len(drawn) == 1 else "mixture",
        "mixture": mixture or None,
        "pairing": pairing or None,
        "seed": spec.seed,
        "sequence_length": spec.sequence_length,
        "batch_tokens": spec.batch_tokens,
        "learning_rate": spec.learning_rate,
        "schedule": spec.schedule,
        "across_documents": spec.across_documents,
        "precision": outcome.precision,
        "steps": outcome.steps,
        "restarts": len(outcome.restarts),
        "final_train_loss_nats": outcome.final_train_loss_nats,
        "seconds": outcome.seconds,
        "step_seconds": outcome.step_seconds,
        "loader_seconds": outcome.loader_seconds,
        "world_size": world_size,
        "device": outcome.device,
        "torch": importlib.metadata.version("torch"),
        "torchtitan": importlib.metadata.version("torchtitan"),
        "tokenizer": spec.tokenizer,
        "stores": stores,
        "status": outcome.status,
        "command": command,
    }


def record_of(row: Mapping[str, Any], outcome: Any) -> dict[str, Any]:
    """Return the record of a run: its row, and the rows of its outcome (`training.recipe.Outcome`)."""
    return {
        "run": row,
        "evaluations": outcome.evaluations,
        "translations": outcome.translations,
        "curve": outcome.curve,
        "restarts": [asdict(restart) for restart in outcome.restarts],
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a record whole: `run` (a row), `evaluations`, `translations` and `curve` (rows without `run_id`)."""
    path = record_path(folder, record["run"]["run_id"])
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps(_finite(record), allow_nan=False) + "\n")


def read_record(folder: Path, run_id: str) -> dict[str, Any] | None:
    """Return a run's record, or None where it is not finished.

    Raises:
        BadInput: It is damaged.
    """
    path = record_path(folder, run_id)
    if not path.is_file():
        return None
    record: Any = None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = record["run"]["run_id"] == run_id and record.keys() >= _PARTS
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        bad_input(path, "damaged after it was written; remove it, and the same command trains that run again")
    return record


def tables_of(records: Iterable[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Return the tables of `TABLES`, with rows in the order of the records."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for record in records:
        run = dict(record["run"])
        own = {"run_id": run["run_id"]}
        batch = run["batch_tokens"]
        run |= {name: list(run[name].items()) for name in ("shares", "repeats")}
        rows["runs.parquet"].append(
            {**run, **{name: _number(run[name]) for name in ("final_train_loss_nats", "step_seconds")}}
        )
        for name in ("evaluations", "translations"):
            rows[f"{name}.parquet"] += [{**own, "tokens": e["step"] * batch, **e} for e in record[name]]
        rows["curves.parquet"] += [
            {**own, "tokens": p["step"] * batch, **{name: _number(value) for name, value in p.items()}}
            for p in record["curve"]
        ]
    return {name: pa.Table.from_pylist(rows[name], schema) for name, schema in TABLES.items()}


def write_tables(folder: Path, records: Iterable[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Write the four tables and check what was written.

    Returns:
        File name to table.

    Raises:
        ContractFailed: A row of `runs.parquet` is not what `RUN_CONTRACT` says.
    """
    tables = tables_of(records)
    for name, table in tables.items():
        pq.write_table(table, folder / name)
    check(RUN_CONTRACT, pq.read_table(folder / "runs.parquet"), folder)
    return tables


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
